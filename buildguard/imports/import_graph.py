"""Which modules a start runs: surely while it is imported, or perhaps and late, with the chain of imports. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial

from buildguard.definitions import NamedTuple
from buildguard.imports.execution import is_certain, is_guarded
from buildguard.imports.finder import ModuleKind
from buildguard.imports.names import LoadedModule
from buildguard.imports.records import Guard, ImportForm, ImportStatement, ModuleFacts
from buildguard.imports.resolver import ImportKind, ModuleResolver, Resolution


class ImportEdge(NamedTuple):
    """An import of a module, where it leads, the modules with a source that it runs, and whether it surely runs them."""

    row: ImportStatement
    resolution: Resolution
    targets: tuple[LoadedModule, ...]
    certain: bool


_edge_of = partial(tuple.__new__, ImportEdge)  # of all its fields: one is made for every import of a project


class ReachedModule(NamedTuple):
    """A module that a start runs, whether surely while it is imported, and the names of the modules that led to it.

    `handled` says that each way to it has an import whose failure is handled.
    """

    module: LoadedModule
    certain: bool
    chain: tuple[str, ...]
    handled: bool = False


class ImportGraph:
    """The imports of modules, resolved once for each module."""

    def __init__(self, resolver: ModuleResolver, facts: Callable[[str], ModuleFacts | None]) -> None:
        self.resolver = resolver
        self.facts = facts
        self._edges: dict[str, tuple[ImportEdge, ...]] = {}
        self._own_edges: dict[str, tuple[ImportEdge, ...]] = {}

    def edges(self, module: LoadedModule) -> tuple[ImportEdge, ...]:
        """The imports of a module that the target may execute, in their order, without those that are the library's on every path."""
        known = self._edges.get(module.name)
        if known is None:
            facts = self.facts(module.location.file)
            rows = () if facts is None else self.resolver.without_library(module, facts.imports)
            is_main = module.is_main
            known = tuple([self._edge(module, row, is_main=is_main) for row in rows if row.guard is not Guard.FALSE])
            self._edges[module.name] = known
        return known

    def own_edges(self, module: LoadedModule) -> tuple[ImportEdge, ...]:
        """Those that lead to modules of the tree."""
        known = self._own_edges.get(module.name)
        if known is None:
            known = tuple([edge for edge in self.edges(module) if edge.resolution.modules])
            self._own_edges[module.name] = known
        return known

    def _edge(self, module: LoadedModule, row: ImportStatement, *, is_main: bool) -> ImportEdge:
        resolution = self.resolver.resolve(module, row)
        sources = self._sources(module, resolution, row) if resolution.modules else ()
        certain = resolution.kind is not ImportKind.UNCLEAR and is_certain(row, is_main=is_main)
        return _edge_of((row, resolution, sources, certain))

    def _sources(self, module: LoadedModule, resolution: Resolution, row: ImportStatement) -> tuple[LoadedModule, ...]:
        targets = [*resolution.modules, *self._submodules(module, resolution.last, row)]
        return tuple(target for target in targets if has_source(target))

    def _submodules(
        self, module: LoadedModule, package: LoadedModule | None, row: ImportStatement
    ) -> Iterator[LoadedModule]:
        """The submodules that a `from` import runs: those that the package binds no name for, or not before its own import."""
        if package is None or row.form is not ImportForm.FROM:
            return
        bound = self._bound(package)
        for name in row.names:
            if name not in bound or (package.name == module.name and bound[name] >= row.line):
                submodule = self.resolver.submodule(package, name)
                if submodule is not None:
                    yield submodule

    def _bound(self, package: LoadedModule) -> Mapping[str, int]:
        facts = self.facts(package.location.file) if has_source(package) else None
        return {} if facts is None else facts.bound


def has_source(module: LoadedModule) -> bool:
    """Whether an import of a module runs Python source."""
    kind = module.location.kind
    return kind is ModuleKind.MODULE or kind is ModuleKind.PACKAGE


def find_reached(
    graph: ImportGraph, starts: Iterable[LoadedModule], *, may_fail: bool = False
) -> dict[str, ReachedModule]:
    """Every module that some starts run, by its name: first what they surely run, each by its shortest chain.

    Nothing is sure where the starts `may_fail`.
    """
    modules = [*starts]
    unsure = frozenset(module.name for module in modules if may_fail)
    reached = _reach(graph, modules, unsure)
    guarded = _guarded_packages(graph, reached.values())
    # what a function tries is tried later, and leaves nothing behind for the imports before it
    first = unsure.union(name for name, is_late in guarded if not is_late)
    reached = _reach(graph, modules, first) if first else reached
    for name in {name for name, _is_late in guarded}:
        reached[name] = reached[name]._replace(certain=False)
    for name in reached.keys() - _unhandled(graph, modules):
        reached[name] = reached[name]._replace(handled=True)
    return reached


def _is_handled(row: ImportStatement) -> bool:
    """Whether the source handles that the module of an import lacks another one."""
    return is_guarded(row) or row.guard is Guard.MODULE_ONLY


def _unhandled(graph: ImportGraph, starts: Iterable[LoadedModule]) -> set[str]:
    """The modules that are reached without an import whose failure is handled."""
    waiting = [*starts]
    found = {module.name for module in waiting}
    while waiting:
        for edge in graph.own_edges(waiting.pop()):
            if not _is_handled(edge.row):
                others = [target for target in edge.targets if target.name not in found]
                found.update(target.name for target in others)
                waiting += others
    return found


def _reach(graph: ImportGraph, starts: Iterable[LoadedModule], unsure: AbstractSet[str]) -> dict[str, ReachedModule]:
    """The same, where it is not sure that some packages are executed, nor what only they import."""
    reached: dict[str, ReachedModule] = {}
    first = [ReachedModule(module, module.name not in unsure, (module.name,)) for module in starts]
    _spread(graph, [item for item in first if item.certain], reached, unsure, only_certain=True)
    _spread(
        graph, [*reached.values(), *(item for item in first if not item.certain)], reached, unsure, only_certain=False
    )
    return reached


def _guarded_packages(graph: ImportGraph, reached: Iterable[ReachedModule]) -> set[tuple[str, bool]]:
    """Packages that are also imported where a failure is handled, and whether late: their modules stay imported, and stand in for them."""
    edges = (edge for item in reached for edge in graph.edges(item.module) if is_guarded(edge.row))
    return {(target.name, edge.row.late) for edge in edges for target in edge.targets if target.location.folders}


def _spread(
    graph: ImportGraph,
    first: Iterable[ReachedModule],
    reached: dict[str, ReachedModule],
    unsure: AbstractSet[str],
    *,
    only_certain: bool,
) -> None:
    waiting = deque(first)
    reached.update((item.module.name, item) for item in waiting)
    while waiting:
        item = waiting.popleft()
        edges = (edge for edge in graph.edges(item.module) if edge.certain or not only_certain)
        for target in (target for edge in edges for target in edge.targets):
            if target.name not in reached and not (only_certain and target.name in unsure):
                step = ReachedModule(target, only_certain, (*item.chain, target.name))
                reached[target.name] = step
                waiting.append(step)
