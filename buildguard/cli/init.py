"""`buildguard init`: git hooks and a commented configuration. Safe to run twice; never over a person's file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from buildguard.cli.init_cloudbuild import guard_build
from buildguard.errors import GuardError, UnprovenError, UsageError
from buildguard.project import config
from buildguard.system import git

HOOKS = ("pre-commit", "pre-push")
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


def init(cwd: Path, *, cloud_build: bool = False) -> list[str]:
    """Write what is missing; return one line for each thing done or left alone.

    With `cloud_build`, the step file and the step in the build file, and nothing else.
    """
    repository = git.repository_of(cwd)
    if repository is None:
        raise UsageError("this is not a git repository", hint="git init, then buildguard init")
    try:
        if cloud_build:
            return guard_build(cwd)
        offer = (
            "Cloud Build: buildguard init --cloudbuild puts a step into your build file that checks all of this first"
        )
        return [*_hooks(repository), *_configuration(repository.top), *_health(repository.top), offer]
    except OSError as error:
        raise UnprovenError(f"{error.filename}: {error.strerror}") from error


def hook_text(name: str) -> bytes:
    """The text of one of HOOKS, from the wheel or from a checkout."""
    package = Path(__file__).parents[2]
    for folder in (package / "hooks", package.parent / "hooks"):
        if (folder / name).is_file():
            return (folder / name).read_bytes()
    raise UnprovenError(f"the {name} hook is missing from this installation", hint="install buildguard-gcp again")


def _hooks(repository: git.Repository) -> Iterator[str]:
    folder = git.git_folder(repository, "hooks")
    if not folder.resolve().is_relative_to(repository.top.resolve()) and not _is_default(repository, folder):
        yield f"{folder}: core.hooksPath points there, out of this repository: left alone; see hooks/ for what to add"
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in HOOKS:
        file, text = folder / name, hook_text(name)
        if os.path.lexists(file):
            same = file.is_file() and file.read_bytes() == text
            yield f"{file}: {'already there' if same else 'there is one already: left alone; add `buildguard check` to it'}"
            continue
        file.write_bytes(text)
        file.chmod(0o755)
        yield f"{file}: written"


def _is_default(repository: git.Repository, folder: Path) -> bool:
    """Whether it is the git folder's own `hooks`, which for a linked worktree lies in the main one."""
    return folder.resolve() == (git.git_folder(repository, "info").resolve().parent / "hooks")


def _health(top: Path) -> Iterator[str]:
    """A deploy without a health path; a configuration that cannot be read is every other command's business."""
    with suppress(GuardError, OSError):
        files = {name: (top / name.decode()).read_bytes() for name in config.FILES if (top / name.decode()).is_file()}
        note = config.read(files).deploy.health_note
        if note:
            yield note


def _configuration(top: Path) -> Iterator[str]:
    file = top / "pyproject.toml"
    if (top / "buildguard.toml").exists():
        yield "buildguard.toml: already there"
    elif not os.path.lexists(file):
        table = _TABLE.removeprefix("# [tool.buildguard]\n").replace("tool.buildguard.", "")
        (top / "buildguard.toml").write_text(table, "utf-8")
        yield "buildguard.toml: written, everything in it commented out"
    elif _MARK in file.read_text("utf-8", errors="replace"):
        yield "pyproject.toml: already speaks of buildguard"
    elif file.is_symlink():
        yield "pyproject.toml: a symbolic link, left alone"
    else:
        data = file.read_bytes()
        newline = b"\r\n" if b"\r\n" in data else b"\n"
        with file.open("ab") as out:
            out.write((b"" if not data or data.endswith(b"\n") else newline) + newline)
            out.write(_TABLE.encode().replace(b"\n", newline))
        yield "pyproject.toml: a commented [tool.buildguard] table was added at the end"
