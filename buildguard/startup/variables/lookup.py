"""Finds what a full dotted name is among the modules that a start loads: through imports, re-exports and `import *`. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping

from buildguard.definitions import NamedTuple
from buildguard.startup.variables.records import ModuleVariables

_DEEPEST = 12


class Definition(NamedTuple):
    """A name of a module: the module's path, and the dotted name in it."""

    path: str
    name: str


class ModuleLookup:
    """The modules of a start by their paths; `find` gives the path of an absolute module, empty where it is not the project's."""

    def __init__(self, modules: Mapping[str, ModuleVariables], find: Callable[[str], str]) -> None:
        self.modules = modules
        self._find = find

    def locate(self, path: str, full: str, depth: int = 0) -> Definition | None:
        """Where a full name that a module uses is defined; None where that is outside of the project, or unknown."""
        if depth > _DEEPEST or not full:
            return None
        for module, rest in self._splits(path, full):
            result = self._own(module, rest, depth + 1) if rest else None
            if result is not None:
                return result
        return None if full.startswith(".") else self._own(path, full, depth)

    def method(self, definition: Definition, name: str) -> Definition:
        """The method of a class, or the one that it inherits from the first of its bases that has it."""
        owner: Definition | None = definition
        for _ in range(_DEEPEST):
            if owner is None or f"{owner.name}.{name}" in self.modules[owner.path].functions:
                break
            node, names = self.modules[owner.path].classes.get(owner.name), self.modules[owner.path].names
            bases = (self.locate(owner.path, names.full(base)) for base in node.bases) if node is not None else iter(())
            owner = next((base for base in bases if base is not None), None)
        owner = owner or definition
        return Definition(owner.path, f"{owner.name}.{name}")

    def _own(self, path: str, name: str, depth: int) -> Definition | None:
        """A name as a module itself has it: defined there, imported there, or taken with `import *`."""
        module = self.modules[path]
        first = name.partition(".")[0]
        defined = {*module.functions, *module.classes, *module.objects}
        if name in defined or f"{name}()" in defined or first in module.classes or first in module.objects:
            return Definition(path, name)
        alias = module.names.aliases.get(first)
        if alias is not None and alias != first:
            return self.locate(path, alias + name[len(first) :], depth + 1)
        for star in module.names.stars:
            for other, rest in self._splits(path, star):
                result = self._own(other, name, depth + 1) if not rest and depth < _DEEPEST else None
                if result is not None:
                    return result
        return None

    def _splits(self, path: str, full: str) -> Iterator[tuple[str, str]]:
        """The longest beginning of a name that is a module, and the rest."""
        parts = full.split(".") if not full.startswith(".") else []
        for end in range(len(parts), 0, -1):
            found = self._find(".".join(parts[:end]))
            if found in self.modules:
                yield found, ".".join(parts[end:])
                return
        if full.startswith("."):
            yield from self._relative(path, full)

    def _relative(self, path: str, full: str) -> Iterator[tuple[str, str]]:
        level = len(full) - len(full.lstrip("."))
        folder = path
        for _ in range(level):
            folder = posixpath.dirname(folder)
        parts = [part for part in full.lstrip(".").split(".") if part]
        for end in range(len(parts), -1, -1):
            base = posixpath.join(folder, *parts[:end])
            for candidate in (f"{base}/__init__.py", f"{base}.py"):
                if candidate in self.modules:
                    yield candidate, ".".join(parts[end:])
                    return
