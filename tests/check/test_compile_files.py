"""From sources to verdicts: what is compiled, how often, and what stays unproven."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from buildguard.check.compile_files import UNREAD, FileVerdict, Judge, digests_of
from buildguard.engines.engine import EngineName, Outcome, ReadyEngine, Rejection, Source
from buildguard.errors import UnprovenError
from buildguard.project.proof_grade import ProofGrade
from buildguard.stages.filesystem import stage_on_disk
from buildguard.system.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from buildguard.stages.stage import Stage

_READY = ReadyEngine(EngineName.INTERPRETER, ProofGrade.COMPILED, "CPython 3.11.7", "3.11.7", "identity")


class _Compiler:
    """Rejects what begins with `!`, and is lost after `most` sources."""

    name = EngineName.INTERPRETER

    def __init__(self, most: int = 100) -> None:
        self.compiled: list[bytes] = []
        self._most = most

    def begin(self) -> None:
        """Nothing takes time."""

    def prepare(self) -> ReadyEngine:
        return _READY

    def close(self) -> None:
        """Nothing is left."""

    def compile(self, sources: Iterable[Source]) -> Iterator[Outcome]:
        for source in sources:
            if len(self.compiled) == self._most:
                raise UnprovenError("the engine is lost")
            self.compiled.append(source.data)
            rejected = Rejection("SyntaxError", "invalid syntax") if source.data.startswith(b"!") else None
            yield Outcome(source.number, source.digest, rejected)


def _stage(folder: Path, files: dict[str, bytes]) -> Stage:
    source = folder / "source"
    source.mkdir()
    for name, content in files.items():
        (source / name).write_bytes(content)
    return stage_on_disk(source, None)


def _judge(stage: Stage, engine: _Compiler, cache: Cache, minor: int = 11) -> dict[bytes, FileVerdict]:
    entries = stage.entries()
    judge = Judge(stage, engine, _READY, minor, cache)
    try:
        return {
            verdict.entry.path: verdict for verdict in judge.run(entries, digests_of(stage, entries), lambda _n: None)
        }
    finally:
        cache.close()


def test_digests_are_those_of_the_bytes_on_disk(tmp_path: Path) -> None:
    stage = _stage(tmp_path, {"a.py": b"x = 1\n", "b.py": b""})
    entries = stage.entries()
    (tmp_path / "source/b.py").unlink()

    assert digests_of(stage, entries) == [hashlib.sha256(b"x = 1\n").digest(), b""]


def test_equal_bytes_are_compiled_once(tmp_path: Path) -> None:
    engine = _Compiler()

    verdicts = _judge(_stage(tmp_path, {"a.py": b"x\n", "b.py": b"x\n", "c.py": b"!\n"}), engine, Cache(None))

    assert sorted(engine.compiled) == [b"!\n", b"x\n"]
    assert [len(verdicts[path].findings) for path in (b"a.py", b"b.py", b"c.py")] == [0, 0, 1]


def test_a_verdict_is_kept_for_the_next_run(tmp_path: Path) -> None:
    stage = _stage(tmp_path, {"a.py": b"x\n", "c.py": b"!\n"})
    first = _judge(stage, _Compiler(), Cache(tmp_path / "cache"))
    engine = _Compiler()

    second = _judge(stage, engine, Cache(tmp_path / "cache"))

    assert engine.compiled == []
    assert all(verdict.cached for verdict in second.values())
    assert {path: verdict.findings for path, verdict in second.items()} == {
        path: verdict.findings for path, verdict in first.items()
    }


def test_what_a_lost_engine_did_not_answer_is_unproven(tmp_path: Path) -> None:
    stage = _stage(tmp_path, {"a.py": b"x = 1\n", "b.py": b"x = 2\n"})

    verdicts = _judge(stage, _Compiler(most=1), Cache(tmp_path / "cache"))

    assert [verdicts[path].unproven for path in (b"a.py", b"b.py")] == ["", "the engine is lost"]
    again = _Compiler()
    assert not any(verdict.unproven for verdict in _judge(stage, again, Cache(tmp_path / "cache")).values())
    assert again.compiled == [b"x = 2\n"]


def test_nul_bytes_are_compiled_as_a_script_start_reads_them_too(tmp_path: Path) -> None:
    engine = _Compiler()
    stage = _stage(tmp_path, {"a.py": b"x = 1\n\0!\n"})

    _judge(stage, engine, Cache(None), minor=11)
    assert len(engine.compiled) == 2

    later = _Compiler()
    _judge(stage, later, Cache(None), minor=12)
    assert later.compiled == [b"x = 1\n\0!\n"]


def test_a_file_that_is_gone_is_marked(tmp_path: Path) -> None:
    stage = _stage(tmp_path, {"a.py": b"x\n", "b.py": b"y\n"})
    entries = stage.entries()
    (tmp_path / "source/b.py").unlink()

    judged = Judge(stage, _Compiler(), _READY, 11, Cache(None)).run(entries, [UNREAD, UNREAD], lambda _number: None)

    assert [(verdict.is_deleted, bool(verdict.unproven)) for verdict in judged] == [(False, False), (True, True)]
