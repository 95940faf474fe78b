"""Imports read from compiled code alone, where nothing can guard them: that spares most sources a second parse; and `__all__`.

So are the names that a module takes by a dot from what it imports, whatever guards them.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast
import re
import sys
from bisect import bisect_right

from buildguard.remote.evaluated_types import runs_at_once
from buildguard.remote.import_outline import BLOCK_START, CONTINUATION, has_other_caller
from buildguard.remote.import_paths import may_change_paths
from buildguard.remote.module_code import (
    CODE,
    EXTENDED,
    FUNCTION,
    IMPORT,
    IMPORT_FROM,
    OPERATIONS,
    RAISE,
    RETURNS,
    UnclearImportError,
    codes_and_names,
    constants_before,
    extended_argument,
    line_table,
    lines_at,
    operands,
    operands_of,
)

# An import that begins its line and shares it with no other statement.
IMPORT_LINE = re.compile(
    rb"[ \t]*(?:import[ \t]+|(from)[ \t]+(\.*)[ \t]*)([A-Za-z0-9_.]*)[^;#\n]*(?:#[^\n]*)?(?:\n|\Z)"
)
HEADERS = rb"(?:if|elif|else|for|while|with|try|except|finally|match|case|async|class|def)\b"
HEADER = re.compile(rb"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+([A-Za-z0-9_]+)[^\n]*\n", re.MULTILINE)
EXPORTS = re.compile(rb"__all__[ \t]*=[ \t]*([\[(])([^\])#]*)[\])][ \t]*(?:\n|\Z)")
QUOTED = re.compile(rb"([\"'])([A-Za-z0-9_.]+)\1\Z")
CALLERS = frozenset(("import_module", "__import__"))  # what imports without a statement
ENDING = frozenset(("exit", "quit", "_exit"))  # the calls that end a module or function
ENDING_WORD = re.compile(rb"(?:exit|quit)\b([\s\\]+as\b)?")
LOAD, ATTRIBUTE = OPERATIONS["LOAD_NAME"], OPERATIONS["LOAD_ATTR"]
# From 3.12 on one operation loads attributes and methods, and a bit of its argument tells them apart; numbers above 255 are no bytecode.
SHIFT = int(OPERATIONS.get("LOAD_METHOD", 256) > 255)
METHOD = ATTRIBUTE if SHIFT else OPERATIONS["LOAD_METHOD"]
TAKES = [bytes([LOAD, operation]) for operation in {ATTRIBUTE, METHOD, EXTENDED}]
TAKING = frozenset((0, EXTENDED, ATTRIBUTE, METHOD))
# What stands between an import and the name that it gives a module of a package: `import a.b as c`.
BETWEEN = frozenset(
    [EXTENDED, IMPORT_FROM] + [OPERATIONS[name] for name in ("SWAP", "ROT_TWO", "POP_TOP") if name in OPERATIONS]
)
STANDARD = frozenset(getattr(sys, "stdlib_module_names", ()))


def plain_reader(module):
    """What reads imports without a syntax tree; None where one has to be asked about all of them."""
    data, names = module.data, module.names
    if b"\r" in data or module.imports is None or may_change_paths(data, names):
        return None
    if not CALLERS.isdisjoint(names) and has_other_caller(data):
        return None  # any statement may import under another name
    if not ENDING.isdisjoint(names) and any(match.group(1) for match in ENDING_WORD.finditer(data)):
        return None
    return PlainReader(module)


def plain_exports(data, bound):
    """The names in the one `__all__` of a module; None where its syntax tree has to decide."""
    at = data.find(b"__all__")
    match = EXPORTS.match(data, at) if at == 0 or data[at - 1 : at] == b"\n" else None
    if match is None or data.count(b"__all__") > 1 or data.count(b"\n", 0, at) + 1 != bound.get("__all__"):
        return None
    texts = [item.strip() for item in match.group(2).split(b",")]
    if match.group(1) == b"(" and len(texts) == 1:
        return None  # one text in parentheses is no tuple
    names = [QUOTED.match(text) for text in texts[: None if texts[-1] else -1]]
    return None if None in names else [name.group(2).decode("ascii") for name in names]


def literal_names(node):
    """The texts of a literal list or tuple; None for anything else."""
    if not isinstance(node, (ast.List, ast.Tuple)):
        return None
    names = [item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return names if len(names) == len(node.elts) else None


class ExportReader:
    """Reads the statements that bind or change `__all__`."""

    def __init__(self):
        self._names = []
        self._is_known = False
        self._count = 0
        self.is_guarded = False  # whether something may decide about a statement

    def names(self, module):
        """The names; None without `__all__`, where it is computed, or where more binds it than was read."""
        return self._names if self._is_known and module.changes_of("__all__", True) <= self._count else None

    def assign(self, node, guard):
        """Read an assignment, which what guards it may keep from running."""
        self._count += 1
        if guard == "false":
            return
        names = literal_names(node.value)
        adds = isinstance(node, ast.AugAssign)
        self.is_guarded = self.is_guarded or bool(guard)
        self._set(None if guard or (adds and not self._is_known) else names, adds)

    def call(self, name, call, guard):
        """Read a call of a method; `name` is dotted."""
        if guard == "false":
            return
        argument = call.args[0] if len(call.args) == 1 else None
        names = literal_names(argument) if name == "__all__.extend" else None
        if name == "__all__.append" and isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            names = [argument.value]
        self.is_guarded = self.is_guarded or bool(guard)
        self._set(None if guard or not self._is_known else names, True)

    def _set(self, names, adds):
        self._is_known = names is not None
        self._names = self._names + names if adds and names is not None else names or []


class PlainReader:
    """Reads imports that stand directly in a module, or in a function or class that does.

    An item of a code object is an import, as a tuple of a module, its names and its dots, or code in it that imports.
    """

    def __init__(self, module):
        self.module = module
        self._data = module.data
        self.start_of = module.lines.start_of
        self._holding = module.holding_imports() if may_nest_imports(module.data) else ()

    def read_blocks(self):
        """The rows of the functions and classes at the left margin that can be read so, by their first line."""
        blocks = {}
        if RAISE in self.module.operations:
            return blocks  # it may end the module before one of them
        for line, item in self.blocks(self.module.code):
            if not CALLERS.isdisjoint(self.module.names) and not CALLERS.isdisjoint(codes_and_names(item)[1]):
                continue
            begin = self.start_of(line)
            try:
                self.margin_of(begin, 0, None)
                blocks[line] = self.read(item, bool(item.co_flags & FUNCTION), self.body_of(item, begin))
            except UnclearImportError:
                continue
        return blocks

    def items(self):
        """Each import of the module's own code, and each function and class in it that imports, by its line."""
        code, line_at = self.module.code, self.module.line_at
        items = [(line_at(at), (name,) + constants_before(code, at)) for name, at in self.module.imports]
        if self._holding:
            items += self.blocks(code)
            items.sort(key=first_of)
        return items

    def read(self, code, late, body):
        """The rows of a function or class and of the code in it; `body` is where its text begins."""
        imports, last = statements_of(code)
        items = sorted(imports + list(self.blocks(code)), key=first_of)
        check_order(code, items, last)
        rows = []
        margin = None
        for line, item in items:
            begin = self.start_of(line)
            margin = self.margin_of(begin, margin, body)
            rows += self.rows_of(line, item, begin, margin, late)
            body = begin
        return rows

    def rows_of(self, line, item, begin, margin, late):
        """The rows of one item of a code object."""
        if type(item) is CODE:
            return self.read(item, late or bool(item.co_flags & FUNCTION), self.body_of(item, begin))
        if not self._data.startswith(plain_line(*item), begin + margin):
            self._check_written(item, begin)
        return [import_row(line, margin + 1, item, late)]

    def margin_of(self, begin, margin, body=None):
        """The width of the margin of a statement that stands directly in the block whose text begins at `body`."""
        width = self._end_of_margin(begin) - begin
        if margin is not None and width != margin:
            raise UnclearImportError
        if body and width and self._has_header(body - 1, begin, width):
            raise UnclearImportError
        if self._data[begin - 2 : begin] == CONTINUATION:
            raise UnclearImportError
        return width

    def _has_header(self, start, stop, width):
        """Whether a block may begin between two places at a margin of less than some width."""
        data = self._data
        # to count is faster than to look: every line is empty, ends a header or begins with so many spaces
        starts = (b"\n" + b" " * width, b"\n" + b" " * (width - 4) + b")", b"\n\n")
        if data.count(b"\n", start, stop) == 1 + sum([data.count(text, start, stop) for text in starts]):
            return False
        return header_before(width).search(data, start, stop) is not None

    def _end_of_margin(self, begin):
        stop = self._data.find(b"\n", begin)
        line = self._data[begin : stop if stop >= 0 else None]
        return begin + len(line) - len(line.lstrip(b" \t"))

    def _check_written(self, item, begin):
        """An import is alone in its line, in the usual form."""
        module, names, _level = item
        match = IMPORT_LINE.match(self._data, begin)
        if match is None or bool(match.group(1)) != isinstance(names, tuple):
            raise UnclearImportError
        if names is not None and match.group(3).decode("ascii") != (module or "import"):
            raise UnclearImportError

    def blocks(self, code):
        """The functions and classes with imports in a code object, each with its first line."""
        if not self._holding:
            return
        for item in code.co_consts:
            if type(item) is CODE and id(item) in self._holding:
                yield item.co_firstlineno, item

    def body_of(self, code, begin):
        """Where the text after the first line of a function or class begins."""
        header = HEADER.search(self._data, begin)
        is_block = BLOCK_START.match(self._data, self._end_of_margin(begin))
        if header is None or not is_block or header.group(1) != code.co_name.encode():
            raise UnclearImportError
        return header.end()


