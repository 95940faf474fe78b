"""What single nodes of a syntax tree do to names. Pure; a part of the build step: it runs on Python 3.8."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

from buildguard.remote.import_outline import BLOCK_START, all_nodes, statement_ends

# Nodes that bind the name in one of their fields.
_NAMED = {
    "FunctionDef": "name",
    "AsyncFunctionDef": "name",
    "ClassDef": "name",
    "ExceptHandler": "name",
    "MatchAs": "name",
    "MatchStar": "name",
    "MatchMapping": "rest",
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_MOST_TREES = 16  # a tree takes a hundred times the memory of its source


def is_walrus(node: ast.AST, name: str) -> bool:
    """Whether a node is an assignment expression of a name."""
    return isinstance(node, ast.NamedExpr) and node.target.id == name


def deletes(node: ast.AST, name: str) -> bool:
    """Whether a node itself deletes a name."""
    if isinstance(node, ast.Delete):
        return any(isinstance(item, ast.Name) and item.id == name for target in node.targets for item in _parts(target))
    return isinstance(node, ast.ExceptHandler) and node.name == name


def _parts(target: ast.expr) -> Iterator[ast.expr]:
    """The targets in a tuple or list of them; not what is inside of a subscript."""
    if isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            yield from _parts(item)
    else:
        yield target


def names_bound_by(node: Any) -> Iterator[str]:
    """The names that a node itself binds."""
    kind = type(node).__name__
    if kind == "Name":
        if isinstance(node.ctx, ast.Store):
            yield node.id
    elif kind == "Import":
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif kind == "ImportFrom":
        yield from (alias.asname or alias.name for alias in node.names)
    elif kind == "TypeAlias":
        yield node.name.id
    elif kind in _NAMED:
        name = getattr(node, _NAMED[kind])
        yield from [name] if name else []


def changing_names(nodes: list[ast.AST]) -> set[str]:
    """The names that are bound more than once, or in other ways than by an assignment or import: no constants."""
    counts = Counter(name for node in nodes for name in names_bound_by(node))
    constants = {
        name for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for name in names_bound_by(node)
    }
    for node in nodes:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            constants.update(target.id for target in targets if isinstance(target, ast.Name))
    return {name for name, count in counts.items() if count > 1 or name not in constants}


def may_raise(node: ast.stmt) -> bool:
    """Whether a statement may raise before its own effect; blocks are asked for what is in them."""
    if isinstance(node, ast.Assign):
        is_plain = isinstance(node.value, ast.Constant) and all(isinstance(item, ast.Name) for item in node.targets)
        return not is_plain
    if isinstance(node, ast.FunctionDef):
        arguments = node.args
        return bool(node.decorator_list or arguments.defaults or arguments.kw_defaults or node.returns)
    return not isinstance(node, (ast.Pass, ast.Global, ast.Try, ast.Break, ast.Continue))


def least_rounds(node: ast.expr) -> int | None:
    """How many rounds a loop over an expression has at least; None where that is unknown."""
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return None if any(isinstance(item, ast.Starred) for item in node.elts) else len(node.elts)
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        return len(node.value)
    return None


def matches_all(pattern: Any) -> bool:
    """Whether a pattern fits every value."""
    kind = type(pattern).__name__
    if kind == "MatchOr":
        return any(map(matches_all, pattern.patterns))
    return kind == "MatchAs" and (pattern.pattern is None or matches_all(pattern.pattern))


def _without_blocks(data: bytes, name: bytes) -> bytes:
    """A source without the functions and classes at its left margin that do not have a name in their text, line for line."""
    if b"\r" in data or b"\f" in data:
        return data
    pieces, start = [], 0
    for stop, is_whole in statement_ends(data):
        if is_whole:
            block = data[start:stop]
            is_left_out = BLOCK_START.match(block) is not None and block.find(name) < 0
            pieces.append(b"\n" * block.count(b"\n") if is_left_out else block)
            start = stop
    return b"".join(pieces)


class ParsedSource:
    """The tree of a source, and what following a name in it asks of all its nodes."""

    def __init__(self, data: bytes) -> None:
        self.tree = ast.parse(data)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node."""
        nodes: list[ast.AST] = all_nodes(self.tree)
        return nodes

    @cached_property
    def writers(self) -> dict[str, list[ast.AST]]:
        """The functions that declare each name `global`, or in which another one does."""
        writers: dict[str, list[ast.AST]] = {}
        for node in self.nodes:
            if isinstance(node, FUNCTIONS):
                for name in _declared_in(all_nodes(node)):
                    writers.setdefault(name, []).append(node)
        return writers

    @cached_property
    def declared(self) -> set[str]:
        """The names that a function declares `global`."""
        return _declared_in(self.nodes)

    @cached_property
    def changing(self) -> set[str]:
        """The names that are no constants."""
        return changing_names(self.nodes)


def _declared_in(nodes: list[ast.AST]) -> set[str]:
    return {name for node in nodes if isinstance(node, ast.Global) for name in node.names}


parse_source = lru_cache(_MOST_TREES)(ParsedSource)  # many names are asked of one module


class NamedTree:
    """The tree of what a name in a source may depend on; it is walked only where the source has the words for what is looked for."""

    def __init__(self, data: bytes, name: str) -> None:
        self._has_walrus = b":=" in data
        self._has_global = b"global" in data
        is_plain = not self._has_walrus and not self._has_global and b"import *" not in data
        try:
            self.source = parse_source(_without_blocks(data, name.encode()) if is_plain else data)
        except SyntaxError:  # blocks were taken to end elsewhere, or all of it is too new
            self.source = parse_source(data)
        self.tree = self.source.tree

    def writers(self, name: str) -> list[ast.AST]:
        """The functions that declare a name `global`."""
        return self.source.writers.get(name, []) if self._has_global else []

    def has_walrus(self, name: str) -> bool:
        """Whether an expression assigns a name."""
        return self._has_walrus and any(is_walrus(node, name) for node in self.source.nodes)
