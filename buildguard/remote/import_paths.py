"""The folders that a source adds to `sys.path`, as far as its expressions show them; nothing is run.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast
import re

from buildguard.remote.import_outline import all_nodes

FOLDER = "@"  # the folder of the module itself
SAME_FOLDER = (
    "os.path.abspath",
    "os.path.realpath",
    "os.path.normpath",
    "os.path.expanduser",
    "str",
    "pathlib.Path",
    "os.fspath",
)
WORKING_FOLDER = ("os.getcwd", "pathlib.Path.cwd")
PATH_TYPES = ("pathlib.Path", "pathlib.PosixPath", "pathlib.PurePath", "pathlib.PurePosixPath", "pathlib.Path.cwd")
SAME_PATH = ("resolve", "absolute", "expanduser", "joinpath")  # methods that give a path again
# Where the path of modules may be changed: every use of `sys`, but for `import sys` and other attributes. Each begins with a
# literal, so that a search is fast.
SYS_USE = re.compile(rb"sys(?!\w)(?!\.(?!path\b)\w|[ \t]*[\n,#])")
PATH_BELOW = re.compile(rb"\n[ \t\f]*\.[ \t]*path\b")
IN_WORD = re.compile(rb"\w")
# What reads it, in a source that calls no method that adds to it.
READ_PATH = re.compile(
    rb"sys(?:\.path(?:\[[^\]\n]*\])?[ \t]*[)\]},:\n#]|[ \t]+import[ \t]+(?![^\n]*\bpath\b)[^(\\\n]*\n)"
)
READ_BEFORE = re.compile(
    rb"(?:\bin[ \t]+|\bfrom[ \t]+|\b(?:print|len|list|tuple|set|sorted|enumerate|reversed|str|repr|iter)\(|\.\w+\()\Z"
)
LINE_BEFORE = 60  # bytes before a use that are looked at
# What each of its uses says, in a source that gives neither it nor `sys` another name.
PATH_WORDS = (b"sys", b"addsitedir")
RENAMED = re.compile(rb"(?:sys|addsitedir)(?:(?:[ \t\f]|\\\n)+import\b|(?:[\s\\]|#[^\n]*\n)+as\b)")
CHANGES = frozenset(("insert", "append"))
MOVES = frozenset(("chdir", "fchdir"))  # what changes the folder in which a process works
READING_METHODS = frozenset(("index", "count", "copy"))
READING_CALLS = frozenset(
    (
        "all",
        "any",
        "dict",
        "enumerate",
        "filter",
        "id",
        "isinstance",
        "iter",
        "len",
        "list",
        "map",
        "max",
        "min",
        "next",
    )
    + ("print", "repr", "reversed", "set", "frozenset", "sorted", "str", "tuple", "type", "zip")
)


def may_change_paths(data: bytes, names: "frozenset[str]") -> bool:
    """Whether code with these names may add folders to the path of modules."""
    if "addsitedir" in names:
        return True
    if "path" not in names or "sys" not in names:
        return False
    if CHANGES.isdisjoint(names):
        return any(not is_reading(data, at) for at in uses_of_sys(data))
    return PATH_BELOW.search(data) is not None or next(uses_of_sys(data), None) is not None


def names_paths(data):
    """Whether each line of a source that uses the path of modules has one of the words for it."""
    return data.isascii() and RENAMED.search(data) is None


def uses_of_sys(data):
    """Where a source uses `sys`, but for other attributes than its path."""
    for match in SYS_USE.finditer(data):
        at = match.start()
        if not at or not IN_WORD.match(data, at - 1):
            yield at


def is_reading(data, at):
    """Whether a use of `sys` only reads the path of modules, as far as its line shows that."""
    return READ_PATH.match(data, at) is not None and READ_BEFORE.search(data[max(0, at - LINE_BEFORE) : at]) is not None


class FolderReader:
    """The folders that expressions name; `values` are those of the names in them."""

    def __init__(self, values):
        self._values = values

    def folder(self, node):
        """The folder that an expression names: a literal, or one that begins at the module's own, "@"; None where unknown."""
        read = FOLDERS.get(type(node))
        return getattr(self, read)(node) if read is not None else None

    def is_path(self, node):
        """Whether an expression is surely an object of pathlib, and no text."""
        read = PATH_OBJECTS.get(type(node))
        return read is not None and getattr(self, read)(node)

    def _is_name_of_path(self, node):
        value = self._values.value_of(node.id)
        return isinstance(value, FolderValue) and value.is_path

    def _is_path_below(self, node):
        return isinstance(node.op, ast.Div) and (self.is_path(node.left) or self.is_path(node.right))

    def _is_path_above(self, node):
        return node.attr in ("parent", "parents") and self.is_path(node.value)

    def _is_one_above(self, node):
        return isinstance(node.value, ast.Attribute) and self.is_path(node.value)

    def _is_call_of_path(self, node):
        return self._values.dotted(node.func) in PATH_TYPES or self._is_method_of_path(node.func)

    def _is_method_of_path(self, function):
        return isinstance(function, ast.Attribute) and function.attr in SAME_PATH and self.is_path(function.value)

    def value(self, node):
        """The folder of an expression as the value of a name; None where unknown."""
        folder = self.folder(node)
        return None if folder is None else FolderValue(folder, self.is_path(node))

    def _text(self, node):
        return node.value if isinstance(node.value, str) else None

    def _of_name(self, node):
        if node.id == "__file__":
            return FOLDER + "/."
        value = self._values.value_of(node.id)
        return value.path if isinstance(value, FolderValue) else value if isinstance(value, str) else None

    def _above(self, node):
        return above(self.folder(node.value)) if node.attr == "parent" else None

    def _below(self, node):
        return joined([self.folder(node.left), self.folder(node.right)]) if isinstance(node.op, ast.Div) else None

    def _parents(self, node):
        if not isinstance(node.value, ast.Attribute) or node.value.attr != "parents":
            return None
        path, index = self.folder(node.value.value), self._values.test(index_of(node))
        if not isinstance(index, int) or not 0 <= index < 20:
            return None
        for _ in range(index + 1):
            path = above(path)
        return path

    def _of_call(self, node):
        name = self._values.dotted(node.func)
        folders = [self.folder(argument) for argument in node.args]
        if name in WORKING_FOLDER and not folders:
            return "."
        if name == "os.path.dirname" and len(folders) == 1:
            return above(folders[0])
        if name == "os.path.join" and folders:
            return joined(folders)
        if name in SAME_FOLDER and len(folders) == 1:
            return folders[0]
        return self._of_method(node.func, folders) if isinstance(node.func, ast.Attribute) else None

    def _of_method(self, function, folders):
        if function.attr == "joinpath":
            return joined([self.folder(function.value)] + folders)
        if function.attr in ("resolve", "absolute", "as_posix") and not folders:
            return self.folder(function.value)
        return None


