"""The labelled logs: which causes are right, and that a failing log is never called healthy."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest

from tests.diagnose.labelled import (
    HEALTHY,
    OWN_CASES,
    RIGHT,
    WRONG,
    LabelledLog,
    answer,
    grade,
    make_repository,
    read_cases,
)

pytestmark = pytest.mark.interpreters


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # probes that a run leaves to its end
def test_the_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At least 90 % right with their place, at most 2 % wrong, and none healthy."""
    cases = list(read_cases())
    first = {case.kind: case for case in reversed(cases)}  # of each kind; all of them with BUILDGUARD_ALL=1
    assert_rate(cases if os.environ.get("BUILDGUARD_ALL") else list(first.values()), tmp_path, monkeypatch)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_rate_of_own_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for every thirtieth of the logs of programs that were made to fail; all of them with BUILDGUARD_ALL=1."""
    cases = [case for file in sorted(OWN_CASES.glob("*.jsonl")) for case in read_cases(file)]
    assert len({case.id for case in cases}) == len(cases)
    step = 1 if os.environ.get("BUILDGUARD_ALL") else 30
    assert_rate(cases[::step], tmp_path, monkeypatch)


def assert_rate(cases: list[LabelledLog], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grade every case, and hold the grades to the goals."""
    monkeypatch.setenv("BUILDGUARD_CACHE_DIR", str(folder / "cache"))
    grades: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        root = folder / case.id
        make_repository(case, root)
        diagnosis = answer(case, root)
        grades[grade(case, diagnosis)].append(f"{case.id} {case.kind}: {diagnosis.cause}, not {case.expected}")

    assert not grades[HEALTHY]
    assert len(grades[WRONG]) <= 0.02 * len(cases), grades[WRONG]
    assert len(grades[RIGHT]) >= 0.9 * len(cases), grades
