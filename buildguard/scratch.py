"""Temporary folders and files that say whose they are: what a killed run left is removed by the next one.

A name holds the machine's boot, the pid namespace, the process and when that was started. What is of this boot and
namespace goes when its process is gone; what is not (another container, another machine, before a restart) after a day.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import weakref
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from buildguard import process

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = "buildguard-"
_OWNER = re.compile(
    r"(?:\.(?s:.+)\.)?buildguard-(?P<home>[0-9a-f]*x[0-9]*)-(?P<pid>[0-9]+)-(?P<started>[0-9a-z]*)-[0-9a-z_]{8}"
)
_FOREIGN_SECONDS = 24 * 3600.0  # what is not of here is not ours to judge before that
_LONGEST_NAME = 100


def folder_of(owner: object) -> Path:
    """A new folder that is removed when its owner is gone, or at the end at the latest."""
    path = _made()
    weakref.finalize(owner, shutil.rmtree, path, ignore_errors=True)
    return path


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder for as long as it is needed."""
    path = _made()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def beside(file: bytes) -> bytes:
    """A name beside a file that nobody else takes, for the content that will replace it; older ones of dead runs go."""
    within, name = os.path.split(file)
    _sweep_once(within or b".")
    own = f"{_MARK}{_here()}-{os.urandom(4).hex()}".encode()
    return os.path.join(within, b".%b.%b" % (name[:_LONGEST_NAME], own))


def _made() -> Path:
    _sweep_once(os.fsencode(tempfile.gettempdir()))
    return Path(tempfile.mkdtemp(prefix=f"{_MARK}{_here()}-"))


def _here() -> str:
    pid = os.getpid()
    return f"{_home()}-{pid}-{process.started(pid)}"


@cache
def _home() -> str:
    """The boot and the pid namespace that our pids mean something in."""
    boot = namespace = ""
    with suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read(8)
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    return f"{boot}x{namespace}"


@cache
def _sweep_once(folder: bytes) -> None:
    """Remove what dead runs of this user left in a folder."""
    with suppress(OSError), os.scandir(folder) as found:
        for one in found:
            owner = _OWNER.fullmatch(os.fsdecode(one.name))
            if owner is not None and _is_orphan(owner, one.stat(follow_symlinks=False)):
                if one.is_dir(follow_symlinks=False):
                    shutil.rmtree(one.path, ignore_errors=True)
                else:
                    with suppress(OSError):
                        os.unlink(one.path)


def _is_orphan(owner: re.Match[str], found: os.stat_result) -> bool:
    if found.st_uid != os.geteuid():
        return False
    if owner["home"] != _home():
        return time.time() - found.st_mtime > _FOREIGN_SECONDS
    return process.started(int(owner["pid"])) != owner["started"]
