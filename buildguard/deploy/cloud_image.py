"""A pushed image, read and started in Cloud Build: what `verify-image` and `start` do where no container engine is here.

The verdicts are made here, by the same programs as with a local engine; Cloud Build exports the image's files, has its own
Python compile them, and watches its start.
"""

from __future__ import annotations

import gzip
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.docker.image_source import ExportedFilesystem, ImageFilesystem
from buildguard.docker.images import Image, read_image
from buildguard.docker.offline_start import (
    AccessResult,
    EntrypointError,
    OfflineContainer,
    OfflineResult,
    Probe,
    access_command,
    find_entrypoint_problem,
    find_probing_python,
    probe_command,
    read_access,
    read_probe,
    watched_folders,
)
from buildguard.docker.serve import StartOptions
from buildguard.engines import image_driver_script
from buildguard.errors import UnprovenError
from buildguard.gcp.build_log import BuildLogSink, follow_build
from buildguard.gcp.cloud_build import GRACE, BuildStatus, CloudBuildClient
from buildguard.gcp.storage import ObjectUrl, StorageClient
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.remote.image_driver import FILES, INSPECTED, RESULTS, START
from buildguard.system.temporary import folder_of

# Google's own image on Cloud Build's workers: a Python as root, beside whatever user the image runs as.
RUNNER = "gcr.io/cloud-builders/gcloud"
_PULLER = "gcr.io/cloud-builders/docker"
_TIMEOUT, _QUEUE = 1200, 3600


class CloudRunner(NamedTuple):
    """What a build needs beside its steps: the deploy that it is for, and who hears of it while it runs."""

    prepared: PreparedDeploy
    say: Callable[[str], object]
    running: Callable[[BuildStatus | None], object]


class CloudImage:
    """One pushed image, named by its digest; its files are fetched once."""

    def __init__(self, runner: CloudRunner, reference: str) -> None:
        self._runner = runner
        self._reference = reference
        self._folder = folder_of(self)
        self._is_fetched = False

    @contextmanager
    def open(
        self, reference: str, platform: str, pull: Callable[[str], None] | None
    ) -> Iterator[tuple[Image, ImageFilesystem]]:
        """The image and its files; raises UnprovenError where they cannot be had, or are those of another image."""
        del pull  # Cloud Build pulls it
        if not self._is_fetched:
            self._fetch()
        image = self._described(reference, platform)
        files = ExportedFilesystem(self._folder / "files.tar")
        try:
            yield image, files
        finally:
            files.close()

    def start(self, options: StartOptions, path: str, limit: float) -> tuple[OfflineResult, bytes]:
        """How the image starts without a network, and the end of its log. Raises EntrypointError, UnprovenError."""
        with self.open(self._reference, self._runner.prepared.config.platform, None) as (image, files):
            problem = find_entrypoint_problem(files, image, options)
            python = find_probing_python(files, image, problem)
        task = {
            "do": "start",
            "image": self._reference,
            "env": [f"{name}={value}" for name, value in options.variables.items()],
            "command": list(options.command),
            "args": list(options.args),
            "probe": probe_command(python, options.port, path),
            "access": access_command(python, watched_folders(image)),
            "limit": limit,
        }
        data = self._run(task, [START])[START].read_bytes()
        try:
            container = _RecordedContainer(json.loads(data), problem, options.port)
        except (ValueError, LookupError, TypeError) as error:
            raise UnprovenError(f"Cloud Build's record of the start of {self._reference} cannot be read") from error
        result = container.wait(path, limit, container.clock)
        result = result._replace(seconds=container.last)
        if result.started:
            return result._replace(access=container.access(())), b""
        return result, container.log()

    def _fetch(self) -> None:
        files = self._run({"do": "export", "image": self._reference}, [INSPECTED, FILES])
        try:
            with gzip.open(files[FILES]) as packed, (self._folder / "files.tar").open("wb") as out:
                shutil.copyfileobj(packed, out)
        except (OSError, EOFError) as error:
            raise UnprovenError(f"the files of {self._reference} could not be unpacked: {error}") from error
        files[FILES].unlink()
        self._is_fetched = True

    def _described(self, reference: str, platform: str) -> Image:
        try:
            description = json.loads((self._folder / INSPECTED).read_bytes())
            digests = [str(digest).rpartition("@")[2] for digest in description.get("RepoDigests") or []]
            image = read_image(reference, description)
        except (ValueError, LookupError, TypeError) as error:
            raise UnprovenError(f"Cloud Build's description of {reference} cannot be read") from error
        if self._reference.rpartition("@")[2] not in digests:
            raise UnprovenError(
                f"Cloud Build looked at {', '.join(digests) or 'an image without a digest'}, not at {self._reference}"
            )
        if image.platform != "/".join(platform.split("/")[:2]):
            raise UnprovenError(f"{reference} is for {image.platform}, and {platform} is what will run it")
        return image

    # -------------------------------------------------------------------------------------- a build

    def _run(self, task: Mapping[str, Any], names: list[str]) -> dict[str, Path]:
        """Do a task in Cloud Build; the files that it wrote, each with the SHA-256 that its step reported."""
        prepared = self._runner.prepared
        table = prepared.config.cloud
        with (
            CloudBuildClient(prepared.project, prepared.build_region or "global") as builds,
            StorageClient(builds.project) as storage,
        ):
            bucket = storage.ensure(table.bucket, builds.project, table.region)
            folder = f"buildguard/{uuid.uuid4()}"
            build = builds.submit(self._request(task, f"gs://{bucket}/{folder}"), self._runner.say)
            sink = BuildLogSink(self._runner.say, self._runner.running, self._runner.say)
            build = follow_build(builds, storage, build, (_TIMEOUT, _QUEUE + GRACE), sink)
            if build.status is not BuildState.SUCCESS:
                what = f"the build {build.id} ended with {build.ending}"
                raise UnprovenError(what, hint=f"look at {build.log_url}", reason=build.reason)
            digests = _digests(build)
            return {
                name: self._downloaded(storage, ObjectUrl(bucket, f"{folder}/{name}", 0), digests.get(name, ""))
                for name in names
            }

    def _request(self, task: Mapping[str, Any], location: str) -> dict[str, Any]:
        table = self._runner.prepared.config.cloud
        request: dict[str, Any] = {
            "steps": [
                {"id": "pull", "name": _PULLER, "args": ["pull", self._reference]},
                {"id": "look", "name": RUNNER, "entrypoint": "python3", "args": image_driver_script.arguments(task)},
            ],
            "artifacts": {"objects": {"location": location, "paths": [f"{RESULTS}/*"]}},
            "timeout": f"{_TIMEOUT}s",
            "queueTtl": f"{_QUEUE}s",
            "options": {"pool": {"name": table.worker_pool}} if table.worker_pool else {},
        }
        if table.service_account:
            request["serviceAccount"] = table.service_account
            request["options"]["logging"] = "CLOUD_LOGGING_ONLY"
        return request

    def _downloaded(self, storage: StorageClient, url: ObjectUrl, digest: str) -> Path:
        """An artifact on this disk, which is removed from the bucket then."""
        stored = storage.look(url)
        file = self._folder / url.name.rpartition("/")[2]
        with file.open("w+b") as out:
            sha256 = storage.download(stored, out)
        if sha256 != digest:
            raise UnprovenError(
                f"{stored.url} is not what the build wrote: SHA-256 {sha256}, and not {digest or 'known'}"
            )
        storage.remove(url.bucket, url.name, stored.generation)
        return file


