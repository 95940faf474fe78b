"""Commands of a Dockerfile that refuse a Python because of a declared range."""

from __future__ import annotations

import pytest

from buildguard.project import dockerfile, project_installs


def _installs(command: str) -> list[str]:
    [stage] = dockerfile.stages(f"FROM python:3.9\nRUN {command}\n".encode(), {})
    return [install.tool for install in project_installs.installs(stage)]


@pytest.mark.parametrize(
    ("command", "tools"),
    [
        ("pip install .", ["pip install"]),
        ("pip install --no-cache-dir -e .", ["pip install"]),
        ("python3 -m pip install '.[dev]'", ["pip install"]),
        ("pip install /app", ["pip install"]),
        ("uv pip install --system -r requirements.txt .", ["uv pip install"]),
        ("apt-get update && uv sync --frozen --no-dev", ["uv sync"]),
        ("poetry config virtualenvs.create false && poetry install --no-root", ["poetry install"]),
        ("pip install -r requirements.txt", []),
        ("pip install -r ./requirements.txt", []),
        ("pip install --find-links ./wheels shop", []),
        ("pip install ./dist/shop-1-py3-none-any.whl", []),
        ("pip install poetry", []),
        ("uv sync --no-project", []),
    ],
)
def test_commands_that_install_the_project(command: str, tools: list[str]) -> None:
    assert _installs(command) == tools
