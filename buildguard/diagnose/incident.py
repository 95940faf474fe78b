"""An incident: what is known of it, and what failed in its log, each with the cause that it speaks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from buildguard.diagnose.known_messages import CONSEQUENCES, KnownMessageMatch
from buildguard.diagnose.log_parser import Failure

OLDER = "target-older-than-code"
_OS = ("/os.py", "<frozen os>")


class SourceLocation(NamedTuple):
    """A line of a file of the repository; `line` is None for the whole file."""

    path: str
    line: int | None

    def __str__(self) -> str:
        return self.path if self.line is None else f"{self.path}, line {self.line}"


class TargetRefusal(NamedTuple):
    """What the target refuses here and now: place, code, message, the target, and whether a newer Python accepts the file.

    `accepted_by` names that Python; empty where none was found that does, None where none could be asked. `told_by` is
    whose Python the target is, where that is not what the repository declares.
    """

    place: SourceLocation
    code: str
    message: str
    target: str
    accepted_by: str | None
    reported_by: str = ""


class LocatedFailure(NamedTuple):
    """A failure of the log with its place in the repository, None where it has none.

    `outside` is the path in the image then. `as_shown` tells whether the repository's line is the one that the log shows
    (None where it shows none), `older` the newest commit in which it is, and `then` what came of that commit's file.
    """

    failure: Failure
    place: SourceLocation | None
    outside: str = ""
    as_shown: bool | None = None
    older_commit: str = ""
    at_commit: TargetRefusal | None = None


class MissingFile(NamedTuple):
    """A module or file that the image lacks and the repository has: its path there, and the rule that drops it."""

    name: str
    path: str
    dropped_by: str


class CauseVerdict(NamedTuple):
    """What an image, a build or a revision shows of a cause: that it is at work (`proven`), or that it is not.

    `explains` is set where that by itself ended a build, or kept a revision from starting.
    """

    cause: str
    proven: bool
    words: str
    place: SourceLocation | None = None
    remedy: str = ""
    explains: bool = False


class IncidentEvidence(NamedTuple):
    """All that is known: from the log (failures, known messages, versions in its paths), and from what was deployed.

    `quote` is the last line of the log that looks like an error, `alive` what proves that something runs or was built;
    each is empty if there is none. `target` and `found_in` are the declared Python and who says so, `looked` how many
    sources were judged by whom, empty where none were. `misread` are sources whose bytes are not what they should be,
    `unproven` what could not be judged. `accepted` are the files that `compiler` compiled in this run without an error.
    `shown` is what was reached beside the log and the repository, `blind` why something of that could not be, by cause;
    `compared` says how the text of the files was held against the commit's and was the same, and `ran` which interpreters
    are known to have run, each with who says so; `ended` is how a build failed, `calm` what went well, in words.
    """

    failures: tuple[LocatedFailure, ...]
    known_messages: tuple[KnownMessageMatch, ...]
    pythons: tuple[str, ...]
    has_log: bool
    quote: str
    target: str
    found_in: str
    examined: str
    proof: str
    refused: tuple[TargetRefusal, ...]
    newer: tuple[str, ...]
    misread: tuple[TargetRefusal, ...]
    missing: tuple[MissingFile, ...]
    unproven: tuple[str, ...]
    verdicts: tuple[CauseVerdict, ...] = ()
    unexamined: tuple[tuple[str, str], ...] = ()
    compared: str = ""
    interpreters: tuple[tuple[str, str], ...] = ()
    build_failure: str = ""
    alive: str = ""
    calm: tuple[str, ...] = ()
    accepted: frozenset[str] = frozenset()
    compiler: str = ""


class Event(NamedTuple):
    """Something in the log that failed: where in it, its cause if that is known, and what to say of it."""

    line: int
    cause: str
    words: str
    sentence: str
    places: tuple[SourceLocation, ...] = ()
    remedy: str = ""
    chained: bool = False


def events_of(evidence: IncidentEvidence) -> list[Event]:
    """Everything that failed, in the order of the log; a known message on a failure's line speaks for the failure."""
    known = {
        message_match.line: message_match for message_match in evidence.known_messages if message_match.message.cause
    }
    events = []
    for placed in evidence.failures:
        failure = placed.failure
        if failure.type.rpartition(".")[2] in CONSEQUENCES:
            continue
        message = known.pop(failure.line, None)
        events.append(_of_failure(placed, message, evidence))
    events += [
        Event(
            message_match.line,
            message_match.message.cause,
            message_match.text,
            message_match.says,
            remedy=message_match.remedy,
        )
        for message_match in known.values()
    ]
    return sorted(events, key=lambda event: event.line)


