"""The set of tests that a loop froze: a change to it stops the loop for a person, before any traffic moves. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from buildguard.cycles.case_results import CaseResult
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import name_some


class FrozenTests(NamedTuple):
    """The tests of a service: those that ran, and those that were skipped."""

    ran: tuple[str, ...]
    skipped: tuple[str, ...] = ()


def freeze(cases: Iterable[CaseResult]) -> FrozenTests:
    """The set of some tests."""
    several = [*cases]
    ran = {case.id for case in several if case.outcome.is_bad or case.outcome.is_good}
    return FrozenTests(tuple(sorted(ran)), tuple(sorted({case.id for case in several} - ran)))


def changed_tests(frozen: FrozenTests, now: FrozenTests) -> list[str]:
    """How a set of tests differs, one line for each kind; a test that was skipped and runs now is no change for the worse."""
    before, after = {*frozen.ran, *frozen.skipped}, {*now.ran, *now.skipped}
    rows = (
        ("tests added", after - before),
        ("tests removed", before - after),
        ("tests skipped", {*now.skipped} & {*frozen.ran}),
    )
    return [f"{words}: {name_some(sorted(names))}" for words, names in rows if names]
