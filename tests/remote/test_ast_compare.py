"""Whether two sources mean the same: only what certainly does is let pass."""

from __future__ import annotations

import ast
import sys
from typing import Any

import pytest

from buildguard.remote import ast_compare

_COMPARE: Any = ast_compare  # written for old Pythons, without annotations


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\n", "x  =  1  # one\n"),
        ("f'a{1}b'", "f'a' f'{1}b'"),
        ("f'a{\"b\"}c'", "'abc' f''"),
        ("f'{f\"{x}\"}!'", "f'{x}!'"),
        ("f'a{x!r:>3}'", "f'a' f'{x!r:>3}'"),
    ],
)
def test_the_same_meaning(before: str, after: str) -> None:
    assert _COMPARE.doubt(before, after, set()) == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1", "x = 2"),
        ("f'{x}'", "f'{x!s}'"),
        ("f'{x:>3}'", "f'{x:>4}'"),
        ("f'{\"a\"!r}'", "f'a'"),
        ("f'{\"a\":>3}'", "f'a'"),
        ("f'{1}'", "f'1'"),
        ("f'a{x}'", "f'{x}a'"),
        ("b'a'", "'a'"),
    ],
)
def test_another_meaning(before: str, after: str) -> None:
    assert _COMPARE.doubt(before, after, set()) == "the syntax trees before and after the fix differ"


_BEFORE = "def f(x):\n    return g('\\n'.join(x))\n"
_BOUND = "def f(x):\n    _nl = '\\n'\n    return g(_nl.join(x))\n"


def test_a_name_that_a_fix_binds_stands_for_its_constant() -> None:
    assert _COMPARE.doubt(_BEFORE, _BOUND, {"_nl"}) == ""
    assert _COMPARE.doubt(_BEFORE, _BOUND, set()) == "the syntax trees before and after the fix differ"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("_nl = 1\n" + _BEFORE, "_nl = 1\n" + _BOUND, "a name that the fix binds is taken"),
        ("import _nl.x\n", "import _nl.x\n", "a name that the fix binds is taken"),
        (_BEFORE, "def f(x):\n    return g(_nl.join(x))\n", "the name _nl is used where it is not bound"),
        ("x = 'a' + 'b'", "_nl = 'a'\nx = _nl + 'b'\n_nl = 'c'", "the name _nl is bound to two constants"),
        ("class A:\n    x = '\\n'", "class A:\n    _nl = '\\n'\n    x = _nl", "an attribute of the class A"),
        (
            "def f():\n    g(locals())\n    return '\\n'",
            "def f():\n    _nl = '\\n'\n    g(locals())\n    return _nl",
            "asks which names",
        ),
        (
            "def f():\n    eval(x)\n    return '\\n'",
            "def f():\n    _nl = '\\n'\n    eval(x)\n    return _nl",
            "asks which names",
        ),
        ("def f(): vars()\nx = '\\n'", "def f(): vars()\n_nl = '\\n'\nx = _nl", "asks which names"),
        (
            "from __future__ import annotations\nx: 'a' = 1",
            'from __future__ import annotations\nx: "b" = 1',
            "an annotation is kept as text",
        ),
        ("x = (", "x = 1", "rejects the file as it is"),
        ("x = 1", "x = (", "rejects the file after the fix"),
        ("x = 1\0", "x = 1", "rejects the file as it is"),
    ],
)
def test_what_stays_in_doubt_says_why(before: str, after: str, words: str) -> None:
    assert words in _COMPARE.doubt(before, after, {"_nl"})


def test_names_in_a_function_that_asks_for_none_are_not_seen_by_another_one() -> None:
    before = "def f():\n    return '\\n'\ndef g():\n    locals()\n"
    after = "def f():\n    _nl = '\\n'\n    return _nl\ndef g():\n    locals()\n"

    assert _COMPARE.doubt(before, after, {"_nl"}) == ""


def test_every_use_of_a_name_counts() -> None:
    source = "import a.b as c\nfrom d import e\ndef f(g, *h, i=1, **j):\n    global k\n    l.m(n=1)\n"

    assert _COMPARE.identifiers(ast.parse(source)) >= set("abcdefghijklmn")
    assert "text" not in _COMPARE.identifiers(ast.parse("x = 'text'"))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is that of 3.12")
def test_quotes_inside_of_fields() -> None:
    assert _COMPARE.doubt("f'{x['a']}'", "f\"{x['a']}\"", set()) == ""
