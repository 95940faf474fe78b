"""Cloud Build: a build submitted once, followed to its end, and what Cloud Build reports of it. A thin edge.

`CreateBuild` has neither a request id nor a retry, so each submission carries a tag of its own: after a lost answer the
first build is found by it, and never a second one started. `sourceProvenance` is an unsigned field of the API:
evidence of what Cloud Build fetched, no attestation.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import BuildRunsError, Reason, UnprovenError, UsageError
from buildguard.gcp import auth, failures
from buildguard.gcp.auth import translate_errors
from buildguard.gcp.connection import Connection
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.project.image_reference import ImageDigest
from buildguard.system import threads

_TRIES = 6
_TAG_LOOKS = 3
FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 10.0
_QUEUE, GRACE = 3600.0, 120.0  # seconds that a build may wait for its worker, and that its end may take to be reported
_DEFAULT_TIMEOUT = 3600.0
_TAG = "buildguard"
_PENDING_LOOKS = 3  # a build may be PENDING for a moment before it is queued


class NoProjectError(UnprovenError):
    """No Google Cloud project is set."""

    reason = Reason.NO_PROJECT

    def __init__(self) -> None:
        super().__init__("no Google Cloud project set", hint="--project ID, or [tool.buildguard.cloud] project")


class RegionQuotaError(UnprovenError):
    """The region may not run builds of this project; a service elsewhere has nothing to do with it."""

    reason = Reason.REGION_QUOTA

    def __init__(self, region: str, words: str) -> None:
        hint = "deploy --build-region NAME builds in another region, and leaves the service where it is"
        super().__init__(f"Cloud Build refuses builds in the region {region}: {words}", hint=hint)


class ApprovalNeededError(UnprovenError):
    """A build that waits for an approval."""

    reason = Reason.NEEDS_APPROVAL


class OverdueBuildError(UnprovenError):
    """A build that did not end when it had to."""

    reason = Reason.OVERDUE


class Provenance(NamedTuple):
    """What Cloud Build says it fetched: the object with its generation, and the hexadecimal digests of its bytes."""

    url: str
    sha256: str
    md5: str


class BuildStatus(NamedTuple):
    """A build as Cloud Build reports it: results are there only for one that succeeded.

    `kind` is the type of failure (USER_BUILD_STEP, FETCH_SOURCE_FAILED …), `steps` the status and exit code of each step,
    `step_images` the digest of the image that each step ran in, `outputs` what each wrote, `images` what was pushed,
    `artifacts` the folder of a bucket that its artifacts went to, `source` the object that it was to be made of, `commit` what a
    trigger or `buildguard deploy` says it is made of.
    """

    id: str
    name: str
    status: BuildState
    detail: str
    kind: str
    log_url: str
    logs_bucket: str
    provenance: Provenance | None
    steps: tuple[tuple[BuildState, int], ...]
    step_images: tuple[str, ...]
    outputs: tuple[bytes, ...]
    images: tuple[tuple[str, ImageDigest], ...]
    artifacts: str = ""
    source: str = ""
    commit: str = ""

    @property
    def is_done(self) -> bool:
        """Whether it has come to an end; one that waits for an approval has not, and goes nowhere by itself."""
        return self.status.is_done

    @property
    def reason(self) -> Reason:
        """Why it ended without success."""
        return failures.reason_of_build(self.status, self.kind, self.detail)

    @property
    def home(self) -> tuple[str, str]:
        """The project and the region that it runs in."""
        parts = self.name.split("/")
        return parts[1], parts[3]

    @property
    def command_line(self) -> str:
        """The arguments that name a build to gcloud's commands."""
        project, region = self.home
        return f"{self.id} --project {project}{'' if region == 'global' else f' --region {region}'}"

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        kind = f" ({self.kind})" if self.kind else ""
        return f"{self.status}{kind}{f': {self.detail}' if self.detail else ''}"


