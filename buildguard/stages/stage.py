"""Stages: where source lies, listed and read, never trusted. Paths are bytes relative to the root, with `/`."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Protocol

from buildguard.diagnostic import Unreadable


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


_MOST_LINKS = 40


def behind(path: bytes, text: bytes, link_of: Callable[[bytes], bytes | None]) -> bytes | Unreadable:
    """The path of a stage that a symbolic link leads to in the end, links after it followed as well.

    `text` is the link's own; `link_of` gives the text of another link, empty for a path that is none, None for one that
    is not there.
    """
    for _ in range(_MOST_LINKS):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
        if text.startswith(b"/") or path.startswith(b"../"):
            return Unreadable("a symbolic link out of the root, not followed")
        found = link_of(path)
        if found is None:
            return Unreadable("a symbolic link that leads nowhere")
        if not found:
            return path
        text = found
    return Unreadable("a symbolic link that leads in a circle")
