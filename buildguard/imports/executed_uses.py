"""Where a module takes a name by a dot from what it imports, and what guards that, by its syntax tree. Pure; runs on Python 3.8."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import singledispatch

from buildguard.imports.binding_nodes import ParsedSource, names_bound_by, parse_source
from buildguard.imports.records import Guard, ImportForm, ImportStatement, NameUse
from buildguard.remote.import_reader import FactReader
from buildguard.remote.import_tests import Evaluator
from buildguard.remote.library_attributes import ANNOTATIONS_LATE_FROM, AttributeReader, has_future, names_bound


def rows_of(data: bytes, use: NameUse, dotted: str, version: tuple[int, ...]) -> list[ImportStatement] | None:
    """Each use of a dotted name that no function holds; None where its first part may be something else than an import.

    `version` is the target's; nothing is known where that is not.
    """
    source = _parsed(data)
    if source is None or not version or not _is_only(use, source):
        return None
    owner, _dot, name = f"{use.name}.{dotted}".rpartition(".")
    reader = FactReader(data, frozenset(), Evaluator(version, "linux", frozenset()))
    reader.values.forget(source.changing)
    is_late = version[1] >= ANNOTATIONS_LATE_FROM or has_future(source.tree)
    attributes = reader.attributes = AttributeReader({use.name: use.name}, is_late, {owner: frozenset({name})})
    try:
        reader.read(source.tree)
    except RecursionError:
        return None
    return [_use_row(use, row) for row in attributes.rows if not row[-1]]


def _use_row(use: NameUse, row: tuple[int, int, str, str, str, bool]) -> ImportStatement:
    line, column, _owner, name, guard, _late = row
    return ImportStatement(line, column, ImportForm.ATTRIBUTE, use.module, (name,), use.level, Guard(guard))


def is_only_import(data: bytes, use: NameUse) -> bool:
    """Whether all that gives a source the name of a use is an import of just that."""
    source = _parsed(data)
    return source is not None and _is_only(use, source)


def _parsed(data: bytes) -> ParsedSource | None:
    """The tree of a source; None where it is too new for the Python that runs this."""
    try:
        return parse_source(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_only(use: NameUse, source: ParsedSource) -> bool:
    return use.name not in source.declared and all(
        origin == use[1:4] for node in _of_module(source.tree) for origin in _origins(node, use.name)
    )


def _of_module(tree: ast.Module) -> Iterator[ast.AST]:
    """Every node of a module but for those of functions, which bind names of their own."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += _parts(node)


@singledispatch
def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes in a node; of a function those that are evaluated around it."""
    return ast.iter_child_nodes(node)


@_parts.register(ast.FunctionDef)
@_parts.register(ast.AsyncFunctionDef)
def _around(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    arguments = node.args
    return filter(None, [*node.decorator_list, *arguments.defaults, *arguments.kw_defaults])


@singledispatch
def _origins(node: ast.AST, name: str) -> Iterator[tuple[int, str, str]]:
    """What a node gives a name, each as the level, module and imported name of an import; what else binds it has no module."""
    if name in names_bound_by(node) or name in names_bound(node):
        yield -1, "", ""


@_origins.register(ast.Import)  # 3.8 cannot read it from the annotation
def _imported_modules(node: ast.Import, name: str) -> Iterator[tuple[int, str, str]]:
    for alias in node.names:
        top = alias.name.partition(".")[0]
        package, _dot, last = alias.name.rpartition(".")
        if name == (alias.asname or top):
            yield (0, package, last) if alias.asname and package else (0, top, "")


@_origins.register(ast.ImportFrom)
def _imported_names(node: ast.ImportFrom, name: str) -> Iterator[tuple[int, str, str]]:
    for alias in node.names:
        if name == (alias.asname or alias.name) or alias.name == "*":
            yield node.level, node.module or "", alias.name
