"""The labelled logs: which causes are right, and that a failing log is never called healthy."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.diagnose.labelled import HEALTHY, RIGHT, WRONG, answer, grade, make_repository, read_cases

pytestmark = pytest.mark.interpreters


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # probes that a run leaves to its end
def test_the_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At least 90 % right with their place, at most 2 % wrong, and none healthy."""
    monkeypatch.setenv("BUILDGUARD_CACHE_DIR", str(tmp_path / "cache"))
    grades: dict[str, list[str]] = defaultdict(list)
    cases = list(read_cases())
    for case in cases:
        root = tmp_path / case.id
        make_repository(case, root)
        diagnosis = answer(case, root)
        grades[grade(case, diagnosis)].append(f"{case.id} {case.kind}: {diagnosis.cause}, not {case.expected}")

    assert not grades[HEALTHY]
    assert len(grades[WRONG]) <= 0.02 * len(cases), grades[WRONG]
    assert len(grades[RIGHT]) >= 0.9 * len(cases), grades
