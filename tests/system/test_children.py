"""Each child by its protocol alone: what goes in, what comes out, and that it ends with its input."""

from __future__ import annotations

import importlib.util
import json
import py_compile
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Self

import pytest

from buildguard.diagnostic import Range
from buildguard.engines.pool import source_of
from buildguard.engines.verify_interpreter import probe_text
from buildguard.engines.worker import greeting_from, outcome_of
from buildguard.remote.wire import read_list
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.interpreters

_REMOTE = REPOSITORY / "buildguard/remote"
_MEMORY = 4 << 30


def _child(words: Sequence[str | Path], sent: bytes, status: int = 0) -> bytes:
    done = subprocess.run([sys.executable, "-B", *words], input=sent, capture_output=True, timeout=300, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout


def _lists(said: bytes) -> Iterator[list[bytes]]:
    at = 0
    while (found := read_list(said, at)) is not None:
        fields, at = found
        yield fields
    assert at == len(said)


_SOURCES: dict[bytes, tuple[str, str]] = {
    b"x = 1\n": ("", ""),
    b"x = (\n": ("SyntaxError", "'(' was never closed"),
    b"def f():\n    return\nawait x\n": ("SyntaxError", "'await' outside function"),
    b"# coding: no-such\n": ("SyntaxError", "no-such"),
    b"x = " + b"(" * 300 + b"\n": ("SyntaxError", "too many nested parentheses"),
    b"x = " + b"-" * 100_000 + b"1\n": ("MemoryError|RecursionError", ""),
    b"if x is 1: pass\n": ("", ""),
}


def test_a_probe_answers_each_source_and_ends_with_its_input() -> None:
    sources = [source_of(at, data) for at, data in enumerate(_SOURCES)]
    sent = b"".join(b"%d %d 30\n" % (one.number, len(one.data)) + one.data for one in sources)

    greeting, *answers = _lists(_child([_REMOTE / "probe.py", str(_MEMORY)], sent))

    who = greeting_from(greeting)
    assert (who.implementation, who.version) == ("cpython", "{}.{}.{}".format(*sys.version_info))
    outcomes = [outcome_of(one, fields) for one, fields in zip(sources, answers, strict=True)]
    for outcome, (kind, message) in zip(outcomes, _SOURCES.values(), strict=True):
        found = outcome.rejected
        assert (found.kind if found else "") in kind.split("|")
        assert message in (found.message if found else "")
    assert [one.category for one in outcomes[-1].warned] == ["SyntaxWarning"]


def test_a_probe_that_gets_half_a_source_ends() -> None:
    (_greeting,) = _lists(_child([_REMOTE / "probe.py", str(_MEMORY)], b"0 100 30\nx = 1\n"))


@pytest.mark.parametrize("unchecked", [True, False])
def test_a_probe_compares_bytecode_with_its_source(tmp_path: Path, unchecked: bool) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"x = 1\n")
    mode = py_compile.PycInvalidationMode
    cache = py_compile.compile(
        str(file), invalidation_mode=mode.UNCHECKED_HASH if unchecked else mode.CHECKED_HASH, optimize=0
    )
    assert cache is not None
    with open(cache, "rb") as held:
        code = held.read()
    rows = [(b"x = 1\n", code), (b"x = 2\n", code), (b"x = 1\n", code[:20])]
    rows.append((b"x = 2\n", code[:8] + importlib.util.source_hash(b"x = 2\n") + code[16:]))
    sent = b"".join(
        b"%d %d 30 0 %d\n" % (at, len(data), len(held)) + data + held for at, (data, held) in enumerate(rows)
    )

    _greeting, *answers = _lists(_child([_REMOTE / "probe.py", str(_MEMORY)], sent))

    kinds = [fields[3].decode() for fields in answers]
    assert kinds == ["", "bytecode" if unchecked else "stale", "bytecode", "bytecode"]


class _Relayed:
    """A relay, and the frames that it sends."""

    def __init__(self, silence: int, probe: str = "") -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-B", _REMOTE / "relay.py", probe or probe_text(), str(silence)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait(120)

    def send(self, kind: str, number: int, data: bytes) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(b"%s %d %d\n" % (kind.encode(), number, len(data)) + data)
        self.child.stdin.flush()

    def frame(self) -> tuple[str, int, bytes]:
        assert self.child.stdout is not None
        kind, number, size = self.child.stdout.readline().split()
        return kind.decode(), int(number), self.child.stdout.read(int(size))


def test_a_relay_keeps_two_probes_apart_and_tells_their_ends() -> None:
    with _Relayed(30) as one:
        for number in (1, 2):
            one.send("S", number, b"%d" % _MEMORY)
        greetings = dict(frame[1:] for frame in (one.frame(), one.frame()))
        assert set(greetings) == {1, 2}
        assert all(b"buildguard-probe" in said for said in greetings.values())

        big = b"# " + b"x" * 3_000_000 + b"\nx = (\n"
        one.send("D", 1, b"7 %d 30\n" % len(big) + big)
        kind, number, said = one.frame()
        assert (kind, number) == ("O", 1)
        (fields,) = _lists(said)
        assert (fields[0], fields[3]) == (b"7", b"SyntaxError")

        one.send("K", 2, b"")
        one.send("D", 9, b"unused")
        kind, number, said = one.frame()
        assert (kind, number, said.split()[0]) == ("X", 2, b"-9")
        one.send("D", 1, b"8 9999999999 30\n")
    assert one.child.returncode == 0


