"""Faults of imports against the truth: small projects are imported by real Pythons, and each failure must be among ours."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildguard.imports.faults import ImportContext
from buildguard.imports.finder import FileTree
from buildguard.imports.own_imports import OwnImports, ProgramReader
from buildguard.imports.program import StartedProgram, started_modules
from buildguard.imports.records import ModuleFacts, extract
from buildguard.imports.resolver import SearchPath
from buildguard.project.start_command import CommandPlace, StartCommand
from tests.conftest import interpreter
from tests.imports.generated import Outcome, Project, RealPython, make_projects

_MOST_FAULTS = 12
_IMPORT_ERRORS = ("ImportError", "ModuleNotFoundError", "ValueError: attempted relative import")
_LACKS = re.compile(r"AttributeError: (?:partially initialized )?module '(?:.*\.)?(\w+)' (?:from .* )?has no attribute")
_SEEDS = range(4000 if os.environ.get("BUILDGUARD_ALL") else 150)


def judge_project(project: Project, version: tuple[int, int]) -> OwnImports:
    """What is said of a project's own imports."""
    files = {f"/srv/{name}": name for name in project.files}
    tree = FileTree(files)
    path = tuple(os.path.normpath(f"/srv/{folder}") for folder in project.path)
    script = f"/srv/{project.start}" if project.how == "script" else ""
    start = StartCommand(
        CommandPlace("Dockerfile", 1),
        script=script,
        module="" if script else project.start,
        is_main=project.how != "module",
        search_path=path,
    )
    cache: dict[str, ModuleFacts | None] = {}

    def facts(file: str) -> ModuleFacts | None:
        if file not in cache:
            cache[file] = extract(project.files[files[file]].encode(), version)
        return cache[file]

    program = StartedProgram(tree, SearchPath(path), tuple(started_modules(start, tree)))
    context = ImportContext(
        facts, lambda file: project.files[files[file]].encode(), frozenset({"sys"}), lambda _top: False
    )
    return ProgramReader(program, context).read()


@pytest.fixture(params=["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"])
def version(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text


@pytest.fixture
def real(version: str, tmp_path: Path) -> Iterator[RealPython]:
    python = RealPython(interpreter(version), tmp_path)
    yield python
    python.close()


def test_each_failing_import_is_found_and_no_other(real: RealPython, version: str) -> None:
    minor = int(version.partition(".")[2])
    share = [seed for seed in _SEEDS if os.environ.get("BUILDGUARD_ALL") or seed % 6 == minor - 8]
    faults = taken = 0
    missed = []
    for project in make_projects(share):
        current = project
        for _ in range(_MOST_FAULTS):
            outcome = real.start(current)
            result = judge_project(current, (3, minor))
            places = {(item.module.location.file, item.row.line): item.certain for item in result.faults}
            places |= {
                (item.module.location.file, item.row.line): item.certain
                for item in result.outside
                if item.row.module != "sys"
            }
            if outcome is None:
                assert True not in places.values(), describe(current, places)
                break
            if outcome.message.startswith("NameError"):  # of an import that was taken out below
                current = _without(current, outcome.file, outcome.line)
                continue
            is_taken = outcome.message.startswith("AttributeError")
            assert is_taken or outcome.message.startswith(_IMPORT_ERRORS), describe(current, outcome)
            faults += 1
            taken += is_taken
            place = (f"/srv/{outcome.file}", outcome.line)
            is_open = place in {(item.file, item.line) for item in result.undecided}
            is_late = is_taken and not _is_of_import(current, outcome)
            is_known = outcome.message.startswith("ValueError") or is_late
            if place not in places and not is_open and not is_known:
                missed.append((current, outcome))
            current = _without(current, outcome.file, outcome.line)
    assert faults > len(share) // 3
    assert taken > len(share) // 50
    assert not missed, describe(*missed[0])


def _is_of_import(project: Project, outcome: Outcome) -> bool:
    """Whether a name is missing from a module that an import gave its name: a package has submodules that others import as well.

    Nor does a package that binds something else under the name of its submodule count.
    """
    found = _LACKS.match(outcome.message)
    if found is None or re.search(rf"import .*\b{found[1]}[.\n]", project.files[outcome.file]) is None:
        return False
    packages = (text for path, text in project.files.items() if path.endswith("__init__.py"))
    return not any(f"from .{dots} import {found[1]}\n" in text for text in packages for dots in (".", ".."))


def _without(project: Project, file: str, line: int) -> Project:
    lines = project.files[file].split("\n")
    indent = len(lines[line - 1]) - len(lines[line - 1].lstrip())
    lines[line - 1] = " " * indent + "pass"
    return project._replace(files={**project.files, file: "\n".join(lines)})


def describe(project: Project, why: object) -> str:
    """A project with the reason to show it."""
    files = "\n".join(f"--- {name}\n{text}" for name, text in project.files.items())
    return f"{why}\n{project.how} {project.start} with {project.path}\n{files}"
