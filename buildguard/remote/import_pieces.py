"""The statements that guard imports, each read from a syntax tree of its own: the rest of the source is not parsed again.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks. What a name means is read from compiled
code; where that does not show it, `UnclearImportError` leaves the source to a tree of all of it.
"""

import ast
import re
from bisect import bisect_right

from buildguard.remote.import_codes import ENDING, ENDING_WORD, first_of, import_row, plain_line
from buildguard.remote.import_outline import BLOCK_START, CONTINUATION, CONTINUED, block_end
from buildguard.remote.import_tests import ABSENT, TESTED, Evaluator, UnknownValue
from buildguard.remote.module_code import (
    CODE,
    FUNCTION,
    IMPORT,
    IMPORT_FROM,
    RAISE,
    STORE,
    UnclearImportError,
    codes_and_names,
    constants_before,
    imports_in,
    operands,
    operands_of,
)

AT_MARGIN = b" \t#)]}\n"  # what begins no statement at the left margin
VARIABLE, KEYWORDS = 4, 8  # in the flags of code: a function with `*args`, and with `**kwargs`
BLOCKS = (b"def", b"class", b"async")
CODING = b"coding"
STAR = ("*",)  # what `from x import *` takes
FLAG, FLAG_RENAMED = "TYPE_CHECKING", b"TYPE_CHECKING as"
# What the row of its import says, but for the line and the names.
FLAG_ROWS = [[[1, "from", module, 0, "", False, False]] for module in ("typing", "typing_extensions")]
ROW_GUARD = 6  # where a row has its guard
# A statement at the left margin for type checkers that holds nothing but imports, each of which begins a line.
TYPING = b"if TYPE_CHECKING:"
TYPING_IMPORTS = re.compile(
    rb"if TYPE_CHECKING:[ \t]*(?:#[^\n]*)?\n"
    rb"(?:[ \t]*(?:#[^\n]*)?\n|[ \t]+import [\w., ]+(?:#[^\n]*)?\n"
    rb"|[ \t]+from [\w.]+ import (?:[\w, ]+|\((?:[\w,\s]|#[^\n]*\n)*\)[ \t]*)(?:#[^\n]*)?\n)+"
)
INNER = b"if 1:\n"  # what a function of a class is put below, so that it parses alone


class UnclearLinesError(UnclearImportError):
    """What only the statements around some lines, outside of the pieces, may show."""

    def __init__(self, lines):
        UnclearImportError.__init__(self, lines)
        self.lines = lines


class UnclearValue(UnknownValue):
    """A value that depends on what some lines outside of the pieces say."""

    def __init__(self, lines):
        UnknownValue.__init__(self)
        self.lines = lines


