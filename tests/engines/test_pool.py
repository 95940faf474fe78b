"""The pool under fire: sources that kill, starve or stall the compiler, and what the others get."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from buildguard.engines.pool import Pool, source_of
from buildguard.engines.verify_interpreter import probe_text
from buildguard.engines.worker import ProbeLimits
from buildguard.errors import UnprovenError
from buildguard.system.channels import LocalSite
from tests.conftest import VERSIONS, answers, interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildguard.engines.engine import Outcome

pytestmark = pytest.mark.interpreters

# A real probe in a real interpreter, whose `compile` does to its process what a source asks for.
_SABOTAGE = """
import os as _os, signal as _signal, time as _time
_compile = compile
def compile(data, *rest):
    if b"SEGV" in data: _os.kill(_os.getpid(), _signal.SIGSEGV)
    if b"KILLED" in data: _os.kill(_os.getpid(), _signal.SIGKILL)
    if b"SLEEP" in data: _time.sleep(1000)
    if b"SPIN" in data:
        while True: pass
    if b"EXIT" in data: _os._exit(0)
    if b"GREEDY" in data: bytearray(1 << 40)
    if b"FULL" in data:
        hoard = []
        while True: hoard.append(bytearray(1 << 24))
    if b"LIMITS" in data:
        import resource
        raise ValueError(" ".join(str(resource.getrlimit(getattr(resource, "RLIMIT_" + name))[0]) for name in ("CPU", "AS", "CORE")))
    if b"CHATTER" in data: _os.write(2, b"words " * 100000)
    return _compile(data, *rest)
"""


def _pool(limits: ProbeLimits, jobs: int = 2, program: str = "") -> Pool:
    text = _SABOTAGE + probe_text()
    executable = program or sys.executable
    return Pool(LocalSite(lambda memory: [executable, "-I", "-S", "-B", "-c", text, str(memory)]), jobs, limits)


def _run(sources: list[bytes], limits: ProbeLimits | None = None, jobs: int = 2) -> list[Outcome]:
    # generous: the machine is busy, and a child looks as large as the process that it was forked from
    pool = _pool(limits or ProbeLimits(memory=1 << 30, seconds=30), jobs)
    try:
        return answers(pool.run, sources)
    finally:
        pool.close()


@pytest.mark.parametrize(
    ("word", "kind", "unproven"),
    [
        (b"SEGV", "crash", ""),
        (b"EXIT", "crash", ""),
        (b"GREEDY", "MemoryError", ""),
        (b"FULL", None, "more than"),
        (b"KILLED", None, "was killed, from outside"),
        (b"SPIN", None, "more than 1 seconds"),
        (b"SLEEP", None, "more than 1 seconds"),
    ],
)
def test_a_bad_source_gets_its_own_verdict_and_the_rest_theirs(word: bytes, kind: str | None, unproven: str) -> None:
    good, bad = b"x = 1\n", b"f(\n"

    limits = ProbeLimits(memory=1 << (29 if word == b"FULL" else 30), seconds=1 if "seconds" in unproven else 30)
    outcomes = _run([good, bad] * 20 + [b"# " + word + b"\n"] + [good, bad] * 20, limits)

    culprit = outcomes.pop(40)
    assert (culprit.rejected.kind if culprit.rejected is not None else None) == kind
    assert unproven in culprit.unproven
    assert bool(culprit.unproven) == bool(unproven)
    if culprit.rejected is not None:
        assert culprit.rejected.crashed
    for at, one in enumerate(outcomes):
        assert not one.unproven
        assert (one.rejected is not None) == (at % 2 == 1)


def test_every_source_is_compiled_under_limits() -> None:
    (outcome,) = _run([b"# LIMITS\n"], ProbeLimits(memory=256 << 20, seconds=3))

    assert outcome.rejected is not None
    cpu, memory, core = map(int, outcome.rejected.message.split())
    assert 3 <= cpu <= 6
    assert memory == 256 << 20
    assert core == 0


def test_many_culprits() -> None:
    outcomes = _run([b"# SEGV %d\n" % number for number in range(12)] + [b"x = 1\n"])

    assert [one.rejected is not None and one.rejected.kind == "crash" for one in outcomes] == [True] * 12 + [False]


def test_a_noisy_compiler_does_not_block() -> None:
    outcomes = _run([b"# CHATTER\n"] * 20 + [b"f(\n"])

    assert [one.rejected is not None for one in outcomes] == [False] * 20 + [True]


def test_a_real_crash_is_not_the_end(version: str) -> None:
    """Deep nesting: each version refuses it in its own way, none takes the other files down."""
    deep = b"x = " + b"(" * 5000 + b")" * 5000 + b"\n"
    chain = b"x = " + b"a+" * 20000 + b"a\n"
    pool = _pool(ProbeLimits(), program=str(interpreter(version)))
    try:
        outcomes = {
            one.number: one for one in pool.run(iter([source_of(0, deep), source_of(1, chain), source_of(2, b"")]))
        }
    finally:
        pool.close()

    assert outcomes[0].rejected is not None
    assert outcomes[1].rejected is not None
    assert outcomes[1].rejected.crashed
    assert outcomes[2].rejected is None
    assert not any(one.unproven for one in outcomes.values())


def test_a_memory_error_below_the_limit_is_the_compilers(version: str) -> None:
    """3.8's parser raises MemoryError at 100 parentheses, far from any limit of memory."""
    pool = _pool(ProbeLimits(), program=str(interpreter(version)))
    try:
        (outcome,) = pool.run(iter([source_of(0, b"x = " + b"(" * 150 + b"1" + b")" * 150 + b"\n")]))
    finally:
        pool.close()

    assert not outcome.unproven
    if version == "3.8":
        assert outcome.rejected is not None
        assert (outcome.rejected.kind, outcome.rejected.crashed) == ("MemoryError", True)
    else:
        assert outcome.rejected is None


