"""Stages: where source lies, listed and read, never trusted. Paths are bytes relative to the root, with `/`."""

from __future__ import annotations

import os
import posixpath
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from operator import lt
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING, NamedTuple, Protocol, StrEnum
from buildguard.diagnostic import RelativePath, UnreadableFile
from buildguard.system.git_paths import joined, other_paths

if TYPE_CHECKING:
    from typing import overload


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


class Listing(Sequence[Entry]):
    """The entries of a stage that never change, with what a run asks of all of them again and again.

    A commit hook looks at one file of a repository of any size: nothing here may take long for a path, and few of what is
    asked here may make an entry for each.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._given = entries

    @cached_property
    def every(self) -> list[Entry]:
        """All of them."""
        return list(self._given)

    @cached_property
    def paths(self) -> list[bytes]:
        """Their paths."""
        return [entry.path for entry in self.every]

    def entry(self, number: int) -> Entry:
        """One of them, by its place in the list."""
        return self.every[number]

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: int) -> Entry: ...
        @overload
        def __getitem__(self, index: slice) -> list[Entry]: ...

    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        """One of them, or some."""
        return self.every[index]

    def __iter__(self) -> Iterator[Entry]:
        """All of them, in order."""
        return iter(self.every)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.paths)

    @cached_property
    def texts(self) -> list[str]:
        """Their paths as text."""
        return os.fsdecode(b"\0".join(self.paths)).split("\0") if self.paths else []

    @cached_property
    def sorted_texts(self) -> list[str]:
        """Their paths as text, sorted as text is."""
        return self.texts if self.is_plain else sorted(self.texts)

    @cached_property
    def sources(self) -> list[Entry]:
        """Those that are called `.py`."""
        return [entry for entry in self.every if entry.path.endswith(b".py")]

    @cached_property
    def others(self) -> list[Entry]:
        """Those that are called anything else."""
        return [entry for entry in self.every if not entry.path.endswith(b".py")]

    @cached_property
    def unclear(self) -> list[bytes]:
        """The paths that may be anything: links, folders that cannot be opened."""
        file, executable = EntryKind.FILE, EntryKind.EXECUTABLE
        return [entry.path for entry in self.every if entry.kind is not file and entry.kind is not executable]

    @property
    def is_plain(self) -> bool:
        """Whether the paths are sorted, and of ASCII: as text they are sorted, too."""
        return self._ascend and self.text.isascii()

    def find(self, path: bytes) -> Entry | None:
        """The entry of a path; None where it is not listed."""
        number = self._number(path)
        return None if number is None else self.entry(number)

    def find_text(self, path: str) -> Entry | None:
        """The same of a path as text."""
        try:
            return self.find(os.fsencode(path))
        except UnicodeEncodeError:  # no path of this machine
            return None

    def at(self, paths: Iterable[bytes]) -> list[Entry]:
        """The entries of some paths, those that are listed, in order."""
        return list(map(self.entry, sorted({number for path in paths if (number := self._number(path)) is not None})))

    def below(self, paths: Sequence[bytes]) -> list[Entry]:
        """The entries at and below some paths."""
        if not self._ascend:
            exact, prefixes = set(paths), tuple(path + b"/" for path in paths)
            return [entry for entry in self.every if entry.path in exact or entry.path.startswith(prefixes)]
        numbers = {number for path in paths if (number := self._number(path)) is not None}
        for path in paths:
            start = bisect_left(self.paths, path + b"/")
            numbers.update(range(start, bisect_left(self.paths, path + b"0", start)))  # "0" comes after "/"
        return list(map(self.entry, sorted(numbers)))

    def holding(self, words: Collection[bytes], words_of_others: Iterable[bytes] = ()) -> list[Entry]:
        """The entries whose path holds one of some words, or is not called `.py` and holds one of some others.

        The words are of small letters, and found in whatever case; with a zero byte at its end, a path ends with it.
        """
        numbers = {*_lines_with(words, self._folded)} if words else set()
        others = self.other_paths
        found = (self._number(others[at]) for at in _lines_with(words_of_others, self._text_of_others))
        return list(map(self.entry, sorted(numbers.union(number for number in found if number is not None))))

    @cached_property
    def chosen(self) -> dict[Callable[[Listing], list[Entry]], list[Entry]]:
        """What was chosen of them, by the function that chose."""
        return {}

    def choose(self, by: Callable[[Listing], list[Entry]]) -> list[Entry]:
        """What a function makes of them, which is asked once."""
        if by not in self.chosen:
            self.chosen[by] = by(self)
        return self.chosen[by]

    @cached_property
    def text(self) -> bytes:
        """Their paths as one text, with a zero byte before and behind each."""
        return joined(self.paths)

    @cached_property
    def _folded(self) -> bytes:
        return self.text.lower()

    @cached_property
    def other_paths(self) -> list[bytes]:
        """Those of them that are called anything else than `.py`."""
        return other_paths(self.paths)

    @cached_property
    def _text_of_others(self) -> bytes:
        return joined(self.other_paths).lower()

    @cached_property
    def _ascend(self) -> bool:
        """Whether each path comes after the one before it, as git sorts them."""
        return all(map(lt, self.paths, self.paths[1:]))

    @cached_property
    def _numbers(self) -> dict[bytes, int]:
        return {path: number for number, path in enumerate(self.paths)}

    def _number(self, path: bytes) -> int | None:
        if not self._ascend:
            return self._numbers.get(path)
        at = bisect_left(self.paths, path)
        return at if at < len(self.paths) and self.paths[at] == path else None


def _lines_with(words: Iterable[bytes], text: bytes) -> Iterator[int]:
    """The numbers of the lines in which any of some words is found; a zero byte stands before and behind each line."""
    for word in words:
        number, start = -1, 0
        while (at := text.find(word, start)) >= 0:
            number += text.count(b"\0", start, at)
            yield number
            start = text.index(b"\0", at)


def listing_of(stage: Stage) -> Listing:
    """The entries of a stage; those that the stage keeps are asked about once."""
    entries = stage.entries()
    return entries if isinstance(entries, Listing) else Listing(entries)


class Stage(Protocol):
    """Somewhere that source lies."""

    name: str
    root: Path

    def entries(self) -> Sequence[Entry]:
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
