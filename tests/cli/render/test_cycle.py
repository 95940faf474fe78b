"""A cycle as lines and as JSON."""

from __future__ import annotations

from buildguard.cli.render.cycle import cycle_json, cycle_lines, describe_tests
from buildguard.cycles.case_results import CaseOutcome, CaseResult
from buildguard.cycles.changes import CycleChanges, DeployChanges, compare_cases
from buildguard.cycles.record import CycleHistory
from buildguard.deploy.cycle import FinishedCycle
from buildguard.system.git_between import CommitRange
from tests.cycles.cycles import cases, changed, cycle


def _bad(name: str) -> CaseResult:
    return CaseResult(name, CaseOutcome.FAILED, 1.0, "assert 1 == 2", "tests/t.py:3")


def test_lines() -> None:
    before, now = cycle(1, a="p", b="p", c="p"), cycle(2, 1, a="f", b="p", c="s")
    now = changed(now, cases=(_bad("t.py::a"), *cases(b="p", c="s")))
    change = CycleChanges(before, compare_cases(before, now), DeployChanges(CommitRange(("abc x",), ("a.py",))))

    assert [*cycle_lines(now, (change,))] == [
        "tests: 1 of 2 tests passed (50 %), 1 skipped",
        "  - t.py::a failed (tests/t.py:3): assert 1 == 2",
        "since cycle 1 (green), commit cccccccc: 1 newly failing, 1 flaky, 1 skipped",
        "  newly failing: t.py::a",
        "  flaky: t.py::a",
        "  skipped: t.py::c",
        "  1 commit, 1 file changed",
    ]


def test_many_failures_are_counted() -> None:
    many = changed(cycle(1, 1, a="f"), cases=tuple(_bad(f"t::{number}") for number in range(12)))

    assert [*cycle_lines(many, ())][-1] == "  and 2 more"


def test_without_tests() -> None:
    now = cycle(2, 1)
    change = CycleChanges(cycle(1, a="p"), None, DeployChanges())

    assert describe_tests(now) == ""
    assert [*cycle_lines(now, (change,))] == ["since cycle 1 (green), commit cccccccc: no tests to compare"]
    answer = cycle_json(FinishedCycle(now, CycleHistory(), (change,)))
    assert answer is not None
    assert answer["changes"][0]["tests"] is None
    assert cycle_json(None) is None


def test_what_a_terminal_would_obey_is_escaped() -> None:
    hostile = changed(cycle(1, 1, a="f"), cases=(_bad("t::\x1b[2J")._replace(message="\x1b]0;x\x07"),))

    assert not any("\x1b" in line for line in cycle_lines(hostile, ()))
