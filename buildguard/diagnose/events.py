"""What failed in a log, each event with its cause if that is known. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnose import missing_variables, newer_syntax, standard_library
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.incident import (
    IncidentEvidence,
    LocatedFailure,
    MessagePlace,
    MissingFile,
    SourceLocation,
    TargetRefusal,
)
from buildguard.diagnose.known_messages import CONSEQUENCES, KnownMessageMatch
from buildguard.diagnose.log_parser import Failure
from buildguard.imports import standard_names

_OS = ("/os.py", "<frozen os>")
_EXECUTABLE = lazy_pattern(r".*/bin/[\w.-]+$")
_UPPER = lazy_pattern(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$")
_SPLIT_OFF = frozenset({"distutils"})  # Debian has it in a package of its own
_NAME_INTERPRETER = "name the interpreter in CMD with its path: which -a python3 in the image"
_REMOVED_ELSE = 13  # the version that removed most
_IMPORTLIB = "importlib/__init__.py"
_LOADER = lazy_pattern(
    r"/(?:gunicorn/util|uvicorn/importer|hypercorn/utils|daphne/\w+|celery/utils/imports|functions_framework/\w+|flask/cli|waitress/\w+)\.py$"
)
_BUILD_REMEDY = "correct the build of that package, or pin a version that has a wheel for this Python"
_REACH_REMEDY = "check its address, that it runs, and the VPC connector: gcloud run services describe SERVICE"
_BINDS = frozenset({"bind", "server_bind", "bind_socket", "create_server", "bind_sockets"})
_REFUSED_PATH = lazy_pattern(r"\[Errno 13\] Permission denied: '([^']+)'")
# Clients of databases, caches and queues, by their folder, and the exceptions that come of no answer.
_CLIENT = lazy_pattern(
    r"/(?P<name>asyncpg|psycopg2?|psycopg_pool|pg8000|pymysql|aiomysql|MySQLdb|redis|aioredis|pymongo|motor|pika|aio_pika|aiormq|kafka"
    r"|aiokafka|elastic_transport|opensearchpy|cassandra|nats|kombu|amqp|aiohttp|httpx|httpcore|requests|urllib3|grpc)/"
)
_NO_ANSWER = frozenset(
    {"TimeoutError", "ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "gaierror", "timeout"}
)
_MOST_INSIDE = 8  # frames of the standard library that may be below a client's
_NAMED_AS_ERROR = lazy_pattern(r"(?:Error|Exception|Exit|Timeout|Failure|Warning|NotFound|Denied)$")
# What the message of an exception has that is whole: without it, another cause may be behind it.
_ENDINGS = {
    "NameError": "is not defined",
    "ModuleNotFoundError": "No module named",
}
_AROUND_A_BUILD = 60  # lines of a log between an installer's report and what its build printed
_TAKEN_FOR_SYNTAX = frozenset({"source-with-nul", "invisible-character", "syntax-of-python-2"})


class Event(NamedTuple):
    """Something in the log that failed: where in it, its cause if that is known, and what to say of it.

    One of a higher `rank` counts only if none of a lower one is known.
    """

    line: int
    cause: str
    words: str
    sentence: str
    places: tuple[SourceLocation, ...] = ()
    remedy: str = ""
    chained: bool = False
    rank: int = 0
    variables: tuple[str, ...] = ()


def events_of(evidence: IncidentEvidence) -> list[Event]:
    """Everything that failed, in the order of the log; a known message on a failure's line counts for the failure."""
    known = {match.line: match for match in evidence.known_messages if match.message.cause}
    refined = {place.line: place for place in evidence.message_places}
    events = [
        _of_failure(placed, known.pop(placed.failure.line, None), refined, evidence)
        for placed in evidence.failures
        if placed.failure.type.rpartition(".")[2] not in CONSEQUENCES
    ]
    events += [_of_message(match, refined.get(match.line), evidence) for match in known.values()]
    events = [_of_installing(_refined(event, refined), evidence) for event in events]
    return sorted(events, key=lambda event: event.line)


