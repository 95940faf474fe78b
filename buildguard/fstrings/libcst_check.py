"""A second reading of an f-string, by libcst: the same fields, the same nesting, the same text. Pure.

The rules read text; libcst reads Python. Where the two see different structures in a literal, nobody should rewrite
it. libcst can take minutes over a few bytes and can end the process, so this runs in a child under limits (`surgeon`).
"""

from __future__ import annotations

from typing import Any

import libcst

from buildguard.fstrings.parser import Field, Nested, Text
from buildguard.fstrings.violations import fields

Shape = tuple[Any, ...]


class UnreadableError(Exception):
    """libcst does not parse the literal; says what it stumbles over."""


def doubt(text: str, literal: Nested) -> tuple[bool, str]:
    """Whether libcst sees another structure in a literal than the rules do, and what is to be said of its reading."""
    if _names_in_spec(text, literal):
        return False, "libcst does not know \\N{…} in a format spec"
    try:
        theirs = seen_by_libcst(text[literal.start : literal.end])
    except UnreadableError as error:
        return False, f"libcst cannot parse this literal: {error}"
    if theirs == seen_in_text(text, literal):
        return False, ""
    return True, "libcst reads another structure in this f-string"


def _names_in_spec(text: str, literal: Nested) -> bool:
    return any(
        any("\\N{" in text[one.start : one.end] for one in field.spec or () if isinstance(one, Text))
        for field, _depth in fields(literal.parts)
    )


def seen_by_libcst(source: str) -> Shape:
    """The structure of a literal as libcst has it; raises UnreadableError."""
    try:
        tree = libcst.parse_expression(source.replace("\r\n", "\n").replace("\r", "\n"))
    except libcst.ParserSyntaxError as error:
        raise UnreadableError(f"{error.message} (line {error.raw_line}, column {error.raw_column})") from error
    except Exception as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error
    if not isinstance(tree, libcst.FormattedString):
        raise UnreadableError(f"it is a {type(tree).__name__} to libcst")
    return _node(tree)


def seen_in_text(text: str, literal: Nested) -> Shape:
    """The structure of a literal as the rules read it, in the same form."""
    return (literal.prefix, literal.quote, *_read(text, literal.parts))


def _node(tree: libcst.FormattedString) -> Shape:
    return (tree.start.removesuffix(tree.quote), tree.quote, *_parts(tree.parts))


def _parts(parts: Any) -> list[Shape | str]:
    found: list[Shape | str] = []
    for part in parts or ():
        if isinstance(part, libcst.FormattedStringText):
            found.append(part.value)
            continue
        inner = _Inner()
        part.expression.visit(inner)
        spec = None if part.format_spec is None else tuple(_parts(part.format_spec))
        found.append((part.equal is not None, part.conversion or "", tuple(inner.found), spec))
    return _joined(found)


class _Inner(libcst.CSTVisitor):
    """Collects the f-strings of an expression, not those inside of them."""

    def __init__(self) -> None:
        self.found: list[Shape] = []

    def visit_FormattedString(self, node: libcst.FormattedString) -> bool:  # noqa: N802  libcst's name
        self.found.append(_node(node))
        return False


def _read(text: str, parts: tuple[Text | Field, ...]) -> list[Shape | str]:
    return _joined([_field(text, one) if isinstance(one, Field) else _plain(text, one) for one in parts])


def _field(text: str, field: Field) -> Shape:
    spec = None
    if field.spec is not None:
        spec = tuple(
            _joined([_field(text, one) if isinstance(one, Field) else _plain(text, one) for one in field.spec])
        )
    inner = tuple(seen_in_text(text, one) for one in field.tokens if isinstance(one, Nested) and not one.is_template)
    conversion = text[field.conversion] if field.conversion >= 0 else ""
    return (field.equal >= 0, conversion, inner, spec)


def _plain(text: str, part: Text) -> str:
    return text[part.start : part.end].replace("\r\n", "\n").replace("\r", "\n")


def _joined(parts: list[Shape | str]) -> list[Shape | str]:
    found: list[Shape | str] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return found