def test_a_tighter_limit_of_the_machine_is_not_the_files_fault() -> None:
    """Under `ulimit -v` the memory ends far below our own limit; that proves nothing about the source."""
    text = _SABOTAGE + probe_text()
    command = f'ulimit -v 300000; exec "{sys.executable}" -I -S -B -c "$0" "$1"'
    pool = Pool(LocalSite(lambda memory: ["/bin/bash", "-c", command, text, str(memory)]), 1, ProbeLimits())
    try:
        (outcome,) = pool.run(iter([source_of(0, b"# FULL\n")]))
    finally:
        pool.close()

    assert outcome.rejected is None
    assert "memory" in outcome.unproven


def test_an_interpreter_that_never_works_is_no_verdict() -> None:
    pool = Pool(LocalSite(lambda _memory: ["/bin/sh", "-c", "echo broken >&2; exit 1"]), 2, ProbeLimits())
    try:
        with pytest.raises(UnprovenError, match="broken"):
            list(pool.run(iter([source_of(0, b"")])))
    finally:
        pool.close()


def test_sources_are_taken_as_they_are_needed() -> None:
    taken = 0

    def sources() -> Iterator[object]:
        nonlocal taken
        for number in range(3000):
            taken += 1
            yield source_of(number, b"#" * 3000)  # as large as a source, and soon compiled

    pool = _pool(ProbeLimits())
    try:
        outcomes = pool.run(sources())  # type: ignore[arg-type]
        next(outcomes)
        assert taken < 600
        assert len(list(outcomes)) == 2999
    finally:
        pool.close()


@pytest.mark.parametrize(
    "lacking", ["hashlib", "hashlib _sha2 _sha256", "hashlib _sha2 _sha256 binascii", "resource json"]
)
def test_a_minimal_interpreter_will_do(version: str, lacking: str) -> None:
    """Without hashlib, json, resource or binascii, as Debian's python3-minimal and stripped images have it."""
    block = f"import sys\nfor name in {lacking.split()!r}: sys.modules[name] = None\n"
    text = block + probe_text()
    executable = str(interpreter(version))
    pool = Pool(LocalSite(lambda memory: [executable, "-I", "-S", "-B", "-c", text, str(memory)]), 1, ProbeLimits())
    try:
        kind = pool.greet(10).checksum
        outcomes = list(pool.run(iter([source_of(0, b"x = 1\n"), source_of(1, b"f(\n"), source_of(2, bytes(1000))])))
    finally:
        pool.close()

    assert kind == {4: "sum", 3: "crc32"}.get(len(lacking.split()), "sha256")
    assert [one.rejected is not None for one in sorted(outcomes, key=lambda one: one.number)] == [False, True, True]


def test_versions_are_all_tried() -> None:
    assert len(VERSIONS) == 6
