"""`deploy --report`: a job summary, and annotations that hold no command of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.cli.ci_report import annotate_failures, report_to_ci, write_summary
from buildguard.cycles.case_results import CaseOutcome, CaseResult
from buildguard.cycles.record import CycleHistory
from buildguard.deploy.cycle import FinishedCycle
from buildguard.deploy.fleet import FleetReport
from buildguard.deploy.run import DeployReport
from buildguard.errors import UnprovenError
from tests.cycles.cycles import changed, cycle
from tests.deploy.plans import prepared

_ACTIONS = {"GITHUB_ACTIONS": "true"}


def _report(*cases: CaseResult) -> FleetReport:
    record = changed(cycle(1, 1, a="f"), cases=cases)
    return FleetReport((DeployReport(prepared().plan, (), finished=FinishedCycle(record, CycleHistory(), ())),))


def _bad(place: str, message: str = "assert 1 == 2", name: str = "t.py::a") -> CaseResult:
    return CaseResult(name, CaseOutcome.FAILED, message=message, place=place)


def test_annotations() -> None:
    report = _report(_bad("tests/t.py:3"), CaseResult("t.py::b", CaseOutcome.PASSED))

    assert annotate_failures(report, _ACTIONS) == ["::error file=tests/t.py,line=3,title=t.py%3A%3Aa::assert 1 == 2"]
    assert annotate_failures(report, {}) == []
    assert (
        len(annotate_failures(_report(*(_bad("t.py:1", name=f"t::{number}") for number in range(30))), _ACTIONS)) == 10
    )


@pytest.mark.parametrize("place", ["/etc/passwd:1", "../x.py:1", "a/../../x.py:1", "", "t.py:one"])
def test_a_place_outside_is_left_out(place: str) -> None:
    assert annotate_failures(_report(_bad(place)), _ACTIONS) == ["::error title=t.py%3A%3Aa::assert 1 == 2"]


def test_an_annotation_holds_no_other_command() -> None:
    (line,) = annotate_failures(
        _report(_bad("t.py:1", "x\n::set-output name=a::b\r\n password=hunter2222", "t,file=x::\n::a")), _ACTIONS
    )

    assert "\n" not in line
    assert "\r" not in line
    assert "hunter2222" not in line
    assert line.startswith("::error file=t.py,line=1,title=t%2Cfile=x%3A%3A")


def test_the_summary(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    environ = {**_ACTIONS, "GITHUB_STEP_SUMMARY": str(summary)}

    lines = report_to_ci(_report(_bad("t.py:3")), environ)

    assert summary.read_text().startswith("before\n# Cycle 1 of web: failed\n")
    assert lines == ["::error file=t.py,line=3,title=t.py%3A%3Aa::assert 1 == 2"]
    assert "GITHUB_STEP_SUMMARY is not set" in write_summary(_report(), {})
    link = tmp_path / "link"
    link.symlink_to(summary)
    with pytest.raises(UnprovenError):
        write_summary(_report(), {"GITHUB_STEP_SUMMARY": str(link)})
