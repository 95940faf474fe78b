"""Imports read from compiled code alone, where nothing can guard them: that spares most sources a second parse; and `__all__`.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast
import re
import sys

from buildguard.remote.import_outline import BLOCK_START, CODE, SourceLines, changes_in, line_starts, stored

# An import that begins its line and shares it with no other statement.
IMPORT_LINE = re.compile(
    rb"[ \t]*(?:import[ \t]+|(from)[ \t]+(\.*)[ \t]*)([A-Za-z0-9_.]*)[^;#\n]*(?:#[^\n]*)?(?:\n|\Z)"
)
HEADER = re.compile(rb"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+([A-Za-z0-9_]+)[^\n]*\n", re.MULTILINE)
EXPORTS = re.compile(rb"^__all__[ \t]*=[ \t]*([\[(])([^\])#]*)[\])][ \t]*$", re.MULTILINE)
# Where the path of modules may be changed: every use of `sys`, but for `import sys` and other attributes. Each begins with a
# literal, so that a search is fast.
SYS_USE = re.compile(rb"sys(?!\w)(?!\.(?!path\b)\w|[ \t]*[\n,#])")
PATH_BELOW = re.compile(rb"\n[ \t\f]*\.[ \t]*path\b")
IN_WORD = re.compile(rb"\w")
QUOTED = re.compile(rb"([\"'])([A-Za-z0-9_.]+)\1\Z")
# What imports without a statement, and what changes where modules are found.
NOT_PLAIN = frozenset(("import_module", "__import__", "addsitedir"))
ENDING = frozenset(("exit", "quit", "_exit"))  # the calls that end a module or function
ENDING_WORD = re.compile(rb"(?:exit|quit)\b([\s\\]+as\b)?")
CHANGES = frozenset(("insert", "append"))
RETURNS = ("RETURN_VALUE", "RETURN_CONST")
OPERATIONS = []  # type: list[object]
NEWEST = (3, 15)  # from where on the argument of IMPORT_NAME holds more than a name
FUNCTION = 1  # in the flags of code: a function's, as opposed to a module's or class's


def plain_reader(data, names, lines):
    """What reads imports without a syntax tree; None where one has to be asked about all of them.

    `lines` are those of the module's own code.
    """
    if not NOT_PLAIN.isdisjoint(names) or b"\r" in data or sys.version_info >= NEWEST:
        return None
    if not ENDING.isdisjoint(names) and any(match.group(1) for match in ENDING_WORD.finditer(data)):
        return None
    return None if may_change_paths(data, names) else PlainReader(data, lines)


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
    match = EXPORTS.search(data)
    if match is None or data.count(b"__all__") > 1 or data.count(b"\n", 0, match.start()) + 1 != bound.get("__all__"):
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

    def names(self, codes):
        """The names; None without `__all__`, where it is computed, or where more binds it than was read."""
        return self._names if self._is_known and changes_in(codes, "__all__") <= self._count else None

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


def operations():
    """The numbers of the operations that are looked for, and of those that return."""
    if not OPERATIONS:
        import opcode

        found = [opcode.opmap[name] for name in ("IMPORT_NAME", "LOAD_CONST", "EXTENDED_ARG", "RAISE_VARARGS")]
        OPERATIONS.append((*found, opcode.opmap.get("LOAD_SMALL_INT", -1)))
        OPERATIONS.append([opcode.opmap[name] for name in RETURNS if name in opcode.opmap])
    return OPERATIONS[0] + (OPERATIONS[1],)


class UnclearImportError(Exception):
    """An import that may be guarded, or that is written in another way than usual."""


class PlainReader:
    """Reads imports that stand directly in a module, or in a function or class that does."""

    def __init__(self, data, lines):
        self._data = data
        self.lines = lines
        self.start_of = SourceLines(data).start_of
        self._is_nested = may_nest_imports(data)
        self._import, self._constant, self._extended, self.raising, self._number, self._returns = operations()

    def read_blocks(self, code):
        """The rows of the functions and classes at the left margin that can be read so, by their first line."""
        blocks = {}
        if self.raising in code.co_code[::2]:
            return blocks  # it may end the module before one of them
        for line, item in self.blocks(code):
            begin = self.start_of(line)
            try:
                self.margin_of(begin, 0, None)
                blocks[line] = self.read(item, bool(item.co_flags & FUNCTION), self.body_of(item, begin))
            except UnclearImportError:
                continue
        return blocks

    def read(self, code, late=False, body=None):
        """The rows of a code object and of those in it; `body` is where the text of a function or class begins."""
        lines = self.lines if body is None else line_starts(code)
        items = list(self.statements(code, lines)) + list(self.blocks(code))
        self._check_order(code, items, lines)
        rows = []
        margin = 0 if body is None else None
        for line, item in sorted(items, key=first_of):
            begin = self.start_of(line)
            margin = self.margin_of(begin, margin, body)
            rows += self.rows_of(line, item, begin, margin, late)
            body = begin
        return rows

    def rows_of(self, line, item, begin, margin, late):
        """The rows of one item of a code object: of an import, or of the code in it."""
        if type(item) is CODE:
            return self.read(item, late or bool(item.co_flags & FUNCTION), self.body_of(item, begin))
        return [[line, margin + 1] + self._written(item, begin) + ["", late, False]]

    def _check_order(self, code, items, lines):
        """Nothing ends a module, class or function before an import in it."""
        if not items:
            return
        if not ENDING.isdisjoint(code.co_names):
            raise UnclearImportError
        operations = code.co_code[::2]
        ends = [self.raising]
        if code.co_flags & FUNCTION:
            last = max(map(first_of, items))
            stop = next((start for start, line in lines if line == last), len(code.co_code))
            operations = operations[: stop // 2]
            ends += self._returns
        if any(end in operations for end in ends):
            raise UnclearImportError

    def margin_of(self, begin, margin, body):
        """The width of the margin of a statement that stands directly in the block whose text begins at `body`."""
        width = self._end_of_margin(begin) - begin
        if margin is not None and width != margin:
            raise UnclearImportError
        if body and width and lesser(width).search(self._data, body - 1, begin):
            raise UnclearImportError
        if self._data[begin - 2 : begin] == b"\\\n":
            raise UnclearImportError
        return width

    def _end_of_margin(self, begin):
        stop = self._data.find(b"\n", begin)
        line = self._data[begin : stop if stop >= 0 else None]
        return begin + len(line) - len(line.lstrip(b" \t"))

    def statements(self, code, lines):
        """Each import of a code object: its line, with its module and names."""
        at = 0
        for module, offset in stored(code, self._import, self._extended):
            while at + 1 < len(lines) and lines[at + 1][0] <= offset:
                at += 1
            yield lines[at][1], (module, self._names(code, offset))

    def _names(self, code, offset):
        """What follows `import` after `from`; None without a `from`."""
        return self._constant_before(code, offset)[0]

    def asked(self, code, offset):
        """The names that an import takes, as `_names` gives them, and the number of its dots."""
        names, at = self._constant_before(code, offset)
        if code.co_code[at] == self._number:
            return names, code.co_code[at + 1]
        return names, self._constant_before(code, at + 2)[0]

    def _constant_before(self, code, offset):
        """The constant that the operation before an offset loads, and the offset of the one before that."""
        text = code.co_code
        at = offset - 2
        while text[at] == self._extended:
            at -= 2
        if text[at] != self._constant:
            raise UnclearImportError
        argument, before, shift = text[at + 1], at - 2, 8
        while before >= 0 and text[before] == self._extended:
            argument |= text[before + 1] << shift
            before, shift = before - 2, shift + 8
        return code.co_consts[argument], before

    def _written(self, item, begin):
        """Form, module, names and level of an import, where its line is one of the usual form."""
        module, names = item
        if module and self._data.startswith(
            plain_line(module, names), begin
        ):  # as most are written, and no pattern is needed
            return ["import", module, [], 0] if names is None else ["from", module, list(names), 0]
        match = IMPORT_LINE.match(self._data, begin)
        if match is None or bool(match.group(1)) != isinstance(names, tuple):
            raise UnclearImportError
        if names is None:
            return ["import", module, [], 0]
        text = match.group(3).decode("ascii")
        if text != (module or "import"):
            raise UnclearImportError
        return ["from", module, list(names), len(match.group(2))]

    def blocks(self, code):
        """The functions and classes with imports in a code object, each with its first line."""
        if not self._is_nested:
            return
        for item in code.co_consts:
            if type(item) is CODE and self._holds_imports(item):
                yield item.co_firstlineno, item

    def _holds_imports(self, code):
        return self._import in code.co_code[::2] or any(
            type(item) is CODE and self._holds_imports(item) for item in code.co_consts
        )

    def body_of(self, code, begin):
        """Where the text after the first line of a function or class begins."""
        header = HEADER.search(self._data, begin)
        is_block = BLOCK_START.match(self._data, self._end_of_margin(begin))
        if header is None or not is_block or header.group(1) != code.co_name.encode():
            raise UnclearImportError
        return header.end()


def plain_line(module, names):
    """An import of a module, or of names from it, in its shortest form."""
    if names is None:
        return ("import %s\n" % module).encode("utf-8")
    return ("from %s import %s\n" % (module, ", ".join(names))).encode("utf-8")


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


def lesser(width):
    """What finds a statement with a smaller margin than some width."""
    return re.compile(rb"\n[ \t]{0,%d}[^\s#)\]}]" % (width - 1))  # `re` keeps it
