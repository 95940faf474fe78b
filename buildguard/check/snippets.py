"""Python outside of `.py` files, judged by the engines of each target: Dockerfiles, build files and `.pth` files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from buildguard.check.build_files import build_files
from buildguard.check.context import Job, nothing_checked
from buildguard.check.filters import IgnoreComment
from buildguard.check.targets import CheckState, TargetShare, Watcher, judge_shares
from buildguard.codes import Code
from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, RelativePath, Unproven, UnreadableFile, display_path
from buildguard.engines import select as engines
from buildguard.engines.engine import EngineName
from buildguard.errors import GuardError
from buildguard.load import Project
from buildguard.project import discovery
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.snippets.unchecked import UNCHECKED, UncheckedKind, UncheckedPython, unchecked_files
from buildguard.project.sources import ChosenSources, decides_target, deciding, matches
from buildguard.project.target import PythonVersion, Target
from buildguard.stages.filesystem import DiskStage
from buildguard.stages.stage import Entry, EntryKind, Listing, Stage, listing_of

if TYPE_CHECKING:
    from buildguard.project.snippets.mapped_text import MappedText
    from buildguard.project.snippets.snippet import Snippet

_DEDENTS = 14  # the minor version from which on `-c` takes away the indentation that all lines share
_LARGEST = 1 << 18  # characters of a snippet
_ABOUT_SOURCE = ("BG1", "BG2")
_ABOUT_IMPORTS = Code.BG107  # a snippet is never imported
_FIX_HINT = lazy_pattern(r"; `buildguard fix` does it.*")
_LINE_IN_MESSAGE = lazy_pattern(r"\b((?:on|at) line )(\d+)")


class _JudgedSnippet(NamedTuple):
    """A snippet with a target that runs it; `is_own` where that is the Python of its own stage or step alone."""

    snippet: Snippet
    target: Target
    is_own: bool


class SnippetStage:
    """Snippets as the files of a stage in memory."""

    def __init__(self, root: Path, texts: Mapping[bytes, MappedText]) -> None:
        self.name, self.root, self.texts = "snippets", root, texts

    def entries(self) -> list[Entry]:
        """One for each snippet."""
        return [Entry(RelativePath(path), EntryKind.FILE) for path in self.texts]

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        """The source of each snippet."""
        for entry in entries:
            yield entry, self.texts[entry.path].text.encode("utf-8", "surrogatepass")

    def notes(self) -> list[str]:
        """None."""
        return []


def add_snippets(job: Job, state: CheckState, watcher: Watcher) -> None:
    """Add the findings in the snippets of the files that were asked about, and what was not looked at."""
    if job.scope is None:
        return
    kept = [entry for entry in listing_of(job.place.stage).choose(_may_hold_snippets) if _is_read(job, entry)]
    state.unchecked += unchecked_files(display_path(entry.path) for entry in kept)
    judged = [each for snippet in _read_all(job, kept, state) for each in _with_targets(job, snippet, state)]
    _judge(job, [each for each in judged if not each.is_own], state, watcher, is_own=False)
    _judge(job, [each for each in judged if each.is_own], state, watcher, is_own=True)
    if state.snippets and not job.chosen.sources:
        state.unproven = [item for item in state.unproven if item.reason != nothing_checked(job)]


def _read_all(job: Job, entries: Sequence[Entry], state: CheckState) -> list[Snippet]:
    """The snippets of some files; one file that cannot be read keeps the others from being looked at, too."""
    try:
        return list(_snippets(job, entries))
    except GuardError as error:
        state.unproven.append(Unproven(None, None, f"Python in build files was not looked at: {error.words}"))
        return []


def _is_read(job: Job, entry: Entry) -> bool:
    return _is_asked(job, os.fsdecode(entry.path))


def _may_hold_snippets(listing: Listing) -> list[Entry]:
    endings, others = (b".pth", *UNCHECKED), {entry.path for entry in deciding(listing)}
    return [entry for entry in listing if entry.path.endswith(endings) or entry.path in others]


def _is_asked(job: Job, path: str) -> bool:
    """Whether a file was asked about, and is not excluded."""
    return job.covers(os.fsencode(path)) and not matches(job.config.exclude, path)


def _snippets(job: Job, entries: Sequence[Entry]) -> Iterator[Snippet]:
    stage, config, service = job.place.stage, job.config, job.request.service
    if any(decides_target(entry.path) for entry in entries) or config.dockerfile or config.services:
        for recipe in Project(job.place, config).recipes_of(service):
            if _is_asked(job, recipe.service.dockerfile):
                from buildguard.project.snippets.dockerfile_snippets import dockerfile_snippets

                yield from dockerfile_snippets(recipe.dockerfile, recipe.service)
    for path, data in build_files(stage, config) if not service else ():
        if _is_asked(job, path):
            yield from _of_build_file(data, path)
    for path, data in _small_files(stage, [entry for entry in entries if entry.path.endswith(b".pth")]):
        from buildguard.project.snippets.pth import pth_snippets

        yield from pth_snippets(data, path)


def _of_build_file(data: bytes, path: str) -> Iterator[Snippet]:
    from buildguard.project.snippets.build_file_snippets import build_file_snippets

    try:
        yield from build_file_snippets(data, path)
    except GuardError:
        return  # BG410


def _small_files(stage: Stage, entries: Sequence[Entry]) -> Iterator[tuple[str, bytes]]:
    """The content of files that may be large data of the same name."""
    if isinstance(stage, DiskStage):
        base = os.fsencode(stage.root) + b"/"
        entries = [entry for entry in entries if _is_small(base + entry.path)]
    for entry, content in stage.contents(entries) if entries else ():
        if isinstance(content, bytes):
            yield display_path(entry.path), content


def _is_small(path: bytes) -> bool:
    try:
        return os.path.getsize(path) <= _LARGEST
    except OSError:
        return False


# ------------------------------------------------------------------------------------------ targets


def _with_targets(job: Job, snippet: Snippet, state: CheckState) -> Iterator[_JudgedSnippet]:
    """A snippet with each target that runs it; what cannot be decided is noted."""
    if not snippet.source.is_known:
        _leave_open(snippet, "a variable is part of this source, so it is known in the build only", state)
        return
    if len(snippet.source.text.text) > _LARGEST:
        _leave_open(snippet, "this source is too long", state)
        return
    targets = _shared_targets(job, snippet)
    if targets:
        yield from (_JudgedSnippet(snippet, _of_snippets(target), is_own=False) for target in targets)
    elif snippet.python is None:
        _leave_open(snippet, "no target runs this file", state)
    elif snippet.python.version is None:
        _leave_open(snippet, snippet.python.unknown, state)
    else:
        python = snippet.python
        target = Target(python.version, python.found_in, python.image, snippet.service, doubt=python.doubt)
        # where nothing else is checked, a step's snippet needs the same proof as a file
        yield _JudgedSnippet(snippet, target, is_own=snippet.service is None and bool(job.chosen.sources))


def _leave_open(snippet: Snippet, reason: str, state: CheckState) -> None:
    state.unchecked.append(UncheckedPython(UncheckedKind.SNIPPET, snippet.path, snippet.line, reason))


def _of_snippets(target: Target) -> Target:
    """A target without its context: whether it runs a snippet is known."""
    return target._replace(context="", without=(), reach=None, ships=None)


def _shared_targets(job: Job, snippet: Snippet) -> list[Target]:
    """The targets of the files that run this snippet too."""
    from buildguard.project.snippets.snippet import SnippetForm

    if snippet.source.form is SnippetForm.PTH:
        path = os.fsencode(snippet.path)
        every = (*job.targets, *job.neighbours)
        return [target for target in job.targets if discovery.target_covers(target, every, path)]
    if snippet.service is None:
        return []
    named = [target for target in job.targets if target.service == snippet.service]
    if named or not (job.request.targets or job.config.target):
        return named
    if job.targets:
        return [*job.targets]
    if job.request.targets:
        return [Target(PythonVersion.typed(text), "--target") for text in job.request.targets]
    return [Target(PythonVersion.typed(text, job.config.file), job.config.file) for text in job.config.target]


# ------------------------------------------------------------------------------------------ judging


class _Quiet:
    """A watcher that hears of long steps, and not of each verdict."""

    def __init__(self, watcher: Watcher) -> None:
        self.tell = watcher.tell

    def update(self, done: int, total: int) -> None:
        """Nothing: the files have been counted."""


def _judge(job: Job, judged: Sequence[_JudgedSnippet], state: CheckState, watcher: Watcher, *, is_own: bool) -> None:
    """Compile snippets for their targets, and take over what concerns their source."""
    snippet_job = _job_of_snippets(job, is_own=is_own)
    if snippet_job is None:
        for each in judged:
            _leave_open(each.snippet, "the cloud engine compiles files only", state)
        return
    if not judged:
        return
    batch = _Batch(judged, _texts(judged))
    results = _compile(snippet_job, batch, watcher)
    paths = {each.snippet.path for each in judged}
    state.snippets += len({each.snippet for each in judged})
    batch.take_over(results, dict(_contents(job.place.stage, paths)), state)
    if is_own:
        _leave_predicted_open(judged, results, state)
        return
    state.rows += [] if job.chosen.sources else results.rows
    state.unproven += [item for item in results.unproven if item.path is None]


def _compile(job: Job, batch: _Batch, watcher: Watcher) -> CheckState:
    """What the engines of the snippets' targets say of them."""
    stage = SnippetStage(job.place.root, batch.texts)
    shares: dict[Target, list[Entry]] = {}
    for entry, each in zip(stage.entries(), batch.judged, strict=True):
        shares.setdefault(each.target, []).append(entry)
    snippet_job = job._replace(
        place=job.place._replace(stage=stage),
        chosen=ChosenSources(tuple(stage.entries()), ()),
        targets=tuple(shares),
        syntax_only=True,
    )
    results = CheckState()
    judge_shares(snippet_job, [TargetShare(*share) for share in shares.items()], _Quiet(watcher), results)
    return results


