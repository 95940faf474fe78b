"""Names that are taken from the standard library by a dot: which are asked about, where, and under which guard."""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

from typing import Any

import pytest

from buildguard.imports.records import Guard, extract
from buildguard.remote import import_facts
from buildguard.remote.library_attributes import CHANGED, may_use, uses_of
from buildguard.remote.module_code import ModuleCode


def _rows(text: str, minor: int = 10) -> list[tuple[int, str, bool, str]]:
    facts = extract(text.encode(), (3, minor))
    assert facts is not None
    return [
        (item.line, f"{item.module}.{item.names[0]}", item.late, item.guard.value)
        for item in facts.attributes
        if item.guard is not Guard.FALSE
    ]


@pytest.mark.parametrize(
    ("text", "name", "late"),
    [
        ("import collections\nclass M(collections.Mapping): pass", "collections.Mapping", False),
        ("import collections as c\nX = [c.Mapping for _ in 'a']", "collections.Mapping", False),
        ("import datetime\ndef now():\n    return datetime.datetime.now(datetime.UTC)", "datetime.UTC", True),
        ("import typing as t\ndef f(x: t.Self): ...", "typing.Self", False),
        ("import typing\ndef f() -> typing.Self: ...", "typing.Self", False),
        ("import typing\nx: typing.Self", "typing.Self", False),
        ("import asyncio\n@asyncio.coroutine\ndef f(): ...", "asyncio.coroutine", False),
        ("import asyncio\nasync def f():\n    async with asyncio.TaskGroup() as g: ...", "asyncio.TaskGroup", True),
        ("import inspect\ndef f(x=inspect.getargspec): ...", "inspect.getargspec", False),
        ("import importlib.metadata\nimportlib.metadata.packages_distributions()", "importlib.metadata.", False),
        ("from importlib import metadata as m\nm.packages_distributions()", "importlib.metadata.", False),
        ("import os.path\nos.path.isjunction", "os.path.isjunction", False),
        ("import string\nX = string.letters", "string.letters", False),
        ("import enum\nclass E(enum.Enum):\n    x = enum.member(1)", "enum.member", False),
        ("import urllib.request as r\nclass O(r.FancyURLopener): ...", "urllib.request.FancyURLopener", False),
    ],
)
def test_what_is_asked(text: str, name: str, late: bool) -> None:
    [(line, asked, is_late, guard)] = _rows(text)

    assert asked.startswith(name)
    assert (line > 1, is_late, guard) == (True, late, "")


@pytest.mark.parametrize(
    "text",
    [
        "import datetime\nX = datetime.timezone.utc",  # every Python has it
        "from datetime import datetime\nX = datetime.UTC",  # a class
        "import datetime\ndatetime = other\nX = datetime.UTC",
        "import datetime\ndef f(datetime): return datetime.UTC",
        "from here import *\nimport datetime\nX = datetime.UTC",
        "import here as datetime\nX = datetime.UTC",
        "import collections\ncollections.Mapping = dict",
        "import datetime\ntry:\n    X = datetime.UTC\nexcept AttributeError:\n    X = datetime.timezone.utc",
        "import collections\ntry:\n    X = collections.abc\nexcept Exception:\n    X = collections.Mapping",
        "import contextlib, datetime\nwith contextlib.suppress(AttributeError):\n    X = datetime.UTC",
        "import sys, datetime\nif sys.version_info >= (3, 11):\n    X = datetime.UTC",
        "import sys, datetime\nX = datetime.UTC if sys.version_info >= (3, 11) else datetime.timezone.utc",
        "import sys, datetime\nX = sys.version_info >= (3, 11) and datetime.UTC",
        "import sys, datetime\nNEW = sys.version_info >= (3, 11)\nX = datetime.timezone.utc if not NEW else datetime.UTC",
        "import datetime\nf = lambda: datetime.UTC",
        "from __future__ import annotations\nimport typing\ndef f(x: typing.Self) -> typing.Self: ...",
        "import typing\ndef f():\n    x: typing.Self = 1",
        "import typing\nt = 1\nif t:\n    pass\nx = 'typing.Self'",
    ],
)
def test_what_is_not_asked(text: str) -> None:
    assert _rows(text) == []


