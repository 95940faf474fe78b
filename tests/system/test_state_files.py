"""Files of earlier runs: within bounds, regular, and not through a link."""

from __future__ import annotations

import os
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
