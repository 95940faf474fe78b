"""Reading a pasted log: what Python said in it, whatever stands around its lines. Pure.

Timestamps, the names of steps and containers, colours, JSON lines and JSON dumps are taken off first. A log may begin
and end anywhere, and newest first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, BinaryIO

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnose import health
from buildguard.diagnose.line_context import NO_CONTEXT, LineContext, level_of, level_of_fields, origin_of
from buildguard.diagnose.structured_exceptions import exception_texts

MOST_BYTES = 32 << 20  # the last ones count
_PIECE = 1 << 20
_LONGEST_LINE = 10_000
_OVERLAP = 100  # a word at the end of what is read may go on behind it
_STAMP = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
_WHEN = lazy_pattern(rf"\[?(?P<when>{_STAMP})")
_ANSI = lazy_pattern(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)")
# What tools put before a line of another program; at most one blank behind each, for indents tell something.
_BEFORE = lazy_pattern(
    r"Step #\d+(?: - \"[^\"]*\")?: ?"
    r"|(?:starting|finished) Step #\d+.*"
    rf"|\[?{_STAMP}\]?:?[ \t]?"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:\S+ )?\S+\[\d+\]: ?"
    r"|\d\d:\d\d:\d\d(?:[.,]\d+)?[ \t]"
    r"|(?:DEFAULT|DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL|ALERT|EMERGENCY)[ \t]+(?=\[?\d{4}-|[\w.]+Error\b|Traceback)"
    r"|(?:stdout|stderr) [FP] "
    r"|\[pod/[^\]]*\] "
    r"|[\w.-]{1,60} +\| ?"
    r"|(?:app|heroku|remote|web|worker)\[[\w.-]+\]: ?"
    r"|[a-z][a-z0-9-]{0,62}\[[a-z0-9][\w-]*\] {2}"  # App Engine
    r"|\d{1,4}\.\d{2,3} (?=\s|\S)"
    r"|\[(?:builder|stage-\d+|exporter|analyzer|detector)\] "
    r"|\[(?:err|out)\][ \t]"
    r"|\[resource\.labels[^\]]*\] ?"
    r"|> (?=Traceback| {2}File | {4}|[\w.]*(?:Error|Exception)\b)"
    r"|[\u2502\u2503] (?=.*[\u2502\u2503]\s*$)"
    r"|E {1,3}(?=\S|  )"
    r"|#\d+ \d+\.\d+ ?"
)
_FIELDS = (
    "textPayload",
    "message",
    "msg",
    "log",
    "event",
    "text",
    "exception",
    "exc_info",
    "stack_trace",
    "stacktrace",
    "traceback",
    "error",
)
_TEXTS = frozenset(_FIELDS[:6])  # their words are read as lines; that one of the others is there at all says something
_IDENTIFIERS = frozenset({"insertId", "trace", "traceId", "spanId", "logName", "instanceId"})
_LEVELS = ("ERROR", "CRITICAL", "ALERT", "EMERGENCY")
_REQUEST = (("remoteIp", "-"), ("requestMethod", "GET"), ("requestUrl", "/"), ("protocol", "HTTP/1.1"), ("status", "-"))
_REDIRECTED = "3"  # Cloud Run's front end answers so by itself
_PAYLOAD = lazy_pattern(r"(?:- )?textPayload: (?P<text>.*)$")
_FRAME = lazy_pattern(
    r"\s*(?:[|+] )?\s*(?:File [\"\u201c\u201d]|(?=\.\.\.|\u2026))(?P<path>[^\"\u201c\u201d]+)[\"\u201c\u201d], line (?P<line>\d+)"
    r"(?P<called>, in ?(?P<function>.*))?"
)
_SHORT_FRAME = lazy_pattern(r"(?P<path>[\w./<>@+-]+\.py):(?P<line>\d+):? in (?P<function>.+)$")  # pytest, rich
_TRAILING_FRAME = lazy_pattern(r"\s*at (?P<function>\S+) \( ?(?P<path>[^()]+\.py):(?P<line>\d+) ?\)")  # Error Reporting
_MOST_TRAILING = 60
_PYTHON_2 = lazy_pattern(r"[/\\]python2(?:\.\d)?[/\\]")
_VERSION = lazy_pattern(r"[/\\]python(3\.\d{1,2})[/\\]")
_CARET = lazy_pattern(r"\s*[~^][~^ ]*$")
_SUFFIXES = r"(?:Error|Exception|Warning|Exit|Interrupt|Failure|Group|Timeout|NotFound|Denied|Forbidden|Unavailable|Unauthenticated|Exhausted|DoesNotExist|Improperly\w+|HaltServer)"
_NAMED = lazy_pattern(
    rf"\s{{0,6}}(?:Sorry: )?(?P<type>(?:[A-Za-z_]\w*\.)*[A-Z]\w*{_SUFFIXES}|(?:[A-Za-z_]\w*\.)+{_SUFFIXES}|ImproperlyConfigured)(?:: ?(?P<message>.*))?$"
)
# What another process logged meanwhile begins with its level, and a frame that is cut with `File`: neither is an exception.
_ANY = lazy_pattern(
    r"\s{0,6}(?!(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|CRITICAL|ALERT|EMERGENCY|FATAL|DEFAULT)\b|Fi?l?e?$)(?P<type>(?:[A-Za-z_]\w*\.)*[A-Z]\w*|(?:[a-z_]\w*\.)+[a-z_]\w*)(?:: (?P<message>.*))?$"
)
_MARGIN = lazy_pattern(r" *[|+] (?=  (?:\S| ))| {2,}\| (?=\w)| *\+ (?=Exception Group)")  # of an exception group
_EDGES = "\u2502\u2503"
_RIGHT_EDGE = lazy_pattern(r"\s*[\u2502\u2503]\s*$")
_AT = lazy_pattern(r"^(?P<message>.*) \((?P<path>[^()]*?), line (?P<line>\d+)\)$")
_CHAINED = ("During handling of the above exception", "The above exception was the direct cause")
SYNTAX = frozenset({"SyntaxError", "IndentationError", "TabError"})


_STRAIGHT = str.maketrans("\u201c\u201d\u201e\u2018\u2019", '"""\'\'')


