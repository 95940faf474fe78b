"""The few words that several reports share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from buildguard.diagnostic import shown

if TYPE_CHECKING:
    from buildguard.diagnostic import Unproven


def count(number: int, word: str) -> str:
    """A number and what it counts, in the plural where it is due."""
    if number == 1 or word == "more":
        return f"{number} {word}"
    return f"{number} {word.removesuffix('y')}ies" if word.endswith("ry") else f"{number} {word}s"


def of_unproven(one: Unproven) -> str:
    """What could not be looked at, and why."""
    place = f"{shown(one.path)}: " if one.path is not None else ""
    target = f" (Python {one.target})" if one.target else ""
    return f"{place}{shown(one.reason)}{target}"


def brief(stage: str) -> str:
    """The name of a stage with its long digests cut short: `gs://bucket/source/0123456789ab….tgz#17`."""
    return re.sub(r"[0-9a-f]{40,}", lambda match: f"{match[0][:12]}…", stage)
