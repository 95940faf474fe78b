"""What Cloud Build's answers mean: a build that waits, one that is late, and a region that may not build."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from google.api_core import exceptions as api
from google.cloud.devtools import cloudbuild_v1 as cb

from buildguard.errors import Reason, UnprovenError
from buildguard.gcp import auth, cloud_build
from buildguard.gcp.build_log import BuildLogSink, follow_build
from buildguard.gcp.cloud_build import (
    ApprovalNeededError,
    BuildStatus,
    CloudBuildClient,
    NoProjectError,
    OverdueBuildError,
    RegionQuotaError,
)
from buildguard.gcp.storage import StorageClient

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUS = cb.Build.Status


class _Builds:
    """Answers with one status after another; the last one stays."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.asked = 0
        self.error: Exception | None = None

    def get_build(self, **_arguments: Any) -> cb.Build:
        self.asked += 1
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return cb.Build(id="b-1", name="projects/p/locations/r/builds/b-1", status=status)

    def create_build(self, **_arguments: Any) -> None:
        if self.error is not None:
            raise self.error


def _client(monkeypatch: pytest.MonkeyPatch, builds: _Builds) -> CloudBuildClient:
    monkeypatch.setenv(auth.CLOUDBUILD, "grpc://127.0.0.1:1")
    monkeypatch.setattr(cloud_build, "_emulator_client", lambda *_arguments: builds)
    monkeypatch.setattr(cloud_build, "_LONGEST_PAUSE", 0.0)
    return CloudBuildClient("p", "r", pause=0.001)


@pytest.mark.parametrize(
    ("statuses", "waits"),
    [
        ([_STATUS.PENDING], True),
        ([_STATUS.PENDING, _STATUS.QUEUED, _STATUS.SUCCESS], False),
        ([_STATUS.PENDING, _STATUS.PENDING, _STATUS.WORKING, _STATUS.SUCCESS], False),
        ([_STATUS.QUEUED, _STATUS.PENDING, _STATUS.QUEUED, _STATUS.PENDING, _STATUS.SUCCESS], False),
    ],
)
def test_a_pending_build_is_asked_about_again(
    monkeypatch: pytest.MonkeyPatch, statuses: Sequence[int], *, waits: bool
) -> None:
    """It may be PENDING for a moment; only one that stays so waits for an approval."""
    builds = _Builds(*statuses)
    client = _client(monkeypatch, builds)
    started = client.get("b-1")

    if waits:
        with pytest.raises(ApprovalNeededError, match="it was PENDING 3 times in a row"):
            client.wait(started)
        assert builds.asked == 3
    else:
        assert client.wait(started).status == "SUCCESS"


def test_a_build_that_does_not_end_is_overdue(monkeypatch: pytest.MonkeyPatch) -> None:
    client = _client(monkeypatch, _Builds(_STATUS.WORKING))

    with pytest.raises(OverdueBuildError):
        client.wait(client.get("b-1"), 0.01, grace=0.01)


def test_a_build_that_is_no_longer_reached_may_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its caller may build elsewhere: whoever reads that has to know that this one goes on."""
    builds = _Builds(_STATUS.WORKING)
    with _client(monkeypatch, builds) as client:
        started = client.get("b-1")
        monkeypatch.setattr(builds, "get_build", _unreachable)
        heard: list[BuildStatus | None] = []
        sink = BuildLogSink(lambda _line: None, heard.append, lambda _note: None)
        with pytest.raises(UnprovenError) as caught:
            follow_build(client, StorageClient.__new__(StorageClient), started, (60.0, 0.0), sink)

    assert caught.value.reason is Reason.UNREACHABLE
    assert caught.value.hint == "the build b-1 may still run: gcloud builds cancel b-1 --project p --region r"


def _unreachable(**_arguments: Any) -> None:
    raise api.ServiceUnavailable("no route")


def test_a_regions_quota_never_advises_another_region_for_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--region` would create a second service there, with all traffic."""
    builds = _Builds(_STATUS.QUEUED)
    builds.error = api.FailedPrecondition("due to quota restrictions, cannot run builds in this region")

    with pytest.raises(RegionQuotaError) as raised:
        _client(monkeypatch, builds).submit({"steps": [{"name": "x"}]})

    assert "--build-region NAME" in raised.value.hint
    assert "--region" not in raised.value.words


class _Submissions:
    """Starts builds; the first answer may be lost, a list may be late, and no build can be asked about."""

    def __init__(self, *, loses_answer: bool, shown_at: int = 1) -> None:
        self.started: list[cb.Build] = []
        self._loses_answer = loses_answer
        self._shown_at = shown_at
        self._lists = 0

    def create_build(self, request: cb.CreateBuildRequest, timeout: float) -> SimpleNamespace:
        assert timeout
        name = f"projects/p/locations/r/builds/b-{len(self.started)}"
        build = cb.Build(id=name.rpartition("/")[2], name=name, status=_STATUS.QUEUED, tags=request.build.tags)
        self.started.append(build)
        if self._loses_answer:
            raise api.ServiceUnavailable("connection reset")
        return SimpleNamespace(metadata=SimpleNamespace(build=build))

    def get_build(self, **_arguments: Any) -> None:
        raise api.ServiceUnavailable("no route")

    def list_builds(self, request: dict[str, str]) -> list[cb.Build]:
        self._lists += 1
        tag = request["filter"].partition('"')[2].rstrip('"')
        return [build for build in self.started if tag in build.tags] if self._lists >= self._shown_at else []


@pytest.mark.parametrize(("loses_answer", "shown_at"), [(False, 1), (True, 1), (True, 3)])
def test_a_build_that_was_started_is_not_started_again(
    monkeypatch: pytest.MonkeyPatch, *, loses_answer: bool, shown_at: int
) -> None:
    """Whatever is lost: its answer, the question after it, or the place in a list that is late."""
    service = _Submissions(loses_answer=loses_answer, shown_at=shown_at)
    monkeypatch.setenv(auth.CLOUDBUILD, "grpc://127.0.0.1:1")
    monkeypatch.setattr(cloud_build, "_emulator_client", lambda *_arguments: service)

    started = CloudBuildClient("p", "r", pause=0.001).submit({"steps": [{"name": "x"}]})

    assert [build.id for build in service.started] == ["b-0"]
    assert (started.id, started.status, started.home) == ("b-0", "QUEUED", ("p", "r"))


def test_without_a_project_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(auth.CLOUDBUILD, "grpc://127.0.0.1:1")

    with pytest.raises(NoProjectError, match="no Google Cloud project set"):
        CloudBuildClient()
