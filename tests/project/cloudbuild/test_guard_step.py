"""The step file itself: put together without a seam, the same each time, and read back without running it."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from collections import Counter

import pytest
from pathspec import GitIgnoreSpec

from buildguard import __version__
from buildguard.project.cloudbuild import guard_step as step
from buildguard.project.cloudbuild.embed import embed
from buildguard.remote.source_names import matches_any
from tests.conftest import interpreter

_PATTERNS = (
    "src",
    "src/",
    "/a.py",
    "*.py",
    "**/b",
    "a/**",
    "a/**/b",
    "!a.py",
    "!src/",
    "!*.py",
    "x?",
    "[ab].py",
    "# no",
    "",
    "\\#x",
    "a b/",
)


def _names(tree: ast.Module) -> Counter[str]:
    found: Counter[str] = Counter()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] += 1
        elif isinstance(node, ast.Assign):
            found.update(one.id for one in ast.walk(node.targets[0]) if isinstance(one, ast.Name))
    return found


def test_its_parts_do_not_get_into_each_others_way() -> None:
    tree = ast.parse(step.text([], []))

    assert max(_names(tree).values()) == 1
    modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names}
    assert modules <= sys.stdlib_module_names
    assert "json" not in modules  # Debian's minimal Python has none


def test_every_name_in_it_is_defined(version: str) -> None:
    """What a part takes from another one is in the file: every function's globals are there once it is loaded."""
    code = (
        "import builtins, dis, sys, types\n"
        "space = {'__name__': 'step'}\n"
        "exec(compile(sys.stdin.buffer.read(), 'verify.py', 'exec'), space)\n"
        "def used(code):\n"
        "    yield from (one.argval for one in dis.get_instructions(code) if one.opname == 'LOAD_GLOBAL')\n"
        "    for inner in code.co_consts:\n"
        "        if isinstance(inner, types.CodeType): yield from used(inner)\n"
        "functions = [one for one in space.values() if getattr(getattr(one, '__code__', 0), 'co_filename', 0) == 'verify.py']\n"
        "print(sorted({name for one in functions for name in used(one.__code__)} - set(space) - set(dir(builtins))))\n"
        "print(len(functions) > 30)\n"
    )

    done = subprocess.run(
        [interpreter(version), "-I", "-c", code], input=step.text([], []), capture_output=True, check=True
    )

    assert done.stdout.split() == [b"[]", b"True"]


def test_it_is_the_same_each_time_and_says_what_it_is() -> None:
    data = step.text(["src"], ["templates/**", "# a comment", ""])

    embed.cache_clear()
    assert data == step.text(["src"], ["templates/**", "# a comment", ""])
    read = step.read(data)
    assert read is not None
    assert read[:4] == (__version__, ("src",), ("templates/**",), True)
    assert data.split(b"\n")[read.line - 1].startswith(b"INCLUDE")


@pytest.mark.parametrize(
    "data",
    [b"", b"print(1)\n", b"version: 1\ndigest: sha256:" + b"0" * 64],
)
def test_another_file_is_none(data: bytes) -> None:
    assert step.read(data) is None
    assert step.read(step.text([], []).replace(b"# ===", b"# ---")) is None


def test_a_changed_one_is_told() -> None:
    read = step.read(step.text([], []).replace(b"BG101", b"BG999"))

    assert read is not None
    assert not read.intact


def test_reading_it_runs_nothing() -> None:
    data = step.text([], []).replace(
        b"INCLUDE: list[tuple[str, str]] = []", b"INCLUDE: list = __import__('os').abort()"
    )

    assert step.read(data) is None


def test_patterns_mean_what_they_mean_to_check() -> None:
    rng = random.Random(1)
    names = ("a", "b", "src", "a.py", "b.py", "x1", "#x", "a b")
    for _ in range(3000):
        patterns = rng.choices(_PATTERNS, k=rng.randint(1, 4))
        path = "/".join(rng.choices(names, k=rng.randint(1, 4)))
        expected = GitIgnoreSpec.from_lines(patterns).match_file(path)

        assert matches_any(list(step.rules(patterns)), path) == expected, (patterns, path)


def test_a_step_is_found_by_the_digest_that_it_starts() -> None:
    code = step.loader(b"x")
    yaml = "steps:\n- args:\n  - |\n" + "".join(f"    {line}\n" for line in code.splitlines())

    assert [digest for _line, digest in step.started(yaml.encode())] == [step.sha256(b"x")]
    assert [digest for _line, digest in step.started(repr({"args": [code]}).encode())] == [step.sha256(b"x")]
