"""The steps of a deploy on a job: its image by the digest, one execution, and how its tasks ended; the former image where that fails."""

from __future__ import annotations

import os
from typing import Any

from buildguard.deploy.image_steps import ImageSteps
from buildguard.deploy.outcome import DeployStoppedError, StepAction, StepResult
from buildguard.deploy.plan import DeployStep
from buildguard.deploy.steps import Observation
from buildguard.errors import GuardError, UnprovenError
from buildguard.gcp import revision_names
from buildguard.gcp.auth import redact
from buildguard.gcp.cloud_logging import CloudLoggingClient
from buildguard.gcp.cloud_run_jobs import CloudRunJobsClient, ExecutionState, NewImage, TaskState
from buildguard.project.ledger import RESTORE, StepVerdict

_FEW = 5  # lines of the log, and tasks, that are kept as evidence


class JobRun(ImageSteps):
    """One run over the plan of a job."""

    @property
    def _job(self) -> str:
        return self.plan.wishes.service

    def _new_image(self) -> NewImage:
        wanted = () if self.plan.serving.exists else self.prepared.config.deploy.required_env
        env = {name: os.environ[name] for name in wanted if name in os.environ}
        notes = {
            revision_names.COMMIT: self.plan.source.commit,
            revision_names.ARCHIVE: self.prepared.archive_digest,
        }
        return NewImage(self.image.reference, env, notes, self._etag)

    @property
    def actions(self) -> dict[DeployStep, StepAction]:
        """What each step of the plan does."""
        return super().actions | {
            DeployStep.VALIDATE: self.validate,
            DeployStep.EXECUTE: self.execute,
            DeployStep.PROVE: self.prove,
        }

    def validate(self) -> StepResult:
        """Have Cloud Run say whether it would take the image."""
        with self._run() as run:
            run.put(self._job, self._new_image(), validate_only=True)
        return f"{self._job} would be changed", {}

    def execute(self) -> StepResult:
        """Give the job the image, and execute it once."""
        evidence: dict[str, Any] = {"former": self.plan.serving.rollback_to}
        self.ledger.write(DeployStep.EXECUTE, StepVerdict.BEGUN, 0.0, evidence)
        with self._run() as run:
            self.is_made = True
            state = run.put(self._job, self._new_image())
            if state.container.digest != self.image.digest:
                raise DeployStoppedError(f"{self._job} has {state.container.image}, and not {self.image.reference}")
            started = run.execute(self._job)
            self.revision = started.name.rpartition("/")[2]
            self._watcher.tell(f"execute: {self.revision} has begun")
            ended = run.wait(started, state.seconds)
            tasks = run.tasks(ended.name)
        evidence |= self._evidence(ended, tasks)
        if not _is_proven(ended, tasks):
            raise DeployStoppedError(
                self._failure(ended, tasks, evidence["log"]), hint=ended.log_url, evidence=evidence
            )
        return f"{self.revision}: {ended.counts}{_last_line(evidence['log'])}", {**evidence, **self.settled_imports()}

    def _evidence(self, ended: ExecutionState, tasks: list[TaskState]) -> dict[str, Any]:
        app = self.prepared.app
        at = app.matches(ended.containers)
        return {
            "execution": self.revision,
            "digest": ended.containers[at[0]].digest if len(at) == 1 else "",
            "tasks": [task._asdict() for task in tasks[:_FEW]],
            "succeeded": ended.good,
            "log": self._log(),
        }

    def _failure(self, ended: ExecutionState, tasks: list[TaskState], log: list[str]) -> str:
        bad = next((task for task in tasks if not task.succeeded), None)
        why = f": task {bad.number} ended with exit code {bad.exit_code}" if bad is not None else ""
        if bad is None and ended.message:
            why = f": {redact(ended.message)[:200]}"
        return f"{self.revision}: {ended.counts}{why}{_last_line(log)}"

    def _log(self) -> list[str]:
        """The last lines that the execution wrote; empty where its log cannot be read, which is noted."""
        try:
            with CloudLoggingClient(self.prepared.project) as logs:
                lines = logs.read_execution(self._job, self.revision, self.prepared.region, _FEW)
        except UnprovenError as error:
            self.notes.append(f"the log of {self.revision} was not read: {error.what}")
            return []
        return [redact(line)[:200] for line in lines]

    def prove(self) -> StepResult:
        """The job has the image that was built, and that was executed."""
        executed = next((step.evidence for step in self.outcomes if step.step is DeployStep.EXECUTE), {})
        with self._run() as run:
            state = run.get(self._job)
        if state is None or state.container.digest != self.image.digest:
            image = state.container.image if state is not None else "nothing"
            raise DeployStoppedError(f"{self._job} has {image}, and not {self.image.reference}")
        if executed.get("digest") != self.image.digest:
            what = (
                f"{self.revision} executed {executed.get('digest') or 'an unknown image'}, and not {self.image.digest}"
            )
            raise DeployStoppedError(what)
        evidence = {
            "execution": self.revision,
            "digest": self.image.digest,
            "instead_of": self.plan.serving.rollback_to,
        }
        return f"{self._job} has the image that {self.revision} executed, by the digest that was built", evidence

    # -------------------------------------------------------------------------------------- the end

    def restore(self) -> None:
        """After a failure: the former image, so that the next execution by anybody is of what is proven."""
        former = self.plan.serving.rollback_to
        if not self.is_made or not former:
            return
        verdict, words = StepVerdict.OK, f"the image of the job {self._job} is {former} again"
        try:
            with self._run() as run:
                state = run.get(self._job)
                if state is None or self.built is None or state.container.digest != self.image.digest:
                    return
                restored = run.put(self._job, NewImage(former, etag=state.etag))
                if restored.container.image != former:
                    raise UnprovenError(f"it has {restored.container.image}")
        except GuardError as error:
            verdict, words = StepVerdict.UNPROVEN, f"the image of the job {self._job} was not restored: {error.words}"
        self.notes.append(words)
        self.ledger.write(RESTORE, verdict, 0.0, {"image": former, "words": words})

    def observe(self) -> Observation:
        """Nothing: a job has no traffic."""
        return Observation()

    def _run(self) -> CloudRunJobsClient:
        return CloudRunJobsClient(self.prepared.project, self.prepared.region, self.prepared.app)


def _is_proven(ended: ExecutionState, tasks: list[TaskState]) -> bool:
    """Whether every task of an execution succeeded, by the execution's own counts and by its tasks."""
    everything = ended.tasks > 0 and ended.good == ended.tasks == len(tasks) and not ended.bad
    return ended.succeeded and everything and all(task.succeeded for task in tasks)


def _last_line(log: list[str]) -> str:
    return f"; its last line: {log[-1]}" if log else ""
