"""What the compiled code of a module shows, decoded once: its names and lines, what it imports, and what it binds for sure.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import opcode
import re
import sys
from bisect import bisect_right

from buildguard.remote.import_outline import DOUBLE, SINGLE, SourceLines

CODE = type((lambda: None).__code__)
NEWEST = (3, 15)  # from where on the argument of IMPORT_NAME holds more than a name
FUNCTION = 1  # in the flags of code: a function's, as opposed to a module's or class's
OPERATIONS = opcode.opmap
EXTENDED = opcode.EXTENDED_ARG
IMPORT, IMPORT_FROM = OPERATIONS["IMPORT_NAME"], OPERATIONS["IMPORT_FROM"]
CONSTANT, SMALL_NUMBER = OPERATIONS["LOAD_CONST"], OPERATIONS.get("LOAD_SMALL_INT", -1)
RAISE = OPERATIONS["RAISE_VARARGS"]
RETURNS = [OPERATIONS[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in OPERATIONS]
STORE, STORE_GLOBAL = OPERATIONS["STORE_NAME"], OPERATIONS["STORE_GLOBAL"]
SPOKEN = frozenset(("import_module", "__import__", "__all__"))
# A line that begins a statement which is executed whatever happens: at the left margin, and no block.
SURE = re.compile(
    rb"(?!(?:if|elif|else|for|while|with|try|except|finally|match|case|async[ \t]+(?:for|with))\b)"
    rb"(?:type\b|[A-Za-z_][\w.,* \t]*(?::[^=]*)?[-+*/%&|^@<>]*=(?!=))"
)
MARGINS = (b" ", b"\t")
PLAIN = (b"import ", b"from ", b"def ", b"class ", b"async def ")
PAIRS = ((b"(", b")"), (b"[", b"]"), (b"{", b"}"))
# One for each operation that may go on elsewhere.
JUMPS = bytes(item in opcode.hasjrel or item in opcode.hasjabs for item in range(256))
DELETE, DELETE_GLOBAL = OPERATIONS["DELETE_NAME"], OPERATIONS["DELETE_GLOBAL"]
DELETE_PART, STORE_PART = OPERATIONS["DELETE_SUBSCR"], OPERATIONS["STORE_SUBSCR"]
REMOVING = frozenset(("pop", "popitem", "clear"))
RUNS = frozenset(("exec", "eval"))
REMOVAL = re.compile(r"(?:^|[\n;:])[ \t]*del[ (]|(?:globals\(\)|vars\(\)|locals\(\)|__dict__)\.(?:pop|popitem|clear)\(")
SPACES = frozenset(("globals", "vars", "locals", "__dict__"))
CHANGES_OF_NAMES = (("STORE_NAME", 1), ("STORE_GLOBAL", 1 << 20), ("DELETE_NAME", 1 << 20), ("DELETE_GLOBAL", 1 << 20))


class UnclearImportError(Exception):
    """An import that may be guarded, or that is written in another way than usual."""


class ModuleCode:
    """A module's source and what it compiles to.

    `codes` are the module's own code and all that is nested in it, `names` those of all of them, `operations` the numbers of its own
    operations, `starts` the offsets at which lines begin in it and `numbers` those lines, `imports` and `stores` the names of its own
    code with their offsets; None for imports of a Python whose code says more of them than a name. `declaring` are the codes where some of them may bind names of the module from elsewhere, else none.
    """

    def __init__(self, data, code):
        self.data = data
        self.code = code
        self._lines = None
        self.codes, self.names = codes_and_names(code)
        self.operations = operations = code.co_code[::2]
        self.starts, self.numbers = line_table(code)
        self.imports = operands(code, operations, IMPORT) if sys.version_info < NEWEST else None
        self.stores = operands(code, operations, STORE)
        self.declaring = self.codes if self._may_declare() else ()

    def _may_declare(self):
        """Whether code declares names `global`, or assigns in a comprehension of the module."""
        if STORE_GLOBAL in self.operations:
            return True
        if len(self.codes) == 1:
            return False
        if b"global" in self.data:
            return True
        for part in self.code.co_consts:
            if type(part) is CODE and part.co_name[0] == "<":
                return b":=" in self.data
        return False

    @property
    def lines(self):
        """Where the lines of the source begin; `\\n` alone ends them."""
        if self._lines is None:
            self._lines = SourceLines(self.data)
        return self._lines

    def line_at(self, offset):
        """The line of the operation at an offset of the module's own code."""
        return self.numbers[bisect_right(self.starts, offset) - 1]

    def lines_of(self, operation):
        """The lines of the module's own code in which an operation is."""
        at = self.operations.find(operation)
        while at >= 0:
            yield self.line_at(2 * at)
            at = self.operations.find(operation, at + 1)

    def bindings(self):
        """Where in the code the module binds each name first, in that order, and the first line of each.

        The lines are those of names that functions declare `global` too.
        """
        offsets, bound = {}, {}
        stores = self.stores
        if self.declaring:  # of what the module declares `global`, or assigns in a comprehension
            own = operands(self.code, self.operations, STORE_GLOBAL)
            stores = sorted(stores + own, key=offset_of) if own else stores
        for name, offset in stores:
            if name not in offsets:
                offsets[name] = offset
                bound[name] = self.line_at(offset)
        for part in self.declaring[1:]:
            for name, _offset in operands_of(part, STORE_GLOBAL):
                bound.setdefault(name, part.co_firstlineno)
        return offsets, bound

    def names_bound_again(self):
        """The names that a module binds more than once, and once by anything else than an import; what only type checkers set aside."""
        if len({name for name, _offset in self.stores}) == len(self.stores):
            return []  # as in most modules
        once, others, again = set(), set(), set()
        for name, offset in self.stores:
            if self.operations[self.filled_at(offset) // 2] not in (IMPORT, IMPORT_FROM):
                others.add(name)
            (again if name in once else once).add(name)
        return sorted(again & others - {"TYPE_CHECKING"})

    def filled_at(self, offset):
        """Where the operation is whose result the one at an offset stores."""
        at = offset // 2 - 1
        while at >= 0 and self.operations[at] == EXTENDED:
            at -= 1
        return 2 * at

    def uses_of(self, name):
        """How often code reads and binds a name; None where a function or class binds a name of its own that is called so."""
        count = 0
        for part in self.codes:
            if name in part.co_varnames or name in part.co_cellvars or name in part.co_freevars:
                return None
            if name in part.co_names:
                count += uses_in(part, name)
        return count

    def changes_of(self, name, is_by_line=False):
        """How often a module's own code binds a name; more than any source does where something else may bind or delete it.

        By line, what the compiler copied counts once: from 3.12 on it does so with what ends a module after a `try`.
        """
        count = 0
        for kind, weight in CHANGES_OF_NAMES:
            for part in self.codes if kind.endswith("GLOBAL") else self.codes[:1]:
                if name in part.co_names:
                    changes = [at for changed, at in operands_of(part, OPERATIONS[kind]) if changed == name]
                    lines = set(map(self.line_at, changes)) if is_by_line and weight == 1 else changes
                    count += len(lines) * weight
        return count

    def count_imports(self):
        """How many imports all of the code has."""
        return imports_in(self.codes)

    def holding_imports(self):
        """The identities of the nested code that imports, or holds code that does."""
        holding = set()
        for part in reversed(self.codes[1:]):  # what is in it comes behind it
            text = part.co_code
            imports = IMPORT in text and IMPORT in text[::2]
            if imports or (holding and not holding.isdisjoint(map(id, part.co_consts))):
                holding.add(id(part))
        return holding

    def bare_blocks(self):
        """The first lines of the functions and classes that neither import nor bind `__all__`, whatever their text says."""
        bare, others = set(), set()
        for item in self.code.co_consts:
            if type(item) is CODE:
                parts, names = codes_and_names(item)
                is_other = imports_in(parts) or not SPOKEN.isdisjoint(names)
                (others if is_other else bare).add(item.co_firstlineno)
        return bare - others

    def changing(self, operation):
        """The names that one operation takes in code that may declare names of the module."""
        return {name for part in self.declaring for name, _at in operands_of(part, operation)}


def codes_and_names(code):
    """A code object and all that are nested in it, and the names of all of them."""
    codes = [code]
    for part in codes:
        for constant in part.co_consts:
            if type(constant) is CODE:
                codes.append(constant)  # noqa: PERF401 - a comprehension is slower for the few that hold code
    return codes, set().union(*[part.co_names for part in codes])


def line_table(code):
    """The offsets at which lines begin in a code object, from its first one on, and those lines."""
    if hasattr(code, "co_lines"):
        rows = [row for row in code.co_lines() if row[2] is not None]
        if not rows:
            return (0,), (code.co_firstlineno,)
        starts, _ends, numbers = zip(*rows)
        return ((0,) + starts[1:] if starts[0] else starts), numbers
    offset, line = 0, code.co_firstlineno
    starts, numbers = [0], [line]
    for step, lines in zip(code.co_lnotab[::2], code.co_lnotab[1::2]):
        offset += step
        line += lines - 256 if lines >= 128 else lines
        starts.append(offset)
        numbers.append(line)
    return starts, numbers


def lines_at(code, offsets):
    """The lines at some offsets of a code object, which ascend: what comes after the last of them is not looked at."""
    if not offsets or not hasattr(code, "co_lines"):
        starts, numbers = line_table(code) if offsets else ((), ())
        return [numbers[bisect_right(starts, offset) - 1] for offset in offsets]
    lines, pending = [], iter(offsets)
    line, offset = code.co_firstlineno, next(pending)
    for _start, end, number in code.co_lines():
        if number is not None:
            line = number
        while offset < end:
            lines.append(line)
            offset = next(pending, None)
            if offset is None:
                return lines
    return lines


def offset_of(pair):
    """Where in the bytecode a name is bound."""
    return pair[1]


def operands_of(code, operation):
    """Each name that one operation takes in a code object, and where in the bytecode."""
    text = code.co_code
    return operands(code, text[::2], operation) if operation in text else []


def operands(code, operations, operation):
    """The same, where the numbers of its operations are known."""
    pairs = []
    at = operations.find(operation)
    if at >= 0:
        text, names, find = code.co_code, code.co_names, operations.find
        while at >= 0:
            argument = text[2 * at + 1]
            if at and operations[at - 1] == EXTENDED:
                argument |= extended_argument(text, 2 * at)
            pairs.append((names[argument], 2 * at))
            at = find(operation, at + 1)
    return pairs


def extended_argument(text, offset):
    """What the operations before one add to its argument."""
    argument, shift = 0, 8
    offset -= 2
    while offset >= 0 and text[offset] == EXTENDED:
        argument |= text[offset + 1] << shift
        offset, shift = offset - 2, shift + 8
    return argument


def constants_before(code, offset):
    """What the import at an offset takes: what follows `import` after `from` (None without a `from`), and the number of its dots."""
    text = code.co_code
    if text[offset - 2] == CONSTANT == text[offset - 4] and text[offset - 6] != EXTENDED:  # nearly all
        return code.co_consts[text[offset - 1]], code.co_consts[text[offset - 3]]
    names, at = constant_before(code, text, offset)
    if text[at] == SMALL_NUMBER:
        return names, text[at + 1]
    return names, constant_before(code, text, at + 2)[0]


def constant_before(code, text, offset):
    """The constant that the operation before an offset loads, and the offset of the one before that."""
    at = offset - 2
    while text[at] == EXTENDED:
        at -= 2
    if text[at] != CONSTANT:
        raise UnclearImportError
    argument, before = text[at + 1], at - 2
    if before >= 0 and text[before] == EXTENDED:
        argument |= extended_argument(text, at)
        while before >= 0 and text[before] == EXTENDED:
            before -= 2
    return code.co_consts[argument], before


def uses_in(code, name):
    """How often one code object reads and binds a name of its module."""
    count = 0
    index = code.co_names.index(name)
    text = code.co_code
    for kind in ("LOAD_NAME", "STORE_NAME", "LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_NAME", "DELETE_GLOBAL"):
        shift = 1 if kind == "LOAD_GLOBAL" and "PUSH_NULL" in OPERATIONS else 0  # a bit of it says that it is called
        operations = text[::2]
        at = operations.find(OPERATIONS[kind])
        while at >= 0:
            argument = text[2 * at + 1] | extended_argument(text, 2 * at)
            count += argument >> shift == index
            at = operations.find(OPERATIONS[kind], at + 1)
    return count


def imports_in(codes):
    """How many imports compiled code has."""
    texts = [code.co_code for code in codes]
    return sum([text[::2].count(IMPORT) for text in texts if IMPORT in text])


# --- names that are there for sure


def unsure_names(module, bound, offsets, is_dynamic):
    """The bound names whose first statement is no sure one, and all that are deleted; "*" where code may remove any.

    `bound` and `offsets` are the module's bindings, and `is_dynamic` says that names may change in ways that no statement shows.
    """
    if is_dynamic and may_remove(module.codes):
        return ["*"]
    unsure = names_behind(module, bound, offsets)
    if DELETE in module.operations:
        unsure.update(name for name, _at in operands(module.code, module.operations, DELETE))
    if module.declaring:
        unsure.update(bound.keys() - offsets.keys())
        unsure |= module.changing(DELETE_GLOBAL)
    return sorted(unsure)


def names_behind(module, bound, offsets):
    """The names that are bound behind the first jump, and not at a line that is executed whatever happens."""
    whole = straight_until(module.code, module.operations)
    if not module.declaring and (not module.stores or module.stores[-1][1] < whole):
        return set()
    names = [name for name, offset in offsets.items() if offset >= whole]
    if not names:
        return set()
    data = module.data
    lines = SourceLines(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")) if b"\r" in data else module.lines
    # in the order of their lines, as each is looked for from the last one on
    return {name for name in names if bound[name] <= 0 or not is_sure(lines, bound[name])}


def straight_until(code, operations):
    """The offset in a code object up to which nothing jumps, and no handler takes over: all of it is executed, or fails."""
    first = operations.translate(JUMPS).find(1)  # no pattern to load `re` for
    whole = len(code.co_code) if first < 0 else 2 * first
    table = getattr(code, "co_exceptiontable", b"")
    if table:  # where its first range starts, six bits in each byte
        at, start = 0, table[0] & 63
        while table[at] & 64:
            at += 1
            start = start << 6 | table[at] & 63
        whole = min(whole, 2 * start)
    return whole


def is_sure(lines, number):
    """Whether a line begins a statement that a module always executes, and is in no text or brackets of one before it."""
    try:
        line, is_continued = lines.text_of(number)
    except ValueError:  # no such line
        return False
    if is_continued or line.startswith(MARGINS) or DOUBLE in line or SINGLE in line:
        return False
    if line.startswith(PLAIN):  # in brackets none of them can be
        return True
    if SURE.match(line) is None or b";" in line or b":=" in line:
        return False
    return all(line.count(last) <= line.count(first) for first, last in PAIRS if last in line)


def may_remove(codes):
    """Whether a module takes names away by other means than statements, or puts something else in its own place."""
    for part in codes:
        names, operations = part.co_names, part.co_code[::2]
        if not SPACES.isdisjoint(names) and (DELETE_PART in operations or not REMOVING.isdisjoint(names)):
            return True
        if "modules" in names and "__name__" in names and (STORE_PART in operations or "delattr" in names):
            return True
    return any(not RUNS.isdisjoint(part.co_names) for part in codes) and any(map(has_removal, codes))


def has_removal(code):
    """Whether a text in a code object takes names away, once something executes it."""
    return any(isinstance(item, str) and REMOVAL.search(item) is not None for item in code.co_consts)
