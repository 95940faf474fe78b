"""What uv.lock and pylock.toml install on one platform, package by package, with the names of the wheels. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.errors import UsageError
from buildguard.imports.lock import uv_default_groups
from buildguard.project import toml
from buildguard.project.install_choice import InstallChoice
from buildguard.project.package_names import normalize
from buildguard.startup.installs.platform import WheelPlatform

if TYPE_CHECKING:
    from typing import Any

_MOST_PACKAGES = 5_000
_REMOTE = frozenset({"registry", "git", "url", "path"})


class LockedRelease(NamedTuple):
    """A release in a lock: its name and version, its line, the file names of its wheels, and whether it has a source distribution."""

    name: str
    version: str
    line: int | None
    wheels: tuple[str, ...]
    has_source: bool
    requires_python: str = ""


class Lock(NamedTuple):
    """The text of a lock file and its content, with the project's own table beside it."""

    file: str
    text: str
    content: Mapping[str, Any]
    project: Mapping[str, Any] = MappingProxyType({})


def open_lock(file: str, data: bytes, project: bytes | None = None) -> Lock | None:
    """A lock file, with the pyproject.toml beside it; None where one of them is no TOML."""
    try:
        beside = toml.read(project, "pyproject.toml") if project is not None else {}
        return Lock(file, data.decode("utf-8", "replace"), toml.read(data, file), beside)
    except UsageError:
        return None


def release_of(lock: Lock, package: Mapping[str, Any]) -> LockedRelease:
    """The release that a package of uv.lock or pylock.toml is."""
    wheels = tuple(_file_name(wheel) for wheel in package.get("wheels", ()))
    name, version = str(package["name"]), str(package.get("version", ""))
    has_source = any(key in package for key in ("sdist", "vcs", "directory", "archive"))
    specifier = str(package.get("requires-python", ""))
    return LockedRelease(name, version, line_of(lock.text, name, version), wheels, has_source, specifier)


def _file_name(wheel: Mapping[str, Any]) -> str:
    place = wheel.get("filename") or wheel.get("name") or wheel.get("url") or wheel.get("path") or ""
    return posixpath.basename(str(place).partition("#")[0].partition("?")[0]).replace("%2B", "+")


def required_python(lock: Lock) -> str:
    """The Pythons that a whole lock is for, as a specifier; empty where it sets none."""
    return str(lock.content.get("requires-python", ""))


def line_of(text: str, name: str, version: str) -> int | None:
    """The line at which the package of a lock begins."""
    quoted = rf"name\s*=\s*\"{re.escape(name)}\"\s*\n\s*version\s*=\s*\"{re.escape(version)}\""
    match = re.search(quoted, text) or re.search(rf"(?m)^name\s*=\s*\"{re.escape(name)}\"", text)
    return None if match is None else text.count("\n", 0, match.start()) + 1


# ------------------------------------------------------------------------------------------ uv.lock


def of_uv(lock: Lock, platform: WheelPlatform, choice: InstallChoice) -> Iterator[LockedRelease]:
    """The releases that `uv sync` certainly installs."""
    packages = lock.content["package"]
    if not platform.admits(required_python(lock)):
        return  # uv takes another Python
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for package in packages[:_MOST_PACKAGES]:
        by_name.setdefault(normalize(package["name"]), []).append(package)
    defaults = uv_default_groups(lock.project)
    waiting = [need for root in uv_roots(lock, choice) for need in _wanted(root, choice, defaults)]
    seen: set[tuple[str, str, str]] = set()
    while waiting:
        need = waiting.pop()
        if platform.marker(need.get("marker", "")) is not True:
            continue
        package = _pick(by_name.get(normalize(need["name"]), []), need, platform)
        if package is None:
            continue
        is_kept = "registry" in package.get("source", {}) and normalize(package["name"]) not in choice.without
        for extra in ("", *need.get("extra", ())):
            key = (package["name"], str(package.get("version")), extra)
            if key not in seen:
                seen.add(key)
                waiting += (
                    package.get("optional-dependencies", {}).get(extra, ())
                    if extra
                    else package.get("dependencies", ())
                )
                if not extra and is_kept:
                    yield release_of(lock, package)


def uv_roots(lock: Lock, choice: InstallChoice) -> list[Mapping[str, Any]]:
    """The members of a workspace that are installed: those that are named, else the root, else (where no root is a project) all."""
    packages = [package for package in lock.content["package"] if not {*package.get("source", {})} & _REMOTE]
    members = _workspace_members(lock, packages)
    roots = [package for package in packages if "." in package.get("source", {}).values()]
    if choice.members:
        return [package for package in members or roots if normalize(package["name"]) in choice.members]
    return members if choice.every_member and members else roots or members


def _workspace_members(lock: Lock, packages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    names = {normalize(name) for name in lock.content.get("manifest", {}).get("members", ())}
    return [package for package in packages if normalize(package["name"]) in names]


def _wanted(
    root: Mapping[str, Any], choice: InstallChoice, defaults: frozenset[str] | None
) -> Iterator[Mapping[str, Any]]:
    if not choice.only_groups:
        yield from root.get("dependencies", ())
        optional = {normalize(extra): needs for extra, needs in root.get("optional-dependencies", {}).items()}
        for extra in choice.wanted_extras(optional):
            yield from optional[extra]
    for group, needs in root.get("dev-dependencies", {}).items():
        name = normalize(group)
        if choice.wants_group(name, is_default=defaults is None or name in defaults):
            yield from needs


def _pick(
    candidates: Sequence[Mapping[str, Any]], need: Mapping[str, Any], platform: WheelPlatform
) -> Mapping[str, Any] | None:
    """The package that a dependency means: by its version, else by the markers of the resolution; None where that is open."""
    version = need.get("version")
    fitting = [
        package for package in candidates if version in {None, package.get("version")} and _is_for(package, platform)
    ]
    return fitting[0] if len(fitting) == 1 else None


def _is_for(package: Mapping[str, Any], platform: WheelPlatform) -> bool:
    markers = package.get("resolution-markers", ())
    return not markers or any(platform.marker(marker) is not False for marker in markers)


# ------------------------------------------------------------------------------------------ pylock.toml


def of_pylock(lock: Lock, platform: WheelPlatform, choice: InstallChoice) -> Iterator[LockedRelease]:
    """The releases that an installer of PEP 751 certainly takes."""
    content = lock.content
    environments = content.get("environments", ())
    if environments and not any(platform.marker(str(text)) for text in environments):
        return  # the installer refuses the file, or takes another one
    if not platform.admits(required_python(lock)):
        return
    defaults = {normalize(name) for name in content.get("default-groups", ())}
    groups = {*defaults, *map(normalize, content.get("dependency-groups", ()))}
    asked = frozenset(name for name in groups if choice.wants_group(name, is_default=name in defaults))
    extras = choice.wanted_extras(map(normalize, content.get("extras", ())))
    for package in content["packages"]:
        if platform.locked_marker(str(package.get("marker", "")), extras, asked) is True:
            release = release_of(lock, package)
            if release.wheels or release.has_source or release.requires_python:
                yield release


def is_pylock(name: str) -> bool:
    """Whether a file is called as a lock of PEP 751 is."""
    return re.fullmatch(r"pylock(?:\.[^.]+)?\.toml", posixpath.basename(name)) is not None
