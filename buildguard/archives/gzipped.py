"""Gzip, read strictly and written the same each time: one member, no name, no time, its checksum believed only when it holds."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from buildguard.archives.tar import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAGIC = b"\x1f\x8b"
# Method deflate, no flags, no time, no level, an unknown system: the same header on every machine.
_HEADER = MAGIC + b"\x08\0\0\0\0\0\0\xff"
_NAME, _COMMENT, _TEXT = 8, 16, 1
_LONGEST_NAME = 512
_CHUNK = 1 << 20
# A bomb of zeros is a thousand times as large as its file; sources and their data are ten times at most.
_MOST_RATIO, _HARMLESS = 200, 16 << 20
MOST_BYTES = 64 << 30


def _library() -> Any:
    """The fast one where it is installed (extra `fast`), else the standard library's."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


def gunzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What a gzip file holds, in pieces of at most a megabyte.

    Raises UnprovenError for anything but one whole member with the right checksum and length and nothing after it,
    for a header with fields that readers treat differently, and for a bomb.
    """
    library = _library()
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
        if size > MOST_BYTES or size > max(_HARMLESS, taken * _MOST_RATIO):
            raise refusal(f"it grows to more than {size >> 20} MB, which looks like a bomb")
        if piece:
            yield piece
    trailer = inflate.unused_data + b"".join(_few(source))
    if len(trailer) < 8:  # noqa: PLR2004  checksum and length, four bytes each
        raise refusal("it is cut short")
    if trailer[:8] != check.to_bytes(4, "little") + (size % (1 << 32)).to_bytes(4, "little"):
        raise refusal("its checksum or its length is wrong")
    if len(trailer) > 8:  # noqa: PLR2004
        raise refusal("something follows its end")


def _few(source: Iterator[bytes]) -> Iterator[bytes]:
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


class Gzip:
    """Compressing piece by piece: fast rather than small, and the header without name and time."""

    def __init__(self) -> None:
        self._library = _library()
        self._deflate = self._library.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._check = self._size = 0
        self._header = _HEADER

    def add(self, piece: bytes) -> bytes:
        """What to write for a piece."""
        self._check, self._size = self._library.crc32(piece, self._check), self._size + len(piece)
        header, self._header = self._header, b""
        return header + bytes(self._deflate.compress(piece))

    def end(self) -> bytes:
        """What to write last."""
        length = (self._size % (1 << 32)).to_bytes(4, "little")
        return self._header + bytes(self._deflate.flush()) + self._check.to_bytes(4, "little") + length
