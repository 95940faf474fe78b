"""From evidence to a verdict on each possible cause. Pure.

A verdict is `proven` where evidence shows it, `refuted` where evidence excludes it, and else `untested`, with the reason:
a missing message refutes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from buildguard.diagnose.broken_imports import with_broken_imports
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.events import Event
from buildguard.diagnose.incident import IncidentEvidence, TargetRefusal
from buildguard.diagnose.verdict import PROOF, PROVEN, REFUTED, Hypothesis, proven, refuted, untested
from buildguard.project.proof_grade import ProofGrade

_Judge = Callable[[IncidentEvidence, list[Event]], Hypothesis]
_MOST_REFUSALS = 20


def judge_all(evidence: IncidentEvidence, events: list[Event]) -> tuple[Hypothesis, ...]:
    """The verdict on every cause, in the order of their ids."""
    return tuple(_verdict_on(cause, evidence, events) for cause in CauseId)


def _verdict_on(cause: CauseId, evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    hypothesis = _with_verdicts(_judge(cause, evidence, events), evidence)
    hypothesis = with_broken_imports(hypothesis, evidence, has_events=bool(events))
    return _with_imports(hypothesis, evidence, events)


def _with_imports(hypothesis: Hypothesis, evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    """A cause that exceptions prove, with what `check` finds in the imports that raised them."""
    lines = {event.line for event in events if event.cause == hypothesis.id}
    words = (finding.words for finding in evidence.import_findings if finding.line in lines)
    if hypothesis.verdict != PROVEN:
        return hypothesis
    return hypothesis._replace(evidence=tuple(dict.fromkeys((*hypothesis.evidence, *words))))


def _judge(cause: CauseId, evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    judge = _JUDGES.get(cause)
    if judge is not None:
        return judge(evidence, events)._replace(id=cause)
    if _is_reported(cause, events):
        return _reported(cause, events)._replace(id=cause)
    return untested(f"no message of it in the log; {_BY_LOG[cause]}")._replace(id=cause)


def not_examined(evidence: IncidentEvidence) -> str:
    """Why it is unknown whether every source compiles."""
    if evidence.unproven:
        return evidence.unproven[0]
    if evidence.proof == ProofGrade.PREDICTED:
        return f"{evidence.examined or 'no source was judged'}: a prediction is no proof"
    return "no source was judged"


def _with_verdicts(hypothesis: Hypothesis, evidence: IncidentEvidence) -> Hypothesis:
    """A hypothesis with what was reached: shown at work it is proven, excluded it is refuted where nothing else proves it."""
    shown = [verdict for verdict in evidence.verdicts if verdict.cause == hypothesis.id]
    proof = tuple(verdict.words for verdict in shown if verdict.proven)
    if proof:
        return proven(*hypothesis.evidence, *proof)._replace(id=hypothesis.id)
    against = tuple(verdict.words for verdict in shown if not verdict.proven)
    if hypothesis.verdict == REFUTED:
        return hypothesis._replace(evidence=(*hypothesis.evidence, *against))
    if hypothesis.verdict == PROVEN:
        return hypothesis
    unseen = [reason for cause, reason in evidence.unexamined if cause == hypothesis.id]
    if unseen:
        return hypothesis._replace(reason=unseen[0])
    # evidence for it, though it is no proof, is not withdrawn by one look
    if against and not hypothesis.evidence:
        return hypothesis._replace(verdict=REFUTED, evidence=against, reason="")
    return hypothesis


def _is_reported(cause: str, events: Iterable[Event]) -> bool:
    return any(event.cause == cause for event in events)


def _reported(cause: str, events: Iterable[Event]) -> Hypothesis:
    return proven(*(f"the log: {event.words}: {event.sentence}" for event in events if event.cause == cause))


# ------------------------------------------------------------------------------------------ one judge for each


def _older(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    refusals = [refusal for refusal in evidence.refused if refusal.accepted_by]
    words = [f"the log: {event.words}" for event in events if event.cause == CauseId.TARGET_OLDER]
    words += [*_refused(refusals, evidence), *evidence.newer]
    if _is_reported(CauseId.TARGET_OLDER, events) or (refusals and evidence.proof in PROOF):
        return proven(*words)
    if refusals:
        return untested(not_examined(evidence), *words)
    return _not_older(evidence)


def _refused(refusals: list[TargetRefusal], evidence: IncidentEvidence) -> Iterator[str]:
    if not refusals:
        return
    first = refusals[0]
    files = len({refusal.place.path for refusal in refusals})
    count = "1 file" if files == 1 else f"{files} files"
    target = f"Python {first.target} ({first.reported_by or evidence.found_in})"
    yield f"{evidence.examined}: {target} refuses {count} that Python {first.accepted_by} accepts"
    for refusal in refusals[:_MOST_REFUSALS]:
        yield f"{refusal.place}: {refusal.code} {refusal.message}"


def _not_older(evidence: IncidentEvidence) -> Hypothesis:
    """Refuted only if every source that was deployed compiled on the Python that ran."""
    if not evidence.examined or evidence.proof not in PROOF or evidence.unproven:
        return untested(not_examined(evidence))
    if evidence.refused or any(failure.failure.is_syntax for failure in evidence.failures):
        return untested("what was refused could not be tied to a version of Python")
    words = f"{evidence.examined}: every one compiles"
    unseen = next((reason for cause, reason in evidence.unexamined if cause == CauseId.OTHER_INTERPRETER), "")
    if unseen:  # what runs may be another one than what is declared
        return untested(f"{words}; the Python that runs was not examined: {unseen}")
    return refuted(words)


def _bytes(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    del events
    reason = (
        "the files in the build and in the image were not read: buildguard diff commit:HEAD image:REF compares them"
    )
    other = [
        f"{failure.place}: the log shows a line that is in no commit here"
        for failure in evidence.failures
        if failure.as_shown is False and not failure.older_commit
    ]
    same = sum(failure.as_shown is True for failure in evidence.failures)
    as_here = f"{same} of the lines that the log shows are as they are here; " if same else ""
    return untested(f"{as_here}{reason}", *other)


def _stale(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    del events
    older = [
        f"{failure.place}: the line that the log shows is that of commit {failure.older_commit}"
        for failure in evidence.failures
        if failure.older_commit
    ]
    compare = "buildguard diff commit:HEAD image:REF compares it"
    if older:
        return untested(f"the log is of an older deploy, or the image is: {compare}", *older)
    return untested(f"the image was not examined: {compare}")


def _encoding(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    misread = [refusal.words for refusal in evidence.misread if not refusal.is_conflict]
    if misread or _is_reported(CauseId.ENCODING, events):
        return proven(*_reported(CauseId.ENCODING, events).evidence, *misread)
    if not evidence.examined or evidence.unproven:
        return untested(not_examined(evidence))
    words = f"{evidence.examined}: every one decodes as it is declared"
    if evidence.compared and not any(cause == CauseId.ENCODING for cause, _reason in evidence.unexamined):
        return refuted(words, evidence.compared)
    return untested(f"{words}; what arrived of them was not read: --image REF reads an image")


def _merge_conflict(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    marked = [refusal.words for refusal in evidence.misread if refusal.is_conflict]
    if marked or _is_reported(CauseId.MERGE_CONFLICT, events):
        return proven(*_reported(CauseId.MERGE_CONFLICT, events).evidence, *marked)
    if not evidence.examined or evidence.unproven:
        return untested(not_examined(evidence))
    return untested(f"{evidence.examined}: none has the marks of a conflict; what arrived of them was not read")


def _interpreter(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    declared = {_minor(version) for version in evidence.target.split(", ") if version}
    words = f"and {evidence.found_in} says {evidence.target}"
    seen = [who for python, who in evidence.interpreters if declared and _minor(python) not in declared]
    if seen:
        return proven(*(f"{name}, {words}" for name in seen))
    others = [version for version in evidence.pythons if version not in declared]
    if declared and others:
        return proven(f"the log's paths are of Python {' and '.join(others)}, {words}")
    if _is_reported(CauseId.OTHER_INTERPRETER, events):
        return _reported(CauseId.OTHER_INTERPRETER, events)
    if len(declared) == 1 and evidence.pythons:
        return refuted(f"the log's paths are of Python {evidence.pythons[0]}, as {evidence.found_in} says")
    return untested("no path in the log names the Python that ran; buildguard check --image REF runs the image's")


def _minor(python: str) -> str:
    """The minor version of "3.11.7", or of "CPython 3.11.7"."""
    return ".".join(python.rpartition(" ")[2].split(".")[:2])


def _trouble(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    """Google's own trouble; that the build or the revision alone had none does not exclude it."""
    if _is_reported(CauseId.SERVICE_TROUBLE, events):
        return _reported(CauseId.SERVICE_TROUBLE, events)
    if not evidence.calm:
        return untested("no message of it in the log; Google's services were not asked")
    words = ", and ".join(evidence.calm)
    if len(evidence.calm) > 1:
        return refuted(words)
    other = "what came after it was not examined: --revision NAME" if "build" in words else "no build was: --build ID"
    return untested(f"{words}; {other}")