def _leave_predicted_open(judged: Sequence[_JudgedSnippet], results: CheckState, state: CheckState) -> None:
    """Note the snippets that no Python of their own compiled."""
    proven = {row.python for row in results.rows if ProofGrade(row.proof).is_enough(ProofGrade.COMPILED)}
    for each in judged:
        if each.target.python not in proven:
            _leave_open(each.snippet, f"Python {each.target.python} is not at hand, so this is a prediction", state)


def _job_of_snippets(job: Job, *, is_own: bool) -> Job | None:
    """The job with the engines that judge snippets; the Python of a stage of its own comes from no image that was named."""
    names = engines.parse(job.request.engine) or engines.order_of(job.config)
    order = [name for name in names if name is not EngineName.CLOUD]
    if not order:
        return None
    request, config = job.request, job.config
    if engines.parse(request.engine):
        request = request._replace(engine=",".join(order))
    else:
        config = config._replace(engine=tuple(order))
    if is_own:
        request, config = request._replace(image="", proof=ProofGrade.PREDICTED), config._replace(image="")
    return job._replace(request=request, config=config)


def _contents(stage: Stage, paths: set[str]) -> Iterator[tuple[str, bytes]]:
    entries = [entry for entry in stage.entries() if display_path(entry.path) in paths]
    for entry, content in stage.contents(entries):
        if isinstance(content, bytes):
            yield display_path(entry.path), content


