"""Imports in a circle that ask for a name before it is bound, decided by the order in which modules are executed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.imports.execution import is_guarded, runs_at_import
from buildguard.imports.import_graph import ImportEdge, ImportGraph, has_source
from buildguard.imports.names import LoadedModule, NameReader
from buildguard.imports.records import Bound, ImportForm, ImportStatement

if TYPE_CHECKING:
    from buildguard.imports.taken_names import OwnUse, TakenNameReader


class CircularImport(NamedTuple):
    """An import or use of a name from a module that is still being executed, and the line at which that one stands.

    `is_open` is one that may work: a condition, a call of a function or a computed name decides. With `is_early` the source is a
    submodule, in place of what its package, the first of the circle, has not bound yet.
    """

    module: LoadedModule
    row: ImportStatement
    name: str
    source: LoadedModule
    line: int
    circle: tuple[str, ...]
    is_open: bool = False
    is_early: bool = False

    @property
    def place(self) -> tuple[str, int, str]:
        """The file, the line and the name."""
        return self.module.location.file, self.row.line, self.name


class ExecutedNames(NamedTuple):
    """What knows the names of modules, and, made once it is needed, what finds those that others take by a dot."""

    reader: NameReader
    taken: Callable[[], TakenNameReader]


def find_circles(
    graph: ImportGraph, names: ExecutedNames, starts: Iterable[LoadedModule], *, with_conditional: bool = True
) -> list[CircularImport]:
    """The circular imports that fail whether or not the program takes its conditional imports; the others are open.

    Unless `with_conditional`, nothing is looked for where no import that surely runs is in a circle.

    The first failure ends a real program; later ones are found as if it had not.
    """
    starts = list(starts)
    certain = _Execution(graph, names, only_certain=True)
    certain.run(starts)
    if not with_conditional and not certain.circles:
        return []
    every = _Execution(graph, names, only_certain=False)
    every.run(starts)
    places = {circle.place for circle in every.circles if not circle.is_open}
    circles = {circle.place: circle for circle in [*every.circles, *certain.circles]}
    sure = {circle.place for circle in certain.circles if not circle.is_open} & places
    return [circle._replace(is_open=place not in sure) for place, circle in circles.items()]


class _Execution:
    """Modules in the order in which they are executed, each once."""

    def __init__(self, graph: ImportGraph, names: ExecutedNames, *, only_certain: bool) -> None:
        self.circles: list[CircularImport] = []
        self._graph = graph
        self._names = names
        self._only_certain = only_certain
        self._lines: dict[str, int] = {}  # where each module on the stack stands
        self._stack: list[str] = []
        self._entered: set[str] = set()
        self._late: set[str] = set()  # what functions of finished modules import, so that calls may have run it

    def run(self, starts: Iterable[LoadedModule]) -> None:
        for start in starts:
            if start.name not in self._entered:
                self._run_from(start)

    def _run_from(self, start: LoadedModule) -> None:
        running = [self._execute(start)]
        while running:
            entered = next(running[-1], None)
            if entered is None:
                running.pop()
            else:
                running.append(self._execute(entered))

    def _execute(self, module: LoadedModule) -> Iterator[LoadedModule]:
        """The modules that an execution of a module enters, each when it is due."""
        self._entered.add(module.name)
        self._stack.append(module.name)
        self._lines[module.name] = 0
        late: set[str] = set()
        uses = self._uses_of(module)
        for edge in self._graph.own_edges(module):
            while uses and uses[-1][0] < edge.row.line:
                self._check_use(module, *uses.pop())
            if not self._runs(module, edge):
                late.update(target.name for target in edge.targets)
                continue
            self._lines[module.name] = edge.row.line
            for target in edge.targets:
                if target.name not in self._entered:
                    yield target
            self._check(module, edge)
        while uses:
            self._check_use(module, *uses.pop())
        self._late |= late
        self._stack.pop()
        del self._lines[module.name]

    def _uses_of(self, module: LoadedModule) -> list[tuple[int, OwnUse, str]]:
        """What a module takes by a dot from modules that are being executed, the last line first."""
        facts = self._graph.facts(module.location.file)
        if facts is None or not facts.uses:
            return []
        early = [item for item in self._names.taken().own_uses(module) if item.may_be_early(self._lines)]
        uses = [(line, item, dotted) for item in early for dotted, line in item.use.taken.items()]
        return sorted(uses, key=_line_of, reverse=True)

    def _check_use(self, module: LoadedModule, line: int, use: OwnUse, dotted: str) -> None:
        self._lines[module.name] = line
        taken = self._names.taken().read_early(module, use, dotted, self._lines)
        if taken is None:
            return
        source = taken.source
        # a package that has no submodule yet need not be executed any more
        names = [source.name, f"{source.name}.{taken.name}", source.name.rpartition(".")[0]]
        running = names[2] if taken.is_early else next(name for name in names if name in self._lines)
        circle = tuple(self._stack[self._stack.index(running) :])
        is_later = source == module and taken.row.line != line
        is_open = taken.is_open or is_later or bool(self._late & {*circle})
        at = self._lines[running]
        self.circles.append(CircularImport(module, taken.row, taken.name, source, at, circle, is_open, taken.is_early))

    def _runs(self, module: LoadedModule, edge: ImportEdge) -> bool:
        return edge.certain if self._only_certain else runs_at_import(edge.row, is_main=module.is_main)

    def _check(self, module: LoadedModule, edge: ImportEdge) -> None:
        source = edge.resolution.last if edge.row.form is ImportForm.FROM else None
        line = None if source is None else self._lines.get(source.name)
        if source is None or line is None or not has_source(source) or is_guarded(edge.row):
            return
        circle = tuple(self._stack[self._stack.index(source.name) :])
        is_open = not edge.certain or bool(self._late & {*circle})
        for name in self._starred(source, line) if edge.row.is_star else edge.row.names:
            bound = self._names.reader.is_bound(source, name, line)
            if bound is not Bound.YES:
                is_unsure = is_open or bound is Bound.UNKNOWN
                self.circles.append(CircularImport(module, edge.row, name, source, line, circle, is_unsure))

    def _starred(self, source: LoadedModule, line: int) -> tuple[str, ...]:
        """The names that a star import cannot do without, where the module has bound `__all__` before a line."""
        facts = self._graph.facts(source.location.file)
        if facts is None or facts.exports is None or facts.bound.get("__all__", line) >= line:
            return ()
        return facts.exports


def _line_of(place: tuple[int, OwnUse, str]) -> int:
    return place[0]
