"""When Cloud Build cannot build: whether the local builder may, by what went wrong. Pure.

Each row names what happened, and what that leads to. A failing step of the project's own build is never hidden behind
another builder, and neither is a missing right.
"""

from __future__ import annotations

from typing import assert_never

from buildguard.definitions import NamedTuple, StrEnum
from buildguard.errors import Reason


class FallbackDecision(StrEnum):
    """What a failed build in the cloud leads to."""

    LOCAL = "build locally"
    STOP = "stop"
    ASK = "ask"
    AGAIN = "run the same build once more"


class FallbackMode(StrEnum):
    """The setting `fallback`: whether the local builder may take over without a question, after one, or not at all."""

    AUTO = "auto"
    ASK = "ask"
    NEVER = "never"


class FallbackRule(NamedTuple):
    """One row of the table: what happened, and what it leads to."""

    name: str
    leads_to: FallbackDecision


_OFFLINE = FallbackRule("no Google credentials, or no project", FallbackDecision.LOCAL)
_SERVICE = FallbackRule("the build ended by Cloud Build's own trouble", FallbackDecision.LOCAL)
_ENDED = FallbackRule("the build timed out or was cancelled", FallbackDecision.ASK)
_BUCKET = FallbackRule("the bucket refuses the archive", FallbackDecision.LOCAL)
_UNKNOWN = FallbackRule("something else", FallbackDecision.STOP)
_RULES = {
    Reason.NO_CREDENTIALS: _OFFLINE,
    Reason.NO_PROJECT: _OFFLINE,
    Reason.UNREACHABLE: FallbackRule("Cloud Build cannot be reached", FallbackDecision.LOCAL),
    Reason.QUOTA: FallbackRule("a quota is used up", FallbackDecision.LOCAL),
    Reason.REGION_QUOTA: FallbackRule("the region may not run builds", FallbackDecision.LOCAL),
    Reason.DENIED: FallbackRule("a permission or an API is missing", FallbackDecision.STOP),
    Reason.REFUSED: FallbackRule("Cloud Build refuses the build", FallbackDecision.STOP),
    Reason.NOT_FOUND: FallbackRule("not found in this project and region", FallbackDecision.STOP),
    Reason.CHANGED: FallbackRule("the bytes changed on their way", FallbackDecision.LOCAL),
    Reason.NEEDS_APPROVAL: FallbackRule("the build waits for an approval", FallbackDecision.STOP),
    Reason.OVERDUE: FallbackRule("the build did not end in time", FallbackDecision.STOP),
    Reason.STEP_FAILED: FallbackRule("a step of the build failed", FallbackDecision.STOP),
    Reason.IMAGE_NOT_BUILT: FallbackRule("no step of the build made the image", FallbackDecision.STOP),
    Reason.PUSH_FAILED: FallbackRule("the image could not be pushed", FallbackDecision.AGAIN),
    Reason.SERVICE_TROUBLE: _SERVICE,
    Reason.SOURCE_NOT_FETCHED: _SERVICE,
    Reason.BUILD_TIMEOUT: _ENDED,
    Reason.CANCELLED: _ENDED,
}


def rule_of(reason: Reason, *, in_bucket: bool = False) -> FallbackRule:
    """The row for why a build, or the upload into its bucket, failed."""
    if in_bucket and reason in {Reason.DENIED, Reason.NOT_FOUND}:
        return _BUCKET
    return _RULES.get(reason, _UNKNOWN)


def needs_confirmation(row: FallbackRule, fallback: str) -> bool:
    """Whether a person is asked."""
    if fallback == FallbackMode.NEVER:
        return False
    match row.leads_to:
        case FallbackDecision.LOCAL:
            return fallback != FallbackMode.AUTO
        case FallbackDecision.ASK:
            return True
        case FallbackDecision.STOP | FallbackDecision.AGAIN:
            return False
        case _:
            assert_never(row.leads_to)


def decide_fallback(row: FallbackRule, fallback: str, *, asked: bool | None) -> bool:
    """Whether the local builder takes over: `fallback` is the setting, `asked` the answer of a person, None without one."""
    if needs_confirmation(row, fallback):
        return bool(asked)
    return fallback == FallbackMode.AUTO and row.leads_to is FallbackDecision.LOCAL
