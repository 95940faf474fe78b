"""What came of the tests of a cycle, and what changed since earlier ones, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from buildguard.cycles.changes import CaseChanges, CycleChanges
from buildguard.cycles.gates import describe_rate
from buildguard.cycles.record import CycleRecord
from buildguard.deploy.cycle import FinishedCycle
from buildguard.diagnostic import count, escape_text

_FEW = 10
_SHOWN = ("newly_failing", "still_failing", "fixed", "flaky", "vanished", "skipped")


def describe_tests(cycle: CycleRecord) -> str:
    """How many tests passed, in percent; empty for a cycle without tests."""
    counts = cycle.counts
    if not cycle.has_tests:
        return ""
    rate = f" ({describe_rate(counts.rate)})" if counts.rate is not None else ""
    skipped = f", {counts.skipped} skipped" if counts.skipped else ""
    return f"{counts.passed} of {count(counts.ran, 'test')} passed{rate}{skipped}"


def cycle_lines(cycle: CycleRecord, changes: tuple[CycleChanges, ...]) -> Iterator[str]:
    """The tests of a cycle, those that failed, and what changed."""
    if words := describe_tests(cycle):
        yield f"tests: {words}"
    failing = [case for case in cycle.last_results.values() if case.outcome.is_bad]
    for case in failing[:_FEW]:
        place = f" ({escape_text(case.place)})" if case.place else ""
        yield f"  - {escape_text(case.id)} {case.outcome}{place}: {escape_text(case.message)}"
    if len(failing) > _FEW:
        yield f"  and {len(failing) - _FEW} more"
    for change in changes:
        yield from _change_lines(change)


def _change_lines(change: CycleChanges) -> Iterator[str]:
    green = " (green)" if change.since.is_green else ""
    name = f"since cycle {change.since.number}{green}, commit {change.since.commit[:8]}"
    yield f"{name}: {change.cases.sentence if change.cases is not None else 'no tests to compare'}"
    for kind, names in case_rows(change.cases or CaseChanges()):
        yield f"  {kind}: {escape_text(', '.join(names[:_FEW]))}"
    yield from (f"  {escape_text(words)}" for words in change.deploy.sentences)


def case_rows(cases: CaseChanges) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The kinds of changed tests that there are, with their names."""
    for name in _SHOWN:
        names = getattr(cases, name)
        if names:
            yield name.replace("_", " "), names


def diagnosis_lines(diagnosis: Mapping[str, Any]) -> Iterator[str]:
    """Why a cycle failed: the chain with its evidence, what would show more, and what to do."""
    if not diagnosis:
        return
    yield f"why: {escape_text(diagnosis['sentence'])}"
    for link in diagnosis["chain"][1:]:
        yield f"  → {escape_text(link['words'])}"
        yield from (f"    | {escape_text(words)}" for words in link["evidence"][:_FEW])
    yield from (f"  would show more: {escape_text(words)}" for words in diagnosis["more"])
    yield from (f"try: {escape_text(remedy)}" for remedy in diagnosis["remedies"])


def finished_lines(finished: FinishedCycle) -> Iterator[str]:
    """Why a cycle failed, and where its report is."""
    yield from diagnosis_lines(finished.record.diagnosis)
    if finished.reports:
        yield f"report: {escape_text(str(finished.reports[0]))}"


def cycle_json(finished: FinishedCycle | None) -> dict[str, Any] | None:
    """A cycle for programs."""
    if finished is None:
        return None
    cycle = finished.record
    counts = cycle.counts
    record = cycle.as_json()
    return {
        "id": cycle.id,
        "number": cycle.number,
        "tests": {**counts._asdict(), "ran": counts.ran, "rate": counts.rate},
        "cases": record["cases"],
        "diagnosis": record["diagnosis"],
        "changes": [change.as_json() for change in finished.changes],
        "reports": [str(file) for file in finished.reports],
    }
