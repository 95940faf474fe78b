"""From evidence to a verdict on each possible cause, and to the one that explains the failure. Pure.

A verdict is `proven` where evidence shows it, `refuted` where evidence excludes it, and else `untested`, with the reason:
that nothing speaks for a cause refutes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from buildguard.codes import RULE_ERRORS
from buildguard.diagnose.incident import OLDER, Event, IncidentEvidence, SourceLocation, TargetRefusal, events_of

PROVEN, REFUTED, UNTESTED = "proven", "refuted", "untested"
UNKNOWN, HEALTHY = "unknown", "healthy"
_PROOF = frozenset({"compiled", "image"})  # a prediction refutes nothing, and proves nothing by itself


class Hypothesis(NamedTuple):
    """A possible cause and its verdict; `reason` says why one was not tested."""

    id: str
    verdict: str
    evidence: tuple[str, ...] = ()
    reason: str = ""


class Diagnosis(NamedTuple):
    """The answer: the cause, one sentence, its places, every hypothesis, what would have failed next, and what to do.

    `quote` is the last line of the log that looks like an error, where the cause is unknown; `notes` are beside the answer.
    """

    cause: str
    sentence: str
    place: tuple[SourceLocation, ...]
    hypotheses: tuple[Hypothesis, ...]
    next: tuple[SourceLocation, ...]
    remedies: tuple[str, ...]
    quote: str = ""
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 for a cause that is proven or sources that are refused, 0 for a healthy answer, else 3."""
        if self.next or any(hypothesis.verdict == PROVEN for hypothesis in self.hypotheses):
            return 1
        return 0 if self.cause == HEALTHY else 3


def diagnose(evidence: IncidentEvidence) -> Diagnosis:
    """The cause that explains the failure, and what became of every other one."""
    events = events_of(evidence)
    lead = _leading_event(events)
    hypotheses = tuple(
        _with_cause_verdicts(judge(evidence, events)._replace(id=name), evidence) for name, judge in _JUDGES.items()
    )
    proven = [hypothesis.id for hypothesis in hypotheses if hypothesis.verdict == PROVEN]
    ended = [shown.cause for shown in evidence.verdicts if shown.explains]
    seen = [
        hypothesis.id
        for hypothesis in hypotheses
        if any(shown.proven and shown.cause == hypothesis.id for shown in evidence.verdicts)
    ]
    if lead is not None:
        cause = lead.cause or (*ended[::-1], *seen, UNKNOWN)[0]
    elif proven:
        cause = (*ended[::-1], *proven)[0]
    else:
        cause = HEALTHY if _is_healthy(evidence) else UNKNOWN
    led = (
        [event for event in events if event.cause == cause] if cause != UNKNOWN else [lead] if lead is not None else []
    )
    places = _unique(place for event in led for place in event.places)
    if not places:
        places = _unique(
            verdict.place
            for verdict in evidence.verdicts
            if verdict.proven and verdict.cause == cause and verdict.place
        )
    if not places and cause == OLDER:
        places = _unique(refusal.place for refusal in evidence.refused if refusal.accepted_by)
    failed = {place.path for event in events for place in event.places}
    following = _first_of_each(refusal.place for refusal in evidence.refused if refusal.place.path not in failed)
    if not events:
        following = tuple(place for place in following if place not in places)
    sentence = _sentence(cause, lead, evidence, places)
    quote = evidence.quote if cause == UNKNOWN else ""
    return Diagnosis(cause, sentence, places, hypotheses, following, _remedies(cause, led, evidence, proven), quote)


def _with_cause_verdicts(hypothesis: Hypothesis, evidence: IncidentEvidence) -> Hypothesis:
    """A hypothesis with what was reached: shown at work it is proven, excluded it is refuted where nothing else proves it."""
    shown = [verdict for verdict in evidence.verdicts if verdict.cause == hypothesis.id]
    proof = tuple(verdict.words for verdict in shown if verdict.proven)
    if proof:
        return hypothesis._replace(
            verdict=PROVEN, evidence=tuple(dict.fromkeys((*hypothesis.evidence, *proof))), reason=""
        )
    against = tuple(verdict.words for verdict in shown if not verdict.proven)
    blind = [reason for cause, reason in evidence.unexamined if cause == hypothesis.id]
    if hypothesis.verdict != UNTESTED:
        return (
            hypothesis._replace(evidence=(*hypothesis.evidence, *against))
            if hypothesis.verdict == REFUTED
            else hypothesis
        )
    if blind:
        return hypothesis._replace(reason=blind[0])
    # what speaks for it, though it proves nothing, is not taken back by one look
    return (
        hypothesis._replace(verdict=REFUTED, evidence=against, reason="")
        if against and not hypothesis.evidence
        else hypothesis
    )


