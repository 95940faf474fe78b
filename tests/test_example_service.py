"""The example of a service: everything in it is what `init` writes today, and the guard works in each place."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from ruamel.yaml import YAML

from tests.conftest import REPOSITORY, Project, interpreter

if TYPE_CHECKING:
    from collections.abc import Callable

_EXAMPLE = REPOSITORY / "examples/service"
_TOO_NEW = "def first[T = int](rows: list[T]) -> T:\n    return rows[0]\n"  # a default of a type parameter: 3.13


@pytest.fixture
def service(repository: Callable[..., Project]) -> Project:
    """The example as a repository of its own."""
    interpreter("3.12")
    made = repository()
    shutil.copytree(_EXAMPLE, made.path, dirs_exist_ok=True)
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "the example")
    return made


def test_it_is_clean_and_every_target_is_declared(service: Project) -> None:
    result = service.check("--strict")

    assert (result.code, result.json["diagnostics"], result.json["unproven"]) == (0, [], [])
    (target,) = result.json["targets"]
    assert (target["python"], target["found_in"], target["proof"]) == ("3.12", "Dockerfile:1", "compiled")


@pytest.mark.parametrize("option", ["--cloudbuild", "--pre-commit"])
def test_init_changes_nothing(service: Project, option: str) -> None:
    assert service.run("init", option).code == 0
    assert service.git("status", "--porcelain") == ""


def test_what_3_12_rejects_stops_the_commit_and_the_build(service: Project) -> None:
    service.write({"app/rows.py": _TOO_NEW})
    service.git("add", "--all")

    staged = service.check("--staged")
    step = YAML(typ="safe").load((service.path / "cloudbuild.yaml").read_text())["steps"][0]
    built = subprocess.run(
        [interpreter("3.12"), *step["args"]], cwd=service.path, capture_output=True, text=True, check=False
    )

    assert (staged.code, staged.codes()) == (1, {"app/rows.py": ["BG101"]})
    assert built.returncode == 1
    assert "app/rows.py\n  1:10  BG101 error" in built.stdout


def test_its_build_passes_as_it_is(service: Project) -> None:
    step = YAML(typ="safe").load((service.path / "cloudbuild.yaml").read_text())["steps"][0]

    built = subprocess.run(
        [interpreter("3.12"), *step["args"]], cwd=service.path, capture_output=True, text=True, check=False
    )

    assert (step["name"], step["entrypoint"]) == ("python:3.12-slim", "python3")
    assert built.returncode == 0, built.stdout + built.stderr


def test_the_deploy_is_planned_with_its_health_path(service: Project) -> None:
    from buildguard.project import config

    deploy = config.read({b"buildguard.toml": (service.path / "buildguard.toml").read_bytes()}).deploy

    assert (deploy.service, deploy.health) == ("orders", "/healthz")
    assert deploy.image.endswith("/services/orders")
    assert '@app.get("/healthz")' in (service.path / "app/main.py").read_text()
