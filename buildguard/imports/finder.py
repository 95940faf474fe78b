"""Where an import leads in a list of files, by the rules of CPython's PathFinder: case-sensitive, nothing executed. Pure."""

from __future__ import annotations

import functools
import itertools
import posixpath
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple, StrEnum, lazy_pattern

_COMPILED = lazy_pattern(r"\.(?:(?:cpython|pypy)-?\d+[\w-]*\.|abi3\.)?(?:so|pyd)\Z")
COMPILED_ENDINGS = ("so", "pyd")
_MODULE_SUFFIXES = (".py", ".pyc")


class ModuleKind(StrEnum):
    """What an import runs: a package's `__init__`, one file, nothing (a namespace), compiled code, or it is unknown."""

    PACKAGE = "package"
    MODULE = "module"
    NAMESPACE = "namespace"
    COMPILED = "compiled"
    UNCLEAR = "unclear"


class ModuleLocation(NamedTuple):
    """A module: the file that an import of it runs (empty for a namespace), and the folders of its submodules."""

    kind: ModuleKind
    file: str
    folders: tuple[str, ...] = ()


class Lookup(NamedTuple):
    """The modules that an import of a dotted name runs, in order; `missing` is the part that no folder holds."""

    modules: tuple[ModuleLocation, ...]
    missing: str = ""

    @property
    def last(self) -> ModuleLocation | None:
        """The module that the whole name leads to; None where a part is missing."""
        return None if self.missing or not self.modules else self.modules[-1]

    @property
    def is_unclear(self) -> bool:
        """Whether a part of the name leads to what cannot be read."""
        return any(module.kind is ModuleKind.UNCLEAR for module in self.modules)


