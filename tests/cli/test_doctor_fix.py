"""`buildguard doctor --fix`: what would make every verdict a proof."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.cli.doctor_fix import doctor_fix
from buildguard.errors import UsageError
from tests.conftest import Project, interpreter

pytestmark = pytest.mark.interpreters


@pytest.fixture
def _without_pythons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "nothing"))


def test_nothing_to_do_is_said(project: Callable[..., Project]) -> None:
    interpreter("3.11")
    made = project({"Dockerfile": "FROM python:3.11\n", "a.py": ""})

    result = made.run("doctor", "--fix")

    assert (result.code, result.out) == (0, "every verdict is a proof: nothing to do\n")


@pytest.mark.usefixtures("_without_pythons")
def test_each_unproven_target_has_its_commands(project: Callable[..., Project]) -> None:
    made = project(
        {
            "api/Dockerfile": "FROM python:3.9\nCOPY . .\n",
            "api/a.py": "",
            "job/Dockerfile": "FROM registry.example/base\nCOPY . .\nRUN python -m job\n",
            "job/b.py": "",
            "c.py": "",
            "buildguard.toml": "[[service]]\nname = 'api'\ndockerfile = 'api/Dockerfile'\ncontext = 'api'\n"
            "[[service]]\nname = 'job'\ndockerfile = 'job/Dockerfile'\ncontext = 'job'\n",
        }
    )

    lines = made.run("doctor", "--fix").out.splitlines()

    assert lines[0].startswith("api: Python 3.9 (api/Dockerfile:1): no Python 3.9 on this machine")
    assert lines[1] == "  uv python install 3.9, or buildguard check --fetch-python"
    assert lines[2].startswith("  or: ")
    assert [line for line in lines if line.startswith("job: ")]
    assert lines.count('  set [tool.buildguard] target = ["3.11"], or target = ["3.11"] in buildguard.toml') == 2


def test_a_configured_order_without_compilers_is_named(project: Callable[..., Project]) -> None:
    made = project({"Dockerfile": "FROM python:3.11\n", "a.py": "", "buildguard.toml": "engine = ['static']\n"})

    assert made.run("doctor", "--fix").out.splitlines()[1].startswith("  remove [tool.buildguard] engine")


@pytest.mark.parametrize(
    ("files", "words"),
    [({"a.py": ""}, 'target = ["3.11"]'), ({"Dockerfile": "FROM python:3.11\n"}, "no Python source here")],
)
def test_what_cannot_be_checked_at_all_is_named(
    project: Callable[..., Project], files: dict[str, str], words: str
) -> None:
    assert words in doctor_fix(project(files).path, ".")


@pytest.mark.interpreters
def test_a_path_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        doctor_fix(tmp_path, "nowhere")
