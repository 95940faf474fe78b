"""What a compiled module is made for, told from its bytes as they come."""

from __future__ import annotations

import struct
import sysconfig
from pathlib import Path

import pytest

from buildguard.docker.native_modules import GLIBC, MUSL, Made, Reader


def _made(data: bytes, piece: int = 4096) -> Made | None:
    reader = Reader()
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])
    return reader.made


def _elf(machine: int, needed: bytes, *, big: bool = False) -> bytes:
    order = ">" if big else "<"
    return (
        b"\x7fELF"
        + bytes([2, 2 if big else 1, 1])
        + bytes(9)
        + struct.pack(f"{order}HH", 3, machine)
        + bytes(99)
        + needed
    )


@pytest.mark.parametrize("piece", [1, 7, 19, 20, 4096])
def test_a_real_module_in_pieces_of_any_size(piece: int) -> None:
    module = next(Path(sysconfig.get_path("platlib")).rglob("*.so"))
    whole = _made(module.read_bytes(), 1 << 24)

    assert whole is not None
    assert whole.libc == GLIBC
    assert whole.misfit(f"linux/{whole.machine}", frozenset({GLIBC})) == ""
    assert _made(module.read_bytes()[:200_000], max(piece, 1)) == _made(module.read_bytes()[:200_000], 1 << 24)


@pytest.mark.parametrize("piece", [1, 5, 1000])
@pytest.mark.parametrize(
    ("data", "made"),
    [
        (_elf(62, b"\0libc.so.6\0"), Made("amd64", GLIBC)),
        (_elf(62, b"\0libc.musl-x86_64.so.1\0"), Made("amd64", MUSL)),
        (_elf(183, b""), Made("arm64", "")),
        (_elf(22, b"\0libc.so.6\0", big=True), Made("s390x", GLIBC)),
        (_elf(9999, b""), Made("", "")),
        # both of them: nobody can tell which it really needs
        (_elf(62, b"\0libc.so.6\0libc.musl-x86_64.so.1\0"), Made("amd64", "")),
        (b"\x7fELF", None),
        (b"", None),
        (b"import os\n" * 100, None),
    ],
)
def test_headers(data: bytes, made: Made | None, piece: int) -> None:
    assert _made(data, piece) == made


@pytest.mark.parametrize(
    ("made", "platform", "libcs", "words"),
    [
        (Made("amd64", GLIBC), "linux/amd64", {GLIBC}, ""),
        (Made("amd64", GLIBC), "linux/amd64", {GLIBC, MUSL}, ""),
        (Made("amd64", MUSL), "linux/amd64", {GLIBC}, "is made for musl, and the image has glibc"),
        (Made("amd64", GLIBC), "linux/amd64", {MUSL}, "is made for glibc, and the image has musl"),
        (Made("arm64", GLIBC), "linux/amd64", {GLIBC}, "is made for arm64, and the image is for amd64"),
        # what is not known accuses nobody
        (Made("", GLIBC), "linux/amd64", {GLIBC}, ""),
        (Made("amd64", GLIBC), "linux/amd64", set(), ""),
        (Made("amd64", ""), "linux/amd64", {MUSL}, ""),
        (Made("arm64", GLIBC), "", {GLIBC}, ""),
    ],
)
def test_what_does_not_fit(made: Made, platform: str, libcs: set[str], words: str) -> None:
    assert made.misfit(platform, frozenset(libcs)) == words
