"""Stages: where source lies, listed and read, never trusted. Paths are bytes relative to the root, with `/`."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class Kind(Enum):
    """What an entry is."""

    FILE = "file"
    EXECUTABLE = "executable"
    LINK = "link"
    OTHER = "other"


# by git's modes
KINDS = {"100644": Kind.FILE, "100755": Kind.EXECUTABLE, "120000": Kind.LINK}


class Entry(NamedTuple):
    """One path of a stage; `oid` is its git object where the stage reads from git, else empty."""

    path: bytes
    kind: Kind
    oid: str = ""


class Unreadable(NamedTuple):
    """A file that could not be read, and why; `gone` where it was listed and is not there any more.

    `special` is what lies there instead of a file: a FIFO, a socket, a folder …
    """

    reason: str
    gone: bool = False
    special: str = ""


class Stage(Protocol):
    """Somewhere that source lies."""

    name: str
    root: Path

    def entries(self) -> list[Entry]:
        """Every path there is, folders opened."""

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | Unreadable]]:
        """The content of each entry, in order."""

    def notes(self) -> list[str]:
        """What `entries` left out, one line each."""
