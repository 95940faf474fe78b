"""A cycle as its report has it, whatever the format: rows and sentences, with foreign text still as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from buildguard.cli.render.cycle import case_rows, describe_tests
from buildguard.cycles.case_results import CaseResult, count_cases
from buildguard.cycles.changes import CaseChanges, CycleChanges
from buildguard.cycles.gates import describe_rate
from buildguard.cycles.record import CycleRecord
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import count
from buildguard.project.ledger import StepVerdict

_MOST_PATHS, _MOST_OUTPUT, _MOST_CASES = 30, 6000, 100
_MOST_RATES = 30
_SPARKS = "▁▂▃▄▅▆▇█"


class SuiteRow(NamedTuple):
    """The tests of one file or suite; `delta` is by how many seconds it took longer than in the last cycle."""

    name: str
    passed: int
    bad: int
    skipped: int
    seconds: float
    delta: float | None


class ChangeSection(NamedTuple):
    """What changed since one cycle: sentences, kinds of tests with their names, commits and paths."""

    title: str
    sentences: tuple[str, ...]
    cases: tuple[tuple[str, tuple[str, ...]], ...]
    commits: tuple[str, ...]
    paths: tuple[str, ...]


class CycleView(NamedTuple):
    """Everything that a report shows of a cycle. `rates` are the shares of tests that passed, cycle by cycle (None: no tests)."""

    cycle: CycleRecord
    title: str
    sentence: str
    tests: str
    suites: tuple[SuiteRow, ...]
    failing: tuple[CaseResult, ...]
    changes: tuple[ChangeSection, ...]
    rates: tuple[tuple[int, float | None], ...]
    outputs: tuple[tuple[str, str], ...]
    action: str

    @property
    def mood(self) -> str:
        """`good`, `bad`, or `open` for what is unproven."""
        return {0: "good", 1: "bad"}.get(self.cycle.exit_code, "open")

    @property
    def diagnosis(self) -> Mapping[str, Any]:
        """Why it failed; empty for a green cycle."""
        return self.cycle.diagnosis

    @property
    def sparkline(self) -> str:
        """The rates as a row of bars, and the first and last of them in percent."""
        known = [rate for _number, rate in self.rates if rate is not None]
        bars = "".join(
            "·" if rate is None else _SPARKS[round(rate * (len(_SPARKS) - 1))] for _number, rate in self.rates
        )
        return f"{bars} {describe_rate(known[0])} → {describe_rate(known[-1])}" if known else ""


def view_cycle(cycle: CycleRecord, before: Sequence[CycleRecord], changes: Sequence[CycleChanges]) -> CycleView:
    """The view of a cycle; `before` are the earlier ones, the oldest first."""
    failing = tuple(case for case in cycle.last_results.values() if case.outcome.is_bad)
    tested = next((earlier for earlier in reversed(before) if earlier.has_tests), None)
    rates = [(other.number, other.counts.rate) for other in (*before, cycle)]
    return CycleView(
        cycle,
        f"cycle {cycle.number} of {cycle.service.service}: {_verdict(cycle)}",
        describe_cycle(cycle),
        describe_tests(cycle),
        tuple(_suites(cycle, tested)),
        failing[:_MOST_CASES],
        tuple(map(_section, changes)),
        tuple(rates[-_MOST_RATES:]),
        tuple((command.run, command.output[-_MOST_OUTPUT:]) for command in cycle.commands if command.output),
        _action(cycle),
    )


def _verdict(cycle: CycleRecord) -> str:
    return {0: "green", 1: "failed"}.get(cycle.exit_code, "unproven")


def describe_cycle(cycle: CycleRecord) -> str:
    """The verdict in a sentence."""
    if cycle.is_green:
        tests = describe_tests(cycle)
        return f"{cycle.revision or cycle.service.service} is proven{f': {tests}' if tests else ', without tests'}"
    bad = [step for step in cycle.steps if step.verdict in {StepVerdict.FAILED, StepVerdict.UNPROVEN}]
    if bad:
        word = "failed" if bad[-1].verdict == StepVerdict.FAILED else "is unproven"
        return f"the step {bad[-1].id} {word}: {bad[-1].words}"
    return "; ".join(note for note in cycle.notes if note.startswith("refused: ")) or "it did not succeed"


def _action(cycle: CycleRecord) -> str:
    """What to do next."""
    if cycle.is_green:
        return "nothing: this cycle is green"
    remedies = cycle.diagnosis.get("remedies") or ()
    if remedies:
        return str(remedies[0])
    more = cycle.diagnosis.get("more") or ()
    if more:
        return f"get what would show more: {more[0]}"
    return "fix what failed, commit, and run the next cycle"


def _suites(cycle: CycleRecord, before: CycleRecord | None) -> Iterator[SuiteRow]:
    old = _by_suite(before) if before is not None else {}
    for name, cases in sorted(_by_suite(cycle).items()):
        counts, seconds = count_cases(cases), _seconds(cases)
        delta = seconds - _seconds(old[name]) if name in old else None
        yield SuiteRow(name, counts.passed, counts.bad, counts.skipped, seconds, delta)


def _by_suite(cycle: CycleRecord) -> dict[str, list[CaseResult]]:
    suites: dict[str, list[CaseResult]] = {}
    for case in cycle.last_results.values():
        suites.setdefault(case.path or case.suite or case.id.partition("::")[0], []).append(case)
    return suites


def _seconds(cases: Sequence[CaseResult]) -> float:
    return round(sum(case.seconds or 0.0 for case in cases), 3)


def _section(change: CycleChanges) -> ChangeSection:
    green = " (green)" if change.since.is_green else ""
    tests = change.cases.sentence if change.cases is not None else "no tests to compare"
    commits = change.deploy.commits
    more = commits.more_paths + max(0, len(commits.paths) - _MOST_PATHS)
    return ChangeSection(
        f"Since cycle {change.since.number}{green}, commit {change.since.commit[:10]}",
        (f"tests: {tests}", *change.deploy.sentences),
        tuple(case_rows(change.cases or CaseChanges())),
        commits.commits[:_MOST_PATHS],
        (*commits.paths[:_MOST_PATHS], *([f"and {count(more, 'file')} more"] if more else [])),
    )
