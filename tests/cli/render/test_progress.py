"""Progress on a terminal: one line that changes, however narrow the terminal is."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

import pytest

from buildguard.cli.render.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    def show(text: str) -> str:
        terminal = _Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(os, "get_terminal_size", lambda _file: os.terminal_size((20, 5)))
        Progress().tell(text)
        return terminal.getvalue().removeprefix("\r\033[K")

    return show


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("build: 19 columns.", "build: 19 columns."),
        ("build: far more than there is room for", "build: far more th…"),
        ("漢字" * 10, "漢字漢字漢字漢字漢…"),
    ],
)
def test_a_long_text_is_cut(shown: Callable[[str], str], text: str, line: str) -> None:
    assert shown(text) == line


def test_an_address_stays_whole(shown: Callable[[str], str]) -> None:
    text = "Cloud Build runs b: https://console.example/b"

    assert shown(text) == f"{text}\n"
