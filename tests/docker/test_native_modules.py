"""What a compiled module is made for, told from its bytes as they come."""

from __future__ import annotations

import struct
import sysconfig
from pathlib import Path

import pytest

from buildguard.docker.native_modules import GLIBC, MUSL, ElfReader, ElfTarget


def _made(data: bytes, piece: int = 4096) -> ElfTarget | None:
    reader = ElfReader()
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])
    return reader.target


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
    start = module.read_bytes()[: 200_000 if piece > 1 else 50_000]
    assert _made(start, piece) == _made(start, 1 << 24)


@pytest.mark.parametrize("piece", [1, 5, 1000])
@pytest.mark.parametrize(
    ("data", "made"),
    [
        (_elf(62, b"\0libc.so.6\0"), ElfTarget("amd64", GLIBC)),
        (_elf(62, b"\0libc.musl-x86_64.so.1\0"), ElfTarget("amd64", MUSL)),
        (_elf(183, b""), ElfTarget("arm64", "")),
        (_elf(22, b"\0libc.so.6\0", big=True), ElfTarget("s390x", GLIBC)),
        (_elf(9999, b""), ElfTarget("", "")),
        # both of them: no one can show which it really needs
        (_elf(62, b"\0libc.so.6\0libc.musl-x86_64.so.1\0"), ElfTarget("amd64", "")),
        (b"\x7fELF", None),
        (b"", None),
        (b"import os\n" * 100, None),
    ],
)
def test_headers(data: bytes, made: ElfTarget | None, piece: int) -> None:
    assert _made(data, piece) == made


@pytest.mark.parametrize(
    ("made", "platform", "libcs", "words"),
    [
        (ElfTarget("amd64", GLIBC), "linux/amd64", {GLIBC}, ""),
        (ElfTarget("amd64", GLIBC), "linux/amd64", {GLIBC, MUSL}, ""),
        (ElfTarget("amd64", MUSL), "linux/amd64", {GLIBC}, "is made for musl, and the image has glibc"),
        (ElfTarget("amd64", GLIBC), "linux/amd64", {MUSL}, "is made for glibc, and the image has musl"),
        (ElfTarget("arm64", GLIBC), "linux/amd64", {GLIBC}, "is made for arm64, and the image is for amd64"),
        # what is not known accuses no one
        (ElfTarget("", GLIBC), "linux/amd64", {GLIBC}, ""),
        (ElfTarget("amd64", GLIBC), "linux/amd64", set(), ""),
        (ElfTarget("amd64", ""), "linux/amd64", {MUSL}, ""),
        (ElfTarget("arm64", GLIBC), "", {GLIBC}, ""),
    ],
)
def test_what_does_not_fit(made: ElfTarget, platform: str, libcs: set[str], words: str) -> None:
    assert made.misfit(platform, frozenset(libcs)) == words
