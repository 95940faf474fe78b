"""The relay: several probes behind one stream, each with its own input, output and end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildguard.remote import relay

pytestmark = pytest.mark.interpreters

_ECHO = """
import os, sys
sys.stderr.write(sys.argv[1])
sys.stderr.flush()
while True:
    data = os.read(0, 1 << 16)
    if not data or data == b"die":
        raise SystemError("no more")
    if data == b"end":
        break
    os.write(1, data.upper())
"""


def _frame(kind: bytes, number: int, data: bytes = b"") -> bytes:
    return b"%b %d %d\n%b" % (kind, number, len(data), data)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    text = Path(relay.__file__).read_text("utf-8")
    command = [sys.executable, "-I", "-S", "-B", "-c", text, _ECHO, "60"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        yield started
        started.kill()


def _send(process: subprocess.Popen[bytes], *frames: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(b"".join(frames))
    process.stdin.flush()


def _next(process: subprocess.Popen[bytes]) -> tuple[bytes, int, bytes]:
    assert process.stdout is not None
    kind, number, size = process.stdout.readline().split()
    return kind, int(number), process.stdout.read(int(size))


def _until(process: subprocess.Popen[bytes], kind: bytes, number: int) -> dict[tuple[bytes, int], bytes]:
    """What came of each stream until the first frame of that kind, that one included."""
    streams: dict[tuple[bytes, int], bytes] = defaultdict(bytes)
    while (kind, number) not in streams:
        frame = _next(process)
        streams[frame[:2]] += frame[2]
    return streams


def test_each_probe_has_its_own_streams_and_its_own_end(process: subprocess.Popen[bytes]) -> None:
    _send(process, _frame(b"S", 1, b"1000"), _frame(b"S", 2, b"2000"), _frame(b"D", 2, b"two"))
    second = _until(process, b"O", 2)
    assert second[b"O", 2] == b"TWO"

    _send(process, _frame(b"D", 1, b"one"))
    assert _until(process, b"O", 1)[b"O", 1] == b"ONE"

    _send(process, _frame(b"D", 1, b"end"))
    status, memory = _until(process, b"X", 1)[b"X", 1].split()
    assert (status, int(memory) > 1 << 20) == (b"0", True)

    _send(process, _frame(b"D", 2, b"die"))
    ended = _until(process, b"X", 2)
    assert ended[b"X", 2].split()[0] == b"1"
    assert b"SystemError: no more" in ended[b"E", 2]


def test_a_probe_is_killed_and_the_relay_goes_on(process: subprocess.Popen[bytes]) -> None:
    _send(process, _frame(b"S", 1, b"1000"))
    assert _until(process, b"E", 1)[b"E", 1] == b"1000"  # its limit of memory

    _send(process, _frame(b"K", 1))
    assert _until(process, b"X", 1)[b"X", 1].split()[0] == b"-%d" % signal.SIGKILL

    _send(process, _frame(b"D", 1, b"to none"), _frame(b"S", 1, b"3000"), _frame(b"D", 1, b"again"))
    assert _until(process, b"O", 1)[b"O", 1] == b"AGAIN"


def test_more_than_a_pipe_takes_arrives_whole(process: subprocess.Popen[bytes]) -> None:
    data = b"x" * 3_000_000
    _send(process, _frame(b"S", 1, b"1000"), _frame(b"D", 1, data))

    arrived = 0
    while arrived < len(data):
        kind, _number, piece = _next(process)
        arrived += len(piece) if kind == b"O" else 0

    assert arrived == len(data)


def test_the_relay_ends_with_its_input(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()

    assert process.wait(timeout=300) == 0
