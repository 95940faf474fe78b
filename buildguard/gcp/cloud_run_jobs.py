"""Cloud Run jobs: a job's image by its digest, one execution of it, and how its tasks ended. A thin edge over google-cloud-run.

`RunJob` has neither a request id nor a retry: it is asked once, since a second execution of a migration is no repair.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.gcp.auth import translate_errors
from buildguard.gcp.connection import ConflictError, RunConnection, translate_conflicts
from buildguard.gcp.secret_manager import SecretRef
from buildguard.gcp.service_containers import ONLY_CONTAINER, AppContainer, Container, read_containers
from buildguard.gcp.service_state import read_secrets

_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_TASK_TIMEOUT, _RETRIES = 600.0, 3  # Cloud Run's defaults
_GRACE = 300.0  # seconds that an execution may take beside its tasks
_SETTLED_WITHIN = 60.0


class JobState(NamedTuple):
    """A job as it is; `seconds` is how long one execution may take, `secrets` what its containers get, as `account`."""

    name: str
    etag: str
    reconciling: bool
    containers: tuple[Container, ...]
    annotations: Mapping[str, str]
    seconds: float
    app: AppContainer = ONLY_CONTAINER
    secrets: tuple[SecretRef, ...] = ()
    account: str = ""

    @property
    def container(self) -> Container:
        """The app's container. Raises UnknownContainerError."""
        return self.app.pick(self.containers, self.name)


class TaskState(NamedTuple):
    """How a task of an execution ended; `exit_code` is that of its last attempt, `message` what Cloud Run says of it."""

    number: int
    succeeded: bool
    exit_code: int
    message: str = ""


class ExecutionState(NamedTuple):
    """An execution of a job: whether it has ended, how many tasks it has, and how many of them succeeded and failed."""

    name: str
    is_done: bool
    succeeded: bool
    tasks: int
    good: int
    bad: int
    message: str
    log_url: str
    containers: tuple[Container, ...]

    @property
    def counts(self) -> str:
        """How its tasks ended, in words."""
        return f"{self.good} of {self.tasks} task{'s' * (self.tasks != 1)} succeeded"


class NewImage(NamedTuple):
    """What a job is changed to: its app's image, variables that are set, annotations, and the etag as it was read."""

    image: str
    env: Mapping[str, str] = MappingProxyType({})
    annotations: Mapping[str, str] = MappingProxyType({})
    etag: str = ""


