"""Reading a tar as a stream: strictly, without extracting anything, in memory that does not grow with it.

Own code, because an archive under check is data to be judged: parsers that forgive (CPython's tarfile among them)
end silently on damage and drop what they do not understand. Whatever two good parsers read differently is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NoReturn

from buildguard.definitions import NamedTuple, StrEnum, lazy_pattern
from buildguard.diagnostic import display_path
from buildguard.errors import UnprovenError

CUT_OFF = lazy_pattern(rb"[A-Za-z]:|\\")  # how a path of Windows begins: bsdtar cuts it off on every system
_BLOCK = 512
_CHUNK = 1 << 20
_LONGEST_HEADER = 1 << 20  # names are a few hundred bytes, attributes some thousands; more is an attack on parsers
_MOST_PADDING = 1 << 20  # what a blocking factor may add behind the end
_LARGEST_NUMBER = 1 << 62
_UNUSED_NUMBERS = ((108, 116), (116, 124), (329, 337), (337, 345))  # owner, group and device, which some parsers refuse
_OVERFLOW = 8**11  # from here on a size does not fit a header's eleven digits


class MemberKind(StrEnum):
    """What a member of an archive is."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    OTHER = "other"


_KINDS = {
    b"\0": MemberKind.FILE,
    b"0": MemberKind.FILE,
    b"1": MemberKind.HARDLINK,
    b"2": MemberKind.SYMLINK,
    b"3": MemberKind.OTHER,
    b"4": MemberKind.OTHER,
    b"5": MemberKind.FOLDER,
    b"6": MemberKind.OTHER,
}
_EXTENSIONS = {b"x": "pax", b"L": "GNU", b"K": "GNU"}
# What changes neither names nor content; anything else in an extended header is refused.
_NAMES = frozenset((b"path", b"linkpath", b"size"))
_HARMLESS = frozenset((b"uname", b"gname", b"comment"))
_TIMES = frozenset((b"mtime", b"atime", b"ctime", b"LIBARCHIVE.creationtime"))
_OWNERS = frozenset((b"uid", b"gid"))
_MOST_OWNERS = 1 << 32
_HARMLESS_SPACES = (b"SCHILY.xattr.", b"SCHILY.acl.", b"SCHILY.fflags", b"LIBARCHIVE.xattr.", b"RHT.security.")
_STAR_NUMBERS = frozenset((b"SCHILY.dev", b"SCHILY.ino", b"SCHILY.nlink"))
_CHARSETS = frozenset((b"BINARY", b"ISO-IR 10646 2000 UTF-8"))


class TarMember(NamedTuple):
    """One entry of an archive: its path as it stands there, permission bits, content size, and mtime in seconds."""

    path: bytes
    kind: MemberKind
    mode: int
    size: int
    link: bytes
    mtime: int


def _contradiction(member: TarMember) -> str:
    """Why a member contradicts itself; empty where it does not."""
    if member.kind is not MemberKind.FILE and member.size:
        return "it is no file, and has content"
    if not member.path or b"\0" in member.path or b"\0" in member.link:
        return "it has no proper name"
    if member.kind is MemberKind.FILE and member.path.endswith(b"/"):
        return "a file by its type and a folder by its name"
    if member.kind in {MemberKind.SYMLINK, MemberKind.HARDLINK} and not member.link:
        return "a link to nothing"
    return ""


