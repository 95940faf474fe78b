"""Pieces of new source, put together: what they cost, what they need, and white space where names and braces meet. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.fstrings.escape import UnencodableError

_WORD = lazy_pattern(r"[A-Za-z0-9_\x80-\U0010ffff]")
# stand-ins for what is left out of code: no source decodes to them
COMMENT, BREAK = "\ud800", "\ud801"
_COMMENT_LINE = lazy_pattern(rf"(\r\n|[\r\n])[ \t\f]*{COMMENT}(?=\r\n|[\r\n])")
_COMMENT_END = lazy_pattern(rf"[ \t\f]*{COMMENT}")
_BREAKS = lazy_pattern(rf"[ \t\f{COMMENT}{BREAK}]*{BREAK}[ \t\f{COMMENT}{BREAK}]*")


class SourcePiece(NamedTuple):
    """A piece of new source, what it costs, the constants that it needs by name, and the comments that it lost."""

    text: str
    cost: int = 0
    lifted: tuple[tuple[str, str], ...] = ()
    comments: tuple[tuple[int, str], ...] = ()


def join_pieces(pieces: Iterable[SourcePiece], cost: int = 0) -> SourcePiece:
    """Several pieces as one."""
    pieces = list(pieces)
    return SourcePiece(
        "".join(piece.text for piece in pieces),
        cost + sum(piece.cost for piece in pieces),
        tuple(dict.fromkeys(lift for piece in pieces for lift in piece.lifted)),
        tuple(comment for piece in pieces for comment in piece.comments),
    )


def cheapest(ways: Iterable[Callable[[], SourcePiece]]) -> SourcePiece:
    """The way that costs least, the first of them where several do; raises UnencodableError where there is no way."""
    best: SourcePiece | None = None
    reason: UnencodableError | None = None
    for way in ways:
        try:
            piece = way()
        except UnencodableError as error:
            reason = reason or error
            continue
        if best is None or piece.cost < best.cost:
            best = piece
    if best is None:
        raise reason or UnencodableError("there is no other way to write it")
    return best


def join_lines(code: str) -> str:
    """Code without the stand-ins: each comment gone with its line, each line break a space or nothing."""
    return _COMMENT_END.sub("", _COMMENT_LINE.sub("", _BREAKS.sub(_joint, code)))


def ends_in_string(code: str) -> bool:
    """Whether 3.13.2 and later believe that code ends in a string: they count quotes singly, `'''it's'''` as seven."""
    quote = ""
    for char in code:
        if char in "'\"":
            quote = "" if char == quote else quote or char
    return bool(quote)


def with_spaces(piece: SourcePiece, before: str, after: str) -> SourcePiece:
    """A name in place of a string literal needs white space where the quotes needed none."""
    left = " " if _WORD.match(before[-1:]) and _WORD.match(piece.text) else ""
    right = " " if _WORD.match(after[:1]) and _WORD.match(piece.text[-1:]) else ""
    return piece._replace(text=left + piece.text + right)


def _joint(match: re.Match[str]) -> str:
    text = match.string
    if match.start() == 0 or match.end() == len(text) or text[match.start() - 1] in "([{" or text[match.end()] in ")]}":
        return ""
    return " "


def separate_brace(code: str) -> str:
    """An expression that starts with a brace must not touch the field's own."""
    return f" {code}" if code.startswith("{") else code
