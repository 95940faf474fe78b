"""The terminal: whether there is one, its size, and whether it gets colours."""

from __future__ import annotations

import os
import sys

from buildguard.definitions import NamedTuple, StrEnum


class ColorChoice(StrEnum):
    """The values of `--color`."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Screen(NamedTuple):
    """Lines and columns of the terminal behind stdout."""

    lines: int
    columns: int


def screen() -> Screen | None:
    """The size of the terminal behind stdout; None if it is a file or a pipe, or of unknown size."""
    if not sys.stdout.isatty():
        return None
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return None
    return Screen(size.lines, size.columns) if size.lines and size.columns else None


def columns(output: object = None) -> int:
    """The columns at which a text is folded; 0 for a file, a pipe or a terminal of unknown size, which get whole lines."""
    size = screen() if output is None else None
    return size.columns if size is not None else 0


def wants_color(choice: ColorChoice = ColorChoice.AUTO, *, to_file: bool = False) -> bool:
    """Whether a result is colored: `auto` means on a terminal that can, unless NO_COLOR is set."""
    if choice is not ColorChoice.AUTO:
        return choice is ColorChoice.ALWAYS
    if to_file or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()
