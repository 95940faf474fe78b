"""An environment that one stage makes: what another stage's Python, and PATH, can do with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildguard.project.dockerfile import resolve_final_stage
from buildguard.startup.copied_environments import _environments
from tests.conftest import interpreter
from tests.startup.projects import report_of, rows_of

_VENV = "RUN python -m venv /opt/venv\nCOPY requirements.txt .\nRUN /opt/venv/bin/pip install -r requirements.txt\n"
_UV = "WORKDIR /app\nCOPY requirements.txt .\nRUN uv sync --frozen\n"
_PREFIX = "COPY requirements.txt .\nRUN pip install --prefix=/install -r requirements.txt\n"
_USER = "COPY requirements.txt .\nRUN pip install --user -r requirements.txt\n"
_PACKAGES = "/usr/local/lib/python3.12/site-packages"
_ON_PATH = "ENV VIRTUAL_ENV=/opt/venv\nENV PATH=$VIRTUAL_ENV/bin:$PATH\n"
_FILES = {"requirements.txt": "flask==3.0.3\ngunicorn==22.0.0\n", "main.py": "app = 1\n"}


def _rows(
    tmp_path: Path, builder: str, final: str, base: str = "python:3.11-slim"
) -> list[tuple[str, str | None, int]]:
    start = 'WORKDIR /srv\nCOPY main.py .\nCMD ["gunicorn", "-b", ":8080", "main:app"]\n'
    text = f"FROM python:3.12-slim AS builder\n{builder}FROM {base}\n{final}{start}"
    rows = rows_of(report_of(tmp_path, {"Dockerfile": text, **_FILES}))
    return [(code, path, (line or 0) - text[: text.index(f"FROM {base}\n")].count("\n")) for code, path, line in rows]


@pytest.mark.parametrize(
    ("builder", "final"),
    [
        (_VENV, f"COPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}"),
        (_VENV, f"COPY --from=0 /opt /opt/\n{_ON_PATH}"),
        (_UV, "COPY --from=builder /app /app\nENV PATH=/app/.venv/bin:$PATH\n"),
        (f"ENV UV_PROJECT_ENVIRONMENT=/venv\n{_UV}", "COPY --from=builder /venv /venv\nENV PATH=/venv/bin:$PATH\n"),
        (_PREFIX, "COPY --from=builder /install /usr/local\n"),
        (_USER, "COPY --from=builder /root/.local /root/.local\nENV PATH=/root/.local/bin:$PATH\n"),
        (_PREFIX.replace("--prefix=/install ", ""), f"COPY --from=builder {_PACKAGES} {_PACKAGES}\n"),
    ],
)
def test_packages_of_another_python(tmp_path: Path, builder: str, final: str) -> None:
    assert [row for row in _rows(tmp_path, builder, final) if row[0] == "BG401"] == [("BG401", "Dockerfile", 2)]
    assert not [row for row in _rows(tmp_path / "same", builder, final, "python:3.12") if row[0] == "BG401"]


@pytest.mark.parametrize(
    ("builder", "final"),
    [
        (_VENV, "COPY --from=builder /opt/venv /opt/venv\nRUN pip install gunicorn\n"),  # what runs is installed here
        (_VENV, f"COPY --from=builder /usr/local /usr/local\nCOPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}"),
        (_PREFIX, f"COPY --from=builder {_PACKAGES} /usr/local/lib/python3.11/site-packages\nRUN true\n"),
        ("RUN make docs\n", "COPY --from=builder /docs /docs\n"),
        (f"RUN uv python install 3.11\n{_VENV}", f"COPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}"),
    ],
)
def test_what_another_python_does_no_harm_to(tmp_path: Path, builder: str, final: str) -> None:
    assert "BG401" not in [row[0] for row in _rows(tmp_path, builder, final)]


def test_a_base_image_may_bring_the_packages(tmp_path: Path) -> None:
    final = f"COPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}"

    assert "BG401" not in [row[0] for row in _rows(tmp_path, _VENV, final, "acme/python:3.11")]
    distroless = _rows(tmp_path / "plain", _VENV, final, "gcr.io/distroless/python3-debian12")
    assert ("BG401", "Dockerfile", 2) in distroless


@pytest.mark.parametrize(
    ("builder", "final", "is_found"),
    [
        (_VENV, "COPY --from=builder /opt/venv /opt/venv\n", False),
        (_VENV, f"COPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}", True),
        (_UV, "COPY --from=builder /app /app\n", False),
        (_UV, 'COPY --from=builder /app /app\nENV PATH="/app/.venv/bin:$PATH"\n', True),
        (_UV, "WORKDIR /app\nCOPY --from=builder /app/.venv .venv\nENV PATH=/app/.venv/bin:$PATH\n", True),
        (_VENV, "ENV HOME_OF=/opt/venv\nCOPY --from=builder $HOME_OF ${HOME_OF}\nENV PATH=$HOME_OF/bin:$PATH\n", True),
        (_VENV, "ENV HOME_OF=/opt/venv\nCOPY --from=builder $HOME_OF ${HOME_OF}\n", False),
        (_USER, "COPY --from=builder /root/.local /root/.local\n", False),
        (_USER, "COPY --from=builder /root/.local /root/.local\nENV PATH=/root/.local:$PATH\n", False),
        (_USER, "COPY --from=builder /root/.local/bin /root/.local\nENV PATH=/root/.local:$PATH\n", True),
        (_VENV, "COPY --from=ghcr.io/astral-sh/uv /uv /bin/\nCOPY --from=builder /opt/venv /opt/venv\n", True),
        (_PREFIX, "COPY --from=builder /install /usr/local\n", True),
        (_PREFIX, "COPY --from=builder /usr/local/bin /usr/local/bin\n", True),
        (_VENV, "COPY --from=builder /opt/venv /opt/venv\nRUN ln -s /opt/venv/bin/gunicorn /usr/bin\n", True),
    ],
)
def test_a_program_of_an_environment_is_found_on_path(
    tmp_path: Path, builder: str, final: str, *, is_found: bool
) -> None:
    rows = _rows(tmp_path, builder, final, "python:3.12-slim")

    assert [row[0] for row in rows] == ([] if is_found else ["BG701"])


@pytest.mark.parametrize(
    ("start", "script"),
    [
        ("CMD . /opt/venv/bin/activate && exec gunicorn -b :8080 main:app\n", ""),
        ('CMD ["sh", "-c", "source /opt/venv/bin/activate; gunicorn -b :8080 main:app"]\n', ""),
        ('CMD ["sh", "start.sh"]\n', "#!/bin/sh\n. /opt/venv/bin/activate\nexec gunicorn -b :8080 main:app\n"),
        ('ENTRYPOINT ["sh", "start.sh"]\n', "#!/bin/sh\nexport PATH=/opt/venv/bin:$PATH\nexec gunicorn -b :8080 main:app\n"),
        ("CMD PATH=/opt/venv/bin:$PATH gunicorn -b :8080 main:app\n", ""),
    ],
)  # fmt: skip
def test_a_command_that_looks_into_the_environment_itself(tmp_path: Path, start: str, script: str) -> None:
    text = (
        f"FROM python:3.12-slim AS builder\n{_VENV}FROM python:3.12-slim\nWORKDIR /srv\n"
        f"COPY --from=builder /opt/venv /opt/venv\nCOPY . .\n{start}"
    )

    assert rows_of(report_of(tmp_path, {"Dockerfile": text, **_FILES, "start.sh": script or "true\n"})) == []


def test_the_folders_that_a_stage_fills() -> None:
    text = (
        "FROM python:3.12\nWORKDIR /a\nRUN python3 -m venv --copies env && virtualenv -p python3 /b\nWORKDIR c\nRUN uv venv\n"
        "ENV UV_PROJECT_ENVIRONMENT=/d\nRUN uv sync --frozen\nRUN pip install --user x\n"
    )
    final = resolve_final_stage(text.encode(), {})
    assert final is not None

    assert {*_environments(final.chain)} == {"/a/env", "/b", "/a/c/.venv", "/d", "/root/.local"}


@pytest.mark.interpreters
def test_a_real_python_finds_nothing_in_an_environment_of_another(tmp_path: Path) -> None:
    """The folder stays, and the link in it leads to the Python of the image: as `COPY --from` leaves it."""
    made, image = interpreter("3.12"), interpreter("3.11")
    subprocess.run([made, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (tmp_path / "venv/lib/python3.12/site-packages/needed.py").write_text("")
    python = tmp_path / "venv/bin/python"
    assert subprocess.run([python, "-c", "import needed"], check=False).returncode == 0

    python.unlink()
    python.symlink_to(image)

    done = subprocess.run([python, "-c", "import needed"], check=False, capture_output=True)
    assert b"No module named 'needed'" in done.stderr