def _of_installing(event: Event, evidence: IncidentEvidence) -> Event:
    """What the build of a package printed is why it could not be installed, and no failure of the program."""
    if event.cause not in {CauseId.NOT_IMPORTABLE, CauseId.APPLICATION_ERROR} and event.cause:
        return event
    reports = [match.line for match in evidence.known_messages if match.message.id == "no-wheel-built"]
    if not any(abs(line - event.line) < _AROUND_A_BUILD for line in reports):
        return event
    sentence = f"a package could not be built: {event.words}"
    return event._replace(cause=CauseId.DEPENDENCY_INSTALL, sentence=sentence, remedy=_BUILD_REMEDY, places=(), rank=0)


def _refined(event: Event, refined: Mapping[int, MessagePlace]) -> Event:
    more = refined.get(event.line)
    return event if more is None else event._replace(places=tuple(dict.fromkeys((*event.places, *more.places))))


def _of_message(match: KnownMessageMatch, more: MessagePlace | None, evidence: IncidentEvidence) -> Event:
    event = Event(
        match.line,
        match.message.cause,
        match.text,
        match.says,
        remedy=match.remedy,
        rank=match.message.rank,
        variables=match.variables,
    )
    if more is not None and more.cause:
        return event._replace(cause=more.cause, sentence=more.sentence, remedy=more.remedy)
    changed = standard_library.explain(match.text, _minor_that_ran(evidence))
    if changed is not None:
        return event._replace(cause=changed[0], sentence=changed[1], remedy=changed[2], rank=0)
    return _not_removed_yet(event, match, evidence)


def _not_removed_yet(event: Event, match: KnownMessageMatch, evidence: IncidentEvidence) -> Event:
    """A module that this Python still has, or that was never its own, is missing from the image."""
    module = match.groups.get("name", "").partition(".")[0]
    if match.message.id == "removed-from-python" and (other := _by_another_python(module, evidence)):
        return event._replace(cause=CauseId.OTHER_INTERPRETER, sentence=other, remedy=_NAME_INTERPRETER)
    ran = _minor_that_ran(evidence._replace(target=""))  # a declared Python that still has it did not print this
    if match.message.id != "removed-from-python" or ran is None or ran >= _removed_in(module):
        return event
    package = {"distutils": "setuptools or python3-distutils"}.get(module, module)
    remedy = f"install {package} in the image"
    return event._replace(cause=CauseId.NOT_IMPORTABLE, sentence=f"the image has no module {module}", remedy=remedy)


def _by_another_python(module: str, evidence: IncidentEvidence) -> str:
    """That a newer Python than the declared one ran, which still has a module; empty if that is not known."""
    declared = _minor_that_ran(evidence)
    if evidence.pythons or declared is None or module in _SPLIT_OFF or declared >= _removed_in(module):
        return ""
    has = f"Python 3.{declared} ({evidence.found_in}) has the module {module}"
    return f"{has}, so another Python ran this: 3.{_removed_in(module)} or newer"


def _removed_in(module: str) -> int:
    """The minor version of Python 3 that no longer has a module."""
    versions = standard_names.versions_of(module)
    return versions[1] + 1 if versions is not None and versions[1] else _REMOVED_ELSE


def _of_failure(
    placed: LocatedFailure,
    match: KnownMessageMatch | None,
    refined: Mapping[int, MessagePlace],
    evidence: IncidentEvidence,
) -> Event:
    failure = placed.failure
    where = placed.place if placed.place is not None else placed.outside
    words = f"{failure.words} in {where}" if where else failure.words
    places = (placed.place,) if placed.place is not None else ()
    event = Event(failure.line, "", words, "", places, chained=failure.chained)
    if failure.is_syntax and (match is None or match.message.id in _TAKEN_FOR_SYNTAX):
        cause, sentence, remedy = _of_syntax(placed, evidence)
        if cause or match is None:
            return event._replace(cause=cause, sentence=sentence, remedy=remedy)
    changed = standard_library.explain(failure.words, _minor_that_ran(evidence))
    if changed is not None:
        return event._replace(cause=changed[0], sentence=changed[1], remedy=changed[2])
    more = refined.get(failure.line)
    if more is not None and more.cause == CauseId.WRONG_FILES_SENT and more.places:
        return event._replace(cause=more.cause, sentence=more.sentence, remedy=more.remedy, places=more.places)
    return _of_program(event, placed) if match is None else _of_known_failure(event, placed, (match, more), evidence)