def straighten(text: str) -> str:
    """A text with plain quotes where a word processor made typographic ones."""
    return text.translate(_STRAIGHT)


class Frame(NamedTuple):
    """A place that a traceback names, with the source line that it shows (empty where it shows none)."""

    path: str
    line: int
    function: str
    source: str


class Failure(NamedTuple):
    """An exception as a log shows it: frames (the last is where it happened), type, message, and the line of the log.

    `cut` where the log ends before the name of the exception. `chained` where it came of the failure before it.
    """

    type: str
    message: str
    frames: tuple[Frame, ...]
    line: int
    chained: bool = False
    cut: bool = False

    @property
    def is_syntax(self) -> bool:
        """Whether a compiler refused a source."""
        return self.type in SYNTAX

    @property
    def words(self) -> str:
        """As Python prints its last line."""
        return f"{self.type}: {self.message}" if self.message else self.type


class Log(NamedTuple):
    """A log without what tools put around it: its lines, and the failures in it, the oldest first.

    `marked` are lines, by index, whose level, or a field beside their text, marks them as an error, each with those words.
    `cut` is set if the log was longer than what is read of one. `contexts` has what is known of each line beside its text.
    `suspicious` are the lines, by index, whose text looks like an error.
    """

    lines: tuple[str, ...]
    failures: tuple[Failure, ...]
    marked: tuple[tuple[int, str], ...] = ()
    cut: bool = False
    contexts: tuple[LineContext, ...] = ()
    suspicious: tuple[int, ...] = ()

    @property
    def pythons(self) -> list[str]:
        """The versions in its paths: /usr/local/lib/python3.11/…, each once, the first seen first."""
        places = (match["path"] for line in self.lines if (match := _FRAME.match(line)))
        return list(dict.fromkeys(version for path in places for version in _VERSION.findall(path)))

    @property
    def is_python_2(self) -> bool:
        """Whether its paths are of a Python 2."""
        return any(_PYTHON_2.search(match["path"]) for line in self.lines if (match := _FRAME.match(line)))

    @property
    def errors(self) -> list[tuple[int, str]]:
        """The lines that look like an error, with their numbers, ascending."""
        marked = dict(self.marked)
        numbers = sorted({*self.suspicious, *marked})
        return [(at + 1, self.lines[at].strip() or marked[at]) for at in numbers]


