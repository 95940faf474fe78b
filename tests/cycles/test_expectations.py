"""Whether tests really ran, by the cycles before: vanished, suspiciously fast, regressed."""

from __future__ import annotations

from datetime import date

from buildguard.cycles.case_results import CaseOutcome
from buildguard.cycles.expectations import CycleVerdict, Expectations, describe_known, judge_cycle
from buildguard.cycles.record import CycleHistory, CycleRecord
from buildguard.project.verify_config import KnownFailure
from tests.cycles.cycles import cases, changed, cycle, result


def _judge(*history: CycleRecord, accept: bool = False, **outcomes: str) -> CycleVerdict:
    return judge_cycle([result(**outcomes)], Expectations(CycleHistory(history), accept_vanished=accept))


def test_tests_that_vanished_fail() -> None:
    verdict = _judge(cycle(1, a="p", b="p", c="s"), a="p", d="p")

    assert verdict.missing == ("t.py::b", "t.py::c")
    assert verdict.failures[0].startswith("2 tests of the last cycle vanished: t.py::b, t.py::c")
    assert not _judge(cycle(1, a="p"), a="f", b="p").failures
    assert not _judge(a="p").failures


def test_what_vanished_stays_missing_until_a_person_accepts_it() -> None:
    red = changed(cycle(2, 1, a="p"), missing=("t.py::b",))

    assert _judge(cycle(1, a="p", b="p"), red, a="p").missing == ("t.py::b",)
    assert not _judge(cycle(1, a="p", b="p"), red, accept=True, a="p").failures
    assert not _judge(cycle(1, a="p", b="p"), red, a="p", b="p").failures


def test_a_cycle_without_tests_hides_nothing() -> None:
    assert _judge(cycle(1, a="p", b="p"), cycle(2, 1), a="p").missing == ("t.py::b",)


def test_without_names_the_numbers_count() -> None:
    before = cycle(1, a="p", b="p")
    unnamed = changed(before, cases=(), commands=(before.commands[0]._replace(listed=False),))

    assert _judge(unnamed, a="p").failures == (
        "1 test fewer than in the last cycle; if that is intended: --accept-vanished",
    )
    assert not _judge(unnamed, a="p", b="p").failures


def test_a_slow_test_that_takes_no_time_is_suspicious() -> None:
    slow = [cycle(number, a=f"p{seconds}", b="p0.5") for number, seconds in enumerate((2, 2.5, 1.5, 2, 9))]

    verdict = _judge(*slow, a="p0.05", b="p0.001")

    assert [case.outcome for case in verdict.cases] == [CaseOutcome.SUSPICIOUS, CaseOutcome.PASSED]
    assert verdict.notes == ("suspicious: t.py::a passed in 0.05 s; the median of 5 cycles is 2 s",)
    assert not verdict.failures
    assert not _judge(*slow, a="p0.11", b="p0").notes
    assert not _judge(*slow[1:], a="p0.05", b="p0").notes  # four cycles
    assert not _judge(*slow, a="f0.05", b="p0").notes


def test_no_regressions() -> None:
    known = (KnownFailure("t.py::c", "ticket 7", date(2099, 1, 1)),)
    history = CycleHistory((cycle(1, a="p", b="p", c="p", d="f"), cycle(2, 1, a="f", b="p", c="p", d="f")))
    expected = Expectations(history, no_regressions=True, known=known)

    failed = judge_cycle([result(a="f", b="s", c="f", d="f")], expected)

    assert failed.failures == ("2 regressions since the last proven cycle: t.py::a, t.py::b",)
    assert not judge_cycle([result(a="p", b="p", c="f", d="f")], expected).failures
    assert not judge_cycle([result(a="f", b="f", c="f", d="f")], expected._replace(no_regressions=False)).failures
    removed = judge_cycle([result(a="p", c="p", d="f")], expected._replace(accept_vanished=True))
    assert not removed.failures


def test_notes_on_known_failures() -> None:
    known = KnownFailure("t.py::a", "ticket 7", date(2026, 1, 1))

    assert describe_known([known], cases(a="p"), []) == [
        "the known failure t.py::a passes now: remove it from known-failures"
    ]
    assert describe_known([known], cases(a="f"), []) == []
    assert describe_known([], (), [known]) == ["the known failure t.py::a expired on 2026-01-01: ticket 7"]
