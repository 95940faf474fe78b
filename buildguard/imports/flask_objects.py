"""What Flask loads by name for its configuration: `app.config.from_object("config.Production")`. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator

from buildguard.imports.named_objects import import_of_object
from buildguard.imports.names import LoadedModule
from buildguard.imports.records import Guard, ImportStatement

_CLASSES = frozenset({"Flask", "Quart"})
_CALL = b".from_object("


def flask_objects(
    modules: Iterable[LoadedModule], read: Callable[[str], bytes | None]
) -> Iterator[tuple[LoadedModule, ImportStatement]]:
    """The import that each literal text stands for, with the module whose application gets it; `read` gives the content of a file."""
    for module in modules:
        data = read(module.location.file)
        if data is not None and _CALL in data:
            yield from ((module, row) for row in _rows(data))


def _rows(data: bytes) -> Iterator[ImportStatement]:
    try:
        yield from _of_block(ast.parse(data).body, frozenset(), Guard.NONE, late=False)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return


def _of_block(
    body: Iterable[ast.stmt], applications: frozenset[str], guard: Guard, *, late: bool
) -> Iterator[ImportStatement]:
    """The imports of a block; `applications` are the names that are bound to one before it."""
    for node in body:
        if isinstance(node, ast.Expr):
            yield from (row._replace(guard=guard, late=late) for row in _of_call(node.value, applications))
        elif isinstance(node, ast.FunctionDef):
            yield from _of_block(node.body, applications, Guard.NONE, late=True)
        elif isinstance(node, ast.If):
            yield from _of_block([*node.body, *node.orelse], applications, Guard.CONDITIONAL, late=late)
        else:
            applications = _rebound(node, applications)


def _rebound(node: ast.stmt, applications: frozenset[str]) -> frozenset[str]:
    """The names that are an application after a statement."""
    nodes = [*ast.walk(node)]
    stored = {part.id for part in nodes if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    value = getattr(node, "value", None)
    is_made = isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Call) and _is_class(value.func)
    return applications | stored if is_made else applications - stored


def _is_class(function: ast.expr) -> bool:
    return getattr(function, "attr", getattr(function, "id", "")) in _CLASSES


def _of_call(call: ast.expr, applications: frozenset[str]) -> Iterator[ImportStatement]:
    """`app.config.from_object("config.Production")`; a colon may stand before the name."""
    if not isinstance(call, ast.Call) or len(call.args) != 1 or call.keywords:
        return
    text = call.args[0]
    is_literal = isinstance(text, ast.Constant) and isinstance(text.value, str)
    if is_literal and ast.unparse(call.func) in {f"{name}.config.from_object" for name in applications}:
        dotted = ast.literal_eval(text).replace(":", ".")
        if all(map(str.isidentifier, dotted.split("."))):
            yield import_of_object(dotted, call.lineno)
