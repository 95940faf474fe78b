"""Type expressions that run at import: found where the real Python raises, and nowhere else."""

from __future__ import annotations

import subprocess

import pytest

from buildguard.engines.interpreter import local_probe
from buildguard.imports.records import Guard, extract, facts_from
from buildguard.remote import evaluated_types
from buildguard.remote.wire import read_list
from tests.conftest import interpreter
from tests.remote.running import facts_request

# Each source, and what is found for 3.8, 3.9 and 3.10.
_CASES = [
    ("def f(x: int | None = None): ...", "union union -"),
    ("def f() -> str | int: ...", "union union -"),
    ("def f(*a: int | str, **k: None | int): ...", "union union -"),
    ("class C:\n    def f(self, x: int | None): ...", "union union -"),
    ("class C: pass\ndef f(x: C | None): ...", "union union -"),
    ("class C: pass\ndef f(x: typing.Optional[C | int]): ...", "union union -"),
    ("class Cat: pass\nclass Dog: pass\ndef f(x: Cat | Dog): ...", "union union -"),
    ("class Cat: pass\nimport types as t\ndef f() -> Cat | t.ModuleType | t.FunctionType: ...", "union union -"),
    ("class Cat: pass\nX = Cat | None", "union union -"),
    ("class Cat: pass\nX = typing.Dict[str, typing.Callable[[Cat | None], int]]", "union union -"),
    (
        "from collections.abc import Callable\nclass Cat: pass\nclass Dog: pass\nX = Callable[[Cat | Dog], int]",
        "union union -",
    ),
    ("class Cat: pass\nclass Dog: pass\nX = typing.Optional[Cat | Dog]", "union union -"),
    ("from ipaddress import IPv4Network as A, IPv6Network as B\nX = A | B", "union union -"),
    ("from pathlib import Path\nimport datetime\nX = Path | datetime.date", "union union -"),
    ("x: int | None = None", "union union -"),
    ("class C:\n    x: int | None = None", "union union -"),
    ("X = int | None", "union union -"),
    ("X = typing.Optional[int] | str", "union union -"),
    ("from typing import List as L\nX = L[int] | None", "union union -"),
    ("isinstance(1, int | str)", "union union -"),
    ("import abc\nclass Cat(abc.ABC): pass\nclass Dog(Cat, dict): pass\ndef f(x: Cat | Dog): ...", "union union -"),
    ("class Odd(type): pass\nclass Cat(metaclass=Odd): pass\ndef f(x: Cat | None): ...", "union union -"),
    ("class Cat(typing.Generic[typing.TypeVar('T')]): pass\nclass Dog(OSError): pass\nX: Cat | Dog", "union union -"),
    ("T = typing.TypeVar('T', bound=int | str)", "union union -"),
    ("def f(x=int | str): ...", "union union -"),
    ("def f(x: list[int]): ...", "generic - -"),
    ("def f(x: list[int] | None): ...", "generic union -"),
    ("X = dict[str, int]", "generic - -"),
    ("class C(dict[str, int]): ...", "generic - -"),
    ("import collections as c\nX = c.OrderedDict[str, int]", "generic - -"),
    ("from collections.abc import Callable\ndef f(x: Callable[[int], int]): ...", "generic - -"),
    ("def f(x: re.Pattern[str]): ...", "generic - -"),
    ("def f(x: queue.Queue[int]): ...", "generic - -"),
    ("X = (int | None) or 1", "union union -"),
    ("class Cat: pass\nclass Dog(Cat): pass\nX = Cat | Dog", "union union -"),
    ("class Cat: pass\nclass Dog: pass\nclass Cow: pass\nX = (\n    Cat\n    | Dog\n    | Cow\n)", "union union -"),
    ("import threading\nclass Cat(threading.Thread): pass\ndef f(x: Cat | None): ...", "union union -"),
    ("from json import JSONEncoder as J\nclass Cat(J): pass\nclass Dog(Cat): pass\nX = Dog | None", "union union -"),
    ("import http.server as h\nclass Cat(h.BaseHTTPRequestHandler): pass\nX: Cat | None = None", "union union -"),
    ("X = 1 and int | None", "union union -"),
    ("X = int | None if len('a') else 1", "union union -"),
    # what no version minds
    ("import sys\nX = int | str if sys.version_info >= (3, 10) else typing.Union[int, str]", "- - -"),
    ("import sys\nNEW = sys.version_info[:2] >= (3, 10)\nX = NEW and int | str", "- - -"),
    ("import sys\nX = isinstance(1, int if sys.version_info < (3, 10) else int | str)", "- - -"),
    ("X = 0 and int | str", "- - -"),
    ("x = 1 | 2", "- - -"),
    ("class F(enum.Flag):\n    A = 1\n    B = 2\nX = F.A | F.B", "- - -"),
    ("class Fl(enum.Flag):\n    Ab = 1\n    Cd = 2\nX = Fl.Ab | Fl.Cd\ndef f(x=Fl.Ab | Fl.Cd): ...", "- - -"),
    ("Ab, Cd = 1, 2\nX = Ab | Cd", "- - -"),
    ("class Q:\n    def __or__(self, o): return self\nAb = Q()\nX = {1: Ab}[1] | None", "- - -"),
    ("AB, CD = 1, 2\ndef f(x: AB | CD): ...", "- - -"),
    ("class Q:\n    def __or__(self, o): return self\nX = Q() | Q()", "- - -"),
    ("X = {1} | {2}", "- - -"),
    ("list = {1: 2}\nX = list[1]", "- - -"),
    ("X = [type['a'] for type in [{'a': 1}]]", "- - -"),
    ("X = {list[0]: list[1] for list in [(1, 2)]}, sum(tuple[0] for tuple in [(1,)])", "- - -"),
    ("X = [list[int] for x in 'a']", "generic - -"),
    ("X = [type for type in [1]], type[int]", "generic - -"),
    ("class C:\n    type = {'a': 1}\n    x = type['a']", "- - -"),
    ("class C:\n    for list, set in [((1,), (2,))]:\n        x = list[0], set[0]", "- - -"),
    ("class C:\n    list: 'str'\n    x = list[int]", "generic - -"),
    ("class C:\n    list = 1\nX = list[int]", "generic - -"),
    ("class C:\n    x: list[int] = []\n    list = 1", "generic - -"),
    ("class C:\n    list = 1\n    class D:\n        x = list[int]", "generic - -"),
    ("def f():\n    x: int | None = None\n    def g(y: int | None): ...", "- - -"),
    ("X = lambda: int | None", "- - -"),
    ("def f(x: 'int | None'): ...", "- - -"),
    ("def f(x: typing.List[int]): ...", "- - -"),
    ("if typing.TYPE_CHECKING:\n    X = int | None", "- - -"),
    ("import sys\nif sys.version_info >= (3, 10):\n    X = int | None", "- - -"),
    ("try:\n    X = int | None\nexcept TypeError:\n    X = object", "- - -"),
]

