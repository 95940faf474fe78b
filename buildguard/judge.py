"""From sources to verdicts: read, hash, look up, and let the engine compile what no earlier run has judged."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from buildguard import process, text
from buildguard.cache import context_of
from buildguard.diagnostic import Finding, Range, Severity
from buildguard.engines import Source
from buildguard.errors import UnprovenError
from buildguard.stage import OnDisk, Unreadable, digest_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from buildguard.cache import Cache
    from buildguard.engines import Engine, Outcome, Ready, Rejected
    from buildguard.stage import Entry, Stage

# Raised whenever a verdict of the same bytes by the same interpreter could come out differently.
RULES = "1"
_MANY = 400
_DIGEST = 32
_STORE_EVERY = 2000
# What a later Python refuses, among all that compilers warn of: PEP 765, invalid escapes and literals.
_BECOMES_ERROR = re.compile(
    r"invalid (?:octal )?escape sequence|invalid (?:decimal|hexadecimal|octal|binary|imaginary) literal"
    r"|'(?:return|break|continue)' in a 'finally' block"
)


class Judged(NamedTuple):
    """The verdict on one file: its findings, or why there is none."""

    entry: Entry
    findings: tuple[Finding, ...] = ()
    unproven: str = ""
    cached: bool = False
    gone: bool = False


def digests_of(stage: Stage, entries: Sequence[Entry]) -> list[bytes]:
    """The SHA-256 of each entry as it is read just now, on two cores; empty where a plain read does not do."""
    if not isinstance(stage, OnDisk):
        found = (content for _entry, content in stage.contents(entries))
        return [hashlib.sha256(data).digest() if isinstance(data, bytes) else b"" for data in found]
    base = os.fsencode(stage.root) + b"/"
    paths = [base + entry.path if stage.reachable(entry) else None for entry in entries]
    if len(paths) < _MANY:
        packed = _hashed(paths)
    else:
        half = len(paths) // 2
        theirs, mine = process.side_by_side(lambda: _hashed(paths[:half]), lambda: _hashed(paths[half:]))
        packed = theirs.ljust(half * _DIGEST, b"\0")[: half * _DIGEST] + mine
    nothing = bytes(_DIGEST)
    digests = (packed[at : at + _DIGEST] for at in range(0, len(packed), _DIGEST))
    return [b"" if digest == nothing else digest for digest in digests]


class Judge:
    """Judges the entries of a stage with one engine."""

    def __init__(self, stage: Stage, engine: Engine, ready: Ready, minor: int, cache: Cache) -> None:
        self._lost = "the engine gave no answer"
        self._stage = stage
        self._engine = engine
        self._minor = minor
        self._cache = cache
        self._context = context_of(RULES, ready.engine, ready.identity)
        self._new: dict[bytes, bytes] = {}

    def run(self, entries: Sequence[Entry], digests: Sequence[bytes], progress: Callable[[int], None]) -> list[Judged]:
        """A verdict for every entry, in their order.

        `digests` are those of the bytes that each entry was read with in this run, empty where it was not read.
        """
        known = self._cache.known(self._context, digests)
        verdicts: dict[bytes, Judged] = {}
        for entry, digest in zip(entries, digests, strict=True):
            verdict = known.get(digest)
            if verdict is not None:
                verdicts[entry.path] = Judged(entry, _unpacked(verdict), cached=True)
        progress(len(verdicts))
        rest = [entry for entry in entries if entry.path not in verdicts]
        for judged in self._fresh(rest):
            verdicts[judged.entry.path] = judged
            progress(1)
        self._cache.store(self._context, self._new)
        return [verdicts[entry.path] for entry in entries]

    def _fresh(self, entries: Sequence[Entry]) -> Iterator[Judged]:
        """Compile what the cache did not know; equal bytes are compiled once."""
        questions = _Questions(self._minor)
        held: dict[bytes, tuple[str, tuple[Finding, ...]]] = {}
        for outcome in self._outcomes(questions.sources(self._stage.contents(entries))):
            asked = questions.take(outcome)
            if asked is None:
                continue
            unproven, findings = held[asked.digest] = self._verdict(asked)
            for entry in questions.waiting(asked.digest):
                yield Judged(entry, findings, unproven)
        for digest, waiting in questions.left():
            unproven, findings = held.get(digest, (self._lost, ()))
            for entry in waiting:
                yield Judged(entry, findings, unproven)
        yield from questions.unreadable

    def _outcomes(self, sources: Iterator[Source]) -> Iterator[Outcome]:
        """The engine's outcomes; when it is lost on the way, what it had not answered stays unproven."""
        try:
            yield from self._engine.compile(sources)
        except UnprovenError as error:
            self._lost = error.what
        for _source in sources:  # so that each is read, and told as unproven
            pass

    def _verdict(self, question: _Asked) -> tuple[str, tuple[Finding, ...]]:
        outcome = question.outcome
        assert outcome is not None
        findings = tuple(_findings(question.data, outcome, question.as_script, self._minor))
        if not outcome.unproven and (outcome.rejected is None or outcome.rejected.kind != "crash"):
            self._new[question.digest] = _packed(findings)
            if len(self._new) >= _STORE_EVERY:
                self._cache.store(self._context, self._new)
                self._new = {}
        return outcome.unproven, findings


_LAST_TO_CUT_AT_NUL = 11  # up to 3.11.3; those raise ValueError, where later ones raise SyntaxError


class _Asked:
    """A source that an engine is busy with, and what it said so far."""

    __slots__ = ("as_script", "data", "digest", "outcome", "twice")

    def __init__(self, data: bytes, digest: bytes, *, twice: bool) -> None:
        self.data = data
        self.digest = digest
        self.twice = twice
        self.outcome: Outcome | None = None
        self.as_script: Outcome | None = None


