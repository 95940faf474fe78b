"""The probe's own functions: one verdict for each source, as an import would judge it."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import marshal
import sys
import warnings
from typing import Any

import pytest

from buildguard.remote import probe
from buildguard.remote.wire import read_list

_PROBE: Any = probe  # written for old Pythons, without annotations

_ROOM = 1 << 50


def _verdict(source: bytes, memory: int = _ROOM) -> list[Any]:
    seen: list[Any] = []

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, category, filename, lineno, file=None, line=None: seen.extend(
            [category.__name__, message, lineno]
        )
        return list(_PROBE.judge(source, seen, memory))


def _code(source: bytes, flags: int = 0, digest: bytes = bytes(8)) -> bytes:
    code = compile(source, "<source>", "exec", 0, True)
    return importlib.util.MAGIC_NUMBER + flags.to_bytes(4, "little") + digest + marshal.dumps(code)


def test_what_is_sent_is_read_back() -> None:
    out = io.BytesIO()

    _PROBE.send(out, ["a", b"\xff\n:", 7, "", "\ud800"])

    assert read_list(out.getvalue(), 0) == ([b"a", b"\xff\n:", b"7", b"", b"\\ud800"], len(out.getvalue()))


def test_the_checksum_names_its_kind() -> None:
    kind, digest = _PROBE.checksum()

    assert (kind, digest(b"x")) == ("sha256", hashlib.sha256(b"x").hexdigest())


def test_a_clean_source_has_an_empty_verdict() -> None:
    assert _verdict(b"x = 1\n") == ["", "", "", "", "", "", "", 0, b""]


def test_nothing_is_executed() -> None:
    assert _verdict(b"raise SystemExit(1)\n")[0] == ""


@pytest.mark.parametrize(
    ("source", "name", "phase", "line", "column"),
    [
        (b"x = 1\ny = (\n", "SyntaxError", "parser", 2, 5),
        (b"if x:\ny = 1\n", "IndentationError", "parser", 2, 1),
        (b"if x:\n\ty = 1\n        z = 1\n", "TabError", "parser", 3, None),
        (b"x = 1\nreturn x\n", "SyntaxError", "compiler", 2, 1),
        (b"def f():\n    x = 1\n    nonlocal x\n", "SyntaxError", "compiler", 3, 5),
    ],
)
def test_a_refused_source_tells_who_refuses_it_and_where(
    source: bytes, name: str, phase: str, line: int, column: int | None
) -> None:
    verdict = _verdict(source)

    assert (verdict[0], verdict[2], verdict[3]) == (name, phase, line)
    assert column in {None, verdict[4]}
    assert verdict[7] == 0


def test_an_error_that_is_no_syntax_error_has_no_place() -> None:
    verdict = _verdict(b"x = 1\0")

    assert verdict[0] in {"ValueError", "SyntaxError"}  # the latter from 3.12 on
    assert _verdict(b"-" * 200_000 + b"1")[0] in {"MemoryError", "RecursionError"}


def test_too_little_memory_is_told_apart_from_a_deep_source() -> None:
    deep = b"(" * 200_000 + b")" * 200_000

    assert _PROBE.near_limit(_ROOM) == 0
    assert _PROBE.near_limit(1) == 1
    assert _verdict(deep)[7] == 0


def test_warnings_follow_the_verdict_once() -> None:
    verdict = _verdict(b"x = 1\ny = x is 1\n")

    assert verdict[0] == ""
    assert (verdict[9], verdict[11], len(verdict)) == ("SyntaxWarning", 2, 12)
    assert len(_verdict(b"x = 1 is 1\nreturn x\n")) <= 12


def test_facts_are_read_of_what_compiles_and_their_parser_warns_nobody() -> None:
    seen: list[Any] = []

    def read(data: bytes, _code: object) -> bytes:
        seen.append("a warning of the second parse")
        return data[:1]

    assert _PROBE.judge(b"x = 1\n", seen, _ROOM, read)[8:] == [b"x"]
    assert _PROBE.judge(b"x = (\n", seen, _ROOM, read)[8:] == [b""]


def test_bytecode_that_holds_its_source() -> None:
    assert _PROBE.compare(b"x = 1\n", _code(b"x = 1\n"), 0)[0] == ""


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (_code(b"x = 2\n"), "bytecode", "other code"),
        (_code(b"x = 1\n")[:20], "bytecode", "Error"),
        (_code(b"x = 1\n", flags=3), "stale", "its hash is not its source's"),
        (b"", "bytecode", "IndexError"),
    ],
)
def test_bytecode_that_does_not(code: bytes, kind: str, words: str) -> None:
    verdict = _PROBE.compare(b"x = 1\n", code, 0)

    assert verdict[0] == kind
    assert words in verdict[1]
    assert len(verdict) == 9


def test_bytecode_by_hash_is_held_to_its_hash() -> None:
    digest = importlib.util.source_hash(b"x = 1\n")

    assert _PROBE.compare(b"x = 1\n", _code(b"x = 1\n", 3, digest), 0)[0] == ""


def test_the_magic_number_is_the_interpreters_own() -> None:
    assert _PROBE.magic() == importlib.util.MAGIC_NUMBER.hex()
    assert _PROBE.libc() in {"", "musl"}
    assert _PROBE.peak_memory() > (0 if sys.platform == "darwin" else 1 << 20)
