"""How a text is laid out: what the flags and the terminal say."""

from __future__ import annotations

from buildguard.definitions import NamedTuple, StrEnum


class Detail(StrEnum):
    """How much is written: findings alone, what a reader needs, or every hint and engine too."""

    QUIET = "quiet"
    NORMAL = "normal"
    VERBOSE = "verbose"


class TextLayout(NamedTuple):
    """`lines` is the height of the screen, None for everything; `width` its columns, 0 if nothing is folded.

    `root` is the folder that the report's paths are relative to, `folder` the one in which the command runs; absolute.
    """

    color: bool = False
    lines: int | None = None
    width: int = 0
    detail: Detail = Detail.NORMAL
    statistics: bool = False
    root: str = ""
    folder: str = ""
