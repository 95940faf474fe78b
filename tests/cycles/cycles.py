"""Cycles and results for tests."""

from __future__ import annotations

from typing import Any

from buildguard.cycles.case_results import CaseOutcome, CaseResult, count_cases
from buildguard.cycles.record import CycleCommand, CycleRecord
from buildguard.cycles.test_results import VerifyResult
from buildguard.project.ledger import ServiceId, StepVerdict

SERVICE = ServiceId("acme", "europe-west1", "web")
_OUTCOMES = {"p": CaseOutcome.PASSED, "f": CaseOutcome.FAILED, "e": CaseOutcome.ERROR, "s": CaseOutcome.SKIPPED}


def cases(**outcomes: str) -> tuple[CaseResult, ...]:
    """Tests by name: `a="p"` passed, `b="f"` failed; a number behind is how many seconds it took."""
    return tuple(
        CaseResult(f"t.py::{name}", _OUTCOMES[word[0]], float(word[1:]) if word[1:] else None)
        for name, word in outcomes.items()
    )


def result(**outcomes: str) -> VerifyResult:
    """The result of a command with these tests."""
    counts = count_cases(cases(**outcomes))
    return VerifyResult(
        "pytest", StepVerdict.OK, "", counts.ran, counts.passed, 5.0, False, counts.failed, counts.errors, counts.skipped,
        cases=cases(**outcomes), listed=True,
    )  # fmt: skip


def cycle(number: int = 1, exit_code: int = 0, /, **outcomes: str) -> CycleRecord:
    """A cycle with these tests."""
    counts = count_cases(cases(**outcomes))
    command = CycleCommand("pytest", 1.0, "ok", "", counts.passed, counts.ran, counts.skipped, 5.0, listed=True)
    return CycleRecord(
        f"run{number}", number, f"2026-01-01T00:00:{number:02d}+00:00", SERVICE, "c" * 40, exit_code,
        commands=(command,) if outcomes else (), cases=cases(**outcomes),
    )  # fmt: skip


def changed(record: CycleRecord, **fields: Any) -> CycleRecord:
    """The same cycle with other fields."""
    return record._replace(**fields)
