"""The distributions that a project's files ask for, so that their modules count as possibly installed. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import UsageError
from buildguard.imports.declared import may_declare
from buildguard.imports.lock import LOCKS
from buildguard.project import toml
from buildguard.project.package_names import normalize

if TYPE_CHECKING:
    from buildguard.imports.distributions import ModuleIndex

_FILE = lazy_pattern(
    r"(?:^|/)(?:[\w.-]*requirements?[\w.-]*\.(?:txt|in)|requirements/[^/]+\.(?:txt|in)|constraints[\w.-]*\.txt|pyproject\.toml"
    r"|Pipfile(?:\.lock)?|setup\.(?:py|cfg)|environment[\w.-]*\.ya?ml|conda[\w.-]*\.ya?ml|(?:uv|poetry|pdm)\.lock|pylock\.toml"
    r"|(?:[^/]*\.)?[Dd]ockerfile(?:[-._][^/]+)?|cloudbuild[^/]*\.ya?ml)$"
)
_NAME = lazy_pattern(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_QUOTED = lazy_pattern(r"[\"']([A-Za-z][\w.-]*)\s*(?:\[[^\"']*\])?\s*(?:[<>=~!;@ ][^\"']*)?[\"']")
_LISTED = lazy_pattern(r"(?m)^\s*-\s*([A-Za-z][\w.-]*)")
_LOCKED = lazy_pattern(r"(?m)^name = \"([^\"]+)\"")
_INSTALL = lazy_pattern(r"\b(?:pip3?|uv|conda|mamba|poetry|apt-get|apt|apk)\b[^\n;&|]*\b(?:install|add)\b([^\n;&|]*)")
_UNNAMED = lazy_pattern(r"(?m)^\s*(?:-e\s|--editable|git\+|[\w+.-]+://|\.{0,2}/|[\w./-]+\.whl)|\bgit\+|--find-links")


class Requirements(NamedTuple):
    """The distributions that files name; `has_unnamed` where one is given as a path or an address."""

    names: frozenset[str]
    has_unnamed: bool = False

    def may_bring(self, top: str, index: ModuleIndex) -> bool:
        """Whether an installed package may bring a top-level module, as far as names go."""
        from buildguard.imports.distributions import resembles

        if index.knows(top):
            return True
        return any(index.modules_of(name) is None and resembles(name, top) for name in self.names)


def read_requirements(paths: Iterable[str], read: Callable[[str], bytes | None]) -> Requirements:
    """What every file that names requirements says, those of other parts of a repository as well."""
    names: set[str] = set()
    has_unnamed = False
    for path in paths:
        if may_declare(path) and _FILE.search(path):
            text = (read(path) or b"").decode("utf-8", "replace")
            names |= {normalize(name) for name in _names(posixpath.basename(path), text)}
            has_unnamed |= path.endswith((".txt", ".in")) and _UNNAMED.search(text) is not None
    return Requirements(frozenset(names), has_unnamed)


def _names(base: str, text: str) -> Iterable[str]:
    """The names in a file, read as its name has it; Dockerfiles and the like name them in commands that install."""
    by_suffix = (read for suffixes, read in _BY_SUFFIX if base.endswith(suffixes) and not base.startswith("cloudbuild"))
    read = _BY_NAME.get(base) or next(by_suffix, _installed)
    return read(text)


def _leading_names(words: Iterable[str]) -> Iterator[str]:
    return (match[0] for word in words if (match := _NAME.match(word.strip())))


def _of_lines(text: str) -> Iterator[str]:
    return _leading_names(text.splitlines())


def _of_setup(text: str) -> Iterator[str]:
    yield from _QUOTED.findall(text)
    yield from _of_lines(text)


def _installed(text: str) -> Iterator[str]:
    words = (word for match in _INSTALL.findall(text) for word in match.split())
    return _leading_names(word for word in words if not word.endswith(".txt"))


def _of_pyproject(text: str) -> Iterator[str]:
    try:
        document = toml.read(text.encode(), "pyproject.toml")
    except UsageError:
        return iter(())
    return _leading_names(_strings(_tables(document)))


_BY_NAME: Mapping[str, Callable[[str], Iterable[str]]] = {
    **dict.fromkeys((*LOCKS, "pdm.lock"), _LOCKED.findall),
    **dict.fromkeys(("setup.py", "setup.cfg", "Pipfile.lock"), _of_setup),
    "pyproject.toml": _of_pyproject,
    "Pipfile": re.compile(r"(?m)^\"?([A-Za-z][\w.-]*)\"?\s*=").findall,
}
_BY_SUFFIX: tuple[tuple[tuple[str, ...], Callable[[str], Iterable[str]]], ...] = (
    ((".txt", ".in"), _of_lines),
    ((".yml", ".yaml"), _LISTED.findall),
)


def _tables(document: Mapping[str, Any]) -> Iterator[Any]:
    """The parts of a pyproject.toml that list requirements."""
    project, poetry = toml.table(document, "project"), toml.table(document, "tool", "poetry")
    yield from (project.get("dependencies"), project.get("optional-dependencies"), document.get("dependency-groups"))
    for table in (poetry, *toml.table(poetry, "group").values()):
        for key in ("dependencies", "dev-dependencies"):
            yield list(toml.table(table, key))
    for tool in ("uv", "pdm"):
        yield toml.table(document, "tool", tool).get("dev-dependencies")


def _strings(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _strings(value.values())
        elif isinstance(value, list):
            yield from _strings(value)
