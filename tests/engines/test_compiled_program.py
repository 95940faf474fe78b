"""What reads imports is compiled once by each interpreter, and says the same whether it was compiled or kept."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from buildguard.engines.compiled_program import CompiledProgram
from buildguard.engines.engine import ReadyEngine
from buildguard.engines.interpreter import InterpreterEngine
from buildguard.engines.pool import source_of
from buildguard.project.target import PythonVersion
from buildguard.system.cache import Cache
from tests.conftest import SOME_VERSIONS, interpreter

pytestmark = pytest.mark.interpreters

_SOURCES = (
    b"import os\nfrom a import b\n",
    b"try:\n    import tomllib\nexcept ImportError:\n    tomllib = None\nimport asyncio\nasyncio.coroutine\n",
    b"x: 'list[int]' = []\n__all__ = ['x']\n",
)


def _facts(version: str, cache: Cache) -> list[bytes]:
    interpreter(version)
    engine = InterpreterEngine(PythonVersion(int(version.partition(".")[2])), Path("/nowhere"), 1)
    engine.keep_programs_in(cache)
    try:
        assert isinstance(engine.prepare(), ReadyEngine)
        found = engine.compile(source_of(number, data) for number, data in enumerate(_SOURCES))
        return [outcome.facts for outcome in sorted(found, key=lambda outcome: outcome.number)]
    finally:
        engine.close()


def _programs(folder: Path) -> list[bytes]:
    with sqlite3.connect(folder / "verdicts-1.sqlite") as db:
        return [row[0] for row in db.execute("SELECT verdict FROM verdict WHERE digest = ?", (b"program",))]


@pytest.mark.parametrize("version", SOME_VERSIONS)
def test_a_kept_program_reads_what_a_compiled_one_reads(version: str, tmp_path: Path) -> None:
    compiled = _facts(version, Cache(None))

    assert all(b"imports" in facts for facts in compiled)
    for _ in range(3):  # the first run keeps it
        cache = Cache(tmp_path)
        assert _facts(version, cache) == compiled
        assert cache.notes == []
        cache.close()
    assert len(_programs(tmp_path)) == 1


def test_a_run_takes_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path)
    _facts("3.11", cache)
    taken: list[int] = []
    code = CompiledProgram.code

    def noted(program: CompiledProgram) -> bytes:
        found = code(program)
        taken.append(len(found))
        return found

    monkeypatch.setattr(CompiledProgram, "code", noted)
    _facts("3.11", cache)
    cache.close()

    assert len(taken) == 1
    assert taken[0] > 10_000


def test_a_damaged_program_is_compiled_again(tmp_path: Path) -> None:
    first = Cache(tmp_path)
    compiled = _facts("3.11", first)
    first.close()
    with sqlite3.connect(tmp_path / "verdicts-1.sqlite") as db:
        (code,) = _programs(tmp_path)
        db.execute("UPDATE verdict SET verdict = ? WHERE digest = ?", (code[:5000] + b"\xff" + code[5001:], b"program"))
        db.commit()

    second = Cache(tmp_path)
    assert _facts("3.11", second) == compiled
    second.close()

    assert _programs(tmp_path) == [code]


def test_without_a_cache_nothing_is_kept_or_asked() -> None:
    program = CompiledProgram(Cache(None), "identity")

    assert program.code() == b""
    program.keep(None)  # type: ignore[arg-type]  # it would be asked otherwise
