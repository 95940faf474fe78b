"""Probes at work: sources in over pipes, verdicts out, under limits that one bad file cannot outlive.

Each worker is one process that answers in the order it was asked, so the first unanswered source is always
the one that it is busy with: when a worker dies or runs out of time, that is the culprit.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import selectors
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from buildguard import process
from buildguard.diagnostic import Range
from buildguard.engines import Outcome, Rejected, Source, Warned
from buildguard.errors import UnprovenError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

_MEBI = 1 << 20
_WINDOW_BYTES = _MEBI // 2
_WINDOW_FILES = 64
_CHUNK = _MEBI
_READ = 1 << 16
_VERDICT_FIELDS = 11
_GREETING = b"buildguard-probe"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one source may cost: address space in bytes, and seconds, which grow with its size."""

    memory: int = 2 << 30
    seconds: int = 20

    def seconds_for(self, size: int) -> int:
        """Seconds of CPU time for a source of `size` bytes; a compiler does at least 1 MB in ten."""
        return self.seconds + 10 * size // _MEBI

    def wider(self) -> Limits:
        """The limits of the second try."""
        return Limits(self.memory * 3, self.seconds * 2)


@dataclass(frozen=True, slots=True)
class Greeting:
    """How a probe introduces the interpreter that it runs in."""

    implementation: str
    version: str
    banner: str
    abi: str
    executable: str
    checksum: str


