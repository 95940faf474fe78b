"""The tests of a JUnit XML file; entities and other documents are refused, and one that was cut off is incomplete. Pure."""

from __future__ import annotations

import re
from collections import Counter
from xml.parsers import expat

from buildguard.cycles.case_results import CaseOutcome, CaseResult, Counts, count_cases
from buildguard.definitions import NamedTuple

MOST_BYTES = 64 << 20
MOST_CASES = 200_000
_LONGEST_NAME, _LONGEST_MESSAGE, _LONGEST_DETAIL = 500, 300, 4000  # characters that are kept
_MOST_TEXT = 1 << 20  # characters of one failure that are read
_NOT_RUN = frozenset({"notrun", "disabled", "skipped"})
_RESULTS = {"failure": CaseOutcome.FAILED, "error": CaseOutcome.ERROR, "skipped": CaseOutcome.SKIPPED}
_RANKS = tuple(_RESULTS.values())  # the first that a test has counts
_RETRIED = frozenset({"flakyFailure", "flakyError", "rerunFailure", "rerunError"})  # surefire: an earlier attempt
_PYTEST_SUITES = frozenset({"pytest", "pytest tests"})
_NO_NAME = "(no name)"
_PLACES = (
    re.compile(r"^(?P<path>[^\s:][^:\n]{0,300}\.\w{1,5}):(?P<line>\d{1,7}): ", re.MULTILINE),
    re.compile(r'^\s*File "(?P<path>[^"\n]{1,300})", line (?P<line>\d{1,7})', re.MULTILINE),
)


class JUnitFile(NamedTuple):
    """The tests that a file lists; `claimed` are failures by the attributes of its suites, `whole` is False for a part of one."""

    cases: tuple[CaseResult, ...]
    claimed: int = 0
    whole: bool = True

    @property
    def counts(self) -> Counts:
        """How many of each kind; a suite may count a failure that it lists at no test."""
        total = count_cases(self.cases)
        return total._replace(failed=total.failed + max(0, self.claimed - total.bad))


class _RefusedError(Exception):
    """The document is none that a test runner writes."""


def read(data: bytes) -> JUnitFile | None:
    """The tests of a file; None where it is not JUnit XML, larger than MOST_BYTES, or declares entities."""
    if len(data) > MOST_BYTES:
        return None
    reader = _Reader()
    try:
        reader.read(data)
    except (expat.ExpatError, ValueError, LookupError):
        return reader.result(whole=False)
    except _RefusedError:
        return None
    return reader.result(whole=True)


class _OpenCase:
    """The test case that is being read."""

    def __init__(self, attributes: dict[str, str], suite: str) -> None:
        self.attributes = attributes
        self.suite = suite
        self.outcomes: set[CaseOutcome] = set()
        if attributes.get("status", "").lower() in _NOT_RUN:
            self.outcomes.add(CaseOutcome.SKIPPED)
        self.message = ""
        self.text: list[str] = []
        self.attempts = 1

    def close(self) -> CaseResult:
        """The result of the test."""
        outcome = next((rank for rank in _RANKS if rank in self.outcomes), CaseOutcome.PASSED)
        text = "".join(self.text).strip()
        message = " ".join((self.message or text.rpartition("\n")[2]).split())
        is_bad = outcome.is_bad
        return CaseResult(
            _identify(self.attributes, self.suite),
            outcome,
            _seconds(self.attributes.get("time", "")),
            message[:_LONGEST_MESSAGE],
            _place(text) if is_bad else "",
            self.attempts,
            self.suite[:_LONGEST_NAME],
            text[-_LONGEST_DETAIL:] if is_bad else "",
        )


class _Reader:
    """Lists the test cases of one document as its elements come by."""

    def __init__(self) -> None:
        self._cases: list[CaseResult] = []
        self._open: _OpenCase | None = None
        self._suites: list[str] = []
        self._texts = 0  # characters that the open test case may still have; 0 outside of a failure
        self._is_junit = False
        self._is_pytest = False
        self._claimed = 0

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(data, True)

    def result(self, *, whole: bool) -> JUnitFile | None:
        if not self._is_junit:
            return None
        cases = _without_reruns(self._cases) if self._is_pytest else self._cases
        return JUnitFile(tuple(cases), self._claimed, whole)

    def _refuse(self, *_declaration: object) -> None:
        raise _RefusedError

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        is_suite = name in {"testsuite", "testsuites"}
        if not self._is_junit and not is_suite:
            raise _RefusedError
        self._is_junit = True
        if is_suite:
            self._suites.append(attributes.get("name", ""))
            self._is_pytest |= self._suites[-1] in _PYTEST_SUITES
            self._claimed = max(self._claimed, _number(attributes, "failures") + _number(attributes, "errors"))
        elif name == "testcase":
            self._open = _OpenCase(attributes, next(filter(None, reversed(self._suites)), ""))
        elif self._open is not None:
            self._begin_result(self._open, name, attributes)

    def _begin_result(self, case: _OpenCase, name: str, attributes: dict[str, str]) -> None:
        case.attempts += name in _RETRIED
        if name in _RESULTS:
            case.outcomes.add(_RESULTS[name])
            case.message = case.message or attributes.get("message", "")
            self._texts = _MOST_TEXT

    def _characters(self, text: str) -> None:
        if self._open is not None and self._texts > 0:
            self._open.text.append(text)
            self._texts -= len(text)

    def _end(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name in _RESULTS:
            self._texts = 0
        elif name in {"testsuite", "testsuites"} and self._suites:
            self._suites.pop()
        elif name == "testcase" and self._open is not None:
            self._cases.append(self._open.close())
            self._open = None
            if len(self._cases) > MOST_CASES:
                raise _RefusedError


def _without_reruns(cases: list[CaseResult]) -> list[CaseResult]:
    """The cases without those that pytest-rerunfailures ran again: it lists each attempt that failed as one without a failure."""
    last = {case.id: number for number, case in enumerate(cases)}
    attempts = Counter(case.id for number, case in enumerate(cases) if _is_rerun(case, number, last))
    kept = [case for number, case in enumerate(cases) if not _is_rerun(case, number, last)]
    return [case._replace(attempt=case.attempt + attempts[case.id]) for case in kept]


def _is_rerun(case: CaseResult, number: int, last: dict[str, int]) -> bool:
    return case.outcome is CaseOutcome.PASSED and number != last[case.id] and not case.id.endswith(_NO_NAME)


def _identify(attributes: dict[str, str], suite: str) -> str:
    """`class::name`, as far as the runner names them."""
    name = attributes.get("name", "") or _NO_NAME
    group = attributes.get("classname", "") or attributes.get("file", "") or suite
    return (f"{group}::{name}" if group else name)[:_LONGEST_NAME]


def _place(text: str) -> str:
    """The last place that a failure names: `path:line`; empty where it names none."""
    for pattern in _PLACES:
        matches = list(pattern.finditer(text))
        if matches:
            return f"{matches[-1]['path']}:{matches[-1]['line']}"
    return ""


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text.replace(",", ""))
    except ValueError:
        return None
    return round(seconds, 3) if 0 <= seconds < 1e7 else None  # noqa: PLR2004  anything else is no duration


def _number(attributes: dict[str, str], name: str) -> int:
    text = attributes.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004
