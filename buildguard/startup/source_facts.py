"""What a Python source says about a start, read as data: the names that it binds, its imports, and the files that it opens. Pure."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.script_calls import dotted
from buildguard.startup.literal_paths import LiteralPath, PathReader, bound_once
from buildguard.startup.opened_files import handles_absence, read_call
from buildguard.startup.source_nodes import all_nodes

_DYNAMIC = frozenset({"globals", "exec", "eval", "setattr", "vars", "locals", "__import__"})
KEPT_SOURCES = (
    1024  # sources whose facts are kept: the commands of one start, and the walks over each, load much the same
)
_LONGEST = 4 << 20
_ENDLESS_NUMBER = lazy_pattern(rb"0[xXoObB][0-9a-fA-F_]{3500}")  # Python refuses to write out so many digits


class SourceImport(NamedTuple):
    """One import: the module, its leading dots, the names taken from it, its line, and whether it runs at import for certain."""

    module: str
    level: int
    names: tuple[str, ...]
    line: int
    is_certain: bool


class OpenedFile(NamedTuple):
    """A file or folder that is opened by a path that is spelled out, and whether that runs at import for certain."""

    path: LiteralPath
    line: int
    is_certain: bool
    is_folder: bool = False


class SourceFacts(NamedTuple):
    """The facts of one file; `is_dynamic` says that names may be bound in ways that no reader sees."""

    names: frozenset[str]
    is_dynamic: bool
    imports: tuple[SourceImport, ...]
    opened: tuple[OpenedFile, ...]
    settings: SourceImport | None = None  # what DJANGO_SETTINGS_MODULE is set to
    tree: ast.Module | None = None

    def binds(self, name: str) -> bool | None:
        """Whether a module has a name once it is imported; None where that cannot be known."""
        if name in self.names:
            return True
        return None if self.is_dynamic else False


@functools.lru_cache(KEPT_SOURCES)
def read_facts(data: bytes, *, is_main: bool = False) -> SourceFacts | None:
    """The facts of a source, run as a script or imported; None for one that this Python cannot parse."""
    if len(data) > _LONGEST or _ENDLESS_NUMBER.search(data):
        return None
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    try:
        reader = _SourceReader(PathReader(bound_once(tree.body)), is_main=is_main, has_globals=b"global" in data)
        reader.read_file(tree.body)
    except RecursionError:
        return None
    return SourceFacts(
        frozenset(reader.names), reader.is_dynamic, tuple(reader.imports), tuple(reader.opened), reader.settings, tree
    )


class _SourceReader:
    """Walks statements; `certain` is false inside functions, handlers and tests."""

    def __init__(self, paths: PathReader, *, is_main: bool, has_globals: bool) -> None:
        self._paths = paths
        self._is_main = is_main
        self._has_globals = has_globals  # whether any function may bind names of the module
        self._called: frozenset[str] = frozenset()  # the functions that the file itself calls when it runs
        self._handled = 0  # blocks around this place that may be without a file
        self.names: set[str] = set()
        self.is_dynamic = False
        self.imports: list[SourceImport] = []
        self.opened: list[OpenedFile] = []
        self.settings: SourceImport | None = None

    def read_file(self, body: Sequence[ast.stmt]) -> None:
        """Read the statements of a whole file."""
        self._called = frozenset(_called_names(body, is_main=self._is_main))
        self.read(body, certain=True)

    def read(self, body: Sequence[ast.stmt], *, certain: bool, is_module: bool = True) -> None:
        for node in body:
            self._statement(node, certain=certain, is_module=is_module)
            certain = certain and (is_module or not _may_leave(node))

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
            is_handled = guarded and handles_absence(node)
            self._handled += is_handled
            for block in blocks:
                self.read(block, certain=is_certain, is_module=is_module)
            self._handled -= is_handled

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
        if is_module and self._has_globals:  # those inside are among its parts
            for part in all_nodes(node):
                if isinstance(part, ast.Global):
                    self.names.update(part.names)
        outer = self._paths
        if isinstance(node, ast.ClassDef):
            runs = certain
        else:
            self._paths = outer.inside(node)
            runs = certain and is_module and node.name in self._called and _is_plain(node)
        self.read(node.body, certain=runs, is_module=False)
        self._paths = outer

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
        for part in all_nodes(node):
            if isinstance(part, ast.Name) and is_module and not isinstance(part.ctx, ast.Load):
                self.names.add(part.id)
            elif isinstance(part, ast.Attribute) and is_module:
                self.is_dynamic |= dotted(part) == "sys.modules"
            elif isinstance(part, ast.Call):
                self._call(part, certain=certain, is_module=is_module)

    def _call(self, call: ast.Call, *, certain: bool, is_module: bool) -> None:
        name = dotted(call.func)
        self.is_dynamic |= is_module and name in _DYNAMIC
        found = None if self._handled else read_call(call, self._paths)
        if found is not None:
            self.opened.append(OpenedFile(found.path, call.lineno, certain, found.is_folder))
        if name.endswith("environ.setdefault") and _literal(call.args[:1]) == "DJANGO_SETTINGS_MODULE":
            module = _literal(call.args[1:2])
            self.settings = self.settings or (SourceImport(module, 0, (), call.lineno, certain) if module else None)


def _is_plain(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a call runs the body: of a generator or a coroutine it does not."""
    is_generator = any(isinstance(part, ast.Yield | ast.YieldFrom) for part in all_nodes(function))
    return isinstance(function, ast.FunctionDef) and not is_generator and not function.decorator_list


def _may_leave(node: ast.stmt) -> bool:
    """Whether what comes after a statement of a function may not run."""
    return any(isinstance(part, ast.Return | ast.Raise | ast.Break | ast.Continue) for part in all_nodes(node))


def _called_names(body: Sequence[ast.stmt], *, is_main: bool) -> Iterator[str]:
    """The functions of a file that its own top level calls for certain."""
    for node in body:
        if is_main and isinstance(node, ast.If) and not node.orelse and "__name__" in ast.unparse(node.test):
            yield from _called_names(node.body, is_main=False)
        elif isinstance(node, ast.Expr | ast.Assign | ast.AnnAssign):
            for part in all_nodes(node):
                if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
                    yield part.func.id


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


def _literal(arguments: Sequence[ast.expr]) -> str:
    node = arguments[0] if arguments else None
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
