"""`buildguard check`: every source, compiled by the Python that will run it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, NamedTuple

from buildguard import cache as caches
from buildguard import config as configs
from buildguard import git, process
from buildguard.commands.job import Job, Request, config_files, no_version, nothing, prepare, share_of
from buildguard.declared import gather
from buildguard.diagnostic import Diagnostic, Range, Severity, Unproven, shown_path
from buildguard.engines import PROOFS
from buildguard.engines import choose as engines
from buildguard.errors import UnprovenError, UsageError
from buildguard.filters import Ignore, silenced
from buildguard.judge import Judge, digests_of
from buildguard.merge import IGNORE, diagnostic_of, merged
from buildguard.result import Report, TargetRow
from buildguard.source import Selection, choose
from buildguard.stage import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from buildguard.diagnostic import Finding
    from buildguard.engines import Engine, Ready, Unavailable
    from buildguard.place import Place
    from buildguard.stage import Entry
    from buildguard.target import Target

_OPINIONS = 1000  # files that are shown to this machine's python3 at the most


class _Share(NamedTuple):
    """A target, the entries that it runs, and their digests."""

    target: Target
    entries: Sequence[Entry]
    digests: Sequence[bytes]


class _Seen:
    """What judging the targets brought; `gone` was listed and is deleted in the worktree: no build has it."""

    def __init__(self) -> None:
        self.rows: list[TargetRow] = []
        self.diagnostics: list[Diagnostic] = []
        self.unproven: list[Unproven] = []
        self.gone: set[bytes] = set()
        self.ignores: list[Ignore] = []

    def note(self, findings: Iterable[Finding], path: str, python: str, engine: str) -> None:
        """Take the findings in one file for one target; comments that silence something lie among them."""
        for one in findings:
            if one.code == IGNORE:
                self.ignores.append(Ignore.of(path, one))
            else:
                self.diagnostics.append(diagnostic_of(one, path, python, engine))


def check(request: Request, place: Place, progress: Callable[[int, int], None]) -> Report:
    """Judge every source of the request for each of its targets.

    `progress` is called with how many verdicts came in and how many there will be. Raises UsageError for a
    request that makes no sense, UnprovenError where nothing could be looked at at all.
    """
    started = time.monotonic()
    job = prepare(request, place)
    try:
        seen = _judge_all(job, progress)
        if seen.gone and len(seen.gone) == len(job.chosen.sources):
            seen.unproven.append(Unproven(None, None, nothing(job)))
        diagnostics = [*seen.diagnostics, *_conflicts(job.targets), *_works_here(job, seen)]
        kept, idle = silenced(diagnostics, seen.ignores)
        job.notes.extend(idle)
        kept = merged(job.filters.keep(kept))
        kept, unproven = _since_base(job, kept, seen)
    finally:
        job.cache.close()
    return Report(
        root=os.path.relpath(job.place.root, request.cwd),
        targets=tuple(seen.rows),
        diagnostics=tuple(sorted(set(kept), key=_order)),
        unproven=tuple(dict.fromkeys(unproven)),
        notes=tuple(dict.fromkeys([*job.notes, *job.cache.notes])),
        files=len(job.chosen.sources) - len(seen.gone),
        seconds=round(time.monotonic() - started, 3),
        strict=request.strict,
    )


def _order(one: Diagnostic) -> tuple[object, ...]:
    return (one.path is None, one.path or "", one.range.line or 0, one.range.column or 0, one.code, one.target or "")


# ------------------------------------------------------------------------------------------ judging


def _judge_all(job: Job, progress: Callable[[int, int], None]) -> _Seen:
    seen = _Seen()
    if not job.chosen.sources:
        if not job.request.staged:
            seen.unproven.append(Unproven(None, None, nothing(job)))
        return seen
    shares = [(target, share_of(target, job)) for target in job.targets]
    uncovered = len(job.chosen.sources) - len({entry.path for _target, share in shares for entry in share})
    if uncovered and not job.request.service:
        seen.unproven.append(Unproven(None, None, f"{uncovered} files belong to no target"))
    if not any(share for _target, share in shares):
        # one service was asked for, and it runs none of these files (or no Python at all)
        reason = f"service '{job.request.service}' runs none of these files" if job.request.service else nothing(job)
        seen.unproven.append(Unproven(None, None, reason))
    total = sum(len(share) for _target, share in shares)
    for target, share in shares:
        _judge(job, target, share, seen, lambda done: progress(done, total))
    return seen


def _judge(job: Job, target: Target, share: Sequence[Entry], seen: _Seen, progress: Callable[[int], None]) -> None:
    """One target: its engines, its rows, its diagnostics; what no engine could answer is unproven."""
    request = job.request
    if target.version is None:
        seen.unproven.append(Unproven(None, None, no_version(target)))
        _no_engine(job, target, share, seen)
        return
    asked = engines.parse(request.engine)
    order = engines.order_of(job.config.engine)
    if request.image:
        asked = ("container",)
    chooser = engines.Chooser(asked, order, target.version, job.place.root, request.jobs or process.cores())
    try:
        chooser.begin()
        # read while the interpreter gets ready; with an empty cache the judge does all the reading itself
        digests = [b""] * len(share) if job.cache.is_empty() else digests_of(job.place.stage, share)
        choice = chooser.choose()
        for answering in choice.ready:
            _by_engine(job, _Share(target, share, digests), seen, answering, progress)
    finally:
        chooser.close()
    proof = max((ready.proof for _engine, ready in choice.ready), key=PROOFS.index, default="none")
    job.notes.extend(ready.note for _engine, ready in choice.ready if ready.note)
    if not choice.ready:
        _no_engine(job, target, share, seen)
    if asked and choice.unavailable:
        reasons = [one.words for one in choice.unavailable]
    elif not engines.enough(proof, request.proof):
        reasons = [_too_little(proof, request.proof, choice.unavailable[:1], target.version.minor_text)]
    else:
        reasons = []
    seen.unproven.extend(Unproven(None, target.python, reason) for reason in reasons)


def _too_little(proof: str, wanted: str, why: Sequence[Unavailable], python: str) -> str:
    """What is missing from a proof, and the line that would make it one."""
    have = "no engine answered" if proof == "none" else f"{proof} only, and --proof {wanted} is what counts"
    if why:
        return f"{have}: {why[0]._replace(hint=f'to prove it: {why[0].hint}' if why[0].hint else '').words}"
    if proof == "predicted":
        return f"{have}; to prove it: --engine interpreter, after `uv python install {python}` where there is none"
    return have


def _by_engine(
    job: Job, share: _Share, seen: _Seen, answering: tuple[Engine, Ready], progress: Callable[[int], None]
) -> None:
    engine, ready = answering
    target = share.target
    assert target.version is not None
    judge = Judge(job.place.stage, engine, ready, target.version.minor, job.cache)
    judged = judge.run(share.entries, share.digests, progress)
    seen.gone.update(one.entry.path for one in judged if one.gone)
    judged = [one for one in judged if not one.gone]
    for one in [one for one in judged if one.findings or one.unproven]:
        path = shown_path(one.entry.path)
        seen.note(one.findings, path, target.python, ready.engine)
        if one.unproven:
            seen.unproven.append(Unproven(path, target.python, one.unproven))
    cached = sum(one.cached for one in judged)
    seen.rows.append(
        TargetRow(
            target.python,
            target.found_in,
            ready.engine,
            ready.proof,
            ready.interpreter,
            target.image,
            None,
            len(judged),
            cached,
            target.service,
        )
    )
    _remember(job, target, ready)


def _no_engine(job: Job, target: Target, share: Sequence[Entry], seen: _Seen) -> None:
    """What needs no engine is reported all the same: the text of every file."""
    gone = 0
    for entry, content in job.place.stage.contents(share):
        path = shown_path(entry.path)
        if isinstance(content, Unreadable):
            if content.gone:
                seen.gone.add(entry.path)
                gone += 1
            else:
                seen.unproven.append(Unproven(path, target.python, content.reason))
            continue
        seen.note(_without_engine(content, target), path, target.python, "rule")
    row = TargetRow(
        target.python, target.found_in, None, "none", None, target.image, None, len(share) - gone, 0, target.service
    )
    seen.rows.append(row)


def _without_engine(content: bytes, target: Target) -> list[Finding]:
    """What can be said of a source that nothing compiles."""
    from buildguard import text
    from buildguard.rules import fstrings
    from buildguard.rules.ignores import ignores
    from buildguard.rules.screen import may_be_refused

    found = [*text.findings(content), *ignores(content)]
    if target.version is not None and may_be_refused(content):
        found += fstrings.findings(content, target.version.minor)
    return found


# ------------------------------------------------------------------------------------------ the whole


def _conflicts(targets: Iterable[Target]) -> list[Diagnostic]:
    """BG401 for each declaration that contradicts the one that runs in production, once."""
    found: dict[tuple[str, int | None], Diagnostic] = {}
    for target in targets:
        for one in target.conflicts:
            message = f"says {one.words}, but the target is Python {target.python} ({target.found_in})"
            hint = f"make {one.place} say {target.python}, or change {target.found_in}"
            diagnostic = Diagnostic("BG401", Severity.WARNING, one.file, Range(one.line), message, hint, target.python)
            found.setdefault((one.file, one.line), diagnostic)
    return list(found.values())


def _works_here(job: Job, seen: _Seen) -> list[Diagnostic]:
    """BG403: what this machine's python3 accepts and the target rejects, said once for each target."""
    from buildguard.engines.interpreter import second_opinion
    from buildguard.engines.pool import source_of
    from buildguard.interpreters import default_python3

    rejected = {(one.target, one.path) for one in seen.diagnostics if one.code in {"BG101", "BG103"}}
    if not rejected:
        return []
    here = default_python3(job.place.root)
    if here is None:
        return []
    paths = {path for _target, path in rejected}
    entries = [entry for entry in job.chosen.sources if shown_path(entry.path) in paths][:_OPINIONS]
    readable = [(entry, data) for entry, data in job.place.stage.contents(entries) if isinstance(data, bytes)]
    try:
        version, accepted = second_opinion(here, [source_of(at, data) for at, (_entry, data) in enumerate(readable)])
    except UnprovenError:
        return []  # no second opinion: the first one stands
    fine = {shown_path(readable[at][0].path) for at in accepted}
    predicted = {row.python for row in seen.rows if row.proof == "predicted"}
    return [
        _works_here_but(version, python, count, "is predicted to reject" if python in predicted else "rejects")
        for python in sorted({target or "" for target, _path in rejected})
        if (count := sum(target == python and path in fine for target, path in rejected))
    ]


