"""Files in a git folder that hold what earlier runs did: read within bounds, and never through a link."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

_LARGEST = 64 << 20  # bytes that are read; a ledger of a hundred thousand steps is smaller
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_state(file: Path) -> bytes:
    """The content of a regular file; raises OSError with a reason for anything else, FileNotFoundError without one."""
    handle = _open(file, os.O_RDONLY)
    try:
        _wait_for_others(handle, fcntl.LOCK_SH)
        size = os.fstat(handle).st_size
        if size > _LARGEST:
            raise OSError(errno.EFBIG, f"it has more than {_LARGEST >> 20} MiB", str(file))
        parts = []
        while part := os.read(handle, 1 << 20):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def append_state(file: Path, data: bytes) -> None:
    """Append to a regular file, which is created where it is missing; on the disk before this returns. Raises OSError."""
    handle = _open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        _wait_for_others(handle, fcntl.LOCK_EX)
        rest = memoryview(_missing_newline(handle) + data)
        while rest:  # a full disk takes a part first
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _wait_for_others(handle: int, kind: int) -> None:
    """Take turns with other runs, until the file is closed: half of a line would look like one that was cut short."""
    with suppress(OSError):  # not every filesystem has locks
        fcntl.flock(handle, kind)


def open_guard(file: Path) -> int:
    """A descriptor of a file to lock by, which is created where it is missing. Raises OSError."""
    return _open(file, os.O_RDWR | os.O_CREAT)


def _open(file: Path, flags: int) -> int:
    try:
        handle = os.open(file, flags | _FLAGS, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a symbolic link", str(file)) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no regular file", str(file))
    return handle


def _missing_newline(handle: int) -> bytes:
    """A line break where the last line was cut short by a crash: what follows is a line of its own again."""
    size = os.fstat(handle).st_size
    return b"\n" if size and os.pread(handle, 1, size - 1) != b"\n" else b""