class _Questions:
    """The sources of one pass: read, numbered, asked once for equal bytes, and matched with their answers.

    A source has an even number; the odd one after it is what a script start makes of its NUL bytes.
    """

    def __init__(self, minor: int) -> None:
        self._minor = minor
        self._asked: dict[int, _Asked] = {}
        self._waiting: dict[bytes, list[Entry]] = {}
        self.unreadable: list[Judged] = []

    def sources(self, contents: Iterable[tuple[Entry, bytes | Unreadable]]) -> Iterator[Source]:
        for entry, content in contents:
            if isinstance(content, Unreadable):
                self.unreadable.append(Judged(entry, unproven=content.reason, gone=content.gone))
                continue
            digest = hashlib.sha256(content).digest()
            if digest in self._waiting:
                self._waiting[digest].append(entry)
                continue
            self._waiting[digest] = [entry]
            number = 2 * len(self._waiting)
            twice = self._minor <= _LAST_TO_CUT_AT_NUL and b"\0" in content
            self._asked[number] = _Asked(content, digest, twice=twice)
            yield Source(number, content, digest)
            if twice:
                script = text.as_old_scripts_read_it(content)
                yield Source(number + 1, script, hashlib.sha256(script).digest())

    def take(self, outcome: Outcome) -> _Asked | None:
        """Note an outcome; return its question once everything about it is answered."""
        number = outcome.number - outcome.number % 2
        asked = self._asked[number]
        if outcome.number % 2:
            asked.as_script = outcome
        else:
            asked.outcome = outcome
        if asked.outcome is None or (asked.twice and asked.as_script is None):
            return None
        return self._asked.pop(number)

    def waiting(self, digest: bytes) -> list[Entry]:
        """The entries with those bytes so far; later ones count as left."""
        found, self._waiting[digest] = self._waiting[digest], []
        return found

    def left(self) -> list[tuple[bytes, list[Entry]]]:
        """The entries that nobody answered for, or that came after the answer to their bytes."""
        return [(digest, entries) for digest, entries in self._waiting.items() if entries]


def _hashed(paths: Sequence[bytes | None]) -> bytes:
    """The digests of some files, one after the other; zeros where a file could not be read."""
    nothing = bytes(_DIGEST)
    return b"".join([nothing if path is None else digest_file(path) or nothing for path in paths])


# ------------------------------------------------------------------------------------------ findings


def _findings(data: bytes, outcome: Outcome, as_script: Outcome | None, minor: int) -> Iterator[Finding]:
    if outcome.rejected is not None:
        yield rejection(data, outcome.rejected, minor)
    yield from text.findings(data)
    if outcome.rejected is None and not outcome.unproven:
        refused = text.refused_as_script(data) if not data.isascii() else None
        if refused is not None:
            yield refused
    elif _is_cut_at_nul(outcome) and as_script is not None and as_script.rejected is None and not as_script.unproven:
        yield text.runs_as_script(data)
    for warned in outcome.warned:
        if _BECOMES_ERROR.match(warned.message):
            message = f"{warned.category}: {warned.message}: a later Python refuses this"
            where = Range(warned.line)
            yield Finding("BG105", where, message, "", text.excerpt_of(data, warned.line), Severity.WARNING)


def _is_cut_at_nul(outcome: Outcome) -> bool:
    return outcome.rejected is not None and outcome.rejected.kind == "ValueError"


def rejection(data: bytes, rejected: Rejected, minor: int) -> Finding:
    """BG101 or BG103: what the compiler raised, in its own words, on its own line."""
    where = _code_points(data, rejected.range, in_parser=rejected.in_parser)
    if rejected.crashed:
        died = rejected.kind == "crash"
        message = rejected.message if died else f"{rejected.kind}: {rejected.message}".rstrip(": ")
        hint = "an import of this file fails the same way: split the expression or the literal"
        return Finding(
            "BG103", where, f"the compiler gives up on this file: {message}", hint, text.excerpt_of(data, where.line)
        )
    message = f"{rejected.kind}: {rejected.message}".rstrip(": ")
    return Finding("BG101", where, message, _hint(rejected, minor), text.excerpt_of(data, where.line))


_PEP_701 = 12


def _hint(rejected: Rejected, minor: int) -> str:
    if rejected.message.startswith("f-string") and minor < _PEP_701:
        return (
            "before 3.12 the braces of an f-string hold no quotes of its own kind, no backslash, no comment and no"
            " line break (PEP 701): put the expression into a name before the f-string"
        )
    return ""


def _code_points(data: bytes, where: Range, *, in_parser: bool) -> Range:
    """Columns in code points: the parser counts them so, later passes count bytes of UTF-8."""
    column, end = where.column, where.end_column
    line = text.excerpt_of(data, where.line)
    if not in_parser and not line.isascii():
        column, end = _from_bytes(line, column), _from_bytes(line, end) if where.end_line == where.line else end
    if where.end_line is None or end is None or column is None or (where.end_line, end) <= (where.line or 0, column):
        return Range(where.line, column)
    return Range(where.line, column, where.end_line, end)


def _from_bytes(line: str, column: int | None) -> int | None:
    if column is None:
        return None
    return len(line.encode("utf-8")[: column - 1].decode("utf-8", "ignore")) + 1


# ------------------------------------------------------------------------------------------ packing


def _packed(findings: tuple[Finding, ...]) -> bytes:
    if not findings:
        return b""
    import json

    return json.dumps(findings).encode("ascii")


def _unpacked(verdict: bytes) -> tuple[Finding, ...]:
    if not verdict:
        return ()
    import json

    return tuple(
        Finding(code, Range(*where), message, hint, excerpt, Severity(severity))
        for code, where, message, hint, excerpt, severity in json.loads(verdict)
    )
