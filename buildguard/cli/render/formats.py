"""Renderings of a result: each takes records and returns text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from buildguard.errors import UnprovenError

if TYPE_CHECKING:
    from buildguard.check.result import CheckReport

FORMATS = ("text", "json", "sarif", "github")


def render(report: CheckReport, form: str, *, colour: bool = False, lines: int | None = None, width: int = 0) -> str:
    """A result in one of FORMATS; text has at most `lines` lines of findings (None: all), folded at `width` (0: never)."""
    if form == "json":
        from buildguard.cli.render.check_json import render as to_json

        return to_json(report)
    if form == "sarif":
        from buildguard.cli.render.sarif import render as to_sarif

        return to_sarif(report)
    if form == "github":
        from buildguard.cli.render.github import render as to_github

        return to_github(report)
    from buildguard.cli.render.check_text import render as to_text

    return to_text(report, colour=colour, most=lines, width=width)


def write(content: str | bytes, file: Path) -> None:
    """Write a file whole or not at all; raises UnprovenError where it cannot be."""
    import os

    from buildguard.system import temporary

    new = temporary.temporary_sibling(os.fsencode(file))
    try:
        with open(new, "xb") as out:
            out.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(new, file)
    except OSError as error:
        raise UnprovenError(f"{file} could not be written: {error.strerror}") from error
    finally:
        if os.path.lexists(new):
            os.unlink(new)
