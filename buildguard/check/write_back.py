"""Replacing a file by another content: whole or not at all, and only where it still is what was read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from buildguard.diagnostic import display_path
from buildguard.stages.filesystem import DiskStage
from buildguard.stages.stage import Entry
from buildguard.system import temporary


def other_names(stage: DiskStage, entry: Entry, entries: Iterable[Entry]) -> tuple[list[Entry], int]:
    """The other names of a file (hard links) among some entries, and how many more it has elsewhere."""
    base = os.fsencode(stage.root) + b"/"
    try:
        own = os.lstat(base + entry.path)
    except OSError:
        return [], 0
    if own.st_nlink == 1:
        return [], 0
    twins = [each for each in entries if each.path != entry.path and _is_same(base + each.path, own)]
    return twins, own.st_nlink - 1 - len(twins)


def _is_same(path: bytes, own: os.stat_result) -> bool:
    try:
        other = os.lstat(path)
    except OSError:
        return False
    return (other.st_dev, other.st_ino) == (own.st_dev, own.st_ino)


def link_again(stage: DiskStage, entry: Entry, twins: Iterable[Entry]) -> str:
    """Let the other names of a file lead to its new content. Returns why not, or nothing."""
    base = os.fsencode(stage.root) + b"/"
    for twin in twins:
        try:
            temporary.link_whole(base + entry.path, base + twin.path)
        except OSError as error:
            return f"{display_path(twin.path)} is a hard link to it and keeps its old content: {error.strerror}"
    return ""


def replace(stage: DiskStage, entry: Entry, before: bytes, after: bytes) -> str:
    """Write `after` where `before` was read; keeps mode, owner and extended attributes. Returns why not, or nothing."""
    if not stage.reachable(entry):
        return "a symbolic link, or behind one: fix the file that it leads to"
    path = os.fsencode(stage.root) + b"/" + entry.path
    try:
        return _replace(path, before, after)
    except OSError as error:
        return f"it could not be written: {error.strerror}"


def _replace(path: bytes, before: bytes, after: bytes) -> str:
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        was = os.fstat(source)
        if not stat.S_ISREG(was.st_mode) or _content(source) != before:
            return "it changed meanwhile: run it again"
        with temporary.Replacement(path, 0o600) as new:
            new.write(after)
            _copy_status(new.descriptor, source, was)
            if _version(os.lstat(path)) != _version(was):
                return "it changed meanwhile: run it again"
            new.take_place()
    finally:
        os.close(source)
    return ""


def _version(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _copy_status(out: int, source: int, was: os.stat_result) -> None:
    """Give a new file the owner, the mode and the extended attributes of another."""
    status = os.fstat(out)
    if (status.st_uid, status.st_gid) != (was.st_uid, was.st_gid):
        os.fchown(out, was.st_uid, was.st_gid)
    os.fchmod(out, stat.S_IMODE(was.st_mode))  # after the owner, whose change clears bits
    if hasattr(os, "listxattr"):
        for attribute in os.listxattr(source):
            try:
                os.setxattr(out, attribute, os.getxattr(source, attribute))
            except OSError:
                pass  # the file system's own, which it sets itself


def _content(descriptor: int) -> bytes:
    pieces = []
    while piece := os.read(descriptor, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)
