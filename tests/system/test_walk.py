"""Every file below a folder, in whatever it is nested."""

from __future__ import annotations

import os
from pathlib import Path

from buildguard.remote import access_probe
from buildguard.system.walk import files_below
from tests.stages.deep import flatten, nest


def test_files_are_found_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for name in ("a/b/one", "a/two", "three"):
        (tmp_path / name).touch()
    (tmp_path / "a/round").symlink_to("..")

    found = list(files_below(str(tmp_path)))

    assert [os.path.relpath(path, tmp_path) for path in sorted(found)] == ["a/b/one", "a/round", "a/two", "three"]
    assert sorted(files_below(os.fsencode(tmp_path))) == sorted(map(os.fsencode, found))
    assert list(files_below(str(tmp_path / "missing"))) == []


def test_folders_deeper_than_python_calls_functions(tmp_path: Path) -> None:
    nest(tmp_path, 1200)
    try:
        (found,) = files_below(str(tmp_path))
        assert found.endswith("/d/d/a.py")
        assert access_probe.unreadable(str(tmp_path)) == []
    finally:
        flatten(tmp_path, 1200)
