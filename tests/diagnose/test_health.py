"""What a log proves: `healthy` takes a line that proves it, and no line that looks like an error."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from buildguard.diagnose import health, log_parser
from buildguard.diagnose.health import error_numbers, looks_like_error, proof_of
from buildguard.diagnose.log_parser import read
from buildguard.diagnose.run import diagnose
from tests.conftest import ALL
from tests.diagnose.cloud_logs import BUILD_BEGINS, SERVES, STARTS, execution, request, revision, rows
from tests.diagnose.envelopes import ENVELOPES
from tests.diagnose.messages import MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.conftest import Project

_HEALTHY = {
    "uvicorn": """\
INFO:     Started server process [1]
INFO:     Waiting for application startup.
INFO:     Application startup complete.
INFO:     Uvicorn running on http://0.0.0.0:8080 (Press CTRL+C to quit)
INFO:     169.254.1.1:38444 - "GET / HTTP/1.1" 200 OK
""",
    "uvicorn with workers": """\
INFO:     Uvicorn running on http://0.0.0.0:8080 (Press CTRL+C to quit)
INFO:     Started parent process [1]
INFO:     Started server process [8]
INFO:     Waiting for application startup.
INFO:     Application startup complete.
""",
    "a logger's names": "INFO:uvicorn.error:Waiting for application startup.\nINFO:uvicorn.error:Application startup complete.\n",
    "gunicorn": """\
[2026-11-17 09:00:00 +0000] [1] [INFO] Starting gunicorn 22.0.0
[2026-11-17 09:00:00 +0000] [1] [INFO] Listening at: http://0.0.0.0:8080 (1)
[2026-11-17 09:00:00 +0000] [1] [INFO] Using worker: sync
[2026-11-17 09:00:00 +0000] [8] [INFO] Booting worker with pid: 8
169.254.1.1 - - [17/Nov/2026:09:00:01 +0000] "GET /orders HTTP/1.1" 200 512 "-" "curl/8.5.0"
""",
    "flask": """\
 * Serving Flask app 'app.main'
 * Debug mode: off
WARNING: This is a development server. Do not use it in a production deployment. Use a production WSGI server instead.
 * Running on all addresses (0.0.0.0)
 * Running on http://127.0.0.1:8080
""",
    "Cloud Build": """\
starting build "7d3e0a5c-1f0b-4a44-9a51-0b5b8e4e2f10"
FETCHSOURCE
BUILD
Step #0: Collecting exceptiongroup>=1.0.2 (from anyio)
Step #0: Installing collected packages: exceptiongroup, flask
Step #0: Successfully installed exceptiongroup-1.2.2 flask-3.0.0
Step #0: Successfully tagged europe-docker.pkg.dev/p/r/web:latest
PUSH
DONE
""",
    "gcloud run deploy": """\
Deploying container to Cloud Run service [web] in project [p] region [europe-west1]
Service [web] revision [web-00002-abc] has been deployed and is serving 100 percent of traffic.
Service URL: https://web-abc-ew.a.run.app
""",
    "tests in a build": """\
starting build "7d3e0a5c-1f0b-4a44-9a51-0b5b8e4e2f10"
Step #0 - "test": tests/test_db.py::test_permission_denied_is_403 PASSED       [ 33%]
Step #0 - "test": tests/test_db.py::test_x[ModuleNotFoundError: No module named 'numpy'] PASSED [ 66%]
Step #0 - "test": tests/test_db.py::test_timeout XFAIL (connection refused)    [100%]
Step #0 - "test": 2 passed, 1 xfailed in 0.10s
DONE
""",
    "celery": """\
