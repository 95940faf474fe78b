"""What compiled code shows of a module, and the part of its source that holds imports: parsing all of it costs too much.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast
import re
from bisect import bisect_left

CODE = type((lambda: None).__code__)
DOUBLE, SINGLE = b'"' * 3, b"'" * 3  # the quotes of long texts
LONG = 500  # bytes of a class or function from which on its parts are looked at
SHORT = 48
MARGIN = re.compile(rb"\n[^\s#)\]}]")
CONTINUED = re.compile(rb"(?:else|elif|except|finally)\b")
BLOCK_START = re.compile(rb"(?:@|def\b|class\b|async[ \t]+def\b)")
DECORATED = re.compile(rb"\n(?:async[ \t]+)?(?:def|class)\b")
BLOCK = re.compile(rb"\n([ \t]+)(?:async[ \t]+)?(def|class)[ \t]+([^\s(:\[\\]+)")
IMPORTS = re.compile(rb"(?:^|[\n;:])[ \t]*(?:lazy[ \t]+)?(?:import|from)\b|import_module|__import__")
COMPOUND = re.compile(rb"(?:if|try|with|for|while|match|async)\b")
# What guards of imports, and constants in them, are made of.
KEPT = re.compile(
    rb"__all__|\bsys\b|version|platform|os\.name|find_spec|hasattr|getattr|TYPE_CHECKING|\bPY[23]|\braise\b|exit"
    rb"|addsitedir|__file__|ImportError|NotFoundError|__getattr__"
)

CHANGES_OF_NAMES = (("STORE_NAME", 1), ("STORE_GLOBAL", 1 << 20), ("DELETE_NAME", 1 << 20), ("DELETE_GLOBAL", 1 << 20))
SPOKEN = frozenset(("import_module", "__import__", "__all__"))
CALLER = re.compile(rb"(?:import_module|__import__)[\s\\]+as[\s\\]+([\w\x80-\xff]+)")


FIELDS = {}  # type: dict[type, list[str]]
LEAVES = frozenset(
    ("ctx", "op", "ops", "id", "attr", "kind", "lineno", "level", "type_comment", "conversion", "type_ignores")
)
FEW = 30  # lines to look for one by one
STEP = 2000  # bytes whose lines are counted at once, rather than looked for


class SourceLines:
    """Where the lines of a source begin; `\\n` alone ends them. Each is looked for from the last one on."""

    def __init__(self, data):
        self.data = data
        self._line, self._begin = 1, 0

    def start_of(self, line):
        """Where a line begins."""
        data, number, begin = self.data, self._line, self._begin
        if line < number:
            number, begin = 1, 0
        while line - number > FEW:  # by many lines at a time
            lines = data.count(b"\n", begin, begin + STEP)
            if number + lines >= line or begin + STEP >= len(data):
                break
            number, begin = number + lines, begin + STEP
        while number < line:
            begin = data.index(b"\n", begin) + 1
            number += 1
        self._line, self._begin = number, data.rfind(b"\n", 0, begin) + 1
        return self._begin

    def text_of(self, line):
        """A line without its end, and whether the line before it goes on in it."""
        begin = self.start_of(line)
        end = self.data.find(b"\n", begin)
        return self.data[begin : len(self.data) if end < 0 else end], self.data[begin - 2 : begin] == b"\\\n"


def all_codes(code):
    """A code object and all that are nested in it."""
    codes = [code]
    for part in codes:
        codes += [constant for constant in part.co_consts if type(constant) is CODE]
    return codes


def store_offsets(code, codes):
    """Where in the bytecode a module binds each name first, in that order; `codes` where it may declare names `global`."""
    import opcode

    offsets = {}
    for name, offset in stored(code, opcode.opmap["STORE_NAME"], opcode.EXTENDED_ARG):
        offsets.setdefault(name, offset)
    if codes:  # of what the module declares `global`, or assigns in a comprehension
        for name, offset in stored(code, opcode.opmap["STORE_GLOBAL"], opcode.EXTENDED_ARG):
            offsets[name] = min(offset, offsets.get(name, offset))
        offsets = dict(sorted(offsets.items(), key=offset_of))
    return offsets


def names_bound_again(code):
    """The names that a module binds more than once, and once by anything else than an import; what only type checkers set aside."""
    import opcode

    imports = {opcode.opmap["IMPORT_NAME"], opcode.opmap["IMPORT_FROM"]}
    operations = code.co_code[::2]
    once, others, again = set(), set(), set()
    for name, offset in stored(code, opcode.opmap["STORE_NAME"], opcode.EXTENDED_ARG):
        before = offset // 2 - 1
        while before >= 0 and operations[before] == opcode.EXTENDED_ARG:
            before -= 1
        if operations[before] not in imports:
            others.add(name)
        (again if name in once else once).add(name)
    return sorted(again & others - {"TYPE_CHECKING"})


def bound_names(offsets, codes, lines):
    """The names that a module binds at its top, by `global` in the functions among `codes` too, each with its first line.

    `offsets` are those of `store_offsets`, `lines` those of the module's code.
    """
    import opcode

    bound = {}
    at = 0
    for name, offset in offsets.items():
        while at + 1 < len(lines) and lines[at + 1][0] <= offset:
            at += 1
        bound[name] = lines[at][1]
    for part in codes[1:]:
        for name, _offset in stored(part, opcode.opmap["STORE_GLOBAL"], opcode.EXTENDED_ARG):
            bound.setdefault(name, part.co_firstlineno)
    return bound


def offset_of(pair):
    """Where in the bytecode a name is bound."""
    return pair[1]


def stored(code, operation, extended):
    """Each name that one operation stores in a code object, and where in the bytecode."""
    text = code.co_code
    operations = text[::2]
    at = operations.find(operation)
    while at >= 0:
        argument, before, shift = text[2 * at + 1], at - 1, 8
        while before >= 0 and operations[before] == extended:
            argument |= text[2 * before + 1] << shift
            before, shift = before - 1, shift + 8
        yield code.co_names[argument], 2 * at
        at = operations.find(operation, at + 1)


def line_starts(code):
    """The offsets at which lines begin in a code object, with their lines."""
    if hasattr(code, "co_lines"):
        starts = [(start, line) for start, _end, line in code.co_lines() if line is not None]
        return starts or [(0, code.co_firstlineno)]
    offset, line = 0, code.co_firstlineno
    starts = [(0, line)]
    for step, lines in zip(code.co_lnotab[::2], code.co_lnotab[1::2]):
        offset += step
        line += lines - 256 if lines >= 128 else lines
        starts.append((offset, line))
    return starts


# ------------------------------------------------------------------------------------------ the tree


def outline_of(data, typed, blocks, is_whole=False):
    """The statements of a source that imports depend on, each on its own line; parsing the rest costs most of the time.

    Statements begin at lines that are not indented. With `typed`, those stay too that it matches, and what classes are. Left out
    are the `blocks` that are read already, by their first line; those that were found come second. So is what comes after the
    last import, unless `is_whole` says that it matters.
    """
    if b"\r" in data or b"\0" in data or b"\f" in data:
        return None, []
    spans, left_out = spans_of(data, blocks)
    last = len(spans) if is_whole or typed is not None else last_import(data, spans)
    pieces = []
    kept = 0
    for number, (start, stop, is_block) in enumerate(spans):
        text = data[start:stop]
        if number >= last:
            break
        if is_block or not is_needed(text, typed):
            pieces.append(data[kept:start])
            pieces.append(b"\n" * text.count(b"\n"))
            kept = stop
        elif len(text) > LONG and typed is None and BLOCK_START.match(text):
            pieces.append(data[kept:start])
            pieces.append(without_functions(text))
            kept = stop
    pieces.append(data[kept : spans[last][0]] if last < len(spans) else data[kept:])
    return b"".join(pieces), left_out


def spans_of(data, blocks):
    """Where each statement at the left margin begins and ends, and whether it is one of the blocks; the lines of those."""
    spans, left_out = [], []
    start = counted = 0
    line = 1
    for stop, is_whole in statement_ends(data):
        if not is_whole:
            continue
        is_block = False
        if blocks and BLOCK_START.match(data, start):
            line += data.count(b"\n", counted, start)
            counted = start
            is_block = line in blocks
            left_out += [line] if is_block else []
        spans.append((start, stop, is_block))
        start = stop
    return spans, left_out


def last_import(data, spans):
    """The number of the statement after the last one that imports, or that names `__all__`."""
    for number in range(len(spans) - 1, -1, -1):
        start, stop, is_block = spans[number]
        if not is_block and (data.find(b"import", start, stop) >= 0 or data.find(b"__all__", start, stop) >= 0):
            return number + 1
    return 0


def statement_ends(data):
    """Where each statement at the left margin ends, and whether it is whole: no decorator, nothing that the next one goes on."""
    at = last = double = single = 0
    quotes = DOUBLE in data or SINGLE in data
    for match in MARGIN.finditer(data):
        stop = match.start() + 1
        if quotes:
            double += data.count(DOUBLE, last, stop)
            single += data.count(SINGLE, last, stop)
            last = stop
            if double % 2 or single % 2:
                continue  # inside of a long text
        is_decorator = data[at : at + 1] == b"@" and not DECORATED.search(data, at, stop)
        yield stop, not (is_decorator or CONTINUED.match(data, stop))
        if not is_decorator:
            at = stop
    yield len(data), True


def statements_with(data, word):
    """The text of the statements at the left margin in which a word is."""
    pieces, start = [], 0
    for stop, is_whole in statement_ends(data):
        if is_whole:
            if data.find(word, start, stop) >= 0:
                pieces.append(data[start:stop])
            start = stop
    return b"".join(pieces)


def uses_in(code, name):
    """How often a module's own code reads and binds a name; None where code in it uses the name too."""
    import opcode

    if any(name in nested.co_names for nested in all_codes(code)[1:]):
        return None
    operations = [opcode.opmap[kind] for kind in ("LOAD_NAME", "STORE_NAME")]
    return sum(used == name for kind in operations for used, _at in stored(code, kind, opcode.EXTENDED_ARG))


