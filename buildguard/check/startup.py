"""Findings of `check` about the start: command, files and port of each image that is asked about."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from buildguard.check.context import Job
from buildguard.check.targets import CheckState
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, Unproven, display_path
from buildguard.errors import GuardError
from buildguard.project.discovery import builds_images
from buildguard.project.sources import matches
from buildguard.remote.source_names import SUFFIXES
from buildguard.startup.findings import FindingPlace, StartupReport

NOT_COMPILED = "the start command runs it with Python, and it was not compiled: only `.py` files and `#!` scripts are"


def add_startup(job: Job, seen: CheckState) -> None:
    """Add the findings on the files that were asked about, and what cannot be decided."""
    if job.scope is None or not (job.targets or job.request.staged):  # without a staged source there are no targets
        return
    stage, config, service = job.place.stage, job.config, job.request.service
    try:
        if not service and not builds_images(stage, config):
            return
        from buildguard.startup.installs.check import check_installs  # sixty modules, for projects with an image
        from buildguard.startup.run import check_startup

        report = check_startup(stage, job.place.repository, config, service)
        installs = check_installs(stage, job.place.repository, config, service)
    except GuardError as error:  # with --target nothing else reads these files
        seen.startup_undecided.append(error.words)
        return
    diagnostics = (*report.diagnostics, *installs.diagnostics)
    seen.diagnostics += [diagnostic for diagnostic in diagnostics if _is_asked(job, diagnostic)]
    seen.startup_undecided += (*report.undecided, *installs.undecided)
    seen.unproven += _uncompiled(job, report.executed)
    if report.explained_imports:  # one cause, one finding: the file is missing, not the import wrong
        seen.diagnostics = [each for each in seen.diagnostics if not _is_explained(each, report)]


def _uncompiled(job: Job, executed: Sequence[str]) -> Iterator[Unproven]:
    """The files that a start lets Python read as code, and that neither their name nor a `#!` line shows to be a source."""
    chosen = {entry.path for entry in job.chosen.sources}
    include, exclude = job.config.include, job.config.exclude
    for source in executed:
        path = os.fsencode(source)
        left_out = matches(exclude, source) or (include and not matches(include, source))
        if path in chosen or path.endswith(SUFFIXES) or left_out or not job.covers(path):
            continue
        yield Unproven(display_path(path), None, NOT_COMPILED)


def _is_explained(diagnostic: Diagnostic, report: StartupReport) -> bool:
    place = FindingPlace(diagnostic.path, diagnostic.range.line)
    return diagnostic.code in {Code.BG603, Code.BG604} and place in report.explained_imports


def _is_asked(job: Job, diagnostic: Diagnostic) -> bool:
    return diagnostic.path is None or job.covers(os.fsencode(diagnostic.path))