def test_annotations_wait_from_3_14_on() -> None:
    assert _rows("import typing\ndef f(x: typing.ByteString): ...", minor=14) == []


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nif hasattr(asyncio, 'timeout'):\n    asyncio.timeout(1)",
        "import asyncio\nX = asyncio.timeout if hasattr(asyncio, 'timeout') else None",
        "import asyncio\nX = hasattr(asyncio, 'timeout') and x and asyncio.timeout",
    ],
)
def test_a_test_of_what_is_there_is_a_guard(text: str) -> None:
    [(_line, _name, _late, guard)] = _rows(text)

    assert guard == "tested"


@pytest.mark.parametrize(
    ("text", "guard"),
    [
        ("X = datetime.UTC if y else 1", "conditional"),
        ("X = 1 if y else [datetime.UTC]", "conditional"),
        ("X = y or datetime.UTC", "conditional"),
        ("X = datetime.UTC or y", ""),
        ("X = y if datetime.UTC else 1", ""),
        ("X = datetime.UTC if True else 1", ""),
        ("X = 0 or datetime.UTC", ""),
        ("match datetime.UTC:\n    case 1: pass", ""),
    ],
)
def test_a_test_in_an_expression_guards_what_it_decides(text: str, guard: str) -> None:
    [(_line, name, late, found)] = _rows(f"import datetime\n{text}")

    assert (name, late, found) == ("datetime.UTC", False, guard)


def test_few_sources_are_read_for_this() -> None:
    assert may_use(b"import datetime\ndatetime.UTC", frozenset({"datetime", "UTC"}))
    assert may_use(b"import datetime as d\nd.UTC", frozenset({"datetime", "UTC"}))
    assert not may_use(b"import copy\n'a'.replace('a', 'b')", frozenset({"copy", "replace"}))
    assert not may_use(b"import datetime\ndatetime.date", frozenset({"datetime", "date"}))
    assert "Mapping" in CHANGED["collections"]


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("import asyncio as a\na.timeout(1)\nx = 'asyncio as '", True),
        ("import asyncio as a\na \\\n  . timeout(1)", True),
        ("from xml.etree import (\n    ElementTree as E,\n)\nE.indent(1)", True),
        ("import xml.etree.ElementTree as E\ndef f():\n    import collections\n    (collections).Set = 1", True),
        ("from os import path as p\np.isjunction(1)", True),
        ("import xml.etree as e\ne.ElementTree.indent(1)", True),
        ("import typing as t\nx.Literal = t.Any\n", False),
        ("import asyncio as a\nb.timeout(1)\n", False),
        ("import asyncio.timeouts as a\nx = a.timeouts()\ny.timeouts = asyncio.timeouts()\n", False),
        ("import locale\nsetattr(x, 'format', locale.getdefaultlocale)\nsetattr(locale, 'x', 1)", True),
        ("import locale\nsetattr(x, 'formats', locale.format_string)\n", False),
    ],
)
def test_a_tree_is_read_where_such_a_name_is_used_or_set(text: str, does: bool) -> None:
    assert (uses_of(_module(text))[0] != []) is does


@pytest.mark.parametrize(
    ("text", "patched"),
    [
        ("import collections, collections.abc\ncollections.Mapping = collections.abc.Mapping", "collections.Mapping"),
        ("import collections as c\nsetattr(c, 'Mapping', dict)", "collections.Mapping"),
    ],
)
def test_what_a_source_sets_itself(text: str, patched: str) -> None:
    facts = extract(text.encode(), (3, 12))

    assert facts is not None
    assert facts.patched == (patched,)


_BY_TREE: Any = import_facts.read_attributes


def _module(text: str) -> Any:
    return ModuleCode(text.encode(), compile(text, "<source>", "exec"))


