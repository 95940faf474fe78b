"""Type expressions that run at import and need a newer Python: `X | Y` before 3.10, `list[int]` before 3.9.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast
import builtins
import re

from buildguard.remote.import_tests import UnknownValue

UNION, GENERIC = "union", "generic"
UNDECIDED = "undecided-union"  # of classes whose metaclass may give `|` a meaning
UNIONS_FROM, GENERICS_FROM = 10, 9  # minor versions
BUILTIN_GENERICS = ("list", "dict", "set", "frozenset", "tuple", "type")
BUILTIN_TYPES = frozenset(
    ("int", "str", "bytes", "bool", "float", "complex", "object", "bytearray", "memoryview", "range", "slice")
    + ("BaseException", "Exception", "ValueError", "TypeError", "OSError", "KeyError", "RuntimeError")
    + BUILTIN_GENERICS
)
# Modules whose classes take brackets from 3.9 on, with those classes; all of them for an empty list.
LIBRARY_GENERICS = {
    "collections": ("deque", "defaultdict", "OrderedDict", "Counter", "ChainMap"),
    "collections.abc": (),
    "contextlib": ("AbstractContextManager", "AbstractAsyncContextManager"),
    "re": ("Pattern", "Match"),
    "queue": ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"),
    "os": ("PathLike",),
    "subprocess": ("Popen", "CompletedProcess"),
    "asyncio": ("Future", "Task", "Queue"),
    "concurrent.futures": ("Future",),
    "functools": ("partial", "partialmethod", "cached_property"),
    "weakref": ("WeakSet", "WeakKeyDictionary", "WeakValueDictionary", "ReferenceType"),
}
LIBRARY_TYPES = {  # classes whose names alone do not say that they are
    "datetime": ("datetime", "date", "time", "timedelta", "tzinfo", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "io": ("StringIO", "BytesIO", "TextIOWrapper"),
    "ipaddress": ("IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network", "IPv4Interface", "IPv6Interface"),
    "pathlib": ("Path", "PurePath", "PosixPath", "PurePosixPath"),
    "uuid": ("UUID",),
}
# What classes are called, and neither constants nor type variables: of two of them only a metaclass could make a union.
CLASS_NAME = re.compile(r"_{0,2}[A-Z]+[a-z0-9]\w*")
GENERIC_WORDS = (
    b"list|dict|set|frozenset|tuple|type|deque|defaultdict|OrderedDict|Counter|ChainMap|AbstractContextManager"
    b"|AbstractAsyncContextManager|Pattern|Match|Queue|PathLike|Popen|CompletedProcess|Future|Task|partial"
    b"|cached_property|Weak\\w+|abc\\.\\w+|Iterable|Iterator|Sequence|Mapping|MutableMapping|Callable|Generator|Awaitable"
    b"|Coroutine|AsyncIterator|AsyncIterable|AsyncGenerator|Collection|Set|MutableSet|MutableSequence"
)
UNION_BYTES = re.compile(rb"\|")
TYPED_BYTES = re.compile(rb"\||\b(?:" + GENERIC_WORDS + rb")\[")
MODELS = (
    "pydantic.BaseModel",
    "pydantic.BaseSettings",
    "pydantic_settings.BaseSettings",
    "pydantic.generics.GenericModel",
)
BASES = MODELS + (
    "django.db.models.Model",
    "sqlalchemy.orm.DeclarativeBase",
    "enum.Enum",
    "enum.IntEnum",
    "enum.Flag",
    "abc.ABC",
)
# Packages of the library whose classes others derive from: no metaclass there gives `|` a meaning before 3.10.
LIBRARY_BASES = frozenset(
    ("argparse", "ast", "asyncio", "cmd", "code", "collections", "concurrent", "configparser", "contextlib", "datetime")
    + ("decimal", "email", "html", "http", "io", "json", "logging", "multiprocessing", "pathlib", "queue", "random")
    + ("smtplib", "socket", "socketserver", "string", "subprocess", "tempfile", "threading", "types", "unittest")
    + ("urllib", "uuid", "weakref", "xml", "zipfile")
)
METACLASSES = ("abc.ABCMeta", "enum.EnumMeta", "enum.EnumType")  # of the library, and none gives `|` a meaning
OPERATORS = frozenset(("__or__", "__ror__"))
READS_TEXT = frozenset(("pydantic", "pydantic_settings", "fastapi"))
OPTIMIZED = 1  # in the flags of code: a function's
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
ROUTES = frozenset(("get", "post", "put", "delete", "patch", "options", "head", "trace", "websocket", "api_route"))


def typed_bytes(minor):
    """What a source that holds such an expression holds, for a version; None where every version has both."""
    if minor >= UNIONS_FROM:
        return None
    return UNION_BYTES if minor >= GENERICS_FROM else TYPED_BYTES


def may_evaluate(code, names, minor):
    """Whether code that runs when a module is imported may evaluate such an expression; `names` are those of all its code.

    Left out are functions; what an annotation as text says is asked of the libraries that read it.
    """
    import opcode

    if names.issuperset(("__future__", "annotations")) and not READS_TEXT.isdisjoint(
        name.partition(".")[0] for name in names
    ):
        return True
    wanted = ["BINARY_OR"] + (["BINARY_SUBSCR"] if minor < GENERICS_FROM else [])
    if not opcode.opmap.keys() >= set(wanted):
        return True  # a newer Python reads for an older one
    operations = [opcode.opmap[name] for name in wanted]
    running = [code]
    for part in running:
        used = part.co_code[::2]
        if any(operation in used for operation in operations):
            return True
        running += [item for item in part.co_consts if type(item) is type(code) and runs_at_once(item)]
    return False


def runs_at_once(code):
    """Whether nested code is that of a class, or of a comprehension: what is in it runs where it stands."""
    return not code.co_flags & OPTIMIZED or (code.co_name[:1] == "<" and code.co_name != "<lambda>")


def is_none(node):
    """Whether an expression is `None`."""
    return isinstance(node, ast.Constant) and node.value is None


def is_class(node):
    """Whether an expression in an annotation is called like a class."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return CLASS_NAME.fullmatch(name) is not None


