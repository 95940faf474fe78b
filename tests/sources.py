"""The program's own sources, parsed once for all tests that read them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "buildguard"
SOURCES = sorted(PACKAGE.rglob("*.py"))


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
