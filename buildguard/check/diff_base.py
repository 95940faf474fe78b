"""`check --diff-base`: what changed since a commit, unless what judges it has changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import cached_property

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
    from buildguard.check.result import CheckReport
    from buildguard.check.targets import CheckState

_ABOUT_THE_FILE = ("BG1", "BG2")  # codes of what is wrong with a file whatever the others are
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
    """What is reported with `--diff-base`, how much is not, and a note on that."""

    diagnostics: Sequence[Diagnostic]
    unproven: Sequence[Unproven]
    note: str = ""
    hidden: int = 0


def narrow_to_changes(
    job: Job, diagnostics: Sequence[Diagnostic], seen: CheckState, judge_base: Callable[[GitStage], CheckReport | None]
) -> NarrowedFindings:
    """With `--diff-base`: what is new since, unless something that decides all findings changed.

    New is what is found in changed files, and in others what depends on changed ones: a module that is gone, a name that
    it had. `judge_base` is asked for the report of the base where there is any of that; None where it has none.
    """
    if not job.base:
        return NarrowedFindings(diagnostics, seen.unproven)
    repository = job.place.repository
    if repository is None:
        raise git.missing_repository("--diff-base needs a git repository")
    then = commit_of(repository, repository.resolve(job.base))
    invalidation = _find_invalidation(job, seen, then) if job.request.diff_base else ""
    if invalidation:
        note = f"{invalidation} changed since {job.base}: everything is reported"
        return NarrowedFindings(diagnostics, seen.unproven, note)
    paths = {diagnostic.path for diagnostic in diagnostics} | {item.path for item in seen.unproven}
    same: set[str | None] = {display_path(path) for path in _unchanged(job, then, {path for path in paths if path})}
    if not job.request.diff_base:
        same.add(None)  # a commit has to bring what a hook refuses it for
    return _leave_out(_FoundBefore(same, then, judge_base), diagnostics, seen.unproven, job.base)


class _FoundBefore:
    """What the base had, in files that are the same; what is not about their own bytes alone is looked up there."""

    def __init__(
        self, same: Collection[str | None], then: GitStage, judge_base: Callable[[GitStage], CheckReport | None]
    ) -> None:
        self._same = same
        self._then = then
        self._judge_base = judge_base

    @cached_property
    def _known(self) -> frozenset[object]:
        report = self._judge_base(self._then)
        if report is None:
            return frozenset()
        return frozenset([*map(_key, report.diagnostics), *((item.path, item.reason) for item in report.unproven)])

    def has(self, diagnostic: Diagnostic) -> bool:
        """Whether a finding is an old one; damage on the way has no author, and is reported wherever it is."""
        if diagnostic.path not in self._same or diagnostic.code.startswith("BG3"):
            return False
        return diagnostic.code.startswith(_ABOUT_THE_FILE) or _key(diagnostic) in self._known

    def has_unproven(self, item: Unproven) -> bool:
        """Whether a file could not be examined before either."""
        return item.path in self._same and (item.path, item.reason) in self._known


def _key(diagnostic: Diagnostic) -> tuple[object, ...]:
    return diagnostic.code, diagnostic.path, diagnostic.range.line, diagnostic.message


def _leave_out(
    before: _FoundBefore, diagnostics: Sequence[Diagnostic], unproven: Sequence[Unproven], base: str
) -> NarrowedFindings:
    kept = [found for found in diagnostics if not before.has(found)]
    kept_unproven = [item for item in unproven if not before.has_unproven(item)]
    hidden = len(diagnostics) + len(unproven) - len(kept) - len(kept_unproven)
    note = f"not shown: {count(hidden, 'finding')} in files that did not change since {base}" if hidden else ""
    return NarrowedFindings(kept, kept_unproven, note, hidden)


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
