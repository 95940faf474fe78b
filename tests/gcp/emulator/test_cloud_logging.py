"""The log of a job, a revision and a build, by entries.list."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from buildguard.diagnose.evidence import DiagnoseOptions
from buildguard.diagnose.run import examine
from buildguard.errors import UnprovenError
from buildguard.gcp import auth
from buildguard.gcp.cloud_logging import CloudLoggingClient, of_build, of_job, of_revision
from buildguard.gcp.emulator.server import Emulator
from tests.conftest import Project

_JOB = {"job_name": "nightly", "location": "europe-west1"}
_FAILURE = """\
Traceback (most recent call last):
  File "/app/main.py", line 2, in <module>
    TOKEN = os.environ["API_TOKEN"]
  File "<frozen os>", line 679, in __getitem__
KeyError: 'API_TOKEN'"""


def _texts(log: bytes) -> list[str]:
    return [json.loads(line)["textPayload"] for line in log.splitlines()]


def test_the_window_of_the_last_failure_is_read(emulator: Callable[..., Emulator]) -> None:
    """Ten minutes before the newest warning, one after it, the oldest first, of that job alone."""
    logs = emulator().logs
    for text, severity, at in (
        ("an older failure", "ERROR", "2026-10-01T08:00:00.000000Z"),
        ("too early", "INFO", "2026-10-02T08:49:00.000000Z"),
        ("starting", "INFO", "2026-10-02T08:59:00.000000Z"),
        ("it failed", "ERROR", "2026-10-02T09:00:00.000000Z"),
        ("its end", "INFO", "2026-10-02T09:00:30.000000Z"),
        ("another run", "INFO", "2026-10-02T10:00:00.000000Z"),
    ):
        logs.write("cloud_run_job", _JOB, text, severity, at=at)
    logs.write(
        "cloud_run_job", {**_JOB, "job_name": "hourly"}, "of another job", "ERROR", at="2026-10-02T09:00:00.000000Z"
    )

    with CloudLoggingClient() as client:
        assert _texts(client.read_failure(of_job("nightly", "europe-west1"))) == ["starting", "it failed", "its end"]
        assert client.read_failure(of_job("weekly")) == b""


def test_every_page_is_read(emulator: Callable[..., Emulator]) -> None:
    """More entries than one page has; without a warning, the newest decide."""
    texts = [f"line {number}" for number in range(2500)]
    emulator().logs.write("build", {"build_id": "b1"}, "\n".join(texts), at="2026-10-02T09:00:00.000000Z")

    with CloudLoggingClient() as client:
        assert sorted(_texts(client.read_failure(of_build("b1")))) == sorted(texts)


def test_what_may_not_be_read_is_unproven(emulator: Callable[..., Emulator]) -> None:
    """A refusal is an error with the role that helps, and no empty log."""
    emulator("log-403")

    with CloudLoggingClient() as client, pytest.raises(UnprovenError, match=r"logging\.logEntries\.list") as refused:
        client.read_failure(of_revision("web", "web-00001-abc"))

    assert "roles/logging.viewer" in refused.value.hint


def test_an_emulated_service_asks_no_real_log(
    emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Cloud Run is emulated and Cloud Logging is not, nothing is sent to Google."""
    emulator()
    monkeypatch.delenv(auth.LOGGING)

    with pytest.raises(UnprovenError, match="Cloud Logging is not"):
        CloudLoggingClient()


def test_a_job_is_diagnosed_by_its_log(emulator: Callable[..., Emulator], repository: Callable[..., Project]) -> None:
    """`diagnose --job` needs no pasted log."""
    project = repository(
        {
            "main.py": 'import os\nTOKEN = os.environ["API_TOKEN"]\n',
            "Dockerfile": "FROM python:3.11-slim\nWORKDIR /app\nCOPY . .\n",
        }
    )
    emulator().logs.write("cloud_run_job", _JOB, _FAILURE, "ERROR")

    diagnosis = examine(project.path, None, DiagnoseOptions(job="nightly", region="europe-west1")).diagnosis

    assert diagnosis.cause == "missing-variable"
    assert [str(place) for place in diagnosis.place] == ["main.py, line 2"]
    assert "--update-secrets API_TOKEN=API_TOKEN:latest" in diagnosis.remedies[0]


def test_a_job_without_a_log_is_unknown(emulator: Callable[..., Emulator], repository: Callable[..., Project]) -> None:
    """No entry proves nothing."""
    emulator()

    diagnosis = examine(repository({"main.py": "x = 1\n"}).path, None, DiagnoseOptions(job="nightly")).diagnosis

    assert (diagnosis.cause, diagnosis.exit_code) == ("unknown", 3)
