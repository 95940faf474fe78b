"""Paths that a source spells out: literals, and what is joined to `__file__` or to the working folder. Pure.

`Path(__file__).resolve().parent / "a.json"`, `os.path.join(os.path.dirname(__file__), "a.json")`, and names that are bound to such
expressions once.
"""

from __future__ import annotations

import ast
import functools
import posixpath
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import NamedTuple
from buildguard.project.script_calls import dotted
from buildguard.startup.source_nodes import all_nodes

_DEEPEST = 30
_SAME = frozenset(
    {"os.path.abspath", "os.path.realpath", "os.path.normpath", "os.fspath", "str", "path.abspath", "path.realpath"}
)
_PATHS = frozenset({"Path", "pathlib.Path", "PurePath", "pathlib.PurePath", "os.path.join", "path.join"})
_FOLDERS = frozenset({"os.getcwd", "Path.cwd", "pathlib.Path.cwd"})
_UNCHANGED = frozenset({"resolve", "absolute", "as_posix", "expanduser"})


class LiteralPath(NamedTuple):
    """A path: its text, and whether it begins in the folder of the file that has it, and not in the working folder."""

    text: str
    is_beside: bool = False


class PathReader:
    """Reads expressions of one file; `names` are what its names are bound to, each once."""

    def __init__(self, names: Mapping[str, ast.expr] = MappingProxyType({})) -> None:
        self._names = names

    def inside(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> PathReader:
        """The reader for the body of a function: its arguments hide the names of the file, and its own names count."""
        return _FunctionPathReader(self, function)

    def names_inside(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, ast.expr]:
        """What the names in a function are bound to."""
        arguments = function.args
        hidden = {item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        hidden |= {item.arg for item in (arguments.vararg, arguments.kwarg) if item is not None}
        stored = {
            part.id for part in all_nodes(function) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        }
        outer = {name: value for name, value in self._names.items() if name not in hidden | stored}
        own = {name: value for name, value in bound_once(function.body).items() if name not in hidden}
        return {**outer, **own}

    def read(self, node: ast.expr, depth: int = 0) -> LiteralPath | None:
        """The path of an expression; None for one that is not spelled out."""
        if depth > _DEEPEST:
            return None
        match node:
            case ast.Constant(value=str(text)) if text:
                path: LiteralPath | None = LiteralPath(text)
            case ast.Name():
                path = self._name(node, depth + 1)
            case ast.BinOp():
                path = self._joined(node, depth + 1)
            case ast.Attribute(attr="parent"):
                path = _up(self.read(node.value, depth + 1), 1)
            case ast.Subscript(value=ast.Attribute(attr="parents", value=below), slice=ast.Constant(value=int(index))):
                path = _up(self.read(below, depth + 1), index + 1)
            case ast.Call():
                path = self._call(node, depth + 1)
            case _:
                path = None
        return path

    def _name(self, node: ast.Name, depth: int) -> LiteralPath | None:
        """`__file__`, or a name that is bound once."""
        if node.id == "__file__":
            return LiteralPath("__file__", is_beside=True)
        value = self._names.get(node.id)
        return self.read(value, depth) if value is not None else None

    def _joined(self, node: ast.BinOp, depth: int) -> LiteralPath | None:
        """`a / "b"`, and `dirname(__file__) + "/b"`."""
        left, right = self.read(node.left, depth), self.read(node.right, depth)
        if left is None or right is None or right.is_beside:
            return None
        if isinstance(node.op, ast.Div):
            return left._replace(text=posixpath.join(left.text, right.text))
        return left._replace(text=f"{left.text}{right.text}") if isinstance(node.op, ast.Add) else None

    def _call(self, node: ast.Call, depth: int) -> LiteralPath | None:
        """The calls that join, and those that leave a path as it is."""
        name = dotted(node.func)
        if name in _FOLDERS:
            return LiteralPath(".")
        if name in _PATHS:
            return self._join(node.args, depth)
        if name in _SAME and node.args:
            return self.read(node.args[0], depth)
        if name in {"os.path.dirname", "path.dirname"} and node.args:
            return _up(self.read(node.args[0], depth), 1)
        return self._method(node, depth)

    def _method(self, node: ast.Call, depth: int) -> LiteralPath | None:
        method = node.func
        if not isinstance(method, ast.Attribute):
            return None
        if method.attr in _UNCHANGED:
            return self.read(method.value, depth)
        if method.attr == "joinpath":
            return self._join([method.value, *node.args], depth)
        if method.attr == "with_name":
            above, named = _up(self.read(method.value, depth), 1), self._join(node.args, depth)
            return above._replace(text=posixpath.join(above.text, named.text)) if above and named else None
        return None

    def _join(self, parts: Sequence[ast.expr], depth: int) -> LiteralPath | None:
        paths = [self.read(part, depth) for part in parts]
        first = paths[0] if paths else None
        if first is None:
            return None
        rest = [path.text for path in paths[1:] if path is not None and not path.is_beside]
        return first._replace(text=posixpath.join(first.text, *rest)) if len(rest) == len(paths) - 1 else None


class _FunctionPathReader(PathReader):
    """A reader that looks at a function's names when a path in it is read; most functions have none."""

    def __init__(self, outer: PathReader, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._outer = outer
        self._function = function

    @functools.cached_property
    def _names(self) -> Mapping[str, ast.expr]:  # type: ignore[override]
        return self._outer.names_inside(self._function)


def _up(path: LiteralPath | None, levels: int) -> LiteralPath | None:
    """The folder above a path, some levels up; `__file__` itself is in the folder of the file."""
    if path is None:
        return None
    text = posixpath.normpath(path.text)
    for _ in range(levels):
        is_above = text in {".", ""} or text.endswith("..")
        text = posixpath.join(text, "..") if is_above else posixpath.dirname(text)
    return path._replace(text=posixpath.normpath(text or "."))


def bound_once(body: Sequence[ast.stmt]) -> dict[str, ast.expr]:
    """What the names of a module are bound to at its top level, those that are bound in one place."""
    values: dict[str, ast.expr] = {}
    counts: dict[str, int] = {}
    for statement in body:
        for part in all_nodes(statement):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                counts[part.id] = counts.get(part.id, 0) + 1
        target = _target(statement)
        if target is not None:
            values[target[0]] = target[1]
    return {name: value for name, value in values.items() if counts[name] == 1}


def _target(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target, value = statement.targets[0], statement.value
        return (target.id, value) if isinstance(target, ast.Name) else None
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value is not None:
        return statement.target.id, statement.value
    return None
