"""Children that answer a line of JSON with a line of JSON; one that dies over a question loses that one alone."""

from __future__ import annotations

import json
import select
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.system import process

if TYPE_CHECKING:
    import subprocess


_PATIENCE = 300  # seconds for one answer; what works on a question limits its own CPU time far below


class LostAnswer(NamedTuple):
    """A question that no answer came to, and why."""

    reason: str


class JsonWorkers:
    """As many children as `jobs`, started when there are questions for them; `close` ends them."""

    def __init__(self, argv: Sequence[str], jobs: int) -> None:
        self._argv = argv
        self._children: list[subprocess.Popen[bytes] | None] = [None] * max(1, jobs)

    def ask(self, questions: Sequence[Any]) -> Iterator[Any | LostAnswer]:
        """The answers, in the order of the questions. Raises UnprovenError where no child can be started."""
        for first in range(0, len(questions), len(self._children)):
            batch = questions[first : first + len(self._children)]
            for at, question in enumerate(batch):
                self._send(at, question)
            for at in range(len(batch)):
                yield self._receive(at)

    def close(self) -> None:
        """End the children."""
        for at, child in enumerate(self._children):
            if child is not None:
                process.stop(child)
                self._children[at] = None

    def _send(self, at: int, question: Any) -> None:
        child = self._children[at]
        if child is None:
            try:
                child = self._children[at] = process.start(self._argv, cwd="/", env={"LC_ALL": "C"})
            except OSError as error:
                raise UnprovenError(f"{self._argv[0]} could not be started: {error.strerror}") from error
        assert child.stdin is not None
        rest = memoryview(json.dumps(question).encode("ascii") + b"\n")
        try:
            while rest:
                rest = rest[child.stdin.write(rest) :]
        except BrokenPipeError:
            pass  # its silence tells

    def _receive(self, at: int) -> Any | LostAnswer:
        child = self._children[at]
        assert child is not None
        assert child.stdout is not None
        line = bytearray()
        end = time.monotonic() + _PATIENCE
        in_time = True
        while in_time and not line.endswith(b"\n"):
            ready, _, _ = select.select([child.stdout], [], [], max(0.0, end - time.monotonic()))
            in_time = bool(ready)
            chunk = child.stdout.read(1 << 16) if ready else b""
            if not chunk:
                break
            line += chunk
        try:
            return json.loads(line)
        except ValueError:
            process.stop(child)
            self._children[at] = None
            return LostAnswer(_ending(child.returncode) if in_time else f"it took more than {_PATIENCE} seconds")


def _ending(status: int) -> str:
    from buildguard.system.process import describe_ending

    return f"the process that worked on it gave up: {describe_ending(status)}"