class SysPathReader:
    """Reads the changes of `sys.path` in a source: rows of line and folder, None where it is not known.

    What is not understood is such a row too, as everything but reading may add a folder.
    """

    def __init__(self, data, names, values):
        self.rows = []
        self._data = data
        self._values = values
        self._folders = FolderReader(values)
        self._moves = not MOVES.isdisjoint(names)
        self._function = ""
        self._rebound = frozenset()  # names that a function gives more than one value

    # --- functions

    def enter(self, function):
        """Read the body of a function from here on. What `leave` comes back to."""
        outer = self._function, self._rebound
        once, more = set(), set()
        for name in names_given_values(all_nodes(function)):
            (more if name in once else once).add(name)
        self._function = function.name
        self._rebound = outer[1].union(more)
        self._values.forget_folders(once)
        return outer

    def leave(self, outer):
        """Read what is after a function."""
        self._function, self._rebound = outer

    def see_assignment(self, targets, node):
        """Note the folder that a variable of a function holds."""
        for target in targets:
            if isinstance(target, ast.Name) and target.id not in self._rebound:
                self._values.see_folder(target.id, self._folders.value(node))

    def _may_run(self):
        """Whether the source calls the function that is read, as far as its text shows that."""
        name = re.escape(self._function.encode("utf-8"))
        calls = re.findall(rb"\b%s[ \t]*\(" % name, self._data)
        return len(calls) > len(re.findall(rb"\bdef[ \t]+%s[ \t]*\(" % name, self._data))

    # --- statements

    def read(self, statement, expressions):
        """Read the changes in what a statement itself evaluates, its `expressions`."""
        nodes = [statement] + [node for expression in expressions for node in all_nodes(expression)]
        uses = {id(node): node for node in nodes if self._is_path(node)}
        for node in nodes:
            if isinstance(node, ast.Call) and self._values.dotted(node.func) == "site.addsitedir":
                self._add(node, node.args[:1] or None, takes_paths=True)
            if uses:
                for part in reads_of(node):
                    uses.pop(id(part), None)
                use = self._read_change(node)
                uses.pop(id(use), None)
        for use in uses.values():
            self._add(use, None)

    def _is_path(self, node):
        """Whether an expression is `sys.path` itself."""
        return isinstance(node, (ast.Attribute, ast.Name)) and self._values.dotted(node) == "sys.path"

    def _read_change(self, node):
        """Read a change of `sys.path` that is understood, and return its node; None for anything else."""
        read = PATH_CHANGES.get(type(node))
        return None if read is None else getattr(self, read)(node)

    def _read_call(self, node):
        method = node.func
        if not isinstance(method, ast.Attribute) or not self._is_path(method.value):
            return None
        return self._read_method(node, method)

    def _read_addition(self, node):
        if not self._is_path(node.target):
            return None
        self._add(node, self._listed(node.value) if isinstance(node.op, ast.Add) else None)
        return node.target

    def _read_assignment(self, node):
        target = node.targets[0]
        if len(node.targets) > 1 or not isinstance(target, ast.Subscript):
            return self._read_new_path(node, target)
        if not self._is_path(target.value):
            return None
        self._add(node, self._listed(node.value) if self._inserts(index_of(target)) else None)
        return target.value

    def _read_new_path(self, node, target):
        if not self._is_path(target):
            return None
        keeps = any(map(self._is_path, all_nodes(node.value)))
        self._add(node, self._listed(node.value) if keeps else None)
        return target

    def _read_method(self, call, method):
        folders = None
        if not call.keywords and len(call.args) == {"append": 1, "insert": 2, "extend": 1}.get(method.attr):
            folders = self._listed(call.args[0]) if method.attr == "extend" else call.args[-1:]
        if method.attr not in READING_METHODS:
            self._add(call, folders)
        return method.value

    def _inserts(self, part):
        """Whether a slice takes nothing away: `[0:0]`, `[:0]`, `[len(sys.path):]`."""
        if not isinstance(part, ast.Slice) or part.step is not None:
            return False
        lower, upper = (None if end is None else self._values.test(end) for end in (part.lower, part.upper))
        if part.upper is None:
            return isinstance(part.lower, ast.Call) and self._values.dotted(part.lower.func) == "len"
        return isinstance(upper, int) and (lower == upper or (part.lower is None and not upper))

    def _listed(self, node):
        """The expressions of the folders in a list, less those of `sys.path` itself; None where they are not known."""
        if isinstance(node, (ast.List, ast.Tuple)):
            parts = [self._listed(item.value) if isinstance(item, ast.Starred) else [item] for item in node.elts]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts = [self._listed(node.left), self._listed(node.right)]
        else:
            return [] if self._is_whole(node) else None
        return None if None in parts else [item for part in parts for item in part]

    def _is_whole(self, node):
        """Whether an expression is all of `sys.path`: `sys.path[:]`, `list(sys.path)`."""
        if isinstance(node, ast.Subscript):
            part = index_of(node)
            return (
                isinstance(part, ast.Slice)
                and (part.lower, part.upper, part.step) == (None,) * 3
                and self._is_path(node.value)
            )
        if isinstance(node, ast.Call):
            return self._values.dotted(node.func) in ("list", "tuple") and any(map(self._is_path, node.args))
        return self._is_path(node)

    def _add(self, node, folders, takes_paths=False):
        """Add the rows of some expressions; None stands for a change that is not understood."""
        for item in [None] if folders is None else folders:
            folder = None if item is None else self._folders.folder(item)
            # what is no text is passed over when a module is looked for
            if item is None or takes_paths or not self._folders.is_path(item):
                self.rows.append([node.lineno, folder if folder is not None and self._is_known(folder) else None])

    def _is_known(self, folder):
        """Whether a change to this folder runs, and where the folder is."""
        return not (self._moves and not folder.startswith(("/", FOLDER))) and (not self._function or self._may_run())


