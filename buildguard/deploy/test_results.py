"""What a verify command proved: how many tests ran and passed, by the JUnit XML that it wrote or unittest's own report. Pure.

A run that executed no test proved nothing, whatever its exit status is. The closing line of a runner proves nothing either,
as anything can print one; it is read to see that a run failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

from buildguard.deploy import junit
from buildguard.deploy.junit import Counts
from buildguard.project.ledger import StepVerdict

_SUSPICIOUS = 0.5  # seconds in which hardly any test against a service ends
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped)\b")
# `== 1 failed, 2 passed in 3.45s ==` of pytest, `Tests: 1 failed, 3 total` of jest and vitest
_CLOSING = re.compile(
    rb"^=*[ \t]*(\d+ [a-z]+(?:, \d+ [a-z]+)*|no tests ran) in [\d.]+s\b|^[ \t]*Tests:?[ \t]+(\d+ [a-z]+.*)$",
    re.MULTILINE,
)
_BEGUN = re.compile(rb"^Ran \d+ tests? in [\d.]+s", re.MULTILINE)
_UNITTEST = re.compile(
    rb"^Ran (?P<ran>\d+) tests? in [\d.]+s\s+(?P<verdict>OK|PASSED|FAILED|NO TESTS RAN)\b(?: \((?P<words>[^)\n]*)\))?",
    re.MULTILINE,
)
_LONGEST = 100  # characters of a line that is quoted


class VerifyResult(NamedTuple):
    """The result of a command: its verdict, why, tests that ran and passed (None: unknown), and seconds."""

    command: str
    verdict: StepVerdict
    why: str
    ran: int | None
    passed: int | None
    seconds: float
    suspicious: bool = False
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @property
    def evidence(self) -> dict[str, Any]:
        """The result as the ledger has it, where an unknown number is -1."""
        unknown = {name: -1 for name in ("ran", "passed") if getattr(self, name) is None}
        return {**self._asdict(), **unknown}


def judge_verify(command: str, status: int, output: bytes, reports: Sequence[bytes], seconds: float) -> VerifyResult:
    """The verdict on a command that ended; `reports` are the JUnit files that it wrote."""
    plain = _COLOUR.sub(b"", output)
    closing = list(_closing(plain))
    unittests = list(_of_unittest(plain))
    read = [junit.counts(report) for report in reports]
    counted = [each for each in read if each is not None] if reports else [each for _line, each in unittests]
    total = reduce(Counts.plus, counted, Counts()) if counted else None
    verdict, why = _verdict(status, total, [*closing, *unittests], _gap(plain, read, len(unittests)))
    known = total if total is not None else next((each for _line, each in closing if _is_bad(each)), None)
    if known is None and verdict is StepVerdict.FAILED and not status:
        known = Counts()
    quick = seconds < _SUSPICIOUS
    if known is None:
        return VerifyResult(command, verdict, why, None, None, seconds, quick)
    return VerifyResult(
        command, verdict, why, known.ran, known.passed, seconds, quick, known.failed, known.errors, known.skipped
    )


def _verdict(status: int, total: Counts | None, runs: list[tuple[str, Counts]], gap: str) -> tuple[StepVerdict, str]:
    """The verdict and why: by the exit status, the tests that were counted, each run that was printed, and what is missing."""
    bad = next((line for line, counts in runs if _is_bad(counts)), "")
    if status:
        return StepVerdict.FAILED, f"it ended with status {status}"
    if total is not None and _is_bad(total):
        return (
            StepVerdict.FAILED,
            f"{total.failed + total.errors} of {total.ran} tests failed, and it ended with status 0",
        )
    if bad:
        return StepVerdict.FAILED, f"one of its runs failed ({bad}), and it ended with status 0"
    if gap:
        return StepVerdict.UNPROVEN, gap
    return _of_good(total, runs[-1][0] if runs else "")


def _of_good(total: Counts | None, line: str) -> tuple[StepVerdict, str]:
    """The verdict on a command in which nothing failed; `line` is the last that a runner printed."""
    if total is None and line:
        return (
            StepVerdict.FAILED,
            f"it ran no test that left a result: '{line}' without a JUnit file proves nothing; {_HOW}",
        )
    if total is None:
        return StepVerdict.UNPROVEN, f"whether it ran any test is unknown: {_HOW}"
    if not total.ran:
        return StepVerdict.FAILED, f"it ran no test ({total.skipped} skipped)" if total.skipped else "it ran no test"
    return StepVerdict.OK, f"{total.passed} passed"


_HOW = "let its runner write JUnit XML to the file $BUILDGUARD_JUNIT (pytest does so by itself)"


def _is_bad(counts: Counts) -> bool:
    return bool(counts.failed or counts.errors)


def _gap(output: bytes, read: Sequence[Counts | None], unittests: int) -> str:
    """What keeps the results from being complete; empty where nothing does."""
    if None in read:
        return "a JUnit file that it wrote is incomplete, too large, or no JUnit XML"
    if not read and len(_BEGUN.findall(output)) > unittests:
        return "unittest's report ends before its result"
    return ""


def _closing(output: bytes) -> Iterator[tuple[str, Counts]]:
    """Each closing line of a known runner, with its counts."""
    for match in _CLOSING.finditer(output):
        words = (match[1] or match[2]).decode("utf-8", "replace")
        numbers: dict[str, int] = {}
        for number, word in _COUNT.findall(words):
            key = "errors" if word == "error" else word
            numbers[key] = numbers.get(key, 0) + _bounded(number)
        yield match[0].decode("utf-8", "replace").strip("= \t")[:_LONGEST], Counts(**numbers)


def _of_unittest(output: bytes) -> Iterator[tuple[str, Counts]]:
    """Each report of unittest's, with its counts."""
    for match in _UNITTEST.finditer(output):
        words = (match["words"] or b"").decode("utf-8", "replace")
        numbers = {name.strip(): _bounded(number) for name, number in re.findall(r"([a-z ]+)=(\d+)", words)}
        failed = numbers.get("failures", 0) + numbers.get("unexpected successes", 0)
        errors = numbers.get("errors", 0)
        skipped = numbers.get("skipped", 0) + numbers.get("expected failures", 0)
        if match["verdict"] == b"FAILED" and not failed + errors:
            errors = 1
        passed = max(_bounded(match["ran"]) - failed - errors - skipped, 0)
        line = " ".join(match[0].decode("utf-8", "replace").split())
        yield line[:_LONGEST], Counts(passed, failed, errors, skipped)


def _bounded(number: str | bytes) -> int:
    """A number of a text that anything may have written."""
    return int(number[:9])
