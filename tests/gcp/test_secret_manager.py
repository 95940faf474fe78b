"""Secrets before a build: a version that cannot be read refuses it; what could not be asked is only noted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from google.cloud import run_v2

from buildguard.deploy.current_service import read_current
from buildguard.deploy.environment import RequiredVariables
from buildguard.deploy.plan import CurrentService
from buildguard.gcp import auth
from buildguard.gcp.emulator.secret_manager import SecretManagerEmulator
from buildguard.gcp.emulator.server import Emulator
from buildguard.gcp.secret_manager import SecretRef, check_secrets
from buildguard.gcp.service_containers import ONLY_CONTAINER
from buildguard.gcp.service_state import read_secrets
from buildguard.project.config import Config
from buildguard.project.ledger import ServiceId
from buildguard.stages.filesystem import stage_on_disk
from tests.deploy.plans import prepared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ACCOUNT = "api@acme.iam.gserviceaccount.com"


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """The emulator, with a secret of two versions that the account may read."""
    started = Emulator(projects=("acme", "other"))
    for name, value in started.environment.items():
        monkeypatch.setenv(name, value)
    started.secrets.add("acme", "token", "DISABLED", "ENABLED", readers=(f"serviceAccount:{_ACCOUNT}",))
    yield started
    started.close()


def test_versions_that_can_be_read_are_no_problem(emulator: Emulator) -> None:
    assert isinstance(emulator.secrets, SecretManagerEmulator)
    for version in ("2", "latest", ""):
        assert check_secrets("acme", [SecretRef("token", version)], _ACCOUNT) == ((), ())
    assert check_secrets("other", [SecretRef("projects/acme/secrets/token", "2")], "") == ((), ())


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (SecretRef("token", "1"), "version 1 of the secret token is DISABLED"),
        (SecretRef("token", "3"), "version 3 of the secret token does not exist"),
        (SecretRef("tokne", "latest"), "version latest of the secret tokne does not exist"),
    ],
)
def test_a_version_that_cannot_be_read_is_a_problem(emulator: Emulator, secret: SecretRef, words: str) -> None:
    (problem,) = check_secrets("acme", [secret], "").problems

    assert problem.startswith(words)
    plan = prepared(serving=CurrentService(known=True, secret_problems=(problem,))).plan
    assert plan.refusals == (problem,)


def test_a_right_that_no_policy_shows_is_a_note(emulator: Emulator) -> None:
    other = "web@acme.iam.gserviceaccount.com"

    findings = check_secrets("acme", [SecretRef("token", "2")], other)

    assert findings.problems == ()
    assert f"--member=serviceAccount:{other} --role=roles/secretmanager.secretAccessor" in findings.notes[0]
    emulator.secrets.add("acme", "", readers=(f"serviceAccount:{other}",))  # by the project's policy
    assert check_secrets("acme", [SecretRef("token", "2")], other).notes == ()


def test_what_cannot_be_asked_is_noted(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(auth.SECRETS)

    findings = check_secrets("acme", [SecretRef("token", "2")], _ACCOUNT)

    assert findings.problems == ()
    assert findings.notes == ("the secrets were not checked: Cloud Run is emulated, and Secret Manager is not",)
    assert check_secrets("acme", [], _ACCOUNT) == ((), ())


def test_secrets_are_read_from_variables_and_files() -> None:
    template = run_v2.RevisionTemplate(
        containers=[
            run_v2.Container(
                env=[
                    run_v2.EnvVar(name="A", value="1"),
                    run_v2.EnvVar(
                        name="B",
                        value_source=run_v2.EnvVarSource(
                            secret_key_ref=run_v2.SecretKeySelector(secret="b", version="7")
                        ),
                    ),
                ]
            )
        ],
        volumes=[
            run_v2.Volume(
                name="v",
                secret=run_v2.SecretVolumeSource(secret="c", items=[run_v2.VersionToPath(path="x", version="latest")]),
            )
        ],
    )

    template.volumes.append(run_v2.Volume(name="w", secret=run_v2.SecretVolumeSource(secret="d")))
    template.volumes.append(run_v2.Volume(name="x", empty_dir=run_v2.EmptyDirVolumeSource()))

    assert list(read_secrets(template)) == [SecretRef("b", "7"), SecretRef("c", "latest"), SecretRef("d", "latest")]


def test_a_job_is_asked_about_before_its_build_as_a_service_is(emulator: Emulator, tmp_path: Path) -> None:
    variable = run_v2.EnvVar(name="T")
    variable.value_source = run_v2.EnvVarSource(secret_key_ref=run_v2.SecretKeySelector(secret="token", version="1"))
    job = run_v2.Job()
    job.template.template.containers = [run_v2.Container(image="r.invalid/x", env=[variable])]
    job.template.template.service_account = "other@acme.iam.gserviceaccount.com"
    parent = "projects/acme/locations/europe-west1"
    emulator.jobs.create(run_v2.CreateJobRequest(parent=parent, job=job, job_id="migrate"))
    required = RequiredVariables(stage_on_disk(tmp_path, None), Config(), "migrate")

    serving = read_current(ServiceId("acme", "europe-west1", "migrate", "job"), ONLY_CONTAINER, required)

    assert [problem.partition(":")[0] for problem in serving.secret_problems] == [
        "version 1 of the secret token is DISABLED"
    ]
    assert serving.secret_notes[0].startswith("neither the secret token nor its project lets other@")
    assert prepared(serving=serving).plan.refusals == serving.secret_problems
