"""A log of an older commit than the current one: its line is in the history, and the current commit has another one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from buildguard.diagnose.events import Event
from buildguard.diagnose.incident import IncidentEvidence, LocatedFailure, SourceLocation


def older_failure(led: Iterable[Event], evidence: IncidentEvidence) -> LocatedFailure | None:
    """The failure of an older commit that leads, in a file that the current commit has repaired as far as is known."""
    lines = {event.line for event in led}
    refused = {refusal.place.path for refusal in (*evidence.refused, *evidence.misread)}
    return next(
        (
            failure
            for failure in evidence.failures
            if failure.older_commit
            and failure.failure.line in lines
            and failure.place is not None
            and failure.place.path not in refused
        ),
        None,
    )


def add_commit(sentence: str, led: Iterable[Event], evidence: IncidentEvidence) -> str:
    """A sentence with the commit that has the line of the log, and what is known of the current one."""
    failure = older_failure(led, evidence)
    if failure is None or failure.place is None or failure.older_commit in sentence:
        return sentence
    is_accepted = failure.failure.is_syntax and failure.place.path in evidence.accepted
    now = f", which {evidence.compiler} compiles" if is_accepted else ""
    return f"{sentence}; that line is of commit {failure.older_commit}, and the current commit has another one{now}"


def remedies(led: Iterable[Event], evidence: IncidentEvidence) -> Iterator[str]:
    """To deploy the current commit; what keeps that from starting comes first."""
    if older_failure(led, evidence) is None:
        return
    if failing_imports(evidence):
        yield "buildguard check    lists the imports of the current commit that fail; repair them before it is deployed"
    yield "buildguard deploy    deploys the current commit: an older one or its image wrote this log"


def failing_imports(evidence: IncidentEvidence) -> tuple[SourceLocation, ...]:
    """The imports that fail when the current commit is imported."""
    return tuple(finding.place for finding in evidence.broken_imports if finding.executed)
