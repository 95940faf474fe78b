"""Imports that fail by what `check` finds, where no line of the log is about them: of which cause, and what they prove."""

from __future__ import annotations

import pytest

from buildguard.diagnose.broken_imports import cause_of, with_broken_imports
from buildguard.diagnose.incident import ImportFinding, IncidentEvidence, SourceLocation
from buildguard.diagnose.verdict import Hypothesis, refuted

_PLACE = SourceLocation("app.py", 1)
_NOTHING = IncidentEvidence((), (), (), True, "", "3.10", "Dockerfile", "", "none", (), (), (), (), ())


def _finding(lowest: str = "", highest: str = "", *, executed: bool = True) -> ImportFinding:
    return ImportFinding(0, _PLACE, "BG601", "message", "3.10", (), lowest, highest, executed)


@pytest.mark.parametrize(
    ("finding", "cause"),
    [
        (_finding("3.11"), "target-older-than-code"),
        (_finding("3.0", "3.9"), "code-older-than-target"),
        (_finding("3.9"), "not-importable"),
        (_finding(), "not-importable"),
    ],
)
def test_the_cause_of_an_import_that_fails(finding: ImportFinding, cause: str) -> None:
    assert cause_of(finding) == cause


@pytest.mark.parametrize(
    ("executed", "has_events", "verdict"),
    [(True, False, "proven"), (True, True, "untested"), (False, False, "untested")],
)
def test_an_import_that_is_executed_proves_where_nothing_else_failed(
    verdict: str, *, executed: bool, has_events: bool
) -> None:
    evidence = _NOTHING._replace(broken_imports=(_finding("3.11", executed=executed),))
    hypothesis = refuted("every one compiles")._replace(id="target-older-than-code")

    found = with_broken_imports(hypothesis, evidence, has_events=has_events)

    assert found.verdict == verdict
    assert found.evidence == ("app.py, line 1: BG601 message; the lowest Python that has it is 3.11",)
    assert bool(found.reason) == (verdict == "untested")


def test_another_cause_stays_as_it_is() -> None:
    evidence = _NOTHING._replace(broken_imports=(_finding("3.11"),))
    hypothesis = Hypothesis("port", "untested", (), "no port was tried")

    assert with_broken_imports(hypothesis, evidence, has_events=False) == hypothesis
