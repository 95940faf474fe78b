"""What a promotion compares: variables by their names, and the settings of the app's container."""

from __future__ import annotations

import pytest

from buildguard.deploy.promotion import compare
from buildguard.errors import UsageError
from buildguard.gcp.service_containers import Container
from buildguard.project import config as configs
from buildguard.project.config import Config
from buildguard.project.deploy_table import TrafficStage
from buildguard.project.environment import Environment

_LIST = """\
[cloud]
project = "acme-dev"
bucket = "acme-ledger"
[[deploy]]
name = "migrate"
kind = "job"
[[deploy]]
name = "api"
region = "europe-west1"
after = ["migrate"]
[env.prod]
project = "acme-prod"
regions = ["europe-west1", "us-central1"]
traffic = [10, 100]
[env.prod.services.api]
service = "shop-api"
required-env = ["DATABASE_URL"]
"""


def _read(text: str) -> Config:
    return configs.read({b"buildguard.toml": text.encode()})


def test_variables_are_compared_by_their_names() -> None:
    there = Container("app", env={"A": "1", "B": None, "C": "x"}, args=("serve",), port=8080)
    here = Container("app", env={"A": "2", "D": "y"}, args=(), port=8080)

    comparison = compare(there, here)

    assert (comparison.missing, comparison.more) == (("B", "C"), ("D",))
    assert list(comparison.notes("staging")) == [
        "1 variable not set in staging: D",
        "other than in staging: args is unset, and was serve",
    ]
    assert compare(there, here._replace(env=there.env, args=there.args)) == ((), (), ())


def test_a_first_revision_lacks_what_nothing_gives() -> None:
    there = Container("app", env={"A": "1", "B": None})

    assert compare(there, None, frozenset({"A", "PATH"})).missing == ("B",)


def test_an_environment_overrides_what_may_differ() -> None:
    config = _read(_LIST)

    prod = config.of_environment("prod")

    assert isinstance(config.environments[0], Environment)
    assert (prod.cloud.project, prod.cloud.bucket) == ("acme-prod", "acme-ledger")
    migrate, api = prod.deploys
    assert (migrate.traffic, migrate.regions) == ((TrafficStage(100),), ("europe-west1", "us-central1"))
    assert (api.service, api.required_env, api.traffic[0].percent) == ("shop-api", ("DATABASE_URL",), 10)
    assert api.regions == ("europe-west1", "us-central1"), "the region of the table gives way"
    assert config.of_environment("") is config
    assert config.deploys[1].service == "api"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[env.prod]\nname = 'x'", "unknown key 'env.name'"),
        ("[env.prod.services.api]\nkind = 'job'", "unknown key 'env.services.kind'"),
        ("[env.prod.services.web]\nhealth = '/'", "env.prod.services.web names no deploy"),
        ("[env]\nprod = 3", "env must be a table"),
        ("[env.prod]\nhealth = 'x'", "is not an absolute path"),
    ],
)
def test_an_environment_that_cannot_be_meant_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        _read(f'[deploy]\nname = "api"\n{text}\n')


def test_an_unknown_environment_is_named() -> None:
    with pytest.raises(UsageError, match="unknown environment 'pord'") as raised:
        _read(_LIST).of_environment("pord")
    assert "prod" in raised.value.hint