# ------------------------------------------------------------------------------------------ what explains it


def _leading_event(events: list[Event]) -> Event | None:
    """What failed last, or what that came of: later attempts tell more than earlier ones."""
    if not events:
        return None
    at = len(events) - 1
    while at and events[at].chained and events[at - 1].cause:
        at -= 1
    known = [event for event in events if event.cause]
    return events[at] if events[at].cause or not known or events[at].line - known[-1].line > _NEAR else known[-1]


_NEAR = 40  # lines of a log: what follows a known cause so closely comes of it


def _is_healthy(evidence: IncidentEvidence) -> bool:
    """Whether something proves it, nothing in the log looks like an error, and every source compiled."""
    quiet = not (evidence.quote or evidence.failures or evidence.known_messages)
    return (
        bool(evidence.alive)
        and quiet
        and bool(evidence.examined)
        and evidence.proof in _PROOF
        and not (evidence.refused or evidence.misread or evidence.unproven)
        and not any(verdict.proven for verdict in evidence.verdicts)
        and not (evidence.unexamined or evidence.build_failure)
    )


# ------------------------------------------------------------------------------------------ one judge for each


def _older(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    refusals = [refusal for refusal in evidence.refused if refusal.accepted_by]
    said = [f"the log: {event.words}" for event in events if event.cause == OLDER]
    if refusals:
        first = refusals[0]
        files = len({refusal.place.path for refusal in refusals})
        count = "1 file" if files == 1 else f"{files} files"
        target = f"Python {first.target} ({first.reported_by or evidence.found_in})"
        said.append(f"{evidence.examined}: {target} refuses {count} that Python {first.accepted_by} accepts")
        said += [f"{refusal.place}: {refusal.code} {refusal.message}" for refusal in refusals[:20]]
    said += list(evidence.newer)
    if any(event.cause == OLDER for event in events) or (refusals and evidence.proof in _PROOF):
        return Hypothesis("", PROVEN, tuple(dict.fromkeys(said)))
    if refusals:
        return Hypothesis("", UNTESTED, tuple(dict.fromkeys(said)), _not_looked(evidence))
    if evidence.examined and evidence.proof in _PROOF and not evidence.unproven:
        if evidence.refused or any(failure.failure.is_syntax for failure in evidence.failures):
            return Hypothesis("", UNTESTED, (), "what was refused could not be tied to a version of Python")
        words = f"{evidence.examined}: every one compiles"
        unseen = next((reason for cause, reason in evidence.unexamined if cause == "other-interpreter"), "")
        if unseen:  # what runs may be another one than what is declared, and could not be asked
            return Hypothesis("", UNTESTED, (), f"{words}; what runs was not asked: {unseen}")
        return Hypothesis("", REFUTED, (words,))
    return Hypothesis("", UNTESTED, (), _not_looked(evidence))


def _not_looked(evidence: IncidentEvidence) -> str:
    if evidence.unproven:
        return evidence.unproven[0]
    return (
        f"{evidence.examined or 'no source was judged'}: a prediction is no proof"
        if evidence.proof == "predicted"
        else "no source was judged"
    )


def _bytes(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    del events
    reason = (
        "the bytes in the build and in the image were not read: buildguard diff commit:HEAD image:REF reads an image's"
    )
    other = [
        f"{failure.place}: the log shows a line that is in no commit here"
        for failure in evidence.failures
        if failure.as_shown is False and not failure.older_commit
    ]
    same = sum(failure.as_shown is True for failure in evidence.failures)
    as_here = f"{same} of the lines that the log shows are as they are here; " if same else ""
    return Hypothesis("", UNTESTED, tuple(other), f"{as_here}{reason}")


def _stale(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    del events
    older = [
        f"{failure.place}: the line that the log shows is that of commit {failure.older_commit}"
        for failure in evidence.failures
        if failure.older_commit
    ]
    if older:
        reason = "the log is of an older deploy, or the image is: buildguard diff commit:HEAD image:REF tells"
        return Hypothesis("", UNTESTED, tuple(older), reason)
    return Hypothesis("", UNTESTED, (), "the image was not looked at: buildguard diff commit:HEAD image:REF tells")


def _encoding(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    misread = [f"{refusal.place}: {refusal.code} {refusal.message}" for refusal in evidence.misread]
    if misread or any(event.cause == "encoding" for event in events):
        return Hypothesis("", PROVEN, (*_message_hypothesis("encoding", events).evidence, *misread))
    if evidence.examined and not evidence.unproven:
        words = f"{evidence.examined}: every one decodes as it is declared"
        if evidence.compared and not any(cause == "encoding" for cause, _reason in evidence.unexamined):
            return Hypothesis("", REFUTED, (words, evidence.compared))
        return Hypothesis("", UNTESTED, (), f"{words}; what arrived of them was not read: --image REF reads an image")
    return Hypothesis("", UNTESTED, (), _not_looked(evidence))


def _interpreter(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    declared = {_minor(version) for version in evidence.target.split(", ") if version}
    words = f"and {evidence.found_in} says {evidence.target}"
    seen = [who for python, who in evidence.interpreters if declared and _minor(python) not in declared]
    if seen:
        return Hypothesis("", PROVEN, tuple(f"{name}, {words}" for name in seen))
    others = [version for version in evidence.pythons if version not in declared]
    if declared and others:
        return Hypothesis("", PROVEN, (f"the log's paths say Python {' and '.join(others)}, {words}",))
    if any(event.cause == "other-interpreter" for event in events):
        return _message_hypothesis("other-interpreter", events)
    if len(declared) == 1 and evidence.pythons:
        return Hypothesis(
            "", REFUTED, (f"the log's paths say Python {evidence.pythons[0]}, as {evidence.found_in} does",)
        )
    return Hypothesis(
        "", UNTESTED, (), "no path in the log tells which Python ran; buildguard check --image REF asks the image"
    )


def _minor(python: str) -> str:
    """The minor version of "3.11.7", or of "CPython 3.11.7"."""
    return ".".join(python.rpartition(" ")[2].split(".")[:2])


def _trouble(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
    """Google's own trouble; that the build or the revision alone had none does not exclude it."""
    if any(one.cause == "service-trouble" for one in events):
        return _message_hypothesis("service-trouble", events)
    if not evidence.calm:
        return Hypothesis("", UNTESTED, (), "no message of it in the log; Google's services were not asked")
    words = ", and ".join(evidence.calm)
    if len(evidence.calm) > 1:
        return Hypothesis("", REFUTED, (words,))
    other = "what came after it was not examined: --revision NAME" if "build" in words else "no build was: --build ID"
    return Hypothesis("", UNTESTED, (), f"{words}; {other}")


def _message_hypothesis(cause: str, events: Iterable[Event]) -> Hypothesis:
    return Hypothesis(
        "",
        PROVEN,
        tuple(dict.fromkeys(f"the log: {event.words}: {event.sentence}" for event in events if event.cause == cause)),
    )


def _by_log(cause: str, reason: str) -> Callable[[IncidentEvidence, list[Event]], Hypothesis]:
    """A hypothesis that only a message in the log can prove, and nothing here can refute."""

    def judge(evidence: IncidentEvidence, events: list[Event]) -> Hypothesis:
        del evidence
        return (
            _message_hypothesis(cause, events)
            if any(event.cause == cause for event in events)
            else Hypothesis("", UNTESTED, (), reason)
        )

    return judge


_JUDGES: Mapping[str, Callable[[IncidentEvidence, list[Event]], Hypothesis]] = {
    OLDER: _older,
    "bytes-changed": _bytes,
    "stale-image": _stale,
    "wrong-files-sent": _by_log(
        "wrong-files-sent", "what was sent was not read: buildguard diff commit:HEAD dir:. shows what ignore rules drop"
    ),
    "encoding": _encoding,
    "platform": _by_log(
        "platform", "no message of it in the log; the image was not looked at: buildguard check image:REF"
    ),
    "other-interpreter": _interpreter,
    "stray-bytecode": _by_log(
        "stray-bytecode", "no message of it in the log; the image was not looked at: buildguard check image:REF"
    ),
    "missing-variable": _by_log(
        "missing-variable", "no message of it in the log; the variables of the service were not read"
    ),
    "not-importable": _by_log("not-importable", "no message of it in the log; nothing was imported"),
    "resources": _by_log("resources", "no message of it in the log; what the service used was not read"),
    "service-trouble": _trouble,
}


# ------------------------------------------------------------------------------------------ the answer


def _sentence(cause: str, lead: Event | None, evidence: IncidentEvidence, places: tuple[SourceLocation, ...]) -> str:
    if cause == OLDER and places and (lead is None or lead.cause == OLDER):
        refused = [refusal for refusal in evidence.refused if refusal.accepted_by]
        refused += [
            failure.at_commit
            for failure in evidence.failures
            if failure.at_commit is not None and failure.at_commit.accepted_by
        ]
        if refused and (
            lead is None or any(refusal.place.path in {place.path for place in lead.places} for refusal in refused)
        ):
            files = len({place.path for place in places})
            more = "" if files == 1 else f", and {files - 1} more file{'s' if files > 2 else ''}"  # noqa: PLR2004
            first = lead.places[0] if lead is not None and lead.places and files == 1 else places[0]
            return (
                f"the deployed Python {refused[0].target} ({refused[0].reported_by or evidence.found_in}) refuses code that was written for"
                f" {_since(refused)}: {first}{more}; nothing had to be corrupted for that"
            )
    shown = next((verdict for verdict in evidence.verdicts if verdict.proven and verdict.cause == cause), None)
    if shown is not None and (lead is None or lead.cause != cause):
        return shown.words
    if lead is not None:
        return lead.sentence
    if cause == HEALTHY:
        return f"{evidence.alive}; nothing looks like an error, and every source compiles ({evidence.examined})"
    return _unexplained(evidence)


def _unexplained(evidence: IncidentEvidence) -> str:
    """What there is to say where no cause was found."""
    if evidence.build_failure:
        return f"{evidence.build_failure}; nothing that was looked at says why"
    if evidence.quote:
        return f"the cause is unknown; the last line that looks like an error: {evidence.quote}"
    if not (evidence.has_log or evidence.alive):
        return "no failure found, and nothing that proves success; pass the log: buildguard diagnose --log FILE"
    if not evidence.alive:
        return "no line of this log is a known failure, and none proves that anything runs"
    return f"{evidence.alive}; whether everything is well is unknown: {_open(evidence)}"


def _open(evidence: IncidentEvidence) -> str:
    """Why nothing more can be said, where nothing failed."""
    if evidence.unexamined:
        return evidence.unexamined[0][1]
    return "some sources do not compile" if evidence.refused or evidence.misread else _not_looked(evidence)


def _since(refused: Iterable[TargetRefusal]) -> str:
    """The Python that the code was written for: f-strings tell, else the one that was found to accept it."""
    several = list(refused)
    if all(refusal.code in RULE_ERRORS for refusal in several):
        return "Python 3.12 or newer"
    return f"a newer one ({several[0].accepted_by} accepts it)"


def _remedies(cause: str, led: Iterable[Event], evidence: IncidentEvidence, proven: Iterable[str]) -> tuple[str, ...]:
    shown = [verdict for verdict in evidence.verdicts if verdict.proven and verdict.remedy]
    remedies = [event.remedy for event in led if event.remedy]
    remedies += [verdict.remedy for verdict in shown if verdict.cause == cause]
    if OLDER in {cause, *proven} and evidence.refused:
        remedies += _against_age(evidence, alone=not remedies)
    remedies += [verdict.remedy for verdict in shown]
    if cause == "encoding" and evidence.misread:
        remedies.append("buildguard check    names every source whose bytes are not what they should be")
    if cause == UNKNOWN and evidence.failures and evidence.failures[-1].as_shown is False:
        remedies.append("buildguard diff commit:HEAD image:REF      compares the files in the image with the commit's")
    return tuple(dict.fromkeys(remedies))


def _against_age(evidence: IncidentEvidence, *, alone: bool) -> Iterator[str]:
    """What to do where the target is older than the code."""
    if any(refusal.code in RULE_ERRORS for refusal in evidence.refused):
        yield "buildguard fix      rewrites the f-strings so that both accept them, each repair proven first"
    elif alone:
        yield f"move {evidence.found_in} to the Python that the code was written for, or rewrite those lines"
    yield "buildguard check    names every other file that the deployed Python refuses, before a build does"
    yield "buildguard init     stops the next one at the commit; with --cloudbuild, in the build"


def _unique(places: Iterable[SourceLocation]) -> tuple[SourceLocation, ...]:
    return tuple(dict.fromkeys(places))


def _first_of_each(places: Iterable[SourceLocation]) -> tuple[SourceLocation, ...]:
    """Each file once, at its first place: an import stops there."""
    first: dict[str, SourceLocation] = {}
    for place in places:
        known = first.get(place.path)
        if known is None or (place.line or 0) < (known.line or 0):
            first[place.path] = place
    return tuple(first[path] for path in sorted(first))
