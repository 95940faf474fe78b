"""Compose files: the Dockerfile, the build context and the build arguments of each service. Pure.

Nothing of the environment is filled in, nothing remote is read, and a file that cannot be read costs a note.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping

from buildguard.definitions import TYPE_CHECKING
from buildguard.project import dockerfile
from buildguard.project.build_file_names import COMPOSE, is_compose
from buildguard.project.yaml import Node

if TYPE_CHECKING:
    from buildguard.project.declared_builds import DeclaredBuild

_LONGEST = 1 << 18  # bytes of one file, and of all files together four times as many: pure Python reads 100 KB a second
_DEEPEST = 8  # services that extend services that extend …

_Fields = dict[str, Node]


def referenced(files: Mapping[str, bytes]) -> set[str]:
    """The files that some compose files include or extend, as far as they may lie inside the root."""
    loader = _ComposeLoader(files)
    names = (name for file in files for name in (*loader.included(file), *loader.extended(file)))
    return {name for name in names if name not in files}


def builds(files: Mapping[str, bytes], named: Collection[str] = ()) -> tuple[list[DeclaredBuild], list[str]]:
    """Every build of some compose files, and notes on what could not be used.

    `files` are also those that are included or extended; `named` are compose files of other names.
    """
    loader = _ComposeLoader(files)
    compose_builds: list[DeclaredBuild] = []
    bases: dict[str, dict[str, _Fields]] = {}
    for file in sorted(loader.reachable(named), key=_order):
        folder = posixpath.dirname(file)
        services = loader.services(file, bases.get(folder, {}) if _is_layer(file) else {})
        if not _is_layer(file):
            bases.setdefault(folder, services)
        for fields in services.values():
            from buildguard.project.declared_builds import UnusableBuildError

            try:
                compose_builds.append(_build(fields, file))
            except UnusableBuildError as error:
                loader.notes += [str(error)] if str(error) else []
    return list(dict.fromkeys(compose_builds)), list(dict.fromkeys(loader.notes))


class _ComposeLoader:
    """Parses compose files, each once, as long as they are of a reasonable size together."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._left = 4 * _LONGEST
        self._roots: dict[str, Node | None] = {}
        self.notes: list[str] = []

    def root(self, file: str) -> Node | None:
        """A parsed file; None where it says nothing of builds or cannot be used."""
        if file not in self._roots:
            self._roots[file] = self._parse(file)
        return self._roots[file]

    def _parse(self, file: str) -> Node | None:
        from buildguard.project import yaml
        from buildguard.project.yaml import InvalidYamlError

        data = self._files.get(file, b"")
        if not any(word in data for word in (b"build", b"include", b"extends")):
            return None
        if len(data) > min(_LONGEST, self._left):
            self.notes.append(f"{file}: too large to read its build contexts from it")
            return None
        self._left -= len(data)
        try:
            return yaml.read(data, file)
        except InvalidYamlError as error:
            self.notes.append(f"{error.what}; its build contexts are not known")
            return None

    def reachable(self, named: Collection[str]) -> set[str]:
        """The compose files by their name, those that are named, and what they include."""
        pending = [file for file in self._files if file in named or is_compose(file.encode("utf-8", "surrogateescape"))]
        reached: set[str] = set()
        while pending:
            file = pending.pop()
            if file not in reached:
                reached.add(file)
                pending += [name for name in self.included(file) if name in self._files]
        return reached

    def included(self, file: str) -> Iterator[str]:
        """The local files that a compose file includes."""
        root = self.root(file)
        node = root.get("include") if root is not None else None
        for item in node.items() if node is not None else ():
            paths = item.get("path") if item.kind == "map" else item
            yield from _local_paths(file, paths)

    def extended(self, file: str) -> Iterator[str]:
        """The local files whose services a compose file extends."""
        root = self.root(file)
        services = root.get("services") if root is not None else None
        for _name, service in services.pairs() if services is not None else ():
            yield from _local_paths(file, service.get("extends", "file"))

    def services(self, file: str, base: Mapping[str, _Fields]) -> dict[str, _Fields]:
        """What each service says of its build, with what the file below a layer says of the same service."""
        root = self.root(file)
        node = root.get("services") if root is not None else None
        by_service: dict[str, _Fields] = {}
        for name, service in node.pairs() if node is not None else ():
            fields = self._fields(file, service, _DEEPEST)
            if fields is None:
                continue
            whole = {**base.get(name, {}), **fields}
            line = service.get("build") or service
            by_service[name] = whole if "context" in whole else {**whole, "context": Node(".", line.line)}
        return by_service

    def _fields(self, file: str, service: Node, depth: int) -> _Fields | None:
        """The fields of a service's `build`, over those of the service that it extends; None where it builds nothing."""
        build = service.get("build")
        below = self._extended_fields(file, service, depth) if depth else None
        if build is None or build.kind in {"null", "seq", "!reset"}:
            return below if build is None else None
        own = dict(build.pairs()) if build.kind == "map" else {"context": build}
        return {**(below or {}), **own}

    def _extended_fields(self, file: str, service: Node, depth: int) -> _Fields | None:
        extends = service.get("extends")
        if extends is None:
            return None
        named = extends.get("service")
        name = named.text() if named is not None else extends.text()
        other = next(_local_paths(file, extends.get("file")), file)
        root = self.root(other)
        base = root.get("services", name) if root is not None else None
        fields = self._fields(other, base, depth - 1) if base is not None else None
        return _moved(fields, posixpath.dirname(other), posixpath.dirname(file)) if fields is not None else None


