"""What the rules find in a source, and where exactly."""

from __future__ import annotations

import pytest

from buildguard.check.suppressions import find_ignores
from buildguard.fstrings.rules import LineIndex, findings, judge
from buildguard.fstrings.statements import statements
from buildguard.project import source_text
from tests.oracle import refusals

# A source, and each finding for 3.11 as its code and the text under it, in order.
_FOUND = {
    's = f"v={d["k"]}"': [("BG201", '"k"')],
    "s = f'v={d['k']}'": [("BG201", "'k'")],
    's = f"{d["a"]} {d["b"]}"': [("BG201", '"a"'), ("BG201", '"b"')],
    's = f"{", ".join(f"{n}" for n in d)}"': [("BG201", '", "'), ("BG201", 'f"{n}"')],
    's = f"{f"{f"{1}"}"}"': [("BG201", 'f"{f"{1}"}"'), ("BG201", 'f"{1}"')],
    's = f"{\'"\'}"': [("BG201", "'\"'")],
    "s = f\"{f'{d['k']}'}\"": [("BG201", "'k'")],
    's = f"""{f"""{x}"""}"""': [("BG201", 'f"""{x}"""')],
    's = f"""{"""lit"""}"""': [("BG201", '"""lit"""')],
    's = f"{b"abc"}"': [("BG201", 'b"abc"')],
    's = rf"{d["k"]}"': [("BG201", '"k"')],
    's = Fr"{d["k"]}"': [("BG201", '"k"')],
    's = F"{d["k"]!r:>10}"': [("BG201", '"k"')],
    's = f"{x:>{d["k"]}}"': [("BG201", '"k"')],
    's = f"{d["k"]=}"': [("BG201", '"k"')],
    's = ("a" f"{x}"\n  "b" f"{d["k"]}")': [("BG201", '"k"')],
    's = f"{(lambda z: z + "a")("b")}"': [("BG201", '"a"'), ("BG201", '"b"')],
    's = [f"{n + "x"}" for n in d]': [("BG201", '"x"')],
    '@deco(f"{"x"}")\ndef g(): pass': [("BG201", '"x"')],
    'v: f"{"x"}" = 1': [("BG201", '"x"')],
    'def f(a: f"{"x"}" = f"{"y"}") -> f"{"z"}": pass': [("BG201", '"x"'), ("BG201", '"y"'), ("BG201", '"z"')],
    's = f"{été["é"]}"': [("BG201", '"é"')],
    "s = f\"{'\\n'.join(x)}\"": [("BG202", r"'\n'")],
    "s = f\"{'\\N{DIGIT ONE}'}\"": [("BG202", r"'\N{DIGIT ONE}'")],
    "s = rf\"{'\\d+'}\"": [("BG202", r"'\d+'")],
    's = f"{x \\\n}"': [("BG202", "\\")],
    's = f"{x \\\n + d["k"]}"': [("BG202", "\\"), ("BG201", '"k"')],
    "s = f\"{f'a\\n{x}'}\"": [("BG202", "a\\n")],
    "s = f\"{f'{x:\\x3e}'}\"": [("BG202", r"\x3e")],
    "s = f'''{\n  x  # why\n}'''": [("BG203", "# why")],
    's = f"{x  # it"s\n}"': [("BG204", '{x  # it"s\n}'), ("BG203", '# it"s')],
    's = f"{\n x\n}"': [("BG204", "{\n x\n}")],
    's = f"{x:{\nw\n}}"': [("BG204", "{\nw\n}")],
    "s = f\"{'''a\nb'''}\"": [("BG204", "{'''a\nb'''}")],
    "s = f'''{f'{\nx}'}'''": [("BG204", "{\nx}")],
    's = f"{x:{w:{y}}}"': [("BG206", "{y}")],
    's = f"{x!r }"': [("BG207", " ")],
    's = f"{x!r :>5}"': [("BG207", " ")],
    "s = f'''{x!r\n}'''": [("BG207", "\n")],
    's = f"{x=!s\t}"': [("BG207", "\t")],
    's = f"{x!r }{y!s  }"': [("BG207", " "), ("BG207", "  ")],
    "s = f\"{f'{x\n}'}\"": [("BG204", "{f'{x\n}'}")],
    's = f"{x\n:{v}{w}}"': [("BG204", "{x\n:{v}{w}}")],
    's = f"{x:{w}{{}" + y': [("BG201", '"')],  # only the first releases of 3.13 read that as one literal
    "s = f\"{f'{x}'}\"": [("BG205", "f'{x}'")],
    "s = f\"{x:{f'{w}'}}\"": [("BG205", "f'{w}'")],
    "s = f'''{f\"{f'{x}'}\"}'''": [("BG205", "f\"{f'{x}'}\""), ("BG205", "f'{x}'")],
    's = f"{t"a{x}"}"': [("BG201", 't"a{x}"')],
}
# Nothing is to be said of these for any Python.
_CLEAN = [
    "s = f\"v={d['k']}\"",
    's = f"""{x or ""}"""',
    's = f"""{d["k"]}"""',
    "s = f\"{'# no comment'}{x:#x}\"",
    's = f"a\\n{x}\\t"',
    's = rf"\\d{x}\\w"',
    's = f"a \\\n {x}"',
    's = f"{1:\\x64}{1:\\"d\\"}"',
    "s = f'{x:{{}}}'",
    's = f"{{x}}{{ "',
    's = f"\\N{DIGIT ONE}{x:\\N{DIGIT ONE}}"',
    "s = f\"{d[':']}{d['!r']}{'{'}\"",
    's = f"{x !r}{a!=b}{a<=b}{(y := 5)}{x:=5}"',
    "s = f'''{x:\n}{\n  x\n}'''",
    's = f"{x\t}"',
    '"f\'{d["k"]}\'"',
    '# f"{d["k"]}"',
    's = """\nf"{d["k"]}"\n"""',
    'printf"{x}"',
    's = f"{}"',
    's = f"{x!z}"',
    's = f"{x! r}"',
    's = f"{x',
    's = f"{x)}"',
    's = t"{d["k"]}"',
    's = t"""{f"{d["k"]}"}"""',
]


