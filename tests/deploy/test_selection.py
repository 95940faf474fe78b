"""Several deploys in one configuration: their names, their order, and which of them a name picks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.deploy.selection import select_deploy, select_deploys
from buildguard.deploy.shared_work import SharedWork
from buildguard.errors import UnprovenError, UsageError
from buildguard.project import config as configs
from buildguard.project.deploy_table import DeployKind

if TYPE_CHECKING:
    from buildguard.project.config import Config

_LIST = """\
[[deploy]]
name = "web"
after = ["api"]
[[deploy]]
name = "api"
service = "shop-api"
regions = ["europe-west1", "us-central1"]
root = "/srv"
[[deploy]]
name = "worker"
"""


def _read(text: str) -> Config:
    return configs.read({b"buildguard.toml": text.encode()})


def test_a_list_is_in_the_order_of_after() -> None:
    config = _read(_LIST)

    assert [table.name for table in select_deploys(config, (), everything=True)] == ["api", "web", "worker"]
    assert [table.name for table in select_deploys(config, ("web", "shop-api"))] == ["api", "web"]
    api = select_deploy(config, "api")
    assert (api.service, api.region, api.regions) == ("shop-api", "europe-west1", ("europe-west1", "us-central1"))
    assert config.of_deploy(api).image_root == "/srv"
    assert (config.deploy.service, config.image_root) == ("", ""), "none of several counts by itself"
    assert [note.partition(":")[0] for note in config.health_notes] == ["web", "api", "worker"]


def test_one_table_is_as_before() -> None:
    config = _read('[deploy]\nservice = "web"\nregion = "europe-west1"\n')

    assert config.deploy == config.deploys[0] == select_deploy(config, "")
    assert config.deploy.region == "europe-west1"
    other = select_deploy(config, "web-2")
    assert (other.service, other.regions) == ("web-2", ("europe-west1",))
    with pytest.raises(UsageError, match="several services are named"):
        select_deploys(config, ("web", "web-2"))


@pytest.mark.parametrize(
    ("names", "everything", "words"),
    [
        ((), False, "several deploys are configured: web, api, worker"),
        (("wbe",), False, "unknown service 'wbe'"),
        (("web",), True, "--all and --service cannot be combined"),
    ],
)
def test_a_request_that_is_unclear_is_refused(names: tuple[str, ...], everything: bool, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        select_deploys(_read(_LIST), names, everything=everything)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[deploy]]\nname = "a"\n[[deploy]]\nregion = "r"', "each of several deploys needs a name"),
        ('[[deploy]]\nname = "a"\n[[deploy]]\nname = "a"', "two deploys are called 'a'"),
        ('[[deploy]]\nname = "a"\nafter = ["b"]', "after = 'b' names no"),
        ('[[deploy]]\nname = "a"\nafter = ["b"]\n[[deploy]]\nname = "b"\nafter = ["a"]', "circle: a, b"),
        ('[deploy]\nregion = "r"\nregions = ["r"]', "both region and regions"),
        ('[deploy]\nregions = ["r", "r"]', "listed twice"),
        ('[deploy]\nkind = "function"', "unknown kind 'function'"),
        ('[deploy]\nkind = "job"\nhealth = "/"', "a job has no health"),
        ('[deploy]\nname = "a"\nbefore = "traffic"', "before is for a job"),
        ('[deploy]\nname = "a"\nkind = "job"\nbefore = "health"', "takes one value"),
        ('[deploy]\nname = "a"\nkind = "job"\nbefore = "traffic"', "needs a service that is after it"),
        ("[[deploy]]\nafter = 3", "'after' must be a list"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        _read(text)


def test_a_job_before_the_traffic_is_named_by_its_service() -> None:
    config = _read('[[deploy]]\nname = "j"\nkind = "job"\nbefore = "traffic"\n[[deploy]]\nname = "a"\nafter = ["j"]')

    assert [table.kind for table in config.deploys] == [DeployKind.JOB, DeployKind.SERVICE]


def test_shared_work_is_done_once_and_fails_once() -> None:
    shared, done = SharedWork(), []

    def fail() -> str:
        done.append("fail")
        raise UnprovenError("no")

    assert [shared.once("a", lambda: len(done)) for _ in range(2)] == [0, 0]
    for _ in range(2):
        with pytest.raises(UnprovenError):
            shared.once("b", fail)
    assert done == ["fail"]
    for _ in range(2):
        with pytest.raises(UnprovenError):
            shared.once("c", fail, keeps_failure=False)
    assert len(done) == 3
