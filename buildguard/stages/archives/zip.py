"""Reading a zip strictly: its directory and its members have to agree about every byte of the file.

A zip says everything twice, and readers believe different halves. Here the members lie one behind the other from the
first byte to the directory, each as the directory has it: nothing is hidden between, before or behind them.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.stages.archives.gzip import HARMLESS, MOST_RATIO
from buildguard.stages.archives.tar import MemberKind, TarMember, refusal

_END_MARK, _ENTRY_MARK, _LOCAL_MARK, _DESCRIPTOR_MARK = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04", b"PK\x07\x08"
MAGIC = (_LOCAL_MARK, _END_MARK)
_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_LONGEST_COMMENT = 0xFFFF
_STREAMED, _UTF8 = 0x8, 0x800
_HARMLESS_FLAGS = 0x6 | _STREAMED | _UTF8  # and how hard deflate tried
_STORED, _DEFLATED = 0, 8
_ON_UNIX = 3
_SYSTEMS = frozenset(
    (0, _ON_UNIX, 10, 11, 14)
)  # DOS, Unix, and Windows under three numbers: of others readers take the modes or not
_DOS_FOLDER = 0x10
_UNICODE_PATH, _ZIP64 = 0x7075, 0x0001
_CHUNK = 1 << 20
_LONGEST_LINK, _LARGEST_DIRECTORY = 4096, 64 << 20


class _DirectoryRecord(NamedTuple):
    """A member as the directory has it."""

    path: bytes
    flags: int
    method: int
    check: int
    packed: int
    size: int
    mode: int
    unix: bool
    offset: int


class ZipReader:
    """The members of a zip file; the content of each is read, or passed over, before the next."""

    comment = ""

    def __init__(self, descriptor: int) -> None:
        """`descriptor` is an open file that can be read anywhere."""
        self._file = descriptor
        self._content: Iterator[bytes] = iter(())

    def __iter__(self) -> Iterator[TarMember]:
        """Every member in order; raises UnprovenError for a zip that is damaged, cut or ambiguous."""
        total = os.fstat(self._file).st_size
        start, size, count = self._end(total)
        listed = sorted(self._directory(start, size, count), key=lambda record: record.offset)
        if sum(record.size for record in listed) > max(HARMLESS, MOST_RATIO * total):
            raise refusal("it grows to more than two hundred times its size, which looks like a bomb")
        at = 0
        for record in listed:
            if record.offset != at:
                raise refusal("its members overlap, or leave room between them", record.path)
            data = at + self._local(record)
            kind, link = self._kind(record, data)
            self._content = self._inflated(record, data) if kind is MemberKind.FILE else iter(())
            yield TarMember(
                record.path, kind, stat.S_IMODE(record.mode), record.size if kind is MemberKind.FILE else 0, link, 0
            )
            for _rest in self._content:
                pass
            at = self._behind(record, data + record.packed, start)
        if at != start:
            raise refusal("it holds something that its directory does not list")

    def content(self) -> Iterator[bytes]:
        """The content of the member that came last."""
        yield from self._content

    def _kind(self, record: _DirectoryRecord, data: int) -> tuple[MemberKind, bytes]:
        if record.path.endswith(b"/"):
            if record.size:
                raise refusal("a folder with content", record.path)
            return MemberKind.FOLDER, b""
        form = stat.S_IFMT(record.mode) if record.unix else 0
        if form == stat.S_IFLNK and record.size > _LONGEST_LINK:
            raise refusal("a link of more than 4096 bytes", record.path)
        if form == stat.S_IFLNK:
            return MemberKind.SYMLINK, b"".join(self._inflated(record, data))
        if form not in {0, stat.S_IFREG}:
            return MemberKind.OTHER, b""
        return MemberKind.FILE, b""

    def _end(self, total: int) -> tuple[int, int, int]:
        """Where the directory begins, its size, and how many members it lists."""
        behind = max(0, total - _END.size - _LONGEST_COMMENT)
        tail = self._read(behind, total - behind)
        at = tail.rfind(_END_MARK)
        if at < 0 or len(tail) < at + _END.size:
            raise refusal("it is cut short")
        _mark, disk, first, here, count, size, start, comment = _END.unpack_from(tail, at)
        if size > _LARGEST_DIRECTORY:
            raise refusal("its directory is larger than 64 MB")
        if disk or first or here != count or count == 0xFFFF or 0xFFFFFFFF in {size, start}:  # noqa: PLR2004
            raise refusal("a zip of several parts, or of more than 4 GB or 65,534 members")
        if at + _END.size + comment != len(tail) or start + size != behind + at:
            raise refusal("something stands before, between or behind its parts")
        return start, size, count

    def _directory(self, start: int, size: int, count: int) -> Iterator[_DirectoryRecord]:
        data = self._read(start, size)
        at = 0
        for _ in range(count):
            if data[at : at + 4] != _ENTRY_MARK or len(data) < at + _ENTRY.size:
                raise refusal("its directory is damaged")
            fields = _ENTRY.unpack_from(data, at)
            made_by, _need, flags, method, _time, _date, check, packed, length = fields[1:10]
            name, extra, comment, disk, _inside, attributes, offset = fields[10:]
            at += _ENTRY.size
            path, more = data[at : at + name], data[at + name : at + name + extra]
            at += name + extra + comment
            if at > len(data) or disk:
                raise refusal("its directory is damaged")
            _refuse_ambiguous(path, flags, method, more)
            on_unix = made_by >> 8 == _ON_UNIX
            _refuse_ambiguous_origin(path, made_by >> 8, attributes)
            mode = attributes >> 16 if on_unix else 0
            yield _DirectoryRecord(path, flags, method, check, packed, length, mode, on_unix, offset)
        if at != len(data):
            raise refusal("its directory lists more, or less, than it says")

    def _local(self, record: _DirectoryRecord) -> int:
        """The size of a member's own header, which has to say what the directory says."""
        fixed = self._read(record.offset, _LOCAL.size)
        if len(fixed) < _LOCAL.size or fixed[:4] != _LOCAL_MARK:
            raise refusal("a member is not where its directory says", record.path)
        fields: tuple[int, ...] = _LOCAL.unpack(fixed)[2:]
        flags, method, _time, _date, check, packed, size, name, extra = fields
        more = self._read(record.offset + _LOCAL.size, name + extra)
        _refuse_ambiguous(record.path, flags, method, more[name:])
        local_sizes = (check, packed, size)
        streamed = bool(flags & _STREAMED) and local_sizes == (0, 0, 0)
        if (flags, method, more[:name]) != (record.flags, record.method, record.path) or len(more) != name + extra:
            raise refusal("a member and its directory contradict each other", record.path)
        if not streamed and local_sizes != (record.check, record.packed, record.size):
            raise refusal("a member and its directory contradict each other", record.path)
        return _LOCAL.size + name + extra

    def _behind(self, record: _DirectoryRecord, at: int, start: int) -> int:
        """Where a member ends: a streamed one repeats its checksum and sizes behind its data."""
        if not record.flags & _STREAMED:
            return at
        sizes = struct.pack("<3L", record.check, record.packed, record.size)
        tail = self._read(at, 16)
        for text in (_DESCRIPTOR_MARK + sizes, sizes):
            if tail.startswith(text) and at + len(text) <= start:
                return at + len(text)
        raise refusal("a member and its directory contradict each other", record.path)

    def _inflated(self, record: _DirectoryRecord, at: int) -> Iterator[bytes]:
        """A member's content in pieces; raises UnprovenError where it is not what the directory says."""
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        left, check, size = record.packed, 0, 0
        while True:
            packed = self._read(at, min(left, _CHUNK))
            at, left = at + len(packed), left - len(packed)
            pieces: Iterable[bytes] = (packed,) if record.method == _STORED else _pieces(inflate, packed, record.path)
            for piece in pieces:
                check, size = zlib.crc32(piece, check), size + len(piece)
                if size > record.size:
                    raise refusal("it is larger than its directory says", record.path)
                if piece:
                    yield piece
            if not left or not packed:
                break
        whole = record.method == _STORED or (inflate.eof and not inflate.unused_data)
        if left or not whole or size != record.size or check != record.check:
            raise refusal("its checksum or its length is wrong", record.path)

    def _read(self, at: int, size: int) -> bytes:
        return os.pread(self._file, size, at)


