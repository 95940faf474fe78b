"""`fix` for people, and its patch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildguard.check.fix import FixedFile, FixReport, UnfixedFString
from buildguard.cli.render.fix import patch, text
from buildguard.diagnostic import DisplayPath, Range, Unproven

_FIXED = FixedFile("a b.py", b"x = 1\ny = 2", b"x = 1\ny = 3", (Range(2, 1, 2, 6),), ())
_LEFT = FixedFile("c.py", b"", b"", (), (UnfixedFString(Range(4, 2, 4, 9), "a comment inside"),))


def _report(*files: FixedFile, unproven: tuple[Unproven, ...] = ()) -> FixReport:
    return FixReport(files, unproven, (), ("compiled by CPython 3.11.9",), 3, 0.5)


def test_each_file_and_each_f_string_that_is_left_has_a_line() -> None:
    lines = text(_report(_FIXED, _LEFT), done="fixed").splitlines()

    assert lines[0] == "a b.py: fixed: 1 f-string (line 2)"
    assert lines[1] == "c.py:4:2: left: a comment inside"
    assert lines[2].startswith("hint: ")
    assert lines[-1] == "fixed 1 f-string in 1 file, 1 left, 0.5 s; compiled by CPython 3.11.9"


def test_a_repair_without_proof_is_not_called_fixed() -> None:
    unproven = (Unproven(DisplayPath("a b.py"), "3.11", "no interpreter"),)
    lines = text(_report(_FIXED._replace(proven=False), unproven=unproven), done="fixed").splitlines()

    assert lines[0] == "a b.py: not proven, not written: 1 f-string (line 2)"
    assert "fixed 0 f-strings in 0 files" in lines[-1]


def test_nothing_to_fix_and_something_unproven() -> None:
    assert text(_report(), done="fixed") == "nothing to fix in 3 files, 0.5 s\n"
    assert (
        "1 unproven"
        in text(_report(unproven=(Unproven(DisplayPath("a.py"), None, "gone"),)), done="fixed").splitlines()[-1]
    )


@pytest.mark.interpreters
def test_git_applies_the_patch(tmp_path: Path) -> None:
    name = 'ä "b"\t.py'
    (tmp_path / name).write_bytes(_FIXED.before)

    subprocess.run(["git", "apply"], cwd=tmp_path, input=patch(_report(_FIXED._replace(path=name), _LEFT)), check=True)

    assert (tmp_path / name).read_bytes() == _FIXED.after
