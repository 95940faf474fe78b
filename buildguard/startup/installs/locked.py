"""What a lock file installs on one platform, package by package, with the names of its wheels: uv.lock and pylock.toml. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UsageError
from buildguard.imports.lock import normalize
from buildguard.project import toml
from buildguard.startup.installs.platform import WheelPlatform

_MOST_PACKAGES = 5_000


class LockedRelease(NamedTuple):
    """A release in a lock: its name and version, its line, the file names of its wheels, and whether it has a source distribution."""

    name: str
    version: str
    line: int | None
    wheels: tuple[str, ...]
    has_source: bool
    requires_python: str = ""


class InstallChoice(NamedTuple):
    """What an install command asks for: extras and dependency groups; `groups` is None for the tool's default."""

    extras: frozenset[str] = frozenset()
    every_extra: bool = False
    groups: frozenset[str] | None = None
    without: frozenset[str] = frozenset()


class Lock(NamedTuple):
    """The text of a lock file and its content."""

    file: str
    text: str
    content: Mapping[str, Any]


def open_lock(file: str, data: bytes) -> Lock | None:
    """A lock file; None for one that is no TOML."""
    try:
        return Lock(file, data.decode("utf-8", "replace"), toml.read(data, file))
    except UsageError:
        return None


def releases(lock: Lock, platform: WheelPlatform, choice: InstallChoice) -> list[LockedRelease] | None:
    """The releases that are certainly installed; None for a lock that cannot be read."""
    try:
        read = _of_pylock if is_pylock(lock.file) else _of_uv
        return list(read(lock, platform, choice))
    except (KeyError, TypeError, AttributeError, ValueError):
        return None


def _release(lock: Lock, package: Mapping[str, Any]) -> LockedRelease:
    wheels = tuple(_file_name(wheel) for wheel in package.get("wheels", ()))
    name, version = str(package["name"]), str(package.get("version", ""))
    has_source = any(key in package for key in ("sdist", "vcs", "directory", "archive"))
    specifier = str(package.get("requires-python", ""))
    return LockedRelease(name, version, _line_of(lock.text, name, version), wheels, has_source, specifier)


def _file_name(wheel: Mapping[str, Any]) -> str:
    place = wheel.get("filename") or wheel.get("name") or wheel.get("url") or wheel.get("path") or ""
    return posixpath.basename(str(place).partition("#")[0].partition("?")[0]).replace("%2B", "+")


def _line_of(text: str, name: str, version: str) -> int | None:
    quoted = rf"name\s*=\s*\"{re.escape(name)}\"\s*\n\s*version\s*=\s*\"{re.escape(version)}\""
    match = re.search(quoted, text) or re.search(rf"(?m)^name\s*=\s*\"{re.escape(name)}\"", text)
    return None if match is None else text.count("\n", 0, match.start()) + 1


# ------------------------------------------------------------------------------------------ uv.lock


def _of_uv(lock: Lock, platform: WheelPlatform, choice: InstallChoice) -> Iterator[LockedRelease]:
    packages = lock.content["package"]
    if not platform.admits(str(lock.content.get("requires-python", ""))):
        return  # uv takes another Python
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for package in packages[:_MOST_PACKAGES]:
        by_name.setdefault(normalize(package["name"]), []).append(package)
    roots = [package for package in packages if "." in package.get("source", {}).values()]
    if len(roots) != 1:
        return  # a workspace: which member is installed is unknown
    waiting = list(_wanted(roots[0], choice))
    seen: set[tuple[str, str, str]] = set()
    while waiting:
        need = waiting.pop()
        if platform.marker(need.get("marker", "")) is not True:
            continue
        package = _pick(by_name.get(normalize(need["name"]), []), need, platform)
        if package is None or normalize(package["name"]) in choice.without:
            continue
        for extra in ("", *need.get("extra", ())):
            key = (package["name"], str(package.get("version")), extra)
            if key not in seen:
                seen.add(key)
                waiting += (
                    package.get("optional-dependencies", {}).get(extra, ())
                    if extra
                    else package.get("dependencies", ())
                )
                if not extra and "registry" in package.get("source", {}):
                    yield _release(lock, package)


def _wanted(root: Mapping[str, Any], choice: InstallChoice) -> Iterator[Mapping[str, Any]]:
    yield from root.get("dependencies", ())
    for extra, needs in root.get("optional-dependencies", {}).items():
        if choice.every_extra or normalize(extra) in choice.extras:
            yield from needs
    for group, needs in root.get("dev-dependencies", {}).items():
        if group in ({"dev"} if choice.groups is None else choice.groups):
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


def _of_pylock(lock: Lock, platform: WheelPlatform, _choice: InstallChoice) -> Iterator[LockedRelease]:
    for package in lock.content["packages"]:
        marker = str(package.get("marker", ""))
        if "dependency_groups" in marker or "extras" in marker:
            continue  # which of them are asked for is another tool's matter
        if platform.marker(marker) is True:
            release = _release(lock, package)
            if release.wheels or release.has_source or release.requires_python:
                yield release


def is_pylock(name: str) -> bool:
    """Whether a file is called as a lock of PEP 751 is."""
    return re.fullmatch(r"pylock(?:\.[^.]+)?\.toml", posixpath.basename(name)) is not None
