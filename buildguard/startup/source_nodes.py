"""The nodes of a source's tree, for the readers of a start."""

from __future__ import annotations

import ast
from typing import cast

from buildguard.remote import import_outline


def all_nodes(tree: ast.AST) -> list[ast.AST]:
    """Every node of a tree as `ast.walk` has them, in a third of its time; less those for operators and contexts."""
    return cast("list[ast.AST]", import_outline.all_nodes(tree))  # type: ignore[no-untyped-call]
