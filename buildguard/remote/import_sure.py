"""Which of the names that a module binds are there for sure once it is executed, as far as compiled code and single lines show.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import re

from buildguard.remote.import_outline import DOUBLE, SINGLE, SourceLines, stored

# A line that begins a statement which is executed whatever happens: at the left margin, and no block.
SURE = re.compile(
    rb"(?!(?:if|elif|else|for|while|with|try|except|finally|match|case|async[ \t]+(?:for|with))\b)"
    rb"(?:type\b|[A-Za-z_][\w.,* \t]*(?::[^=]*)?[-+*/%&|^@<>]*=(?!=))"
)
PLAIN = (b"import ", b"from ", b"def ", b"class ", b"async def ")
PAIRS = ((b"(", b")"), (b"[", b"]"), (b"{", b"}"))
JUMPS = []  # type: list[bytes]
REMOVING = frozenset(("pop", "popitem", "clear"))
RUNS = frozenset(("exec", "eval"))
REMOVAL = re.compile(r"(?:^|[\n;:])[ \t]*del[ (]|(?:globals\(\)|vars\(\)|locals\(\)|__dict__)\.(?:pop|popitem|clear)\(")
SPACES = frozenset(("globals", "vars", "locals", "__dict__"))


def unsure_names(data, code_and_nested, bound, offsets, changing):
    """The bound names whose first statement is no sure one, and all that are deleted; "*" where `changing` codes may remove any.

    `offsets` are those of `store_offsets`, and the nested codes those that it had.
    """
    import opcode

    code, codes = code_and_nested
    if may_remove(changing):
        return ["*"]
    whole = straight_until(code)
    unsure = {name for name, offset in offsets.items() if offset >= whole}
    if unsure:
        lines = SourceLines(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data)
        # in the order of their lines, as each is looked for from the last one on
        unsure = {name for name in offsets if name in unsure and not (bound[name] > 0 and is_sure(lines, bound[name]))}
    unsure.update(name for name, _at in stored(code, opcode.opmap["DELETE_NAME"], opcode.EXTENDED_ARG))
    if codes:
        unsure.update(bound.keys() - offsets.keys())
        for part in codes:
            unsure.update(name for name, _at in stored(part, opcode.opmap["DELETE_GLOBAL"], opcode.EXTENDED_ARG))
    return sorted(unsure)


def straight_until(code):
    """The offset in a code object up to which nothing jumps, and no handler takes over: all of it is executed, or fails."""
    if not JUMPS:
        import opcode

        jumps = jumps_of(opcode)
        JUMPS.append(
            bytes(item in jumps for item in range(256))
        )  # one for each that jumps, and no pattern to load `re` for
    first = code.co_code[::2].translate(JUMPS[0]).find(1)
    whole = len(code.co_code) if first < 0 else 2 * first
    table = getattr(code, "co_exceptiontable", b"")
    if table:  # where its first range starts, six bits in each byte
        at, start = 0, table[0] & 63
        while table[at] & 64:
            at += 1
            start = start << 6 | table[at] & 63
        whole = min(whole, 2 * start)
    return whole


def jumps_of(opcode):
    """The operations that may go on elsewhere."""
    return sorted(item for item in set(opcode.hasjrel) | set(opcode.hasjabs) if item < 256)


def is_sure(lines, number):
    """Whether a line begins a statement that a module always executes, and is in no text or brackets of one before it."""
    try:
        line, is_continued = lines.text_of(number)
    except ValueError:  # no such line
        return False
    if is_continued or DOUBLE in line or SINGLE in line:
        return False
    if line.startswith(PLAIN):  # in brackets none of them can be
        return True
    if SURE.match(line) is None or b";" in line or b":=" in line:
        return False
    return all(line.count(last) <= line.count(first) for first, last in PAIRS if last in line)


def may_remove(codes):
    """Whether a module takes names away by other means than statements, or puts something else in its own place."""
    import opcode

    delete, store = opcode.opmap["DELETE_SUBSCR"], opcode.opmap["STORE_SUBSCR"]
    for part in codes:
        names, operations = part.co_names, part.co_code[::2]
        if not SPACES.isdisjoint(names) and (delete in operations or not REMOVING.isdisjoint(names)):
            return True
        if "modules" in names and "__name__" in names and (store in operations or "delattr" in names):
            return True
    return any(not RUNS.isdisjoint(part.co_names) for part in codes) and any(map(has_removal, codes))


def has_removal(code):
    """Whether a text in a code object takes names away, once something executes it."""
    return any(isinstance(item, str) and REMOVAL.search(item) is not None for item in code.co_consts)
