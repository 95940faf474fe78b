"""Ignore rules as the tools have them that apply them: which file, line and pattern drops a path. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class IgnoreRule(NamedTuple):
    """A pattern and where it stands; `line` counts from 1, and is 0 for what a tool has built in."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.text}"


def parents(path: str) -> list[str]:
    """The folders that a path lies in, the outermost first."""
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def spec_of(patterns: Iterable[str]) -> GitIgnoreSpec:
    """Patterns in gitignore's syntax, as git reads them.

    Git takes `a/**/` for the folders in `a` at any depth, and pathspec for everything in it: the one more star says it to both.
    """
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(_folders_in(pattern) for pattern in patterns)


def _folders_in(pattern: str) -> str:
    bare = pattern.rstrip(" ")
    return f"{bare}*/" if bare.endswith("**/") else pattern
