"""`--diff-base`: findings in unchanged files are hidden, unless what judges them changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.check.context import prepare
from buildguard.check.diff_base import narrow_to_changes, remember_interpreter
from buildguard.check.result import TargetRow
from buildguard.check.targets import CheckState
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity, Unproven
from buildguard.engines.engine import EngineName, ReadyEngine
from buildguard.errors import UsageError
from buildguard.locate import locate
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.request import CheckRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildguard.check.context import Job
    from tests.conftest import Project

_FILES = {"Dockerfile": "FROM python:3.11\nCOPY . .\n", "old.py": "x = 1\n", "new.py": "x = 1\n"}
_READY = ReadyEngine(EngineName.INTERPRETER, ProofGrade.COMPILED, "CPython 3.11.7", "3.11.7", "identity")


def _job(project: Project, base: str = "HEAD") -> Job:
    return prepare(CheckRequest(project.path, diff_base=base), locate(project.path, ()))


def _diagnostics() -> list[Diagnostic]:
    return [
        Diagnostic(Code.BG101, Severity.ERROR, path, Range(1), "m")
        for path in (DisplayPath("new.py"), DisplayPath("old.py"), None)
    ]


def _state(interpreter: str = "CPython 3.11.7") -> CheckState:
    state = CheckState()
    state.unproven = [Unproven(DisplayPath("old.py"), None, "lost"), Unproven(None, None, "lost")]
    row = TargetRow(python="3.11", found_in="Dockerfile:1", engine="interpreter", proof="compiled", interpreter=interpreter, image="", image_id=None, files=2, cached=0)  # fmt: skip
    state.rows = [row]
    return state


def test_unchanged_files_are_hidden_and_counted(repository: Callable[..., Project]) -> None:
    project = repository(_FILES)
    project.write({"new.py": "x = 2\n"})
    job = _job(project)

    kept, unproven, note = narrow_to_changes(job, _diagnostics(), _state())

    assert [found.path for found in kept] == ["new.py", None]
    assert [item.path for item in unproven] == [None]
    assert note == "not shown: 2 findings in files that did not change since HEAD"


def test_damage_on_the_way_is_never_hidden(repository: Callable[..., Project]) -> None:
    damage = Diagnostic(Code.BG303, Severity.ERROR, DisplayPath("old.py"), Range(), "m")

    assert narrow_to_changes(_job(repository(_FILES)), [damage], CheckState())[0] == [damage]


def test_everything_is_reported_after_the_target_or_the_configuration_changed(
    repository: Callable[..., Project],
) -> None:
    project = repository(_FILES)
    project.write({"Dockerfile": "FROM python:3.12\nCOPY . .\n"})
    job = _job(project)
    narrowed = narrow_to_changes(job, _diagnostics(), _state())
    assert narrowed.diagnostics == _diagnostics()
    assert narrowed.note.startswith("the target changed since HEAD")

    project.write({"Dockerfile": _FILES["Dockerfile"], "buildguard.toml": 'select = ["BG2"]\n'})
    job = _job(project)
    narrowed = narrow_to_changes(job, _diagnostics(), _state())
    assert narrowed.diagnostics == _diagnostics()
    assert narrowed.note.startswith("the configuration changed since HEAD")


def test_everything_is_reported_after_the_interpreter_changed(repository: Callable[..., Project]) -> None:
    job = _job(repository(_FILES))
    remember_interpreter(job, job.targets[0], _READY)

    assert len(narrow_to_changes(job, _diagnostics(), _state())[0]) == 1
    state = _state("CPython 3.11.9")
    state.rows = [row._replace(found_in=job.targets[0].found_in) for row in state.rows]
    narrowed = narrow_to_changes(job, _diagnostics(), state)
    assert narrowed.diagnostics == _diagnostics()
    assert "the interpreter (it was CPython 3.11.7)" in narrowed.note


def test_a_base_needs_a_repository(project: Callable[..., Project]) -> None:
    with pytest.raises(UsageError, match="git repository"):
        narrow_to_changes(_job(project(_FILES)), [], CheckState())
