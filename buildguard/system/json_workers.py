"""Children that answer a line of JSON with a line of JSON; one that dies over a question loses that one alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.system.channels import LocalChannel, LocalSite
from buildguard.system.process import describe_ending

_PATIENCE = 300  # seconds for one answer; what works on a question limits its own CPU time far below


class LostAnswer(NamedTuple):
    """A question that no answer came to, and why."""

    reason: str


class JsonWorkers:
    """As many children as `jobs`, started when there are questions for them; `close` ends them."""

    def __init__(self, argv: Sequence[str], jobs: int) -> None:
        self._program = argv[0]
        self._site = LocalSite(lambda _memory: [*argv])
        self._children: list[LocalChannel | None] = [None] * max(1, jobs)

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
                child.stop()
                self._children[at] = None
        self._site.close()

    def _send(self, at: int, question: Any) -> None:
        child = self._children[at]
        if child is None:
            try:
                child = self._children[at] = self._site.start(0)
            except UnprovenError as error:
                raise UnprovenError(f"{self._program} {error.what}") from error
        child.send(json.dumps(question).encode("ascii") + b"\n")

    def _receive(self, at: int) -> Any | LostAnswer:
        child = self._children[at]
        assert child is not None
        end = time.monotonic() + _PATIENCE
        left: float = _PATIENCE
        while left > 0 and not (child.closed or child.incoming.endswith(b"\n")):
            self._site.wait(left)
            left = end - time.monotonic()
        line = bytes(child.incoming)
        child.incoming.clear()
        try:
            return json.loads(line)
        except ValueError:
            child.stop()
            self._children[at] = None
            if left <= 0:
                return LostAnswer(f"it took more than {_PATIENCE} seconds")
            return LostAnswer(f"the process that worked on it gave up: {describe_ending(child.status or 0)}")