class TarReader:
    """The members of a tar that comes in pieces; the content of each is read, or passed over, before the next.

    `comment` is what the archive says of itself as a whole: `git archive` puts the commit's id there.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.comment = ""
        self._chunks = iter(chunks)
        self._held = b""
        self._at = 0
        self._left = 0
        self._padding = 0
        self._last = b""

    def __iter__(self) -> Iterator[TarMember]:
        """Every member in order; raises UnprovenError for an archive that is damaged, cut or ambiguous."""
        while True:
            for _piece in self.content():
                pass
            if self._exactly(self._padding).strip(b"\0"):
                self._refuse("its padding is not empty")
            self._padding = 0
            member = self._next()
            if member is None:
                return
            self._last = member.path
            yield member

    def content(self) -> Iterator[bytes]:
        """The content of the member that came last, in pieces of a megabyte: the first one tells how it begins."""
        while self._left:
            size = min(self._left, _CHUNK)
            self._left -= size
            yield self._exactly(size)

    def _next(self) -> TarMember | None:
        extended: dict[bytes, bytes] = {}
        seen: set[bytes] = set()
        while True:
            block = self._exactly(_BLOCK)
            if block == bytes(_BLOCK):
                if seen:
                    self._refuse("an extended header belongs to no member")
                self._end()
                return None
            header = self._header(block)
            if header.type in _EXTENSIONS:
                if header.type in seen or (seen and b"x" in {header.type, *seen}):
                    self._refuse("a member has several extended headers, which parsers understand differently")
                seen.add(header.type)
                extended |= self._extension(header.type, self._extended(header))
            elif header.type == b"g":
                if seen:
                    self._refuse("a global header stands between a member and its extended header")
                self._global(self._extended(header))
            else:
                return self._member(header, extended)

    def _extended(self, header: _TarHeader) -> bytes:
        if header.size > _LONGEST_HEADER:
            self._refuse("an extended header of more than a megabyte")
        data = self._exactly(header.size)
        if self._exactly(-header.size % _BLOCK).strip(b"\0"):
            self._refuse("an extended header's padding is not empty")
        return data

    def _member(self, header: _TarHeader, extended: dict[bytes, bytes]) -> TarMember:
        path = extended.get(b"path", header.path)
        link = extended.get(b"linkpath", header.link) if header.link else b""  # bsdtar takes the latter for a file
        if header.type not in _KINDS:
            self._refuse(f"it is of the type {header.type!r}: neither file, folder nor link", path)
        size = self._size(header, extended, path)
        mtime = self._seconds(extended[b"mtime"]) if b"mtime" in extended else header.mtime
        member = TarMember(path, _KINDS[header.type], header.mode, size, link, mtime)
        why = _contradiction(member)
        if why:
            self._refuse(why, path)
        self._left, self._padding = size, -size % _BLOCK
        return member

    def _size(self, header: _TarHeader, extended: dict[bytes, bytes], path: bytes) -> int:
        if b"size" not in extended:
            return header.size
        size = self._decimal(extended[b"size"])
        if size != header.size and size < _OVERFLOW:
            self._refuse("its two sizes contradict each other", path)
        return size

    def _end(self) -> None:
        """An end is two blocks of zeros, and nothing but some more zeros after them."""
        if self._exactly(_BLOCK) != bytes(_BLOCK):
            self._refuse("a lone block of zeros in the middle")
        rest = 0
        for chunk in chain((self._held[self._at :],), self._chunks):
            rest += len(chunk)
            if chunk.strip(b"\0") or rest > _MOST_PADDING:
                self._refuse("something follows its end")
        self._held, self._at = b"", 0

    def _exactly(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._held):
            pieces = [self._held[self._at :]]
            missing = size - len(pieces[0])
            while missing > 0:
                chunk = next(self._chunks, None)
                if chunk is None:
                    self._refuse("it is cut short")
                pieces.append(chunk)
                missing -= len(chunk)
            self._held, self._at, end = b"".join(pieces), 0, size
        data = self._held[self._at : end]
        self._at = end
        return data

    # ---------------------------------------------------------------------------------- fields

    def _header(self, block: bytes) -> _TarHeader:
        if self._octal(block[148:156]) != sum(block[:148]) + sum(block[156:]) + 8 * 0x20:
            self._refuse("a header's checksum is wrong")
        magic = block[257:265]
        if magic not in {b"ustar\x0000", b"ustar  \0"}:
            self._refuse("a header is older than POSIX, or none")
        posix = magic[5] == 0
        if not posix and block[345:512].strip(b"\0"):
            self._refuse("a header in GNU's old form says what only some parsers read")
        for start, end in _UNUSED_NUMBERS:
            if self._octal(block[start:end]) >= _MOST_OWNERS:
                self._refuse("the number of an owner or a device is too large")
        name, prefix = _text(block[:100]), _text(block[345:500]) if posix else b""
        if block[156:157] == b"\0" and name.endswith(b"/"):
            self._refuse("a file by its type and a folder by its name", name)
        return _TarHeader(
            prefix + b"/" + name if prefix else name,
            block[156:157],
            self._octal(block[100:108]) & 0o7777,
            self._octal(block[124:136]),
            self._octal(block[136:148]),
            _text(block[157:257]),
        )

    def _octal(self, field: bytes) -> int:
        if field[0] & 0x80:  # GNU's base 256, for what does not fit
            number = int.from_bytes(field[1:], "big")
            if field[0] != 0x80 or number >= _LARGEST_NUMBER:  # noqa: PLR2004  0xff would be negative
                self._refuse("a number in a header is negative, or too large")
            return number
        digits = field.lstrip(b" ").rstrip(b"\0 ")
        if digits.strip(b"01234567") or (not digits and b" " in field):
            self._refuse("a number in a header is none")
        return int(digits, 8) if digits else 0

    def _extension(self, kind: bytes, data: bytes) -> dict[bytes, bytes]:
        if kind != b"x":
            name = data.removesuffix(b"\0")
            if not name or b"\0" in name:
                self._refuse("a long name is none")
            return {b"path" if kind == b"L" else b"linkpath": name}
        records = self._records(data)
        for key, value in records.items():
            if not self._is_understood(key, value):
                words = display_path(key[:80])
                self._refuse(f"an extended header says '{words}', which not every parser understands")
        return records

    def _is_understood(self, key: bytes, value: bytes) -> bool:
        """Whether every parser takes a record alike; a number that some of them refuse raises UnprovenError."""
        if key in _TIMES:
            self._seconds(value)
        elif key in _STAR_NUMBERS:
            self._decimal(value)
        elif key in _OWNERS:
            if self._decimal(value) >= _MOST_OWNERS:
                self._refuse("an owner's number in an extended header is too large")
        elif key == b"hdrcharset":
            return value in _CHARSETS
        else:
            return key in _NAMES | _HARMLESS or key.startswith(_HARMLESS_SPACES)
        return True

    def _global(self, data: bytes) -> None:
        records = self._records(data)
        if records.keys() - {b"comment"}:
            self._refuse("a global header says more than a comment")
        self.comment = records.get(b"comment", b"").decode("utf-8", "backslashreplace")

    def _records(self, data: bytes) -> dict[bytes, bytes]:
        records: dict[bytes, bytes] = {}
        at = 0
        while at < len(data):
            space = data.find(b" ", at, at + 20)
            length = self._decimal(data[at:space]) if space > at else 0
            record = data[space + 1 : at + length]
            key, equals, value = record.partition(b"=")
            broken = length <= space - at or at + length > len(data) or not value.endswith(b"\n")
            if broken or not equals or not key or value == b"\n":
                self._refuse("an extended header cannot be read")
            if key in records:
                self._refuse("an extended header says something twice")
            records[key] = value[:-1]
            at += length
        return records

    def _decimal(self, text: bytes) -> int:
        if not text or text.strip(b"0123456789") or len(text) > 19 or (text[:1] == b"0" and text != b"0"):  # noqa: PLR2004
            self._refuse("a number in an extended header is none")
        return int(text)

    def _seconds(self, text: bytes) -> int:
        whole, _, fraction = text.partition(b".")
        digits = whole.removeprefix(b"-")
        if not digits or digits.strip(b"0123456789") or fraction.strip(b"0123456789") or len(digits) > 19:  # noqa: PLR2004
            self._refuse("a time in an extended header is none")
        if int(digits) >= _LARGEST_NUMBER:
            self._refuse("a time in an extended header is too large")
        return int(whole)

    def _refuse(self, why: str, path: bytes = b"") -> NoReturn:
        """Say what is wrong; `path` is the member, or the last one that was read, where that helps to find the place."""
        raise refusal(why, path or self._last, after=not path)


class _TarHeader(NamedTuple):
    """The fields of a header block whose checksum is right."""

    path: bytes
    type: bytes
    mode: int
    size: int
    mtime: int
    link: bytes


class RefusedArchiveError(UnprovenError):
    """An archive that is refused; `has_place` says whether its words name a member."""

    has_place = False


def refusal(why: str, path: bytes = b"", *, after: bool = False, hint: str = "") -> RefusedArchiveError:
    """That an archive is refused: why, and at (or behind) which member."""
    where = f" ({'after ' if after else ''}{display_path(path)})" if path else ""
    error = RefusedArchiveError(f"the archive cannot be trusted: {why}{where}", hint=hint)
    error.has_place = bool(path)
    return error


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
