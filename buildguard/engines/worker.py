"""One probe process: what it was asked, what it answers, and the limits that it lives under."""

from __future__ import annotations

import signal
import time
from collections import deque
from collections.abc import Callable, Iterator

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Range
from buildguard.engines.engine import CompilerDeath, CompilerWarning, Outcome, Rejection, Source
from buildguard.remote.wire import read_list
from buildguard.system.channels import Channel
from buildguard.system.process import describe_ending, last_line

_MEBI = 1 << 20
_WINDOW_BYTES = _MEBI // 2
_WINDOW_FILES = 64
_VERDICT_FIELDS = 12
_GREETING = b"buildguard-probe"


class ProbeLimits(NamedTuple):
    """What one source may cost: address space in bytes, and seconds, which grow with its size."""

    memory: int = 2 << 30
    seconds: int = 20
    reads_facts: bool = True

    def seconds_for(self, size: int) -> int:
        """Seconds of CPU time for a source of `size` bytes; a compiler does at least 1 MB in ten."""
        return self.seconds + 10 * size // _MEBI

    def wider(self) -> ProbeLimits:
        """The limits of the second try, which does nothing but compile."""
        return ProbeLimits(self.memory * 3, self.seconds * 2, reads_facts=False)


class Greeting(NamedTuple):
    """How a probe introduces the interpreter that it runs in.

    `libc` is "musl" or empty, `magic` what its bytecode begins with, in hexadecimal digits.
    """

    implementation: str
    version: str
    banner: str
    abi: str
    executable: str
    checksum: str
    libc: str = ""
    prefix: str = ""
    magic: str = ""


class FactsProgram(NamedTuple):
    """What reads imports: as `marshal` writes what the same interpreter compiled, for that takes longer than two starts; or its source."""

    data: bytes
    is_compiled: bool


class Worker:
    """One probe at work: what it was asked and has not answered, and the limits that it lives under."""

    def __init__(self, channel: Channel, limits: ProbeLimits, program: Callable[[], FactsProgram]) -> None:
        """`program` gives what reads imports."""
        self.channel = channel
        self.limits = limits
        self._program: Callable[[], FactsProgram] | None = program
        self.greeting: Greeting | None = None
        self.waiting: deque[Source] = deque()
        self.bytes_waiting = 0
        self.busy_since = 0.0

    @property
    def has_room(self) -> bool:
        """Whether it can take one more source without the pipe or the wait growing long."""
        return len(self.waiting) < 2 or (  # noqa: PLR2004  one at work, one at hand
            self.bytes_waiting < _WINDOW_BYTES * self.channel.windows
            and len(self.waiting) < _WINDOW_FILES * self.channel.windows
        )

    @property
    def has_news(self) -> bool:
        """Whether it wrote something, or has ended."""
        return bool(self.channel.incoming) or self.channel.closed

    def ask(self, source: Source) -> None:
        """Send one source to this worker."""
        if not self.waiting:
            self.busy_since = time.monotonic()
        head = self._head(source.number, source.data)
        self.waiting.append(source)
        self.bytes_waiting += len(source.data)
        if source.is_question:
            self._send_program()
            self.channel.send(head + b" ?\n", source.data)
        elif source.code is None:
            reads_facts = self.limits.reads_facts and source.reads_facts
            if reads_facts:
                self._send_program()
            self.channel.send(head + (b"\n" if reads_facts else b" -\n"), source.data)
        else:
            self.channel.send(b"%s %d %d\n" % (head, source.level, len(source.code)), source.data, source.code)

    def _head(self, number: int, data: bytes) -> bytes:
        return b"%d %d %d" % (number, len(data), self.limits.seconds_for(len(data)))

    def _send_program(self) -> None:
        """Send what reads imports before it is needed first."""
        ask, self._program = self._program, None
        if ask is not None:
            program = ask()
            mark = b" !\n" if program.is_compiled else b" =\n"
            self.channel.send(self._head(0, program.data) + mark, program.data)

    def deadline(self) -> float:
        """When the source at work has had its time; twice its CPU seconds, as the machine may be shared."""
        return self.busy_since + 2 * self.limits.seconds_for(len(self.waiting[0].data)) + 5

    def complaint(self) -> str:
        """The last line that it wrote to stderr."""
        return last_line(self.channel.errors)[:200]

    def lists(self) -> Iterator[list[bytes]]:
        """The whole lists among what it wrote; raises ValueError at what no probe writes."""
        incoming, at = self.channel.incoming, 0
        while (item := read_list(incoming, at)) is not None:
            fields, at = item
            yield fields
        del incoming[:at]

    def answered(self, fields: list[bytes]) -> Outcome:
        """Match an answer with its question; raises ValueError where the two differ."""
        source = self.waiting.popleft()
        self.bytes_waiting -= len(source.data)
        self.busy_since = time.monotonic()
        number, size, digest = int(fields[0]), int(fields[1]), fields[2].decode("ascii")
        assert self.greeting is not None
        if number != source.number or size != len(source.data) or digest != self._expected(source):
            raise ValueError("the probe answered for other bytes than it was sent")
        return outcome_of(source, fields)

    def _expected(self, source: Source) -> str:
        kind = self.greeting.checksum if self.greeting else ""
        if kind == "sha256":
            return source.digest.hex()
        if kind == "crc32":
            import binascii

            return f"{binascii.crc32(source.data):08x}"
        return f"{sum((at + 1) * byte for at, byte in enumerate(source.data)):x}"


