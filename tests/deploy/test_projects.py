"""One repository, several projects: a service of the same name in another project is another service."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
import requests

from buildguard.cli.render.deploy import HistoryView, as_text, history_text
from buildguard.deploy import lock
from buildguard.deploy.bucket_store import BucketLock
from buildguard.deploy.history import history
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.rollback import rollback
from buildguard.errors import DeployInterruptedError, UnprovenError
from buildguard.gcp.cloud_build import CloudBuildClient
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.storage import StorageClient
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import ledger_path
from buildguard.project.ledger import ServiceId
from buildguard.system.git import repository_of
from tests.deploy.conftest import Meanwhile, Watcher, deployed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildguard.gcp.emulator.server import Emulator
    from tests.conftest import Project

_STAGING, _PROD = "acme-staging", "acme-prod"


def _sole(project: str) -> str:
    with CloudRunClient(project) as run:
        there = run.get("web")
        return there.only_revision if there is not None else ""


def _ledger(project: Project) -> Path:
    repository = repository_of(project.path)
    assert repository is not None
    return ledger_path(repository)


def test_the_same_commit_in_two_projects(site: Project, google: Callable[..., Emulator]) -> None:
    """The builds and the revisions of one are not those of the other."""
    emulator = google(projects=(_STAGING, _PROD))
    staging = deployed(site, project=_STAGING)
    assert staging.exit_code == 0, as_text(staging)

    first = deployed(site, project=_PROD)

    assert first.exit_code == 0, as_text(first)
    assert [len(emulator.builds.find(one, "")) for one in (_STAGING, _PROD)] == [1, 1]
    assert not any("stopped at the step" in one for one in first.notes)
    again = deployed(site, project=_PROD)
    assert again.exit_code == 0, as_text(again)
    assert len(emulator.builds.find(_PROD, "")) == 1  # its own build is used again
    staged = deployed(site, project=_STAGING)  # the last that was proven is another project's

    back = rollback(DeployRequest(cwd=site.path, project=_PROD), "", Watcher())

    assert (back.before, back.revision) == (again.revision, first.revision)
    assert requests.get(back.url, timeout=60).text == first.revision == _sole(_PROD)
    assert _sole(_STAGING) == staged.revision
    everything = history(DeployRequest(cwd=site.path))
    assert len(everything.runs) == 5
    assert f"{_PROD}/web" in history_text(HistoryView(everything))
    prod = history(DeployRequest(cwd=site.path, project=_PROD))
    assert {line.project for run in prod.runs for line in run} == {_PROD}
    assert len(prod.runs) == 3


def test_the_way_back_that_is_named_is_the_same_projects(site: Project, google: Callable[..., Emulator]) -> None:
    google(projects=(_STAGING, _PROD))
    first = deployed(site, build_local=True, project=_PROD)
    site.commit({"app/other.py": "x = 2\n"})

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(DeployInterruptedError) as caught:
        deployed(site, build_local=True, project=_PROD, watcher=Meanwhile("prove", interrupt))

    command = caught.value.hint.split("`")[3]
    assert command == f"buildguard rollback --service web --project {_PROD}"
    assert site.run(*command.split()[1:]).code == 0
    assert _sole(_PROD) == first.revision


def test_an_image_that_was_built_here_is_its_own_projects(site: Project, google: Callable[..., Emulator]) -> None:
    """The name under which it is pushed holds the project."""
    google(projects=(_STAGING, _PROD))
    toml = (site.path / "buildguard.toml").read_text()
    steps = "steps: [{name: gcr.io/cloud-builders/docker, args: [build, -t, '%s', .]}]\nimages: ['%s']\n"
    image = f"{toml.partition('image = ')[2].split(chr(34))[1].removesuffix('/web')}/$PROJECT_ID/web"
    without = "\n".join(line for line in toml.splitlines() if not line.startswith("image"))
    site.write({"cloudbuild.yaml": steps % (image, image), "buildguard.toml": without})
    site.commit()

    names = []
    for project in (_STAGING, _PROD):
        found = deployed(site, build_local=True, project=project)
        assert found.exit_code == 0, as_text(found)
        names += [one.evidence["image"] for one in found.outcomes or () if one.step == "push"]

    assert [name.split("/")[-2] for name in names] == [_STAGING, _PROD]


def test_a_deploy_of_one_project_does_not_hold_up_another(site: Project, google: Callable[..., Emulator]) -> None:
    google(projects=(_STAGING, _PROD))
    with StorageClient(_STAGING) as storage:
        bucket = storage.ensure("", _STAGING)
        held = BucketLock(storage, bucket, ServiceId(_STAGING, "europe-west1", "web"))
        with lock.hold_lock(held, lock.LockRequest("web", "r"), print):
            assert deployed(site, project=_PROD, build_local=True).exit_code == 0
            with pytest.raises(lock.LockHeldError):
                deployed(site, project=_STAGING, build_local=True)
            names = {BucketLock(storage, bucket, one).remedy() for one in _ALIKE}
    assert len(names) == len(_ALIKE)


_ALIKE = [
    ServiceId("a", "b", "c"),
    ServiceId("b", "a", "c"),
    ServiceId("a/b", "", "c"),
    ServiceId("", "a/b", "c"),
    ServiceId("b", "c", "a"),
]


def test_lines_without_a_project_are_still_read(site: Project, google: Callable[..., Emulator]) -> None:
    """A rollback believes one of them where this very service has the revision that it names."""
    emulator = google(projects=(_STAGING, _PROD))
    first = deployed(site, build_local=True)
    site.commit({"app/other.py": "x = 2\n"})
    second = deployed(site, build_local=True)
    file = _ledger(site)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    old = [{key: value for key, value in line.items() if key not in {"project", "region"}} for line in lines]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in old))
    for (bucket, name), _generations in emulator.storage.buckets.objects():
        if name.startswith("buildguard/ledger/"):
            data = emulator.storage.buckets.get(bucket, name).data
            line = {key: value for key, value in json.loads(data).items() if key not in {"project", "region"}}
            emulator.storage.buckets.delete(bucket, name)
            kept = f"buildguard/ledger/web/{os.path.basename(name)}"
            emulator.storage.buckets.put(bucket, kept, json.dumps(line).encode(), "application/json", None)

    read, broken = ledgers.read(file)
    elsewhere = deployed(site, build_local=True, project=_PROD)
    with pytest.raises(UnprovenError, match="not certain"):
        rollback(DeployRequest(cwd=site.path, project=_PROD), "", Watcher())
    back = rollback(DeployRequest(cwd=site.path), "", Watcher())

    assert (len(read), broken) == (len(lines), 0)
    assert {line.service_id for line in read} == {ServiceId("", "", "web")}
    assert elsewhere.exit_code == 0
    assert (back.before, back.revision) == (second.revision, first.revision)
    assert len(history(DeployRequest(cwd=site.path)).runs) == 4


def test_a_build_is_of_one_project(site: Project, google: Callable[..., Emulator]) -> None:
    google(projects=(_STAGING, _PROD))
    found = deployed(site, project=_STAGING)
    build = next(one.evidence["build"] for one in found.outcomes or () if one.step == "build")

    with CloudBuildClient(_PROD, "global") as builds, pytest.raises(UnprovenError, match="was not found"):
        builds.get(build)
    with CloudBuildClient(_STAGING, "global") as builds:
        assert builds.get(build).id == build
