"""What a verify command proved: by JUnit XML, by unittest's report, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from buildguard.cycles import case_ids, case_results, junit
from buildguard.cycles.case_results import CaseOutcome, Counts
from buildguard.cycles.test_results import CommandRun, VerifyResult, judge_verify
from buildguard.project.ledger import StepVerdict
from buildguard.project.verify_config import VerifyCommand

_SUITE = '<testsuites><testsuite tests="{}">{}</testsuite></testsuites>'
_PASSED, _SKIPPED = "<testcase/>", "<testcase><skipped/></testcase>"
_FAILED, _ERROR = "<testcase><failure/></testcase>", "<testcase><error/></testcase>"


_RULE = b"-" * 70 + b"\n"


def _judge(status: int, output: bytes, reports: list[bytes], seconds: float, **command: Any) -> VerifyResult:
    return judge_verify(VerifyCommand("x", **command), CommandRun(status, output, reports, seconds))


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
        ([_xml(_PASSED, _PASSED)[:-20]], 0, StepVerdict.UNPROVEN, 2, 2),
        ([_xml(_PASSED), _xml(_PASSED)[:-1]], 0, StepVerdict.UNPROVEN, 2, 2),
        ([_xml(_PASSED, _FAILED, _PASSED)[:-30]], 0, StepVerdict.FAILED, 2, 1),
        ([_xml(_FAILED), _xml(_PASSED)[:-1]], 0, StepVerdict.FAILED, 2, 1),
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
    found = _judge(status, b"", reports, 5)

    assert (found.verdict, found.ran, found.passed) == (verdict, ran, passed)


def test_each_result_is_counted_apart() -> None:
    found = _judge(0, b"", [_xml(_PASSED, _PASSED, _FAILED, _ERROR, _SKIPPED)], 5)

    assert (found.passed, found.failed, found.errors, found.skipped) == (2, 1, 1, 1)


def test_a_file_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(junit, "MOST_BYTES", 10)

    assert _judge(0, b"", [_xml(_PASSED)], 5).verdict == StepVerdict.UNPROVEN


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
    found = _judge(0, output.replace(b"Ran ", _RULE + b"Ran "), [], 5)

    assert (found.verdict, found.ran, found.passed, found.skipped) == (verdict, ran, passed, skipped)


def test_a_printed_report_of_unittest_needs_its_rule() -> None:
    assert _judge(0, b"Ran 5 tests in 0.1s\n\nOK\n", [], 5).verdict == StepVerdict.FAILED
    assert _judge(0, b"Ran 5 tests in 0.1s\n\nFAILED (failures=1)\n", [], 5).counts == Counts(4, 1)


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
    found = _judge(0, output, [], 5)

    assert (found.verdict, words in found.why) == (verdict, True), found.why
    assert (found.passed or 0) <= 11 if "failed" in words else not found.passed


@pytest.mark.parametrize("line", [b"== 1 failed in 1s ==\n", b"Ran 1 test in 1s\n\nFAILED (failures=1)\n"])
def test_a_failed_run_is_none_the_better_for_a_good_report(line: bytes) -> None:
    assert _judge(0, line, [_xml(_PASSED)], 5).verdict == StepVerdict.FAILED
    assert _judge(0, b"request failed in 3.2s\n", [_xml(_PASSED)], 5).verdict == StepVerdict.OK


def test_no_time_at_all_is_suspicious() -> None:
    assert _judge(0, b"", [_xml(_PASSED)], 0.1).suspicious
    assert not _judge(0, b"", [_xml(_PASSED)], 3).suspicious


# ------------------------------------------------------------------------------------------ tests by name

_DOCUMENT = b"""<testsuites><testsuite name="e2e">
<testcase classname="tests.e2e.test_a.TestB" name="test_c[1]" time="1.25"/>
<testcase classname="tests.e2e.test_a" name="test_d" time="0.5"><failure message="assert 1 == 2">def test_d():
&gt;   assert 1 == 2
tests/e2e/helper.py:9:
tests/e2e/test_a.py:31: AssertionError</failure></testcase>
<testcase classname="tests.e2e.test_a" name="test_d" time="0.5"/>
<testcase name="surefire"><flakyFailure/><flakyFailure/></testcase>
<testcase classname="x" name="left out"><skipped message="no network"/></testcase>
</testsuite></testsuites>"""


def test_every_test_has_a_record() -> None:
    first, failed, again, retried, skipped = _judge(1, b"", [_DOCUMENT], 5).cases

    assert (first.id, first.outcome, first.seconds) == ("tests.e2e.test_a.TestB::test_c[1]", "passed", 1.25)
    assert (failed.message, failed.place, failed.suite) == ("assert 1 == 2", "tests/e2e/test_a.py:31", "e2e")
    assert failed.detail.startswith("def test_d():")
    assert (failed.attempt, again.attempt, again.outcome) == (1, 2, CaseOutcome.PASSED)
    assert (retried.attempt, retried.outcome) == (3, "passed")
    assert (skipped.outcome, skipped.message, skipped.detail) == ("skipped", "no network", "")
    assert case_results.from_json(failed.as_json()) == failed


def test_ids_of_pytest() -> None:
    cases = _judge(1, b"", [_DOCUMENT], 5).cases
    named = case_ids.with_node_ids(cases, {"tests/e2e/test_a.py"}.__contains__)

    assert [case.id for case in named[:2]] == ["tests/e2e/test_a.py::TestB::test_c[1]", "tests/e2e/test_a.py::test_d"]
    assert named[0].path == "tests/e2e/test_a.py"
    assert named[3].id == "e2e::surefire"


@pytest.mark.parametrize(
    ("given", "identity", "same"),
    [
        ("tests/test_a.py::test_b", "tests.test_a::test_b", True),
        ("tests/test_a.py::T::test_b", "tests/test_a.py::T::test_b[x/y.py::z]", True),
        ("tests/test_a.py::test_b[2]", "tests/test_a.py::test_b[1]", False),
        ("tests.test_a.test_b", "tests/test_a.py::test_b", True),
        ("tests/test_a.py::test", "tests/test_a.py::test_b", False),
    ],
)
def test_names_of_one_test(given: str, identity: str, same: bool) -> None:
    assert case_ids.same_test(given, identity) is same


def test_unittest_names_its_tests() -> None:
    output = (
        b"test_a (test_it.T.test_a) ... ok\ntest_b (test_it.T.test_b) ... FAIL\n\n"
        + b"=" * 70 + b"\nFAIL: test_b (test_it.T.test_b)\n" + b"-" * 70
        + b'\nTraceback (most recent call last):\n  File "/x/test_it.py", line 4, in test_b\nAssertionError: None\n\n'
        + _RULE + b"Ran 2 tests in 0.1s\n\nFAILED (failures=1)\n"
    )  # fmt: skip
    passed, failed = _judge(1, output, [], 5).cases

    assert (passed.id, passed.outcome) == ("test_it.T::test_a", "passed")
    assert (failed.outcome, failed.message) == ("failed", "AssertionError: None")


# ------------------------------------------------------------------------------------------ probes and patterns


def test_a_probe_needs_no_tests() -> None:
    fine, bad = _judge(0, b"{}", [], 0.1, tests=False), _judge(22, b"curl: (22)", [], 0.1, tests=False)

    assert (fine.verdict, fine.why, fine.ran, fine.suspicious) == (StepVerdict.OK, "the probe succeeded", None, False)
    assert bad.verdict == StepVerdict.FAILED
    assert _judge(0, b"== 1 failed in 1s ==\n", [], 5, tests=False).verdict == StepVerdict.FAILED


@pytest.mark.parametrize(
    ("pattern", "output", "verdict", "passed"),
    [
        ("Passed: {passed} Failed: {failed}", b"Passed: 6 Failed: 0\n", StepVerdict.OK, 6),
        ("Passed: {passed} Failed: {failed}", b"Passed: 6  Failed: 4\n", StepVerdict.FAILED, 6),
        ("Passed: {passed} Failed: {failed}", b"Passed: 6 Failed: 4\nPassed: 6 Failed: 0\n", StepVerdict.FAILED, 12),
        ("Passed: {passed} Failed: {failed}", b"Passed: 0 Failed: 0\n", StepVerdict.FAILED, 0),
        ("Passed: {passed} Failed: {failed}", b"all fine\n", StepVerdict.UNPROVEN, None),
        ("{passed}/{failed}", b"7/0\n", StepVerdict.OK, 7),
        (r"(?P<passed>\d+) ok", b"3 ok\n", StepVerdict.OK, 3),
        ("", b"Passed: 6 Failed: 0\n", StepVerdict.UNPROVEN, None),
    ],
)
def test_the_pattern_of_a_runner(pattern: str, output: bytes, verdict: str, passed: int | None) -> None:
    found = _judge(0, output, [], 5, pattern=pattern)

    assert (found.verdict, found.passed) == (verdict, passed), found.why


def test_output_and_names_of_what_failed_are_kept_and_secrets_are_not() -> None:
    evidence = _judge(1, b"password=hunter22secret\n1 failed", [_DOCUMENT], 5).evidence

    assert evidence["failed_tests"] == [
        {"test": "tests.e2e.test_a::test_d", "message": "assert 1 == 2", "place": "tests/e2e/test_a.py:31"}
    ]
    assert "1 failed" in evidence["output"]
    assert "hunter22" not in str(evidence)
    assert "output" not in _judge(0, b"x", [_xml(_PASSED)], 5).evidence


def test_a_command_that_did_not_end_is_unproven() -> None:
    found = judge_verify(VerifyCommand("x"), CommandRun(None, b"last words", [_xml(_FAILED)], 3600))

    assert (found.verdict, found.output) == (StepVerdict.UNPROVEN, "last words")
    assert "1 of 1 tests failed" in found.why
