"""The statements that guard imports, each read from a syntax tree of its own: the rest of the source is not parsed again.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks. What a name means is read from compiled
code; where that does not show it, `UnclearImportError` leaves the source to a tree of all of it.
"""

import ast
from bisect import bisect_right
from itertools import chain

from buildguard.remote.import_codes import ENDING, ENDING_WORD, FUNCTION, UnclearImportError, first_of
from buildguard.remote.import_outline import (
    BLOCK_START,
    CODE,
    CONTINUED,
    block_end,
    changes_in,
    line_starts,
    stored,
)
from buildguard.remote.import_tests import ABSENT, TESTED, Evaluator, UnknownValue

AT_MARGIN = b" \t#)]}\n"  # what begins no statement at the left margin
BLOCKS = (b"def", b"class", b"async")
CODING = b"coding"
UNCLEAR = UnknownValue()
STAR = ("*",)  # what `from x import *` takes
INNER = b"if 1:\n"  # what a function of a class is put below, so that it parses alone


class ImportPieces:
    """The rows of a module's plain imports, and the statements around the others.

    `rows` are as in the facts. `pieces` are the first line of each statement, the line after it, its text, and whether it is a
    function of a class. The statements around `uses`, pairs of an offset and a word, are among them.
    """

    def __init__(self, reader, code, data, uses=()):
        self.rows = []
        self.pieces = []
        self.words = {word for _at, word in uses}
        self._reader = reader
        self.data = data
        self._lines = None
        self._split(code, sorted(data.count(b"\n", 0, at) + 1 for at, _word in uses))

    def covers(self, line):
        """Whether a line of the module's own code is in one of the pieces."""
        return any(start <= line < stop for start, stop, _text, _is_inner in self.pieces)

    def _split(self, code, uses):
        reader = self._reader
        lines = reader.lines
        items = sorted(chain(reader.statements(code, lines), reader.blocks(code)), key=first_of)
        used = self._add_uses(uses)
        after = 0
        for line, item in items:
            if line < after or any(start <= line < stop for start, stop in used):
                continue
            begin = reader.start_of(line)
            try:
                self.rows += reader.rows_of(line, item, begin, reader.margin_of(begin, 0, None), False)
            except UnclearImportError:
                if not self._split_class(item, begin):
                    after = self._add_statement(line)
        if used:
            self.pieces.sort(key=first_of)
        if items:
            self._check_order(code, items[-1][0])

    def _add_uses(self, uses):
        """Add the statements around some lines; return the lines of each: its first, and the one after it."""
        after = 0
        for line in uses:
            after = self._add_statement(line) if line >= after else after
        return [piece[:2] for piece in self.pieces]

    def _check_order(self, code, last):
        """Nothing ends the module before its last import, but for what the pieces show."""
        ends = list(lines_of(code, self._reader.raising, self._reader.lines))
        if not ENDING.isdisjoint(code.co_names):
            stop = self._reader.start_of(last)
            words = ENDING_WORD.finditer(self.data, 0, stop)
            ends += [self.data.count(b"\n", 0, match.start()) + 1 for match in words]
        if any(line < last and not self.covers(line) for line in ends):
            raise UnclearImportError

    def _add_statement(self, line):
        """Add the statement at the left margin that a line is in; return the line after it."""
        if self._lines is None:
            self._lines = sorted({item for _offset, item in self._reader.lines})
        at = bisect_right(self._lines, line) - 1
        while at >= 0 and not self._begins_statement(self._lines[at]):
            at -= 1
        if at < 0:
            raise UnclearImportError
        end = bisect_right(self._lines, line)
        is_decorated = self._begins_with(self._lines[at], b"@")
        while end < len(self._lines) and (is_decorated or not self._begins_statement(self._lines[end])):
            is_decorated = is_decorated and not self._begins_with(self._lines[end], BLOCKS)
            end += 1
        start, stop = self._lines[at], self._lines[end] if end < len(self._lines) else 0
        last = self._reader.start_of(stop) if stop else len(self.data)
        stop = stop or start + self.data.count(b"\n", self._reader.start_of(start)) + 1
        self._add(start, stop, self.data[self._reader.start_of(start) : last], False)
        return stop

    def _begins_with(self, line, words):
        return self.data.startswith(words, self._reader.start_of(line))

    def _begins_statement(self, line):
        begin = self._reader.start_of(line)
        return self.data[begin : begin + 1] not in AT_MARGIN and not CONTINUED.match(self.data, begin)

    def _add(self, start, stop, text, is_inner):
        if not text.isascii() and CODING in b"".join(self.data.split(b"\n", 2)[:2]):
            raise UnclearImportError
        self.pieces.append((start, stop, text, is_inner))

    def _split_class(self, item, begin):
        """Split a class at the left margin into its functions; whether that shows all of its imports."""
        if type(item) is not CODE or item.co_flags & FUNCTION:
            return False
        rows, pieces = len(self.rows), len(self.pieces)
        try:
            if self._reader.margin_of(begin, 0, None) == 0:
                self._read_class(item, self._reader.body_of(item, begin))
                return True
        except UnclearImportError:
            del self.rows[rows:], self.pieces[pieces:]
        return False

    def _read_class(self, code, body):
        reader = self._reader
        lines = line_starts(code)
        functions = sorted(reader.blocks(code), key=first_of)
        if list(reader.statements(code, lines)) or list(lines_of(code, reader.raising, lines)):
            raise UnclearImportError
        margin = None
        for line, item in functions:
            begin = reader.start_of(line)
            margin = reader.margin_of(begin, margin, body)
            try:
                self.rows += reader.rows_of(line, item, begin, margin, False)
            except UnclearImportError:
                self._add_function(item, line, begin, margin)
            body = begin

    def _add_function(self, item, line, begin, margin):
        if not item.co_flags & FUNCTION:
            raise UnclearImportError
        header = self._reader.body_of(item, begin)
        end = block_end(self.data, header - 1, margin)
        text = self.data[begin:end]
        self._add(line, line + text.count(b"\n") + 1, INNER + text + b"\n", True)


