"""What a Python source says about a start, read as data: the names that it binds, its imports, and the files that it opens. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_DYNAMIC = frozenset({"globals", "exec", "eval", "setattr", "vars", "locals", "__import__"})
_LONGEST = 4 << 20


class SourceImport(NamedTuple):
    """One import: the module, its leading dots, the names taken from it, its line, and whether it runs at import for certain."""

    module: str
    level: int
    names: tuple[str, ...]
    line: int
    is_certain: bool


class OpenedFile(NamedTuple):
    """A file that is opened for reading by a literal path, and whether that runs at import for certain."""

    path: str
    line: int
    is_certain: bool


class SourceFacts(NamedTuple):
    """The facts of one file; `is_dynamic` says that names may be bound in ways that no reader sees."""

    names: frozenset[str]
    is_dynamic: bool
    imports: tuple[SourceImport, ...]
    opened: tuple[OpenedFile, ...]
    settings: str = ""  # the module of DJANGO_SETTINGS_MODULE
    tree: ast.Module | None = None

    def binds(self, name: str) -> bool | None:
        """Whether a module has a name once it is imported; None where that cannot be known."""
        if name in self.names:
            return True
        return None if self.is_dynamic else False


def read_facts(data: bytes, *, is_main: bool = False) -> SourceFacts | None:
    """The facts of a source, run as a script or imported; None for one that this Python cannot parse."""
    if len(data) > _LONGEST:
        return None
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    reader = _SourceReader(is_main=is_main)
    try:
        reader.read(tree.body, certain=True)
    except RecursionError:
        return None
    return SourceFacts(
        frozenset(reader.names), reader.is_dynamic, tuple(reader.imports), tuple(reader.opened), reader.settings, tree
    )


class _SourceReader:
    """Walks statements; `certain` is false inside functions, handlers and tests."""

    def __init__(self, *, is_main: bool) -> None:
        self._is_main = is_main
        self.names: set[str] = set()
        self.is_dynamic = False
        self.imports: list[SourceImport] = []
        self.opened: list[OpenedFile] = []
        self.settings = ""

    def read(self, body: Sequence[ast.stmt], *, certain: bool, is_module: bool = True) -> None:
        for node in body:
            self._statement(node, certain=certain, is_module=is_module)

    def _statement(self, node: ast.stmt, *, certain: bool, is_module: bool) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._definition(node, certain=certain, is_module=is_module)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node, certain=certain, is_module=is_module)
        else:
            blocks = _blocks(node)
            for part in _expressions(node):
                self._expression(part, certain=certain, is_module=is_module)
            guarded = isinstance(node, ast.Try | ast.If | ast.While | ast.For | ast.Match | ast.With | ast.TryStar)
            is_certain = certain and (not guarded or self._runs_anyway(node))
            for block in blocks:
                self.read(block, certain=is_certain, is_module=is_module)

    def _runs_anyway(self, node: ast.stmt) -> bool:
        """Whether the block of a statement runs for certain: that of a `with`, and of the test for `__main__` in a script."""
        if isinstance(node, ast.With):
            return not _suppresses(node)
        return self._is_main and isinstance(node, ast.If) and not node.orelse and "__name__" in ast.unparse(node.test)

    def _definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, *, certain: bool, is_module: bool
    ) -> None:
        if is_module:
            self.names.add(node.name)
            self.is_dynamic |= node.name == "__getattr__"
        for decorator in node.decorator_list:
            self._expression(decorator, certain=certain, is_module=is_module)
        is_class = isinstance(node, ast.ClassDef)
        for part in ast.walk(node):
            if isinstance(part, ast.Global):
                self.names.update(part.names)
        self.read(node.body, certain=certain and is_class, is_module=False)

    def _import(self, node: ast.Import | ast.ImportFrom, *, certain: bool, is_module: bool) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.imports.append(SourceImport(alias.name, 0, (), node.lineno, certain))
        else:
            names = tuple(alias.name for alias in node.names)
            self.imports.append(SourceImport(node.module or "", node.level, names, node.lineno, certain))
            self.is_dynamic |= is_module and "*" in names
        if is_module:
            self.names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}

    def _expression(self, node: ast.AST, *, certain: bool, is_module: bool) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and is_module and not isinstance(part.ctx, ast.Load):
                self.names.add(part.id)
            elif isinstance(part, ast.Attribute) and is_module:
                self.is_dynamic |= _dotted(part) == "sys.modules"
            elif isinstance(part, ast.Call):
                self._call(part, certain=certain, is_module=is_module)

    def _call(self, call: ast.Call, *, certain: bool, is_module: bool) -> None:
        name = _dotted(call.func)
        self.is_dynamic |= is_module and name in _DYNAMIC
        path = _opened_path(name, call)
        if path:
            self.opened.append(OpenedFile(path, call.lineno, certain))
        if name.endswith("environ.setdefault") and _literal(call.args[:1]) == "DJANGO_SETTINGS_MODULE":
            self.settings = self.settings or _literal(call.args[1:2])


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block
    for part in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
        yield part.body


def _expressions(node: ast.stmt) -> Iterator[ast.AST]:
    """The parts of a statement that are no statements."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ExceptHandler | ast.match_case):
            continue
        if not isinstance(child, ast.stmt):
            yield child


def _suppresses(node: ast.With) -> bool:
    return any("suppress" in ast.unparse(item.context_expr) for item in node.items)


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "")
    return ".".join(reversed(parts))


def _literal(arguments: Sequence[ast.expr]) -> str:
    node = arguments[0] if arguments else None
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _opened_path(name: str, call: ast.Call) -> str:
    """The literal path that a call opens for reading; empty for any other call."""
    if name in {"open", "io.open"}:
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        mode = call.args[1] if len(call.args) > 1 else keywords.get("mode")
        text = "r" if mode is None else _literal([mode]) or "w"
        return "" if set(text) & set("wax+") else _literal(call.args[:1])
    method = call.func
    if isinstance(method, ast.Attribute) and method.attr in {"read_text", "read_bytes"}:
        inner = method.value
        if isinstance(inner, ast.Call) and _dotted(inner.func) in {"Path", "pathlib.Path"} and len(inner.args) == 1:
            return _literal(inner.args)
    return ""
