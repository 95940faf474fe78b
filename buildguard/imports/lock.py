"""What a lock file installs: the distributions of its whole closure, and those that only dependency groups bring. Pure."""

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

    `development` are those that only a dependency group brings: `groups` has the distributions of each as far as they are known,
    and `defaults` are the groups that a plain install brings. Extras count as production, for an install may ask for
    them, and `optional` are those of them that only extras of the project bring, as far as the file shows it. `local` are the project's own and other folders, archives and repositories: what they contain is unknown.
    `versions` are those that the file has of each: more than one where markers decide.
    """

    file: str
    production: frozenset[str]
    development: frozenset[str]
    local: frozenset[str]
    versions: Mapping[str, frozenset[str]] = MappingProxyType({})
    optional: frozenset[str] = frozenset()
    groups: Mapping[str, frozenset[str]] = MappingProxyType({})
    defaults: frozenset[str] = frozenset()

    def with_groups(self, names: Iterable[str]) -> LockedPackages:
        """The same, where some groups are installed; what is in no group that is known comes with any of them."""
        chosen = {*names} & self.groups.keys()
        if not chosen:
            return self
        others = frozenset().union(*(self.groups[name] for name in self.groups.keys() - chosen))
        brought = frozenset().union(*(self.groups[name] for name in chosen))
        development = (self.development & others) - brought
        return self._replace(production=self.production | (self.development - development), development=development)

    def with_every_group(self) -> LockedPackages:
        """The same, where all groups are installed."""
        return self._replace(production=self.production | self.development, development=frozenset())


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


def _read_uv(file: str, content: Mapping[str, Any], project: Mapping[str, Any]) -> LockedPackages | None:
    packages = content["package"]
    members = {normalize(package["name"]) for package in packages if _is_member(package)}
    if not members:
        return None
    graph, plain = _Graph(), _Graph()
    roots: dict[str, set[str]] = {}
    for package in packages:
        name = normalize(package["name"])
        extras = _values(package.get("optional-dependencies"))
        graph.needs.setdefault(name, set()).update(_names([*package.get("dependencies", ()), *extras]))
        own_extras = [] if name in members else extras
        plain.needs.setdefault(name, set()).update(_names([*package.get("dependencies", ()), *own_extras]))
        if name in members:
            for group, needed in package.get("dev-dependencies", {}).items():
                roots.setdefault(normalize(group), set()).update(_names(needed))
    own = {normalize(package["name"]) for package in packages if _is_root(package)}
    local = {normalize(package["name"]) for package in packages if not _is_from_index(package)} - own
    production = graph.closure(members) - own
    groups = {group: graph.closure(names) for group, names in roots.items()}
    development = frozenset().union(*groups.values()) - production
    defaults = uv_default_groups(project)
    return LockedPackages(
        file,
        production,
        development,
        frozenset(local),
        optional=production - plain.closure(members),
        groups=groups,
        defaults=frozenset(groups) if defaults is None else defaults,
    )


def uv_default_groups(project: Mapping[str, Any]) -> frozenset[str] | None:
    """The groups that uv installs by itself, by a pyproject.toml; None for all."""
    groups = toml.table(project, "tool", "uv").get("default-groups", ["dev"])
    return None if groups == "all" else frozenset(map(normalize, groups))


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
    groups = {group: graph.closure(map(normalize, names)) for group, names in _poetry_groups(project, content).items()}
    return LockedPackages(
        file,
        frozenset(production),
        development,
        frozenset(local),
        optional=production - plain,
        groups=groups,
        defaults=_poetry_defaults(project, groups),
    )


def _poetry_defaults(project: Mapping[str, Any], groups: Iterable[str]) -> frozenset[str]:
    """Those of some groups that poetry installs by itself."""
    table = toml.table(project, "tool", "poetry", "group")
    optional = {normalize(name) for name, group in table.items() if toml.table(group).get("optional")}
    return frozenset(groups) - optional


def _poetry_groups(project: Mapping[str, Any], content: Mapping[str, Any]) -> Mapping[str, set[str]]:
    """What the groups of a project need: since version 2.1 of the format each package has its groups."""
    return _named_groups(content["package"]) or _declared_groups(toml.table(project, "tool", "poetry"))


def _named_groups(packages: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for package in packages:
        for group in {*package.get("groups", ())} - {"main"}:
            groups.setdefault(normalize(group), set()).add(package["name"])
    return groups


def _declared_groups(table: Mapping[str, Any]) -> dict[str, set[str]]:
    declared = toml.table(table, "group").items()
    groups = {normalize(name): {*toml.table(group, "dependencies")} for name, group in declared}
    groups.setdefault("dev", set()).update(toml.table(table, "dev-dependencies"))
    return groups


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
