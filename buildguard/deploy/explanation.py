"""Why a cycle failed: the chain from the symptom to the cause, each link with its evidence, and where it ends. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from buildguard.cycles.case_results import CaseResult
from buildguard.cycles.record import CycleRecord
from buildguard.definitions import NamedTuple
from buildguard.deploy.plan import Builder, DeployStep
from buildguard.diagnose.cause import HEALTHY, UNKNOWN, CauseId
from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.diagnose.last_event import LastEvent
from buildguard.diagnose.stack_dump import Stack
from buildguard.diagnose.verdict import PROVEN
from buildguard.diagnostic import count

_FEW, _MOST_LINES = 5, 20
_TIMED_OUT = ("timed out", "timeout", "timedout", "deadline exceeded")
_BUILD_TROUBLE = frozenset(
    {CauseId.SERVICE_TROUBLE, CauseId.BYTES_CHANGED, CauseId.STALE_IMAGE, CauseId.WRONG_FILES_SENT, CauseId.RESOURCES}
)
_OF_BUILD = frozenset({DeployStep.UPLOAD, DeployStep.BUILD, DeployStep.VERIFY_IMAGE})
_SERVING = frozenset({DeployStep.REVISION, DeployStep.HEALTH, DeployStep.VERIFY, DeployStep.TRAFFIC, DeployStep.PROVE})


class ChainLink(NamedTuple):
    """One link of the chain: what is known, and the evidence that shows it, quoted."""

    words: str
    evidence: tuple[str, ...] = ()


class BlockedStack(NamedTuple):
    """What the attempt to see a blocked process showed: its stack with the paths of the repository, or the reason why it is missing."""

    frames: Stack = ()
    gap: str = ""
    stand_ins: tuple[str, ...] = ()


class FailureFacts(NamedTuple):
    """Everything that was seen of a failure.

    `log_gap` is why the log of the revision could not be read; `findings` are what the step itself lists.
    """

    step: str
    words: str
    revision: str = ""
    findings: tuple[str, ...] = ()
    cases: tuple[CaseResult, ...] = ()
    log_lines: tuple[str, ...] = ()
    log_gap: str = ""
    diagnosis: Diagnosis | None = None
    event: LastEvent | None = None
    blocked: BlockedStack | None = None
    last_green: CycleRecord | None = None
    builder: str = ""


class Explanation(NamedTuple):
    """The answer: its sentence, the chain, what would show more where it ends, and what to do."""

    cause: str
    sentence: str
    chain: tuple[ChainLink, ...]
    more: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()
    hypotheses: tuple[tuple[str, str, str], ...] = ()  # id, verdict, evidence or reason

    def as_json(self) -> dict[str, Any]:
        """It as the record of a cycle has it."""
        return {
            "cause": self.cause,
            "sentence": self.sentence,
            "chain": [{"words": link.words, "evidence": list(link.evidence)} for link in self.chain],
            "more": list(self.more),
            "remedies": list(self.remedies),
            "hypotheses": [
                {"id": identity, "verdict": verdict, "evidence": words} for identity, verdict, words in self.hypotheses
            ],
        }


def explain(facts: FailureFacts) -> Explanation:
    """From the symptom to the cause, as far as evidence connects them."""
    diagnosis = facts.diagnosis
    cause = diagnosis.cause if diagnosis is not None and diagnosis.cause != HEALTHY else UNKNOWN
    chain = (ChainLink(f"{facts.step} failed: {facts.words}", facts.findings[:_MOST_LINES]), *_links(facts, cause))
    sentence = diagnosis.sentence if diagnosis is not None and cause != UNKNOWN else _unknown_sentence(facts)
    return Explanation(
        cause,
        sentence,
        chain,
        tuple(_more(facts, cause)),
        tuple(dict.fromkeys(_remedies(facts, cause))),
        _hypotheses(diagnosis) if diagnosis is not None else (),
    )


def is_timeout(case: CaseResult) -> bool:
    """Whether a test failed because no answer came in time, by its own message."""
    text = f"{case.message}\n{case.detail}".lower()
    return case.outcome.is_bad and any(word in text for word in _TIMED_OUT)


def never_ends(facts: FailureFacts) -> bool:
    """Whether the failure is a request that gets no answer: tests time out, and the log has no failure."""
    is_quiet = facts.diagnosis is None or facts.diagnosis.cause in {UNKNOWN, HEALTHY}
    return is_quiet and any(map(is_timeout, facts.cases))


def _unknown_sentence(facts: FailureFacts) -> str:
    if not never_ends(facts):
        unknown = "the cause is unknown; " if facts.step in _SERVING else ""  # else the step's own words are the cause
        return f"{unknown}{facts.step} failed: {facts.words}"
    late = [case for case in facts.cases if is_timeout(case)]
    seconds = ", ".join(f"{case.seconds:g} s" for case in late if case.seconds is not None)
    return f"{count(len(late), 'test')} got no answer in time{f' ({seconds})' if seconds else ''}; the cause is unknown"


def _links(facts: FailureFacts, cause: str) -> Iterator[ChainLink]:
    bad = [case for case in facts.cases if case.outcome.is_bad]
    if bad:
        yield ChainLink(f"{count(len(bad), 'test')} failed", tuple(_case_words(case) for case in bad[:_MOST_LINES]))
    if facts.diagnosis is not None and cause != UNKNOWN:
        yield from _cause_links(facts.diagnosis, cause)
    elif facts.step in _SERVING and facts.log_lines:
        yield from _log_links(facts)


def _cause_links(diagnosis: Diagnosis, cause: str) -> Iterator[ChainLink]:
    """The cause with its places and evidence, and what would fail after it."""
    proven = [item for item in diagnosis.hypotheses if item.verdict == PROVEN and item.id == cause]
    evidence = [words for hypothesis in proven for words in hypothesis.evidence]
    places = [str(place) for place in diagnosis.place]
    yield ChainLink(diagnosis.sentence, tuple(dict.fromkeys([*places, *evidence]))[:_MOST_LINES])
    if diagnosis.next:
        yield ChainLink("these would fail next", tuple(map(str, diagnosis.next))[:_MOST_LINES])


def _log_links(facts: FailureFacts) -> Iterator[ChainLink]:
    """How far the program came, by its log: no failure in it is known."""
    diagnosis = facts.diagnosis
    if diagnosis is not None and diagnosis.quote:
        yield ChainLink("the last lines of its log that look like an error", tuple(diagnosis.quote.splitlines()))
        return
    event = facts.event
    if event is None:
        yield ChainLink(f"the log of {facts.revision} has no error; its last line", (facts.log_lines[-1],))
    else:
        words = f"the log of {facts.revision} has no error; its last event is from {event.path}, line {event.line}"
        yield ChainLink(words, (event.text,))
        yield ChainLink(
            "the code that should follow it", tuple(f"{event.path}:{row.number}: {row.text}" for row in event.following)
        )
    blocked = facts.blocked
    if blocked is not None and blocked.frames:
        first = blocked.frames[0]
        given = f", with stand-ins for {', '.join(blocked.stand_ins)}" if blocked.stand_ins else ""
        yield ChainLink(
            f"started here{given} and tested the same way, a thread stays in {first.path}, line {first.line}",
            tuple(f"{frame.path}, line {frame.line}, in {frame.function}" for frame in blocked.frames[:_MOST_LINES]),
        )


def _case_words(case: CaseResult) -> str:
    place = f" ({case.place})" if case.place else ""
    took = f" after {case.seconds:g} s" if case.seconds is not None else ""
    return f"{case.id}{place}{took}: {case.message}"


def _more(facts: FailureFacts, cause: str) -> Iterator[str]:
    """What would show more where the chain ends before a cause."""
    if facts.log_gap:
        yield f"the log of {facts.revision or 'the revision'}, which could not be read: {facts.log_gap}"
    if cause != UNKNOWN:
        return
    if never_ends(facts):
        if facts.blocked is None or not facts.blocked.frames:
            gap = f": {facts.blocked.gap}" if facts.blocked is not None and facts.blocked.gap else ""
            yield f"a stack dump of the process while a request waits{gap}"
        yield "an event in the log before and after each call that may wait, and a timeout on it"
    elif facts.step in _SERVING and not facts.log_lines and not facts.log_gap:
        yield f"an event in the log: {facts.revision or 'the revision'} wrote none since this cycle began"


def _remedies(facts: FailureFacts, cause: str) -> Iterator[str]:
    if facts.diagnosis is not None and cause != UNKNOWN:
        yield from facts.diagnosis.remedies
    if (cause in _BUILD_TROUBLE or facts.step in _OF_BUILD) and facts.builder != Builder.LOCAL:
        yield "buildguard deploy --build-local      builds the same commit on this machine, without Cloud Build"
    elif cause == CauseId.TARGET_OLDER and facts.builder != Builder.LOCAL:
        yield "buildguard deploy --build-local      to rule out Cloud Build: it runs the same checks on the same bytes"
    green = facts.last_green
    if green is not None and facts.step in _SERVING:
        yield (
            f"git switch --detach {green.commit[:12]} && buildguard deploy"
            f"      deploys from the last working revision, {green.revision or 'of cycle ' + str(green.number)}"
        )


def _hypotheses(diagnosis: Diagnosis) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (hypothesis.id, hypothesis.verdict, "; ".join(hypothesis.evidence[:_FEW]) or hypothesis.reason)
        for hypothesis in diagnosis.hypotheses
    )


def first_lines(texts: Sequence[str]) -> tuple[str, ...]:
    """Texts cut to what a report quotes."""
    return tuple(text[:300] for text in texts[:_MOST_LINES])