@dataclass(slots=True, eq=False)
class Worker:
    """One probe process, what it was asked and has not answered, and what it wrote so far."""

    child: subprocess.Popen[bytes]
    limits: Limits
    greeting: Greeting | None = None
    waiting: deque[Source] = field(default_factory=deque)
    outgoing: deque[memoryview] = field(default_factory=deque)
    incoming: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    bytes_waiting: int = 0
    busy_since: float = 0.0

    @classmethod
    def start(cls, command: Callable[[int], list[str]], limits: Limits) -> Worker:
        """Start a probe; `command` gives its argv for an address space limit."""
        # An empty environment: nothing of ours (PYTHONPATH, LD_PRELOAD, locale) reaches the compiler.
        child = process.start(command(limits.memory), cwd="/", env={"LC_ALL": "C"})
        for pipe in (child.stdin, child.stdout, child.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        _widen(child.stdin)
        return cls(child, limits)

    @property
    def has_room(self) -> bool:
        """Whether it can take one more source without the pipe or the wait growing long."""
        return len(self.waiting) < 2 or (  # noqa: PLR2004  one at work, one at hand
            self.bytes_waiting < _WINDOW_BYTES and len(self.waiting) < _WINDOW_FILES
        )

    def ask(self, source: Source) -> None:
        """Queue one source for this worker."""
        if not self.waiting:
            self.busy_since = time.monotonic()
        head = b"%d %d %d\n" % (source.number, len(source.data), self.limits.seconds_for(len(source.data)))
        self.outgoing += [memoryview(head), memoryview(source.data)]
        self.waiting.append(source)
        self.bytes_waiting += len(source.data)

    def deadline(self) -> float:
        """When the source at work has had its time; twice its CPU seconds, as the machine may be shared."""
        return self.busy_since + 2 * self.limits.seconds_for(len(self.waiting[0].data)) + 5

    def write(self) -> None:
        """Send what the pipe takes."""
        assert self.child.stdin is not None
        try:
            while self.outgoing:
                sent = os.write(self.child.stdin.fileno(), self.outgoing[0][:_CHUNK])
                self._sent(sent)
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.outgoing.clear()  # it died: its stdout tells

    def _sent(self, count: int) -> None:
        rest = self.outgoing.popleft()[count:]
        if rest:
            self.outgoing.appendleft(rest)

    def read(self) -> bool:
        """Take what it wrote; False when it has closed its stdout."""
        assert self.child.stdout is not None
        try:
            while True:
                chunk = os.read(self.child.stdout.fileno(), _READ)
                if not chunk:
                    return False
                self.incoming += chunk
        except BlockingIOError:
            return True

    def complaint(self) -> str:
        """The last line that it wrote to stderr."""
        assert self.child.stderr is not None
        try:
            self.errors += os.read(self.child.stderr.fileno(), _CHUNK) or b""
        except (BlockingIOError, ValueError):
            pass
        lines = bytes(self.errors).decode("utf-8", "backslashreplace").strip().splitlines()
        return lines[-1][:200] if lines else ""

    def lists(self) -> Iterator[list[bytes]]:
        """The whole lists among what it wrote; raises ValueError at what no probe writes."""
        at = 0
        while (found := _read_list(self.incoming, at)) is not None:
            fields, at = found
            yield fields
        del self.incoming[:at]

    def answered(self, fields: list[bytes]) -> Outcome:
        """Match an answer with its question; raises ValueError where the two differ."""
        source = self.waiting.popleft()
        self.bytes_waiting -= len(source.data)
        self.busy_since = time.monotonic()
        number, size, digest = int(fields[0]), int(fields[1]), fields[2].decode("ascii")
        assert self.greeting is not None
        if number != source.number or size != len(source.data) or digest != self._expected(source):
            raise ValueError("the probe answered for other bytes than it was sent")
        return Outcome(number, source.digest, _rejection(fields, self.limits), _warnings(fields))

    def _expected(self, source: Source) -> str:
        kind = self.greeting.checksum if self.greeting else ""
        if kind == "sha256":
            return source.digest.hex()
        if kind == "crc32":
            import binascii

            return f"{binascii.crc32(source.data):08x}"
        return f"{sum((at + 1) * byte for at, byte in enumerate(source.data)):x}"

    def death(self) -> tuple[int, int]:
        """How it ended (negative: by which signal) and the most memory it ever had resident, in bytes."""
        try:
            _pid, status, usage = os.wait4(self.child.pid, 0)
        except ChildProcessError:
            return self.child.wait(), 0
        self.child.returncode = os.waitstatus_to_exitcode(status)
        return self.child.returncode, usage.ru_maxrss * 1024


def _read_list(buffer: bytearray, start: int) -> tuple[list[bytes], int] | None:
    end = buffer.find(b"\n", start)
    if end < 0:
        return None
    fields, at = [], end + 1
    for _ in range(int(buffer[start:end])):
        colon = buffer.find(b":", at, at + 20)
        if colon < 0:
            return None
        size = int(buffer[at:colon])
        at = colon + 1 + size
        if at > len(buffer):
            return None
        fields.append(bytes(buffer[colon + 1 : at]))
    return fields, at


def _number(text: bytes) -> int | None:
    return int(text) if text else None


def _rejection(fields: list[bytes], limits: Limits) -> Rejected | None:
    kind, message, phase = (text.decode("utf-8") for text in fields[3:6])
    if not kind:
        return None
    where = Range(*(_number(text) for text in fields[6:10]))
    # Out of memory far below the limit is the parser's own stack, not the machine's memory.
    spent = kind == "MemoryError" and int(fields[10]) > limits.memory // 2
    crashed = kind in {"MemoryError", "RecursionError", "SystemError"}
    return Rejected("limit" if spent else kind, message, where, in_parser=phase != "compiler", crashed=crashed)


def _warnings(fields: list[bytes]) -> tuple[Warned, ...]:
    texts = [text.decode("utf-8") for text in fields[_VERDICT_FIELDS:]]
    rows = (texts[at : at + 3] for at in range(0, len(texts), 3))
    # 3.8 to 3.11 parse twice on some errors and warn twice.
    return tuple(dict.fromkeys(Warned(category, message, int(line) or None) for category, message, line in rows))


class Pool:
    """As many probes as `jobs`, started when there is work for them."""

    def __init__(self, command: Callable[[int], list[str]], jobs: int, limits: Limits) -> None:
        self._command = command
        self._jobs = jobs
        self._limits = limits
        self._workers: list[Worker] = []
        self._selector = selectors.DefaultSelector()
        self._doubtful: list[tuple[Source, Outcome]] = []
        self._again: deque[Source] = deque()
        self._barren = 0

    def start(self) -> None:
        """Start the first probe; `greet` waits for it."""
        self._add()

    def greet(self, timeout: float) -> Greeting:
        """Wait for the greeting of the first probe, started if need be; raises UnprovenError when none comes."""
        worker = self._workers[0] if self._workers else self._add()
        end = time.monotonic() + timeout
        while worker.greeting is None:
            left = end - time.monotonic()
            if left <= 0:
                self._drop(worker)
                raise UnprovenError(f"did not answer within {timeout:g} seconds")
            for key, _events in self._selector.select(left):
                if key.data[1] == "err":
                    self._overhear(worker)
                elif not self._hear(worker, []):
                    status, _memory = worker.death()
                    words = worker.complaint() or _ended(status)
                    self._drop(worker)
                    raise UnprovenError(f"ended before it answered: {words}")
        return worker.greeting

    def run(self, sources: Iterator[Source]) -> Iterator[Outcome]:
        """Judge every source; outcomes come in any order. Raises UnprovenError when no probe survives."""
        exhausted = False
        while True:
            exhausted = self._feed(sources, exhausted=exhausted)
            if exhausted and not self._again and not any(worker.waiting for worker in self._workers):
                break
            yield from self._turn()
        for source, first in self._doubtful:
            yield self._second_try(source, first)
        self._doubtful.clear()

    def close(self) -> None:
        """End every probe."""
        for worker in list(self._workers):
            self._drop(worker)
        self._selector.close()

    def _add(self) -> Worker:
        try:
            worker = Worker.start(self._command, self._limits)
        except OSError as error:
            raise UnprovenError(f"could not be started: {error.strerror}") from error
        self._workers.append(worker)
        self._selector.register(_pipe(worker.child.stdout), selectors.EVENT_READ, (worker, "out"))
        self._selector.register(_pipe(worker.child.stderr), selectors.EVENT_READ, (worker, "err"))
        return worker

    def _drop(self, worker: Worker) -> None:
        self._workers.remove(worker)
        for pipe in (worker.child.stdin, worker.child.stdout, worker.child.stderr):
            try:
                self._selector.unregister(_pipe(pipe))
            except (KeyError, ValueError):
                pass
        process.stop(worker.child)

    def _feed(self, sources: Iterator[Source], *, exhausted: bool) -> bool:
        while True:
            worker = self._idlest()
            if worker is None:
                return exhausted
            if self._again:
                source: Source | None = self._again.popleft()
            else:
                source = None if exhausted else next(sources, None)
            if source is None:
                return True
            worker.ask(source)
            self._send(worker)

    def _idlest(self) -> Worker | None:
        """The worker to ask next: a new one while every other has work, None while all are full."""
        worker = min(self._workers, key=lambda one: len(one.waiting), default=None)
        if worker is None or (worker.waiting and len(self._workers) < self._jobs):
            return self._add()
        return worker if worker.has_room else None

    def _send(self, worker: Worker) -> None:
        worker.write()
        stdin = _pipe(worker.child.stdin)
        registered = stdin in self._selector.get_map()
        if worker.outgoing and not registered:
            self._selector.register(stdin, selectors.EVENT_WRITE, (worker, "in"))
        elif registered and not worker.outgoing:
            self._selector.unregister(stdin)

    def _turn(self) -> list[Outcome]:
        """Wait for something to happen and deal with it."""
        outcomes: list[Outcome] = []
        ends = [worker.deadline() for worker in self._workers if worker.waiting]
        wait = max(0.0, min(ends) - time.monotonic()) if ends else None
        for key, _events in self._selector.select(wait):
            worker, which = key.data
            if worker not in self._workers:
                continue
            if which == "in":
                self._send(worker)
            elif which == "err":
                self._overhear(worker)
            elif not self._hear(worker, outcomes):
                self._bury(worker)
        now = time.monotonic()
        for worker in [one for one in self._workers if one.waiting and one.deadline() <= now]:
            self._give_up(worker, outcomes)
        return outcomes

    def _hear(self, worker: Worker, outcomes: list[Outcome]) -> bool:
        """Read answers; False when the worker is gone."""
        alive = worker.read()
        try:
            for fields in worker.lists():
                if worker.greeting is None:
                    worker.greeting = _greeting(fields)
                else:
                    self._take(worker.waiting[0], worker.answered(fields), outcomes)
        except (ValueError, IndexError) as error:
            raise UnprovenError(f"the probe's answer could not be read: {error}") from error
        return alive

    def _take(self, source: Source, outcome: Outcome, outcomes: list[Outcome]) -> None:
        self._barren = 0
        rejected = outcome.rejected
        if rejected is not None and rejected.kind in {"MemoryError", "limit"}:
            self._doubtful.append((source, outcome))
        else:
            outcomes.append(outcome)

    def _overhear(self, worker: Worker) -> None:
        try:
            chunk = os.read(_pipe(worker.child.stderr), _CHUNK)
        except OSError as error:
            chunk = b"" if error.errno != errno.EAGAIN else b" "
        worker.errors = (worker.errors + chunk)[-2000:]
        if not chunk:
            self._selector.unregister(_pipe(worker.child.stderr))

    def _bury(self, worker: Worker) -> None:
        """A worker died: its source at work is doubtful, the others go to the next worker."""
        status, memory = worker.death()
        rest = list(worker.waiting)
        words = worker.complaint()
        self._drop(worker)
        self._barren += 1
        if worker.greeting is None or self._barren > 3 + 2 * self._jobs + len(self._doubtful):
            raise UnprovenError(f"the probe ended before it answered: {words or _ended(status)}")
        if rest:
            self._doubtful.append(
                (rest[0], Outcome(rest[0].number, rest[0].digest, _fatal(status, memory, self._limits)))
            )
            self._again.extend(rest[1:])

    def _give_up(self, worker: Worker, outcomes: list[Outcome]) -> None:
        source = worker.waiting[0]
        self._again.extend(list(worker.waiting)[1:])
        self._drop(worker)
        outcomes.append(_too_long(source, self._limits))

    def _second_try(self, source: Source, first: Outcome) -> Outcome:
        """Alone, in a fresh process, under wider limits: what happens again is the file's own doing."""
        if first.rejected is not None and first.rejected.kind == "time":
            return _too_long(source, self._limits)
        wide = Pool(self._command, 1, self._limits.wider())
        try:
            outcome = wide._alone(source)
        except UnprovenError as error:
            outcome = Outcome(source.number, source.digest, unproven=error.what)
        finally:
            wide.close()
        rejected = outcome.rejected
        if rejected is None or outcome.unproven:
            return outcome
        if rejected.kind == "limit":
            gibi = self._limits.wider().memory >> 30
            return outcome._replace(rejected=None, unproven=f"compiling it takes more than {gibi} GiB of memory")
        if rejected.kind == "time":
            return _too_long(source, self._limits.wider())
        if rejected.kind == "killed":
            return outcome._replace(rejected=None, unproven="the process that compiled it was killed from outside")
        return outcome

    def _alone(self, source: Source) -> Outcome:
        outcomes: list[Outcome] = []
        self._add().ask(source)
        self._send(self._workers[0])
        while not outcomes and not self._doubtful:
            outcomes = self._turn()
        return outcomes[0] if outcomes else self._doubtful[0][1]


def _widen(pipe: object) -> None:
    """Make room for a whole window in a pipe, where the system lets us: fewer writes, fewer wake-ups."""
    try:
        fcntl.fcntl(_pipe(pipe), fcntl.F_SETPIPE_SZ, _MEBI)
    except (AttributeError, OSError):
        pass


def _pipe(pipe: object) -> int:
    return pipe.fileno()  # type: ignore[attr-defined, no-any-return]


def _greeting(fields: list[bytes]) -> Greeting:
    texts = [text.decode("utf-8") for text in fields]
    if fields[0] != _GREETING:
        raise ValueError("it does not greet as a probe")
    return Greeting(*texts[1:7])


def _ended(status: int) -> str:
    if status >= 0:
        return f"it ended with status {status}"
    try:
        return f"it was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was ended by signal {-status}"


def _fatal(status: int, memory: int, limits: Limits) -> Rejected:
    """What the death of a compiler says about the source that it was busy with."""
    if status == -signal.SIGXCPU:
        kind = "time"
    elif status == -signal.SIGKILL:
        kind = "killed"
    elif memory > limits.memory // 2:
        kind = "limit"
    else:
        kind = "crash"
    return Rejected(kind, f"the compiler died: {_ended(status)}", crashed=True)


def _too_long(source: Source, limits: Limits) -> Outcome:
    seconds = limits.seconds_for(len(source.data))
    return Outcome(source.number, source.digest, unproven=f"compiling it takes more than {seconds} seconds")


def source_of(number: int, data: bytes) -> Source:
    """A source with its digest."""
    return Source(number, data, hashlib.sha256(data).digest())
