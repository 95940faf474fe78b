"""Whether a module binds a name: at its top, by a star import, as a submodule; what cannot be known is undecided. Pure."""

from __future__ import annotations

from collections.abc import Callable

from buildguard.definitions import NamedTuple
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.records import Bound, Guard, ImportForm, ImportStatement, ModuleFacts

# Modules that import each other by stars have more ways through them than can be followed: steps for one name, and for all.
_MOST_STEPS, _FEWEST_STEPS, _ALL_STEPS = 20_000, 1_000, 2_000_000
_OF_EVERY_MODULE = frozenset(
    {
        "__builtins__",
        "__cached__",
        "__class__",
        "__dict__",
        "__dir__",
        "__doc__",
        "__file__",
        "__loader__",
        "__name__",
        "__package__",
        "__path__",
        "__spec__",
    }
    | set(dir(object))
)


class LoadedModule(NamedTuple):
    """A module as an import knows it: its dotted name, and where it is stored; `home` is the package of a `__main__`."""

    name: str
    location: ModuleLocation
    home: str | None = None

    @property
    def is_main(self) -> bool:
        """Whether it is the program that was started."""
        return self.home is not None

    @property
    def is_file_package(self) -> bool:
        """Whether it is a file that is loaded as a package, which no search of the path finds as such."""
        return self.location.kind is ModuleKind.PACKAGE and not self.location.file.endswith("/__init__.py")

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        if self.home is not None:
            return self.home
        kind = self.location.kind
        if kind is ModuleKind.PACKAGE or kind is ModuleKind.NAMESPACE:
            return self.name
        return self.name.rpartition(".")[0]


class NameReader:
    """Reads which names modules bind.

    `facts` gives those of a file, None where they are unknown; `follow` gives the module that a star import leads to, None
    where it is not among the files; `may_be_foreign` says whether installed packages may hold a part of a namespace. `read` gives
    the content of a file, for names that only its statements decide.
    """

    def __init__(
        self,
        tree: FileTree,
        facts: Callable[[str], ModuleFacts | None],
        follow: Callable[[LoadedModule, ImportStatement], LoadedModule | None],
        may_be_foreign: Callable[[str], bool],
        read: Callable[[str], bytes | None],
    ) -> None:
        self._read = read
        self._flows: dict[tuple[str, str], Bound] = {}
        self._returns: dict[tuple[str, str], bool] = {}
        self._tree = tree
        self._facts = facts
        self._follow = follow
        self._may_be_foreign = may_be_foreign
        self._left = _ALL_STEPS
        self._steps = 0  # those that one name may still take

    def is_bound(self, module: LoadedModule, name: str, before: int | None = None) -> Bound:
        """Whether a module binds a name in the end, or before it executes a line; unknown where that takes too long."""
        granted = self._steps = min(_MOST_STEPS, max(_FEWEST_STEPS, self._left))
        answer = self._is_bound(module, name, before, frozenset())
        self._left -= granted - self._steps
        return answer if self._steps > 0 else Bound.UNKNOWN

    def _is_bound(self, module: LoadedModule, name: str, before: int | None, seen: frozenset[str]) -> Bound:
        location = module.location
        if name in _OF_EVERY_MODULE or self._tree.find(name, location.folders) is not None:
            return Bound.YES
        if location.kind is ModuleKind.NAMESPACE:
            return Bound.UNKNOWN if self._may_be_foreign(module.name) else Bound.NO
        facts = self._facts(location.file) if location.kind in {ModuleKind.PACKAGE, ModuleKind.MODULE} else None
        if facts is None:
            return Bound.UNKNOWN
        line = facts.bound.get(name)
        is_early = line is not None and (before is None or line < before)
        if is_early and not facts.may_lack(name):
            return Bound.YES
        seen |= {module.name}
        if before is None and name in facts.unsure:
            return self._by_flow(module, facts, name, seen)
        is_open = is_early or facts.may_make(name)
        return Bound.UNKNOWN if is_open else self._by_stars(module, facts, name, before, seen)

    def _by_flow(self, module: LoadedModule, facts: ModuleFacts, name: str, seen: frozenset[str]) -> Bound:
        """What following the statements of a module shows."""
        key = module.location.file, name
        is_first = len(seen) == 1  # no star import led here
        known = self._flows.get(key) if is_first else None
        if known is None:
            known = self._find_binding(module, facts, name, seen)
            if is_first:
                self._flows[key] = known
        return Bound.UNKNOWN if known is Bound.NO and facts.dynamic else known

    def _find_binding(self, module: LoadedModule, facts: ModuleFacts, name: str, seen: frozenset[str]) -> Bound:
        from buildguard.imports.bindings import find_binding  # few names need it

        def star(module_name: str, level: int) -> Bound:
            row = ImportStatement(0, 0, ImportForm.FROM, module_name, ("*",), level)
            return self._by_star(self._follow(module, row), name, seen)

        data = self._read(module.location.file)
        return Bound.UNKNOWN if data is None else find_binding(data, name, facts.version, star)

    def _by_stars(
        self, module: LoadedModule, facts: ModuleFacts, name: str, before: int | None, seen: frozenset[str]
    ) -> Bound:
        answer = Bound.NO
        for row in facts.imports:
            if self._steps <= 0:
                return Bound.UNKNOWN
            if not row.is_star or row.guard is Guard.FALSE or (before is not None and row.line >= before):
                continue
            source = self._follow(module, row)
            brought = self._by_star(source, name, seen)
            if brought is Bound.YES and source is not None and self._leads_back(source, module):
                brought = Bound.UNKNOWN  # it may have been asked before it was done
            if brought is Bound.YES:
                if row.guard is Guard.NONE:
                    return Bound.YES
                return self._by_flow(module, facts, name, seen) if before is None else Bound.UNKNOWN
            answer = brought if brought is Bound.UNKNOWN else answer
        return answer

    def _by_star(self, source: LoadedModule | None, name: str, seen: frozenset[str]) -> Bound:
        """Whether `from source import *` brings a name."""
        self._steps -= 1
        if self._steps <= 0 or source is None or source.location.kind not in {ModuleKind.PACKAGE, ModuleKind.MODULE}:
            return Bound.UNKNOWN
        facts = self._facts(source.location.file)
        if source.name in seen:
            return Bound.NO
        if facts is None or facts.dynamic or (facts.exports is None and "__all__" in facts.bound):
            return Bound.UNKNOWN
        if facts.exports is not None:
            return Bound.YES if name in facts.exports else Bound.NO
        if name.startswith("_"):
            return Bound.NO
        is_submodule = name not in facts.bound and self._tree.find(name, source.location.folders) is not None
        # a submodule is an attribute only once something has imported it
        return Bound.UNKNOWN if is_submodule else self._is_bound(source, name, None, seen)

    def _leads_back(self, source: LoadedModule, module: LoadedModule) -> bool:
        """Whether what a star import runs may import the module, and be entered before it: a package's own modules are not."""
        place = source.name, module.name
        known = self._returns.get(place)
        if known is None:
            known = self._returns[place] = self._may_return(source, module)
        return known

    def _may_return(self, source: LoadedModule, module: LoadedModule) -> bool:
        waiting, known = [source], {source.name}
        while waiting:
            facts = self._facts(waiting[-1].location.file)
            current = waiting.pop()
            for row in facts.imports if facts is not None else ():
                self._steps -= 1
                target = None if row.late or row.guard is Guard.FALSE else self._follow(current, row)
                if target is None or target.name in known:
                    continue
                if target.name == module.name:
                    return not source.name.startswith(f"{module.name}.")
                known.add(target.name)
                waiting.append(target)
        return False
