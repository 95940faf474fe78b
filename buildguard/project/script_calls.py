"""The calls that a script makes when it runs, and the full names of what they call. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def dotted(node: ast.expr) -> str:
    """The names of `a.b.c`; they begin with a dot where the first is no name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return ".".join(reversed(parts))


def imported_names(tree: ast.Module) -> dict[str, str]:
    """What each imported name stands for, by its full name."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update((alias.asname, alias.name) for alias in node.names if alias.asname)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.update((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)
    return names


def full_name(name: str, imported: dict[str, str]) -> str:
    """A dotted name with what its first part stands for."""
    first, dot, rest = name.partition(".")
    return f"{imported.get(first, first)}{dot}{rest}"


def reached_calls(tree: ast.Module) -> Iterator[ast.Call]:
    """The calls on the path of a script: at its top level, under `__main__`, and in functions that are called there."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    seen: set[str] = set()
    pending: list[ast.AST] = [node for node in tree.body if _runs(node)]
    while pending:
        for call in _calls_of(pending.pop(0)):
            name = dotted(call.func)
            if name in functions and name not in seen:
                seen.add(name)
                pending.append(functions[name])
            else:
                yield call


def _runs(node: ast.stmt) -> bool:
    """Whether a statement of a script runs: tests other than the one for `__main__` may not hold."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return False
    if isinstance(node, ast.If):
        return "__name__" in ast.unparse(node.test)
    return not isinstance(node, ast.Try)


def _calls_of(node: ast.AST) -> Iterator[ast.Call]:
    """The calls in a block, less those in its inner functions and tests."""
    children = node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.If) else [node]
    pending: list[ast.AST] = list(children)
    while pending:
        part = pending.pop(0)
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | ast.If):
            continue
        if isinstance(part, ast.Call):
            yield part
        pending += ast.iter_child_nodes(part)
