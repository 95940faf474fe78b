"""The program that reads imports inside the target: the same facts on every Python, and none where it cannot read."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from buildguard.imports.records import Guard, extract
from buildguard.remote import evaluated_types, import_codes, import_facts, import_outline, import_tests
from tests.conftest import SOME_VERSIONS
from tests.remote.running import facts_of

_OUTLINE: Any = import_outline  # written for old Pythons, without annotations
_CODES: Any = import_codes
_TYPES: Any = evaluated_types
_SOURCE = b"""\
import sys
try:
    import a
except ImportError:
    pass
class C:
    def f(self):
        import late
        return "\\
"
    def g(self):
        return 1
if sys.version_info >= (3, 11):
    from b import c as d
else:
    from b import e as d
__all__ = ["d"]
"""


@pytest.mark.parametrize("version", SOME_VERSIONS)
def test_each_python_reads_the_same(version: str) -> None:
    minor = int(version.partition(".")[2])

    rows = json.loads(facts_of(version, _SOURCE))

    newer, older = ("", "false") if minor >= 11 else ("false", "")
    assert rows["imports"] == [
        [1, 1, "import", "sys", [], 0, "", False, False],
        [3, 5, "import", "a", [], 0, "except", False, False],
        [8, 9, "import", "late", [], 0, "", True, False],
        [14, 5, "from", "b", ["c"], 0, newer, False, False],
        [16, 5, "from", "b", ["e"], 0, older, False, False],
    ]
    assert rows["bound"] == {"sys": 1, "a": 3, "C": 6, "d": 14, "__all__": 17}
    assert (rows["exports"], rows["dynamic"]) == (["d"], False)


def test_what_is_too_large_has_no_facts() -> None:
    source = b"import a\n" * (import_facts.LARGEST // 9 + 1)

    assert import_facts.import_facts(source, compile("", "", "exec"), sys.version_info, "linux") == b""


def test_every_guard_has_its_name() -> None:
    assert set(import_tests.GUARDS) == set(Guard)


@pytest.mark.parametrize(
    "source",
    [
        b"def f():\n    return 1\nimport a\nclass C:\n    x = 1\n",
        b"class C:\n    def f(self):\n        import a\n    def g(self):\n        return 1\n",
        b"@b\ndef f(x,\n  y\n):\n    return '''\nother c\n'''\nimport a\n",
    ],
)
def test_the_outline_holds_every_import(source: bytes) -> None:
    outline, _left_out = _OUTLINE.outline_of(source, None, {})

    assert outline is not None
    places = [[line.strip() for line in text.split(b"\n")].index(b"import a") for text in (outline, source)]
    assert places[0] == places[1]  # each statement keeps its line; what follows the last import is left out
    assert (b"return 1" in outline) == (len(source) < 100 and b"class C:\n    def f" in source)
    facts = extract(source, (3, 13))
    assert facts is not None
    assert [statement.module for statement in facts.imports] == ["a"]


def test_an_outline_that_is_not_the_whole_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_facts, "plain_reader", lambda *_rest: None)
    source = (
        b"def f():\n    x = '''it's\n'''\nif 0:\n    import gone\ntry:\n    import a\nexcept ImportError:\n    a = 0\n"
    )

    facts = extract(source, (3, 13))

    assert facts is not None
    assert [(statement.module, statement.guard) for statement in facts.imports] == [
        ("gone", Guard.FALSE),
        ("a", Guard.EXCEPT),
    ]


@pytest.mark.parametrize(("test", "names"), [("NEW", ("a", "b")), ("not NEW", ("a",)), ("x()", None)])
def test_a_constant_decides_about_what_is_exported(test: str, names: tuple[str, ...] | None) -> None:
    source = (
        f"import sys\nNEW = sys.version_info >= (3,)\n__all__ = [\n    'a']\nif {test}:\n    __all__.extend(['b'])\n"
    )

    facts = extract(source.encode(), (3, 13))

    assert facts is not None
    assert facts.exports == names


@pytest.mark.parametrize(
    ("start", "path"),
    [
        ("import sys", "sys.path"),
        ("import sys as y", "y.path"),
        ("from sys import path", "path"),
    ],
)
def test_a_change_of_the_path_is_found_under_any_name(start: str, path: str) -> None:
    source = f"{start}\n\n\ndef f():\n    x = '/a'\n    y.append(1)\n    {path}.append(x)\n\n\nf()\n".encode()

    facts = extract(source, (3, 13))

    assert facts is not None
    assert [change.folder for change in facts.paths] == ["/a"]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_calls_that_import_are_found_under_any_name(end: bytes) -> None:
    source = b"""\
from importlib import import_module as load
import importlib as i
x = 1
@register(load("a"))
def f():
    return load("b")
load(
    "c"
)
if i.import_module("d"):
    __import__("e")
