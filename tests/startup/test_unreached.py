"""Packages in a folder of their own: which starts find them, and which find none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from buildguard.startup.start_texts import path_folders
from buildguard.startup.unreached import find_unreached
from tests.startup.projects import report_of, rows_of
from tests.startup.test_parts import image_of

_FILES = {
    "requirements.txt": "flask==3.0.3\ngunicorn==22.0.0\n",
    "main.py": "from flask import Flask\napp = Flask(__name__)\n",
    "wsgi.py": "import sys\nsys.path.insert(0, '/deps')\nimport flask\napp = 1\n",
    "late.py": "def main():\n    import flask\n",
    "guarded.py": "try:\n    import flask\nexcept ImportError:\n    flask = None\n",
}
_HEAD = "FROM python:3.12-slim\nWORKDIR /srv\nCOPY requirements.txt .\n"
_TARGET = "RUN pip install --target /deps -r requirements.txt\n"
_SEES = "ENV PYTHONPATH=/deps\n"
_VENV = "RUN python -m venv /venv && /venv/bin/pip install -r requirements.txt\n"
_ACTIVE = "RUN python -m venv /venv && . /venv/bin/activate && pip install -r requirements.txt\n"
_TAKEN = (
    "RUN pip install -r requirements.txt\nFROM python:3.12-slim\nWORKDIR /srv\n"
    "COPY --from=0 /usr/local/lib/python3.12/ /usr/local/lib/python3.12/\n"
)
_NAME = '["gunicorn", "-b", ":8080", "main:app"]'
_MODULE = '["python", "-m", "gunicorn", "-b", ":8080", "main:app"]'
_SCRIPT = '["python", "main.py"]'


def _codes(tmp_path: Path, steps: str, start: str) -> list[str]:
    text = f"{_HEAD}{steps}COPY *.py ./\nCMD {start}\n"
    return [row[0] for row in rows_of(report_of(tmp_path, {**_FILES, "Dockerfile": text}))]


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        (_TARGET + _SEES, _NAME),
        (_TARGET.replace("--target /deps", "-t /deps") + _SEES, _NAME),
        (_TARGET.replace("--target /deps", "--target=lib") + "ENV PYTHONPATH=/srv/lib\n", _NAME),
        (_TARGET, _MODULE),
        (_TARGET, _SCRIPT),
        (_TARGET, "python main.py"),
        (_VENV, _NAME),
        (_VENV, _MODULE),
        (_VENV, _SCRIPT),
        (_VENV, '["/usr/local/bin/python", "main.py"]'),
        (_VENV.replace(" && ", "\nRUN "), _NAME),
        (_VENV.replace("bin/pip", "bin/python -m pip"), _NAME),
        (_VENV + "RUN /venv/bin/python -m compileall .\n", _NAME),
        (_ACTIVE, _NAME),
        (_ACTIVE, _SCRIPT),
        (_ACTIVE.replace(" && . ", " \\\n && . "), _NAME),
        ("RUN python -m venv /venv\nRUN . /venv/bin/activate && pip install -r requirements.txt\n", _NAME),
        ('SHELL ["/bin/bash", "-c"]\n' + _ACTIVE.replace(" . ", " source "), _NAME),
        ("ENV VIRTUAL_ENV=/venv\nRUN pip install uv && uv venv /venv && uv pip install -r requirements.txt\n", _NAME),
    ],
)
def test_a_start_that_does_not_find_its_packages(tmp_path: Path, steps: str, start: str) -> None:
    assert _codes(tmp_path, steps, start) == ["BG701"]


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        (_TARGET + _SEES, _MODULE),
        (_TARGET + _SEES, _SCRIPT),
        (_TARGET + _SEES + "ENV PATH=/deps/bin:$PATH\n", _NAME),
        (_TARGET + "ENV PYTHONPATH=$DEPS\n", _SCRIPT),
        (_TARGET.replace("/deps", "."), _SCRIPT),
        (_TARGET.replace("/deps", "/usr/local/lib/python3.12/site-packages"), _SCRIPT),
        (_TAKEN, _SCRIPT),
        (_TARGET + "RUN echo /deps > /usr/local/lib/python3.12/site-packages/deps.pth\n", _SCRIPT),
        (_TARGET, '["python", "wsgi.py"]'),
        (_TARGET, '["python", "late.py"]'),
        (_TARGET, '["python", "guarded.py"]'),
        (_TARGET + "RUN pip install gunicorn\n", _NAME),
        ("RUN pip install --user -r requirements.txt\n", _SCRIPT),
        (_VENV + "ENV PATH=/venv/bin:$PATH\n", _NAME),
        (_VENV, '["/venv/bin/gunicorn", "-b", ":8080", "main:app"]'),
        (_VENV, '["/venv/bin/python", "main.py"]'),
        (_VENV, ". /venv/bin/activate && exec gunicorn -b :8080 main:app"),
        (_VENV + "ENV BASH_ENV=/venv/bin/activate\n", '["bash", "-c", "gunicorn -b :8080 main:app"]'),
        (_VENV + "RUN ln -s /venv/bin/* /usr/local/bin/\n", _NAME),
        (_VENV + "RUN echo '. /venv/bin/activate' >> /root/.bashrc\n", '["bash", "-ic", "gunicorn main:app"]'),
        (_VENV + "RUN /venv/bin/pip install --prefix /usr/local gunicorn\n", _NAME),
        ("RUN python -m venv /venv\nRUN . /venv/bin/activate\nRUN pip install -r requirements.txt\n", _NAME),
        (_ACTIVE.replace(" -m venv", " -m venv --without-pip"), _NAME),
        (_ACTIVE.replace("pip install", "deactivate && pip install"), _NAME),
        ("ENV VIRTUAL_ENV=/venv\nRUN python -m venv /venv\nRUN pip install -r requirements.txt\n", _NAME),
        ("ENV VIRTUAL_ENV=/venv UV_SYSTEM_PYTHON=1\nRUN pip install uv && uv venv /venv && uv pip install -r requirements.txt\n", _NAME),
    ],
)  # fmt: skip
def test_a_start_that_may_find_its_packages(tmp_path: Path, steps: str, start: str) -> None:
    assert _codes(tmp_path, steps, start) == []


def test_packages_in_a_flat_folder_are_of_no_version(tmp_path: Path) -> None:
    """What `pip install --target` wrote with another Python: the pure packages in it are found."""
    text = (
        "FROM python:3.11-slim AS b\nCOPY requirements.txt .\nRUN pip install --target /deps -r requirements.txt\n"
        f"FROM python:3.12-slim\nWORKDIR /srv\nCOPY --from=b /deps /deps\n{_SEES}COPY main.py .\nCMD {{}}\n"
    )

    def rows(start: str) -> list[tuple[str, str | None, int | None]]:
        return [*rows_of(report_of(tmp_path / start[2:8], {**_FILES, "Dockerfile": text.format(start)}))]

    assert rows(_SCRIPT) == []
    assert rows(_NAME) == [("BG701", "Dockerfile", 9)]


def test_the_message_names_the_folder_and_the_way_to_it(tmp_path: Path) -> None:
    text = f"{_HEAD}{_VENV}COPY *.py ./\nCMD {_SCRIPT}\n"
    (finding,) = report_of(tmp_path, {**_FILES, "Dockerfile": text}).diagnostics

    assert finding.message == "python imports flask, and the packages are in /venv, where it does not look"
    assert (finding.hint or "").startswith("ENV PATH=/venv/bin:$PATH")


def test_the_folders_of_a_path() -> None:
    image = image_of("FROM python:3.12\nENV PATH=/a:bin:$PATH\nCOPY . .\nCMD python x.py\n", {"x.py": ""})

    assert image.start is not None
    assert path_folders(image, image.start)[:2] == ["/a", "/usr/local/sbin"]


def test_the_environment_that_a_path_does_not_reach() -> None:
    requirements = {"requirements.txt": "flask\n", "main.py": ""}
    for path, folder in (("/bin", "/venv"), ("/venv/bin", "")):
        image = image_of(f"{_HEAD}{_VENV}ENV PATH={path}:$PATH\nCOPY *.py .\nCMD python main.py\n", requirements)

        assert image.start is not None
        assert find_unreached(image, image.start) == folder


@pytest.mark.interpreters
def test_a_real_python_does_not_look_into_an_environment(tmp_path: Path) -> None:
    """Nor does it after a shell that ended has read `activate`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    packages = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (packages / "needed.py").write_text("")
    subprocess.run(["sh", "-c", f". {tmp_path}/venv/bin/activate"], check=True)

    own = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    codes = [
        subprocess.run([python, "-c", "import needed"], env=own, capture_output=True, check=False).returncode
        for python in (sys.executable, tmp_path / "venv/bin/python")
    ]

    assert codes == [1, 0]