def names_given_values(nodes):
    """The names of parameters and variables, as often as they get a value."""
    names = [node.arg for node in nodes if isinstance(node, ast.arg)]
    return names + [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]


def reads_of(node):
    """The parts of a node, or of a statement, that it reads and cannot change."""
    if isinstance(node, ast.Call):
        is_reading = isinstance(node.func, ast.Attribute) or getattr(node.func, "id", "") in READING_CALLS
        return node.args + [keyword.value for keyword in node.keywords] if is_reading else []
    if isinstance(node, ast.Subscript):
        return [node.value] if isinstance(node.ctx, ast.Load) else []
    fields = READ_FIELDS.get(type(node).__name__, ())
    parts = [getattr(node, field) for field in fields]
    return [item for part in parts for item in (part if isinstance(part, list) else [part])]


def index_of(node):
    """What stands in the brackets of a subscript: Python 3.8 wraps it once more."""
    return node.slice.value if type(node.slice).__name__ == "Index" else node.slice


class FolderValue:
    """The value of a name that holds a folder, as text or as an object of pathlib."""

    def __init__(self, path, is_path=False):
        self.path = path
        self.is_path = is_path


def above(path):
    """The folder of a path; `@/.` stands for the module's file."""
    if path is None:
        return None
    if path == FOLDER + "/.":
        return FOLDER
    head, _slash, tail = path.rpartition("/")
    if tail in ("", ".", "..", FOLDER) or not head:
        return path + "/.." if path.startswith(FOLDER) else None
    return head


