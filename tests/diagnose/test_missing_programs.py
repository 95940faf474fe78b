"""Programs that are not found, scripts that are not executed, and what a repair names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.diagnose.known_messages import match_messages
from buildguard.diagnose.missing_programs import named
from buildguard.diagnose.run import diagnose
from tests.conftest import Project

_NOT_FOUND = "/bin/sh: 1: exec: uvicorn: not found\nContainer called exit(127).\n"
_FORMAT = 'terminated: Application failed to start: "{path}": exec format error\n'


@pytest.fixture
def project(repository: Callable[..., Project]) -> Project:
    return repository(
        {"Dockerfile": "FROM python:3.10-slim\nWORKDIR /srv\nCOPY app app\n", "app/main.py": "import cgi\n"}
    )


def _found(project: Project, log: str) -> Diagnosis:
    return diagnose(project.path, log.encode())


def test_a_program_that_no_requirements_file_names(project: Project) -> None:
    found = _found(project, _NOT_FOUND)

    assert found.cause == "start-command"
    assert found.remedies[0] == "add uvicorn to the requirements that the Dockerfile installs, or correct CMD and PATH"


def test_a_program_that_is_required_and_not_installed(project: Project) -> None:
    project.commit({"requirements.txt": "flask==3.0.3\nuvicorn==0.30.0\n"})

    found = _found(project, _NOT_FOUND)

    assert "though requirements.txt, line 2 requires it" in found.sentence
    assert found.remedies[0].startswith("install requirements.txt in the final stage of the Dockerfile")


@pytest.mark.parametrize(
    ("script", "path", "cause"),
    [
        (None, "/srv/start.sh", "start-command"),
        (None, "/usr/local/bin/docker-entrypoint.sh", "platform"),
        ("echo x\n", "/srv/app/start.sh", "start-command"),
        ("#!/bin/sh\n", "/srv/app/start.sh", "platform"),
    ],
)
def test_a_format_error_of_a_script(project: Project, script: str | None, path: str, cause: str) -> None:
    if script is not None:
        project.commit({"app/start.sh": script})

    assert _found(project, _FORMAT.format(path=path)).cause == cause


@pytest.mark.parametrize("name", ["templates/", "templates"])
def test_a_source_of_copy_that_exists_nowhere(project: Project, name: str) -> None:
    log = (
        f"COPY failed: file not found in build context or excluded by .dockerignore: stat {name}: file does not exist\n"
    )

    absent = _found(project, log)
    project.commit({"templates/x.html": ""})
    dropped = _found(project, log)

    assert absent.cause == dropped.cause == "wrong-files-sent"
    assert absent.remedies == ("commit templates, or correct that COPY",)
    assert "shows which ignore rule drops it" in dropped.remedies[0]


def test_a_module_that_the_declared_python_has(project: Project) -> None:
    log = 'Traceback (most recent call last):\n  File "/srv/app/main.py", line 1, in <module>\n    import cgi\n'
    error = "ModuleNotFoundError: No module named 'cgi'\n"

    other = _found(project, log + error)
    project.commit({"Dockerfile": "FROM python:3.13-slim\nWORKDIR /srv\nCOPY app app\n"})
    removed = _found(project, log + error)

    assert other.cause == "other-interpreter"
    assert "another Python ran this: 3.13 or newer" in other.sentence
    assert removed.cause == "code-older-than-target"


def test_a_repair_names_the_package_and_is_not_said_twice(project: Project) -> None:
    ignored = (
        "ERROR: Ignored the following versions that require a different python version: 1.27.0 Requires-Python >=3.11"
    )
    missing = "ERROR: No matching distribution found for numpy==2.3.0"
    late = _found(project, "TIMEOUT\nERROR: context deadline exceeded\n")

    matches = named(match_messages((ignored, missing)))

    assert matches[0].remedy == "pin a version of numpy that supports this Python, or build from another base image"
    assert late.remedies == ("timeout: 3600s in cloudbuild.yaml",)
