"""The tar reader: what good archives hold, and that no damage goes by in silence."""

from __future__ import annotations

import io
import os
import random
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from buildguard.errors import UnprovenError
from buildguard.stages.archives.tar import MemberKind, TarMember, TarReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAMES = [
    "a.py",
    "long" * 60 + "/" + "deep" * 20 + ".py",
    "ünï.py",
    os.fsdecode(b"n\xff\xe9.py"),
    "empty",
    "sp ace\n.py",
]


def _read(data: bytes, piece: int = 1000) -> list[tuple[TarMember, bytes]]:
    reader = TarReader(data[at : at + piece] for at in range(0, len(data), piece))
    return [(member, b"".join(reader.content())) for member in reader]


def _archive(form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as tar:
        for at, name in enumerate(_NAMES):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = (
                (0, 0o644, 1) if name == "empty" else (at * 700 + 1, 0o755, 1_700_000_000)
            )
            tar.addfile(info, io.BytesIO(bytes([65 + at]) * info.size))
        for kind, name, target in (
            (tarfile.SYMTYPE, "soft", "a.py"),
            (tarfile.LNKTYPE, "hard", "a.py"),
            (tarfile.DIRTYPE, "d", ""),
            (tarfile.FIFOTYPE, "fifo", ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
    return out.getvalue()


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
@pytest.mark.parametrize("piece", [1, 511, 1 << 20])
def test_what_a_tar_holds(form: int, piece: int) -> None:
    found = _read(_archive(form), piece)

    assert [member.path for member, _data in found] == [*map(os.fsencode, _NAMES), b"soft", b"hard", b"d/", b"fifo"]
    assert [data for _member, data in found[:6]] == [
        b"" if name == "empty" else bytes([65 + at]) * (at * 700 + 1) for at, name in enumerate(_NAMES)
    ]
    assert [member.kind for member, _data in found[5:]] == [
        MemberKind.FILE,
        MemberKind.SYMLINK,
        MemberKind.HARDLINK,
        MemberKind.FOLDER,
        MemberKind.OTHER,
    ]
    assert (found[0][0].mode, found[0][0].mtime, found[6][0].link) == (0o755, 1_700_000_000, b"a.py")


@pytest.mark.interpreters
def test_gnu_tar(tmp_path: Path) -> None:
    for name in _NAMES:
        file = tmp_path / "x" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name, "utf-8", "surrogateescape")
    for form in ("gnu", "pax", "ustar"):
        made = subprocess.run(
            ["tar", "-c", "-f", "-", f"--format={form}", "-C", tmp_path, "x"], capture_output=True, check=False
        )
        if made.returncode == 0:
            found = {member.path: data for member, data in _read(made.stdout) if member.kind is MemberKind.FILE}
            assert found == {b"x/" + os.fsencode(name): os.fsencode(name) for name in _NAMES}


def test_content_that_is_not_read_is_passed_over() -> None:
    reader = TarReader([_archive(tarfile.PAX_FORMAT)])

    assert [member.path for member in reader][:2] == [b"a.py", os.fsencode(_NAMES[1])]


def test_the_first_piece_tells_how_a_file_begins() -> None:
    """However the stream is cut: who looks for `#!` sees it whole."""
    data = _archive(tarfile.PAX_FORMAT)
    reader = TarReader(data[at : at + 1] for at in range(len(data)))
    first = [(member.size, len(next(reader.content(), b""))) for member in reader]

    assert all(size == seen for size, seen in first)
    assert any(size > 2000 for size, _seen in first)


def _headers(data: bytes) -> Iterator[int]:
    """Where the header blocks of an archive lie."""
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar.getmembers():
            yield member.offset


def _listing(data: bytes) -> list[TarMember] | None:
    try:
        return [member for member, _content in _read(data)]
    except UnprovenError:
        return None


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_every_cut_is_noticed(form: int) -> None:
    data = _archive(form).rstrip(b"\0")
    end = len(data) + -len(data) % 512
    whole = _archive(form)[: end + 1024]
    assert _listing(whole) is not None

    for at in (*range(0, len(whole), 512), *range(1, len(whole), 377)):
        assert _listing(whole[:at]) is None, at


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_flipped_header_is_noticed(form: int) -> None:
    data = _archive(form)
    dice = random.Random(4)
    for header in _headers(data):
        for _ in range(60):
            at, bit = header + dice.randrange(512), 1 << dice.randrange(8)
            hurt = bytearray(data)
            hurt[at] ^= bit
            assert _listing(bytes(hurt)) is None, (header, at - header, bit)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data + b"more", "something follows its end"),
        (lambda data: data + data, "something follows its end"),
        (
            lambda data: (
                data[: data.rindex(b"fifo")] + data[data.rindex(b"fifo") + 512 :][:512] + _archive(tarfile.PAX_FORMAT)
            ),
            "lone block",
        ),
        (lambda data: bytes(512) + data, "lone block"),
        (lambda data: b"", "cut short"),
        (lambda data: b"PK\3\4" + data, "a header|a number"),
    ],
)
def test_what_is_no_archive(change: object, words: str) -> None:
    with pytest.raises(UnprovenError, match=words):
        _read(change(_archive(tarfile.PAX_FORMAT)))  # type: ignore[operator]


def _crafted(**fields: bytes) -> bytes:
    """One header with fields of our own, its checksum right, and an end."""
    info = tarfile.TarInfo("x")
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    places = {"size": (124, 12), "type": (156, 1), "magic": (257, 8), "mode": (100, 8), "name": (0, 100)}
    for name, value in fields.items():
        start, length = places[name]
        block[start : start + length] = value.ljust(length, b"\0")
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(1024)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": b"\xff" * 12}, "is negative"),
        ({"size": b"77777777777\0"}, "cut short"),
        ({"size": b"12x\0"}, "a number in a header is none"),
        ({"type": b"Z"}, "neither file, folder nor link"),
        ({"type": b"S"}, "neither file, folder nor link"),
        ({"type": b"5", "size": b"00000000001\0"}, "is no file, and has content"),
        ({"magic": b""}, "older than POSIX"),
        ({"name": b""}, "no proper name"),
        ({"type": b"x", "size": b"77777777777\0"}, "extended header of more than a megabyte"),
    ],
)
def test_hostile_headers(fields: dict[str, bytes], words: str) -> None:
    with pytest.raises(UnprovenError, match=words):
        _read(_crafted(**fields))


@pytest.mark.parametrize(
    "record",
    [b"9 path=x\n9 path=y\n", b"99 path=x\n", b"0 path=x\n", b"x path=y\n", b"8 pathx\n", b"22 GNU.sparse.major=1\n"],
)
def test_hostile_extended_headers(record: bytes) -> None:
    info = tarfile.TarInfo("x")
    head = tarfile.TarInfo("head")
    head.type, head.size = tarfile.XHDTYPE, len(record)
    data = head.tobuf(tarfile.USTAR_FORMAT) + record.ljust(512, b"\0") + info.tobuf(tarfile.USTAR_FORMAT) + bytes(1024)

    with pytest.raises(UnprovenError, match="cannot be trusted"):
        _read(data)
