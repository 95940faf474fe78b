"""Files of the project that stand in for a module of the standard library which the project itself wants. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from buildguard.definitions import TYPE_CHECKING
from buildguard.imports.faults import FaultKind, ImportFault
from buildguard.imports.import_graph import ImportEdge, ImportGraph, ReachedModule, has_source
from buildguard.imports.names import LoadedModule, NameReader
from buildguard.imports.records import Bound, ImportForm

if TYPE_CHECKING:
    import ast


def find_shadows(
    graph: ImportGraph,
    names: NameReader,
    reached: Mapping[str, ReachedModule],
    read: Callable[[str], bytes | None],
) -> Iterator[ImportFault]:
    """Imports of a standard-library module that get the project's file, and then use a name that it never binds.

    What takes only names that the file binds is an import of the project's own module.
    """
    for item in reached.values():
        for edge in graph.edges(item.module):
            source = _shadowing(graph, edge)
            if source is None:
                continue
            used = _used_names(read(item.module.location.file), edge.row.module)
            lost = next((name for name in sorted(used) if names.is_bound(source, name) is Bound.NO), "")
            if lost:
                certain = item.certain and edge.certain
                yield ImportFault(
                    FaultKind.SHADOWS, item.module, edge.row, lost, source, certain, item.chain, edge.row.module
                )


def may_shadow(graph: ImportGraph) -> bool:
    """Whether a folder that comes before the standard library has something of the name of one of its modules."""
    resolver = graph.resolver
    children = (child for folder in resolver.path.front for child in resolver.tree.children(folder))
    return any(child.partition(".")[0] in resolver.standard for child in children)


def _shadowing(graph: ImportGraph, edge: ImportEdge) -> LoadedModule | None:
    """The project's module that a plain import of a standard-library module gets; None for any other import."""
    source = edge.resolution.last
    is_plain = edge.row.form is ImportForm.IMPORT and "." not in edge.row.module
    if not is_plain or edge.row.module not in graph.resolver.standard or source is None or not has_source(source):
        return None
    return source


def _used_names(data: bytes | None, module: str) -> set[str]:
    """The attributes that a source takes from a module by its name; none where this Python cannot parse it."""
    import ast  # few projects have such a file

    try:
        tree = ast.parse(data or b"")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = set(_aliases(ast.walk(tree), module))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
    }


def _aliases(nodes: Iterable[ast.AST], module: str) -> Iterator[str]:
    import ast

    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.asname or alias.name for alias in node.names if alias.name == module)
