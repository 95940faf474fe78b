"""Bytecode and compiled modules beside sources: which of them an import would take, and whether it fits. Pure.

An import believes a `.pyc` whose recorded time and size are those of its source, or that asks not to be checked:
then whatever is in it runs, and the source is not looked at.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.docker.image_stage import ImageEntry

_CACHED = lazy_pattern(rb"^(?P<stem>.+?)\.(?P<tag>[^.]+)(?:\.opt-(?P<level>[^.]*))?\.pyc$")
_NATIVE = lazy_pattern(rb"^(?P<stem>[^.]+)(?:\.(?P<tag>[^.]+))?\.so$")
_HEAD = 16
_HASHED = 1


class StaleBytecode(NamedTuple):
    """A `.pyc` that does not fit, and why; `runs` where an import takes it, or fails on it, all the same.

    `is_module` is one that no source can be compared with, or a compiled module.
    """

    path: bytes
    reason: str
    runs: bool
    is_module: bool = False


class SuspectBytecode(NamedTuple):
    """A `.pyc` that an import would take for its source without looking at that: only its code can tell."""

    path: bytes
    source: bytes
    level: int


def classify_bytecode(
    path: bytes, head: bytes, files: Mapping[bytes, ImageEntry], magic: bytes, tag: bytes
) -> StaleBytecode | SuspectBytecode | None:
    """What one `.pyc` is: `head` are its first 16 bytes, `magic` and `tag` what this interpreter writes.

    None if it is beside its source, where no import looks.
    """
    folder, name = posixpath.split(path)
    if posixpath.basename(folder) != b"__pycache__":
        return _classify_sourceless(path, head, files, magic)
    match = _CACHED.match(name)
    if match is None or match["tag"] != tag:
        return StaleBytecode(path, "another interpreter wrote it, and this one never reads it", runs=False)
    source = posixpath.join(posixpath.dirname(folder), match["stem"] + b".py")
    held = files.get(source)
    why = "there is no source for it" if held is None else _why_outdated(head, held, magic)
    if why:
        return StaleBytecode(path, f"{why}: no import takes it", runs=False)
    level = match["level"]
    return SuspectBytecode(path, source, int(level) if level is not None and level.isdigit() else 0)


def _why_outdated(head: bytes, source: ImageEntry, magic: bytes) -> str:
    """Why an import writes it again; empty if it is used as it is, or checked by a hash."""
    if head[:4] != magic or len(head) < _HEAD:
        return "its magic number is another interpreter's"
    if int.from_bytes(head[4:8], "little") & _HASHED:
        return ""
    recorded = (int.from_bytes(head[8:12], "little"), int.from_bytes(head[12:16], "little"))
    fits = recorded == (source.mtime & 0xFFFFFFFF, source.size & 0xFFFFFFFF)
    return "" if fits else "it records another time or size than its source has"


def _classify_sourceless(
    path: bytes, head: bytes, files: Mapping[bytes, ImageEntry], magic: bytes
) -> StaleBytecode | None:
    """Beside the sources a `.pyc` is a module of its own, taken where there is no source of that name."""
    if path[:-1] in files:
        return None
    if head[:4] != magic:
        return StaleBytecode(
            path, "it has no source, and an import of it fails: another interpreter wrote it", runs=True
        )
    return StaleBytecode(
        path, "bytecode without a source: an import runs it, and it cannot be checked", runs=True, is_module=True
    )


def native_source(path: bytes, tag: bytes) -> bytes:
    """The source that this interpreter passes over for a compiled module beside it; empty for what it does not load."""
    folder, name = posixpath.split(path)
    match = _NATIVE.match(name)
    if match is None:
        return b""
    # free-threaded Pythons have a letter behind the number: cpython-313t-x86_64-linux-gnu
    is_loaded = match["tag"] in {None, b"abi3"} or match["tag"].startswith((tag + b"-", tag + b"t-"))
    return posixpath.join(folder, match["stem"] + b".py") if is_loaded else b""