def _texts(judged: Sequence[_JudgedSnippet]) -> dict[bytes, MappedText]:
    """The source of each snippet as its target reads it, by a path of its own."""
    from buildguard.project.snippets.mapped_text import dedent
    from buildguard.project.snippets.snippet import SnippetForm

    texts: dict[bytes, MappedText] = {}
    for number, each in enumerate(judged):
        text = each.snippet.source.text
        minor = each.target.version.minor if each.target.version is not None else 0
        if each.snippet.source.form is SnippetForm.COMMAND and minor >= _DEDENTS:
            text = dedent(text)
        texts[f"{each.snippet.path}:{number}".encode()] = text
    return texts


class _Batch(NamedTuple):
    """Snippets that were judged together, and their texts in the same order."""

    judged: Sequence[_JudgedSnippet]
    texts: Mapping[bytes, MappedText]

    def take_over(self, found: CheckState, files: Mapping[str, bytes], state: CheckState) -> None:
        """Add what was found in snippets as findings in their files."""
        keys: list[str] = [*map(display_path, self.texts)]
        by_key = dict(zip(keys, self.judged, strict=True))
        texts = dict(zip(keys, self.texts.values(), strict=True))
        for diagnostic in found.diagnostics:
            if diagnostic.path in by_key and _is_about_source(diagnostic.code):
                path = by_key[diagnostic.path].snippet.path
                state.diagnostics.append(_in_file(diagnostic, texts[diagnostic.path], path, files.get(path, b"")))
        for item in found.unproven:
            if item.path in by_key:
                snippet = by_key[item.path].snippet
                state.unproven.append(
                    Unproven(DisplayPath(snippet.path), item.target, f"line {snippet.line}: {item.reason}")
                )
        for comment in found.ignores:
            line = texts[comment.path].range_in_file(Range(comment.line, 1)).line or 0
            state.ignores.append(IgnoreComment(by_key[comment.path].snippet.path, line, comment.codes))
        state.notes += found.notes


def _is_about_source(code: str) -> bool:
    return code.startswith(_ABOUT_SOURCE) and code != _ABOUT_IMPORTS


def _in_file(diagnostic: Diagnostic, text: MappedText, path: str, data: bytes) -> Diagnostic:
    """A finding in a snippet as one in its file; a repair of it is not known."""
    from buildguard.project.source_text import excerpt_of

    def in_file(match: re.Match[str]) -> str:
        return f"{match[1]}{text.range_in_file(Range(int(match[2]), 1)).line}"

    where = text.range_in_file(diagnostic.range)
    return diagnostic._replace(
        path=DisplayPath(path),
        range=where,
        hint=_FIX_HINT.sub("", diagnostic.hint),
        message=_LINE_IN_MESSAGE.sub(in_file, diagnostic.message),
        excerpt=excerpt_of(data, where.line, where.column),
        within=text.range_in_file(diagnostic.within) if diagnostic.within is not None else None,
        edits=(),
    )
