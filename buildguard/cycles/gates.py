"""The gate of a verify command: which share of its tests has to pass, without the failures that are known. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from buildguard.cycles.case_ids import same_test
from buildguard.cycles.case_results import CaseResult, Counts
from buildguard.definitions import NamedTuple
from buildguard.project.verify_config import KnownFailure

_TINY = 1e-9  # of a test: the error of a share that is written in decimals


class GateResult(NamedTuple):
    """Whether a gate holds, in words; `known` are the failures that did not count."""

    holds: bool
    words: str
    known: tuple[str, ...] = ()


def in_force(known: Iterable[KnownFailure], today: date) -> tuple[KnownFailure, ...]:
    """The known failures whose day has not passed."""
    return tuple(failure for failure in known if failure.until >= today)


def apply_gate(gate: float, counts: Counts, cases: Sequence[CaseResult], known: Sequence[KnownFailure]) -> GateResult:
    """Whether enough tests passed; a known failure counts neither as passed nor as failed."""
    excused = [case.id for case in cases if case.outcome.is_bad and is_known(case.id, known)]
    ran, bad = counts.ran - len(excused), counts.bad - len(excused)
    more = f", {len(excused)} known to fail" if excused else ""
    if ran <= 0:
        return GateResult(False, f"no test is left to decide{more}", tuple(excused))
    rate = (ran - bad) / ran
    words = f"{ran - bad} of {ran} passed{more}"
    if gate < 1:
        words += f": {describe_rate(rate)}, the gate is {describe_rate(gate)}"
    return GateResult(ran - bad + _TINY >= gate * ran, words, tuple(excused))


def is_known(identity: str, known: Iterable[KnownFailure]) -> bool:
    """Whether a test is one of the known failures."""
    return any(same_test(failure.test, identity) for failure in known)


def describe_rate(rate: float) -> str:
    """A share in percent, where 99.97 % is not yet 100 %."""
    percent = rate * 100
    shown = f"{percent:.1f}"
    if shown == "100.0" and percent < 100 - _TINY:
        shown = "99.9"
    return f"{shown.removesuffix('.0')} %"
