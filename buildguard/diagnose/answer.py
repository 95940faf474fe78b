"""The answer in words: one sentence with cause and place, and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from buildguard.codes import RULE_ERRORS
from buildguard.definitions import lazy_pattern
from buildguard.diagnose import broken_imports, missing_variables, older_deploy
from buildguard.diagnose.cause import HEALTHY, UNKNOWN, CauseId
from buildguard.diagnose.events import Event
from buildguard.diagnose.incident import IncidentEvidence, SourceLocation, TargetRefusal
from buildguard.diagnose.judges import not_examined

_REPORTS = frozenset({"not-listening", "probe-failed"})
_REVISION = lazy_pattern(r"[Rr]evision '([\w-]+)'")
_MORE_HELP = (
    "buildguard diagnose --revision NAME    reads a Cloud Run revision",
    "buildguard diagnose --build ID         reads a build and its log",
    "buildguard diagnose --image REF        compares the image with its commit",
)


def sentence_of(
    cause: str,
    lead: Event | None,
    led: list[Event],
    evidence: IncidentEvidence,
    places: tuple[SourceLocation, ...],
) -> str:
    """One sentence: what failed, and in which commit if that is an older one."""
    return older_deploy.add_commit(_what_failed(cause, lead, led, evidence, places), led, evidence)


def _what_failed(
    cause: str,
    lead: Event | None,
    led: list[Event],
    evidence: IncidentEvidence,
    places: tuple[SourceLocation, ...],
) -> str:
    if cause == CauseId.TARGET_OLDER and (words := _refusal_sentence(lead, evidence, places)):
        return words
    shown = next((verdict for verdict in evidence.verdicts if verdict.proven and verdict.cause == cause), None)
    if shown is not None and (lead is None or lead.cause != cause):
        return shown.words
    if lead is not None:
        return _missing_sentence(led) if cause == CauseId.MISSING_VARIABLE else lead.sentence
    return _sentence_without_log(cause, evidence)


def _sentence_without_log(cause: str, evidence: IncidentEvidence) -> str:
    """What the sources show where the log shows no failure."""
    misread = misread_of(cause, evidence)
    if misread:
        return f"{misread[0].place}: {misread[0].message}"
    if cause == HEALTHY:
        return f"{evidence.alive}; nothing looks like an error, and every source compiles ({evidence.examined})"
    return broken_imports.sentence(cause, evidence) or _unexplained(evidence)


def misread_of(cause: str, evidence: IncidentEvidence) -> list[TargetRefusal]:
    """The sources whose bytes are not what they should be, where that is the cause."""
    if cause not in {CauseId.ENCODING, CauseId.MERGE_CONFLICT}:
        return []
    return [refusal for refusal in evidence.misread if refusal.is_conflict == (cause == CauseId.MERGE_CONFLICT)]


def _missing_sentence(led: Iterable[Event]) -> str:
    """Every variable that the log misses, or the last event's words where it names none."""
    several = list(led)
    names = [name for event in several for name in event.variables]
    return missing_variables.sentence(names) if names else several[-1].sentence


def _refusal_sentence(lead: Event | None, evidence: IncidentEvidence, places: tuple[SourceLocation, ...]) -> str:
    """What the deployed Python refuses, and where; empty if the log is about other files."""
    refused = [*_refusals(evidence)]
    if not places or not refused or not _is_about(lead, refused):
        return ""
    files = len({place.path for place in places})
    more = "" if files == 1 else f", and {files - 1} more file{'s' if files > 2 else ''}"  # noqa: PLR2004
    first = lead.places[0] if lead is not None and lead.places and files == 1 else places[0]
    return (
        f"the deployed Python {refused[0].target} ({refused[0].reported_by or evidence.found_in}) refuses code that was"
        f" written for {_since(refused)}: {first}{more}"
    )


def _refusals(evidence: IncidentEvidence) -> Iterator[TargetRefusal]:
    yield from (refusal for refusal in evidence.refused if refusal.accepted_by)
    for failure in evidence.failures:
        if failure.at_commit is not None and failure.at_commit.accepted_by:
            yield failure.at_commit


def _is_about(lead: Event | None, refused: Iterable[TargetRefusal]) -> bool:
    if lead is None:
        return True
    paths = {place.path for place in lead.places}
    return lead.cause == CauseId.TARGET_OLDER and any(refusal.place.path in paths for refusal in refused)


