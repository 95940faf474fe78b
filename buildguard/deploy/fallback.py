"""When Cloud Build cannot build: whether the local builder may, by what went wrong. Pure.

Each row names what happened, and what that leads to. A failing step of the project's own build is never hidden behind
another builder, and neither is a missing right.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple, assert_never

from buildguard.gcp.cloud_build import BuildStatus


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
_UNREACHED = FallbackRule("Cloud Build cannot be reached", FallbackDecision.LOCAL)
_QUOTA = FallbackRule("a quota is used up", FallbackDecision.LOCAL)
_REGION = FallbackRule("the region may not run builds", FallbackDecision.LOCAL)
_RIGHTS = FallbackRule("a permission or an API is missing", FallbackDecision.STOP)
_REFUSED = FallbackRule("Cloud Build refuses the build", FallbackDecision.STOP)
_NOT_FOUND = FallbackRule("not found in this project and region", FallbackDecision.STOP)
_BUCKET = FallbackRule("the bucket refuses the archive", FallbackDecision.LOCAL)
_SERVICE = FallbackRule("the build ended by Cloud Build's own trouble", FallbackDecision.LOCAL)
_ENDED = FallbackRule("the build timed out or was cancelled", FallbackDecision.ASK)
_STEP = FallbackRule("a step of the build failed", FallbackDecision.STOP)
_PUSH = FallbackRule("the image could not be pushed", FallbackDecision.AGAIN)
_CHANGED = FallbackRule("the bytes changed on their way", FallbackDecision.LOCAL)
_WAITS = FallbackRule("the build waits for an approval", FallbackDecision.STOP)
_OVERDUE = FallbackRule("the build did not end in time", FallbackDecision.STOP)
_UNKNOWN = FallbackRule("something else", FallbackDecision.STOP)

_KINDS = {
    "USER_BUILD_STEP": _STEP,
    "PUSH_FAILED": _PUSH,
    "PUSH_IMAGE_NOT_FOUND": _PUSH,
    "PUSH_NOT_AUTHORIZED": _RIGHTS,
    "LOGGING_FAILURE": _SERVICE,
    "FETCH_SOURCE_FAILED": _SERVICE,
}
_DENIED = re.compile(r"(?i)\b(?:denied|forbidden|permissions?)\b")
_STATUSES = {"INTERNAL_ERROR": _SERVICE, "EXPIRED": _SERVICE, "TIMEOUT": _ENDED, "CANCELLED": _ENDED}


def of_build(build: BuildStatus) -> FallbackRule:
    """The row of a build that ended without success."""
    if build.kind == "PUSH_FAILED" and _DENIED.search(build.detail):
        return _RIGHTS  # it would be missing for the next build too
    return _KINDS.get(build.kind) or _STATUSES.get(build.status) or (_STEP if build.status == "FAILURE" else _UNKNOWN)


def of_kind(kind: str) -> FallbackRule:
    """The row of a type of failure that Cloud Build reports."""
    return _KINDS[kind]


# What an error leads to, by the classes that it came from: ours first, then Google's; the first that fits counts.
_ERRORS = (
    (frozenset({"RegionQuotaError"}), _REGION),
    (frozenset({"NoProjectError"}), _OFFLINE),
    (frozenset({"ApprovalNeededError"}), _WAITS),
    (frozenset({"OverdueBuildError"}), _OVERDUE),
    (frozenset({"PermissionDenied", "Forbidden"}), _RIGHTS),
    (frozenset({"NotFound"}), _NOT_FOUND),
    (frozenset({"FailedPrecondition"}), _REFUSED),
    (frozenset({"TooManyRequests", "ResourceExhausted"}), _QUOTA),
    (frozenset({"DefaultCredentialsError", "Unauthorized", "RefreshError"}), _OFFLINE),
    (frozenset({"ChangedError"}), _CHANGED),
    (
        frozenset(
            {
                "ServiceUnavailable",
                "DeadlineExceeded",
                "GatewayTimeout",
                "BadGateway",
                "InternalServerError",
                "RetryError",
                "ConnectionError",
            }
        ),
        _UNREACHED,
    ),
)


def of_error(names: list[str], *, in_bucket: bool) -> FallbackRule:
    """The row of an error, by the names of the classes that it came from."""
    if in_bucket and {"Forbidden", "NotFound", "PermissionDenied"}.intersection(names):
        return _BUCKET
    return next((row for kinds, row in _ERRORS if kinds.intersection(names)), _UNKNOWN)


def error_class_names(error: BaseException) -> list[str]:
    """The class names of an error, of those above it and of what it came from."""
    names: list[str] = []
    current: BaseException | None = error
    while current is not None:
        names += [kind.__name__ for kind in type(current).__mro__]
        # what Google's retries gave up on stands in an attribute
        current = current.__cause__ or (
            last if isinstance(last := getattr(current, "cause", None), BaseException) else None
        )
    return names


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
