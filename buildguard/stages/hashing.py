"""Hashing many files of a folder: each opened without following links, read to its end, on two cores where it pays."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Callable, Sequence
from itertools import chain, repeat

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import UnreadableFile
from buildguard.stages.filesystem import READ_FLAGS, not_a_file, why_not
from buildguard.system import process

_CHUNK = 1 << 20
_FEW = 500  # a fork costs as much as hashing some hundred small files
# permission bits, links, size, SHA-256, SHA-1 and whether all that is true
_RECORD = struct.Struct("<HIQ32s20sxB")
_NOTHING = (0, 0, 0, b"", b"", 0)


class HashedFile(NamedTuple):
    """A regular file as it was read: permission bits, how many names it has, size, SHA-256 and git's blob id."""

    mode: int
    names: int
    size: int
    digest: bytes
    blob: bytes


def hash_files(
    base: bytes,
    paths: Sequence[bytes],
    *,
    blobs: bool = True,
    meanwhile: Callable[[], object] = lambda: None,
    shares: int = 2,
) -> list[HashedFile | UnreadableFile]:
    """Each file below `base`, in order; `Unreadable` for what is none, cannot be read, or changes while it is read.

    Blob ids are all zeros if they are not needed. `meanwhile` is done by this process while a child
    hashes, and `shares` says how much of the rest is left to it: every second file, or every third.
    """
    if len(paths) < _FEW or process.cores() < 2:  # noqa: PLR2004
        meanwhile()
        return [hash_file(base + path, blobs=blobs) for path in paths]
    # every file of the child's in turn, so that both shares hold alike
    mine, theirs = paths[::shares], [path for at, path in enumerate(paths) if at % shares]
    child, own = process.run_in_parallel(
        lambda: _packed(base, theirs, blobs=blobs), lambda: _after(meanwhile, lambda: _packed(base, mine, blobs=blobs))
    )
    whole = len(child) - len(child) % _RECORD.size
    answers = chain(_RECORD.iter_unpack(child[:whole]), repeat(_NOTHING))
    others = _RECORD.iter_unpack(own)
    results: list[HashedFile | UnreadableFile] = []
    new = tuple.__new__  # of as many fields as a record has
    for at, path in enumerate(paths):
        fields = next(answers if at % shares else others)
        # what the child could not hash, or did not live to tell, is hashed here: the reason is told then
        results.append(new(HashedFile, fields[:5]) if fields[5] else hash_file(base + path, blobs=blobs))
    return results


def _after(first: Callable[[], object], then: Callable[[], bytes]) -> bytes:
    first()
    return then()


def _packed(base: bytes, paths: Sequence[bytes], *, blobs: bool) -> bytes:
    nothing, pack = _RECORD.pack(*_NOTHING), _RECORD.pack
    records = []
    for path in paths:
        result = hash_file(base + path, blobs=blobs)
        records.append(nothing if result.__class__ is UnreadableFile else pack(*result, 1))
    return b"".join(records)


def hash_file(path: bytes, *, blobs: bool = True) -> HashedFile | UnreadableFile:
    """One file, whatever its size, in memory that does not grow with it."""
    try:
        handle = os.open(path, READ_FLAGS)
    except OSError as error:
        return why_not(path, error)
    try:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            return not_a_file(before.st_mode)
        size = before.st_size
        data = os.read(handle, size + 1 if size < _CHUNK else _CHUNK)
        if len(data) != size:  # large, or growing or shrinking under our hands
            return _hash_slowly(handle)
        blob = hashlib.sha1(b"blob %d\0" % size + data, usedforsecurity=False).digest() if blobs else b""
        return HashedFile(before.st_mode & 0o7777, before.st_nlink, size, hashlib.sha256(data).digest(), blob)
    except OSError as error:
        return UnreadableFile(f"cannot be read: {error.strerror}")
    finally:
        os.close(handle)


def _hash_slowly(handle: int) -> HashedFile | UnreadableFile:
    """Piece by piece; a file that changes meanwhile is none that could be told anything of."""
    for _ in range(3):
        os.lseek(handle, 0, os.SEEK_SET)
        before = os.fstat(handle)
        digest, blob, size = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % before.st_size, usedforsecurity=False), 0
        while size <= before.st_size and (data := os.read(handle, _CHUNK)):  # one that grows for ever has an end too
            digest.update(data)
            blob.update(data)
            size += len(data)
        after = os.fstat(handle)
        if size == after.st_size == before.st_size and before.st_mtime_ns == after.st_mtime_ns:
            return HashedFile(stat.S_IMODE(after.st_mode), after.st_nlink, size, digest.digest(), blob.digest())
    return UnreadableFile("changed while it was read")
