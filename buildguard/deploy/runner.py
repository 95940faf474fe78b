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
from buildguard.docker.build_image import BuildFailedError
from buildguard.errors import Reason
from buildguard.project import ledger as ledgers
from buildguard.project.ledger import StepVerdict


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
        parts = (self._before, self._image) if self.deploy.prepared.promotion is None else (self._promotion,)
        went_well = self._attempt(*parts, self._target)
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

    def _attempt(self, *parts: Callable[[], object]) -> bool:
        """Do some parts of the plan; whether all of them came to their end."""
        try:
            for part in parts:
                part()
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

    def _before(self) -> None:
        self.deploy.ledger.builder = self.deploy.plan.wishes.builder
        self.deploy.step(DeployStep.CHECK, self.deploy.check)
        self.deploy.step(DeployStep.ARCHIVE, self.deploy.archive)

    def _promotion(self) -> None:
        self.deploy.ledger.builder = self.deploy.plan.wishes.builder
        self.deploy.step(DeployStep.PROMOTE, self.deploy.promote)

    def _image(self) -> None:
        going = self.deploy
        if going.plan.wishes.builder is Builder.CLOUD:
            try:
                self._tried_twice(DeployStep.UPLOAD, going.upload)
                going.step(DeployStep.BUILD, going.build_in_cloud)
            except DeployStoppedError as error:
                self._fall_back(error)
        if going.plan.wishes.builder is Builder.LOCAL:
            going.step(DeployStep.BUILD, self._built_here)
        going.step(DeployStep.VERIFY_IMAGE, going.verify_image)
        self._start()
        if going.plan.wishes.builder is Builder.LOCAL:
            going.step(DeployStep.PUSH, going.push)

    def _start(self) -> None:
        """Start a service's image; a job listens nowhere, and its execution is the proof."""
        going, reason = self.deploy, self.deploy.plan.wishes.skip_start
        if isinstance(going, JobRun):
            return
        if reason:
            going.skip(DeployStep.START, reason, {"reason": reason})
        else:
            going.step(DeployStep.START, going.start)

    def _built_here(self) -> StepResult:
        try:
            return self.deploy.build_here()
        except BuildFailedError as error:
            last = error.log.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
            raise DeployStoppedError(
                f"{error.what}: {last[0][:200]}", evidence={"log": error.log.decode("utf-8", "replace")}
            ) from error

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

    def _target(self) -> None:
        """The service or the job."""
        if isinstance(self.deploy, JobRun):
            self._job(self.deploy)
        else:
            self._service(self.deploy)

    def _job(self, going: JobRun) -> None:
        going.step(DeployStep.VALIDATE, going.validate)
        if not going.plan.wishes.before_traffic:
            self._execution(going)

    def _execution(self, going: JobRun) -> None:
        going.step(DeployStep.EXECUTE, going.execute)
        going.step(DeployStep.PROVE, going.prove)

    def execute_now(self) -> None:
        """Execute a job that waited for the traffic of a service. Raises DeployStoppedError where it fails."""
        going = self.deploy
        assert isinstance(going, JobRun)
        went_well = self._attempt(lambda: self._execution(going))
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

    def _service(self, going: DeployRun) -> None:
        wishes, serving = going.plan.wishes, going.plan.serving
        going.step(DeployStep.VALIDATE, going.validate)
        # a first revision gets its traffic as it comes up
        going.step(
            DeployStep.REVISION, self._behind_jobs(going.make_revision) if serving.alone else going.make_revision
        )
        first = not serving.exists
        going.step(DeployStep.HEALTH, going.health)
        if wishes.verify:
            going.step(DeployStep.VERIFY, going.verify)
        if wishes.no_traffic:
            return
        if not first:
            going.step(DeployStep.TRAFFIC, going.traffic if serving.alone else self._behind_jobs(going.traffic))
        going.step(DeployStep.PROVE, going.prove)
        if wishes.verify and wishes.verify_after:
            try:
                going.step(DeployStep.VERIFY, lambda: going.verify(going.url))
            except DeployStoppedError as error:
                if error.exit_code == 1 and not first:
                    why = f"verified after traffic: {error.what}"
                    going.step(DeployStep.TRAFFIC, lambda: going.roll_back(why))
                raise
