"""The cache: fast, and unable to lie."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.system import cache as caches
from buildguard.system.cache import Cache, cache_folder, context_of
from tests.conftest import ALL, BROKEN_BEFORE_312, Project, untraced

if TYPE_CHECKING:
    from collections.abc import Callable

_FILES = {"good.py": "x = 1\n", "bad.py": BROKEN_BEFORE_312, "Dockerfile": "FROM python:3.11\n"}


def database() -> Path:
    return Path(os.environ["BUILDGUARD_CACHE_DIR"]) / "verdicts-1.sqlite"


def _verdicts(made: Project) -> tuple[int, int, list[str]]:
    result = made.check()
    errors = [one["code"] for one in result.json["diagnostics"] if one["severity"] == "error"]
    assert result.code == 1
    assert errors == ["BG101"]
    return result.code, result.json["targets"][0]["cached"], result.json["notes"]


def test_a_second_run_compiles_nothing(project: Callable[..., Project]) -> None:
    made = project(_FILES)

    assert _verdicts(made)[1:] == (0, [])
    assert _verdicts(made)[1:] == (2, [])
    first, second = (made.check().json["diagnostics"] for _ in range(2))
    assert first == second


def test_no_cache_bypasses_it(project: Callable[..., Project]) -> None:
    made = project(_FILES)

    made.check("--no-cache")
    assert not database().exists()
    made.check()
    assert made.check("--no-cache").json["targets"][0]["cached"] == 0


def test_same_size_and_time_is_judged_again(project: Callable[..., Project]) -> None:
    made = project({"a.py": "x = 'aaaa'\n", "Dockerfile": "FROM python:3.11\n"})
    file = made.path / "a.py"
    assert made.check().code == 0
    before = file.stat()

    file.write_text("x = 'aaaa\n\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert file.stat().st_size == before.st_size
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert made.check().codes()["a.py"] == ["BG101"]


def test_another_target_is_another_verdict(project: Callable[..., Project]) -> None:
    made = project(_FILES)

    assert made.check("--target", "3.12").code == 0
    assert made.check("--target", "3.11").code == 1
    assert made.check("--target", "3.12").code == 0


def _flip(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


def _replace(file: Path) -> Path:
    file.unlink()
    return file


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:5000]),
    "emptied": lambda file: file.write_bytes(b""),
    "garbage": lambda file: file.write_bytes(os.urandom(8192)),
    "text": lambda file: file.write_text("not a database\n" * 100),
    "zeros": lambda file: file.write_bytes(bytes(8192)),
    "header": lambda file: file.write_bytes(b"SQLite format 3\0" + bytes(84)),
    "folder": lambda file: _replace(file).mkdir(),
    "link": lambda file: file.symlink_to(file.rename(file.with_name("elsewhere"))),
    "foreign": lambda file: os.chown(file, 12345, 12345),
    "writable": lambda file: file.chmod(0o666),
    "folder-writable": lambda file: file.parent.chmod(0o777),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_cache_is_ignored_with_one_note(project: Callable[..., Project], name: str) -> None:
    if name == "foreign" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    made = project(_FILES)
    _verdicts(made)
    DAMAGES[name](database())

    _code, cached, notes = _verdicts(made)

    assert cached == 0
    assert len([note for note in notes if "cache" in note]) == (0 if name == "emptied" else 1)
    _verdicts(made)


def test_it_repairs_itself(project: Callable[..., Project]) -> None:
    made = project(_FILES)
    _verdicts(made)
    database().write_bytes(b"garbage" * 1000)
    _verdicts(made)

    assert _verdicts(made)[1:] == (2, [])


POISONS = [
    "UPDATE verdict SET verdict = x''",
    "UPDATE OR REPLACE verdict SET digest = zeroblob(32) WHERE verdict = x''",
    "UPDATE verdict SET checksum = zeroblob(32)",
    "UPDATE verdict SET verdict = CAST(verdict AS TEXT)",
    # the verdict of the good file in the bad file's row
    "UPDATE verdict SET verdict = x'', checksum = (SELECT checksum FROM verdict WHERE verdict = x'' LIMIT 1)",
    "CREATE TRIGGER t AFTER INSERT ON verdict BEGIN UPDATE verdict SET verdict = x''; END",
    "DROP TABLE verdict",
    "ALTER TABLE verdict ADD COLUMN more BLOB",
]


@pytest.mark.parametrize("statement", POISONS)
def test_a_poisoned_row_is_a_miss(project: Callable[..., Project], statement: str) -> None:
    made = project(_FILES)
    _verdicts(made)
    with sqlite3.connect(database()) as db:
        db.execute(statement)
    db.close()

    _verdicts(made)
    _verdicts(made)


def test_every_flipped_bit_is_a_miss(tmp_path: Path) -> None:
    context, digest = context_of("x"), bytes(range(32))
    cache = Cache(tmp_path / "cache")
    cache.store(context, {digest: b"a verdict"})
    cache.close()
    file = tmp_path / "cache" / "verdicts-1.sqlite"
    whole = file.read_bytes()
    at = whole.index(b"a verdict")

    for offset in range(at - 32, at + 9 + 32):
        for bit in range(8) if ALL or at <= offset < at + 9 else (offset % 8,):
            file.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1 << bit]) + whole[offset + 1 :])
            flipped = Cache(tmp_path / "cache")
            assert flipped.known(context, [digest]) in ({}, {digest: b"a verdict"})
            if at <= offset < at + 9:
                assert flipped.known(context, [digest]) == {}
            flipped.close()


def test_contexts_do_not_run_into_each_other() -> None:
    assert context_of("ab", "c") != context_of("a", "bc")
    assert context_of("a") != context_of("a", "")


def test_parallel_runs_share_one_cache(project: Callable[..., Project]) -> None:
    made = project({f"m{n}.py": f"x = {n}\n" for n in range(300)} | _FILES)
    command = [sys.executable, "-m", "buildguard", "check"]
    runs = [subprocess.Popen(command, cwd=made.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]

    for run in runs:
        out, err = run.communicate(timeout=300)
        assert run.returncode == 1, (out, err)
        assert b"Traceback" not in err

    assert _verdicts(made)[1] == 302


def test_a_cache_that_cannot_be_made_is_a_note(project: Callable[..., Project], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = project(_FILES)
    made.env["BUILDGUARD_CACHE_DIR"] = str(tmp_path / "file" / "cache")

    assert "is not used" in _verdicts(made)[2][0]


@untraced
@pytest.mark.parametrize("is_full_before", [False, True])
def test_a_full_disk_costs_the_cache_and_no_verdict(project: Callable[..., Project], *, is_full_before: bool) -> None:
    made = project(_FILES)
    if not is_full_before:
        _verdicts(made)
    made.write({f"m{n}.py": f"x = {n}\n" for n in range(2000)})
    room = 100 if is_full_before else 20000
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}));"
        "sys.argv = ['buildguard', 'check']; from buildguard.cli.main import main; main()"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=made.path, capture_output=True, check=False)

    assert done.returncode == 1, done.stderr
    assert b"the cache" in done.stdout
    assert b"no such table" not in done.stdout
    assert b"Traceback" not in done.stderr


_CONTEXT = context_of("x")
_DIGEST = bytes(range(32))


def _kept(where: Path) -> dict[bytes, bytes]:
    cache = Cache(where)
    try:
        assert cache.notes == []
        return cache.known(_CONTEXT, [_DIGEST])
    finally:
        cache.close()


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder with a cache of one verdict."""
    cache = Cache(tmp_path / "cache")
    assert cache.is_empty()
    cache.store(_CONTEXT, {_DIGEST: b"a verdict"})
    assert not cache.is_empty()
    cache.close()
    return tmp_path / "cache"


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILDGUARD_CACHE_DIR", "/chosen")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_folder() == Path("/chosen")
    monkeypatch.delenv("BUILDGUARD_CACHE_DIR")
    assert cache_folder() == Path("/caches/buildguard")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == Path("/home/me/.cache/buildguard")


