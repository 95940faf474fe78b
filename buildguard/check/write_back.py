"""Replacing a file by another content: whole or not at all, and only where it still is what was read."""

from __future__ import annotations

import os
import stat

from buildguard.stages.filesystem import DiskStage
from buildguard.stages.stage import Entry
from buildguard.system import temporary


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
        new = temporary.temporary_sibling(path)
        out = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _fill(out, after, source, was)
            now = os.lstat(path)
            if (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns) != (
                was.st_dev,
                was.st_ino,
                was.st_size,
                was.st_mtime_ns,
            ):
                os.unlink(new)
                return "it changed meanwhile: run it again"
            os.rename(new, path)
        except BaseException:
            if os.path.lexists(new):
                os.unlink(new)
            raise
        finally:
            os.close(out)
    finally:
        os.close(source)
    return ""


def _fill(out: int, after: bytes, source: int, was: os.stat_result) -> None:
    rest = memoryview(after)
    while rest:
        rest = rest[os.write(out, rest) :]
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
    os.fsync(out)


def _content(descriptor: int) -> bytes:
    pieces = []
    while piece := os.read(descriptor, 1 << 20):
        pieces.append(piece)
    return b"".join(pieces)
