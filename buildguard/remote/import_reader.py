"""Reads the imports of a syntax tree, with what guards each of them on one target; nothing is run.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast
import itertools
import re
from bisect import bisect_right

from buildguard.remote.evaluated_types import COMPREHENSIONS, parts_of, parts_of_comprehension
from buildguard.remote.import_codes import CALLERS, ENDING, ExportReader
from buildguard.remote.import_outline import (
    CallLines,
    are_in,
    first_line,
    is_main_test,
    lines_with,
    may_decide,
    tree_of_piece,
)
from buildguard.remote.import_paths import PATH_WORDS, names_paths
from buildguard.remote.import_tests import ENDS, GUARDS, PASSING, UnknownValue

CALLS = ("importlib.import_module", "importlib.__import__", "__import__", "builtins.__import__")
EXPRESSIONS = (ast.expr, ast.withitem, ast.keyword, ast.arguments)
EXPORT_CALLS = tuple("__all__." + word for word in ("extend", "append", "remove", "insert", "pop", "clear"))
IMPORTING = (ast.Import, ast.ImportFrom)
SAID = (b"import", b"__all__")  # in each statement that imports, or changes what a star takes
MOST_LINES = 20  # of the imports in a `try` that handlers depend on
CATCHES_TYPES = frozenset({"TypeError", "Exception", "BaseException"})
CATCHES_ATTRIBUTES = frozenset({"AttributeError", "Exception", "BaseException"})
CATCHES_OTHERS = frozenset({"AttributeError", "NameError", "TypeError"})  # what an imported module may raise as well
STAYS_CONDITIONAL = ({"conditional", "main"}, {"conditional", "imported"})
# Classes of the standard library with names in small letters.
ERRORS = frozenset({"error", "timeout", "herror", "gaierror"})
# What methods are called whose blocks may end an exception.
SWALLOWING = re.compile("(?i)suppress|ignor|option|catch|try|safe|allow|skip|swallow|silen|toler|handle|guard")


def is_own_package(call):
    """Whether a call of `import_module` names the module's own package as what the import is relative to."""
    values = call.args[1:] + [keyword.value for keyword in call.keywords if keyword.arg == "package"]
    return len(values) == 1 and isinstance(values[0], ast.Name) and values[0].id in ("__package__", "__name__")


def stronger(first, second):
    """The guard of what is under two of them."""
    both = {first, second}
    if both == {"imported", "main"}:
        return "false"
    # what is certain in one of the two ways to run a module is not so under a condition
    return "conditional" if both in STAYS_CONDITIONAL else max(first, second, key=GUARDS.index)


def expressions_of(statement):
    """What a statement itself evaluates."""
    return [item for item in ast.iter_child_nodes(statement) if isinstance(item, EXPRESSIONS)]


class ImportBlock:
    """What surrounds statements: the guard of their imports, and whether a function holds them.

    `model` is the body of a class that pydantic reads, `caught` a place where errors of types are handled, `absent` one where a
    missing attribute is. What is assigned in a `local` one, a function or a class, is no constant of the module. Inside of what
    depends on how a `try` ended, `tries` are how each had to end and the lines of its imports, and `outside` is the guard without them.
    """

    tries = ()  # type: tuple[tuple[str, list[int]], ...]
    outside = ""

    def __init__(self, guard="", late=False, model=False, caught=False, local=False, absent=False):
        self.absent = absent
        self.guard = guard
        self.late = late
        self.model = model
        self.caught = caught
        self.local = local or late

    def inside(self, guard):
        """The same place under one more guard."""
        block = ImportBlock(stronger(self.guard, guard), self.late, self.model, self.caught, self.local, self.absent)
        return block.after_tries(self.tries, stronger(self.outside, guard)) if self.tries else block

    def after(self, end, lines):
        """What runs where a `try` whose imports are in some lines ends so: "fails", "lacks" a module, or "works"."""
        block = self.inside("handler")
        return block.after_tries(self.tries + ((end, lines),), self.outside if self.tries else self.guard)

    def after_tries(self, tries, outside):
        """This place, where it depends on how some tries ended."""
        self.tries, self.outside = tries, outside
        return self

    def later(self):
        """Inside of a function that is defined here: what catches errors around the definition catches none of a later call."""
        inner = ImportBlock("" if self.guard in ("except", "module-only") else self.guard, late=True)
        return inner.after_tries(self.tries, self.outside)

    @property
    def runs(self):
        """Whether what it evaluates runs at import, and fails the module where it raises."""
        return not self.late and not self.caught and self.guard in ("", "conditional", "main", "imported")


