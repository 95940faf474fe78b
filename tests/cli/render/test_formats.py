"""Writing a result to a file."""

from __future__ import annotations

import os
import stat
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


def test_a_device_or_a_pipe_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    """As root, a rename would put a regular file in the place of /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write("through", pipe)
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)

    assert stat.S_ISFIFO(pipe.stat().st_mode)
    write("nothing", Path(os.devnull))
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """A repository may have a link in the place of its baseline."""
    target, link = tmp_path / "precious", tmp_path / "baseline.json"
    target.write_text("kept")
    link.symlink_to(target)

    write("new", link)

    assert (target.read_text(), link.read_text(), link.is_symlink()) == ("kept", "new", False)
