"""The names of distributions."""

from __future__ import annotations

import re


def normalize(name: str) -> str:
    """The name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
