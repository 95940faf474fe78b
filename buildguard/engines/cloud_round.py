"""One round through Cloud Build: an archive sent and held, a build over it followed to its end, and its answers fetched."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from buildguard.engines import cloud_driver_script, cloud_request, cloud_results
from buildguard.engines.cloud_results import Told
from buildguard.errors import UnprovenError
from buildguard.gcp.build_log import Heard, StepLogs, followed
from buildguard.gcp.cloud_build import GRACE, SUCCESS, CloudBuild, Seen, source_of
from buildguard.gcp.storage import ChangedError, Storage, Stored

# what a build may come to through no fault of anybody's, and has come to an end with: another one is worth a try
_SERVICE = frozenset({"INTERNAL_ERROR", "EXPIRED"})
_SERVICE_KINDS = frozenset({"FETCH_SOURCE_FAILED", "LOGGING_FAILURE"})
_MEBI = 1 << 20


class Settings(NamedTuple):
    """Where builds run and who runs them; what is empty is found out. `verify` reads back what was uploaded."""

    project: str = ""
    region: str = ""
    bucket: str = ""
    options: cloud_request.Options = cloud_request.Options()
    verify: bool = False


class Archive(NamedTuple):
    """What is sent: the file, its SHA-256, and how many sources it holds."""

    file: Path
    sha256: str
    sources: int


class Watch(NamedTuple):
    """Who hears of a round: what takes its time, the build once it runs (None once it has ended), and the objects.

    `stored` hears of the archive as it lies in the bucket, `other` of an object that lies there or was fetched in its place,
    `impostor` of one that held other bytes under its name before, and was replaced.
    """

    tell: Callable[[str], object]
    running: Callable[[Seen | None], object]
    stored: Callable[[Stored], object]
    other: Callable[[str], object]
    impostor: Callable[[str], object]


class Came(NamedTuple):
    """What a round came to: the build, the digest of the image of each target's steps, and what each told (or why not).

    `wrong` says that something else was built than was sent, `unproven` what could not be told, `notes` the rest.
    """

    build: Seen
    image_digests: Mapping[str, str]
    told: Mapping[str, Told | UnprovenError]
    wrong: str
    unproven: tuple[str, ...]
    notes: tuple[str, ...]


def ask(archive: Archive, images: Sequence[str], more: Sequence[bytes], settings: Settings, watch: Watch) -> Came:
    """Send an archive and have the interpreters of some images judge its sources, and `more` of them.

    Raises UnprovenError where that cannot be done, ChangedError where something else lies in the bucket than was sent.
    """
    with CloudBuild(settings.project, settings.region or "global") as builds, Storage(builds.project) as storage:
        return _Round(builds, storage, settings, watch).ask(archive, images, more)


class _Round:
    """One round, with its connections."""

    def __init__(self, builds: CloudBuild, storage: Storage, settings: Settings, watch: Watch) -> None:
        self._builds = builds
        self._storage = storage
        self._settings = settings
        self._watch = watch
        self._notes: list[str] = []
        self._step_logs = StepLogs()

    def ask(self, archive: Archive, images: Sequence[str], more: Sequence[bytes]) -> Came:
        """The whole round."""
        bucket = self._storage.ensure(self._settings.bucket, self._builds.project)
        stored = self._sent(archive, bucket)
        shares = cloud_request.shares_for(archive.sources, len(images))
        location = f"gs://{bucket}/buildguard/{uuid.uuid4()}"
        place = (source_of(stored.url), location)
        arguments = partial(cloud_driver_script.arguments, more=more)
        seen = self._built(cloud_request.build(images, shares, arguments, place, self._settings.options))
        wrong = self._wrong_source(seen, stored, archive)
        if seen.status != SUCCESS:
            if wrong:
                raise ChangedError(wrong)
            raise UnprovenError(f"the build {seen.id} ended with {seen.ending}", hint=f"look at {seen.log_url}")
        told: dict[str, Told | UnprovenError] = {}
        digests: dict[str, str] = {}
        for target, image in enumerate(images):
            steps = slice(target * shares, (target + 1) * shares)
            ran_in = seen.step_images[steps]
            digests[image] = ran_in[0] if ran_in else ""
            try:
                if len({*ran_in}) != 1:
                    told[image] = UnprovenError(f"the build {seen.id} does not tell in which image its steps ran")
                    continue
                told[image] = cloud_results.told(
                    target,
                    seen.outputs[steps],
                    shares,
                    lambda name: self._storage.content(f"{location}/{name}"),
                    self._ends(seen)[steps],
                )
            except UnprovenError as error:
                told[image] = error
        silent = f"the build {seen.id} does not tell which bytes it fetched"
        unproven = () if seen.provenance is not None and seen.provenance.sha256 else (silent,)
        return Came(seen, digests, told, wrong, unproven, tuple(self._notes))

    def _ends(self, seen: Seen) -> list[cloud_results.StepEnd]:
        """How each step of the build ended."""
        return [
            cloud_results.StepEnd(code, self._step_logs.last(number), seen.log_url)
            for number, (_status, code) in enumerate(seen.steps)
        ]

    def _sent(self, archive: Archive, bucket: str) -> Stored:
        size = archive.file.stat().st_size

        def progress(done: int) -> None:
            self._watch.tell(f"uploading to {bucket}: {done / _MEBI:.1f} of {size / _MEBI:.1f} MB")

        progress(0)
        try:
            sent = self._storage.upload(archive.file, bucket, f"source/{archive.sha256}.tgz", progress)
        except ChangedError as error:
            if error.stored is not None:
                self._watch.other(error.stored.url)
            raise
        self._watch.stored(sent.stored)
        if sent.replaced is not None:
            self._watch.impostor(sent.replaced.url)
        if self._settings.verify:
            self._watch.tell(f"reading {sent.stored.url} back")
            with tempfile.TemporaryFile() as out:
                came = self._storage.download(sent.stored, out)
            if came != archive.sha256:
                what = f"{sent.stored.url} is not what was sent: SHA-256 {archive.sha256} was sent, {came} is there"
                raise ChangedError(what, stored=sent.stored)
        return sent.stored

    def _built(self, made: dict[str, object]) -> Seen:
        """The build, at its end; one that ended by the service's own trouble is tried once more."""
        seen = self._followed(made)
        if seen.status in _SERVICE or seen.kind in _SERVICE_KINDS:
            self._notes.append(f"the build {seen.id} ended with {seen.ending}, and was tried once more")
            seen = self._followed(made)
        return seen

    def _followed(self, made: dict[str, object]) -> Seen:
        options = self._settings.options
        logs = self._step_logs = StepLogs()

        def hear(line: str) -> None:
            logs.add(line)
            self._watch.tell(line)

        heard = Heard(hear, self._watch.running, self._notes.append)
        build = self._builds.submit(made, self._watch.tell)
        return followed(self._builds, self._storage, build, (options.timeout, options.queue + GRACE), heard)

    def _wrong_source(self, seen: Seen, stored: Stored, archive: Archive) -> str:
        """What Cloud Build says it fetched, where that is not what was sent; empty where it is, or says nothing."""
        told = seen.provenance
        if told is None or (told.url == stored.url and told.sha256 in {"", archive.sha256}):
            return ""
        if told.url != stored.url:
            self._watch.other(told.url)
            return f"the build {seen.id} fetched {told.url}, and was to fetch {stored.url}"
        return f"the build {seen.id} fetched other bytes than were sent: SHA-256 {told.sha256}, not {archive.sha256}"
