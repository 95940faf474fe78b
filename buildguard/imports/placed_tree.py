"""The files of a project at another place, as they are stored: nothing is made for each of them. Pure."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from buildguard.definitions import TYPE_CHECKING
from buildguard.imports.finder import COMPILED_ENDINGS, FileTree

if TYPE_CHECKING:
    from typing import overload

_FEW = 2000  # questions of a hook


class PlacedFiles(Mapping[str, str]):
    """The project's path of each file at another place: `place` instead of `start` is what that begins with.

    The paths are sorted, of ASCII, and all begin with `start`.
    """

    def __init__(self, paths: Sequence[bytes], start: str, place: str) -> None:
        self.paths = paths
        self._start = start
        self._place = place
        self._questions = 0
        self.settle: Callable[[dict[str, str], list[str]], None] = _settle_nothing

    @functools.cached_property
    def places(self) -> list[str]:
        """Each of them where it is: made for who asks for many."""
        return list(map(self.placed, self.paths))

    @functools.cached_property
    def _origins(self) -> dict[str, str]:
        return {place: path.decode("ascii") for place, path in zip(self.places, self.paths, strict=True)}

    def count_question(self) -> bool:
        """Count one more question; whether they are so many that to make something for each file takes less time."""
        self._questions += 1
        if self._questions == _FEW + 1:
            self.settle(self._origins, self.places)
        return self._questions > _FEW

    def __getitem__(self, place: str) -> str:
        """The path of the project."""
        if self.count_question():
            return self._origins[place]
        path = self._start + place[len(self._place) :]
        if not place.startswith(self._place) or not self._has(path):
            raise KeyError(place)
        return path

    def __iter__(self) -> Iterator[str]:
        """The path of each at its place, in order."""
        return map(self.placed, self.paths)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.paths)

    def placed(self, path: bytes) -> str:
        """Where one of the project's paths is."""
        return self._place + path.decode("ascii")[len(self._start) :]

    def from_project(self, origins: Collection[str]) -> list[str]:
        """Where some of the project's paths are, those that are here."""
        return [self._place + path[len(self._start) :] for path in origins if self._has(path)]

    def _has(self, path: str) -> bool:
        if not path.isascii():
            return False
        raw = path.encode("ascii")
        at = bisect_left(self.paths, raw)
        return at < len(self.paths) and self.paths[at] == raw


def _settle_nothing(_origins: dict[str, str], _places: list[str]) -> None:
    """Without a tree, there is nothing to change."""


class _Places(Sequence[str]):
    """The paths of placed files, in order."""

    def __init__(self, files: PlacedFiles) -> None:
        self._files = files

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, index: int) -> str: ...
        @overload
        def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        """One of them, or some."""
        if self._files.count_question():
            return self._files.places[index]
        paths = self._files.paths[index]
        return self._files.placed(paths) if isinstance(paths, bytes) else list(map(self._files.placed, paths))

    def __len__(self) -> int:
        """How many there are."""
        return len(self._files)


class PlacedTree(FileTree):
    """A tree of placed files."""

    def __init__(self, files: PlacedFiles) -> None:
        super().__init__(files)
        self._files = files
        files.settle = self._settle

    @functools.cached_property
    def _paths(self) -> Sequence[str]:
        return _Places(self._files)

    def _settle(self, origins: dict[str, str], places: list[str]) -> None:
        """After many questions, ask what was made for each file, without a call in between."""
        self.origins = origins
        self._paths = places

    def _may_hold_compiled(self) -> bool:
        joined = b"\0".join(self._files.paths)
        return any(b".%b" % ending.encode() in joined for ending in COMPILED_ENDINGS)

    def from_project(self, origins: Collection[str]) -> list[str]:
        """The files that come from some paths of the project."""
        return self._files.from_project(origins)