def changes_in(codes, name):
    """How often a module's own code binds a name; more than any source does where something else may bind or delete it."""
    import opcode

    count = 0
    for kind, weight in CHANGES_OF_NAMES:
        for part in codes if kind.endswith("GLOBAL") else codes[:1]:
            if name in part.co_names:
                changes = stored(part, opcode.opmap[kind], opcode.EXTENDED_ARG)
                count += sum(changed == name for changed, _at in changes) * weight
    return count


def is_needed(text, typed):
    """Whether imports, or what guards them, depend on a statement."""
    if (b"import" in text and IMPORTS.search(text)) or (typed is not None and (typed.search(text) or b"class" in text)):
        return True
    if BLOCK_START.match(text):
        return False
    if len(text) < SHORT:
        return b"=" in text or KEPT.search(text) is not None
    if len(text) > LONG and not COMPOUND.match(text):
        return text.startswith(b"__all__")
    return KEPT.search(text) is not None


def without_functions(text):
    """A class or function whose inner functions without imports are empty, line for line."""
    pieces, kept = [], 0
    for match in BLOCK.finditer(text):
        start = match.start()
        if start < kept:
            continue
        stop = block_end(text, match.end(), len(match.group(1)))
        block = text[start:stop]
        if b"import" in block and IMPORTS.search(block):
            continue
        indent, kind, name = match.groups()
        pieces.append(text[kept:start] + b"\n" + indent + kind + b" " + name)
        pieces.append((b"(): 0" if kind == b"def" else b": 0") + b"\n" * (block.count(b"\n") - 1))
        kept = stop
    pieces.append(text[kept:])
    return b"".join(pieces)