def test_it_is_closed_to_others(tmp_path: Path) -> None:
    where, before = tmp_path / "a/b/cache", os.umask(0)
    try:
        cache = Cache(where)
        cache.store(_CONTEXT, {_DIGEST: b""})
        cache.close()
    finally:
        os.umask(before)

    assert where.stat().st_mode & 0o777 == 0o700
    assert (where / "verdicts-1.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("mode", "trusted"), [(0o755, True), (0o711, True), (0o720, False), (0o702, False)])
def test_who_else_may_write_it_decides(kept: Path, mode: int, trusted: bool) -> None:
    kept.chmod(mode)

    cache = Cache(kept)

    assert bool(cache.known(_CONTEXT, [_DIGEST])) == trusted
    assert bool(cache.notes) != trusted
    cache.close()


def test_no_folder_is_no_cache() -> None:
    cache = Cache(None)
    cache.store(_CONTEXT, {_DIGEST: b""})

    assert cache.is_empty()
    assert cache.known(_CONTEXT, [_DIGEST]) == {}
    assert cache.notes == []


@pytest.mark.parametrize("many", [1, 400, 401, 40_000])
def test_any_number_is_looked_up(tmp_path: Path, many: int) -> None:
    verdicts = {number.to_bytes(32, "big"): b"%d" % number for number in range(many)}
    cache = Cache(tmp_path / "cache")
    cache.store(_CONTEXT, verdicts)
    cache.store(context_of("y"), dict.fromkeys([*verdicts][:401], b"another"))

    assert cache.known(_CONTEXT, [*verdicts, b"unknown"]) == verdicts
    assert cache.known(_CONTEXT, [*verdicts][:1]) == {bytes(32): b"0"}
    cache.close()


@pytest.mark.parametrize("asks", ["known", "empty", "store"])
def test_damage_in_the_middle_of_a_run_starts_it_anew_once(kept: Path, asks: str) -> None:
    file = kept / "verdicts-1.sqlite"
    cache = Cache(kept)
    for time, word in enumerate(("is started again", "is not used this time"), 1):
        file.write_bytes(b"garbage" * 4096)
        if asks == "known":
            assert cache.known(_CONTEXT, [_DIGEST]) == {}
        elif asks == "empty":
            assert cache.is_empty()
        else:
            cache.store(_CONTEXT, {_DIGEST: b"lost"})
        assert len(cache.notes) == time
        assert f"the cache in {kept} {word}: file is not a database" in cache.notes[-1]
        cache.store(_CONTEXT, {_DIGEST: b"again"})
        assert cache.known(_CONTEXT, [_DIGEST]) == ({_DIGEST: b"again"} if time == 1 else {})
    cache.close()
    assert not file.exists()


def test_damage_that_cannot_be_removed_is_left_alone(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (kept / "verdicts-1.sqlite").write_bytes(b"garbage" * 4096)

    def refused(_path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(Path, "unlink", refused)
    cache = Cache(kept)

    assert cache.notes == [f"the cache in {kept} is not used this time: file is not a database"]
    assert cache.known(_CONTEXT, [_DIGEST]) == {}


def test_a_cache_that_somebody_else_holds_is_left_alone(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *words, **more: connect(*words, **{**more, "timeout": 0.1}))
    early = Cache(kept)
    assert early.notes == []  # it is open
    holder = connect(kept / "verdicts-1.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    early.store(_CONTEXT, {bytes(32): b"not kept"})
    late = Cache(kept)
    assert late.notes == [f"the cache in {kept} is not used this time: database is locked"]
    holder.execute("ROLLBACK")
    holder.close()

    assert early.notes == ["the cache could not be written: database is locked"]
    assert late.known(_CONTEXT, [_DIGEST]) == {}
    assert early.known(_CONTEXT, [_DIGEST, bytes(32)]) == {_DIGEST: b"a verdict"}
    early.close()
    assert _kept(kept) == {_DIGEST: b"a verdict"}


def test_two_open_caches_both_keep(kept: Path) -> None:
    first, second = Cache(kept), Cache(kept)
    first.store(_CONTEXT, {bytes(32): b"first"})
    second.store(_CONTEXT, {bytes(31) + b"\1": b"second"})

    assert first.notes == second.notes == []
    assert set(first.known(_CONTEXT, [bytes(32), bytes(31) + b"\1"]).values()) == {b"first", b"second"}
    first.close()
    second.close()


@pytest.mark.parametrize("read_only", [False, True])
def test_one_thread_opens_it_and_another_uses_it(kept: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool) -> None:
    if read_only:
        monkeypatch.setattr(os, "access", lambda *_words: False)
    cache = Cache(kept)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(cache.known, _CONTEXT, [_DIGEST]).result() == {_DIGEST: b"a verdict"}
    cache.close()


@pytest.mark.parametrize("closed", ["folder", "file"])
def test_a_read_only_cache_is_read(kept: Path, monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    file = kept / "verdicts-1.sqlite"
    before = file.read_bytes()
    monkeypatch.setattr(os, "access", lambda path, _mode: path != (kept if closed == "folder" else file))
    cache = Cache(kept)
    cache.store(_CONTEXT, {bytes(32): b"not kept"})

    assert cache.notes == [f"the cache in {kept} is read-only: nothing new is kept"]
    assert cache.known(_CONTEXT, [_DIGEST, bytes(32)]) == {_DIGEST: b"a verdict"}
    cache.close()
    assert file.read_bytes() == before

    file.write_bytes(b"garbage" * 4096)
    damaged = Cache(kept)
    assert damaged.notes[1:] == [f"the cache in {kept} is not used this time: file is not a database"]
    assert file.exists()


def test_a_read_only_folder_gets_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_words: False)
    cache = Cache(tmp_path / "cache")

    assert cache.notes == [f"the cache in {tmp_path / 'cache'} is read-only: nothing new is kept"]
    assert cache.known(_CONTEXT, [_DIGEST]) == {}
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize("kilobytes", [900, 1100])
def test_a_cache_that_has_outgrown_its_room_is_started_anew(
    kept: Path, monkeypatch: pytest.MonkeyPatch, kilobytes: int
) -> None:
    monkeypatch.setattr(caches, "_MOST_BYTES", 1 << 20)
    cache = Cache(kept)
    cache.store(_CONTEXT, {bytes(32): bytes(kilobytes << 10)})
    cache.close()

    cache = Cache(kept)

    gone = kilobytes > 1000
    assert cache.known(_CONTEXT, [_DIGEST]) == ({} if gone else {_DIGEST: b"a verdict"})
    assert cache.notes == ([f"the cache in {kept} is started again: it has outgrown 1 MB"] if gone else [])
    cache.close()
