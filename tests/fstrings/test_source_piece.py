"""Pieces of source: what joining them keeps, which way is cheapest, and where code needs white space."""

from __future__ import annotations

import pytest

from buildguard.fstrings.escape import UnencodableError
from buildguard.fstrings.source_piece import (
    BREAK,
    COMMENT,
    SourcePiece,
    cheapest,
    ends_in_string,
    join_lines,
    join_pieces,
    separate_brace,
    with_spaces,
)


def test_joining_adds_costs_and_names_each_constant_once() -> None:
    pieces = [SourcePiece("a", 1, (("n", "1"),), ((0, "# a"),)), SourcePiece("b", 2, (("n", "1"), ("m", "2")))]

    assert join_pieces(pieces, 10) == SourcePiece("ab", 13, (("n", "1"), ("m", "2")), ((0, "# a"),))


def _impossible(reason: str) -> SourcePiece:
    raise UnencodableError(reason)


def test_the_first_of_the_cheapest_wins_and_impossible_ways_are_passed_over() -> None:
    ways = [
        lambda: _impossible("no"),
        lambda: SourcePiece("a", 3),
        lambda: SourcePiece("b", 2),
        lambda: SourcePiece("c", 2),
    ]

    assert cheapest(ways).text == "b"


def test_without_a_way_the_first_reason_counts() -> None:
    with pytest.raises(UnencodableError, match=r"^first$"):
        cheapest([lambda: _impossible("first"), lambda: _impossible("second")])
    with pytest.raises(UnencodableError, match="no other way"):
        cheapest([])


@pytest.mark.parametrize(
    ("code", "joined"),
    [
        (f"a {BREAK} b", "a b"),
        (f"f({BREAK}  a{BREAK})", "f(a)"),
        (f"{BREAK}a{BREAK}", "a"),
        (f"a  {COMMENT}", "a"),
        (f"a\n  {COMMENT}\nb", "a\nb"),
        (f"a + {COMMENT}{BREAK}b", "a + b"),
    ],
)
def test_lines_are_joined_as_they_need_it(code: str, joined: str) -> None:
    assert join_lines(code) == joined


@pytest.mark.parametrize(
    ("code", "is_open"), [("", False), ("'a'", False), ("'a", True), ("'a\"", True), ("'''it's'''", True)]
)
def test_quotes_are_counted_singly(code: str, is_open: bool) -> None:
    assert ends_in_string(code) is is_open


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [("return", "in", " name "), ("(", ")", "name"), ("in ", "[", "name"), ("é", "", " name")],
)
def test_a_name_keeps_its_distance_from_words(before: str, after: str, text: str) -> None:
    assert with_spaces(SourcePiece("name"), before, after).text == text


def test_a_brace_does_not_touch_the_fields_own() -> None:
    assert separate_brace("{1}") == " {1}"
    assert separate_brace("a{1}") == "a{1}"
