"""From what a compiler said of a source, and from its bytes, to findings. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from buildguard import text
from buildguard.diagnostic import Finding, Range, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildguard.engines import Outcome, Rejected

# What a later Python refuses, among all that compilers warn of: PEP 765, invalid escapes and literals.
_BECOMES_ERROR = re.compile(
    r"invalid (?:octal )?escape sequence|invalid (?:decimal|hexadecimal|octal|binary|imaginary) literal"
    r"|'(?:return|break|continue)' in a 'finally' block"
)


def findings(data: bytes, outcome: Outcome, as_script: Outcome | None, minor: int) -> Iterator[Finding]:
    """Everything to be said of one source; `as_script` is the verdict on what a script start makes of its NUL bytes."""
    if outcome.rejected is not None:
        yield _rejection(data, outcome.rejected, minor)
    yield from text.findings(data)
    if outcome.rejected is None and not outcome.unproven:
        refused = text.refused_as_script(data) if not data.isascii() else None
        if refused is not None:
            yield refused
    elif _is_cut_at_nul(outcome) and as_script is not None and as_script.rejected is None and not as_script.unproven:
        yield text.runs_as_script(data)
    for warned in outcome.warned:
        if _BECOMES_ERROR.match(warned.message):
            message = f"{warned.category}: {warned.message}: a later Python refuses this"
            where = Range(warned.line)
            yield Finding("BG105", where, message, "", text.excerpt_of(data, warned.line), Severity.WARNING)


def _is_cut_at_nul(outcome: Outcome) -> bool:
    return outcome.rejected is not None and outcome.rejected.kind == "ValueError"


def _rejection(data: bytes, rejected: Rejected, minor: int) -> Finding:
    """BG101 or BG103: what the compiler raised, in its own words, on its own line."""
    where = _code_points(data, rejected.range, in_parser=rejected.in_parser)
    if rejected.crashed:
        died = rejected.kind == "crash"
        message = rejected.message if died else f"{rejected.kind}: {rejected.message}".rstrip(": ")
        hint = "an import of this file fails the same way: split the expression or the literal"
        return Finding(
            "BG103", where, f"the compiler gives up on this file: {message}", hint, text.excerpt_of(data, where.line)
        )
    message = f"{rejected.kind}: {rejected.message}".rstrip(": ")
    return Finding("BG101", where, message, _hint(rejected, minor), text.excerpt_of(data, where.line))


_PEP_701 = 12


def _hint(rejected: Rejected, minor: int) -> str:
    if rejected.message.startswith("f-string") and minor < _PEP_701:
        return (
            "before 3.12 the braces of an f-string hold no quotes of its own kind, no backslash, no comment and no"
            " line break (PEP 701): put the expression into a name before the f-string"
        )
    return ""


def _code_points(data: bytes, where: Range, *, in_parser: bool) -> Range:
    """Columns in code points: the parser counts them so, later passes count bytes of UTF-8."""
    column, end = where.column, where.end_column
    line = text.excerpt_of(data, where.line)
    if not in_parser and not line.isascii():
        column, end = _from_bytes(line, column), _from_bytes(line, end) if where.end_line == where.line else end
    if where.end_line is None or end is None or column is None or (where.end_line, end) <= (where.line or 0, column):
        return Range(where.line, column)
    return Range(where.line, column, where.end_line, end)


def _from_bytes(line: str, column: int | None) -> int | None:
    if column is None:
        return None
    return len(line.encode("utf-8")[: column - 1].decode("utf-8", "ignore")) + 1
