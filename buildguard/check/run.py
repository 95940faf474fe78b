"""`buildguard check`: every source, compiled by the Python that will run it."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Container, Iterable, Sequence

from buildguard.check import build_files, diff_base
from buildguard.check.context import Job, asked_about, nothing_checked, prepare
from buildguard.check.filters import apply_ignores
from buildguard.check.merge import merge_findings, merge_targets
from buildguard.check.result import CheckReport
from buildguard.check.targets import CheckState, Watcher, judge_all
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity, Unproven, count, display_path, name_some
from buildguard.errors import GuardError, UnprovenError
from buildguard.imports.records import UndecidedImport
from buildguard.locate import WorkScope
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.request import CheckRequest
from buildguard.project.target import Target
from buildguard.stages.git_objects import HOW_TO_REPAIR, GitStage, damaged_in
from buildguard.stages.reading_once import reading_once

_OPINIONS = 1000  # files that are shown to this machine's python3 at the most


def check(request: CheckRequest, place: WorkScope, watcher: Watcher) -> CheckReport:
    """Judge every source of the request for each of its targets.

    Raises UsageError for a request that makes no sense, UnprovenError where nothing could be looked at at all.
    """
    with reading_once(place.stage):
        return _check(request, place, watcher)


def _check(request: CheckRequest, place: WorkScope, watcher: Watcher) -> CheckReport:
    started = time.monotonic()
    try:
        job = prepare(request, place)
    except GuardError as error:
        if not damaged_in(place.stage):
            raise
        return _only_damage(request, place, error, started)
    try:
        seen = judge_all(job, watcher)
        seen.diagnostics += build_files.check_build_files(job)
        if not request.staged or _decides_more(job):
            from buildguard.check.snippets import add_snippets
            from buildguard.check.startup import add_startup  # a commit of Python sources alone has no time for it

            add_snippets(job, seen, watcher)
            add_startup(job, seen)
        return build_report(job, seen, started)
    finally:
        job.cache.close()


def _decides_more(job: Job) -> bool:
    """Whether something else than Python sources is staged: a Dockerfile, an ignore rule, a build file."""
    return bool({*(job.scope or ())} - {entry.path for entry in job.chosen.sources})


def build_report(job: Job, seen: CheckState, started: float) -> CheckReport:
    """What was seen of a job, silenced, merged and sorted; `started` is when it was begun."""
    request = job.request
    paths = asked_about(job)
    if paths and paths <= seen.deleted:
        seen.unproven.append(Unproven(None, None, nothing_checked(job)))
    damage = _damage(job.place)
    damaged = {diagnostic.path for diagnostic in damage}
    seen.unproven = [item for item in seen.unproven if item.path is None or item.path not in damaged]
    diagnostics = [
        *seen.diagnostics,
        *damage,
        *_report_conflicts(job.targets),
        *_report_pins(job.targets),
        *_note_local_python(job, seen),
    ]
    kept, idle = apply_ignores(diagnostics, seen.ignores)
    kept = merge_findings(job.filters.keep(kept))
    if len(seen.rows) > 1:
        kept = merge_targets(kept, _oldest_first(seen))
    narrowed = diff_base.narrow_to_changes(job, kept, seen, lambda then: _judge_base(job, then))
    undecided = tuple(dict.fromkeys(seen.undecided))
    notes = [*job.notes, *idle, narrowed.note, *seen.notes, *_note_undecided(undecided), *job.cache.notes]
    if not request.staged:  # a deploy is no commit
        notes += job.config.health_notes
    else:
        notes.append(_note_unstaged(job, narrowed.diagnostics))
    return CheckReport(
        root=os.path.relpath(job.place.root, request.cwd),
        targets=tuple(seen.rows),
        diagnostics=tuple(sorted(set(narrowed.diagnostics), key=_order)),
        unproven=tuple(dict.fromkeys(narrowed.unproven)),
        notes=tuple(dict.fromkeys(filter(None, notes))),
        files=len(paths - seen.deleted),
        seconds=round(time.monotonic() - started, 3),
        strict=request.strict,
        chain=seen.chain,
        baseline=job.config.baseline,
        startup_undecided=tuple(seen.startup_undecided),
        undecided_imports=undecided,
        snippets=seen.snippets,
        unchecked=tuple(dict.fromkeys(seen.unchecked)),
        executed=frozenset(seen.executed),
        hidden=narrowed.hidden,
    )


def _judge_base(job: Job, then: GitStage) -> CheckReport | None:
    """The report of the commit that findings are compared with, None where it has none; no build is started for it."""
    from buildguard.check.silent_watcher import SilentWatcher
    from buildguard.engines import select as engines
    from buildguard.engines.engine import EngineName

    names = engines.parse(job.request.engine) or engines.order_of(job.config)
    local = ",".join(name for name in names if name is not EngineName.CLOUD) or EngineName.STATIC
    request = job.request._replace(staged=False, diff_base="", engine=local, proof=ProofGrade.PREDICTED)
    paths = () if job.request.staged else job.place.paths
    try:
        return check(request, job.place._replace(stage=then, paths=paths), SilentWatcher())
    except GuardError:
        return None  # then all counts as new


def _note_undecided(undecided: Sequence[UndecidedImport]) -> list[str]:
    """One line about all imports of which nothing can be said, with the first of them."""
    if not undecided:
        return []
    first = undecided[0]
    which = ":" if len(undecided) == 1 else "; the first is"
    return [f"{count(len(undecided), 'import')} could not be decided{which} {first.path}:{first.line}: {first.reason}"]


def _note_unstaged(job: Job, diagnostics: Iterable[Diagnostic]) -> str:
    """That files with errors were changed after they were staged, as `buildguard fix` does; empty if none was."""
    repository = job.place.repository
    paths = {diagnostic.path for diagnostic in diagnostics if diagnostic.severity is Severity.ERROR}
    if repository is None or not paths:
        return ""
    from buildguard.stages.worktree_changes import unchanged

    touched = {path for path in repository.touched() if display_path(path) in paths}
    rows = [row for row in repository.index_rows() if row.path in touched] if touched else []
    edited = sorted({row.path for row in rows} - {*unchanged(repository, rows)})
    if not edited:
        return ""
    return (
        f"changed since they were staged: {name_some(list(map(display_path, edited)))}; to commit the changes: git add"
    )


def _oldest_first(seen: CheckState) -> list[str]:
    """The targets' names by their version."""
    return sorted(
        {row.python for row in seen.rows}, key=lambda name: [int(part) for part in name.split(".") if part.isdigit()]
    )


