"""Packages that may come in ways that the Dockerfile does not show: no start is called broken for the want of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.startup.projects import report_of, rows_of

_FILES = {
    "requirements.txt": "flask==3.0.3\ngunicorn==22.0.0\n",
    "main.py": "from flask import Flask\napp = Flask(__name__)\n",
    "pyproject.toml": '[project]\nname = "p"\nversion = "1"\ndependencies = ["flask", "gunicorn"]\n',
}
_BUILD = "FROM python:3.12-slim AS build\nWORKDIR /app\nCOPY . .\n"
_FINAL = "FROM python:3.12-slim\nWORKDIR /app\n"
_APP = f"{_FINAL}COPY --from=build /app /app\n"
_NAME = '["gunicorn", "-b", ":8080", "main:app"]'
_MODULE = '["python", "-m", "gunicorn", "-b", ":8080", "main:app"]'
_SCRIPT = '["python", "main.py"]'


@pytest.mark.parametrize("start", [_NAME, _MODULE, _SCRIPT])
@pytest.mark.parametrize(
    "steps",
    [
        # a tool that keeps packages where nothing that is read here says
        f"{_BUILD}RUN pip install pdm && pdm install\n{_APP}ENV PATH=/app/bin:$PATH PYTHONPATH=/app/__pypackages__/3.12/lib\n",
        f"{_BUILD}RUN poetry config virtualenvs.path /app/envs && poetry install\n{_APP}ENV PATH=/app/envs/p/bin:$PATH\n",
        f"{_BUILD}RUN conda create -y -p /app/env flask gunicorn\n{_APP}ENV PATH=/app/env/bin:$PATH\n",
        f"{_BUILD}ENV UV_TOOL_DIR=/app/tools\nRUN uv tool install gunicorn\n{_APP}ENV PATH=/app/tools/gunicorn/bin:$PATH\n",
        f"{_BUILD}RUN PIPX_HOME=/app/pipx pipx install gunicorn\n{_APP}ENV PATH=/app/pipx/venvs/gunicorn/bin:$PATH\n",
        # what the base image of a builder has there is not known
        f"{_BUILD.replace('python:3.12-slim', 'example/ready')}{_APP}ENV PATH=/app/env/bin:$PATH\n",
        # an archive that an instruction unpacks
        f"{_FINAL}COPY . .\nADD packages.tar.gz /usr/local/lib/python3.12/site-packages/\n",
        f"{_FINAL}COPY . .\nADD env.tar.gz /opt/env/\nENV PATH=/opt/env/bin:$PATH\n",
        f"{_FINAL}COPY . .\nADD deps.tar.gz /deps/\nENV PYTHONPATH=/deps PATH=/deps/bin:$PATH\n",
    ],
)
def test_packages_that_may_be_there(tmp_path: Path, steps: str, start: str) -> None:
    archives = dict.fromkeys(("packages.tar.gz", "env.tar.gz", "deps.tar.gz"), "")
    files = {**_FILES, **archives, "Dockerfile": f"{steps}COPY main.py .\nCMD {start}\n"}

    assert [row for row in rows_of(report_of(tmp_path, files)) if row[0] == "BG701"] == []
