"""The folders from which a project's packages are imported once it is installed: src layouts and what build backends set. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping

from buildguard.definitions import TYPE_CHECKING
from buildguard.errors import UsageError
from buildguard.project import toml

if TYPE_CHECKING:
    from typing import Any

_USUAL = ("src", "lib", "python")


def package_roots(folder: str, pyproject: bytes | None, has_sources: Callable[[str], bool]) -> tuple[str, ...]:
    """The folders of a project, from its root, in which packages are looked for.

    `has_sources` says whether a folder has sources, in whatever folder below it. The project's own folder is the last one.
    """
    try:
        document = toml.read(pyproject, "pyproject.toml") if pyproject is not None else {}
        declared = [root for root in _declared(document) if isinstance(root, str)]
    except (UsageError, AttributeError, TypeError):
        declared = []
    roots = [posixpath.normpath(posixpath.join(folder, root)) for root in [*declared, *_USUAL]]
    return tuple(dict.fromkeys([*filter(has_sources, roots), folder]))


def _declared(document: Mapping[str, Any]) -> Iterator[Any]:
    tools = toml.table(document, "tool")
    yield from _setuptools(toml.table(tools, "setuptools"))
    for package in toml.table(tools, "poetry").get("packages", ()):
        yield package.get("from", ".")
    yield from _hatch(toml.table(tools, "hatch", "build"))
    yield toml.table(tools, "uv", "build-backend").get("module-root", "src")
    yield toml.table(tools, "pdm", "build").get("package-dir", ".")


def _setuptools(table: Mapping[str, Any]) -> Iterator[Any]:
    packages = table.get("packages", {})
    if isinstance(packages, dict):
        yield from packages.get("find", {}).get("where", ())
    directories = table.get("package-dir", {})
    for package, directory in directories.items():
        yield directory if not package else posixpath.dirname(directory)


def _hatch(build: Mapping[str, Any]) -> Iterator[Any]:
    wheel = build.get("targets", {}).get("wheel", {})
    for table in (build, wheel):
        for package in table.get("packages", ()):
            yield posixpath.dirname(package)
        sources = table.get("sources", {})
        yield from sources if isinstance(sources, list) else [key for key, value in sources.items() if not value]