def _unexplained(evidence: IncidentEvidence) -> str:
    """The sentence where no cause is known."""
    if evidence.build_failure:
        return f"{evidence.build_failure}; nothing that was examined shows why"
    if _is_report(evidence):
        return (
            "the container did not start: this log has Cloud Run's report, and the reason is in the container's own log"
        )
    if evidence.quote:
        return _quoting(evidence)
    if not (evidence.has_log or evidence.alive):
        nothing = "no failure found, and nothing that proves success; pass the log: buildguard diagnose --log FILE"
        return next(iter(evidence.unread), nothing)
    if not evidence.alive:
        return "no line of this log is a known failure, and none proves that anything runs"
    return f"{evidence.alive}; {_doubts(evidence)}"


def _doubts(evidence: IncidentEvidence) -> str:
    """Why what went well is not enough to call it healthy."""
    if not evidence.starts:
        return "a build that ended well does not show that the service starts"
    return f"whether everything is well is unknown: {_unexamined(evidence)}"


def _quoting(evidence: IncidentEvidence) -> str:
    """The last line that looks like an error; where what proves that something runs came after it, that one first."""
    if evidence.recovered:
        return f"{evidence.alive}; before it, a line looks like an error, and whether it did harm is unknown: {evidence.quote}"
    return f"the cause is unknown; the last line that looks like an error: {evidence.quote}"


def _is_report(evidence: IncidentEvidence) -> bool:
    """Whether a log has Cloud Run's words for a container that did not start, and nothing of that container."""
    return any(match.message.id in _REPORTS for match in evidence.known_messages) and not evidence.failures


def _unexamined(evidence: IncidentEvidence) -> str:
    if evidence.unexamined:
        return evidence.unexamined[0][1]
    return "some sources do not compile" if evidence.refused or evidence.misread else not_examined(evidence)


def _since(refused: Iterable[TargetRefusal]) -> str:
    """The Python that the code was written for: that of f-string rules, else the one that accepts it."""
    several = list(refused)
    if all(refusal.code in RULE_ERRORS for refusal in several):
        return "Python 3.12 or newer"
    return f"a newer one ({several[0].accepted_by} accepts it)"


def remedies_of(cause: str, led: list[Event], evidence: IncidentEvidence, proven: Iterable[str]) -> tuple[str, ...]:
    """What to do, the most helpful first."""
    shown = [verdict for verdict in evidence.verdicts if verdict.proven and verdict.remedy]
    remedies = [*older_deploy.remedies(led, evidence), *_remedies_of_events(led)]
    remedies += [verdict.remedy for verdict in shown if verdict.cause == cause]
    if CauseId.TARGET_OLDER in {cause, *proven} and evidence.refused:
        remedies += _against_age(evidence, alone=not remedies)
    remedies += [verdict.remedy for verdict in shown]
    if not led:
        remedies += broken_imports.remedies(cause, evidence)
    if cause == CauseId.MERGE_CONFLICT:
        remedies.append("git diff --check, and resolve it")
    elif misread_of(cause, evidence):
        remedies.append("buildguard check    names every source whose bytes are not what they should be")
    if cause == UNKNOWN:
        remedies += _for_unknown(evidence)
    if evidence.service:
        remedies = [re.sub(r"\bSERVICE\b", evidence.service, remedy) for remedy in remedies]
    return tuple(_without_repeats(remedies))


def _without_repeats(remedies: Iterable[str]) -> Iterator[str]:
    """Each remedy once, also where a later one only adds a word to it."""
    seen: list[str] = []
    for remedy in remedies:
        if not any(remedy == other or remedy.startswith(f"{other},") for other in seen):
            seen.append(remedy)
            yield remedy


def _remedies_of_events(led: list[Event]) -> list[str]:
    """The remedies of the events that lead, those of a cause before those of its reports; all variables are set by one command."""
    led = sorted(led, key=lambda event: event.rank)
    names = [name for event in led for name in event.variables]
    command = [missing_variables.set_command(names)] if names else []
    return command + [event.remedy for event in led if event.remedy and not event.variables]


def _for_unknown(evidence: IncidentEvidence) -> Iterator[str]:
    if evidence.failures and evidence.failures[-1].as_shown is False:
        yield "buildguard diff commit:HEAD image:REF      compares the files in the image with the commit's"
    revision = next((found[1] for match in evidence.known_messages if (found := _REVISION.search(match.text))), "")
    yield from (line.replace("NAME ", f"{revision} ") if revision else line for line in _MORE_HELP)


def _against_age(evidence: IncidentEvidence, *, alone: bool) -> Iterator[str]:
    """What to do where the target is older than the code."""
    if any(refusal.code in RULE_ERRORS for refusal in evidence.refused):
        yield "buildguard fix      rewrites the f-strings so that old and new Python accept them; each repair is proven first"
    elif alone:
        yield f"move {evidence.found_in} to the Python that the code was written for, or rewrite those lines"
    yield "buildguard check    lists every file that the deployed Python refuses, before a build does"
    yield "buildguard init     installs a hook that stops such a commit; --cloudbuild adds the check to your build"