class CloudBuildClient(Connection):
    """A connection to Cloud Build in one region, or to an emulator of it."""

    def __init__(self, project: str = "", region: str = "global", pause: float = 0) -> None:
        """`pause` is the first wait between two questions, in seconds. Raises UnprovenError without credentials or project."""
        self._pause = pause or FIRST_PAUSE
        local = auth.emulator(auth.CLOUDBUILD)
        with translate_errors("reaching Cloud Build"):
            from google.cloud.devtools import cloudbuild_v1

            self._types = cloudbuild_v1
            if local is not None:
                self._client = _emulator_client(cloudbuild_v1, local)
                own = auth.project()
            else:
                credentials, own = auth.credentials()
                self._client = cloudbuild_v1.CloudBuildClient(credentials=credentials)
        self._clients = (self._client,)
        self.project = project or own
        if not self.project:
            raise NoProjectError
        self._region = region
        self._parent = f"projects/{self.project}/locations/{region}"

    def submit(self, build: Mapping[str, Any], tell: Callable[[str], object] = lambda _text: None) -> BuildStatus:
        """Start a build, given as the API's JSON has it; a retry after a lost answer finds the first one.

        The SHA-256 of the fetched source is always asked for. Raises UnprovenError where it cannot be started.
        """
        import json

        with translate_errors("submitting the build"):
            from google.api_core import exceptions as api

            tag = f"{_TAG}-{uuid.uuid4()}"
            message = self._types.Build.from_json(json.dumps(build))
            message.tags = [*message.tags, tag]
            message.options.source_provenance_hash = [self._types.Hash.HashType.SHA256]
            request = self._types.CreateBuildRequest(parent=self._parent, project_id=self.project, build=message)
            for attempt in range(_TRIES):
                try:
                    started = self._client.create_build(request=request, timeout=60).metadata.build
                except api.GoogleAPICallError as error:
                    status = self._started_anyway(error, tag)
                    if status is not None:
                        return status
                    if attempt == _TRIES - 1:
                        raise
                    tell(f"Cloud Build did not start the build ({auth.error_text(error)}), trying again")
                else:
                    return self._first_status(started)
                time.sleep(self._pause * 2**attempt)
        raise AssertionError

    def _first_status(self, started: Any) -> BuildStatus:
        """A build that was started, as it is now; it runs even if that question fails, and no second one is started."""
        try:
            return self.get(started.id)
        except UnprovenError:
            return _build_status(self._types, started)

    def _started_anyway(self, error: Exception, tag: str) -> BuildStatus | None:
        """The build that was started though the answer was lost; None where another try is worth it, else the error is raised."""
        match failures.reason_of_error(error):
            case Reason.UNREACHABLE:
                return self._tagged(tag)
            case Reason.QUOTA:
                return None
            case Reason.REGION_QUOTA:
                raise RegionQuotaError(self._region, auth.error_text(error)) from error
            case _:
                raise error

    def _tagged(self, tag: str) -> BuildStatus | None:
        """The build with that tag; asked several times, as a list may lag behind, and a request that was lost may still arrive."""
        for attempt in range(_TAG_LOOKS):
            builds = list(
                self._client.list_builds(
                    request={"parent": self._parent, "project_id": self.project, "filter": f'tags="{tag}"'}
                )
            )
            if builds:
                return _build_status(self._types, builds[0])
            time.sleep(self._pause * 2**attempt)
        return None

    def get(self, identity: str) -> BuildStatus:
        """A build as it is now."""
        with translate_errors(f"asking about the build {identity}"):
            request = {"name": f"{self._parent}/builds/{identity}", "project_id": self.project, "id": identity}
            return _build_status(self._types, self._client.get_build(request=request))

    def wait(
        self,
        started: BuildStatus,
        timeout: float = _DEFAULT_TIMEOUT,
        *,
        report: Callable[[BuildStatus], object] = lambda _seen: None,
        grace: float = _QUEUE + GRACE,
    ) -> BuildStatus:
        """Follow a build to its end; `timeout` is its own, in seconds, `grace` what its queue may add to that.

        Raises UnprovenError for one that waits for an approval, or that does not end when it has to.
        """
        until = time.monotonic() + timeout + grace
        pause, pending = self._pause, 0
        seen = started
        while True:
            pending = pending + 1 if seen.status is BuildState.PENDING else 0
            if pending >= _PENDING_LOOKS:
                raise ApprovalNeededError(
                    f"the build {seen.id} waits for an approval: it was PENDING {pending} times in a row",
                    hint=f"gcloud builds approve {seen.command_line}, or look at {seen.log_url}",
                )
            if seen.is_done:
                return seen
            if time.monotonic() > until:
                raise OverdueBuildError(
                    f"the build {seen.id} should have ended by now, and has not",
                    hint=f"gcloud builds cancel {seen.command_line}, or look at {seen.log_url}",
                )
            threads.raise_if_stopping()
            time.sleep(min(pause, max(0.0, until - time.monotonic()) + 0.01))
            pause = min(pause * 1.3, _LONGEST_PAUSE)
            seen = self.get(seen.id)
            report(seen)

    def cancel(self, identity: str) -> BuildStatus:
        """End a build; as it is then."""
        with translate_errors(f"cancelling the build {identity}"):
            request = {"name": f"{self._parent}/builds/{identity}", "project_id": self.project, "id": identity}
            return _build_status(self._types, self._client.cancel_build(request=request))


