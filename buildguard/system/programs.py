"""Finding programs on PATH, outside of the project: what is under check must not choose what we run.

A relative or empty entry of PATH names the folder under check, and an activated virtual environment puts an absolute one
that is inside the project in front.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

_before: dict[str, str] = {}  # the PATH that a reduced one was made of


def search_path() -> list[str]:
    """The absolute folders of PATH, in order."""
    return _absolute(os.environ)


def which(name: str, project: Path | str) -> str | None:
    """The absolute path of an executable on PATH that is outside of the project around a folder."""
    return next(several(name, project), None)


def several(name: str, project: Path | str) -> Iterator[str]:
    """Every executable of a name that is outside of the project around a folder, in the order of PATH."""
    return _named(name, search_path(), _roots(os.path.realpath(project)))


def which_for_user(name: str) -> str | None:
    """The absolute path of an executable that a person named; it may be one of the project's."""
    return next(_named(name, _absolute(users_environment()), []), None)


def leave_project_out_of_path(folder: Path | None = None) -> None:
    """Take relative folders and those of the project around a folder, by default the working folder, out of PATH.

    Libraries look for programs as well: Google's for gcloud, Docker's for credential helpers.
    """
    try:
        roots = _roots(os.getcwd() if folder is None else os.path.realpath(folder))
    except OSError:
        return  # the working folder was removed: whatever reads it says so
    folders = [folder for folder in search_path() if not _is_below(os.path.join(folder, "program"), roots)]
    path = os.pathsep.join(folders) or os.defpath
    if "PATH" in os.environ and path != os.environ["PATH"]:
        _before[path] = users_environment()["PATH"]
        os.environ["PATH"] = path


def users_environment() -> dict[str, str]:
    """The environment as it was at the start, for a command that a person wrote: it may use the project's programs."""
    path = os.environ.get("PATH")
    return {**os.environ} if path is None else {**os.environ, "PATH": _before.get(path, path)}


def _absolute(environment: Mapping[str, str]) -> list[str]:
    return [folder for folder in environment.get("PATH", "").split(os.pathsep) if os.path.isabs(folder)]


def _named(name: str, folders: Sequence[str], roots: Sequence[str]) -> Iterator[str]:
    for folder in folders:
        candidate = os.path.join(folder, name)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK) and not _is_below(candidate, roots):
            yield candidate


def _roots(folder: str) -> list[str]:
    """The folder and the repository around it; of a submodule or linked worktree also the one that it is in.

    Where a home folder is itself a repository, a person's own programs in it still count.
    """
    roots = [folder] if folder != os.sep else []
    home = os.path.realpath(os.path.expanduser("~"))
    while True:
        mark = os.path.join(folder, ".git")
        if os.path.lexists(mark) and folder != home:
            roots.append(folder)
        if os.path.isdir(mark) or folder == os.path.dirname(folder):
            return roots
        folder = os.path.dirname(folder)


def _is_below(path: str, roots: Sequence[str]) -> bool:
    """Whether a path, or what it leads to, is in one of some folders."""
    names = (os.path.join(os.path.realpath(os.path.dirname(path)), ""), os.path.realpath(path))
    return any(name.startswith(os.path.join(root, "")) for name in names for root in roots)
