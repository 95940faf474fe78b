"""Making the image of a deploy: in Cloud Build, or on the local engine; either way from the verified archive."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from buildguard.check.result import CheckReport
from buildguard.compare.chain import Chain
from buildguard.compare.difference import CODES, ChangeKind, Difference
from buildguard.definitions import NamedTuple
from buildguard.deploy import fallback
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.diagnostic import count, display_path, unproven_line
from buildguard.docker import client as daemons
from buildguard.docker import images, run_steps
from buildguard.docker.build_image import BuildFailedError, DockerfileBuild
from buildguard.errors import GuardError, Reason, UnprovenError
from buildguard.gcp import failures
from buildguard.gcp.auth import registry_login
from buildguard.gcp.build_log import BuildLogSink, follow_build
from buildguard.gcp.cloud_build import GRACE, BuildStatus, CloudBuildClient, source_of
from buildguard.gcp.storage import ChangedError, StorageClient, StoredObject
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.project.cloudbuild.steps import plan_build_steps, seconds
from buildguard.project.cloudbuild.substitutions import resolve_substitutions, substitute
from buildguard.project.cloudbuild.truncate import repository_of
from buildguard.project.image_reference import ImageDigest
from buildguard.remote.source_names import SUFFIXES

_CHUNK = 1 << 20
_QUEUE = 3600  # seconds that a build may wait for its worker
_SECRETS_FILE = "BUILDGUARD_SECRETS_FILE"


class BuiltImage(NamedTuple):
    """An image that was made: the reference by which it is had here, its name to push, and its digest (None: not pushed).

    `evidence` is what is written down of it.
    """

    reference: str
    name: str
    digest: ImageDigest | None
    evidence: Mapping[str, Any]


class BuildEndedError(GuardError):
    """A build in Cloud Build that ended without success, and how many builds were waited for."""

    def __init__(self, build: BuildStatus, builds: int) -> None:
        what, hint = f"the build {build.id} ended with {build.ending}", f"look at {build.log_url}"
        super().__init__(what, hint=hint, reason=build.reason)
        self.build = build
        self.builds = builds
        # trouble of the service proves nothing against the code
        is_proven = fallback.rule_of(build.reason).leads_to is fallback.FallbackDecision.STOP
        self.exit_code = 1 if is_proven else 3


def fill_image_name(prepared: PreparedDeploy, known: Mapping[str, str]) -> str:
    """The name of the image with everything in it filled in."""
    build = prepared.plan.building.build
    dynamic = bool((build.get("options") or {}).get("dynamicSubstitutions"))
    return substitute(
        prepared.plan.building.image, resolve_substitutions(build.get("substitutions") or {}, known, dynamic=dynamic)
    )


# ------------------------------------------------------------------------------------------ in Cloud Build


def build_in_cloud(
    prepared: PreparedDeploy,
    stored: StoredObject,
    say: Callable[[str], object],
    started: Callable[[BuildStatus | None], object],
    resume: str,
) -> BuiltImage:
    """Build in Cloud Build, or follow the build `resume` that an earlier run started, to its end.

    Raises BuildEndedError for one that did not succeed, ChangedError where it fetched something else than was sent.
    """
    request = _build_request(prepared, stored)
    timeout = seconds(request.get("timeout")) or 3600.0
    with (
        CloudBuildClient(prepared.project, prepared.build_region or "global") as builds,
        StorageClient(builds.project) as storage,
    ):

        def follow(build: BuildStatus) -> BuildStatus:
            return follow_build(builds, storage, build, (timeout, _QUEUE + GRACE), BuildLogSink(say, started, say))

        submitted = 1
        build = follow(_resumed(builds, resume, say) or builds.submit(request, say))
        if build.status is not BuildState.SUCCESS and build.reason in _ONCE_MORE:
            say(f"the build {build.id} ended with {build.ending}: once more")
            build, submitted = follow(builds.submit(request, say)), 2
    _verify_source(build, prepared, stored)
    if build.status is not BuildState.SUCCESS:
        raise BuildEndedError(build, submitted)
    return _built_image(build, prepared)


_ONCE_MORE = failures.TROUBLE | {Reason.PUSH_FAILED}


def _resumed(builds: CloudBuildClient, identity: str, say: Callable[[str], object]) -> BuildStatus | None:
    """The build of an earlier run; None without one, or where Cloud Build has it no more in this project and region."""
    try:
        return builds.get(identity) if identity else None
    except UnprovenError as error:
        if error.reason is not Reason.NOT_FOUND:
            raise
        say(f"the build {identity} of an earlier run was not found in {builds.project}: starting a new one")
        return None


def _build_request(prepared: PreparedDeploy, stored: StoredObject) -> dict[str, Any]:
    """The Build that is submitted, as the API's JSON has it."""
    table = prepared.config.cloud
    request: dict[str, Any] = {**prepared.plan.building.build, "source": source_of(stored.url)}
    options = request.get("options") or {}
    if table.service_account:
        request["serviceAccount"] = table.service_account
        options = {"logging": "CLOUD_LOGGING_ONLY", **options}
    if table.worker_pool:
        options = {**options, "pool": {"name": table.worker_pool}}
    return {**request, "options": options} if table.service_account or table.worker_pool else request