class ImportPieces:
    """The rows of a module's plain imports, and the statements around the others.

    `rows` are as in the facts. `pieces` are the first line of each statement, the line after it, its text, and whether it is a
    function of a class. The statements around some `lines` are among them; these are sorted. `star_lines` are those of stars.
    """

    def __init__(self, reader, lines=()):
        self.rows = []
        self.pieces = []
        self.star_lines = []
        self.module = reader.module
        self.data = reader.module.data
        self._reader = reader
        self._lines = None
        self.lines = sorted(lines)
        self._split(self.lines)

    @property
    def last_line(self):
        """The line of the last import or piece."""
        return max([row[0] for row in self.rows] + [piece[0] for piece in self.pieces])

    def covers(self, line):
        """Whether a line of the module's own code is in one of the pieces."""
        return is_within(line, (piece[:2] for piece in self.pieces))

    def _split(self, lines):
        used = self._add_lines(lines) if lines else ()
        items = self._reader.items()
        if STAR in self.module.code.co_consts:
            self.star_lines = list(lines_of_stars(items))
        self._add_items(items, used)
        if used:
            self.pieces.sort(key=first_of)
        if items or lines:
            self._check_order(max([line for line, _item in items[-1:]] + list(lines)))

    def _add_items(self, items, used):
        """Add the rows of each import, and of code that imports; those in the `used` pieces are read there."""
        data, rows = self.data, self.rows
        after = following = begin = 0
        for line, item in items:
            if line < after or (used and is_within(line, used)):
                continue
            if line != following:
                begin = self._reader.start_of(line)
            # at the left margin in its shortest form, as most are
            text = b"" if type(item) is CODE else plain_line(*item)
            is_plain = text and data.startswith(text, begin)
            if is_plain and (line == following or data[begin - 2 : begin] != CONTINUATION):
                rows.append(import_row(line, 1, item, False))
                following, begin = line + 1, begin + len(text)
            else:
                after = self._add_item(line, item, begin) or after
                following = 0

    def _add_item(self, line, item, begin):
        """Add the rows of an import, or of code that imports; return the line after the statement that has to be read for them."""
        reader = self._reader
        try:
            self.rows += reader.rows_of(line, item, begin, reader.margin_of(begin, 0), False)
        except UnclearImportError:
            return 0 if self._split_class(item, begin) else self._add_statement(line)
        return 0

    def _check_order(self, last):
        """Nothing ends the module before a line, but for what the pieces show."""
        module = self.module
        if RAISE not in module.operations and ENDING.isdisjoint(module.code.co_names):
            return
        ends = list(module.lines_of(RAISE))
        if not ENDING.isdisjoint(module.code.co_names):
            stop = self._reader.start_of(last)
            words = ENDING_WORD.finditer(self.data, 0, stop)
            ends += [self.data.count(b"\n", 0, match.start()) + 1 for match in words]
        uncovered = [line for line in ends if line < last and not self.covers(line)]
        if uncovered:
            raise UnclearLinesError(uncovered)

    # --- statements at the left margin

    def _add_lines(self, lines):
        """Add the statements around some lines, or the functions of a class; return the lines of each: its first, and the one after it."""
        after = 0
        for line in lines:
            if line >= after:
                start, stop = self._statement_around(line)
                after = self._add_function_around(line, start) or self._add_between(start, stop)
        return [piece[:2] for piece in self.pieces]

    def _add_statement(self, line):
        """Add the statement at the left margin that a line is in; return the line after it."""
        start, stop = self._statement_around(line)
        begin = self._reader.start_of(start)
        is_typing = stop and self.data.startswith(TYPING, begin) and self._has_flag()
        match = TYPING_IMPORTS.match(self.data, begin) if is_typing else None
        if match is None or match.end() != self._reader.start_of(stop):
            return self._add_between(start, stop)
        self.rows += [self._typing_row(*item) for item in self._reader.items() if start < item[0] < stop]
        return stop

    def _typing_row(self, line, item):
        """The row of an import that no target reaches."""
        margin = self._reader.margin_of(self._reader.start_of(line), None)
        row = import_row(line, margin + 1, item, False)
        row[ROW_GUARD] = "false"
        return row

    def _has_flag(self):
        """Whether `TYPE_CHECKING` is that of `typing`, by one import at the left margin that nothing guards."""
        module = self.module
        if module.declaring or FLAG_RENAMED in self.data or STAR in module.code.co_consts:
            return False
        rows = [row[1:] for row in self.rows if FLAG in row[4]]
        stores = [name for name, _at in module.stores if name == FLAG]
        return len(stores) == 1 and [row[:3] + row[4:] for row in rows] in FLAG_ROWS

    def _statement_around(self, line):
        """The first line of the statement at the left margin that a line is in, and the one after it; 0 for the end."""
        if self._lines is None:
            self._lines = sorted(set(self.module.numbers) - {0})  # where a module's code begins it is in no line
        at = self._begin_before(bisect_right(self._lines, line))
        if at < 0:
            raise UnclearImportError
        end = bisect_right(self._lines, line)
        is_decorated = self._begins_with(self._lines[at], b"@")
        while end < len(self._lines) and (is_decorated or not self._begins_statement(self._lines[end])):
            is_decorated = is_decorated and not self._begins_with(self._lines[end], BLOCKS)
            end += 1
        before = self._begin_before(at)
        while before >= 0 and self._begins_with(self._lines[before], b"@"):
            at, before = before, self._begin_before(before)
        return self._lines[at], self._lines[end] if end < len(self._lines) else 0

    def _begin_before(self, end):
        """The number of the last line before another one that begins a statement at the left margin; -1 without one."""
        at = end - 1
        while at >= 0 and not self._begins_statement(self._lines[at]):
            at -= 1
        return at

    def _begins_with(self, line, words):
        return self.data.startswith(words, self._reader.start_of(line))

    def _begins_statement(self, line):
        begin = self._reader.start_of(line)
        if self.data[begin : begin + 1] in AT_MARGIN or CONTINUED.match(self.data, begin):
            return False
        return self.data[begin - 2 : begin] != CONTINUATION

    def _add_between(self, start, stop):
        begin = self._reader.start_of(start)
        last = self._reader.start_of(stop) if stop else len(self.data)
        stop = stop or start + self.data.count(b"\n", begin) + 1
        self.pieces = [piece for piece in self.pieces if not start <= piece[0] < stop]  # functions of it
        self._add(start, stop, self.data[begin:last], False)
        return stop

    def _add(self, start, stop, text, is_inner):
        if not text.isascii() and CODING in b"".join(self.data.split(b"\n", 2)[:2]):
            raise UnclearImportError
        self.pieces.append((start, stop, text, is_inner))

    # --- classes

    def _add_function_around(self, line, start):
        """Add the function around a line, where a class at the left margin holds it and it imports nothing; return the line after it."""
        for item in self.module.code.co_consts:
            if type(item) is not CODE or item.co_firstlineno != start:
                continue
            functions = [part for part in functions_of(item) if part.co_firstlineno <= line]
            if not functions or imports_in(codes_and_names(functions[-1])[0]):
                continue
            first = functions[-1].co_firstlineno
            try:
                body = self._reader.body_of(item, self._reader.start_of(start))
                begin = self._reader.start_of(first)
                after = self._add_function(functions[-1], first, begin, self._reader.margin_of(begin, None, body))
            except UnclearImportError:
                return 0
            if line < after:
                return after
            self.pieces.pop()
        return 0

    def _split_class(self, item, begin):
        """Split a class at the left margin into its functions; whether that shows all of its imports."""
        if type(item) is not CODE or item.co_flags & FUNCTION:
            return False
        rows, pieces = len(self.rows), len(self.pieces)
        try:
            if self._reader.margin_of(begin, 0) == 0:
                self._read_class(item, self._reader.body_of(item, begin))
                return True
        except UnclearImportError:
            del self.rows[rows:], self.pieces[pieces:]
        return False

    def _read_class(self, code, body):
        reader = self._reader
        functions = sorted(reader.blocks(code), key=first_of)
        operations = code.co_code[::2]
        if IMPORT in operations or RAISE in operations:
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
        after = line + text.count(b"\n") + 1
        self._add(line, after, INNER + text + b"\n", True)
        return after


