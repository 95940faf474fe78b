"""Cloud Run's jobs (v2): jobs, executions and tasks; each task really runs, as a container on this machine."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions as api
from google.cloud import run_v2

from buildguard.docker import client as daemons
from buildguard.docker import images
from buildguard.docker.serve import JobContainer
from buildguard.errors import UnprovenError
from buildguard.gcp.emulator.cloud_logging import CloudLoggingEmulator
from buildguard.gcp.emulator.cloud_run import PLATFORM, CloudRunEmulator, EmulatedOperation, is_in, new_etag
from buildguard.gcp.emulator.faults import FaultName, Faults

_PAUSE = 0.1
_TIMEOUT = 600.0
EXECUTION = "run.googleapis.com/execution_name"  # a label of each entry that a task writes
_State = run_v2.Condition.State


class CloudRunJobsEmulator:
    """Every job of every project and region."""

    def __init__(self, faults: Faults, logs: CloudLoggingEmulator, runs: CloudRunEmulator) -> None:
        """`logs` gets the output of each task; operations are found among those of `runs`."""
        self._faults = faults
        self._logs = logs
        self._runs = runs
        self._jobs: dict[str, run_v2.Job] = {}
        self._executions: dict[str, run_v2.Execution] = {}
        self._tasks: dict[str, run_v2.Task] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.RLock()

    # -------------------------------------------------------------------------------------- the API

    def create(self, request: run_v2.CreateJobRequest) -> EmulatedOperation:
        """Make a job; raises Google's own errors."""
        name = f"{request.parent}/jobs/{request.job_id}"
        with self._lock:
            if name in self._jobs:
                raise api.AlreadyExists(f"Resource '{request.job_id}' already exists.")
            job = run_v2.Job(request.job)
            job.name, job.uid, job.create_time = name, str(uuid.uuid4()), datetime.now(UTC)
            return self._changed(job, validate_only=request.validate_only)

    def update(self, request: run_v2.UpdateJobRequest) -> EmulatedOperation:
        """Change a job; an etag that is not the newest is refused."""
        with self._lock:
            current = self.get(request.job.name)
            if not request.validate_only and self._faults.takes(FaultName.ETAG_CONFLICT):
                self._jobs[current.name].etag = current.etag = new_etag()
            if request.job.etag and request.job.etag != current.etag:
                raise api.Aborted(f"Conflict for resource '{current.name}': version '{request.job.etag}' was specified")
            updated = run_v2.Job(current)
            for field in ("template", "labels", "annotations"):
                setattr(updated, field, getattr(request.job, field))
            return self._changed(updated, validate_only=request.validate_only)

    def delete(self, request: run_v2.DeleteJobRequest) -> EmulatedOperation:
        """Delete a job with its executions."""
        with self._lock:
            job = self.get(request.name)
            del self._jobs[request.name]
            return self._operation(request.name, lambda: job, done=True)

    def get(self, name: str) -> run_v2.Job:
        """A job as it is now."""
        with self._lock:
            return run_v2.Job(_found(self._jobs, name, "JOB"))

    def find(self, parent: str) -> list[run_v2.Job]:
        """The jobs of a project and region, by name."""
        return _below(self._jobs, f"{parent}/jobs/", self._lock)

    def run(self, request: run_v2.RunJobRequest) -> EmulatedOperation:
        """Start an execution."""
        with self._lock:
            job = self.get(request.name)
            if request.etag and request.etag != job.etag:
                raise api.Aborted(f"Conflict for resource '{job.name}': version '{request.etag}' was specified")
            execution = _new_execution(job)
            self._executions[execution.name] = execution
            stored = self._jobs[job.name]
            stored.execution_count += 1
            stored.latest_created_execution = run_v2.ExecutionReference(
                name=execution.name.rpartition("/")[2], create_time=execution.create_time
            )
        operation = self._operation(job.name, lambda: self.execution(execution.name))
        thread = threading.Thread(target=self._execute, args=(execution.name, operation), daemon=True)
        self._threads.append(thread)
        thread.start()
        return operation

    def execution(self, name: str) -> run_v2.Execution:
        """An execution as it is now."""
        with self._lock:
            return run_v2.Execution(_found(self._executions, name, "EXECUTION"))

    def executions(self, parent: str) -> list[run_v2.Execution]:
        """The executions of a job, the newest first."""
        return _below(self._executions, f"{parent}/executions/", self._lock)[::-1]

    def tasks(self, parent: str) -> list[run_v2.Task]:
        """The tasks of an execution."""
        return _below(self._tasks, f"{parent}/tasks/", self._lock)

    def every_job(self, project: str, region: str) -> list[run_v2.Job]:
        """The jobs of a project, in one region or in all, by name."""
        return sorted(_of_project(self._jobs, project, region, self._lock), key=lambda job: str(job.name))

    def every_execution(self, project: str, region: str) -> list[run_v2.Execution]:
        """The executions of all jobs of a project, the newest first."""
        return _of_project(self._executions, project, region, self._lock)[::-1]

    def every_task(self, project: str, region: str) -> list[run_v2.Task]:
        """The tasks of all executions of a project."""
        return _of_project(self._tasks, project, region, self._lock)

    def close(self) -> None:
        """Wait for what runs."""
        for thread in self._threads:
            thread.join(timeout=30)

    # -------------------------------------------------------------------------------------- a change

    def _changed(self, job: run_v2.Job, *, validate_only: bool) -> EmulatedOperation:
        containers = job.template.template.containers
        if not containers or not all(container.image for container in containers):
            raise api.InvalidArgument("template.template.containers[0].image: should be specified")
        if not validate_only:
            job.generation += 1
            job.observed_generation = job.generation
            job.etag, job.update_time = new_etag(), datetime.now(UTC)
            job.terminal_condition = run_v2.Condition(type_="Ready", state=_State.CONDITION_SUCCEEDED)
            self._jobs[job.name] = job
        return self._operation(job.name, lambda: job, done=True)

    def _operation(self, name: str, message: Callable[[], Any], *, done: bool = False) -> EmulatedOperation:
        parent = name.rpartition("/jobs/")[0]
        operation = EmulatedOperation(f"{parent}/operations/{uuid.uuid4()}", name, message)
        if done:
            operation.done.set()
        self._runs.add_operation(operation)
        return operation

    # -------------------------------------------------------------------------------------- an execution

    def _execute(self, name: str, operation: EmulatedOperation) -> None:
        execution = self.execution(name)
        for index in range(execution.task_count):
            error = self._task(execution, index)
            with self._lock:
                stored = self._executions[name]
                stored.running_count = 0
                stored.failed_count += bool(error)
                stored.succeeded_count += not error
        with self._lock:
            stored = self._executions[name]
            bad = stored.failed_count
            state = _State.CONDITION_FAILED if bad else _State.CONDITION_SUCCEEDED
            message = f"Task {name.rpartition('/')[2]}-task0 failed with message: {error}" if bad else ""
            stored.conditions = [run_v2.Condition(type_="Completed", state=state, message=message)]
            stored.reconciling, stored.completion_time = False, datetime.now(UTC)
            operation.error = (9, message) if bad else None
        operation.done.set()

    def _task(self, execution: run_v2.Execution, index: int) -> str:
        """Run one task, again where its job wants that; why it failed, empty where it did not."""
        short = execution.name.rpartition("/")[2]
        template = execution.template
        retries = template.max_retries if "max_retries" in template else 3
        words, code = "", 0
        for attempt in range(retries + 1):
            words, code = self._attempt(execution, index, attempt)
            if not words:
                break
        state = _State.CONDITION_FAILED if words else _State.CONDITION_SUCCEEDED
        task = run_v2.Task(
            name=f"{execution.name}/tasks/{short}-task{index}",
            job=execution.job,
            execution=short,
            index=index,
            containers=list(template.containers),
            conditions=[run_v2.Condition(type_="Completed", state=state, message=words)],
            last_attempt_result=run_v2.TaskAttemptResult(exit_code=code),
        )
        with self._lock:
            self._tasks[task.name] = task
        return words

    def _attempt(self, execution: run_v2.Execution, index: int, attempt: int) -> tuple[str, int]:
        container = execution.template.containers[0]
        parts = execution.name.split("/")
        env = {variable.name: variable.value for variable in container.env}
        env |= {
            "CLOUD_RUN_JOB": execution.job,
            "CLOUD_RUN_EXECUTION": parts[-1],
            "CLOUD_RUN_TASK_INDEX": str(index),
            "CLOUD_RUN_TASK_ATTEMPT": str(attempt),
            "CLOUD_RUN_TASK_COUNT": str(execution.task_count),
        }
        daemon = daemons.connect()
        try:
            image = images.find(daemon, self._runs.resolve(container.image), PLATFORM, lambda _text: None)
            with JobContainer(daemon, image, env, tuple(container.command), tuple(container.args)) as running:
                code = _wait(running, execution)
                output = running.log().decode("utf-8", "replace")
        except UnprovenError as error:
            return error.what, 1
        finally:
            daemon.close()
        labels = {"job_name": execution.job, "location": parts[3], EXECUTION: parts[-1]}
        self._logs.write("cloud_run_job", labels, output, "ERROR" if code else "DEFAULT")
        return (f"The container exited with an error. exit code {code}", code) if code else ("", 0)


