"""Cloud Build itself: builds that really run, on the local container engine, with what the API tells of each.

The messages are the Google client's own. What a build that fails does not get from Cloud Build, results and artifacts, it
does not get here either.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import posixpath
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import google.protobuf.json_format as protobuf_json
from google.api_core import exceptions as api
from google.cloud.devtools import cloudbuild_v1 as cb

from buildguard.codes import Code
from buildguard.diagnostic import Severity
from buildguard.docker import client as daemons
from buildguard.docker import images, run_steps
from buildguard.docker.client import Daemon
from buildguard.docker.run_steps import BuildResult
from buildguard.errors import GuardError, Reason, UnprovenError
from buildguard.gcp.emulator.faults import FaultName, Faults
from buildguard.gcp.emulator.registry import RegistryEmulator
from buildguard.gcp.emulator.storage import ApiError, BucketStore
from buildguard.gcp.emulator.tampering import tamper
from buildguard.project.cloudbuild import schema
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.project.cloudbuild.lint import problems
from buildguard.project.cloudbuild.steps import BuildPlan, plan_build_steps
from buildguard.stages.archives.writer import pack_files

PROJECT, NUMBER, REGION = "emulated", "123456789012", "europe-west1"
LOGS = f"{NUMBER}.cloudbuild-logs.googleusercontent.com"
_MOST_OBJECTS = 10_000
# how a fault ends a build before its first step: the state, and the kind of failure
_ENDINGS = {
    FaultName.INTERNAL_ERROR: (BuildState.INTERNAL_ERROR, ""),
    FaultName.EXPIRED: (BuildState.EXPIRED, ""),
    FaultName.TIMEOUT: (BuildState.TIMEOUT, ""),
    FaultName.CANCELLED: (BuildState.CANCELLED, ""),
    FaultName.FETCH_FAILED: (BuildState.FAILURE, "FETCH_SOURCE_FAILED"),
    FaultName.LOGGING_FAILED: (BuildState.FAILURE, "LOGGING_FAILURE"),
}
_TYPES = cb.Hash.HashType


class CloudBuildEmulator:
    """Every build of every project; a thread for each that runs."""

    def __init__(
        self, buckets: BucketStore, faults: Faults, registry: RegistryEmulator, stale: bytes | None = None
    ) -> None:
        """`registry` gets the images that are pushed; `stale` is the source that stale-source brings."""
        self._registry = registry
        self._buckets = buckets
        self._faults = faults
        self._stale = stale
        self._builds: dict[str, cb.Build] = {}
        self._running: dict[str, run_steps.LocalBuild] = {}
        self._ended: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._buckets.owners.setdefault(LOGS, "google")

    # -------------------------------------------------------------------------------------- the API

    def create(self, parent: str, project: str, build: cb.Build) -> cb.Build:
        """Start a build; raises Google's own errors for what the service would refuse."""
        self._trouble()
        place = parent.split("/") if parent else ["projects", project, "locations", "global"]
        wrong = self._wrong(build)
        if wrong:
            raise api.InvalidArgument(f"invalid build: {wrong}")
        new_build = cb.Build(build)
        new_build.id = str(uuid.uuid4())
        new_build.project_id, new_build.name = place[1], f"{'/'.join(place[:4])}/builds/{new_build.id}"
        new_build.log_url = f"https://console.cloud.google.com/cloud-build/builds/{new_build.id}?project={NUMBER}"
        new_build.logs_bucket = new_build.logs_bucket or f"gs://{LOGS}"
        new_build.create_time = datetime.now(UTC)
        new_build.status = cb.Build.Status.PENDING if self._faults.takes(FaultName.PENDING) else cb.Build.Status.QUEUED
        with self._lock:
            self._builds[new_build.id] = new_build
            self._ended[new_build.id] = threading.Event()
        if new_build.status == cb.Build.Status.QUEUED:
            threading.Thread(target=self._run, args=(new_build.id,), name=f"build {new_build.id}", daemon=True).start()
        if self._faults.takes(FaultName.LOST_CREATE_ANSWER):
            raise api.ServiceUnavailable("the answer was lost")
        return new_build

    def get(self, identity: str, project: str = "") -> cb.Build:
        """A build as it is now; where a project is named, one of that project only."""
        with self._lock:
            build = self._builds.get(identity)
            if build is None or project not in {"", build.project_id}:
                raise api.NotFound(f"build {identity} was not found")
            return cb.Build(build)

    def find(self, project: str, wanted: str, location: str = "") -> list[cb.Build]:
        """The builds of a project, in one location or in all, the newest first, that a filter lets through: `tags="…"`, or none."""
        tag = wanted.partition("tags=")[2].strip().strip("\"'")
        with self._lock:
            every = [cb.Build(build) for build in self._builds.values() if build.project_id == project]
        every = [build for build in every if location in {"", build.name.split("/")[3]}]
        return [build for build in reversed(every) if not tag or tag in build.tags]

    def cancel(self, identity: str, project: str = "") -> cb.Build:
        """End a build."""
        build = self.get(identity, project)
        with self._lock:
            running = self._running.get(identity)
        if running is not None:
            running.cancel()
            self._ended[identity].wait(60)
        elif build.status in {cb.Build.Status.PENDING, cb.Build.Status.QUEUED, cb.Build.Status.WORKING}:
            self._finish(identity, BuildState.CANCELLED)
        return self.get(identity)

    def close(self) -> None:
        """End whatever runs."""
        for identity in list(self._running):
            self.cancel(identity)

    def _trouble(self) -> None:
        for name, error in (
            (FaultName.HTTP_429, api.ResourceExhausted("Quota exceeded for quota metric 'Build create requests'")),
            (FaultName.HTTP_503, api.ServiceUnavailable("The service is currently unavailable.")),
            (
                FaultName.QUOTA_REGION,
                api.FailedPrecondition("due to quota restrictions, cannot run builds in this region"),
            ),
            (FaultName.PERMISSION_DENIED, api.PermissionDenied("The caller does not have permission")),
        ):
            if self._faults.takes(name):
                raise error

    @staticmethod
    def _wrong(build: cb.Build) -> str:
        """What of a build the service refuses, by the same rules that `check` reads build files with."""
        fields = as_json(build)
        fields.pop("source", None)
        # what a trigger brings may be given by whoever submits; in a file of one's own it may not stand
        fields["substitutions"] = {
            key: value for key, value in fields.get("substitutions", {}).items() if key not in schema.BUILT_IN
        }
        findings = problems(protobuf_json.json.dumps(fields).encode(), "cloudbuild.json", {})
        sure = [
            finding
            for finding in findings
            if finding.severity == Severity.ERROR and finding.code not in {Code.BG411, Code.BG412}
        ]
        return sure[0].message if sure else ""

    # -------------------------------------------------------------------------------------- a build

    def _run(self, identity: str) -> None:
        try:
            self._worked(identity)
        except GuardError as error:
            if error.reason is Reason.SOURCE_NOT_FETCHED:
                self._finish(identity, BuildState.FAILURE, error.what, "FETCH_SOURCE_FAILED")
            else:
                self._finish(identity, BuildState.INTERNAL_ERROR, error.words)
        except ApiError as error:
            self._finish(identity, BuildState.FAILURE, f"error fetching source: {error.message}", "FETCH_SOURCE_FAILED")
        except Exception as error:  # a mistake of the emulator: no client may wait forever for such a build
            self._finish(identity, BuildState.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            raise

    def _worked(self, identity: str) -> None:
        build = self.get(identity)
        self._change(identity, _begin)
        if self._faults.takes(FaultName.HANG) or self._ends_by_fault(identity):
            return
        data = self._fetched(identity, build)
        fields = as_json(build)
        if self._faults.other_python:
            for step in fields["steps"]:
                step["name"] = self._faults.other_python if "python" in step["name"] else step["name"]
        location = build.name.split("/")[3]
        known = {"PROJECT_ID": build.project_id, "BUILD_ID": identity, "PROJECT_NUMBER": NUMBER, "LOCATION": location}
        log = [f'starting build "{identity}"']

        def say(line: str) -> None:
            log.append(line)
            self._write_log(build, log)

        daemon = daemons.connect()
        try:
            planned = plan_build_steps(fields, known)
            secrets = _secrets(planned)
            around = run_steps.BuildEnvironment(
                say,
                secrets,
                push=lambda name: self._pushed(daemon, name),
                resolve=self._registry.resolve,
                builds_here=True,
                is_passing=True,
            )
            local_build = run_steps.LocalBuild(daemon, planned, around)
            with local_build.workspace([tamper(data, self._faults, self._stale)]):
                with self._lock:
                    self._running[identity] = local_build
                result = local_build.run()
                objects = self._artifacts(build, local_build) if result.status is BuildState.SUCCESS else 0
        finally:
            with self._lock:
                self._running.pop(identity, None)
            self._write_log(build, log)
            daemon.close()
        self._close(identity, result, objects)

    def _ends_by_fault(self, identity: str) -> bool:
        """Whether a fault ended a build before its first step."""
        for name, (state, kind) in _ENDINGS.items():
            if self._faults.takes(name):
                self._finish(identity, state, f"the fault {name}", kind)
                return True
        return False

    def _pushed(self, daemon: Daemon, name: str) -> str:
        if self._faults.takes(FaultName.PUSH_FAILED):
            raise UnprovenError(f"{name} could not be pushed: unauthorized")
        there = self._registry.engine_name(name)
        return images.push(daemon, name) if there == name else images.push_as(daemon, name, there)

    def _fetched(self, identity: str, build: cb.Build) -> bytes:
        """The source of a build, with what Cloud Build tells of it: which generation it was, and its hashes."""
        source = build.source.storage_source
        if not source.bucket:
            return pack_files([])
        archive = self._buckets.get(source.bucket, source.object_, source.generation)
        if self._faults.takes(FaultName.SWAP_GENERATION):
            archive = self._buckets.another(source.bucket, source.object_, archive.number)
        hashes = [cb.Hash(type_=_TYPES.MD5, value=hashlib.md5(archive.data, usedforsecurity=False).digest())]
        if _TYPES.SHA256 in build.options.source_provenance_hash:
            hashes.insert(0, cb.Hash(type_=_TYPES.SHA256, value=hashlib.sha256(archive.data).digest()))

        def set_provenance(target: cb.Build) -> None:
            resolved = cb.StorageSource(bucket=source.bucket, object_=source.object_, generation=archive.number)
            target.source_provenance.resolved_storage_source = resolved
            key = f"gs://{source.bucket}/{source.object_}#{archive.number}"
            target.source_provenance.file_hashes = {key: cb.FileHashes(file_hash=hashes)}

        self._change(identity, set_provenance)
        return archive.data

    def _artifacts(self, build: cb.Build, local_build: run_steps.LocalBuild) -> int:
        """Upload the files that a build names as its artifacts; how many there were."""
        objects = build.artifacts.objects
        if not objects.location:
            return 0
        bucket, _, folder = objects.location.removeprefix("gs://").partition("/")
        location = folder.replace("$BUILD_ID", build.id).strip("/")
        named: dict[str, bytes] = {}
        for folder in dict.fromkeys(map(_literal_folder, objects.paths)):
            for name, data in _files_below(local_build, folder):
                if any(fnmatchcase(name, pattern) for pattern in objects.paths) and len(named) < _MOST_OBJECTS:
                    named[name] = data
        for name, data in named.items():
            target = "/".join(part for part in (location, name.rpartition("/")[2]) if part)
            self._buckets.put(bucket, target, data, "application/octet-stream", None)
        return len(named)

    def _write_log(self, build: cb.Build, log: list[str]) -> None:
        bucket, _, folder = build.logs_bucket.removeprefix("gs://").partition("/")
        name = "/".join(part for part in (folder.strip("/"), f"log-{build.id}.txt") if part)
        if build.options.logging != cb.BuildOptions.LoggingMode.NONE and bucket in self._buckets.owners:
            self._buckets.write_log(bucket, name, ("\n".join(log) + "\n").encode())

    def _close(self, identity: str, result: BuildResult, objects: int) -> None:
        def set_results(target: cb.Build) -> None:
            for number, ended in result.steps.items():
                target.steps[number].status = cb.Build.Status[ended.status]
                target.steps[number].exit_code = ended.code or 0
            if result.status is BuildState.SUCCESS:
                digests = [result.steps[number].image for number in range(len(target.steps))]
                target.results.build_step_images = [text.rpartition("@")[2] for text in digests]
                target.results.build_step_outputs = [result.steps[number].output for number in range(len(target.steps))]
                target.results.images = [cb.BuiltImage(name=name, digest=digest) for name, digest in result.pushed]
                target.results.num_artifacts = objects

        self._change(identity, set_results)
        self._finish(identity, result.status, result.detail, _kind(result))

    def _finish(self, identity: str, status: BuildState, detail: str = "", kind: str = "") -> None:
        def set_ending(target: cb.Build) -> None:
            target.status_detail = detail
            target.finish_time = datetime.now(UTC)
            if kind:
                target.failure_info = cb.Build.FailureInfo(type_=cb.Build.FailureInfo.FailureType[kind], detail=detail)
            target.status = cb.Build.Status[status]

        self._change(identity, set_ending)
        self._ended[identity].set()

    def _change(self, identity: str, change: Callable[[cb.Build], object]) -> None:
        with self._lock:
            change(self._builds[identity])


def _literal_folder(pattern: str) -> str:
    """The folder of the workspace that whatever fits a pattern is in; empty for the workspace itself."""
    plain = pattern[: min((at for at in map(pattern.find, "*?[") if at >= 0), default=len(pattern))]
    folder = plain.rpartition("/")[0]
    return folder if folder == posixpath.normpath(folder) and not folder.startswith(("/", "..")) else ""


def _files_below(local_build: run_steps.LocalBuild, folder: str) -> Iterator[tuple[str, bytes]]:
    """The files in a folder of a build's workspace, each with its path there."""
    above = folder.rpartition("/")[0]
    try:
        data = b"".join(local_build.files(folder))
    except UnprovenError as error:
        if folder and error.reason is Reason.NOT_FOUND:
            return
        raise
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            name = posixpath.join(above, member.name) if folder else member.name.removeprefix("workspace/")
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None:
                yield name, content.read()


def _begin(build: cb.Build) -> None:
    build.status, build.start_time = cb.Build.Status.WORKING, datetime.now(UTC)


def _secrets(planned: BuildPlan) -> dict[str, str]:
    """The secrets of a build: variables of the same names here stand for those that Google keeps."""
    names = {name for step in planned.steps for name in step.secrets}
    missing = sorted(names - os.environ.keys())
    if missing:
        raise UnprovenError(f"failed to access secret version for secret {missing[0]}", hint=f"export {missing[0]}=…")
    return {name: os.environ[name] for name in names}


def _kind(result: BuildResult) -> str:
    """The type of failure that Cloud Build would tell."""
    if result.status is not BuildState.FAILURE:
        return ""
    return "PUSH_FAILED" if result.push_failed else "USER_BUILD_STEP"


def as_json(build: cb.Build) -> dict[str, Any]:
    """A build as the API's JSON has it, without what was not set."""
    fields: dict[str, Any] = protobuf_json.MessageToDict(cb.Build.pb(build))
    return fields


def operation_name(build: cb.Build) -> str:
    """The name of the operation that stands for a build."""
    return f"operations/build/{build.project_id}/{base64.b64encode(build.id.encode()).decode()}"


def build_of_operation(name: str) -> str:
    """The id of the build that an operation stands for."""
    return base64.b64decode(name.rpartition("/")[2]).decode()


def wait(cloud: CloudBuildEmulator, identity: str, seconds: float) -> cb.Build:
    """A build once it has ended, or as it is after so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        build = cloud.get(identity)
        if build.status not in {cb.Build.Status.QUEUED, cb.Build.Status.WORKING}:
            break
        time.sleep(0.1)
    return cloud.get(identity)
