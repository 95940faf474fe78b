"""`buildguard check` on the command line: what its options print, and where."""

from __future__ import annotations

import json
from collections.abc import Callable
from xml.etree import ElementTree as ET

import pytest

from tests.conftest import BROKEN_BEFORE_312, Project

_FILES = {"Dockerfile": "FROM python:3.11-slim\n", "app/a.py": BROKEN_BEFORE_312, "app/b.py": "x = 1\n"}
_INJECTED = "x = '''\n::error::injected\n##[add-mask]x\n''' +\n::error::injected\n"


def test_several_formats_of_one_run(project: Callable[..., Project]) -> None:
    made = project(_FILES)

    result = made.run("check", "--output", "sarif=out.sarif", "--output", "junit=out.xml", "--output", "concise=-")

    assert result.code == 1
    assert result.out.startswith("app/a.py:1:")
    assert json.loads((made.path / "out.sarif").read_text())["runs"][0]["results"][0]["ruleId"] == "BG101"
    assert ET.parse(made.path / "out.xml").getroot().get("failures") == "1"


@pytest.mark.parametrize(
    "options",
    [
        ("--format", "json", "--output", "sarif=out.sarif"),
        ("-q", "-v"),
        ("--format", "json", "--statistics"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    project: Callable[..., Project], options: tuple[str, ...]
) -> None:
    result = project(_FILES).run("check", *options)

    assert (result.code, result.out) == (2, "")
    assert len(result.err.splitlines()) <= 2


def test_source_lines_are_no_workflow_commands(project: Callable[..., Project]) -> None:
    made = project({**_FILES, "app/a.py": _INJECTED})
    made.env["GITHUB_ACTIONS"] = "true"

    for form in ("text", "concise", "github"):
        lines = made.run("check", "--format", form).out.splitlines()
        stop = next(at for at, line in enumerate(lines) if line.startswith("::stop-commands::"))
        token = lines[stop].removeprefix("::stop-commands::")
        assert lines[-1] == f"::{token}::"
        assert form == "github" or stop == 0
        assert not [line for line in lines[:stop] if "##[" in line or line.startswith("::error::")]
    assert made.check().json["exit_code"] == 1


def test_paths_are_relative_to_where_the_command_runs(project: Callable[..., Project]) -> None:
    made = project(_FILES)

    below = made.run("check", "--format", "concise", "..", cwd=made.path / "app")

    assert below.out.startswith("a.py:1:")


def test_statistics_and_quiet_keep_the_exit_code(project: Callable[..., Project]) -> None:
    made = project(_FILES)

    counted = made.run("check", "--statistics", "-q")

    assert counted.code == 1
    assert counted.out.splitlines()[0] == "     1  BG101 error: the target Python rejects the file"
    assert made.run("check", "-q", "app/b.py").out == ""


def test_a_baseline_leaves_out_what_was_known(project: Callable[..., Project]) -> None:
    nested = "x = f\"{f'{1}'}\"\n"
    made = project({**_FILES, "app/a.py": nested, "buildguard.toml": 'baseline = "known.json"\n'})
    options = ("check", "--strict", "--format", "concise", "--select", "BG205")

    assert made.run(*options).code == 2
    assert made.run(*options, "--write-baseline").code == 0
    assert made.run(*options).code == 0
    made.write({"app/b.py": nested, "app/c.py": BROKEN_BEFORE_312})
    after = made.run(*options)
    assert after.code == 1
    assert [line.split(":")[0] for line in after.out.splitlines()[:2]] == ["app/b.py", "app/c.py"]


@pytest.mark.parametrize("path", ["../known.json", "/etc/passwd", "a/../../b"])
def test_a_repository_cannot_name_a_baseline_elsewhere(project: Callable[..., Project], path: str) -> None:
    result = project({**_FILES, "buildguard.toml": f'baseline = "{path}"\n'}).run("check")

    assert (result.code, result.out) == (2, "")
    assert "buildguard.toml:1" in result.err


def test_colors_only_where_they_are_asked_for(project: Callable[..., Project]) -> None:
    made = project(_FILES)

    assert "\x1b[" in made.run("check", "--color", "always").out
    assert "\x1b[" not in made.run("check").out


@pytest.mark.parametrize("name", ["app/b.py", "app/never_saved.py"])
def test_stdin_is_checked_in_place_of_a_file(repository: Callable[..., Project], name: str) -> None:
    made = repository({**_FILES, "app/a.py": ""})

    broken = made.pipe(BROKEN_BEFORE_312.encode(), "check", "--format", "json", "--stdin-filename", name, "-")
    clean = made.pipe(b"x = 1\n", "check", "--stdin-filename", name)

    assert broken.code == 1
    assert broken.codes()[name] == ["BG101"]
    assert broken.json["summary"]["files"] == 1
    assert clean.code == 0
    assert (made.path / "app/b.py").read_text() == "x = 1\n"


def test_stdin_from_a_folder_below(project: Callable[..., Project]) -> None:
    made = project(_FILES)

    arguments = ("check", "--format", "concise", "--stdin-filename", "b.py", "-")
    result = made.pipe(b"x = = 1\n", *arguments, cwd=made.path / "app")

    assert result.out.startswith("b.py:1:")


@pytest.mark.parametrize(
    "arguments",
    [
        ("-",),
        ("--stdin-filename", "app/b.py", "app/a.py"),
        ("--stdin-filename", "app/b.py", "--staged", "-"),
        ("--stdin-filename", "app/b.py", "--engine", "cloud", "-"),
        ("--stdin-filename", "missing/b.py", "-"),
        ("--stdin-filename", "..", "-"),
    ],
)
def test_stdin_that_makes_no_sense_is_refused(project: Callable[..., Project], arguments: tuple[str, ...]) -> None:
    result = project(_FILES).run("check", *arguments)

    assert (result.code, result.out) == (2, "")


def test_another_configuration_or_none(project: Callable[..., Project]) -> None:
    made = project({**_FILES, "buildguard.toml": 'exclude = ["app/a.py"]\n', "ci.toml": 'exclude = ["app/b.py"]\n'})

    assert made.check().code == 0
    isolated, other = made.check("--isolated"), made.check("--config", "ci.toml")
    assert (isolated.code, isolated.json["summary"]["files"]) == (1, 2)
    assert (other.code, other.json["summary"]["files"]) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--config", "missing.toml"), "--config missing.toml"),
        (("--config", "app/b.py"), "app/b.py"),
        (("--config", "pyproject.toml"), "no [tool.buildguard] in it"),
        (("--config", "typo.toml"), "typo.toml:1: unknown key 'exlude'"),
        (("--config", "ci.toml", "--isolated"), "cannot be combined"),
        (("--isolated", "image:web"), "cannot be combined with image:"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_refused(
    project: Callable[..., Project], arguments: tuple[str, ...], words: str
) -> None:
    made = project({**_FILES, "pyproject.toml": "[project]\nname = 'x'\n", "typo.toml": "exlude = []\n", "ci.toml": ""})

    result = made.run("check", *arguments)

    assert (result.code, result.out) == (2, "")
    assert words in result.err
