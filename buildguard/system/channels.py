"""Children that are asked again and again: their standard streams as they look from here, on this machine or elsewhere."""

from __future__ import annotations

import os
import selectors
import sys
from collections import deque
from collections.abc import Callable

from buildguard.definitions import TYPE_CHECKING, Protocol
from buildguard.errors import UnprovenError
from buildguard.system import process

if TYPE_CHECKING:
    import subprocess

_MEBI = 1 << 20
_READ = 1 << 16
MOST_WORDS = 2000  # of what a child complains


class Channel(Protocol):
    """One child: what it wrote and has not been read yet, and whether its standard output has ended.

    `windows` is how many times as much as a pipe holds it is sent ahead: what is far away has to wait longer.
    """

    windows: int
    incoming: bytearray
    errors: bytearray
    closed: bool

    def send(self, *chunks: bytes) -> None:
        """Write to its standard input, now or when there is room; without effect once it is gone."""

    def death(self) -> tuple[int, int]:
        """How it ended (negative: by which signal), and the most memory that it ever had, in bytes."""

    def stop(self) -> None:
        """End it, whatever it is doing."""


class Site(Protocol):
    """Where children run."""

    def start(self, memory: int) -> Channel:
        """Start a child that may have so many bytes of address space; raises UnprovenError."""

    def wait(self, timeout: float | None) -> None:
        """Wait until something comes from any child, or so many seconds; raises UnprovenError where all are lost."""

    def close(self) -> None:
        """Leave nothing behind."""


class LocalSite:
    """This machine: each child is a process of its own."""

    def __init__(self, command: Callable[[int], list[str]]) -> None:
        """`command` gives the argv of a child for an address space limit."""
        self._command = command
        self._selector = selectors.DefaultSelector()

    def start(self, memory: int) -> LocalChannel:
        """Start a process; raises UnprovenError where the system refuses."""
        try:
            # An empty environment: nothing of ours (PYTHONPATH, LD_PRELOAD, locale) reaches a compiler.
            child = process.start(self._command(memory), cwd="/", env={"LC_ALL": "C"})
        except OSError as error:
            raise UnprovenError(f"could not be started: {error.strerror}") from error
        return LocalChannel(child, self._selector)

    def wait(self, timeout: float | None) -> None:
        """Move what the pipes hold and take."""
        for key, _events in self._selector.select(timeout):
            key.data()

    def close(self) -> None:
        """Let go of the selector; whoever started a child has stopped it."""
        self._selector.close()


class LocalChannel:
    """A process and its three pipes."""

    windows = 1

    def __init__(self, child: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        self.incoming = bytearray()
        self.errors = bytearray()
        self.closed = False
        self._child = child
        self._selector = selector
        self._stdin, self._stdout, self._stderr = (pipe.fileno() for pipe in (child.stdin, child.stdout, child.stderr))
        self._outgoing: deque[memoryview] = deque()
        for pipe in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(pipe, False)
        process.widen(child.stdin)
        selector.register(self._stdout, selectors.EVENT_READ, self._read)
        selector.register(self._stderr, selectors.EVENT_READ, self._overhear)

    def send(self, *chunks: bytes) -> None:
        """Write what the pipe takes now, and the rest when there is room."""
        self._outgoing.extend(map(memoryview, chunks))
        self._write()

    def death(self) -> tuple[int, int]:
        """How the process ended, and the most memory that it had resident."""
        self._overhear()
        try:
            _pid, status, usage = os.wait4(self._child.pid, 0)
        except ChildProcessError:
            return self._child.wait(), 0
        self._child.returncode = os.waitstatus_to_exitcode(status)
        return self._child.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def stop(self) -> None:
        """Kill the process and its group."""
        for pipe in (self._stdin, self._stdout, self._stderr):
            self._forget(pipe)
        process.stop(self._child)

    @property
    def status(self) -> int | None:
        """How the process ended, once it was stopped."""
        return self._child.returncode

    def _write(self) -> None:
        try:
            while self._outgoing:
                sent = os.write(self._stdin, self._outgoing[0][:_MEBI])
                rest = self._outgoing.popleft()[sent:]
                if rest:
                    self._outgoing.appendleft(rest)
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._outgoing.clear()  # it died: its stdout tells
        registered = self._stdin in self._selector.get_map()
        if self._outgoing and not registered:
            self._selector.register(self._stdin, selectors.EVENT_WRITE, self._write)
        elif registered and not self._outgoing:
            self._selector.unregister(self._stdin)

    def _read(self) -> None:
        try:
            while chunk := os.read(self._stdout, _READ):
                self.incoming += chunk
        except BlockingIOError:
            return
        self.closed = True
        self._forget(self._stdout)

    def _overhear(self) -> None:
        try:
            chunk = os.read(self._stderr, _MEBI)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self.errors = (self.errors + chunk)[-MOST_WORDS:]
        if not chunk:
            self._forget(self._stderr)

    def _forget(self, pipe: int) -> None:
        try:
            self._selector.unregister(pipe)
        except (KeyError, ValueError):
            pass
