"""A gunicorn configuration file, read as data: the settings that a start depends on. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from buildguard.definitions import NamedTuple

_NAMES = frozenset({"bind", "wsgi_app", "chdir", "pythonpath", "worker_class", "logger_class"})


class ConfigSetting(NamedTuple):
    """The text of a setting, with `$…` for what is computed, and its line."""

    text: str
    line: int


def read_settings(data: bytes) -> dict[str, ConfigSetting]:
    """The settings at the top level of a file, the last of each; none for a file that is not Python here."""
    try:
        return _read(ast.parse(data).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {"bind": ConfigSetting("$unreadable", 1)}


def _read(body: list[ast.stmt]) -> dict[str, ConfigSetting]:
    settings: dict[str, ConfigSetting] = {}
    for node in body:
        for name, value in _bound(node):
            text = _text(value) if isinstance(node, ast.Assign | ast.AnnAssign) else "$"
            settings[name] = ConfigSetting(text, node.lineno)
    return settings


def _bound(node: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """The settings that a statement binds; at any depth of a block, where their values count as unknown."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part.id in _NAMES:
            yield part.id, getattr(node, "value", None)


def _text(value: ast.expr | None) -> str:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.List | ast.Tuple) and value.elts:
        return _text(value.elts[0])
    if isinstance(value, ast.JoinedStr):
        return "".join(_text(part) for part in value.values)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _text(value.left) + _text(value.right)
    return "$PORT" if value is not None and "PORT" in ast.dump(value) else "$"
