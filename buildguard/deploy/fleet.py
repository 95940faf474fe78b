"""Several services, or one in several regions, deployed as one plan: the commit is checked, packed and sent once, each image built once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from buildguard.check.targets import Watcher
from buildguard.deploy.cycle import CycleRenderer
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.prepare import DeployRequest, PreparedDeploy, prepare_deploys
from buildguard.deploy.run import BegunDeploy, DeployReport, DeployRunner, archive_file, begin, refuse, run_prepared
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
        codes = {report.exit_code for report in self.reports}
        return next((code for code in (1, 3) if code in codes), 0)


def plan_deploys(request: DeployRequest) -> FleetReport:
    """What a deploy of all services of a request would do, and what it would refuse. Nothing is run or changed."""
    with archive_file() as archive:
        return FleetReport(tuple(DeployReport(ready.plan, None) for ready in prepare_deploys(request, archive)))


def deploy_all(
    request: DeployRequest, watcher: Watcher, ask: Callable[[str], bool | None], render: CycleRenderer | None = None
) -> FleetReport:
    """Deploy the commit to each service and region; `ask` puts a question to the person, None without a terminal.

    `render` makes the report of each cycle.

    One that fails stops those that are after it, and leaves all others as they are. Raises UsageError for a request that makes
    no sense, LockHeldError while another run deploys one of the services.
    """
    with archive_file() as archive:
        several = prepare_deploys(request, archive)
        if any(ready.plan.refusals for ready in several):
            return FleetReport(tuple(_refused(ready, render) for ready in several))
        labels = ", ".join(ready.label for ready in several)
        if not ask(f"deploy commit {several[0].plan.source.commit[:12]} to {labels}?"):
            raise UsageError("aborted: confirmation needed, and none was given", hint="pass --yes where no terminal is")
        shared = SharedWork()
        with ExitStack() as held:
            begun = [begin(ready, uuid.uuid4().hex[:8], held, watcher, shared) for ready in several]
            runners = [(DeployRunner(each.run, _ask_once(shared, ask)), each) for each in begun]
            return FleetReport(tuple(_deploy_in_order(runners, watcher, render)))


def _deploy_in_order(
    runners: Sequence[tuple[DeployRunner, BegunDeploy]], watcher: Watcher, render: CycleRenderer | None
) -> Iterator[DeployReport]:
    failed: list[PreparedDeploy] = []
    for runner, begun in runners:
        ready = runner.deploy.prepared
        blocker = _blocker(ready, [each.deploy.prepared for each, _begun in runners], failed)
        if len(runners) > 1:
            watcher.tell(f"── {ready.label}")
        report = _skipped(ready, blocker) if blocker is not None else run_prepared(runner, watcher, begun, render)
        if report.exit_code:
            failed.append(ready)
        yield report


def _blocker(
    ready: PreparedDeploy, every: Sequence[PreparedDeploy], failed: Sequence[PreparedDeploy]
) -> PreparedDeploy | None:
    """The deploy that this one is after, and that failed: the one in the same region, if there is one."""
    for name in ready.config.deploy.after:
        same = [other for other in every if other.plan.wishes.name == name]
        nearest = [other for other in same if other.region == ready.region] or same
        blocked = next((other for other in nearest if other in failed), None)
        if blocked is not None:
            return blocked
    return None


def _skipped(ready: PreparedDeploy, blocker: PreparedDeploy) -> DeployReport:
    """The report of a deploy that was not begun: nothing of its service was touched."""
    why = f"not begun: {blocker.label} was not deployed"
    outcomes = tuple(StepOutcome(step.id, StepVerdict.SKIPPED, 0.0, why, _EMPTY) for step in ready.plan.steps)
    return DeployReport(ready.plan, outcomes, blocked=why)


def _refused(ready: PreparedDeploy, render: CycleRenderer | None) -> DeployReport:
    if ready.plan.refusals:
        return refuse(ready, render)
    return DeployReport(ready.plan, (), blocked="not begun: another deploy of this plan is refused")


def _ask_once(shared: SharedWork, ask: Callable[[str], bool | None]) -> Callable[[str], bool | None]:
    """The same question is asked once for all."""
    return lambda question: shared.once(("question", question), lambda: ask(question))
