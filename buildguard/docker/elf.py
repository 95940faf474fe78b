"""The dynamic section of an ELF file: the libraries that it needs, its own name, and where it looks for them. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from buildguard.definitions import NamedTuple

_MAGIC = b"\x7fELF"
_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_SONAME, _DT_RPATH, _DT_RUNPATH = 1, 5, 14, 15, 29
_MOST_SEGMENTS, _MOST_ENTRIES, _LONGEST_NAME = 200, 2_000, 4_096


class ElfLibraries(NamedTuple):
    """The libraries that a file needs, its own name, and the folders in which it looks for them (`$ORIGIN` is its own).

    `is_runpath` says that LD_LIBRARY_PATH comes first.
    """

    needed: tuple[str, ...]
    soname: str = ""
    folders: tuple[str, ...] = ()
    is_runpath: bool = False


class _Layout(NamedTuple):
    """How the headers of a class of files are laid out: 64 bits or 32."""

    order: str
    is_wide: bool

    def unpack(self, data: bytes, at: int, narrow: str, wide: str) -> tuple[int, ...]:
        return struct.unpack_from(self.order + (wide if self.is_wide else narrow), data, at)


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int


def read_libraries(data: bytes) -> ElfLibraries | None:
    """What a file needs; None for one that is no ELF file, is damaged or has no dynamic section."""
    if not data.startswith(_MAGIC) or len(data) < 20:  # noqa: PLR2004  up to where the machine stands
        return None
    layout = _Layout(">" if data[5] == 2 else "<", data[4] == 2)  # noqa: PLR2004  EI_DATA and EI_CLASS
    try:
        segments = list(_segments(data, layout))
        dynamic = next((segment for segment in segments if segment.kind == _PT_DYNAMIC), None)
        return _read_dynamic(data, layout, segments, dynamic) if dynamic is not None else None
    except (struct.error, ValueError):
        return None


def loader_of(head: bytes) -> str:
    """The loader that a program names, by the beginning of its file; empty for none, or where it is not in there."""
    if not head.startswith(_MAGIC) or len(head) < 20:  # noqa: PLR2004  up to where the machine stands
        return ""
    layout = _Layout(">" if head[5] == 2 else "<", head[4] == 2)  # noqa: PLR2004  EI_DATA and EI_CLASS
    try:
        segment = next((each for each in _segments(head, layout) if each.kind == _PT_INTERP), None)
        return _text(head, segment.offset) if segment is not None else ""
    except (struct.error, ValueError):
        return ""


def _segments(data: bytes, layout: _Layout) -> Iterator[_Segment]:
    (start,) = layout.unpack(data, 28 if not layout.is_wide else 32, "I", "Q")
    size, number = struct.unpack_from(f"{layout.order}HH", data, 42 if not layout.is_wide else 54)
    for at in range(min(number, _MOST_SEGMENTS)):
        fields = layout.unpack(data, start + at * size, "IIIIIIII", "IIQQQQQQ")
        if layout.is_wide:
            kind, _flags, offset, address, _physical, filesize, *_rest = fields
        else:
            kind, offset, address, _physical, filesize, *_rest = fields
        yield _Segment(kind, offset, address, filesize)


def _read_dynamic(data: bytes, layout: _Layout, segments: list[_Segment], dynamic: _Segment) -> ElfLibraries:
    entries = list(_entries(data, layout, dynamic))
    table = next((value for tag, value in entries if tag == _DT_STRTAB), None)
    if table is None:
        raise ValueError("no table of names")
    names = _offset_of(segments, table)

    def texts(*tags: int) -> Iterator[str]:
        return (_text(data, names + value) for tag, value in entries if tag in tags)

    runpath, rpath = list(texts(_DT_RUNPATH)), list(texts(_DT_RPATH))
    folders = (folder for text in runpath or rpath for folder in text.split(":") if folder)
    return ElfLibraries(tuple(texts(_DT_NEEDED)), next(texts(_DT_SONAME), ""), tuple(folders), bool(runpath))


def _entries(data: bytes, layout: _Layout, dynamic: _Segment) -> Iterator[tuple[int, int]]:
    step = 16 if layout.is_wide else 8
    for at in range(min(dynamic.size // step, _MOST_ENTRIES)):
        tag, value = layout.unpack(data, dynamic.offset + at * step, "II", "QQ")
        if not tag:
            return
        yield tag, value


def _offset_of(segments: list[_Segment], address: int) -> int:
    """Where an address of the running program is in the file."""
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
            return segment.offset + address - segment.address
    raise ValueError("an address in no segment")


def _text(data: bytes, at: int) -> str:
    end = data.index(b"\0", at, at + _LONGEST_NAME)
    return data[at:end].decode("utf-8", "replace")
