"""Which names are there for sure: what compiled code executes straight on, and lines at the left margin behind it."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import dis

import pytest

from buildguard.remote.import_outline import SourceLines
from buildguard.remote.module_code import is_sure, straight_until


@pytest.mark.parametrize(
    ("line", "sure"),
    [
        (b"import a", True),
        (b"from a import (", True),
        (b"def x(): return 1", True),
        (b"x = y = 1", True),
        (b"x, y = a", True),
        (b"x: int = 1", True),
        (b"x += 1", True),
        (b"type x = int", True),
        (b"    x = 1", False),
        (b"if a: x = 1", False),
        (b"for x in a: pass", False),
        (b"with a as x: pass", False),
        (b"except E as x:", False),
        (b"x == 1 and (y := 2)", False),
        (b"b = 1); x = 2", False),
        (b"b) = x = 2", False),
        (b"'''; x = 2", False),
        (b"a = '''", False),
    ],
)
def test_a_line_at_the_margin_is_executed(line: bytes, *, sure: bool) -> None:
    assert is_sure(SourceLines(b"before\n" + line + b"\nafter\n"), 2) is sure
    assert is_sure(SourceLines(b"before\n" + line), 2) is sure
    assert not is_sure(SourceLines(b"if a: \\\n" + line), 2)


def test_lines_are_found_in_any_order() -> None:
    texts = [b"x" * (number % 90) for number in range(400)]
    lines = SourceLines(b"\n".join(texts))

    for number in (1, 400, 2, 3, 35, 399, 36, 1, 220, 221, 250):
        begin = lines.start_of(number)
        assert begin == sum(len(text) + 1 for text in texts[: number - 1])
        assert lines.text_of(number) == (texts[number - 1], False)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("a = 1\nb = 2\n", "b"),
        ("a = 1\nif a:\n    b = 2\n", "a"),
        ("a = 1\ntry:\n    b = 2\nexcept E:\n    c = 3\n", "a"),
        ("a = 1\nwith f:\n    b = 2\n", "a"),
        ("a = 1\nfor b in a:\n    c = 3\n", "a"),
        ("a = 1\nwhile a:\n    b = 2\n", "a"),
        ("a = 1\nb = a and 2\n", "a"),
    ],
)
def test_code_is_straight_up_to_the_first_jump_or_handler(text: str, last: str) -> None:
    code = compile(text, "<source>", "exec", dont_inherit=True)

    whole = straight_until(code, code.co_code[::2])

    stored = [item.argval for item in dis.get_instructions(code) if item.opname == "STORE_NAME" and item.offset < whole]
    assert stored[-1] == last
