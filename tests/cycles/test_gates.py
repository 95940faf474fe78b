"""Gates: the share of tests that has to pass, and failures that are known until a day."""

from __future__ import annotations

from datetime import date

import pytest

from buildguard.cycles import gates
from buildguard.cycles.case_results import count_cases
from buildguard.cycles.test_results import CommandRun, VerifyResult, judge_verify
from buildguard.project.ledger import StepVerdict
from buildguard.project.verify_config import KnownFailure, VerifyCommand
from tests.cycles.cycles import cases

_KNOWN = KnownFailure("t.py::b", "ticket 7", date(2026, 12, 31))


@pytest.mark.parametrize(
    ("gate", "passed", "failed", "holds"),
    [(1.0, 25, 0, True), (1.0, 24, 1, False), (0.92, 23, 2, True), (0.93, 23, 2, False), (0.9, 9, 1, True), (0.3, 0, 9, False)],
)  # fmt: skip
def test_shares(gate: float, passed: int, failed: int, holds: bool) -> None:
    outcomes = {f"p{number}": "p" for number in range(passed)} | {f"f{number}": "f" for number in range(failed)}
    tests = cases(**outcomes)

    assert gates.apply_gate(gate, count_cases(tests), tests, ()).holds is holds


def test_a_known_failure_counts_on_neither_side() -> None:
    tests = cases(a="p", b="f", c="s")
    result = gates.apply_gate(1.0, count_cases(tests), tests, [_KNOWN])

    assert (result.holds, result.words, result.known) == (True, "1 of 1 passed, 1 known to fail", ("t.py::b",))
    only = cases(b="f")
    assert not gates.apply_gate(0.1, count_cases(only), only, [_KNOWN]).holds


def test_a_known_failure_ends_with_its_day() -> None:
    assert gates.in_force([_KNOWN], date(2026, 12, 31)) == (_KNOWN,)
    assert gates.in_force([_KNOWN], date(2027, 1, 1)) == ()


@pytest.mark.parametrize(("rate", "words"), [(0.92, "92 %"), (0.9997, "99.9 %"), (1.0, "100 %"), (0.5555, "55.5 %")])
def test_a_rate_is_never_rounded_up_to_all(rate: float, words: str) -> None:
    assert gates.describe_rate(rate) == words


# ------------------------------------------------------------------------------------------ a command with a gate


def _xml(passed: int, failed: int) -> bytes:
    good = "".join(f'<testcase classname="t" name="p{number}"/>' for number in range(passed))
    bad = "".join(f'<testcase classname="t" name="f{number}"><failure/></testcase>' for number in range(failed))
    return f"<testsuite>{good}{bad}</testsuite>".encode()


def _judge(
    gate: float, status: int, output: bytes, *reports: bytes, known: tuple[KnownFailure, ...] = ()
) -> VerifyResult:
    return judge_verify(VerifyCommand("pytest", gate), CommandRun(status, output, reports, 5.0), known)


def test_a_gate_below_one_takes_the_exit_status_of_failed_tests() -> None:
    fine = _judge(0.9, 1, b"== 1 failed, 9 passed in 1s ==\n", _xml(9, 1))

    assert (fine.verdict, fine.why) == (StepVerdict.OK, "9 of 10 passed: 90 %, the gate is 90 %")
    assert _judge(0.95, 1, b"", _xml(9, 1)).why == "1 of 10 tests failed: 9 of 10 passed: 90 %, the gate is 95 %"
    assert _judge(0.9, 2, b"", _xml(18, 2)).verdict == StepVerdict.OK  # mocha: the number of failures


@pytest.mark.parametrize("status", [2, 3, 4, 5, 127, -9])
def test_any_other_exit_status_fails_whatever_the_gate_is(status: int) -> None:
    assert _judge(0.5, status, b"", _xml(9, 1)).verdict == StepVerdict.FAILED


def test_a_run_that_stopped_at_a_failure_passes_no_gate() -> None:
    output = b"!!!!!!!!!!!!!! stopping after 1 failures !!!!!!!!!!!!!!\n== 1 failed, 9 passed in 1s ==\n"

    assert _judge(0.9, 1, output, _xml(9, 1)).verdict == StepVerdict.UNPROVEN


def test_a_failed_run_without_results_passes_no_gate() -> None:
    output = b"== 1 failed, 9 passed in 1s ==\n== 5 failed, 1 passed in 1s ==\n"

    assert _judge(0.5, 1, output, _xml(9, 1)).verdict == StepVerdict.FAILED
    assert _judge(0.5, 1, b"", _xml(9, 0)).verdict == StepVerdict.FAILED  # the status says that something failed


def test_known_failures_in_a_command() -> None:
    known = (KnownFailure("t.f0", "ticket 7", date(2026, 12, 31)),)
    found = _judge(1.0, 1, b"", _xml(2, 1), known=known)

    assert (found.verdict, found.why) == (StepVerdict.OK, "2 of 2 passed, 1 known to fail")
    assert found.evidence["known"] == ("t::f0",)
    assert _judge(1.0, 1, b"", _xml(2, 2), known=known).verdict == StepVerdict.FAILED


def _pytest_xml(good: int, bad: int) -> bytes:
    return _xml(good, bad).replace(b"<testsuite>", b'<testsuite name="pytest">')


@pytest.mark.parametrize(
    ("output", "report"),
    [
        (b"", _pytest_xml(18, 2)),  # its output went elsewhere, and its JUnit XML names it
        (b"===== test session starts =====\n", _xml(18, 2)),
    ],
)
def test_two_failures_do_not_explain_that_pytest_was_interrupted(output: bytes, report: bytes) -> None:
    """Status 2 of pytest is a run cut short, also where two tests failed; of mocha it is their number."""
    result = _judge(0.9, 2, output, report)

    assert (result.verdict, result.why) == (StepVerdict.FAILED, "it ended with status 2: 2 of 20 tests failed")
    assert result.unexplained
    assert _judge(0.9, 1, output, report).verdict == StepVerdict.OK
