"""Temporary folders and files that say whose they are: what a killed run left is removed by the next one.

A name holds its owner (`buildguard.owner`). What is of this boot and pid namespace goes when its process is gone; what
is not (another container, another machine, before a restart) after a day.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING, lazy_pattern
from buildguard.system import owner as owners
from buildguard.system.owner import Life

if TYPE_CHECKING:
    from typing import Self

_MARK = "buildguard-"
_IN_NAME = _MARK.encode()
_NAME = lazy_pattern(rf"(?:\.(?s:.+)\.)?{_MARK}(?P<owner>{owners.PATTERN})-[0-9a-z_]{{8}}")
_FOREIGN_SECONDS = 24 * 3600.0  # what is not of here is not ours to judge before that
_LONGEST_NAME = 100


def folder_of(owner: object) -> Path:
    """A new folder that is removed when its owner is gone, or at the end at the latest."""
    path = _make_folder()
    weakref.finalize(owner, _remove, path)
    return path


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder for as long as it is needed."""
    path = _make_folder()
    try:
        yield path
    finally:
        _remove(path)


def temporary_sibling(file: bytes) -> bytes:
    """A name beside a file that no other process takes, for the content that will replace it; older ones of dead runs go."""
    within, name = os.path.split(file)
    _sweep_once(within or b".")
    own = f"{_MARK}{owners.current()}-{os.urandom(4).hex()}".encode()
    return os.path.join(within, b".%b.%b" % (name[:_LONGEST_NAME], own))


class Replacement:
    """A new file beside another, which takes its place whole or not at all; used as a context. Methods raise OSError."""

    def __init__(self, file: bytes, mode: int) -> None:
        """Create it with `mode` less the umask; a link in the place of `file` is replaced, never followed."""
        self._file = file
        self._new = temporary_sibling(file)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        self.descriptor = os.open(self._new, flags, mode)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.descriptor)
        with suppress(FileNotFoundError):
            os.unlink(self._new)

    def write(self, data: bytes) -> None:
        """Write all of it."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]

    def take_place(self) -> None:
        """Put it, once it is on the disk, where the other file is."""
        os.fsync(self.descriptor)
        os.rename(self._new, self._file)


def write_whole(file: Path, data: bytes, mode: int) -> None:
    """Write a file whole or not at all, with `mode` less the umask; a link is replaced, never followed. Raises OSError."""
    with Replacement(os.fsencode(file), mode) as new:
        new.write(data)
        new.take_place()


def link_whole(file: bytes, link: bytes) -> None:
    """Make one name a hard link to a file, in place of what it was. Raises OSError."""
    new = temporary_sibling(link)
    os.link(file, new)
    os.rename(new, link)


def _make_folder() -> Path:
    # every hook needs one, so the usual case does without `tempfile`, which takes as long to import as git to answer
    base = os.path.abspath(next(filter(None, map(os.environ.get, ("TMPDIR", "TEMP", "TMP"))), "/tmp"))  # noqa: S108
    path = Path(base, f"{_MARK}{owners.current()}-{os.urandom(4).hex()}")
    try:
        path.mkdir(0o700)
    except OSError:
        import tempfile

        base, path = tempfile.gettempdir(), Path(tempfile.mkdtemp(prefix=f"{_MARK}{owners.current()}-"))
    _sweep_once(os.fsencode(base))
    return path


def _remove(path: str | bytes | Path) -> None:
    """Remove a folder with all that is in it; `shutil`, which takes its time to import, only where it has to try harder."""
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _remove(entry.path)
                else:
                    os.unlink(entry.path)
        os.rmdir(path)
    except OSError:
        import shutil

        shutil.rmtree(path, ignore_errors=True)


@cache
def _sweep_once(folder: bytes) -> None:
    """Remove what dead runs of this user left in a folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            name = _NAME.fullmatch(os.fsdecode(entry.name)) if _IN_NAME in entry.name else None
            if name is not None and _is_orphan(name["owner"], entry.stat(follow_symlinks=False)):
                if entry.is_dir(follow_symlinks=False):
                    _remove(entry.path)
                else:
                    with suppress(OSError):
                        os.unlink(entry.path)


def _is_orphan(owner: str, status: os.stat_result) -> bool:
    if status.st_uid != os.geteuid():
        return False
    life = owners.life(owner)
    if life is Life.UNKNOWN:
        return time.time() - status.st_mtime > _FOREIGN_SECONDS
    return life is Life.GONE