def outcome_of(source: Source, fields: list[bytes]) -> Outcome:
    """What a probe's answer says of a source; raises ValueError for what is no answer."""
    return Outcome(
        source.number, source.digest, _rejection(fields), _warnings(fields), facts=fields[_VERDICT_FIELDS - 1]
    )


def _number(text: bytes) -> int | None:
    return int(text) if text else None


def _rejection(fields: list[bytes]) -> Rejection | None:
    kind, message, phase = (text.decode("utf-8") for text in fields[3:6])
    if not kind:
        return None
    where = Range(*(_number(text) for text in fields[6:10]))
    # Out of memory far below the limit is the parser's own stack, not the machine's memory.
    spent = kind == "MemoryError" and fields[10] != b"0"
    crashed = kind in {"MemoryError", "RecursionError", "SystemError"}
    return Rejection(
        CompilerDeath.LIMIT if spent else kind, message, where, in_parser=phase != "compiler", crashed=crashed
    )


def _warnings(fields: list[bytes]) -> tuple[CompilerWarning, ...]:
    texts = [text.decode("utf-8") for text in fields[_VERDICT_FIELDS:]]
    rows = (texts[at : at + 3] for at in range(0, len(texts), 3))
    # 3.8 to 3.11 parse twice on some errors and warn twice.
    return tuple(
        dict.fromkeys(CompilerWarning(category, message, int(line) or None) for category, message, line in rows)
    )


def greeting_from(fields: list[bytes]) -> Greeting:
    """Read the first list of a probe; raises ValueError where it is none."""
    texts = [text.decode("utf-8") for text in fields]
    if fields[0] != _GREETING:
        raise ValueError("it does not greet as a probe")
    return Greeting(*texts[1:10])


def crash_rejection(status: int, memory: int, limits: ProbeLimits) -> Rejection:
    """What the death of a compiler says about the source that it was busy with."""
    return Rejection(_death(status, memory, limits), f"the compiler died: {describe_ending(status)}", crashed=True)


def _death(status: int, memory: int, limits: ProbeLimits) -> CompilerDeath:
    if status == -signal.SIGXCPU:
        return CompilerDeath.TIME
    if status == -signal.SIGKILL:
        return CompilerDeath.KILLED
    return CompilerDeath.LIMIT if memory > limits.memory // 2 else CompilerDeath.CRASH


def timeout_outcome(source: Source, limits: ProbeLimits) -> Outcome:
    """That a source was not compiled in the time that it had."""
    seconds = limits.seconds_for(len(source.data))
    return Outcome(source.number, source.digest, unproven=f"compiling it takes more than {seconds} seconds")


def settle_retry(source: Source, outcome: Outcome, wide: ProbeLimits) -> Outcome:
    """What a second try, alone and under wide limits, says of a source: what happens again is the file's own doing."""
    rejected = outcome.rejected
    if rejected is None or outcome.unproven:
        return outcome
    match rejected.kind:
        case CompilerDeath.LIMIT:
            why = f"compiling it takes more than {wide.memory >> 30} GiB of memory"
        case CompilerDeath.KILLED:
            why = "the process that compiled it was killed, from outside or for want of memory"
        case CompilerDeath.TIME:
            return timeout_outcome(source, wide)
        case _:
            return outcome
    return outcome._replace(rejected=None, unproven=why)
