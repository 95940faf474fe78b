"""Type expressions that run at import: found where the real Python raises, and nowhere else."""

from __future__ import annotations

import subprocess

import pytest

from buildguard.imports.records import extract
from buildguard.remote import evaluated_types
from tests.conftest import interpreter

# Each source, and what is found for 3.8, 3.9 and 3.10.
_CASES = [
    ("def f(x: int | None = None): ...", "union union -"),
    ("def f() -> str | int: ...", "union union -"),
    ("def f(*a: int | str, **k: None | int): ...", "union union -"),
    ("class C:\n    def f(self, x: int | None): ...", "union union -"),
    ("class C: pass\ndef f(x: C | None): ...", "union union -"),
    ("class C: pass\ndef f(x: typing.Optional[C | int]): ...", "union union -"),
    ("x: int | None = None", "union union -"),
    ("class C:\n    x: int | None = None", "union union -"),
    ("X = int | None", "union union -"),
    ("X = typing.Optional[int] | str", "union union -"),
    ("from typing import List as L\nX = L[int] | None", "union union -"),
    ("isinstance(1, int | str)", "union union -"),
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
    # what no version minds
    ("x = 1 | 2", "- - -"),
    ("class F(enum.Flag):\n    A = 1\n    B = 2\nX = F.A | F.B", "- - -"),
    ("class Q:\n    def __or__(self, o): return self\nX = Q() | Q()", "- - -"),
    ("X = {1} | {2}", "- - -"),
    ("list = {1: 2}\nX = list[1]", "- - -"),
    ("def f():\n    x: int | None = None\n    def g(y: int | None): ...", "- - -"),
    ("X = lambda: int | None", "- - -"),
    ("def f(x: 'int | None'): ...", "- - -"),
    ("def f(x: typing.List[int]): ...", "- - -"),
    ("if typing.TYPE_CHECKING:\n    X = int | None", "- - -"),
    ("import sys\nif sys.version_info >= (3, 10):\n    X = int | None", "- - -"),
    ("try:\n    X = int | None\nexcept TypeError:\n    X = object", "- - -"),
]


def _kinds(source: str, minor: int) -> str:
    facts = extract(source.encode(), (3, minor))
    assert facts is not None
    return ",".join(dict.fromkeys(row.kind for row in facts.evaluated)) or "-"


@pytest.mark.parametrize(("source", "expected"), _CASES)
def test_what_is_found_is_what_raises(source: str, expected: str) -> None:
    text = f"import collections, enum, queue, re, typing\n{source}\n"

    assert " ".join(_kinds(text, minor) for minor in (8, 9, 10)) == expected


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

    sources = json.dumps([head + source for source, _expected in _CASES])
    done = subprocess.run(
        [interpreter(version), "-I", "-S", "-c", code], input=sources, capture_output=True, text=True, check=True
    )

    raised = json.loads(done.stdout)
    assert [source for (source, expected), real in zip(_CASES, raised, strict=True) if
            (expected.split()[position] != "-") != real] == []  # fmt: skip


@pytest.mark.parametrize(
    ("source", "kinds"),
    [
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
    ],
)
def test_annotations_that_stay_text_are_evaluated_only_by_what_reads_them(source: str, kinds: str) -> None:
    assert _kinds(f"from __future__ import annotations\nimport typing\n{source}\n", 9) == kinds


def test_the_place_and_text_of_an_expression() -> None:
    facts = extract(b"def f(\n    x: 'int',\n    y: dict[str, int] | None = None,\n): ...\n", (3, 9))

    assert facts is not None
    assert [row[:4] for row in facts.evaluated] == [(3, 8, "union", "dict[str, int] | None")]
    assert evaluated_types.UNION == "union"