def _works_here_but(version: str, python: str, count: int, rejects: str) -> Diagnostic:
    files = "1 file" if count == 1 else f"{count} files"
    message = f"works here, breaks there: this machine's python3 is {version} and accepts {files} that Python {python} {rejects}"
    hint = f"develop and test on Python {python}, or move the deployed Python to what you develop on"
    return Diagnostic("BG403", Severity.WARNING, None, Range(), message, hint, python, "interpreter")


# ------------------------------------------------------------------------------------------ --diff-base


_SEEN = b"interpreter"


def _seen_key(job: Job, target: Target, commit: str) -> bytes:
    return caches.context_of("interpreter seen", str(job.place.root), target.python, commit)


def _remember(job: Job, target: Target, ready: Ready) -> None:
    """Which interpreter judged at this commit, so that a later `--diff-base` can tell that it moved."""
    repository = job.place.repository
    if repository is not None and repository.head:
        key = _seen_key(job, target, repository.head)
        now = {_SEEN: ready.interpreter.encode()}
        if job.cache.known(key, [_SEEN]) != now:
            job.cache.store(key, now)


def _since_base(job: Job, diagnostics: list[Diagnostic], seen: _Seen) -> tuple[list[Diagnostic], list[Unproven]]:
    """With `--diff-base`: only what lies in files changed since, unless something that judges them all changed."""
    base = job.request.diff_base
    if not base:
        return diagnostics, seen.unproven
    repository = job.place.repository
    if repository is None:
        raise UsageError("--diff-base needs a git repository")
    commit = repository.resolve(base)
    moved = _moved(job, seen, repository, commit)
    if moved:
        job.notes.append(f"{moved} changed since {base}: everything is reported")
        return diagnostics, seen.unproven
    changed = {shown_path(path) for path in repository.changed_paths(commit, against=job.place.compared_as)}
    kept = [one for one in diagnostics if one.path is None or one.path in changed]
    unproven = [one for one in seen.unproven if one.path is None or one.path in changed]
    hidden = len(diagnostics) + len(seen.unproven) - len(kept) - len(unproven)
    if hidden:
        findings = "1 finding" if hidden == 1 else f"{hidden} findings"
        job.notes.append(f"not shown: {findings} in files that did not change since {base}")
    return kept, unproven


def _moved(job: Job, seen: _Seen, repository: git.Repository, commit: str) -> str:
    """What changed since a commit that makes every verdict new: empty, or its name."""
    from buildguard.stage import commit_of

    then = commit_of(repository, commit)
    if configs.read(config_files(then)) != job.config:
        return "the configuration"
    if not job.request.targets:
        try:
            targets = gather.find(then, job.config, choose(then, Selection()).sources, (), job.request.service).targets
        except UsageError:
            targets = []
        before = {(target.version, target.context) for target in targets}
        if any((target.version, target.context) not in before for target in job.targets):
            return "the target"
    for target in job.targets:
        key = _seen_key(job, target, commit)
        known = job.cache.known(key, [_SEEN]).get(_SEEN)
        now = {row.interpreter for row in seen.rows if row.python == target.python}
        if known is not None and known.decode() not in now:
            return f"the interpreter (it was {known.decode()})"
    return ""
