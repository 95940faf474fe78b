"""Imports in a step of a build: what fails at the start fails the step, with the messages of `check`; nothing else does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.imports.build_imports import UNKNOWN, BuildSources, judge_build
from buildguard.imports.image_program import ProjectSources, read_programs
from buildguard.imports.program_words import program_words
from buildguard.project import discovery
from buildguard.project.config import Config
from buildguard.remote.import_facts import import_facts
from buildguard.stages.filesystem import FolderStage
from tests.conftest import Project
from tests.remote.running import install, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_APP = {
    "app/__init__.py": "",
    "app/main.py": "from app import db, typed\nfrom app.Util import x\nfrom . import names\n",
    "app/db.py": "import distutils.version\nfrom collections import Mapping\nfrom typing import Self\n",
    "app/names.py": "from app.util import missing\nfrom .gone import y\nfrom .util import late\n",
    "app/util.py": "x = late = 1\n",
    "app/typed.py": "def f(a: int | None, b: list[int]) -> None: ...\n",
    "app/first.py": "from app.second import b\na = 1\n",
    "app/second.py": "from app.first import a\nb = 1\n",
    "unreached.py": "import imp, asynchat\n",
    "tests/test_app.py": "import imp\nfrom app.util import nothing\n",
    ".gitignore": "*.pyc\n",
}
_CLEAN = {
    "app/__init__.py": "",
    "app/main.py": "try:\n    import tomllib\nexcept ImportError:\n    tomllib = None\nfrom app import _version, util\n",
    "app/util.py": "import sys\nif sys.version_info < (3, 4):\n    import asyncore_gone, imp\nif sys.platform == 'win32':\n    import winreg\n",
    ".gitignore": "*.pyc\n",
}
_WORDS = ("--start=app.main=app/main.py", "--path=.")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.interpreters
def test_a_step_reports_what_fails_at_the_start(tmp_path: Path, version: str) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    _write(workspace, _APP)
    minor = int(version.split(".")[1])

    ran = run(workspace, install(workspace), version, words=_WORDS)

    found = {(row["code"], row["path"], row["line"]) for row in ran.answer["diagnostics"]}
    expected = {
        ("BG601", "app/db.py", 1): minor >= 12,
        ("BG602", "app/db.py", 2): minor >= 10,
        ("BG602", "app/db.py", 3): minor < 11,
        ("BG604", "app/main.py", 2): True,
        ("BG604", "app/names.py", 1): True,
        ("BG604", "app/names.py", 2): True,
        ("BG605", "app/typed.py", 1): minor < 10,
    }
    assert found == {place for place, is_expected in expected.items() if is_expected}
    assert ran.code == 1
    assert ran.answer["unproven"] == []
    assert f"imports: {len(ran.answer['diagnostics'])} fail" in ran.out
    assert "app.main → app.names" in ran.out


@pytest.mark.interpreters
def test_a_step_says_what_check_says(project: Callable[..., Project]) -> None:
    made = project(
        {**_APP, "Dockerfile": 'FROM python:3.12\nWORKDIR /srv\nCOPY . .\nCMD ["python", "-m", "app.main"]\n'}
    )
    report = made.check("--target", "3.12").json

    ran = run(
        made.path,
        install(made.path),
        "3.12",
        words=("--start=app=app/__init__.py", "--start=__main__@app=app/main.py", "--front=."),
    )

    fields = ("code", "path", "line", "column", "message")
    errors = {tuple(row[key] for key in fields) for row in report["diagnostics"] if row["severity"] == "error"}
    assert len(errors) > 3
    assert {tuple(row[key] for key in fields) for row in ran.answer["diagnostics"]} == errors


@pytest.mark.interpreters
def test_a_step_passes_guarded_and_generated_imports(tmp_path: Path, version: str) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    _write(workspace, _CLEAN)

    ran = run(workspace, install(workspace), version, words=_WORDS)

    assert (ran.code, ran.answer["diagnostics"]) == (0, [])
    assert "imports: resolved, 1 undecided" in ran.out


@pytest.mark.interpreters
def test_a_step_says_that_it_read_no_imports_of_what_does_not_compile(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    _write(workspace, {**_CLEAN, "broken.py": "import cgi\nprint 1\n"})

    ran = run(workspace, install(workspace), "3.13", words=_WORDS)

    assert ran.code == 1
    assert "imports: resolved, 1 undecided, not read in 1 of the files" in ran.out


@pytest.mark.interpreters
def test_a_minimal_python_says_that_no_import_was_examined(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    _write(workspace, _APP)

    ran = run(workspace, "import sys\nsys.modules['json'] = None\n" + install(workspace), "3.11", words=_WORDS)

    assert (ran.code, ran.answer["diagnostics"]) == (0, [])
    assert "imports: not examined: " in ran.out


def _judged(files: Mapping[str, str], *words: str) -> tuple[list[tuple[str, str]], int]:
    facts = {
        path: import_facts(text.encode(), compile(text, path, "exec"), sys.version_info, "linux")
        for path, text in files.items()
        if path.endswith(".py")
    }
    texts = {path: text.encode() for path, text in files.items()}
    rows, undecided = judge_build(BuildSources(sorted(files), facts, texts.get), words)
    return [(row.code, row.path) for row in rows], undecided


@pytest.mark.interpreters
def test_circles_and_shadows() -> None:
    files = {".gitignore": "", "main.py": "import app.first\n", **_APP, "app/first.py": _APP["app/first.py"]}

    assert _judged(files, "--start=__main__=main.py", "--front=.")[0] == [("BG604", "app/second.py")]

    shadow = {"main.py": "import logging\nfrom random import choice\n", "random.py": "x = 1\n", ".gitignore": ""}
    assert _judged(shadow, "--start=__main__=main.py", "--front=.")[0] == [("BG604", "main.py")]


def test_without_ignore_rules_a_missing_module_may_be_made_later() -> None:
    files = {"app/__init__.py": "", "app/main.py": "from app import gone\nfrom . import also\n"}

    assert _judged(files, *_WORDS) == ([], 2)
    assert _judged({**files, ".gitignore": "gone.py\n"}, *_WORDS) == ([("BG604", "app/main.py")], 1)


def test_an_unknown_start_decides_nothing() -> None:
    files = {"main.py": "import distutils, nothing_at_all\n", ".gitignore": ""}

    assert _judged(files, UNKNOWN)[0] == []
    assert _judged(files, "--start=app=app.py") == ([], 2)


@pytest.mark.interpreters
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ([("BG604", "app/main.py")], 0)),
        (("--folder=other",), ([], 0)),
        (("--folder=?",), ([], 0)),
    ],
)
def test_a_relative_folder_starts_where_the_program_runs(words: tuple[str, ...], expected: object) -> None:
    files = {
        "app/main.py": "import sys\nsys.path.append('lib')\nfrom tool import gone\n",
        "lib/tool.py": "",
        ".gitignore": "",
    }

    assert _judged(files, "--start=__main__=app/main.py", "--front=app", "--path=app", *words) == expected


def _words(tmp_path: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    _write(tmp_path, files)
    stage = FolderStage(tmp_path)
    recipes = discovery.list_recipes(stage, Config())
    texts = {path: text.encode() for path, text in files.items()}
    return program_words(read_programs(ProjectSources(stage.entries(), texts.get), recipes))


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        (
            'WORKDIR /srv\nCOPY . .\nCMD ["python", "-m", "app.main"]',
            ("--start=app=app/__init__.py", "--start=__main__@app=app/main.py", "--front=.", "--path=."),
        ),
        (
            'WORKDIR /srv\nCOPY app app\nCMD ["python", "app/main.py"]',
            ("--start=__main__=app/main.py", "--front=app", "--path=app"),
        ),
        (
            'COPY . /srv\nWORKDIR /srv/app\nCMD ["python", "main.py"]',
            ("--start=__main__=app/main.py", "--front=app", "--path=app", "--folder=app"),
        ),
        (
            'COPY . /srv\nCMD ["python", "/srv/app/main.py"]',
            ("--start=__main__=app/main.py", "--front=app", "--path=app", "--folder=?"),
        ),
        ('WORKDIR /srv\nCOPY app/main.py other.py\nCMD ["python", "other.py"]', (UNKNOWN,)),
    ],
)
def test_words_of_a_program(tmp_path: Path, dockerfile: str, words: tuple[str, ...]) -> None:
    files = {"app/__init__.py": "", "app/main.py": "", "Dockerfile": f"FROM python:3.12\n{dockerfile}\n"}

    assert _words(tmp_path, files) == words
