"""What `check` finds in imports though no line of the log is about it: evidence against a start, and of its cause. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.incident import ImportFinding, IncidentEvidence, SourceLocation
from buildguard.diagnose.verdict import PROVEN, REFUTED, Hypothesis, proven, untested
from buildguard.diagnostic import count
from buildguard.project.target import PythonVersion

_CAUSES = (CauseId.TARGET_OLDER, CauseId.CODE_OLDER, CauseId.NOT_IMPORTABLE)
_MOST = 20
_NOT_EXECUTED = "what needs it is not executed at import, or the log is of another failure"


def cause_of(finding: ImportFinding) -> CauseId:
    """Why an import fails: what it needs is newer or older than the target, or is nowhere."""
    target = PythonVersion.parse(finding.target)
    lowest, highest = PythonVersion.parse(finding.lowest), PythonVersion.parse(finding.highest)
    if target is not None and lowest is not None and lowest.minor > target.minor:
        return CauseId.TARGET_OLDER
    if target is not None and highest is not None and highest.minor < target.minor:
        return CauseId.CODE_OLDER
    return CauseId.NOT_IMPORTABLE


def with_broken_imports(hypothesis: Hypothesis, evidence: IncidentEvidence, *, has_events: bool) -> Hypothesis:
    """A hypothesis with the imports that speak for it: they prove it where the log shows nothing that failed."""
    findings = [finding for finding in evidence.broken_imports if cause_of(finding) == hypothesis.id]
    if not findings or (hypothesis.verdict == PROVEN and has_events):
        return hypothesis
    words = tuple(finding.words for finding in findings[:_MOST])
    if hypothesis.verdict != REFUTED:  # what refuted it does not speak for it
        words = (*hypothesis.evidence, *words)
    if hypothesis.verdict == PROVEN or (not has_events and any(finding.executed for finding in findings)):
        return proven(*words)._replace(id=hypothesis.id)
    return untested(hypothesis.reason or _NOT_EXECUTED, *words)._replace(id=hypothesis.id)


def sentence(cause: str, evidence: IncidentEvidence) -> str:
    """The first import of a cause that fails, and how many more do; empty where none is executed."""
    findings = [*_executed(cause, evidence)]
    if not findings:
        return ""
    more = f", and {count(len(findings) - 1, 'more import')} like it" if findings[1:] else ""
    return f"{findings[0].place}: {findings[0].message}{more}"


def places(cause: str, evidence: IncidentEvidence) -> tuple[SourceLocation, ...]:
    """Where the imports of a cause are that fail when the program is imported."""
    return tuple(dict.fromkeys(finding.place for finding in _executed(cause, evidence)))


def remedies(cause: str, evidence: IncidentEvidence) -> Iterator[str]:
    """What to do about the imports of a cause that fail when the program is imported."""
    findings = [*_executed(cause, evidence)]
    if cause == CauseId.TARGET_OLDER and findings:
        newest = max(version.minor for finding in findings if (version := PythonVersion.parse(finding.lowest)))
        yield f"build from python:3.{newest} or newer"
    if findings:
        yield "buildguard check    lists every import that fails, with what to change"


def _executed(cause: str, evidence: IncidentEvidence) -> Iterator[ImportFinding]:
    yield from (finding for finding in evidence.broken_imports if finding.executed and cause_of(finding) == cause)
