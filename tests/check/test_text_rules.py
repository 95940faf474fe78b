"""What the bytes say: encodings, cookies, hidden code, and the two ways to start a file."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from buildguard.check import text_rules
from buildguard.diagnostic import Range, Severity
from buildguard.project import source_text
from buildguard.remote.source_encoding import coding_of
from tests.conftest import Project, interpreter, sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BAD = b"x = 1  # caf\xe9\n"
_BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        (_BAD, "BG102", 1, 13),
        (b"# coding: utf-8\n" + _BAD, "BG102", 2, 13),
        (b"a = 'caf\xc3\xa9'  # \xff\n", "BG102", 1, 15),
        (b"x = 1\r\ny = 2\rz = '\xff'\n", "BG102", 3, 6),
        (b"# coding: no-such\n", "BG102", 1, 1),
        (b"#!/bin/python\n# -*- coding: nope -*-\n", "BG102", 2, 1),
        (b"# coding: rot13\n", "BG102", 1, 1),
        (b"# coding: ascii\nx = '\xc3\xa9'\n", "BG102", 2, 6),
        (_BOM + b"# coding: latin-1\n", "BG102", 1, 1),
        ("x = 1\n".encode("utf-16"), "BG102", 1, 1),
        ("x = 1\n".encode("utf-32"), "BG102", 1, 1),
        (b"x = 1\n\0", "BG102", 2, 1),
        (b"# coding: utf-7\n", "BG106", 1, 1),
        (b"# coding: unicode_escape\n", "BG106", 1, 1),
        (b"# coding: raw_unicode_escape\n", "BG106", 1, 1),
        (b"# coding: cp037\n", "BG106", 1, 1),
        (b"# coding: hz\n", "BG106", 1, 1),
        (b"x = 1\n<<<<<<< HEAD\ny = 1\n=======\ny = 2\n>>>>>>> topic\n", "BG106", 2, 1),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "BG106", 1, 1),
    ],
)
def test_errors(data: bytes, code: str, line: int, column: int) -> None:
    found = text_rules.findings(data)

    assert [(one.code, one.severity, one.range[:2]) for one in found] == [(code, Severity.ERROR, (line, column))]


@pytest.mark.parametrize(
    "data",
    [
        b"# coding: latin-1\nx = '\xe9'\n",
        b"# coding: latin-1\nx = 1\n",
        b"# vim: set fileencoding=cp1252 :\n",
        "x = '\u202e'\n".encode(),
        "# \u2066\n".encode(),
        b"# \x1b[2J\n",
    ],
)
def test_warnings(data: bytes) -> None:
    assert [(one.code, one.severity) for one in text_rules.findings(data)] == [("BG106", Severity.WARNING)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x = 1\n",
        _BOM + b"x = 1\n",
        _BOM + b"# coding: utf-8\n",
        "é = 'ü'\n".encode(),
        b"# coding: utf8\nx = 1\n",  # a codec, and the same one
        b"# -*- coding: UTF-8 -*-\n",
        b"# coding: ascii\nx = 1\n",
        b"x = 1\n# coding: latin-1\n",  # too late: line 1 is code
        b"\n\n# coding: utf-7\n",  # too late: line 3
        b"'coding: utf-7'\n",
        b"x = 1\x0c\n",  # form feeds stand in the standard library
        b'"""\n<<<<<<< a\n=======\n>>>>>>> b\n"""\n',  # a test's data
        b"Title\n=======\n",
        b"x = '''\nversion https://git-lfs.github.com/spec/v1\n'''\n",
        "‘’ “”\n".encode(),  # not ours to judge: the compiler refuses it
    ],
)
def test_nothing_to_say(data: bytes) -> None:
    assert text_rules.findings(data) == []


def test_cookie_is_read_as_cpython_reads_it() -> None:
    assert coding_of(b"\n# coding: latin-1\n").line == 2
    assert coding_of(b"# a\r# coding: latin-1\r").cookie == "latin-1"
    assert coding_of(b"# coding: UTF_8-unix\n").is_utf8
    assert not coding_of(b"# coding: utf8\n").is_utf8
    assert coding_of(_BOM + b"x").has_bom


_STARTS = {
    "plain": _BAD,
    "cookie": b"# coding: utf-8\n" + _BAD,
    "bom": _BOM + _BAD,
    "second-line": b"#!/usr/bin/python\n# coding: utf-8\n" + _BAD,
    "last": b"x = 1\n# caf\xe9",
    "nul-comment": b"# a\0b\nx = 1\n",
    "nul-comment-swallows": b"x = 1 # a\0b\nif (\n",
    "nul-string": b"x = 'a\0b'\n",
    "nul-code": b"x = 1\0\ny = 2\n",
    "nul-end": b"x = 1\n\0\0\0\0",
    "nul-end-no-newline": b"x = 1\0",
    "nul-only": b"\0" * 64,
    "nul-triple": b"x = '''a\0b\nc'''\n",
    "nul-block": b"if 1:\n  x = 1\0 garbage ( [\n\ny = 2\n",
    "latin-1": b"# coding: latin-1\nx = '\xe9'\n",
}


@pytest.mark.parametrize("name", sample(_STARTS, 2))
def test_bg107_is_what_really_happens(project: Callable[..., Project], tmp_path: Path, version: str, name: str) -> None:
    """BG107 exactly where compile and a script start differ, found out by really doing both (harmless files)."""
    data, python = _STARTS[name], interpreter(version)
    file = tmp_path / "file.py"
    file.write_bytes(data)
    isolated = [str(python), "-I", "-S", "-B"]
    starts = subprocess.run([*isolated, file], capture_output=True, check=False).returncode == 0
    code = "import sys; compile(open(sys.argv[1], 'rb').read(), 'x', 'exec')"
    compiles = subprocess.run([*isolated, "-c", code, file], capture_output=True, check=False).returncode == 0

    report = project({"file.py": data}).check("--target", version)

    assert ("BG107" in report.codes().get("file.py", [])) == (starts != compiles)
    assert ("BG101" in report.codes().get("file.py", [])) == (not compiles)


def test_excerpts() -> None:
    assert source_text.excerpt_of(b"a\nb\r\nc", 2) == "b"
    assert source_text.excerpt_of(_BOM + b"a\n", 1) == "a"
    assert source_text.excerpt_of(b"a\n", 7) == ""
    assert source_text.excerpt_of(b"a\n", None) == ""
    assert len(source_text.excerpt_of(b"x" * 10_000_000, 1)) == 400


def test_range_is_in_code_points() -> None:
    found = text_rules.findings("é = 'ü' # ".encode() + b"\xff\n")

    assert found[0].range == Range(1, 11)
