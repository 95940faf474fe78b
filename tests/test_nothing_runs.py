"""Nothing under check is ever imported or executed, whatever lies there."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Project

_MODULES = (
    "module.py",
    "sitecustomize.py",
    "usercustomize.py",
    "conftest.py",
    "setup.py",
    "__init__.py",
    "__main__.py",
    "hashlib.py",
    "warnings.py",
    "resource.py",
    "encodings/__init__.py",
    "encodings/evil.py",
    "click.py",
    "ruff.py",
    "yaml.py",
    "sqlite3.py",
    "json.py",
)
_PROGRAMS = ("python3", "python", "python3.11", "python3.12", "git", "ruff", "docker", "bin/python3.11")


def _traps(mark: Path) -> dict[str, str]:
    source = f"# coding: evil\nimport os\nos.close(os.open({str(mark)!r}, os.O_CREAT))\n"
    plain = source.partition("\n")[2]
    files = dict.fromkeys(_MODULES, plain) | {"cookie.py": source}
    files |= dict.fromkeys(_PROGRAMS, f"#!/bin/sh\ntouch {mark}\n")
    files["evil.pth"] = f"import os; os.close(os.open({str(mark)!r}, os.O_CREAT))\n"
    files["Dockerfile"] = "FROM python:3.11\n"
    files[".python-version"] = "../../project\n"  # pyenv's shim would run ../../project/bin/python3.11
    files["fsmonitor"] = f"#!/bin/sh\ntouch {mark}\n"
    return files


@pytest.mark.parametrize("engine", ["interpreter", "static"])
@pytest.mark.parametrize("git", [True, False])
def test_no_trap_goes_off(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, git: bool
) -> None:
    mark = tmp_path / "mark"
    made = project(_traps(mark))
    for name in (*_PROGRAMS, "fsmonitor"):
        (made.path / name).chmod(0o755)
    if git:
        made.git("init", "--quiet")
        made.git("add", "--all")
        made.git("config", "core.fsmonitor", str(made.path / "fsmonitor"))
        made.git("config", "diff.external", str(made.path / "fsmonitor"))
    for folder in (".", "", str(made.path), str(made.path / "bin")):
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    # git itself is looked up on PATH, and a person's PATH may name a folder under check: that is theirs to choose
    (made.path / "git").unlink()

    result = made.check("--engine", engine, "--proof", "predicted")

    assert result.code == 1, result.err
    assert result.json["summary"]["files"] >= len(_MODULES)
    assert result.codes()["cookie.py"]
    assert not mark.exists()


def test_relative_entries_of_path_choose_no_program(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    made = project(_traps(mark))
    for name in _PROGRAMS:
        (made.path / name).chmod(0o755)
    made.git("init", "--quiet")
    monkeypatch.setenv("PATH", f".{os.pathsep}{os.pathsep}bin{os.pathsep}{os.environ['PATH']}")

    assert made.check("--engine", "interpreter").code == 1
    assert made.check("--engine", "static").code == 1
    assert not mark.exists()


def test_an_interpreter_inside_the_project_is_not_run(
    project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    made = project({"a.py": "", "env/bin/python3.7": f"#!/bin/sh\ntouch {mark}\n"})
    (made.path / "env/bin/python3.7").chmod(0o755)
    monkeypatch.setenv("PATH", f"{made.path / 'env/bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "no-pyenv"))

    result = made.check("--target", "3.7", "--engine", "interpreter")

    assert result.code == 3
    assert not mark.exists()
