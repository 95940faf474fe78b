"""Forty services of one repository are planned as one: every file is read once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from buildguard.deploy.fleet import plan_deploys
from buildguard.deploy.prepare import DeployRequest
from buildguard.stages.content_cache import ContentCache
from buildguard.system.git_reader import ObjectReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from buildguard.diagnostic import UnreadableFile
    from tests.conftest import Project

NUMBER = 40


def forty_services() -> dict[str, str]:
    """A repository of forty services with a shared library, each with its Dockerfile, every other of the whole repository."""
    files, settings = {f"shared/m{number}.py": f"Z = {number}\n" for number in range(20)}, []
    for number in range(NUMBER):
        name, is_wide = f"s{number:02d}", number % 2
        copy = f"COPY shared shared\nCOPY {name} app" if is_wide else "COPY . app"
        files[f"{name}/Dockerfile"] = f"# {name}\nFROM python:3.{10 + is_wide}-slim\n{copy}\nCMD python3 app/main.py\n"
        files[f"{name}/main.py"] = f"X = {number}\n"
        context = "." if is_wide else name
        settings.append(f'[[service]]\nname = "{name}"\ndockerfile = "{name}/Dockerfile"\ncontext = "{context}"\n')
        settings.append(f'[[deploy]]\nname = "{name}"\nimage = "r.invalid/x/{name}"\nhealth = "/"\n')
    return {**files, "buildguard.toml": "".join(settings)}


@pytest.mark.interpreters
def test_a_plan_of_forty_services_reads_each_file_once(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = repository(forty_services())
    reads: Counter[str] = Counter()
    read = ObjectReader.blobs

    def counting(self: ObjectReader, oids: Sequence[str]) -> Iterator[bytes | UnreadableFile]:
        reads.update(oids)
        return read(self, oids)

    monkeypatch.setattr(ObjectReader, "blobs", counting)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme")

    report = plan_deploys(DeployRequest(cwd=project.path, all_services=True))

    assert report.exit_code == 0
    assert len(report.reports) == NUMBER
    assert len(reads) == len(forty_services()) + 1, "and README"
    assert set(reads.values()) == {1}
    pythons = {each.plan.source.targets for each in report.reports}
    assert len(pythons) == NUMBER, "each has the Python of its own Dockerfile"
    assert len({each.plan.packed.digest for each in report.reports}) == 1


def test_a_cache_keeps_small_contents_up_to_its_limit() -> None:
    cache = ContentCache(most=10)
    for key, content in (("a", b"123456"), ("b", b"123456"), ("c", b"1234")):
        cache.keep(key, content)

    assert [cache.get(key) for key in "abc"] == [b"123456", None, b"1234"]