def parts_of(node, test):
    """The parts of an expression that run, in their order, each with the guard that the expression itself is to it.

    `test` gives the value of a test, or an UnknownValue. What a lambda does runs later, if at all.
    """
    if isinstance(node, ast.IfExp):
        yield node.test, ""
        value = test(node.test)
        if isinstance(value, UnknownValue):
            yield node.body, guard_by(value)
            yield node.orelse, guard_by(value)
        else:
            yield (node.body if value else node.orelse), ""
    elif isinstance(node, ast.BoolOp):
        guard = ""
        for part in node.values:
            yield part, guard
            value = test(part)
            if isinstance(value, UnknownValue):
                guard = "tested" if guard == "tested" else guard_by(value)
            elif bool(value) is isinstance(node.op, ast.Or):
                return
    elif not isinstance(node, ast.Lambda):
        for part in ast.iter_child_nodes(node):
            yield part, ""


def parts_of_comprehension(node):
    """What a comprehension evaluates once, at its place, and what it evaluates in each of its rounds: there may be none."""
    each = [getattr(node, field, None) for field in ("key", "value", "elt")]
    for number, generator in enumerate(node.generators):
        each += ([generator.iter] if number else []) + generator.ifs
    return node.generators[0].iter, [part for part in each if part is not None]


def targets_of(statement):
    """What a statement gives a value, but for the names of functions and classes."""
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return []
    targets = [item.optional_vars for item in getattr(statement, "items", ()) if isinstance(item, ast.withitem)]
    targets += getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return [target for target in targets if target is not None]


def names_in(targets):
    """The names that some targets bind."""
    nodes = (node for target in targets for node in ast.walk(target))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def guard_by(value):
    """The guard that a test of an unknown value is."""
    return "tested" if value.tested else "conditional"


