"""What a verify command proved: by JUnit XML, by unittest's report, or not at all."""

from __future__ import annotations

import pytest

from buildguard.deploy import junit
from buildguard.deploy.test_results import judge_verify
from buildguard.project.ledger import StepVerdict

_SUITE = '<testsuites><testsuite tests="{}">{}</testsuite></testsuites>'
_PASSED, _SKIPPED = "<testcase/>", "<testcase><skipped/></testcase>"
_FAILED, _ERROR = "<testcase><failure/></testcase>", "<testcase><error/></testcase>"


def _xml(*cases: str) -> bytes:
    return _SUITE.format(len(cases), "".join(cases)).encode()


_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {new} "{f"&{old};" * 10}">' for old, new in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><testsuite><testcase/>&i;</testsuite>"
)


@pytest.mark.parametrize(
    ("reports", "status", "verdict", "ran", "passed"),
    [
        ([_xml(_PASSED, _PASSED)], 0, StepVerdict.OK, 2, 2),
        ([_xml(_PASSED, _SKIPPED)], 0, StepVerdict.OK, 1, 1),
        ([_xml(_PASSED), _xml(_PASSED, _PASSED)], 0, StepVerdict.OK, 3, 3),
        ([_xml(_SKIPPED)], 0, StepVerdict.FAILED, 0, 0),
        ([_xml()], 0, StepVerdict.FAILED, 0, 0),
        ([_xml(_PASSED, _FAILED)], 0, StepVerdict.FAILED, 2, 1),
        ([_xml(_PASSED, _FAILED), _xml(_PASSED)], 0, StepVerdict.FAILED, 3, 2),
        ([_xml(_PASSED, _ERROR)], 1, StepVerdict.FAILED, 2, 1),
        ([_xml(_PASSED)], 1, StepVerdict.FAILED, 1, 1),
        ([b"<testsuite><testcase/></testsuite>"], 0, StepVerdict.OK, 1, 1),
        ([b"<j:testsuite xmlns:j='x'><j:testcase/></j:testsuite>"], 0, StepVerdict.OK, 1, 1),
        ([b"<testsuite failures='1'><testcase/></testsuite>"], 0, StepVerdict.FAILED, 2, 1),
        ([b"<testsuite><testcase><properties/><failure/><error/></testcase></testsuite>"], 0, StepVerdict.FAILED, 1, 0),
        ([b"<testsuite><testcase status='notrun'/></testsuite>"], 0, StepVerdict.FAILED, 0, 0),
        (
            [b"<testsuite><testcase/><system-out><![CDATA[<failure/>]]></system-out></testsuite>"],
            0,
            StepVerdict.OK,
            1,
            1,
        ),
        ([b"<html/>"], 0, StepVerdict.UNPROVEN, None, None),
        ([b"<html><testsuite><testcase/></testsuite></html>"], 0, StepVerdict.UNPROVEN, None, None),
        ([b"cut <off"], 0, StepVerdict.UNPROVEN, None, None),
        ([b""], 0, StepVerdict.UNPROVEN, None, None),
        ([_xml(_PASSED, _PASSED)[:-20]], 0, StepVerdict.UNPROVEN, None, None),
        ([_xml(_PASSED), _xml(_PASSED)[:-1]], 0, StepVerdict.UNPROVEN, 1, 1),
        ([_xml(_FAILED), _xml(_PASSED)[:-1]], 0, StepVerdict.FAILED, 1, 0),
        ([b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite><testcase/></testsuite>'], 0, StepVerdict.UNPROVEN, None, None),
        ([_BOMB.encode()], 0, StepVerdict.UNPROVEN, None, None),
        ([_BOMB.replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16")], 0, StepVerdict.UNPROVEN, None, None),
        (
            [b'<?xml version="1.0" encoding="nothing"?><testsuite><testcase/></testsuite>'],
            0,
            StepVerdict.UNPROVEN,
            None,
            None,
        ),
    ],
)
def test_by_junit(reports: list[bytes], status: int, verdict: str, ran: int, passed: int) -> None:
    found = judge_verify("x", status, b"", reports, 5)

    assert (found.verdict, found.ran, found.passed) == (verdict, ran, passed)


def test_each_result_is_counted_apart() -> None:
    found = judge_verify("x", 0, b"", [_xml(_PASSED, _PASSED, _FAILED, _ERROR, _SKIPPED)], 5)

    assert (found.passed, found.failed, found.errors, found.skipped) == (2, 1, 1, 1)


def test_a_file_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit, "MOST_BYTES", 10)

    assert judge_verify("x", 0, b"", [_xml(_PASSED)], 5).verdict == StepVerdict.UNPROVEN


@pytest.mark.parametrize(
    ("output", "verdict", "ran", "passed", "skipped"),
    [
        (b"Ran 4 tests in 0.003s\n\nOK\n", StepVerdict.OK, 4, 4, 0),
        (b"Ran 1 test in 0.003s\r\n\r\nOK\r\n", StepVerdict.OK, 1, 1, 0),
        (b"Ran 6 tests in 0.003s\n\nOK (skipped=5)\n", StepVerdict.OK, 1, 1, 5),
        (b"Ran 5 tests in 0.003s\n\nOK (skipped=5)\n", StepVerdict.FAILED, 0, 0, 5),
        (b"Ran 2 tests in 0.003s\n\nOK (skipped=1, expected failures=1)\n", StepVerdict.FAILED, 0, 0, 2),
        (b"Ran 2 tests in 0.003s\n\nFAILED (failures=1)\n", StepVerdict.FAILED, 2, 1, 0),
        (b"Ran 5 tests in 0.003s\n\nFAILED (failures=1, errors=1, skipped=1)\n", StepVerdict.FAILED, 4, 2, 1),
        (b"Ran 2 tests in 0.003s\n\nFAILED (unexpected successes=1)\n", StepVerdict.FAILED, 2, 1, 0),
        (b"Ran 2 tests in 0.003s\n\nFAILED\n", StepVerdict.FAILED, 2, 1, 0),
        (b"Ran 0 tests in 0.000s\n\nOK\n", StepVerdict.FAILED, 0, 0, 0),
        (b"Ran 0 tests in 0.000s\n\nNO TESTS RAN\n", StepVerdict.FAILED, 0, 0, 0),
        (b"Ran 2 tests in 1s\n\nFAILED (errors=2)\nRan 2 tests in 1s\n\nOK\n", StepVerdict.FAILED, 4, 2, 0),
        (b"Ran 2 tests in 1s\n\nOK\nRan 3 tests in 1s\n\nOK\n", StepVerdict.OK, 5, 5, 0),
        (b"Ran 4 tests in 0.003s\n", StepVerdict.UNPROVEN, None, None, 0),
        (b"Ran 2 tests in 1s\n\nOK\nRan 3 tests in 1s\n", StepVerdict.UNPROVEN, 2, 2, 0),
        (b"\x1b[1mRan 4 tests in 0.003s\x1b[0m\n\n\x1b[32mOK\x1b[0m\n", StepVerdict.OK, 4, 4, 0),
    ],
)
def test_by_the_report_of_unittest(output: bytes, verdict: str, ran: int, passed: int, skipped: int) -> None:
    found = judge_verify("x", 0, output, [], 5)

    assert (found.verdict, found.ran, found.passed, found.skipped) == (verdict, ran, passed, skipped)


@pytest.mark.parametrize(
    ("output", "verdict", "words"),
    [
        (b"5 passed in 3s\n", StepVerdict.FAILED, "it ran no test that left a result: '5 passed in 3s'"),
        (b"====== 12 passed in 3.45s ======\n", StepVerdict.FAILED, "it ran no test"),
        (b"12 passed, 1 skipped, 2 warnings in 3.45s (0:00:03)\n", StepVerdict.FAILED, "it ran no test"),
        (b"== no tests ran in 0.01s ==\n", StepVerdict.FAILED, "it ran no test"),
        (b"== 5 deselected in 0.01s ==\n", StepVerdict.FAILED, "it ran no test"),
        (b"Tests:       3 passed, 3 total\n", StepVerdict.FAILED, "it ran no test"),
        (b"== 1 failed, 11 passed in 3.45s ==\n", StepVerdict.FAILED, "(1 failed, 11 passed in 3.45s)"),
        (
            b"\x1b[31m== \x1b[1m1 failed\x1b[0m, 11 passed in 3.45s ==\x1b[0m\n",
            StepVerdict.FAILED,
            "one of its runs failed",
        ),
        (b"== 3 errors in 0.12s ==\n", StepVerdict.FAILED, "one of its runs failed"),
        (b"== 1 failed in 1s ==\nand again\n== 2 passed in 1s ==\n", StepVerdict.FAILED, "one of its runs failed"),
        (b"Tests:       1 failed, 2 passed, 3 total\n", StepVerdict.FAILED, "one of its runs failed"),
        (b"everything is fine\n", StepVerdict.UNPROVEN, "BUILDGUARD_JUNIT"),
        (b"", StepVerdict.UNPROVEN, "BUILDGUARD_JUNIT"),
        (b"12 passed the audition\n", StepVerdict.UNPROVEN, "unknown"),
        (b"request failed in 3.2s\n", StepVerdict.UNPROVEN, "unknown"),
    ],
)
def test_a_closing_line_proves_nothing(output: bytes, verdict: str, words: str) -> None:
    found = judge_verify("x", 0, output, [], 5)

    assert (found.verdict, words in found.why) == (verdict, True), found.why
    assert (found.passed or 0) <= 11 if "failed" in words else not found.passed


@pytest.mark.parametrize("line", [b"== 1 failed in 1s ==\n", b"Ran 1 test in 1s\n\nFAILED (failures=1)\n"])
def test_a_failed_run_is_none_the_better_for_a_good_report(line: bytes) -> None:
    assert judge_verify("x", 0, line, [_xml(_PASSED)], 5).verdict == StepVerdict.FAILED
    assert judge_verify("x", 0, b"request failed in 3.2s\n", [_xml(_PASSED)], 5).verdict == StepVerdict.OK


def test_no_time_at_all_is_suspicious() -> None:
    assert judge_verify("x", 0, b"", [_xml(_PASSED)], 0.1).suspicious
    assert not judge_verify("x", 0, b"", [_xml(_PASSED)], 3).suspicious