_APART = f"RUN pip install -r requirements.txt\n{_VENV}FROM python:3.12-slim\nWORKDIR /srv\n"
_UV = '["uv", "run", "--no-sync", "gunicorn", "main:app"]'


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        (_APART, _NAME),
        (_APART, "gunicorn main:app"),
        (f"{_APART}ENV PATH=/venv/bin:$PATH\n", _NAME),
        (f"{_APART}COPY --from=0 /srv /srv\n", _NAME),
        (f"{_APART}RUN useradd web\nUSER web\n", _NAME),
        ("RUN pip install uv && uv sync\nFROM python:3.12-slim\nWORKDIR /srv\nCOPY --from=0 /srv /srv\n", _UV),
    ],
)
def test_a_program_that_stays_in_an_earlier_stage(tmp_path: Path, steps: str, start: str) -> None:
    assert _codes(tmp_path, steps, start) == ["BG701"]


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        (f"{_APART}COPY --from=0 /venv /venv\nENV PATH=/venv/bin:$PATH\n", _NAME),
        (f"{_APART}COPY --from=0 /usr/local /usr/local\n", _NAME),
        (f"{_APART}COPY --from=0 /usr/local/bin /usr/local/bin\n", _NAME),
        (f"{_APART}COPY --from=0 /usr/local/bin/gunicorn /usr/local/bin/\n", _NAME),
        ("RUN pip install gunicorn\nFROM python:3.12-slim\nCOPY --from=0 / /\n", _NAME),
        (f"{_APART}RUN pip install gunicorn\n", _NAME),
        (f"{_APART}RUN --mount=from=0,target=/old cp -r /old/usr/local /usr/\n", _NAME),
        (
            "RUN pip install --prefix=/in -r requirements.txt\nFROM python:3.12-slim\nCOPY --from=0 /in /usr/local\n",
            _NAME,
        ),
        (
            "RUN pip install --user gunicorn\nFROM python:3.12-slim\nCOPY --from=0 /root/.local /root/.local\nENV PATH=/root/.local/bin:$PATH\n",
            _NAME,
        ),
        (
            "FROM scratch AS uv\nFROM python:3.12-slim\nCOPY --from=ghcr.io/astral-sh/uv /uv /uvx /bin/\nRUN uv sync\n",
            _UV,
        ),
        ("FROM python:3.12-slim AS base\nRUN pip install gunicorn\nFROM base\n", _NAME),
        (
            "FROM python:3.12-slim AS base\nFROM base AS deps\nRUN python -m venv /venv && /venv/bin/pip install gunicorn\nFROM base\nCOPY --from=deps /venv /venv\nENV PATH=/venv/bin:$PATH\n",
            _NAME,
        ),
        (
            "FROM python:3.12-slim AS deps\nRUN python -m venv /venv && /venv/bin/pip install gunicorn\nFROM python:3.12-slim\nARG V=/venv\nENV PATH=$V/bin:$PATH\nCOPY --from=deps $V $V\n",
            _NAME,
        ),
        (f"{_APART}ADD tools.tar.gz /usr/local/\n", _NAME),
        (f'{_APART}ONBUILD RUN true\nSHELL ["/bin/bash", "-c"]\nRUN ./install.sh\n', _NAME),
    ],
)
def test_a_program_that_a_later_stage_has_or_may_have(tmp_path: Path, steps: str, start: str) -> None:
    assert "BG701" not in _codes(tmp_path, steps, start)
