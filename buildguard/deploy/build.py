"""Making the image of a deploy: in Cloud Build, or on the local engine; either way from the verified archive."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from buildguard.check.result import Report
from buildguard.compare.chain import Chain
from buildguard.compare.difference import CODES, REMOVED, Difference
from buildguard.deploy import fallback
from buildguard.deploy.prepare import Prepared
from buildguard.diagnostic import count, of_unproven, shown_path
from buildguard.docker import client as daemons
from buildguard.docker import images, run_steps
from buildguard.docker.build_image import BuildFailedError, Dockerfile
from buildguard.errors import GuardError, UnprovenError
from buildguard.gcp.build_log import Heard, followed
from buildguard.gcp.cloud_build import GRACE, SUCCESS, CloudBuild, Seen, source_of
from buildguard.gcp.storage import ChangedError, Storage, Stored
from buildguard.project.cloudbuild.steps import plan, seconds
from buildguard.project.cloudbuild.substitutions import replaced, settled
from buildguard.project.cloudbuild.truncate import repository_of
from buildguard.remote.source_names import SUFFIXES

_CHUNK = 1 << 20
_QUEUE = 3600  # seconds that a build may wait for its worker
_SECRETS_FILE = "BUILDGUARD_SECRETS_FILE"


class Built(NamedTuple):
    """An image that was made: the reference by which it is had here, its name to push, and its digest (empty: not pushed).

    `evidence` is what is written down of it.
    """

    reference: str
    name: str
    digest: str
    evidence: Mapping[str, Any]


class BuildEndedError(GuardError):
    """A build in Cloud Build that ended without success; the row of the fallback table that it is."""

    exit_code = 1

    def __init__(self, build: Seen, row: fallback.Row) -> None:
        super().__init__(f"the build {build.id} ended with {build.ending}", hint=f"look at {build.log_url}")
        self.build = build
        self.row = row
        # trouble of the service proves nothing against the code
        self.exit_code = 1 if row.leads_to == fallback.STOP else 3


def substituted(prepared: Prepared, known: Mapping[str, str]) -> str:
    """The name of the image with everything in it filled in."""
    build = prepared.plan.building.build
    dynamic = bool((build.get("options") or {}).get("dynamicSubstitutions"))
    return replaced(prepared.plan.building.image, settled(build.get("substitutions") or {}, known, dynamic=dynamic))


# ------------------------------------------------------------------------------------------ in Cloud Build


def in_cloud(
    prepared: Prepared,
    stored: Stored,
    say: Callable[[str], object],
    started: Callable[[Seen | None], object],
    resume: str,
) -> Built:
    """Build in Cloud Build, or follow the build `resume` that an earlier run started, to its end.

    Raises BuildEndedError for one that did not succeed, ChangedError where it fetched something else than was sent.
    """
    table = prepared.config.cloud
    made: dict[str, Any] = {**prepared.plan.building.build, "source": source_of(stored.url)}
    if table.service_account:
        made["serviceAccount"] = table.service_account
        made["options"] = {"logging": "CLOUD_LOGGING_ONLY", **(made.get("options") or {})}
    if table.worker_pool:
        made["options"] = {**(made.get("options") or {}), "pool": {"name": table.worker_pool}}
    timeout = seconds(made.get("timeout")) or 3600.0
    with CloudBuild(prepared.project, prepared.region or "global") as builds, Storage(builds.project) as storage:

        def follow(build: Seen) -> Seen:
            return followed(builds, storage, build, (timeout, _QUEUE + GRACE), Heard(say, started, say))

        seen = follow(builds.get(resume) if resume else builds.submit(made, say))
        if seen.status != SUCCESS and fallback.of_build(seen).name in _ONCE_MORE:
            say(f"the build {seen.id} ended with {seen.ending}: once more")
            seen = follow(builds.submit(made, say))
    told = seen.provenance
    if told is not None and (told.url != stored.url or told.sha256 not in {"", prepared.packed.written.file_digest}):
        raise ChangedError(
            f"the build {seen.id} fetched {told.url} ({told.sha256}), and not what was sent", stored=stored
        )
    if seen.status != SUCCESS:
        raise BuildEndedError(seen, fallback.of_build(seen))
    wanted = repository_of(substituted(prepared, {"BUILD_ID": seen.id, "PROJECT_ID": prepared.project}))
    found = [(name, digest) for name, digest in seen.images if repository_of(name) == wanted]
    if not found:
        raise UnprovenError(f"the build {seen.id} does not tell the digest of {wanted}")
    name, digest = found[0]
    evidence = {
        "build": seen.id,
        "image": name,
        "digest": digest,
        "fetched": told.sha256 if told is not None else None,
        "archive": prepared.packed.written.digest,
        "key": prepared.key,
    }
    return Built(f"{wanted}@{digest}", name, digest, evidence)


_ONCE_MORE = frozenset({fallback.of_kind("FETCH_SOURCE_FAILED").name, fallback.of_kind("PUSH_FAILED").name})


# ------------------------------------------------------------------------------------------ here


def here(prepared: Prepared, say: Callable[[str], object]) -> Built:
    """Build on the local engine. Raises BuildFailedError for a step that fails, UnprovenError for any other trouble."""
    building = prepared.plan.building
    known = {
        "BUILD_ID": str(uuid.uuid4()),
        "PROJECT_ID": prepared.project or "local",
        "PROJECT_NUMBER": "0",
        "LOCATION": prepared.region or "global",
    }
    name = substituted(prepared, known)
    daemon = daemons.connect()
    try:
        if building.file:
            _by_file(prepared, known, daemon, say)
        else:
            image = Dockerfile(prepared.archive, prepared.dockerfile, prepared.context, prepared.config.platform)
            image.build(daemon, name, say)
        found = images.find(daemon, name, prepared.config.platform, None)
    finally:
        daemon.close()
    evidence = {"image": name, "id": found.id, "archive": prepared.packed.written.digest, "key": prepared.key}
    return Built(found.id, name, "", evidence)


def _by_file(prepared: Prepared, known: Mapping[str, str], daemon: Any, say: Callable[[str], object]) -> None:
    """Run the steps of the project's build file."""
    build = prepared.plan.building.build
    platform = {"DOCKER_DEFAULT_PLATFORM": prepared.config.platform}
    steps = [
        {**one, "env": [*[f"{k}={v}" for k, v in platform.items()], *one.get("env", [])]} for one in build["steps"]
    ]
    planned = plan({**build, "steps": steps, "images": []}, known)
    secrets = _secrets({name for one in planned.steps for name in one.secrets})
    log: list[str] = []

    def heard(line: str) -> None:
        log.append(line)
        say(line)

    made = run_steps.Build(daemon, planned, run_steps.Around(heard, secrets, None, prepared.config.platform))
    with made.workspace(_pieces(prepared.archive)):
        try:
            result = made.run()
        except KeyboardInterrupt:
            made.cancel()
            raise
    if result.status in {run_steps.FAILURE, run_steps.TIMEOUT}:
        raise BuildFailedError(result.detail, "\n".join(log[-40:]).encode())
    if result.status != run_steps.SUCCESS:
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


