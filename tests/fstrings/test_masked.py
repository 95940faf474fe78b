"""A source with its refused f-strings emptied: everything else stays at its line and column, so that what is behind them is found."""

from __future__ import annotations

import re

import pytest

from buildguard.fstrings.rules import judge, mask_fstrings
from tests.fstrings.test_prefilter import _REFUSED

_BEHIND = " + later(1)"


def _places(text: str) -> list[tuple[str, int, int]]:
    """Each word outside of literals with its line and column."""
    found = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text)):
        found += [(one.group(), number, one.start()) for one in re.finditer(r"\b(?:first|later|last)\b", line)]
    return found


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("code", _REFUSED)
def test_what_is_behind_stays_where_it_is(code: str, newline: str) -> None:
    text = f"first = 1\n{code}{_BEHIND}\n{code}{_BEHIND} + {code.removeprefix('x = ')}{_BEHIND}\nlast = 1\n"
    text = text.replace("\n", newline)

    emptied = mask_fstrings(text, 8)

    assert _places(emptied) == _places(text)
    assert len(re.findall(newline, emptied)) == len(re.findall(newline, text))
    compile(emptied, "emptied", "exec")
    assert emptied.count("later") == 3


def test_what_is_not_refused_is_left_alone() -> None:
    text = "x = f'{a}' + f'{f\"{b}\"}'\n"
    assert mask_fstrings(text, 8) == text
    assert mask_fstrings('x = f"{d["a"]}"\n', 12) == 'x = f"{d["a"]}"\n'
    assert mask_fstrings('x = f"{d["a"]}"; y\n', 11) == 'x = f""        ; y\n'
    assert mask_fstrings('x = f"""{d["""a"""]}\n """; y\n', 11) == 'x = f"\\\n   "; y\n'
    assert mask_fstrings('x = f"{d[\n1]}"; y\n', 11) == 'x = f"\\\n   "; y\n'
    assert mask_fstrings('x = f"{a\n}"; y\n', 11) == 'x = f"\\\n "; y\n'


def test_each_finding_shows_its_own_line_and_says_something() -> None:
    text = "a = 1\nb = f'{c!r:{w}}' + f'{f\"{d}\"}' + f'{d['e']}'\nc = 2\n"
    judged = list(judge(text, 8))

    found = [one for each in judged for one in each.findings]
    assert {one.excerpt for one in found} == {text.splitlines()[1]}
    assert [one.code for one in found if one.code != "BG205"] == ["BG201"]
    for code in _REFUSED:
        for one in (row for each in judge(code, 8) for row in each.findings):
            assert not one.message.endswith((": ", ":"))
    legal = "x = f'''{a[\"b\"]}'''\n"  # looked at closely, and fine
    assert [one.refused for one in judge(legal + "y = f'{d['e']}'\n", 8)] == [True]
    spaced = "\n\n  x = f'{d['e']}'\n"
    assert next(judge(spaced, 8)).findings[0].excerpt == "  x = f'{d['e']}'"
    assert next(judge("x = f'{d['e']}'", 8)).findings[0].excerpt == "x = f'{d['e']}'"


def test_a_message_names_what_it_found_and_an_excerpt_has_an_end() -> None:
    (deep,) = next(judge("x = f'{a:{b:{c}}}'\n", 11)).findings
    assert deep.message == "nested deeper than the target allows: a format spec in a format spec"
    (reused,) = next(judge("x = f'{a['b']}'" + "#" * 500, 8)).findings
    assert reused.message == "f-string reuses its own quote inside a replacement field: '"
    assert reused.excerpt == "x = f'{a['b']}'" + "#" * 385
