"""Gzip, read strictly and written the same each time: one member, no name, no time, its checksum believed only when it holds."""

from __future__ import annotations

import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from buildguard.errors import UnprovenError
from buildguard.stages.archives.tar import refusal
from buildguard.system import process

MAGIC = b"\x1f\x8b"
# Method deflate, no flags, no time, no level, an unknown system: the same header on every machine.
_HEADER = MAGIC + b"\x08\0\0\0\0\0\0\xff"
_NAME, _COMMENT, _TEXT = 8, 16, 1
_LONGEST_NAME = 512
_CHUNK = 1 << 20
_WINDOW = 1 << 15  # how far deflate looks back
_AHEAD = 6  # pieces that may wait
# A bomb of zeros is a thousand times as large as its file; sources and their data are ten times at most.
MOST_RATIO, HARMLESS = 200, 16 << 20
MOST_BYTES = 64 << 30
_FAST_LEVEL, _STANDARD_LEVEL = 3, 4


def _library() -> tuple[Any, int]:
    """The fast one where it is installed (extra `fast`), else the standard library's, each with the level for it.

    Both make sources a tenth larger than gzip's own level does.
    """
    try:
        from zlib_ng import zlib_ng
    except ImportError:
        return zlib, _STANDARD_LEVEL
    return zlib_ng, _FAST_LEVEL


def gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a gzip file holds, in pieces of at most a megabyte.

    Raises UnprovenError for anything but one whole member with the right checksum and length and nothing after it,
    for a header with fields that readers treat differently, and for a bomb.
    """
    library, _level = _library()
    source = iter(chunks)
    held, taken = _body(source)
    inflate = library.decompressobj(wbits=-zlib.MAX_WBITS)
    check = size = 0
    while not inflate.eof:
        if not held:
            held = next(source, b"")
            taken += len(held)
        try:
            piece = inflate.decompress(held, _CHUNK)
        except (zlib.error, library.error) as error:
            raise refusal("its compressed data is damaged") from error
        if not piece and not held and not inflate.eof:
            raise refusal("it is cut short")
        held = inflate.unconsumed_tail
        check, size = library.crc32(piece, check), size + len(piece)
        if size > MOST_BYTES or size > max(HARMLESS, taken * MOST_RATIO):
            raise refusal(f"it grows to more than {size >> 20} MB, which looks like a bomb")
        if piece:
            yield piece
    trailer = inflate.unused_data + b"".join(_limited_rest(source))
    if len(trailer) < 8:  # noqa: PLR2004  checksum and length, four bytes each
        raise refusal("it is cut short")
    if trailer[:8] != check.to_bytes(4, "little") + (size % (1 << 32)).to_bytes(4, "little"):
        raise refusal("its checksum or its length is wrong")
    if len(trailer) > 8:  # noqa: PLR2004
        raise refusal("something follows its end")


def _limited_rest(source: Iterator[bytes]) -> Iterator[bytes]:
    """What is left, but never more than shows that it is too much."""
    seen = 0
    for chunk in source:
        yield chunk[:_CHUNK]
        seen += len(chunk)
        if seen > _CHUNK:
            return


def _body(source: Iterator[bytes]) -> tuple[bytes, int]:
    """What follows the header in the first pieces, and how much was read."""
    data = b""
    while True:
        chunk = next(source, b"")
        data += chunk
        end = _end_of_header(data)
        if end:
            return data[end:], len(data)
        if not chunk:
            raise refusal("it is cut short")


def _end_of_header(data: bytes) -> int:
    """Where the header ends; 0 where there is not enough of it."""
    if len(data) < len(_HEADER):
        return 0
    flags = data[3]
    if data[:3] != MAGIC + b"\x08" or flags & ~(_NAME | _COMMENT | _TEXT):
        raise refusal("its gzip header has fields that readers treat differently, or is none")
    end = len(_HEADER)
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            stop = data.find(b"\0", end, end + _LONGEST_NAME + 1)
            if stop < 0 and len(data) > end + _LONGEST_NAME:
                raise refusal("a gzip header with a name of more than 512 bytes")
            if stop < 0:
                return 0
            end = stop + 1
    return end


_LOST = "the archive could not be compressed: it unpacks to something else"
_END = b"\x03\0"  # an empty last block


class GzipWriter:
    """Compressing on every core: fast rather than small, and the header without name and time.

    A piece is compressed by itself, with the end of the one before it as its dictionary. Compressors have been wrong
    before: what comes out is unpacked again at once, and has to be what went in; the checksum is the standard library's.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._packers = ThreadPoolExecutor(process.cores())
        self._keeper = ThreadPoolExecutor(1)  # takes one piece after the other
        self._busy: deque[Future[None]] = deque()
        self._library, self._level = _library()
        self._inflate = self._library.decompressobj(wbits=-zlib.MAX_WBITS)
        self._went_in = hashlib.sha256()
        self._check = self._size = 0
        self._before = b""
        write(_HEADER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for pool in (self._packers, self._keeper):
            pool.shutdown(cancel_futures=True)

    @property
    def digest(self) -> str:
        """The SHA-256 of what went in, once all of it has."""
        return self._went_in.hexdigest()

    def add(self, piece: bytes) -> None:
        """Take a piece; raises UnprovenError where the compressor did not keep an earlier one."""
        packed = self._packers.submit(self._packed, piece, self._before)
        self._before = piece[-_WINDOW:]
        self._busy.append(self._keeper.submit(self._keep, piece, packed))
        while len(self._busy) > _AHEAD:
            self._busy.popleft().result()

    def end(self) -> None:
        """Write what comes last; raises UnprovenError where the compressor did not keep what it was given."""
        for kept in self._busy:
            kept.result()
        if self._inflate.decompress(_END) or not self._inflate.eof:
            raise UnprovenError(_LOST)
        self._write(_END + self._check.to_bytes(4, "little") + (self._size % (1 << 32)).to_bytes(4, "little"))

    def _packed(self, piece: bytes, before: bytes) -> bytes:
        dictionary = {"zdict": before} if before else {}
        deflate = self._library.compressobj(self._level, zlib.DEFLATED, -zlib.MAX_WBITS, **dictionary)
        return bytes(deflate.compress(piece) + deflate.flush(zlib.Z_SYNC_FLUSH))

    def _keep(self, piece: bytes, packing: Future[bytes]) -> None:
        self._check, self._size = zlib.crc32(piece, self._check), self._size + len(piece)
        self._went_in.update(piece)
        packed = packing.result()
        try:
            again = self._inflate.decompress(packed)
        except self._library.error as error:
            raise UnprovenError(_LOST) from error
        if again != piece:
            raise UnprovenError(_LOST)
        self._write(packed)
