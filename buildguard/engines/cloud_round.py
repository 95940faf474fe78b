"""One round through Cloud Build: an archive sent and held, a build over it followed to its end, and its answers fetched."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from buildguard.definitions import NamedTuple
from buildguard.engines import cloud_driver_script, cloud_request, cloud_results
from buildguard.engines.cloud_results import ProbeResults
from buildguard.errors import UnprovenError
from buildguard.gcp import failures
from buildguard.gcp.build_log import BuildLogSink, StepLogs, follow_build
from buildguard.gcp.cloud_build import GRACE, BuildStatus, CloudBuildClient, source_of
from buildguard.gcp.storage import ChangedError, StorageClient, StoredObject
from buildguard.project.cloudbuild.build_state import BuildState

_MEBI = 1 << 20


class CloudSettings(NamedTuple):
    """Where builds run and who runs them; what is empty is found out. `verify` reads back what was uploaded."""

    project: str = ""
    region: str = ""
    bucket: str = ""
    options: cloud_request.BuildOptions = cloud_request.BuildOptions()
    verify: bool = False


class SourceArchive(NamedTuple):
    """What is sent: the file, its SHA-256, and how many sources it holds."""

    file: Path
    sha256: str
    sources: int


class RoundListener(NamedTuple):
    """Who hears of a round: what takes its time, the build once it runs (None once it has ended), and the objects.

    `stored` receives the archive in the bucket, `other` an object that is there or was fetched in its place,
    `impostor` of one that held other bytes under its name before, and was replaced.
    """

    tell: Callable[[str], object]
    running: Callable[[BuildStatus | None], object]
    stored: Callable[[StoredObject], object]
    other: Callable[[str], object]
    impostor: Callable[[str], object]


class CloudResult(NamedTuple):
    """What a round came to: the build, the digest of the image of each target's steps, and what each told (or why not).

    `wrong` is what was built and not sent, `unproven` what is unknown, `notes` the rest.
    """

    build: BuildStatus
    image_digests: Mapping[str, str]
    results: Mapping[str, ProbeResults | UnprovenError]
    wrong: str
    unproven: tuple[str, ...]
    notes: tuple[str, ...]


def run_round(
    archive: SourceArchive, images: Sequence[str], more: Sequence[bytes], settings: CloudSettings, watch: RoundListener
) -> CloudResult:
    """Send an archive and have the interpreters of some images judge its sources, and `more` of them.

    Raises UnprovenError where that cannot be done, ChangedError if the bucket has something else than was sent.
    """
    with (
        CloudBuildClient(settings.project, settings.region or "global") as builds,
        StorageClient(builds.project) as storage,
    ):
        return _CloudRound(builds, storage, settings, watch).ask(archive, images, more)


class _CloudRound:
    """One round, with its connections."""

    def __init__(
        self, builds: CloudBuildClient, storage: StorageClient, settings: CloudSettings, watch: RoundListener
    ) -> None:
        self._builds = builds
        self._storage = storage
        self._settings = settings
        self._watch = watch
        self._notes: list[str] = []
        self._step_logs = StepLogs()

    def ask(self, archive: SourceArchive, images: Sequence[str], more: Sequence[bytes]) -> CloudResult:
        """The whole round."""
        bucket = self._storage.ensure(self._settings.bucket, self._builds.project)
        stored = self._upload(archive, bucket)
        shares = cloud_request.share_count(archive.sources, len(images))
        location = f"gs://{bucket}/buildguard/{uuid.uuid4()}"
        place = (source_of(stored.url), location)
        arguments = partial(cloud_driver_script.arguments, more=more)
        seen = self._built(cloud_request.plan_build(images, shares, arguments, place, self._settings.options))
        wrong = self._wrong_source(seen, stored, archive)
        if seen.status is not BuildState.SUCCESS:
            if wrong:
                raise ChangedError(wrong)
            what = f"the build {seen.id} ended with {seen.ending}"
            raise UnprovenError(what, hint=f"look at {seen.log_url}", reason=seen.reason)
        results: dict[str, ProbeResults | UnprovenError] = {}
        digests: dict[str, str] = {}
        for target, image in enumerate(images):
            steps = slice(target * shares, (target + 1) * shares)
            ran_in = seen.step_images[steps]
            digests[image] = ran_in[0] if ran_in else ""
            try:
                if len({*ran_in}) != 1:
                    results[image] = UnprovenError(f"the build {seen.id} does not tell in which image its steps ran")
                    continue
                results[image] = cloud_results.read_results(
                    target,
                    seen.outputs[steps],
                    shares,
                    lambda name: self._storage.content(f"{location}/{name}"),
                    self._ends(seen)[steps],
                )
            except UnprovenError as error:
                results[image] = error
        silent = f"the build {seen.id} does not report which bytes it fetched"
        unproven = () if seen.provenance is not None and seen.provenance.sha256 else (silent,)
        return CloudResult(seen, digests, results, wrong, unproven, tuple(self._notes))

    def _ends(self, seen: BuildStatus) -> list[cloud_results.StepEnd]:
        """How each step of the build ended."""
        return [
            cloud_results.StepEnd(code, self._step_logs.last(number), seen.log_url)
            for number, (_status, code) in enumerate(seen.steps)
        ]

    def _upload(self, archive: SourceArchive, bucket: str) -> StoredObject:
        size = archive.file.stat().st_size

        def progress(done: int) -> None:
            self._watch.tell(f"uploading to {bucket}: {done / _MEBI:.1f} of {size / _MEBI:.1f} MB")

        progress(0)
        try:
            sent = self._storage.upload(archive.file, bucket, f"source/{archive.sha256}.tgz", progress)
        except ChangedError as error:
            if error.current_object is not None:
                self._watch.other(error.current_object.url)
            raise
        self._watch.stored(sent.uploaded)
        if sent.replaced is not None:
            self._watch.impostor(sent.replaced.url)
        if self._settings.verify:
            self._watch.tell(f"reading {sent.uploaded.url} back")
            with tempfile.TemporaryFile() as out:
                stored_digest = self._storage.download(sent.uploaded, out)
            if stored_digest != archive.sha256:
                digests = f"SHA-256 {archive.sha256} was sent, {stored_digest} is there"
                what = f"{sent.uploaded.url} is not what was sent: {digests}"
                raise ChangedError(what, stored=sent.uploaded)
        return sent.uploaded

    def _built(self, request: dict[str, object]) -> BuildStatus:
        """The build, at its end; one that ended by the service's own trouble is tried once more."""
        seen = self._followed(request)
        if seen.reason in failures.TROUBLE:
            self._notes.append(f"the build {seen.id} ended with {seen.ending}, and was tried once more")
            seen = self._followed(request)
        return seen

    def _followed(self, request: dict[str, object]) -> BuildStatus:
        options = self._settings.options
        logs = self._step_logs = StepLogs()

        def hear(line: str) -> None:
            logs.add(line)
            self._watch.tell(line)

        heard = BuildLogSink(hear, self._watch.running, self._notes.append)
        build = self._builds.submit(request, self._watch.tell)
        return follow_build(self._builds, self._storage, build, (options.timeout, options.queue + GRACE), heard)

    def _wrong_source(self, seen: BuildStatus, stored: StoredObject, archive: SourceArchive) -> str:
        """What Cloud Build says it fetched, where that is not what was sent; empty where it is, or says nothing."""
        provenance = seen.provenance
        if provenance is None or (provenance.url == stored.url and provenance.sha256 in {"", archive.sha256}):
            return ""
        if provenance.url != stored.url:
            self._watch.other(provenance.url)
            return f"the build {seen.id} fetched {provenance.url}, and was to fetch {stored.url}"
        return (
            f"the build {seen.id} fetched other bytes than were sent: SHA-256 {provenance.sha256}, not {archive.sha256}"
        )
