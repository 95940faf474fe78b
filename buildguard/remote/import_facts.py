"""What a source imports and binds, read from its syntax tree beside `compile()`; nothing of it is run.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks. The result is a value of JSON:

imports  rows of line, column (from 1, in code points), form ("import", "from", "call"), module, names, level, guard, late, lazy
bound    each name that the module binds at any place, with the first line where it does
exports  the names in a literal `__all__`; null without one, or where it is computed
dynamic  whether names appear in ways that this pass does not follow (`__getattr__`, `globals()`, `exec`, `sys.modules`)
paths    rows of line and folder that the module adds to `sys.path`; null where the folder is computed, "@" is the module's own
evaluated rows of line, column, kind, text and guard: type expressions that run at import and need a newer Python
attributes rows of line, column, module, name, guard and late: names taken from the standard library by a dot that not every Python has
patched  names that the module sets in others ("collections.Mapping"), in sources that have such attributes
unsure   names that the module binds but may lack in the end: under a condition, in a function, deleted; "*" for all of them
version  the target's, as far as it is known
"""

import ast
import re
import sys

from buildguard.remote.evaluated_types import TypeReader, may_evaluate, typed_bytes
from buildguard.remote.import_codes import ExportReader, may_change_paths, plain_exports, plain_reader
from buildguard.remote.import_outline import (
    CALLER,
    SPOKEN,
    CallLines,
    all_codes,
    bare_blocks,
    bound_names,
    imports_in,
    line_starts,
    outline_of,
    statements_with,
    store_offsets,
    uses_in,
)
from buildguard.remote.import_sure import unsure_names
from buildguard.remote.import_tests import (
    ENDS,
    PATH_CALLS,
    Evaluator,
    ImportBlock,
    UnknownValue,
    is_main_test,
    is_own_package,
)
from buildguard.remote.library_attributes import AttributeReader, does_use, may_use

ENCODER = []  # type: list[object]
LARGEST = 2 << 20  # bytes of a source that is still read: larger ones are data
DYNAMIC = frozenset({"globals", "exec", "modules", "meta_path", "path_hooks"})
DYNAMIC_AT_TOP = frozenset({"vars", "locals", "eval", "__dict__", "setattr"})
CALLS = ("importlib.import_module", "importlib.__import__", "__import__", "builtins.__import__")
EXPRESSIONS = (ast.expr, ast.withitem, ast.keyword)
GLOBAL = re.compile(rb"\bglobal\b([^\n;#]*)")  # what functions change is no constant
LOOP = re.compile(rb"^for\b([^\n:]*?)\bin\b", re.MULTILINE)  # nor is what a loop of the module binds
WORD = re.compile(rb"[\w\x80-\xff]+")
EXPORT_CALLS = tuple("__all__." + word for word in ("extend", "append", "remove", "insert", "pop", "clear"))
IMPORTING = (ast.Import, ast.ImportFrom)
CATCHES_TYPES = frozenset({"TypeError", "Exception", "BaseException"})
CATCHES_ATTRIBUTES = frozenset({"AttributeError", "Exception", "BaseException"})


def facts_here(data, code):
    """The facts for the Python that runs this, as JSON; empty where they are unknown."""
    return import_facts(data, code, sys.version_info, "linux")


def facts_for(version):
    """What reads facts for another version than that of the Python that runs this."""
    wanted = tuple(int(part) for part in version.split("."))
    return lambda data, code: import_facts(data, code, wanted, "linux")


def import_facts(data: bytes, code: object, version: object, platform: str) -> bytes:
    """The facts of a source that was compiled to `code`, for a version as `sys.version_info`; empty where they are unknown."""
    try:
        if len(data) > LARGEST or sys.version_info < (3, 8):
            return b""
        text = encoder().encode(read_facts(data, code, version, platform))  # type: str
        return text.encode("ascii")
    except Exception:  # RecursionError, MemoryError, a tree of a Python that is newer than this text
        return b""


def encoder():
    """The JSON encoder, made once: making it costs more than what it writes for a source."""
    if not ENCODER:
        import json

        ENCODER.append(json.JSONEncoder(separators=(",", ":"), check_circular=False))
    return ENCODER[0]


def read_facts(data, code, version, platform):
    """The same; raises whatever the parser or this pass raises."""
    codes = all_codes(code)
    names = set().union(*[part.co_names for part in codes])
    lines = line_starts(code)
    nested = codes if b"global" in data or b":=" in data else ()
    offsets = store_offsets(code, nested)
    bound = bound_names(offsets, nested, lines)
    dynamic = is_dynamic(code, names, bound)
    facts = {"imports": [], "bound": bound, "exports": None, "dynamic": dynamic, "paths": [], "evaluated": []}
    facts["attributes"], facts["patched"] = [], []
    facts["unsure"] = unsure_names(data, (code, nested), bound, offsets, codes if dynamic else ())
    facts["version"] = list(version[:3])
    if may_use(data, names) and does_use(data, codes, names):
        facts["attributes"], facts["patched"] = read_attributes(data, names, version, platform)
    typed = typed_source(data, code, names, version[1])
    if b"import" in data or b"__all__" in data or typed is not None:
        reader = None if typed is not None else plain_reader(data, names, lines)
        plain = None if reader is None else plain_facts(data, code, bound, reader)
        if plain is None:
            blocks = {} if reader is None else reader.read_blocks(code)
            plain = tree_facts(data, codes, (names, bound, version, platform, typed), blocks)
        facts.update(plain)
    return facts


