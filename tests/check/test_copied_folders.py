"""A COPY of a folder's content takes its name away: what then imports by that name fails, as a real Python shows."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Project

_HEAD = "FROM python:3.11-slim\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n"
_SERVE = 'CMD ["uvicorn", "{}:app", "--host", "0.0.0.0", "--port", "8080"]\n'
_BY_NAME = {"app/__init__.py": "", "app/main.py": "from app.db import app\n", "app/db.py": "app = 1\n"}
_PLAIN = {"app/__init__.py": "", "app/main.py": "from db import app\n", "app/db.py": "app = 1\n"}
_SPACE = {"app/main.py": "from app import db\napp = db.app\n", "app/db.py": "app = 1\n"}


@pytest.mark.parametrize(
    ("files", "steps", "message"),
    [
        (_BY_NAME, "WORKDIR /app\nCOPY app /app\nCMD main", "it is in /, and that folder is not on sys.path"),
        (_BY_NAME, "WORKDIR /srv\nCOPY app .\nCMD main", "app/db.py is in the image as /srv/db.py"),
        (_BY_NAME, "WORKDIR /srv\nCOPY app/ ./code/\nWORKDIR /srv/code\nCMD main", "app/db.py is in the image as /srv/code/db.py"),
        (_SPACE, "WORKDIR /srv\nCOPY app .\nCMD main", "app/db.py is in the image as /srv/db.py"),
        (_BY_NAME, "WORKDIR /srv\nCOPY app ./app\nCMD app.main", ""),
        (_BY_NAME, "WORKDIR /app\nENV PYTHONPATH=/\nCOPY app /app\nCMD main", ""),
        (_PLAIN, "WORKDIR /srv\nCOPY app .\nCMD main", ""),
        (_SPACE, "WORKDIR /srv\nCOPY . .\nCMD app.main", ""),
    ],
)  # fmt: skip
def test_what_the_image_calls_otherwise(
    repository: Callable[..., Project], tmp_path: Path, files: dict[str, str], steps: str, message: str
) -> None:
    copy, _command, server = steps.partition("CMD ")
    dockerfile = f"{_HEAD}{copy}{_SERVE.format(server)}"
    project = repository({"Dockerfile": dockerfile, "requirements.txt": "uvicorn==0.29.0\n", **files})

    found = [row["message"] for row in project.check().json["diagnostics"]]

    assert found == ([f"no module named 'app': {message}"] if message else [])
    assert _starts(project.path, tmp_path / "image", dockerfile, server) is not bool(message)


def _starts(source: Path, image: Path, dockerfile: str, server: str) -> bool:
    """Whether the files, copied as the Dockerfile says, can be imported from its last folder."""
    folder, path = image, []
    for line in dockerfile.splitlines():
        word, _space, rest = line.partition(" ")
        if word == "WORKDIR":
            folder = image / rest.lstrip("/")
        elif word == "ENV":
            path = [str(image / rest.partition("=")[2].lstrip("/"))]
        elif word == "COPY":
            first, last = rest.split()
            target = image / last.lstrip("/") if last.startswith("/") else folder / last
            target.mkdir(parents=True, exist_ok=True)
            if (source / first).is_dir():
                shutil.copytree(source / first, target, dirs_exist_ok=True)
            else:
                shutil.copy(source / first, target)
    program = f"import sys; sys.path[:0] = {[str(folder), *path]!r}; import {server}"
    return subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, check=False).returncode == 0


def test_a_file_that_no_import_can_name_is_loaded_by_a_server(repository: Callable[..., Project]) -> None:
    dockerfile = f"{_HEAD}WORKDIR /srv\nCOPY . .\n{_SERVE.format('my-app')}"
    project = repository(
        {"Dockerfile": dockerfile, "requirements.txt": "uvicorn==0.29.0\n", "my-app.py": "app = 1\n", "my_app.py": ""}
    )
    assert project.check().codes() == {}

    (project.path / "my-app.py").unlink()

    assert project.check().codes() == {"Dockerfile": ["BG701"]}
