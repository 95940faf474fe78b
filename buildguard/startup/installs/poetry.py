"""What poetry.lock installs on one platform: by its groups and markers, or by the dependencies of pyproject.toml in older locks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.project import toml
from buildguard.project.install_choice import InstallChoice
from buildguard.project.package_names import normalize
from buildguard.project.version_ranges import to_pep440
from buildguard.startup.installs.locked import Lock, LockedRelease, line_of
from buildguard.startup.installs.platform import WheelPlatform

if TYPE_CHECKING:
    from typing import Any

_MAIN = "main"
_INDEXES = frozenset({"legacy", "pypi"})


def of_poetry(lock: Lock, platform: WheelPlatform, choice: InstallChoice) -> Iterator[LockedRelease]:
    """The releases that `poetry install` certainly installs.

    Poetry leaves out what is not for the Python at hand; where the whole project is not, it takes another Python or ends.
    """
    metadata = lock.content["metadata"]
    if not _admits(platform, str(metadata.get("python-versions", "*"))):
        return
    packages = [package for package in lock.content["package"] if _is_for(package, platform)]
    asked = choice.wanted_extras(map(normalize, lock.content.get("extras", {})))
    has_groups = all("groups" in package for package in packages)
    wanted = _by_groups if has_groups else _by_dependencies
    for package in wanted(lock, packages, _Question(platform, choice, asked)):
        if (
            package.get("source", {}).get("type", "pypi") in _INDEXES
            and normalize(package["name"]) not in choice.without
        ):
            yield _release(lock, package, metadata.get("files", {}))


class _Question(NamedTuple):
    """Where something is installed, and what is asked for."""

    platform: WheelPlatform
    choice: InstallChoice
    extras: frozenset[str]

    def holds(self, marker: str) -> bool:
        """Whether a marker is certainly true, for the project's own extras as well."""
        return any(self.platform.marker(marker, extra) is True for extra in ("", *self.extras))

    def wants(self, group: str, project: Mapping[str, Any]) -> bool:
        """Whether a group is installed; `main` is the project's own dependencies."""
        if group == _MAIN:
            is_asked = not self.choice.only_groups or _MAIN in self.choice.groups
            return is_asked and _MAIN not in self.choice.without_groups
        table = toml.table(project, "tool", "poetry", "group")
        is_optional = any(normalize(name) == group and each.get("optional") for name, each in table.items())
        return self.choice.wants_group(group, is_default=not is_optional)


def _is_for(package: Mapping[str, Any], platform: WheelPlatform) -> bool:
    return _admits(platform, str(package.get("python-versions", "*")))


def _by_groups(lock: Lock, packages: list[Mapping[str, Any]], question: _Question) -> Iterator[Mapping[str, Any]]:
    """Since version 2.1 of the format each package has its groups, and a marker for all or for each of them."""
    for package in packages:
        markers = package.get("markers", "")
        for group in package["groups"]:
            marker = markers.get(group, "") if isinstance(markers, dict) else markers
            is_open = package.get("optional") and not marker  # an extra brings it, and which one is not said
            if question.wants(normalize(group), lock.project) and question.holds(marker) and not is_open:
                yield package
                break


# ------------------------------------------------------------------------------------------ locks of poetry 1


def _by_dependencies(lock: Lock, packages: list[Mapping[str, Any]], question: _Question) -> Iterator[Mapping[str, Any]]:
    """Older locks say only what each package needs: followed from the dependencies of pyproject.toml."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for package in packages:
        by_name.setdefault(normalize(package["name"]), []).append(package)
    waiting = list(_roots(lock, question))
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        candidates = by_name.get(name, ())
        if (name, extra) in seen or len(candidates) != 1:
            continue  # of several releases the constraints decide
        seen.add((name, extra))
        package = next(iter(candidates))
        waiting += _needs(package, extra, question)
        if not extra:
            yield package


def _roots(lock: Lock, question: _Question) -> Iterator[tuple[str, str]]:
    table = toml.table(lock.project, "tool", "poetry")
    groups = {_MAIN: table.get("dependencies", {}), "dev": table.get("dev-dependencies", {})}
    groups |= {normalize(name): group.get("dependencies", {}) for name, group in table.get("group", {}).items()}
    for group, dependencies in groups.items():
        if question.wants(group, lock.project):
            for name, wanted in dependencies.items():
                if name.lower() != "python":
                    yield from _named(name, wanted, question, "")
    optional = {name: names for name, names in table.get("extras", {}).items() if normalize(name) in question.extras}
    for names in optional.values():
        yield from ((normalize(name), "") for name in names)


def _needs(package: Mapping[str, Any], extra: str, question: _Question) -> Iterator[tuple[str, str]]:
    for name, wanted in package.get("dependencies", {}).items():
        yield from _named(name, wanted, question, extra)


def _named(name: str, wanted: object, question: _Question, extra: str) -> Iterator[tuple[str, str]]:
    """A dependency with each extra of it that is asked for, where it is certainly needed."""
    table: Mapping[str, Any] = wanted if isinstance(wanted, dict) else {}
    if isinstance(wanted, list) or table.keys() & {"git", "path", "url"} or {"python", "platform"} & table.keys():
        return  # alternatives, folders and ranges of its own: which one counts is open
    marker = str(table.get("markers", ""))
    if table.get("optional") and not (extra and "extra" in marker):
        return
    if question.platform.marker(marker, extra) is True:
        yield normalize(name), ""
        yield from ((normalize(name), str(each)) for each in table.get("extras", ()))


# ------------------------------------------------------------------------------------------ rows


def _release(lock: Lock, package: Mapping[str, Any], older: Mapping[str, Any]) -> LockedRelease:
    name, version = str(package["name"]), str(package["version"])
    files = [str(file["file"]) for file in package.get("files") or older.get(name, ())]
    wheels = tuple(file for file in files if file.endswith(".whl"))
    return LockedRelease(name, version, line_of(lock.text, name, version), wheels, len(files) > len(wheels))


def _admits(platform: WheelPlatform, versions: str) -> bool:
    """Whether a range of poetry's lets a Python in."""
    return any(map(platform.admits, to_pep440(versions).split("||")))
