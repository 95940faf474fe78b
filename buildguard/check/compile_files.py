"""From sources to verdicts: read, hash, look up, and let the engine compile what no earlier run has judged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from buildguard import __version__
from buildguard.check.fact_store import FactStore
from buildguard.check.merge import MARK
from buildguard.codes import Code, SourceMark
from buildguard.definitions import NamedTuple, NewType
from buildguard.diagnostic import Edit, Finding, Range, Severity, UnreadableFile, display_path
from buildguard.engines.engine import CompilerDeath, Engine, Outcome, ReadyEngine, Source
from buildguard.errors import UnprovenError
from buildguard.project.proof_grade import ProofGrade
from buildguard.stages.filesystem import DiskStage, digest_file
from buildguard.stages.stage import Entry, Stage
from buildguard.system import process
from buildguard.system.cache import Cache, context_of, digest_of_files

# What turns an interpreter's words into findings: a cached verdict is no older than these files.
_RULES = (
    "check/findings.py",
    "check/text_rules.py",
    "remote/source_encoding.py",
    "project/source_text.py",
    "project/codec_names.py",
    "fstrings/*.py",
)
_MANY = 400
_DIGEST = 32
# The SHA-256 of a source, as bytes; empty where it was not read in the usual way.
SourceDigest = NewType("SourceDigest", bytes)
UNREAD = SourceDigest(b"")
_STORE_EVERY = 10_000


class FileVerdict(NamedTuple):
    """The verdict on one file: its findings, or why none are known."""

    entry: Entry
    findings: tuple[Finding, ...] = ()
    unproven: str = ""
    cached: bool = False
    is_deleted: bool = False
    digest: SourceDigest = UNREAD


def digests_of(stage: Stage, entries: Sequence[Entry], *, once: bool = False) -> list[SourceDigest]:
    """The SHA-256 of each entry as it is read just now, on two cores; empty where a plain read does not do.

    With `once` the stage itself reads them, and keeps what several targets ask for.
    """
    if once or not isinstance(stage, DiskStage):
        contents = (content for _entry, content in stage.contents(entries))
        return [source_digest(data) if isinstance(data, bytes) else UNREAD for data in contents]
    paths = stage.plain_paths(entries)
    if len(paths) < _MANY:
        packed = _hashed(paths)
    else:
        half = len(paths) // 2
        theirs, mine = process.run_in_parallel(lambda: _hashed(paths[:half]), lambda: _hashed(paths[half:]))
        packed = theirs.ljust(half * _DIGEST, b"\0")[: half * _DIGEST] + mine
    nothing = bytes(_DIGEST)
    digests = (packed[at : at + _DIGEST] for at in range(0, len(packed), _DIGEST))
    return [UNREAD if digest == nothing else SourceDigest(digest) for digest in digests]


class Judge:
    """Judges the entries of a stage with one engine."""

    def __init__(self, stage: Stage, engine: Engine, ready: ReadyEngine, minor: int, cache: Cache) -> None:
        self._lost = "the engine gave no answer"
        self._stage = stage
        self._engine = engine
        self._minor = minor
        self.cache = cache
        self._context = context_of(version_of(_RULES), ready.engine, ready.identity)
        self._exact = ready.proof.is_enough(ProofGrade.COMPILED)
        self._new: dict[bytes, bytes] = {}
        self.facts = FactStore(cache, ready)
        self._refused: list[_RefusedSource] = []
        self._without_facts: set[bytes] = set()

    def run(
        self, entries: Sequence[Entry], digests: Sequence[SourceDigest], progress: Callable[[int], None]
    ) -> list[FileVerdict]:
        """A verdict for every entry, in their order.

        `digests` are those of the bytes that each entry was read with in this run, empty where it was not read.
        """
        known = self.cache.known(self._context, digests)
        verdicts: dict[bytes, FileVerdict] = {}
        for entry, digest in zip(entries, digests, strict=True):
            verdict = known.get(digest)
            if verdict is not None:
                verdicts[entry.path] = FileVerdict(entry, _unpack_findings(verdict), cached=True, digest=digest)
        progress(len(verdicts))
        rest = [entry for entry in entries if entry.path not in verdicts]
        for judged in self._fresh(rest):
            verdicts[judged.entry.path] = judged
            progress(1)
        self.cache.store(self._context, self._new)
        self.facts.store()
        return [verdicts[entry.path] for entry in entries]

    def _fresh(self, entries: Sequence[Entry]) -> Iterator[FileVerdict]:
        """Compile what the cache did not know; equal bytes are compiled once."""
        questions = _SourceQueue(self._minor)
        self._without_facts = questions.without_facts
        held: dict[SourceDigest, tuple[str, tuple[Finding, ...]]] = {}
        sources = questions.sources(self._stage.contents(entries))
        for outcome in self._outcomes(_then_load(sources) if entries else sources):
            asked = questions.take(outcome)
            if asked is None:
                continue
            verdict = self._verdict(asked)
            if verdict is None:
                continue
            held[asked.digest] = verdict
            for entry in questions.waiting(asked.digest):
                yield FileVerdict(entry, verdict[1], verdict[0], digest=asked.digest)
        held.update(self._looked_at_closely())
        for digest, waiting in questions.take_unanswered():
            unproven, findings = held.get(digest, (self._lost, ()))
            for entry in waiting:
                yield FileVerdict(entry, findings, unproven, digest=digest)
        yield from questions.unreadable

    def _outcomes(self, sources: Iterator[Source]) -> Iterator[Outcome]:
        """The engine's outcomes; when it is lost on the way, what it had not answered stays unproven."""
        try:
            yield from self._engine.compile(sources)
        except UnprovenError as error:
            self._lost = error.what
        for _source in sources:  # so that each is read, and told as unproven
            pass

    def _verdict(self, question: _PendingSource) -> tuple[str, tuple[Finding, ...]] | None:
        """What there is to say of a source; None where an f-string in it needs a second look, after all others."""
        from buildguard.check.findings import findings, of_rules  # a warm run needs none of it

        outcome = question.outcome
        assert outcome is not None
        all_findings = tuple(findings(question.data, outcome, question.as_script, self._minor, exact=self._exact))
        if MARK in question.data:
            from buildguard.check.suppressions import find_ignores

            all_findings = (*all_findings, *find_ignores(question.data))
        ruled = of_rules(question.data, outcome, self._minor, exact=self._exact)
        if any(finding.severity is Severity.ERROR for finding in ruled):
            self._refused.append(_RefusedSource(question.data, question.digest, outcome, all_findings, ruled))
            return None
        return self._settled(question.digest, outcome, (*all_findings, *ruled))

    def _settled(
        self, digest: SourceDigest, outcome: Outcome, findings: tuple[Finding, ...], *, whole: bool = True
    ) -> tuple[str, tuple[Finding, ...]]:
        if not outcome.unproven and (outcome.facts or digest not in self._without_facts):
            self.facts.note(digest, outcome.facts)
        if (
            whole
            and not outcome.unproven
            and (outcome.rejected is None or outcome.rejected.kind != CompilerDeath.CRASH)
        ):
            self._new[digest] = _pack_findings(findings)
            if len(self._new) >= _STORE_EVERY:
                self.cache.store(self._context, self._new)
                self._new = {}
        return outcome.unproven, findings

    def _looked_at_closely(self) -> dict[SourceDigest, tuple[str, tuple[Finding, ...]]]:
        """Sources with an f-string that the target refuses: compiled once more without it, and repairs planned."""
        if not self._refused:
            return {}
        from buildguard.check.findings import explain_findings
        from buildguard.fstrings.planner_process import with_edits
        from buildguard.fstrings.rules import mask_fstrings
        from buildguard.project.source_text import decode_source, encode_source

        asked: dict[int, _RefusedSource] = {}
        sources: list[Source] = []
        for number, refused in enumerate(self._refused):
            if refused.outcome.rejected is None or refused.outcome.rejected.crashed:
                continue
            text = decode_source(refused.data)
            data = None if text is None else encode_source(mask_fstrings(text, self._minor), refused.data)
            if data is not None:
                asked[number] = refused
                sources.append(Source(number, data, source_digest(data)))
        for outcome in self._outcomes(iter(sources)):
            refused = asked.pop(outcome.number)
            if outcome.unproven:
                asked[outcome.number] = refused
            else:
                findings = explain_findings(refused.data, refused.findings, refused.rule_findings, outcome, self._minor)
                # the other strings are not changed, nor is any line: these are the source's own imports
                known = refused.outcome._replace(facts=outcome.facts)
                self._refused[outcome.number] = refused._replace(findings=tuple(findings), outcome=known)
        settled = {}
        repaired = with_edits(self._refused, self._minor)
        for number, (refused, (ruled, planned)) in enumerate(zip(self._refused, repaired, strict=True)):
            # what a child did not get to this time is asked again the next time
            whole = planned and number not in asked
            settled[refused.digest] = self._settled(
                refused.digest, refused.outcome, (*refused.findings, *ruled), whole=whole
            )
        return settled