_BINDINGS = (
    "import typing",
    "import typing, os",
    "import typing as typing",
    "import os as typing",
    "import os.path as typing",
    "from os import path as typing",
    "from here import typing",
    "from . import typing",
    "from .typing import typing",
    "from ..here import Self as typing",
    "try:\n    import typing\nexcept ImportError:\n    pass",
    "try:\n    import typing\nexcept ImportError:\n    typing = None",
    "import sys\nif sys.version_info >= (3, 9):\n    import typing\nelse:\n    import other as typing",
    "if a:\n    import typing\nif b:\n    import typing",
    "import typing\ndel typing",
    "import typing\nfrom os import *",
    "import typing\ndef g():\n    from os import path",
    "import typing\ndef g(typing): ...",
    "import typing\ndef g():\n    typing = 1",
    "import typing\ndef g():\n    typing = 1\n    typing.daemon = typing.Self",
    "import typing\ndef g(typing):\n    import os\n    typing.daemon = os.path",
    "import typing\ndef g():\n    import os as typing\n    typing.daemon = os.path",
    "import typing\ndef g(a, b):\n    a.Self = b\n    a.b.Self = b.a",
    "import typing\ndef g(a, b):\n    a.Self = typing.Any",
    "import typing\ntyping.Self = 1",
    "import typing\ndef g():\n    typing.Self = 1",
    "import typing\nclass C:\n    x = 1\n    def m(self, typing):\n        self.x = typing\n        return typing.Self",
    "import typing\ndef g():\n    import typing",
    "import typing\ndef g():\n    import os as typing",
    "import typing\ndef g():\n    global typing\n    typing = 1",
    "import typing\ndef g():\n    global typing\n    import os as typing",
    "import typing\nclass C:\n    typing = 1",
    "import typing\nclass C:\n    import os as typing",
    "import typing\nclass C:\n    def typing(self): ...",
    "import typing\n[typing for typing in 'a']",
    "import typing\nf = lambda typing: 1",
    "import typing\nfor typing in 'a': ...",
    "import typing\nwith open('a') as typing: ...",
    "import typing\ntry:\n    pass\nexcept TypeError as typing:\n    pass",
    "import typing\n(typing := 1)",
    "import typing\ndef typing(): ...",
    "import typing\nclass typing: ...",
    "def f():\n    import typing\n    return typing.Self",
)
_USES = (
    "x = typing.Self",
    "def f(x: typing.Self) -> typing.Self:\n    return typing.Never",
    "class D(typing.Protocol):\n    import os\n    def m(self):\n        return typing.Self",
    "@typing.final\ndef f():\n    import os\n    return typing.Self",
    "try:\n    x = typing.Self\nexcept AttributeError:\n    x = typing.Any",
    "import os\nif os.name == 'nt':\n    x = typing.Self\nelse:\n    y = typing.Never",
    "x = [\n    1,\n    typing.Self,\n    typing.Never,\n]\ny = '''\ntyping.Self\n'''",
    "from __future__ import annotations\nx: typing.Self",
)


@pytest.mark.parametrize("use", _USES)
@pytest.mark.parametrize("binding", _BINDINGS)
def test_statements_alone_show_what_the_whole_tree_shows(binding: str, use: str) -> None:
    text = f"{use}\n{binding}\n" if use.startswith("from __future__") else f"{binding}\n{use}\n{binding}\n{use}\n"
    facts = extract(text.encode(), (3, 12))

    by_tree = _BY_TREE(_module(text), ((3, 12), "linux"), (b"typing",))

    rows, patched = by_tree["attributes"], by_tree["patched"]
    assert facts is not None
    assert [[item.line, item.column, item.names[0], item.guard, item.late] for item in facts.attributes] == [
        [line, column, name, guard, late] for line, column, _module, name, guard, late in rows
    ]
    assert list(facts.patched) == patched


def test_the_whole_tree_is_read_for_few(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        pytest.fail("the whole tree was read")

    monkeypatch.setattr(import_facts, "read_attributes", fail)

    assert _rows("import typing\nclass C:\n    def f(self) -> typing.Self: ...") == [(3, "typing.Self", False, "")]
    assert _rows("try:\n    import typing\nexcept ImportError:\n    typing = None\nx = typing.Self") == []
