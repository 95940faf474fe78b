"""A function as one call runs it: what the call passes literally stands in place of the parameters. Pure."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping

_READS = frozenset({"environ", "getenv"})


def bind(node: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call) -> list[ast.stmt] | None:
    """The body with literal arguments and defaults filled in; None where that changes nothing, or what is passed is unknown."""
    if not node.args.args or not _concerns_variables(node):
        return None
    values = _passed(node.args, call)
    changed = {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    literal = {name: value for name, value in values.items() if isinstance(value, ast.Constant) and name not in changed}
    if not any(isinstance(value.value, str) for value in literal.values()):
        return None
    filler = _Filler(literal)
    return [filler.visit(copy.deepcopy(statement)) for statement in node.body]


def fill(call: ast.Call, literal: Mapping[str, ast.expr]) -> ast.Call:
    """A call with literals in place of names."""
    names = {part.id for part in ast.walk(call) if isinstance(part, ast.Name)}
    if names.isdisjoint(literal):
        return call
    filled: ast.Call = _Filler(literal).visit(copy.deepcopy(call))
    return filled


def _concerns_variables(node: ast.AST) -> bool:
    """Whether a function reads the environment by itself."""
    names = (part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in ast.walk(node))
    return not _READS.isdisjoint(names)


def _passed(arguments: ast.arguments, call: ast.Call) -> Mapping[str, ast.expr]:
    """What each parameter gets; empty where a call passes lists of arguments."""
    is_open = any(isinstance(part, ast.Starred) for part in call.args) or None in {word.arg for word in call.keywords}
    if is_open or arguments.vararg or arguments.kwarg or arguments.posonlyargs:
        return {}
    names = [argument.arg for argument in arguments.args]
    optional = zip(reversed(names), reversed(arguments.defaults), strict=False)
    late = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    defaults = {**dict(optional), **{argument.arg: value for argument, value in late if value is not None}}
    given = {word.arg: word.value for word in call.keywords if word.arg is not None}
    return {**defaults, **dict(zip(names, call.args, strict=False)), **given}


class _Filler(ast.NodeTransformer):
    """Puts literals in place of names."""

    def __init__(self, literal: Mapping[str, ast.expr]) -> None:
        self._literal = literal

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A literal at the place of the name."""
        value = self._literal.get(node.id)
        return node if value is None else ast.copy_location(copy.copy(value), node)
