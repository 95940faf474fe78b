"""Text at a place inside of an f-string: what Python reads there is what was meant, or there is a reason why not."""

from __future__ import annotations

import random
import re
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.fstrings import escape
from buildguard.fstrings.escape import QuoteContext, UnencodableError
from tests.conftest import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECES = (
    "a",
    "1",
    " ",
    "'",
    '"',
    "\n",
    "\r\n",
    "\\n",
    "\\\\",
    "\\'",
    '\\"',
    "\\x41",
    "\\N{DIGIT ONE}",
    "\\1",
    "\\d",
    "\\\n",
)
_BRACES = ("{{", "}}")
_BARE = ("{", "}")
_TEXTS = 1500 if ALL else 300  # of each seed


def _value(code: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(code)
        except SyntaxError:
            return None


def _texts(seed: int, more: tuple[str, ...] = ()) -> Iterator[str]:
    rng = random.Random(seed)
    for _ in range(_TEXTS):
        yield "".join(rng.choice((*_PIECES, *more)) for _ in range(rng.randint(0, 5)))


def _of_f_string(text: str, *, raw: bool) -> str | None:
    """What literal text of an f-string stands for; it may end with a backslash, as before a field."""
    for quote in ('"""', "'''"):
        found = _value(f"{'r' if raw else ''}f{quote}{text}{{0}}{quote}")
        if found is not None and quote not in text:
            assert isinstance(found, str)
            return found[:-1]
    return None


@pytest.mark.parametrize("raw", [False, True])
def test_a_constant_is_what_the_text_was(raw: bool) -> None:
    told = 0
    for text in (*_texts(1, _BRACES), *(text + "\\" for text in _texts(2, _BRACES))):
        meant = _of_f_string(text, raw=raw)
        if meant is None:
            continue
        told += 1
        constant = escape.as_constant(text, raw=raw, in_spec=False)
        assert _value(constant) == meant, (text, constant)
        assert constant.startswith("r") == (raw and "\\" in meant and _value(f"r{constant.lstrip('r')}") == meant), (
            constant
        )
    assert told > _TEXTS * 2 / 3


def test_a_constant_of_a_spec_keeps_its_braces_and_the_plainest_quotes() -> None:
    assert escape.as_constant("{{", raw=False, in_spec=True) == '"{{"'
    assert escape.as_constant("{{", raw=False, in_spec=False) == '"{"'

    for text, constant in (
        ("a", '"a"'),
        ('a"b', "'a\"b'"),
        ("a\"'b", '"""a"\'b"""'),
        ("a\nb", '"""a\nb"""'),
        ('a"\'"', "'''a\"'\"'''"),
        ("\"'", '""""\'"""'),
        ("\"\"\"'''", '"\\"\\"\\"\'\'\'"'),
        ('"""\'\'\'\n"', '"\\"\\"\\"\'\'\'\\n\\""'),
    ):
        assert escape.as_constant(text, raw=False, in_spec=False) == constant


@pytest.mark.parametrize(
    ("text", "raw", "constant"),
    [
        ('\\"a', False, '"\\"a"'),
        ('\\"a', True, "r'\\\"a'"),
        ("a\\d", True, 'r"a\\d"'),
        ("a", True, '"a"'),
        ("a\\", True, '"a\\\\"'),
        ("\"\"\"'''\\n", False, '"\\"\\"\\"\'\'\'\\n"'),
        ("\"\"\"'''\\n", True, '"\\"\\"\\"\'\'\'\\\\n"'),
    ],
)
def test_a_constant_keeps_what_it_can(text: str, raw: bool, constant: str) -> None:
    assert escape.as_constant(text, raw=raw, in_spec=False) == constant


@pytest.mark.parametrize("raw", [False, True])
def test_braces_are_doubled_and_nothing_else(raw: bool) -> None:
    told = 0
    for body in _texts(3, _BARE):
        for quote in ('"""', "'''"):
            meant = _value(f"{'r' if raw else ''}{quote}{body}{quote}")
            if meant is None or quote in body:
                continue
            told += 1
            doubled = escape.double_braces(body, raw=raw, in_spec=False)
            found = _value(f"{'r' if raw else ''}f{quote}{doubled}{quote}")
            assert found == meant, (body, doubled)
    assert told > _TEXTS * 2 / 3


def test_a_spec_has_no_braces() -> None:
    assert escape.double_braces(r"\N{DIGIT ONE}a", raw=False, in_spec=True) == r"\N{DIGIT ONE}a"
    for body, raw in (("a{", False), ("}", False), (r"\N{DIGIT ONE}", True), ("\\{", False)):
        with pytest.raises(UnencodableError, match="no way to write a brace"):
            escape.double_braces(body, raw=raw, in_spec=True)


def test_an_octal_escape_swallows_a_digit() -> None:
    befores = ("", "a", "1", "\\1", "\\12", "\\123", "\\0", "\\\\1", "\\\\\\1", "\\8", "\\x1", "\\1a", "\\\\12", "\\77")
    for before in befores:
        for after in ("", "0", "7", "8", "a", "\\1", "1a"):
            apart = (_value(f"'{before}'"), _value(f"'{after}'"))
            assert escape.swallows_digit(before, after) == (
                None not in apart and _value(f"'{before}{after}'") != "".join(apart)
            ), (before, after)


def _written(text: str, place: QuoteContext, *, raw: bool) -> tuple[str, str]:
    """The text at a place, or why there is not one."""
    try:
        return escape.protect_closing_quote(escape.text(text, place, raw=raw, in_spec=False), place), ""
    except UnencodableError as error:
        return "", error.reason


_QUOTES = ('"', "'", '"""', "'''")


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("place_raw", [False, True])
@pytest.mark.parametrize("quote", _QUOTES)
def test_text_of_an_outer_f_string_means_the_same(quote: str, place_raw: bool, raw: bool) -> None:
    told = refused = 0
    for text in (*_texts(4, _BRACES), *(text + "\\" for text in _texts(6, _BRACES))):
        meant = _of_f_string(text, raw=raw)
        if meant is None:
            continue
        told += 1
        place = QuoteContext(quote, place_raw, ())
        body, reason = _written(text, place, raw=raw)
        if reason:
            refused += 1
            assert place_raw, (text, reason)  # with escapes, everything can be written
            assert re.search("no escapes|line break in single quotes|quote that it needs", reason)
            kept = _value(f"rf{quote}{text}{quote}")
            assert kept != meant or "\\d" in text, text  # an escape that is none is refused as well
            continue
        if place_raw and raw and text.endswith("\\"):  # it stands before a field, and nowhere else
            found = _value(f"rf{quote}{body}{{0}}{quote}")
            assert found == f"{meant}0", (text, body)
            continue
        assert _value(f"{'r' if place_raw else ''}f{quote}{body}{quote}") == meant, (text, body)
    assert told > _TEXTS * 0.54
    assert refused < told if place_raw else refused == 0


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("quote", _QUOTES)
def test_text_inside_of_a_field_has_no_backslash_and_ends_nothing(quote: str, raw: bool) -> None:
    around = tuple(one for one in ("'''", '"') if one[0] != quote[0])[:1]
    told = 0
    for text in _texts(5, _BRACES):
        meant = _of_f_string(text, raw=raw)
        place = QuoteContext(quote, raw=raw, around=around)
        body, reason = _written(text, place, raw=raw)
        if reason:
            continue
        told += 1
        assert "\\" not in body
        assert around[0] not in body
        assert _value(f"f{quote}{body}{quote}") == meant, (text, body)
    assert told > _TEXTS / 50


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("\\n", QuoteContext('"', raw=False, around=("'",)), "a backslash inside of a field"),
        ("'", QuoteContext('"', raw=False, around=("'",)), "its text holds the quotes that it needs"),
        ('"', QuoteContext('"', raw=False, around=("'''",)), "its text holds the quotes that it needs"),
        ("\n", QuoteContext('"', raw=False, around=("'''",)), "a line break inside of a field"),
        ("\n", QuoteContext('"""', raw=False, around=("'",)), "a line break inside of a field"),
        ('a"', QuoteContext('"', raw=True, around=()), "a raw f-string has no escapes"),
        ("a\n", QuoteContext('"', raw=True, around=()), "a line break in single quotes"),
    ],
)
def test_why_something_cannot_be_written(text: str, place: QuoteContext, reason: str) -> None:
    with pytest.raises(UnencodableError) as caught:
        escape.text(text, place, raw=place.raw, in_spec=False)

    assert caught.value.reason == reason


