"""Text taken out of a file keeps the places of its characters."""

from __future__ import annotations

from buildguard.diagnostic import Range
from buildguard.project.snippets.aligned import align, align_block
from buildguard.project.snippets.mapped_text import MappedText, TextBuilder, dedent, map_whole


def test_a_place_for_each_character() -> None:
    text = map_whole("ab\ncd\n\ne", 10, 5)

    assert [text.place(offset) for offset in range(8)] == [
        (10, 5),
        (10, 6),
        (10, 7),
        (11, 1),
        (11, 2),
        (11, 3),
        (12, 1),
        (13, 1),
    ]
    assert text.cut(3, 5) == map_whole("cd", 11)
    assert MappedText().place(3) == (1, 1)


def test_pieces_that_are_far_apart() -> None:
    builder = TextBuilder()
    builder.add("x = ", 3, 7)
    builder.add("1", 4, 2)

    assert builder.build().range_in_file(Range(1, 5, 1, 6)) == Range(4, 2, 4, 3)
    assert builder.build().range_in_file(Range(1, 1, 1, 6)) == Range(3, 7, 4, 3)
    assert builder.build().range_in_file(Range(1, 6)) == Range(4, 3)
    assert builder.build().range_in_file(Range(9, 1)) == Range(3, 7)
    assert builder.build().range_in_file(Range()) == Range(3)
    assert builder.build().range_in_file(Range(1)) == Range(3)


def test_an_escaped_value_beside_its_text() -> None:
    value = align('print("a")\nx', map_whole(r"print(\"a\")\nx", 5, 3))

    assert value.text == 'print("a")\nx'
    assert value.place(0) == (5, 3)
    assert value.place(value.text.index("a")) == (5, 3 + 8)
    assert value.place(len(value.text) - 1) == (5, 3 + 14)


def test_what_no_text_explains_stays_in_the_line() -> None:
    value = align("AB", map_whole(r"\x41\x42", 2))

    assert [value.place(offset) for offset in range(3)] == [(2, 1), (2, 5), (2, 6)]
    folded = align("a b", map_whole("a\\\n    \\ b", 2))
    assert [folded.place(offset) for offset in range(3)] == [(2, 1), (3, 5), (3, 7)]
    single = align("a'b\\n", map_whole("a''b\\n", 2), escapes=False)
    assert [single.place(offset)[1] for offset in range(5)] == [1, 2, 4, 5, 6]


def test_a_block_behind_its_indentation() -> None:
    raw = map_whole("|\n    if x:\n      y\n\n    z\n", 2, 11)

    block = align_block("if x:\n  y\n\nz\n", raw)

    assert block.text == "if x:\n  y\n\nz\n"
    assert block.place(0) == (3, 5)
    assert block.place(block.text.index("y")) == (4, 7)
    assert block.place(block.text.index("z")) == (6, 5)


def test_dedent_as_python_314_reads_a_command() -> None:
    text = dedent(map_whole("\n    if x:\n      y\n", 2, 9))

    assert text.text == "\nif x:\n  y\n"
    assert text.place(text.text.index("y")) == (4, 7)
    assert dedent(map_whole("x\n  y")) == map_whole("x\n  y")
    assert dedent(map_whole("\n")) == map_whole("\n")
