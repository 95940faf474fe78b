"""Whether a module binds a name once it is executed, followed along the statements of its syntax tree. Pure.

Compiled code shows most names to be bound for sure. What is left for this module: names under a condition, in a handler, in a
loop or by `global`, and names that are deleted again. A part of the build step: it runs on Python 3.8.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

from buildguard.imports.binding_nodes import (
    NamedTree,
    deletes,
    is_walrus,
    least_rounds,
    matches_all,
    may_raise,
    names_bound_by,
)
from buildguard.imports.records import Bound
from buildguard.remote.import_outline import is_main_test
from buildguard.remote.import_tests import ENDS, PASSING, Evaluator, UnknownValue

_BOUND, _UNBOUND = 1, 2  # what a name may be at a place: both of them, or neither where nothing comes
_ANSWERS = {_BOUND: Bound.YES, _UNBOUND: Bound.NO}
_STARS = {Bound.YES: _BOUND, Bound.NO: 0}
_MOST_ROUNDS = 4


def find_binding(data: bytes, name: str, version: tuple[int, ...], star: Callable[[str, int], Bound]) -> Bound:
    """Whether a source binds a name in the end; UNKNOWN where a condition decides, or this Python cannot parse it.

    `version` is the target's, empty where it is unknown. `star` says whether a star import brings the name.
    """
    try:
        return _NameFlow(NamedTree(data, name), name, version, star).answer()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Bound.UNKNOWN


class _NameFlow:
    """Follows one name through a module."""

    def __init__(
        self, module: NamedTree, name: str, version: tuple[int, ...], star: Callable[[str, int], Bound]
    ) -> None:
        self._module = module
        self._name = name
        self._star = star
        self._values = Evaluator(version, "linux", frozenset()) if version else None
        self._is_primed = False  # whether the values know which names are no constants
        self._writers = module.writers(name)
        self._by_call = self._effect_of_calls()
        self._has_walrus = module.has_walrus(name)
        self._raised: list[
            int
        ] = []  # for each `try` and `with` around: what the name may be where an exception leaves it
        self._loops: list[list[int]] = []  # for each loop around: the same at `break`, and at `continue`
        self._returned: list[int] = []  # for each call around: the same at `return`
        self._calling: list[ast.AST] = []

    def answer(self) -> Bound:
        state = self._run(self._module.tree.body, _UNBOUND)
        # another module may call what binds or deletes the name
        return _ANSWERS.get(state and state | self._by_call, Bound.UNKNOWN)

    def _effect_of_calls(self) -> int:
        """What the name may be after a call of something unknown."""
        effect = 0
        for node in self._writers:
            inside = list(ast.walk(node))
            does_bind = any(name == self._name for item in inside for name in names_bound_by(item))
            does_delete = any(deletes(item, self._name) for item in inside)
            effect |= (_BOUND if does_bind else 0) | (_UNBOUND if does_delete else 0)
        return effect

    # --- statements

    def _run(self, body: Iterable[ast.stmt], state: int) -> int:
        for node in body:
            if not state:
                break
            if may_raise(node):
                self._leave(state)
            state = self._statement(node, state)
        return state

    def _leave(self, state: int) -> None:
        self._raised = [known | state for known in self._raised]

    def _statement(self, node: ast.stmt, state: int) -> int:
        read = _STATEMENTS.get(type(node).__name__)
        if read is not None:
            after: int = getattr(self, read)(node, state)
            return after
        for child in ast.iter_child_nodes(node):
            state = self._expression(child, state)
        return self._bind(node, state)

    def _bind(self, node: ast.AST, state: int) -> int:
        names = list(names_bound_by(node))
        if self._name not in names:
            return state
        if len(names) > 1:
            self._leave(state | _BOUND)  # the next one may fail
        return _BOUND

    def _assign(self, node: Any, state: int) -> int:
        state = self._expression(node.value, state)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if self._values is not None and node.value is not None and not isinstance(node, ast.AugAssign):
            self._values.see_assignment(targets, node.value)
        if node.value is None:
            return state  # an annotation alone
        for target in targets:
            for item in ast.walk(target):
                state = self._bind(item, state)
        return state

    def _import(self, node: ast.Import, state: int) -> int:
        if self._values is not None:
            self._values.see_import(node)
        return self._bind(node, state)

    def _import_from(self, node: ast.ImportFrom, state: int) -> int:
        if any(alias.name == "*" for alias in node.names):
            if self._values is not None:
                self._values.see_import_from(node)  # what a star brings may be a constant that was known
            brought = self._star(node.module or "", node.level)
            return _STARS.get(brought, _BOUND) | (0 if brought is Bound.YES else state)
        if self._values is not None:
            self._values.see_import_from(node)
        return self._bind(node, state)

    def _delete(self, node: ast.Delete, state: int) -> int:
        return _UNBOUND if deletes(node, self._name) else state

    def _function(self, node: Any, state: int) -> int:
        arguments = node.args
        for child in [*node.decorator_list, *arguments.defaults, *arguments.kw_defaults]:
            state = self._expression(child, state)
        return self._bind(node, state)

    def _class(self, node: ast.ClassDef, state: int) -> int:
        for child in [*node.decorator_list, *node.bases, *node.keywords]:
            state = self._expression(child, state)
        if any(isinstance(item, ast.Global) and self._name in item.names for item in node.body):
            state = self._run(node.body, state)
        else:
            state |= self._by_call
        return self._bind(node, state) if state else 0

    def _ends(self, node: Any, state: int) -> int:
        for child in ast.iter_child_nodes(node):
            state = self._expression(child, state)
        if isinstance(node, ast.Return) and self._returned:
            self._returned[-1] |= state
        else:
            self._leave(state)
        return 0

    def _jump(self, node: ast.stmt, state: int) -> int:
        self._loops[-1][0 if isinstance(node, ast.Break) else 1] |= state
        return 0

    def _expr(self, node: ast.Expr, state: int) -> int:
        state = self._expression(node.value, state)
        if isinstance(node.value, ast.Call) and _dotted(node.value.func, self._values) in ENDS:
            self._leave(state)
            return 0
        return state

    # --- blocks

    def _if(self, node: ast.If, state: int) -> int:
        state = self._expression(node.test, state)
        value = self._test(node.test)
        if isinstance(value, UnknownValue):
            return self._run(node.body, state) | self._run(node.orelse, state)
        return self._run(node.body if value else node.orelse, state)

    def _test(self, test: ast.expr) -> object:
        if is_main_test(test):
            return False  # what another module imports is not the program that was started
        if self._values is not None:
            if not self._is_primed:
                self._is_primed = True
                self._values.forget(self._module.source.changing)
            return self._values.test(test)
        return test.value if isinstance(test, ast.Constant) else UnknownValue()

    def _for(self, node: Any, state: int) -> int:
        state = self._expression(node.iter, state)
        count = least_rounds(node.iter)
        if count == 0:
            return self._run(node.orelse, state)

        def begin(before: int) -> int:
            for item in ast.walk(node.target):
                before = self._bind(item, before)
            return before

        first, broken = self._round(node.body, begin(state))
        repeated, more = self._repeat(node.body, first, begin)
        end = repeated if count else repeated | state
        return self._run(node.orelse, end) | broken | more

    def _while(self, node: ast.While, state: int) -> int:
        value = self._test(node.test)
        endless = not isinstance(value, UnknownValue) and bool(value)
        if not isinstance(value, UnknownValue) and not value:
            return self._run(node.orelse, self._expression(node.test, state))

        def begin(before: int) -> int:
            return self._expression(node.test, before)

        tested = begin(state)
        first, broken = self._round(node.body, tested)
        repeated, more = self._repeat(node.body, first, begin)
        end = 0 if endless else tested | (begin(repeated) if repeated else 0)
        return (self._run(node.orelse, end) if end else 0) | broken | more

    def _round(self, body: Iterable[ast.stmt], state: int) -> tuple[int, int]:
        """One round of a loop: what the name may be at its end, and at a `break`."""
        self._loops.append([0, 0])
        end = self._run(body, state)
        broken, goes_on = self._loops.pop()
        return end | goes_on, broken

    def _repeat(self, body: list[ast.stmt], state: int, begin: Callable[[int], int]) -> tuple[int, int]:
        """More rounds, until they bring nothing new."""
        broken = 0
        for _ in range(_MOST_ROUNDS):
            if not state:
                break
            end, left = self._round(body, begin(state))
            if end | state == state and left | broken == broken:
                break
            state, broken = state | end, broken | left
        return state, broken

    def _with(self, node: Any, state: int) -> int:
        passes = True
        for item in node.items:
            state = self._expression(item.context_expr, state)
            call = item.context_expr
            passes = passes and isinstance(call, ast.Call) and _dotted(call.func, self._values) in PASSING
            for child in ast.walk(item.optional_vars) if item.optional_vars is not None else ():
                state = self._bind(child, state)
        self._raised.append(0)
        end = self._run(node.body, state)
        raised = self._raised.pop()
        return end if passes else end | raised

    def _try(self, node: Any, state: int) -> int:
        outer = self._loops
        self._loops = [[0, 0] for _ in outer] if node.finalbody else outer
        self._raised.append(0)
        self._raised.append(0)
        end = self._run(node.body, state)
        raised = self._raised.pop()
        end = self._run(node.orelse, end)
        for handler in node.handlers:
            end |= self._handler(handler, raised) if raised else 0
        escaped = self._raised.pop()
        if not node.finalbody:
            return end
        inner, self._loops = self._loops, outer
        for number, left in enumerate(inner):
            for kind in (0, 1):
                outer[number][kind] |= self._run(node.finalbody, left[kind]) if left[kind] else 0
        if escaped:
            self._run(node.finalbody, escaped)  # a `break` in it takes the exception away
        return self._run(node.finalbody, end)

    def _handler(self, handler: ast.ExceptHandler, state: int) -> int:
        if handler.type is not None:
            state = self._expression(handler.type, state)
        if handler.name != self._name:
            return self._run(handler.body, state)
        # however the handler is left, the name of the exception is deleted
        outer, self._loops = self._loops, [[0, 0] for _ in self._loops]
        end = self._run(handler.body, _BOUND)
        inner, self._loops = self._loops, outer
        for number, left in enumerate(inner):
            for kind in (0, 1):
                outer[number][kind] |= _UNBOUND if left[kind] else 0
        if not end:
            self._leave(_UNBOUND)
        return _UNBOUND if end else 0

    def _match(self, node: Any, state: int) -> int:
        state = self._expression(node.subject, state)
        end = 0
        for case in node.cases:
            matched = state
            for item in ast.walk(case.pattern):
                matched = self._bind(item, matched)
            if case.guard is not None:
                matched = self._expression(case.guard, matched)
            end |= self._run(case.body, matched)
            if case.guard is not None:
                state |= matched
            elif matches_all(case.pattern):
                return end
        return end | state

    # --- expressions

    def _expression(self, node: ast.AST | None, state: int) -> int:
        """What evaluating an expression does to the name: an assignment in it, or a call."""
        if node is None or not (self._has_walrus or self._by_call):
            return state
        read = _EXPRESSIONS.get(type(node).__name__)
        if read is not None:
            after: int = getattr(self, read)(node, state)
            return after
        return self._children(ast.iter_child_nodes(node), state)

    def _children(self, nodes: Iterable[ast.AST | None], state: int) -> int:
        for node in nodes:
            state = self._expression(node, state)
        return state

    def _walrus(self, node: Any, state: int) -> int:
        state = self._expression(node.value, state)
        return _BOUND if node.target.id == self._name else state

    def _bool(self, node: ast.BoolOp, state: int) -> int:
        return self._perhaps(node.values[1:], self._expression(node.values[0], state))

    def _perhaps(self, nodes: Iterable[ast.AST], state: int) -> int:
        after = state
        for node in nodes:
            after = self._expression(node, after)
            state |= after
        return state

    def _compare(self, node: ast.Compare, state: int) -> int:
        state = self._children([node.left, node.comparators[0]], state)
        return self._perhaps(node.comparators[1:], state)

    def _if_else(self, node: ast.IfExp, state: int) -> int:
        state = self._expression(node.test, state)
        return self._expression(node.body, state) | self._expression(node.orelse, state)

    def _lambda(self, node: ast.Lambda, state: int) -> int:
        return self._children([*node.args.defaults, *node.args.kw_defaults], state)

    def _comprehension(self, node: Any, state: int) -> int:
        state = self._expression(node.generators[0].iter, state)
        rest = [child for child in ast.walk(node) if is_walrus(child, self._name)]
        return state | (_BOUND if rest else 0) | self._by_call

    def _call(self, node: ast.Call, state: int) -> int:
        state = self._children(ast.iter_child_nodes(node), state)
        if not self._by_call:
            return state
        function = self._called(node)
        if function is None or function in self._calling:
            return state | self._by_call
        saved = self._raised, self._loops
        self._raised, self._loops = [], []
        self._calling.append(function)
        self._returned.append(0)
        end = self._run(function.body, state) | self._returned.pop()
        self._calling.pop()
        self._raised, self._loops = saved
        self._leave(state | self._by_call)
        return end or state | self._by_call

    def _called(self, node: ast.Call) -> Any:
        """The function of the module that a call runs at once, where that is sure."""
        if not isinstance(node.func, ast.Name):
            return None
        name = node.func.id
        named = [item for item in self._module.source.nodes for other in names_bound_by(item) if other == name]
        function = named[0] if len(named) == 1 and named[0] in self._module.tree.body else None
        if not isinstance(function, ast.FunctionDef) or function.decorator_list or function not in self._writers:
            return None
        is_generator = any(isinstance(item, (ast.Yield, ast.YieldFrom)) for item in ast.walk(function))
        return None if is_generator else function


def _dotted(node: ast.expr, values: Evaluator | None) -> str:
    if values is not None:
        text: str = values.dotted(node)
        return text
    return node.id if isinstance(node, ast.Name) else ""


_STATEMENTS = {
    "Assign": "_assign",
    "AnnAssign": "_assign",
    "AugAssign": "_assign",
    "Import": "_import",
    "ImportFrom": "_import_from",
    "Delete": "_delete",
    "FunctionDef": "_function",
    "AsyncFunctionDef": "_function",
    "ClassDef": "_class",
    "Raise": "_ends",
    "Return": "_ends",
    "Break": "_jump",
    "Continue": "_jump",
    "Expr": "_expr",
    "If": "_if",
    "For": "_for",
    "While": "_while",
    "With": "_with",
    "Try": "_try",
    "TryStar": "_try",
    "Match": "_match",
}
_EXPRESSIONS = {
    "NamedExpr": "_walrus",
    "BoolOp": "_bool",
    "Compare": "_compare",
    "IfExp": "_if_else",
    "Lambda": "_lambda",
    "ListComp": "_comprehension",
    "SetComp": "_comprehension",
    "DictComp": "_comprehension",
    "GeneratorExp": "_comprehension",
    "Call": "_call",
}
