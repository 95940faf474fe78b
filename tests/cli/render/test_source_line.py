"""The excerpt of a finding, by columns of the terminal."""

from __future__ import annotations

import click
import pytest

from buildguard.cli.render.source_line import display_width, excerpt, fold, fold_text, wrap
from buildguard.diagnostic import Range
from buildguard.project.source_text import excerpt_of
from tests.cli.render.records import finding


def _shown(line: str, start: int, length: int, width: int = 0) -> tuple[str, str]:
    where = finding()._replace(excerpt=line, range=Range(1, start, 1, start + length))
    source, marks = (click.unstyle(text) for text in excerpt(where, "", width))
    return source, marks


@pytest.mark.parametrize("column", [1, 90, 101, 400, 4000, 40_000])
def test_a_window_shows_what_is_found_at_any_column(column: int) -> None:
    data = b"a" * (column - 1) + b"HERE" + b"b" * 500
    source, marks = _shown(excerpt_of(data, 1, column), column, 4)

    start = marks.index("^")
    assert source[start : start + 4] == "HERE"
    assert marks.strip() == "^^^^"
    assert display_width(source) <= 102


def test_the_window_fits_a_narrow_terminal_with_wide_letters() -> None:
    source, marks = _shown("漢" * 100 + "x" + "字" * 100, 101, 1, width=40)

    assert display_width(source) <= 40
    assert source.startswith("…")
    assert source.endswith("…")
    before = source[: source.index("x")]
    assert display_width(before) == marks.index("^")


def test_width_counts_what_a_terminal_shows() -> None:
    assert [display_width(text) for text in ("abc", "é", "e\u0301", "漢字", "🐍")] == [3, 1, 1, 4, 2]


def test_text_is_folded_between_words_by_width() -> None:
    assert wrap("漢字 漢字 ab", 9) == ["漢字 漢字", "ab"]
    assert wrap("a " + "b" * 30, 10) == ["a", "b" * 30]
    assert wrap("  " + "b" * 30, 10) == ["  " + "b" * 30]


def test_a_blank_line_has_no_excerpt() -> None:
    assert list(excerpt(finding()._replace(excerpt="   "), "")) == []


def test_a_wide_line_is_folded_with_its_colors() -> None:
    line = f"  {click.style('BG101 error', fg='red')}: 漢字 and words"

    assert fold(line, 0) == fold(line, 80) == [line]
    assert [click.unstyle(part) for part in fold(line, 24, "    ")] == ["  BG101 error: 漢字", "    and words"]


def test_folded_lines_are_indented_below_their_first() -> None:
    text = "  engine: one two three four five six seven eight nine\nshort\n"

    assert fold_text(text, 40) == "  engine: one two three four five\n    six seven eight nine\nshort\n"
    assert fold_text(text, 0) == text
    code = f"```python\n{'x ' * 20}\n```\n"
    assert fold_text(code, 20) == code
