"""Plain patterns are matched without pathspec, and mean what they mean to it."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from buildguard.project.cloudbuild import guard_step
from buildguard.project.ignore.rules import matcher_of, spec_of, without_comments

_NAMES = ("a", "b", "ab", "a.py", ".a", "a-b", "...", "..a")
_STARTS = ("", "", "/", "**/")
_ENDS = ("", "", "/", "/**")
_ODD = (
    "*.py",
    "!a",
    "#a",
    "",
    "a b",
    "a/*",
    "a//b",
    ".",
    "../a",
    "./a",
    "a/**/b",
    "**",
    "[a]",
    "a ",
    "\\a",
    "/**",
    "**/",
    "a**",
    "\N{SNOWMAN}",
)


def _path(rng: random.Random) -> str:
    return "/".join(rng.choices(_NAMES, k=rng.randint(1, 4)))


@pytest.mark.parametrize("seed", range(200))
def test_they_match_as_pathspec_does(seed: int) -> None:
    rng = random.Random(seed)
    patterns = [
        rng.choice(_STARTS) + _path(rng)[: rng.choice((3, 99))].rstrip("/") + rng.choice(_ENDS) for _ in range(3)
    ]
    if seed % 4 == 0:
        patterns.append(rng.choice(_ODD))
    matches, spec = matcher_of(patterns[: 1 + seed % 4]), spec_of(patterns[: 1 + seed % 4])
    odd = ("a\n", "a\n/b", "./a", "/a", "a/", "a/b/", "\N{SNOWMAN}", "a/\N{SNOWMAN}")

    for path in (*(_path(rng) for _ in range(100)), *odd):
        assert matches(path) == spec.match_file(path), (patterns, path)


@pytest.mark.interpreters
def test_they_load_no_pathspec() -> None:
    code = "import sys; from buildguard.project.sources import matches; assert matches(['tests/', 'a/**'], 'x/tests/y.py'); assert 'pathspec' not in sys.modules"

    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("pattern", ["a/", "*.py", "", "#x", " ", "\\#x", "!a", "/", "**", "a b", "\t", "[a", "/a/**"])
def test_a_comment_is_what_the_build_step_leaves_out(pattern: str) -> None:
    assert without_comments([pattern]) == [kept for kept, _regex in guard_step.rules([pattern])]
