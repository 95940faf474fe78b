"""Uses of the environment that surely run and that are not read as variables: what they require stays open. Pure."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Sequence

from buildguard.remote.import_outline import is_main_test
from buildguard.startup.source_nodes import all_nodes
from buildguard.startup.variables.guards import unwrapped
from buildguard.startup.variables.names import ModuleNames
from buildguard.startup.variables.records import UnreadUse

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_ENVIRON = frozenset({"os.environ", "os.environ.keys"})
_SUBSETS = frozenset({"issubset", "issuperset"})
_FILES = frozenset({"dotenv.dotenv_values", "dotenv.main.dotenv_values"})
# Calls that require nothing of the mapping that they get.
_HARMLESS = frozenset(
    {
        *(
            "dict",
            "print",
            "len",
            "sorted",
            "list",
            "set",
            "tuple",
            "frozenset",
            "repr",
            "str",
            "bool",
            "iter",
            "id",
            "type",
        ),
        *(
            "json.dumps",
            "copy.copy",
            "copy.deepcopy",
            "pprint.pprint",
            "collections.ChainMap",
            "ChainMap",
            "isinstance",
        ),
        *("os.execvpe", "os.execve", "os.spawnve", "os.environ.update", "mock.patch.dict", "unittest.mock.patch.dict"),
    }
)


class UnreadFinder:
    """Finds the uses in one body; `parameters` are what the calls of a function fill in."""

    def __init__(self, names: ModuleNames, parameters: Collection[str], *, is_main: bool) -> None:
        self._names = names
        self._parameters = frozenset(parameters)
        self._is_main = is_main
        self._bound: set[str] = set()  # names of loops over texts that are known
        self.attributes: set[str] = set()  # every attribute that the body asks for
        self.uses: list[UnreadUse] = []

    def read(self, body: Sequence[ast.stmt]) -> None:
        """Read statements; those under conditions and handlers only for the attributes."""
        for node in body:
            self._statement(node)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                self._expression(child, is_test=isinstance(node, ast.If | ast.Assert | ast.While))
        if isinstance(node, ast.ClassDef | ast.With | ast.AsyncWith):
            self.read(node.body)
        elif isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            self._loop(node, node.target.id)
        elif isinstance(node, ast.If) and is_main_test(node.test) and self._is_main:
            self.read(node.body)
        else:
            self.attributes.update(part.attr for part in all_nodes(node) if isinstance(part, ast.Attribute))

    def _loop(self, node: ast.For, name: str) -> None:
        known = {name} if self._names.texts(node.iter) else set()
        self._bound |= known
        self.read(node.body)
        self._bound -= known

    def _expression(self, whole: ast.AST, *, is_test: bool) -> None:
        called: set[int] = set()
        for node in _parts(whole):
            if isinstance(node, _COMPREHENSIONS):
                first = node.generators[0]
                if isinstance(first.target, ast.Name) and self._names.texts(first.iter):
                    self._bound.add(first.target.id)
            if isinstance(node, ast.Call) and node.args and self._names.text(node.args[0]):
                called.add(id(node.func))
            if isinstance(node, ast.Attribute):
                self.attributes.add(node.attr)
            reason = self._reason(node, is_test=is_test, is_called=id(node) in called)
            if reason:
                self.uses.append(UnreadUse(getattr(node, "lineno", 0), reason))

    def _reason(self, node: ast.AST, *, is_test: bool, is_called: bool) -> str:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            is_computed = self._full(node.value) == "os.environ" and not self._names.text(node.slice)
            return "os.environ is asked for a computed name" if is_computed and self._is_free(node.slice) else ""
        if isinstance(node, ast.Attribute):
            is_asked = self._full(node) == "os.environ.__getitem__" and not is_called
            return "os.environ.__getitem__ is handed on" if is_asked else ""
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            orders = len(node.ops) == 1 and isinstance(node.ops[0], _ORDERS)
            return self._compared(sides, is_test=is_test) if orders else ""
        return self._of_call(node, is_test=is_test) if isinstance(node, ast.Call) else ""

    def _of_call(self, call: ast.Call, *, is_test: bool) -> str:
        name = self._full(call.func)
        if name in _FILES:
            return "dotenv_values takes values of a file"
        if isinstance(call.func, ast.Attribute) and call.func.attr in _SUBSETS and call.args:
            return self._compared([call.func.value, call.args[0]], is_test=is_test)
        is_whole = any(self._full(argument) == "os.environ" for argument in call.args)
        is_open = is_whole and name not in _HARMLESS and not name.startswith("os.environ.")
        return f"{ast.unparse(call.func)} gets all of os.environ" if is_open else ""

    def _compared(self, sides: Sequence[ast.expr], *, is_test: bool) -> str:
        """A comparison of sets of names with the environment's: read in a test, where the names are known."""
        if not any(self._full(unwrapped(self._names, side)) in _ENVIRON for side in sides):
            return ""
        is_known = is_test and any(self._names.texts(unwrapped(self._names, side)) for side in sides)
        return "" if is_known else "names are compared with those of os.environ"

    def _is_free(self, node: ast.expr) -> bool:
        """Whether no call and no loop over known texts fills a name in."""
        names = {part.id for part in all_nodes(node) if isinstance(part, ast.Name)}
        return names.isdisjoint(self._parameters | self._bound)

    def _full(self, node: ast.expr) -> str:
        return self._names.full(node, self._parameters)


def _parts(whole: ast.AST) -> Iterator[ast.AST]:
    """The parts of an expression that are evaluated with it, each before what is in it."""
    pending = [whole]
    while pending:
        node = pending.pop(0)
        if not isinstance(node, _FUNCTIONS):
            yield node
            pending[:0] = ast.iter_child_nodes(node)