def _verify_source(build: BuildStatus, prepared: PreparedDeploy, stored: StoredObject) -> None:
    """Raise ChangedError where a build fetched something else than was sent; one without provenance proves nothing."""
    provenance = build.provenance
    if provenance is None:
        return
    if provenance.url != stored.url or provenance.sha256 not in {"", prepared.packed.written.file_digest}:
        what = f"the build {build.id} fetched {provenance.url} ({provenance.sha256}), and not what was sent"
        raise ChangedError(what, stored=stored)


def _built_image(build: BuildStatus, prepared: PreparedDeploy) -> BuiltImage:
    """The image that a build pushed; raises UnprovenError where its digest is unknown."""
    wanted = repository_of(fill_image_name(prepared, {"BUILD_ID": build.id, "PROJECT_ID": prepared.project}))
    pushed = [(name, digest) for name, digest in build.images if repository_of(name) == wanted]
    if not pushed:
        raise UnprovenError(f"the build {build.id} reported no digest for {wanted}")
    name, digest = pushed[0]
    evidence = {
        "build": build.id,
        "image": name,
        "digest": digest,
        "fetched": build.provenance.sha256 if build.provenance is not None else None,
        "archive": prepared.packed.written.digest,
        "key": prepared.key,
    }
    return BuiltImage(f"{wanted}@{digest}", name, digest, evidence)


# ------------------------------------------------------------------------------------------ here


def build_locally(prepared: PreparedDeploy, say: Callable[[str], object]) -> BuiltImage:
    """Build on the local engine. Raises BuildFailedError for a step that fails, UnprovenError for any other trouble."""
    building = prepared.plan.building
    known = {
        "BUILD_ID": str(uuid.uuid4()),
        "PROJECT_ID": prepared.project or "local",
        "PROJECT_NUMBER": "0",
        "LOCATION": prepared.build_region or "global",
    }
    name = fill_image_name(prepared, known)
    daemon = daemons.connect()
    try:
        if building.file:
            _run_build_file(prepared, known, daemon, say)
        else:
            image = DockerfileBuild(prepared.archive, prepared.dockerfile, prepared.context, prepared.config.platform)
            image.build(daemon, name, say)
        image_here = images.find(daemon, name, prepared.config.platform, None)
    finally:
        daemon.close()
    evidence = {"image": name, "id": image_here.id, "archive": prepared.packed.written.digest, "key": prepared.key}
    return BuiltImage(image_here.id, name, None, evidence)


def _run_build_file(
    prepared: PreparedDeploy, known: Mapping[str, str], daemon: Any, say: Callable[[str], object]
) -> None:
    """Run the steps of the project's build file."""
    build = prepared.plan.building.build
    platform = {"DOCKER_DEFAULT_PLATFORM": prepared.config.platform}
    steps = [
        {**step, "env": [*[f"{k}={v}" for k, v in platform.items()], *step.get("env", [])]} for step in build["steps"]
    ]
    planned = plan_build_steps({**build, "steps": steps, "images": []}, known)
    secrets = _secrets({name for step in planned.steps for name in step.secrets})
    log: list[str] = []

    def keep(line: str) -> None:
        log.append(line)
        say(line)

    around = run_steps.BuildEnvironment(keep, secrets, None, prepared.config.platform, builds_here=None)
    local_build = run_steps.LocalBuild(daemon, planned, around)
    with local_build.workspace(_pieces(prepared.archive)):
        try:
            result = local_build.run()
        except KeyboardInterrupt:
            local_build.cancel()
            raise
    if result.status in {BuildState.FAILURE, BuildState.TIMEOUT}:
        raise BuildFailedError(result.detail, "\n".join(log[-40:]).encode())
    if result.status is not BuildState.SUCCESS:
        raise UnprovenError(result.detail or f"the build ended with {result.status}")


