"""The names of one module: what imports call them, and the texts that constants hold. Pure."""

from __future__ import annotations

import ast
import copy
import functools
from collections.abc import Iterable, Iterator

from buildguard.startup.literal_paths import PathReader, bound_once
from buildguard.startup.source_nodes import all_nodes

_MOST_TEXTS = 200
_ENVIRON = "os.environ"
FAILING_CALLS = frozenset({"sys.exit", "exit", "quit", "os._exit", "builtins.exit"})


class ModuleNames:
    """Full dotted names in one module, and the values of its literal constants."""

    def __init__(self, tree: ast.Module) -> None:
        self.aliases: dict[str, str] = {}
        self.stars: list[str] = []
        self.constants: dict[str, tuple[str, ...]] = {}
        self._body = tree.body
        for node in all_nodes(tree):
            if isinstance(node, ast.Import):
                self._import(node)
            elif isinstance(node, ast.ImportFrom):
                self._import_from(node)
        for node in tree.body:
            self._constant(node)

    @functools.cached_property
    def paths(self) -> PathReader:
        """Reads the paths that the module spells out."""
        return PathReader(bound_once(self._body))

    def without(self, names: Iterable[str]) -> ModuleNames:
        """The same names in a function, whose parameters hide constants of the module."""
        inner = copy.copy(self)
        hidden = {*names}
        inner.constants = {name: texts for name, texts in self.constants.items() if name not in hidden}
        return inner

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.aliases[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )

    def _import_from(self, node: ast.ImportFrom) -> None:
        base = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(base)
            else:
                self.aliases[alias.asname or alias.name] = f"{base}{'' if base.endswith('.') else '.'}{alias.name}"

    def _constant(self, node: ast.stmt) -> None:
        """Keep a name that is bound to a text, or to a list of texts, and the names of the environment itself."""
        target, value = assigned(node)
        if target is None or value is None:
            return
        full = self.full(value)
        if full in {_ENVIRON, "os.getenv", "os.environ.get"}:
            self.aliases[target] = full
        elif isinstance(value, ast.Call) and self._copies_environment(value):
            self.aliases[target] = _ENVIRON
        else:
            self.constants.pop(target, None)
            texts = self.texts(value)
            if texts:
                self.constants[target] = texts

    def _copies_environment(self, call: ast.Call) -> bool:
        name = self.full(call.func)
        return name == "os.environ.copy" or (name == "dict" and [self.full(item) for item in call.args] == [_ENVIRON])

    def full(self, node: ast.expr, shadowed: Iterable[str] = ()) -> str:
        """The full dotted name of a name or an attribute; empty for anything else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in shadowed:
            return ""
        return ".".join([self.aliases.get(node.id, node.id), *reversed(parts)])

    def texts(self, node: ast.expr) -> tuple[str, ...]:
        """The texts that a literal holds, alone or in a list; empty where any of it is unknown."""
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            parts = [self.texts(item) for item in node.elts[:_MOST_TEXTS]]
            is_flat = all(len(part) == 1 for part in parts)
            return tuple(part[0] for part in parts) if is_flat else ()
        if isinstance(node, ast.Name):
            return self.constants.get(node.id, ())
        text = self.text(node)
        return (text,) if text else ()

    def text(self, node: ast.expr | None) -> str:
        """The one text that an expression is; empty where it is unknown."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else ""
        if isinstance(node, ast.Name):
            texts = self.constants.get(node.id, ())
            return texts[0] if len(texts) == 1 else ""
        parts = _parts(node)
        texts_of = [self.text(part) for part in parts]
        return "".join(texts_of) if texts_of and all(texts_of) else ""


def _parts(node: ast.expr | None) -> list[ast.expr]:
    """The parts of which a text is put together."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [node.left, node.right]
    if isinstance(node, ast.JoinedStr):
        return [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
    return []


def assigned(node: ast.stmt) -> tuple[str | None, ast.expr | None]:
    """The name and the value of a plain assignment."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id, node.value
    return None, None


def always_fails(names: ModuleNames, body: list[ast.stmt]) -> bool:
    """Whether a block ends in an exception, or ends the program."""
    last = body[-1]
    if isinstance(last, ast.If):
        return bool(last.orelse) and always_fails(names, last.body) and always_fails(names, last.orelse)
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        return names.full(last.value.func) in FAILING_CALLS
    return isinstance(last, ast.Raise)


def parts_of(node: ast.stmt) -> Iterator[ast.expr]:
    """The expressions of a statement, those of its blocks aside."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield child


def may_return(node: ast.stmt) -> bool:
    """Whether a statement may leave the function that it is in."""
    pending: list[ast.AST] = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, ast.Return):
            return True
        if not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            pending += ast.iter_child_nodes(part)
    return False