def _then_load(sources: Iterator[Source]) -> Iterator[Source]:
    """Some sources; while the last ones are compiled, what judges their imports is loaded."""
    yield from sources
    import_module("buildguard.check.project_imports")


class _RefusedSource(NamedTuple):
    """A source with an f-string that the target refuses, and what was said of it so far."""

    data: bytes
    digest: SourceDigest
    outcome: Outcome
    findings: tuple[Finding, ...]
    rule_findings: tuple[Finding, ...]


_LAST_TO_CUT_AT_NUL = 11  # up to 3.11.3; those raise ValueError, where later ones raise SyntaxError


class _PendingSource:
    """A source that an engine is busy with, and what it said so far."""

    __slots__ = ("as_script", "data", "digest", "outcome", "twice")

    def __init__(self, data: bytes, digest: SourceDigest, *, twice: bool) -> None:
        self.data = data
        self.digest = digest
        self.twice = twice
        self.outcome: Outcome | None = None
        self.as_script: Outcome | None = None


def _may_be_judged(entry: Entry) -> bool:
    """Whether imports of an entry are judged however it is reached; those of a test only where another module runs it."""
    from buildguard.imports.program import is_test  # a warm run needs none of it

    return not is_test(display_path(entry.path))


class _SourceQueue:
    """The sources of one pass: read, numbered, asked once for equal bytes, and matched with their answers.

    A source has an even number; the odd one after it is what a script start makes of its NUL bytes. `without_facts` are those whose
    imports are read only when another module may run them: tests.
    """

    def __init__(self, minor: int) -> None:
        self.without_facts: set[bytes] = set()
        self._minor = minor
        self._pending: dict[int, _PendingSource] = {}
        self._waiting: dict[SourceDigest, list[Entry]] = {}
        self.unreadable: list[FileVerdict] = []

    def sources(self, contents: Iterable[tuple[Entry, bytes | UnreadableFile]]) -> Iterator[Source]:
        for entry, content in contents:
            if isinstance(content, UnreadableFile):
                self.unreadable.append(FileVerdict(entry, unproven=content.reason, is_deleted=content.is_missing))
                continue
            digest = source_digest(content)
            if digest in self._waiting:
                self._waiting[digest].append(entry)
                continue
            self._waiting[digest] = [entry]
            number = 2 * len(self._waiting)
            twice = self._minor <= _LAST_TO_CUT_AT_NUL and b"\0" in content
            self._pending[number] = _PendingSource(content, digest, twice=twice)
            reads_facts = _may_be_judged(entry)
            if not reads_facts:
                self.without_facts.add(digest)
            yield Source(number, content, digest, reads_facts=reads_facts)
            if twice:
                from buildguard.check.text_rules import as_old_scripts_read_it

                script = as_old_scripts_read_it(content)
                yield Source(number + 1, script, source_digest(script))

    def take(self, outcome: Outcome) -> _PendingSource | None:
        """Note an outcome; return its question once everything about it is answered."""
        number = outcome.number - outcome.number % 2
        asked = self._pending[number]
        if outcome.number % 2:
            asked.as_script = outcome
        else:
            asked.outcome = outcome
        if asked.outcome is None or (asked.twice and asked.as_script is None):
            return None
        return self._pending.pop(number)

    def waiting(self, digest: SourceDigest) -> list[Entry]:
        """The entries with those bytes so far; later ones count as left."""
        entries, self._waiting[digest] = self._waiting[digest], []
        return entries

    def take_unanswered(self) -> list[tuple[SourceDigest, list[Entry]]]:
        """The entries without an answer, or read after the answer to their bytes."""
        return [(digest, entries) for digest, entries in self._waiting.items() if entries]


