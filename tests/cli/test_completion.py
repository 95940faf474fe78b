"""Completion: what the shells are offered, and that it never fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from buildguard.cli import completion
from buildguard.cli.commands import cli
from buildguard.engines.engine import EngineName
from buildguard.locate import STAGES
from tests.conftest import Project, missing

pytestmark = pytest.mark.interpreters


def _offered(*words: str) -> list[str]:
    *before, incomplete = words
    shell = ShellComplete(cli, {}, "buildguard", "_BUILDGUARD_COMPLETE")
    return [item.value for item in shell.get_completions(list(before), incomplete)]


@pytest.fixture
def inside(repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    made = repository(
        {
            "api/Dockerfile": "FROM python:3.11\nCOPY . .\n",
            "web/Dockerfile": "FROM python:3.11\nCOPY . .\n",
            "buildguard.toml": "[deploy]\nservice = 'shop'\n",
            "src.tgz": "",
        }
    )
    made.git("tag", "v1")
    monkeypatch.chdir(made.path)
    return made


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("check", "--engine", ""), ["auto", *EngineName]),
        (("check", "--engine", "interpreter,c"), ["interpreter,container", "interpreter,cloud"]),
        (("check", "--service", ""), ["api", "web", "shop"]),
        (("deploy", "--service", "sh"), ["shop"]),
        (("check", "--select", "bg30"), [f"BG30{number}" for number in range(1, 7)]),
        (("explain", "BG10"), [f"BG10{number}" for number in range(1, 8)]),
        (("check", "commit:"), ["commit:HEAD", "commit:main", "commit:v1"]),
        (("diff", "commit:HEAD", "commit:v"), ["commit:v1"]),
        (("manifest", "dir:a"), ["dir:api/"]),
        (("manifest", "tar:s"), ["tar:src.tgz"]),
        (("check", "co"), ["commit:", "co"]),
        (("fix", "ap"), ["ap"]),
        (("check", "--color", "a"), ["auto", "always"]),
    ],
)
def test_values_are_offered(words: tuple[str, ...], offered: list[str]) -> None:
    assert _offered(*words) == offered


def test_every_stage_is_offered() -> None:
    assert [item for item in _offered("check", "") if item] == sorted(STAGES, key=list(completion._STAGES).index)


@pytest.mark.interpreters
def test_nothing_fails_outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert _offered("check", "--service", "") == []
    assert _offered("check", "commit:") == []
    assert _offered("check", "dir:nothing/x") == []
    (tmp_path / "buildguard.toml").write_text("nonsense = 1\n")
    assert _offered("check", "--service", "") == []


def test_options_with_values_offer_some() -> None:
    named = {"--engine", "--service", "--select", "--ignore"}
    for command in cli.commands.values():
        for parameter in command.params:
            if named & set(parameter.opts) and isinstance(parameter, click.Option):
                assert parameter._custom_shell_complete is not None, (command.name, parameter.opts)


@pytest.mark.interpreters
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_valid(shell: str, tmp_path: Path) -> None:
    script = Project(tmp_path, {"_BUILDGUARD_COMPLETE": f"{shell}_source"}).run()

    assert (script.code, script.err) == (0, "")
    assert "_BUILDGUARD_COMPLETE" in script.out
    if shell == "bash":
        program = shutil.which("bash")
        if program is None:
            missing("bash", "apt-get install bash")
        done = subprocess.run(
            [str(program), "-c", f"eval '{script.out}'; complete -p buildguard"],
            env=os.environ,
            capture_output=True,
            check=False,
        )
        assert b"buildguard" in done.stdout, done.stderr


@pytest.mark.interpreters
def test_fish_gets_values_and_descriptions_with_commas(tmp_path: Path) -> None:
    program = shutil.which("fish")
    if program is None:
        missing("fish", "apt-get install fish")
    env = {**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = (
        "_BUILDGUARD_COMPLETE=fish_source buildguard | source; "
        "complete -C 'buildguard check --engine interpreter,c'; complete -C 'buildguard dep'"
    )
    done = subprocess.run([str(program), "-c", script], env=env, capture_output=True, text=True, check=False)

    *engines, deploy = done.stdout.splitlines()
    assert sorted(engines) == ["interpreter,cloud", "interpreter,container"], done.stderr
    assert deploy.startswith("deploy\tCheck, build, verify")
