"""What the emulator assumes, asked of Google itself: BUILDGUARD_LIVE_PROJECT=my-project python -m pytest tests/live

Opt-in: it needs an account, costs some build minutes, and makes objects in the project's Cloud Build bucket.
"""

from __future__ import annotations

import os
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.check.run import check
from buildguard.check.silent_watcher import SilentWatcher
from buildguard.errors import UnprovenError
from buildguard.gcp.build_log import LogTail
from buildguard.gcp.cloud_build import CloudBuildClient, source_of
from buildguard.gcp.storage import ObjectUrl, StorageClient
from buildguard.locate import locate
from buildguard.project.request import CheckRequest
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
from buildguard.system import git as gits
from tests.conftest import BROKEN_BEFORE_312

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Project

_PROJECT = os.environ.get("BUILDGUARD_LIVE_PROJECT", "")
_HOME = os.environ.get("HOME", "")
pytestmark = pytest.mark.skipif(not _PROJECT, reason="BUILDGUARD_LIVE_PROJECT=my-project runs this in a real project")
_IMAGE = "python:3.11-slim"


@pytest.fixture(autouse=True)
def _as_yourself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The credentials of whoever runs this."""
    monkeypatch.setenv("HOME", _HOME)


@pytest.fixture
def storage() -> Iterator[StorageClient]:
    with StorageClient(_PROJECT) as opened:
        yield opened


@pytest.fixture
def cloud() -> Iterator[CloudBuildClient]:
    with CloudBuildClient(_PROJECT) as opened:
        yield opened


@pytest.fixture
def sent(repository: Callable[..., Project], storage: StorageClient, tmp_path: Path) -> tuple[str, str]:
    """An archive in the project's bucket: its address and SHA-256."""
    made = repository({"app/a.py": f"# {uuid.uuid4()}\n"})
    found = gits.repository_of(made.path)
    assert found is not None
    archive = tmp_path / "sent.tgz"
    written = pack(commit_of(found, "HEAD"), archive).written
    bucket = storage.ensure("", _PROJECT)
    first = storage.upload(archive, bucket, f"source/{written.file_digest}.tgz")
    again = storage.upload(archive, bucket, f"source/{written.file_digest}.tgz")
    assert not first.reused
    assert again.reused, "if_generation_match=0 is honoured"
    assert again.uploaded == first.uploaded
    return first.uploaded.url, written.file_digest


def _step(script: str, **fields: Any) -> dict[str, Any]:
    return {"name": _IMAGE, "script": script, **fields}


def test_provenance_outputs_and_images_are_told(
    cloud: CloudBuildClient, storage: StorageClient, sent: tuple[str, str], tmp_path: Path
) -> None:
    url, sha256 = sent
    bucket = ObjectUrl.parse(url).bucket
    place = f"gs://{bucket}/buildguard/live-{uuid.uuid4()}"
    lines: list[str] = []
    build = cloud.submit(
        {
            "source": source_of(url),
            "steps": [
                _step("printf told > $BUILDER_OUTPUT/output; mkdir -p kept; printf kept > kept/a; sha256sum app/a.py"),
                {"name": _IMAGE, "entrypoint": "python9", "args": [], "allowFailure": True},
            ],
            "artifacts": {"objects": {"location": place, "paths": ["kept/*"]}},
        }
    )
    tail = LogTail(storage, build, lines.append)

    seen = cloud.wait(build, 600, report=lambda _seen: tail.more())
    tail.more()

    assert seen.status == "SUCCESS", seen.ending
    assert seen.provenance is not None
    assert (seen.provenance.url, seen.provenance.sha256) == (url, sha256)
    assert seen.outputs[0] == b"told"
    assert all(digest.startswith("sha256:") for digest in seen.step_images)
    assert storage.content(f"{place}/a") == b"kept"
    assert lines or tail.notes


def test_a_failed_build_keeps_nothing(cloud: CloudBuildClient) -> None:
    build = cloud.submit({"steps": [_step("printf told > $BUILDER_OUTPUT/output"), _step("exit 1")]})

    seen = cloud.wait(build, 600)

    assert (seen.status, seen.kind) == ("FAILURE", "USER_BUILD_STEP")
    assert not any(seen.outputs)


def test_a_build_is_found_by_its_tag(cloud: CloudBuildClient) -> None:
    tag = f"buildguard-live-{uuid.uuid4()}"
    build = cloud.submit({"steps": [_step("sleep 1")], "tags": [tag]})
    found = None
    for _ in range(10):
        found = cloud._tagged(tag)
        if found is not None:
            break
        time.sleep(1)

    assert found is not None
    assert found.id == build.id
    assert cloud.cancel(build.id).status in {"CANCELLED", "SUCCESS"}


def test_what_is_not_there_is_told(storage: StorageClient, cloud: CloudBuildClient) -> None:
    with pytest.raises(UnprovenError):
        storage.look(ObjectUrl.parse(f"gs://{storage.ensure('', _PROJECT)}/source/nothing-{uuid.uuid4()}"))
    with pytest.raises(UnprovenError):
        cloud.get(str(uuid.uuid4()))


def test_the_engine_end_to_end(repository: Callable[..., Project]) -> None:
    made = repository(
        {"Dockerfile": f"FROM {_IMAGE}\nCOPY . .\n", "app/a.py": "x = 1\n", "app/b.py": BROKEN_BEFORE_312}
    )

    request = CheckRequest(cwd=made.path, engine="cloud", project=_PROJECT, verify_download=True)
    report = check(request, locate(made.path, ()), SilentWatcher())

    assert [one.path for one in report.diagnostics if one.severity == "error"] == ["app/b.py"]
    assert report.chain is not None
    assert all(hop.identical for hop in report.chain.hops)
    assert not report.unproven
