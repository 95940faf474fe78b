"""The parts of a diagnosis, each alone: variables, permissions, settings, syntax, ports, and places."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest

from buildguard.cli.render import diagnosis as rendering
from buildguard.diagnose import (
    answer,
    compare_stage,
    deployed_files,
    events,
    evidence,
    judges,
    locate_failure,
    message_places,
    missing_variables,
    newer_syntax,
    permissions,
    ports,
    verdict,
)
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.deployed import deployed
from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.diagnose.incident import IncidentEvidence, SourceLocation
from buildguard.diagnose.known_messages import KNOWN, match_messages
from buildguard.diagnose.log_parser import Frame, read
from buildguard.diagnose.messages import configuration, installing, platform, python_version, services, starting
from buildguard.diagnose.messages.message import KnownMessage
from buildguard.diagnose.newest_python import REFUSED
from buildguard.diagnose.run import diagnose
from buildguard.diagnose.settings_errors import read_settings_errors
from tests.conftest import Project

_EVIDENCE = IncidentEvidence(
    (), (), (), True, "", "3.11", "Dockerfile:1", "3 sources, compiled by CPython 3.11.9", "compiled", (), (), (), (), ()
)  # fmt: skip


def test_all_missing_variables_in_one_command() -> None:
    names = ["QUEUE_URL", "BOT_TOKEN", "QUEUE_URL"]

    assert missing_variables.sentence(names) == "2 environment variables are not set: QUEUE_URL, BOT_TOKEN"
    assert missing_variables.set_command(names, "web") == (
        "gcloud run services update web --update-env-vars QUEUE_URL=VALUE --update-secrets BOT_TOKEN=BOT_TOKEN:latest"
    )


@pytest.mark.parametrize(
    ("log", "names"),
    [
        ("RuntimeError: Missing required environment variables: DATABASE_URL, QUEUE_NAME", "DATABASE_URL QUEUE_NAME"),
        ("start.sh: line 3: DATABASE_URL: unbound variable", "DATABASE_URL"),
        ("ERROR: DATABASE_URL must be set", "DATABASE_URL"),
        (
            "pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings\nBOT_TOKEN\n"  # noqa: ISC004
            "  Field required [type=missing, input_value={}, input_type=dict]\nqueue.url\n"
            "  Field required [type=missing, input_value={}, input_type=dict]",
            "BOT_TOKEN QUEUE__URL",
        ),
        (
            "pydantic.error_wrappers.ValidationError: 2 validation errors for AppOptions\nSTORE_USER\n"  # noqa: ISC004
            "  field required (type=value_error.missing)\nSTORE_HOST\n  field required (type=value_error.missing)",
            "STORE_USER STORE_HOST",
        ),
    ],
)
def test_the_variables_that_a_log_misses(log: str, names: str) -> None:
    (match,) = match_messages(log.splitlines())

    assert match.message.cause == CauseId.MISSING_VARIABLE
    assert " ".join(match.variables) == names


def test_a_wrong_setting_is_no_missing_variable() -> None:
    log = (
        "ValidationError: 1 validation error for Settings",
        "PORT",
        "  Input should be a valid integer [type=int_parsing, input_value='x']",
    )

    (error,) = read_settings_errors(log)
    (match,) = match_messages(log)

    assert (error.missing, error.wrong) == ((), (("PORT", "int_parsing"),))
    assert match.message.cause == CauseId.CONFIGURATION
    assert not list(read_settings_errors(("1 validation error for Order", "total", "  Field required [type=missing]")))


def test_the_command_that_grants() -> None:
    line = (
        "12-compute@developer.gserviceaccount.com does not have secretmanager.versions.access access to projects/acme/x"
    )
    (match,) = match_messages((line,))

    assert match.message.cause == CauseId.PERMISSION
    assert match.remedy == (
        "gcloud projects add-iam-policy-binding acme --member=serviceAccount:12-compute@developer.gserviceaccount.com"
        " --role=roles/secretmanager.secretAccessor"
    )
    assert permissions.role_of("unheard.of") == "ROLE"


@pytest.mark.parametrize(
    ("line", "project"),
    [
        ('POST https://europe-docker.pkg.dev/v2/acme/r/api/blobs/uploads/: DENIED: Permission "a.b" denied', "acme"),
        ("GET https://europe-docker.pkg.dev/v2/token?scope=repository: 403 Forbidden", "PROJECT"),
        ('step 0 "gcr.io/cloud-builders/docker" failed: Permission \'a.b.c\' denied for resource \'projects/acme/x\'', "acme"),
        ("europe-docker.pkg.dev/acme/r/api:v1 denied", "acme"),
    ],
)  # fmt: skip
def test_the_project_of_a_grant_is_no_part_of_a_registry(line: str, project: str) -> None:
    command = permissions.grant_command({}, line, "--role=roles/cloudsql.client")

    assert command.split()[3] == project
    assert command.endswith("--role=roles/cloudsql.client")


@pytest.mark.parametrize(
    ("line", "minor"),
    [
        ("if n := f():", 8),
        ("match command:", 10),
        ("def f[T](x: T) -> T:", 12),
        ("type Row = list[int]", 12),
        ("x = f'{a['b']}'", 12),
        ("x = f'{a}'", 6),
        ("def f(*args, limit=None, **options):", 0),
        ("x = 1", None),
        ("print('one')", None),
    ],
)
def test_the_python_that_a_line_needs(line: str, minor: int | None) -> None:
    assert newer_syntax.needed_minor(line) == minor
    assert not newer_syntax.is_older(line)


@pytest.mark.parametrize("line", ["print 'x'", "except OSError, error:", "raise ValueError, 'x'", "run(async=True)"])
def test_a_line_of_an_older_python(line: str) -> None:
    assert newer_syntax.is_older(line)


@pytest.mark.parametrize(
    ("line", "is_marker"), [("<<<<<<< HEAD", True), ("=======", True), (">>>>>>> b", True), ("x << 7", False)]
)
def test_conflict_markers(line: str, is_marker: bool) -> None:
    assert newer_syntax.is_conflict_marker(line) == is_marker


_NOT_LISTENING = "The container failed to start and listen on the port defined by PORT=8080"


@pytest.mark.parametrize(
    ("serving", "words"),
    [
        (" * Running on http://127.0.0.1:5000", "the server listens on 127.0.0.1:5000"),
        ("Listening at: http://0.0.0.0:8000 (7)", "the server listens on port 8000, and the platform asks for 8080"),
        ("Listening at: http://0.0.0.0:8080 (7)", ""),
    ],
)
def test_a_server_that_the_platform_cannot_reach(serving: str, words: str) -> None:
    number, shown = ports.wrong_address([serving, _NOT_LISTENING])

    assert shown.startswith(words)
    assert bool(number) == bool(words)
    assert ports.wrong_address([serving]) == (0, "")


@pytest.mark.parametrize(
    ("asking", "is_asked"),
    [
        ("curl: (7) Failed to connect to web port 8080 after 2 ms: Connection refused", True),
        ('connect() failed (111: Connection refused) while connecting to upstream, upstream: "http://127.0.0.1:8080/"', True),
        ("dial tcp 10.0.0.2:8080: connect: connection refused", True),
        ('connection to server at "db", port 5432 failed: Connection refused', False),
        ("redis: dial tcp 10.0.0.3:6379: connect: connection refused", False),
        ("http://10.0.0.3:9200/orders: Connection refused", False),
    ],
)  # fmt: skip
def test_a_database_that_refuses_does_not_look_for_the_server(asking: str, is_asked: bool) -> None:
    assert bool(ports.wrong_address(["Listening at: http://127.0.0.1:8000 (7)", asking])[0]) == is_asked


@pytest.mark.parametrize(
    ("answer_line", "words"),
    [
        ('10.0.0.1:1 - "GET /healthz HTTP/1.1" 404 Not Found', "the probe asks for /healthz, and the program answers 404"),
        ('10.0.0.1 - - [x] "GET /healthz?full=1 HTTP/1.1" 401 12', "the probe asks for /healthz, and the program answers 401"),
        ('10.0.0.1:1 - "GET /other HTTP/1.1" 404 Not Found', ""),
        ('10.0.0.1:1 - "GET /healthz HTTP/1.1" 500 Internal Server Error', ""),
    ],
)  # fmt: skip
def test_a_probe_that_the_program_refuses(answer_line: str, words: str) -> None:
    failed = 'STARTUP HTTP probe failed 3 times consecutively for container "web" on port 8080 path "/healthz". The instance was not started.'

    assert ports.refused_probe([answer_line, failed])[1] == words
    assert ports.refused_probe([answer_line]) == (0, "")


def test_every_hypothesis_has_a_verdict_and_a_reason() -> None:
    hypotheses = judges.judge_all(_EVIDENCE, [])

    assert [hypothesis.id for hypothesis in hypotheses] == list(CauseId)
    assert {hypothesis.id for hypothesis in hypotheses if hypothesis.verdict != verdict.UNTESTED} == {
        CauseId.TARGET_OLDER
    }
    assert all(hypothesis.reason for hypothesis in hypotheses if hypothesis.verdict == verdict.UNTESTED)


def test_unknown_names_what_would_show_more() -> None:
    remedies = answer.remedies_of("unknown", [], _EVIDENCE, [])

    assert [remedy.split()[2] for remedy in remedies] == ["--revision", "--build", "--image"]
    assert evidence.Evidence() + evidence.Evidence() == evidence.Evidence()


def test_every_theme_is_known() -> None:
    themes = (python_version, configuration, services, starting, installing, platform)

    assert {known.id for theme in themes for known in theme.MESSAGES} == {known.id for known in KNOWN}
    assert all(isinstance(known, KnownMessage) for known in KNOWN)


@pytest.mark.parametrize(
    ("client", "kind", "cause"),
    [
        ("/usr/lib/python3.11/site-packages/asyncpg/connect_utils.py", "TimeoutError", "dependency-service"),
        ("/usr/lib/python3.11/site-packages/redis/connection.py", "redis.exceptions.TimeoutError", "dependency-service"),
        ("/usr/lib/python3.11/site-packages/asyncpg/connect_utils.py", "ValueError", "unknown"),
        ("/usr/lib/python3.11/asyncio/tasks.py", "TimeoutError", "unknown"),
    ],
)  # fmt: skip
def test_a_client_that_gets_no_answer(repository: Callable[..., Project], client: str, kind: str, cause: str) -> None:
    log = f'Traceback (most recent call last):\n  File "{client}", line 9, in connect\n    await connected\n{kind}\n'

    assert diagnose(repository({"Dockerfile": "FROM python:3.11-slim\n", "a.py": ""}).path, log.encode()).cause == cause


def test_a_failed_test_has_its_file_as_place(repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM python:3.11-slim\n", "tests/test_a.py": ""})

    found = diagnose(made.path, b"FAILED tests/test_a.py::test_b - assert 3 == 4\n1 failed in 0.1s\n")

    assert found.sentence == "a test failed, and with it the step that ran it: tests/test_a.py::test_b"
    assert [str(place) for place in found.place] == ["tests/test_a.py"]


def test_a_consequence_gives_way_to_its_cause() -> None:
    log = "/start.sh: line 2: web: command not found\nweb-1 exited with code 127"
    found = events.events_of(_EVIDENCE._replace(known_messages=tuple(match_messages(log.splitlines()))))

    assert [(event.cause, event.rank) for event in found] == [(CauseId.START_COMMAND, 0), (CauseId.START_COMMAND, 1)]


def test_a_line_that_a_log_cut() -> None:
    assert locate_failure.shows(["x = compute(1, 2)"], Frame("a.py", 1, "f", "x = compute(1"))
    assert locate_failure.shows(["x = 'a'"], Frame("a.py", 1, "f", "x = \u2018a\u2019"))
    assert not locate_failure.shows(["x = compute(1, 2)"], Frame("a.py", 2, "f", "x = compute(1"))


@pytest.mark.parametrize(
    ("log", "path", "line"),
    [
        ("a.py:5: in <module>\n    import b\nE   ImportError: no", "a.py", 5),
        ("api.Denied: 403\n\nat .fetch ( /srv/a.py:38 )\nat .main ( /srv/b.py:9 )", "/srv/a.py", 38),
        ('app[web.1]: File "/app/a.py", line 7, in \napp[web.1]: django.core.ImproperlyConfigured: no', "/app/a.py", 7),
        ("File \u201c/app/a.py\u201d, line 7, in <module>\nImportError: no", "/app/a.py", 7),
    ],
)
def test_frames_without_a_traceback_header(log: str, path: str, line: int) -> None:
    (failure,) = read(log.encode()).failures

    assert (failure.frames[-1].path, failure.frames[-1].line) == (path, line)


def test_the_places_of_messages(repository: Callable[..., Project]) -> None:
    made = repository(
        {
            "Dockerfile": 'FROM python:3.11-slim\nWORKDIR /srv\nCOPY service/x.txt .\nCMD ["./go.sh"]\n',
            "requirements.txt": "flask\noarlock==0.1\n",
            "go.sh": "#!/bin/sh\r\nexec web\r\n",
        }
    )

    def places(log: str) -> list[str]:
        return [str(place) for place in diagnose(Path(made.path), log.encode()).place]

    assert places("COPY failed: stat service/x.txt: file does not exist") == ["Dockerfile, line 3"]
    assert places("ERROR: No matching distribution found for oarlock==0.1") == ["requirements.txt, line 2"]
    ends = diagnose(Path(made.path), b"exec ./go.sh: no such file or directory")
    assert (ends.cause, [str(place) for place in ends.place]) == ("encoding", ["go.sh"])
    assert message_places.StartScript("go.sh", True, True).has_windows_ends
    assert {deployed_files.DeployedFiles.__module__, compare_stage.compare_stage.__module__}


def test_the_first_lines_are_cause_place_and_fix() -> None:
    found = Diagnosis("crash", "it crashed", (SourceLocation("a.py", 3),), (), (), ("do this",) * 2)

    text = rendering.text(found).splitlines()

    assert text[0].endswith("it crashed (a.py, line 3)")
    assert text[1] == "fix: do this"
    assert len(rendering.markdown(found).splitlines()) <= 25


def test_a_terminal_gets_whole_words_and_whole_commands() -> None:
    command = f"gcloud run services update web --update-env-vars {','.join(f'NAME{number}=…' for number in range(12))}"
    found = Diagnosis("missing-variable", "word " * 30, (), (), (), (command,), "a log line " * 20, ("note " * 40,))

    lines = click.unstyle(rendering.text(found, 80)).splitlines()

    assert f"fix: {command}" in lines
    assert [line for line in lines if len(line) > 80 and command not in line] == [f"  {'a log line ' * 20}"]
    assert rendering.text(found).splitlines()[0].endswith("word " * 30)


def test_an_explanation_stays_in_its_column() -> None:
    remedies = (
        "first",
        "buildguard fix      one two three four five six seven eight nine ten",
        "buildguard check    short",
    )
    lines = rendering.text(Diagnosis("crash", "it crashed", (), (), (), remedies), 60).splitlines()

    at = lines.index("  buildguard fix      one two three four five six seven")
    assert lines[at + 1 : at + 3] == [" " * 22 + "eight nine ten", "  buildguard check    short"]


def test_an_unknown_cause_has_nothing_to_repair() -> None:
    found = Diagnosis("unknown", "no failure found", (), (), (), ("buildguard diagnose --build ID",))

    assert "to find out more:" in rendering.text(found).splitlines()
    assert "**To find out more**" in rendering.markdown(found)


def test_a_remedy_is_printed_once() -> None:
    found = Diagnosis("crash", "it crashed", (), (), (), ("buildguard fix", "buildguard check"))

    lines = rendering.text(found).splitlines()

    assert lines[1:5] == ["fix: buildguard fix", "", "other repairs:", "  buildguard check"]
    assert "repair" not in rendering.text(found._replace(remedies=found.remedies[:1]))
    assert "**To repair it**" in rendering.markdown(found)


def test_what_was_named_and_could_not_be_read_is_a_note(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": ""})

    build, revision = (made.run("diagnose", flag, "123", "--project", "p").out for flag in ("--build", "--revision"))

    assert build.startswith("unknown: the build 123 could not be read: ")
    assert revision.startswith("unknown: the revision 123 could not be read: ")
    assert build.count("could not be read") == 1


def test_a_commit_that_is_not_here(repository: Callable[..., Project]) -> None:
    made = repository({"a.py": ""})

    assert deployed(Path(made.path), "", "f" * 40).missing.startswith("the commit ffffffffffff")
    assert "BG101" in REFUSED
