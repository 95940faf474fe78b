"""JSON that is safe to print: what a terminal would obey is escaped, and the rest stays readable."""

from __future__ import annotations

import json
import re
from typing import Any

from buildguard.definitions import lazy_pattern

_PRINTABLE = lazy_pattern(r"[^\n -~]")


def dumps(answer: Any) -> str:
    """A JSON document, two blanks a level, with a line break at its end."""
    return _PRINTABLE.sub(_escaped, json.dumps(answer, indent=2, ensure_ascii=False)) + "\n"


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    return char if char.isprintable() else json.dumps(char)[1:-1]
