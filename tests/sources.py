"""The program's own sources, parsed once for all tests that read them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path
from typing import TypeVar, cast

from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "buildguard"
SOURCES = sorted(PACKAGE.rglob("*.py"))
_Node = TypeVar("_Node", bound=ast.AST)


@functools.cache
def text(file: Path) -> str:
    return file.read_text("utf-8")


@functools.cache
def tree(file: Path) -> ast.Module:
    return ast.parse(text(file))


@functools.cache
def nodes(file: Path) -> tuple[ast.AST, ...]:
    """Every node of a file, each before those in it, less the marks of whether a name is read or set."""
    found: list[ast.AST] = [tree(file)]
    for node in found:  # which grows; `ast.walk` takes three times as long
        found += parts(node)
    return tuple(found)


@functools.cache
def _by_type(file: Path) -> dict[type[ast.AST], list[ast.AST]]:
    found: dict[type[ast.AST], list[ast.AST]] = {}
    for node in nodes(file):
        found.setdefault(type(node), []).append(node)
    return found


def of_type(file: Path, *kinds: type[_Node]) -> list[_Node]:
    """The nodes of some types, in the order of `nodes` for each type: a rule looks at few of all nodes."""
    return [node for kind in kinds for node in cast("list[_Node]", _by_type(file).get(kind, []))]


def dotted(node: ast.AST) -> str:
    """What `ast.unparse` gives for a name, or an attribute of one; it is asked about thousands of calls."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    first = node.id if isinstance(node, ast.Name) else ast.unparse(node)
    return ".".join([first, *reversed(names)])


def parts(node: ast.AST) -> list[ast.AST]:
    """The nodes right below a node."""
    found: list[ast.AST] = []
    for field in node._fields:
        value = getattr(node, field, None)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
            found.append(value)
    return found
