"""A fresh clone is enough: nothing that is tracked reads what is beside the checkout, or depends on who starts the tests."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CASES, REPOSITORY

_PROGRAMS = ("tests", "bench", "scripts", ".ci", "hooks")
_INTERRUPTED = "print(subprocess.run(['sh', '-c', 'kill -INT $$; sleep 9']).returncode)"
_ELSEWHERE = {"cases", "trees", "results", "__pycache__"}


def _files(*folders: str) -> list[str]:
    names = [file.relative_to(REPOSITORY) for folder in folders for file in sorted((REPOSITORY / folder).rglob("*"))]
    return [str(name) for name in names if (REPOSITORY / name).is_file() and not _ELSEWHERE.intersection(name.parts)]


def _levels_up(node: ast.expr) -> int | None:
    """How many folders an expression goes up from its own file or from REPOSITORY; None where it begins elsewhere."""
    match node:
        case ast.Attribute(value=inner, attr="parent"):
            up = 1
        case ast.Subscript(value=ast.Attribute(value=inner, attr="parents"), slice=ast.Constant(value=int(number))):
            up = number + 1
        case ast.Call(func=ast.Attribute(value=inner, attr="resolve" | "absolute")):
            up = 0
        case ast.Call(func=ast.Name(id="Path"), args=[ast.Name(id="__file__")]):
            return 0
        case _:
            return None
    below = _levels_up(inner)
    return None if below is None else below + up


def _leads_out(source: str, depth: int) -> list[str]:
    """The expressions that lead out of a checkout, in a file so many folders deep."""
    if "parent" not in source or not ("__file__" in source or "REPOSITORY" in source):
        return []  # no expression goes up, or none from where this file is
    tree = ast.parse(source)
    roots = {"REPOSITORY"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _levels_up(node.value) == depth:
            roots |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return [
        ast.get_source_segment(source, node) or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.expr) and ((_levels_up(node) or 0) > depth or _is_above(node, roots))
    ]


def _is_above(node: ast.expr, roots: set[str]) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in {"parent", "parents"}
        and isinstance(node.value, ast.Name)
        and node.value.id in roots
    )


def test_no_program_reads_beside_its_checkout() -> None:
    names = [name for name in _files(*_PROGRAMS) if name.endswith(".py")]
    leading = {name: _leads_out((REPOSITORY / name).read_text("utf-8"), len(Path(name).parts)) for name in names}

    assert len(names) > 400
    assert {name: ways for name, ways in leading.items() if ways} == {}


@pytest.mark.parametrize("name", [name for name in _files("scripts", ".ci", "hooks") if not name.endswith(".py")])
def test_no_script_reads_beside_its_checkout(name: str) -> None:
    text = (REPOSITORY / name).read_text("utf-8")

    assert re.findall(r"\.\./\.\.|\"\$(?:HOME|OLDPWD)\b[^\n]*", text) == []


@pytest.mark.parametrize(
    ("source", "depth"),
    [
        ("x = Path(__file__).parents[2]\n", 2),
        ("x = Path(__file__).resolve().parents[1].parent / 'shared'\n", 2),
        ("_ROOT = Path(__file__).parents[0]\nx = _ROOT.parent\n", 1),
        ("from tests.conftest import REPOSITORY\nx = REPOSITORY.parent / 'shared'\n", 3),
    ],
)
def test_a_way_out_is_found(source: str, depth: int) -> None:
    assert len(_leads_out(source, depth)) == 1


@pytest.mark.interpreters
def test_an_ignored_interrupt_is_not_inherited() -> None:
    code = "import signal, subprocess, sys; import tests.conftest; " + _INTERRUPTED
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", code]

    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == (f"{-signal.SIGINT}\n", "")


@pytest.mark.interpreters
@pytest.mark.parametrize(
    "command",
    [
        ["sh", "-c", '. scripts/environment && echo "${PYTHONDONTWRITEBYTECODE-unset}"', "scripts/any"],
        [sys.executable, "-c", "import os, tests.conftest; print(os.getenv('PYTHONDONTWRITEBYTECODE', 'unset'))"],
    ],
    ids=["scripts", "pytest"],
)
def test_modules_are_kept_compiled_whatever_the_machine_says(command: list[str]) -> None:
    """Thousands of children would compile all that they import, which doubles what the suite takes."""
    surroundings = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}

    done = subprocess.run(command, cwd=REPOSITORY, env=surroundings, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("unset\n", "")


@pytest.mark.interpreters
def test_the_cases_are_kept_as_bytes() -> None:
    """Git changes no line end of theirs, on no platform."""
    names = [str(file.relative_to(REPOSITORY)) for file in CASES.rglob("*") if file.is_file()]
    done = subprocess.run(
        ["git", "check-attr", "-z", "text", "--", *names], cwd=REPOSITORY, capture_output=True, check=True
    )

    assert len(names) > 150
    assert done.stdout.split(b"\0")[2::3] == [b"unset"] * len(names)
