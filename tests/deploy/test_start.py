"""The step `start`: made-up values, and a failure only where neither a stand-in nor the missing network can be its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from buildguard.deploy import start
from buildguard.deploy.plan import CurrentService
from buildguard.deploy.start import STAND_IN, StartRequest
from buildguard.docker.offline_start import OfflineResult
from buildguard.docker.serve import StartOptions
from buildguard.gcp.service_containers import AppContainer, Container
from buildguard.gcp.service_state import ServiceState
from tests.deploy.plans import IMAGE, prepared

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

_PROD = "postgresql://app:hunter2@10.0.0.1/prod"


@pytest.mark.parametrize(
    ("value", "stand_in"),
    [
        (_PROD, f"postgresql://{STAND_IN}.invalid/{STAND_IN}"),
        ("5432", "1"),
        ("0.5", "1"),
        ("True", "false"),
        ("hunter2", STAND_IN),
        ("", STAND_IN),
        (None, STAND_IN),
    ],
)
def test_a_stand_in_has_the_form_of_the_value(value: str | None, stand_in: str) -> None:
    assert start.stand_in(value) == stand_in


def _service(*containers: Container) -> ServiceState:
    return ServiceState("web", "", "", True, False, "", "", "", (), (), containers, AppContainer(IMAGE, ""))


def test_names_are_the_services_and_values_are_not() -> None:
    env = {"DATABASE_URL": _PROD, "TOKEN": None, "WORKERS": "4", "PYTHONPATH": "/app/src", "LOG_LEVEL": _PROD}
    app = Container("app", f"{IMAGE}:1", env, ("gunicorn",), ("app:app",), 9000)
    ready = prepared()._replace(start_env={"WORKERS": "2", "EXTRA": "x"})

    request = start.request_of(ready, _service(app))

    variables = request.options.variables
    assert variables["PORT"] == "9000"
    assert (variables["WORKERS"], variables["EXTRA"], variables["K_SERVICE"]) == ("2", "x", "web")
    assert request.stand_ins == ("DATABASE_URL", "TOKEN", "LOG_LEVEL")
    assert variables["PYTHONPATH"] == "/app/src", "how it is started, and not what it works on"
    assert not [name for name, value in variables.items() if value == _PROD]
    assert (request.options.command, request.options.args, request.path) == (("gunicorn",), ("app:app",), "/healthz")


def test_an_app_behind_a_proxy_keeps_its_own_port() -> None:
    proxy, app = Container("proxy", "nginx", port=8080), Container("app", f"{IMAGE}:1", {"PORT": "8888"})

    request = start.request_of(prepared(), _service(proxy, app))

    assert (request.options.port, request.options.variables["PORT"]) == (8888, "8888")
    assert request.stand_ins == ()


def test_a_first_revision_has_the_variables_that_are_required() -> None:
    ready = prepared(serving=CurrentService(known=True))
    deploy = ready.config.deploy._replace(required_env=("DATABASE_URL",))

    request = start.request_of(ready._replace(config=ready.config._replace(deploy=deploy)), None)

    assert request.options.variables["DATABASE_URL"] == STAND_IN
    assert request.stand_ins == ("DATABASE_URL",)


_MISSING = b"""Traceback (most recent call last):
  File "/app/app/a.py", line 1, in <module>
    url = os.environ["OTHER"]
  File "<frozen os>", line 679, in __getitem__
KeyError: 'OTHER'
"""


@pytest.mark.parametrize(
    ("log", "stand_ins", "exit_code"),
    [
        (b"ModuleNotFoundError: No module named 'flask'\n", ("TOKEN",), 1),
        (_MISSING, ("TOKEN",), 1),
        (b"ValueError: invalid literal for int() with base 10: 'buildguard-stand-in'\n", ("TOKEN",), 3),
        (b"sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) could not connect to server\n", (), 3),
        (b"it just went away\n", ("TOKEN",), 3),
        (b"it just went away\n", (), 1),
    ],
)
def test_what_a_crash_proves(
    repository: Callable[..., Project], log: bytes, stand_ins: tuple[str, ...], exit_code: int
) -> None:
    project = repository({"app/a.py": "x = 1\n", "Dockerfile": "FROM python:3.11\nCOPY . .\n"})
    result = OfflineResult(started=False, seconds=1.0, ending="it ended with status 1")

    error = start.describe_failure(
        prepared(project.path).repository.top, _request(stand_ins), result, log, "commit:HEAD"
    )

    assert error.exit_code == exit_code, error.what
    assert error.what.startswith("BG502 it does not start: ")
    assert ("--start-env FILE" in error.hint) is (exit_code == 3)


def _request(stand_ins: tuple[str, ...] = ()) -> StartRequest:
    return StartRequest(StartOptions(), stand_ins, "/healthz")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"listens_on": ("127.0.0.1:8000",)}, "BG502 it listens on 127.0.0.1:8000, and Cloud Run needs 0.0.0.0:8080"),
        ({"silent": True}, "BG502 it does not start: port 8080 is open, and sent no response in 60 s"),
        ({}, "BG502 it does not start: nothing listens on port 8080 after 60 s"),
    ],
)
def test_what_was_seen_is_named(repository: Callable[..., Project], fields: dict[str, Any], words: str) -> None:
    project = repository({"app/a.py": "x = 1\n", "Dockerfile": "FROM python:3.11\nCOPY . .\n"})
    result = OfflineResult(started=False, seconds=60.0, **fields)

    error = start.describe_failure(prepared(project.path).repository.top, _request(), result, b"", "commit:HEAD")

    assert error.what.startswith(words)