def _of_known_failure(
    event: Event,
    placed: LocatedFailure,
    known: tuple[KnownMessageMatch, MessagePlace | None],
    evidence: IncidentEvidence,
) -> Event:
    """An exception that a known message explains, with what is known of its place."""
    match, more = known
    if match.message.cause == CauseId.NOT_IMPORTABLE:
        event = _missing_module_event(event, match, evidence.missing)
        return _of_a_command(event, placed.failure) if placed.place is None else event
    of_message = _of_message(match, more, evidence)
    return of_message._replace(words=event.words, places=event.places, chained=event.chained)


def _of_program(event: Event, placed: LocatedFailure) -> Event:
    """An exception that no message explains: a variable that is not set, or an error of the program itself."""
    name = _variable(placed.failure)
    if name:
        sentence, remedy = missing_variables.sentence([name]), missing_variables.set_command([name])
        return event._replace(cause=CauseId.MISSING_VARIABLE, sentence=sentence, remedy=remedy, variables=(name,))
    if placed.failure.type == "PermissionError":
        refused = _of_permission(event, placed)
        if refused is not None:
            return refused
    client = _unanswered_client(placed.failure)
    if client:
        sentence = f"{event.words}: another service, which {client} connects to, does not answer"
        return event._replace(cause=CauseId.DEPENDENCY_SERVICE, sentence=sentence, remedy=_REACH_REMEDY, rank=1)
    sentence = f"{event.words}: an error of the program itself"
    if placed.place is None or _is_cut(placed.failure):
        return event._replace(sentence=sentence)
    remedy = f"correct {placed.place}; the frames above it in the log show how it was called"
    return event._replace(cause=CauseId.APPLICATION_ERROR, sentence=sentence, remedy=remedy, rank=1)


def _unanswered_client(failure: Failure) -> str:
    """The client library in which a connection or its time came to an end; empty for another failure."""
    if failure.type.rpartition(".")[2] not in _NO_ANSWER:
        return ""
    matches = (_CLIENT.search(frame.path.replace("\\", "/")) for frame in reversed(failure.frames[-_MOST_INSIDE:]))
    return next((match["name"] for match in matches if match), "")


def _of_permission(event: Event, placed: LocatedFailure) -> Event | None:
    """What the user that runs the program may not do, where no line of the repository does it."""
    if _BINDS & {frame.function for frame in placed.failure.frames[-3:]}:
        sentence = f"{event.words}: the user that runs the server may not listen on that port"
        return event._replace(cause=CauseId.PORT, sentence=sentence, remedy="listen on the port in $PORT, above 1023")
    path = _REFUSED_PATH.search(placed.failure.message)
    if path is None or placed.place is not None:
        return None
    sentence = f"{event.words}: the user that runs the program may not use {path[1]}"
    remedy = f"RUN chown -R USER {path[1]} before USER in the Dockerfile, or write below /tmp"
    return event._replace(cause=CauseId.PERMISSION, sentence=sentence, remedy=remedy)


def _is_cut(failure: Failure) -> bool:
    """Whether a log shows only the beginning of an exception whose end says what it is."""
    if "." in failure.type and not failure.message and not _NAMED_AS_ERROR.search(failure.type):
        return True
    ending = _ENDINGS.get(failure.type)
    return ending is not None and bool(failure.message) and ending not in failure.message


