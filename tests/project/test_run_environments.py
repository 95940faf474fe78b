"""The environments that a command fills."""

from __future__ import annotations

import pytest

from buildguard.project.run_environments import FilledFolder, brings_programs, filled_folders, poetry_settings


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
        ("poetry install --no-root", ["/root/.cache/pypoetry/virtualenvs"]),
        ("pipenv sync", ["/root/.local/share/virtualenvs"]),
        ("pipenv install --system", []),
        ("pdm sync", [".venv"]),
        ("python -m pip --no-cache-dir install --prefix=/p -r r.txt", ["/p"]),
        ("pip install --user flask", ["/root/.local"]),
        ("pip install flask", []),
        ("pip install --target /t flask", ["/t"]),
        ("pip install -t lib flask", ["lib"]),
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
    assert [*filled_folders(["pip", "install", "--user", "x"], settings, user)] == [
        FilledFolder(folder, has_python=False)
    ]


def test_a_variable_names_the_environment_of_a_project() -> None:
    assert [*filled_folders(["uv", "sync"], {"UV_PROJECT_ENVIRONMENT": "/env"}, "")] == [FilledFolder("/env")]


def test_programs_that_find_their_python_from_where_they_are() -> None:
    assert [*filled_folders(["uv", "venv", "--relocatable", "/v"], {}, "")] == [FilledFolder("/v", has_python=False)]
    assert [*filled_folders(["uv", "venv"], {"UV_VENV_RELOCATABLE": "1"}, "")] == [
        FilledFolder(".venv", has_python=False)
    ]


@pytest.mark.parametrize(
    ("runs", "folders"),
    [
        ("", [FilledFolder("/root/.cache/pypoetry/virtualenvs", is_steered=True)]),
        ("poetry config virtualenvs.path /envs", [FilledFolder(".venv", is_certain=False)]),
        ("poetry config virtualenvs.in-project true", [FilledFolder(".venv")]),
        ("poetry config --local virtualenvs.in-project true", [FilledFolder(".venv")]),
        ("pip install poetry && poetry config virtualenvs.create false", []),
    ],
)
def test_where_poetry_installs(runs: str, folders: list[FilledFolder]) -> None:
    assert [*filled_folders(["poetry", "install"], poetry_settings(runs), "")] == folders


@pytest.mark.parametrize(
    ("command", "brings"),
    [
        ("mkdir -p /data", False),
        ("useradd -m app", False),
        ("apt-get install -y --no-install-recommends gcc libpq-dev", False),
        ("apt-get install -y gunicorn", True),
        ("apt-get install -y $PACKAGES", True),
        ("apk add py3-gunicorn", True),
        ("pip install --no-cache-dir uv==0.5.1 poetry", False),
        ("pip install -U pip", False),
        ("pip install uv gunicorn", True),
        ("pip install -r requirements.txt", True),
        ("python -m pip install -q uv", False),
        ("uv pip install --system flask", True),
        ("uv tool install gunicorn", True),
        ("uv python install 3.12", False),
        ("uv lock --check", False),
        ("poetry config virtualenvs.create false", False),
        ("curl -o /usr/bin/gunicorn https://x", True),
        ("ln -s /v/bin/gunicorn /usr/bin", True),
        ("cp -r /v/bin /usr/bin", True),
        ("make install", True),
    ],
)
def test_commands_that_may_bring_a_server(command: str, *, brings: bool) -> None:
    assert brings_programs(command.split()) is brings
