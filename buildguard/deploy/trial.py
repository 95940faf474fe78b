"""What a verify command proved: how many tests ran and passed, by its JUnit XML or its closing line. Pure.

A run that executed no test proved nothing, whatever its exit status says.
"""

from __future__ import annotations

import re
from typing import NamedTuple

OK, FAILED, UNPROVEN = "ok", "failed", "unproven"
_SUSPICIOUS = 0.5  # seconds in which hardly any test against a service ends
_COUNTS = re.compile(rb"(?P<number>\d+) (?P<word>passed|failed|errors?|skipped|deselected|xfailed|xpassed)\b")
# pytest's closing line has a time, unittest's is `Ran 12 tests in 0.3s`, jest and vitest say `Tests: 3 passed, 3 total`
_PYTEST = re.compile(
    rb"^=*\s*(?P<words>[^=\n]*?\b(?:passed|failed|errors?|skipped|no tests ran|deselected)\b[^=\n]*?) in [\d.]+s",
    re.MULTILINE,
)
_UNITTEST = re.compile(rb"^Ran (?P<number>\d+) tests? in ", re.MULTILINE)
_JEST = re.compile(rb"^\s*Tests:?\s+(?P<words>.*\btotal\b.*|\d+ passed.*)$", re.MULTILINE)


class Trial(NamedTuple):
    """What a command came to: its verdict, why, tests that ran and passed (-1: nobody can tell), and seconds."""

    command: str
    verdict: str
    why: str
    ran: int
    passed: int
    seconds: float
    suspicious: bool = False


def judged(command: str, status: int, output: bytes, junit: bytes | None, seconds: float) -> Trial:
    """The verdict on a command that ended; `junit` is the XML that it wrote, if any."""
    counted = _of_junit(junit) if junit is not None else _of_output(output)
    ran, passed = counted if counted is not None else (-1, -1)
    quick = seconds < _SUSPICIOUS
    if status:
        return Trial(command, FAILED, f"it ended with status {status}", ran, passed, seconds)
    if counted is None:
        why = "whether it ran any test cannot be told: let it write JUnit XML (pytest --junitxml=FILE)"
        return Trial(command, UNPROVEN, why, ran, passed, seconds, quick)
    if not ran:
        return Trial(command, FAILED, "it ran no test", 0, 0, seconds, quick)
    if passed < ran:
        return Trial(
            command, FAILED, f"{ran - passed} of {ran} tests failed, and it ended with status 0", ran, passed, seconds
        )
    return Trial(command, OK, f"{passed} tests passed", ran, passed, seconds, quick)


def _of_junit(data: bytes) -> tuple[int, int] | None:
    """Tests that ran, and that passed; None where it is no such XML."""
    from xml.etree import ElementTree as ET

    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return None  # nothing that a test runner writes
    try:
        root = ET.fromstring(data)  # noqa: S314  without a document type there are no entities
    except ET.ParseError:
        return None
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite") if root.tag == "testsuites" else []
    if not suites:
        return None
    cases = [case for suite in suites for case in suite.iter("testcase")]
    skipped = sum(case.find("skipped") is not None for case in cases)
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    return len(cases) - skipped, len(cases) - skipped - failed


def _of_output(output: bytes) -> tuple[int, int] | None:
    """The same by the last closing line that a known runner printed."""
    found = list(_PYTEST.finditer(output)) or list(_JEST.finditer(output))
    if found:
        words = found[-1]["words"]
        counts: dict[bytes, int] = {}
        for match in _COUNTS.finditer(words):
            counts[match["word"]] = counts.get(match["word"], 0) + int(match["number"])
        passed = counts.get(b"passed", 0) + counts.get(b"xfailed", 0) + counts.get(b"xpassed", 0)
        failed = counts.get(b"failed", 0) + counts.get(b"error", 0) + counts.get(b"errors", 0)
        return passed + failed, passed
    ran = list(_UNITTEST.finditer(output))
    if ran:
        number = int(ran[-1]["number"])
        return number, number if re.search(rb"^OK\b", output, re.MULTILINE) else 0
    return None