def _order(diagnostic: Diagnostic) -> tuple[object, ...]:
    return (
        diagnostic.path is None,
        diagnostic.path or "",
        diagnostic.range.line or 0,
        diagnostic.range.column or 0,
        diagnostic.code,
        diagnostic.target or "",
        diagnostic.message,  # a set of several has another order in each run
    )


# ------------------------------------------------------------------------------------------ the whole


def _damage(place: WorkScope) -> list[Diagnostic]:
    """BG306 for each object of git that was read and does not match its id."""
    return [
        Diagnostic(Code.BG306, Severity.ERROR, display_path(path) or None, Range(), reason, HOW_TO_REPAIR)
        for path, reason in damaged_in(place.stage).items()
    ]


def _only_damage(request: CheckRequest, place: WorkScope, error: GuardError, started: float) -> CheckReport:
    """The report where damage is why nothing could be prepared."""
    return CheckReport(
        root=os.path.relpath(place.root, request.cwd),
        targets=(),
        diagnostics=tuple(sorted(_damage(place), key=_order)),
        unproven=(Unproven(None, None, error.words),),
        notes=(),
        files=0,
        seconds=round(time.monotonic() - started, 3),
        strict=request.strict,
    )


def _report_conflicts(targets: Iterable[Target]) -> list[Diagnostic]:
    """BG401 for each declaration that contradicts the one that runs in production, once; an error where a build refuses."""
    by_place: dict[tuple[str, int | None], Diagnostic] = {}
    for target in targets:
        source, change = _source_of_version(target)
        for declaration in target.conflicts:
            message = f"says {declaration.words}, but the target is Python {target.python} ({source})"
            severity = Severity.WARNING
            if declaration.refusal:
                severity, message = Severity.ERROR, f"{message}: {declaration.refusal}"
            hint = f"make {declaration.place} say {target.python}, or {change}"
            diagnostic = Diagnostic(
                Code.BG401,
                severity,
                DisplayPath(declaration.file),
                Range(declaration.line),
                message,
                hint,
                target.python,
            )
            place = (declaration.file, declaration.line)
            if place not in by_place or severity is Severity.ERROR:
                by_place[place] = diagnostic
    return list(by_place.values())


