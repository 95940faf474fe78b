"""What `check` says of the files that a build is made of: build files by Cloud Build's rules, and the step file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from buildguard.check.context import Job
from buildguard.diagnostic import Diagnostic, Range, Severity, shown_path
from buildguard.project.config import Config
from buildguard.project.discovery import cloudbuild_name
from buildguard.remote.manifest_rows import VERIFIER
from buildguard.stages.stage import Stage

AGAIN = "buildguard init --cloudbuild writes both anew"


def findings(job: Job) -> list[Diagnostic]:
    """BG410 to BG418 of every build file that was asked about, and BG406 of the step file."""
    stage, config = job.place.stage, job.config
    files = dict(build_files(stage, config))
    found = [
        one for path, data in files.items() if job.covers(os.fsencode(path)) for one in _problems(path, data, config)
    ]
    if job.scope is not None and (data := step_file(stage)) is not None:
        found += step_troubles(data, files, config)
    return found


def build_files(stage: Stage, config: Config) -> Iterator[tuple[str, bytes]]:
    """The readable build files of a stage and their content, less what the configuration excludes."""
    named = [one for one in stage.entries() if cloudbuild_name(one.path) or one.path == config.build_file.encode()]
    if not named:
        return
    from buildguard.project.sources import matches

    for entry, content in stage.contents([one for one in named if not matches(config.exclude, os.fsdecode(one.path))]):
        if isinstance(content, bytes):
            yield shown_path(entry.path), content


def step_file(stage: Stage) -> bytes | None:
    """The content of the step file, None where there is none that can be read."""
    entries = [one for one in stage.entries() if one.path == VERIFIER]
    for _entry, content in stage.contents(entries):
        return content if isinstance(content, bytes) else None
    return None


def step_troubles(data: bytes, files: dict[str, bytes], config: Config) -> Iterator[Diagnostic]:
    """BG406: a step that the build will refuse to run, or that looks at other files than `check` does."""
    from buildguard.project.cloudbuild import guard_step as step

    for path, content in files.items():
        for line, digest in step.started(content):
            if digest != step.sha256(data):
                message = f"this step will refuse {step.NAME}: it was written for another version of that file"
                yield Diagnostic("BG406", Severity.ERROR, path, Range(line), message, f"{AGAIN}: commit them together")
    written = step.read(data)
    if written is None:
        return
    for key, there in (("include", written.include), ("exclude", written.exclude)):
        here = tuple(pattern for pattern, _regex in step.rules(getattr(config, key)))
        if here != there:
            message = f"the build step's {key} is {_listed(there)}, and the configuration's is {_listed(here)}"
            yield Diagnostic("BG406", Severity.WARNING, step.NAME, Range(written.line), message, AGAIN)


def _listed(patterns: Iterable[str]) -> str:
    return ", ".join(patterns) or "empty"


def _problems(path: str, data: bytes, config: Config) -> Iterator[Diagnostic]:
    from buildguard.project.cloudbuild.lint import problems

    for one in problems(data, path, dict(config.substitutions)):
        yield Diagnostic(one.code, one.severity, path, one.range, one.message, one.hint, None, "rule", one.excerpt)
