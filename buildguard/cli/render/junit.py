"""The result as JUnit XML, for every CI that shows test results: a suite for each file, a test case for each finding."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from buildguard.check.result import CheckReport
from buildguard.cli.render.check_text import evidence, pythons
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Diagnostic, Severity, Unproven, count, escape_text


class _Case(NamedTuple):
    """One test case; `outcome` is failure, error, system-out (a warning) or empty (passed)."""

    suite: str
    name: str
    outcome: str = ""
    kind: str = ""
    message: str = ""
    text: str = ""


def render(report: CheckReport) -> str:
    """A document that fails exactly if the exit code is not 0: warnings are the output of a case that passes."""
    cases = sorted(_cases(report), key=lambda case: case.suite)
    suites = [list(suite) for _name, suite in groupby(cases, key=lambda case: case.suite)]
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="buildguard" {_numbers(cases)} time="{report.seconds:.3f}">',
        *(line for suite in suites for line in _suite(suite)),
        "</testsuites>",
    ]
    return "\n".join([*lines, ""])


def _cases(report: CheckReport) -> Iterator[_Case]:
    for row in report.targets:
        yield _Case("buildguard", f"Python {row.python}: {count(row.files, 'file')}, proof: {row.proof}")
    if not (report.targets or report.reported or report.reported_unproven):
        yield _Case("buildguard", "nothing to check")
    for diagnostic in report.reported:
        yield _finding(diagnostic, strict=report.strict)
    for item in report.reported_unproven:
        yield _unproven(item)


def _finding(diagnostic: Diagnostic, *, strict: bool) -> _Case:
    place = ":".join(str(number) for number in diagnostic.range[:2] if number is not None)
    name = f"{diagnostic.code} {place}{pythons(diagnostic)}" if place else f"{diagnostic.code}{pythons(diagnostic)}"
    text = "\n".join(filter(None, (diagnostic.message, diagnostic.excerpt, evidence(diagnostic), diagnostic.hint)))
    outcome = "failure" if strict or diagnostic.severity is Severity.ERROR else "system-out"
    return _Case(diagnostic.path or "buildguard", name, outcome, diagnostic.code, diagnostic.message, text)


def _unproven(item: Unproven) -> _Case:
    name = f"unproven (Python {item.target})" if item.target else "unproven"
    return _Case(item.path or "buildguard", name, "error", "unproven", item.reason, item.reason)


def _numbers(cases: list[_Case]) -> str:
    failures, errors = (sum(case.outcome == outcome for case in cases) for outcome in ("failure", "error"))
    return f'tests="{len(cases)}" failures="{failures}" errors="{errors}"'


def _suite(cases: list[_Case]) -> Iterator[str]:
    name = _attribute(cases[0].suite)
    yield f"  <testsuite name={name} {_numbers(cases)}>"
    for case in cases:
        start = f"    <testcase classname={name} name={_attribute(case.name)}"
        yield f"{start}>{_outcome(case)}</testcase>" if case.outcome else f"{start}/>"
    yield "  </testsuite>"


def _outcome(case: _Case) -> str:
    text = escape("\n".join(escape_text(line) for line in case.text.split("\n")))
    if case.outcome == "system-out":
        return f"<system-out>warning: {text}</system-out>"
    attributes = f"type={_attribute(case.kind)} message={_attribute(case.message)}"
    return f"<{case.outcome} {attributes}>{text}</{case.outcome}>"


def _attribute(text: str) -> str:
    return quoteattr(escape_text(text))