def push(reference: str, name: str, platform: str) -> str:
    """Send a local image to its registry under a name; the digest that the registry tells."""
    daemon = daemons.connect()
    try:
        found = images.find(daemon, reference, platform, None)
        repository = repository_of(name)
        daemon.api.tag(found.id, repository, name[len(repository) + 1 :] or "latest")
        return images.push(daemon, name)
    finally:
        daemon.close()


def is_here(identity: str, prepared: Prepared) -> bool:
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


def unexplained(chain: Chain, left_out: Container[str]) -> list[Difference]:
    """What differs and should not: of what is not sent only its absence is explained, never another content."""
    found = chain.hops[0].findings
    return [one for one in found if one.change != REMOVED or shown_path(one.path) not in left_out]


class ImageDiffersError(GuardError):
    """An image that is not what was committed."""

    exit_code = 1

    def __init__(self, wrong: list[Difference], chain: Chain) -> None:
        names = ", ".join(f"{shown_path(one.path)} ({CODES[one.change]} {one.cause})" for one in wrong[:5])
        stages = " ".join(one.stage for one in chain.snapshots)
        super().__init__(
            f"the image does not hold what was committed: {names}",
            hint=f"buildguard diff {stages} shows all; a stale layer goes with docker builder prune",
        )
        self.evidence = {"differences": len(wrong)}


def compare_image(chain: Chain, left_out: Container[str]) -> None:
    """Raise ImageDiffersError where an image is not what was committed, UnprovenError where that cannot be decided."""
    wrong = unexplained(chain, left_out)
    if wrong:
        raise ImageDiffersError(wrong, chain)
    unproven = [one for one in chain.unproven if one.path not in left_out]
    if unproven:
        hint = "keep it out of the image by .dockerignore or by COPY, where buildguard can see it"
        raise UnprovenError(of_unproven(unproven[0]), hint=hint if chain.hops[0].untold else "")


def image_summary(chain: Chain, report: Report) -> tuple[str, Mapping[str, Any]]:
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
