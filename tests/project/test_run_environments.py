"""The environments that a command fills."""

from __future__ import annotations

import pytest

from buildguard.project.run_environments import filled_folders


@pytest.mark.parametrize(
    ("command", "folders"),
    [
        ("python -m venv /v", ["/v"]),
        ("python3.12 -m venv --prompt app --copies a b", ["a", "b"]),
        ("virtualenv -p python3.12 env", ["env"]),
        ("uv venv", [".venv"]),
        ("uv venv --python 3.12 /v", ["/v"]),
        ("/bin/uv sync --frozen --no-dev", [".venv"]),
        ("uv --directory api sync", ["api/.venv"]),
        ("uv sync --project=api", ["api/.venv"]),
        ("uv pip install --prefix /p flask", ["/p"]),
        ("poetry install --no-root", [".venv"]),
        ("pdm sync", [".venv"]),
        ("python -m pip --no-cache-dir install --prefix=/p -r r.txt", ["/p"]),
        ("pip install --user flask", ["/root/.local"]),
        ("pip install flask", []),
        ("pip install --target /t flask", []),
        ("pip wheel --prefix /p .", []),
        ("uv run main.py", []),
        ("poetry export", []),
        ("python main.py venv", []),
        ("echo uv sync", []),
    ],
)
def test_the_folders_of_a_command(command: str, folders: list[str]) -> None:
    assert [folder.path for folder in filled_folders(command.split(), {}, "")] == folders


@pytest.mark.parametrize(
    ("settings", "user", "folder"),
    [
        ({}, "app:app", "/home/app/.local"),
        ({}, "0:0", "/root/.local"),
        ({"HOME": "/srv"}, "app", "/srv/.local"),
        ({"PYTHONUSERBASE": "/base"}, "app", "/base"),
    ],
)
def test_the_folder_of_a_user(settings: dict[str, str], user: str, folder: str) -> None:
    assert [*filled_folders(["pip", "install", "--user", "x"], settings, user)] == [(folder, False)]


def test_a_variable_names_the_environment_of_a_project() -> None:
    assert [*filled_folders(["uv", "sync"], {"UV_PROJECT_ENVIRONMENT": "/env"}, "")] == [("/env", True)]


def test_programs_that_find_their_python_from_where_they_are() -> None:
    assert [*filled_folders(["uv", "venv", "--relocatable", "/v"], {}, "")] == [("/v", False)]
    assert [*filled_folders(["uv", "venv"], {"UV_VENV_RELOCATABLE": "1"}, "")] == [(".venv", False)]
