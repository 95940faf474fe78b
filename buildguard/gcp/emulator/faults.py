"""Faults on demand: what the emulator does wrong, by name, for its whole life or the first few times."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterable

from buildguard.errors import UsageError

BUCKET = ("flip-byte", "truncate-object", "swap-generation", "bucket-403")
WORKSPACE = ("alter-member", "drop-member", "crlf", "stale-source")
STEP = "other-python"
SERVICE = (
    "http-429",
    "http-503",
    "log-403",
    "lost-create-answer",
    "pending",
    "hang",
    "internal-error",
    "expired",
    "timeout",
    "quota-region",
    "permission-denied",
    "fetch-failed",
    "logging-failed",
    "cancelled",
    "push-failed",
)
RUN = ("revision-not-ready", "traffic-pinned", "etag-conflict")
NAMES = (*BUCKET, *WORKSPACE, STEP, *SERVICE, *RUN)


class Faults:
    """The faults that were asked for; `takes` tells whether one strikes now."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Each is NAME, NAME=N for the first N times, or other-python=IMAGE. Raises UsageError for one that there is not."""
        self._left: dict[str, float] = {}
        self._lock = threading.Lock()
        self.other_python = ""
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """One fault more."""
        name, equals, value = text.partition("=")
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, n=1)
            hint = f"did you mean '{close[0]}'?" if close else ", ".join(NAMES)
            raise UsageError(f"there is no fault '{name}'", hint=hint)
        if name == STEP:
            if not value:
                raise UsageError(f"{STEP} wants an image", hint=f"{STEP}=python:3.8-slim")
            self.other_python = value
        elif equals and not value.isdigit():
            raise UsageError(f"'{text}': a number of times is wanted", hint=f"{name}=1")
        else:
            self._left[name] = int(value) if equals else float("inf")

    def wants(self, name: str) -> bool:
        """Whether a fault was asked for at all."""
        return name in self._left

    def takes(self, name: str) -> bool:
        """Whether the fault of that name strikes now; one that has a number is used up by that."""
        with self._lock:
            left = self._left.get(name, 0)
            if left:
                self._left[name] = left - 1
            return left > 0