_OR = "class Odd(type):\n    def __or__(cls, other): return cls\n"
_CAT = "class Cat(metaclass=Odd): pass\nclass Dog(Cat): pass\n"
# What only a run decides, and what runs on each of them.
_METACLASSES = [
    _OR + _CAT + "def f(x: Cat | Dog) -> Dog | None: ...",
    _OR + _CAT + "X = Cat | None",
    "class Odd(type):\n    __ror__ = lambda cls, other: cls\n" + _CAT + "def f(x: int | Dog): ...",
    _OR + "class Odder(Odd): pass\nclass Cat(metaclass=Odder): pass\nX: Cat | None",
    "import abc\nclass Odd(abc.ABCMeta):\n    def __or__(cls, other): return cls\n" + _CAT + "X: Cat | Dog",
    _OR + "Base = Odd('Base', (), {})\nclass Cat(Base): pass\nX: typing.Dict[str, Cat | None]",
    _OR + _CAT + "X = Cat | Dog",
    "class Cat: pass\nclass Dog:\n    __or__ = __ror__ = lambda self, other: self\nDog = Dog()\nX = Cat | Dog",
    _OR + "how = {'metaclass': Odd}\nclass Cat(**how): pass\nX: Cat | None",
    _OR + "def base(): return Odd('Base', (), {})\nclass Cat(base()): pass\nX: Cat | None",
]

# The same where annotations stay text, for 3.9.
_TEXT_CASES = [
    ("def f(x: int | None): ...", "-"),
    ("import dataclasses\n@dataclasses.dataclass\nclass C:\n    x: int | None = None", "-"),
    ("class C(typing.NamedTuple):\n    x: int | None = None", "-"),
    ("class C(typing.TypedDict):\n    x: int | None", "-"),
    ("X = int | None", "union"),
    ("from pydantic import BaseModel\nclass C(BaseModel):\n    x: int | None = None", "union-read"),
    (
        "from pydantic import BaseModel\nclass B(BaseModel): ...\nclass C(B):\n    x: int | None = None",
        "union-read",
    ),
    ("from fastapi import FastAPI\napp = FastAPI()\n@app.get('/')\ndef f(x: int | None = None): ...", "union-read"),
    ("from fastapi import FastAPI\ndef f(x: int | None = None): ...", "-"),
    ("@app.get('/')\ndef f(x: int | None = None): ...", "-"),
]
_HEAD = "from __future__ import annotations\nimport typing\n"
# What runs at import in code of its own, and what does not.
_NESTED = [
    "X = [int | None for _ in 'a']",
    "X = list({list[int]: 1} for _ in 'a')",
    "class A:\n    class B:\n        X = {int | str: 1 for _ in 'a'}",
    "def f():\n    return int | None",
    "class A:\n    def f(self):\n        return list[int]",
    "X = lambda: list[int]",
    "x = 'a | b'\ny = 'list[int]'  # |",
    "import sys\nx = 'a | b'\ndef f(p):\n    sys.path.insert(0, p)",
]


