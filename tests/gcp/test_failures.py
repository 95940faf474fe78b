"""The table of reasons knows every kind of failure that Cloud Build's API has."""

from __future__ import annotations

import pytest
from google.cloud.devtools import cloudbuild_v1

from buildguard.errors import Reason
from buildguard.gcp.failures import reason_of_build, reason_of_status
from buildguard.project.cloudbuild.build_state import BuildState

_KINDS = [kind.name for kind in cloudbuild_v1.Build.FailureInfo.FailureType if kind]


@pytest.mark.parametrize("kind", _KINDS)
def test_every_kind_of_failure_has_a_reason(kind: str) -> None:
    reason = reason_of_build(BuildState.FAILURE, kind, "")

    assert reason is not Reason.OTHER
    assert (reason is Reason.STEP_FAILED) == (kind == "USER_BUILD_STEP")


@pytest.mark.parametrize("state", BuildState)
def test_every_state_that_is_no_success_has_a_reason(state: BuildState) -> None:
    is_failure = state.is_done and state not in {BuildState.SUCCESS, BuildState.STATUS_UNKNOWN}

    assert (reason_of_build(state, "", "") is not Reason.OTHER) == is_failure


@pytest.mark.parametrize(("status", "reason"), [(403, Reason.DENIED), (503, Reason.UNREACHABLE), (400, Reason.OTHER)])
def test_an_answer_over_http(status: int, reason: Reason) -> None:
    assert reason_of_status(status) is reason