def _wait(running: JobContainer, execution: run_v2.Execution) -> int:
    """The exit code of a task, which is ended when its time is up."""
    timeout = execution.template.timeout
    until = time.monotonic() + (timeout.total_seconds() if timeout else _TIMEOUT)
    while (code := running.exit_code()) is None:
        if time.monotonic() > until:
            return 137
        time.sleep(_PAUSE)
    return code


def _new_execution(job: run_v2.Job) -> run_v2.Execution:
    short = f"{job.name.rpartition('/')[2]}-{uuid.uuid4().hex[:5]}"
    count = job.template.task_count or 1
    return run_v2.Execution(
        name=f"{job.name}/executions/{short}",
        job=job.name.rpartition("/")[2],
        create_time=datetime.now(UTC),
        start_time=datetime.now(UTC),
        annotations=dict(job.annotations),
        parallelism=job.template.parallelism or count,
        task_count=count,
        template=job.template.template,
        reconciling=True,
        running_count=count,
        log_uri=f"https://console.cloud.google.com/logs/viewer?execution={short}",
    )


def _found(known: dict[str, Any], name: str, kind: str) -> Any:
    if name not in known:
        raise api.NotFound(f"Resource '{name.rpartition('/')[2]}' of kind '{kind}' was not found")
    return known[name]


def _below(known: dict[str, Any], start: str, lock: threading.RLock) -> list[Any]:
    with lock:
        return [type(message)(message) for name, message in known.items() if name.startswith(start)]


def _of_project(known: dict[str, Any], project: str, region: str, lock: threading.RLock) -> list[Any]:
    with lock:
        return [type(message)(message) for name, message in known.items() if is_in(name, project, region)]
