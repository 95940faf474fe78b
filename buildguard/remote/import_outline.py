"""What compiled code shows of a module, and the part of its source that holds imports: parsing all of it costs too much.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast
import re

CODE = type((lambda: None).__code__)
BLOCK = re.compile(rb"^([ \t]*)(?:async[ \t]+)?(def|class)[ \t]+([^\s(:\[\\]+)", re.MULTILINE)


def all_codes(code):
    """A code object and all that are nested in it."""
    codes = [code]
    for part in codes:
        codes.extend(constant for constant in part.co_consts if type(constant) is CODE)
    return codes


def bound_names(code, codes, names):
    """The names that a module binds at its top, by `global` in its functions too, each with its first line."""
    import opcode

    bound = {}
    for name, offset in stored(code, opcode.opmap["STORE_NAME"], opcode.EXTENDED_ARG):
        bound.setdefault(name, offset)
    lines = line_starts(code)
    at = 0
    for name, offset in sorted(bound.items(), key=lambda item: item[1]):
        while at + 1 < len(lines) and lines[at + 1][0] <= offset:
            at += 1
        bound[name] = lines[at][1]
    for part in codes:
        for name, _offset in stored(part, opcode.opmap["STORE_GLOBAL"], opcode.EXTENDED_ARG):
            bound.setdefault(name, part.co_firstlineno)
    return bound


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


def parse_outline(data, codes, names, typed):
    """The tree of a source; functions and classes without any import are empty in it, as parsing takes most of the time.

    With `typed`, what that matches stays too. What the compiler made of the whole proves the outline: as many imports, of the same modules. Else all is parsed.
    """
    outline = outline_of(data, typed)
    if outline is not None:
        try:
            tree = ast.parse(outline)
        except (SyntaxError, ValueError):
            tree = None
        if tree is not None and is_whole(tree, codes, names):
            return tree
    return ast.parse(data)


def outline_of(data, typed):
    """A source whose functions and classes without imports are empty, line for line; None where that saves nothing."""
    if b"\r" in data or b"\0" in data:
        return None
    pieces, kept = [], 0
    for match in BLOCK.finditer(data):
        start = match.start()
        if start < kept:
            continue
        stop = block_end(data, match.end(), len(match.group(1)))
        block = data[start:stop]
        if b"import" in block or (typed is not None and (match.group(2) == b"class" or typed.search(block))):
            continue  # a class says what its bases are
        pieces.append(data[kept:start])
        indent, kind, name = match.groups()
        pieces.append(indent + kind + b" " + name + (b"(): 0" if kind == b"def" else b": 0"))
        pieces.append(b"\n" * block.count(b"\n"))
        kept = stop
    if not pieces:
        return None
    pieces.append(data[kept:])
    return b"".join(pieces)


def block_end(data, at, indent):
    """Where a function or class ends: at the next line that begins no deeper, outside of long strings."""
    dedent = re.compile(rb"^[ \t]{0,%d}[^\s#)\]}]" % indent, re.MULTILINE)  # `re` keeps it
    start = at
    while True:
        end = dedent.search(data, at)
        if end is None:
            return len(data)
        if data.count(b'"""', start, end.start()) % 2 == 0 and data.count(b"'''", start, end.start()) % 2 == 0:
            return end.start()
        at = end.end()


def is_whole(tree, codes, names):
    """Whether a tree has as many imports as the compiled code, and none of a module that the code does not name."""
    import opcode

    operation = opcode.opmap["IMPORT_NAME"]
    expected = sum(code.co_code[::2].count(operation) for code in codes)
    for node in statements(tree):
        if isinstance(node, ast.Import):
            expected -= len(node.names)
            if not all(alias.name in names for alias in node.names):
                return False
        elif isinstance(node, ast.ImportFrom):
            expected -= 1
            if (node.module or "") not in names:
                return False
    return expected == 0


def statements(tree):
    """Every statement of a tree, at any depth."""
    pending = [tree]
    while pending:
        node = pending.pop()
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            children = getattr(node, field, None)
            if isinstance(children, list):
                pending.extend(children)
        if isinstance(node, ast.stmt):
            yield node
