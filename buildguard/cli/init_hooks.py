"""The git hooks that `buildguard init` writes, and what it says where a hook exists or could prove nothing."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

from buildguard.cli.init_pre_commit import guard_pre_commit, uses_pre_commit
from buildguard.cli.render.formats import write
from buildguard.diagnostic import RelativePath
from buildguard.errors import GuardError, UnprovenError
from buildguard.load import Project
from buildguard.project.target import Target
from buildguard.stages.stage import Entry, EntryKind
from buildguard.system import git

HOOKS = ("pre-commit", "pre-push")
_COMMANDS = {
    "pre-commit": "buildguard check --staged --proof predicted",
    "pre-push": "buildguard check commit:SHA --proof predicted",
}
_WRITTEN_BY = b"Written by `buildguard init`"


def install_hooks(repository: git.Repository, *, pre_commit: bool) -> Iterator[str]:
    """Write the hooks that are missing; with `pre_commit`, or where it is in use, it runs the one for commits."""
    by_pre_commit = pre_commit or uses_pre_commit(repository.top)
    if by_pre_commit:
        yield from guard_pre_commit(repository.top, add=pre_commit)
    folder = git.git_folder(repository, "hooks")
    if not folder.resolve().is_relative_to(repository.top.resolve()) and not _is_default(repository, folder):
        yield f"{folder}: core.hooksPath is set to it, outside of this repository: unchanged; add to each hook:"
        yield from (f"  {name}: {command}" for name, command in _COMMANDS.items())
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in HOOKS:
        if not (by_pre_commit and name == "pre-commit"):
            yield _install(folder / name, hook_text(name))


def hook_text(name: str) -> bytes:
    """The text of one of HOOKS: a wheel has them inside the package, a checkout beside it."""
    package = Path(__file__).parents[1]
    for folder in (package / "hooks", package.parent / "hooks"):
        if (folder / name).is_file():
            return (folder / name).read_bytes()
    raise UnprovenError(f"the {name} hook is missing from this installation", hint="reinstall buildguard-gcp")


def target_notes(project: Project) -> Iterator[str]:
    """A line for each reason why the hooks would prove nothing: a target whose Python no file sets."""
    try:
        targets = _targets(project)
    except GuardError as error:
        yield f"warning: the hooks will refuse every commit with Python sources: {error.what}"
        yield from (f"  {line}" for line in error.hint.splitlines())
        return
    for target in targets:
        if target.version is None:
            yield f"warning: the hooks will refuse commits that need {target.found_in}: {target.why_unknown}"
            yield '  a hook pulls no image; set [tool.buildguard] target = ["3.11"]'


def _targets(project: Project) -> tuple[Target, ...]:
    """The targets of a repository; one without sources yet must have a target for some folder."""
    if project.chosen.sources:
        return project.targets
    folders = {posixpath.dirname(entry.path) for entry in project.stage.entries()} | {b""}
    expected = [Entry(RelativePath(posixpath.join(folder, b"main.py")), EntryKind.FILE) for folder in sorted(folders)]
    project.discover(expected)
    return ()


def _install(file: Path, text: bytes) -> str:
    if not os.path.lexists(file):
        write(text, file, 0o755)
        file.chmod(0o755)  # whatever the umask
        return f"{file}: written"
    present = file.read_bytes() if file.is_file() else b""
    if present == text:
        return f"{file}: already present, unchanged"
    if b"buildguard check" in present and _WRITTEN_BY not in present:
        return f"{file}: already runs buildguard, unchanged"
    if _WRITTEN_BY in present:
        return f"{file}: from another version of buildguard, unchanged; delete it and run buildguard init again"
    return f"{file}: another hook, unchanged; add to it: {_COMMANDS[file.name]}"


def _is_default(repository: git.Repository, folder: Path) -> bool:
    """Whether it is the git folder's own `hooks`, which a linked worktree shares with its main worktree."""
    return folder.resolve() == (git.git_folder(repository, "info").resolve().parent / "hooks")
