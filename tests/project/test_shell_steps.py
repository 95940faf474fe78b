"""The commands of a shell's text that run where none fails, and those whose failure ends the shell, as a real shell does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildguard.project.shell import split_commands
from buildguard.project.shell_steps import ALLEXPORT, ERREXIT, find_last, has_option, may_fail, steps_of

# A text with the programs `a`, `b` and `main`, and whether the start goes on to `main` where `a` fails.
_TEXTS = {
    "a; main": True,
    "set -e\na\nmain": False,
    "set -eu; a; main": False,
    "set -o pipefail; set -o errexit; a; main": False,
    "set -e; set +e; a; main": True,
    "set -u; a; main": True,
    "a && main": False,
    "a && b && main": False,
    "a && b; main": True,
    "set -e; a && b; main": True,
    "set -e; b && a; main": False,
    "a || true; main": True,
    "a || echo failed\nmain": True,
    "a || exit 1; main": False,
    "a || exit; main": False,
    "a || exit 0; main": False,
    "a || { echo failed; exit 1; }\nmain": False,
    "a || (echo failed)\nmain": True,
    "set -e\na || { echo failed; }\nmain": True,
    "a || (exit 1)\nmain": True,
    "set -e; a || (exit 1)\nmain": False,
    "a || { if true; then exit 1; fi; }\nmain": False,
    "a || b && main": True,
    "a && b || exit 1; main": False,
    "set -e; a | cat; main": True,
    "set -e; echo x | a; main": False,
    "set -e; a & main": True,
    "set -e; a && b & main": True,
    "set -e; [ -d /nowhere ] && a; main": True,
    "set -e; [ -d / ] || a; main": True,
    "a && main || exit 1": False,
    "exec main; a": True,
}


@pytest.mark.interpreters
@pytest.mark.parametrize(("text", "goes_on"), _TEXTS.items())
def test_a_shell_goes_on_after_a_failure(tmp_path: Path, text: str, goes_on: bool) -> None:
    functions = "a() { return 1; }\nb() { :; }\nmain() { echo started; exit 0; }\n"
    text = text.replace("exec main", "main")
    ran = subprocess.run(["sh", "-c", functions + text], capture_output=True, text=True, check=False, cwd=tmp_path)

    assert ("started" in ran.stdout) is goes_on


@pytest.mark.parametrize(("text", "goes_on"), _TEXTS.items())
def test_a_step_may_fail(text: str, goes_on: bool) -> None:
    steps = steps_of(split_commands(text))
    last = find_last(steps)
    number = next((number for number, step in enumerate(steps) if step.command.words == ("a",)), -1)
    main = last.index(True)
    has_errexit = False
    for step in steps[:main]:
        if step.command.words[0] == "set":
            has_errexit = has_option(step.command.words[1:], ERREXIT, default=has_errexit)

    assert steps[main].command.words[-1] == "main"
    if 0 <= number < main:
        assert may_fail(steps, number, last, has_errexit=has_errexit) is goes_on
    else:
        assert goes_on  # it runs in no start that works


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-e", True),
        ("-eu -x", True),
        ("-euo pipefail", True),
        ("-o pipefail -e", True),
        ("-o errexit", True),
        ("-e +e", False),
        ("-lc exit", False),
        ("--noprofile", False),
        ("-- -e", False),
        ("script -e", False),
        ("", False),
    ],
)
def test_options_that_end_a_shell(words: str, *, expected: bool) -> None:
    assert has_option(words.split(), ERREXIT) is expected
    assert has_option(words.replace("e", "a").replace("arraxit", "allexport").split(), ALLEXPORT) is expected
