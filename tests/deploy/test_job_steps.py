"""The execution of a job proves only what its tasks prove; whatever else happens, the former image comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import pytest

from buildguard.deploy import job_steps, steps
from buildguard.deploy.build import BuiltImage
from buildguard.deploy.outcome import DeployStoppedError
from buildguard.deploy.plan import CurrentService, DeployStep
from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_run_jobs import ExecutionState, JobState, NewImage, TaskState
from buildguard.gcp.emulator.cloud_logging import CloudLoggingEmulator
from buildguard.gcp.emulator.cloud_run_jobs import EXECUTION
from buildguard.gcp.emulator.faults import Faults
from buildguard.gcp.service_containers import Container
from buildguard.project import ledger as ledgers
from buildguard.project.deploy_table import DeployKind
from buildguard.project.image_reference import ImageDigest
from buildguard.project.ledger import Ledger, ServiceId, StepVerdict
from tests.deploy.plans import COMMIT, IMAGE, StepByStep, prepared

if TYPE_CHECKING:
    from pathlib import Path

_OLD, _DIGEST = f"{IMAGE}@sha256:{'0' * 64}", f"sha256:{'1' * 64}"
_NEW = f"{IMAGE}@{_DIGEST}"
_GOOD = TaskState(0, succeeded=True, exit_code=0)
_BAD = TaskState(1, succeeded=False, exit_code=4)


class FakeJobs:
    """A job of one region, and how its next execution ends."""

    def __init__(self, ending: ExecutionState, tasks: list[TaskState]) -> None:
        self.image = _OLD
        self.ending = ending
        self.listed = tasks
        self.executed = 0

    def __call__(self, *_arguments: object) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def get(self, job: str) -> JobState:
        return JobState(job, self.image, False, (Container("app", self.image),), {}, 1.0)

    def put(self, job: str, new: NewImage, *, validate_only: bool = False) -> JobState:
        assert new.etag in {"", self.image}
        self.image = self.image if validate_only else new.image
        return self.get(job)

    def execute(self, _job: str) -> ExecutionState:
        self.executed += 1
        return self.ending

    def wait(self, started: ExecutionState, _seconds: float) -> ExecutionState:
        return started

    def tasks(self, _execution: str) -> list[TaskState]:
        return self.listed


def _ended(image: str = _NEW, **changes: Any) -> ExecutionState:
    good = ExecutionState("p/executions/job-1", True, True, 1, 1, 0, "", "https://log", (Container("app", image),))
    return good._replace(**changes)


def _run(folder: Path, jobs: FakeJobs, monkeypatch: pytest.MonkeyPatch) -> StepByStep:
    monkeypatch.setattr(job_steps, "CloudRunJobsClient", jobs)
    monkeypatch.setattr(job_steps, "_read_log", lambda _context: (["the last line"], ""))
    serving = CurrentService(known=True, exists=True, rollback_to=_OLD, etag=_OLD)
    ledger = Ledger(folder / "ledger.jsonl", "run", ServiceId("p", "r", "web", "job"), COMMIT)
    built = BuiltImage(_NEW, f"{IMAGE}:1", ImageDigest(_DIGEST), {})
    return StepByStep(prepared(folder, serving=serving, kind=DeployKind.JOB), ledger, built=built)


def test_an_execution_whose_tasks_succeed_is_the_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = FakeJobs(_ended(), [_GOOD])
    run = _run(tmp_path, jobs, monkeypatch)

    run.step(DeployStep.VALIDATE, job_steps.validate)
    assert jobs.image == _OLD, "validating changes nothing"
    run.step(DeployStep.EXECUTE, job_steps.execute)
    run.step(DeployStep.PROVE, job_steps.prove)
    steps.restore(run.context)

    assert [outcome.verdict for outcome in run.context.outcomes] == [StepVerdict.OK] * 3
    assert run.context.outcomes[1].words == "job-1: 1 of 1 task succeeded; its last line: the last line"
    assert run.context.outcomes[2].evidence["instead_of"] == _OLD
    lines, _broken = ledgers.read(tmp_path / "ledger.jsonl")
    assert {line.kind for line in lines} == {"job"}


@pytest.mark.parametrize(
    ("ending", "tasks", "words"),
    [
        (_ended(succeeded=False, good=0, bad=1), [_BAD], "0 of 1 task succeeded: task 1 ended with exit code 4"),
        (_ended(succeeded=False, good=0, message="no quota"), [], "0 of 1 task succeeded: no quota"),
        (_ended(), [], "1 of 1 task succeeded"),  # no task is listed: nothing is proven
        (_ended(), [_GOOD, _BAD], "task 1 ended with exit code 4"),
        (_ended(tasks=0, good=0), [], "0 of 0 tasks succeeded"),
        (_ended(tasks=2, good=1), [_GOOD], "1 of 2 tasks succeeded"),
    ],
)
def test_anything_less_brings_the_former_image_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: ExecutionState, tasks: list[TaskState], words: str
) -> None:
    jobs = FakeJobs(ending, tasks)
    run = _run(tmp_path, jobs, monkeypatch)

    with pytest.raises(DeployStoppedError) as raised:
        run.step(DeployStep.EXECUTE, job_steps.execute)
    steps.restore(run.context)

    assert words in raised.value.what
    assert (jobs.image, jobs.executed) == (_OLD, 1)
    assert run.context.notes == (f"the image of the job web is {_OLD} again",)


def test_another_image_was_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run(tmp_path, FakeJobs(_ended(_OLD), [_GOOD]), monkeypatch)
    run.step(DeployStep.EXECUTE, job_steps.execute)

    with pytest.raises(DeployStoppedError, match=f"job-1 executed sha256:{'0' * 64}, and not sha256:{'1' * 64}"):
        run.step(DeployStep.PROVE, job_steps.prove)


def test_somebody_elses_image_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = FakeJobs(_ended(succeeded=False, good=0), [_BAD])
    run = _run(tmp_path, jobs, monkeypatch)
    with pytest.raises(DeployStoppedError):
        run.step(DeployStep.EXECUTE, job_steps.execute)
    jobs.image = f"{IMAGE}@sha256:{'2' * 64}"

    steps.restore(run.context)

    assert jobs.image.endswith("2" * 64)
    assert run.context.notes == ()


def test_a_job_that_cannot_be_asked_is_unproven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = FakeJobs(_ended(), [_GOOD])
    run = _run(tmp_path, jobs, monkeypatch)

    def lost(*_arguments: object) -> ExecutionState:
        raise UnprovenError("the answer was lost")

    monkeypatch.setattr(jobs, "execute", lost)
    with pytest.raises(DeployStoppedError) as raised:
        run.step(DeployStep.EXECUTE, job_steps.execute)
    steps.restore(run.context)

    assert raised.value.exit_code == 3
    assert jobs.image == _OLD


def test_the_log_of_one_execution_is_told_from_the_others() -> None:
    logs = CloudLoggingEmulator(Faults())
    for execution in ("job-1", "job-2"):
        logs.write("cloud_run_job", {"job_name": "job", EXECUTION: execution}, f"of {execution}")

    entries = logs.find({"filter": 'resource.type="cloud_run_job" AND resource.labels.job_name="job"'})["entries"]

    assert [entry["labels"][EXECUTION] for entry in entries] == ["job-2", "job-1"]
    assert EXECUTION not in entries[0]["resource"]["labels"]
