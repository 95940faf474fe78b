"""The result of one test, and how many there are of each kind. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from buildguard.definitions import NamedTuple, StrEnum


class CaseOutcome(StrEnum):
    """The result of a test; `SUSPICIOUS` is one that passed in a fraction of the time that it always took."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    SUSPICIOUS = "suspicious"

    @property
    def is_bad(self) -> bool:
        """Whether it failed."""
        return self in {CaseOutcome.FAILED, CaseOutcome.ERROR}

    @property
    def is_good(self) -> bool:
        """Whether it ran and passed."""
        return self in {CaseOutcome.PASSED, CaseOutcome.SUSPICIOUS}


class CaseResult(NamedTuple):
    """One run of one test. `seconds` is None where the runner reports no duration; `attempt` counts from 1.

    `message` is one line, `detail` the end of what the runner wrote about a failure; `place` is `path:line` in the words
    of the runner, `suite` the group that it belongs to.
    """

    id: str
    outcome: CaseOutcome
    seconds: float | None = None
    message: str = ""
    place: str = ""
    attempt: int = 1
    suite: str = ""
    detail: str = ""

    @property
    def path(self) -> str:
        """The file of the test, where its id names one."""
        file = self.id.partition("::")[0]
        return file if file.endswith(".py") else ""

    def as_json(self) -> dict[str, Any]:
        """It as a record of a cycle has it."""
        return {name: value for name, value in self._asdict().items() if value not in {"", None}}


class Counts(NamedTuple):
    """How many tests passed, failed, ended with an error, and did not run."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @property
    def ran(self) -> int:
        """How many tests ran, whatever came of them."""
        return self.passed + self.failed + self.errors

    @property
    def bad(self) -> int:
        """How many did not pass."""
        return self.failed + self.errors

    @property
    def rate(self) -> float | None:
        """The share of the tests that ran and passed; None where none ran."""
        return self.passed / self.ran if self.ran else None

    def plus(self, other: Counts) -> Counts:
        """The sum of two runs."""
        return Counts(*map(sum, zip(self, other, strict=True)))


def count_cases(cases: Iterable[CaseResult]) -> Counts:
    """How many of each kind."""
    numbers = Counter(case.outcome for case in cases)
    passed = numbers[CaseOutcome.PASSED] + numbers[CaseOutcome.SUSPICIOUS]
    return Counts(passed, numbers[CaseOutcome.FAILED], numbers[CaseOutcome.ERROR], numbers[CaseOutcome.SKIPPED])


def number_attempts(cases: Iterable[CaseResult]) -> tuple[CaseResult, ...]:
    """The same results, where the second one of a test is its second attempt."""
    seen: Counter[str] = Counter()
    numbered = []
    for case in cases:
        seen[case.id] += 1
        numbered.append(case._replace(attempt=max(case.attempt, seen[case.id])))
    return tuple(numbered)


def from_json(value: dict[str, Any]) -> CaseResult:
    """A result out of a record; raises ValueError, TypeError or KeyError for what is none."""
    return CaseResult(
        str(value["id"]),
        CaseOutcome(value["outcome"]),
        float(value["seconds"]) if "seconds" in value else None,
        str(value.get("message", "")),
        str(value.get("place", "")),
        int(value.get("attempt", 1)),
        str(value.get("suite", "")),
        str(value.get("detail", "")),
    )