def _kinds(source: str, minor: int) -> str:
    facts = extract(source.encode(), (3, minor))
    assert facts is not None
    return ",".join(dict.fromkeys(row.kind for row in facts.evaluated)) or "-"


@pytest.mark.parametrize(("source", "expected"), _CASES)
def test_what_is_found_is_what_raises(source: str, expected: str) -> None:
    text = f"import collections, enum, queue, re, typing\n{source}\n"

    assert " ".join(_kinds(text, minor) for minor in (8, 9, 10)) == expected


@pytest.mark.parametrize("source", _METACLASSES)
def test_what_a_metaclass_may_decide_is_undecided(source: str) -> None:
    text = f"import typing\n{source}\n"

    exec(text, {"__name__": "x"})
    assert [_kinds(text, minor) for minor in (8, 9, 10)] == ["undecided-union", "undecided-union", "-"]


def test_what_fails_surely_counts_before_what_is_undecided() -> None:
    text = f"import typing\n{_OR}{_CAT}X = typing.Dict[Cat | None, int | None]\n"

    assert _kinds(text, 9) == "union"


@pytest.mark.parametrize(("position", "version"), [(0, "3.8"), (1, "3.9"), (2, "3.10")])
def test_the_real_python_raises_there(position: int, version: str) -> None:
    head = "import collections, enum, queue, re, typing\n"
    code = (
        "import json, sys\n"
        "def raises(source):\n"
        "    try: exec(source, {'__name__': 'x'})\n"
        "    except TypeError: return True\n"
        "    return False\n"
        "print(json.dumps([raises(source) for source in json.load(sys.stdin)]))"
    )
    import json

    cases = [*_CASES, *((source, "- - -") for source in _METACLASSES)]
    sources = json.dumps([head + source for source, _expected in cases])
    done = subprocess.run(
        [interpreter(version), "-I", "-S", "-c", code], input=sources, capture_output=True, text=True, check=True
    )

    raised = json.loads(done.stdout)
    assert [source for (source, expected), real in zip(cases, raised, strict=True) if
            (expected.split()[position] != "-") != real] == []  # fmt: skip


@pytest.mark.parametrize(("source", "kinds"), _TEXT_CASES)
def test_annotations_that_stay_text_are_evaluated_only_by_what_reads_them(source: str, kinds: str) -> None:
    assert _kinds(f"{_HEAD}{source}\n", 9) == kinds


@pytest.mark.parametrize(("version", "minor"), [("3.8", 8), ("3.9", 9)])
def test_an_old_python_reads_what_a_newer_one_reads_for_it(version: str, minor: int) -> None:
    """The old one looks for operations in its code first, and leaves out sources without any."""
    sources = [source for source, _expected in _CASES] + _NESTED + _METACLASSES
    sources += [_HEAD + source for source, _kinds in _TEXT_CASES]
    data = b"".join(b"%d %d 30\n%b" % (at, len(text), text.encode()) for at, text in enumerate(sources))
    command = list(local_probe(interpreter(version), 2 << 30))
    done = subprocess.run(command, input=facts_request() + data, capture_output=True, check=True)

    answers, at = [], 0
    while (item := read_list(done.stdout, at)) is not None:
        fields, at = item
        answers.append(fields)
    read = [facts_from(fields[11]) for fields in answers[1:]]

    assert len(read) == len(sources)
    for source, facts in zip(sources, read, strict=True):
        newer = extract(source.encode(), (3, minor))
        assert facts is not None
        assert newer is not None
        assert (source, facts.evaluated, facts.paths) == (source, newer.evaluated, newer.paths)


def test_a_test_in_an_expression_guards_what_it_decides() -> None:
    facts = extract(b"from typing import Dict\nX = Dict[str, int | None if len('a') else int] if y else 1\n", (3, 9))

    assert facts is not None
    assert [(row.text, row.guard) for row in facts.evaluated] == [("int | None", Guard.CONDITIONAL)]
    assert _kinds("X = hasattr(y, 'z') and int | None\n", 9) == "-"


def test_the_place_and_text_of_an_expression() -> None:
    facts = extract(b"def f(\n    x: 'int',\n    y: dict[str, int] | None = None,\n): ...\n", (3, 9))

    assert facts is not None
    assert [row[:4] for row in facts.evaluated] == [(3, 8, "union", "dict[str, int] | None")]
    assert evaluated_types.UNION == "union"
