"""From evidence to the one cause that explains the failure, and to what became of every other one. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from buildguard.definitions import NamedTuple
from buildguard.diagnose import broken_imports, older_deploy
from buildguard.diagnose.answer import misread_of, remedies_of, sentence_of
from buildguard.diagnose.cause import HEALTHY, UNKNOWN, CauseId
from buildguard.diagnose.events import Event, events_of
from buildguard.diagnose.incident import ImportFinding, IncidentEvidence, SourceLocation
from buildguard.diagnose.judges import judge_all
from buildguard.diagnose.verdict import PROOF, PROVEN, Hypothesis

_NEAR = 40  # lines of a log: what follows a known cause so closely comes of it


class Diagnosis(NamedTuple):
    """The answer: the cause, one sentence, its places, every hypothesis, what would have failed next, and what to do.

    `quote` is the last line of the log that looks like an error with its neighbours, where the cause is unknown; `notes`
    are beside the answer. `imports` are the findings of `check` that explain an exception of the log.
    """

    cause: str
    sentence: str
    place: tuple[SourceLocation, ...]
    hypotheses: tuple[Hypothesis, ...]
    next: tuple[SourceLocation, ...]
    remedies: tuple[str, ...]
    quote: str = ""
    notes: tuple[str, ...] = ()
    imports: tuple[ImportFinding, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 for a cause that is proven or sources that are refused, 0 for a healthy answer, else 3."""
        if self.next or any(hypothesis.verdict == PROVEN for hypothesis in self.hypotheses):
            return 1
        return 0 if self.cause == HEALTHY else 3


def diagnose(evidence: IncidentEvidence) -> Diagnosis:
    """The cause that explains the failure, and what became of every other one."""
    events = events_of(evidence)
    lead = leading_event(events)
    told = [event for event in events if not event.rank or (lead is not None and event.cause == lead.cause)]
    hypotheses = judge_all(evidence, told)
    proven = [hypothesis.id for hypothesis in hypotheses if hypothesis.verdict == PROVEN]
    cause = _cause(lead, proven, evidence)
    led = [event for event in events if event.cause == cause]
    if cause == UNKNOWN and lead is not None:
        led = [lead]
    places = _places(cause, led, evidence) or _places_of_chain(lead, events)
    following = _following(events, places, evidence) + _following_older(led, evidence)
    sentence = sentence_of(cause, lead, led, evidence, places)
    quote = "\n".join(evidence.neighbours) or evidence.quote if cause == UNKNOWN else ""
    remedies = remedies_of(cause, led, evidence, proven)
    imports = tuple(dict.fromkeys(evidence.import_findings))
    return Diagnosis(cause, sentence, places, hypotheses, following, remedies, quote, imports=imports)


def _cause(lead: Event | None, proven: list[str], evidence: IncidentEvidence) -> str:
    if lead is not None and lead.cause and not lead.rank:
        return lead.cause
    ended = [verdict.cause for verdict in evidence.verdicts if verdict.explains]
    if lead is not None:
        shown = {verdict.cause for verdict in evidence.verdicts if verdict.proven}
        return (*ended[::-1], *(cause for cause in CauseId if cause in shown), lead.cause or UNKNOWN)[0]
    if proven:
        return (*ended[::-1], *proven)[0]
    return HEALTHY if _is_healthy(evidence) else UNKNOWN


def _places(cause: str, led: Iterable[Event], evidence: IncidentEvidence) -> tuple[SourceLocation, ...]:
    """Where the cause is: by the log, else by what was examined beside it, else by the compiler."""
    return (
        _unique(place for event in led for place in event.places)
        or _unique(v.place for v in evidence.verdicts if v.proven and v.cause == cause and v.place)
        or _unique(r.place for r in evidence.refused if r.accepted_by and cause == CauseId.TARGET_OLDER)
        or _unique(refusal.place for refusal in misread_of(cause, evidence))
        or broken_imports.places(cause, evidence)
    )


def _places_of_chain(lead: Event | None, events: list[Event]) -> tuple[SourceLocation, ...]:
    """The places of what came of the failure that leads, for one that has none itself."""
    if lead is None or lead.places:
        return ()
    after = events[events.index(lead) + 1 :]
    return next((event.places for event in itertools.takewhile(lambda event: event.chained, after) if event.places), ())


def _following(
    events: list[Event], places: tuple[SourceLocation, ...], evidence: IncidentEvidence
) -> tuple[SourceLocation, ...]:
    """The refused files that the log does not name."""
    failed = {place.path for event in events for place in event.places}
    following = _first_of_each(refusal.place for refusal in evidence.refused if refusal.place.path not in failed)
    return following if events else tuple(place for place in following if place not in places)


def _following_older(led: list[Event], evidence: IncidentEvidence) -> tuple[SourceLocation, ...]:
    """The imports that fail once the current commit is deployed, where an older one failed."""
    if older_deploy.older_failure(led, evidence) is None:
        return ()
    return _first_of_each(older_deploy.failing_imports(evidence))


def leading_event(events: list[Event]) -> Event | None:
    """What failed last, or its own cause: later attempts tell more than earlier ones.

    An event of a higher rank leads only if none of a lower one is known.
    """
    if not events:
        return None
    known = [event for event in events if event.cause]
    lowest = min((event.rank for event in known), default=0)
    known = [event for event in known if event.rank == lowest]
    if not known:
        return events[-1]
    last = events[-1]
    if last.cause in {"", CauseId.APPLICATION_ERROR} and last.line - known[-1].line > _NEAR:
        return last
    return _origin(known[-1], events)


def _origin(event: Event, events: list[Event]) -> Event:
    """The exception of which that one came."""
    at = events.index(event)
    while at and events[at].chained and events[at - 1].cause and events[at - 1].rank <= event.rank:
        at -= 1
    return events[at]


def _is_healthy(evidence: IncidentEvidence) -> bool:
    """Whether something proves that it runs, nothing in the log looks like an error, and every source compiled."""
    quiet = not (evidence.quote or evidence.failures or evidence.known_messages)
    compiled = bool(evidence.examined) and evidence.proof in PROOF
    return (
        evidence.starts
        and quiet
        and compiled
        and not (evidence.refused or evidence.misread or evidence.unproven)
        and not any(verdict.proven for verdict in evidence.verdicts)
        and not any(finding.executed for finding in evidence.broken_imports)
        and not (evidence.unexamined or evidence.build_failure)
    )


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
