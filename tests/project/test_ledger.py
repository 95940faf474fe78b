"""The ledger as anything may have left it: what is no line is counted, and nothing else than the ledger is read or written."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.errors import UnprovenError
from buildguard.project import ledger as ledgers
from buildguard.project.ledger import Ledger, ServiceId

if TYPE_CHECKING:
    from pathlib import Path

_LINE: dict[str, Any] = {
    "schema": 1,
    "run": "r1",
    "number": 1,
    "at": "2026-01-01T00:00:00+00:00",
    "service": "api",
    "commit": "c",
    "builder": "cloud",
    "step": "check",
    "verdict": "ok",
    "seconds": 1.5,
    "evidence": {},
}


@pytest.mark.parametrize("name", [name for name in _LINE if name != "schema"])
@pytest.mark.parametrize("value", [None, True, [], [{}], {"a": 1}, 7, "x", float("inf")])
def test_a_field_of_another_type_makes_no_line(name: str, value: object) -> None:
    good = {type(_LINE[name])} | ({int} if name == "seconds" else set())

    lines, broken = ledgers.parse([json.dumps(_LINE).encode(), json.dumps({**_LINE, name: value}).encode()])

    assert (len(lines), broken) == ((2, 0) if type(value) in good else (1, 1))
    assert len(ledgers.group_runs(ledgers.merge_lines(lines))) >= 1


@pytest.mark.parametrize("text", [b"[" * 200_000, b"\xff\0", b"{}", b"null", b'{"schema": 2}', b"9" * 5000])
def test_what_is_no_line_is_counted(text: bytes) -> None:
    assert ledgers.parse([text]) == ([], 1)


def _write(file: Path) -> None:
    Ledger(file, "r1", ServiceId("p", "r", "api"), "c").write("check", "ok", 1, {})


def test_a_ledger_is_no_link(tmp_path: Path) -> None:
    other = tmp_path / "profile"
    other.write_text("export A=1\n")
    file = tmp_path / "ledger.jsonl"
    file.symlink_to(other)

    with pytest.raises(UnprovenError, match="cannot be written: it is a symbolic link"):
        _write(file)
    with pytest.raises(UnprovenError, match="cannot be read: it is a symbolic link"):
        ledgers.read(file)
    assert other.read_text() == "export A=1\n"


def test_a_fifo_holds_up_nothing(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    os.mkfifo(file)

    with pytest.raises(UnprovenError, match="cannot be read: it is no regular file"):
        ledgers.read(file)
    with pytest.raises(UnprovenError, match="cannot be written: it is no regular file"):
        _write(file)


def test_a_ledger_that_fills_the_memory_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 40)

    with pytest.raises(UnprovenError, match="cannot be read: it has more than 64 MiB"):
        ledgers.read(file)


def test_a_line_that_was_cut_short_costs_no_other(tmp_path: Path) -> None:
    file = tmp_path / "ledger.jsonl"
    _write(file)
    file.write_bytes(file.read_bytes()[:-20])

    _write(file)

    lines, broken = ledgers.read(file)
    assert (len(lines), broken) == (1, 1)


def test_a_disk_that_takes_a_part_gets_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data[:7])))
    file = tmp_path / "ledger.jsonl"

    _write(file)

    assert ledgers.read(file)[1] == 0