[2026-11-30 14:10:01,344: INFO/MainProcess] Connected to redis://10.0.0.3:6379/0
[2026-11-30 14:10:02,366: INFO/MainProcess] celery@localhost ready.
""",
    "a job": "OK Running execution... 1 / 1 complete\nDone.\nExecution [nightly-7xk2p] has successfully completed.\n",
    "gcloud builds list": "7d3e0a5c-1f0b-4a44-9a51-0b5b8e4e2f10  2026-11-30T14:10:01+00:00  1M12S  -  -  SUCCESS\n",
}
# A green build is no evidence of a start.
_BUILDS = ("Cloud Build", "tests in a build", "gcloud builds list")
# Rows of Cloud Logging: what proves is in their fields.
_ROWS = {
    "a request": rows(request(1, 200), request(2, 204)),
    "an audit entry": rows(
        execution(1, None, status="Ready condition status changed to True for Revision web-2 with message: ok.")
    ),
    "an execution": rows(
        execution(1, "exported 7 rows"), execution(2, None, status="Execution x has completed successfully.")
    ),
}
# The first ones come from reports of what was called healthy.
_FAILING = (
    "Segmentation fault (core dumped)",
    "/bin/sh: 1: gunicorn: not found",
    "exec ./start.sh: no such file or directory",
    "standard_init_linux.go:228: exec user process caused: no such file or directory",
    "CrashLoopBackOff",
    "(psycopg2.OperationalError) could not connect",
    "api-7d9 0/1 CrashLoopBackOff 5 (12s ago) 3m",
    "Back-off restarting failed container",
    "Killed",
    "Terminated",
    "Aborted (core dumped)",
    "Illegal instruction",
    "Bus error",
    "/usr/local/bin/python: can't find '__main__' module in '/srv/watch/watch.py'",
    'unable to start container process: exec: "uvicorn": executable file not found in $PATH',
    "unauthorized: authentication required",
    "403 Forbidden",
    '169.254.1.1 - - [17/Nov/2026:09:00:01 +0000] "GET / HTTP/1.1" 500 0',
    "GET / 503",
    "web-1 exited with code 0",
    "[1] [ERROR] Worker (pid:8) was sent SIGSEGV!",
    "Mar  3 09:14:55 node7 kernel: [48211.9] oom-kill:constraint=CONSTRAINT_NONE,task=gunicorn,pid=55312",
    "redis: dial tcp 10.0.0.3:6379: connect: connection refused",
    "django.core.exceptions.ImproperlyConfigured: The SECRET_KEY setting must not be empty.",
    "Error: Invalid value for '--port': 'http' is not a valid integer.",
    "Usage: gunicorn [OPTIONS] [APP_MODULE]",
    "*** no app loaded. going in full dynamic mode ***",
    "WARN[0000] service web is unhealthy",
    "E1117 09:00:00.000000       1 main.go:12] listen",
    "3 errors found",
    '{"severity": "ERROR", "message": "boom"}',
    '{"level": 50, "msg": "boom"}',
    '{"level": "info", "error": "boom"}',
    '{"textPayload": "boom", "jsonPayload": null, "details": {"cause": ["Segmentation fault"]}}',
    '{"severity": "INFO", "httpRequest": {"status": 502}}',
    "ERROR 2026-11-17T09:00:00Z boom",
    "finished Step #0 with an ERROR",
    "x" * 9_990 + "Segmentation fault",
    "\0".join("Segmentation fault"),
    "\x1b[31mSegmentation\x1b[0m fault",
)
_EVERY_FAILURE = (*_FAILING, *(text for texts in MESSAGES.values() for text in texts))


@pytest.fixture
def project(repository: Callable[..., Project]) -> Project:
    return repository(
        {"Dockerfile": "FROM python:3.11-slim\nWORKDIR /srv\nCOPY src/ ./\n", "src/app/main.py": "x = 1\n"}
    )


def _is_quiet(text: str) -> bool:
    """As `diagnose` sees a log: something is proven in it, and nothing looks like an error."""
    log = read(text.encode())
    return bool(proof_of(log.lines)) and not log.errors and not log.cut


@pytest.mark.parametrize("name", [name for name in _HEALTHY if name not in _BUILDS])
def test_a_line_that_proves_it(project: Project, name: str) -> None:
    found = diagnose(project.path, _HEALTHY[name].encode())

    assert (found.cause, found.exit_code, found.quote) == ("healthy", 0, "")
    assert "the log reports: " in found.sentence
    assert "1 source, compiled by CPython 3.11" in found.sentence


@pytest.mark.parametrize("name", _BUILDS)
def test_a_green_build_does_not_show_that_it_starts(project: Project, name: str) -> None:
    found = diagnose(project.path, _HEALTHY[name].encode())

    assert (found.cause, found.exit_code, found.quote) == ("unknown", 3, "")
    assert found.sentence.startswith("the log reports: ")
    assert found.sentence.endswith("a build that ended well does not show that the service starts")


@pytest.mark.parametrize("name", ["uvicorn", "Cloud Build"])
def test_an_import_that_fails_counts_against_health(project: Project, name: str) -> None:
    start = 'CMD ["python", "-m", "app.main"]\n'
    project.commit(
        {
            "Dockerfile": f"FROM python:3.10-slim\nWORKDIR /srv\nCOPY src/ ./\n{start}",
            "src/app/__init__.py": "",
            "src/app/main.py": "import tomllib\nfrom app import lost\n",
        }
    )

    found = diagnose(project.path, _HEALTHY[name].encode())

    verdicts = {hypothesis.id: hypothesis.verdict for hypothesis in found.hypotheses}
    assert (found.cause, found.exit_code) == ("target-older-than-code", 1)
    assert found.sentence.startswith("src/app/main.py, line 1: Python 3.10 has no module tomllib")
    assert [str(place) for place in found.place] == ["src/app/main.py, line 1"]
    assert found.remedies[0] == "build from python:3.11 or newer"
    assert verdicts["not-importable"] == "proven"


def test_a_late_use_of_a_newer_name_refutes_nothing(project: Project) -> None:
    source = "import asyncio\n\n\ndef f():\n    return asyncio.timeout(3)\n"
    project.commit({"Dockerfile": "FROM python:3.10\nCOPY src/ ./\n", "src/app/main.py": source})

    found = diagnose(project.path, _HEALTHY["uvicorn"].encode())

    [older] = [one for one in found.hypotheses if one.id == "target-older-than-code"]
    assert (found.cause, older.verdict) == ("healthy", "untested")
    assert "asyncio has no attribute timeout" in older.evidence[0]


@pytest.mark.parametrize("name", _ROWS)
def test_rows_that_prove_it(project: Project, name: str) -> None:
    found = diagnose(project.path, _ROWS[name].encode())

    assert (found.cause, found.quote) == ("healthy", "")


@pytest.mark.parametrize("text", ["", "\n\n", "\0\xff", *_FAILING[:8]])
def test_everything_else_is_unknown(project: Project, text: str) -> None:
    found = diagnose(project.path, text.encode())

    assert found.cause != "healthy"
    assert found.exit_code != 0
    assert found.cause != "unknown" or found.exit_code == 3


@pytest.mark.parametrize(
    "text",
    [
        "hello\n",
        "INFO: started\n",
        "2026-11-17T09:00:00Z listening on 8080\n",
        "[1] [INFO] Listening at: http://0.0.0.0:8080 (1)\n[8] [INFO] Booting worker with pid: 8\n",
        "INFO:     Uvicorn running on http://0.0.0.0:8080 (Press CTRL+C to quit)\nINFO:     Started parent process [1]\n",
        "wait for the line Application startup complete.\n",
        'DEBUG:urllib3.connectionpool:https://example.com:443 "GET / HTTP/1.1" 200 17\n',
        "#5 DONE 0.1s\n",
        "DONE with nothing\n",
        "print('DONE')\n",
        "migrating\nDONE\n",  # a program's own word
        f'{BUILD_BEGINS}Step #0 - "assets": DONE\nStep #1 - "image": Step 1/6 : FROM python:3.11-slim\n',
        f"{BUILD_BEGINS}Step #0: Application startup complete.\nStep #0: running 14 scenarios\n",  # a server that a step tests
        f"{BUILD_BEGINS}PUSH\nDONE\n{BUILD_BEGINS}Step #0: Step 1/6 : FROM python:3.11-slim\n",
        f"{BUILD_BEGINS}PUSH\nDONE\nDeploying container to Cloud Run service [web] in project [p] region [r]\n",
        f"{STARTS}{SERVES}{STARTS}",
        f"{STARTS * 2}INFO:     Application startup complete.\n",  # one of two workers
        "7d3e0a5c-1f0b-4a44-9a51-0b5b8e4e2f11  2026-11-30T15:10:01+00:00  -  -  WORKING\n"
        + _HEALTHY["gcloud builds list"],
        rows(request(1, 200, name="web-00001-old"), revision(2, "loading"), request(3, 200, name="web-00001-old")),
        rows(request(1, 200, log="requests")),  # a load balancer answers from its cache
        rows(request(1, 302)),
        f'{BUILD_BEGINS}Step #0: {{"message": "DONE"}}\n',
        f"labels:\n  revision_name: web-2\ntextPayload: loading\n---\nlabels:\n  revision_name: web-1\ntextPayload: {SERVES}",
    ],
)
def test_a_line_that_proves_nothing(project: Project, text: str) -> None:
    found = diagnose(project.path, text.encode())

    assert (found.cause, found.exit_code) == ("unknown", 3)


@pytest.mark.parametrize("name", _HEALTHY)
def test_a_failing_line_anywhere_in_a_healthy_log(name: str) -> None:
    lines = _HEALTHY[name].splitlines()
    assert _is_quiet("\n".join(lines))

    for failure in _EVERY_FAILURE:
        for at in range(len(lines) + 1) if ALL else {0, len(lines) // 2, len(lines)}:
            assert not _is_quiet("\n".join([*lines[:at], failure, *lines[at:]])), (failure, at)


@pytest.mark.parametrize("envelope", [one for one in ENVELOPES if one not in {"a logger's JSON", "pytest"}])
def test_a_failing_line_in_any_envelope(envelope: str) -> None:
    """Drawn by a seed: a log, a failure, and where it is in the log."""
    rng = random.Random(f"{envelope} 11")
    wrap = ENVELOPES[envelope]
    short = [one for one in _EVERY_FAILURE if not one.startswith("{") and len(one) < 1000]
    for _ in range(60 if ALL else 30):
        lines = rng.choice(list(_HEALTHY.values())).splitlines()
        lines.insert(rng.randint(0, len(lines)), rng.choice(short))
        assert not _is_quiet(wrap("\n".join(lines) + "\n")), lines


@pytest.mark.parametrize("failure", _FAILING[:6])
def test_the_whole_answer_of_a_healthy_log_with_one_failing_line(project: Project, failure: str) -> None:
    lines = _HEALTHY["uvicorn"].splitlines()

    found = diagnose(project.path, "\n".join([failure, *lines]).encode())

    assert found.cause != "healthy"
    assert found.exit_code in {1, 3}


def test_the_beginning_of_a_log_that_is_too_long_is_no_silence(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_parser, "MOST_BYTES", 1 << 16)
    end = _HEALTHY["uvicorn"].encode()
    log = b"Segmentation fault\n" + b"INFO: x\n" * (log_parser.MOST_BYTES // 8) + end

    assert diagnose(project.path, log).cause == "unknown"


def test_the_quote_is_the_last_line_that_looks_like_an_error(project: Project) -> None:
    log = "INFO: started\nfirst: not found\nthe frobnicator gave up\nContainer called exit(1).\nbye\n"
    (project.path / ".git/x.log").write_text(log)

    result = project.run("diagnose", "--log", ".git/x.log", "--format", "json")
    text = project.run("diagnose", "--log", ".git/x.log").out

    assert (result.code, result.json["cause"]) == (3, "unknown")
    assert "the frobnicator gave up" in result.json["quote"].splitlines()
    assert "the last line that looks like an error: the frobnicator gave up" in text.splitlines()[0]


def test_a_quote_for_an_entry_that_its_level_marks(project: Project) -> None:
    entries = [{"severity": "INFO", "message": "not cached"}, {"severity": "ERROR", "message": "boom"}]
    log = "\n".join(map(json.dumps, [*entries, {"severity": "INFO", "message": "bye"}]))

    assert diagnose(project.path, log.encode()).quote.splitlines() == ["not cached", "boom", "bye"]


def test_a_log_that_says_little_has_no_quote(project: Project) -> None:
    assert diagnose(project.path, b"hello\n").quote == ""
    assert diagnose(project.path, b"OrderLost: seven\nMemoryError\n").quote == ""  # the cause is known


def test_the_lines_of_a_log_are_judged_as_each_one_alone() -> None:
    lines = [*_EVERY_FAILURE, "", *(line for text in _HEALTHY.values() for line in text.splitlines()), "0 errors", "ok"]
    expected = [number for number, line in enumerate(lines) if looks_like_error(line)]

    assert error_numbers(lines) == expected
    assert read(b"x\nSegmentation fault\n").suspicious == (1,)
    assert error_numbers([]) == []


def test_the_error_like_lines_of_a_long_log_are_looked_for_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(lines: Sequence[str]) -> list[int]:
        calls.append(len(lines))
        return error_numbers(lines)

    monkeypatch.setattr(health, "error_numbers", counted)

    diagnose(project.path, _HEALTHY["uvicorn"].encode() + b"Segmentation fault\n")

    assert len(calls) == 1


def test_a_long_log_takes_no_long_time() -> None:
    for filler in ("a", " ", '"', "1 ", "GET ", "/", "[", "INFO ", "0 errors", "error "):
        line = (filler * 5_000)[:5_000]
        error_numbers([line] * 20)
        proof_of([line] * 20)
    assert looks_like_error("error " * 1000)
    assert not looks_like_error("0 errors, " * 1000)
