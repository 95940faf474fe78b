"""`init --cloudbuild` by its parts: which image, which folders, which build file, and the lines that it prints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.cli import init_cloudbuild
from buildguard.errors import UsageError
from buildguard.project.cloudbuild import guard_step
from tests.conftest import Project

_BUILD = "steps:\n- name: gcr.io/cloud-builders/docker\n  args: [build, .]\n"


def _project(project: Callable[..., Project], **files: str) -> Path:
    named = {name.replace("__", "."): text for name, text in files.items()}
    created = project({"Dockerfile": "FROM python:3.11-slim\n", "a.py": "x = 1\n", **named})
    created.git("init", "--quiet")
    return created.path


def test_a_first_run_writes_two_files_and_a_second_none(project: Callable[..., Project]) -> None:
    folder = _project(project, cloudbuild__yaml=_BUILD)

    first = init_cloudbuild.guard_build(folder)
    files = {file: file.read_bytes() for file in (folder / "cloudbuild.yaml", folder / guard_step.NAME)}
    second = init_cloudbuild.guard_build(folder)

    assert first[:2] == [f"{guard_step.NAME}: written", "cloudbuild.yaml: changed: added the step, and nothing else"]
    assert "commit both files together" in first[-1]
    assert second == [f"{guard_step.NAME}: unchanged", "cloudbuild.yaml: unchanged"]
    assert files == {file: file.read_bytes() for file in files}


def test_without_a_build_file_the_step_is_printed(project: Callable[..., Project]) -> None:
    lines = init_cloudbuild.guard_build(_project(project))

    assert "no cloudbuild.yaml found; paste this step above your first one:" in lines
    assert "    name: python:3.11-slim" in lines


def test_the_configured_build_file_is_the_one(project: Callable[..., Project]) -> None:
    config = '[cloud]\nconfig = "ci/cloudbuild.yaml"\n'
    folder = _project(
        project, **{"ci/cloudbuild__yaml": _BUILD, "cloudbuild__yaml": _BUILD, "buildguard__toml": config}
    )

    lines = init_cloudbuild.guard_build(folder)

    assert "ci/cloudbuild.yaml: changed: added the step, and nothing else" in lines
    assert any(line.startswith("cloudbuild.yaml: not changed; ") for line in lines)
    assert (folder / "cloudbuild.yaml").read_text() == _BUILD


def test_a_configured_build_file_that_is_missing(project: Callable[..., Project]) -> None:
    folder = _project(project, buildguard__toml='[cloud]\nconfig = "ci/cloudbuild.yaml"\n')

    with pytest.raises(UsageError, match=r"buildguard\.toml: ci/cloudbuild\.yaml not found"):
        init_cloudbuild.guard_build(folder)


def test_an_image_that_is_unknown_stops_it(project: Callable[..., Project]) -> None:
    folder = _project(project, **{"api/Dockerfile": "FROM python:3.11\n", "api/b__py": "", "cloudbuild__yaml": _BUILD})
    (folder / "Dockerfile").unlink()

    with pytest.raises(UsageError, match="the image that runs this code is unknown") as raised:
        init_cloudbuild.guard_build(folder)
    assert "[tool.buildguard] image" in raised.value.hint
    assert not (folder / guard_step.NAME).exists()


def test_a_folder_with_a_dollar_is_no_substitution(project: Callable[..., Project]) -> None:
    folder = _project(
        project,
        **{"a$b/Dockerfile": "FROM python:3.11\n", "a$b/c__py": "", "cloudbuild__yaml": _BUILD},
    )
    (folder / "Dockerfile").unlink()
    (folder / "a.py").unlink()

    init_cloudbuild.guard_build(folder)

    assert '"a$$b"' in (folder / "cloudbuild.yaml").read_text()


def test_a_step_that_does_not_wait_is_named(project: Callable[..., Project]) -> None:
    text = f"{_BUILD}- {{name: docker, id: early, args: [push, x], waitFor: ['-']}}\n"

    lines = init_cloudbuild.guard_build(_project(project, cloudbuild__yaml=text))

    assert "cloudbuild.yaml: step #2 (early) does not wait for the guard: add its id to waitFor" in lines