def _pieces(inflate: Any, packed: bytes, path: bytes) -> Iterator[bytes]:
    while packed:
        try:
            yield inflate.decompress(packed, _CHUNK)
        except zlib.error as error:
            raise refusal("its compressed data is damaged", path) from error
        packed = inflate.unconsumed_tail


def _refuse_ambiguous_origin(path: bytes, system: int, attributes: int) -> None:
    """Refuse what readers understand differently by the system that a member comes from."""
    if system not in _SYSTEMS:
        raise refusal("it was packed on a system whose attributes readers understand differently", path)
    if b"\\" in path:
        raise refusal("a backslash in a name, which some readers take for a slash", path)
    if attributes & _DOS_FOLDER and not path.endswith(b"/"):
        raise refusal("a folder by its attributes, and none by its name", path)


def _refuse_ambiguous_name(path: bytes, flags: int) -> None:
    """Refuse a name that readers decode differently."""
    if path in {b"", b"/"} or b"\0" in path:
        raise refusal("it has no proper name", path)
    if path.isascii():
        return
    if not flags & _UTF8:
        raise refusal(
            "a name outside of ASCII that is not marked as UTF-8",
            path,
            hint="zip -UN=UTF8 marks names; a .tar.gz needs no mark",
        )
    try:
        path.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refusal("a name that is marked as UTF-8 and is none", path) from error


def _refuse_ambiguous(path: bytes, flags: int, method: int, extra: bytes) -> None:
    """Refuse what two readers understand differently."""
    _refuse_ambiguous_name(path, flags)
    if flags & ~_HARMLESS_FLAGS or method not in {_STORED, _DEFLATED}:
        raise refusal("it is encrypted, or packed in a way that not every reader knows", path)
    at = 0
    while at < len(extra):
        kind, size = struct.unpack_from("<2H", extra, at) if len(extra) >= at + 4 else (0, len(extra))
        value = extra[at + 4 : at + 4 + size]
        if len(value) != size or kind == _ZIP64:
            raise refusal("its extra fields are damaged, or say that it is larger than 4 GB", path)
        # Info-ZIP's second name is its first one with a checksum before it, or another one for some readers
        if kind == _UNICODE_PATH and value[5:] != path:
            raise refusal("it has two names, and readers choose different ones", path)
        at += 4 + size
