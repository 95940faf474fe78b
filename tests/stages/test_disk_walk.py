"""Files that git does not list, walked by the rules of whoever sends them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildguard.errors import UnprovenError
from buildguard.stages import disk_walk
from tests.compare.damage import write


def test_folders_are_opened_and_links_are_not(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"", "d/x": b"", "d/e/y": b"", "skip/z": b""})
    (tmp_path / "d/l").symlink_to("e")
    asked: list[tuple[str, bool]] = []

    def keeps(path: str, is_folder: bool) -> bool:
        asked.append((path, is_folder))
        return path != "skip"

    assert sorted(disk_walk.walk(tmp_path, [b"a", b"d/", b"skip/"], keeps)) == [b"a", b"d/e/y", b"d/l", b"d/x"]
    assert ("d/l", True) in asked
    assert ("d/x", False) in asked
    assert not any(path.startswith("skip/") for path, _is_folder in asked)


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnprovenError, match="cannot be opened"):
        list(disk_walk.walk(tmp_path, [b"gone/"], lambda _path, _is_folder: True))


def test_a_file_is_read_through_a_link_inside_the_folder_only(tmp_path: Path) -> None:
    write(tmp_path, {"root/real": b"text", "outside": b"secret"})
    root = tmp_path / "root"
    (root / "inside").symlink_to("real")
    (root / "out").symlink_to("../outside")
    os.mkfifo(root / "pipe")
    read = disk_walk.file_reader(root)

    assert (read("real"), read("inside"), read("missing")) == (b"text", b"text", None)
    for name in ("out", "pipe"):
        with pytest.raises(UnprovenError, match=name):
            read(name)
