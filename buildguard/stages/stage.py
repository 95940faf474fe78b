"""Stages: where source lies, listed and read, never trusted. Paths are bytes relative to the root, with `/`."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import cached_property
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


class Listing(list[Entry]):
    """The entries of a stage that never change, with what a run asks of all of them again and again.

    A commit hook looks at one file of a repository of any size, so nothing here may take long for a path.
    """

    @cached_property
    def paths(self) -> list[bytes]:
        """Their paths."""
        return [entry.path for entry in self]

    @cached_property
    def texts(self) -> list[str]:
        """Their paths as text."""
        return os.fsdecode(b"\0".join(self.paths)).split("\0") if self else []

    @cached_property
    def sources(self) -> list[Entry]:
        """Those that are called `.py`."""
        return [entry for entry in self if entry.path.endswith(b".py")]

    @cached_property
    def others(self) -> list[Entry]:
        """Those that are called anything else."""
        return [entry for entry in self if not entry.path.endswith(b".py")]

    @cached_property
    def unclear(self) -> list[bytes]:
        """The paths that may be anything: links, folders that cannot be opened."""
        file, executable = EntryKind.FILE, EntryKind.EXECUTABLE
        return [entry.path for entry in self if entry.kind is not file and entry.kind is not executable]

    @cached_property
    def chosen(self) -> dict[Callable[[Listing], list[Entry]], list[Entry]]:
        """What was chosen of them, by the function that chose."""
        return {}

    def choose(self, by: Callable[[Listing], list[Entry]]) -> list[Entry]:
        """What a function makes of them, which is asked once."""
        if by not in self.chosen:
            self.chosen[by] = by(self)
        return self.chosen[by]


def listing_of(stage: Stage) -> Listing:
    """The entries of a stage; those that the stage keeps are asked about once."""
    entries = stage.entries()
    return entries if isinstance(entries, Listing) else Listing(entries)


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