def plain_line(module, names, level):
    """An import of a module, or of names from it, in its shortest form."""
    if names is None:
        return ("import %s\n" % module).encode("utf-8")
    return ("from %s%s import %s\n" % ("." * level, module, ", ".join(names))).encode("utf-8")


def import_row(line, column, item, late):
    """The row of an import that nothing guards."""
    module, names, level = item
    if names is None:
        return [line, column, "import", module, [], 0, "", late, False]
    return [line, column, "from", module, list(names), level, "", late, False]


def statements_of(code):
    """Each import of a function or class, by its line, and the offset of the last one."""
    imports = operands_of(code, IMPORT)
    lines = lines_at(code, [at for _name, at in imports])
    items = [(line, (name,) + constants_before(code, at)) for line, (name, at) in zip(lines, imports)]
    return items, imports[-1][1] if imports else 0


def check_order(code, items, last):
    """Nothing ends a class or function before an import in it; `last` is the offset of the last of its own."""
    if not items:
        return
    if not ENDING.isdisjoint(code.co_names):
        raise UnclearImportError
    operations = code.co_code[::2]
    ends = [RAISE]
    if code.co_flags & FUNCTION:
        line, item = items[-1]
        if type(item) is CODE:
            starts, numbers = line_table(code)
            last = starts[numbers.index(line)] if line in numbers else len(code.co_code)
        operations = operations[: last // 2]
        ends += RETURNS
    if any(end in operations for end in ends):
        raise UnclearImportError


def may_nest_imports(data):
    """Whether some import may begin elsewhere than at the left margin; a comment or text with the word counts too."""
    at = data.find(b"import")
    while at >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        before = data[start:at]
        if before and not before.startswith((b"from", b"#")):
            return True
        if b";" in before or b":" in before:
            return True
        at = data.find(b"import", at + 6)
    return False


def first_of(pair):
    """The line of an item: what is in the same line keeps its order."""
    return pair[0]


def header_before(width):
    """What finds the header of a block that may hold statements of some width: nothing else makes a margin wider."""
    return re.compile(rb"\n[ \t\f]{0,%d}%s" % (width - 1, HEADERS))  # `re` keeps it


# --- names that are taken by a dot


def module_uses(module):
    """Rows of name, level, module, imported name and uses: what is taken from an import by a dot, each with the line of the first one.

    The imported name is empty for a module as a whole. Only what is executed with the module counts. Modules of the standard library
    are left out, and nothing is known of a Python whose code says more of an import than a name.
    """
    uses = uses_by_name(module) if module.imports else {}
    rows = []
    places = [place for _module, place in module.imports] if uses else ()
    try:
        for name, offset in module.stores if uses else ():
            origin = import_of(module, places, name, offset) if name in uses else None
            if origin is not None:
                rows.append([name] + origin + [uses.pop(name)])
    except UnclearImportError:
        return []  # the other facts do not depend on it
    return rows


def uses_by_name(module):
    """What the code of a module and of its classes takes by a dot from each name."""
    uses = {}
    add_uses(module.code, (module.starts, module.numbers), uses)
    bound = {name for name, _offset in module.stores}
    for item in module.code.co_consts:
        if type(item) is CODE and runs_at_once(item) and not bound.isdisjoint(item.co_names):
            add_uses(item, None, uses)
    return uses


def add_uses(code, lines, uses):
    """Add what a code object takes by a dot from each name; `lines` are the lines of its offsets, if they are known."""
    text, names = code.co_code, code.co_names
    operations = text[::2]
    starts = places_of_takes(operations)
    if starts:
        offsets, numbers = lines or line_table(code)
        for start in starts:
            dotted = ".".join([names[part] for part in taken_parts(text, operations, start + 1)])
            line = numbers[bisect_right(offsets, 2 * start) - 1]
            if dotted:
                uses.setdefault(names[argument_at(text, start)], {}).setdefault(dotted, line)


def places_of_takes(operations):
    """Where a name may be loaded and something taken from it, in their order."""
    places = []
    for pair in TAKES:
        at = operations.find(pair)
        while at >= 0:
            places.append(at)
            at = operations.find(pair, at + 1)
    return sorted(places) if len(places) > 1 else places


def taken_parts(text, operations, at):
    """The numbers of the names that operations take one after the other; zeros are places that the interpreter keeps for itself."""
    parts = []
    while operations[at] in TAKING:
        if operations[at] in (ATTRIBUTE, METHOD):
            parts.append(argument_at(text, at) >> SHIFT)
        at += 1
    return parts


def argument_at(text, number):
    """The argument of an operation, by its number."""
    argument = text[2 * number + 1]
    return argument | extended_argument(text, 2 * number) if number and text[2 * number - 2] == EXTENDED else argument


def import_of(module, places, name, offset):
    """The level, module and imported name of the import that binds a name at an offset; None for another binding, or a standard module.

    `places` are the offsets of the module's imports.
    """
    at = module.filled_at(offset)
    number = bisect_right(places, at) - 1
    if number < 0:
        return None
    dotted, place = module.imports[number]
    names, level = constants_before(module.code, place)
    if not level and dotted.partition(".")[0] in STANDARD:
        return None
    if names is not None:
        parts = operands(module.code, module.operations, IMPORT_FROM)
        return next(([level, dotted, part] for part, of_part in parts if of_part == at), None)
    if at == place and name == dotted.partition(".")[0]:
        return [0, name, ""]
    if not BETWEEN.issuperset(module.operations[place // 2 + 1 : offset // 2]):
        return None
    package, _dot, last = dotted.rpartition(".")
    return [0, package, last] if package else [0, dotted, ""]  # `import a.b as c` takes what `a` calls `b`