def block_end(text, at, indent):
    """Where a function or class ends: at the next line that begins no deeper, outside of long texts."""
    dedent = re.compile(rb"\n[ \t]{0,%d}[^\s#)\]}]" % indent)  # `re` keeps it
    start = at
    while True:
        end = dedent.search(text, at)
        if end is None:
            return len(text) - text.endswith(b"\n")
        if text.count(DOUBLE, start, end.start()) % 2 == 0 and text.count(SINGLE, start, end.start()) % 2 == 0:
            return end.start()
        at = end.end()


def bare_blocks(code):
    """The first lines of a module's functions and classes that neither import nor bind `__all__`, whatever their text says."""
    bare, others = set(), set()
    for item in code.co_consts:
        if type(item) is CODE:
            parts = all_codes(item)
            is_other = imports_in(parts) or not all(SPOKEN.isdisjoint(part.co_names) for part in parts)
            (others if is_other else bare).add(item.co_firstlineno)
    return bare - others


def imports_in(codes):
    """How many imports compiled code has."""
    import opcode

    operation = opcode.opmap["IMPORT_NAME"]
    return sum(code.co_code[::2].count(operation) for code in codes)


class CallLines:
    """The lines of a source in which a function that imports may be called."""

    def __init__(self, data):
        found = CALLER.findall(data)
        callers = set(found)
        word = re.compile(rb"import_module|__import__" + b"".join(rb"|\b%s\b" % re.escape(alias) for alias in callers))
        self._lines = (
            None
            if b"\r" in data
            else sorted({data.count(b"\n", 0, match.start()) + 1 for match in word.finditer(data)})
        )

    def are_in(self, node):
        """Whether one is in the text of a statement."""
        if self._lines is None:
            return True
        first = min([node.lineno] + [decorator.lineno for decorator in getattr(node, "decorator_list", ())])
        at = bisect_left(self._lines, first)
        return at < len(self._lines) and self._lines[at] <= node.end_lineno


def is_main_test(node: ast.AST) -> bool:
    """Whether this is `__name__ == "__main__"`."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq):
        return False
    sides = [node.left, node.comparators[0]]
    names = [side.id for side in sides if isinstance(side, ast.Name)]
    texts = [side.value for side in sides if isinstance(side, ast.Constant)]
    return names == ["__name__"] and texts == ["__main__"]


def all_nodes(tree):
    """Every node of a tree, in the order of `ast.walk` and in a third of its time; less those for operators and contexts."""
    nodes = [tree]
    for node in nodes:
        kind = type(node)
        fields = FIELDS.get(kind)
        if fields is None:
            fields = FIELDS[kind] = [field for field in kind._fields if field not in LEAVES]
        for field in fields:
            value = getattr(node, field, None)
            if type(value) is list:
                nodes += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                nodes.append(value)
    return nodes
