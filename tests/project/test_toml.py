"""TOML of people: the place of an error, the line of a key, and keys that would take for ever."""

from __future__ import annotations

import time

import pytest

from buildguard.errors import UsageError
from buildguard.project import toml


def test_a_table_is_read() -> None:
    assert toml.read(b"[tool.buildguard]\ntarget = ['3.11']\n", "x.toml") == {
        "tool": {"buildguard": {"target": ["3.11"]}}
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a = 1\nb = \n", "x.toml:2 is not valid TOML"),
        (b"a = '\xff'\n", "x.toml is not valid TOML"),
        (b"a = " + b"[" * 5_000, "x.toml is not valid TOML"),
        (b".".join([b"a"] * 101) + b" = 1", "x.toml is not valid TOML: a key has more than 100 parts"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_place(data: bytes, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        toml.read(data, "x.toml")

    assert str(refused.value).startswith(words)


def test_a_key_of_very_many_parts_is_refused_at_once() -> None:
    began = time.process_time()

    with pytest.raises(UsageError):
        toml.read(b".".join([b"a"] * 100_000) + b" = 1", "x.toml")

    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    ("data", "key", "line"),
    [
        (b"a = 1\ntarget = 2\n", "target", 2),
        (b"a = 1\n[tool.target]\n", "target", 2),
        (b"[[tool.target]]\n", "target", 1),
        (b'"target" = 1\n', "target", 1),
        (b"targets = 1\n# target = 1\n", "target", None),
        (b"\xff\ntarget=1\n", "target", 2),
        (b"a.b = 1\n", "a.b", 1),
        (b"axb = 1\n", "a.b", None),
    ],
)
def test_the_line_of_a_key(data: bytes, key: str, line: int | None) -> None:
    assert toml.line_of(data, key) == line