def read_tail(stream: BinaryIO) -> bytes:
    """The last bytes of a log, one more than are read of it where it is longer; in memory for those alone."""
    tail = bytearray()
    while piece := stream.read(_PIECE):
        tail += piece
        if len(tail) > 2 * MOST_BYTES:
            del tail[: -MOST_BYTES - 1]
    return bytes(tail[-MOST_BYTES - 1 :])


def read(data: bytes) -> Log:
    """Read a log; bytes that are no UTF-8 become escapes, and NULs (ASCII as UTF-16) are left out."""
    text = data[-MOST_BYTES:].decode("utf-8", "backslashreplace").replace("\0", "")
    lines: list[str] = []
    contexts: list[LineContext] = []
    marked: list[tuple[int, str]] = []
    for entry in _in_order(list(_entries(text))):
        lines += entry.lines or ("",)
        contexts += [entry.context] * (len(lines) - len(contexts))
        if entry.mark:
            marked.append((len(lines) - 1, entry.mark))
    return Log(
        tuple(lines),
        tuple(_failures(tuple(lines))),
        tuple(marked),
        cut=len(data) > MOST_BYTES,
        contexts=tuple(contexts),
        suspicious=tuple(health.error_numbers(lines)),
    )


# ------------------------------------------------------------------------------------------ taking things off


class _LogEntry(NamedTuple):
    """A line, or what a structured one holds; `mark` is what marks it as an error and is no line of it."""

    when: str
    lines: tuple[str, ...]
    mark: str = ""
    context: LineContext = NO_CONTEXT


def _entries(text: str) -> Iterator[_LogEntry]:
    whole = _parse_json(text.strip()) if text.lstrip()[:1] in {"[", "{"} else None
    if isinstance(whole, list | dict) and not isinstance(whole, str):
        for item in whole if isinstance(whole, list) else [whole]:
            yield _of_object(item)
        return
    for line in text.replace("\r\n", "\n").split("\n"):
        for part in line.split("\r"):
            yield _of_line(part)


def _of_line(line: str) -> _LogEntry:
    mark = _beyond(line) if len(line) > _LONGEST_LINE else ""
    line, before = _without_prefixes(_ANSI.sub("", line[:_LONGEST_LINE]).replace("\0", ""))
    mark = mark or before.mark
    if line.lstrip().startswith("{") and isinstance(value := _parse_json(line.strip()), dict):
        inner = _of_object(value)
        context = inner.context
        if before.context.is_of_step:
            context = context._replace(is_of_step=True)
        return inner._replace(when=inner.when or before.when, mark=inner.mark or mark, context=context)
    payload = _PAYLOAD.match(line)
    if payload is not None:
        line = _unquote(payload["text"])
    context = before.context
    if level := not context.level and level_of(line):
        context = context._replace(level=level)
    return _LogEntry(before.when, (line.rstrip(),), mark, context)


def _without_prefixes(line: str) -> tuple[str, _LogEntry]:
    """A line without what tools put before it, and what that says of it: an entry without lines."""
    when = _WHEN.match(line)
    stamp, mark, level, is_of_step = when["when"] if when else "", "", "", False
    while (before := _BEFORE.match(line)) and before.end():
        match = _WHEN.match(line)
        stamp = stamp or (match["when"] if match else "")
        mark = mark or _mark_before(before[0].strip())
        level = level or level_of(before[0])
        is_of_step = is_of_step or before[0].startswith("Step #")
        line = line[before.end() :]
        if before[0][0] in _EDGES:
            line = _RIGHT_EDGE.sub("", line)
    context = LineContext(level, "", is_of_step) if level or is_of_step else NO_CONTEXT
    return line, _LogEntry(stamp, (), mark, context)


