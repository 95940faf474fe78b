"""TOML files of people: parsed with file and line in the error, and the line of a key found again."""

from __future__ import annotations

import re

from buildguard.definitions import TYPE_CHECKING, lazy_pattern
from buildguard.errors import UsageError

if TYPE_CHECKING:
    from typing import Any

_MOST_PARTS = 100
_ENDLESS = lazy_pattern(rb"""(?<![\w"'.-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){%d}""" % _MOST_PARTS)


def read(data: bytes, file: str) -> dict[str, Any]:
    """Parse; raises UsageError that names file and line."""
    if not data:
        return {}
    import tomllib

    if _ENDLESS.search(data):  # what tomllib makes of them takes a time that grows with the square of their number
        raise UsageError(f"{file} is not valid TOML: a key has more than {_MOST_PARTS} parts")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError is one, and so is that of an endless number
        match = re.search(r"at line (\d+)", str(error))
        place = f"{file}:{match.group(1)}" if match else file
        raise UsageError(f"{place} is not valid TOML: {error}") from error


def table(content: object, *names: str) -> dict[str, Any]:
    """The table at some names, one below the other; an empty one where a person wrote something else there, or nothing."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def line_of(data: bytes, key: str) -> int | None:
    """The line (from 1) on which a key or the table of that name first stands; tomllib does not keep it."""
    pattern = re.compile(rf"^\s*(?:\[+[^\]]*\b)?[\"']?{re.escape(key)}[\"']?\s*[=\]]")
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if pattern.search(line):
            return number
    return None
