"""What a verify command proved: by JUnit XML, by the closing line of a runner, or not at all."""

from __future__ import annotations

import pytest

from buildguard.deploy.trial import FAILED, OK, UNPROVEN, judged

_SUITE = '<testsuites><testsuite tests="{}">{}</testsuite></testsuites>'
_PASSED, _SKIPPED = "<testcase/>", "<testcase><skipped/></testcase>"
_FAILED, _ERROR = "<testcase><failure/></testcase>", "<testcase><error/></testcase>"


def _xml(*cases: str) -> bytes:
    return _SUITE.format(len(cases), "".join(cases)).encode()


@pytest.mark.parametrize(
    ("junit", "status", "verdict", "ran", "passed"),
    [
        (_xml(_PASSED, _PASSED), 0, OK, 2, 2),
        (_xml(_PASSED, _SKIPPED), 0, OK, 1, 1),
        (_xml(_SKIPPED), 0, FAILED, 0, 0),
        (_xml(), 0, FAILED, 0, 0),
        (_xml(_PASSED, _FAILED), 0, FAILED, 2, 1),
        (_xml(_PASSED, _ERROR), 1, FAILED, 2, 1),
        (_xml(_PASSED), 1, FAILED, 1, 1),
        (b"<testsuite><testcase/></testsuite>", 0, OK, 1, 1),
        (b"<html/>", 0, UNPROVEN, -1, -1),
        (b"cut <off", 0, UNPROVEN, -1, -1),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite><testcase/></testsuite>', 0, UNPROVEN, -1, -1),
    ],
)
def test_by_junit(junit: bytes, status: int, verdict: str, ran: int, passed: int) -> None:
    found = judged("x", status, b"", junit, 5)

    assert (found.verdict, found.ran, found.passed) == (verdict, ran, passed)


@pytest.mark.parametrize(
    ("output", "verdict", "ran", "passed"),
    [
        (b"====== 12 passed in 3.45s ======\n", OK, 12, 12),
        (b"12 passed, 1 skipped, 2 warnings in 3.45s\n", OK, 12, 12),
        (b"== 1 failed, 11 passed in 3.45s ==\n", FAILED, 12, 11),
        (b"== 3 errors in 0.12s ==\n", FAILED, 3, 0),
        (b"== no tests ran in 0.01s ==\n", FAILED, 0, 0),
        (b"== 5 deselected in 0.01s ==\n", FAILED, 0, 0),
        (b"== 5 skipped in 0.01s ==\n", FAILED, 0, 0),
        (b"Ran 4 tests in 0.003s\n\nOK\n", OK, 4, 4),
        (b"Ran 0 tests in 0.000s\n\nOK\n", FAILED, 0, 0),
        (b"Ran 0 tests in 0.000s\n\nNO TESTS RAN\n", FAILED, 0, 0),
        (b"Ran 4 tests in 0.003s\n\nFAILED (failures=1)\n", FAILED, 4, 0),
        (b"Tests:       3 passed, 3 total\n", OK, 3, 3),
        (b"Tests:       1 failed, 2 passed, 3 total\n", FAILED, 3, 2),
        (b"everything is fine\n", UNPROVEN, -1, -1),
        (b"", UNPROVEN, -1, -1),
        (b"12 passed the audition\n", UNPROVEN, -1, -1),
        (b"== 2 passed in 1s ==\nand again\n== 1 failed in 1s ==\n", FAILED, 1, 0),
    ],
)
def test_by_the_closing_line(output: bytes, verdict: str, ran: int, passed: int) -> None:
    found = judged("x", 0, output, None, 5)

    assert (found.verdict, found.ran, found.passed) == (verdict, ran, passed)


def test_no_time_at_all_is_suspicious() -> None:
    assert judged("x", 0, b"== 2 passed in 0.01s ==", None, 0.1).suspicious
    assert not judged("x", 0, b"== 2 passed in 3s ==", None, 3).suspicious
