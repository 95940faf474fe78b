"""`--diff-base`: findings in unchanged files are hidden, unless what judges them changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.check.context import prepare
from buildguard.check.diff_base import narrow_to_changes, remember_interpreter
from buildguard.check.result import CheckReport, TargetRow
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


def _no_base(_then: object) -> None:
    """The base has no report."""


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

    report = CheckReport(".", (), (), (Unproven(DisplayPath("old.py"), "3.11", "lost"),), (), 1, 0.1)

    kept, unproven, note, hidden = narrow_to_changes(job, _diagnostics(), _state(), lambda _then: report)

    assert [found.path for found in kept] == ["new.py", None]
    assert [item.path for item in unproven] == [None]
    assert note == "not shown: 2 findings in files that did not change since HEAD"
    assert hidden == 2


def test_what_is_hidden_is_not_called_clean(repository: Callable[..., Project]) -> None:
    project = repository({**_FILES, "old.py": "f(\n"})
    project.commit({"new.py": "x = 2\n"})

    result = project.run("check", "--diff-base", "HEAD~1")

    assert result.code == 0
    assert result.out.splitlines()[-1].startswith("nothing new: 2 files checked, 1 known finding not shown, ")


def test_damage_on_the_way_is_never_hidden(repository: Callable[..., Project]) -> None:
    damage = Diagnostic(Code.BG303, Severity.ERROR, DisplayPath("old.py"), Range(), "m")

    assert narrow_to_changes(_job(repository(_FILES)), [damage], CheckState(), _no_base)[0] == [damage]


def test_everything_is_reported_after_the_target_or_the_configuration_changed(
    repository: Callable[..., Project],
) -> None:
    project = repository(_FILES)
    project.write({"Dockerfile": "FROM python:3.12\nCOPY . .\n"})
    job = _job(project)
    narrowed = narrow_to_changes(job, _diagnostics(), _state(), _no_base)
    assert narrowed.diagnostics == _diagnostics()
    assert narrowed.note.startswith("the target changed since HEAD")

    project.write({"Dockerfile": _FILES["Dockerfile"], "buildguard.toml": 'select = ["BG2"]\n'})
    job = _job(project)
    narrowed = narrow_to_changes(job, _diagnostics(), _state(), _no_base)
    assert narrowed.diagnostics == _diagnostics()
    assert narrowed.note.startswith("the configuration changed since HEAD")


def test_everything_is_reported_after_the_interpreter_changed(repository: Callable[..., Project]) -> None:
    job = _job(repository(_FILES))
    remember_interpreter(job, job.targets[0], _READY)

    assert len(narrow_to_changes(job, _diagnostics(), _state(), _no_base)[0]) == 1
    state = _state("CPython 3.11.9")
    state.rows = [row._replace(found_in=job.targets[0].found_in) for row in state.rows]
    narrowed = narrow_to_changes(job, _diagnostics(), state, _no_base)
    assert narrowed.diagnostics == _diagnostics()
    assert "the interpreter (it was CPython 3.11.7)" in narrowed.note


def test_a_base_needs_a_repository(project: Callable[..., Project]) -> None:
    with pytest.raises(UsageError, match="git repository"):
        narrow_to_changes(_job(project(_FILES)), [], CheckState(), _no_base)


_MODULES = {**_FILES, "app/__init__.py": "", "app/used.py": "x = 1\ny = 2\n"}


def _imports_broken(project: Project, *arguments: str) -> list[str]:
    report = project.check(*arguments).json
    return [found["message"] for found in report["diagnostics"] if found["code"] == "BG604"]


@pytest.mark.parametrize("arguments", [("--diff-base", "HEAD"), ("index:", "--diff-base", "HEAD"), ("--staged",)])
def test_a_deleted_module_is_missed_by_unchanged_files(
    repository: Callable[..., Project], arguments: list[str]
) -> None:
    project = repository({**_MODULES, "main.py": "from app.used import x\n"})
    project.git("mv", "app/used.py", "app/renamed.py")

    assert _imports_broken(project, *arguments) == ["no module named 'app.used': the package 'app' has no such module"]


def test_a_name_that_its_module_lost_is_missed_by_unchanged_files(repository: Callable[..., Project]) -> None:
    project = repository({**_MODULES, "main.py": "from app.used import x\n"})
    project.write({"app/used.py": "y = 2\n"})

    assert _imports_broken(project, "--diff-base", "HEAD") == ["cannot import name 'x': app/used.py never binds it"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def x(): pass\n", "def y(): pass\n"),
        ("async  def x(): pass\n", ""),
        ("class x: pass\n", "class y(x): pass\n"),
        ("x: int = 1\n", "y: int = 1\n"),
        ("x = y = 1\n", "if True:\n    y = 1\n"),
        ("from os import sep as x\n", "from os import sep\n"),
        ("from os import (\n    sep,\n    sep as x,\n)\n", "import os\n"),
        ("import os as x\n", "import os\n"),
        ("x, y = 1, 2\n", "y = 2\n"),
        ("(\n    y,\n    x,\n) = 1, 2\n", "y = 1\n"),
        ("y = x = 1\n", "y = 1\n"),
        ("if True:\n    x = 1\n", "y = 1\n"),
        ("try:\n    from os import (\n        sep,\n        sep as x,\n    )\nfinally:\n    y = 1\n", "y = 1\n"),
        ("from contextlib import nullcontext\nwith nullcontext():\n    x = 1\n", "y = 1\n"),
        ("import os.path as x\n", "import os.path as y\n"),
        ("print(x := 1)\n", "print(1)\n"),
        ("print([y for y in 'a' if (x := y)])\n", "print('a')\n"),
        ("for x in 'a':\n    pass\n", "for y in 'a':\n    pass\n"),
        ("def f():\n    global y, x\n    y = x = 1\nf()\n", "def f():\n    global y\n    y = 1\nf()\n"),
        ("def f(\n    a\n):\n    pass\nif f:\n    x = 1\n", "def f(\n    x\n):\n    pass\n"),
        ("# -*- coding: latin-1 -*-\nif True:\n    x = 1\n", "y = '\\w'\n"),
    ],
)
def test_a_hook_looks_for_who_imports_a_name_that_is_gone(
    repository: Callable[..., Project], before: str, after: str
) -> None:
    project = repository({**_MODULES, "app/used.py": before, "main.py": "from app.used import x\n", "z.py": "z = 1\n"})
    project.write({"app/used.py": after})
    project.git("add", "--all")

    assert _imports_broken(project, "--staged") == ["cannot import name 'x': app/used.py never binds it"]


def test_a_hook_looks_for_who_imports_a_name_that_is_deleted(repository: Callable[..., Project]) -> None:
    project = repository({**_MODULES, "main.py": "from app.used import x\n"})
    project.write({"app/used.py": "x = 1\ndel x\n"})
    project.git("add", "--all")

    assert len(_imports_broken(project, "--staged")) == 1


def test_a_hook_looks_at_who_imports_a_module_through_a_link_of_another_name(
    repository: Callable[..., Project],
) -> None:
    project = repository({**_MODULES, "main.py": "from other import x\n"})
    (project.path / "other.py").symlink_to("app/used.py")
    project.commit({})
    project.write({"app/used.py": "y = 1\n"})
    project.git("add", "--all")

    assert project.check("--staged").json["imports"]["undecided"] == 1


@pytest.mark.parametrize(
    "after", ["x = 1\ny = 2\nz = 3\n", "y = 2\nx = 1\n", "x = 1\n", "from os import sep as x\ny = 2\n"]
)
def test_a_hook_checks_what_is_staged_where_others_mention_no_name_that_is_gone(
    repository: Callable[..., Project], after: str
) -> None:
    project = repository({**_MODULES, "main.py": "from app.used import x\n"})
    project.write({"app/used.py": after})
    project.git("add", "--all")

    report = project.check("--staged")

    assert report.code == 0
    assert report.json["summary"]["files"] == 1


def test_a_hook_finds_who_imports_a_name_from_a_package(repository: Callable[..., Project]) -> None:
    project = repository({**_FILES, "app/__init__.py": "x = 1\n", "app/a.py": "from . import x\n"})
    project.write({"app/__init__.py": ""})
    project.git("add", "--all")

    assert len(_imports_broken(project, "--staged")) == 1


@pytest.mark.parametrize(
    ("files", "gone"),
    [
        ({"app/__init__.py": "from .used import *\n", "app/used.py": "x = 1\n"}, {"app/used.py": "y = 1\n"}),
        ({"app/__init__.py": "from .used import *\n", "app/used.py": "x = 1\n"}, {"app/__init__.py": ""}),
        ({"app/__init__.py": "größe = x = 1\n"}, {"app/__init__.py": "größen = x = 1\n"}),
    ],
)
def test_a_hook_finds_what_a_star_or_another_alphabet_took_away(
    repository: Callable[..., Project], files: dict[str, str], gone: dict[str, str]
) -> None:
    project = repository(
        {**_FILES, **files, "main.py": f"from app import {'x' if 'used' in str(files) else 'größe'}\n"}
    )
    project.git("config", "color.ui", "always")
    project.git("config", "color.grep", "always")
    project.write(gone)
    project.git("add", "--all")

    assert len(_imports_broken(project, "--staged")) == 1


def test_a_hook_that_cannot_look_for_importers_is_unproven(repository: Callable[..., Project]) -> None:
    project = repository({**_MODULES, "main.py": "import app\n"})
    oid = project.git("rev-parse", "HEAD:main.py").strip()
    (project.path / ".git/objects" / oid[:2] / oid[2:]).unlink()
    project.write({"app/used.py": "y = 2\n"})
    project.git("add", "app")  # of all, git would write the object again

    result = project.check("--staged")

    assert result.code == 3
    assert "git grep failed" in result.out


def test_a_hook_passes_over_a_name_that_only_other_modules_have(repository: Callable[..., Project]) -> None:
    project = repository({**_MODULES, "other.py": "x = 1\nprint(x)\n", "main.py": "from other import x\n"})
    project.write({"app/used.py": "z = 1\n"})
    project.git("add", "--all")

    assert project.check("--staged").json["summary"]["files"] == 1


def test_a_hook_checks_everything_where_very_many_files_change(repository: Callable[..., Project]) -> None:
    many = {f"m{number}.py": "x = 1\n" for number in range(201)}
    project = repository({**_FILES, **many, "main.py": "from m1 import y\n"})
    project.write(dict.fromkeys(many, "x = 2\n"))
    project.git("add", "--all")

    report = project.check("--staged")

    assert report.code == 0  # it was broken before
    assert report.json["summary"]["files"] > len(many)


@pytest.mark.parametrize("arguments", [("--diff-base", "HEAD"), ("--staged",)])
def test_what_was_broken_before_stays_hidden(repository: Callable[..., Project], arguments: list[str]) -> None:
    project = repository({**_MODULES, "main.py": "from app.used import z\n"})
    project.commit({"app/other.py": ""})
    project.git("rm", "-q", "app/other.py")

    assert project.check(*arguments).codes() == {}


def test_a_link_whose_file_is_deleted_is_unproven(repository: Callable[..., Project]) -> None:
    project = repository({**_FILES, "real.py": "x = 1\n"})
    (project.path / "link.py").symlink_to("real.py")
    (project.path / "lost.py").symlink_to("nowhere.py")
    project.commit()
    (project.path / "real.py").unlink()

    report = project.check("--diff-base", "HEAD").json

    assert [item["path"] for item in report["unproven"]] == ["link.py"]


def test_a_hook_refuses_no_deletion_for_what_was_unproven_before(repository: Callable[..., Project]) -> None:
    project = repository({"svc/Dockerfile": _FILES["Dockerfile"], "svc/main.py": "", "svc/old.py": "", "loose.py": ""})
    project.write({"odd/Dockerfile": "FROM pypy:3.10\nCOPY . .\n", "odd/main.py": ""})
    project.commit()
    assert project.check("index:").code == 3
    project.git("rm", "-q", "svc/old.py")

    assert project.check("--staged").code == 0