def _mark_before(text: str) -> str:
    """What tools put before a line, where it marks the line as an error; the name of a step or a host does not."""
    is_step = text.startswith(("starting", "finished"))
    return text if text.startswith(_LEVELS) or (is_step and health.looks_like_error(text)) else ""


def _beyond(line: str) -> str:
    """What looks like an error behind the part of a line that is read."""
    rest = _ANSI.sub("", line[_LONGEST_LINE - _OVERLAP :])
    return f"a line of {len(line)} characters" if health.looks_like_error(rest) else ""


def _of_object(value: Any) -> _LogEntry:
    """The text of a structured entry: Cloud Logging's, Docker's, or what a program writes as JSON."""
    if not isinstance(value, dict):
        return _LogEntry("", (str(value),))
    inner = value.get("jsonPayload") or value.get("protoPayload")
    fields = {**value, **inner} if isinstance(inner, dict) else value
    when = next((str(fields[name]) for name in ("timestamp", "time", "receiveTimestamp") if name in fields), "")
    parts = [_of_line(part) for part in _text(fields).replace("\r\n", "\n").split("\n")]
    mark = next((part.mark for part in parts if part.mark), "") or _mark(value)
    lines = tuple(line for part in parts for line in part.lines)
    return _LogEntry(when, lines, mark, _context(fields, [part.context for part in parts]))


def _text(fields: dict[Any, Any]) -> str:
    """What a structured entry says, in lines."""
    texts = [str(fields[name]) for name in _FIELDS if isinstance(fields.get(name), str)]
    return "\n".join([*texts, *exception_texts(fields), *_of_platform(fields), *_of_request(fields)])


def _context(fields: dict[Any, Any], parts: Iterable[LineContext]) -> LineContext:
    """What is known of a structured entry, and else of the lines of its text."""
    contexts = list(parts)
    level = level_of_fields(fields) or next((context.level for context in contexts if context.level), "")
    return LineContext(level, origin_of(fields), any(context.is_of_step for context in contexts))


def _of_platform(fields: dict[Any, Any]) -> Iterator[str]:
    """How a change of a service or a job ended, as an audit entry says it."""
    status = fields.get("status")
    if isinstance(status, dict) and isinstance(status.get("message"), str):
        yield status["message"]


def _of_request(fields: dict[Any, Any]) -> Iterator[str]:
    """A request that Cloud Run passed on, as a line of an access log; other front ends answer from their cache."""
    request = fields.get("httpRequest")
    if isinstance(request, dict) and "run.googleapis.com%2Frequests" in str(fields.get("logName")):
        words = [str(request.get(name) or other) for name, other in _REQUEST]
        if words[4][:1] != _REDIRECTED:
            yield f'{words[0]} - "{words[1]} {words[2]} {words[3]}" {words[4]}'


def _mark(value: dict[Any, Any]) -> str:
    """A field of a structured entry that looks like an error: its level, its status, or one that is not read as text."""
    inside: list[tuple[str, Any]] = list(value.items())
    while inside:
        key, one = inside.pop()
        if isinstance(one, dict):
            inside += one.items()
        elif isinstance(one, list):
            inside += [(key, each) for each in one]
        elif one and key not in _TEXTS and key not in _IDENTIFIERS and health.looks_like_error(f"{key}: {one}"):
            return f"{key}: {one}"
    return ""


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _unquote(text: str) -> str:
    """A scalar as YAML quotes it on one line."""
    if text in {"|", "|-", "|+", ">", ">-"}:
        return ""
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        parsed = _parse_json(text)
        return parsed if isinstance(parsed, str) else text[1:-1]
    return text


