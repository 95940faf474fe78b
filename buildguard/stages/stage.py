"""Stages: where source lies, listed and read, never trusted. Paths are bytes relative to the root, with `/`."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import RelativePath, UnreadableFile


class EntryKind(StrEnum):
    """What an entry is."""

    FILE = "file"
    EXECUTABLE = "executable"
    LINK = "link"
    OTHER = "other"


# by git's modes
KINDS = {"100644": EntryKind.FILE, "100755": EntryKind.EXECUTABLE, "120000": EntryKind.LINK}


class Entry(NamedTuple):
    """One path of a stage; `oid` is its git object where the stage reads from git, else empty."""

    path: RelativePath
    kind: EntryKind
    oid: str = ""


class Stage(Protocol):
    """Somewhere that source lies."""

    name: str
    root: Path

    def entries(self) -> list[Entry]:
        """Every path there is, folders opened."""

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        """The content of each entry, in order."""

    def notes(self) -> list[str]:
        """What `entries` left out, one line each."""


_MOST_LINKS = 40


def resolve_link(path: bytes, text: bytes, link_of: Callable[[bytes], bytes | None]) -> bytes | UnreadableFile:
    """The path of a stage that a symbolic link leads to in the end, links after it followed as well.

    `text` is the link's own; `link_of` gives the text of another link, empty for a path that is none, None for one that
    is not there.
    """
    for _ in range(_MOST_LINKS):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
        if text.startswith(b"/") or path.startswith(b"../"):
            return UnreadableFile("a symbolic link out of the root, not followed")
        target = link_of(path)
        if target is None:
            return UnreadableFile("a symbolic link that leads nowhere")
        if not target:
            return path
        text = target
    return UnreadableFile("a symbolic link that leads in a circle")
