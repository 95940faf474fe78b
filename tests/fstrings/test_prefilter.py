"""The screen: it misses nothing that some Python refuses, and lets pass at once what none does."""

from __future__ import annotations

import pytest

from buildguard.fstrings.prefilter import may_be_refused, may_nest, next_suspect

_REFUSED = [
    'x = f"{d["a"]}"',
    "x = f'{d['a']}'",
    'x = F"{d["a"]}"',
    'x = rf"{d["a"]}"',
    'x = Rf"{d["a"]}"',
    'x = fR"{d["a"]}"',
    "x = rF'{d['a']}'",
    "x = f\"{'\\n'.join(d)}\"",
    'x = f"{a # c\n}"',
    'x = f"{a\n}"',
    'x = f"{a + f"{b}"}"',
    "x = f'{a:{'b'}}'",
    "x = f'{a!r:{'b'}>3}'",
    'x = f"""{d["""a"""]}"""',
    "x = f'''{d['''a''']}'''",
    'x = f"""{\'\\n\'}"""',
    'x = f"""{a # c\n}"""',
    'x = "a" f"{d["a"]}"',
    "x = 'it''s' f'{d['a']}'",
    'x = f"{a}" f"{d["a"]}"',
    'x = f"""{a}""" f"{d["a"]}"',
    "x = '\\'' f'{d['a']}'",
    "x = '''a\\'''' f'{d['a']}'",
]
_INNOCENT = [
    "",
    "x = 1",
    "x = f''",
    'x = f""',
    'x = f""""""',
    "x = f''''''",
    "x = f'{a}'",
    'x = f"{a!r:>10}"',
    "x = f'{a:{w}.{p}f}'",
    "x = f\"{d['a']}\"",
    "x = f'{d[\"a\"]}'",
    "x = f'{{}}'",
    "x = f'{{{a}}}'",
    "x = f'a\\'b{a}'",
    'x = f"a\\"b{a}"',
    "x = f'\\n{a}\\n'",
    'x = f"""{a}"""',
    "x = f'''{a}'''",
    'x = f"""a "b" {a}"""',
    "x = f'''it's {a}\n'''",
    'x = f"""\n{a}\n"""',
    'x = rf"\\d{a}"',
    "x = F'{a}' fR'{b}' Rf'{c}'",
    "xf = 'f{'",
    "def f(a): return f(a)['b']",
    "x = a.f['b']",
    "rf = {'a': 'b'}",
    'x = """f{\'a\'} "b" """',
    "x = '''f{\"a\"} 'b' '''",
]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
@pytest.mark.parametrize("code", _REFUSED)
def test_nothing_is_missed(code: str, end: str) -> None:
    assert may_be_refused((code + end).encode())
    assert may_be_refused((f"a = 'x'\nb = f'{{a}}'\n{code}" + end).encode())
    bare = code.removeprefix("x = ")
    assert may_be_refused(bare.encode())
    assert may_be_refused(f"# coding: latin-1\n{code}{end}".encode("latin-1"))


@pytest.mark.parametrize("code", _INNOCENT)
def test_nothing_innocent_is_suspect(code: str) -> None:
    assert not may_be_refused(code.encode())
    assert not may_be_refused(f"a = 1\n{code}\nb = 2\n".encode())
    assert next_suspect(code, 0) == len(code)


def test_a_comment_holds_no_literal() -> None:
    code = "# f'{d['a']}'\nx = 1\n"
    assert next_suspect(code, 0) == len(code)


def test_what_is_not_utf8_is_looked_at() -> None:
    for data in (b"# coding: latin-1\nx = 1\n", "x = 'ü'\n".encode("latin-1"), b"# coding: no-such\nx = 1\n"):
        expected = b"coding" in data
        assert may_be_refused(data) == expected
        assert may_nest(data) == expected
    assert not may_be_refused("# coding: utf-8\nx = f'{ü}'\n".encode())


@pytest.mark.parametrize("code", _REFUSED)
def test_the_next_suspect_is_where_it_stands(code: str) -> None:
    """Or before it, where that literal is no more innocent."""
    before = "a = f'{b}' + 'c' # f'{d['e']}'\n"
    at = next_suspect(before + code, 0)

    assert len(before) <= at < len(before + code)
    assert (before + code)[at:].lstrip("rRfF")[:1] in {'"', "'"}
    assert next_suspect(before + code, at) == at


_NESTED = [
    "x = f'{f\"{a}\"}'",
    "x = f\"{f'{a}'}\"",
    "x = f'{a + F\"{b}\"}'",
    "x = f'{a + rf\"b\"}'",
    "x = f'''{f\"{a}\"}'''",
    "x = f'''{\nf\"{a}\"}'''",
    "x = f'''\n{a +\nf\"{b}\"}'''",
    'x = F"""{f\'{a}\'}"""',
    'x = rf"""{\n\nfr\'{a}\'}"""',
    "x = f'a\\\n{f\"{a}\"}'",
    "x = f'a\\\r\n{f\"{a}\"}'",
    "x = f'a\\\r{f\"{a}\"}'",
]
_NOT_NESTED = [
    "x = 1",
    "x = f'{a}'",
    "x = {f'a', f'{b}'}",
    "x = {\nf'a': 1}",
    "x = f'{a}'\ny = {f'b'}",
    "x = f'''{a}'''",
    "x = '{f' 'b'",
]


@pytest.mark.parametrize("code", _NESTED)
@pytest.mark.parametrize("before", ["", "y = 1\n", "y = 1\r\n", "y = f'{a}'\n"])
def test_no_nested_one_is_missed(code: str, before: str) -> None:
    assert may_nest((before + code).encode())
    assert may_nest((before + code + "\ny = 1\n").encode())


@pytest.mark.parametrize("code", _NOT_NESTED)
def test_what_does_not_nest_is_no_suspect(code: str) -> None:
    assert not may_nest(code.encode())
    assert not may_nest(f"{code}\ny = 1\n".encode())
