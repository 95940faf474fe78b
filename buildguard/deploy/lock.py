"""Two deploys of one service at once are refused, from two machines too: the lock is an object that can only be created.

Without a bucket it is a file in the repository's git folder, which keeps only this machine's deploys apart.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from buildguard import process
from buildguard.errors import UnprovenError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class HeldError(UnprovenError):
    """Somebody else deploys this service just now."""


class Place(Protocol):
    """Somewhere that a lock can lie."""

    def create(self, data: bytes, over: int) -> int | None:
        """Make it where version `over` lies (0: where none does); its version, None where another one lies there."""

    def read(self) -> tuple[bytes, int] | None:
        """What lies there, and its version; None where nothing does."""

    def remove(self, version: int) -> None:
        """Remove that version."""

    def remedy(self) -> str:
        """How a person removes it."""


@contextmanager
def held(place: Place, service: str, run: str) -> Iterator[None]:
    """Hold the lock of a service. Raises HeldError, with the holder and its age, where somebody else does.

    What a killed run on this very machine left behind is taken over.
    """
    version = _taken(place, service, run)
    try:
        yield
    finally:
        with suppress(UnprovenError), process.uninterrupted():
            place.remove(version)


def _taken(place: Place, service: str, run: str) -> int:
    mine = json.dumps(
        {
            "run": run,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": process.started(os.getpid()),
            "user": os.environ.get("USER", ""),
            "at": int(time.time()),
        }
    ).encode()
    version = place.create(mine, 0)
    if version is not None:
        return version
    there = place.read()
    if there is None:  # it was just given back
        version = place.create(mine, 0)
    elif _is_left_behind(there[0]):
        version = place.create(mine, there[1])
    if version is None:
        who = _words(there[0]) if there is not None else "somebody else"
        raise HeldError(f"{service} is being deployed by {who}", hint=f"wait for it; if it is gone: {place.remedy()}")
    return version


def _is_left_behind(data: bytes) -> bool:
    """Whether the holder ran on this machine, and does not any more."""
    try:
        words = json.loads(data)
        pid, started = int(words["pid"]), str(words["started"])
        return words["host"] == socket.gethostname() and process.started(pid) != started
    except (ValueError, KeyError, TypeError):
        return False


def _words(data: bytes) -> str:
    try:
        words = json.loads(data)
        age = max(0, int(time.time()) - int(words["at"])) // 60
        return f"{words['user'] or 'somebody'} on {words['host']}, for {age} minutes"
    except (ValueError, KeyError, TypeError):
        return "somebody whose note cannot be read"


class File:
    """A lock in the repository's git folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, data: bytes, over: int) -> int | None:
        """The version of a file is always 1."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if over:
                self._path.unlink(missing_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            return None
        except OSError as error:
            raise UnprovenError(f"{self._path} cannot be written: {error.strerror}") from error
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        return 1

    def read(self) -> tuple[bytes, int] | None:
        """What the holder wrote."""
        try:
            return self._path.read_bytes(), 1
        except FileNotFoundError:
            return None

    def remove(self, version: int) -> None:
        """Give it back."""
        assert version
        self._path.unlink(missing_ok=True)

    def remedy(self) -> str:
        """Remove the file."""
        return f"rm {self._path}"
