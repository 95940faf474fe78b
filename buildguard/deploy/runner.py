"""The steps of one deploy in their order, and the way out where Cloud Build cannot build."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from buildguard.deploy import fallback, steps
from buildguard.deploy.build import BuildEndedError
from buildguard.deploy.context import DeployContext, Observation, StepResult
from buildguard.deploy.outcome import DeployStoppedError, StepOutcome
from buildguard.deploy.plan import Builder, DeployStep, Step
from buildguard.deploy.planning import make_plan
from buildguard.deploy.service_steps import roll_back
from buildguard.errors import GuardError, Reason
from buildguard.project import ledger as ledgers
from buildguard.project.ledger import StepVerdict

_DONE = frozenset({StepVerdict.OK, StepVerdict.SKIPPED})
_IN_CLOUD = frozenset({DeployStep.UPLOAD, DeployStep.BUILD})


def _nothing() -> None:
    """No job waits for the traffic."""


class DeployRunner:
    """A deploy under way: its steps in their order, and the way out where Cloud Build cannot build."""

    def __init__(self, context: DeployContext, ask: Callable[[str], bool | None]) -> None:
        self.before_traffic: Callable[[], None] = _nothing
        self.decisions: list[str] = []
        self.observed = Observation()
        self._services = context.services
        self._progress = context.progress
        self._ask = ask
        self._uploads = 0

    @property
    def context(self) -> DeployContext:
        """What is known of the deploy by now."""
        return self._progress.context

    def run(self) -> None:
        """Every step of the plan; what is not reached is said to be skipped."""
        self._services.ledger.builder = self.context.plan.wishes.builder
        went_well = self._attempt(executes=not self.is_waiting)
        if not (went_well and self.is_waiting):
            self._end()

    @property
    def is_waiting(self) -> bool:
        """Whether it is a job that has not been executed, and waits for the traffic of a service."""
        wishes, done = self.context.plan.wishes, {outcome.step for outcome in self.context.outcomes}
        waits = wishes.is_job and wishes.before_traffic and not wishes.no_traffic
        return waits and DeployStep.EXECUTE not in done

    def cancel(self, why: str) -> None:
        """End a job that waited in vain."""
        self._leave(why)
        self._end()

    def _attempt(self, *, executes: bool = True) -> bool:
        """Do each step of the plan that is left; whether all of them succeeded. Without `executes` it ends before a job's execution."""
        try:
            while (step := self._next_step()) is not None and (executes or step.id is not DeployStep.EXECUTE):
                self._do(step)
            if executes:
                self._verify_after()
        except DeployStoppedError as error:
            self._leave(f"not reached: {error.what[:120]}")
            self.observed = steps.observe(steps.restore(self.context))
            return False
        return True

    def _leave(self, why: str) -> None:
        """Say of each step that was not begun why that is so."""
        done = {outcome.step for outcome in self.context.outcomes}
        for step in self.context.plan.steps:
            if step.id not in done:
                self._skip(step, why)

    def _end(self) -> None:
        reached = [outcome.verdict for outcome in self.context.outcomes if outcome.verdict is not StepVerdict.SKIPPED]
        self._services.ledger.write(ledgers.END, reached[-1], 0.0, {})

    def _next_step(self) -> Step | None:
        """The first step of the plan that did not succeed yet; the fallback changes the plan on the way."""
        done = {outcome.step for outcome in self.context.outcomes if outcome.verdict in _DONE}
        if not self.context.plan.serving.exists:
            done.add(DeployStep.TRAFFIC)  # a first revision gets its traffic as it comes up
        return next((step for step in self.context.plan.steps if step.id not in done), None)

    # ------------------------------------------------------------------------------------------ one step

    def _do(self, step: Step) -> None:
        """One step, with what comes before it and what takes its place."""
        plan = self.context.plan
        if step.skipped:
            self._skip(step, step.skipped, {"reason": step.skipped})
        elif step.id in _IN_CLOUD and plan.wishes.builder is Builder.CLOUD:
            self._do_in_cloud(step)
        elif step.id is (DeployStep.REVISION if plan.serving.alone else DeployStep.TRAFFIC):
            self.step(step._replace(run=self._behind_jobs(step)))
        else:
            self.step(step)

    def step(self, step: Step) -> None:
        """Run one step: written down before it begins, and when it has its verdict. Raises DeployStoppedError where the deploy ends there."""
        services = self._services
        self._progress.at = step.id
        services.watcher.tell(f"{step.id}: {step.will}")
        services.ledger.write(step.id, StepVerdict.BEGUN, 0.0, {})
        started = time.monotonic()
        try:
            result = self._run_or_share(step)
        except GuardError as error:
            verdict = StepVerdict.FAILED if error.exit_code == 1 else StepVerdict.UNPROVEN
            evidence = getattr(error, "evidence", {})
            self._close(StepOutcome(step.id, verdict, time.monotonic() - started, error.words, evidence))
            if isinstance(error, DeployStoppedError):
                raise
            proven = error.exit_code == 1
            raise DeployStoppedError(error.what, hint=error.hint, proven=proven, reason=error.reason) from error
        result.context.publish()
        self._close(StepOutcome(step.id, StepVerdict.OK, time.monotonic() - started, result.words, result.evidence))

    def _run_or_share(self, step: Step) -> StepResult:
        """Run a step, or take what another deploy of the same commit did already."""
        context = self.context
        if step.shares is None:
            return step.run(context)
        key = (step.id, *step.shares(context))
        # an upload that failed is tried again
        keeps_failure = step.id is not DeployStep.UPLOAD
        result = self._services.shared.once(key, lambda: step.run(context), keeps_failure=keeps_failure)
        if result.context.progress is self._progress:
            return result
        return result._replace(context=context._replace(stored=result.context.stored, built=result.context.built))

    def _skip(self, step: Step, why: str, evidence: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Record a step that is left out on purpose (with evidence), or not reached."""
        self._close(StepOutcome(step.id, StepVerdict.SKIPPED, 0.0, why, evidence))

    def _close(self, outcome: StepOutcome) -> None:
        context = self.context
        context._replace(outcomes=(*context.outcomes, outcome)).publish()
        evidence = {**outcome.evidence, "words": outcome.words}
        self._services.ledger.write(outcome.step, outcome.verdict, outcome.seconds, evidence)

    # ------------------------------------------------------------------------------------------ Cloud Build

    def _do_in_cloud(self, step: Step) -> None:
        try:
            if step.id is DeployStep.UPLOAD:
                self._tried_twice(step)
            else:
                self.step(step)
        except DeployStoppedError as error:
            self._fall_back(error)

    def _tried_twice(self, step: Step) -> None:
        """Bytes that changed on their way are sent once more."""
        self._uploads = 1
        try:
            self.step(step)
        except DeployStoppedError as error:
            if error.reason is not Reason.CHANGED:
                raise
            self.decisions.append(f"{error.what}: sent once more")
            self._uploads = 2
            self.step(step)

    def _fall_back(self, error: DeployStoppedError) -> None:
        """Build here instead, where the table and the person say so; else the deploy ends as it did."""
        cause = error.__cause__
        in_bucket = self.context.outcomes[-1].step == DeployStep.UPLOAD
        row = fallback.rule_of(error.reason, in_bucket=in_bucket)
        tries = f" ({self._uploads} uploads)" if in_bucket and self._uploads > 1 else ""
        if isinstance(cause, BuildEndedError) and cause.builds > 1:
            tries = f" ({cause.builds} builds)"
        ready = self.context.prepared
        said: bool | None = None
        if fallback.needs_confirmation(row, ready.fallback):
            said = self._ask(f"{row.name}: build on this machine instead?")
        take = fallback.decide_fallback(row, ready.fallback, asked=said)
        self.decisions.append(
            f"{row.name}{tries} → {row.leads_to}; fallback = {ready.fallback}: {'building here' if take else 'stopped'}"
        )
        if not take:
            raise error
        was, wishes = ready.plan, ready.plan.wishes._replace(builder=Builder.LOCAL)
        plan = make_plan(was.source, was.packed, was.building, was.serving, wishes)
        self.context._replace(prepared=ready._replace(plan=plan)).publish()
        self._services.ledger.builder = Builder.LOCAL

    # ------------------------------------------------------------------------------------------ traffic

    def execute_now(self) -> None:
        """Execute a job that waited for the traffic of a service. Raises DeployStoppedError where it fails."""
        went_well = self._attempt()
        self._end()
        if not went_well:
            last = next(outcome for outcome in reversed(self.context.outcomes) if outcome.is_reached)
            raise DeployStoppedError(
                f"the job {self.context.plan.wishes.name} failed: {last.words}",
                proven=last.verdict is StepVerdict.FAILED,
            )

    def _behind_jobs(self, step: Step) -> Callable[[DeployContext], StepResult]:
        """A step that begins with the jobs that come before the traffic."""

        def both(context: DeployContext) -> StepResult:
            self.before_traffic()
            return step.run(context)

        return both

    def _verify_after(self) -> None:
        """Once more against the address of the service, after its traffic has moved; back to the old revision where that fails."""
        plan = self.context.plan
        planned = {step.id: step for step in plan.steps}
        if DeployStep.VERIFY not in planned or not plan.wishes.verify_after or plan.wishes.no_traffic:
            return
        try:
            self.step(planned[DeployStep.VERIFY])
        except DeployStoppedError as error:
            if error.exit_code == 1 and plan.serving.exists:
                why = f"verified after traffic: {error.what}"
                self.step(planned[DeployStep.TRAFFIC]._replace(run=lambda context: roll_back(context, why)))
            raise
