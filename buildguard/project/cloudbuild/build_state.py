"""The states of a build and of its steps, by the names that Cloud Build's API gives them."""

from __future__ import annotations

from buildguard.definitions import StrEnum


class BuildState(StrEnum):
    """How far a build or a step is, or how it ended."""

    STATUS_UNKNOWN = "STATUS_UNKNOWN"
    PENDING = "PENDING"
    QUEUED = "QUEUED"
    WORKING = "WORKING"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    TIMEOUT = "TIMEOUT"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def is_done(self) -> bool:
        """Whether it came to an end; one that waits for an approval (PENDING) did not."""
        return self not in {BuildState.PENDING, BuildState.QUEUED, BuildState.WORKING}
