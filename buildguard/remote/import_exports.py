"""The names in a module's `__all__`, as far as its statements spell them out.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast

from buildguard.remote.import_outline import changes_in


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
