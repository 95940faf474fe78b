"""Files of a folder that git does not list, found by the rules of whoever sends them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from buildguard.diagnostic import FOLDER, UnreadableFile
from buildguard.errors import UnprovenError
from buildguard.stages.filesystem import read_file


def walk(root: Path, paths: Iterable[bytes], keeps: Callable[[str, bool], bool]) -> Iterator[bytes]:
    """The files and links among some paths, folders (with a final `/`) opened; all relative to the root.

    `keeps` says whether a path is looked at, and is given whether it is a folder or a link to one.
    """
    base = os.fsencode(root) + b"/"
    pending = list(paths)
    while pending:
        path = pending.pop()
        name = path.rstrip(b"/")
        if not keeps(os.fsdecode(name), os.path.isdir(base + name)):
            continue
        if not path.endswith(b"/"):
            yield name
            continue
        pending += [path + child for child in _children(base + name)]


def _children(folder: bytes) -> list[bytes]:
    """The names in a folder, those of folders with a final `/`."""
    try:
        with os.scandir(folder) as listing:
            return [entry.name + (b"/" if entry.is_dir(follow_symlinks=False) else b"") for entry in listing]
    except OSError as error:
        raise UnprovenError(f"{os.fsdecode(folder)} cannot be opened: {error.strerror}") from error


def file_reader(root: Path) -> Callable[[str], bytes | None]:
    """Reads a file below a folder as it is on disk, links inside the folder followed; None where it is missing."""
    base = os.path.realpath(os.fsencode(root)) + b"/"

    def read(name: str) -> bytes | None:
        path = os.path.realpath(base + os.fsencode(name))
        content = read_file(path) if path.startswith(base) else UnreadableFile("a link out of the folder")
        if not isinstance(content, UnreadableFile):
            return content
        if content.is_missing or content.special == FOLDER:
            return None
        raise UnprovenError(f"{name}: {content.reason}")

    return read
