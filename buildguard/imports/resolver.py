"""From an import statement to the modules that it runs, as the import system of the target resolves it. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Container, Sequence

from buildguard.definitions import NamedTuple, StrEnum
from buildguard.imports.finder import FileTree, Lookup, ModuleKind, ModuleLocation
from buildguard.imports.names import LoadedModule
from buildguard.imports.records import ImportStatement, NameUse
from buildguard.imports.standard_names import is_standard

# Loaded before the first line of any program: a file of the same name is never imported.
LOADED_AT_START = frozenset(
    {
        "_collections_abc",
        "_sitebuiltins",
        "abc",
        "builtins",
        "codecs",
        "encodings",
        "genericpath",
        "io",
        "os",
        "posixpath",
        "site",
        "stat",
        "sys",
        "zipimport",
    }
)
# Compiled into the interpreter on Linux: found before any folder of sys.path.
BUILT_IN = frozenset(
    {"atexit", "errno", "faulthandler", "gc", "itertools", "marshal", "posix", "pwd", "signal", "time"}
)
_ALEMBIC, _TEMPLATE = "alembic", "script.py.mako"


class ImportKind(StrEnum):
    """Where an import leads; OUTSIDE is whatever the project's files do not hold."""

    RESOLVED = "resolved"
    MISSING = "missing"
    OUTSIDE = "outside"
    UNCLEAR = "unclear"
    NO_PACKAGE = "no package"
    BEYOND = "beyond"


class Resolution(NamedTuple):
    """The modules that an import runs, in order, and the dotted name of the first that is missing."""

    kind: ImportKind
    modules: tuple[LoadedModule, ...] = ()
    missing: str = ""

    @property
    def last(self) -> LoadedModule | None:
        """The module that the statement names; None where it is not the project's."""
        return self.modules[-1] if self.kind is ImportKind.RESOLVED and self.modules else None


_OUTSIDE = Resolution(ImportKind.OUTSIDE)


class SearchPath(NamedTuple):
    """The folders in which modules are looked for: those before the standard library, and those after it.

    Those that modules `added` are among the last, and may be searched before all others.
    """

    front: tuple[str, ...]
    back: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """All of them, in their order."""
        return (*self.front, *self.back)


