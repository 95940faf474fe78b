"""An image build that a file of the project declares, in whatever tool's words. Pure."""

from __future__ import annotations

import posixpath

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import dockerfile

_REMOTE = lazy_pattern(r"[\w+.-]+://|git@|github\.com/")
_ABSOLUTE = lazy_pattern(r"[/~\\]|[A-Za-z]:[/\\]")


class DeclaredBuild(NamedTuple):
    """One image that a file builds: Dockerfile and context from the root, arguments, and the line that says so.

    `target` is the stage that is built, where that is what is deployed.
    """

    dockerfile: str
    context: str
    build_args: tuple[tuple[str, str], ...]
    place: str
    target: str = ""


class UnusableBuildError(Exception):
    """Why a build cannot be used: the text of a note, empty where it concerns no file of the project."""


def path_inside(folder: str, text: str, what: str) -> str:
    """A path from the root; raises UnusableBuildError where it is outside of it, or not known without the environment."""
    filled = dockerfile.expand_variables(text, {}).strip()
    if _REMOTE.match(filled):
        raise UnusableBuildError
    if "$" in filled or "{{" in filled:
        raise UnusableBuildError(f"{what} depends on the environment, so it is not known")
    path = posixpath.normpath(posixpath.join(folder, filled or "."))
    if _ABSOLUTE.match(filled) or path == ".." or path.startswith("../"):
        raise UnusableBuildError(f"{what} is outside the root, so it is not used")
    return "" if path == "." else path
