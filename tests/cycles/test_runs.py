"""The recorded runs of real test runners, and documents meant to mislead: each has the right numbers."""

from __future__ import annotations

import json

import pytest

from buildguard.cycles.test_results import CommandRun, judge_verify
from buildguard.project.verify_config import VerifyCommand
from tests.cycles.record_runs import CASES, RUNS

_ROWS = {row["name"]: row for row in map(json.loads, RUNS.read_text("utf-8").splitlines())}


def test_every_case_is_recorded() -> None:
    assert [*_ROWS] == [*CASES]
    assert len(_ROWS) > 40


@pytest.mark.parametrize("name", CASES)
def test_numbers(name: str) -> None:
    command, verdict, passed, *others = CASES[name]
    failed, errors, skipped, *pattern = others
    row = _ROWS[name]
    run = CommandRun(row["status"], row["output"].encode(), [text.encode() for text in row["reports"]], 5.0)

    found = judge_verify(VerifyCommand(command, pattern="".join(pattern)), run)

    assert (found.verdict, found.passed) == (verdict, passed), found.why
    assert (found.failed, found.errors, found.skipped) == (failed, errors, skipped)


def test_a_run_in_which_something_failed_is_never_ok() -> None:
    wrong = [name for name, case in CASES.items() if case[1] == "ok" and (case[3] or case[4] or not case[2])]

    assert not wrong
