"""Waiting for git, never without end: it blocks where a FIFO has the name of a file that it reads."""

from __future__ import annotations

import io
import os
import select
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING
from buildguard.diagnostic import display_path
from buildguard.errors import UnprovenError
from buildguard.system import process

if TYPE_CHECKING:
    import subprocess
    from typing import Any

PATIENCE = 3.0  # seconds before a look at what git waits for
DEADLINE = 600.0
_READ_BY_GIT = frozenset((b".gitignore", b".gitattributes", b".gitmodules", b".mailmap"))


def run(
    argv: list[str],
    *,
    cwd: Path,
    env: dict[str, str],
    stdin: bytes = b"",
    meanwhile: Callable[[], object] = lambda: None,
) -> process.ProcessResult:
    """Run git to its end; raises UnprovenError where it cannot be started or waits for something that never comes.

    `meanwhile` is done while git works, and raises nothing.
    """
    try:
        child = process.start(argv, cwd=cwd, env=env)
    except OSError as error:
        raise UnprovenError(f"git could not be started: {error.strerror}") from error
    meanwhile()
    stdout, stderr = finish(child, cwd, stdin)
    return process.ProcessResult(tuple(argv), child.returncode, stdout, stderr)


def finish(child: subprocess.Popen[bytes], top: Path, stdin: bytes = b"") -> tuple[bytes, bytes]:
    """What a git process writes until it ends; raises UnprovenError, the process killed, where it never would."""
    try:
        answer = process.communicate(child, PATIENCE, stdin) if stdin else _read_all(child, top)
        if answer is None and stdin:
            refuse_pipe(top)
            answer = process.communicate(child, DEADLINE - PATIENCE)
    finally:
        if child.returncode is None:
            process.stop(child)
    if answer is None:
        raise UnprovenError(f"git did not end within {DEADLINE:g} seconds")
    return answer


def _read_all(child: subprocess.Popen[bytes], top: Path) -> tuple[bytes, bytes] | None:
    """The same of a process that reads no input, in as few reads as there can be; None where it does not end."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    end = time.monotonic() + DEADLINE
    child.stdin.close()
    parts: dict[int, list[bytes]] = {pipe.fileno(): [] for pipe in (child.stdout, child.stderr)}
    poll = select.poll()
    for descriptor in parts:
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
    still_open, patience = len(parts), PATIENCE
    while still_open and time.monotonic() < end:
        ready = poll.poll(patience * 1000)
        if not ready:
            refuse_pipe(top)
            patience = DEADLINE  # the files of a large tree are looked through once
        for descriptor, _event in ready:
            part = os.read(descriptor, process.PIPE_SIZE)
            parts[descriptor].append(part)
            if not part:
                poll.unregister(descriptor)
                still_open -= 1
    if still_open or not process.wait_for_exit(child, DEADLINE):
        return None
    child.stdout.close()
    child.stderr.close()
    stdout, stderr = map(b"".join, parts.values())
    return stdout, stderr


def refuse_pipe(top: Path) -> None:
    """Raise UnprovenError where a FIFO, a socket or a device stands in place of a file that git reads."""
    for path in _odd_files(os.fsencode(top)):
        words = display_path(os.path.relpath(path, os.fsencode(top)))
        raise UnprovenError(f"git waits for {words}, which is no file", hint=f"rm {words}")


def _odd_files(top: bytes) -> Iterator[bytes]:
    from buildguard.system.walk import files_below  # a run without trouble needs none of it

    for path in files_below(top):
        in_git = b".git" in path[len(top) :].split(b"/")[:-1]
        if (in_git or os.path.basename(path) in _READ_BY_GIT) and not is_plain(path):
            yield path


def is_plain(path: bytes | Path) -> bool:
    """Whether reading a path ends: a file, a folder, nothing at all, or the null device."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or os.path.realpath(path) in {os.devnull, os.devnull.encode()}


class TimedPipe(io.RawIOBase):
    """The output of a git process; a read of it raises UnprovenError where nothing comes for too long."""

    def __init__(self, descriptor: int, top: Path) -> None:
        """Read from a copy of a descriptor; `top` is where a FIFO would be, for the message."""
        self._descriptor = os.dup(descriptor)
        self._top = top
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN | select.POLLHUP)

    def readable(self) -> bool:
        """That it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what git wrote, 0 at its end."""
        if not self._poll.poll(PATIENCE * 1000):
            refuse_pipe(self._top)
            if not self._poll.poll((DEADLINE - PATIENCE) * 1000):
                raise UnprovenError(f"git wrote nothing for {DEADLINE:g} seconds")
        return os.readv(self._descriptor, [buffer])

    def close(self) -> None:
        """Close the copy."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()
