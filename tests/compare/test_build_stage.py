"""The workspace of a build, from what the build reported."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import TYPE_CHECKING, Any, Self

import pytest

from buildguard.compare import build_stage
from buildguard.compare.build_stage import BuildSnapshotter, WorkspaceSnapshotter
from buildguard.diagnostic import UnreadableFile
from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_build import BuildStatus, Provenance
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.stages.archives import reader
from buildguard.stages.manifest import FILE, Manifest, blob_id, of_bytes
from buildguard.stages.snapshot import StageKind
from tests.compare.damage import write

if TYPE_CHECKING:
    from pathlib import Path

_PROVENANCE = Provenance("gs://bucket/source.tgz#1", "ab" * 32, "")
_BUILD = BuildStatus(
    "id-1", "projects/p/locations/global/builds/id-1", BuildState.SUCCESS, "", "", "", "", _PROVENANCE, (), (), (), ()
)


class _Client:
    """Stands for both of Google's clients."""

    def __init__(self, build: BuildStatus) -> None:
        self._build = build
        self.project = "p"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to close."""

    def get(self, _identity: str) -> BuildStatus:
        return self._build


def _snapshotter(monkeypatch: pytest.MonkeyPatch, build: BuildStatus, archive: Path | None = None) -> BuildSnapshotter:
    client = _Client(build)
    monkeypatch.setattr(build_stage, "CloudBuildClient", lambda *_arguments: client)
    monkeypatch.setattr(build_stage, "StorageClient", lambda *_arguments: client)

    def fetch(_url: Any, file: Path) -> None:
        assert archive is not None
        file.write_bytes(archive.read_bytes())

    monkeypatch.setattr(build_stage, "fetch", fetch)
    return BuildSnapshotter("build:id-1", "p", "")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write(tmp_path / "source", {"a.py": b"x = 1\n", "b.txt": b"text\n"})
    subprocess.run(["tar", "-czf", tmp_path / "source.tgz", "-C", tmp_path / "source", "."], check=True)
    return tmp_path / "source.tgz"


def _report(rows: bytes, **more: Any) -> bytes:
    return json.dumps({"digest": f"sha256:{hashlib.sha256(rows).hexdigest()}", "identical": True, **more}).encode()


@pytest.mark.interpreters
def test_the_digest_of_the_guard_step_proves_the_entries_of_the_archive(
    monkeypatch: pytest.MonkeyPatch, archive: Path
) -> None:
    rows = reader.read(archive).manifest.rows()
    stage = _snapshotter(monkeypatch, _BUILD._replace(outputs=(b"", b"not json", _report(rows))), archive)

    seen = stage.snapshot()

    assert (seen.kind, sorted(seen.manifest.entries)) == (StageKind.WORKSPACE, [b"a.py", b"b.txt"])
    assert seen.digests[0] == ("fetched", _PROVENANCE.url)
    assert isinstance(stage.originals([b"a.py"])[b"a.py"], UnreadableFile)


@pytest.mark.interpreters
def test_another_digest_names_what_differs(monkeypatch: pytest.MonkeyPatch, archive: Path) -> None:
    report = _report(b"other rows", differences=[{"path": "a.py"}])

    with pytest.raises(UnprovenError, match=r"not what Cloud Build fetched: a\.py"):
        _snapshotter(monkeypatch, _BUILD._replace(outputs=(report,)), archive).snapshot()


@pytest.mark.parametrize("output", [b"", b"[]", b"{}", b'{"digest": "sha256:0"}', b"\xff"])
def test_a_build_without_the_guard_step_is_unproven(monkeypatch: pytest.MonkeyPatch, output: bytes) -> None:
    running = _BUILD._replace(status=BuildState.WORKING, outputs=(output,))

    with pytest.raises(UnprovenError, match="kept no manifest of its workspace, and is WORKING"):
        _snapshotter(monkeypatch, running).snapshot()


def test_a_digest_without_provenance_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    build = _BUILD._replace(outputs=(_report(b""),), provenance=None)

    with pytest.raises(UnprovenError, match="does not tell what it fetched"):
        _snapshotter(monkeypatch, build).snapshot()


def test_only_the_contents_that_changed_are_known() -> None:
    rows = Manifest([of_bytes(b"a.py", FILE, b"new\n"), of_bytes(b"b.py", FILE, b"same\n")]).rows()
    stage = WorkspaceSnapshotter("build:id-1", rows, {b"a.py": b"new\n"}, None)

    entries = stage.snapshot().manifest.entries

    assert entries[b"a.py"].blob == blob_id(b"new\n")  # so that history can find it
    assert not entries[b"b.py"].blob
    assert stage.originals([b"a.py", b"b.py"]) == {
        b"a.py": b"new\n",
        b"b.py": UnreadableFile("the build told its digest only"),
    }
