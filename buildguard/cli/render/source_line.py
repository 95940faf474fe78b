"""One line of a source on a terminal: a window around the finding, underlined by display width."""

from __future__ import annotations

from collections.abc import Iterator

from buildguard.cli.render.styling import style, unstyle
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Diagnostic, escape_text

_WIDEST = 100
_NARROWEST = 20
_FENCE = "```"
_COLUMN = 30  # the narrowest column for words beside something else
_BEFORE = 3  # of the window's columns, one in so many stands before the finding


class LineWindow(NamedTuple):
    """The part of a source line that is shown: `marked` is the finding, `cut_before` and `cut_after` say what is left out."""

    before: str
    marked: str
    after: str
    cut_before: bool
    cut_after: bool


def window(diagnostic: Diagnostic, room: int = _WIDEST) -> LineWindow:
    """The part of a finding's line that fits in `room` columns, as it is shown."""
    line = diagnostic.excerpt
    start = min((diagnostic.range.column or 1) - 1, len(line))
    end = _end(diagnostic, start)
    first = _window_start(line, start, end, room)
    last = _window_end(line, first, room)
    stop = max(start, min(end, last))
    return LineWindow(
        shown_line(line[first:start]),
        shown_line(line[start:stop]),
        shown_line(line[stop:last]),
        cut_before=first > 0,
        cut_after=last < len(line),
    )


def excerpt(diagnostic: Diagnostic, indent: str, width: int = 0) -> Iterator[str]:
    """The source line and, if the column is known, the marks below it; `width` is the terminal's, 0 if unknown."""
    if not diagnostic.excerpt.strip():
        return
    shown = window(diagnostic, _WIDEST if not width else max(_NARROWEST, min(_WIDEST, width - len(indent) - 2)))
    left, right = "…" * shown.cut_before, "…" * shown.cut_after
    yield f"{indent}{left}{shown.before}{shown.marked}{shown.after}{right}".rstrip()
    if diagnostic.range.column is not None:
        before = display_width(shown.before) + len(left)
        yield f"{indent}{' ' * before}{style('^' * max(1, display_width(shown.marked)), fg='red')}"


def shown_line(line: str) -> str:
    """A source line on a terminal: tabs as one blank, what is not printable escaped."""
    return escape_text(line.replace("\t", " "))


def display_width(text: str) -> int:
    """The columns that a terminal gives a text: two for wide letters, none for combining marks."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def wrap(text: str, width: int) -> list[str]:
    """A text in lines of at most `width` columns, broken between words; a longer word keeps a line of its own."""
    words = text.lstrip(" ")
    lines: list[str] = []
    for word in words.split(" "):
        if lines and display_width(unstyle(f"{lines[-1]} {word}")) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word if lines else f"{text[: len(text) - len(words)]}{word}")
    return lines


def fold(line: str, width: int, indent: str = "") -> list[str]:
    """A line that is wider than the terminal in several, the later ones indented; as it is if `width` is 0."""
    if not width or display_width(unstyle(line)) <= width:
        return [line]
    first, *rest = wrap(line, max(_NARROWEST, width - len(indent)))
    return [first, *(f"{indent}{part}" for part in rest)]


def fold_behind(start: str, words: str, width: int) -> list[str]:
    """Words behind a start, folded in the column where they begin, or with four blanks where that leaves too little room."""
    column = display_width(unstyle(start))
    longest = max(map(display_width, words.split(" ")))
    if width - column < max(_COLUMN, longest):
        return fold(f"{start}{words}", width, " " * 4)
    first, *rest = wrap(words, width - column)
    return [f"{start}{first}", *(f"{' ' * column}{part}" for part in rest)]


def fold_text(text: str, width: int) -> str:
    """Every line of a text folded, the later parts of one indented by two more blanks than its first; code of Markdown as it is."""
    parts: list[str] = []
    is_code = False
    for line in text.splitlines():
        is_code ^= line.startswith(_FENCE)
        indent = " " * (len(line) - len(line.lstrip(" ")) + 2)
        parts += [line] if is_code else fold(line, width, indent)
    return "".join(f"{part}\n" for part in parts)


def _columns(char: str) -> int:
    if char.isascii():
        return 1
    import unicodedata

    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _end(diagnostic: Diagnostic, start: int) -> int:
    where = diagnostic.range
    if where.end_line == where.line and where.end_column:
        return max(start + 1, where.end_column - 1)
    return len(diagnostic.excerpt) if where.end_line is not None else start + 1


def _window_start(line: str, start: int, end: int, room: int) -> int:
    """The line's start if the finding fits in the window from there, else some columns before the finding."""
    if display_width(shown_line(line[: min(end, start + room)])) <= room:
        return 0
    first, used = start, 0
    while first and used < room // _BEFORE:
        first -= 1
        used += display_width(shown_line(line[first]))
    return first


def _window_end(line: str, first: int, room: int) -> int:
    last, used = first, 0
    while last < len(line):
        used += display_width(shown_line(line[last]))
        if used > room:
            break
        last += 1
    return last
