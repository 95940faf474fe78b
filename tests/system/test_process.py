"""Starting a process: which part of it the system refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from buildguard.errors import UnprovenError
from buildguard.system import process

pytestmark = pytest.mark.interpreters


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_that_cannot_be_entered_is_named_and_not_the_program(kind: type, tmp_path: Path) -> None:
    with pytest.raises(UnprovenError) as refused:
        process.run([sys.executable, "-c", ""], cwd=kind(tmp_path / "gone"))

    assert refused.value.what == f"{tmp_path}/gone cannot be used: No such file or directory"


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnprovenError, match=r"^gone could not be started: No such file"):
        process.run([str(tmp_path / "gone")], cwd=tmp_path)
