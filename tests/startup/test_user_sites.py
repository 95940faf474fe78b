"""Packages of `pip install --user` and another user who starts the program: where Python looks, and where it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildguard.startup.start_texts import path_folders
from buildguard.startup.user_sites import UnreadSite, find_unread_site
from tests.startup.projects import report_of, rows_of
from tests.startup.test_parts import image_of

_FILES = {
    "requirements.txt": "flask==3.0.3\ngunicorn==22.0.0\n",
    "main.py": "from flask import Flask\napp = Flask(__name__)\n",
    "plain.py": "import json\n",
}
_BUILDER = "FROM python:3.12-slim AS build\nCOPY requirements.txt .\nRUN pip install --user -r requirements.txt\n"
_FINAL = "FROM python:3.12-slim\nWORKDIR /srv\n"
_TAKEN = f"{_BUILDER}{_FINAL}COPY --from=build /root/.local /root/.local\nENV PATH=/root/.local/bin:$PATH\n"
_MOVED = _TAKEN.replace("/root/.local /root", "/root/.local /home/app").replace("PATH=/root", "PATH=/home/app")
_SAME = (
    f"{_FINAL}COPY requirements.txt .\nRUN pip install --user -r requirements.txt\nENV PATH=/root/.local/bin:$PATH\n"
)
_ADD = "RUN useradd -m -u 1000 app && chown -R app:app /srv\n"
_USER = f"{_ADD}USER app\n"
_NAME = '["gunicorn", "-b", ":8080", "main:app"]'
_MODULE = '["python", "-m", "gunicorn", "-b", ":8080", "main:app"]'
_SCRIPT = '["python", "main.py"]'


def _codes(tmp_path: Path, steps: str, start: str) -> list[str]:
    text = f"{steps}COPY *.py ./\nCMD {start}\n"
    return [row[0] for row in rows_of(report_of(tmp_path, {**_FILES, "Dockerfile": text}))]


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        (_TAKEN + _USER, _NAME),
        (_TAKEN + _USER, _MODULE),
        (_TAKEN + _USER, _SCRIPT),
        (_TAKEN + _USER, "exec gunicorn -b :$PORT main:app"),
        (_TAKEN + _USER, '["/root/.local/bin/gunicorn", "-b", ":8080", "main:app"]'),
        (_SAME + _USER, _NAME),
        (_SAME + _USER, _SCRIPT),
        (_TAKEN + "USER 1000\n", _SCRIPT),
        (_TAKEN + "USER 1000:1000\n", _MODULE),
        (_TAKEN + "USER 65534\n", _NAME),
        # the folder's owner does not let anybody else through /root
        (_TAKEN + _ADD + "RUN chown -R app:app /root/.local\nUSER app\n", _NAME),
        (_TAKEN.replace("COPY --from", "COPY --chown=app --from") + _USER, _SCRIPT),
        (_TAKEN + _USER + "ENV PYTHONPATH=/root/.local/lib/python3.12/site-packages\n", _NAME),
        (_TAKEN + _USER + "ENV HOME=/root\n", _SCRIPT),
        (_MOVED + "RUN useradd -m other\nUSER other\n", _NAME),
        (_MOVED + "RUN useradd -m other\nUSER other\n", _SCRIPT),
        (_MOVED + _USER + "ENV HOME=/srv\n", _SCRIPT),
    ],
)
def test_packages_of_another_user(tmp_path: Path, steps: str, start: str) -> None:
    assert _codes(tmp_path, steps, start) == ["BG701"]


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        (_TAKEN, _NAME),
        (_TAKEN, _SCRIPT),
        (_TAKEN + "USER root\n", _NAME),
        (_TAKEN + "USER 0\n", _SCRIPT),
        (_TAKEN + "USER $WHO\n", _SCRIPT),
        (_TAKEN + _USER, '["python", "plain.py"]'),
        (_MOVED + _USER, _NAME),
        (_MOVED + _USER, _SCRIPT),
        (_MOVED + "USER 1000\n", _NAME),
        (_MOVED + "RUN useradd -d /home/app other\nUSER other\n", _NAME),
        (_MOVED + "RUN useradd other\nENV PYTHONPATH=/home/app/.local/lib/python3.12/site-packages\nUSER other\n", _SCRIPT),
        (_MOVED + "RUN useradd other\nENV HOME=/home/app\nUSER other\n", _SCRIPT),
        (_MOVED + "RUN useradd other\nENV PYTHONUSERBASE=/home/app/.local\nUSER other\n", _SCRIPT),
        (_TAKEN + "RUN useradd -d /root app\nUSER app\n", _SCRIPT),
        (_TAKEN + _ADD + "RUN chmod 755 /root\nENV HOME=/root\nUSER app\n", _SCRIPT),
        (_TAKEN + _ADD + "RUN cp -r /root/.local /home/app/.local\nUSER app\n", _NAME),
        (_TAKEN + _ADD + "RUN ln -s /root/.local/bin/* /usr/local/bin/\nUSER app\n", _NAME),
        (_TAKEN + "RUN pip install gunicorn\n" + _USER, _NAME),
        (_TAKEN + _USER, "PYTHONPATH=/deps python main.py"),
        (_TAKEN.replace("COPY --from=build /root/.local /root/.local", "COPY --from=build /root /root") + _USER, _SCRIPT),
        (_TAKEN.replace("FROM python:3.12-slim\nWORKDIR", "FROM example/base\nWORKDIR") + _USER, _SCRIPT),
        (f"{_FINAL}{_USER}COPY requirements.txt .\nRUN pip install --user -r requirements.txt\n", _SCRIPT),
    ],
)  # fmt: skip
def test_packages_that_the_user_may_read(tmp_path: Path, steps: str, start: str) -> None:
    assert _codes(tmp_path, steps, start) == []


def test_the_message_names_the_folder_and_the_user(tmp_path: Path) -> None:
    text = f"{_TAKEN}{_USER}COPY *.py ./\nCMD {_SCRIPT}\n"
    (finding,) = report_of(tmp_path, {**_FILES, "Dockerfile": text}).diagnostics

    assert finding.message == (
        "python imports flask, and the packages are in /root/.local, where Python does not look for USER app"
    )
    assert finding.severity == "error"


def test_the_folder_and_the_user_of_a_start() -> None:
    image = image_of(f"{_TAKEN}{_USER}COPY main.py .\nCMD {_SCRIPT}\n", {"main.py": "", "requirements.txt": "flask"})

    assert image.start is not None
    assert find_unread_site(image, image.start) == UnreadSite("/root/.local", "app")
    assert path_folders(image, image.start)[0] == "/root/.local/bin"


@pytest.mark.interpreters
def test_a_real_python_reads_the_home_of_the_user_alone(tmp_path: Path) -> None:
    base = getattr(sys, "_base_executable", sys.executable)  # an environment has no user's packages
    for user in ("root", "app"):
        (tmp_path / user).mkdir()
    site = tmp_path / f"root/.local/lib/python3.{sys.version_info.minor}/site-packages"
    site.mkdir(parents=True)
    (site / "needed.py").write_text("")

    def code_for(user: str, **settings: str) -> int:
        own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment = {**own, "HOME": str(tmp_path / user), **settings}
        return subprocess.run(
            [base, "-c", "import needed"], env=environment, capture_output=True, check=False
        ).returncode

    assert [code_for("root"), code_for("app")] == [0, 1]
    assert code_for("app", PYTHONPATH=str(site)) == 0
    assert code_for("app", PYTHONUSERBASE=str(tmp_path / "root/.local")) == 0
