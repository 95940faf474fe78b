"""The steps of one deploy in their order, and the way out where Cloud Build cannot build."""

from __future__ import annotations

from collections.abc import Callable

from buildguard.deploy import fallback
from buildguard.deploy import plan as plans
from buildguard.deploy.build import BuildEndedError
from buildguard.deploy.job_steps import JobRun
from buildguard.deploy.outcome import DeployStoppedError, StepAction, StepResult
from buildguard.deploy.plan import Builder, DeployStep
from buildguard.deploy.steps import DeployRun, Observation
from buildguard.errors import Reason
from buildguard.project import ledger as ledgers
from buildguard.project.ledger import StepVerdict

_DONE = frozenset({StepVerdict.OK, StepVerdict.SKIPPED})
_IN_CLOUD = frozenset({DeployStep.UPLOAD, DeployStep.BUILD})


def _nothing() -> None:
    """No job waits for the traffic."""


class DeployRunner:
    """A deploy under way: its steps in their order, and the way out where Cloud Build cannot build."""

    def __init__(self, going: DeployRun | JobRun, ask: Callable[[str], bool | None]) -> None:
        self.deploy = going
        self.before_traffic: Callable[[], None] = _nothing
        self.decisions: list[str] = []
        self.observed = Observation()
        self._ask = ask
        self._uploads = 0

    def run(self) -> None:
        """Every step of the plan; what is not reached is said to be skipped."""
        self.deploy.ledger.builder = self.deploy.plan.wishes.builder
        went_well = self._attempt(executes=not self.is_waiting)
        if not (went_well and self.is_waiting):
            self._end()

    @property
    def is_waiting(self) -> bool:
        """Whether it is a job that has not been executed, and waits for the traffic of a service."""
        wishes, done = self.deploy.plan.wishes, {outcome.step for outcome in self.deploy.outcomes}
        waits = wishes.is_job and wishes.before_traffic and not wishes.no_traffic
        return waits and DeployStep.EXECUTE not in done

    def cancel(self, why: str) -> None:
        """End a job that waited in vain."""
        self.leave(why)
        self._end()

    def _attempt(self, *, executes: bool = True) -> bool:
        """Do each step of the plan that is left; whether all of them succeeded. Without `executes` it ends before a job's execution."""
        try:
            while (step := self._next_step()) is not None and (executes or step is not DeployStep.EXECUTE):
                self._do(step)
            if executes:
                self._verify_after()
        except DeployStoppedError as error:
            self.leave(f"not reached: {error.what[:120]}")
            self.deploy.restore()
            self.observed = self.deploy.observe()
            return False
        return True

    def leave(self, why: str) -> None:
        """Say of each step that was not begun why that is so."""
        done = {outcome.step for outcome in self.deploy.outcomes}
        for step in self.deploy.plan.steps:
            if step.id not in done:
                self.deploy.skip(step.id, why)

    def _end(self) -> None:
        reached = [outcome.verdict for outcome in self.deploy.outcomes if outcome.verdict is not StepVerdict.SKIPPED]
        self.deploy.ledger.write(ledgers.END, reached[-1], 0.0, {})

    def _next_step(self) -> DeployStep | None:
        """The first step of the plan that did not succeed yet; the fallback changes the plan on the way."""
        done = {outcome.step for outcome in self.deploy.outcomes if outcome.verdict in _DONE}
        if not self.deploy.plan.serving.exists:
            done.add(DeployStep.TRAFFIC)  # a first revision gets its traffic as it comes up
        return next((step.id for step in self.deploy.plan.steps if step.id not in done), None)

    def _do(self, step: DeployStep) -> None:
        """One step, with what comes before it and what takes its place."""
        going, wishes = self.deploy, self.deploy.plan.wishes
        if step is DeployStep.START and wishes.skip_start:
            going.skip(step, wishes.skip_start, {"reason": wishes.skip_start})
        elif step in _IN_CLOUD and wishes.builder is Builder.CLOUD:
            self._do_in_cloud(step)
        elif step is (DeployStep.REVISION if going.plan.serving.alone else DeployStep.TRAFFIC):
            going.step(step, self._behind_jobs(going.actions[step]))
        else:
            going.step(step, going.actions[step])

    def _do_in_cloud(self, step: DeployStep) -> None:
        try:
            if step is DeployStep.UPLOAD:
                self._tried_twice(step, self.deploy.actions[step])
            else:
                self.deploy.step(step, self.deploy.actions[step])
        except DeployStoppedError as error:
            self._fall_back(error)

    def _tried_twice(self, step: DeployStep, act: StepAction) -> None:
        """Bytes that changed on their way are sent once more."""
        self._uploads = 1
        try:
            self.deploy.step(step, act)
        except DeployStoppedError as error:
            if error.reason is not Reason.CHANGED:
                raise
            self.decisions.append(f"{error.what}: sent once more")
            self._uploads = 2
            self.deploy.step(step, act)

    def _fall_back(self, error: DeployStoppedError) -> None:
        """Build here instead, where the table and the person say so; else the deploy ends as it did."""
        cause = error.__cause__
        in_bucket = self.deploy.outcomes[-1].step == DeployStep.UPLOAD
        row = fallback.rule_of(error.reason, in_bucket=in_bucket)
        tries = f" ({self._uploads} uploads)" if in_bucket and self._uploads > 1 else ""
        if isinstance(cause, BuildEndedError) and cause.builds > 1:
            tries = f" ({cause.builds} builds)"
        ready = self.deploy.prepared
        said: bool | None = None
        if fallback.needs_confirmation(row, ready.fallback):
            said = self._ask(f"{row.name}: build on this machine instead?")
        take = fallback.decide_fallback(row, ready.fallback, asked=said)
        self.decisions.append(
            f"{row.name}{tries} → {row.leads_to}; fallback = {ready.fallback}: {'building here' if take else 'stopped'}"
        )
        if not take:
            raise error
        wishes = ready.plan.wishes._replace(builder=Builder.LOCAL)
        was = ready.plan
        new_plan = plans.make_plan(was.source, was.packed, was.building, was.serving, wishes)
        self.deploy.prepared = ready._replace(plan=new_plan)
        self.deploy.plan = new_plan
        self.deploy.ledger.builder = Builder.LOCAL

    def execute_now(self) -> None:
        """Execute a job that waited for the traffic of a service. Raises DeployStoppedError where it fails."""
        going = self.deploy
        went_well = self._attempt()
        self._end()
        if not went_well:
            last = next(outcome for outcome in reversed(going.outcomes) if outcome.is_reached)
            raise DeployStoppedError(
                f"the job {going.plan.wishes.name} failed: {last.words}",
                proven=last.verdict is StepVerdict.FAILED,
            )

    def _behind_jobs(self, act: StepAction) -> StepAction:
        """A step that begins with the jobs that come before the traffic."""

        def both() -> StepResult:
            self.before_traffic()
            return act()

        return both

    def _verify_after(self) -> None:
        """Once more against the address of the service, after its traffic has moved; back to the old revision where that fails."""
        going, wishes = self.deploy, self.deploy.plan.wishes
        if not (isinstance(going, DeployRun) and wishes.verify and wishes.verify_after) or wishes.no_traffic:
            return
        try:
            going.step(DeployStep.VERIFY, lambda: going.verify(going.url))
        except DeployStoppedError as error:
            if error.exit_code == 1 and going.plan.serving.exists:
                why = f"verified after traffic: {error.what}"
                going.step(DeployStep.TRAFFIC, lambda: going.roll_back(why))
            raise
