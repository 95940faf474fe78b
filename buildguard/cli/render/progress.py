"""Progress on stderr: a bar for long runs on a terminal, and what is being waited for."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType

from buildguard.definitions import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Self

_PATIENCE = 1.0  # seconds before a bar is worth its flicker


class Progress:
    """Counts verdicts; shows a bar once a run has taken a second."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._wanted = sys.stderr.isatty()
        self._done = 0
        self._bar: Any = None
        self._telling = False
        self._last = ""
        self._message: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._telling:
            # what was said last may be who has the traffic now, or how to go on
            sys.stderr.write(f"\r\033[K{self._last}\n")
            self._telling = False
        self._clear()
        if self._bar is not None:
            self._bar.__exit__(kind, error, trace)

    def tell(self, text: str) -> None:
        """Say what takes its time: on a terminal in one line that changes, elsewhere each new thing once.

        An address stays on a terminal, in a line of its own.
        """
        if self._wanted:
            stays = "://" in text
            sys.stderr.write(f"\r\033[K{text}\n" if stays else f"\r\033[K{_cut(text)}")
        elif (what := text.partition(":")[0]) not in self._message:
            self._message.add(what)
            sys.stderr.write(f"{text}\n")
        self._telling, self._last = self._wanted, text
        sys.stderr.flush()

    def _clear(self) -> None:
        if self._telling:
            self._telling = False
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def update(self, done: int, total: int) -> None:
        """Take in that `done` more of `total` verdicts are there."""
        self._done += done
        if self._bar is not None:
            self._bar.update(done)
            return
        self._clear()
        if self._wanted and time.monotonic() - self._started > _PATIENCE:
            import click

            self._bar = click.progressbar(length=total, label="compiling", file=sys.stderr)
            self._bar.__enter__()
            self._bar.update(self._done)


def _cut(text: str) -> str:
    """As much of a text as one line of the terminal takes: what is wrapped could not be cleared again."""
    from buildguard.cli.render.source_line import display_width

    try:
        room = os.get_terminal_size(sys.stderr.fileno()).columns - 1
    except (OSError, ValueError):
        return text
    if room < 1 or display_width(text) <= room:
        return text
    while display_width(text) >= room:
        text = text[:-1]
    return f"{text}…"
