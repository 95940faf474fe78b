"""Writing a result to a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from buildguard.cli.render.formats import FORMATS, render, write
from buildguard.errors import UnprovenError
from tests.cli.render.records import finding, report


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_every_finding(form: str) -> None:
    text = render(report(*(finding(f"m{number}.py") for number in range(200))), form)

    assert all(f"m{number}.py" in text for number in range(200))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    write("old", file)

    write("new\udcff", file)

    assert file.read_text("utf-8") == "new\\udcff"
    assert os.listdir(tmp_path) == ["out.json"]
    with pytest.raises(UnprovenError, match="could not be written"):
        write("x", tmp_path / "no-folder" / "out.json")
