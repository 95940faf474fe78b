"""Forty services of one repository are checked as one: every file is read once, and each Python is started once."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.check.context import prepare
from buildguard.check.run import check
from buildguard.check.runner_groups import group_runners
from buildguard.check.shared_imports import SharedProjectImports
from buildguard.engines.engine import ReadyEngine
from buildguard.engines.interpreter import InterpreterEngine
from buildguard.locate import WorkScope, locate
from buildguard.project.request import CheckRequest
from buildguard.stages.filesystem import stage_on_disk
from buildguard.stages.reading_once import reading_once
from tests.conftest import interpreter
from tests.deploy.conftest import Watcher
from tests.deploy.test_forty_services import NUMBER, forty_services

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildguard.check.context import Job
    from buildguard.engines.engine import UnavailableEngine
    from tests.conftest import Project

_opened: Counter[str] = Counter()  # paths below the folder that is watched
_watched: list[str] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _watched and isinstance(arguments[0], str | bytes):
        path = os.fsdecode(arguments[0])
        if path.startswith(_watched[0]):
            _opened[path.removeprefix(_watched[0])] += 1


@pytest.fixture(scope="module")
def _audited() -> None:
    sys.addaudithook(_note)  # there is no way back from it: it looks at nothing outside of a test


@pytest.fixture
def opened(_audited: None) -> Counter[str]:
    _opened.clear()
    return _opened


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The interpreters that were started, by version."""
    prepare, started = InterpreterEngine.prepare, []

    def noting(self: InterpreterEngine) -> ReadyEngine | UnavailableEngine:
        ready = prepare(self)
        started.append(ready.version[:4] if isinstance(ready, ReadyEngine) else "")
        return ready

    monkeypatch.setattr(InterpreterEngine, "prepare", noting)
    return started


def _check(folder: Path) -> Any:
    _watched.append(f"{folder}/")
    try:
        return check(CheckRequest(cwd=folder), locate(folder, ()), Watcher())
    finally:
        _watched.clear()


@pytest.mark.interpreters
def test_a_check_of_forty_services_reads_each_file_once(
    repository: Callable[..., Project], opened: Counter[str], prepared: list[str]
) -> None:
    interpreter("3.10")
    interpreter("3.11")
    files = forty_services()
    project = repository(files)

    cold = _check(project.path)
    read = {name: opened[name] for name in files}
    opened.clear()
    warm = _check(project.path)

    assert (cold.exit_code, cold.unproven, len(cold.targets)) == (0, (), NUMBER)
    assert {name: times for name, times in read.items() if times != 1} == {}
    assert {name: times for name in files if (times := opened[name]) != 1} == {}
    assert sorted(prepared) == sorted([*["3.10", "3.11"] * 2])
    assert {row.cached for row in cold.targets} == {0, 20}, "a source that an earlier target compiled is known"
    assert all(row.cached == row.files for row in warm.targets)


@pytest.mark.interpreters
def test_what_changes_between_two_runs_is_read_again(repository: Callable[..., Project]) -> None:
    interpreter("3.11")
    project = repository({"Dockerfile": "FROM python:3.11-slim\nCOPY . .\n", "a.py": "x = 1\n"})
    place = locate(project.path, ())

    first = check(CheckRequest(cwd=project.path), place, Watcher())
    project.write({"a.py": "x = = 1\n"})
    second = check(CheckRequest(cwd=project.path), place, Watcher())

    assert (first.exit_code, second.exit_code) == (0, 1)


def test_a_file_is_read_once_for_as_long_as_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    stage = stage_on_disk(tmp_path, None)

    def read() -> list[object]:
        return [content for _entry, content in stage.contents(stage.entries())]

    with reading_once(stage):
        first = read()
        (tmp_path / "a.py").write_text("x = 2\n")
        second = read()

    assert (first, second, read()) == ([b"x = 1\n"], [b"x = 1\n"], [b"x = 2\n"])


def test_nothing_was_read_for_imports_that_were_not_judged() -> None:
    assert SharedProjectImports().digests == {}


def test_targets_with_the_same_engines_are_one_group(tmp_path: Path) -> None:
    class FakeRunner:
        def __init__(self, key: str, job: Job) -> None:
            self.key, self.job = key, job

        def engine_key(self) -> str:
            return self.key

    job = prepare(
        CheckRequest(cwd=tmp_path, use_cache=False), WorkScope(tmp_path, None, stage_on_disk(tmp_path, None), ())
    )
    runners = [FakeRunner(key, job) for key in ("3.10", "3.11", "3.10")]

    groups = group_runners(job, runners)  # type: ignore[arg-type]  # as far as they are looked at

    assert [[runner.engine_key() for runner in group.runners] for group in groups] == [["3.10", "3.10"], ["3.11"]]
    assert groups[0].runners[0].job.cache is groups[0].cache is not groups[1].cache
