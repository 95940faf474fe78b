"""What the reader of f-strings sees, compared with the syntax trees of the Pythons that read them by PEP 701."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.fstrings.parser import (
    DEEPEST,
    OPENING,
    FString,
    LiteralReader,
    LiteralText,
    OvernestedString,
    PlainString,
    ReplacementField,
    find_suspects,
    is_field_prefix,
    openings,
    read,
    token_end,
)
from tests.conftest import interpreter, sample_on_other_hosts
from tests.fstrings.grammar import literals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TREE = """
import ast, json, sys, warnings
warnings.simplefilter("ignore")
def fields(node, begins):
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.FormattedValue):
            spec = list(fields(one.format_spec, begins)) if one.format_spec else []
            start = begins[one.lineno - 1] + one.col_offset
            end = begins[one.end_lineno - 1] + one.end_col_offset
            yield [start, end, chr(one.conversion) if one.conversion > 0 else "", spec, list(fields(one.value, begins))]
            continue
        yield from fields(one, begins)
def tree(code):
    try:
        body = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    if not isinstance(body, ast.JoinedStr) or body.lineno != 1 or body.col_offset != 0:
        return None
    lines = code.split("\\n")
    begins = [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))]
    if begins[body.end_lineno - 1] + body.end_col_offset != len(code):
        return None
    top = ast.Expression(body)
    return list(fields(top, begins))
