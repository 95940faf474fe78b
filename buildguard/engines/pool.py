"""Probes at work: sources in over pipes, verdicts out, under limits that one bad file cannot outlive.

Each worker answers in the order it was asked, so the first unanswered source is always the one that it is busy
with: when a worker dies or runs out of time, that is the culprit.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator

from buildguard.engines.engine import CompilerDeath, Outcome, Source
from buildguard.engines.worker import (
    FactsProgram,
    Greeting,
    ProbeLimits,
    Worker,
    crash_rejection,
    greeting_from,
    settle_retry,
    timeout_outcome,
)
from buildguard.errors import Reason, TimedOutError, UnprovenError
from buildguard.system import threads
from buildguard.system.channels import Site
from buildguard.system.process import describe_ending

_TICK = 0.5
_WORTH_A_START = 16 << 10  # bytes of source; a probe starts in the time that it takes to compile these


_NOT_EXECUTABLE = "ermission"  # of "Permission denied"


def source_program() -> FactsProgram:
    """What reads imports, as its source."""
    from buildguard.engines.verify_interpreter import facts_text

    return FactsProgram(facts_text(), is_compiled=False)


class Pool:
    """As many probes as `jobs`, started when there is work for them."""

    def __init__(self, site: Site, jobs: int, limits: ProbeLimits) -> None:
        self._site = site
        self.program: Callable[[], FactsProgram] = source_program
        self._jobs = jobs
        self._limits = limits
        self._workers: list[Worker] = []
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
                raise TimedOutError(f"did not answer within {timeout:g} seconds")
            self._wait(left)
            if worker.has_news and not self._read_output(worker, []):
                status, _memory = worker.channel.death()
                words = worker.complaint() or describe_ending(status)
                self._drop(worker)
                reason = Reason.DENIED if _NOT_EXECUTABLE in words else None  # what ran it has no other way to say so
                raise UnprovenError(f"ended before it answered: {words}", reason=reason)
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

    def drop_all(self) -> None:
        """End every probe, and leave the site as it was found."""
        for worker in list(self._workers):
            self._drop(worker)

    def close(self) -> None:
        """End every probe, and the site."""
        self.drop_all()
        self._site.close()

    def _add(self) -> Worker:
        worker = Worker(self._site.start(self._limits.memory), self._limits, self._current_program)
        self._workers.append(worker)
        return worker

    def _current_program(self) -> FactsProgram:
        return self.program()

    def _drop(self, worker: Worker) -> None:
        self._workers.remove(worker)
        worker.channel.stop()

    def _feed(self, sources: Iterator[Source], *, exhausted: bool) -> bool:
        while self._has_room():
            if self._again:
                source: Source | None = self._again.popleft()
            else:
                source = None if exhausted else next(sources, None)
            if source is None:
                return True
            self._idlest().ask(source)
        return exhausted

    def _has_room(self) -> bool:
        return len(self._workers) < self._jobs or any(worker.has_room for worker in self._workers)

    def _idlest(self) -> Worker:
        """The worker to ask next: a new one where every other has more at hand than starting one takes."""
        worker = min(self._workers, key=lambda candidate: len(candidate.waiting), default=None)
        if worker is None:
            return self._add()
        is_busy = worker.bytes_waiting > _WORTH_A_START or not worker.has_room
        return self._add() if is_busy and len(self._workers) < self._jobs else worker

    def _turn(self) -> list[Outcome]:
        """Wait for something to happen and deal with it."""
        outcomes: list[Outcome] = []
        ends = [worker.deadline() for worker in self._workers if worker.waiting]
        wait = max(0.0, min(ends) - time.monotonic()) if ends else None
        self._wait(wait)
        for worker in [candidate for candidate in self._workers if candidate.has_news]:
            if not self._read_output(worker, outcomes):
                self._bury(worker)
        now = time.monotonic()
        for worker in [candidate for candidate in self._workers if candidate.waiting and candidate.deadline() <= now]:
            self._give_up(worker, outcomes)
        return outcomes

    def _wait(self, timeout: float | None) -> None:
        """Wait for the site, but not for long: in a thread the caller may be gone."""
        threads.raise_if_stopping()
        self._site.wait(_TICK if timeout is None else min(timeout, _TICK))

    def _read_output(self, worker: Worker, outcomes: list[Outcome]) -> bool:
        """Read answers; False when the worker is gone."""
        alive = not worker.channel.closed
        try:
            for fields in worker.lists():
                if worker.greeting is None:
                    worker.greeting = greeting_from(fields)
                else:
                    self._take(worker.waiting[0], worker.answered(fields), outcomes)
        except (ValueError, IndexError) as error:
            raise UnprovenError(f"the probe's answer could not be read: {error}") from error
        return alive

    def _take(self, source: Source, outcome: Outcome, outcomes: list[Outcome]) -> None:
        self._barren = 0
        rejected = outcome.rejected
        if rejected is not None and rejected.kind in {"MemoryError", CompilerDeath.LIMIT}:
            self._doubtful.append((source, outcome))
        else:
            outcomes.append(outcome)

    def _bury(self, worker: Worker) -> None:
        """A worker died: its source at work is doubtful, the others go to the next worker."""
        status, memory = worker.channel.death()
        rest = list(worker.waiting)
        words = worker.complaint()
        self._drop(worker)
        self._barren += 1
        if worker.greeting is None or self._barren > 3 + 2 * self._jobs + len(self._doubtful):
            raise UnprovenError(f"the probe ended before it answered: {words or describe_ending(status)}")
        if rest:
            self._doubtful.append(
                (rest[0], Outcome(rest[0].number, rest[0].digest, crash_rejection(status, memory, self._limits)))
            )
            self._again.extend(rest[1:])

    def _give_up(self, worker: Worker, outcomes: list[Outcome]) -> None:
        source = worker.waiting[0]
        self._again.extend(list(worker.waiting)[1:])
        self._drop(worker)
        outcomes.append(timeout_outcome(source, self._limits))

    def _second_try(self, source: Source, first: Outcome) -> Outcome:
        """Alone, in a fresh process, under wider limits: what happens again is the file's own doing."""
        if first.rejected is not None and first.rejected.kind == CompilerDeath.TIME:
            return timeout_outcome(source, self._limits)
        wide = Pool(self._site, 1, self._limits.wider())
        wide.program = self.program
        try:
            outcome = wide._alone(source)
        except UnprovenError as error:
            outcome = Outcome(source.number, source.digest, unproven=error.what)
        finally:
            wide.drop_all()
        return settle_retry(source, outcome, self._limits.wider())

    def _alone(self, source: Source) -> Outcome:
        outcomes: list[Outcome] = []
        self._add().ask(source)
        while not outcomes and not self._doubtful:
            outcomes = self._turn()
        return outcomes[0] if outcomes else self._doubtful[0][1]


def source_of(number: int, data: bytes) -> Source:
    """A source with its digest."""
    return Source(number, data, hashlib.sha256(data).digest())