@pytest.mark.parametrize("source", _FOUND)
def test_every_place_and_no_other(source: str) -> None:
    found = findings(source.encode(), 11)

    assert [(one.code, _under(source, one.range)) for one in found] == _FOUND[source]
    assert findings(source.encode(), 8) == found


@pytest.mark.interpreters
@pytest.mark.parametrize("source", _FOUND)
def test_the_interpreters_agree(source: str) -> None:
    program = f"{source}\n"
    errors = any(one.code != "BG205" for one in findings(source.encode(), 11))

    for version in ("3.8", "3.9", "3.10", "3.11"):
        assert bool(refusals(version, [program])[0]) == errors
    if 't"a' not in source:  # legal from 3.14 on
        assert refusals("3.13", [program]) == [""]


@pytest.mark.parametrize("minor", [8, 11, 12, 14])
@pytest.mark.parametrize("source", _CLEAN)
def test_what_is_no_business_of_ours(source: str, minor: int) -> None:
    assert findings(source.encode(), minor) == ()


@pytest.mark.parametrize("source", _FOUND)
def test_later_pythons_refuse_none_of_it(source: str) -> None:
    assert findings(source.encode(), 12) == ()


@pytest.mark.interpreters
@pytest.mark.parametrize(("levels", "refused"), [(149, False), (150, True), (3000, True)])
def test_nesting_that_no_python_takes(levels: int, refused: bool) -> None:
    source = 's = f"' + '{f"' * (levels - 1) + "{1}" + '"}' * (levels - 1) + '"\n'

    assert bool(findings(source.encode(), 13)) == refused == bool(refusals("3.13", [source])[0])
    assert {one.code for one in findings(source.encode(), 11)} >= {"BG206" if refused else "BG201"}


@pytest.mark.interpreters
@pytest.mark.parametrize("depth", range(1, 7))
def test_format_specs_in_format_specs(depth: int) -> None:
    source = 's = f"' + "{x:" * depth + "}" * depth + '"\n'

    for version, minor in (("3.8", 8), ("3.11", 11), ("3.12", 12), ("3.13", 13)):
        assert bool(findings(source.encode(), minor)) == bool(refusals(version, [source])[0])


def test_columns_count_characters_in_every_encoding() -> None:
    for data in (
        'é = f"{d["é"]}"'.encode(),
        '\ufeffé = f"{d["é"]}"'.encode(),
        '#coding:latin-1\r\né = f"{d["é"]}"'.encode("latin-1"),
    ):
        (one,) = findings(data, 11)
        assert one.range[1:2] + one.range[3:] == (10, 13)
        assert one.excerpt == 'é = f"{d["é"]}"'


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_every_line_end(newline: str) -> None:
    (one,) = findings(f'a = 1{newline}{newline}s = f"{{x}}{{d["k"]}}"{newline}'.encode(), 11)

    assert one.range == (3, 13, 3, 16)


def test_what_cannot_be_decoded_is_left_to_others() -> None:
    assert findings(b'#coding: utf-7\ns = f"{d["k"]}"', 11) == ()
    assert findings(b's = f"{d["\xff"]}"', 11) == ()


def test_a_broken_f_string_hides_no_other() -> None:
    source = 'a = f"{}"\nb = f"{x)}"\nc = f"{d["k"]}"\n'

    assert [one.range.line for one in findings(source.encode(), 11)] == [3]


@pytest.mark.interpreters
@pytest.mark.parametrize(
    ("opening", "closing"), [("{x:", "}"), ("{x:{x:{f'", "'}}}"), ('{(f"{x:{x:', '}}")}'), ("{[{(", ")}]}")]
)
def test_any_mix_of_nesting_is_read_or_refused(opening: str, closing: str) -> None:
    for levels in (10, 60, 149, 1000):
        source = "s = f'" + opening * levels + "x" + closing * levels + "'\n"

        assert not findings(source.encode(), 13) or refusals("3.13", [source]) != [""] or levels > 50
        assert bool(findings(source.encode(), 11)) or opening == "{[{("
        assert source_text.decode_source(source.encode()) == source


def test_hostile_sources_end_soon() -> None:
    for source in (
        "f'''{[''' " * 1_000,
        "f'{(" * 2_500,
        'f"{' * 5_000,
        "{" * 50_000,
        "f'" + "{x:" * 2_500,
        "\\" * 25_000 + "f'{x}'",
    ):
        assert source_text.decode_source(source.encode()) is not None
        for _one in judge(source, 11):
            pass
        assert len(statements(source)) == 1
        assert find_ignores(source.encode() + b"  # buildguard: ignore[BG205]") is not None


def _under(source: str, where: tuple[int | None, ...]) -> str:
    lines = source.split("\n")
    starts = [sum(len(line) + 1 for line in lines[:at]) for at in range(len(lines))]
    line, column, end_line, end_column = (number or 0 for number in where)
    assert LineIndex(source).range(starts[line - 1] + column - 1, starts[end_line - 1] + end_column - 1) == where
    return source[starts[line - 1] + column - 1 : starts[end_line - 1] + end_column - 1]