def _missing_module_event(event: Event, match: KnownMessageMatch, missing: Iterable[MissingFile]) -> Event:
    """A module that is missing: of another project, or of this repository and then not sent or looked for elsewhere."""
    name = match.groups.get("name", "")
    ours = next((file for file in missing if file.name == name and _may_import(event, file)), None)
    event = event._replace(cause=CauseId.NOT_IMPORTABLE, sentence=match.says, remedy=match.remedy)
    if ours is None:
        return event
    event = event._replace(places=(*event.places, SourceLocation(ours.path, None)))
    if ours.dropped_by:
        sentence = f"{ours.path} is in the repository and was not sent: {ours.dropped_by} drops it"
        return event._replace(cause=CauseId.WRONG_FILES_SENT, sentence=sentence, remedy=f"change {ours.dropped_by}")
    return event._replace(
        sentence=f"the image does not find the module {name}, which the repository has as {ours.path}",
        remedy="compare WORKDIR, COPY and PYTHONPATH in the Dockerfile with where that file is",
    )


def _may_import(event: Event, missing: MissingFile) -> bool:
    """Whether the file that failed can have meant that module; any may where it is not known which one failed."""
    folders = {posixpath.dirname(place.path) for place in event.places}
    return not (missing.package and folders) or missing.package in folders


def _of_a_command(event: Event, failure: Failure) -> Event:
    """A module that a server was told to import, and no module that the program imports."""
    paths = [frame.path.replace("\\", "/") for frame in failure.frames if not frame.path.startswith("<")]
    loads = len(paths) > 1 and paths[-1].endswith(_IMPORTLIB) and _LOADER.search(paths[-2]) is not None
    if event.cause != CauseId.NOT_IMPORTABLE or not loads:
        return event
    remedy = "correct the module in CMD, such as gunicorn main:app, and WORKDIR"
    sentence = f"the server cannot find the module that its command names: {event.sentence}"
    return event._replace(cause=CauseId.START_COMMAND, sentence=sentence, remedy=remedy)


def _variable(failure: Failure) -> str:
    """The variable that `os.environ[…]` did not find."""
    name = failure.message.strip("'\"")
    if failure.type != "KeyError" or not name:
        return ""
    asked = any(
        frame.path.replace("\\", "/").endswith(_OS) and frame.function == "__getitem__" for frame in failure.frames
    )
    shown = any("environ" in frame.source for frame in failure.frames[-2:])
    alone = _UPPER.match(name) is not None and not any(frame.source for frame in failure.frames)
    return name if asked or shown or alone else ""


def _minor_that_ran(evidence: IncidentEvidence) -> int | None:
    """The minor version of the Python 3 that ran: by the paths in the log, else as declared."""
    versions = evidence.pythons or tuple(version for version in evidence.target.split(", ") if version)
    minors = {version.split(".")[1] for version in versions if version.startswith("3.")}
    return int(minors.pop()) if len(minors) == 1 else None


# ------------------------------------------------------------------------------------------ a refused source


def _of_syntax(placed: LocatedFailure, evidence: IncidentEvidence) -> tuple[str, str, str]:
    """The cause of a refused source, the sentence for it, and a remedy."""
    failure = placed.failure
    path = placed.place.path if placed.place is not None else None
    source = failure.frames[-1].source if failure.frames else ""
    if newer_syntax.is_conflict_marker(source):
        sentence = f"{_where(placed)}: a conflict of a merge was committed"
        return CauseId.MERGE_CONFLICT, sentence, "git diff --check, and resolve it"
    if failure.frames and _EXECUTABLE.match(failure.frames[-1].path) and "null bytes" in failure.message:
        sentence = f"{failure.frames[-1].path} is a program, and Python was started with it as a source"
        return CauseId.START_COMMAND, sentence, "remove python from the command that starts it"
    misread = _refusal_of(path, evidence.misread)
    if misread is not None:
        cause = CauseId.MERGE_CONFLICT if misread.is_conflict else CauseId.ENCODING
        return cause, f"{misread.place}: {misread.message}", ""
    refused = placed.at_commit or _refusal_of(path, evidence.refused)
    if refused is not None and _explains_line(refused, source):
        return (*_of_refused(placed, refused), "")
    return _by_line(placed, source, evidence) or ("", _unexplained(placed, path, evidence), "")


