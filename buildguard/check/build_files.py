"""What `check` says of the files that a build is made of: build files by Cloud Build's rules, and the step file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from buildguard.check.context import Job
from buildguard.diagnostic import Diagnostic, Range, Severity, display_path
from buildguard.project.config import Config
from buildguard.project.discovery import is_build_file_name
from buildguard.remote.manifest_rows import VERIFIER
from buildguard.stages.stage import Stage

REWRITE_HINT = "buildguard init --cloudbuild writes both anew"


def check_build_files(job: Job) -> list[Diagnostic]:
    """BG410 to BG418 of every build file that was asked about, and BG406 of the step file."""
    stage, config = job.place.stage, job.config
    files = dict(build_files(stage, config))
    diagnostics = [
        diagnostic
        for path, data in files.items()
        if job.covers(os.fsencode(path))
        for diagnostic in _check_build_file(path, data, config)
    ]
    if job.scope is not None and (data := step_file(stage)) is not None:
        diagnostics += check_step_file(data, files, config)
    return diagnostics


def build_files(stage: Stage, config: Config) -> Iterator[tuple[str, bytes]]:
    """The readable build files of a stage and their content, less what the configuration excludes."""
    named = [
        candidate
        for candidate in stage.entries()
        if is_build_file_name(candidate.path) or candidate.path == config.build_file.encode()
    ]
    if not named:
        return
    from buildguard.project.sources import matches

    for entry, content in stage.contents(
        [candidate for candidate in named if not matches(config.exclude, os.fsdecode(candidate.path))]
    ):
        if isinstance(content, bytes):
            yield display_path(entry.path), content


def step_file(stage: Stage) -> bytes | None:
    """The content of the step file, None where there is none that can be read."""
    entries = [candidate for candidate in stage.entries() if candidate.path == VERIFIER]
    for _entry, content in stage.contents(entries):
        return content if isinstance(content, bytes) else None
    return None


def check_step_file(data: bytes, files: dict[str, bytes], config: Config) -> Iterator[Diagnostic]:
    """BG406: a step that the build will refuse to run, or that looks at other files than `check` does."""
    from buildguard.project.cloudbuild import guard_step as step

    for path, content in files.items():
        for line, digest in step.started(content):
            if digest != step.sha256(data):
                message = f"this step will refuse {step.NAME}: it was written for another version of that file"
                yield Diagnostic(
                    "BG406", Severity.ERROR, path, Range(line), message, f"{REWRITE_HINT}: commit them together"
                )
    written = step.read(data)
    if written is None:
        return
    for key, in_step in (("include", written.include), ("exclude", written.exclude)):
        here = tuple(pattern for pattern, _regex in step.rules(getattr(config, key)))
        if here != in_step:
            message = f"the build step's {key} is {_listed(in_step)}, and the configuration's is {_listed(here)}"
            yield Diagnostic("BG406", Severity.WARNING, step.NAME, Range(written.line), message, REWRITE_HINT)


def _listed(patterns: Iterable[str]) -> str:
    return ", ".join(patterns) or "empty"


def _check_build_file(path: str, data: bytes, config: Config) -> Iterator[Diagnostic]:
    from buildguard.project.cloudbuild.lint import problems

    for problem in problems(data, path, dict(config.substitutions)):
        yield Diagnostic(
            problem.code,
            problem.severity,
            path,
            problem.range,
            problem.message,
            problem.hint,
            None,
            "rule",
            problem.excerpt,
        )
