"""What a lock file installs: the distributions of its whole closure, and those that only development groups bring. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.errors import UsageError
from buildguard.project import toml
from buildguard.project.package_names import normalize

if TYPE_CHECKING:
    from typing import Any

LOCKS = ("uv.lock", "pylock.toml", "poetry.lock")
_NAME = lazy_pattern(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


class LockedPackages(NamedTuple):
    """The distributions of a lock file by their normalized names.

    `development` are those that only a development group brings; extras count as production, for an install may ask for
    them, and `optional` are those of them that only extras of the project bring, as far as the file shows it. `local` are the project's own and other folders, archives and repositories: what they contain is unknown.
    `versions` are those that the file has of each: more than one where markers decide.
    """

    file: str
    production: frozenset[str]
    development: frozenset[str]
    local: frozenset[str]
    versions: Mapping[str, frozenset[str]] = MappingProxyType({})
    optional: frozenset[str] = frozenset()


def read_lock(file: str, data: bytes, pyproject: bytes | None) -> LockedPackages | None:
    """The packages of a lock file; None where it is damaged or of a form that is not known."""
    try:
        content = toml.read(data, file)
        project = toml.read(pyproject, "pyproject.toml") if pyproject is not None else {}
        locked = _READERS[posixpath.basename(file)](file, content, project)
        return None if locked is None else locked._replace(versions=_versions(content))
    except (UsageError, TypeError, AttributeError, KeyError, ValueError):
        return None


def _versions(content: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    """The versions of each package in a lock file; all three forms have them in the same place."""
    versions: dict[str, set[str]] = {}
    for package in content.get("packages") or content.get("package") or ():
        if isinstance(package.get("version"), str):
            versions.setdefault(normalize(package["name"]), set()).add(package["version"])
    return {name: frozenset(of_name) for name, of_name in versions.items()}


class _Graph:
    """Packages by their names, each with those that it needs."""

    def __init__(self) -> None:
        self.needs: dict[str, set[str]] = {}

    def closure(self, names: Iterable[str]) -> frozenset[str]:
        """Some packages and everything that they need."""
        reached: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += self.needs.get(name, ())
        return frozenset(reached)


def _read_uv(file: str, content: Mapping[str, Any], _project: Mapping[str, Any]) -> LockedPackages | None:
    packages = content["package"]
    members = {normalize(package["name"]) for package in packages if _is_member(package)}
    if not members:
        return None
    graph, plain = _Graph(), _Graph()
    groups: set[str] = set()
    for package in packages:
        name = normalize(package["name"])
        extras = _values(package.get("optional-dependencies"))
        graph.needs.setdefault(name, set()).update(_names([*package.get("dependencies", ()), *extras]))
        own_extras = [] if name in members else extras
        plain.needs.setdefault(name, set()).update(_names([*package.get("dependencies", ()), *own_extras]))
        if name in members:
            groups |= _names(_values(package.get("dev-dependencies")))
    own = {normalize(package["name"]) for package in packages if _is_root(package)}
    local = {normalize(package["name"]) for package in packages if not _is_from_index(package)} - own
    production = graph.closure(members) - own
    development = graph.closure(groups) - production
    return LockedPackages(file, production, development, frozenset(local), optional=production - plain.closure(members))


def _is_member(package: Mapping[str, Any]) -> bool:
    source = package.get("source", {})
    return any(kind in source for kind in ("virtual", "editable")) or source.get("directory") == "."


def _is_root(package: Mapping[str, Any]) -> bool:
    """Whether a package is the project itself: its modules are among the project's files."""
    return "." in package.get("source", {}).values()


def _is_from_index(package: Mapping[str, Any]) -> bool:
    return "registry" in package.get("source", {})


def _values(table: Mapping[str, Iterable[Any]] | None) -> list[Any]:
    return [item for items in (table or {}).values() for item in items]


def _names(dependencies: Iterable[Mapping[str, Any]]) -> set[str]:
    return {normalize(dependency["name"]) for dependency in dependencies}


def _read_pylock(file: str, content: Mapping[str, Any], _project: Mapping[str, Any]) -> LockedPackages | None:
    production: set[str] = set()
    optional: set[str] = set()
    local: set[str] = set()
    for package in content["packages"]:
        name = normalize(package["name"])
        marker = str(package.get("marker", ""))
        (optional if "dependency_groups" in marker else production).add(name)
        if any(kind in package for kind in ("vcs", "directory", "archive")):
            local.add(name)
    return LockedPackages(file, frozenset(production), frozenset(optional - production), frozenset(local))


def _read_poetry(file: str, content: Mapping[str, Any], project: Mapping[str, Any]) -> LockedPackages | None:
    graph = _Graph()
    local = set()
    for package in content["package"]:
        name = normalize(package["name"])
        graph.needs[name] = {normalize(needed) for needed in package.get("dependencies", {})}
        if package.get("source", {}).get("type", "legacy") not in {"legacy", "pypi"}:
            local.add(name)
    roots = {normalize(name) for name in _poetry_roots(project)}
    if not roots:
        return None
    production = graph.closure(roots) & graph.needs.keys()
    development = frozenset(graph.needs) - production
    plain = graph.closure(roots - {normalize(name) for name in _poetry_optional(project)})
    return LockedPackages(file, frozenset(production), development, frozenset(local), optional=production - plain)


def _poetry_roots(project: Mapping[str, Any]) -> Iterator[str]:
    """What a project needs in production, in poetry's own table or in the standard one."""
    table = toml.table(project, "tool", "poetry", "dependencies")
    yield from (name for name in table if name.lower() != "python")
    for requirement in toml.table(project, "project").get("dependencies", ()):
        match = _NAME.match(requirement.strip())
        if match:
            yield match[0]


def _poetry_optional(project: Mapping[str, Any]) -> Iterator[str]:
    """What poetry installs for an extra alone."""
    table = toml.table(project, "tool", "poetry", "dependencies")
    yield from (name for name, value in table.items() if isinstance(value, dict) and value.get("optional") is True)


_READERS = {"uv.lock": _read_uv, "pylock.toml": _read_pylock, "poetry.lock": _read_poetry}
