"""Whether the tests of a cycle really ran, by the cycles before it: what vanished, what got suspiciously fast, what regressed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from buildguard.cycles.case_results import CaseOutcome, CaseResult
from buildguard.cycles.frozen_tests import FrozenTests, changed_tests, freeze
from buildguard.cycles.gates import is_known
from buildguard.cycles.record import CycleHistory, CycleRecord
from buildguard.cycles.test_results import VerifyResult
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import count, name_some
from buildguard.project.verify_config import KnownFailure

_CYCLES = 5  # whose median counts
_SLOW, _FRACTION = 1.0, 0.05  # seconds that a test always took, and the share of them that is suspicious


class Expectations(NamedTuple):
    """What is expected of the tests: by earlier cycles, by what a person allowed, and by the loop that froze them."""

    history: CycleHistory = CycleHistory()
    no_regressions: bool = False
    known: tuple[KnownFailure, ...] = ()
    accept_vanished: bool = False
    frozen: FrozenTests | None = None


class CycleVerdict(NamedTuple):
    """What earlier cycles show of a new one: the failures that they prove, notes, the tests that are missing, and all tests."""

    failures: tuple[str, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    cases: tuple[CaseResult, ...]


def judge_cycle(results: Sequence[VerifyResult], expected: Expectations) -> CycleVerdict:
    """Compare the tests of a cycle with those of the cycles before it."""
    cases = tuple(case for result in results for case in result.cases)
    cases, notes = _mark_suspicious(cases, expected.history)
    missing, failures = _vanished(results, expected)
    if expected.no_regressions:
        failures += _regressions(results, cases, expected)
    if expected.frozen is not None and _is_listed(results):
        failures += changed_tests(expected.frozen, freeze(cases))
    return CycleVerdict(tuple(failures), tuple(notes), tuple(missing), cases)


def _mark_suspicious(cases: tuple[CaseResult, ...], history: CycleHistory) -> tuple[tuple[CaseResult, ...], list[str]]:
    """Tests that passed in a fraction of the time that they took in each of the last cycles."""
    durations = history.durations(_CYCLES)
    marked, notes = [], []
    for case in cases:
        usual = durations.get(case.id, [])
        middle = median(usual) if len(usual) == _CYCLES else 0.0
        is_quick = case.seconds is not None and middle >= _SLOW and case.seconds < _FRACTION * middle
        if is_quick and case.outcome is CaseOutcome.PASSED:
            marked.append(case._replace(outcome=CaseOutcome.SUSPICIOUS))
            notes.append(f"suspicious: {case.id} passed in {case.seconds:g} s; the median of 5 cycles is {middle:g} s")
        else:
            marked.append(case)
    return tuple(marked), notes


def _vanished(results: Sequence[VerifyResult], expected: Expectations) -> tuple[list[str], list[str]]:
    """The tests of the last cycle that are gone, and the failure that this is; none where a person accepts it."""
    before = expected.history.last_tested
    if before is None or expected.accept_vanished:
        return [], []
    if before.is_listed and _is_listed(results):
        return _vanished_by_name(results, before)
    gone = _number(before) - sum((result.ran or 0) + result.skipped for result in results)
    return [], [f"{count(gone, 'test')} fewer than in the last cycle; {_ACCEPT}"] if gone > 0 else []


def _vanished_by_name(results: Sequence[VerifyResult], before: CycleRecord) -> tuple[list[str], list[str]]:
    now = {case.id for result in results for case in result.cases}
    missing = sorted({*before.last_results, *before.missing} - now)
    words = f"{count(len(missing), 'test')} of the last cycle vanished: {name_some(missing)}; {_ACCEPT}"
    return (missing, [words]) if missing else ([], [])


_ACCEPT = "if that is intended: --accept-vanished"


def _number(cycle: CycleRecord) -> int:
    return sum(command.ran + command.skipped for command in cycle.commands)


def _is_listed(results: Sequence[VerifyResult]) -> bool:
    """Whether every test that ran is known by name."""
    return all(result.listed for result in results if result.ran or result.skipped)


def _regressions(results: Sequence[VerifyResult], cases: Sequence[CaseResult], expected: Expectations) -> list[str]:
    """What passed in the last proven cycle, and did not now."""
    green = expected.history.last_green
    if green is None:
        return []
    if not (green.is_listed and _is_listed(results)):
        fewer = green.counts.passed - sum(result.passed or 0 for result in results)
        return [f"{count(fewer, 'test')} fewer passed than in the last proven cycle"] if fewer > 0 else []
    before = _passed(green.last_results.values())
    if expected.accept_vanished:
        before &= {case.id for case in cases}
    worse = sorted(identity for identity in before - _passed(cases) if not is_known(identity, expected.known))
    return [f"{count(len(worse), 'regression')} since the last proven cycle: {name_some(worse)}"] if worse else []


def _passed(cases: Iterable[CaseResult]) -> set[str]:
    """The tests that passed every time."""
    cases = tuple(cases)
    return {case.id for case in cases if case.outcome.is_good} - {case.id for case in cases if case.outcome.is_bad}


def describe_known(
    known: Sequence[KnownFailure], cases: Sequence[CaseResult], expired: Sequence[KnownFailure]
) -> list[str]:
    """Notes about known failures: those whose day has passed, and those that pass by now."""
    notes = [f"the known failure {failure.test} expired on {failure.until}: {failure.reason}" for failure in expired]
    for failure in known:
        own = [case for case in cases if is_known(case.id, [failure])]
        if own and all(case.outcome.is_good for case in own):
            notes.append(f"the known failure {failure.test} passes now: remove it from known-failures")
    return notes