def joined(paths):
    """Paths joined; None where one is unknown."""
    if any(path is None for path in paths):
        return None
    whole = paths[0]
    for path in paths[1:]:
        whole = path if path.startswith(("/", FOLDER)) else whole.rstrip("/") + "/" + path
    return whole


PATH_OBJECTS = {
    ast.Name: "_is_name_of_path",
    ast.BinOp: "_is_path_below",
    ast.Attribute: "_is_path_above",
    ast.Subscript: "_is_one_above",
    ast.Call: "_is_call_of_path",
}
PATH_CHANGES = {
    ast.Call: "_read_call",
    ast.AugAssign: "_read_addition",
    ast.Assign: "_read_assignment",
}
FOLDERS = {
    ast.Constant: "_text",
    ast.Name: "_of_name",
    ast.Attribute: "_above",
    ast.BinOp: "_below",
    ast.Subscript: "_parents",
    ast.Call: "_of_call",
}
READ_FIELDS = {
    "Compare": ("left", "comparators"),
    "arguments": ("defaults", "kw_defaults"),
    "comprehension": ("iter",),
    "For": ("iter",),
    "AsyncFor": ("iter",),
    "FormattedValue": ("value",),
    "Starred": ("value",),
    "BinOp": ("left", "right"),
    "UnaryOp": ("operand",),
    "AugAssign": ("value",),
    "List": ("elts",),
    "Tuple": ("elts",),
    "Set": ("elts",),
    "Dict": ("values",),
    "If": ("test",),
    "While": ("test",),
    "Assert": ("test", "msg"),
    "Expr": ("value",),
    "Return": ("value",),
}