def _where(placed: LocatedFailure) -> str:
    return str(placed.place or placed.outside or "a source")


def _refusal_of(path: str | None, refusals: Iterable[TargetRefusal]) -> TargetRefusal | None:
    return next((refusal for refusal in refusals if refusal.place.path == path), None)


def _explains_line(refused: TargetRefusal, source: str) -> bool:
    """Whether what a target refuses is the line in the log: not so where that line is for an older Python than any here."""
    is_ours = bool(refused.accepted_by) or not newer_syntax.is_older(source)
    return is_ours and not newer_syntax.is_old_handler(source)


def _by_line(placed: LocatedFailure, source: str, evidence: IncidentEvidence) -> tuple[str, str, str] | None:
    """What the line in the log shows, for a file that nothing here refuses."""
    where = _where(placed)
    if newer_syntax.is_older(source) and not evidence.is_python_2:
        remedy = "port it to Python 3 (2to3), or upgrade the package that it belongs to"
        return CauseId.CODE_OLDER, f"{where}: this line is for an older Python than the one that runs it", remedy
    needed, ran = newer_syntax.needed_minor(source), _minor_that_ran(evidence)
    # the deployed source has the file with another line: what ran was something else, and its line proves nothing of it
    if needed is None or (placed.place is not None and placed.as_shown is False and not placed.older_commit):
        return None
    remedy = f"build from python:3.{needed} or newer" if needed else "build from a Python 3 image"
    if evidence.is_python_2:
        return CauseId.TARGET_OLDER, f"{where}: this line needs Python 3, and Python 2 ran it", remedy
    if ran is not None and ran < needed:
        return CauseId.TARGET_OLDER, f"{where}: this line needs Python 3.{needed}, and Python 3.{ran} ran it", remedy
    return _by_other_interpreter(placed, evidence)


def _by_other_interpreter(placed: LocatedFailure, evidence: IncidentEvidence) -> tuple[str, str, str] | None:
    """The deployed source has the very line, and compiles as declared."""
    where = _where(placed)
    if placed.as_shown and placed.place is not None and placed.place.path in evidence.accepted:
        sentence = f"{where}: {evidence.compiler} compiles this file, so an older Python ran it than is declared"
        return CauseId.OTHER_INTERPRETER, sentence, _NAME_INTERPRETER
    return None


def _unexplained(placed: LocatedFailure, path: str | None, evidence: IncidentEvidence) -> str:
    if placed.place is None:
        return f"{placed.outside or 'a source'} was refused when it ran, and is no file of this repository"
    if placed.as_shown is False:
        return f"{placed.place}: what ran there is in no commit of this repository{_by_compiler(path, evidence)}"
    if path in evidence.accepted:
        return f"{placed.place}: {evidence.compiler} compiles this repository's file, so another file or Python ran"
    return f"{placed.place}: refused when it ran; no Python compiled this repository's file here to compare"


def _by_compiler(path: str | None, evidence: IncidentEvidence) -> str:
    """That this repository's file compiles; only if a Python was asked."""
    return f", whose file {evidence.compiler} compiles" if path in evidence.accepted else ""


def _of_refused(placed: LocatedFailure, refused: TargetRefusal) -> tuple[str, str]:
    where = placed.place
    if refused.accepted_by:
        since = (
            f" (it was so in commit {placed.older_commit}, and is not any more)" if placed.at_commit is not None else ""
        )
        return (
            CauseId.TARGET_OLDER,
            f"Python {refused.target} refuses what Python {refused.accepted_by} accepts: {where}{since}",
        )
    if refused.accepted_by == "":
        return "", f"{where}: no Python accepts this: {refused.message}"
    return "", f"{where}: Python {refused.target} refuses this, and no newer one was here to ask: {refused.message}"
