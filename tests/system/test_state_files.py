"""Files of earlier runs: within bounds, regular, and not through a link."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from buildguard.system.state_files import append_state, open_guard, read_state

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_appended_is_read(tmp_path: Path) -> None:
    file = tmp_path / "state"
    with pytest.raises(FileNotFoundError):
        read_state(file)

    append_state(file, b"one\n")
    append_state(file, b"tw")
    append_state(file, b"three\n")

    assert read_state(file) == b"one\ntw\nthree\n"


def test_a_guard_is_a_regular_file(tmp_path: Path) -> None:
    os.close(open_guard(tmp_path / "guard"))
    assert (tmp_path / "guard").is_file()
    (tmp_path / "link").symlink_to("guard")

    for name in ("link", "."):
        with pytest.raises(OSError, match=r"symbolic link|directory"):
            open_guard(tmp_path / name)


def test_writers_at_the_same_time_leave_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write may take only a part of a line: no other run writes before the rest of it, or reads."""
    file, write = tmp_path / "state", os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:7]))
    append_state(file, b"first\n")
    lines = [f"{letter}{number:03}".encode() * 20 for letter in "abcd" for number in range(20)]
    seen: list[bytes] = []

    def run(at: int) -> None:
        for line in lines[at::4]:
            append_state(file, line + b"\n")
            seen.extend(read_state(file).splitlines())

    threads = [threading.Thread(target=run, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(read_state(file).splitlines()) == sorted([b"first", *lines])
    assert {*seen} <= {b"first", *lines}
