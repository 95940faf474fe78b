"""Promotion: the very image that the ledger of one environment has proven, deployed in another one without a build.

What is proven there and what serves there has to be the same digest, when the plan is made and again before it is shipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple
from buildguard.deploy.bucket_store import read_lines
from buildguard.deploy.plan import DeployStep
from buildguard.diagnostic import count
from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.cloud_run_jobs import CloudRunJobsClient
from buildguard.gcp.revision_names import ARCHIVE
from buildguard.gcp.service_containers import AppContainer, Container
from buildguard.gcp.storage import StorageClient
from buildguard.project import ledger as ledgers
from buildguard.project.cloudbuild.truncate import repository_of
from buildguard.project.config import CloudTable
from buildguard.project.deploy_table import DeployKind
from buildguard.project.image_reference import ImageDigest
from buildguard.project.ledger import LedgerLine, ServiceId, StepVerdict


class PromotionSource(NamedTuple):
    """Where an image comes from: the environment, its service, the bucket of its ledger, and how its app is found."""

    environment: str
    service: ServiceId
    cloud: CloudTable
    app: AppContainer


class Promotion(NamedTuple):
    """An image that is proven elsewhere: by its digest, the commit and the archive that it was made of, and what serves it.

    `container` is the app's there, with its variables; `line` is that of the ledger that proved it.
    """

    source: PromotionSource
    reference: str
    digest: ImageDigest
    commit: str
    archive: str
    revision: str
    line: LedgerLine
    container: Container

    def describe(self) -> str:
        """It for people."""
        where = f"{self.source.service.service} of {self.source.environment}"
        return f"{self.reference}, proven by run {self.line.run} in {where}"


class Comparison(NamedTuple):
    """What two containers have not in common: variables that are missing or more than there, and settings, in words."""

    missing: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    def notes(self, environment: str) -> Iterator[str]:
        """What is different and no reason to refuse."""
        if self.more:
            yield f"{count(len(self.more), 'variable')} not set in {environment}: {', '.join(self.more)}"
        for words in self.settings:
            yield f"other than in {environment}: {words}"


def find_promotion(source: PromotionSource, local: Sequence[LedgerLine]) -> Promotion:
    """The image that was proven last in an environment, and serves there. Raises UnprovenError where that is not certain.

    `local` are the lines of this machine's ledger.
    """
    identity = source.service
    with StorageClient(identity.project) as storage:
        bucket = storage.ensure(source.cloud.bucket, storage.project, source.cloud.region)
        folder = ledgers.folder_of_name(identity.service, identity.kind)
        lines = ledgers.merge_lines(local, read_lines(storage, bucket, folder, local))
    proven = [
        line
        for line in lines
        if line.service_id == identity and line.step == DeployStep.PROVE and line.verdict == StepVerdict.OK
    ]
    if not proven:
        raise UnprovenError(
            f"nothing of {identity.service} is proven in {source.environment}",
            hint=f"buildguard deploy --env {source.environment} --service {identity.service}",
        )
    return confirm(source, proven[-1])


def confirm(source: PromotionSource, line: LedgerLine) -> Promotion:
    """The promotion of what a line proves, if it serves still. Raises UnprovenError where something else does."""
    digest = ImageDigest(str(line.evidence.get("digest", "")))
    name, container, annotations = _serving(source)
    if not digest or container.digest != digest:
        what = container.image or "nothing that is known"
        raise UnprovenError(
            f"{source.service.service} of {source.environment} serves {what}, and its ledger has proven {digest or 'nothing'}",
            hint=f"buildguard deploy --env {source.environment} --service {source.service.service}",
        )
    reference = f"{repository_of(container.image)}@{digest}"
    archive = str(annotations.get(ARCHIVE, ""))
    return Promotion(source, reference, digest, line.commit, archive, name, line, container)


def _serving(source: PromotionSource) -> tuple[str, Container, Mapping[str, str]]:
    """What serves in an environment: the one revision with all traffic, or the job, with the app's container."""
    identity = source.service
    if identity.kind == DeployKind.JOB:
        with CloudRunJobsClient(identity.project, identity.region, source.app) as jobs:
            job = jobs.get(identity.service)
        if job is None:
            raise UnprovenError(f"the job {identity.service} does not exist in {source.environment}")
        return job.name, job.container, job.annotations
    with CloudRunClient(identity.project, identity.region, source.app) as run:
        service = run.get(identity.service)
        serving = service.only_revision if service is not None else ""
        if not serving:
            traffic = service.describe_traffic if service is not None else "the service does not exist"
            raise UnprovenError(f"no revision of {identity.service} has all traffic in {source.environment}: {traffic}")
        revision = run.revision(identity.service, serving)
    return serving, revision.container, revision.annotations


def read_container(service: ServiceId, app: AppContainer) -> Container | None:
    """The app's container of a service or a job as it is configured now; None where that does not exist."""
    if service.kind == DeployKind.JOB:
        with CloudRunJobsClient(service.project, service.region, app) as jobs:
            job = jobs.get(service.service)
            return job.container if job is not None else None
    with CloudRunClient(service.project, service.region, app) as run:
        state = run.get(service.service)
        return state.container if state is not None else None


def compare(there: Container, here: Container | None, given: frozenset[str] = frozenset()) -> Comparison:
    """The variables, by their names, and the settings of the app's container in two environments.

    `here` is None for a service that does not exist yet, whose first revision gets the variables in `given`.
    """
    if here is None:
        return Comparison(missing=tuple(sorted(there.env.keys() - given)))
    return Comparison(
        tuple(sorted(there.env.keys() - here.env.keys())),
        tuple(sorted(here.env.keys() - there.env.keys())),
        tuple(_differences(there, here)),
    )


def _differences(there: Container, here: Container) -> Iterator[str]:
    for name in ("command", "args", "port", "probe"):
        before, after = getattr(there, name), getattr(here, name)
        if before != after:
            yield f"{name} is {_shown(after)}, and was {_shown(before)}"


def _shown(value: object) -> str:
    words = " ".join(map(str, value)) if isinstance(value, tuple) else str(value or "")
    return words or "unset"
