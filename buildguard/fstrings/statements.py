"""Where a statement begins, and where another one can stand before it. Pure.

Read from the text as the tokenizer does, line by logical line: that works for every file, those too that libcst does
not read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.fstrings.parser import OPENING, LiteralReader, is_field_prefix, token_end

_TOKEN = lazy_pattern(rf"\#[^\r\n]*|\\(?:\r\n|[\r\n])|\r\n|[\r\n]|{OPENING}|[A-Za-z0-9_\x80-\U0010ffff]+|[^ \t\f]")
_BLANK = lazy_pattern(r"[ \t\f]*")
_FIRST_WORD = lazy_pattern(r"@|[A-Za-z_]+(?:[ \t]+def\b)?")
_SCOPE = lazy_pattern(r"(?:async[ \t]+)?def|class")
_CLAUSES = frozenset({"elif", "else", "except", "finally"})
_KINDS = {
    **dict.fromkeys("\r\n", "newline"),
    **dict.fromkeys("([{", "open"),
    **dict.fromkeys(")]}", "close"),
    "#": "comment",
    "\\": "continuation",
}  # of tokens, by their first character
_TAB = 8


class Statement(NamedTuple):
    """A logical line: where its line and its first token begin, its white space and how far that is, its first word.

    `parent` is the number of the header of the block that it stands in, None at the top.
    """

    line: int
    start: int
    blank: str
    indent: int
    word: str
    parent: int | None


def statements(text: str) -> list[Statement]:
    """The logical lines of a source that hold more than a comment."""
    lines: list[Statement] = []
    headers: list[int] = []
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
            lines.append(_statement(text, line, start, lines, headers))
        brackets = max(0, brackets + {"open": 1, "close": -1}.get(kind, 0))
    return lines


def comments(text: str) -> Iterator[tuple[int, int]]:
    """Where each comment begins and ends; those inside of f-strings are not among them."""
    return ((start, end) for start, end, kind in _tokens(text) if kind == "comment")


def _statement(text: str, line: int, start: int, before: list[Statement], headers: list[int]) -> Statement:
    """The logical line that begins there; `headers` are the numbers of those that it may stand below."""
    word = _FIRST_WORD.match(text, start)
    match = _BLANK.match(text, line)
    blank = match.group() if match else ""  # a continued line may come before the first token
    indent = len(blank.rpartition("\f")[2].expandtabs(_TAB))
    while headers and before[headers[-1]].indent >= indent:
        headers.pop()
    parent = headers[-1] if headers else None
    headers.append(len(before))
    return Statement(line, start, blank, indent, word.group() if word else "", parent)


def _tokens(text: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    reader = LiteralReader(text)
    while (match := _TOKEN.search(text, at)) is not None:
        start, at, char = match.start(), match.end(), match.group()[0]
        if match["quote"] is not None:
            kind = "string"
            literal = reader.read(match) if is_field_prefix(match["prefix"]) else None
            end = literal.end if literal else token_end(text, match.end(), match["quote"])
            at = end or len(text)
        else:
            kind = _KINDS.get(char, "code")
        yield start, at, kind


def place_before(lines: Sequence[Statement], offset: int) -> Statement:
    """The statement before which something can be bound that the code at an offset then sees.

    That is the statement itself; the whole compound statement for one of its later clauses; the decorators with what
    they decorate; and never a place in the body of a class, where a name would become an attribute.
    """
    at = bisect_right(lines, offset, key=lambda statement: statement.start) - 1
    while True:
        at = _decorators(lines, _whole(lines, at))
        owner = _owner(lines, at)
        if owner is None or lines[owner].word != "class":
            return lines[at]
        at = owner


def _whole(lines: Sequence[Statement], at: int) -> int:
    """The first clause of the compound statement that a clause belongs to."""
    while True:
        if lines[at].word in _CLAUSES:
            above = _previous_statement(lines, at, lines[at].indent)
            if above is None:
                return at
            at = above
            continue
        parent = lines[at].parent
        if parent is None or lines[parent].word != "match":
            return at
        at = parent


def _previous_statement(lines: Sequence[Statement], at: int, indent: int) -> int | None:
    """The statement before `at` that is no deeper; None if it is missing, which no Python accepts."""
    return next((index for index in range(at - 1, -1, -1) if lines[index].indent <= indent), None)


def _owner(lines: Sequence[Statement], at: int) -> int | None:
    """The `def` or `class` that a statement stands in, None for none."""
    parent = lines[at].parent
    while parent is not None and not _SCOPE.fullmatch(lines[parent].word):
        parent = lines[parent].parent
    return parent


def _decorators(lines: Sequence[Statement], at: int) -> int:
    while at > 0 and lines[at - 1].word == "@" and lines[at - 1].indent == lines[at].indent:
        at -= 1
    return at