def _digests(build: BuildStatus) -> Mapping[str, str]:
    """What the last step reported; raises UnprovenError where it could not do its task."""
    try:
        words = dict(json.loads(build.outputs[-1]))
    except (IndexError, ValueError, TypeError) as error:
        raise UnprovenError(f"the build {build.id} reported nothing", hint=f"look at {build.log_url}") from error
    if "wrong" in words:
        raise UnprovenError(f"the build {build.id} could not look at the image: {words['wrong']}")
    return {str(name): str(digest) for name, digest in words.items()}


class _RecordedContainer(OfflineContainer):
    """A container that ran in Cloud Build, seen again as it was seen there."""

    def __init__(self, record: Mapping[str, Any], problem: str, port: int) -> None:
        """Raises EntrypointError where its program could not be executed; ValueError, LookupError or TypeError for no record."""
        self._port = port
        self._problem = problem
        self._log = str(record["log"]).encode()
        self._access = str(record["access"]).encode()
        self._left: list[Mapping[str, Any]] = list(record["events"])
        self._current: Mapping[str, Any] = {"seconds": 0.0, "ending": "", "probe": ""}
        self.last = float(self._left[-1]["seconds"]) if self._left else 0.0
        if record["refused"]:
            raise EntrypointError(problem or f"its program cannot be started: {record['refused']}")

    def clock(self) -> float:
        """Seconds since its start; without an end once nothing more was seen."""
        return float(self._current["seconds"]) if self._left or not self.last else float("inf")

    def ending(self) -> str:
        """As it was seen next."""
        if self._left:
            self._current = self._left.pop(0)
        return str(self._current["ending"])

    def log(self) -> bytes:
        """The end of its log."""
        return self._log

    def access(self, folders: Sequence[str]) -> AccessResult | None:  # noqa: ARG002  asked for when it ran
        """As it was seen once it had responded."""
        return read_access(self._access)

    def _probe(self, path: str) -> Probe | None:  # noqa: ARG002  asked for when it ran
        return read_probe(str(self._current["probe"]).encode())

    def _rest(self) -> None:
        """It has rested when it ran."""
