"""Reading a tar as a stream: strictly, without extracting anything, in memory that does not grow with it.

Own code, because an archive under check is data to be judged: parsers that forgive (CPython's tarfile among them)
end silently on damage and drop what they do not understand. Whatever is odd here is refused by name.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from buildguard.diagnostic import shown_path
from buildguard.errors import UnprovenError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BLOCK = 512
_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 20  # names are a few hundred bytes; a longer header is an attack on parsers


class MemberKind(Enum):
    """What a member of an archive is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    OTHER = "other"


_KINDS = {
    b"\0": MemberKind.FILE,
    b"0": MemberKind.FILE,
    b"7": MemberKind.FILE,
    b"1": MemberKind.HARDLINK,
    b"2": MemberKind.SYMLINK,
    b"3": MemberKind.OTHER,
    b"4": MemberKind.OTHER,
    b"5": MemberKind.FOLDER,
    b"6": MemberKind.OTHER,
}


class Member(NamedTuple):
    """One entry of an archive: its path as it stands there, permission bits, content size, and mtime in seconds."""

    path: bytes
    kind: MemberKind
    mode: int
    size: int
    link: bytes
    mtime: int


class TarReader:
    """The members of a tar that comes in pieces; the content of each is read, or passed over, before the next."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """Every member in order; raises UnprovenError for an archive that is damaged, cut or ambiguous."""
        while True:
            for _piece in self.content():
                pass
            self._exactly(self._padding)
            self._padding = 0
            member = self._next()
            if member is None:
                return
            yield member

    def content(self) -> Iterator[bytes]:
        """The content of the member that came last, in pieces of a megabyte: the first one tells how it begins."""
        while self._left:
            size = min(self._left, _CHUNK)
            self._left -= size
            yield self._exactly(size)

    def _next(self) -> Member | None:
        extended: dict[bytes, bytes] = {}
        while True:
            block = self._exactly(_BLOCK)
            if block == bytes(_BLOCK):
                self._end()
                return None
            header = _Header(block)
            if header.type in {b"x", b"L", b"K"}:
                if header.size > _LONGEST_HEADER:
                    raise _damaged("a header of more than a megabyte")
                data = self._exactly(header.size)
                self._exactly(-header.size % _BLOCK)
                extended |= _extension(header.type, data)
            elif header.type == b"g":
                self._exactly(header.size + -header.size % _BLOCK)  # comments of git archive and the like
            else:
                return self._member(header, extended)

    def _member(self, header: _Header, extended: dict[bytes, bytes]) -> Member:
        path = extended.get(b"path", header.path)
        if header.type not in _KINDS:
            raise _damaged(f"{shown_path(path)} is of an unknown type {header.type!r}")
        if any(key.startswith(b"GNU.sparse") for key in extended):
            raise _damaged(f"{shown_path(path)} is stored as a sparse file")
        kind = _KINDS[header.type]
        size = _decimal(extended[b"size"]) if b"size" in extended else header.size
        if kind is not MemberKind.FILE and size:
            raise _damaged(f"{shown_path(path)} is no file, and has content")
        if not path or b"\0" in path:
            raise _damaged("a member without a proper name")
        self._left, self._padding = size, -size % _BLOCK
        mtime = _seconds(extended[b"mtime"]) if b"mtime" in extended else header.mtime
        return Member(path, kind, header.mode, size, extended.get(b"linkpath", header.link), mtime)

    def _end(self) -> None:
        """An end is two blocks of zeros, and nothing but zeros after them."""
        if self._exactly(_BLOCK) != bytes(_BLOCK):
            raise _damaged("a lone block of zeros in the middle")
        for chunk in (self._held, *self._chunks):
            if chunk.strip(b"\0"):
                raise _damaged("something follows its end")
        self._held = b""

    def _some(self, most: int) -> bytes:
        while not self._held:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise _damaged("it is cut short")
            self._held = chunk
        piece, self._held = self._held[:most], self._held[most:]
        return piece

    def _exactly(self, size: int) -> bytes:
        pieces = []
        while size:
            piece = self._some(size)
            size -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)


class _Header:
    """The fields of a header block whose checksum is right."""

    def __init__(self, block: bytes) -> None:
        if _octal(block[148:156]) != sum(block[:148]) + sum(block[156:]) + 8 * 0x20:
            raise _damaged("a header's checksum is wrong")
        if block[257:262] != b"ustar":
            raise _damaged("a header is older than POSIX, or none")
        self.type = block[156:157]
        self.mode = _octal(block[100:108]) & 0o7777
        self.size = _octal(block[124:136])
        self.mtime = _octal(block[136:148])
        self.link = _text(block[157:257])
        name = _text(block[:100])
        prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else b""
        self.path = prefix + b"/" + name if prefix else name


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _octal(field: bytes) -> int:
    if field[0] & 0x80:  # GNU's base 256, for what does not fit
        if field[0] != 0x80:  # noqa: PLR2004  0xff would be negative
            raise _damaged("a negative number in a header")
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ")
    if digits.strip(b"01234567"):
        raise _damaged("a number in a header is none")
    return int(digits, 8) if digits else 0


def _extension(kind: bytes, data: bytes) -> dict[bytes, bytes]:
    if kind != b"x":
        return {b"path" if kind == b"L" else b"linkpath": data.rstrip(b"\0")}
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = _decimal(data[at:space]) if space > at else 0
        record = data[space + 1 : at + length]
        key, equals, value = record.partition(b"=")
        if length <= space - at or at + length > len(data) or not equals or not value.endswith(b"\n"):
            raise _damaged("an extended header cannot be read")
        if key in found:
            raise _damaged("an extended header says something twice")
        found[key] = value[:-1]
        at += length
    return found


def _decimal(text: bytes) -> int:
    if not text.isdigit():
        raise _damaged("a number in an extended header is none")
    return int(text)


def _seconds(text: bytes) -> int:
    whole, _, fraction = text.partition(b".")
    if not whole.removeprefix(b"-").isdigit() or fraction.strip(b"0123456789"):
        raise _damaged("a time in an extended header is none")
    return int(whole)


def _damaged(what: str) -> UnprovenError:
    return UnprovenError(f"the archive cannot be trusted: {what}")
