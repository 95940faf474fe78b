"""A zip is read strictly: its directory and its members have to agree about every byte."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from buildguard.errors import UnprovenError
from buildguard.stages.archives.tar import MemberKind
from buildguard.stages.archives.zip import ZipReader

if TYPE_CHECKING:
    from pathlib import Path

_Read = Callable[[bytes], list[tuple[bytes, MemberKind, bytes]]]


@pytest.fixture
def read(tmp_path: Path) -> _Read:
    """The path, kind and content (a link's text) of each member."""

    def of(data: bytes) -> list[tuple[bytes, MemberKind, bytes]]:
        (tmp_path / "x.zip").write_bytes(data)
        descriptor = os.open(tmp_path / "x.zip", os.O_RDONLY)
        try:
            reader = ZipReader(descriptor)
            return [(member.path, member.kind, member.link or b"".join(reader.content())) for member in reader]
        finally:
            os.close(descriptor)

    return of


def _zip(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, mode: int = stat.S_IFREG | 0o644) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as written:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type, info.create_system = mode << 16, method, 3
            written.writestr(info, data)
    return out.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_in_order(read: _Read, method: int) -> None:
    large = os.urandom(1 << 16) * 40

    assert read(_zip({"a.py": b"x = 1\n", "empty": b"", "large": large}, method)) == [
        (b"a.py", MemberKind.FILE, b"x = 1\n"),
        (b"empty", MemberKind.FILE, b""),
        (b"large", MemberKind.FILE, large),
    ]


def test_links_folders_and_others_are_told_apart(read: _Read) -> None:
    assert read(_zip({"link": b"a.py"}, mode=stat.S_IFLNK | 0o777)) == [(b"link", MemberKind.SYMLINK, b"a.py")]
    assert read(_zip({"folder/": b""}, zipfile.ZIP_STORED)) == [(b"folder/", MemberKind.FOLDER, b"")]
    assert read(_zip({"pipe": b""}, mode=stat.S_IFIFO | 0o644)) == [(b"pipe", MemberKind.OTHER, b"")]


def test_a_streamed_zip_is_read(read: _Read) -> None:
    class Pipe(io.RawIOBase):
        data = b""

        def writable(self) -> bool:
            return True

        def write(self, piece: object) -> int:
            self.data += bytes(piece)  # type: ignore[call-overload]
            return len(piece)  # type: ignore[arg-type]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr("a.py", b"x = 1\n")

    assert [member[2] for member in read(pipe.data)] == [b"x = 1\n"]


def test_an_empty_zip_has_no_member(read: _Read) -> None:
    assert read(_zip({})) == []


def _in_directory(data: bytes, offset: int, change: bytes) -> bytes:
    at = data.index(b"PK\x01\x02") + offset
    return data[:at] + change + data[at + len(change) :]


_GOOD = _zip({"a.py": b"x = 1\n" * 50})
_DAMAGED = {
    "cut": (_GOOD[:-1], "cut short"),
    "no end": (_GOOD[: _GOOD.index(b"PK\x05\x06")], "cut short"),
    "something before": (b"x" + _GOOD, "something stands before, between or behind its parts"),
    "something behind": (_GOOD + b"x", "something stands before, between or behind its parts"),
    "name in the directory": (_in_directory(_GOOD, 46, b"b.py"), "contradict each other"),
    "method": (_in_directory(_GOOD, 10, struct.pack("<H", 12)), "packed in a way"),
    "encrypted": (_in_directory(_GOOD, 8, struct.pack("<H", 1)), "encrypted"),
    "checksum in the directory": (_in_directory(_GOOD, 16, b"\0\0\0\0"), "contradict each other"),
    "offset": (_in_directory(_GOOD, 42, struct.pack("<L", 1)), "overlap, or leave room"),
    "another disk": (_in_directory(_GOOD, 34, b"\1\0"), "its directory is damaged"),
    "content": (_GOOD[:36] + b"\xff\xff\xff" + _GOOD[39:], ""),
    "a folder with content": (_zip({"folder/": b"x"}), "a folder with content"),
    "a long link": (_zip({"link": b"x" * 5000}, mode=stat.S_IFLNK), "a link of more than 4096 bytes"),
    "two members of one place": (
        _GOOD[: _GOOD.index(b"PK\x05\x06")]
        + _GOOD[_GOOD.index(b"PK\x01\x02") : _GOOD.index(b"PK\x05\x06")]
        + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, 2 * 50, _GOOD.index(b"PK\x01\x02"), 0),
        "overlap",
    ),
}


@pytest.mark.parametrize("name", _DAMAGED)
def test_what_two_readers_would_read_differently_is_refused(read: _Read, name: str) -> None:
    data, words = _DAMAGED[name]

    with pytest.raises(UnprovenError) as refused:
        read(data)

    assert words in refused.value.what


def test_a_bomb_is_refused(read: _Read) -> None:
    with pytest.raises(UnprovenError, match="looks like a bomb"):
        read(_zip({"a": bytes(90 << 20)}))


def test_a_wrong_checksum_that_both_halves_agree_on_is_refused(read: _Read) -> None:
    data = _in_directory(_GOOD, 16, b"\1\2\3\4")
    data = data[:14] + b"\1\2\3\4" + data[18:]

    with pytest.raises(UnprovenError, match="its checksum or its length is wrong"):
        read(data)


def test_a_second_name_is_refused_and_the_same_one_is_not(read: _Read) -> None:
    def named(name: bytes) -> bytes:
        extra = struct.pack("<HHBL", 0x7075, 5 + len(name), 1, 0) + name
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as written:
            info = zipfile.ZipInfo("a.py")
            info.extra = extra
            written.writestr(info, b"x")
        return out.getvalue()

    assert [member[0] for member in read(named(b"a.py"))] == [b"a.py"]
    with pytest.raises(UnprovenError, match="it has two names"):
        read(named(b"b.py"))


@pytest.mark.parametrize("system", [b"\0", b"\3"])
def test_a_backslash_is_refused(read: _Read, system: bytes) -> None:
    with pytest.raises(UnprovenError, match="a backslash in a name"):
        read(_in_directory(_zip({"a\\b.py": b"x"}), 5, system))


def test_a_name_counts_only_where_every_reader_decodes_it_alike(read: _Read) -> None:
    marked = _zip({"\xfc.py": b"x"})
    unmarked = _flags(marked, 0)
    odd = marked.replace("\xfc".encode(), b"\xff\xfe")

    assert [member[0] for member in read(marked)] == ["\xfc.py".encode()]
    with pytest.raises(UnprovenError, match="not marked as UTF-8"):
        read(unmarked)
    with pytest.raises(UnprovenError, match="is marked as UTF-8 and is none"):
        read(odd)


def _flags(data: bytes, flags: int) -> bytes:
    """The same zip of one member with other flags in both of its headers."""
    changed = bytearray(data)
    struct.pack_into("<H", changed, 6, flags)
    struct.pack_into("<H", changed, data.index(b"PK\1\2") + 8, flags)
    return bytes(changed)


def test_attributes_that_readers_take_differently_are_refused(read: _Read) -> None:
    data = _zip({"a.py": b"x"})

    with pytest.raises(UnprovenError, match="packed on a system"):
        read(_in_directory(data, 5, bytes([19])))
    with pytest.raises(UnprovenError, match="a folder by its attributes"):
        read(_in_directory(data, 38, b"\x10"))
    with pytest.raises(UnprovenError, match="no proper name"):
        read(_zip({"/": b""}))