def is_dynamic(code, names, bound):
    """Whether names appear in ways that this pass does not follow; `names` are those of all code."""
    return bool(DYNAMIC_AT_TOP.intersection(code.co_names) or not DYNAMIC.isdisjoint(names) or "__getattr__" in bound)


def typed_source(data, code, names, minor):
    """What finds types in a source that may evaluate them; what adds folders to `sys.path` in a function is read with them."""
    typed = typed_bytes(minor)
    if typed is None or not typed.search(data):
        return None
    return typed if may_evaluate(code, names, minor) or may_change_paths(data, names) else None


def read_attributes(data, names, version, platform):
    """The rows of the names that are taken from the standard library by a dot, and those that are set: few sources have any."""
    tree = ast.parse(data)
    reader = FactReader(data, names, Evaluator(version, platform, names))
    reader.attributes = AttributeReader(tree, version[1])
    if reader.attributes.is_needed:
        reader.read(tree)
    return reader.attributes.rows, reader.attributes.patched


def plain_facts(data, code, bound, reader):
    """Imports and exports, where no syntax tree of all of it is needed to read them; None elsewhere."""
    rows = reader.read_module(code)
    if rows is None or b"__all__" not in data:
        return None if rows is None else {"imports": rows}
    exports = plain_exports(data, bound)
    if exports is not None:
        return {"imports": rows, "exports": exports}
    parts = read_exports(data, code)
    return None if parts is None else {"imports": rows, "exports": parts.exports.names([code])}


def read_exports(data, code):
    """What has read the statements that name `__all__`; None where they may not be all, or not be whole."""
    text = statements_with(data, b"__all__")
    if b"__all__ as" in text or b"\r" in data or b"\f" in data or not text.isascii():
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    # what the compiler made of the module proves it: as many uses of the name
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "__all__"]
    changes = [node for node in ast.walk(tree) if isinstance(node, ast.AugAssign) and node.target in uses]
    if len(uses) + len(changes) != uses_in(code, "__all__"):
        return None
    reader = FactReader(text, (), Evaluator(sys.version_info, "linux", ()))
    reader.read(tree)
    return reader


def tree_facts(data, codes, how, blocks):
    """What a syntax tree shows: of an outline of the source, if that holds every import that the compiler saw.

    `how` is what `read_tree` takes beside texts. `blocks` are rows of functions and classes that need no tree, by their line.
    """
    blocks, outline, left_out = outline_beside(data, codes, how, blocks)
    rows = [row for line in left_out for row in blocks[line]]
    try:
        reader = None if outline is None else read_tree(outline, data, *how)
    except (SyntaxError, ValueError):
        reader = None
    compiled = imports_in(codes)
    # what the compiler made of the whole proves the outline: as many imports, of the same modules
    if reader is None or reader.count + len(rows) != compiled or not how[0].issuperset(reader.modules):
        reader, rows = read_tree(data, data, *how), []
        # a `finally` is compiled more than once; else a statement of a newer Python holds what was not read
        if compiled > reader.count and (b"finally" not in data or not reader.count):
            raise ValueError("an import is in a statement that is not known here")
    return {
        "imports": sorted(reader.imports + rows, key=line_of) if rows else reader.imports,
        "paths": reader.paths,
        "exports": reader.exports.names(codes),
        "evaluated": reader.types.rows if reader.types is not None else [],
    }


def outline_beside(data, codes, how, blocks):
    """Blocks that need no tree, those without imports as well; the outline of the others, and the lines of what it leaves out."""
    if not SPOKEN.isdisjoint(how[0]) and CALLER.search(data):
        return blocks, None, []  # any statement may import under another name
    is_whole = may_change_paths(data, how[0])
    if how[-1] is None and not is_whole:
        blocks = {**dict.fromkeys(bare_blocks(codes[0]), ()), **blocks}
    return (blocks,) + outline_of(data, how[-1], blocks, is_whole=is_whole)


def line_of(row):
    """The line of a row: rows of one line keep their order."""
    return row[0]


def read_tree(text, data, names, bound, version, platform, typed):
    """What a reader finds in the text of a source, or in the outline of it."""
    reader = FactReader(data, names, Evaluator(version, platform, names))
    for word, pattern in ((b"global", GLOBAL), (b"\nfor ", LOOP)):
        if word in data:
            reader.values.forget(
                name.decode("utf-8", "replace") for line in pattern.findall(data) for name in WORD.findall(line)
            )
    if typed is not None:
        reader.types = TypeReader(version[1], bound, reader.values)
    reader.read(ast.parse(text))
    return reader


