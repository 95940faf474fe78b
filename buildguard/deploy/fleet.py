"""Several services, or one in several regions, deployed as one plan: the commit is checked, packed and sent once, each image built once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from buildguard.check.targets import Watcher
from buildguard.definitions import NamedTuple
from buildguard.deploy.cycle import CycleRenderer
from buildguard.deploy.dry_run import ThisMachine
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.prepare import DeployRequest, prepare_deploys
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.deploy.run import (
    BegunDeploy,
    DeployReport,
    archive_file,
    begin,
    end_report,
    refuse,
    report_of,
    run_prepared,
)
from buildguard.deploy.runner import DeployRunner
from buildguard.deploy.shared_work import SharedWork
from buildguard.errors import UsageError
from buildguard.project.ledger import StepVerdict

_EMPTY: dict[str, object] = {}


class FleetReport(NamedTuple):
    """What `deploy` returns for all services of a request, in the order in which they were deployed."""

    reports: tuple[DeployReport, ...]

    @property
    def exit_code(self) -> int:
        """1 if one failed or was refused, else 3 if one could not be proven, else 0."""
        return _worst_code(self.reports)


def _worst_code(reports: Iterable[DeployReport]) -> int:
    codes = {report.exit_code for report in reports}
    return next((code for code in (1, 3) if code in codes), 0)


def plan_deploys(request: DeployRequest) -> FleetReport:
    """What a deploy of all services of a request would do, and what it would refuse. Nothing is run or changed."""
    with archive_file() as archive:
        several, here = prepare_deploys(request, archive), ThisMachine()
        return FleetReport(tuple(DeployReport(ready.plan, None, stops=here.stops(ready)) for ready in several))


def deploy_all(
    request: DeployRequest,
    watcher: Watcher,
    ask: Callable[[str], bool | None],
    render: CycleRenderer | None = None,
    confirm: Callable[[str], bool | None] | None = None,
) -> FleetReport:
    """Deploy the commit to each service and region; `ask` puts a question to the person, None without a terminal.

    `render` makes the report of each cycle; `confirm` is asked in place of `ask` whether to begin.

    One that fails stops those that are after it, and leaves all others as they are. Raises UsageError for a request that makes
    no sense, LockHeldError while another run deploys one of the services.
    """
    with archive_file() as archive:
        several = prepare_deploys(request, archive)
        if any(ready.plan.refusals for ready in several):
            return FleetReport(tuple(_refused(ready, render) for ready in several))
        labels = ", ".join(ready.label for ready in several)
        if not (confirm or ask)(f"deploy commit {several[0].plan.source.commit[:12]} to {labels}?"):
            raise UsageError("aborted: confirmation needed, and none was given", hint="pass --yes where no terminal is")
        shared = SharedWork()
        with ExitStack() as held:
            begun = [begin(ready, uuid.uuid4().hex[:8], held, watcher, shared) for ready in several]
            asking = _ask_once(shared, ask)
            members = [_FleetMember(DeployRunner(each.context, asking), each) for each in begun]
            return FleetReport(tuple(_deploy_in_order(_Deploying(members, watcher, shared, render))))


class _FleetMember(NamedTuple):
    """One deploy under way."""

    runner: DeployRunner
    begun: BegunDeploy

    @property
    def prepared(self) -> PreparedDeploy:
        return self.runner.context.prepared


class _Deploying(NamedTuple):
    """All deploys of a request, and what they share."""

    members: Sequence[_FleetMember]
    watcher: Watcher
    shared: SharedWork
    render: CycleRenderer | None


def _deploy_in_order(deploying: _Deploying) -> list[DeployReport]:
    """Each deploy in turn; a job that comes before the traffic is executed by the first service that is after it."""
    members, watcher, shared, render = deploying
    reports: dict[int, DeployReport] = {}
    failed: dict[int, _FleetMember] = {}
    for number, member in enumerate(members):
        before = [*_before(member.prepared, members)]
        blockers = [at for at, other in failed.items() if other in before]
        if blockers:
            code = _worst_code(reports[at] for at in blockers)
            reports[number] = _skipped(member.prepared, failed[blockers[0]].prepared, code)
            failed[number] = member
            continue
        if len(members) > 1:
            watcher.tell(f"── {member.prepared.label}")
        waiting = [other for other in before if other.runner.is_waiting]
        member.runner.before_traffic = partial(_execute, waiting, shared)
        reports[number] = run_prepared(member.runner, watcher, member.begun, render)
        if reports[number].exit_code:
            failed[number] = member
    for number, member in enumerate(members):
        if member.prepared.plan.wishes.before_traffic and number in reports:
            after = _after(member, members)
            code = _worst_code(reports[at] for at in after)
            reports[number] = _executed_report(member, reports[number], code, render)
    return [reports[number] for number in range(len(members))]


def _execute(waiting: Sequence[_FleetMember], shared: SharedWork) -> None:
    for member in waiting:
        shared.once(("job", member.prepared.service_id), member.runner.execute_now)


def _executed_report(
    member: _FleetMember, report: DeployReport, after: int, render: CycleRenderer | None
) -> DeployReport:
    """The report of a job that waited for the traffic of a service, now that all are through; `after` is what those ended with."""
    if report.blocked or report.finished is not None:
        return report
    if not member.runner.is_waiting:
        return end_report(report_of(member.runner, member.begun), member.runner, member.begun, render)
    why = "not executed: no service that is after it came to its traffic"
    member.runner.cancel(why)
    unexecuted = report_of(member.runner, member.begun)._replace(blocked=why, blocked_code=after or 1)
    return end_report(unexecuted, member.runner, member.begun, render)


def _before(ready: PreparedDeploy, members: Sequence[_FleetMember]) -> Iterator[_FleetMember]:
    """The deploys that one is after: those in the same region, where there are any."""
    for name in ready.config.deploy.after:
        same = [member for member in members if member.prepared.plan.wishes.name == name]
        yield from [member for member in same if member.prepared.region == ready.region] or same


def _after(member: _FleetMember, members: Sequence[_FleetMember]) -> list[int]:
    """The numbers of the deploys that are after one."""
    return [at for at, other in enumerate(members) if member in _before(other.prepared, members)]


def _skipped(ready: PreparedDeploy, blocker: PreparedDeploy, code: int) -> DeployReport:
    """The report of a deploy that was not begun, because another one ended with a code: nothing of its service was touched."""
    why = f"not begun: {blocker.label} was not deployed"
    outcomes = tuple(StepOutcome(step.id, StepVerdict.SKIPPED, 0.0, why, _EMPTY) for step in ready.plan.steps)
    return DeployReport(ready.plan, outcomes, blocked=why, blocked_code=code)


def _refused(ready: PreparedDeploy, render: CycleRenderer | None) -> DeployReport:
    if ready.plan.refusals:
        return refuse(ready, render)
    return DeployReport(ready.plan, (), blocked="not begun: another deploy of this plan is refused")


def _ask_once(shared: SharedWork, ask: Callable[[str], bool | None]) -> Callable[[str], bool | None]:
    """The same question is asked once for all."""
    return lambda question: shared.once(("question", question), lambda: ask(question))