def is_within(line, spans):
    """Whether a line is in one of some spans: the first line of each, and the one after it."""
    return any(start <= line < stop for start, stop in spans)


def lines_of_stars(items):
    """The lines of those imports that take whatever a module has."""
    return (line for line, item in items if type(item) is not CODE and item[1] == STAR)


def functions_of(code):
    """The functions that are directly in a class, by their first line; none for other code."""
    if code.co_flags & FUNCTION:
        return []
    parts = [
        item for item in code.co_consts if type(item) is CODE and item.co_flags & FUNCTION and item.co_name[0] != "<"
    ]
    return sorted(parts, key=lambda part: part.co_firstlineno)


class PieceEvaluator(Evaluator):
    """Values in the pieces of a module, where names of the rest of it are those that its compiled code shows."""

    def __init__(self, version, platform, names, origins):
        Evaluator.__init__(self, version, platform, names)
        self._origins_of = origins
        self._origins = {}  # type: dict[str, str]

    def alias_of(self, name):
        """What an import outside of the pieces calls a name, unless one inside does."""
        alias = self._aliases.get(name)
        if alias is None:
            alias = self._origins.get(name)
            if alias is None:
                alias = self._origins[name] = self._origins_of.origin_of(name)
        return alias

    def value_of(self, name):
        """The value that an assignment in the pieces gave a name; UnclearLinesError where one outside may have given another."""
        value = self._values.get(name, ABSENT)
        if type(value) is UnclearValue:
            raise UnclearLinesError(value.lines)
        if value is not TESTED and self._origins_of.may_assign(name):
            raise UnclearLinesError(self._origins_of.lines_of(name))
        return value

    def see_assignment(self, targets, node):
        """The same; what cannot be evaluated here matters only where something asks for it."""
        try:
            Evaluator.see_assignment(self, targets, node)
        except UnclearLinesError as error:
            value = UnclearValue(error.lines)
            self._values.update({target.id: value for target in targets if isinstance(target, ast.Name)})