class TypeReader:
    """Finds the first expression of each statement that a version cannot evaluate."""

    def __init__(self, minor, bound, values):
        self.rows = []
        self._minor = minor
        self._bound = bound
        self._local = frozenset()  # names that mean something else inside of a class or comprehension
        self._is_in_class = False
        self._values = values
        self._later = False  # annotations stay text
        self._uses_fastapi = False
        self._models = set()
        self._classes = {}  # those of the module: whether their metaclass is known to give `|` no meaning
        self._metaclasses = {}  # the same of the metaclasses among them

    def see_import_from(self, node):
        """Note what changes how annotations are evaluated."""
        if node.module == "__future__":
            self._later = self._later or any(alias.name == "annotations" for alias in node.names)
        self._uses_fastapi = self._uses_fastapi or (node.module or "").partition(".")[0] == "fastapi"

    def read(self, node, place, guard, in_model):
        """Read what a statement itself evaluates; `in_model` is inside of a class whose annotations pydantic reads."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._read_function(node, place, guard)
        elif isinstance(node, ast.AnnAssign):
            self._annotation(node.annotation, place, guard, in_model)
            self._expression(node.value, place, guard)
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, (ast.expr, ast.keyword, ast.withitem)):
                    self._expression(child, place, guard)
            self._forget(getattr(node, "targets", ()))
        if self._is_in_class:
            self._local |= names_in(targets_of(node))

    def enter_class(self):
        """Read the body of a class from here on: its names are its own. What `leave_class` comes back to."""
        outer = self._local, self._is_in_class
        self._local, self._is_in_class = frozenset(), True
        return outer

    def leave_class(self, outer):
        """Read what is after a class."""
        self._local, self._is_in_class = outer

    def _forget(self, targets):
        """What names of classes stand for once they are bound again is not known."""
        for target in targets:
            if isinstance(target, ast.Name) and target.id in self._classes:
                self._classes[target.id] = False

    def is_model(self, node):
        """Whether pydantic evaluates the annotations of a class, also of one derived from such a class in this module."""
        self._classes[node.name] = all(map(self._is_plain_base, node.bases)) and all(
            keyword.arg is not None and (keyword.arg != "metaclass" or self._is_plain_metaclass(keyword.value))
            for keyword in node.keywords
        )
        self._metaclasses[node.name] = all(map(self._is_plain_metaclass, node.bases)) and not any(
            getattr(item, "name", getattr(item, "id", "")) in OPERATORS for item in ast.walk(node)
        )
        is_model = any(self._values.dotted(base) in MODELS or self._is_known_model(base) for base in node.bases)
        if is_model:
            self._models.add(node.name)
        return is_model

    def _is_plain_base(self, base):
        """Whether the metaclass of a class is known to give `|` no meaning."""
        if isinstance(base, ast.Subscript):
            base = base.value
        if isinstance(base, ast.Name) and base.id in self._classes:
            return self._classes[base.id]
        if isinstance(base, ast.Name) and base.id not in self._bound:
            return isinstance(getattr(builtins, base.id, None), type)
        dotted = self._values.dotted(base)
        is_of_library = "." in dotted and dotted.partition(".")[0] in LIBRARY_BASES
        return self._is_type(base) or self._is_generic(base) or is_of_library or dotted in BASES + METACLASSES

    def _is_plain_metaclass(self, node):
        if isinstance(node, ast.Name) and node.id in self._metaclasses:
            return self._metaclasses[node.id]
        if isinstance(node, ast.Name) and node.id in ("type", "object"):
            return node.id not in self._bound
        return self._values.dotted(node) in METACLASSES

    def _is_known_model(self, base):
        return isinstance(base, ast.Name) and base.id in self._models

    def _read_function(self, node, place, guard):
        arguments = node.args
        for default in arguments.defaults + arguments.kw_defaults + node.decorator_list:
            self._expression(default, place, guard)
        named = getattr(arguments, "posonlyargs", []) + arguments.args + arguments.kwonlyargs
        named += [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
        is_route = self._uses_fastapi and any(map(self._is_route, node.decorator_list))
        for annotation in [argument.annotation for argument in named] + [node.returns]:
            self._annotation(annotation, place, guard, is_route)

    def _is_route(self, decorator):
        function = decorator.func if isinstance(decorator, ast.Call) else None
        return isinstance(function, ast.Attribute) and function.attr in ROUTES

    def _annotation(self, node, place, guard, is_read):
        """An annotation: evaluated at once, or from its text by a library that reads it."""
        if node is not None and (is_read or not self._later):
            self._note(self._first(node, True), place, guard, "-read" if self._later else "")

    def _expression(self, node, place, guard):
        if node is not None:
            self._note(self._first(node, False), place, guard, "")

    def _note(self, item, place, guard, how):
        if item is not None:
            kind, node, within = item
            line, column = place(node)
            self.rows.append([line, column, kind + how, self._written(node), guard or within])

    # --- which expression fails first

    def _first(self, node, is_type):
        """The kind, node and guard of the first expression that fails, in the order of evaluation, or else that may; None without one."""
        if isinstance(node, COMPREHENSIONS):
            outer = self._local
            self._local |= names_in(generator.target for generator in node.generators)
            item = self._first_of_parts(node, is_type)
            self._local = outer
            return item
        return self._first_of_parts(node, is_type)

    def _first_of_parts(self, node, is_type):
        inside = (is_type and not isinstance(node, ast.Call)) or self._takes_types(node)
        doubtful = None
        for part, guard in parts_of(node, self._values.test):
            item = self._first(part, inside) if guard != "tested" else None
            if item is not None and item[0] != UNDECIDED and not (guard or item[2]):
                return item
            if item is not None and doubtful is None:
                doubtful = item[0], item[1], guard or item[2]
        failing = self._failing(node, is_type)
        return failing if failing is not None and (doubtful is None or failing[0] != UNDECIDED) else doubtful

    def _failing(self, node, is_type):
        """The same of an expression whose parts do not fail."""
        if isinstance(node, ast.Subscript) and self._minor < GENERICS_FROM and self._is_generic(node.value):
            return GENERIC, node, ""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and self._is_union(node, is_type):
            return (UNION if self._is_plain_union(node) else UNDECIDED), node, ""
        return None

    def _is_plain_union(self, node):
        """Whether no metaclass may give the `|` of a union a meaning, as far as the classes of this module are known."""
        names = [side.id for side in (node.left, node.right) if isinstance(side, ast.Name)]
        return all(self._classes.get(name, True) for name in names)

    def _takes_types(self, node):
        """Whether what stands in brackets is types, in whatever expression."""
        return isinstance(node, ast.Subscript) and (self._is_type(node.value) or self._is_generic(node.value))

    def _is_generic(self, node):
        if isinstance(node, ast.Name) and node.id in BUILTIN_GENERICS:
            return self._is_builtin(node.id)
        module, _dot, name = self._values.dotted(node).rpartition(".")
        return module in LIBRARY_GENERICS and (not LIBRARY_GENERICS[module] or name in LIBRARY_GENERICS[module])

    def _is_builtin(self, name):
        """Whether the name of a builtin means that: nothing in the module binds it, nor the class or comprehension around."""
        return name not in self._bound and name not in self._local

    def _is_union(self, node, is_type):
        """Whether both sides are types: in an annotation one that is known suffices, and a name on the other side."""
        known = [self._is_type(side) for side in (node.left, node.right)]
        nothing = [is_none(side) for side in (node.left, node.right)]
        if all(known) or (any(known) and any(nothing)):
            return True
        named = [isinstance(side, (ast.Name, ast.Attribute, ast.Subscript)) for side in (node.left, node.right)]
        if any(nothing) and (is_class(node.left) or is_class(node.right)):
            return True
        if not is_type:
            return self._are_own(node)
        return ((any(known) or any(nothing)) and any(named)) or (is_class(node.left) and is_class(node.right))

    def _are_own(self, node):
        """Whether both sides are classes of this module."""
        return all(isinstance(side, ast.Name) and side.id in self._classes for side in (node.left, node.right))

    def _is_type(self, node):
        """Whether an expression is a type for sure: a builtin one, one of `typing`, or either with brackets."""
        if isinstance(node, ast.Subscript):
            return self._is_type(node.value) or self._is_generic(node.value)
        if isinstance(node, ast.Name) and node.id in BUILTIN_TYPES:
            return self._is_builtin(node.id)
        module, _dot, name = self._values.dotted(node).rpartition(".")
        return module in ("typing", "typing_extensions") or name in LIBRARY_TYPES.get(module, ())

    def _written(self, node):
        """An expression as text, as far as names, brackets and bars make it."""
        if isinstance(node, ast.BinOp):
            return self._written(node.left) + " | " + self._written(node.right)
        if isinstance(node, ast.Subscript):
            index = node.slice.value if type(node.slice).__name__ == "Index" else node.slice
            return self._written(node.value) + "[" + self._written(index) + "]"
        if isinstance(node, ast.Tuple):
            return ", ".join(map(self._written, node.elts))
        if isinstance(node, ast.Attribute):
            return self._written(node.value) + "." + node.attr
        if isinstance(node, ast.Name):
            return node.id
        return repr(node.value) if isinstance(node, ast.Constant) else "…"