def _in_order(entries: list[_LogEntry]) -> Iterable[_LogEntry]:
    """The oldest first: `gcloud logging read` prints the newest first."""
    stamps = [entry.when.replace(" ", "T") for entry in entries if entry.when]
    falls = sum(a > b for a, b in pairwise(stamps))
    rises = sum(a < b for a, b in pairwise(stamps))
    return reversed(entries) if falls > rises else entries


# ------------------------------------------------------------------------------------------ what Python said


def _failures(lines: tuple[str, ...]) -> Iterator[Failure]:
    reader = _FailureReader(tuple(_MARGIN.sub("", line, count=1) if _MARGIN.match(line) else line for line in lines))
    for at in range(len(lines)):
        yield from reader.read_line(at)
    yield from reader.cut(len(lines))


class _FailureReader:
    """The failures of a log, line by line: a traceback's frames, then the exception that closes it."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        self._lines = lines
        self._frames: list[Frame] = []
        self._is_chained = False
        self._is_open = False  # below "Traceback", before its exception

    def read_line(self, at: int) -> Iterator[Failure]:
        line = self._lines[at]
        if "Traceback (most recent call last)" in line:
            yield from self.cut(at)
            self._frames, self._is_open = [], True
        elif match := _FRAME.match(line):
            yield from self.cut(at)
            self._add(match, (match["function"] or "<unknown>") if match["called"] else "", at)
        elif match := _SHORT_FRAME.match(line):
            self._add(match, match["function"], at)
        elif line.lstrip().startswith(_CHAINED):
            self._is_chained = True
        elif match := _NAMED.match(line) or self._unknown_exception(at):
            yield self._close(match, at)

    def cut(self, at: int) -> Iterator[Failure]:
        """The failure of a compiler whose message the log has lost: a place without a function, and no exception after it."""
        if self._frames and not self._frames[-1].function:
            yield Failure("SyntaxError", "", tuple(self._frames), at, self._is_chained, cut=True)
            self._frames = []

    def _add(self, match: re.Match[str], function: str, at: int) -> None:
        self._frames.append(Frame(match["path"], int(match["line"]), function, _source(self._lines, at)))

    def _unknown_exception(self, at: int) -> re.Match[str] | None:
        """Any name that closes an open traceback; not the source line below a frame."""
        is_expected = self._is_open and self._frames and not _FRAME.match(self._lines[at - 1])
        return _ANY.match(self._lines[at]) if is_expected else None

    def _close(self, match: re.Match[str], at: int) -> Failure:
        frames = self._frames or _trailing_frames(self._lines, at)
        message = straighten(match["message"] or "")
        failure = _failure(match["type"], message, frames, at, chained=self._is_chained)
        self._frames, self._is_chained, self._is_open = [], False, False
        return failure


def _trailing_frames(lines: tuple[str, ...], at: int) -> list[Frame]:
    """The frames below an exception, the innermost first there and last here."""
    frames: list[Frame] = []
    for line in lines[at + 1 : at + 1 + _MOST_TRAILING]:
        if match := _TRAILING_FRAME.match(line):
            frames.append(Frame(match["path"].strip(), int(match["line"]), match["function"], ""))
        elif line.strip():
            break
    return frames[::-1]


def _failure(kind: str, message: str, frames: list[Frame], at: int, *, chained: bool) -> Failure:
    """A failure; a compiler's that is told on one line has its place in brackets."""
    kind = kind.rpartition(".")[2] if kind.rpartition(".")[2] in SYNTAX else kind
    inside = _AT.match(message)
    if kind in SYNTAX and inside is not None and not (frames and not frames[-1].function):
        frames = [*frames, Frame(inside["path"], int(inside["line"]), "", "")]
        message = inside["message"]
    return Failure(kind, message.strip(), tuple(frames), at + 1, chained)


def _source(lines: tuple[str, ...], at: int) -> str:
    """The source line that follows a place; lines of others may come between."""
    for line in lines[at + 1 : at + 4]:
        if _FRAME.match(line) or _NAMED.match(line) or "Traceback (most" in line:
            return ""
        text = line.removeprefix("  | ")
        if text.startswith("  ") and text.strip() and not _CARET.match(text):
            return text.strip()
    return ""
