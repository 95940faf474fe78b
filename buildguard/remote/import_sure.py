"""Which of the names that a module binds are there for sure once it is executed, as far as compiled code and single lines show.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import opcode
import re

from buildguard.remote.import_outline import DOUBLE, SINGLE, SourceLines
from buildguard.remote.module_code import OPERATIONS, operands

# A line that begins a statement which is executed whatever happens: at the left margin, and no block.
SURE = re.compile(
    rb"(?!(?:if|elif|else|for|while|with|try|except|finally|match|case|async[ \t]+(?:for|with))\b)"
    rb"(?:type\b|[A-Za-z_][\w.,* \t]*(?::[^=]*)?[-+*/%&|^@<>]*=(?!=))"
)
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
    lines = SourceLines(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data)
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
    if is_continued or DOUBLE in line or SINGLE in line:
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
