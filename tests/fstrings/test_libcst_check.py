"""The second reading: what libcst sees in a literal is compared with what the rules see, and where they differ nothing is written."""

from __future__ import annotations

from typing import Any

import libcst
import pytest

from buildguard.fstrings.fix_plan import plan_rewrite
from buildguard.fstrings.libcst_check import find_doubt, parse_with_libcst, parse_with_rules
from buildguard.fstrings.parser import FString, read
from buildguard.fstrings.rules import judge

_FIELD = (False, "", (), None)
_SHAPES: dict[str, tuple[Any, ...]] = {
    "f''": ("f", "'"),
    "f'a'": ("f", "'", "a"),
    "rf'{a}'": ("rf", "'", _FIELD),
    "F'''a{b}c'''": ("F", "'''", "a", _FIELD, "c"),
    "f'{a}{b}'": ("f", "'", _FIELD, _FIELD),
    "f'{{a}}'": ("f", "'", "{{a}}"),
    "f'a{{b'": ("f", "'", "a{{b"),
    "f'{a=}'": ("f", "'", (True, "", (), None)),
    "f'{a!r}'": ("f", "'", (False, "r", (), None)),
    "f'{a=!s:>3}'": ("f", "'", (True, "s", (), (">3",))),
    "f'{a:}'": ("f", "'", (False, "", (), ())),
    "f'{a:{b}}'": ("f", "'", (False, "", (), (_FIELD,))),
    "f'{a:x{b}y{c!r}z}'": ("f", "'", (False, "", (), ("x", _FIELD, "y", (False, "r", (), None), "z"))),
    "f'{f\"{a}b\"}'": ("f", "'", (False, "", (("f", '"', _FIELD, "b"),), None)),
    'f\'{f"" + "x" + f"c"}\'': ("f", "'", (False, "", (("f", '"'), ("f", '"', "c")), None)),
    "f'''{f\"{f'{a}'}\"}'''": ("f", "'''", (False, "", (("f", '"', (False, "", (("f", "'", _FIELD),), None)),), None)),
    "f'''a\nb'''": ("f", "'''", "a\nb"),
    "f'''a\r\nb\rc'''": ("f", "'''", "a\nb\nc"),
}


def _literal(code: str) -> FString:
    found = read(code)
    assert isinstance(found, FString)
    return found


@pytest.mark.parametrize("code", _SHAPES, ids=range(len(_SHAPES)))
def test_both_readings_see_this(code: str) -> None:
    assert parse_with_rules(code, _literal(code)) == _SHAPES[code]
    assert parse_with_libcst(code) == _SHAPES[code]
    assert find_doubt(code, _literal(code)) == (False, "")
    later = f"x = 1; y = {code}"
    assert parse_with_rules(f"{' ' * 4}{code}"[4:], _literal(code)) == parse_with_libcst(later[len("x = 1; y = ") :])


def test_a_name_in_a_format_spec_is_beyond_libcst() -> None:
    code = "f'{a:\\N{DIGIT ONE}}'"
    assert find_doubt(code, _literal(code)) == (False, "libcst does not know \\N{…} in a format spec")
    plain = "f'\\N{DIGIT ONE}{a:>3}'"
    assert find_doubt(plain, _literal(plain))[0] is False
    assert "format spec" not in find_doubt(plain, _literal(plain))[1]


def test_what_libcst_cannot_parse_is_said_and_no_reason_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from buildguard.fstrings import libcst_check

    literal = _literal("f'{a}'")

    def stumbles(_source: str) -> object:
        raise ValueError("no")

    monkeypatch.setattr(libcst, "parse_expression", stumbles)
    assert find_doubt("f'{a}'", literal) == (False, "libcst cannot parse this literal: ValueError: no")
    monkeypatch.undo()
    monkeypatch.setattr(libcst, "parse_expression", lambda _source: libcst.Name("a"))
    assert find_doubt("f'{a}'", literal) == (False, "libcst cannot parse this literal: it is a Name to libcst")
    monkeypatch.setattr(libcst_check, "parse_with_libcst", lambda _source: ("f", "'", "a"))
    assert find_doubt("f'{a}'", literal) == (True, "libcst reads another structure in this f-string")


_TEXT = 'd = {"a": 1}\nx = f"{d["a"]}"\ny = f"{d["a"]}"\n'


@pytest.mark.parametrize(
    ("says", "edits", "reason", "note"),
    [
        ((False, ""), 2, "", ""),
        ((False, "not sure"), 2, "", "not sure"),
        ((True, "another structure"), 0, "another structure", ""),
    ],
)
def test_a_doubt_takes_the_repair_and_a_note_stays(says: tuple[bool, str], edits: int, reason: str, note: str) -> None:
    asked: list[str] = []

    def second(text: str, literal: FString) -> tuple[bool, str]:
        asked.append(text[literal.start : literal.end])
        return says

    made = plan_rewrite(_TEXT, 11, second)

    assert asked == ['f"{d["a"]}"'] * 2
    assert sum(len(fix.edits) for fix in made.fixes) == edits
    assert {(fix.reason, fix.note) for fix in made.fixes} == {(reason, note)}
    assert (made.after == _TEXT) == (edits == 0)


def test_nobody_is_asked_where_nothing_is_repaired() -> None:
    code = "x = f\"{a != '\\n'=}\"\n"
    hopeless = plan_rewrite(code, 11, lambda _text, _literal: (True, "asked"))

    assert [fix.edits for fix in hopeless.fixes] == [()]
    assert {fix.reason for fix in hopeless.fixes} != {"asked"}


def test_only_what_was_chosen_is_repaired() -> None:
    first, second = (one.range for one in judge(_TEXT, 11))

    for chosen, expected in (((first,), 1), ((second,), 1), ((first, second), 2), ((), 2)):
        made = plan_rewrite(_TEXT, 11, only=chosen)
        assert made.after.count("d['a']") == expected
        assert [fix.verdict.range for fix in made.fixes] == list(chosen or (first, second))
    assert "x = f\"{d['a']}\"" in plan_rewrite(_TEXT, 11, only=(first,)).after


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_what_is_put_before_ends_its_line_as_the_others(newline: str) -> None:
    text = "x = f\"{chr(10).join(a)}\" + f\"{'\\n'.join(a)}{'\\t'.join(a)}\"\n".replace("\n", newline)
    made = plan_rewrite(text, 11)

    assert made.lifted
    assert made.after.count(newline) == 1 + len(made.lifted)
    bare = plan_rewrite("x = f\"{'\\n'.join(a)}\"", 11)
    assert bare.after.count("\n") == len(bare.lifted) == 1


def test_names_are_not_taken_twice() -> None:
    two = "x = f\"{'\\n a'.join(b)}\"\ny = f\"{'\\n c'.join(b)}\"\n"
    made = plan_rewrite(two, 11)

    assert len(set(made.lifted)) == 2
    assert len(made.lifted) == 2
    taken = plan_rewrite("_text = 1\n" + two, 11)
    assert "_text" not in taken.lifted