json.dump([tree(code) for code in json.load(sys.stdin)], sys.stdout)
"""
_OPENING = re.compile(OPENING)
_SPACE = re.compile(r"(?: |\\\n)*")


def _trees(version: str, codes: list[str]) -> list[Any]:
    done = subprocess.run(
        [interpreter(version), "-I", "-S", "-c", _TREE],
        input=json.dumps(codes),
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[Any] = json.loads(done.stdout)
    return found


def _seen(code: str, parts: Iterable[LiteralText | ReplacementField]) -> Iterator[list[Any]]:
    """Fields as the syntax tree has them: where, the letter of the conversion, those of the spec, those in the code."""
    for part in parts:
        if isinstance(part, ReplacementField):
            letter = code[part.conversion] if part.conversion is not None else ""
            if part.equal is not None and not letter and part.spec is None:
                letter = "r"
            inner = [one for token in part.tokens if isinstance(token, FString) for one in _seen(code, token.parts)]
            yield [part.start, part.end, letter, list(_seen(code, part.spec or ())), inner]


def _side_by_side(code: str) -> Iterator[FString | PlainString | None]:
    """The literals that are one to Python; None for what cannot be read."""
    at = 0
    while at < len(code) and (found := _OPENING.match(code, at)) is not None:
        literal: Any = None
        if is_field_prefix(found["prefix"]):
            literal = LiteralReader(code).read(found)
        else:
            end = token_end(code, found.end(), found["quote"])
            literal = PlainString(at, found["prefix"] or "", found["quote"], end) if end is not None else None
        yield literal
        at = literal.end if literal is not None else len(code)
        at += len(_SPACE.findall(code, at)[0])
    if at != len(code):
        yield None


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_fields_are_those_of_the_syntax_tree(version: str) -> None:
    codes = sample_on_other_hosts(literals(), 10)
    accepted = 0
    for code, tree in zip(codes, _trees(version, codes), strict=True):
        if tree is not None:
            accepted += 1
            seen: list[list[Any]] = []
            for literal in _side_by_side(code):
                assert literal is not None, code
                seen += _seen(code, literal.parts) if isinstance(literal, FString) else []
            if seen != tree and version == "3.13" and re.search(r"\}[^{}]*\{\{", code):
                continue  # 3.13.0 reads doubled braces behind a field of a format spec as text; other releases do not
            assert seen == tree, code
    assert accepted > len(codes) / 4


def _told(code: str, part: Any) -> Any:
    """What was read, as the pieces of the source that it names."""
    if isinstance(part, LiteralText):
        return code[part.start : part.end]
    if isinstance(part, FString):
        return (part.prefix, part.quote, *(_told(code, one) for one in part.parts))
    if isinstance(part, PlainString):
        assert code[part.start : part.end] == f"{part.prefix}{part.quote}{code[part.body]}{part.quote}"
        return (part.prefix, code[part.body])
    if not isinstance(part, ReplacementField):
        return f"{part.kind} {code[part.start : part.end]}"
    spec = None if part.spec is None else tuple(_told(code, one) for one in part.spec)
    equal = code[part.code_end : part.equal] if part.equal is not None else ""
    conversion = code[part.conversion : part.tail] if part.conversion is not None else ""
    return [code[part.start + 1 : part.code_end], [_told(code, one) for one in part.tokens], equal, conversion, spec]


def _field(code: str, *tokens: Any, equal: str = "", conversion: str = "", spec: Any = None) -> list[Any]:
    return [code, list(tokens), equal, conversion, spec]


_PARTS: dict[str, tuple[Any, ...]] = {
    "f''": (),
    "f'a{{b}}c'": ("a{{b}}c",),
    "f'{{{a}}}'": ("{{", _field("a"), "}}"),
    "f'{a}{b}'": (_field("a"), _field("b")),
    "f'{a = }'": (_field("a ", equal="= "),),
    "f'{a!r }'": (_field("a", conversion="r "),),
    "f'{a =!s:}'": (_field("a ", equal="=", conversion="s", spec=()),),
    "f'{a!=b}{a<=b}{a==b}'": (_field("a!=b"), _field("a<=b"), _field("a==b")),
    "f'{a:b{c}d}e'": (_field("a", spec=("b", _field("c"), "d")), "e"),
    "f'{a:{b}{c:{d}}}'": (_field("a", spec=(_field("b"), _field("c", spec=(_field("d"),)))),),
    "f'{(a:=b)[c:d]}'": (_field("(a:=b)[c:d]"),),
    "f'\\N{DIGIT ONE}{a}'": ("\\N{DIGIT ONE}", _field("a")),
    "rf'\\N{a}'": ("\\N", _field("a")),
    "f'\\{{a\\}}'": ("\\{{a\\}}",),
    "f'\\{a}'": ("\\", _field("a")),
    "f'\\'{a}'": ("\\'", _field("a")),
    "f'a\\\r\nb'": ("a\\\r\nb",),
    "f'''a\r\n'{b}\"'''": ("a\r\n'", _field("b"), '"'),
    "f'{a[\"b\"]}'": (_field('a["b"]', ("", "b")),),
    'f\'{u"b", Rb"c"}\'': (_field('u"b", Rb"c"', ("u", "b"), ("Rb", "c")),),
    "f'{f\"b\"}'": (_field('f"b"', ("f", '"', "b")),),
    "f'{\\\na # }\n}'": (_field("\\\na # }\n", "continuation \\\n", "comment # }", "newline \n"),),
    "f'{a=\n}'": (_field("a", "newline \n", equal="=\n"),),
    "f'{a!r # b\r\n}'": (_field("a", "comment # b", "newline \r\n", conversion="r # b\r\n"),),
    "f'{a:b\n}'": (_field("a", "newline \n", spec=("b",)),),
    "f'''{a:b\n}'''": (_field("a", spec=("b\n",)),),
    "f'{a:{b}{{}'": (_field("a", spec=(_field("b"), "{{")),),
    "f'{a:{b}{{c}}}'": (_field("a", spec=(_field("b"), _field("{c}"))),),
    "f'\\\r\n{a}'": ("\\\r\n", _field("a")),
    "T'{a}'": (_field("a"),),
}


@pytest.mark.parametrize("code", _PARTS, ids=range(len(_PARTS)))
def test_parts(code: str) -> None:
    literal = read(code)
    assert literal is not None
    assert tuple(_told(code, one) for one in literal.parts) == _PARTS[code]
    assert (literal.start, literal.end) == (0, len(code))
    assert (literal.raw, literal.is_template) == (code[0] == "r", code[0] == "T")
    assert read(f"{code} ") is None
    assert read(f" {code}") is None


_BROKEN = [
    *("", "a", "'a'", "b'a'", "f'", "f'{", "f'{a", "f'{a:", "f'{a!", "f'{a!r", "f'{a=", "f'}'"),
    *("f'{}'", "f'{ }'", "f'{ # a\n}'", "f'{!r}'", "f'{:a}'", "f'{a!x}'", "f'{a!ra}'", "f'{a!}'", "f'{a\\b}'"),
    *("f'{(a}'", "f'{a)}'", "f'{[a)}'", "f'{a]}'", "f'{a:}}'", "f'{\"a}'", "f'{f\"a}'"),
    *("f'a\nb'", "f'''{a:'b'''", "f'\\\n\r\nb'"),
]


@pytest.mark.parametrize("code", _BROKEN, ids=range(len(_BROKEN)))
def test_what_no_python_reads(code: str) -> None:
    assert read(code) is None


def test_suspects_are_the_outermost_in_order() -> None:
    text = "a = \"f'{b['c']}'\"; d = f'{e[f'{g}']}'; h = ' \\' f{'; i = rf'{j['k']}'; l = f'{)'; m = t'{n['o']}'\n"
    assert [text[one.start : one.end] for one in find_suspects(text)] == [
        "f'{e[f'{g}']}'",
        "rf'{j['k']}'",
        "t'{n['o']}'",
    ]
    assert list(find_suspects("a = b''; c = '\nd = f'{e['g']}'")) == []  # behind what does not end nothing is read


def test_what_older_tokenizers_find() -> None:
    text = "f'{a['b']}' \"c' \" rb'''d''' f'e"
    assert [one.group() for one in openings(text, 0, len(text))] == ["f'", "b'", '"', "rb'''", "f'"]
    assert [one.start() for one in openings(text, 7, 14)] == [7, 12]


@pytest.mark.parametrize(("broken", "found"), [(80, True), (120, False)])
def test_patience_has_an_end(broken: int, found: bool) -> None:
    """Each of them is read to the end of the source, and again: a source of nothing else would take for ever."""
    good = "f'{a['b']}'"
    text = "f'''{('''\n" * broken + good
    assert [text[one.start : one.end] for one in find_suspects(text)] == [good] * found


def _deep(levels: int) -> str:
    return "f'{" * levels + "a" + "}'" * levels


def test_the_deepest() -> None:
    assert read(_deep(DEEPEST)) is not None
    assert read(_deep(DEEPEST + 1)) is None
    behind = f"x = {_deep(DEEPEST + 1)}\ny = 1\n"
    assert list(find_suspects(behind)) == [OvernestedString(4, behind.index("\n"))]
    last = behind[: behind.index("\n")]
    assert list(find_suspects(last)) == [OvernestedString(4, len(last))]


@pytest.mark.parametrize("before", ["", "{a}" * 200, "{a:{b}}" * 3], ids=["nothing", "many", "deep"])
def test_the_deepest_format_spec(before: str) -> None:
    """The reader ends before the stack does; what Pythons take is far less."""
    deep = "f'" + before + "{x:" * 160 + "}" * 160 + "'"
    assert read(deep) is not None
    deeper = "f'" + before + "{x:" * 161 + "}" * 161 + "'"
    assert list(find_suspects(deeper)) == [OvernestedString(0, len(deeper))]
