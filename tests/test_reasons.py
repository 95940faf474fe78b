"""What follows from a failure follows from its reason: with every word of ours replaced, each decision stays what it was."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as google_auth

from buildguard.compare.open_stage import CloudLocation
from buildguard.deploy import build as deploy_build
from buildguard.deploy import image_steps, steps
from buildguard.deploy.context import Observation, StepResult
from buildguard.diagnose import collect
from buildguard.diagnose.evidence import DiagnoseContext
from buildguard.engines import cloud_round
from buildguard.engines.cloud_round import CloudSettings, RoundListener, SourceArchive
from buildguard.errors import GuardError, Reason, UnprovenError
from buildguard.gcp import auth
from buildguard.gcp.cloud_build import (
    ApprovalNeededError,
    BuildStatus,
    NoProjectError,
    OverdueBuildError,
    RegionQuotaError,
)
from buildguard.gcp.storage import ChangedError, ObjectHashes, StoredObject, UploadResult
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.project.config import Config
from buildguard.project.ledger import Ledger, ServiceId
from tests.deploy.conftest import Watcher
from tests.deploy.plans import COMMIT, StepByStep, prepared

if TYPE_CHECKING:
    from pathlib import Path

_STORED = StoredObject("bucket", "source/f.tgz", 7, ObjectHashes(1, "", "00"))
_BUILD = BuildStatus("b-1", "projects/p/locations/r/builds/b-1", BuildState.QUEUED, "", "", "", "logs", None, (), (), (), ())  # fmt: skip
_LISTENER = RoundListener(*[lambda *_arguments: None] * 5)


class Ending(NamedTuple):
    """How a build ends, and what follows: builds of a deploy, what the fallback does, builds of `check`, causes of `diagnose`."""

    status: BuildState
    kind: str
    detail: str
    deploys: int
    falls_back: str
    checks: int
    causes: tuple[str, ...] = ()


_LOCAL, _STOP = "building here", "stopped"
_TROUBLE, _RESOURCES = ("service-trouble",), ("resources",)
_FAILURE = BuildState.FAILURE
_ENDINGS = [
    Ending(BuildState.INTERNAL_ERROR, "", "", 2, _LOCAL, 2, _TROUBLE),
    Ending(BuildState.EXPIRED, "", "", 2, _LOCAL, 2, _TROUBLE),
    Ending(BuildState.TIMEOUT, "", "", 1, _STOP, 1, _RESOURCES),
    Ending(BuildState.TIMEOUT, "USER_BUILD_STEP", "", 1, _STOP, 1, _RESOURCES),
    Ending(BuildState.CANCELLED, "", "", 1, _STOP, 1),
    Ending(_FAILURE, "", "", 1, _STOP, 1),
    Ending(_FAILURE, "USER_BUILD_STEP", "step 2 failed: permission denied", 1, _STOP, 1),
    Ending(_FAILURE, "LOGGING_FAILURE", "", 2, _LOCAL, 2, _TROUBLE),
    Ending(_FAILURE, "FETCH_SOURCE_FAILED", "", 2, _LOCAL, 2),
    Ending(_FAILURE, "PUSH_FAILED", "", 2, _STOP, 1, _TROUBLE),
    Ending(_FAILURE, "PUSH_FAILED", "denied: Permission denied on resource", 1, _STOP, 1),
    Ending(_FAILURE, "PUSH_NOT_AUTHORIZED", "", 1, _STOP, 1),
    Ending(_FAILURE, "PUSH_IMAGE_NOT_FOUND", "", 1, _STOP, 1),
]
_GOOGLE = [
    (api.PermissionDenied("no"), Reason.DENIED, _STOP),
    (api.Forbidden("no"), Reason.DENIED, _STOP),
    (api.NotFound("no"), Reason.NOT_FOUND, _STOP),
    (api.FailedPrecondition("no"), Reason.REFUSED, _STOP),
    (api.FailedPrecondition("due to quota restrictions"), Reason.REGION_QUOTA, _LOCAL),
    (api.InvalidArgument("no"), Reason.OTHER, _STOP),
    (api.ResourceExhausted("no"), Reason.QUOTA, _LOCAL),
    (api.TooManyRequests("no"), Reason.QUOTA, _LOCAL),
    (api.ServiceUnavailable("no"), Reason.UNREACHABLE, _LOCAL),
    (api.DeadlineExceeded("no"), Reason.UNREACHABLE, _LOCAL),
    (api.InternalServerError("no"), Reason.UNREACHABLE, _LOCAL),
    (api.RetryError("no", None), Reason.UNREACHABLE, _LOCAL),
    (api.RetryError("no", api.TooManyRequests("no")), Reason.QUOTA, _LOCAL),
    (api.Unauthorized("no"), Reason.NO_CREDENTIALS, _LOCAL),
    (google_auth.DefaultCredentialsError("no"), Reason.NO_CREDENTIALS, _LOCAL),
    (google_auth.RefreshError("no"), Reason.NO_CREDENTIALS, _LOCAL),
    (google_auth.TransportError("no"), Reason.OTHER, _STOP),
    (requests.ConnectionError("no"), Reason.UNREACHABLE, _LOCAL),
    (requests.ReadTimeout("no"), Reason.UNREACHABLE, _LOCAL),
    (requests.exceptions.InvalidJSONError("no"), Reason.OTHER, _STOP),
]
_OWN = [
    (NoProjectError(), _LOCAL),
    (RegionQuotaError("r", "no"), _LOCAL),
    (ApprovalNeededError("no"), _STOP),
    (OverdueBuildError("no"), _STOP),
    (ChangedError("no"), _LOCAL),
    (UnprovenError("no"), _STOP),
]


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class _Google:
    """Stands for Cloud Build and Cloud Storage: each build ends in the same way, or a request fails."""

    project = "p"

    def __init__(
        self, ending: BuildStatus = _BUILD, error: Exception | None = None, *, in_bucket: bool = False
    ) -> None:
        self.ending = ending
        self.builds = 0
        self._error = error
        self._in_bucket = in_bucket

    def __call__(self, *_arguments: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to close."""

    def _fail(self) -> None:
        if isinstance(self._error, GuardError):
            raise self._error
        if self._error is not None:
            with auth.translate_errors("asking"):
                raise self._error

    def submit(self, _request: object, _tell: object) -> BuildStatus:
        if not self._in_bucket:
            self._fail()
        self.builds += 1
        return _BUILD

    def get(self, _identity: str) -> BuildStatus:
        return self.ending

    def follow(self, *_arguments: object) -> BuildStatus:
        return self.ending

    def ensure(self, *_arguments: object) -> str:
        return "bucket"

    def upload(self, *_arguments: object) -> UploadResult:
        if self._in_bucket:
            self._fail()
        return UploadResult(_STORED)

    def since(self, *_arguments: object) -> bytes:
        return b""

    def put_in(self, monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
        for name in ("CloudBuildClient", "StorageClient"):
            with suppress(AttributeError):
                monkeypatch.setattr(module, name, self)
        with suppress(AttributeError):
            monkeypatch.setattr(module, "follow_build", self.follow)


class Callers:
    """Whoever asks Google: `deploy` with its fallback, `check --engine cloud` and `diagnose`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_scrambled: bool) -> None:
        self.is_scrambled = is_scrambled
        self._folder = folder
        self._patch = monkeypatch

    def deploy(self, google: _Google) -> tuple[str, int]:
        """What the fallback decides, and the exit code of the step that failed; nothing is packed or built here."""
        for module in (deploy_build, image_steps):
            google.put_in(self._patch, module)
        ledger = Ledger(self._folder / "ledger.jsonl", "run", ServiceId("p", "r", "web"), COMMIT)
        runner = StepByStep(prepared(self._folder), ledger).runner
        runner.run()
        failed = next(outcome for outcome in runner.context.outcomes if outcome.verdict in {"failed", "unproven"})
        return runner.decisions[-1].rpartition(": ")[2], {"failed": 1, "unproven": 3}[failed.verdict]

    def check(self, google: _Google) -> Reason:
        """Why the build of the cloud engine failed."""
        google.put_in(self._patch, cloud_round)
        archive = self._folder / "source.tgz"
        archive.write_bytes(b"x")
        sent = SourceArchive(archive, "f" * 64, 1)
        with pytest.raises(GuardError) as raised:
            cloud_round.run_round(sent, ["python:3.11"], (), CloudSettings("p", "r"), _LISTENER)
        return raised.value.reason

    def diagnose(self, google: _Google) -> tuple[str, ...]:
        """The causes that the end of the build proves."""
        google.put_in(self._patch, collect)
        sight = DiagnoseContext(self._folder, None, Config(), CloudLocation("p", "r"), Watcher())
        return tuple(verdict.cause for verdict in collect.examine_build(sight, "b-1").verdicts)


@pytest.fixture(params=[False, True], ids=["", "scrambled"])
def callers(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callers:
    """Them, with the words of every error of ours as they are, or each replaced by its hash."""
    plain = GuardError.__init__

    def scrambled(error: GuardError, what: str, *, hint: str = "", reason: Reason | None = None) -> None:
        plain(error, _hashed(what), hint=_hashed(hint), reason=reason)

    def stop(*_arguments: object) -> None:
        raise UnprovenError("it is not there")

    if request.param:
        monkeypatch.setattr(GuardError, "__init__", scrambled)
    monkeypatch.setattr(deploy_build, "build_locally", stop)
    monkeypatch.setattr(collect, "fetch", stop)
    for name in ("check", "archive"):
        monkeypatch.setattr(image_steps, name, StepResult)
    monkeypatch.setattr(steps, "restore", lambda context: context)
    monkeypatch.setattr(steps, "observe", lambda _context: Observation())
    return Callers(tmp_path, monkeypatch, is_scrambled=request.param)


@pytest.mark.parametrize("ending", _ENDINGS, ids=lambda ending: f"{ending.status}-{ending.kind}-{len(ending.detail)}")
def test_the_end_of_a_build_means_the_same_to_all(ending: Ending, callers: Callers) -> None:
    status = _BUILD._replace(
        status=ending.status, kind=ending.kind, detail=ending.detail, source="gs://bucket/source/f.tgz#7"
    )
    google = _Google(status)

    decision, exit_code = callers.deploy(google)
    assert (google.builds, decision) == (ending.deploys, ending.falls_back)
    is_certain = status.reason in {Reason.STEP_FAILED, Reason.DENIED, Reason.IMAGE_NOT_BUILT}
    assert exit_code == (1 if is_certain else 3)

    google.builds = 0
    assert callers.check(google) is status.reason
    assert google.builds == ending.checks
    assert callers.diagnose(google) == ending.causes


@pytest.mark.parametrize(("error", "reason", "decision"), _GOOGLE, ids=lambda value: type(value).__name__)
def test_what_googles_libraries_raise_has_one_reason(
    error: Exception, reason: Reason, decision: str, callers: Callers
) -> None:
    assert callers.deploy(_Google(error=error)) == (decision, 3)
    in_bucket = _LOCAL if reason in {Reason.DENIED, Reason.NOT_FOUND} else decision
    assert callers.deploy(_Google(error=error, in_bucket=True)) == (in_bucket, 3)
    assert callers.check(_Google(error=error)) is reason


@pytest.mark.parametrize(("error", "decision"), _OWN, ids=lambda value: type(value).__name__)
def test_what_we_raise_has_one_decision(error: GuardError, decision: str, callers: Callers) -> None:
    if callers.is_scrambled:
        error.what, error.hint = _hashed(error.what), _hashed(error.hint)

    assert callers.deploy(_Google(error=error))[0] == decision