class NameOrigins:
    """How a module binds its names outside of the pieces, read from its code."""

    def __init__(self, reader, split):
        self._module = reader.module
        self._reader = reader
        self._split = split
        self._stores = None  # type: dict[str, list[int]] | None  # where each name is bound
        self._fills = {}  # type: dict[str, list[int]]  # where the operation is whose result each name is

    def lines_of(self, name):
        """The lines at which a module's own code binds a name."""
        return [self._module.line_at(at) for at in self._fills_of(name)]

    def may_assign(self, name):
        """Whether something else than an import, a function or a class may bind a name."""
        return any(not self._is_import(at) and not self._is_block(at) for at in self._outside(name))

    def origin_of(self, name):
        """The full name of what an import calls `name`; the name itself without one."""
        outside = self._outside(name)
        if not any(map(self._is_import, outside)):
            return name
        if len(self._fills_of(name)) > 1:
            raise UnclearImportError
        return self._imported(name, outside[0]) or name

    def module_of(self, name):
        """The module that each import of a source calls `name`; empty where something else binds it too.

        UnclearImportError where only a syntax tree shows that.
        """
        module = self._module
        fills = self._fills_of(name)
        if not all(map(self._is_import, fills)):
            return ""
        binding = [part for part in module.codes[1:] if binds(part, name)]
        if any(name in arguments_of(part) or IMPORT not in part.co_code[::2] for part in binding):
            return ""
        if STAR in module.code.co_consts or module.changes_of(name) != len(fills) or binding:
            raise UnclearImportError
        modules = {self._imported(name, at) for at in fills} or {""}
        if len(modules) != 1 or name in module.code.co_varnames:
            raise UnclearImportError
        return modules.pop()

    def _fills_of(self, name):
        if self._stores is None:
            self._stores = {}
            for stored, at in self._module.stores:
                self._stores.setdefault(stored, []).append(at)
        fills = self._fills.get(name)
        if fills is None:
            fills = self._fills[name] = [self._module.filled_at(at) for at in self._stores.get(name, ())]
        return fills

    def _outside(self, name):
        """Where a name is bound outside of the pieces."""
        covers, line_at = self._split.covers, self._module.line_at
        return [at for at in self._fills_of(name) if not covers(line_at(at))]

    def _is_import(self, at):
        return self._module.operations[at // 2] in (IMPORT, IMPORT_FROM)

    def _is_block(self, offset):
        return BLOCK_START.match(self._split.data, self._reader.start_of(self._module.line_at(offset))) is not None

    def _imported(self, name, at):
        """What an import whose last part is at an offset calls `name`; empty where it is relative."""
        module, offset = next(pair for pair in reversed(self._module.imports) if pair[1] <= at)
        names, level = constants_before(self._module.code, offset)
        if names is not None:
            part = next(
                part
                for part, of_part in operands(self._module.code, self._module.operations, IMPORT_FROM)
                if of_part == at
            )
            return module + "." + part if module and not level else ""
        return name if offset == at and name == module.partition(".")[0] else module


def arguments_of(code):
    """The parameters of a function."""
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & VARIABLE) + bool(code.co_flags & KEYWORDS)
    return code.co_varnames[:count]


def binds(code, name):
    """Whether a function or class binds a name of its own."""
    if name in code.co_varnames or name in code.co_cellvars:
        return True
    stores = operands_of(code, STORE) if name in code.co_names else ()
    return any(bound == name for bound, _at in stores)
