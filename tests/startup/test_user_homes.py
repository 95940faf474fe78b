"""`uv run` for users with and without a home: whether uv can make its cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from buildguard.startup.user_homes import homeless
from tests.startup.projects import report_of, rows_of
from tests.startup.test_parts import image_of

_PROJECT = '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.8"\n'
_FILES = {"main.py": "app = 1\n", "pyproject.toml": _PROJECT}
_HEAD = (
    "FROM python:3.12-slim\nCOPY --from=ghcr.io/astral-sh/uv:latest /uv /uvx /bin/\nWORKDIR /app\n"
    "COPY pyproject.toml main.py ./\nRUN uv sync\n"
)
# What `docker init` writes.
_TEMPLATE = (
    'ARG UID=10001\nRUN adduser \\\n    --disabled-password \\\n    --gecos "" \\\n    --home "/nonexistent" \\\n'
    '    --shell "/sbin/nologin" \\\n    --no-create-home \\\n    --uid "${UID}" \\\n    appuser\nUSER appuser\n'
)  # fmt: skip
_RUN = '["uv", "run", "main.py"]'


def _rows(tmp_path: Path, steps: str, start: str, **others: str) -> list[tuple[str, str | None, int | None]]:
    text = f"{_HEAD}{steps}CMD {start}\n"
    return rows_of(report_of(tmp_path, {**_FILES, "Dockerfile": text, **others}))


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        ("RUN useradd app\nUSER app\n", _RUN),
        ("RUN groupadd -r app && useradd -r -g app app\nUSER app\n", _RUN),
        ("RUN useradd --system --uid 999 --shell /bin/false app\nUSER app:app\n", _RUN),
        ("RUN useradd --uid 1000 app\nUSER 1000\n", _RUN),
        ("RUN useradd -d /srv/app app\nUSER app\n", _RUN),
        ("RUN adduser -D -H app\nUSER app\n", _RUN),
        ("RUN adduser -SDH app\nUSER app\n", _RUN),
        (_TEMPLATE, _RUN),
        ("USER 1000\n", _RUN),
        ("USER _apt\n", _RUN),
        ("USER nobody\n", _RUN),
        ("USER 65534:65534\n", _RUN),
        ("USER 1000\n", "uv run --frozen main.py"),
        ("USER 1000\n", '["sh", "-c", "exec uv run --no-sync python main.py"]'),
        ("USER 1000\n", '["/bin/uv", "run", "main.py"]'),
        ("RUN chown -R 65534 /app\nUSER 65534\n", _RUN),
    ],
)
def test_a_user_without_a_home(tmp_path: Path, steps: str, start: str) -> None:
    line = f"{_HEAD}{steps}".count("\n") + 1

    assert _rows(tmp_path, steps, start) == [("BG702", "Dockerfile", line)]


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        ("", _RUN),
        ("USER root\n", _RUN),
        ("USER $WHO\n", _RUN),
        ("USER another\n", _RUN),
        ("RUN useradd -m app\nUSER app\n", _RUN),
        ("RUN useradd -ms /bin/sh app\nUSER app\n", _RUN),
        ("RUN useradd --create-home --uid 1000 app\nUSER 1000\n", _RUN),
        ("RUN adduser --disabled-password app\nUSER app\n", _RUN),
        ("RUN adduser -D app\nUSER app\n", _RUN),
        ("RUN useradd app && mkdir /home/app && chown app /home/app\nUSER app\n", _RUN),
        ("RUN useradd -d /app app && chown app /app\nUSER app\n", _RUN),
        ("RUN useradd -M app && mkhomedir_helper app\nUSER app\n", _RUN),
        ("RUN useradd app && chmod 777 /home\nUSER app\n", _RUN),
        ("RUN chmod 777 /\nUSER 1000\n", _RUN),
        ("RUN useradd other\nUSER 1000\n", _RUN),
        ("RUN useradd app\nENV UV_CACHE_DIR=/tmp/uv\nUSER app\n", _RUN),
        ("ENV UV_NO_CACHE=1\nUSER 1000\n", _RUN),
        ("ENV HOME=/tmp\nUSER 1000\n", _RUN),
        ("ENV XDG_CACHE_HOME=/tmp\nUSER 1000\n", _RUN),
        ("USER 1000\n", '["uv", "run", "--no-cache", "main.py"]'),
        ("USER 1000\n", '["uv", "--cache-dir", "/tmp/uv", "run", "main.py"]'),
        ("USER 1000\n", "UV_CACHE_DIR=/tmp/uv uv run main.py"),
        ("USER 1000\n", '[".venv/bin/python", "main.py"]'),
        ("COPY --from=build /etc/passwd /etc/passwd\nUSER app\n", _RUN),
    ],
)
def test_a_user_who_may_have_a_cache(tmp_path: Path, steps: str, start: str) -> None:
    assert [row for row in _rows(tmp_path, steps, start) if row[0] == "BG702"] == []


def test_the_message_names_the_user_and_the_cache(tmp_path: Path) -> None:
    files = {**_FILES, "Dockerfile": f"{_HEAD}RUN useradd app\nUSER app\nCMD {_RUN}\n"}
    (finding,) = report_of(tmp_path, files).diagnostics

    assert finding.message == "uv fails as USER app, who has no home: it cannot create its cache /home/app/.cache/uv"


def test_useradd_of_alpine_has_settings_of_its_own(tmp_path: Path) -> None:
    alpine = _HEAD.replace("python:3.12-slim", "python:3.12-alpine")
    text = f"{alpine}RUN apk add shadow && useradd app\nUSER app\nCMD {_RUN}\n"

    assert rows_of(report_of(tmp_path, {**_FILES, "Dockerfile": text})) == []


def test_a_setting_of_the_project_turns_the_cache_off(tmp_path: Path) -> None:
    assert _rows(tmp_path, "USER 1000\n", _RUN, **{"pyproject.toml": f"{_PROJECT}[tool.uv]\nno-cache = true\n"}) == []


def test_the_home_that_is_not_there() -> None:
    image = image_of(f"{_HEAD}{_TEMPLATE}CMD {_RUN}\n", _FILES)

    assert homeless(image) == "/nonexistent"


@pytest.mark.interpreters
def test_a_real_uv_ends_where_it_cannot_make_its_cache(tmp_path: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent))
    assert uv is not None, "uv is among the requirements of the tests"
    (tmp_path / "pyproject.toml").write_text(_PROJECT)
    (tmp_path / "file").write_text("")  # nothing can be made below it, whoever asks
    kept = {name: os.environ[name] for name in ("PATH",)}
    home = {**kept, "HOME": str(tmp_path / "file/home"), "UV_OFFLINE": "1"}
    argv = [uv, "run", "--no-project", "--python", sys.executable, "python", "-c", ""]

    ended = subprocess.run(argv, cwd=tmp_path, env=home, capture_output=True, text=True, check=False)
    moved = {**home, "UV_CACHE_DIR": str(tmp_path / "cache")}

    assert ended.returncode != 0
    assert "cache" in ended.stderr
    assert subprocess.run(argv, cwd=tmp_path, env=moved, capture_output=True, check=False).returncode == 0
