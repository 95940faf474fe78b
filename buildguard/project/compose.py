"""Compose files: the Dockerfile, the build context and the build arguments of each service. Pure.

Nothing of the environment is filled in, nothing remote is read, and a file that cannot be read costs a note.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from buildguard.project import dockerfile, yaml
from buildguard.project.yaml import InvalidYamlError, Node

# compose.yaml, docker-compose.yml and, over them, compose.override.yaml, docker-compose.prod.yml …
_NAME = re.compile(rb"(?:docker-)?compose(?P<layer>[.-][^/]*)?\.ya?ml")
_LONGEST = 1 << 18  # bytes of one file, and of all files together four times as many: pure Python reads 100 KB a second
_REMOTE = re.compile(r"[\w+.-]+://|git@|github\.com/")
_ABSOLUTE = re.compile(r"[/~\\]|[A-Za-z]:[/\\]")

_Fields = dict[str, Node]


class ComposeBuild(NamedTuple):
    """One image that a compose file builds: Dockerfile and context from the root, arguments, and the line that says so."""

    dockerfile: str
    context: str
    build_args: tuple[tuple[str, str], ...]
    place: str


class _UnusableError(Exception):
    """Why a `build` cannot be used: the text of a note, empty where it concerns no file of the project."""


def is_compose(path: bytes) -> bool:
    """Whether a path has the name of a compose file."""
    return _NAME.fullmatch(path[path.rfind(b"/") + 1 :]) is not None


def builds(files: Mapping[str, bytes]) -> tuple[list[ComposeBuild], list[str]]:
    """Every build of some compose files, and notes on what could not be used."""
    compose_builds: list[ComposeBuild] = []
    notes: list[str] = []
    bases: dict[str, dict[str, _Fields]] = {}
    left = 4 * _LONGEST
    for file in sorted(files, key=_order):
        data = files[file]
        if b"build" not in data:
            continue
        if len(data) > min(_LONGEST, left):
            notes.append(f"{file}: too large to read its build contexts from it")
            continue
        left -= len(data)
        folder = posixpath.dirname(file)
        try:
            services = _services(yaml.read(data, file), bases.get(folder, {}) if _is_layer(file) else {})
        except InvalidYamlError as error:
            notes.append(f"{error.what}; its build contexts are not known")
            continue
        if not _is_layer(file):
            bases.setdefault(folder, services)
        for fields in services.values():
            try:
                compose_builds.append(_build(fields, file))
            except _UnusableError as error:
                notes += [str(error)] if str(error) else []
    return list(dict.fromkeys(compose_builds)), list(dict.fromkeys(notes))


def _order(file: str) -> tuple[str, bool, bool, str]:
    """The order in which Compose looks for a file: layers last, `compose` first, `.yaml` before `.yml`."""
    folder, name = posixpath.split(file)
    return folder, _is_layer(file), name.startswith("docker-"), name


def _is_layer(file: str) -> bool:
    match = _NAME.fullmatch(posixpath.basename(file).encode("utf-8", "surrogateescape"))
    return match is not None and match["layer"] is not None


def _services(root: Node, base: Mapping[str, _Fields]) -> dict[str, _Fields]:
    """What each service says of its build, with what the file below a layer says of the same service."""
    services = root.get("services")
    by_service: dict[str, _Fields] = {}
    for name, service in services.pairs() if services is not None else ():
        build = service.get("build")
        if build is None or build.kind in {"null", "seq", "!reset"}:
            continue
        fields = dict(build.pairs()) if build.kind == "map" else {"context": build}
        whole = {**base.get(name, {}), **fields}
        by_service[name] = whole if "context" in whole else {**whole, "context": Node(".", build.line)}
    return by_service


def _build(fields: _Fields, file: str) -> ComposeBuild:
    context = fields["context"]
    place = f"{file}:{context.line}"
    if "dockerfile_inline" in fields:
        raise _UnusableError(f"{file}:{fields['dockerfile_inline'].line}: dockerfile_inline is not checked")
    if context.kind in {"map", "seq"}:
        raise _UnusableError(f"{place}: the build context is no path")
    folder = _inside(posixpath.dirname(file), context.text(), f"{place}: the build context")
    name = fields["dockerfile"].text() if "dockerfile" in fields else ""
    path = _inside(folder, name or "Dockerfile", f"{place}: the Dockerfile")
    return ComposeBuild(path, folder, tuple(sorted(_arguments(fields))), place)


def _inside(folder: str, text: str, what: str) -> str:
    """A path from the root; raises _UnusableError where it is outside of it, or not known without the environment."""
    filled = dockerfile.expand_variables(text, {}).strip()
    if _REMOTE.match(filled):
        raise _UnusableError
    if "$" in filled:
        raise _UnusableError(f"{what} depends on the environment, so it is not known")
    path = posixpath.normpath(posixpath.join(folder, filled or "."))
    if _ABSOLUTE.match(filled) or path == ".." or path.startswith("../"):
        raise _UnusableError(f"{what} is outside the root, so it is not used")
    return "" if path == "." else path


def _arguments(fields: _Fields) -> Iterator[tuple[str, str]]:
    """The build arguments that have a value of their own; the others come from the environment."""
    node = fields.get("args")
    if node is None:
        return
    if node.kind == "map":
        pairs = [(name, value.text()) for name, value in node.pairs() if value.kind not in {"null", "map", "seq"}]
    else:
        pairs = [
            (name, value) for name, equals, value in (item.text().partition("=") for item in node.items()) if equals
        ]
    for name, value in pairs:
        if "$" not in (filled := dockerfile.expand_variables(value, {})):
            yield name, filled