_JUDGES: Mapping[CauseId, _Judge] = {
    CauseId.TARGET_OLDER: _older,
    CauseId.BYTES_CHANGED: _bytes,
    CauseId.STALE_IMAGE: _stale,
    CauseId.ENCODING: _encoding,
    CauseId.MERGE_CONFLICT: _merge_conflict,
    CauseId.OTHER_INTERPRETER: _interpreter,
    CauseId.SERVICE_TROUBLE: _trouble,
}
_IMAGE = "the image was not examined: buildguard check image:REF"
# Causes that only a message can prove: what else would have to be examined.
_BY_LOG: Mapping[CauseId, str] = {
    CauseId.CODE_OLDER: "nothing was imported",
    CauseId.WRONG_FILES_SENT: "what was sent was not read: buildguard diff commit:HEAD dir:. shows what ignore rules drop",
    CauseId.PLATFORM: _IMAGE,
    CauseId.STRAY_BYTECODE: _IMAGE,
    CauseId.MISSING_VARIABLE: "the variables of the service were not read",
    CauseId.NOT_IMPORTABLE: "nothing was imported",
    CauseId.RESOURCES: "what the service used was not read",
    CauseId.START_COMMAND: "the command was not run",
    CauseId.PORT: "no port was tried",
    CauseId.DEPENDENCY_INSTALL: "nothing was installed",
    CauseId.PERMISSION: "no permission was tried",
    CauseId.CONFIGURATION: "the settings were not read",
    CauseId.DEPENDENCY_SERVICE: "no other service was contacted",
    CauseId.CRASH: "nothing was run",
    CauseId.TOOL_FAILURE: "no tool was run",
    CauseId.APPLICATION_ERROR: "nothing was run",
}