"""

    facts = extract(source.replace(b"\n", end), (3, 13))

    assert facts is not None
    calls = [(row.line, row.module, row.late) for row in facts.imports if row.form == "call"]
    assert calls == [(4, "a", False), (6, "b", True), (7, "c", False), (10, "d", False), (11, "e", False)]


def test_only_literal_names_count() -> None:
    import ast

    assert _CODES.literal_names(ast.parse("['a', 'b']", mode="eval").body) == ["a", "b"]
    assert _CODES.literal_names(ast.parse("['a', b]", mode="eval").body) is None


def test_nothing_is_looked_for_where_every_type_is_understood() -> None:
    assert _TYPES.typed_bytes(13) is None
    assert _TYPES.typed_bytes(9).search(b"x: int | None = None\n")
    assert not _TYPES.typed_bytes(9).search(b"x: list[int] = []\n")
    assert _TYPES.typed_bytes(8).search(b"x: list[int] = []\n")


@pytest.mark.parametrize(
    "again",
    [
        "with open(__file__) as flag:\n    pass",
        "with (open(__file__)) as flag, open(__file__) as other:\n    pass",
        "other = (flag := True)",
        "if (flag := True):\n    pass",
        "flag += 1",
        "flag, other = True, False",
        "[other, *flag] = 1, 2",
        "from os import name as flag",
        "import os.path as flag",
        "from os import *\nfrom os import path as flag",
        "if flag is not None:\n    for flag in (1, 2):\n        pass",
        "try:\n    pass\nfinally:\n    flag = 2",
        "def flag():\n    pass",
        "class flag:\n    pass",
        "def turn():\n    global flag\n    flag = 1\nturn()",
    ],
)
@pytest.mark.parametrize("around", ["{}", "def other():\n    import sys\n    return sys\n{}\n__all__ = []"])
def test_a_flag_that_is_bound_again_guards_nothing(again: str, around: str) -> None:
    source = around.format(f"flag = False\n{again}\nif flag:\n    import gone\n")
    with pytest.raises(ModuleNotFoundError, match="gone"):
        exec(compile(source, "<source>", "exec"), {"__file__": __file__, "__name__": "module"})

    facts = extract(source.encode(), (3, 11))

    assert facts is not None
    assert [row.guard for row in facts.imports if row.module == "gone"] == [Guard.CONDITIONAL]


def test_a_star_import_may_bring_another_value_of_a_literal() -> None:
    source = "import sys\nNEW = sys.version_info >= (3, 8)\nflag = False\nfrom .local import *\nif flag:\n    import a\nif NEW:\n    import b\n"

    facts = extract(source.encode(), (3, 11))

    assert facts is not None
    assert [row.guard for row in facts.imports if row.module in {"a", "b"}] == [Guard.CONDITIONAL, Guard.NONE]


def test_a_guard_that_names_its_test_is_read() -> None:
    source = b"import sys\nif (new := sys.version_info >= (3, 12)):\n    import a\nelif (version := sys.version_info) >= (3, 8):\n    import b\n"

    facts = extract(source, (3, 11))

    assert facts is not None
    assert [(row.module, row.guard) for row in facts.imports[1:]] == [("a", Guard.FALSE), ("b", Guard.NONE)]


def test_a_name_for_type_checkers_stays_false_whatever_binds_it() -> None:
    source = b"import sys\nif sys.version_info >= (3, 8):\n    from typing import TYPE_CHECKING\nelse:\n    TYPE_CHECKING = False\nif TYPE_CHECKING:\n    import a\n"

    facts = extract(source, (3, 11))

    assert facts is not None
    assert facts.imports[-1].guard is Guard.FALSE


@pytest.mark.parametrize(
    ("body", "guard"),
    [("pass", Guard.CONDITIONAL), ("x = f()", Guard.CONDITIONAL), ("import a", Guard.HANDLER)],
)
def test_what_comes_after_a_try_without_imports_may_run(body: str, guard: Guard) -> None:
    text = f"try:\n    {body}\nexcept ImportError:\n    pass\nelse:\n    import b\n"

    facts = extract(text.encode(), (3, 11))

    assert facts is not None
    assert (facts.imports[-1].module, facts.imports[-1].guard) == ("b", guard)


@pytest.mark.parametrize(
    ("around", "guard"),
    [
        ("with open('x'):\n", Guard.NONE),
        ("import warnings\nwith warnings.catch_warnings():\n", Guard.NONE),
        ("from warnings import catch_warnings\nwith catch_warnings():\n", Guard.NONE),
        ("import contextlib\nwith contextlib.suppress(KeyError):\n", Guard.NONE),
        ("app = f()\nwith app.app_context():\n", Guard.NONE),
        ("with optional():\n", Guard.CONDITIONAL),
        ("from tools import optional\nwith open('x'), optional() as y:\n", Guard.CONDITIONAL),
        ("import tools\nwith tools.ignore_errors():\n", Guard.CONDITIONAL),
        ("with manager:\n", Guard.CONDITIONAL),
        ("import contextlib\nwith contextlib.suppress(ImportError):\n", Guard.EXCEPT),
    ],
)
def test_a_context_manager_of_the_project_may_end_an_import_error(around: str, guard: Guard) -> None:
    facts = extract(f"{around}    import b\n".encode(), (3, 11))

    assert facts is not None
    assert (facts.imports[-1].module, facts.imports[-1].guard) == ("b", guard)


@pytest.mark.parametrize(
    ("types", "guard"),
    [
        ("KeyError", Guard.NONE),
        ("(OSError, ValueError)", Guard.NONE),
        ("socket.error", Guard.NONE),
        ("errors.MyError", Guard.NONE),
        ("AttributeError", Guard.CONDITIONAL),
        ("(KeyError, TypeError)", Guard.CONDITIONAL),
        ("ERRORS", Guard.CONDITIONAL),
        ("errors.OPTIONAL", Guard.CONDITIONAL),
        ("errors_of(1)", Guard.CONDITIONAL),
        ("(ImportError, ERRORS)", Guard.EXCEPT),
    ],
)
def test_exceptions_by_a_name_that_is_no_class_may_hold_any(types: str, guard: Guard) -> None:
    facts = extract(f"try:\n    import b\nexcept {types}:\n    pass\n".encode(), (3, 11))

    assert facts is not None
    assert (facts.imports[-1].module, facts.imports[-1].guard) == ("b", guard)


def test_what_such_a_handler_raises_again_is_not_caught() -> None:
    facts = extract(b"try:\n    import b\nexcept ERRORS:\n    print()\n    raise\n", (3, 11))

    assert facts is not None
    assert facts.imports[-1].guard is Guard.NONE
