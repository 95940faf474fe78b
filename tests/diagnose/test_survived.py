"""Logs of what runs, with handled trouble in them: they are no failures, and no harmless word makes a failure healthy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from buildguard.diagnose.health import proofs_of
from buildguard.diagnose.known_messages import match_messages
from buildguard.diagnose.log_parser import read
from buildguard.diagnose.run import diagnose
from buildguard.diagnose.survived import survived_lines
from tests.diagnose.cloud_logs import BUILD_BEGINS, REQUEST, SERVES, STARTS, TRACEBACK, execution, revision, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

_REFUSED = "Error 111 connecting to localhost:6379. Connection refused."
_NO_MODULE = f"{TRACEBACK}ModuleNotFoundError: No module named 'hiredis'\n"
_STEP = 'Step #0 - "build": '
_RETRIED = (
    "WARNING: Retrying (Retry(total=4, connect=None)) after connection broken by 'NewConnectionError(': Failed to"
    " establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/flask/"
)
_HANDLED = {
    "uvicorn": f"{STARTS}WARNING:  no cache: {_REFUSED}\n{SERVES}",
    "a logger's name": f"{STARTS}WARNING:app.cache:{_REFUSED}\n{SERVES}",
    "a format of logging": f"2026-11-30 14:10:01,001 - app.db - WARNING - {_REFUSED}\n{STARTS}{SERVES}",
    "loguru": f"2026-11-30 14:10:01.123 | WARNING  | app:connect:6 - {_REFUSED}\n{STARTS}{SERVES}",
    "logfmt": f'ts=1 level=warn msg="retrying" err="{_REFUSED}"\n{STARTS}{SERVES}',
    "glog": f"W1130 14:10:01.123456       1 pool.cc:77] {_REFUSED}\n{STARTS}{SERVES}",
    "a traceback below a warning": f"{STARTS}WARNING:  tracing is off\n{_NO_MODULE}{SERVES}",
    "words at INFO": f"{STARTS}{SERVES}INFO:     alert rule OOMKilled loaded\n{REQUEST}",
    "structlog": json.dumps({"event": "no cache", "level": "warning", "exception": _NO_MODULE}) + f"\n{STARTS}{SERVES}",
    "Cloud Logging": rows(
        revision(1, {"message": _NO_MODULE}, severity="WARNING"), revision(2, SERVES.splitlines()[0])
    ),
    "a port that is a database's": f'{STARTS}WARNING:db:connection to server at "db", port 5432 failed: Connection refused\n{SERVES}',
    "celery": "[2026-11-30 14:10:02,366: INFO/ForkPoolWorker-1] Task a.b[77] retry: Retry in 5s: ConnectionRefusedError(111)\n"
    "[2026-11-30 14:10:08,400: INFO/ForkPoolWorker-1] Task a.b[77] succeeded in 0.2s: None\n",
    "a build": f"{BUILD_BEGINS}{_STEP}{_RETRIED}\n{_STEP}Successfully installed flask-3.0.0\nPUSH\nDONE\n",
    "a build's failed test": f"{BUILD_BEGINS}{_STEP}FAILED tests/test_a.py::test_b - assert 1 == 2\nDONE\n",
    "a job that was retried": rows(
        execution(1, f"{TRACEBACK}psycopg2.OperationalError: connection to server failed\n"),
        execution(2, "Container called exit(1)."),
        execution(3, None, status="Execution nightly-1 has completed successfully."),
    ),
    "warnings alone": f"[2026-11-30 14:10:01 +0000] [7] [INFO] Booting worker with pid: 7\nWARNING:app.cache:{_REFUSED}\n",
}
_FAILING = {
    "no line proves anything": (f"WARNING:app.cache:{_REFUSED}\nERROR:    Application startup failed. Exiting.\n", "dependency-service"),
    "an error": (f"{STARTS}ERROR:app.cache:{_REFUSED}\n{SERVES}", "dependency-service"),
    "it ended before another one answered": (f"WARNING:app.cache:{_REFUSED}\nContainer called exit(1).\n{REQUEST}", "dependency-service"),
    "a traceback below a server's chatter": (
        f"WARNING: This is a development server. Do not use it in a production deployment.\n{_NO_MODULE} * Running on http://127.0.0.1:8080\n",
        "not-importable",
    ),
    "a traceback below INFO": (f"{STARTS}{_NO_MODULE}{SERVES}", "not-importable"),
    "another revision answers": (
        rows(revision(1, {"message": _NO_MODULE}, severity="WARNING"), revision(2, "Container called exit(1)."), revision(3, REQUEST, name="web-00001-old")),
        "not-importable",
    ),
    "another execution succeeded": (
        rows(
            execution(1, f"{TRACEBACK}psycopg2.OperationalError: connection to server failed\n", name="nightly-0"),
            execution(3, None, status="Execution nightly-1 has completed successfully."),
        ),
        "dependency-service",
    ),
    "another build succeeded": (f"{BUILD_BEGINS}{_STEP}No matching distribution found for flaks\nERROR\n{BUILD_BEGINS}{_STEP}ok\nDONE\n", "dependency-install"),
    "after the build": (f"{BUILD_BEGINS}{_STEP}ok\nDONE\n{_NO_MODULE}", "not-importable"),
    "a process that ended, at a low level": ("[1] [WARNING] Worker with pid 7 was terminated due to signal 11\n", "crash"),
    "levels of who collected it": (rows({"textPayload": "ModuleNotFoundError: No module named 'flask'", "severity": "INFO"}), "not-importable"),
}  # fmt: skip


@pytest.fixture
def project(repository: Callable[..., Project]) -> Project:
    return repository(
        {"Dockerfile": "FROM python:3.11-slim\nWORKDIR /srv\nCOPY src/ ./\n", "src/app/main.py": "x = 1\n"}
    )


@pytest.mark.parametrize("name", _HANDLED)
def test_handled_trouble_is_no_cause(project: Project, name: str) -> None:
    found = diagnose(project.path, _HANDLED[name].encode())

    assert (found.cause, found.exit_code) == ("unknown", 3)
    assert not [hypothesis.id for hypothesis in found.hypotheses if hypothesis.verdict == "proven"]
    assert found.quote


@pytest.mark.parametrize("name", _FAILING)
def test_what_did_harm_is_named(project: Project, name: str) -> None:
    log, cause = _FAILING[name]

    assert diagnose(project.path, log.encode()).cause == cause


def test_the_answer_begins_with_what_runs(project: Project) -> None:
    found = diagnose(project.path, _HANDLED["uvicorn"].encode())
    failed = diagnose(project.path, f"{_HANDLED['uvicorn']}Container called exit(1).\n".encode())

    assert found.sentence.startswith(
        'the log reports: INFO:     10.0.0.1:1 - "GET / HTTP/1.1" 200 OK; before it, a line'
    )
    assert found.sentence.endswith(f"WARNING:  no cache: {_REFUSED}")
    assert failed.sentence.startswith("the cause is unknown; the last line that looks like an error")


def test_a_log_that_was_cut_shows_no_survival(monkeypatch: pytest.MonkeyPatch) -> None:
    log = read(_HANDLED["uvicorn"].encode())
    matches = match_messages(log.lines)

    proofs = list(proofs_of(log.lines, log.contexts))
    assert survived_lines(log, matches, proofs)
    assert not survived_lines(log._replace(cut=True), matches, proofs)