class FactReader:
    """Reads the imports of a module's tree, with what guards them on one target."""

    def __init__(self, data, names, values):
        self.imports = []
        self.paths = []
        self.exports = ExportReader()
        self.types = None  # who looks for type expressions that the target cannot evaluate
        self.attributes = None  # who looks for names that are taken by a dot
        self.values = values
        self._data = data
        self._lines = None
        self.count = 0
        self.modules = set()
        has_calls = "import_module" in names or "__import__" in names
        self._calls = CallLines(data) if has_calls else None
        self._has_paths = "path" in names or "addsitedir" in names

    def read(self, tree):
        """Read a whole module."""
        self._body(tree.body, ImportBlock())

    def _body(self, body, block):
        """Read statements in their order; whether they end the module before what follows them."""
        ended = False
        for node in body:
            if ended:
                block = block.inside("false")
            ended = self._statement(node, block) or ended
        return ended

    def _statement(self, node, block):
        read = READERS.get(type(node))
        if read is not None:
            return getattr(self, read)(node, block)
        self._expressions(node, block)
        return False

    def _expressions(self, node, block):
        """Calls that import, and types that cannot be evaluated, in the expressions of a statement itself."""
        if self.types is not None and block.runs:
            self.types.read(node, self._place, block.guard, block.model)
        if self.attributes is not None and not block.absent:
            self.attributes.read(node, self._place, block)
        if self._calls is not None and self._calls.are_in(node):
            children = [item for item in ast.iter_child_nodes(node) if isinstance(item, EXPRESSIONS)]
            for call in (item for child in children for item in ast.walk(child) if isinstance(item, ast.Call)):
                self._call(call, block)

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

    def _place(self, node):
        column = node.col_offset
        if column and self._lines is None:
            self._lines = [] if self._data.isascii() else re.split(rb"\r\n|\r|\n", self._data)
        if column and node.lineno <= len(self._lines):
            column = len(self._lines[node.lineno - 1][:column].decode("utf-8", "replace"))
        return node.lineno, column + 1

    # --- blocks

    def _function(self, node, block):
        self._expressions(node, block)
        # what catches errors around the definition catches none of a later call
        scope = self.values.scope()
        self._body(node.body, ImportBlock("" if block.guard in ("except", "module-only") else block.guard, late=True))
        self.values.leave(scope)
        return False

    def _class(self, node, block):
        self._expressions(node, block)
        is_model = self.types is not None and self.types.is_model(node)
        self._body(node.body, ImportBlock(block.guard, block.late, is_model, block.caught, True, block.absent))
        return False

    def _if(self, node, block):
        self._expressions(node, block)
        if is_main_test(node.test):
            self._body(node.body, block.inside("main"))
            self._body(node.orelse, block.inside("conditional"))
            return False
        value = self.values.test(node.test)
        if isinstance(value, UnknownValue):
            guard = "tested" if value.tested else "conditional"
            first = self._body(node.body, block.inside(guard))
            second = self._body(node.orelse, block.inside(guard))
            return first and second
        first = self._body(node.body, block if value else block.inside("false"))
        second = self._body(node.orelse, block.inside("false") if value else block)
        return first if value else second

    def _loop(self, node, block):
        self._expressions(node, block)
        self._body(node.body, block.inside("conditional"))
        self._body(node.orelse, block.inside("conditional"))
        return False

    def _with(self, node, block):
        self._expressions(node, block)
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and self.values.dotted(call.func) in ("contextlib.suppress", "suppress"):
                block = block.inside(self.values.caught(call.args))
                block.absent = block.absent or any(self.values.dotted(node) in CATCHES_ATTRIBUTES for node in call.args)
        self._body(node.body, block)
        return False

    def _match(self, node, block):
        for case in node.cases:
            self._body(case.body, block.inside("conditional"))
        return False

    def _try(self, node, block):
        caught = self.values.caught_by(node.handlers)
        if caught:
            self.values.see_names(node)
        body = block.inside(caught)
        body.caught = block.caught or self.values.catches(node.handlers, CATCHES_TYPES)
        body.absent = block.absent or self.values.catches(node.handlers, CATCHES_ATTRIBUTES)
        ended = self._guarded(node, body)
        for handler in node.handlers:
            instead = block.inside("handler" if caught else "conditional")
            instead.absent = body.absent  # what takes the place of a name that is not there
            self._body(handler.body, instead)
        self._body(node.orelse, block.inside("handler" if caught else ""))
        return self._body(node.finalbody, block) or (ended and not node.handlers)

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
        return False

    def _expression(self, node, block):
        self._expressions(node, block)
        if not isinstance(node.value, ast.Call):
            return False
        call = node.value
        name = self.values.dotted(call.func)
        if self._has_paths and name in PATH_CALLS:
            argument = call.args[-1] if call.args else None
            self.paths.append([node.lineno, None if argument is None else self.values.folder(argument)])
        if name in EXPORT_CALLS:
            self.exports.call(name, call, block.guard)
        return name in ENDS

    def _end(self, node, block):
        self._expressions(node, block)
        return True


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
