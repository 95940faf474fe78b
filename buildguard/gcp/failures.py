"""Why something failed at Google: one table from the states of builds, kinds of failure and statuses of requests to reasons.

`check --engine cloud`, `deploy`, its fallback and `diagnose` decide by these reasons. Where Google's own text is all that sets
two failures apart, it is read here, and nowhere else.
"""

from __future__ import annotations

from buildguard.definitions import lazy_pattern
from buildguard.errors import Reason
from buildguard.project.cloudbuild.build_state import BuildState

# what the builder did, whatever it says of a step that it ended thereby
_ENDED = {BuildState.TIMEOUT: Reason.BUILD_TIMEOUT, BuildState.CANCELLED: Reason.CANCELLED}
_KINDS = {
    "USER_BUILD_STEP": Reason.STEP_FAILED,
    "PUSH_FAILED": Reason.PUSH_FAILED,
    "PUSH_IMAGE_NOT_FOUND": Reason.IMAGE_NOT_BUILT,
    "PUSH_NOT_AUTHORIZED": Reason.DENIED,
    "LOGGING_FAILURE": Reason.SERVICE_TROUBLE,
    "FETCH_SOURCE_FAILED": Reason.SOURCE_NOT_FETCHED,
}
_STATES = {
    BuildState.INTERNAL_ERROR: Reason.SERVICE_TROUBLE,
    BuildState.EXPIRED: Reason.SERVICE_TROUBLE,
    BuildState.FAILURE: Reason.STEP_FAILED,
}
# a push that is not allowed may be reported as one that failed: it is missing for the next build too
_DENIED = lazy_pattern(r"(?i)\b(?:unauthori[sz]ed|denied|forbidden|permissions?)\b")
# https://cloud.google.com/apis/design/errors
_STATUSES = {
    401: Reason.NO_CREDENTIALS,
    403: Reason.DENIED,
    404: Reason.NOT_FOUND,
    409: Reason.CONFLICT,
    429: Reason.QUOTA,
    500: Reason.UNREACHABLE,
    502: Reason.UNREACHABLE,
    503: Reason.UNREACHABLE,
    504: Reason.UNREACHABLE,
}
# the only thing that sets this FAILED_PRECONDITION apart
_REGION_QUOTA = "quota restrictions"

# What a build may come to through no fault of the project's: another one is worth a try.
TROUBLE = frozenset({Reason.SERVICE_TROUBLE, Reason.SOURCE_NOT_FETCHED})


def reason_of_build(status: BuildState, kind: str, detail: str) -> Reason:
    """Why a build ended without success, by its state, the kind of its failure and what it says of it."""
    reason = _ENDED.get(status) or _KINDS.get(kind) or _STATES.get(status, Reason.OTHER)
    return Reason.DENIED if reason is Reason.PUSH_FAILED and _DENIED.search(detail) else reason


def reason_of_status(status: int) -> Reason:
    """Why a request failed, by the status of its answer over HTTP."""
    return _STATUSES.get(status, Reason.OTHER)


def reason_of_error(error: BaseException) -> Reason:
    """Why a request failed, by what Google's libraries raised; what their retries gave up on counts where it is known."""
    inner = getattr(error, "cause", None)
    reason = reason_of_error(inner) if isinstance(inner, BaseException) else Reason.OTHER
    return _own_reason(error) if reason is Reason.OTHER else reason


def _own_reason(error: BaseException) -> Reason:
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth
    from requests import exceptions as http

    match error:
        case api.FailedPrecondition():
            return Reason.REGION_QUOTA if _REGION_QUOTA in str(error) else Reason.REFUSED
        case api.GoogleAPICallError():
            return reason_of_status(int(error.code or 0))
        case auth.DefaultCredentialsError() | auth.RefreshError():
            return Reason.NO_CREDENTIALS
        case api.RetryError() | http.ConnectionError() | http.Timeout():
            return Reason.UNREACHABLE
        case auth.GoogleAuthError() if error.__cause__ is not None:
            return reason_of_error(error.__cause__)
        case _:
            return Reason.OTHER