def running_build_error(build: BuildStatus) -> BuildRunsError:
    """That a build still runs where we were interrupted, and how to end it."""

    def cancel() -> None:
        with CloudBuildClient(*build.home) as builds:
            builds.cancel(build.id)

    return BuildRunsError(build.id, f"gcloud builds cancel {build.command_line}", cancel)


def _emulator_client(types: Any, local: auth.Endpoint) -> Any:
    """A client that speaks to an emulator: plaintext and anonymous, by gRPC or by REST."""
    if local.scheme == "grpc":
        import grpc
        from google.cloud.devtools.cloudbuild_v1.services.cloud_build.transports import CloudBuildGrpcTransport

        return types.CloudBuildClient(transport=CloudBuildGrpcTransport(channel=grpc.insecure_channel(local.address)))
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials

    options = ClientOptions(api_endpoint=f"http://{local.address}")
    return types.CloudBuildClient(transport="rest", credentials=AnonymousCredentials(), client_options=options)


def _build_status(types: Any, build: Any) -> BuildStatus:
    results = build.results
    return BuildStatus(
        id=build.id,
        name=build.name,
        status=BuildState(types.Build.Status(build.status).name),
        detail=build.status_detail,
        kind=types.Build.FailureInfo.FailureType(build.failure_info.type_).name if build.failure_info.type_ else "",
        log_url=build.log_url,
        logs_bucket=build.logs_bucket,
        provenance=_provenance(types, build.source_provenance),
        steps=tuple((BuildState(types.Build.Status(step.status).name), step.exit_code) for step in build.steps),
        step_images=tuple(results.build_step_images),
        outputs=tuple(results.build_step_outputs),
        images=tuple((image.name, ImageDigest(image.digest)) for image in results.images),
        artifacts=build.artifacts.objects.location.rstrip("/"),
        source=_object(build.source.storage_source),
        commit=build.substitutions.get("COMMIT_SHA", ""),
    )


def _object(source: Any) -> str:
    """The address of the archive that a build names; empty where it names none."""
    generation = f"#{source.generation}" if source.generation else ""
    return f"gs://{source.bucket}/{source.object_}{generation}" if source.bucket else ""


def _provenance(types: Any, message: Any) -> Provenance | None:
    """The one object that a build was made of; None where it names none, or several."""
    hashes = dict(message.file_hashes)
    if len(hashes) != 1:
        return None
    ((url, entry),) = hashes.items()
    by_type = {types.Hash.HashType(item.type_).name: bytes(item.value).hex() for item in entry.file_hash}
    return Provenance(url, by_type.get("SHA256", ""), by_type.get("MD5", ""))


def source_of(url: str) -> dict[str, Any]:
    """The source of a build as the API's JSON has it, from `gs://bucket/object#generation`; raises UsageError."""
    from buildguard.gcp.storage import ObjectUrl

    address = ObjectUrl.parse(url)
    if not address.generation:
        raise UsageError(f"{url} names no generation, and another one could be built than was checked")
    return {"storageSource": {"bucket": address.bucket, "object": address.name, "generation": str(address.generation)}}
