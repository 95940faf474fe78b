"""Faults on demand: what the emulator does wrong, by name, for its whole life or the first few times."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterable

from buildguard.definitions import StrEnum
from buildguard.errors import UsageError


class FaultName(StrEnum):
    """What can go wrong on request: in the bucket, the workspace, a step, the service, and Cloud Run."""

    FLIP_BYTE = "flip-byte"
    TRUNCATE_OBJECT = "truncate-object"
    SWAP_GENERATION = "swap-generation"
    BUCKET_403 = "bucket-403"
    ALTER_MEMBER = "alter-member"
    DROP_MEMBER = "drop-member"
    CRLF = "crlf"
    STALE_SOURCE = "stale-source"
    OTHER_PYTHON = "other-python"
    HTTP_429 = "http-429"
    HTTP_503 = "http-503"
    LOG_403 = "log-403"
    LOST_CREATE_ANSWER = "lost-create-answer"
    PENDING = "pending"
    HANG = "hang"
    INTERNAL_ERROR = "internal-error"
    EXPIRED = "expired"
    TIMEOUT = "timeout"
    QUOTA_REGION = "quota-region"
    PERMISSION_DENIED = "permission-denied"
    FETCH_FAILED = "fetch-failed"
    LOGGING_FAILED = "logging-failed"
    CANCELLED = "cancelled"
    PUSH_FAILED = "push-failed"
    REVISION_NOT_READY = "revision-not-ready"
    TRAFFIC_PINNED = "traffic-pinned"
    ETAG_CONFLICT = "etag-conflict"


class Faults:
    """The faults that were asked for; `takes` tells whether one strikes now."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Each is NAME, NAME=N for the first N times, or other-python=IMAGE. Raises UsageError for an unknown one."""
        self._left: dict[FaultName, float] = {}
        self._lock = threading.Lock()
        self.other_python = ""
        for text in texts:
            self.add(text)

    def add(self, text: str) -> None:
        """One fault more."""
        name, equals, value = text.partition("=")
        fault = _fault_name(name)
        if fault is FaultName.OTHER_PYTHON:
            if not value:
                raise UsageError(f"{fault} needs an image", hint=f"{fault}=python:3.8-slim")
            self.other_python = value
        elif equals and not value.isdigit():
            raise UsageError(f"'{text}' needs a number of times", hint=f"{fault}=1")
        else:
            self._left[fault] = int(value) if equals else float("inf")

    def wants(self, name: FaultName) -> bool:
        """Whether a fault was asked for at all."""
        return name in self._left

    def takes(self, name: FaultName) -> bool:
        """Whether the fault of that name strikes now; one that has a number is used up by that."""
        with self._lock:
            left = self._left.get(name, 0)
            if left:
                self._left[name] = left - 1
            return left > 0


def _fault_name(text: str) -> FaultName:
    try:
        return FaultName(text)
    except ValueError as error:
        close = difflib.get_close_matches(text, list(FaultName), n=1)
        hint = f"did you mean '{close[0]}'?" if close else ", ".join(FaultName)
        raise UsageError(f"unknown fault '{text}'", hint=hint) from error
