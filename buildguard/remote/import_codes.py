"""Imports read from compiled code alone, where nothing can guard them: that spares most sources a second parse; and `__all__`.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast
import re

from buildguard.remote.import_outline import BLOCK_START, CONTINUATION, has_other_caller
from buildguard.remote.module_code import (
    CODE,
    FUNCTION,
    IMPORT,
    RAISE,
    RETURNS,
    UnclearImportError,
    codes_and_names,
    constants_before,
    line_table,
    lines_at,
    operands_of,
)

# An import that begins its line and shares it with no other statement.
IMPORT_LINE = re.compile(
    rb"[ \t]*(?:import[ \t]+|(from)[ \t]+(\.*)[ \t]*)([A-Za-z0-9_.]*)[^;#\n]*(?:#[^\n]*)?(?:\n|\Z)"
)
HEADERS = rb"(?:if|elif|else|for|while|with|try|except|finally|match|case|async|class|def)\b"
HEADER = re.compile(rb"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+([A-Za-z0-9_]+)[^\n]*\n", re.MULTILINE)
EXPORTS = re.compile(rb"__all__[ \t]*=[ \t]*([\[(])([^\])#]*)[\])][ \t]*(?:\n|\Z)")
# Where the path of modules may be changed: every use of `sys`, but for `import sys` and other attributes. Each begins with a
# literal, so that a search is fast.
SYS_USE = re.compile(rb"sys(?!\w)(?!\.(?!path\b)\w|[ \t]*[\n,#])")
PATH_BELOW = re.compile(rb"\n[ \t\f]*\.[ \t]*path\b")
IN_WORD = re.compile(rb"\w")
QUOTED = re.compile(rb"([\"'])([A-Za-z0-9_.]+)\1\Z")
CALLERS = frozenset(("import_module", "__import__"))  # what imports without a statement
ENDING = frozenset(("exit", "quit", "_exit"))  # the calls that end a module or function
ENDING_WORD = re.compile(rb"(?:exit|quit)\b([\s\\]+as\b)?")
CHANGES = frozenset(("insert", "append"))


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


def may_change_paths(data, names):
    """Whether code with these names may add folders to the path of modules."""
    if "addsitedir" in names:
        return True
    is_named = "path" in names and "sys" in names and not CHANGES.isdisjoint(names)
    return is_named and (
        PATH_BELOW.search(data) is not None
        or any(not at or not IN_WORD.match(data, at - 1) for at in map(start_of_match, SYS_USE.finditer(data)))
    )


def start_of_match(match):
    """Where a match begins."""
    return match.start()


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
        self._set(None if guard or (adds and not self._is_known) else names, adds)

    def call(self, name, call, guard):
        """Read a call of a method; `name` is dotted."""
        if guard == "false":
            return
        argument = call.args[0] if len(call.args) == 1 else None
        names = literal_names(argument) if name == "__all__.extend" else None
        if name == "__all__.append" and isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            names = [argument.value]
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
