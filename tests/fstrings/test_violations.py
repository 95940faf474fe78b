"""Each place of an f-string that a target refuses, by its offsets."""

from __future__ import annotations

import pytest

from buildguard.fstrings.parser import OvernestedString, read
from buildguard.fstrings.violations import fields, find_violations


def _places(text: str, minor: int) -> list[tuple[str, str, str]]:
    """The code, the text under it and what completes the message."""
    literal = read(text)
    assert literal is not None
    return [
        (violation.code, text[violation.start : violation.end], violation.what)
        for violation in find_violations(text, literal, minor)
    ]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('f"{d["k"]}"', [("BG201", '"k"', '"')]),
        ('f"{d["a"] + "b"}"', [("BG201", '"a"', '"'), ("BG201", '"b"', '"')]),
        ('f"""{f"{"a"}"}"""', [("BG201", '"a"', '"')]),
        ('f"""{x:{"""a"""}}"""', [("BG201", '"""a"""', '"""')]),
        ("f'{\"'\"}'", [("BG201", '"\'"', "'")]),
        ("f'{\"\\n\"}'", [("BG202", '"\\n"', "")]),
        ("f'''{x # c\n}'''", [("BG203", "# c", "")]),
        ("f'{\nx}'", [("BG204", "{\nx}", "")]),
        ("f'{f\"{x}\"}'", [("BG205", 'f"{x}"', "")]),
        ("f'{x:{y:{z}}}'", [("BG206", "{z}", "a format spec in a format spec")]),
        ("f'{x:{y!r }}'", [("BG207", " ", "")]),
        ("f'{x}'", []),
        ("t'{d['k']}'", []),
    ],
)
def test_what_311_refuses_or_warns_of_has_its_exact_place(text: str, places: list[tuple[str, str, str]]) -> None:
    assert _places(text, 11) == places


@pytest.mark.parametrize("text", ['f"{d["k"]}"', "f'{\nx}'", "f'''{x # c\n}'''", "f'{x:{y:{z}}}'", "f'{x!r }'"])
def test_312_takes_what_pep_701_allows(text: str) -> None:
    assert not _places(text, 12)


def test_312_still_refuses_three_format_specs_in_one_another() -> None:
    assert [place[:2] for place in _places("f'{x:{y:{z:{w}}}}'", 12)] == [("BG206", "{w}")]


@pytest.mark.parametrize("minor", [8, 13])
def test_a_string_nested_too_deep_is_refused_as_a_whole(minor: int) -> None:
    (violation,) = find_violations("", OvernestedString(3, 9), minor)

    assert (violation.code, violation.start, violation.end) == ("BG206", 3, 9)


def test_fields_come_with_the_depth_of_their_format_specs() -> None:
    text = "f'{x:{y:{z}}}{f\"{w}\"}'"
    literal = read(text)
    assert literal is not None

    depths = [(text[field.start : field.end], depth) for field, depth in fields(literal.parts)]

    assert depths == [("{x:{y:{z}}}", 0), ("{y:{z}}", 1), ("{z}", 2), ('{f"{w}"}', 0), ("{w}", 0)]
