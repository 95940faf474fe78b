"""The tests that guard imports, evaluated for one target without running anything.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast

from buildguard.remote.import_outline import all_nodes
from buildguard.remote.import_paths import FolderReader, FolderValue, index_of


class UnknownValue:
    """The value of an expression that only running it could tell; `tested` where it asks what is there to import."""

    def __init__(self, tested=False):
        self.tested = tested


UNKNOWN = UnknownValue()
TESTED = UnknownValue(tested=True)
ABSENT = UnknownValue()  # of a name that no statement gave a value
TESTS = frozenset({"find_spec", "find_loader", "hasattr", "getattr", "iter_modules"})
ENDS = ("sys.exit", "exit", "quit", "os._exit")
SYSTEMS = {"linux": ("posix", "Linux"), "darwin": ("posix", "Darwin"), "win32": ("nt", "Windows")}
# What projects call these when they come from a module of their own, or from six.
PYTHON_FLAGS = {"PY2": False, "PY3": True, "IS_PY2": False, "IS_PY3": True, "is_py2": False, "is_py3": True}
CAUGHT = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError"})
CATCHES_NAMES = frozenset({"ImportError", "Exception", "BaseException"})
# Context managers whose blocks end where an exception does, or that are known to let it pass.
PASSING = frozenset(
    {
        *("open", "io.open", "os.scandir", "warnings.catch_warnings"),
        *("catch_warnings", "contextlib.closing", "closing", "contextlib.nullcontext", "nullcontext"),
        *("contextlib.redirect_stdout", "contextlib.redirect_stderr", "threading.Lock", "threading.RLock"),
        *("tempfile.TemporaryDirectory", "tempfile.NamedTemporaryFile", "zipfile.ZipFile", "tarfile.open"),
        *("unittest.mock.patch", "mock.patch", "patch"),
    }
)
# How strong each guard is: of two around one import the stronger counts.
GUARDS = ("", "conditional", "main", "imported", "module-only", "handler", "tested", "except", "false")


class Evaluator:
    """Values of expressions in one module, as far as the target's version and platform decide them."""

    def __init__(self, version: "tuple[int, ...]", platform: str, names: "frozenset[str]") -> None:
        system, name = SYSTEMS.get(platform, ("posix", platform.capitalize()))
        version = tuple(version)
        self._aliases = {}  # type: dict[str, str]
        self._values = {}  # type: dict[str, object]
        self._literals = set()  # type: set[str]
        self._folders = FolderReader(self)
        self._version = version
        self._may_ask = not TESTS.isdisjoint(names) or "modules" in names
        self._known = {
            "sys.version_info": version,
            "sys.version_info.major": version[0],
            "sys.version_info.minor": version[1],
            "sys.platform": platform,
            "sys.implementation.name": "cpython",
            "sys.implementation.version": version,
            "os.name": system,
            "typing.TYPE_CHECKING": False,
            "typing_extensions.TYPE_CHECKING": False,
            "TYPE_CHECKING": False,
            "__debug__": True,
            "platform.system()": name,
            "platform.python_implementation()": "CPython",
        }
        if len(version) > 2:
            self._known["sys.version_info.micro"] = version[2]
            self._known["sys.hexversion"] = version[0] << 24 | version[1] << 16 | version[2] << 8 | 0xF0

    # --- what the module says before

    def see_import(self, node: ast.Import) -> None:
        """Note what `import x as y` calls a module."""
        for alias in node.names:
            if alias.asname:
                self._aliases[alias.asname] = alias.name

    def see_import_from(self, node: ast.ImportFrom) -> None:
        """Note what `from x import y as z` calls a name; a star may bring other values of literal constants."""
        if node.names[0].name == "*":
            self.forget(name for name in self._literals if self._values[name] is not TESTED)
        if node.module and not node.level:
            for alias in node.names:
                self._aliases[alias.asname or alias.name] = node.module + "." + alias.name

    def see_names(self, node):
        """The names that a `try` around imports binds say what is there: `HAS_X = True`, `x = None`."""
        self._may_ask = True
        for child in all_nodes(node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                self._values[child.id] = TESTED
            elif isinstance(child, ast.alias):
                self._values[child.asname or child.name.partition(".")[0]] = TESTED

    def scope(self):
        """What is known, for `leave` to come back to: names of a function mean nothing outside of it."""
        return dict(self._aliases), dict(self._values)

    def leave(self, scope):
        """Know what was known before."""
        self._aliases, self._values = scope

    def forget(self, names):
        """These names are no constants."""
        self._values.update(dict.fromkeys(names, UNKNOWN))

    def see_assignment(self, targets, node):
        """A constant of the module: what is assigned once, and known."""
        for target in targets:
            if not isinstance(target, ast.Name):
                continue
            if target.id in self._values:
                tested = isinstance(self._values[target.id], UnknownValue) and self._values[target.id].tested
                self._values[target.id] = TESTED if tested else UNKNOWN
                continue
            names = self.exceptions(node) if isinstance(node, ast.Tuple) else ()
            value = tuple(names) if names and all(isinstance(item, ast.Name) for item in node.elts) else self.test(node)
            folder = self._folders.value(node) if isinstance(value, UnknownValue) and not value.tested else None
            self._values[target.id] = value if folder is None else folder
            if isinstance(node, ast.Constant):
                self._literals.add(target.id)

    def forget_folders(self, names):
        """These names are variables of a function: what holds a folder or text in the module means nothing for them."""
        self.forget(name for name in names if self._values.get(name) is not TESTED)

    def see_folder(self, name, value):
        """A variable of a function holds a folder, or None for anything else."""
        if value is not None and self._values.get(name) is not TESTED:
            self._values[name] = value

    # --- names

    def alias_of(self, name):
        """What an import calls a name; the name itself without one."""
        return self._aliases.get(name, name)

    def value_of(self, name):
        """What is known of a name's value; ABSENT for nothing."""
        return self._values.get(name, ABSENT)

    def dotted(self, node):
        """The full dotted name of a name or attribute, aliases resolved; empty for anything else."""
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        parts.append(self.alias_of(node.id))
        return ".".join(reversed(parts))

    def exceptions(self, node):
        """The exceptions that an expression after `except` names, as far as they matter here."""
        if isinstance(node, ast.Tuple):
            return [name for item in node.elts for name in self.exceptions(item)]
        name = self.dotted(node).rpartition(".")[2]
        if name in CAUGHT:
            return [name]
        value = self.value_of(node.id) if isinstance(node, ast.Name) else None
        return [item for item in value if item in CAUGHT] if isinstance(value, tuple) else []

    # --- handlers

    def caught_by(self, handlers, late):
        """The guard that the handlers of a `try` are to its imports; in a function what expects them to fail, and raises another error."""
        caught = ""
        for handler in handlers:
            types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            if self.goes_on(handler) or (late and self._expects_imports(types)):
                caught = max(caught, self.caught(types), key=GUARDS.index)
        return caught

    def _expects_imports(self, types):
        """Whether an exception of imports is among some."""
        return any(node is not None and not IMPORT_ERRORS.isdisjoint(self.exceptions(node)) for node in types)

    def goes_on(self, handler):
        """Whether the module goes on after a handler, as far as its own last statement says."""
        last = handler.body[-1]
        is_exit = isinstance(last, ast.Expr) and isinstance(last.value, ast.Call)
        return not isinstance(last, ast.Raise) and not (is_exit and self.dotted(last.value.func) in ENDS)

    def catches(self, handlers, names):
        """Whether a handler takes one of some exceptions, and the module goes on."""
        for handler in filter(self.goes_on, handlers):
            types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            if any(node is None or self.dotted(node) in names for node in types):
                return True
        return False

    def caught(self, types):
        """The guard that catching some exceptions is: None stands for a bare `except`."""
        guard = ""
        for node in types:
            names = ["BaseException"] if node is None else self.exceptions(node)
            if not CATCHES_NAMES.isdisjoint(names):
                return "except"
            if "ModuleNotFoundError" in names:
                guard = "module-only"
        return guard

    # --- values

    def test(self, node: ast.AST) -> object:
        """The value of a test: a value, or an UnknownValue."""
        value = self._value(node)
        if value is UNKNOWN and self._may_ask and any(self._asks(child) for child in all_nodes(node)):
            return TESTED
        return value

    def _asks(self, node):
        """Whether an expression asks what is there: by `find_spec` and its like, or a name that an import decided."""
        if isinstance(node, ast.Call):
            return self.dotted(node.func).rpartition(".")[2] in TESTS
        if isinstance(node, ast.Name):
            return self.value_of(node.id) is TESTED
        return isinstance(node, ast.Attribute) and self.dotted(node) == "sys.modules"

    def _value(self, node):
        read = VALUES.get(type(node))
        return getattr(self, read)(node) if read is not None else UNKNOWN

    def _constant(self, node):
        return node.value

    def _name(self, node):
        if isinstance(node, ast.Name):
            value = self.value_of(node.id)
            if value is not ABSENT:
                return UNKNOWN if isinstance(value, FolderValue) else value
        name = self.dotted(node)
        return self._known.get(name, PYTHON_FLAGS.get(name.rpartition(".")[2], UNKNOWN))

    def _tuple(self, node):
        values = [self._value(item) for item in node.elts]
        return UNKNOWN if any(isinstance(value, UnknownValue) for value in values) else tuple(values)

    def _subscript(self, node):
        value, part = self._value(node.value), index_of(node)
        if isinstance(part, ast.Slice):
            ends = [None if end is None else self._value(end) for end in (part.lower, part.upper, part.step)]
            if isinstance(value, UnknownValue) or any(isinstance(end, UnknownValue) for end in ends):
                return UNKNOWN
            index = slice(*ends)
            if value == self._version and (index.stop is None or index.stop > len(value)):
                return UNKNOWN
        else:
            index = self._value(part)
        try:
            return UNKNOWN if isinstance(value, UnknownValue) else value[index]
        except (TypeError, IndexError, KeyError):
            return UNKNOWN

    def _named(self, node):
        return self._value(node.value)

    def _not(self, node):
        value = self._value(node.operand)
        if isinstance(value, UnknownValue):
            return value
        return not value if isinstance(node.op, ast.Not) else UNKNOWN

    def _all_or_any(self, node):
        values = [self.test(item) for item in node.values]
        decides = isinstance(node.op, ast.Or)  # what one of them decides alone
        known = [bool(value) for value in values if not isinstance(value, UnknownValue)]
        if decides in known:
            return decides
        unknown = [value for value in values if isinstance(value, UnknownValue)]
        if not unknown:
            return not decides
        return TESTED if any(value.tested for value in unknown) else UNKNOWN

    def _compare(self, node):
        left = self._value(node.left)
        for operator, right in zip(node.ops, map(self._value, node.comparators)):
            if isinstance(left, UnknownValue) or isinstance(right, UnknownValue) or self._is_too_exact(left, right):
                return UNKNOWN
            compare = COMPARISONS.get(type(operator))
            try:
                if compare is None or not compare(left, right):
                    return UNKNOWN if compare is None else False
            except TypeError:
                return UNKNOWN
            left = right
        return True

    def _is_too_exact(self, left, right):
        """Whether a patch release decides a comparison, and which one the target has is not known."""
        if len(self._version) > 2 or self._version not in (left, right):
            return False
        other = right if left == self._version else left
        return isinstance(other, tuple) and len(other) > 2 and other[:2] == self._version

    def _call(self, node):
        name = self.dotted(node.func)
        if name + "()" in self._known and not node.args:
            return self._known[name + "()"]
        if name in ("bool", "tuple") and len(node.args) == 1:
            return self._value(node.args[0])
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in ("startswith", "endswith", "lower")
            and len(node.args) < 2
        ):
            text = self._value(node.func.value)
            arguments = [self._value(argument) for argument in node.args]
            if isinstance(text, str) and not any(isinstance(argument, UnknownValue) for argument in arguments):
                try:
                    return getattr(text, node.func.attr)(*arguments)
                except TypeError:
                    return UNKNOWN
        return UNKNOWN


VALUES = {
    ast.Constant: "_constant",
    ast.Name: "_name",
    ast.Attribute: "_name",
    ast.Tuple: "_tuple",
    ast.List: "_tuple",
    ast.Set: "_tuple",
    ast.Subscript: "_subscript",
    ast.UnaryOp: "_not",
    ast.BoolOp: "_all_or_any",
    ast.Compare: "_compare",
    ast.Call: "_call",
    getattr(ast, "NamedExpr", None): "_named",
}
COMPARISONS = {
    ast.Eq: lambda left, right: left == right,
    ast.NotEq: lambda left, right: left != right,
    ast.Lt: lambda left, right: left < right,
    ast.LtE: lambda left, right: left <= right,
    ast.Gt: lambda left, right: left > right,
    ast.GtE: lambda left, right: left >= right,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Is: lambda left, right: left is right or left == right,
    ast.IsNot: lambda left, right: left is not right and left != right,
}
