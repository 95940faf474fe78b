"""The only module that starts a process; executables are absolute before they are run (`programs` finds them)."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.errors import TimedOutError, UnprovenError

if TYPE_CHECKING:
    from typing import IO

PIPE_SIZE = 1 << 20


class ProcessResult(NamedTuple):
    """What a process left behind: `status` is negative for death by a signal."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    def complaint(self) -> str:
        """The last line that the process wrote to stderr, for a message."""
        return last_line(self.stderr) or f"exit status {self.status}"


def last_line(words: bytes | bytearray) -> str:
    """The last line that a process wrote, for a message; empty where it wrote none."""
    lines = words.decode("utf-8", "backslashreplace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start(
    argv: Sequence[str],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a process group of its own, with three pipes.

    A group of its own keeps Ctrl-C with us and lets `stop` end a wrapper script together with what it started.
    """
    return subprocess.Popen(
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        process_group=0,
    )


def widen(pipe: IO[bytes] | None) -> None:
    """Make room for a megabyte in a pipe, where the system lets us: fewer writes, fewer wake-ups."""
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):  # of Linux
        with suppress(OSError):  # more than this user may have
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


def start_on(argv: Sequence[str], connection: int) -> subprocess.Popen[bytes]:
    """Start a process whose standard input and output are a connected socket; its stderr is a pipe."""
    return subprocess.Popen(argv, stdin=connection, stdout=connection, stderr=subprocess.PIPE, process_group=0)


def run_attached(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run a process on our own terminal, and return its exit status as a shell tells it; raises OSError where it cannot start."""
    child = subprocess.Popen(argv, env=env)
    while True:
        try:
            status = child.wait()
        except KeyboardInterrupt:
            continue  # the terminal has sent it to the child as well, whose business it is
        return 128 - status if status < 0 else status


@contextmanager
def block_signals() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back from this thread: for the moment between making something and knowing of it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wait_for_exit(child: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait so long for a process to end by itself."""
    if child.returncode is None and hasattr(os, "pidfd_open"):  # or `wait` sleeps for a while, however soon it ends
        with suppress(OSError):
            _wait_for_descriptor(os.pidfd_open(child.pid), seconds)
            seconds = 0
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _wait_for_descriptor(descriptor: int, seconds: float) -> None:
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)
    finally:
        os.close(descriptor)


def communicate(
    child: subprocess.Popen[bytes], seconds: float, stdin: bytes | None = None
) -> tuple[bytes, bytes] | None:
    """What a process writes until it ends; None where it did not within so many seconds, and may be asked again."""
    try:
        return child.communicate(stdin, seconds)
    except subprocess.TimeoutExpired:
        return None


def stop(child: subprocess.Popen[bytes]) -> None:
    """Kill a process started by `start`, its whole group with it, and close its pipes."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        child.kill()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
    child.wait()


def run(
    argv: Sequence[str],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = 600,
) -> ProcessResult:
    """Run a process to its end and return what it wrote.

    Raises UnprovenError when it cannot be started or does not end within `timeout` seconds.
    """
    name = os.path.basename(argv[0])
    try:
        child = start(argv, cwd=cwd, env=env)
    except OSError as error:
        if cwd is not None and error.filename == cwd:
            raise UnprovenError(f"{cwd} cannot be used: {error.strerror}") from error
        raise UnprovenError(f"{name} could not be started: {error.strerror}") from error
    try:
        stdout, stderr = child.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise TimedOutError(f"{name} did not end within {timeout:g} seconds") from error
    finally:
        if child.returncode is None:
            stop(child)
    return ProcessResult(tuple(argv), child.returncode, stdout, stderr)


def run_in_parallel(first: Callable[[], bytes], second: Callable[[], bytes]) -> tuple[bytes, bytes]:
    """Two pure computations at once, the first in a forked child; where forking is no good, one after the other.

    What the child could not finish is missing from its bytes: the caller has to look at the length.
    """
    if sys.platform != "linux":  # macOS frameworks do not survive a fork
        return first(), second()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with os.fdopen(writer, "wb") as out:
                out.write(first())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as answer:
            mine = second()
            theirs = answer.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        os.waitpid(child, 0)
    return theirs, mine


def describe_ending(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"it ended with status {status}"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"
