"""This project's own build: its step is up to date and passes, and its Dockerfile copies all that an installation needs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import ruamel.yaml

from buildguard.project import config as configs
from buildguard.project.cloudbuild import guard_step as step
from buildguard.project.cloudbuild.lint import problems
from buildguard.project.cloudbuild.reader import read
from buildguard.project.cloudbuild.roles import Role
from tests.conftest import REPOSITORY
from tests.remote.running import run, unpacked

if TYPE_CHECKING:
    from pathlib import Path

_BUILD = (REPOSITORY / "cloudbuild.yaml").read_bytes()


def test_the_step_is_the_one_that_init_would_write() -> None:
    config = configs.read({b"pyproject.toml": (REPOSITORY / "pyproject.toml").read_bytes()})
    data = step.text(config.include, config.exclude)

    assert (REPOSITORY / step.NAME).read_bytes() == data, "run `buildguard init --cloudbuild`"
    assert [digest for _line, digest in step.started(_BUILD)] == [step.sha256(data)]


def test_the_build_file_keeps_cloud_builds_rules_and_tests_before_it_builds() -> None:
    assert problems(_BUILD, "cloudbuild.yaml", {}) == []
    steps = read(_BUILD, "cloudbuild.yaml", {}).steps
    assert [one.id for one in steps] == ["buildguard", "tests", "packages", "image"]
    assert steps[3].roles == {Role.BUILDS}
    assert "./scripts/test" in _BUILD.decode()


@pytest.mark.interpreters
def test_the_step_passes_over_what_is_sent_of_this_repository(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    digest = unpacked(REPOSITORY, workspace)
    args = ruamel.yaml.YAML(typ="safe").load((workspace / "cloudbuild.yaml").read_text())["steps"][0]["args"]

    ran = run(workspace, args[4], "3.11", {step.VARIABLE: digest}, args[5:])

    assert ran.code == 0, ran.out
    assert ran.answer["identical"] is True
    assert ran.answer["files"] > 200


@pytest.mark.interpreters
def test_an_installation_works_without_the_checkout(tmp_path: Path) -> None:
    target = tmp_path / "installed"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(target),
        str(REPOSITORY),
    ]
    subprocess.run(command, check=True)

    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from buildguard.cli.main import main; main()"
    for words in (["--version"], ["explain", "BG410"], ["init", "--cloudbuild"]):
        (tmp_path / "empty").mkdir(exist_ok=True)
        (tmp_path / "empty/Dockerfile").write_text("FROM python:3.13\n")
        (tmp_path / "empty/a.py").write_text("")
        subprocess.run(["git", "init", "--quiet"], cwd=tmp_path / "empty", check=True)
        subprocess.run(
            [sys.executable, "-I", "-c", code, target, *words], cwd=tmp_path / "empty", check=True, capture_output=True
        )
    assert (tmp_path / "empty" / step.NAME).read_bytes() == step.text([], [])