@cache
def version_of(rules: tuple[str, ...]) -> str:
    """The version of some files of ours: what they decided is not taken from the cache after they changed."""
    return f"{__version__} {digest_of_files(Path(__file__).parents[1], rules)}"


def _hashed(paths: Sequence[bytes | None]) -> bytes:
    """The digests of some files, one after the other; zeros where a file could not be read."""
    nothing = bytes(_DIGEST)
    return b"".join([nothing if path is None else digest_file(path) or nothing for path in paths])


# ------------------------------------------------------------------------------------------ packing


def source_digest(data: bytes) -> SourceDigest:
    """The SHA-256 of a source."""
    return SourceDigest(hashlib.sha256(data).digest())


def _pack_findings(findings: tuple[Finding, ...]) -> bytes:
    if not findings:
        return b""
    import json

    return json.dumps(findings).encode("ascii")


def _unpack_findings(verdict: bytes) -> tuple[Finding, ...]:
    if not verdict:
        return ()
    import json

    return tuple(
        Finding(
            SourceMark.IGNORE if code == SourceMark.IGNORE else Code(code),
            Range(*where),
            message,
            hint,
            excerpt,
            Severity(severity),
            Range(*within) if within else None,
            tuple(Edit(Range(*place), text) for place, text in edits),
        )
        for code, where, message, hint, excerpt, severity, within, edits in json.loads(verdict)
    )
