"""The stage of an editor: one file is not what the disk has."""

from __future__ import annotations

from pathlib import Path

from buildguard.diagnostic import RelativePath
from buildguard.stages.filesystem import FolderStage
from buildguard.stages.stage import Entry, EntryKind
from buildguard.stages.unsaved import UnsavedStage


def _stage(folder: Path, name: bytes) -> dict[bytes, object]:
    (folder / "a.py").write_bytes(b"saved")
    (folder / "b.py").write_bytes(b"other")
    stage = UnsavedStage(FolderStage(folder), name, b"typed")
    return {entry.path: content for entry, content in stage.contents(stage.entries())}


def test_the_content_is_the_editors(tmp_path: Path) -> None:
    assert _stage(tmp_path, b"a.py") == {b"a.py": b"typed", b"b.py": b"other"}


def test_a_file_that_was_never_saved_is_listed(tmp_path: Path) -> None:
    assert _stage(tmp_path, b"new.py") == {b"a.py": b"saved", b"b.py": b"other", b"new.py": b"typed"}


def test_a_link_does_not_lead_to_another_content(tmp_path: Path) -> None:
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    stage = UnsavedStage(FolderStage(tmp_path), b"link.py", b"typed")

    assert stage.entries() == [Entry(RelativePath(b"link.py"), EntryKind.FILE)]
    assert [content for _entry, content in stage.contents(stage.entries())] == [b"typed"]