class ModuleResolver:
    """Resolves imports among the files of a tree.

    `standard` are the standard library's modules. `may_be_foreign` says whether installed packages may hold a module; with
    `prefer_installed` they come first, because the folders are only a guess.
    """

    def __init__(
        self,
        tree: FileTree,
        path: SearchPath,
        standard: Container[str],
        may_be_foreign: Callable[[str], bool],
        *,
        prefer_installed: bool = False,
    ) -> None:
        self.tree = tree
        self.path = path
        self.standard = standard
        self._may_be_foreign = may_be_foreign
        self._prefer_installed = prefer_installed
        self._found: dict[str, Resolution] = {}
        self._absolute: dict[str, tuple[str, Resolution]] = {}
        self._found_relative: dict[tuple[str, int, str], Resolution] = {}
        # what does not depend on the path
        self._installed: dict[str, bool] = {}
        self._outside: dict[str, tuple[str, Resolution]] = {}
        self._of_library: dict[str, str] = {}

    def with_path(self, path: SearchPath) -> ModuleResolver:
        """The same for another search path; both know what is installed once one of them does."""
        other = ModuleResolver(
            self.tree, path, self.standard, self._may_be_foreign, prefer_installed=self._prefer_installed
        )
        other._installed, other._outside, other._of_library = self._installed, self._outside, self._of_library
        return other

    def add(self, module: LoadedModule) -> None:
        """A module that is loaded under its name before any import looks for it."""
        self._found[module.name] = Resolution(ImportKind.RESOLVED, (module,))
        self._absolute.clear()

    def resolve(self, module: LoadedModule, row: ImportStatement | NameUse) -> Resolution:
        """The modules that an import in a module runs, or the one of a use."""
        if row.level:
            return self._find_relative(module.package, row)
        dotted = row.module
        top, resolution = self._absolute.get(dotted) or self._outside.get(dotted) or self._find_for_others(dotted)
        if not self._prefer_installed or (module.home is None and not module.name.startswith(top)):
            return resolution
        return _OUTSIDE if self._means_installed(module, top) else self.find(dotted)

    def without_library(self, module: LoadedModule, rows: Sequence[ImportStatement]) -> Sequence[ImportStatement]:
        """The imports of a module, without those of the standard library on every path: no folder is looked into for them."""
        if not self._prefer_installed or module.home is not None:
            return rows
        others = []
        for row in rows:
            top = "" if row.level else self._of_library.get(row.module)
            if top is None:
                top = self._top_of_library(row.module)
            if not top or module.name.startswith(top):
                others.append(row)
        return others

    def _top_of_library(self, dotted: str) -> str:
        """The top-level name of a module of the standard library; empty for any other."""
        top = dotted.partition(".")[0]
        known = self._of_library[dotted] = top if is_standard(top) and self.may_be_installed(top) else ""
        return known

    def _find_for_others(self, dotted: str) -> tuple[str, Resolution]:
        """The top-level name of an absolute import, and what it runs in modules that are in no package of that name: nearly all."""
        top = dotted.partition(".")[0]
        if self._prefer_installed and self.may_be_installed(top):
            known = self._outside[dotted] = (top, _OUTSIDE)
        else:
            known = self._absolute[dotted] = (top, self.find(dotted))
        return known

    def _means_installed(self, module: LoadedModule, top: str) -> bool:
        """Whether an import means an installed package: so does a file that imports its own name, and what Alembic runs."""
        is_installed = self.may_be_installed(top)
        if module.home is None and not module.name.startswith(top):
            return is_installed  # nor is it in a package of that name
        package = module.package
        if not package:
            return top == module.name or is_installed
        is_own = top == package.partition(".")[0]
        return is_installed and (not is_own or (top == _ALEMBIC and self._is_migration(module)))

    def _is_migration(self, module: LoadedModule) -> bool:
        """Whether Alembic runs a file by its path, and so is loaded before it: its env.py and the versions."""
        folder = posixpath.dirname(module.location.file)
        return any(_TEMPLATE in self.tree.children(place) for place in (folder, posixpath.dirname(folder)))

    def find(self, dotted: str) -> Resolution:
        """The modules that an absolute import runs."""
        known = self._found.get(dotted)
        if known is None:
            known = self._found[dotted] = self._find(dotted)
        return known

    def _find(self, dotted: str) -> Resolution:
        top = dotted.partition(".")[0]
        if top in LOADED_AT_START or top in BUILT_IN:
            return Resolution(ImportKind.OUTSIDE)
        folders = self.path.front if top in self.standard else self.path.folders
        lookup = self.tree.look_up(dotted, folders)
        if not lookup.modules or (lookup.missing and self._is_foreign(top, lookup.modules[0])):
            return Resolution(ImportKind.OUTSIDE)
        if top in self.standard and lookup.modules[0].kind is ModuleKind.NAMESPACE:
            return Resolution(ImportKind.OUTSIDE)
        resolution = _resolution(lookup, dotted.split("."), ())
        return (
            resolution._replace(kind=ImportKind.UNCLEAR) if self._may_be_added(top, lookup.modules[0]) else resolution
        )

    def _may_be_added(self, top: str, first: ModuleLocation) -> bool:
        """Whether a folder that a module puts on the path, before or behind the others, has another module of that name."""
        others = (self.tree.find(top, [folder]) for folder in self.path.added)
        return any(other not in {None, first} for other in others)

    def may_be_installed(self, top: str) -> bool:
        """Whether the standard library or an installed package may hold a top-level module."""
        known = self._installed.get(top)
        if known is None:
            known = self._installed[top] = top in self.standard or self._may_be_foreign(top)
        return known

    def _is_foreign(self, top: str, first: ModuleLocation) -> bool:
        """Whether a folder without `__init__` is only one portion of a namespace, or none at all."""
        return first.kind is ModuleKind.NAMESPACE and self.may_be_installed(top)

    def _find_relative(self, package: str, row: ImportStatement | NameUse) -> Resolution:
        place = (package, row.level, row.module)
        known = self._found_relative.get(place)
        if known is None:
            known = self._found_relative[place] = self._relative(package, row)
        return known

    def _relative(self, package: str, row: ImportStatement | NameUse) -> Resolution:
        if not package:
            return Resolution(ImportKind.NO_PACKAGE)
        parts = package.split(".")
        if row.level > len(parts):
            return Resolution(ImportKind.BEYOND)
        base = self.find(".".join(parts[: len(parts) - row.level + 1]))
        if base.last is None:
            return base._replace(kind=ImportKind.UNCLEAR) if base.kind is not ImportKind.UNCLEAR else base
        names = row.module.split(".") if row.module else []
        lookup = self.tree.look_below(names, base.last.location.folders)
        if lookup.missing and self._is_foreign(parts[0], base.modules[0].location):
            return Resolution(ImportKind.UNCLEAR)
        return _resolution(lookup, [*base.last.name.split("."), *names], base.modules)

    def submodule(self, module: LoadedModule, name: str) -> LoadedModule | None:
        """A submodule that `from module import name` runs where the module binds no such name."""
        location = self.tree.find(name, module.location.folders)
        return None if location is None else LoadedModule(f"{module.name}.{name}", location)


def _resolution(lookup: Lookup, parts: Sequence[str], before: tuple[LoadedModule, ...]) -> Resolution:
    start = len(before)
    modules = tuple(
        LoadedModule(".".join(parts[: start + number + 1]), location) for number, location in enumerate(lookup.modules)
    )
    if lookup.is_unclear:
        return Resolution(ImportKind.UNCLEAR, (*before, *modules))
    if lookup.missing:
        missing = ".".join(parts[: start + len(modules) + 1])
        return Resolution(ImportKind.MISSING, (*before, *modules), missing)
    return Resolution(ImportKind.RESOLVED, (*before, *modules))
