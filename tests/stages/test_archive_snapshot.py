"""Snapshots of an archive and of a manifest that was written down."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from buildguard.errors import UnprovenError
from buildguard.stages import archive_snapshot
from buildguard.stages import manifest as manifests
from buildguard.stages.archive_snapshot import ArchiveSnapshotter, ManifestSnapshotter
from buildguard.stages.manifest import Manifest
from buildguard.stages.snapshot import StageKind

if TYPE_CHECKING:
    from pathlib import Path

_COMMIT = "ab" * 20


def _tar(file: Path, members: dict[str, bytes], comment: str = "", twins: dict[str, str] | None = None) -> Path:
    headers = {"comment": comment} if comment else {}
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT, pax_headers=headers) as out:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            out.addfile(member, io.BytesIO(data))
        for name, other in (twins or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.LNKTYPE, other
            out.addfile(member)
    return file


@pytest.mark.parametrize(("comment", "commit"), [(_COMMIT, _COMMIT), ("x" * 40, ""), ("ab", ""), ("", "")])
def test_a_snapshot_names_the_digests_and_the_commit_of_git_archive(tmp_path: Path, comment: str, commit: str) -> None:
    file = _tar(tmp_path / "x.tar", {"a.py": b"x = 1\n"}, comment)

    snapshot = ArchiveSnapshotter("tar:x", file).snapshot()

    assert (snapshot.stage, snapshot.kind, snapshot.commit) == ("tar:x", StageKind.ARCHIVE, commit)
    assert list(snapshot.manifest.entries) == [b"a.py"]
    digests = dict(snapshot.digests)
    assert digests["file"] == digests["tar"]  # it is not packed
    assert digests["file"].startswith("sha256:")


def test_contents_are_read_again_and_those_of_twins_from_their_first_name(tmp_path: Path) -> None:
    file = _tar(tmp_path / "x.tar", {"a.py": b"x = 1\n", "b.py": b"y = 1\n"}, twins={"c.py": "a.py"})
    stage = ArchiveSnapshotter("tar:x", file)
    stage.snapshot()

    assert stage.originals([b"a.py", b"c.py"]) == {b"a.py": b"x = 1\n", b"c.py": b"x = 1\n"}


def test_an_archive_that_changed_since_is_not_read(tmp_path: Path) -> None:
    file = _tar(tmp_path / "x.tar", {"a.py": b"x = 1\n"})
    stage = ArchiveSnapshotter("tar:x", file)
    stage.snapshot()
    _tar(file, {"a.py": b"x = 2\n"})

    with pytest.raises(UnprovenError, match="tar:x changed while it was read"):
        stage.originals([b"a.py"])


def test_a_large_content_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_snapshot, "MOST_KEPT", 5)
    stage = ArchiveSnapshotter("tar:x", _tar(tmp_path / "x.tar", {"large": b"123456", "small": b"12345"}))
    stage.snapshot()

    contents = stage.originals([b"large", b"small"])

    assert contents[b"small"] == b"12345"
    assert not isinstance(contents[b"large"], bytes)


def _manifest() -> Manifest:
    return Manifest(manifests.of_bytes(name, manifests.FILE, b"x") for name in (b"a.py", b"b.py"))


def test_a_manifest_is_read_in_each_of_its_forms(tmp_path: Path) -> None:
    manifest = _manifest()
    forms = {
        "rows": manifest.rows(),
        "json": json.dumps({"schema": 1, "unproven": [], **manifests.to_json(manifest)}).encode(),
        "sums": manifest.sums(),
    }
    for name, data in forms.items():
        (tmp_path / name).write_bytes(data)

    snapshots = {name: ManifestSnapshotter(f"manifest:{name}", tmp_path / name).snapshot() for name in forms}

    assert {snapshot.kind for snapshot in snapshots.values()} == {StageKind.MANIFEST}
    assert snapshots["rows"].manifest.digest == snapshots["json"].manifest.digest == manifest.digest
    assert (snapshots["rows"].notes, snapshots["json"].notes, len(snapshots["sums"].notes)) == ((), (), 1)


def test_a_manifest_that_is_missing_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello\n")

    for name in ("x", "gone"):
        with pytest.raises(UnprovenError, match=name):
            ManifestSnapshotter(f"manifest:{name}", tmp_path / name).snapshot()


def test_a_manifest_holds_no_contents(tmp_path: Path) -> None:
    contents = ManifestSnapshotter("manifest:x", tmp_path / "x").originals([b"a.py"])

    assert list(contents) == [b"a.py"]
    assert not isinstance(contents[b"a.py"], bytes)
