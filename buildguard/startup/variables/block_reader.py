"""Reads one body of code: which variables it surely needs, which it may read, and what it calls. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from buildguard.remote.import_outline import is_main_test
from buildguard.remote.import_tests import Evaluator, UnknownValue
from buildguard.startup.source_nodes import all_nodes
from buildguard.startup.variables.bound_calls import fill
from buildguard.startup.variables.guards import VariableTests, default_of, gotten
from buildguard.startup.variables.names import FAILING_CALLS, ModuleNames, always_fails, assigned, may_return, parts_of
from buildguard.startup.variables.records import CallSite, CodeBlock, VariableRead

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Calls that fail on None: what they get of the environment is required.
_STRICT = frozenset({"int", "float", "json.loads", "pathlib.Path", "len", "open", "bytes.fromhex", "base64.b64decode"})
_STRICT_IN_ALL = frozenset({"os.path.join", "pathlib.Path"})
_PAIR = 2  # operands of `x or y`
# What a handler names to catch other errors than that of a missing key.
_OTHER_ERRORS = frozenset(
    {"ValueError", "TypeError", "OSError", "IOError", "FileNotFoundError", "ImportError", "ModuleNotFoundError"}
)
_SHOWN = 60  # characters of a default
# The method that reads each kind of statement and expression; all others are read part by part.
_STATEMENTS: Mapping[type[ast.AST], str] = {
    ast.FunctionDef: "_definition",
    ast.AsyncFunctionDef: "_definition",
    ast.ClassDef: "_class",
    ast.Assign: "_assignment",
    ast.AnnAssign: "_assignment",
    ast.AugAssign: "_augmented",
    ast.If: "_if",
    ast.Assert: "_assert",
    ast.Try: "_try",
    ast.TryStar: "_try",
    ast.With: "_with",
    ast.AsyncWith: "_with",
    ast.For: "_for",
    ast.AsyncFor: "_for",
    ast.While: "_while",
    ast.Match: "_match",
}
_EXPRESSIONS: Mapping[type[ast.AST], str] = {
    ast.BoolOp: "_either",
    ast.IfExp: "_choice",
    ast.Lambda: "_lambda",
    ast.ListComp: "_comprehension",
    ast.SetComp: "_comprehension",
    ast.DictComp: "_comprehension",
    ast.GeneratorExp: "_comprehension",
    ast.Call: "_call",
    ast.Subscript: "_subscript",
    ast.Attribute: "_attribute",
    ast.BinOp: "_sum",
    ast.Compare: "_comparison",
}


class BlockReader:
    """Walks a body; `certain` is false under conditions, and after what may have left the function."""

    def __init__(
        self, names: ModuleNames, evaluator: Evaluator, shadowed: Iterable[str] = (), *, is_main: bool
    ) -> None:
        self._names = names
        self._evaluator = evaluator
        self._shadowed = frozenset(shadowed)
        self._is_main = is_main
        self._reads: list[VariableRead] = []
        self._later: list[VariableRead] = []
        self._calls: list[CallSite] = []
        self._holders: dict[str, VariableRead] = {}
        self._missing: dict[str, tuple[VariableRead, ...]] = {}
        self._empty: dict[str, VariableRead] = {}  # names that are bound once, to a variable or None
        self._whole: Sequence[ast.stmt] = ()
        self._prefix = ""
        self._readers: dict[str, CallSite] = {}  # names of the body that a call made
        self._repeated: dict[str, ast.expr] = {}  # names of loops over texts, with the text of this round
        self._guarded = False
        self._spares_keys = False
        self.sets: set[str] = set()
        self.is_open = False

    def read(self, body: Sequence[ast.stmt]) -> CodeBlock:
        """The block of a body."""
        self._whole = body
        self._body(body, certain=True)
        return CodeBlock(tuple(self._reads), tuple(self._later), tuple(self._calls))

    # -------------------------------------------------------------------------------------- statements

    def _body(self, body: Sequence[ast.stmt], *, certain: bool) -> None:
        for at, node in enumerate(body, 1):
            getattr(self, _STATEMENTS.get(type(node), "_plain"))(node, certain)
            if certain and isinstance(node, ast.If) and self._fails_else(node, body[at:]):
                self._reads += self._require(self._tests.without(node.test, truth=False))
            certain = certain and not may_return(node)

    def _fails_else(self, node: ast.If, rest: Sequence[ast.stmt]) -> bool:
        """Whether a test decides between a `return` and an exception: `if value: return value`, then `raise`."""
        returns = isinstance(node.body[-1], ast.Return) and not node.orelse
        return returns and bool(rest) and always_fails(self._names, [*rest]) and not any(map(may_return, rest))

    def _plain(self, node: ast.stmt, certain: bool) -> None:
        for part in parts_of(node):
            self._expression(part, certain=certain)

    def _definition(self, node: ast.stmt, certain: bool) -> None:
        assert isinstance(node, _FUNCTIONS)
        for part in (*node.decorator_list, *node.args.defaults, *node.args.kw_defaults):
            if part is not None:
                self._expression(part, certain=certain)

    def _class(self, node: ast.stmt, certain: bool) -> None:
        assert isinstance(node, ast.ClassDef)
        for part in (*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)):
            self._expression(part, certain=certain)
        self._body(node.body, certain=certain)

    def _assignment(self, node: ast.stmt, certain: bool) -> None:
        self._plain(node, certain)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]  # type: ignore[attr-defined]
        for target in targets:
            self._set_variable(target)
        name, value = assigned(node)
        if name is None or value is None:
            return
        self._holders.pop(name, None)
        self._missing.pop(name, None)
        self._readers.pop(name, None)
        if isinstance(value, ast.Call) and self._full(value.func):
            self._readers[name] = CallSite(self._full(value.func), value)
        read = gotten(self._names, value)
        if read is not None and _gives_none(value) and self._is_bound_once(name):
            self._empty[name] = read
        if read is not None:
            self._holders[name] = read
        elif isinstance(value, ast.ListComp | ast.SetComp) and len(value.generators[0].ifs) == 1:
            self._missing[name] = self._tests.listed(value, value.generators[0].ifs[0], truth=True)
        else:
            self._missing[name] = self._tests.lacking(value)

    def _is_bound_once(self, name: str) -> bool:
        """Whether nothing else in the body binds a name, or deletes it."""
        parts = (part for node in self._whole for part in all_nodes(node))
        return (
            sum(isinstance(part, ast.Name) and part.id == name and not isinstance(part.ctx, ast.Load) for part in parts)
            == 1
        )

    def _set_variable(self, target: ast.expr) -> None:
        if isinstance(target, ast.Subscript) and self._full(target.value) == "os.environ":
            self._set_by_code(target.slice)

    def _augmented(self, node: ast.stmt, certain: bool) -> None:
        """`os.environ |= {"X": "1"}`, and all others."""
        assert isinstance(node, ast.AugAssign)
        self._assignment(node, certain)
        if self._full(node.target) == "os.environ":
            self._set_from(node.value)

    def _set_by_code(self, key: ast.expr) -> None:
        name = self._names.text(key)
        self.sets.add(name)
        self.is_open |= not name

    def _if(self, node: ast.stmt, certain: bool) -> None:
        assert isinstance(node, ast.If)
        self._expression(node.test, certain=certain)
        if certain and always_fails(self._names, node.body):
            self._reads += self._require(self._tests.without(node.test, truth=True))
        if certain and node.orelse and always_fails(self._names, node.orelse):
            self._reads += self._require(self._tests.without(node.test, truth=False))
        value = self._value(node.test)
        if isinstance(value, UnknownValue):
            self._body(node.body, certain=False)
            self._body(node.orelse, certain=False)
        else:
            self._body(node.body if value else node.orelse, certain=certain)

    def _value(self, test: ast.expr) -> object:
        return self._is_main if is_main_test(test) else self._evaluator.test(test)

    def _assert(self, node: ast.stmt, certain: bool) -> None:
        assert isinstance(node, ast.Assert)
        self._expression(node.test, certain=certain)
        if certain:
            self._reads += self._require(self._tests.without(node.test, truth=False))

    def _require(self, reads: Iterable[VariableRead]) -> Iterator[VariableRead]:
        return (read._replace(is_required=not self._guarded) for read in reads)

    def _try(self, node: ast.stmt, certain: bool) -> None:
        assert isinstance(node, ast.Try | ast.TryStar)
        fails = all(always_fails(self._names, handler.body) for handler in node.handlers)
        first, rest = node.body[:1], node.body[1:]
        with self._guard(on=not fails, spares_keys=not fails and not any(map(_catches_keys, node.handlers))):
            self._body(first, certain=certain and (fails or self._spares_keys))
            self._body(rest, certain=certain and fails and not may_return(first[0]))
        for handler in node.handlers:
            self._body(handler.body, certain=False)
        self._body(node.orelse, certain=certain and fails)
        self._body(node.finalbody, certain=certain)

    @contextmanager
    def _guard(self, *, on: bool, spares_keys: bool = False) -> Iterator[None]:
        """Inside, a missing variable is caught; `spares_keys` says that a missing key of `os.environ` is not."""
        before = self._guarded, self._spares_keys
        self._spares_keys = on and spares_keys and (self._spares_keys or not self._guarded)
        self._guarded = self._guarded or on
        yield
        self._guarded, self._spares_keys = before

    def _with(self, node: ast.stmt, certain: bool) -> None:
        assert isinstance(node, ast.With | ast.AsyncWith)
        suppresses = any("suppress" in ast.unparse(item.context_expr) for item in node.items)
        before = self._prefix
        for item in node.items:
            self._expression(item.context_expr, certain=certain)
            call = item.context_expr
            if isinstance(call, ast.Call) and self._full(call.func).endswith(".prefixed") and call.args:
                self._prefix += self._names.text(call.args[0])
        with self._guard(on=suppresses):
            self._body(node.body, certain=certain and not suppresses)
        self._prefix = before

    def _for(self, node: ast.stmt, certain: bool) -> None:
        assert isinstance(node, ast.For | ast.AsyncFor)
        self._strict(node.iter, certain=certain)
        self._expression(node.iter, certain=certain)
        texts = self._names.texts(node.iter)
        if texts and isinstance(node.target, ast.Name):
            self._repeat(node.target.id, texts, lambda: self._body(node.body, certain=certain))
        else:
            self._body(node.body, certain=False)
        self._body(node.orelse, certain=False)

    def _repeat(self, name: str, texts: Iterable[str], act: Callable[[], None]) -> None:
        """Do something with a name bound to each of some texts."""
        before = self._names.constants.get(name)
        for text in texts:
            self._names.constants[name] = (text,)
            self._repeated[name] = ast.Constant(text)
            act()
        self._repeated.pop(name, None)
        self._names.constants.pop(name)
        if before is not None:
            self._names.constants[name] = before

    def _while(self, node: ast.stmt, certain: bool) -> None:
        assert isinstance(node, ast.While)
        self._expression(node.test, certain=certain)
        is_endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        self._body(node.body, certain=certain and is_endless)
        self._body(node.orelse, certain=False)

    def _match(self, node: ast.stmt, certain: bool) -> None:
        assert isinstance(node, ast.Match)
        self._expression(node.subject, certain=certain)
        for case in node.cases:
            self._body(case.body, certain=False)

    # -------------------------------------------------------------------------------------- expressions

    @property
    def _tests(self) -> VariableTests:
        return VariableTests(self._names, self._holders, self._missing)

    def _full(self, node: ast.expr) -> str:
        return self._names.full(node, self._shadowed)

    def _expression(self, node: ast.AST, *, certain: bool) -> None:
        getattr(self, _EXPRESSIONS.get(type(node), "_parts"))(node, certain)

    def _parts(self, node: ast.AST, certain: bool) -> None:
        self._each(ast.iter_child_nodes(node), certain=certain)

    def _either(self, node: ast.AST, certain: bool) -> None:
        assert isinstance(node, ast.BoolOp)
        last = node.values[-1]
        if (
            certain
            and isinstance(node.op, ast.Or)
            and isinstance(last, ast.Call)
            and self._full(last.func) in FAILING_CALLS
        ):
            tested = node.values[0] if len(node.values) == _PAIR else ast.BoolOp(ast.Or(), node.values[:-1])
            self._reads += self._require(self._tests.without(tested, truth=False))
        self._expression(node.values[0], certain=certain)
        self._each(node.values[1:], certain=False)

    def _lambda(self, node: ast.AST, _certain: bool) -> None:
        assert isinstance(node, ast.Lambda)
        self._expression(node.body, certain=False)

    def _attribute(self, node: ast.AST, certain: bool) -> None:
        assert isinstance(node, ast.Attribute)
        self._strict(node.value, certain=certain)
        self._expression(node.value, certain=certain)

    def _sum(self, node: ast.AST, certain: bool) -> None:
        assert isinstance(node, ast.BinOp)
        for part in (node.left, node.right):
            if isinstance(node.op, ast.Add):
                self._strict(part, certain=certain)
            self._expression(part, certain=certain)

    def _comparison(self, node: ast.AST, certain: bool) -> None:
        assert isinstance(node, ast.Compare)
        if len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            self._strict(node.comparators[0], certain=certain)
        self._parts(node, certain)

    def _each(self, nodes: Iterable[ast.AST], *, certain: bool) -> None:
        for node in nodes:
            self._expression(node, certain=certain)

    def _choice(self, node: ast.AST, certain: bool) -> None:
        assert isinstance(node, ast.IfExp)
        self._expression(node.test, certain=certain)
        value = self._value(node.test)
        if isinstance(value, UnknownValue):
            self._each((node.body, node.orelse), certain=False)
        else:
            self._expression(node.body if value else node.orelse, certain=certain)

    def _comprehension(self, node: ast.AST, certain: bool) -> None:
        assert isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
        first = node.generators[0]
        self._expression(first.iter, certain=certain)
        texts = self._names.texts(first.iter)
        parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        is_plain = len(node.generators) == 1 and not first.ifs and not isinstance(node, ast.GeneratorExp)
        if texts and is_plain and isinstance(first.target, ast.Name):
            self._repeat(first.target.id, texts, lambda: self._each(parts, certain=certain))
            return
        tests = [test for generator in node.generators for test in generator.ifs]
        self._each([*tests, *parts], certain=False)

    def _subscript(self, node: ast.AST, certain: bool) -> None:
        assert isinstance(node, ast.Subscript)
        if isinstance(node.ctx, ast.Load) and self._full(node.value) == "os.environ":
            name = self._names.text(node.slice)
            if name:
                self._add(VariableRead((name,), node.lineno, "os.environ"), certain=certain, by_key=True)
        else:
            self._strict(node.value, certain=certain)
        self._each((node.value, node.slice), certain=certain)

    def _strict(self, node: ast.expr, *, certain: bool) -> None:
        """A use that fails on None: a variable that is read without a default is required there."""
        if isinstance(node, ast.Name):
            read = self._empty.get(node.id) if certain else None
        else:
            read = gotten(self._names, node) if _gives_none(node) else None
        if read is not None:
            self._add(read._replace(is_required=True), certain=certain)

    def _add(self, read: VariableRead, *, certain: bool, by_key: bool = False) -> None:
        is_caught = self._guarded and not (by_key and self._spares_keys)
        read = read._replace(is_required=read.is_required and not is_caught)
        (self._reads if certain else self._later).append(read)

    def _call(self, call: ast.AST, certain: bool) -> None:
        assert isinstance(call, ast.Call)
        name = self._full(call.func)
        call = fill(call, self._repeated) if self._repeated else call
        for argument in call.args if name in _STRICT_IN_ALL else call.args[: name in _STRICT]:
            self._strict(argument, certain=certain)
        if name.startswith(("os.environ.", "os.getenv", "os.putenv")):
            self._environment_call(name, call, certain=certain)
        elif name:
            reader = self._readers.get(name.partition(".")[0])
            self._calls.append(CallSite(name, call, self._prefix, certain, self._guarded, reader))
        if name == "asyncio.run" and call.args and isinstance(call.args[0], ast.Call):
            inner = call.args[0]
            self._calls.append(CallSite(f"{self._full(inner.func)}()", inner, self._prefix, certain, self._guarded))
        self._each(ast.iter_child_nodes(call), certain=certain)

    def _environment_call(self, name: str, call: ast.Call, *, certain: bool) -> None:
        """A call of a method of `os.environ`, or of `os.getenv`."""
        if name in {"os.environ.update", "os.putenv", "os.environ.setdefault"}:
            self._setting_call(name, call)
            return
        text = self._names.text(call.args[0]) if call.args else ""
        if not text or name not in {"os.getenv", "os.environ.get", "os.environ.pop", "os.environ.__getitem__"}:
            return
        default = default_of(call)
        is_required = name in {"os.environ.pop", "os.environ.__getitem__"} and default is None
        shown = "" if default is None else ast.unparse(default)[:_SHOWN]
        self._add(VariableRead((text,), call.lineno, name, is_required, shown), certain=certain)

    def _set_from(self, value: ast.expr) -> None:
        """The variables that a mapping sets."""
        if isinstance(value, ast.Dict) and None not in value.keys:
            for key in value.keys:
                assert key is not None
                self._set_by_code(key)
        else:
            self.is_open = True

    def _setting_call(self, name: str, call: ast.Call) -> None:
        if name != "os.environ.update":
            if call.args:
                self._set_by_code(call.args[0])
            return
        for argument in call.args:
            self._set_from(argument)
        self.sets.update(keyword.arg for keyword in call.keywords if keyword.arg)
        self.is_open |= any(keyword.arg is None for keyword in call.keywords)


def _gives_none(node: ast.expr) -> bool:
    """Whether a call gets None for a variable that is missing."""
    default = default_of(node) if isinstance(node, ast.Call) else ast.Constant("")
    return default is None or (isinstance(default, ast.Constant) and default.value is None)


def _catches_keys(handler: ast.ExceptHandler) -> bool:
    """Whether a handler may catch a KeyError."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return not all(isinstance(kind, ast.Name) and kind.id in _OTHER_ERRORS for kind in kinds)
