"""BG604: names that a module takes by a dot from another one of the project, which does not bind them. Pure.

Compiled code is enough to see that a name is missing. Whether its use is executed, `executed_uses` asks a syntax tree.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping

from buildguard.definitions import NamedTuple
from buildguard.imports.execution import is_guarded, runs_at_import
from buildguard.imports.faults import ImportContext
from buildguard.imports.import_graph import ImportGraph, find_reached, has_source
from buildguard.imports.names import LoadedModule, NameReader
from buildguard.imports.records import Bound, Guard, ImportForm, ImportStatement, ModuleFacts, NameUse


class TakenName(NamedTuple):
    """A name that a module of the project lacks, and where another one takes it; `row` has the line and what guards it.

    With `is_open` it is not known whether the use is executed, or whether the name is there. With `is_unloaded` the name is a
    submodule that nothing imports. With `is_early` the source is a submodule, in place of what its package will bind to its name.
    """

    row: ImportStatement
    source: LoadedModule
    name: str
    is_open: bool
    is_unloaded: bool = False
    is_early: bool = False


class OwnUse(NamedTuple):
    """A use of a name that a module imports from one of the project, the `owner`.

    `first` is the name of the owner, or that of a submodule where something is imported from it: all that the use takes begins so.
    """

    use: NameUse
    owner: LoadedModule
    first: str

    def may_be_early(self, running: Collection[str]) -> bool:
        """Whether one of the modules that are being executed may not have yet what the use takes."""
        return self.owner.name in running or any(name.startswith(self.first) for name in running)


class _Part(NamedTuple):
    """A module that a part of a dotted name stands for, if a package binds a name only by the import of a `use`.

    With `is_open` the package may call something else so.
    """

    module: LoadedModule
    package: LoadedModule | None = None
    use: NameUse | None = None
    is_open: bool = False


class _MissingName(NamedTuple):
    """A name that a module lacks, with `is_open` perhaps; the dotted name up to it, and the parts before it.

    With `is_unloaded` it is a submodule that nothing imports.
    """

    source: LoadedModule
    name: str
    is_open: bool
    dotted: str
    parts: tuple[_Part, ...]
    is_unloaded: bool = False


class TakenNameReader:
    """Finds such names in one module after the other."""

    def __init__(
        self,
        graph: ImportGraph,
        names: NameReader,
        context: ImportContext,
        loaded: Container[str] | None = None,
    ) -> None:
        """`loaded` are the modules that the program may import, None where that is not known."""
        self._graph = graph
        self._loaded = loaded
        self._names = names
        self._context = context
        # many modules take the same names of one
        self._own_uses: dict[str, tuple[OwnUse, ...]] = {}
        self._lacking: dict[tuple[str, str, str], _MissingName | None] = {}
        self._read_rows: dict[tuple[object, ...], list[ImportStatement] | None] = {}

    def own_uses(self, module: LoadedModule) -> tuple[OwnUse, ...]:
        """What a module takes by a dot from modules of the project."""
        known = self._own_uses.get(module.name)
        if known is None:
            facts = self._facts(module)
            pairs = (
                ((use, self._graph.resolver.resolve(module, use).last) for use in facts.uses)
                if facts is not None
                else ()
            )
            known = tuple(
                OwnUse(use, owner, f"{owner.name}.{use.imported}" if use.imported else owner.name)
                for use, owner in pairs
                if owner is not None
            )
            self._own_uses[module.name] = known
        return known

    def read(self, module: LoadedModule) -> Iterator[TakenName]:
        """Those among the uses of a module that it executes, or may execute."""
        for use, owner, _first in self.own_uses(module):
            for dotted, line in use.taken.items() if not self._is_of_library(use) else ():
                found = self._lacking_in(owner, use.imported, dotted)
                taken = None if found is None else self._executed(module, use, found, line)
                if taken is not None:
                    was_there = not taken.is_open and self._was_there(taken.source, taken.name, module)
                    yield taken._replace(is_open=True) if was_there else taken

    def read_early(
        self, module: LoadedModule, own_use: OwnUse, dotted: str, lines: Mapping[str, int]
    ) -> TakenName | None:
        """The same for one use, of a name that a module has not bound yet; `lines` says where those stand that are being executed."""
        use, owner, _first = own_use
        early = self._early_submodule(owner, use.imported, lines)

        def bound(source: LoadedModule, name: str) -> Bound:
            if f"{source.name}.{name}" in lines and not self._binds(source, name):
                return Bound.NO  # a package has a submodule once that is executed
            if source.name in lines and has_source(source):
                return self._names.is_bound(source, name, lines[source.name])
            return self._bound(source, name) if early is not None and source == early.module else Bound.YES

        part = early or (None if self._is_of_library(use) else self._part_of(owner, use.imported))
        found = self._missing(part, dotted, bound)
        taken = None if found is None else self._executed(module, use, found, use.taken[dotted])
        is_early = taken is not None and early is not None and taken.source == early.module
        return taken._replace(is_early=True) if taken is not None and is_early else taken

    def _early_submodule(self, package: LoadedModule, name: str, lines: Mapping[str, int]) -> _Part | None:
        """The submodule that `from package import name` gets while the package has not yet bound something else of that name."""
        if not name or package.name not in lines or not self._binds_later(package, name, lines[package.name]):
            return None
        source = self._graph.resolver.submodule(package, name)
        return None if source is None else _Part(source, is_open=self._may_bind_more(package))

    def _binds_later(self, package: LoadedModule, name: str, line: int) -> bool:
        """Whether a package binds a name, and not before a line."""
        facts = self._facts(package)
        return facts is not None and facts.bound.get(name, 0) >= line

    def _is_of_library(self, use: NameUse) -> bool:
        return not use.level and use.module.partition(".")[0] in self._context.standard

    def _part_of(self, owner: LoadedModule, imported: str) -> _Part | None:
        """The module of the project that a module, or what is imported from it, stands for; None where it is something else."""
        return self._below(owner, imported) if imported else _Part(owner)

    def _lacking_in(self, owner: LoadedModule, imported: str, dotted: str) -> _MissingName | None:
        """What is missing in the end in a dotted name that starts from a module, or from what is imported from it."""
        key = owner.name, imported, dotted
        if key not in self._lacking:
            self._lacking[key] = self._missing(self._part_of(owner, imported), dotted, self._bound, self._is_unloaded)
        return self._lacking[key]

    def _below(self, package: LoadedModule, name: str) -> _Part | None:
        """The submodule that a name of a package is: nothing else is called so there, or only an import of just that."""
        source = self._graph.resolver.submodule(package, name)
        if source is None or not self._binds(package, name):
            return None if source is None else _Part(source, is_open=self._may_bind_more(package))
        uses = self._own_submodules(package)
        return next((_Part(source, package, use) for use in uses if use.name == name), None)

    def _may_bind_more(self, package: LoadedModule) -> bool:
        """Whether a package may bind names that its statements do not show."""
        facts = self._facts(package)
        return facts is not None and (facts.dynamic or any(row.is_star for row in facts.imports))

    def _facts(self, module: LoadedModule) -> ModuleFacts | None:
        return self._graph.facts(module.location.file) if has_source(module) else None

    def _own_submodules(self, package: LoadedModule) -> Iterator[NameUse]:
        """What a package imports from itself."""
        facts = self._graph.facts(package.location.file)
        for row in facts.imports if facts is not None else ():
            if row.names and self._graph.resolver.resolve(package, row).last == package:
                yield from (NameUse(name, row.level, row.module, name, {}) for name in row.names)

    def _missing(
        self,
        part: _Part | None,
        dotted: str,
        is_bound: Callable[[LoadedModule, str], Bound],
        is_unloaded_part: Callable[[_Part], bool] = lambda _part: False,
    ) -> _MissingName | None:
        """The first name in a dotted one that its module lacks, or is not known to bind, or that is no loaded submodule."""
        names = dotted.split(".")
        passed: list[_Part] = []
        for number, name in enumerate(names):
            if part is None:
                break
            passed.append(part)
            bound = is_bound(part.module, name)
            below = self._below(part.module, name)
            is_unloaded = bound is Bound.YES and below is not None and is_unloaded_part(below)
            if is_unloaded or bound is not Bound.YES:
                shown = ".".join(names[: number + 1])
                is_open = bound is Bound.UNKNOWN or any(each.is_open for each in passed)
                return _MissingName(part.module, name, is_open, shown, tuple(passed), is_unloaded)
            part = below
        return None

    def _is_unloaded(self, part: _Part) -> bool:
        """Whether a package gets a submodule from nothing but its import, and nothing imports it."""
        is_sure = part.use is None and not part.is_open and has_source(part.module)
        return is_sure and self._loaded is not None and part.module.name not in self._loaded

    def _bound(self, module: LoadedModule, name: str) -> Bound:
        """Whether a module has a name; what does not compile is a finding of its own."""
        return Bound.YES if self._facts(module) is None else self._names.is_bound(module, name)

    def _was_there(self, source: LoadedModule, name: str, module: LoadedModule) -> bool:
        """Whether a name that a module deletes in the end may still be there, because it is what imports the one that takes it."""
        return self._binds(source, name) and module.name in find_reached(self._graph, [source])

    def _binds(self, source: LoadedModule, name: str) -> bool:
        """Whether a statement of a module binds a name, at any place."""
        facts = self._facts(source)
        return facts is not None and name in facts.bound

    def _executed(self, module: LoadedModule, use: NameUse, found: _MissingName, line: int) -> TakenName | None:
        """The use that is surely executed with its module, else one that may be; None where none is, or what it lacks is handled."""
        rows = self._rows(module, use, found)
        if rows is None:
            row = ImportStatement(line, 1, ImportForm.ATTRIBUTE, use.module, (found.name,), use.level)
            return TakenName(row, found.source, found.name, is_open=True)
        taken = [row for row in rows if runs_at_import(row, is_main=module.is_main) and not is_guarded(row)]
        first = min(taken, key=_is_conditional, default=None)
        if first is None:
            return None
        is_open = found.is_open or _is_conditional(first)
        return TakenName(first, found.source, found.name, is_open, found.is_unloaded)

    def _rows(self, module: LoadedModule, use: NameUse, found: _MissingName) -> list[ImportStatement] | None:
        """Each use of a missing name that no function holds; None where only running it tells what it is taken from."""
        from buildguard.imports.executed_uses import rows_of  # few names need a tree

        facts, data = self._graph.facts(module.location.file), self._context.read(module.location.file)
        if facts is None or data is None or not all(map(self._holds, found.parts)):
            return None
        key = module.location.file, found.dotted, *use[:4]
        if key not in self._read_rows:  # the circles of a project are followed from several modules
            self._read_rows[key] = rows_of(data, use, found.dotted, facts.version)
        return self._read_rows[key]

    def _holds(self, part: _Part) -> bool:
        """Whether a part of a dotted name stands for its module whatever the package before it does."""
        from buildguard.imports.executed_uses import is_only_import

        if part.package is None or part.use is None:
            return True
        data = self._context.read(part.package.location.file)
        return data is not None and is_only_import(data, part.use)


def _is_conditional(row: ImportStatement) -> bool:
    return row.guard is Guard.CONDITIONAL
