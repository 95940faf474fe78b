"""Where a statement begins, and where another one can stand before it. Pure.

Read from the text as the tokenizer does, line by logical line: that works for every file, those too that libcst does
not read.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple

from buildguard.rules.literals import OPENING, is_field_prefix, read_at, token_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TOKEN = re.compile(rf"\#[^\r\n]*|\\(?:\r\n|[\r\n])|\r\n|[\r\n]|{OPENING}|[A-Za-z0-9_\x80-\U0010ffff]+|[^ \t\f]")
_BLANK = re.compile(r"[ \t\f]*")
_FIRST_WORD = re.compile(r"@|[A-Za-z_]+(?:[ \t]+def\b)?")
_CLAUSES = frozenset({"elif", "else", "except", "finally"})
_TAB = 8


class Statement(NamedTuple):
    """A logical line: where its line and its first token begin, its white space and how far that is, its first word."""

    line: int
    start: int
    blank: str
    indent: int
    word: str


def statements(text: str) -> list[Statement]:
    """The logical lines of a source that hold more than a comment."""
    found: list[Statement] = []
    begun, brackets, line = False, 0, 0
    for start, end, kind in _tokens(text):
        if kind == "newline":
            if brackets == 0:
                begun, line = False, end
            continue
        if kind in {"comment", "continuation"}:
            continue
        if not begun:
            begun = True
            found.append(_statement(text, line, start))
        brackets = max(0, brackets + {"open": 1, "close": -1}.get(kind, 0))
    return found


def comments(text: str) -> Iterator[tuple[int, int]]:
    """Where each comment begins and ends; those inside of f-strings are not among them."""
    return ((start, end) for start, end, kind in _tokens(text) if kind == "comment")


def _statement(text: str, line: int, start: int) -> Statement:
    word = _FIRST_WORD.match(text, start)
    found = _BLANK.match(text, line)
    blank = found.group() if found else ""  # a continued line may come before the first token
    indent = len(blank.rpartition("\f")[2].expandtabs(_TAB))
    return Statement(line, start, blank, indent, word.group() if word else "")


def _tokens(text: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    while (found := _TOKEN.search(text, at)) is not None:
        start, at, char = found.start(), found.end(), found.group()[0]
        if found["quote"] is not None:
            kind = "string"
            literal = None
            if is_field_prefix(found["prefix"]):
                literal = read_at(text, found)
            end = literal.end if literal else token_end(text, found.end(), found["quote"])
            at = end or len(text)
        elif char in "\r\n":
            kind = "newline"
        elif char == "#":
            kind = "comment"
        elif char == "\\":
            kind = "continuation"
        else:
            kind = "open" if char in "([{" else "close" if char in ")]}" else "code"
        yield start, at, kind


def place_before(found: Sequence[Statement], offset: int) -> Statement:
    """The statement before which something can be bound that the code at an offset then sees.

    That is the statement itself; the whole compound statement for one of its later clauses; the decorators with what
    they decorate; and never a place in the body of a class, where a name would become an attribute.
    """
    at = bisect_right([one.start for one in found], offset) - 1
    while True:
        at = _decorators(found, _whole(found, at))
        owner = _owner(found, at)
        if owner is None or not found[owner].word.startswith("class"):
            return found[at]
        at = owner


def _whole(found: Sequence[Statement], at: int) -> int:
    """The first clause of the compound statement that a clause belongs to."""
    while True:
        if found[at].word in _CLAUSES:
            above = _above(found, at, found[at].indent)
            if above is None:
                return at
            at = above
            continue
        parent = _parent(found, at)
        if parent is None or found[parent].word != "match":
            return at
        at = parent


def _above(found: Sequence[Statement], at: int, indent: int) -> int | None:
    """The statement before `at` with the same indentation."""
    for index in range(at - 1, -1, -1):
        if found[index].indent <= indent:
            return index if found[index].indent == indent else None
    return None


def _parent(found: Sequence[Statement], at: int) -> int | None:
    """The header of the block that a statement stands in."""
    for index in range(at - 1, -1, -1):
        if found[index].indent < found[at].indent:
            return index
    return None


def _owner(found: Sequence[Statement], at: int) -> int | None:
    """The `def` or `class` that a statement stands in."""
    parent = _parent(found, at)
    while parent is not None and not re.fullmatch(r"(?:async[ \t]+)?def|class", found[parent].word):
        parent = _parent(found, parent)
    return parent


def _decorators(found: Sequence[Statement], at: int) -> int:
    while at > 0 and found[at - 1].word == "@" and found[at - 1].indent == found[at].indent:
        at -= 1
    return at
