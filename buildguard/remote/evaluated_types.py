"""Type expressions that run at import and need a newer Python: `X | Y` before 3.10, `list[int]` before 3.9.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import re

TYPED = re.compile(rb"\|")


def may_evaluate(data, minor):
    """Whether a source can hold such an expression at all."""
    return False


def evaluated_types(tree, minor, place):
    """Rows of line, column, kind and text."""
    return []
