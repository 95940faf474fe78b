"""A table for a terminal: columns as wide as their cells, and rows in several lines where the terminal is narrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from buildguard.cli.render.source_line import display_width, wrap

_INDENT = "  "  # before the later lines of a row
_NARROWEST = 30  # columns for the free text beside other cells; with fewer it gets a line of its own


def table_lines(rows: Sequence[Sequence[str]], width: int = 0) -> Iterator[str]:
    """Rows as lines of at most `width` columns (0: one line each); the first row is the heading, the last cell is free text.

    A column without a value is left out. A cell that does not fit goes to the next line, whole; only the free text is folded.
    """
    *columns, texts = zip(*rows, strict=True)
    blocks, used = [[""] * len(rows)], 0
    for column in columns:
        if not any(column[1:]):
            continue
        size = max(map(display_width, column))
        if width and used and used + size > width:
            blocks.append([_INDENT] * len(rows))
            used = len(_INDENT)
        cells = [f"{cell}{' ' * (size - display_width(cell))} " for cell in column]
        blocks[-1] = [line + cell for line, cell in zip(blocks[-1], cells, strict=True)]
        used += size + 1
    longest = max(map(display_width, texts))
    if width and used + min(_NARROWEST, longest) > width:
        blocks.append([_INDENT] * len(rows))
        used = len(_INDENT)
    for *lines, last, text in zip(*blocks, texts, strict=True):
        first, *rest = wrap(text, width - used) if width else [text]
        row = [*lines, last + first, *(" " * used + part for part in rest)]
        yield from (line.rstrip() for line in row if line.strip())
