"""A manifest's canonical form, read strictly: `MODE SP SIZE SP SHA256 TAB PATH NUL`. Also a part of the step file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FILE, EXECUTABLE, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
MODES = (FILE, EXECUTABLE, LINK, SUBMODULE)
# Where an archive carries its manifest, and who checks it there: nothing can vouch for itself, so no manifest lists them.
CARRIED, VERIFIER = b".buildguard/manifest", b".buildguard/verify.py"
QUESTIONS = b".buildguard/questions"  # what the cloud engine asks beside the files of an archive
OWN = frozenset({CARRIED, VERIFIER, QUESTIONS})
_HEX = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
LONGEST_PATH, LONGEST_NAME = 4096, 255  # what file systems take


class ManifestRow(NamedTuple):
    """One path: git's mode, the size and the SHA-256 of the content, of a link's text, or of a submodule's commit id."""

    path: bytes
    mode: str
    size: int
    sha256: str


def row_of(path: bytes, mode: str, size: str, digest: str) -> ManifestRow:
    """A row from its words; raises ValueError where one is not what it should be."""
    why = trouble_with(path)
    if why:
        raise ValueError(f"{path.decode('utf-8', 'backslashreplace')}: {why}")
    if mode not in MODES:
        raise ValueError(f"{path.decode('utf-8', 'backslashreplace')}: '{mode}' is no mode")
    if _NUMBER.fullmatch(size) is None or _HEX.fullmatch(digest) is None:
        raise ValueError(f"{path.decode('utf-8', 'backslashreplace')}: its size or digest is none")
    return ManifestRow(path, mode, int(size), digest)


def rows_of(data: bytes) -> Iterator[ManifestRow]:
    """Every row; raises ValueError for what the writer would not have written: cut short, out of order, or twice."""
    if not data.endswith(b"\0"):
        raise ValueError("it is cut short")
    before = b""
    for row in data[:-1].split(b"\0"):
        head, tab, path = row.partition(b"\t")
        words = head.decode("ascii").split(" ")
        if not tab or len(words) != 3:
            raise ValueError(f"'{row[:80].decode('utf-8', 'backslashreplace')}' is no row")
        if path <= before:
            raise ValueError(f"{path.decode('utf-8', 'backslashreplace')} is out of order, or twice")
        before = path
        yield row_of(path, words[0], words[1], words[2])


def as_bytes(rows: Iterable[ManifestRow]) -> bytes:
    """The canonical form of rows in their order; its SHA-256 is the root digest."""
    return b"".join(b"%b %d %b\t%b\0" % (row.mode.encode(), row.size, row.sha256.encode(), row.path) for row in rows)


def trouble_with(path: bytes) -> str:
    """Why a path cannot be one of a stage: absolute, leading out of it, or not in its plainest form; else empty."""
    if not path or b"\0" in path:
        return "no proper name"
    if path.startswith(b"/"):
        return "an absolute path"
    if len(path) > LONGEST_PATH:
        return "a path of more than 4096 bytes"
    parts = path.split(b"/")
    if b".." in parts:
        return "a path that leads out of the root"
    if b"" in parts or b"." in parts:
        return "a path that is not in its plainest form"
    return "a name of more than 255 bytes" if max(map(len, parts)) > LONGEST_NAME else ""
