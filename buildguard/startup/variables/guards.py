"""Tests after which code ends where a variable is missing: `if not URL: raise`, `assert URL`, `if "URL" not in os.environ`. Pure."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from buildguard.definitions import NamedTuple
from buildguard.startup.variables.names import ModuleNames
from buildguard.startup.variables.records import VariableRead

_SAME, _OTHER = (ast.Is, ast.Eq), (ast.IsNot, ast.NotEq)
_STRIPS = frozenset({"strip", "lstrip", "rstrip", "lower", "upper"})  # of nothing they make nothing, or fail
_GETS = frozenset({"os.getenv", "os.environ.get"})


class VariableTests(NamedTuple):
    """Reads what a test says of variables; `holders` are the names that hold a variable or nothing, `missing` lists of those missing."""

    names: ModuleNames
    holders: Mapping[str, VariableRead]
    missing: Mapping[str, tuple[VariableRead, ...]]

    def without(self, test: ast.expr, *, truth: bool) -> tuple[VariableRead, ...]:
        """The variables of which each makes a test true (or false) where it is missing."""
        match test:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.without(operand, truth=not truth)
            case ast.BoolOp(op=operator):
                groups = [self.without(value, truth=truth) for value in _open_values(test)]
                return _join(groups) if isinstance(operator, ast.Or) is truth else _any_of(groups)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self._compared(left, operator, right, truth=truth)
            case ast.Call(args=[_]) if (found := self._of_call(test, truth=truth)) is not None:
                return found
            case ast.Name(id=name) if truth:
                return self.missing.get(name, ())
        return self.lacking(test) if truth else self._held(test)

    def _of_call(self, call: ast.Call, *, truth: bool) -> tuple[VariableRead, ...] | None:
        """What `any(…)`, `all(…)` and `NAMES.issubset(…)` say; None for any other call."""
        match call:
            case ast.Call(func=ast.Name(id="any" | "all" as name), args=[argument]):
                return self._all_of(argument, truth=truth) if (name == "any") is truth else ()
            case ast.Call(func=ast.Attribute(value=part, attr="issubset"), args=[whole]):
                return () if truth else self._absent(part, whole)
        return None

    def lacking(self, node: ast.expr) -> tuple[VariableRead, ...]:
        """What `set(NAMES) - set(os.environ)` leaves: each name that is missing."""
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Sub):
            return ()
        return self._absent(node.left, node.right)

    def _absent(self, part: ast.expr, whole: ast.expr) -> tuple[VariableRead, ...]:
        """Each of some names that is missing in the environment."""
        texts = self.names.texts(unwrapped(self.names, part))
        if self.names.full(unwrapped(self.names, whole)) not in {"os.environ", "os.environ.keys"}:
            return ()
        return tuple(VariableRead((text,), part.lineno, "os.environ") for text in texts)

    def _compared(
        self, left: ast.expr, operator: ast.cmpop, right: ast.expr, *, truth: bool
    ) -> tuple[VariableRead, ...]:
        """A comparison with nothing, or with the names of the environment."""
        is_empty = isinstance(right, ast.Constant) and right.value in {None, ""}
        if _is_empty_list(right) and isinstance(operator, ast.In if truth else ast.NotIn):
            return self._held(left)
        if is_empty and isinstance(operator, _SAME if truth else _OTHER):
            return self._held(left)
        if isinstance(operator, ast.NotIn if truth else ast.In):
            return self._named(left, right)
        if not truth and isinstance(operator, ast.LtE | ast.GtE):
            return self._absent(*((left, right) if isinstance(operator, ast.LtE) else (right, left)))
        return ()

    def _all_of(self, argument: ast.expr, *, truth: bool) -> tuple[VariableRead, ...]:
        """What `any` or `all` goes through, item by item."""
        if isinstance(argument, ast.List | ast.Tuple):
            return _join([self.without(item, truth=truth) for item in argument.elts])
        if isinstance(argument, ast.GeneratorExp | ast.ListComp):
            return self.listed(argument, argument.elt, truth=truth)
        return ()

    def listed(
        self, comprehension: ast.GeneratorExp | ast.ListComp | ast.SetComp, test: ast.expr, *, truth: bool
    ) -> tuple[VariableRead, ...]:
        """The variables that a comprehension over a literal list tests, each."""
        generator = comprehension.generators[0]
        texts = self.names.texts(generator.iter)
        if len(comprehension.generators) != 1 or not isinstance(generator.target, ast.Name) or not texts:
            return ()
        before = self.names.constants.get(generator.target.id)
        reads: list[VariableRead] = []
        for text in texts:
            self.names.constants[generator.target.id] = (text,)
            reads += self.without(test, truth=truth)
        self.names.constants.pop(generator.target.id)
        if before is not None:
            self.names.constants[generator.target.id] = before
        return tuple(reads)

    def _held(self, node: ast.expr) -> tuple[VariableRead, ...]:
        """The variable that an expression is, where it is empty or None without it."""
        if isinstance(node, ast.NamedExpr):
            return self._held(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _STRIPS:
            return self._held(node.func.value)
        read = self.holders.get(node.id) if isinstance(node, ast.Name) else gotten(self.names, node)
        return (read._replace(is_required=True),) if read is not None else ()

    def _named(self, left: ast.expr, place: ast.expr) -> tuple[VariableRead, ...]:
        name = self.names.text(left)
        if not name or self.names.full(place) not in {"os.environ", "os.environ.keys"}:
            return ()
        return (VariableRead((name,), left.lineno, "os.environ"),)


def unwrapped(names: ModuleNames, node: ast.expr) -> ast.expr:
    """What is inside of `set(…)`, `list(…)` and `.keys()`."""
    if isinstance(node, ast.Call) and names.full(node.func) in {"set", "frozenset", "list", "tuple"} and node.args:
        return unwrapped(names, node.args[0])
    return node.func if isinstance(node, ast.Call) and not node.args else node


def _open_values(test: ast.BoolOp) -> list[ast.expr]:
    """The parts of a test that decide it: `True and X` is X, and of `False and X` nothing is left."""
    neutral = isinstance(test.op, ast.And)
    constants = [value for value in test.values if isinstance(value, ast.Constant)]
    if any(bool(value.value) is not neutral for value in constants):
        return []
    return [value for value in test.values if value not in constants]


def _is_empty_list(node: ast.expr) -> bool:
    """Whether a literal list has both, nothing and an empty text."""
    if not isinstance(node, ast.List | ast.Tuple | ast.Set):
        return False
    values = [item.value for item in node.elts if isinstance(item, ast.Constant)]
    return None in values and "" in values


def _join(groups: list[tuple[VariableRead, ...]]) -> tuple[VariableRead, ...]:
    return tuple(read for group in groups for read in group)


def _any_of(groups: list[tuple[VariableRead, ...]]) -> tuple[VariableRead, ...]:
    """One read that any of several variables satisfies; none where one group is empty or has several."""
    if not groups or any(len(group) != 1 for group in groups):
        return ()
    reads = _join(groups)
    return (reads[0]._replace(names=tuple(name for read in reads for name in read.names)),)


def gotten(names: ModuleNames, node: ast.expr) -> VariableRead | None:
    """A variable that is read with nothing, or something empty, in its place; None for any other expression."""
    if not isinstance(node, ast.Call) or names.full(node.func) not in _GETS:
        return None
    name = names.text(node.args[0]) if node.args else ""
    default = default_of(node)
    is_empty = default is None or (isinstance(default, ast.Constant) and not default.value)
    if not name or not is_empty:
        return None
    return VariableRead((name,), node.lineno, names.full(node.func), is_required=False)


def default_of(call: ast.Call, position: int = 1) -> ast.expr | None:
    """What a call gives for a variable that is missing; None where it gives nothing."""
    if len(call.args) > position:
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == "default"), None)
