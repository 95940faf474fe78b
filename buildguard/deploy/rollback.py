"""`buildguard rollback`: all traffic to an earlier revision."""

from __future__ import annotations

import os
import uuid
from contextlib import ExitStack

from buildguard.check.targets import Watcher
from buildguard.definitions import NamedTuple
from buildguard.deploy import bucket_store as buckets
from buildguard.deploy import lock
from buildguard.deploy.current_service import latest_of
from buildguard.deploy.history import locate_service, read_all_lines
from buildguard.deploy.plan import DeployStep
from buildguard.deploy.prepare import DeployRequest
from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.revision_names import COMMIT
from buildguard.gcp.service_containers import AppContainer
from buildguard.gcp.service_state import ServiceState, TrafficShare
from buildguard.gcp.storage import StorageClient
from buildguard.project.attempts import ledger_path
from buildguard.project.cloudbuild.substitutions import substitute
from buildguard.project.deploy_table import DeployKind, DeployTable
from buildguard.project.ledger import ROLLBACK, Ledger, LedgerLine, ServiceId, StepVerdict
from buildguard.system.fork_event import refuse_fork_event


class RollbackResult(NamedTuple):
    """What `rollback` returns."""

    service: str
    before: str
    revision: str
    url: str


def rollback(request: DeployRequest, revision: str, watcher: Watcher) -> RollbackResult:
    """All traffic to an earlier revision: the one that is named, else the last that was proven to serve alone.

    Raises UnprovenError where that is not certain, or the revision does not work.
    """
    refuse_fork_event("rollback", os.environ)
    repository, config, service = locate_service(request)
    _refuse_ambiguous(config.deploy, service, request.region)
    project, region = (
        request.project or config.cloud.project,
        request.region or config.deploy.region or config.cloud.region,
    )
    run_id = uuid.uuid4().hex[:8]
    file = ledger_path(repository)
    with ExitStack() as held:
        image = substitute(config.deploy.image, {"PROJECT_ID": project or auth.project()})
        app = AppContainer(image, config.deploy.container)
        run = held.enter_context(CloudRunClient(project, region, app))
        identity = ServiceId(run.project, run.region, service)
        storage = held.enter_context(StorageClient(project))
        bucket = storage.ensure(config.cloud.bucket, storage.project, config.cloud.region)
        taking = lock.LockRequest(service, run_id)
        held.enter_context(lock.hold_lock(buckets.BucketLock(storage, bucket, identity), taking, watcher.tell))
        current = run.get(service)
        if current is None:
            raise UsageError(f"there is no service {service}")
        wanted = revision or _find_last_proven(
            _lines_of(identity, run, read_all_lines(file, storage, bucket, service)), current
        )
        target = run.revision(service, wanted)
        if not target.ready:
            hint = "buildguard history, and --revision NAME"
            raise UnprovenError(f"{wanted} is not ready: {target.message}", hint=hint)
        watcher.tell(f"rollback: all traffic of {service} to {wanted}")
        ledger = Ledger(file, run_id, identity, str(target.annotations.get(COMMIT, "")))
        ledger.elsewhere = lambda name, data: storage.create(bucket, name, data)
        ledger.write(ROLLBACK, StepVerdict.BEGUN, 0.0, {"revision": wanted, "from": current.only_revision})
        routed = run.route(service, [TrafficShare(wanted, 100)], current.etag)
        if routed.only_revision != wanted:
            raise UnprovenError(f"{service} does not serve {wanted} alone")
        at = app.matches(target.containers)
        digest = target.containers[at[0]].digest if len(at) == 1 else ""
        latest = latest_of(current)  # for the next deploy: the traffic is pinned by name from here on
        followed = {"latest": latest.whole, "latest_tags": list(latest.tags)}
        evidence = {"revision": wanted, "url": routed.url, "digest": digest, **followed}
        ledger.write(ROLLBACK, StepVerdict.OK, 0.0, evidence)
        return RollbackResult(service, current.only_revision, wanted, routed.url)


def _refuse_ambiguous(table: DeployTable, service: str, region: str) -> None:
    """Raise UsageError for a job, and for a service of several regions of which none is named."""
    if table.kind is DeployKind.JOB:
        raise UsageError(f"{service} is a job, and has no traffic", hint="deploy the commit that it ran before")
    if len(table.regions) > 1 and not region:
        regions = ", ".join(table.regions)
        raise UsageError(f"{service} runs in several regions: {regions}", hint="pass --region NAME")


def _lines_of(service: ServiceId, run: CloudRunClient, lines: list[LedgerLine]) -> list[LedgerLine]:
    """The lines of a service, and those that name no project, of revisions that this very service has."""
    names = {revision.name for revision in run.revisions(service.service)}
    return [
        line
        for line in lines
        if line.service_id == service
        or (line.service_id == ServiceId("", "", service.service) and line.evidence.get("revision") in names)
    ]


def _find_last_proven(lines: list[LedgerLine], service: ServiceState) -> str:
    """The last revision that was proven to have all traffic, other than the one that has it now."""
    proven = [line for line in lines if line.verdict == StepVerdict.OK and line.step in {DeployStep.PROVE, ROLLBACK}]
    instead = [
        str(line.evidence.get("instead_of", ""))
        for line in proven
        if line.step == DeployStep.PROVE and line.evidence.get("revision") == service.only_revision
    ]
    names = [str(line.evidence.get("revision", "")) for line in proven]
    candidates = [revision for revision in [*names, *instead[-1:]] if revision and revision != service.only_revision]
    if not candidates:
        raise UnprovenError(
            f"which revision of {service.name} served alone before is not certain",
            hint="gcloud run revisions list, and --revision NAME",
        )
    return instead[-1] if instead and instead[-1] else candidates[-1]