def _source_of_version(target: Target) -> tuple[str, str]:
    """What sets the Python of a target, and how to change that; a file that a builder's default stands for sets none."""
    pin = target.pin_problem
    if pin is not None and pin.severity is Severity.WARNING:
        from buildguard.project.buildpacks import VERSION_FILE

        if os.path.basename(pin.file) != VERSION_FILE:
            return "the builder's default", f"pin another Python in {os.path.join(target.context or '', VERSION_FILE)}"
    return target.found_in, f"change {target.found_in}"


def _report_pins(targets: Iterable[Target]) -> list[Diagnostic]:
    """BG407 for each target whose Python the platform chooses, or cannot take."""
    return [
        Diagnostic(
            Code.BG407, pin.severity, DisplayPath(pin.file), Range(pin.line), pin.message, pin.hint, target.python
        )
        for target in targets
        if (pin := target.pin_problem) is not None
    ]


def _note_local_python(job: Job, seen: CheckState) -> list[Diagnostic]:
    """BG403: what this machine's python3 accepts and the target rejects, once for each target."""
    rejected = {
        (diagnostic.target, diagnostic.path)
        for diagnostic in seen.diagnostics
        if diagnostic.target is not None and diagnostic.code in {Code.BG101, Code.BG103}
    }
    version, accepted = _find_accepted_here(job, {path for _target, path in rejected})
    predicted = {row.python for row in seen.rows if row.proof == ProofGrade.PREDICTED}
    counts = Counter(target for target, path in rejected if path in accepted)
    return [
        _local_python_note(version, python, number, "is predicted to reject" if python in predicted else "rejects")
        for python, number in sorted(counts.items())
    ]


def _find_accepted_here(job: Job, paths: Container[str | None]) -> tuple[str, set[str]]:
    """The version of this machine's python3, and those of some files that it accepts: none where it cannot be asked."""
    from buildguard.engines.interpreter import find_accepted
    from buildguard.engines.pool import source_of
    from buildguard.system.pythons import default_python3

    entries = [entry for entry in job.chosen.sources if display_path(entry.path) in paths][:_OPINIONS]
    python3 = default_python3(job.place.root) if entries else None
    if python3 is None:
        return "", set()
    readable = [(entry, data) for entry, data in job.place.stage.contents(entries) if isinstance(data, bytes)]
    sources = [source_of(number, data) for number, (_entry, data) in enumerate(readable)]
    try:
        version, accepted = find_accepted(python3, sources)
    except UnprovenError:
        return "", set()  # a second opinion is not needed
    return version, {display_path(readable[number][0].path) for number in accepted}


def _local_python_note(version: str, python: str, number: int, rejects: str) -> Diagnostic:
    files = count(number, "file")
    message = f"works here, breaks there: this machine's python3 is {version} and accepts {files} that Python {python} {rejects}"
    hint = f"develop and test on Python {python}, or move the deployed Python to what you develop on"
    return Diagnostic(Code.BG403, Severity.WARNING, None, Range(), message, hint, python, "interpreter")
