"""`buildguard check`: every source, compiled by the Python that will run it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from buildguard.check import build_files, diff_base
from buildguard.check.context import Job, asked_about, nothing, prepare
from buildguard.check.filters import silenced
from buildguard.check.merge import across_targets, merged
from buildguard.check.result import Report
from buildguard.check.targets import Seen, Watcher, judge_all
from buildguard.diagnostic import Diagnostic, Range, Severity, Unproven, shown_path
from buildguard.errors import GuardError, UnprovenError
from buildguard.locate import Place
from buildguard.project.request import Request
from buildguard.project.target import Target
from buildguard.stages.git_objects import damaged_in

_OPINIONS = 1000  # files that are shown to this machine's python3 at the most


def check(request: Request, place: Place, watcher: Watcher) -> Report:
    """Judge every source of the request for each of its targets.

    Raises UsageError for a request that makes no sense, UnprovenError where nothing could be looked at at all.
    """
    started = time.monotonic()
    try:
        job = prepare(request, place)
    except GuardError as error:
        if not damaged_in(place.stage):
            raise
        return _only_damage(request, place, error, started)
    try:
        seen = judge_all(job, watcher)
        seen.diagnostics += build_files.findings(job)
        return judged(job, seen, started)
    finally:
        job.cache.close()


def judged(job: Job, seen: Seen, started: float) -> Report:
    """What was seen of a job, silenced, merged and sorted; `started` is when it was begun."""
    request = job.request
    paths = asked_about(job)
    if paths and paths <= seen.gone:
        seen.unproven.append(Unproven(None, None, nothing(job)))
    damage = _damage(job.place)
    damaged = {one.path for one in damage}
    seen.unproven = [one for one in seen.unproven if one.path is None or one.path not in damaged]
    diagnostics = [*seen.diagnostics, *damage, *_conflicts(job.targets), *_works_here(job, seen)]
    kept, idle = silenced(diagnostics, seen.ignores)
    job.notes.extend(idle)
    kept = merged(job.filters.keep(kept))
    if len(seen.rows) > 1:
        kept = across_targets(kept, _oldest_first(seen))
    kept, unproven = diff_base.narrowed(job, kept, seen)
    return Report(
        root=os.path.relpath(job.place.root, request.cwd),
        targets=tuple(seen.rows),
        diagnostics=tuple(sorted(set(kept), key=_order)),
        unproven=tuple(dict.fromkeys(unproven)),
        notes=tuple(dict.fromkeys([*job.notes, *seen.notes, *job.cache.notes])),
        files=len(paths - seen.gone),
        seconds=round(time.monotonic() - started, 3),
        strict=request.strict,
        chain=seen.chain,
    )


def _oldest_first(seen: Seen) -> list[str]:
    """The targets' names by their version."""
    return sorted(
        {row.python for row in seen.rows}, key=lambda name: [int(part) for part in name.split(".") if part.isdigit()]
    )


def _order(one: Diagnostic) -> tuple[object, ...]:
    return (one.path is None, one.path or "", one.range.line or 0, one.range.column or 0, one.code, one.target or "")


# ------------------------------------------------------------------------------------------ the whole


def _damage(place: Place) -> list[Diagnostic]:
    """BG306 for each object of git that was read and does not match its id."""
    hint = "`git fsck` lists damaged objects; get them from a clone that is whole"
    return [
        Diagnostic("BG306", Severity.ERROR, shown_path(path) or None, Range(), reason, hint)
        for path, reason in damaged_in(place.stage).items()
    ]


def _only_damage(request: Request, place: Place, error: GuardError, started: float) -> Report:
    """The report where damage is why nothing could be prepared."""
    return Report(
        root=os.path.relpath(place.root, request.cwd),
        targets=(),
        diagnostics=tuple(sorted(_damage(place), key=_order)),
        unproven=(Unproven(None, None, error.words),),
        notes=(),
        files=0,
        seconds=round(time.monotonic() - started, 3),
        strict=request.strict,
    )


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


def _works_here(job: Job, seen: Seen) -> list[Diagnostic]:
    """BG403: what this machine's python3 accepts and the target rejects, said once for each target."""
    from buildguard.engines.interpreter import second_opinion
    from buildguard.engines.pool import source_of
    from buildguard.system.pythons import default_python3

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
