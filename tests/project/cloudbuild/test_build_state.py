"""The states of a build are those of Cloud Build's API, all of them."""

from __future__ import annotations

from google.cloud.devtools import cloudbuild_v1

from buildguard.project.cloudbuild.build_state import BuildState


def test_every_state_of_the_api_has_its_name() -> None:
    assert {state.value for state in BuildState} == {status.name for status in cloudbuild_v1.Build.Status}


def test_a_build_that_waits_or_works_is_not_done() -> None:
    assert {state for state in BuildState if not state.is_done} == {"PENDING", "QUEUED", "WORKING"}
