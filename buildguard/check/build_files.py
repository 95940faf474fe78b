"""Findings of `check` on the files that a build is made of: build files by Cloud Build's rules, and the step file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from buildguard.check.context import Job
from buildguard.check.merge import diagnostic_of
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Finding, Range, Severity, display_path
from buildguard.project.config import Config
from buildguard.project.project_files import is_build_file_name
from buildguard.stages.stage import Stage, listing_of

REWRITE_HINT = "buildguard init --cloudbuild rewrites both"


def check_build_files(job: Job) -> list[Diagnostic]:
    """BG410 to BG418 of every build file that was asked about, and BG406 of the step file."""
    stage, config = job.place.stage, job.config
    files = dict(build_files(stage, config))
    diagnostics = [
        diagnostic_of(finding, DisplayPath(path), None, "rule")
        for path, data in files.items()
        if job.covers(os.fsencode(path))
        for finding in check_build_file(path, data, config, job.request.submitted_file)
    ]
    if job.scope is not None and (data := step_file(stage)) is not None:
        diagnostics += check_step_file(data, files, config)
    return diagnostics


_OURS = b".buildguard"  # where the step file is


def build_files(stage: Stage, config: Config) -> Iterator[tuple[str, bytes]]:
    """The readable build files of a stage and their content, less what the configuration excludes."""
    listing, configured = listing_of(stage), config.build_file.encode()
    by_name = [entry.path for entry in listing.holding((), [b"cloudbuild"]) if is_build_file_name(entry.path)]
    named = listing.at([configured, *by_name])
    if not named:
        return
    from buildguard.project.sources import matches

    for entry, content in stage.contents(
        [candidate for candidate in named if not matches(config.exclude, os.fsdecode(candidate.path))]
    ):
        if isinstance(content, bytes):
            yield display_path(entry.path), content


def step_file(stage: Stage) -> bytes | None:
    """The content of the step file, None where it is missing or cannot be read."""
    entries = listing_of(stage).below([_OURS])
    if not entries:
        return None
    from buildguard.remote.manifest_rows import VERIFIER

    entries = [candidate for candidate in entries if candidate.path == VERIFIER]
    for _entry, content in stage.contents(entries):
        return content if isinstance(content, bytes) else None
    return None


def check_build_file(path: str, data: bytes, config: Config, submitted_file: str = "") -> list[Finding]:
    """BG410 to BG418 of one build file; the one that `deploy` submits by the rules for submitted builds."""
    from buildguard.project.cloudbuild.lint import problems

    builds = "submit" if path == submitted_file else config.cloud.builds
    return problems(data, path, dict(config.substitutions), builds)


def check_step_file(data: bytes, files: Mapping[str, bytes], config: Config) -> Iterator[Diagnostic]:
    """BG406: a step that the build will refuse to run, or that compiles other files than `check` does."""
    from buildguard.project.cloudbuild import guard_step as step

    for path, content in files.items():
        for place, digest in step.started(content):
            if digest != step.sha256(data):
                message = f"this step was written for another version of {step.NAME} and will refuse to run it"
                hint = f"{REWRITE_HINT}: commit them together"
                yield Diagnostic(Code.BG406, Severity.ERROR, DisplayPath(path), place, message, hint)
    written = step.read(data)
    if written is None:
        return
    from buildguard.project.ignore.rules import without_comments

    for key, in_step in (("include", written.include), ("exclude", written.exclude)):
        here = tuple(without_comments(getattr(config, key)))
        if here != in_step:
            message = f"the build step's {key} is {_listed(in_step)}, and the configuration's is {_listed(here)}"
            place = Range(written.line, 1)
            yield Diagnostic(Code.BG406, Severity.WARNING, DisplayPath(step.NAME), place, message, REWRITE_HINT)


def _listed(patterns: Iterable[str]) -> str:
    return ", ".join(patterns) or "empty"
