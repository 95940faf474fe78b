"""A run that is forked from the tests' server is what a real start of the command would be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import served
from tests.conftest import BROKEN_BEFORE_312, Project

_COMMANDS = [
    ["--version"],
    ["check", "--no-cache", "--format", "github"],
    ["check", "--no-such-option"],
    ["check", "--stdin-filename", "app/a.py", "--format", "github"],
    ["manifest", "dir:.", "--format", "json"],
    ["explain", "BG101"],
]


def _program() -> str:
    return str(Path(sys.executable).with_name("buildguard"))


def _told(done: subprocess.CompletedProcess[bytes]) -> list[bytes | int]:
    """All that a run says but for seconds and secrets."""
    return [done.returncode, *(re.sub(rb"[0-9a-f]{32}|[0-9.]+ s\b", b"", text) for text in (done.stdout, done.stderr))]


def test_a_forked_run_is_a_real_one(project: Callable[..., Project]) -> None:
    made = project({"Dockerfile": "FROM python:3.11\nCOPY . .\n", "app/a.py": BROKEN_BEFORE_312})
    environment = {**os.environ, "NO_COLOR": "1"}

    for words in _COMMANDS:
        command = [_program(), *words]
        real = subprocess.run(
            command, cwd=made.path, env=environment, input=b"x = (\n", capture_output=True, check=False
        )
        forked = served.run(command, made.path, environment, b"x = (\n", 120)

        assert _told(forked) == _told(real), words


@pytest.mark.interpreters
def test_it_has_the_umask_and_the_folder_of_its_test(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        served.run([_program(), "manifest", "dir:.", "--output", "made"], tmp_path, os.environ, b"", 120)
    finally:
        os.umask(before)

    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o640}


@pytest.mark.interpreters
def test_a_run_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        served.run([_program(), "check"], tmp_path, os.environ, b"", 0)

    assert served.run([_program(), "--version"], tmp_path, os.environ, b"", 120).returncode == 0


@pytest.mark.interpreters
def test_what_python_reads_at_its_start_is_no_forks_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "_REAL", 0)
    monkeypatch.delenv("BUILDGUARD_ALL", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)

    assert served.is_faithful(os.environ)
    assert served.is_faithful({**os.environ, "HOME": "/elsewhere"})
    assert not served.is_faithful({**os.environ, "PYTHONUTF8": "1"})
    assert not served.is_faithful({**os.environ, "LC_ALL": "POSIX"})
