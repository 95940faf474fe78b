"""The steps of a deploy on a job: its image by the digest, one execution, and how its tasks ended; the former image where that fails."""

from __future__ import annotations

import os
from typing import Any

from buildguard.deploy.context import DeployContext, StepResult
from buildguard.deploy.outcome import DeployStoppedError
from buildguard.deploy.plan import DeployStep
from buildguard.errors import GuardError, UnprovenError
from buildguard.gcp import revision_names
from buildguard.gcp.auth import redact
from buildguard.gcp.cloud_logging import CloudLoggingClient
from buildguard.gcp.cloud_run_jobs import CloudRunJobsClient, ExecutionState, NewImage, TaskState
from buildguard.project.ledger import RESTORE, StepVerdict

_FEW = 5  # lines of the log, and tasks, that are kept as evidence


def _connect(context: DeployContext) -> CloudRunJobsClient:
    return CloudRunJobsClient(context.prepared.project, context.prepared.region, context.prepared.app)


def _new_image(context: DeployContext) -> NewImage:
    wanted = () if context.plan.serving.exists else context.prepared.config.deploy.required_env
    env = {name: os.environ[name] for name in wanted if name in os.environ}
    notes = {
        revision_names.COMMIT: context.plan.source.commit,
        revision_names.ARCHIVE: context.prepared.archive_digest,
    }
    return NewImage(context.image.reference, env, notes, context.etag)


def validate(context: DeployContext) -> StepResult:
    """Have Cloud Run say whether it would take the image."""
    job = context.plan.wishes.service
    with _connect(context) as run:
        run.put(job, _new_image(context), validate_only=True)
    return StepResult(context, f"{job} would be changed")


def execute(context: DeployContext) -> StepResult:
    """Give the job the image, and execute it once."""
    job, services = context.plan.wishes.service, context.services
    evidence: dict[str, Any] = {"former": context.plan.serving.rollback_to}
    services.ledger.write(DeployStep.EXECUTE, StepVerdict.BEGUN, 0.0, evidence)
    with _connect(context) as run:
        context = context._replace(is_made=True).publish()
        state = run.put(job, _new_image(context))
        if state.container.digest != context.image.digest:
            raise DeployStoppedError(f"{job} has {state.container.image}, and not {context.image.reference}")
        started = run.execute(job)
        context = context._replace(revision=started.name.rpartition("/")[2]).publish()
        services.watcher.tell(f"execute: {context.revision} has begun")
        ended = run.wait(started, state.seconds)
        tasks = run.tasks(ended.name)
    log, gap = _read_log(context)
    context = context.noted(gap) if gap else context
    evidence |= {**_evidence(context, ended, tasks), "log": log}
    if not _is_proven(ended, tasks):
        words = f"{context.revision}: {ended.counts}{_problem(ended, tasks)}{_last_line(log)}"
        raise DeployStoppedError(words, hint=ended.log_url, evidence=evidence)
    words = f"{context.revision}: {ended.counts}{_last_line(log)}"
    return StepResult(context, words, {**evidence, **context.settled_imports()})


def _evidence(context: DeployContext, ended: ExecutionState, tasks: list[TaskState]) -> dict[str, Any]:
    at = context.prepared.app.matches(ended.containers)
    return {
        "execution": context.revision,
        "digest": ended.containers[at[0]].digest if len(at) == 1 else "",
        "tasks": [task._asdict() for task in tasks[:_FEW]],
        "succeeded": ended.good,
    }


def _problem(ended: ExecutionState, tasks: list[TaskState]) -> str:
    bad = next((task for task in tasks if not task.succeeded), None)
    if bad is not None:
        return f": task {bad.number} ended with exit code {bad.exit_code}"
    return f": {redact(ended.message)[:200]}" if ended.message else ""


def _read_log(context: DeployContext) -> tuple[list[str], str]:
    """The last lines that the execution wrote, or why its log cannot be read."""
    prepared = context.prepared
    try:
        with CloudLoggingClient(prepared.project) as logs:
            lines = logs.read_execution(context.plan.wishes.service, context.revision, prepared.region, _FEW)
    except UnprovenError as error:
        return [], f"the log of {context.revision} was not read: {error.what}"
    return [redact(line)[:200] for line in lines], ""


def prove(context: DeployContext) -> StepResult:
    """The job has the image that was built, and that was executed."""
    job, image = context.plan.wishes.service, context.image
    executed = next((step.evidence for step in context.outcomes if step.step is DeployStep.EXECUTE), {})
    with _connect(context) as run:
        state = run.get(job)
    if state is None or state.container.digest != image.digest:
        other = state.container.image if state is not None else "nothing"
        raise DeployStoppedError(f"{job} has {other}, and not {image.reference}")
    if executed.get("digest") != image.digest:
        other = executed.get("digest") or "an unknown image"
        raise DeployStoppedError(f"{context.revision} executed {other}, and not {image.digest}")
    evidence = {
        "execution": context.revision,
        "digest": image.digest,
        "instead_of": context.plan.serving.rollback_to,
    }
    words = f"{job} has the image that {context.revision} executed, by the digest that was built"
    return StepResult(context, words, evidence)


# ------------------------------------------------------------------------------------------ the end


def restore(context: DeployContext) -> DeployContext:
    """After a failure: the former image, so that the next execution by anybody is of what is proven."""
    job, former = context.plan.wishes.service, context.plan.serving.rollback_to
    if not context.is_made or not former:
        return context
    verdict, words = StepVerdict.OK, f"the image of the job {job} is {former} again"
    try:
        with _connect(context) as run:
            state = run.get(job)
            if state is None or context.built is None or state.container.digest != context.image.digest:
                return context
            restored = run.put(job, NewImage(former, etag=state.etag))
            if restored.container.image != former:
                raise UnprovenError(f"it has {restored.container.image}")
    except GuardError as error:
        verdict, words = StepVerdict.UNPROVEN, f"the image of the job {job} was not restored: {error.words}"
    context = context.noted(words)
    context.services.ledger.write(RESTORE, verdict, 0.0, {"image": former, "words": words})
    return context


def _is_proven(ended: ExecutionState, tasks: list[TaskState]) -> bool:
    """Whether every task of an execution succeeded, by the execution's own counts and by its tasks."""
    everything = ended.tasks > 0 and ended.good == ended.tasks == len(tasks) and not ended.bad
    return ended.succeeded and everything and all(task.succeeded for task in tasks)


def _last_line(log: list[str]) -> str:
    return f"; its last line: {log[-1]}" if log else ""