def test_a_relay_tells_what_a_probe_complains_of() -> None:
    with _Relayed(30) as one:
        one.send("S", 1, b"no number")
        frames = [one.frame(), one.frame()]

    told = {kind: data for kind, _number, data in frames}
    assert b"ValueError" in told["E"]
    assert told["X"].startswith(b"1 ")


def test_a_relay_that_hears_nothing_ends() -> None:
    with _Relayed(1) as one:
        assert one.child.wait(120) == 0


def test_a_relay_waits_for_room_in_a_probe_that_takes_nothing_yet() -> None:
    """More than a pipe holds, for a probe that is busy: nothing is lost."""
    slow = "import sys, time\ntime.sleep(1)\nprint(len(sys.stdin.buffer.read(3_000_000)))\nsys.stdout.flush()\n"
    with _Relayed(30, slow) as one:
        one.send("S", 1, b"")
        for _ in range(3):
            one.send("D", 1, bytes(1_000_000))

        assert one.frame() == ("O", 1, b"3000000\n")
        assert one.frame()[2].split()[0] == b"0"


_MEANINGS = [
    ('x = f"a{1}b"\n', 'x = f"a" f"{1}b"\n', (), ""),
    ("x = f'{\"a\"}'\n", 'x = f"a"\n', (), ""),
    ("x = f'{\"a\"}'\n", "x = f'b'\n", (), "the syntax trees before and after the fix differ"),
    ("x = f'{f\"{y}\"}'\n", "x = f'{y}'\n", (), ""),
    ("x = (\n", "x = 1\n", (), "rejects the file as it is"),
    ("x = 1\n", "x = (\n", (), "rejects the file after the fix"),
    ("y = '\\n'.join(x)\n", "nl = '\\n'\ny = nl.join(x)\n", ("nl",), ""),
    ("nl = 1\ny = '\\n'.join(x)\n", "nl = '\\n'\ny = nl.join(x)\n", ("nl",), "a name that the fix binds is taken"),
    ("y = 'a'\n", "n = 'a'\nn = 'b'\ny = n\n", ("n",), "bound to two constants"),
    ("def f(): pass\ny = 'a'\n", "def f(): return n\nn = 'a'\ny = n\n", ("n",), "used where it is not bound"),
    ("class A:\n    y = 'a'\n", "class A:\n    n = 'a'\n    y = n\n", ("n",), "an attribute of the class A"),
    ("def f():\n    y = 'a'\n    return locals()\n", "def f():\n    n = 'a'\n    y = n\n    return locals()\n", ("n",), "which names there are"),
    ("y = 'a'\nglobals()\n", "n = 'a'\ny = n\nglobals()\n", ("n",), "which names there are"),
    (
        "from __future__ import annotations\nx: f'{1}' = 1\n",
        "from __future__ import annotations\nx: f'{2}' = 1\n",
        (),
        "an annotation is kept as text",
    ),
    ("x = " + "(" * 50 + "-" * 60_000 + "1" + ")" * 50 + "\n", "x = 1\n", (), "too deep|rejects|too complex"),
]  # fmt: skip


def test_meanings_are_compared_one_by_one() -> None:
    asked = [{"before": before, "after": after, "names": names} for before, after, names, _why in _MEANINGS]
    sent = "".join(json.dumps(one) + "\n" for one in asked).encode()

    said = _child([_REMOTE / "ast_compare.py", str(_MEMORY)], sent)

    answers = [json.loads(line) for line in said.splitlines()]
    assert len(answers) == len(asked)
    for answer, (before, _after, _names, why) in zip(answers, _MEANINGS, strict=True):
        assert answer == "" if not why else any(word in answer for word in why.split("|")), (before[:80], answer)


def test_a_surgeon_plans_one_by_one() -> None:
    code = "from buildguard.fstrings.planner_process import main; main()"
    text = 'd = {"a": 1}\nprint(f"{d["a"]}", f"{d["a"]}")\n'
    one = Range(2, 7, 2, 18)
    patients: list[tuple[str, int, Sequence[Range]]] = [(text, 11, ()), (text, 11, [one]), ("x = 1\n", 11, ())]
    sent = "".join(json.dumps(patient) + "\n" for patient in patients).encode()

    said = _child(["-c", code], sent)

    plans: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
    assert [len(plan["repairs"]) for plan in plans] == [2, 1, 0]
    assert plans[0]["after"] == text.replace('d["a"]', "d['a']")
    assert plans[1]["after"] == text.replace('d["a"]', "d['a']", 1)
