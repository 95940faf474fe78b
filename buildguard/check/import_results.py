"""The results of one target's imports, kept in the cache until something changes that they depend on.

Sources count by the digests of this run. The other files that a result depends on (declarations, Dockerfiles, locks) are
named with it, and read again before it counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from buildguard.check.compile_files import FileVerdict, Judge, version_of
from buildguard.check.context import Job
from buildguard.check.recording_stage import RecordingStage, digest_of
from buildguard.codes import Code
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity, display_path
from buildguard.engines.engine import Engine, ReadyEngine
from buildguard.imports.records import UndecidedImport
from buildguard.project.target import Target
from buildguard.stages.stage import Stage, listing_of
from buildguard.system.cache import Cache, context_of

# What turns facts and answers into findings: a kept result is no older than these files.
_RULES = ("imports/*", "startup/*.py", "project/*.py", "project/*/*.py", "check/*import*.py")


class TargetImports(NamedTuple):
    """The findings in the imports of a target's sources, and the imports that could not be decided.

    `executed` are the files that do not compile, and that a start surely executes; `reached` those that one may execute, or any where none is known.
    `is_final` is whether another run would give the same: no question was left open by an engine that was lost.
    """

    diagnostics: tuple[Diagnostic, ...]
    undecided: tuple[UndecidedImport, ...]
    executed: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    is_final: bool = True


class ImportSubject(NamedTuple):
    """What the imports of a target are judged with: its engine, and the sources that it compiled or refused, by path."""

    target: Target
    engine: Engine
    ready: ReadyEngine
    judge: Judge
    sources: Mapping[str, FileVerdict]


def judge_imports(
    job: Job, target: Target, answering: tuple[Engine, ReadyEngine], judge: Judge, verdicts: Sequence[FileVerdict]
) -> TargetImports:
    """The imports of a target's sources, from an earlier run where nothing changed. Raises UnprovenError."""
    sources: dict[str, FileVerdict] = {
        display_path(verdict.entry.path): verdict for verdict in verdicts if verdict.digest and not verdict.unproven
    }
    subject = ImportSubject(target, *answering, judge, sources)
    stage = job.place.stage
    # files of an image or another folder are read again; what is staged is asked about once, and to look for its result
    # takes longer than to judge it
    if stage.name.startswith("image:") or job.request.environment or job.request.staged:
        return _judge(job, subject)
    kept = KeptResult(judge.cache, stage, _about(job, subject))
    results = kept.load()
    if results is None:
        recording = RecordingStage(stage)
        results = _judge(job._replace(place=job.place._replace(stage=recording)), subject)
        if results.is_final:
            known = {verdict.entry.path for verdict in sources.values()}
            shared = job.project_imports.digests if job.project_imports is not None else {}
            read = shared | recording.digests
            kept.store(results, {path: digest for path, digest in read.items() if path not in known})
    return results


def _judge(job: Job, subject: ImportSubject) -> TargetImports:
    from buildguard.check.imports import ImportCheck  # a warm run needs none of it

    return ImportCheck(job, subject).run()


def _about(job: Job, subject: ImportSubject) -> Iterator[bytes]:
    """Everything that a result depends on, but for files that are no sources."""
    ready = subject.ready
    identity = (
        ready.engine,
        ready.identity,
        ready.proof,
        ready.version,
        _text_of(subject.target),
        _text_of(job.config),
    )
    yield "\0".join(identity).encode("utf-8", "surrogatepass")
    listing = listing_of(job.place.stage)
    yield b"\0".join(listing.paths)
    yield ".".join([entry.kind for entry in listing]).encode()
    for path, verdict in subject.sources.items():
        yield path.encode("utf-8", "surrogatepass") + b"\0" + verdict.digest


def _text_of(value: object) -> str:
    """A value as text that every run writes the same way: a set has an order of its own in each."""
    if isinstance(value, AbstractSet):
        return f"{{{', '.join(sorted(map(_text_of, value)))}}}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_text_of, value))})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text_of(key)}: {_text_of(part)}' for key, part in value.items())}}}"
    return repr(value)


class KeptResult:
    """One result in the cache, by all that it depends on; what else was read for it is compared with the stage."""

    def __init__(self, cache: Cache, stage: Stage, about: Iterable[bytes]) -> None:
        self._cache = cache
        self._stage = stage
        self._context = context_of("results of imports", version_of(_RULES))
        self._key = hashlib.sha256(b"".join([b"%d:%b" % (len(part), part) for part in about])).digest()

    def load(self) -> TargetImports | None:
        """The kept result; None if none still holds."""
        row = self._cache.known(self._context, [self._key]).get(self._key)
        if row is None:
            return None
        files, diagnostics, undecided, executed, reached = json.loads(row)
        if not self._are_unchanged({path.encode("latin-1"): bytes.fromhex(digest) for path, digest in files.items()}):
            return None
        findings = (_diagnostic_from(item) for item in diagnostics)
        open_imports = (UndecidedImport(*item) for item in undecided)
        return TargetImports(tuple(findings), tuple(open_imports), tuple(executed), tuple(reached))

    def store(self, results: TargetImports, read: dict[bytes, bytes]) -> None:
        """Keep a result, with the files that were read for it."""
        files = {path.decode("latin-1"): digest.hex() for path, digest in read.items()}
        rows = [
            [item.code, item.severity, item.path, item.range, item.message, item.hint, item.target, item.excerpt]
            for item in results.diagnostics
        ]
        data = json.dumps([files, rows, results.undecided, results.executed, results.reached])
        self._cache.store(self._context, {self._key: data.encode("ascii")})

    def _are_unchanged(self, files: dict[bytes, bytes]) -> bool:
        entries = [entry for entry in self._stage.entries() if entry.path in files] if files else []
        now = {entry.path: digest_of(content) for entry, content in self._stage.contents(entries)}
        return now == files


def _diagnostic_from(row: list[str]) -> Diagnostic:
    code, severity, path, place, message, hint, target, excerpt = row
    return Diagnostic(
        Code(code), Severity(severity), DisplayPath(path), Range(*place), message, hint, target, "rule", excerpt
    )
