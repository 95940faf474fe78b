"""A second reading of an f-string, by libcst: the same fields, the same nesting, the same text. Pure.

The rules read text; libcst reads Python. Where the two see different structures in a literal, it must not be rewritten
it. libcst can take minutes over a few bytes and can end the process, so this runs in a child under limits (`surgeon`).
"""

from __future__ import annotations

from typing import Any

import libcst

from buildguard.fstrings.parser import FString, LiteralText, ReplacementField
from buildguard.fstrings.violations import fields
from buildguard.system.foreign import translate_foreign

Shape = tuple[Any, ...]


class UnreadableError(Exception):
    """libcst does not parse the literal; says what it stumbles over."""


def find_doubt(text: str, literal: FString) -> tuple[bool, str]:
    """Whether libcst sees another structure in a literal than the rules do, and what is to be said of its reading."""
    if _names_in_spec(text, literal):
        return False, "libcst does not know \\N{…} in a format spec"
    try:
        theirs = parse_with_libcst(text[literal.start : literal.end])
    except UnreadableError as error:
        return False, f"libcst cannot parse this literal: {error}"
    if theirs == parse_with_rules(text, literal):
        return False, ""
    return True, "libcst reads another structure in this f-string"


def _names_in_spec(text: str, literal: FString) -> bool:
    return any(
        any("\\N{" in text[part.start : part.end] for part in field.spec or () if isinstance(part, LiteralText))
        for field, _depth in fields(literal.parts)
    )


def _unreadable(error: Exception) -> UnreadableError:
    if isinstance(error, libcst.ParserSyntaxError):
        return UnreadableError(f"{error.message} (line {error.raw_line}, column {error.raw_column})")
    return UnreadableError(f"{type(error).__name__}: {error}")


def parse_with_libcst(source: str) -> Shape:
    """The structure of a literal as libcst has it; raises UnreadableError."""
    with translate_foreign(_unreadable):
        tree = libcst.parse_expression(source.replace("\r\n", "\n").replace("\r", "\n"))
    if not isinstance(tree, libcst.FormattedString):
        raise UnreadableError(f"it is a {type(tree).__name__} to libcst")
    return _node(tree)


def parse_with_rules(text: str, literal: FString) -> Shape:
    """The structure of a literal as the rules read it, in the same form."""
    return (literal.prefix, literal.quote, *_read(text, literal.parts))


def _node(tree: libcst.FormattedString) -> Shape:
    return (tree.start.removesuffix(tree.quote), tree.quote, *_parts(tree.parts))


def _parts(parts: Any) -> list[Shape | str]:
    shapes: list[Shape | str] = []
    for part in parts or ():
        if isinstance(part, libcst.FormattedStringText):
            shapes.append(part.value)
            continue
        inner = _FStringCollector()
        part.expression.visit(inner)
        spec = None if part.format_spec is None else tuple(_parts(part.format_spec))
        shapes.append((part.equal is not None, part.conversion or "", tuple(inner.fstrings), spec))
    return _joined(shapes)


class _FStringCollector(libcst.CSTVisitor):
    """Collects the f-strings of an expression, not those inside of them."""

    def __init__(self) -> None:
        self.fstrings: list[Shape] = []

    def visit_FormattedString(self, node: libcst.FormattedString) -> bool:  # noqa: N802  libcst's name
        self.fstrings.append(_node(node))
        return False


def _read(text: str, parts: tuple[LiteralText | ReplacementField, ...]) -> list[Shape | str]:
    return _joined([_field(text, part) if isinstance(part, ReplacementField) else _plain(text, part) for part in parts])


def _field(text: str, field: ReplacementField) -> Shape:
    spec = None
    if field.spec is not None:
        spec = tuple(
            _joined(
                [
                    _field(text, part) if isinstance(part, ReplacementField) else _plain(text, part)
                    for part in field.spec
                ]
            )
        )
    inner = tuple(
        parse_with_rules(text, token) for token in field.tokens if isinstance(token, FString) and not token.is_template
    )
    conversion = text[field.conversion] if field.conversion is not None else ""
    return (field.equal is not None, conversion, inner, spec)


def _plain(text: str, part: LiteralText) -> str:
    return text[part.start : part.end].replace("\r\n", "\n").replace("\r", "\n")


def _joined(parts: list[Shape | str]) -> list[Shape | str]:
    merged: list[Shape | str] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    return merged
