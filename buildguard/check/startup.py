"""Findings of `check` about the start: command, files and port of each image that is asked about."""

from __future__ import annotations

import os

from buildguard.check.context import Job
from buildguard.check.targets import CheckState
from buildguard.diagnostic import Diagnostic
from buildguard.startup.run import check_startup


def add_startup(job: Job, seen: CheckState) -> None:
    """Add the findings on the files that were asked about, and what cannot be decided."""
    if job.scope is None or not job.targets:
        return
    report = check_startup(job.place.stage, job.place.repository, job.config, job.request.service)
    seen.diagnostics += [diagnostic for diagnostic in report.diagnostics if _is_asked(job, diagnostic)]
    seen.startup_undecided += report.undecided


def _is_asked(job: Job, diagnostic: Diagnostic) -> bool:
    return diagnostic.path is None or job.covers(os.fsencode(diagnostic.path))
