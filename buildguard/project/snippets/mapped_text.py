"""Text that was taken out of a file, and the line and column of the file that each of its characters comes from. Pure."""

from __future__ import annotations

from bisect import bisect_right

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Range


class Mark(NamedTuple):
    """From an offset of a text on, its characters stand one after the other on a line, from a column on."""

    offset: int
    line: int
    column: int


class MappedText(NamedTuple):
    """A text with its marks, one at least for each of its lines."""

    text: str = ""
    marks: tuple[Mark, ...] = ()

    def place(self, offset: int) -> tuple[int, int]:
        """The line and column of the file at an offset."""
        if not self.marks:
            return 1, 1
        mark = self.marks[max(0, bisect_right(self.marks, offset, key=lambda each: each.offset) - 1)]
        return mark.line, mark.column + max(0, offset - mark.offset)

    def cut(self, start: int, end: int | None = None) -> MappedText:
        """A part of the text."""
        builder = TextBuilder()
        builder.add_part(self, start, len(self.text) if end is None else end)
        return builder.build()

    def range_in_file(self, where: Range) -> Range:
        """A range of the text as a range of the file; no end where it does not come after the start."""
        if where.line is None:
            return self._first_line()
        start = self._place_of(where.line, where.column or 1)
        begin = Range(start[0], start[1] if where.column is not None else None)
        if where.end_line is None or where.end_column is None:
            return begin
        line, column = self._place_of(where.end_line, max(1, where.end_column - 1))
        end = (line, column + 1)
        return Range(*start, *end) if end > start else begin

    def _first_line(self) -> Range:
        return Range(self.marks[0].line) if self.marks else Range()

    def _place_of(self, line: int, column: int) -> tuple[int, int]:
        """The place in the file of a line and column of the text."""
        start = 0
        for _ in range(line - 1):
            newline = self.text.find("\n", start)
            if newline < 0:
                break
            start = newline + 1
        newline = self.text.find("\n", start)
        end = len(self.text) if newline < 0 else newline
        offset = min(start + column - 1, end)
        if offset >= len(self.text) and offset:
            at_line, at_column = self.place(offset - 1)
            return at_line, at_column + 1
        return self.place(offset)


class TextBuilder:
    """Puts a text together from pieces of a file."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._marks: list[Mark] = []
        self._length = 0
        self._next: tuple[int, int] | None = None

    def add(self, text: str, line: int, column: int) -> None:
        """Append a text that stands at a place of the file, and goes on there."""
        for piece in text.splitlines(keepends=True) if "\n" in text else [text] * bool(text):
            if self._next != (line, column):
                self._marks.append(Mark(self._length, line, column))
            self._parts.append(piece)
            self._length += len(piece)
            column += len(piece)
            self._next = (line, column)
            if piece.endswith("\n"):
                line, column, self._next = line + 1, 1, None

    def add_part(self, source: MappedText, start: int, end: int) -> None:
        """Append a part of a mapped text."""
        at = start
        while at < end:
            following = bisect_right(source.marks, at, key=lambda each: each.offset)
            stop = min(end, source.marks[following].offset) if following < len(source.marks) else end
            self.add(source.text[at:stop], *source.place(at))
            at = stop

    def build(self) -> MappedText:
        """The text so far."""
        return MappedText("".join(self._parts), tuple(self._marks))


def map_whole(text: str, line: int = 1, column: int = 1) -> MappedText:
    """A text that stands in its file as it is."""
    builder = TextBuilder()
    builder.add(text, line, column)
    return builder.build()


def dedent(source: MappedText) -> MappedText:
    """The same text without the white space that all its lines start with, as Python 3.14 reads `-c`."""
    lines = source.text.split("\n")
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines if line.strip()]
    common = _common_start(indents) if indents else ""
    if not common:
        return source
    builder, at = TextBuilder(), 0
    for line in lines:
        skipped = len(common) if line.startswith(common) else 0
        end = min(at + len(line) + 1, len(source.text))
        builder.add_part(source, min(at + skipped, end), end)
        at = end
    return builder.build()


def _common_start(texts: list[str]) -> str:
    shortest, longest = min(texts), max(texts)
    for position, character in enumerate(shortest):
        if longest[position] != character:
            return shortest[:position]
    return shortest
