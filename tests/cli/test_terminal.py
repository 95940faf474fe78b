"""Colors and size of the terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from buildguard.cli.terminal import ColorChoice, columns, screen, wants_color
from tests.conftest import REPOSITORY, Project, interpreter


class _Terminal:
    @staticmethod
    def isatty() -> bool:
        return True


def test_colors_are_for_terminals_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", _Terminal())

    assert wants_color()
    assert not wants_color(to_file=True)
    assert not wants_color(ColorChoice.NEVER)
    monkeypatch.setenv("TERM", "dumb")
    assert not wants_color()
    assert wants_color(ColorChoice.ALWAYS)


def test_no_color_is_honored_unless_colors_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", _Terminal())
    monkeypatch.setenv("NO_COLOR", "1")

    assert not wants_color()
    assert wants_color(ColorChoice.ALWAYS, to_file=True)


def test_a_pipe_has_no_size_and_no_colors() -> None:
    assert screen() is None
    assert not wants_color()


def _on_terminal(command: list[str], cwd: Path, lines: int, columns: int) -> str:
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    with subprocess.Popen(
        command, cwd=cwd, stdout=other, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    ) as process:
        os.close(other)
        output = b""
        while True:
            try:
                chunk = os.read(main, 65536)
            except OSError:
                break
            output += chunk
        assert process.wait() in {0, 1}
    os.close(main)
    return click.unstyle(output.decode())


@pytest.mark.interpreters
def test_the_bundled_example_shows_all_three_files_on_a_small_screen(tmp_path: Path) -> None:
    interpreter("3.11")
    folder = tmp_path / "outage"
    shutil.copytree(REPOSITORY / "examples/outage", folder)
    program = str(Path(sys.executable).with_name("buildguard"))

    text = _on_terminal([program, "check"], folder, 24, 80)

    assert all(f"app/{name}.py:" in text for name in ("invoices", "notify", "orders"))
    assert len(text.splitlines()) <= 24
    assert "more; --all shows them" in text
    assert text.splitlines()[-1].startswith("6 errors")


@pytest.mark.interpreters
def test_no_word_is_broken_on_a_narrow_terminal(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11\nCOPY . .\n", ".gcloudignore": "", "a.py": ""})
    made.write({f"folder/long_name_{number}.txt": "" for number in range(3)})
    program = str(Path(sys.executable).with_name("buildguard"))

    for words in (["init"], ["diff", "commit:HEAD", "dir:."], ["explain", "BG201"], ["explain"]):
        lines = _on_terminal([program, *words], made.path, 40, 60).splitlines()

        assert [line for line in lines if len(line) > 60 and " " in line.strip()] == [], words
        assert len(lines) > 3, words


def test_a_terminal_of_unknown_size_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda _fd: os.terminal_size((0, 0)))
    monkeypatch.setattr("sys.stdout.fileno", lambda: 1, raising=False)

    assert screen() is None


def test_a_file_and_a_pipe_have_no_columns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "stdout", (tmp_path / "out").open("w"))

    assert columns() == 0
    assert columns(tmp_path / "report") == 0
    sys.stdout.close()