class CloudRunJobsClient(RunConnection):
    """Jobs, their executions and tasks."""

    _kinds, _noun = ("Jobs", "Executions", "Tasks"), "job"

    def __init__(self, project: str = "", region: str = "", app: AppContainer = ONLY_CONTAINER) -> None:
        """`app` finds the app's container. Raises UnprovenError without credentials, project or region."""
        super().__init__(project, region, app)
        self._jobs, self._executions, self._tasks = self._clients

    def get(self, job: str) -> JobState | None:
        """A job as it is now; None if it does not exist."""
        from google.api_core.exceptions import NotFound

        with translate_errors(f"asking about the job {job}"):
            try:
                return self._state(self._jobs.get_job(name=self._name(job)))
            except NotFound:
                return None

    def put(self, job: str, new: NewImage, *, validate_only: bool = False) -> JobState:
        """Give a job another image, or create it; with `validate_only` Cloud Run only says whether it would accept that.

        Raises ConflictError where it was changed meanwhile.
        """
        from google.api_core.exceptions import NotFound

        with translate_conflicts(f"{'validating' if validate_only else 'changing'} the job {job}", "the job"):
            try:
                current = self._jobs.get_job(name=self._name(job))
            except NotFound:
                self._create(job, new, validate_only=validate_only)
            else:
                if new.etag and current.etag != new.etag:
                    raise ConflictError(f"{job} was changed meanwhile")
                self._change(current, new)
                self._jobs.update_job(request={"job": current, "validate_only": validate_only}, timeout=60)
        return self._settled(job) if not validate_only else JobState(job, "", False, (), {}, 0.0)

    def execute(self, job: str, etag: str = "") -> ExecutionState:
        """Start one execution. Raises UnprovenError where it could not be started, or the answer was lost."""
        with translate_conflicts(f"executing the job {job}", "the job"):
            operation = self._jobs.run_job(request={"name": self._name(job), "etag": etag}, timeout=60, retry=None)
            return self.execution(str(operation.metadata.name))

    def execution(self, name: str) -> ExecutionState:
        """An execution as it is now, by its whole name."""
        with translate_errors(f"asking about the execution {name.rpartition('/')[2]}"):
            return _execution(self._types, self._executions.get_execution(name=name))

    def wait(self, started: ExecutionState, seconds: float) -> ExecutionState:
        """Follow an execution to its end. Raises UnprovenError where it does not end within so many seconds."""
        until = time.monotonic() + seconds
        pause, current = _PAUSE, started
        while not current.is_done:
            if time.monotonic() > until:
                raise UnprovenError(
                    f"the execution {short_name(current.name)} did not end within {seconds:.0f} seconds"
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            current = self.execution(current.name)
        return current

    def tasks(self, execution: str) -> list[TaskState]:
        """The tasks of an execution, in their order."""
        with translate_errors(f"asking about the tasks of {short_name(execution)}"):
            listed = self._tasks.list_tasks(parent=execution)
            return sorted((_task(self._types, task) for task in listed), key=lambda task: task.number)

    def _state(self, job: Any) -> JobState:
        task = job.template.template
        timeout = task.timeout.total_seconds() if task.timeout else _TASK_TIMEOUT
        retries = task.max_retries if "max_retries" in task else _RETRIES
        return JobState(
            name=short_name(job.name),
            etag=job.etag,
            reconciling=job.reconciling,
            containers=read_containers(task.containers),
            annotations=dict(job.annotations),
            seconds=timeout * (retries + 1) + _GRACE,
            app=self._app,
            secrets=tuple(read_secrets(task)),
            account=task.service_account,
        )

    def _settled(self, job: str) -> JobState:
        until = time.monotonic() + _SETTLED_WITHIN
        pause = _PAUSE
        while True:
            state = self.get(job)
            if state is None:
                raise UnprovenError(f"the job {job} is gone")
            if not state.reconciling or time.monotonic() > until:
                return state
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _change(self, job: Any, new: NewImage) -> None:
        task = job.template.template
        if not task.containers:
            task.containers = [self._types.Container(name=self._app.name)]
        app = task.containers[self._app.place_in(read_containers(task.containers), short_name(job.name) or "the job")]
        app.image = new.image
        env = {variable.name: variable for variable in app.env}
        env |= {name: self._types.EnvVar(name=name, value=value) for name, value in new.env.items()}
        app.env = list(env.values())
        job.annotations = {**job.annotations, **new.annotations}

    def _create(self, job: str, new: NewImage, *, validate_only: bool) -> None:
        message = self._types.Job()
        message.template.template.max_retries = 0  # one execution, and no second try of half of it
        self._change(message, new)
        parent = self._name("").removesuffix("/jobs/")
        request = {"parent": parent, "job": message, "job_id": job, "validate_only": validate_only}
        self._jobs.create_job(request=request, timeout=60)

    def _name(self, job: str) -> str:
        return f"projects/{self.project}/locations/{self.region}/jobs/{job}"


def short_name(resource: str) -> str:
    """The last part of a resource's name."""
    return resource.rpartition("/")[2]


def _execution(types: Any, execution: Any) -> ExecutionState:
    completed = _condition(execution.conditions, "Completed")
    state = types.Condition.State
    ended = {state.CONDITION_SUCCEEDED, state.CONDITION_FAILED}
    return ExecutionState(
        name=execution.name,
        is_done=completed is not None and completed.state in ended,
        succeeded=completed is not None and completed.state == state.CONDITION_SUCCEEDED,
        tasks=execution.task_count,
        good=execution.succeeded_count,
        bad=execution.failed_count + execution.cancelled_count,
        message=completed.message if completed is not None else "",
        log_url=execution.log_uri,
        containers=read_containers(execution.template.containers),
    )


def _task(types: Any, task: Any) -> TaskState:
    completed = _condition(task.conditions, "Completed")
    is_good = completed is not None and completed.state == types.Condition.State.CONDITION_SUCCEEDED
    result = task.last_attempt_result
    return TaskState(task.index, is_good, result.exit_code, completed.message if completed is not None else "")


def _condition(conditions: Iterable[Any], kind: str) -> Any:
    return next((condition for condition in conditions if condition.type_ == kind), None)
