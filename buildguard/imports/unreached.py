"""Imports in files that no start reaches: reported where they fail whichever folder the program starts in. Pure."""

from __future__ import annotations

import functools
import itertools
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.imports.circles import CircularImport, find_circles
from buildguard.imports.faults import FaultKind, ImportFault
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.import_graph import ImportGraph, ReachedModule
from buildguard.imports.names import LoadedModule
from buildguard.imports.own_imports import OpenImport, OwnImportJudge, OwnImports
from buildguard.imports.program import folders_above, home_of
from buildguard.imports.resolver import ModuleResolver, SearchPath

if TYPE_CHECKING:
    from buildguard.imports.faults import ImportContext

_KINDS_OF_CIRCLES = frozenset({FaultKind.CIRCULAR, FaultKind.EARLY, FaultKind.UNBOUND})
_MOST_MEMBERS = 8  # of a circle that is tried from each of its modules


class _Group(NamedTuple):
    """The modules below one folder, and those of them whose imports are asked for."""

    modules: tuple[LoadedModule, ...]
    asked: tuple[LoadedModule, ...]


class LooseReader:
    """Reads files whose path is unknown, each from the folder above its outermost package.

    `certain` says that every one of them counts as executed, because no start is known.
    """

    def __init__(self, tree: FileTree, roots: tuple[str, ...], context: ImportContext) -> None:
        self._tree = tree
        self._roots = roots
        self._context = context
        self._alone: dict[tuple[str, str], ModuleLocation | None] = {}
        self._resolver = ModuleResolver(
            tree, SearchPath(()), context.standard, context.may_be_foreign, prefer_installed=True
        )

    def read(self, files: Iterable[str], is_asked: Callable[[str], bool], *, certain: bool) -> OwnImports:
        """Judge every import of those of the files that are asked for; the others may be in a circle with them."""
        # the others count in circles alone, and those are told of what is executed
        groups = self._by_home(files if certain else filter(is_asked, files))
        results = [
            self._read_group(
                home,
                _Group(tuple(modules), tuple(one for one in modules if is_asked(one.location.file))),
                certain=certain,
            )
            for home, modules in groups.items()
        ]
        return OwnImports(
            tuple(fault for result in results for fault in result.faults),
            tuple(item for result in results for item in result.outside),
            tuple(item for result in results for item in result.undecided),
            {},
        )

    def _by_home(self, files: Iterable[str]) -> Mapping[str, list[LoadedModule]]:
        """The modules of files, by the folder above their outermost package."""
        groups: dict[str, list[LoadedModule]] = defaultdict(list)
        for file in files:
            home, name = home_of(file, self._tree)
            kind = ModuleKind.PACKAGE if file.endswith("/__init__.py") else ModuleKind.MODULE
            folders = (file.removesuffix("/__init__.py"),) if kind is ModuleKind.PACKAGE else ()
            if name:
                groups[home].append(LoadedModule(name, ModuleLocation(kind, file, folders)))
        return groups

    def _read_group(self, home: str, group: _Group, *, certain: bool) -> OwnImports:
        folders = tuple(dict.fromkeys([*folders_above(home, self._roots), *self._roots]))
        first = self._judge(folders, group, certain=certain, with_circles=certain)
        if not first.faults or len(folders) == 1:
            return first
        again = group._replace(asked=_to_judge_again(first, group.asked))
        with_circles = certain and not _KINDS_OF_CIRCLES.isdisjoint([fault.kind for fault in first.faults])
        second = self._judge(folders[::-1], again, certain=certain, with_circles=with_circles)
        shared = {_place(fault) for fault in second.faults}
        faults = tuple(fault for fault in first.faults if _place(fault) in shared)
        lost = [
            OpenImport(fault.module.location.file, fault.row.line, fault.certain)
            for fault in first.faults
            if _place(fault) not in shared
        ]
        return first._replace(faults=faults, undecided=(*first.undecided, *lost))

    def _judge(self, folders: tuple[str, ...], group: _Group, *, certain: bool, with_circles: bool) -> OwnImports:
        graph = ImportGraph(self._resolver.with_path(SearchPath((), folders)), self._context.facts)
        judge = OwnImportJudge(graph, self._context)
        items = {module.name: ReachedModule(module, certain, (module.name,)) for module in group.modules}
        for module in group.asked:
            judge.judge(items[module.name])
        circles = list(self._circles(graph, judge, group)) if with_circles else []
        for circle in circles:
            if not circle.is_open:
                judge.add_circle(circle, items)
        left = [
            OpenImport(circle.module.location.file, circle.row.line, certain) for circle in circles if circle.is_open
        ]
        return self._without_loose(judge.result({}), folders, left)

    def _without_loose(self, result: OwnImports, folders: tuple[str, ...], left: Iterable[OpenImport]) -> OwnImports:
        """A result without the faults that another folder repairs; undecided are those that none of the program's does, and what is `left`."""
        faults: list[ImportFault] = []
        loose: list[ImportFault] = []
        for fault in result.faults:
            (loose if self._is_loose(fault, folders) else faults).append(fault)
        outside = (fault for fault in loose if fault.certain and self._leaves_roots(fault))
        undecided = (OpenImport(fault.module.location.file, fault.row.line, fault.certain) for fault in outside)
        relative, unsure = self._judge_relative(fault for fault in loose if fault.row.level)
        return result._replace(faults=(*faults, *relative), undecided=(*result.undecided, *left, *undecided, *unsure))

    def _judge_relative(self, loose: Iterable[ImportFault]) -> tuple[list[ImportFault], list[OpenImport]]:
        """The relative imports that fail by whatever name their module is loaded, and those that may."""
        results = [*map(self._judge_below, itertools.filterfalse(self._leaves_roots, loose))]
        faults = [fault for result in results for fault in result.faults]
        return faults, [item for result in results for item in result.undecided]

    def _judge_below(self, fault: ImportFault) -> OwnImports:
        """A relative import of a folder without `__init__.py`, judged as in a package of each folder that may be searched.

        It leads to the same folder whichever name its module has. Whether anything runs it is unknown.
        """
        results = [self._judge_named(fault, name) for name in dict.fromkeys(self._names_below(fault))]
        if not results:
            return self._judge_outside(fault)
        if all(result.faults for result in results) and not any(map(self._has_portion, results[0].faults)):
            return results[0]
        is_open = any(result.faults or result.undecided for result in results)
        left = (OpenImport(fault.module.location.file, fault.row.line, fault.certain),) if is_open else ()
        return results[0]._replace(faults=(), undecided=left)

    def _judge_outside(self, fault: ImportFault) -> OwnImports:
        """A relative import of a file in none of the folders that may be searched: undecided where the module is not there either."""
        folder = posixpath.dirname(fault.module.location.file)
        for _ in range(fault.row.level - 1):
            folder = posixpath.dirname(folder)
        is_there = not fault.row.module or self._look_up_in(folder, fault.row.module) is not None
        left = OpenImport(fault.module.location.file, fault.row.line, fault.certain)
        return OwnImports((), (), () if is_there else (left,), {})

    def _names_below(self, fault: ImportFault) -> Iterator[str]:
        """The paths of a module below the folders that may be searched, without its ending, where the import stays below them."""
        file = fault.module.location.file
        for root in self._roots:
            path = _inside(file, root)
            if path.count("/") >= fault.row.level:
                yield path.removesuffix(".py").removesuffix("/__init__")

    def _has_portion(self, fault: ImportFault) -> bool:
        """Whether another folder of the same name has what is missing: both are one package where both are searched."""
        if fault.source is None or fault.source.location.kind is not ModuleKind.NAMESPACE:
            return False
        folders = fault.source.location.folders
        ends = {posixpath.basename(folder) for folder in folders}
        holders = self._tree.holders(fault.name.rpartition(".")[2])
        return any(posixpath.basename(holder) in ends and holder not in folders for holder in holders)

    def _judge_named(self, fault: ImportFault, path: str) -> OwnImports:
        """An import, judged in a module that is loaded by its path below one of the folders."""
        judge = OwnImportJudge(self._graph_of_roots, self._context)
        module = LoadedModule(path.replace("/", "."), fault.module.location)
        judge.judge_listed(ReachedModule(module, certain=False, chain=(module.name,)), fault.row)
        return judge.result({})

    @functools.cached_property
    def _graph_of_roots(self) -> ImportGraph:
        """The imports of modules that are named by their path below one of the folders that may be searched."""
        context = self._context
        resolver = ModuleResolver(self._tree, SearchPath((), self._roots), context.standard, context.may_be_foreign)
        return ImportGraph(resolver, context.facts)

    def _is_loose(self, fault: ImportFault, folders: tuple[str, ...]) -> bool:
        """Whether an import fails only because of the folder that was taken for the one of the program's modules."""
        if fault.row.level:
            return fault.kind in {FaultKind.BEYOND, FaultKind.NO_PACKAGE}
        top = fault.detail if fault.kind is FaultKind.OTHER_CASE and "." not in fault.name else fault.row.module
        is_elsewhere = self._tree.find(top.partition(".")[0], self._roots) is None
        return is_elsewhere or self._has_other(fault, folders)

    def _leaves_roots(self, fault: ImportFault) -> bool:
        """Whether a relative import leads out of the folders that a program may search, whichever of its folders are packages."""
        folder = posixpath.dirname(fault.module.location.file)
        depths = (
            len(folder[len(root) :].strip("/").split("/")) if folder != root else 0
            for root in self._roots
            if folder == root or folder.startswith(f"{root.rstrip('/')}/")
        )
        return fault.row.level > max(depths, default=fault.row.level)

    def _has_other(self, fault: ImportFault, folders: tuple[str, ...]) -> bool:
        """Whether one of the folders, or one that the file is in, gives another module of the name: a script starts there."""
        used = fault.source.location.file if fault.source is not None else ""
        inside = folders_above(posixpath.dirname(fault.module.location.file), self._roots)
        alone = (self._look_up_in(folder, fault.row.module) for folder in (*inside, *folders))
        return any(location is not None and location.file != used for location in alone)

    def _look_up_in(self, folder: str, dotted: str) -> ModuleLocation | None:
        """The module of a name in one folder: many imports that fail ask for the same."""
        place = folder, dotted
        if place not in self._alone:
            self._alone[place] = self._tree.look_up(dotted, place[:1]).last
        return self._alone[place]

    def _circles(self, graph: ImportGraph, judge: OwnImportJudge, group: _Group) -> Iterator[CircularImport]:
        by_name = {module.name: module for module in group.modules}
        for circle in find_circles(graph, judge.executed, group.asked, with_conditional=False):
            members = [by_name[name] for name in circle.circle if name in by_name]
            # which module is entered first decides whether it fails
            fails = not circle.is_open and len(members) == len(circle.circle) <= _MOST_MEMBERS
            yield circle._replace(is_open=not (fails and all(self._fails_from(graph, judge, item) for item in members)))

    def _fails_from(self, graph: ImportGraph, judge: OwnImportJudge, start: LoadedModule) -> bool:
        circles = find_circles(graph, judge.executed, [start], with_conditional=False)
        return not all(circle.is_open for circle in circles)


def _inside(file: str, root: str) -> str:
    """The path of a file from a folder on; empty where it is not in it."""
    start = f"{root.rstrip('/')}/"
    return file[len(start) :] if file.startswith(start) else ""


def _to_judge_again(first: OwnImports, modules: tuple[LoadedModule, ...]) -> tuple[LoadedModule, ...]:
    """The modules with a fault; all of them where one is a circle, which any of them may close."""
    if any(fault.kind is FaultKind.CIRCULAR for fault in first.faults):
        return modules
    files = {fault.module.location.file for fault in first.faults}
    return tuple(module for module in modules if module.location.file in files)


def _place(fault: ImportFault) -> tuple[str, int, str, str]:
    return fault.module.location.file, fault.row.line, fault.name, fault.kind