class PieceEvaluator(Evaluator):
    """Values in the pieces of a module, where names of the rest of it are those that its compiled code shows."""

    def __init__(self, version, platform, names, module):
        Evaluator.__init__(self, version, platform, names)
        self._module = module
        self._origins = {}  # type: dict[str, str]

    def alias_of(self, name):
        """What an import outside of the pieces calls a name, unless one inside does."""
        alias = self._aliases.get(name)
        if alias is None:
            alias = self._origins.get(name)
            if alias is None:
                alias = self._origins[name] = self._module.origin_of(name)
        return alias

    def value_of(self, name):
        """The value that an assignment in the pieces gave a name; UnclearImportError where one outside may have given another."""
        value = self._values.get(name, ABSENT)
        if value is UNCLEAR or (value is not TESTED and self._module.may_assign(name)):
            raise UnclearImportError
        return value

    def see_assignment(self, targets, node):
        """The same; what cannot be evaluated here matters only where something asks for it."""
        try:
            Evaluator.see_assignment(self, targets, node)
        except UnclearImportError:
            self._values.update({target.id: UNCLEAR for target in targets if isinstance(target, ast.Name)})


class NameOrigins:
    """How a module binds its names outside of the pieces, read from its code."""

    def __init__(self, code, reader, split):
        import opcode

        self._lines = reader.lines
        self._starts = [start for start, _line in reader.lines]
        self._reader = reader
        self._split = split
        self._code = code
        self._fills = {}  # type: dict[str, list[int]]  # where the operation is whose result each name is
        operations = code.co_code[::2]
        for name, offset in stored(code, opcode.opmap["STORE_NAME"], opcode.EXTENDED_ARG):
            before = offset - 2
            while operations[before // 2] == opcode.EXTENDED_ARG:
                before -= 2
            self._fills.setdefault(name, []).append(before)
        # where a store may follow that an import fills
        self._modules = list(stored(code, opcode.opmap["IMPORT_NAME"], opcode.EXTENDED_ARG))
        self._imports = {at: name for name, at in stored(code, opcode.opmap["IMPORT_FROM"], opcode.EXTENDED_ARG)}
        self._imports.update((at, "") for _name, at in self._modules)

    def may_assign(self, name):
        """Whether something else than an import, a function or a class may bind a name."""
        return any(at not in self._imports and not self._is_block(at) for at in self._outside(name))

    def origin_of(self, name):
        """The full name of what an import calls `name`; the name itself without one."""
        outside = self._outside(name)
        if self._imports.keys().isdisjoint(outside):
            return name
        if len(self._fills[name]) > 1:
            raise UnclearImportError
        return self._imported(name, outside[0]) or name

    def module_of(self, name, codes):
        """The module that each import of a source calls `name`; empty where something else binds it too.

        UnclearImportError where only a syntax tree shows that.
        """
        code, nested = codes[0], codes[1:]
        fills = self._fills.get(name, ())
        if not self._imports.keys() >= set(fills):
            return ""
        if STAR in code.co_consts or changes_in(codes, name) != len(fills) or any(binds(part, name) for part in nested):
            raise UnclearImportError
        modules = {self._imported(name, at) for at in fills}
        if len(modules) != 1 or name in code.co_varnames:
            raise UnclearImportError
        return modules.pop()

    def _outside(self, name):
        """Where a name is bound outside of the pieces."""
        return [at for at in self._fills.get(name, ()) if not self._split.covers(self._line_of(at))]

    def _line_of(self, offset):
        return self._lines[max(0, bisect_right(self._starts, offset) - 1)][1]

    def _is_block(self, offset):
        return BLOCK_START.match(self._split.data, self._reader.start_of(self._line_of(offset))) is not None

    def _imported(self, name, at):
        """What an import whose last part is at an offset calls `name`; empty where it is relative."""
        number = bisect_right([offset for _module, offset in self._modules], at) - 1
        module, offset = self._modules[number]
        names, level = self._reader.asked(self._code, offset)
        part = self._imports[at]
        if names is not None:
            return module + "." + part if module and not level else ""
        return name if not part and name == module.partition(".")[0] else module


def binds(code, name):
    """Whether a function or class binds a name of its own."""
    import opcode

    if name in code.co_varnames or name in code.co_cellvars:
        return True
    stores = stored(code, opcode.opmap["STORE_NAME"], opcode.EXTENDED_ARG) if name in code.co_names else ()
    return any(bound == name for bound, _at in stores)


def lines_of(code, operation, lines):
    """The lines of a code object in which an operation is."""
    operations = code.co_code[::2]
    starts = None
    at = operations.find(operation)
    while at >= 0:
        if starts is None:
            starts = [start for start, _line in lines]
        yield lines[max(0, bisect_right(starts, 2 * at) - 1)][1]
        at = operations.find(operation, at + 1)
