"""Hashing many files of a folder: each opened without following links, read to its end, on two cores where it pays."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from typing import TYPE_CHECKING, NamedTuple

from buildguard import process
from buildguard.stages import Unreadable
from buildguard.stages.disk import READ_FLAGS, no_file, why_not

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK = 1 << 20
_FEW = 500  # a fork costs as much as hashing some hundred small files
# permission bits, links, size, SHA-256, SHA-1 and whether all that is true
_RECORD = struct.Struct("<HIQ32s20sxB")


class Hashed(NamedTuple):
    """A regular file as it was read: permission bits, how many names it has, size, SHA-256 and git's blob id."""

    mode: int
    names: int
    size: int
    digest: bytes
    blob: bytes


def hash_files(base: bytes, paths: Sequence[bytes]) -> list[Hashed | Unreadable]:
    """Each file below `base`, in order; `Unreadable` for what is none, cannot be read, or changes while it is read."""
    if len(paths) < _FEW or process.cores() < 2:  # noqa: PLR2004
        return [hash_file(base + path) for path in paths]
    # every other file, so that both halves hold alike
    theirs, mine = process.side_by_side(lambda: _packed(base, paths[1::2]), lambda: _packed(base, paths[::2]))
    found: list[Hashed | Unreadable] = []
    for at, path in enumerate(paths):
        half = theirs if at % 2 else mine
        start = at // 2 * _RECORD.size
        fields = _RECORD.unpack_from(half, start) if start + _RECORD.size <= len(half) else (0, 0, 0, b"", b"", 0)
        # what the child could not hash, or did not live to tell, is hashed here: the reason is told then
        found.append(Hashed(*fields[:5]) if fields[5] else hash_file(base + path))
    return found


def _packed(base: bytes, paths: Sequence[bytes]) -> bytes:
    records = []
    for path in paths:
        one = hash_file(base + path)
        records.append(_RECORD.pack(0, 0, 0, b"", b"", 0) if isinstance(one, Unreadable) else _RECORD.pack(*one, 1))
    return b"".join(records)


def hash_file(path: bytes) -> Hashed | Unreadable:
    """One file, whatever its size, in memory that does not grow with it."""
    for _ in range(3):
        try:
            handle = os.open(path, READ_FLAGS)
        except OSError as error:
            return why_not(path, error)
        try:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode):
                return no_file(before.st_mode)
            digest, blob, size = _digests(handle, before.st_size)
            after = os.fstat(handle)
        except OSError as error:
            return Unreadable(f"cannot be read: {error.strerror}")
        finally:
            os.close(handle)
        if size == after.st_size == before.st_size and before.st_mtime_ns == after.st_mtime_ns:
            return Hashed(stat.S_IMODE(after.st_mode), after.st_nlink, size, digest, blob)
    return Unreadable("changed while it was read")


def _digests(handle: int, size: int) -> tuple[bytes, bytes, int]:
    data = os.read(handle, min(size + 1, _CHUNK))
    digest, blob, seen = hashlib.sha256(data), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False), len(data)
    blob.update(data)
    if seen == _CHUNK or seen < size:
        while data := os.read(handle, _CHUNK):
            digest.update(data)
            blob.update(data)
            seen += len(data)
    return digest.digest(), blob.digest(), seen
