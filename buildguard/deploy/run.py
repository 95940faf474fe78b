"""`buildguard deploy`: from a plan to proof of what serves."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import assert_never

from buildguard.check.targets import Watcher
from buildguard.definitions import NamedTuple
from buildguard.deploy import bucket_store as buckets
from buildguard.deploy import lock
from buildguard.deploy.context import DeployContext, DeployServices, Observation, begin_context
from buildguard.deploy.cycle import (
    CycleEnd,
    CycleKeeper,
    CycleRenderer,
    FinishedCycle,
    expectations_of,
    finish,
    make_record,
    make_refused_record,
)
from buildguard.deploy.dry_run import PlanStop, ThisMachine
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.plan import DeployPlan
from buildguard.deploy.prepare import DeployRequest, prepare_deploy
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.deploy.runner import DeployRunner
from buildguard.deploy.shared_work import SharedWork
from buildguard.deploy.why import explain_end
from buildguard.diagnostic import count
from buildguard.errors import DeployInterruptedError, GuardError, UnprovenError, UsageError
from buildguard.gcp.cloud_build import running_build_error
from buildguard.gcp.storage import StorageClient
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import ledger_path
from buildguard.project.ledger import Ledger, LedgerLine, StepVerdict
from buildguard.system.temporary import folder_of

_COPY_PATIENCE = 10.0  # seconds that one line may take on its way into the bucket
_RECENT = 120  # lines of the ledger in the bucket that a deploy looks back on


class DeployReport(NamedTuple):
    """What `deploy` returns: the plan, what each step came to, decisions on the way, and where it serves.

    `outcomes` is None for a dry run, and empty where the plan was refused; `observed` is who serves after a failure. `blocked` is
    why it was not begun, where another deploy of the same plan is the reason, and `blocked_code` what that one ended with; `stops` are the steps at which a dry run sees that the
    plan would stop on this machine.
    """

    plan: DeployPlan
    outcomes: tuple[StepOutcome, ...] | None
    decisions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    revision: str = ""
    url: str = ""
    observed: Observation = Observation()
    blocked: str = ""
    finished: FinishedCycle | None = None
    stops: tuple[PlanStop, ...] = ()
    blocked_code: int = 1

    @property
    def exit_code(self) -> int:
        """1 for a failure or a refusal, else 3 for what could not be proven, else 0; what was not begun has the code of what stopped it."""
        if self.plan.refusals:
            return 1
        if self.blocked:
            return self.blocked_code
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
        ready = prepare_deploy(request, archive)
        return DeployReport(ready.plan, None, stops=ThisMachine().stops(ready))


def deploy(
    request: DeployRequest, watcher: Watcher, ask: Callable[[str], bool | None], render: CycleRenderer | None = None
) -> DeployReport:
    """Deploy the commit to one service; `ask` puts a question to the person, None without a terminal.

    `render` makes the report of its cycle.

    Raises UsageError for a request that makes no sense, LockHeldError while another run deploys the service.
    """
    with archive_file() as archive:
        ready = prepare_deploy(request, archive)
        if ready.plan.refusals:
            return refuse(ready, render)
        if not ask(f"deploy commit {ready.plan.source.commit[:12]} to {ready.label}?"):
            raise UsageError("aborted: confirmation needed, and none was given", hint="pass --yes where no terminal is")
        with ExitStack() as held:
            begun = begin(ready, uuid.uuid4().hex[:8], held, watcher, SharedWork())
            return run_prepared(DeployRunner(begun.context, ask), watcher, begun, render)


class BegunDeploy(NamedTuple):
    """A deploy that holds its lock: what is known of it, the cycles before it, notes so far, and since when."""

    context: DeployContext
    keeper: CycleKeeper
    notes: tuple[str, ...]
    began: datetime


def refuse(ready: PreparedDeploy, render: CycleRenderer | None = None) -> DeployReport:
    """The report of a deploy whose plan is refused: a cycle of its own."""
    keeper = CycleKeeper(ledger_path(ready.repository), ready.service_id)
    record = make_refused_record(ready, uuid.uuid4().hex[:8], keeper.history)
    return DeployReport(ready.plan, (), finished=finish(record, keeper, ready.repository, render))


def begin(ready: PreparedDeploy, run: str, held: ExitStack, watcher: Watcher, shared: SharedWork) -> BegunDeploy:
    """Take the lock of a service and read its ledger. Raises LockHeldError while another run deploys it."""
    file = ledger_path(ready.repository)
    ledger = Ledger(file, run, ready.service_id, ready.plan.source.commit)
    keeper = CycleKeeper(file, ready.service_id)
    notes: list[str] = []
    began = datetime.now(UTC)

    def tell(text: str) -> None:
        watcher.tell(text)
        notes.append(text)

    mine = _earlier_lines(SharedRecords(ready, ledger, held, keeper), file, tell)
    services = DeployServices(ledger, tuple(mine), watcher, shared, expectations_of(ready, keeper.history))
    return BegunDeploy(begin_context(ready, services), keeper, tuple(notes), began)


def run_prepared(
    runner: DeployRunner, watcher: Watcher, begun: BegunDeploy, render: CycleRenderer | None = None
) -> DeployReport:
    """Every step of a deploy, and what it came to; a job that waits for the traffic of a service has no end yet."""
    try:
        runner.run()
    except KeyboardInterrupt:
        raise _interruption(runner.context) from None
    except SystemExit:  # SIGTERM: nothing is asked any more
        watcher.tell(_interruption(runner.context).words)
        raise
    report = report_of(runner, begun)
    return report if runner.is_waiting else end_report(report, runner, begun, render)


def report_of(runner: DeployRunner, begun: BegunDeploy) -> DeployReport:
    """What a deploy came to so far."""
    context = runner.context
    return DeployReport(
        context.plan,
        context.outcomes,
        tuple(runner.decisions),
        (*begun.notes, *context.notes, *context.services.ledger.notes),
        context.revision,
        context.url,
        runner.observed,
    )


def end_report(
    report: DeployReport, runner: DeployRunner, begun: BegunDeploy, render: CycleRenderer | None = None
) -> DeployReport:
    """The report of a deploy that has ended, with the record of its cycle."""
    context, history = runner.context, begun.keeper.history
    is_explained = report.exit_code and not context.plan.wishes.is_job
    why = explain_end(context, history, begun.began) if is_explained else None
    diagnosis = why.as_json() if why is not None else {}
    cycle = make_record(context, history, CycleEnd(report.exit_code, report.notes, diagnosis))
    finished = finish(cycle, begun.keeper, context.prepared.repository, render)
    return report._replace(finished=finished, notes=(*report.notes, *begun.keeper.notes))


class SharedRecords(NamedTuple):
    """What a deploy shares with other machines while it runs: its lock, its ledger and its cycles."""

    ready: PreparedDeploy
    ledger: Ledger
    held: ExitStack
    keeper: CycleKeeper


def _earlier_lines(shared: SharedRecords, file: Path, tell: Callable[[str], object]) -> list[LedgerLine]:
    """What earlier deploys of the service recorded; takes the lock. Raises LockHeldError."""
    ready, ledger, held, _keeper = shared
    service = ready.plan.wishes.service
    earlier, broken = ledgers.read(file)
    if broken:
        tell(f"{count(broken, 'line')} of the ledger cannot be read")
    try:
        earlier = ledgers.merge_lines(earlier, _share_ledger(shared, earlier, tell))
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


def _interruption(context: DeployContext) -> GuardError:
    """What an interrupted deploy left behind: a build that still runs, or a share of the traffic."""
    progress, wishes = context.progress, context.plan.wishes
    if progress.running is not None:
        return running_build_error(progress.running)
    # such a revision gets its traffic as it comes up
    is_first = bool(context.revision) and context.plan.serving.alone and not wishes.is_job
    percent = 100 if is_first else progress.moving
    return DeployInterruptedError(wishes.service, progress.at, context.revision, percent, wishes.rollback)


def _share_ledger(shared: SharedRecords, known: list[LedgerLine], tell: Callable[[str], object]) -> list[LedgerLine]:
    """Take the lock in the bucket, and have the ledger kept there too; the lines that are stored there already.

    Raises UnprovenError without a bucket, LockHeldError where another run holds the lock.
    """
    ready, ledger, held, keeper = shared
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
    keeper.share(storage, bucket, ledger.elsewhere)
    return recorded
