"""Colors and weights as click writes them, without importing click: a hook prints one line."""

from __future__ import annotations

from buildguard.definitions import lazy_pattern

_COLORS = {"red": 31, "green": 32, "yellow": 33}
_ESCAPE = lazy_pattern(r"\033\[[0-?]*[ -/]*[@-~]")


def style(text: str, *, fg: str | None = None, bold: bool = False) -> str:
    """A text in a color, or bold, or both; followed by what ends that."""
    color = f"\033[{_COLORS[fg]}m" if fg is not None else ""
    weight = "\033[1m" if bold else ""
    return f"{color}{weight}{text}\033[0m"


def unstyle(text: str) -> str:
    """The text without such codes."""
    return _ESCAPE.sub("", text) if "\033" in text else text
