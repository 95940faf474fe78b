"""`buildguard init`: git hooks and a commented configuration. Safe to run twice; no file is overwritten."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from buildguard.cli.init_cloudbuild import guard_build
from buildguard.cli.init_hooks import install_hooks, target_notes
from buildguard.cli.render.formats import write
from buildguard.errors import GuardError, UnprovenError, UsageError
from buildguard.load import Project
from buildguard.system import git

# Keys as they stand below `[tool.buildguard]` in pyproject.toml; buildguard.toml has them without the prefix.
_TABLE = """\
# [tool.buildguard]
# target = ["3.11"]               # normally found in the Dockerfile; set it only to override
# include = ["src", "scripts/*"]  # gitignore syntax; unset: everything that git does not ignore
# exclude = ["templates/**"]
# image = "python:3.11-slim@sha256:…"  # the one that the container engine asks; normally the Dockerfile's
# ignore = ["BG401"]              # `buildguard explain BG401`
#
# [[tool.buildguard.service]]     # only where one repository ships several images
# name = "backend"
# dockerfile = "backend/Dockerfile"
# context = "."
#
# [tool.buildguard.deploy]        # only for `buildguard deploy`
# service = "backend"
# health = "/healthz"             # without it, health is unproven unless / responds with 2xx or a probe is configured
"""
_MARK = "[tool.buildguard]"


def init(cwd: Path, *, cloud_build: bool = False, pre_commit: bool = False) -> list[str]:
    """Write what is missing; return one line for each thing done or left alone.

    With `cloud_build`, the step file and the step in the build file, and nothing else. With `pre_commit`, the hook is
    added to pre-commit's configuration instead of printed.
    """
    repository = git.repository_of(cwd)
    if repository is None:
        raise git.missing_repository("this is not a git repository", hint="git init, then buildguard init")
    if cloud_build and pre_commit:
        raise UsageError("--cloudbuild and --pre-commit cannot be combined", hint="run buildguard init for each")
    try:
        if cloud_build:
            return guard_build(cwd)
        offer = "Cloud Build: buildguard init --cloudbuild adds a step to your build file that checks all of this first"
        written = [*install_hooks(repository, pre_commit=pre_commit), *_configuration(repository.top)]
        project = Project.load(cwd)
        return [*written, *_health(project), *target_notes(project), offer]
    except OSError as error:
        raise UnprovenError(f"{error.filename}: {error.strerror}") from error


def _health(project: Project) -> Iterator[str]:
    """A deploy without a health path; a configuration that cannot be read is every other command's business."""
    with suppress(GuardError, OSError):
        yield from project.root_config.health_notes


def _configuration(top: Path) -> Iterator[str]:
    file = top / "pyproject.toml"
    if (top / "buildguard.toml").exists():
        yield "buildguard.toml: already present, unchanged"
    elif not os.path.lexists(file):
        table = _TABLE.removeprefix("# [tool.buildguard]\n").replace("tool.buildguard.", "")
        write(table, top / "buildguard.toml")
        yield "buildguard.toml: written, everything in it commented out"
    elif _MARK in file.read_text("utf-8", errors="replace"):
        yield "pyproject.toml: [tool.buildguard] already present, unchanged"
    elif file.is_symlink():
        yield "pyproject.toml: a symbolic link, left alone"
    else:
        data = file.read_bytes()
        newline = b"\r\n" if b"\r\n" in data else b"\n"
        with file.open("ab") as out:
            out.write((b"" if not data or data.endswith(b"\n") else newline) + newline)
            out.write(_TABLE.encode().replace(b"\n", newline))
        yield "pyproject.toml: a commented [tool.buildguard] table was added at the end"
