"""The hooks of `buildguard init`: what it says at once, and what a hook prints."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.cli.init import init
from buildguard.cli.init_hooks import HOOKS, hook_text
from buildguard.errors import UsageError
from tests.conftest import BROKEN_BEFORE_312, Project

pytestmark = pytest.mark.interpreters

_WARNED = "import re\nre.compile('\\d')\n"


def _hook(made: Project, name: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [made.path / ".git/hooks" / name],
        cwd=made.path,
        env={**os.environ, "PATH": path},
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_hook_without_a_target_says_so_at_once(repository: Callable[..., Project]) -> None:
    without = repository({"a.py": "x = 1\n"}).run("init")

    assert without.code == 0
    assert "warning: the hooks will refuse every commit with Python sources:" in without.out
    assert 'target = ["3.11"]' in without.out


@pytest.mark.parametrize(
    "files",
    [
        {"Dockerfile": "FROM python:3.11\n", "a.py": ""},
        {"Dockerfile": "FROM python:3.11\n"},
        {"api/Dockerfile": "FROM python:3.11\nCOPY . /app\n", "compose.yaml": "services: {api: {build: ./api}}\n"},
    ],
)
def test_a_hook_with_a_target_warns_of_nothing(repository: Callable[..., Project], files: dict[str, str]) -> None:
    assert "warning" not in repository(files).run("init").out


def test_a_target_that_only_an_image_knows_is_named(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM registry.example/base:7\nCOPY . .\nRUN python -m app\n", "a.py": ""})

    assert "a hook pulls no image; set [tool.buildguard] target" in made.run("init").out


def test_an_existing_hook_gets_the_whole_command(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11\n"})
    made.write({".git/hooks/pre-commit": "#!/bin/sh\n", ".git/hooks/pre-push": "#!/bin/sh\nbuildguard check\n"})

    out = made.run("init").out

    assert "pre-commit: another hook, unchanged; add to it: buildguard check --staged --proof predicted" in out
    assert "pre-push: already runs buildguard, unchanged" in out


def test_a_hook_of_another_version_is_named(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11\n"})
    made.write({".git/hooks/pre-commit": hook_text("pre-commit") + b"# older\n"})

    assert "pre-commit: from another version of buildguard, unchanged" in made.run("init").out


def test_plain_hooks_print_warnings_only_when_something_fails(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11-slim\n", "a.py": _WARNED})
    assert made.run("init").code == 0
    pushed = f"refs/heads/main {made.git('rev-parse', 'HEAD').strip()} refs/heads/main {'0' * 40}\n"
    made.write({"a.py": _WARNED + "x = 1\n"})
    made.git("add", "--all")

    good = _hook(made, "pre-commit"), _hook(made, "pre-push", pushed)
    made.write({"b.py": BROKEN_BEFORE_312})
    made.git("add", "--all")
    bad = _hook(made, "pre-commit")

    for done in good:
        assert done.returncode == 0, done.stdout
        assert "BG105" not in done.stdout
        assert done.stdout.count("\n") == 1
    assert bad.returncode == 1
    assert "BG101" in bad.stdout
    assert "BG105" in bad.stdout


def test_a_failed_push_names_the_ref(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11-slim\n", "b.py": BROKEN_BEFORE_312})
    assert made.run("init").code == 0
    commit = made.git("rev-parse", "HEAD").strip()

    done = _hook(made, "pre-push", f"refs/heads/main {commit} refs/heads/main {'0' * 40}\n")

    assert done.returncode == 1
    assert "BG101" in done.stdout
    assert f"pre-push: refs/heads/main ({commit}) was not pushed to refs/heads/main" in done.stderr


def test_every_hook_has_a_text() -> None:
    for name in HOOKS:
        assert hook_text(name).startswith(b"#!/bin/sh\n# buildguard: checks ")


@pytest.mark.interpreters
def test_init_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        init(tmp_path)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    with pytest.raises(UsageError, match="--cloudbuild and --pre-commit cannot be combined"):
        init(tmp_path, cloud_build=True, pre_commit=True)
