"""Ignore rules as the tools have them that apply them: which file, line and pattern drops a path. Pure."""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
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
