"""What test runners print: closing lines, the report of unittest, and the pattern of a runner that is configured. Pure.

A closing line proves nothing by itself, as anything can print one; it is read to see that a run failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from buildguard.cycles.case_results import CaseOutcome, CaseResult, Counts
from buildguard.definitions import NamedTuple, lazy_pattern

_COLOUR = lazy_pattern(r"\x1b\[[0-9;]*m")
_COUNT = lazy_pattern(r"(\d+) (passed|failed|errors?|skipped)\b")
# `== 1 failed, 2 passed in 3.45s ==` of pytest, `Tests: 1 failed, 3 total` of jest and vitest
_CLOSING = lazy_pattern(
    r"^=*[ \t]*(\d+ [a-z]+(?:, \d+ [a-z]+)*|no tests ran) in [\d.]+s\b|^[ \t]*Tests:?[ \t]+(\d+ [a-z]+.*)$",
    re.MULTILINE,
)
_SESSION = lazy_pattern(r"={3,} test session starts ={3,}\s*$", re.MULTILINE)  # after what a crashed run printed last
_STOPPED = lazy_pattern(r"^!{3,}.*\b(?:stopping after \d+ failures?|KeyboardInterrupt)\b.*!{3,}\s*$", re.MULTILINE)
_BEGUN = lazy_pattern(r"^Ran \d+ tests? in [\d.]+s", re.MULTILINE)
_UNITTEST = lazy_pattern(
    r"^(?P<rule>-{40,}\r?\n)?Ran (?P<ran>\d+) tests? in [\d.]+s\s+(?P<verdict>OK|PASSED|FAILED|NO TESTS RAN)\b(?: \((?P<words>[^)\n]*)\))?",
    re.MULTILINE,
)
_BLOCK = lazy_pattern(r"^={40,}\r?\n(?P<kind>FAIL|ERROR): (?P<name>\S+)(?: \((?P<group>[^)\n]*)\))?", re.MULTILINE)
_VERBOSE = lazy_pattern(
    r"^(?P<name>\w+) \((?P<group>[\w.]+)\)(?:\r?\n[^\n]{0,200})? \.\.\. (?P<result>ok|FAIL|ERROR|skipped|expected failure|unexpected success)\b",
    re.MULTILINE,
)
_VERBOSE_OUTCOMES = {
    "ok": CaseOutcome.PASSED,
    "FAIL": CaseOutcome.FAILED,
    "ERROR": CaseOutcome.ERROR,
    "skipped": CaseOutcome.SKIPPED,
    "expected failure": CaseOutcome.SKIPPED,
    "unexpected success": CaseOutcome.FAILED,
}
_LONGEST, _LONGEST_LINE, _LONGEST_DETAIL = 100, 200, 4000  # characters that are quoted, matched, and kept


class PrintedRun(NamedTuple):
    """A run as its runner printed it. `counts` count as results only where `proves` is set."""

    line: str
    counts: Counts
    proves: bool = False


class RunnerOutput(NamedTuple):
    """Everything that was read from the output of a command.

    `sessions` are pytest runs that began, `unfinished` unittest runs without a result; `stopped` is the line in which a runner
    reports that it ended before its last test.
    """

    closing: tuple[PrintedRun, ...]
    unittest: tuple[PrintedRun, ...]
    matched: tuple[PrintedRun, ...]
    cases: tuple[CaseResult, ...]
    sessions: int
    unfinished: int
    stopped: str

    @property
    def runs(self) -> tuple[PrintedRun, ...]:
        """Every run."""
        return (*self.closing, *self.unittest, *self.matched)


def read(output: bytes, pattern: re.Pattern[str] | None = None) -> RunnerOutput:
    """Read the output of a command; `pattern` is the configured one of its runner."""
    text = _COLOUR.sub("", output.decode("utf-8", "replace"))
    unittest = tuple(_of_unittest(text))
    stopped = _STOPPED.search(text)
    return RunnerOutput(
        tuple(_closing(text)),
        unittest,
        tuple(_matched(text, pattern)) if pattern is not None else (),
        tuple(_cases(text)) if unittest else (),
        len(_SESSION.findall(text)),
        len(_BEGUN.findall(text)) - len(unittest),
        stopped[0].strip("! \r\n")[:_LONGEST] if stopped is not None else "",
    )


def _closing(text: str) -> Iterator[PrintedRun]:
    """Each closing line of a known runner, with its counts."""
    for match in _CLOSING.finditer(text):
        numbers: dict[str, int] = {}
        for number, word in _COUNT.findall(match[1] or match[2]):
            key = "errors" if word == "error" else word
            numbers[key] = numbers.get(key, 0) + _bounded(number)
        yield PrintedRun(match[0].strip("= \t\r")[:_LONGEST], Counts(**numbers))


def _of_unittest(text: str) -> Iterator[PrintedRun]:
    """Each report of unittest's; it proves something where it has the rule above it that unittest always prints."""
    for match in _UNITTEST.finditer(text):
        words = match["words"] or ""
        numbers = {name.strip(): _bounded(number) for name, number in re.findall(r"([a-z ]+)=(\d+)", words)}
        failed = numbers.get("failures", 0) + numbers.get("unexpected successes", 0)
        errors = numbers.get("errors", 0)
        skipped = numbers.get("skipped", 0) + numbers.get("expected failures", 0)
        if match["verdict"] == "FAILED" and not failed + errors:
            errors = 1
        passed = max(_bounded(match["ran"]) - failed - errors - skipped, 0)
        line = " ".join(match[0].strip("-\r\n").split())
        yield PrintedRun(line[:_LONGEST], Counts(passed, failed, errors, skipped), proves=bool(match["rule"]))


def _matched(text: str, pattern: re.Pattern[str]) -> Iterator[PrintedRun]:
    """Each line that the configured pattern fits."""
    for line in text.splitlines():
        match = pattern.search(line[:_LONGEST_LINE])
        if match is not None:
            counts = Counts(**{name: _bounded(number or "0") for name, number in match.groupdict().items()})
            yield PrintedRun(line.strip()[:_LONGEST], counts, proves=True)


def _cases(text: str) -> Iterator[CaseResult]:
    """The tests that unittest names: all of them with -v, else those that failed."""
    blocks = list(_BLOCK.finditer(text))
    details = {_name(match): text[match.end() : match.end() + _LONGEST_DETAIL] for match in blocks}
    named = [(_name(match), _VERBOSE_OUTCOMES[match["result"]]) for match in _VERBOSE.finditer(text)]
    known = {name for name, _outcome in named}
    kinds = {"FAIL": CaseOutcome.FAILED, "ERROR": CaseOutcome.ERROR}
    named += [(_name(match), kinds[match["kind"]]) for match in blocks if _name(match) not in known]
    for name, outcome in named:
        detail = _detail(details.get(name, "")) if outcome.is_bad else ""
        yield CaseResult(name, outcome, message=detail.rpartition("\n")[2].strip(), detail=detail)


def _detail(text: str) -> str:
    """A failure as unittest prints it, up to the rule that ends it."""
    return re.split(r"^(?:={40,}|-{40,}\r?\nRan )", text.partition("-" * 40)[2].lstrip("-\r\n"), flags=re.MULTILINE)[
        0
    ].strip()


def _name(match: re.Match[str]) -> str:
    """`module.Class::test`; Python 3.11 and newer put the name of the test behind that of its class."""
    name, group = match["name"], (match["group"] or "").removesuffix(f".{match['name']}")
    return f"{group}::{name}" if group else name


def _bounded(number: str) -> int:
    """A number of a text that anything may have written."""
    return int(number[:9]) if number.isdigit() else 0