class FactReader:
    """Reads the imports of a module's tree, with what guards them on one target.

    With lines that are `needed`, functions and classes are read for what is in these alone; `wanted` are those that others ask for.
    """

    needed = None  # type: list[int] | None
    wanted = ()

    def __init__(self, data, names, values):
        self.imports = []
        self.handlers = []  # imports that run where others fail, or where they work
        self.paths = None  # who looks for changes of `sys.path`
        self.exports = ExportReader()
        self.types = None  # who looks for type expressions that the target cannot evaluate
        self.attributes = None  # who looks for names that are taken by a dot
        self.values = values
        self._data = data
        self._lines = None
        self._before = 0  # how many lines of the module stand before the text
        self.count = 0
        self.modules = set()
        self._calls = None if CALLERS.isdisjoint(names) else CallLines(data)
        self._has_exits = not ENDING.isdisjoint(names)

    def read(self, tree):
        """Read a whole module."""
        self._body(tree.body, ImportBlock())

    def need(self, text):
        """Read no more of functions and classes in a text than the wanted lines, imports, what changes `__all__`, and what may end them."""
        if b"\r" not in text and (self.paths is None or names_paths(text)):
            words = SAID if self.paths is None else SAID + PATH_WORDS
            calls = self._calls.lines if self._calls is not None else []
            self.needed = sorted([*lines_with(words, text, self._before), *calls, *self.wanted])

    def _needs(self, node):
        return self.needed is None or are_in(self.needed, node, self._before)

    def read_piece(self, line, text, is_inner, trees):
        """Read the text of one statement that begins at a line of the module; the guard that it is to what follows it."""
        self._data, self._lines, self.needed = text, None, None
        self._before = line - 1 - is_inner
        if self.attributes is not None or b"def" in text or b"class" in text:  # nothing is left out elsewhere
            self.need(text)
        last = 0 if self.needed is None else self._last_needed(text.count(b"\n"))
        tree = tree_of_piece(text, last, is_inner, trees)
        if is_inner:
            return self._body(tree.body[0].body, ImportBlock(local=True))
        return self._body(tree.body, ImportBlock())

    def _body(self, body, block):
        """Read statements in their order; the guard that they are to what follows them, as they may end the module."""
        ended = ""
        for node in body:
            if ended:
                block = block.inside(ended)
            end = self._statement(node, block)
            ended = stronger(ended, end) if end else ended
        return ended

    def _statement(self, node, block):
        # what a function assigns may be a folder
        if block.local and self.paths is None and not self._needs(node) and not may_decide(node, self._has_exits):
            return ""
        read = READERS.get(type(node))
        if read is not None:
            return getattr(self, read)(node, block)
        self._expressions(node, block)
        return ""

    def _expressions(self, node, block):
        """Calls that import, and types that cannot be evaluated, in the expressions of a statement itself."""
        if self.types is not None and block.runs:
            self.types.read(node, self._place, block.guard, block.model)
        if self.attributes is not None and not block.absent and self._needs(node):
            self.attributes.read(node, self._place, block, self.values.test)
        if self.paths is not None and block.guard != "false" and self._needs(node):
            self.paths.read(node, expressions_of(node))
        if self._calls is not None and self._calls.are_in(node, self._before):
            for expression in expressions_of(node):
                self._calls_in(expression, block)

    def _calls_in(self, expression, block):
        """Calls that import, each with what the expressions around it are to it: they may skip it, or keep it for later."""
        pending = [(expression, block)]
        for node, around in pending:
            if isinstance(node, ast.Call):
                self._call(node, around)
            if isinstance(node, ast.Lambda):
                pending += [(node.args, around), (node.body, around.later())]
            elif isinstance(node, COMPREHENSIONS):
                once, each = parts_of_comprehension(node)
                pending.append((once, around))
                inner = around.inside("conditional")
                pending += [(part, inner) for part in each]
            else:
                parts = parts_of(node, self.values.test)
                pending += [(part, around.inside(guard) if guard else around) for part, guard in parts]

    def _import(self, node, block):
        self.values.see_import(node)
        self.count += len(node.names)
        self.modules.update(alias.name for alias in node.names)
        for alias in node.names:
            self._add(node, "import", alias.name, [], 0, block)

    def _import_from(self, node, block):
        self.values.see_import_from(node)
        if self.types is not None:
            self.types.see_import_from(node)
        self.count += 1
        self.modules.add(node.module or "")
        self._add(node, "from", node.module or "", [alias.name for alias in node.names], node.level or 0, block)

    def _call(self, node, block):
        name = self.values.dotted(node.func)
        if name not in CALLS or not node.args or not isinstance(node.args[0], ast.Constant):
            return
        text = node.args[0].value
        if not isinstance(text, str) or not text:
            return
        module = text.lstrip(".")
        level = len(text) - len(module)
        if level and not (name == CALLS[0] and len(node.args) + len(node.keywords) > 1 and is_own_package(node)):
            return
        self._add(node, "call", module, [], level, block)

    def _add(self, node, form, module, names, level, block):
        line, column = self._place(node)
        lazy = bool(getattr(node, "is_lazy", False))
        self.imports.append([line, column, form, module, names, level, block.guard, block.late, lazy])
        if block.tries and block.guard == "handler":
            self.handlers.append([line, column, block.outside, list(map(list, block.tries))])

    def _place(self, node):
        column = node.col_offset
        if column and self._lines is None:
            self._lines = [] if self._data.isascii() else re.split(rb"\r\n|\r|\n", self._data)
        if column and node.lineno <= len(self._lines):
            column = len(self._lines[node.lineno - 1][:column].decode("utf-8", "replace"))
        return node.lineno + self._before, column + 1

    # --- blocks

    def _function(self, node, block):
        if not self._needs(node):
            return ""
        self._expressions(node, block)
        scope = self.values.scope()
        outer = None if self.paths is None else self.paths.enter(node)
        self._body(self._needed_of(node), block.later())
        if self.paths is not None:
            self.paths.leave(outer)
        self.values.leave(scope)
        return ""

    def _needed_of(self, function):
        """The statements of a function up to the last one that is needed: what is behind that changes nothing before it."""
        if self.needed is None:
            return function.body
        last = self._last_needed(function.end_lineno)
        return list(itertools.takewhile(lambda item: first_line(item) <= last, function.body))

    def _last_needed(self, line):
        """The last needed line up to one of the text; none of it where that is before the text."""
        at = bisect_right(self.needed, line + self._before)
        return self.needed[at - 1] - self._before if at else 0

    def _class(self, node, block):
        self._expressions(node, block)
        is_model = self.types is not None and self.types.is_model(node)
        inner = ImportBlock(block.guard, block.late, is_model, block.caught, True, block.absent)
        outer = None if self.types is None else self.types.enter_class()
        self._body(node.body, inner.after_tries(block.tries, block.outside))
        if self.types is not None:
            self.types.leave_class(outer)
        return ""

    def _if(self, node, block):
        self._expressions(node, block)
        if is_main_test(node.test):
            ended = self._body(node.body, block.inside("main"))
            self._body(node.orelse, block.inside("conditional"))
            return "imported" if ended else ""  # the program that was started does not come further
        value = self.values.test(node.test)
        if isinstance(value, UnknownValue):
            guard = "tested" if value.tested else "conditional"
            first = self._body(node.body, block.inside(guard))
            second = self._body(node.orelse, block.inside(guard))
            return min(first, second, key=GUARDS.index)
        first = self._body(node.body, block if value else block.inside("false"))
        second = self._body(node.orelse, block.inside("false") if value else block)
        return first if value else second

    def _loop(self, node, block):
        self._expressions(node, block)
        self._body(node.body, block.inside("conditional"))
        self._body(node.orelse, block.inside("conditional"))
        return ""

    def _with(self, node, block):
        self._expressions(node, block)
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and self.values.dotted(call.func) in ("contextlib.suppress", "suppress"):
                block = block.inside(self.values.caught(call.args))
                block.absent = block.absent or any(self.values.dotted(node) in CATCHES_ATTRIBUTES for node in call.args)
            elif self._may_swallow(call):
                block = block.inside("conditional")
        self._body(node.body, block)
        return ""

    def _may_swallow(self, manager):
        """Whether a context manager may end an exception: what a module defines itself may, a method of an object by its name alone."""
        function = manager.func if isinstance(manager, ast.Call) else manager
        if self.values.dotted(function) in PASSING:
            return False
        return not isinstance(function, ast.Attribute) or SWALLOWING.search(function.attr) is not None

    def _match(self, node, block):
        self._expressions(node, block)
        for case in node.cases:
            self._body(case.body, block.inside("conditional"))
        return ""

    def _try(self, node, block):
        caught = self.values.caught_by(node.handlers, block.late)
        body = self._tried(node, block, caught or self._perhaps_caught(node.handlers))
        count = len(self.imports)
        ended = self._guarded(node, body)
        has_imports = len(self.imports) > count
        lines = self._first_lines(node) if caught else []
        other = "handler" if caught else "conditional"
        for handler, end in zip(node.handlers, self._ends_of(node.handlers, lines)):
            instead = block.after(end, lines) if end else block.inside(other)
            instead.absent = body.absent  # what takes the place of a name that is not there
            self._body(handler.body, instead)
        # what comes after runs where these imports succeed; without any, where nothing else fails
        guard = "" if not caught else "handler" if has_imports else "conditional"
        works = lines and len(lines) == len(node.body)
        self._body(node.orelse, block.after("works", lines) if works else block.inside(guard))
        return self._body(node.finalbody, block) or ("" if node.handlers else ended)

    def _tried(self, node, block, guard):
        """The place of the statements of a `try` whose handlers are a guard of imports."""
        if guard:
            self.values.see_names(node)
        body = block.inside(guard)
        body.caught = block.caught or self.values.catches(node.handlers, CATCHES_TYPES)
        body.absent = block.absent or self.values.catches(node.handlers, CATCHES_ATTRIBUTES)
        return body

    def _perhaps_caught(self, handlers):
        """The guard of imports where a handler may take what they raise: by a name that is no class's, or what other errors are."""
        for handler in filter(self.values.goes_on, handlers):
            types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            if any(map(self._may_be_raised, types)):
                return "conditional"
        return ""

    def _may_be_raised(self, node):
        """Whether what a handler names may be, or hold, an exception that an imported module raises."""
        name = self.values.dotted(node).rpartition(".")[2]
        is_class = name[:1].isupper() and not name.isupper()
        return name in CATCHES_OTHERS or not (is_class or name in ERRORS)

    def _first_lines(self, node):
        """The lines of the imports with which a `try` begins; of many the first ones, as each import in a handler names them."""
        first = itertools.takewhile(lambda item: isinstance(item, IMPORTING), node.body[:MOST_LINES])
        return [item.lineno + self._before for item in first]

    def _ends_of(self, handlers, lines):
        """For each handler of a `try`, how the imports in some lines have to end for it to run: only the first one that catches that does."""
        is_taken = not lines
        for handler in handlers:
            types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            caught = "" if is_taken else self.values.caught(types)
            is_taken = is_taken or bool(caught)
            yield {"except": "fails", "module-only": "lacks"}.get(caught, "")

    def _guarded(self, node, body):
        """Read the statements that a `try` guards: what comes after one that may raise is not reached then."""
        first = 1 + next((at for at, item in enumerate(node.body) if not isinstance(item, IMPORTING)), len(node.body))
        ended = self._body(node.body[:first], body)
        # `long` decides for Python 2
        return self._body(node.body[first:], body.inside("conditional" if node.handlers else "")) or ended

    # --- other statements

    def _assign(self, node, block):
        self._expressions(node, block)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name) and target.id == "__all__" and not block.local:
                self.exports.assign(node, block.guard)
        if not block.local and node.value is not None and not isinstance(node, ast.AugAssign):
            self.values.see_assignment(targets, node.value)
        if block.late and self.paths is not None and node.value is not None:
            self.paths.see_assignment(targets, node.value)
        return ""

    def _expression(self, node, block):
        self._expressions(node, block)
        if not isinstance(node.value, ast.Call):
            return ""
        call = node.value
        name = self.values.dotted(call.func)
        if name in EXPORT_CALLS:
            self.exports.call(name, call, block.guard)
        return "false" if name in ENDS else ""

    def _end(self, node, block):
        self._expressions(node, block)
        return "false"


READERS = {
    getattr(ast, kind): read
    for kind, read in (
        ("Import", "_import"),
        ("ImportFrom", "_import_from"),
        ("FunctionDef", "_function"),
        ("AsyncFunctionDef", "_function"),
        ("ClassDef", "_class"),
        ("If", "_if"),
        ("For", "_loop"),
        ("AsyncFor", "_loop"),
        ("While", "_loop"),
        ("With", "_with"),
        ("AsyncWith", "_with"),
        ("Try", "_try"),
        ("TryStar", "_try"),
        ("Match", "_match"),
        ("Assign", "_assign"),
        ("AnnAssign", "_assign"),
        ("AugAssign", "_assign"),
        ("Expr", "_expression"),
        ("Raise", "_end"),
        ("Return", "_end"),
    )
    if hasattr(ast, kind)
}
