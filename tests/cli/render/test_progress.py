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
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setattr(os, "get_terminal_size", lambda _file: os.terminal_size((20, 5)))

    def show(text: str, error: BaseException | None = None) -> str:
        terminal = _Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        progress = Progress()
        progress.tell(text)
        if error is not None:
            progress.__exit__(type(error), error, None)
        return terminal.getvalue().rpartition("\r\033[K")[2]

    return show


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("build: 19 columns.", "build: 19 columns."),
        ("build: far more than there is room for", "build: far more th…"),
        ("漢字" * 10, "漢字漢字漢字漢字漢…"),
    ],
)
def test_a_long_text_is_cut(shown: Callable[..., str], text: str, line: str) -> None:
    assert shown(text) == line


def test_an_address_stays_whole(shown: Callable[..., str]) -> None:
    text = "Cloud Build runs b: https://console.example/b"

    assert shown(text) == f"{text}\n"


def test_the_last_words_before_an_interruption_stay_whole(shown: Callable[..., str]) -> None:
    text = "loop: interrupted; the same command goes on with it"

    assert shown(text, KeyboardInterrupt()) == f"{text}\n"
