"""The step `verify`: every verify command against the new revision, compared with the cycles before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from buildguard.cycles import gates
from buildguard.cycles.expectations import CycleVerdict, Expectations, describe_known, judge_cycle
from buildguard.cycles.test_results import VerifyResult
from buildguard.definitions import NamedTuple
from buildguard.deploy.outcome import DeployStoppedError, StepSummary
from buildguard.deploy.verify import describe, run_verify
from buildguard.project.ledger import StepVerdict
from buildguard.project.verify_config import VerifyCommand

_HINT = "buildguard history shows the report of each cycle"


class VerifyTarget(NamedTuple):
    """What is tested: the address, the revision that serves it, and the folder in which commands run."""

    url: str
    revision: str
    folder: Path


class VerifyReport(NamedTuple):
    """What each command proved, and what the cycles before show of it."""

    results: tuple[VerifyResult, ...]
    verdict: CycleVerdict


def verify(commands: Sequence[VerifyCommand], target: VerifyTarget, expected: Expectations) -> VerifyReport:
    """Run every command; the known failures that count are those of today."""
    today = datetime.now(UTC).date()
    known = gates.in_force(expected.known, today)
    results = tuple(run_verify(command, *target, known) for command in commands)
    verdict = judge_cycle(results, expected._replace(known=known))
    expired = [failure for failure in expected.known if failure not in known]
    notes = describe_known(known, verdict.cases, expired)
    return VerifyReport(results, verdict._replace(notes=(*verdict.notes, *notes)))


def conclude(report: VerifyReport) -> StepSummary:
    """The result of the step. Raises DeployStoppedError where a command or the comparison fails."""
    evidence = {"trials": [result.evidence for result in report.results], "notes": list(report.verdict.notes)}
    bad = [result for result in report.results if result.verdict is not StepVerdict.OK]
    if bad:
        worst = next((result for result in bad if result.verdict is StepVerdict.FAILED), bad[0])
        raise DeployStoppedError(
            f"BG504 {worst.command}: {worst.why}{_more(bad, worst)}",
            hint=_HINT,
            evidence=evidence,
            proven=worst.verdict is StepVerdict.FAILED,
        )
    if report.verdict.failures:
        raise DeployStoppedError(f"BG504 {'; '.join(report.verdict.failures)}", hint=_HINT, evidence=evidence)
    suspicious = "".join(f"; {note}" for note in report.verdict.notes)
    return f"{describe(report.results)}{suspicious}", evidence


def _more(bad: Sequence[VerifyResult], worst: VerifyResult) -> str:
    return "".join(f"; {result.command}: {result.why}" for result in bad if result is not worst)
