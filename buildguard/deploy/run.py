"""`buildguard deploy`, `rollback` and `history`: from a plan to proof of what serves, and back."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, assert_never

from buildguard.check.targets import Watcher
from buildguard.deploy import bucket_store as buckets
from buildguard.deploy import lock
from buildguard.deploy.current_service import latest_of
from buildguard.deploy.history import locate_service, read_all_lines
from buildguard.deploy.job_steps import JobRun
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.plan import DeployPlan, DeployStep
from buildguard.deploy.prepare import DeployRequest, PreparedDeploy, prepare_deploy
from buildguard.deploy.runner import DeployRunner
from buildguard.deploy.shared_work import SharedWork
from buildguard.deploy.steps import DeployRun, Observation
from buildguard.diagnostic import count
from buildguard.errors import DeployInterruptedError, GuardError, UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.gcp.cloud_build import running_build_error
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.revision_names import COMMIT
from buildguard.gcp.service_containers import AppContainer
from buildguard.gcp.service_state import ServiceState, TrafficShare
from buildguard.gcp.storage import StorageClient
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import ledger_path
from buildguard.project.cloudbuild.substitutions import substitute
from buildguard.project.deploy_table import DeployKind
from buildguard.project.ledger import Ledger, LedgerLine, ServiceId, StepVerdict
from buildguard.system.fork_event import refuse_fork_event
from buildguard.system.temporary import folder_of

_COPY_PATIENCE = 10.0  # seconds that one line may take on its way into the bucket
_RECENT = 120  # lines of the ledger in the bucket that a deploy looks back on


class DeployReport(NamedTuple):
    """What `deploy` returns: the plan, what each step came to, decisions on the way, and where it serves.

    `outcomes` is None for a dry run, and empty where the plan was refused; `observed` is who serves after a failure. `blocked` is
    why it was not begun, where another deploy of the same plan is the reason.
    """

    plan: DeployPlan
    outcomes: tuple[StepOutcome, ...] | None
    decisions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    revision: str = ""
    url: str = ""
    observed: Observation = Observation()
    blocked: str = ""

    @property
    def exit_code(self) -> int:
        """1 for a failure, a refusal, or a deploy that was not begun, else 3 for what could not be proven, else 0."""
        if self.plan.refusals or self.blocked:
            return 1
        return _exit_code(self.last.verdict) if self.last is not None else 0

    @property
    def last(self) -> StepOutcome | None:
        """The last step that was reached: a deploy ends at the first one that fails, unless another way was taken."""
        reached = [outcome for outcome in self.outcomes or () if outcome.is_reached]
        return reached[-1] if reached else None


def _exit_code(verdict: StepVerdict) -> int:
    match verdict:
        case StepVerdict.FAILED:
            return 1
        case StepVerdict.UNPROVEN:
            return 3
        case StepVerdict.BEGUN | StepVerdict.OK | StepVerdict.SKIPPED:
            return 0
        case _:
            assert_never(verdict)


class _ArchiveOwner:
    """Owns the archive of a run."""


@contextmanager
def archive_file() -> Iterator[Path]:
    """Where the archive of a run is written, until that has ended."""
    owner = _ArchiveOwner()
    yield folder_of(owner) / "source.tgz"
    del owner


def plan_deploy(request: DeployRequest) -> DeployReport:
    """What a deploy of one service would do, and what it would refuse. Nothing is run or changed."""
    with archive_file() as archive:
        return DeployReport(prepare_deploy(request, archive).plan, None)


def deploy(request: DeployRequest, watcher: Watcher, ask: Callable[[str], bool | None]) -> DeployReport:
    """Deploy the commit to one service; `ask` puts a question to the person, None without a terminal.

    Raises UsageError for a request that makes no sense, LockHeldError while another run deploys the service.
    """
    with archive_file() as archive:
        ready = prepare_deploy(request, archive)
        if ready.plan.refusals:
            return DeployReport(ready.plan, ())
        if not ask(f"deploy commit {ready.plan.source.commit[:12]} to {ready.label}?"):
            raise UsageError("aborted: confirmation needed, and none was given", hint="pass --yes where no terminal is")
        with ExitStack() as held:
            begun = begin(ready, uuid.uuid4().hex[:8], held, watcher, SharedWork())
            return run_prepared(DeployRunner(begun.run, ask), watcher, begun.notes)


class BegunDeploy(NamedTuple):
    """A deploy that holds its lock: the run, and notes so far."""

    run: DeployRun | JobRun
    notes: list[str]


def begin(ready: PreparedDeploy, run: str, held: ExitStack, watcher: Watcher, shared: SharedWork) -> BegunDeploy:
    """Take the lock of a service and read its ledger. Raises LockHeldError while another run deploys it."""
    file = ledger_path(ready.repository)
    ledger = Ledger(file, run, ready.service_id, ready.plan.source.commit)
    notes: list[str] = []

    def tell(text: str) -> None:
        watcher.tell(text)
        notes.append(text)

    mine = _earlier_lines(ready, ledger, held, file, tell)
    kind = JobRun if ready.plan.wishes.is_job else DeployRun
    return BegunDeploy(kind(ready, ledger, mine, watcher, shared), notes)


def run_prepared(runner: DeployRunner, watcher: Watcher, notes: list[str]) -> DeployReport:
    """Every step of a deploy, and what it came to."""
    try:
        runner.run()
    except KeyboardInterrupt:
        raise _interruption(runner.deploy) from None
    except SystemExit:  # SIGTERM: nothing is asked any more
        watcher.tell(_interruption(runner.deploy).words)
        raise
    return report_of(runner, notes)


def report_of(runner: DeployRunner, notes: list[str]) -> DeployReport:
    """What a deploy came to so far."""
    going = runner.deploy
    return DeployReport(
        going.plan,
        tuple(going.outcomes),
        tuple(runner.decisions),
        (*notes, *going.notes, *going.ledger.notes),
        going.revision,
        going.url,
        runner.observed,
    )


def _earlier_lines(
    ready: PreparedDeploy, ledger: Ledger, held: ExitStack, file: Path, tell: Callable[[str], object]
) -> list[LedgerLine]:
    """What earlier deploys of the service recorded; takes the lock. Raises LockHeldError."""
    service = ready.plan.wishes.service
    earlier, broken = ledgers.read(file)
    if broken:
        tell(f"{count(broken, 'line')} of the ledger cannot be read")
    try:
        earlier = ledgers.merge_lines(earlier, _share_ledger(ready, ledger, held, earlier, tell))
    except lock.LockHeldError:
        raise
    except UnprovenError as error:
        tell(f"the lock and the ledger are this machine's alone: {error.words}")
        name = ready.service_id.path.replace("/", "+")
        taking = lock.LockRequest(service, ledger.run, ready.unlock)
        held.enter_context(lock.hold_lock(lock.FileLock(file.with_name(f"lock-{name}")), taking, tell))
    mine = [line for line in earlier if line.service_id == ready.service_id]
    stopped = ledgers.find_stopping_step(ledgers.group_runs(mine)[-1]) if mine else ""
    if stopped:
        tell(f"the last deploy of {service} stopped at the step '{stopped}'; what is proven is used again")
    return mine


def _interruption(run: DeployRun | JobRun) -> GuardError:
    """What an interrupted deploy left behind: a build that still runs, or a share of the traffic."""
    if run.running is not None:
        return running_build_error(run.running)
    wishes = run.plan.wishes
    is_first = (
        bool(run.revision) and run.plan.serving.alone and not wishes.is_job
    )  # such a revision gets its traffic as it comes up
    return DeployInterruptedError(
        wishes.service, run.at, run.revision, 100 if is_first else run.moving, wishes.rollback
    )


def _share_ledger(
    ready: PreparedDeploy, ledger: Ledger, held: ExitStack, known: list[LedgerLine], tell: Callable[[str], object]
) -> list[LedgerLine]:
    """Take the lock in the bucket, and have the ledger kept there too; the lines that are stored there already.

    Raises UnprovenError without a bucket, LockHeldError where another run holds the lock.
    """
    service = ready.service_id
    if not ready.plan.serving.known:
        raise UnprovenError(ready.plan.serving.unknown_reason)
    storage = held.enter_context(StorageClient(ready.project))
    bucket = storage.ensure(ready.config.cloud.bucket, storage.project, ready.config.cloud.region)
    taking = lock.LockRequest(service.service, ledger.run, ready.unlock)
    held.enter_context(lock.hold_lock(buckets.BucketLock(storage, bucket, service), taking, tell))
    recorded = buckets.read_lines(storage, bucket, ledgers.folder_of(service), known, _RECENT)
    # a line is also in the file here: whoever waits for the deploy does not wait long for its copy
    copies = held.enter_context(StorageClient(ready.project, patience=_COPY_PATIENCE))
    ledger.elsewhere = lambda name, data: copies.create(bucket, name, data)
    return recorded


# ------------------------------------------------------------------------------------------ rollback and history


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
    if config.deploy.kind is DeployKind.JOB:
        raise UsageError(f"{service} is a job, and has no traffic", hint="deploy the commit that it ran before")
    if len(config.deploy.regions) > 1 and not request.region:
        regions = ", ".join(config.deploy.regions)
        raise UsageError(f"{service} runs in several regions: {regions}", hint="pass --region NAME")
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
            raise UnprovenError(
                f"{wanted} is not ready: {target.message}", hint="buildguard history, and --revision NAME"
            )
        watcher.tell(f"rollback: all traffic of {service} to {wanted}")
        ledger = Ledger(file, run_id, identity, str(target.annotations.get(COMMIT, "")))
        ledger.elsewhere = lambda name, data: storage.create(bucket, name, data)
        ledger.write("rollback", StepVerdict.BEGUN, 0.0, {"revision": wanted, "from": current.only_revision})
        routed = run.route(service, [TrafficShare(wanted, 100)], current.etag)
        if routed.only_revision != wanted:
            raise UnprovenError(f"{service} does not serve {wanted} alone")
        at = app.matches(target.containers)
        digest = target.containers[at[0]].digest if len(at) == 1 else ""
        latest = latest_of(current)  # for the next deploy: the traffic is pinned by name from here on
        followed = {"latest": latest.whole, "latest_tags": list(latest.tags)}
        evidence = {"revision": wanted, "url": routed.url, "digest": digest, **followed}
        ledger.write("rollback", StepVerdict.OK, 0.0, evidence)
        return RollbackResult(service, current.only_revision, wanted, routed.url)


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
    proven = [line for line in lines if line.verdict == StepVerdict.OK and line.step in {DeployStep.PROVE, "rollback"}]
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
