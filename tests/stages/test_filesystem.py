"""What a stage on disk reads into memory, and what it leaves unread."""

from __future__ import annotations

import os
from pathlib import Path

from buildguard.diagnostic import RelativePath, UnreadableFile
from buildguard.stages.filesystem import FolderStage, digest_file, read_file
from buildguard.stages.filesystem_snapshot import DiskSnapshotter
from tests.stages.deep import flatten, nest

_LARGE = 3 << 30  # bytes; as a sparse file it takes no room


def test_a_file_that_no_compiler_takes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    with path.open("wb") as file:
        file.truncate(_LARGE)
    stage = FolderStage(tmp_path)

    [(_entry, content)] = stage.contents(stage.entries())

    assert content == UnreadableFile("more than 256 MiB, so it was not read")
    assert digest_file(os.fsencode(path)) is None
    assert read_file(os.fsencode(path), most=2) == b"\0\0"


def test_a_link_to_such_a_file(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(_LARGE)
    (tmp_path / "a.py").symlink_to("large")
    stage = FolderStage(tmp_path)

    contents = {entry.path: content for entry, content in stage.contents(stage.entries())}

    assert contents[RelativePath(b"a.py")] == UnreadableFile("more than 256 MiB, so it was not read")


def test_empty_folders_deeper_than_python_calls_functions(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    nest(tmp_path, 1200, b"")
    try:
        snapshot = DiskSnapshotter("dir:.", tmp_path, None).snapshot()
    finally:
        flatten(tmp_path, 1200)

    assert snapshot.manifest.extras.folders == {b"/".join([b"d"] * 1200)}
