"""`check --diff-base`: what changed since a commit, unless what judges it has changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from buildguard.check.context import Job
from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.diagnostic import Diagnostic, Unproven, count, display_path
from buildguard.engines.engine import ReadyEngine
from buildguard.errors import UsageError
from buildguard.load import Project
from buildguard.project.target import Target
from buildguard.stages.git_objects import GitStage, commit_of
from buildguard.system import cache as caches
from buildguard.system import git

if TYPE_CHECKING:
    from buildguard.check.targets import CheckState

_SEEN = b"interpreter"


def _interpreter_key(job: Job, target: Target, commit: str) -> bytes:
    return caches.context_of("interpreter seen", str(job.place.root), target.python, commit)


def remember_interpreter(job: Job, target: Target, ready: ReadyEngine) -> None:
    """Which interpreter judged at this commit, so that a later `--diff-base` can tell that it moved."""
    repository = job.place.repository
    if repository is not None and repository.head:
        key = _interpreter_key(job, target, repository.head)
        now = {_SEEN: ready.interpreter.encode()}
        if job.cache.known(key, [_SEEN]) != now:
            job.cache.store(key, now)


class NarrowedFindings(NamedTuple):
    """What is reported with `--diff-base`, and a note on what is not."""

    diagnostics: Sequence[Diagnostic]
    unproven: Sequence[Unproven]
    note: str = ""


def narrow_to_changes(job: Job, diagnostics: Sequence[Diagnostic], seen: CheckState) -> NarrowedFindings:
    """With `--diff-base`: only findings in files changed since, unless something that decides all of them changed."""
    base = job.request.diff_base
    if not base:
        return NarrowedFindings(diagnostics, seen.unproven)
    repository = job.place.repository
    if repository is None:
        raise UsageError("--diff-base needs a git repository", hint="run it inside one")
    then = commit_of(repository, repository.resolve(base))
    invalidation = _find_invalidation(job, seen, then)
    if invalidation:
        note = f"{invalidation} changed since {base}: everything is reported"
        return NarrowedFindings(diagnostics, seen.unproven, note)
    paths = {diagnostic.path for diagnostic in diagnostics} | {item.path for item in seen.unproven}
    same = {display_path(path) for path in _unchanged(job, then, {path for path in paths if path})}
    return _leave_out(same, diagnostics, seen.unproven, base)


def _leave_out(
    same: Collection[str], diagnostics: Sequence[Diagnostic], unproven: Sequence[Unproven], base: str
) -> NarrowedFindings:
    """What is not about files that are the same; damage on the way has no author, and is reported wherever it is."""
    kept = [found for found in diagnostics if found.path not in same or found.code.startswith("BG3")]
    kept_unproven = [item for item in unproven if item.path not in same]
    hidden = len(diagnostics) + len(unproven) - len(kept) - len(kept_unproven)
    note = f"not shown: {count(hidden, 'finding')} in files that did not change since {base}" if hidden else ""
    return NarrowedFindings(kept, kept_unproven, note)


def _unchanged(job: Job, then: GitStage, names: Collection[str]) -> set[bytes]:
    """Those of some paths that are as they were; what cannot be compared counts as changed."""
    from buildguard.stages.worktree_changes import unchanged

    stage = job.place.stage
    before = {row.path: row for row in then.rows() if display_path(row.path) in names}
    if isinstance(stage, GitStage):
        return {row.path for row in stage.rows() if before.get(row.path) == row}
    by_repository: dict[bytes, list[git.GitEntry]] = {}
    for row in before.values():
        prefix = then.home(row.path)[1]
        by_repository.setdefault(prefix, []).append(row._replace(path=row.path[len(prefix) :]))
    return {
        prefix + path
        for prefix, rows in by_repository.items()
        for path in unchanged(then.home(prefix + rows[0].path)[0], rows)
    }


def _find_invalidation(job: Job, seen: CheckState, then: GitStage) -> str:
    """What changed since a commit that makes every verdict new: empty, or its name."""
    place = job.place._replace(stage=then, paths=())
    if Project(place).config != job.config:
        return "the configuration"
    if not job.request.targets and _has_other_targets(job, Project(place, job.config)):
        return "the target"
    return _find_other_interpreter(job, seen, then)


def _has_other_targets(job: Job, then: Project) -> bool:
    """Whether the files of a commit do not declare each target of today."""
    sources = then.chosen.sources
    try:
        targets = then.discover(sources, service=job.request.service).targets
    except UsageError:
        targets = ()
    before = {(target.version, target.context) for target in targets}
    return any((target.version, target.context) not in before for target in job.targets)


def _find_other_interpreter(job: Job, seen: CheckState, then: GitStage) -> str:
    for target in job.targets:
        key = _interpreter_key(job, target, then.commit or "")
        known = job.cache.known(key, [_SEEN]).get(_SEEN)
        now = {row.interpreter for row in seen.rows if row.found_in == target.found_in}
        if known is not None and known.decode() not in now:
            return f"the interpreter (it was {known.decode()})"
    return ""