def test_what_can_be_written_inside_of_a_field() -> None:
    within = QuoteContext('"""', raw=False, around=("'''",))
    assert escape.text("a\n\\'b\\\"", within, raw=False, in_spec=False) == "a\n'b\""
    assert escape.plain('a"b', within) == 'a"b'
    with pytest.raises(UnencodableError, match="holds the quotes"):
        escape.plain('ab"', within)
    with pytest.raises(UnencodableError, match="every kind of quotes is taken"):
        QuoteContext("'", raw=False, around=("'",)).check_quote()
    QuoteContext('"', raw=False, around=("'",)).check_quote()
    with pytest.raises(UnencodableError, match="a line break in single quotes"):
        escape.text("\n", QuoteContext('"', raw=False, around=()), raw=False, in_spec=True)
    assert escape.text("\n", QuoteContext('"', raw=False, around=()), raw=False, in_spec=False) == "\\n"
    with pytest.raises(UnencodableError, match="ends with the quote"):
        escape.protect_closing_quote('a"', QuoteContext('"""', raw=True, around=()))
    assert escape.protect_closing_quote('a"', QuoteContext('"""', raw=False, around=())) == 'a\\"'
    assert escape.protect_closing_quote('a\\"', QuoteContext('"""', raw=False, around=())) == 'a\\"'