class FileTree:
    """Files by their absolute path, each with its path in the project ("" where it is not the project's).

    `unclear` are paths that may be a file or a folder: a symbolic link, a closed submodule.
    """

    def __init__(self, files: Mapping[str, str], unclear: Iterable[str] = ()) -> None:
        self.origins: Mapping[str, str] = files
        self._unclear = frozenset(unclear)
        self._holders: dict[str, list[str]] | None = None
        self._modules: dict[str, ModuleLocation | None] = {}
        self._found: dict[tuple[str, tuple[str, ...]], ModuleLocation | None] = {}
        self._stems: dict[str, dict[str, list[str]]] = {}
        self._children: dict[str, frozenset[str]] = {}
        self._homes: dict[str, tuple[str, str]] = {}
        self._folded: dict[str, dict[str, list[str]]] = {}

    # A commit hook looks a few names up among the files of an image of any size: nothing is made for each of them.
    @functools.cached_property
    def _paths(self) -> Sequence[str]:
        return sorted((*self.origins, *self._unclear))

    @functools.cached_property
    def _compiled(self) -> frozenset[str]:
        """The paths of compiled modules, without what makes their names endings; a folder may have such a name."""
        if not self._may_hold_compiled():
            return frozenset()
        compiled = set()
        for path in self._paths:
            folder, slash, name = path.rpartition("/")
            while name:
                match = _COMPILED.search(name) if name.endswith(COMPILED_ENDINGS) else None
                if match is not None:
                    compiled.add(posixpath.join(folder or slash, name[: match.start()]))
                folder, slash, name = folder.rpartition("/")
        return frozenset(compiled)

    def _may_hold_compiled(self) -> bool:
        joined = "\0".join(self._paths)
        return any(f".{ending}" in joined for ending in COMPILED_ENDINGS)

    def from_project(self, origins: Collection[str]) -> list[str]:
        """The files that come from some paths of the project."""
        return [path for path, origin in self.origins.items() if origin in origins]

    @functools.cached_property
    def by_origin(self) -> dict[str, str]:
        """The files that come from the project, by their path there; of one that is copied twice, the last."""
        return {origin: path for path, origin in self.origins.items() if origin}

    @functools.cached_property
    def _folders(self) -> dict[str, set[str]]:
        """The names in every folder."""
        folders: dict[str, set[str]] = {}
        for path in self._paths:
            inside = path
            while inside not in {"", "/"}:
                folder, slash, name = inside.rpartition("/")
                inside = folder or slash
                children = folders.get(inside)
                if children is not None:
                    children.add(name)
                    break  # the folder is in those above it
                folders[inside] = {name}
        return folders

    def has_folder(self, path: str) -> bool:
        """Whether a folder with files in it exists."""
        if not path:
            return bool(self.children(path))
        start = _start_of(path)
        at = bisect_left(self._paths, start)
        return at < len(self._paths) and self._paths[at].startswith(start)

    def is_unclear(self, path: str) -> bool:
        """Whether a path may be a file or a folder, or is below one that may be."""
        return path in self._unclear or any(path.startswith(f"{other}/") for other in self._unclear)

    def has_sources(self, folder: str) -> bool:
        """Whether a Python file of the program is in a folder, or in one below it."""
        start = _start_of(folder)
        inside = itertools.takewhile(lambda path: path.startswith(start), self._from(start))
        return any(path.endswith(".py") and path in self.origins for path in inside)

    def _from(self, start: str) -> Iterator[str]:
        return map(self._paths.__getitem__, range(bisect_left(self._paths, start), len(self._paths)))

    def home_of(self, folder: str) -> tuple[str, str]:
        """The folder above the outermost package of a folder, and the dotted name of its package; that is empty if it is in none."""
        known = self._homes.get(folder)
        if known is None:
            known = folder, ""
            if folder not in {"", "/"} and f"{folder}/__init__.py" in self.origins:
                above, name = posixpath.split(folder)
                home, package = self.home_of(above)
                known = home, f"{package}.{name}" if package else name
            self._homes[folder] = known
        return known

    def children(self, folder: str) -> frozenset[str]:
        """The names in a folder."""
        known = self._children.get(folder)
        if known is None:
            known = self._children[folder] = frozenset(self._names_in(_start_of(folder)))
        return known

    def _names_in(self, start: str) -> Iterator[str]:
        at = bisect_left(self._paths, start)
        while at < len(self._paths) and self._paths[at].startswith(start):
            name, slash, _rest = self._paths[at][len(start) :].partition("/")
            if name:  # of an absolute path, the root is no name in ""
                yield name
            # past all that is in the folder of that name: "0" comes after "/"
            at = bisect_left(self._paths, f"{start}{name}0", at) if slash else at + 1

    def named(self, folder: str, stem: str) -> Sequence[str]:
        """The names in a folder that are a stem, or that begin with it and a dot."""
        stems = self._stems.get(folder)
        if stems is None:
            stems = self._stems[folder] = {}
            for child in self.children(folder):
                stems.setdefault(child.partition(".")[0], []).append(child)
        return stems.get(stem, ())

    def holders(self, name: str) -> list[str]:
        """The folders in which a module of that name is, wherever they are."""
        if self._holders is None:
            self._holders = {}
            for folder, children in self._folders.items():
                for child in children:
                    if child.endswith(".py") or posixpath.join(folder, child) in self._folders:
                        self._holders.setdefault(child.removesuffix(".py"), []).append(folder)
        return sorted(self._holders.get(name, ()))

    def find(self, name: str, folders: Sequence[str]) -> ModuleLocation | None:
        """The module of that name in some folders, the first that has it; a namespace of all where none has."""
        place = (name, tuple(folders))
        if place not in self._found:
            self._found[place] = self._find(*place)
        return self._found[place]

    def _find(self, name: str, folders: tuple[str, ...]) -> ModuleLocation | None:
        portions: list[str] = []
        for folder in folders:
            path = f"{folder}/{name}" if folder and not folder.endswith("/") else f"{folder}{name}"
            if self._unclear and not self._unclear.isdisjoint((path, f"{path}.py", folder)):
                return ModuleLocation(ModuleKind.UNCLEAR, path)
            location = self._at(path)
            if location is not None:
                return location
            if self.has_folder(path):
                portions.append(path)
        return ModuleLocation(ModuleKind.NAMESPACE, "", tuple(portions)) if portions else None

    def _at(self, path: str) -> ModuleLocation | None:
        if path not in self._modules:
            self._modules[path] = self._in_folder(path)
        return self._modules[path]

    def _in_folder(self, path: str) -> ModuleLocation | None:
        """A package or a file at a path, in the order in which CPython tries them."""
        if self.has_folder(path):
            package = self._file(f"{path}/__init__")
            if package is not None:
                kind = ModuleKind.PACKAGE if package.kind is ModuleKind.MODULE else package.kind
                return package._replace(kind=kind, folders=(path,))
        return self._file(path)

    def _file(self, stem: str) -> ModuleLocation | None:
        if stem in self._compiled:
            return ModuleLocation(ModuleKind.COMPILED, stem)
        for suffix in _MODULE_SUFFIXES:
            if stem + suffix in self.origins:
                kind = ModuleKind.MODULE if suffix == ".py" else ModuleKind.COMPILED
                return ModuleLocation(kind, stem + suffix)
        return None

    def look_up(self, dotted: str, folders: Sequence[str]) -> Lookup:
        """Every module that an import of a dotted name runs, level by level."""
        return self.look_below(dotted.split("."), folders)

    def look_below(self, parts: Sequence[str], folders: Sequence[str]) -> Lookup:
        """The same for the parts of a name, in the folders of a package."""
        modules: list[ModuleLocation] = []
        for part in parts:
            location = self.find(part, folders)
            if location is None:
                return Lookup(tuple(modules), part)
            modules.append(location)
            if location.kind is ModuleKind.UNCLEAR:
                break
            folders = location.folders
        return Lookup(tuple(modules))

    def other_cases(self, name: str, folders: Sequence[str]) -> Iterator[str]:
        """Modules whose name differs from this one in case alone, as they are spelled."""
        folded = name.casefold()
        for folder in folders:
            for stem in self._stems_by_case(folder).get(folded, ()):
                if stem != name and self.find(stem, [folder]) is not None:
                    yield stem

    def _stems_by_case(self, folder: str) -> dict[str, list[str]]:
        """The names in a folder without endings of modules, sorted, by what they are in any case."""
        stems = self._folded.get(folder)
        if stems is None:
            stems = self._folded[folder] = {}
            for child in sorted(self.children(folder)):
                stem = _COMPILED.sub("", child) if child.endswith(COMPILED_ENDINGS) else child
                stem = stem.removesuffix(".py")
                stems.setdefault(stem.casefold(), []).append(stem)
        return stems


def _start_of(folder: str) -> str:
    """What the paths of all files in a folder begin with; relative ones are in the folder ""."""
    return folder if folder in {"", "/"} else f"{folder}/"
