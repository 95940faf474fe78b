"""Imports of the project's own modules: what cannot work, and how surely, from the files of one program. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.imports.circles import CircularImport, ExecutedNames, find_circles
from buildguard.imports.execution import is_certain, is_guarded
from buildguard.imports.faults import FaultKind, ImportContext, ImportFault
from buildguard.imports.import_graph import ImportEdge, ImportGraph, ReachedModule, find_reached, has_source
from buildguard.imports.names import LoadedModule, NameReader
from buildguard.imports.program import StartedProgram, extended_path, folders_above, modules_named
from buildguard.imports.records import Bound, Guard, ImportForm, ImportStatement, PathChange
from buildguard.imports.resolver import ImportKind, ModuleResolver, Resolution, SearchPath
from buildguard.imports.shadows import find_shadows, may_shadow

if TYPE_CHECKING:
    from typing import TypeAlias

    from buildguard.imports.taken_names import TakenNameReader

_WRONG_LEVEL = {ImportKind.NO_PACKAGE: FaultKind.NO_PACKAGE, ImportKind.BEYOND: FaultKind.BEYOND}
_FLASKS = frozenset({"flask", "quart"})
_MOST_ROUNDS = 4  # of modules that extend sys.path, and lead to modules that do
_NamedObject: TypeAlias = "tuple[LoadedModule, ImportStatement]"


class OutsideImport(NamedTuple):
    """An import that the project's files do not satisfy: the standard library or an installed package has to.

    `handled` says that its failure is handled where its module is imported.
    """

    module: LoadedModule
    row: ImportStatement
    certain: bool
    chain: tuple[str, ...]
    handled: bool = False


class OpenImport(NamedTuple):
    """An import that reading cannot decide: its file and line, whether a start surely executes it, and why it is open."""

    file: str
    line: int
    certain: bool
    reason: str = "its names are not known"


class OwnImports(NamedTuple):
    """What reading a program's imports brought: faults, imports that others satisfy, undecided ones, and what was reached.

    `knows_path` says that all folders in which the program searches are known.
    """

    faults: tuple[ImportFault, ...]
    outside: tuple[OutsideImport, ...]
    undecided: tuple[OpenImport, ...]
    reached: Mapping[str, ReachedModule]
    knows_path: bool = True


class ProgramReader:
    """Reads the imports of a program from its starts on."""

    def __init__(self, program: StartedProgram, context: ImportContext) -> None:
        self._program = program
        self._context = context
        self._facts = context.facts
        self._by_name = program.by_name()

    def read(self) -> OwnImports:
        """Follow the starts, and judge every import that they reach."""
        path = self._program.path
        graph, reached = self._reach(path)
        for _ in range(_MOST_ROUNDS):
            longer = extended_path(path, self._added_folders(reached), self._program.folder)
            if longer == path:
                break
            path = longer
            graph, reached = self._reach(path)
        objects = self._objects(reached)
        loaded = [*self._loaded_objects(objects, path, reached)]
        if any(module.name not in reached for module in loaded):
            self._by_name = (*self._by_name, *loaded)
            graph, reached = self._reach(path)
            objects = self._objects(reached)
        return self._judge(graph, reached, objects)

    def _loaded_objects(
        self, objects: Iterable[_NamedObject], path: SearchPath, reached: Mapping[str, ReachedModule]
    ) -> Iterator[LoadedModule]:
        """The modules of objects that a start surely loads."""
        for module, row in objects:
            if reached[module.name].certain and is_certain(row, is_main=module.is_main):
                yield from modules_named(row.module, self._program.tree, path.folders)

    def _objects(self, reached: Mapping[str, ReachedModule]) -> Sequence[_NamedObject]:
        """The objects that the configuration of an application loads by name."""
        modules = [item.module for item in reached.values() if self._imports_flask(item.module)]
        if not modules:
            return ()
        from buildguard.imports.flask_objects import flask_objects  # few sources of a hook need it

        return tuple(flask_objects(modules, self._context.read))

    def _imports_flask(self, module: LoadedModule) -> bool:
        facts = self._facts(module.location.file)
        return facts is not None and any(row.module in _FLASKS for row in facts.imports)

    def _reach(self, path: SearchPath) -> tuple[ImportGraph, dict[str, ReachedModule]]:
        resolver = ModuleResolver(self._program.tree, path, self._context.standard, self._context.may_be_foreign)
        for start in self._program.starts:
            if start.is_file_package:
                resolver.add(start)
        graph = ImportGraph(resolver, self._facts)
        starts = (*self._program.starts, *self._by_name)
        return graph, find_reached(graph, starts, may_fail=self._program.may_fail)

    def _added_folders(self, reached: dict[str, ReachedModule]) -> Iterator[tuple[str, str]]:
        for item in reached.values():
            facts = self._facts(item.module.location.file)
            for change in facts.paths if facts is not None else ():
                if change.folder is not None:
                    yield item.module.location.file, change.folder

    def _knows_path(self, reached: dict[str, ReachedModule]) -> bool:
        """Whether no module adds an unknown folder to sys.path, and nothing else may add one."""
        if self._program.open_path:
            return False
        known = (self._facts(item.module.location.file) for item in reached.values())
        return all(self._is_known(change) for facts in known if facts is not None for change in facts.paths)

    def _is_known(self, change: PathChange) -> bool:
        """Whether it is known which folder a module adds."""
        return change.folder is not None and (change.folder.startswith(("@", "/")) or self._program.folder != "")

    def _loaded(self, reached: Mapping[str, ReachedModule]) -> Container[str] | None:
        """The modules that the program may import; None where one of them could not be read, as it may import any."""
        files = {item.module.location.file for item in reached.values() if has_source(item.module)}
        return None if any(self._facts(file) is None for file in files) else reached

    def _judge(
        self, graph: ImportGraph, reached: dict[str, ReachedModule], objects: Iterable[_NamedObject]
    ) -> OwnImports:
        judge = OwnImportJudge(graph, self._context, knows_path=self._knows_path(reached), loaded=self._loaded(reached))
        for item in reached.values():
            judge.judge(item)
        for module, row in (*self._program.listed(), *objects):
            if module.name in reached:
                judge.judge_listed(reached[module.name], row)
        for circle in find_circles(graph, judge.executed, self._program.starts):
            judge.add_circle(circle, reached)
        judge.add_faults(self._find_shadows(graph, judge.names, reached))
        return judge.result(reached)

    def _find_shadows(
        self, graph: ImportGraph, names: NameReader, reached: dict[str, ReachedModule]
    ) -> Iterator[ImportFault]:
        """Files that stand in for a module of the standard library, for the project or for the library itself."""
        shadows = [*find_shadows(graph, names, reached, self._context.read)]
        yield from shadows
        if may_shadow(graph) and self._knows_path(reached):
            from buildguard.imports.library_shadows import find_library_shadows  # few projects have such a file

            known = {fault.detail for fault in shadows}
            yield from find_library_shadows(graph, names, reached, self._facts, known)


class OwnImportJudge:
    """Judges the imports of modules, one module after the other."""

    def __init__(
        self,
        graph: ImportGraph,
        context: ImportContext,
        *,
        knows_path: bool = False,
        loaded: Container[str] | None = None,
    ) -> None:
        """`knows_path` says that the folders of the graph's path are all that the program searches.

        `loaded` are the modules that it may import, None where that is not known.
        """
        self.names = NameReader(graph.resolver.tree, context.facts, self._follow, context.may_be_foreign, context.read)
        self._graph = graph
        self.executed = ExecutedNames(self.names, self._taken_names)
        self._taken: TakenNameReader | None = None
        self._loaded = loaded
        self._context = context
        self._facts = context.facts
        self._knows_path = knows_path
        self._other_cases: dict[str, str] = {}
        self._faults: list[ImportFault] = []
        self._outside: list[OutsideImport] = []
        self._undecided: list[OpenImport] = []

    def _follow(self, module: LoadedModule, row: ImportStatement) -> LoadedModule | None:
        return self._graph.resolver.resolve(module, row).last

    def result(self, reached: dict[str, ReachedModule]) -> OwnImports:
        """Everything that was judged so far."""
        found = (tuple(self._faults), tuple(self._outside), tuple(self._undecided))
        return OwnImports(*found, reached, self._knows_path)

    def judge(self, item: ReachedModule) -> None:
        """Judge every import of one module, and what it takes by a dot from other modules of the project."""
        for edge in self._graph.edges(item.module):
            self._judge_edge(item, edge)
        facts = self._facts(item.module.location.file)
        if facts is not None and facts.uses:
            self._judge_uses(item)

    def _taken_names(self) -> TakenNameReader:
        if self._taken is None:
            from buildguard.imports.taken_names import TakenNameReader  # few sources of a hook take any

            self._taken = TakenNameReader(self._graph, self.names, self._context, self._loaded)
        return self._taken

    def _judge_uses(self, item: ReachedModule) -> None:
        for row, source, name, is_open, is_unloaded, _is_early in self._taken_names().read(item.module):
            certain = is_certain(row, is_main=item.module.is_main)
            if is_open:
                reason = f"whether {source.name} has {name} when it is asked for is not known"
                file = item.module.location.file
                self._undecided.append(OpenImport(file, row.line, item.certain and certain, reason))
            else:
                edge = ImportEdge(row, Resolution(ImportKind.RESOLVED, (source,)), (), certain)
                kind = FaultKind.UNLOADED if is_unloaded else FaultKind.UNBOUND
                self._add(kind, item, edge, name, self._where(source, name))

    def judge_listed(self, item: ReachedModule, row: ImportStatement) -> None:
        """Judge an import that a text of a module stands for, and that runs once all modules are there."""
        certain = is_certain(row, is_main=item.module.is_main)
        self._judge_edge(item, ImportEdge(row, self._graph.resolver.resolve(item.module, row), (), certain))

    def _judge_edge(self, item: ReachedModule, edge: ImportEdge) -> None:
        if edge.resolution.kind is ImportKind.OUTSIDE:
            self._judge_outside(item, edge)
        elif not is_guarded(edge.row):
            self._judge_own(item, edge)

    def _judge_outside(self, item: ReachedModule, edge: ImportEdge) -> None:
        resolver = self._graph.resolver
        top = edge.row.module.partition(".")[0]
        is_own = not is_guarded(edge.row) and edge.row.guard is not Guard.MODULE_ONLY
        if is_own and not edge.row.level and not resolver.may_be_installed(top):
            kind, detail = self._why_absent(item.module, edge.row, top)
            if detail:
                self._add(kind, item, edge, top, detail)
                return
        self._outside.append(
            OutsideImport(
                item.module, edge.row, item.certain and edge.certain, item.chain, item.handled and not edge.row.late
            )
        )

    def _why_absent(self, module: LoadedModule, row: ImportStatement, top: str) -> tuple[FaultKind, str]:
        """Why a module of the project is not found, with what shows it; that is empty where nothing does."""
        other = self._other_case(top)
        if other or not self._knows_path:
            return FaultKind.OTHER_CASE, other
        elsewhere = self._elsewhere(row.module)
        if elsewhere:
            return FaultKind.NOT_ON_PATH, elsewhere
        return FaultKind.OTHER_PLACE, self._other_place(module, row)

    def _other_place(self, module: LoadedModule, row: ImportStatement) -> str:
        """Where the image has the file that an import means in the project: a COPY of a folder's content takes its name away."""
        tree = self._graph.resolver.tree
        names = [row.module, *(f"{row.module}.{name}" for name in row.names)]
        own = tree.origins.get(module.location.file, "")
        for base in folders_above(posixpath.dirname(own), ("",)) if own else ():
            stems = (posixpath.join(base, name.replace(".", "/")) for name in names)
            for origin in (stem + end for stem in stems for end in (".py", "/__init__.py")):
                if origin in tree.by_origin:
                    return f"{origin} is in the image as {tree.by_origin[origin]}"
        return ""

    def _other_case(self, top: str) -> str:
        """A module on the path whose name differs in case alone; empty without one."""
        known = self._other_cases.get(top)
        if known is None:
            resolver = self._graph.resolver
            known = self._other_cases[top] = next(resolver.tree.other_cases(top, resolver.path.folders), "")
        return known

    def _elsewhere(self, dotted: str) -> str:
        """A folder of the program that holds a module, and that is not on the path."""
        tree = self._graph.resolver.tree
        folders = tree.holders(dotted.partition(".")[0])
        return next((folder for folder in folders if tree.look_up(dotted, [folder]).last is not None), "")

    def _judge_own(self, item: ReachedModule, edge: ImportEdge) -> None:
        kind = edge.resolution.kind
        if kind is ImportKind.UNCLEAR:
            self._leave_open(item, edge)
        elif kind in _WRONG_LEVEL:
            self._add(_WRONG_LEVEL[kind], item, edge, "." * edge.row.level + edge.row.module)
        elif kind is ImportKind.MISSING:
            self._judge_missing(item, edge)
        else:
            self._judge_names(item, edge)

    def _judge_missing(self, item: ReachedModule, edge: ImportEdge) -> None:
        if edge.row.guard is Guard.MODULE_ONLY:
            return
        missing = edge.resolution.missing
        parent = edge.resolution.modules[-1] if edge.resolution.modules else None
        folders = parent.location.folders if parent is not None else self._graph.resolver.path.folders
        name = missing.rpartition(".")[2]
        other = next(self._graph.resolver.tree.other_cases(name, folders), "")
        if parent is not None and not has_source(parent) and parent.location.file:
            self._leave_open(item, edge)  # a compiled package
        else:
            self._add(FaultKind.OTHER_CASE if other else FaultKind.MISSING, item, edge, missing, other)

    def _judge_names(self, item: ReachedModule, edge: ImportEdge) -> None:
        source = edge.resolution.last
        if source is None or edge.row.form is not ImportForm.FROM:
            return
        names = self._starred(source) if edge.row.is_star else edge.row.names
        if names is None:
            self._leave_open(item, edge)
            return
        for name in names:
            bound = self.names.is_bound(source, name)
            if bound is Bound.NO:
                other = next(self._graph.resolver.tree.other_cases(name, source.location.folders), "")
                kind = FaultKind.OTHER_CASE if other else FaultKind.UNBOUND
                self._add(
                    kind, item, edge, f"{source.name}.{name}" if other else name, other or self._where(source, name)
                )
            elif bound is Bound.UNKNOWN and not self._is_refused(source):
                self._leave_open(item, edge)

    def _where(self, source: LoadedModule, name: str) -> str:
        """The line in which a module binds a name that it has not in the end; empty where it never does."""
        facts = self._facts(source.location.file) if has_source(source) else None
        line = None if facts is None else facts.bound.get(name)
        return "" if line is None else str(line)

    def _starred(self, source: LoadedModule) -> tuple[str, ...] | None:
        """The names that a star import of a module cannot do without: its `__all__`; None where that is computed."""
        facts = self._facts(source.location.file) if has_source(source) else None
        if facts is None or "__all__" not in facts.bound:
            return ()
        return facts.exports

    def _leave_open(self, item: ReachedModule, edge: ImportEdge) -> None:
        certain = item.certain and edge.certain
        self._undecided.append(OpenImport(item.module.location.file, edge.row.line, certain))

    def _is_refused(self, source: LoadedModule) -> bool:
        """Whether a module does not even compile: that is a finding of its own."""
        return has_source(source) and self._facts(source.location.file) is None

    def _add(self, kind: FaultKind, item: ReachedModule, edge: ImportEdge, name: str, detail: str = "") -> None:
        source = edge.resolution.modules[-1] if edge.resolution.modules else None
        certain = item.certain and edge.certain
        self._faults.append(ImportFault(kind, item.module, edge.row, name, source, certain, item.chain, detail))

    def add_faults(self, faults: Iterable[ImportFault]) -> None:
        """Take over faults that were found elsewhere."""
        self._faults += faults

    def add_circle(self, circle: CircularImport, reached: dict[str, ReachedModule]) -> None:
        """Take over an import in a circle, unless the name is missing anyway."""
        if self.names.is_bound(circle.source, circle.name) is Bound.NO and not circle.is_early:
            return
        item = reached[circle.module.name]
        if circle.is_open:
            self._undecided.append(OpenImport(circle.module.location.file, circle.row.line, item.certain))
            return
        kind, detail = self._kind_of(circle)
        self._faults.append(
            ImportFault(
                *(kind, circle.module, circle.row, circle.name, circle.source, item.certain, item.chain, detail)
            )
        )

    def _kind_of(self, circle: CircularImport) -> tuple[FaultKind, str]:
        """What a circle makes of an import, and its modules up to the first one again."""
        if circle.is_early:
            return FaultKind.EARLY, " → ".join([*circle.circle, circle.circle[0]])
        if circle.module == circle.source and self._where(circle.source, circle.name) == str(circle.row.line):
            return FaultKind.UNBOUND, ""  # a package that takes a name from itself, and gets it nowhere else
        return FaultKind.CIRCULAR, " → ".join([*circle.circle, circle.source.name])
