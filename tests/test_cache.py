"""The cache: fast, and unable to lie."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.cache import Cache, context_of
from tests.conftest import BROKEN_BEFORE_312, Project

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
        for bit in range(8):
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
        out, err = run.communicate(timeout=120)
        assert run.returncode == 1, (out, err)
        assert b"Traceback" not in err

    assert _verdicts(made)[1] == 302


def test_a_cache_that_cannot_be_made_is_a_note(project: Callable[..., Project], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = project(_FILES)
    made.env["BUILDGUARD_CACHE_DIR"] = str(tmp_path / "file" / "cache")

    assert "is not used" in _verdicts(made)[2][0]


def test_a_full_disk_costs_the_cache_and_no_verdict(project: Callable[..., Project]) -> None:
    made = project(_FILES)
    _verdicts(made)
    made.write({f"m{n}.py": f"x = {n}\n" for n in range(2000)})
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "sys.argv = ['buildguard', 'check']; from buildguard.cli import main; main()"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=made.path, capture_output=True, check=False)

    assert done.returncode == 1, done.stderr
    assert b"the cache" in done.stdout
    assert b"Traceback" not in done.stderr
