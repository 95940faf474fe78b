"""The services of a project: one for each way in which a Dockerfile is built."""

from __future__ import annotations

import pytest

from buildguard.errors import UsageError
from buildguard.project import services
from buildguard.project.cloudbuild import reader
from buildguard.project.config import Config, ServiceTable
from buildguard.project.declared_builds import DeclaredBuild
from buildguard.project.project_files import ProjectFiles
from buildguard.project.target import Certainty, ImageService

_PYTHON = b"FROM python:3.9\n"
_BUILD = b"""\
steps:
- name: gcr.io/cloud-builders/docker
  args: [build, -f, api/Dockerfile, --build-arg, PY=3.10, --target, prod, -t, x, .]
"""


def _files(
    dockerfiles: dict[str, bytes],
    *,
    build: bytes = b"",
    compose: list[DeclaredBuild] | None = None,
) -> ProjectFiles:
    paths = (*(path.encode() for path in dockerfiles), b"api/main.py", b"main.py")
    buildfiles = {"cloudbuild.yaml": reader.read(build, "cloudbuild.yaml", {})} if build else {}
    return ProjectFiles(paths, dockerfiles, buildfiles, compose or [], {}, {}, [], [])


def _service(files: ProjectFiles, config: Config | None = None) -> ImageService:
    [service] = services.services(files, config or Config())[0]
    return service


def test_a_build_file_says_how_a_dockerfile_is_built() -> None:
    service = _service(_files({"api/Dockerfile": _PYTHON}, build=_BUILD))

    assert service[:3] == ("api", "api/Dockerfile", "")
    assert (service.basis.known, service.basis.by) == (Certainty.DECLARED, "cloudbuild.yaml:3")
    assert (service.build_args, service.stage) == ((("PY", "3.10"),), "prod")


def test_a_compose_file_counts_where_no_build_file_builds_it() -> None:
    compose = [DeclaredBuild("api/Dockerfile", "api", (), "compose.yaml:3")]

    alone = _service(_files({"api/Dockerfile": _PYTHON}, compose=compose))
    beside = _service(_files({"api/Dockerfile": _PYTHON}, compose=compose, build=_BUILD))

    assert (alone.context, alone.basis.by) == ("api", "compose.yaml:3")
    assert beside.basis.by == "cloudbuild.yaml:3"


def test_the_defaults_of_a_dockerfile_count_beside_the_arguments_of_a_compose_file() -> None:
    compose = [DeclaredBuild("Dockerfile", "", (("PY", "3.10"),), "compose.yaml:3")]

    fixed, _notes = services.services(_files({"Dockerfile": _PYTHON}, compose=compose), Config())
    open_ended, _notes = services.services(
        _files({"Dockerfile": b"ARG PY\nFROM python:$PY\n"}, compose=compose), Config()
    )

    assert [service.build_args for service in fixed] == [(), (("PY", "3.10"),)]
    assert [service.build_args for service in open_ended] == [(("PY", "3.10"),)]


def test_a_context_that_no_file_declares_is_a_guess() -> None:
    service = _service(_files({"api/Dockerfile": _PYTHON}))

    assert (service.context, service.basis.known) == ("api", Certainty.GUESSED)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Dockerfile", "root"),
        ("api/Dockerfile", "api"),
        ("Dockerfile.worker", "worker"),
        ("api/worker.Dockerfile", "worker"),
        ("Containerfile-web", "web"),
    ],
)
def test_what_a_service_is_called(path: str, name: str) -> None:
    assert _service(_files({path: _PYTHON})).name == name


def test_a_configured_service_takes_its_arguments_from_a_build_file() -> None:
    config = Config("pyproject.toml", services=(ServiceTable("web", "api/Dockerfile", "api", 5),))

    service = _service(_files({"api/Dockerfile": _PYTHON}, build=_BUILD), config)

    assert (service.name, service.context, service.basis.by) == ("web", "api", "pyproject.toml:5")
    assert service.build_args == (("PY", "3.10"),)


def test_a_configured_dockerfile_has_to_be_there() -> None:
    config = Config("pyproject.toml", services=(ServiceTable("web", "web/Dockerfile", None, 5),))

    with pytest.raises(UsageError, match=r"pyproject.toml:5: there is no web/Dockerfile"):
        services.services(_files({"api/Dockerfile": _PYTHON}), config)


def test_services_are_picked_by_name_dockerfile_or_folder() -> None:
    every, _notes = services.services(_files({"api/Dockerfile": _PYTHON, "Dockerfile.worker": _PYTHON}), Config())

    assert [service.name for service in services.picked(every, [], "worker")[0]] == ["worker"]
    assert [service.name for service in services.picked(every, [], "api/Dockerfile")[0]] == ["api"]
    with pytest.raises(UsageError) as refused:
        services.picked(every, [], "db")
    assert refused.value.hint == "services here: worker, api"


_TWICE = """\
steps:
- name: gcr.io/cloud-builders/docker
  args: [build, --build-arg, BASE=python:3.12-slim, -t, x, .]
- name: gcr.io/cloud-builders/docker
  args: [build, -t, y, .]
"""


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("ARG BASE\nFROM ${BASE}\n", [(("BASE", "python:3.12-slim"),)]),  # docker refuses the other build
        ("ARG BASE\nFROM python:3.11$BASE\n", [(("BASE", "python:3.12-slim"),), ()]),
        ("ARG BASE=python:3.9\nFROM $BASE\n", [(("BASE", "python:3.12-slim"),), ()]),
    ],
)
def test_a_build_that_the_engine_refuses_is_no_service(head: str, expected: list[tuple[tuple[str, str], ...]]) -> None:
    files = _files({"Dockerfile": head.encode()}, build=_TWICE.encode())

    found, _notes = services.services(files, Config())

    assert [service.build_args for service in found] == expected


def test_a_base_that_nothing_names_stays_a_question() -> None:
    (service,) = services.services(_files({"Dockerfile": b"ARG BASE\nFROM ${BASE}\n"}), Config())[0]

    assert service.build_args == ()
