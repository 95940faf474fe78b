"""The benchmarks: a section that fails costs its own rows alone, and a command that gave no answer is never timed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench.__main__ import run_sections
from bench.measure import Command, FailedCommandError, side_by_side

_ROW = ("a: of b", "1.00", "1.1")


def _fails(_tree: Path, _scratch: Path, _rounds: int) -> list[tuple[str, str, str]]:
    raise RuntimeError("no\nengine")


def test_a_section_that_fails_leaves_the_others_their_rows(tmp_path: Path) -> None:
    rows, failed = run_sections({"cloud": _fails, "hook": lambda *_: [_ROW]}, lambda: tmp_path, 1)

    assert rows == [("cloud: not measured", "RuntimeError: no engine", ""), _ROW]
    assert failed == ["cloud"]


@pytest.mark.interpreters
@pytest.mark.parametrize(("status", "answers"), [(0, True), (1, True), (3, False), (4, False)])
def test_a_command_that_gave_no_answer_is_not_timed(tmp_path: Path, status: int, *, answers: bool) -> None:
    words = [sys.executable, "-c", f"import sys; print('why'); sys.exit({status})"]
    commands = {"check": Command(words, tmp_path)}

    if answers:
        assert len(side_by_side(commands, 2)["check"].rounds) == 2
    else:
        with pytest.raises(FailedCommandError, match=f"check ended with {status}: why"):
            side_by_side(commands, 2)
