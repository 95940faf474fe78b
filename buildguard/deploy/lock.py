"""Two deploys of one service at once are refused, from two machines too: the lock is an object that can only be created.

Without a bucket it is a file in the repository's git folder, which keeps only this machine's deploys apart.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from buildguard.definitions import NamedTuple
from buildguard.errors import Reason, UnprovenError
from buildguard.system import owner as owners
from buildguard.system import process, temporary
from buildguard.system.owner import Life
from buildguard.system.state_files import open_guard, read_state

_TRIES = 3  # a lock may be given back, or taken over by another run, in between
_NOT_OURS = frozenset({errno.ELOOP, errno.EINVAL, errno.EFBIG})  # something else is in the place of a file
_UNREADABLE = (ArithmeticError, LookupError, RecursionError, TypeError, ValueError)  # for a note of any content


class LockHeldError(UnprovenError):
    """Another run is deploying this service."""

    reason = Reason.LOCKED


class LockStore(Protocol):
    """Somewhere that a lock can be stored."""

    def create(self, data: bytes, over: int) -> int | None:
        """Write it over version `over` (0: where none is); its version, None if another version is there."""

    def read(self) -> tuple[bytes, int] | None:
        """What is stored there, and its version; None if nothing is."""

    def remove(self, version: int) -> None:
        """Remove that version."""

    def remedy(self) -> str:
        """How a person removes it."""


class LockRequest(NamedTuple):
    """Who wants the lock of a service: the run, and the run whose lock a person allowed it to take over (empty: none)."""

    service: str
    run: str
    unlock: str = ""


@contextmanager
def hold_lock(place: LockStore, request: LockRequest, tell: Callable[[str], object]) -> Iterator[None]:
    """Hold the lock of a service. Raises LockHeldError, with the holder and its age, where another run does.

    The lock of a killed run is taken over if its end is certain: on this machine, in this pid namespace. Any other one only
    where a person named its run, and its process does not run here; `tell` hears of it.
    """
    version = _acquire(place, request, tell)
    try:
        yield
    finally:
        with suppress(UnprovenError), process.block_signals():
            place.remove(version)


def _acquire(place: LockStore, request: LockRequest, tell: Callable[[str], object]) -> int:
    mine, holder, over = _note(request.run), b"", 0
    for _ in range(_TRIES):
        version = place.create(mine, over)
        if version is not None:
            if over:
                tell(f"the lock of {request.service} was taken over from {_describe_holder(holder)}")
            return version
        current = place.read()
        holder, over = current or (b"", 0)
        if current is not None and not _may_take(holder, request.unlock):
            break
    raise LockHeldError(
        f"{request.service} is being deployed by {_describe_holder(holder)}",
        hint=_remedy(place, holder, request.unlock),
    )


def _may_take(holder: bytes, unlock: str) -> bool:
    """Whether a lock may be taken over: its process is gone, or a person named its run and it is not alive here."""
    life = _life(holder)
    return life is Life.GONE or (life is Life.UNKNOWN and bool(unlock) and _run_of(holder) == unlock)


def _remedy(place: LockStore, holder: bytes, unlock: str) -> str:
    run = _run_of(holder)
    if unlock and run and unlock != run:
        return f"the lock is of the run {run}, and not of {unlock}"
    if _life(holder) is not Life.UNKNOWN:
        return "wait for it, or end its process"
    unlocking = f"buildguard deploy --unlock {run}" if run else place.remedy()
    return f"wait for it; whether it still runs cannot be seen from this machine or container. If it has ended: {unlocking}"


def _run_of(data: bytes) -> str:
    """The run that wrote a lock; empty for an unreadable one, or one with anything else in it."""
    try:
        run = str(json.loads(data)["run"])
    except _UNREADABLE:
        return ""
    return run if run.isalnum() else ""


def _note(run: str) -> bytes:
    """What a holder writes into its lock: its owner token, and the rest for people."""
    owner = owners.current()
    note = {"run": run, "owner": str(owner), "host": socket.gethostname(), "pid": owner.pid}
    return json.dumps({**note, "user": os.environ.get("USER", ""), "at": int(time.time())}).encode()


def _life(data: bytes) -> Life:
    """Whether the holder still runs; unknown for the locks of older versions, which named a host and a pid."""
    try:
        return owners.life(str(json.loads(data)["owner"]))
    except _UNREADABLE:
        return Life.UNKNOWN


def _describe_holder(data: bytes) -> str:
    try:
        note = json.loads(data)
        minutes = max(0, int(time.time()) - int(note["at"])) // 60
        holder = f"{note['user'] or 'an unknown user'} on {note['host']} (run {note['run']}, process {note['pid']})"
    except _UNREADABLE:
        return "an unknown holder, whose lock cannot be read"
    return f"{holder} for {minutes} minute{'s' * (minutes != 1)}"


class FileLock:
    """A lock in the repository's git folder; its version is a checksum of its content."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, data: bytes, over: int) -> int | None:
        """Write it where version `over` is."""
        with self._alone():
            if self._version() != over:
                return None
            temporary.write_whole(self._path, data, 0o644)
            return _checksum(data)

    def read(self) -> tuple[bytes, int] | None:
        """What the holder wrote."""
        with self._alone():
            return (read_state(self._path), self._version()) if self._version() else None

    def remove(self, version: int) -> None:
        """Remove that version, unless another run has taken it over."""
        with self._alone():
            if self._version() == version:
                self._path.unlink()

    def remedy(self) -> str:
        """Remove the file."""
        return f"rm {self._path}"

    def _version(self) -> int:
        """Of what is there now, 0 if nothing is."""
        try:
            return _checksum(read_state(self._path))
        except FileNotFoundError:
            return 0

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from reading or changing it meanwhile: two runs that take over one lock would both have it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            guard = open_guard(self._path.with_name(f"{self._path.name}.guard"))
            try:
                fcntl.flock(guard, fcntl.LOCK_EX)  # until it is closed
                yield
            finally:
                os.close(guard)
        except OSError as error:
            file = error.filename or self._path
            hint = f"rm {file}" if error.errno in _NOT_OURS else ""
            raise UnprovenError(f"{file} cannot be used: {error.strerror}", hint=hint) from error


def _checksum(data: bytes) -> int:
    return zlib.crc32(data) + 1  # 0 is no version
