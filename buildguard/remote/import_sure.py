"""Which of the names that a module binds are there for sure once it is executed, as far as compiled code and single lines show.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import re

from buildguard.remote.import_outline import DOUBLE, SINGLE, stored

# A line that begins a statement which is executed whatever happens: at the left margin, and no block.
SURE = re.compile(
    rb"(?!(?:if|elif|else|for|while|with|try|except|finally|match|case|async[ \t]+(?:for|with))\b)"
    rb"(?:(?:import|from|class|def|async[ \t]+def|type)\b|@|[A-Za-z_][\w.,* \t]*(?::[^=]*)?[-+*/%&|^@<>]*=(?!=))"
)
REMOVING = frozenset(("pop", "popitem", "clear"))
SPACES = frozenset(("globals", "vars", "locals", "__dict__"))


def unsure_names(data, code, codes, bound):
    """The bound names whose first statement is no sure one, and all that are deleted."""
    import opcode

    lines = re.split(rb"\r\n|\r|\n", data) if b"\r" in data else data.split(b"\n")
    sure = {line for line in set(bound.values()) if is_sure(lines, line)}
    unsure = {name for name, line in bound.items() if line not in sure}
    extended = opcode.EXTENDED_ARG
    unsure.update(name for name, _at in stored(code, opcode.opmap["DELETE_NAME"], extended))
    if b"global" in data or b":=" in data:
        at_top = {
            name for kind in ("STORE_NAME", "STORE_GLOBAL") for name, _at in stored(code, opcode.opmap[kind], extended)
        }
        unsure.update(bound.keys() - at_top)
        for part in codes:
            unsure.update(name for name, _at in stored(part, opcode.opmap["DELETE_GLOBAL"], extended))
    return sorted(unsure)


def is_sure(lines, number):
    """Whether a line begins a statement that a module always executes, and holds no other."""
    if not 0 < number <= len(lines):
        return False
    line = lines[number - 1]
    if SURE.match(line) is None or b";" in line or b":=" in line or DOUBLE in line or SINGLE in line:
        return False
    if number > 1 and lines[number - 2].endswith(b"\\"):
        return False
    return all(line.count(last) <= line.count(first) for first, last in ((b"(", b")"), (b"[", b"]"), (b"{", b"}")))


def may_remove(codes):
    """Whether a module takes names away by other means than statements, or puts something else in its own place."""
    import opcode

    delete, store = opcode.opmap["DELETE_SUBSCR"], opcode.opmap["STORE_SUBSCR"]
    for part in codes:
        names, operations = part.co_names, part.co_code[::2]
        if not SPACES.isdisjoint(names) and (delete in operations or not REMOVING.isdisjoint(names)):
            return True
        if "modules" in names and "__name__" in names and store in operations:
            return True
    return False
