"""Which failures of a log did no harm: a warning before a server that then started, a step's trouble in a build that succeeded. Pure.

They name no cause, and make no log healthy either: whether they did harm elsewhere is unknown.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from buildguard.definitions import lazy_pattern
from buildguard.diagnose import health
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.health import HealthProof
from buildguard.diagnose.known_messages import KnownMessageMatch
from buildguard.diagnose.line_context import NO_CONTEXT, WARNING, LineContext
from buildguard.diagnose.log_parser import Failure, Log

_BEGINS = lazy_pattern(r"starting build \"|FETCHSOURCE$")
_TRACEBACK = "Traceback (most recent call last)"
_LONGEST = 400  # lines of a traceback
# What a program can catch and go on without; that a process ended is reported at every level. Empty is an exception.
_DISPENSABLE = frozenset(
    {
        "",
        CauseId.DEPENDENCY_SERVICE,
        CauseId.PERMISSION,
        CauseId.SERVICE_TROUBLE,
        CauseId.NOT_IMPORTABLE,
        CauseId.MISSING_VARIABLE,
    }
)


def survived_lines(log: Log, matches: Iterable[KnownMessageMatch], proofs: Sequence[HealthProof]) -> frozenset[int]:
    """The numbers of the lines with a failure or a known message after which the same program proved to run, or ended well.

    `proofs` are the lines of the log that prove something. Also what a program can live without and reports below the level of an error, in a log that has no line of that level.
    """
    if log.cut:
        return frozenset()
    reports = {match.line for match in matches if not match.message.cause}
    calm = _calm_lines(log) - reports
    judge = _SurvivalJudge(log, proofs, calm)
    return frozenset(number for number, cause in _causes(log, matches).items() if judge.did_no_harm(number, cause))


def _causes(log: Log, matches: Iterable[KnownMessageMatch]) -> dict[int, str]:
    """The causes by the lines that name them; an exception by itself has none."""
    return {failure.line: "" for failure in log.failures} | {match.line: match.message.cause for match in matches}


def _calm_lines(log: Log) -> frozenset[int]:
    """The lines whose level is below an error's, with the tracebacks that belong to them."""
    calm = {at for at, context in enumerate(log.contexts, 1) if context.level}
    previous = 0
    for failure in log.failures:
        first = _first_line(log.lines, failure, previous)
        is_calm = (previous in calm) if failure.chained else first > 1 and _is_warned(log, first - 1)
        if is_calm:
            calm.update(range(first, failure.line + 1))
        previous = failure.line
    return frozenset(calm)


def _first_line(lines: Sequence[str], failure: Failure, after: int) -> int:
    """The number of the line on which a traceback begins; the exception's own where it has none."""
    lowest = max(after, failure.line - _LONGEST)
    return next((at for at in range(failure.line, lowest, -1) if _TRACEBACK in lines[at - 1]), failure.line)


def _is_warned(log: Log, number: int) -> bool:
    """Whether a line is a logger's warning, of which the traceback right below it is a part; no server's usual chatter."""
    is_traceback = _TRACEBACK in log.lines[number]
    return (
        is_traceback and _context(log, number).level == WARNING and health.is_more_than_chatter(log.lines[number - 1])
    )


def _context(log: Log, number: int) -> LineContext:
    return log.contexts[number - 1] if log.contexts else NO_CONTEXT


class _SurvivalJudge:
    """Decides for each line of a log whether a later one proves that it was no end."""

    def __init__(self, log: Log, proofs: Sequence[HealthProof], calm: frozenset[int]) -> None:
        """`calm` are the lines below the level of an error."""
        self._log = log
        self._proofs = proofs
        self._calm = calm
        errors = {number for number, _text in log.errors} | {failure.line for failure in log.failures}
        self._errors = sorted(errors - calm)
        self._begins = [at for at, line in enumerate(log.lines, 1) if _BEGINS.match(line)]

    def did_no_harm(self, number: int, cause: str) -> bool:
        """Whether a proof after that line counts for it, or it is of what can be missed and everything is below an error."""
        if cause in _DISPENSABLE and self._is_only_warned(number):
            return True
        return any(self._counts(proof, number) for proof in self._candidates(number))

    def _is_only_warned(self, number: int) -> bool:
        return number in self._calm and not self._errors

    def _candidates(self, number: int) -> Iterator[HealthProof]:
        """The first later proof of each kind and origin, of those that can be of the same program."""
        origin = _context(self._log, number).origin
        seen: set[tuple[str, str]] = set()
        for proof in self._proofs[bisect_right(self._proofs, number, key=lambda one: one.line) :]:
            key = (proof.kind, proof.origin)
            if key not in seen and (not origin or not proof.origin or proof.origin == origin):
                seen.add(key)
                yield proof

    def _counts(self, proof: HealthProof, number: int) -> bool:
        if proof.kind == health.JOB:
            return True
        if proof.kind == health.BUILD:
            return self._is_of_build(number) and not _between(self._begins, number, proof.line)
        return number in self._calm and not _between(self._errors, number, proof.line)

    def _is_of_build(self, number: int) -> bool:
        return _context(self._log, number).is_of_step or bisect_right(self._begins, number) > 0


def _between(numbers: Sequence[int], low: int, high: int) -> int:
    """How many of some ascending numbers are above `low`, and no higher than `high`."""
    return bisect_right(numbers, high) - bisect_right(numbers, low)