def _of_failure(placed: LocatedFailure, message: KnownMessageMatch | None, evidence: IncidentEvidence) -> Event:
    failure = placed.failure
    where = placed.place if placed.place is not None else placed.outside
    words = f"{failure.words} in {where}" if where else failure.words
    places = (placed.place,) if placed.place is not None else ()
    if message is not None and message.message.cause != "not-importable":
        return Event(failure.line, message.message.cause, words, message.says, places, message.remedy, failure.chained)
    if message is not None:
        return _missing_module_event(failure, message, words, places, evidence.missing)
    if failure.is_syntax:
        cause, sentence = _of_syntax(placed, evidence)
        return Event(failure.line, cause, words, sentence, places, "", failure.chained)
    variable = _variable(failure)
    if variable:
        sentence = f"the environment variable {variable} is not set"
        return Event(
            failure.line, "missing-variable", words, sentence, places, f"set {variable} on the service", failure.chained
        )
    return Event(failure.line, "", words, f"{words}: an error of the program itself", places, "", failure.chained)


def _missing_module_event(
    failure: Failure,
    message: KnownMessageMatch,
    words: str,
    places: tuple[SourceLocation, ...],
    missing: Iterable[MissingFile],
) -> Event:
    """A module that is not there: of somebody else's, or of this repository and then left behind or looked for elsewhere."""
    name = message.groups.get("name", "")
    ours = next((file for file in missing if file.name == name), None)
    if ours is None:
        return Event(failure.line, "not-importable", words, message.says, places, message.remedy, failure.chained)
    places = (*places, SourceLocation(ours.path, None))
    if ours.dropped_by:
        sentence = f"{ours.path} is in the repository and was not sent: {ours.dropped_by} drops it"
        return Event(
            failure.line, "wrong-files-sent", words, sentence, places, f"change {ours.dropped_by}", failure.chained
        )
    sentence = f"the image does not find the module {name}, which the repository has as {ours.path}"
    remedy = "compare WORKDIR, COPY and PYTHONPATH in the Dockerfile with where that file lies"
    return Event(failure.line, "not-importable", words, sentence, places, remedy, failure.chained)


def _variable(failure: Failure) -> str:
    """The variable that `os.environ[…]` did not find."""
    asked = any(
        frame.path.replace("\\", "/").endswith(_OS) and frame.function == "__getitem__" for frame in failure.frames
    )
    shown = any("environ[" in frame.source for frame in failure.frames[-2:])
    return failure.message.strip("'\"") if failure.type == "KeyError" and (asked or shown) else ""


def _of_syntax(placed: LocatedFailure, evidence: IncidentEvidence) -> tuple[str, str]:
    """Which cause a refused source speaks for, and the sentence for it."""
    path = placed.place.path if placed.place is not None else None
    misread = next((refusal for refusal in evidence.misread if refusal.place.path == path), None)
    if misread is not None:
        return "encoding", f"{misread.place}: {misread.message}"
    refused = placed.at_commit or next((refusal for refusal in evidence.refused if refusal.place.path == path), None)
    if refused is not None:
        return _of_refused(placed, refused)
    if placed.place is None:
        return "", f"{placed.outside or 'a source'} was refused when it ran, and is no file of this repository"
    if placed.as_shown is False:
        return "", f"{placed.place}: what ran there is in no commit of this repository{_by_compiler(path, evidence)}"
    if path in evidence.accepted:
        return "", f"{placed.place}: {evidence.compiler} compiles this repository's file, so another file or Python ran"
    return "", f"{placed.place}: refused when it ran; no Python compiled this repository's file here to compare"


def _by_compiler(path: str | None, evidence: IncidentEvidence) -> str:
    """That this repository's file compiles; only if a Python was asked."""
    return f", whose file {evidence.compiler} compiles" if path in evidence.accepted else ""


def _of_refused(placed: LocatedFailure, refused: TargetRefusal) -> tuple[str, str]:
    where = placed.place
    if refused.accepted_by:
        since = (
            f" (it was so in commit {placed.older_commit}, and is not any more)" if placed.at_commit is not None else ""
        )
        return OLDER, f"Python {refused.target} refuses what Python {refused.accepted_by} accepts: {where}{since}"
    if refused.accepted_by == "":
        return "", f"{where}: no Python accepts this: {refused.message}"
    return "", f"{where}: Python {refused.target} refuses this, and no newer one was here to ask: {refused.message}"