def _local_paths(file: str, node: Node | None) -> Iterator[str]:
    """The paths that a value names, from the root, less what is remote, unknown or outside."""
    from buildguard.project.declared_builds import UnusableBuildError, path_inside

    for item in node.items() if node is not None else ():
        try:
            yield path_inside(posixpath.dirname(file), item.text() or "/", "the path")
        except UnusableBuildError:
            continue


def _moved(fields: _Fields, folder: str, into: str) -> _Fields:
    """The fields of a `build` that another file of another folder takes over: its context stays where it is."""
    context = fields.get("context", Node(".", 1))
    text = context.text()
    if folder == into or context.kind in {"map", "seq"} or posixpath.isabs(text) or "$" in text or ":" in text:
        return fields
    way = posixpath.relpath(f"/{folder}", f"/{into}")
    return {**fields, "context": context._replace(value=posixpath.join(way, text))}


def _order(file: str) -> tuple[str, bool, bool, str]:
    """The order in which Compose looks for a file: layers last, `compose` first, `.yaml` before `.yml`."""
    folder, name = posixpath.split(file)
    return folder, _is_layer(file), name.startswith("docker-"), name


def _is_layer(file: str) -> bool:
    match = COMPOSE.fullmatch(posixpath.basename(file).encode("utf-8", "surrogateescape"))
    return match is not None and match["layer"] is not None


def _build(fields: _Fields, file: str) -> DeclaredBuild:
    from buildguard.project.declared_builds import DeclaredBuild, UnusableBuildError, path_inside

    context = fields["context"]
    place = f"{file}:{context.line}"
    if "dockerfile_inline" in fields:
        raise UnusableBuildError(f"{file}:{fields['dockerfile_inline'].line}: dockerfile_inline is not checked")
    if context.kind in {"map", "seq"}:
        raise UnusableBuildError(f"{place}: the build context is no path")
    folder = path_inside(posixpath.dirname(file), context.text(), f"{place}: the build context")
    name = fields["dockerfile"].text() if "dockerfile" in fields else ""
    path = path_inside(folder, name or "Dockerfile", f"{place}: the Dockerfile")
    return DeclaredBuild(path, folder, tuple(sorted(_arguments(fields))), place)


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
