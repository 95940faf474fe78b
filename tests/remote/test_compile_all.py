"""Compiling in a step: each path comes back once, whatever happens to a child."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.remote import compile_all as room
from buildguard.remote.compile_all import StepFinding, compile_all
from buildguard.remote.workspace import read_source

if TYPE_CHECKING:
    from buildguard.remote.compile_all import SourceResult

pytestmark = [pytest.mark.interpreters, pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")]
_Run = Callable[[dict[str, bytes]], "dict[bytes, SourceResult]"]


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Run:
    """Compile files in a folder of their own."""
    monkeypatch.chdir(tmp_path)

    def run(files: dict[str, bytes]) -> dict[bytes, SourceResult]:
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        results = list(compile_all(sorted(map(os.fsencode, files)), 2))
        assert len(results) == len(files)
        return {result.path: result for result in results}

    return run


def test_each_source_has_its_own_verdict(compiled: _Run) -> None:
    results = compiled(
        {
            "clean.py": b"x = 1\n",
            "broken.py": b"x = 1\ny = (\n",
            "late.py": "é = 1; return é\n".encode(),
            "nul.py": b"x = 1\0\n",
        }
    )

    assert results[b"clean.py"] == (b"clean.py", hashlib.sha256(b"x = 1\n").hexdigest(), (), "", b"")
    broken = results[b"broken.py"].findings[0]
    assert (broken.code, broken.line, broken.column, broken.excerpt) == ("BG101", 2, 5, "y = (")
    late = results[b"late.py"].findings[0]
    assert (late.line, late.column) == (1, 8)  # in code points, as editors count
    assert results[b"nul.py"].findings[0].code == "BG101"


def test_what_compilers_let_pass_is_a_finding(compiled: _Run) -> None:
    results = compiled({"latin.py": b"x = 1\n# \xe9\n", "utf7.py": b"# coding: utf-7\n# +AAo-import os\n"})

    assert [(f.code, f.line) for f in results[b"latin.py"].findings if f.code == "BG102"] == [("BG102", 2)]
    assert [f.code for f in results[b"utf7.py"].findings if f.code == "BG106"] == ["BG106"]


def test_what_cannot_be_read_is_unproven(compiled: _Run, tmp_path: Path) -> None:
    (tmp_path / "gone.py").symlink_to("nowhere.py")

    [result] = list(compile_all([b"gone.py"], 1))

    assert (result.findings, result.sha256) == ((), "")
    assert result.unproven


def test_a_source_that_is_too_deep_is_a_finding_and_costs_no_other(compiled: _Run) -> None:
    results = compiled({"a.py": b"x = 1\n", "deep.py": b"x = " + b"-" * 200_000 + b"1\n", "z.py": b"x = 1\n"})

    assert results[b"deep.py"].findings[0].code == "BG103"
    assert results[b"deep.py"].findings[0].message.startswith("the compiler gives up on this file: ")
    assert not results[b"a.py"].findings
    assert not results[b"z.py"].findings


def test_a_child_that_dies_is_tried_once_more_and_then_unproven(
    compiled: _Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_source

    def die(path: bytes) -> bytes | str:
        if path == b"kills.py":
            os.kill(os.getpid(), signal.SIGKILL)
        return read(path)

    monkeypatch.setattr(room, "read_source", die)

    results = compiled({"kills.py": b"x = 1\n", "other.py": b"x = 1\n", "third.py": b"x = (\n"})

    assert "was ended, from outside or for want of memory" in results[b"kills.py"].unproven
    assert results[b"other.py"].sha256
    assert results[b"third.py"].findings


def test_a_child_that_the_compiler_kills_is_a_finding(compiled: _Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "judge", lambda *_args: os.kill(os.getpid(), signal.SIGTERM))

    results = compiled({"a.py": b"x = 1\n"})

    assert results[b"a.py"].findings == (
        StepFinding(
            "BG103", b"a.py", 0, 0, "the compiler gives up on this file: the compiler died: it was ended by signal 15"
        ),
    )


def test_no_path_is_no_work() -> None:
    assert list(compile_all([], 2)) == []