def _secrets(names: set[str]) -> dict[str, str]:
    """The values of a build's secrets: variables of the same names, or NAME=VALUE lines of the file that a variable names."""
    known: dict[str, str] = {}
    file = os.environ.get(_SECRETS_FILE)
    if file:
        try:
            lines = Path(file).read_text("utf-8").splitlines()
        except OSError as error:
            raise UnprovenError(f"{_SECRETS_FILE}: {file} cannot be read: {error.strerror}") from error
        pairs = (line.partition("=") for line in lines if "=" in line and not line.lstrip().startswith("#"))
        known = {name.strip(): value for name, _equals, value in pairs}
    missing = sorted(names - known.keys() - os.environ.keys())
    if missing:
        hint = f"export {missing[0]}=… for a local build, or {_SECRETS_FILE}=FILE with {missing[0]}=… in it"
        raise UnprovenError(f"the build wants the secret {missing[0]}", hint=hint)
    return {name: os.environ.get(name, known.get(name, "")) for name in names}


def _pieces(file: Path) -> Iterator[bytes]:
    with open(file, "rb") as archive:
        while piece := archive.read(_CHUNK):
            yield piece


def push_image(reference: str, name: str, platform: str) -> ImageDigest:
    """Send a local image to its registry under a name; the digest that the registry tells."""
    daemon = daemons.connect()
    try:
        image = images.find(daemon, reference, platform, None)
        repository = repository_of(name)
        daemon.api.tag(image.id, repository, name[len(repository) + 1 :] or "latest")
        return images.push(daemon, name, registry_login(name))
    finally:
        daemon.close()


def has_local_image(identity: str, prepared: PreparedDeploy) -> bool:
    """Whether an image is on the local engine still."""
    try:
        daemon = daemons.connect()
    except UnprovenError:
        return False
    try:
        return bool(identity) and images.find(daemon, identity, prepared.config.platform, None).id == identity
    except UnprovenError:
        return False
    finally:
        daemon.close()


def find_unexplained(chain: Chain, left_out: Container[str]) -> list[Difference]:
    """What differs and should not: of what is not sent only its absence is explained, never another content."""
    differences = chain.hops[0].findings
    return [
        difference
        for difference in differences
        if difference.change is not ChangeKind.REMOVED or display_path(difference.path) not in left_out
    ]


class ImageDiffersError(GuardError):
    """An image that is not what was committed."""

    exit_code = 1

    def __init__(self, wrong: list[Difference], chain: Chain) -> None:
        names = ", ".join(
            f"{display_path(difference.path)} ({CODES[difference.change]} {difference.cause})"
            for difference in wrong[:5]
        )
        stages = " ".join(snapshot.stage for snapshot in chain.snapshots)
        super().__init__(
            f"the image does not hold what was committed: {names}",
            hint=f"buildguard diff {stages} shows all; a stale layer goes with docker builder prune",
        )
        self.evidence = {"differences": len(wrong)}


def compare_image(chain: Chain, left_out: Container[str]) -> None:
    """Raise ImageDiffersError where an image is not what was committed, UnprovenError where that cannot be decided."""
    wrong = find_unexplained(chain, left_out)
    if wrong:
        raise ImageDiffersError(wrong, chain)
    unproven = [item for item in chain.unproven if item.path not in left_out]
    if unproven:
        hint = "keep it out of the image by .dockerignore or by COPY, where buildguard can see it"
        raise UnprovenError(unproven_line(unproven[0]), hint=hint if chain.hops[0].incomparable else "")


def image_summary(chain: Chain, report: CheckReport) -> tuple[str, Mapping[str, Any]]:
    """What was proven of an image, in words and as evidence: the commit's Python sources in it, and what compiled them."""
    before, after = chain.snapshots[0].manifest.entries, chain.snapshots[-1].manifest.entries
    sources = [path for path in before if path.endswith(SUFFIXES)]
    same = sum(path in after and after[path].sha256 == before[path].sha256 for path in sources)
    absent = sum(path not in after for path in sources)
    python = next((row.interpreter for row in report.targets if row.interpreter), "")
    number = f"{report.files} " if report.files != same else ""  # generated, or outside of the project's folder
    less = f" ({count(absent, 'file')} left out by an ignore rule or the Dockerfile)" if absent else ""
    evidence = {"files": same, "absent": absent, "compiled": report.files, "interpreter": python}
    return f"{count(same, 'file')} as committed, {number}compiled by {python}{less}", evidence
