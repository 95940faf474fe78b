"""`check --fetch-python`: uv installs a missing interpreter, and nothing of the project or its environment has a say."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.engines.engine import ReadyEngine, UnavailableEngine
from buildguard.engines.interpreter import InterpreterEngine
from buildguard.errors import UnprovenError, UsageError
from buildguard.project.request import CheckRequest, may_fetch_python
from buildguard.project.target import PythonVersion
from buildguard.project.user_config import read_user_config, user_config_file
from buildguard.system.fetch_python import fetch_python
from tests.conftest import Project, interpreter

pytestmark = pytest.mark.interpreters

_UV = """#!/bin/sh
echo "$@" >> {log}
ls -A >> {log}
env | grep -E '^(UV_|VIRTUAL_ENV|PYTHONPATH|CONDA_)' >> {log}
case "$*" in
  *install*) {install} ;;
  *find*) echo {found} ;;
esac
"""


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A uv that records how it was called, and installs nothing; the only program on PATH beside the system's."""

    def make(*, found: Path | str, install: str = "true") -> Path:
        folder, log = tmp_path / "bin", tmp_path / "log"
        folder.mkdir()
        (folder / "uv").write_text(_UV.format(log=log, found=found, install=install))
        (folder / "uv").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "nothing"))
        return log

    return make


def _hostile_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_PYTHON_INSTALL_MIRROR", "UV_CONFIG_FILE", "VIRTUAL_ENV", "PYTHONPATH", "CONDA_PREFIX"):
        monkeypatch.setenv(name, "https://example.invalid/")


@pytest.mark.interpreters
def test_uv_runs_in_an_empty_folder_without_configuration(
    uv: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = interpreter("3.9")
    log = uv(found=python)
    _hostile_environment(monkeypatch)

    assert fetch_python("3.9", tmp_path / "project") == python

    assert log.read_text().splitlines() == [
        "--no-config python install cpython@3.9",
        "UV_PYTHON_INSTALL_BIN=0",
        "--no-config python find --managed-python cpython@3.9",
        "UV_PYTHON_INSTALL_BIN=0",
    ]


@pytest.mark.parametrize(
    ("found", "install", "words"),
    [
        ("/nowhere/python3.9", "true", "uv installed Python 3.9, but did not return its path"),
        ("python3.9", "true", "did not return its path"),
        ("", "echo 'no download found' >&2; exit 2", "uv could not install Python 3.9: no download found"),
    ],
)
def test_what_uv_cannot_do_is_reported(
    uv: Callable[..., Path], tmp_path: Path, found: str, install: str, words: str
) -> None:
    uv(found=found, install=install)

    with pytest.raises(UnprovenError, match=words):
        fetch_python("3.9", tmp_path / "project")


def test_a_uv_inside_the_project_is_not_used(uv: Callable[..., Path], tmp_path: Path) -> None:
    uv(found=interpreter("3.9"))

    with pytest.raises(UnprovenError, match="uv is not on PATH"):
        fetch_python("3.9", tmp_path)


def _engine(root: Path, *, fetch: bool) -> ReadyEngine | UnavailableEngine:
    version = PythonVersion.parse("3.9")
    assert version is not None
    engine = InterpreterEngine(version, root, 1, fetch=fetch)
    try:
        return engine.prepare()
    finally:
        engine.close()


@pytest.mark.interpreters
@pytest.mark.parametrize("found", ["3.9", "3.12"])
def test_what_was_installed_is_verified(uv: Callable[..., Path], tmp_path: Path, found: str) -> None:
    uv(found=interpreter(found))

    ready = _engine(tmp_path / "project", fetch=True)

    if found == "3.9":
        assert isinstance(ready, ReadyEngine)
        assert ready.version.startswith("3.9.")
    else:
        assert isinstance(ready, UnavailableEngine)
        assert "runs Python 3.12" in ready.reason


def test_without_leave_nothing_is_installed(uv: Callable[..., Path], tmp_path: Path) -> None:
    log = uv(found=interpreter("3.9"))

    answer = _engine(tmp_path / "project", fetch=False)

    assert isinstance(answer, UnavailableEngine)
    assert answer.hint == "uv python install 3.9, or buildguard check --fetch-python"
    assert not log.exists()


def test_the_command_installs_and_compiles(uv: Callable[..., Path], project: Callable[..., Project]) -> None:
    log = uv(found=interpreter("3.9"))
    made = project({"Dockerfile": "FROM python:3.9\n", "a.py": "x = 1\n"})

    without, fetched = made.check("--no-cache"), made.check("--no-cache", "--fetch-python")

    assert without.code == 3
    assert "--fetch-python" in without.json["unproven"][0]["reason"]
    assert fetched.code == 0, fetched.out
    assert fetched.json["targets"][0]["interpreter"].startswith("CPython 3.9.")
    assert "python install" in log.read_text()


def test_a_repository_cannot_ask_for_it(uv: Callable[..., Path], project: Callable[..., Project]) -> None:
    log = uv(found=interpreter("3.9"))
    made = project({"Dockerfile": "FROM python:3.9\n", "a.py": "", "buildguard.toml": "fetch-python = true\n"})

    result = made.run("check")

    assert result.code == 2
    assert "a project cannot set 'fetch-python'" in result.err
    assert not log.exists()


def test_the_user_may_allow_it_for_every_project(uv: Callable[..., Path], project: Callable[..., Project]) -> None:
    uv(found=interpreter("3.9"))
    made = project({"Dockerfile": "FROM python:3.9\n", "a.py": "x = 1\n"})
    user_config_file().parent.mkdir(parents=True)
    user_config_file().write_text("fetch-python = true\n")

    assert made.check("--no-cache").code == 0
    assert may_fetch_python(CheckRequest(cwd=made.path))
    assert not may_fetch_python(CheckRequest(cwd=made.path, staged=True)), "a hook downloads nothing by itself"
    assert may_fetch_python(CheckRequest(cwd=made.path, staged=True, fetch_python=True))
    assert not may_fetch_python(CheckRequest(cwd=made.path, isolated=True))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fetch_python = true", "unknown key 'fetch_python'"),
        ("fetch-python = 'yes'", "must be true or false"),
        ("fetch-python", "is not valid TOML"),
    ],
)
def test_a_broken_user_configuration_is_an_error(text: str, words: str) -> None:
    assert not read_user_config().fetch_python
    user_config_file().parent.mkdir(parents=True)
    user_config_file().write_text(text)

    with pytest.raises(UsageError, match=words):
        read_user_config()
