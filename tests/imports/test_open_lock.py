"""What an image may hold beside a lock file: other stages, a distribution's packages, and tools that pip installs."""

from __future__ import annotations

import pytest

from buildguard.imports.open_lock import asks_for_extras, explain_open_lock, installs_groups, installs_lock
from buildguard.project.discovery import ImageRecipe
from buildguard.project.target import Certainty, ContextBasis, ImageService

_PYTHON = "FROM python:3.12-slim\n"
_SYNC = "RUN uv sync --frozen\n"
_VENV = 'ENV PATH="/app/.venv/bin:$PATH"\n'
_NODE = "FROM node:24-bookworm AS web\nRUN apt-get install -y python3 make && npm ci && npm run build\n"
_IN_PROJECT = "RUN pip install poetry==1.8 && poetry config virtualenvs.in-project true && poetry install\n"
_POETRY_RUN = "CMD poetry run uvicorn app:app\n"


def _recipe(text: str, stage: str = "") -> ImageRecipe:
    basis = ContextBasis(Certainty.GUESSED, "Dockerfile")
    return ImageRecipe(ImageService("root", "Dockerfile", "", basis, stage=stage), text.encode())


def _why(text: str, stage: str = "") -> str:
    return explain_open_lock(_recipe(text, stage), "uv.lock")


@pytest.mark.parametrize(
    ("text", "other"),
    [
        # the image's own Python does not see what apt and apk install
        (f"{_PYTHON}RUN apt-get update && apt-get install -y python3-dev gcc\n{_SYNC}", ""),
        (f"FROM python:3.12-alpine\nRUN apk add --no-cache python3-dev py3-numpy\n{_SYNC}", ""),
        (f"FROM ghcr.io/astral-sh/uv:0.9-python3.12-trixie-slim\nRUN apt-get install -y python3-numpy\n{_SYNC}", ""),
        (f"{_PYTHON}RUN apt-get install -y python3-numpy\nENV PYTHONPATH=/usr/lib/python3/dist-packages\n{_SYNC}", "python3-numpy"),
        (f'{_PYTHON}RUN apt-get install -y python3-numpy\n{_SYNC}CMD ["/usr/bin/python3", "main.py"]\n', "python3-numpy"),
        # a distribution's does, unless the lock has an environment of its own, and the program starts there
        (f"FROM debian:12\nRUN apt-get install -y python3-numpy\n{_SYNC}", "python3-numpy"),
        (f"FROM ubuntu:24.04\nRUN apt-get install -y python3-dev python3-venv\n{_SYNC}", ""),
        (f"FROM alpine:3.20\nRUN apk add python3 py3-numpy\n{_SYNC}", "py3-numpy"),
        (f"FROM debian:12\nRUN apt-get install -y $PACKAGES\n{_SYNC}", "$PACKAGES"),
        (f"FROM debian:12\nRUN apt-get install -y python3-numpy\n{_SYNC}{_VENV}", ""),
        (f"FROM debian:12\nRUN apt-get install -y python3-numpy && uv venv --system-site-packages\n{_SYNC}{_VENV}", "python3-numpy"),
        (f"FROM debian:12\nRUN apt-get install -y python3-numpy\nENV UV_PROJECT_ENVIRONMENT=/usr\n{_SYNC}{_VENV}", "python3-numpy"),
        (f"{_PYTHON}RUN apt-get install -y python3-numpy\nENV UV_PROJECT_ENVIRONMENT=/usr\n{_SYNC}", "python3-numpy"),
        (f"FROM cgr.dev/chainguard/python:latest-dev\nRUN apk add py3-numpy\n{_SYNC}", "py3-numpy"),
        (f"FROM ghcr.io/astral-sh/uv:bookworm-slim\nRUN apt-get install -y python3-numpy\n{_SYNC}", "python3-numpy"),
        # tools, and the environments that separate them from the program
        (f"{_PYTHON}{_IN_PROJECT}{_POETRY_RUN}", ""),
        (f"{_PYTHON}ENV POETRY_VIRTUALENVS_IN_PROJECT=true\nRUN pip install poetry\nRUN poetry install\n{_VENV}", ""),
        (f"{_PYTHON}{_IN_PROJECT}CMD python main.py\n", "poetry==1.8"),
        (f"{_PYTHON}RUN pip install poetry==1.8 && poetry install\n{_POETRY_RUN}", "poetry==1.8"),
        (f"{_PYTHON}ENV VIRTUAL_ENV=/venv\n{_IN_PROJECT}{_POETRY_RUN}", "poetry==1.8"),
        (f"{_PYTHON}RUN python -m venv /v && . /v/bin/activate\n{_IN_PROJECT}{_POETRY_RUN}", "poetry==1.8"),
        (f"{_PYTHON}ENV POETRY_VIRTUALENVS_CREATE=false\n{_IN_PROJECT}{_POETRY_RUN}", "poetry==1.8"),
        (f"{_PYTHON}RUN pip install uv awscli\n{_SYNC}{_VENV}", ""),
        (f'{_PYTHON}RUN pip install uv awscli\n{_SYNC}CMD ["uv", "run", "main.py"]\n', ""),
        (f"{_PYTHON}RUN pip install uv awscli\n{_SYNC}", "awscli"),
        (f'{_PYTHON}RUN pip install awscli\n{_SYNC}{_VENV}CMD ["fastapi", "run"]\n', ""),
        # pip may be that of the environment
        (f"{_PYTHON}{_IN_PROJECT}{_VENV}RUN pip install gunicorn\n", "gunicorn"),
        (f"{_PYTHON}{_IN_PROJECT}RUN pip install gunicorn\n{_POETRY_RUN}", ""),
        (f"{_PYTHON}RUN uv venv /v && . /v/bin/activate\n{_IN_PROJECT}{_POETRY_RUN}", "poetry==1.8"),
        (f"{_PYTHON}ENV UV_PROJECT_ENVIRONMENT=$PREFIX\nRUN pip install awscli\n{_SYNC}CMD uv run main.py\n", "awscli"),
        (f"{_PYTHON}ENV UV_PROJECT_ENVIRONMENT=/opt/venv\nRUN pip install awscli\n{_SYNC}CMD uv run main.py\n", ""),
        (f"{_PYTHON}RUN pip install pipx\nENV UV_PROJECT_ENVIRONMENT=/usr/local\n{_SYNC}", "pipx"),
        (f"{_PYTHON}{_SYNC}{_VENV}RUN uv pip install requests\n", "requests"),
        (f"{_PYTHON}{_SYNC}{_VENV}RUN uv add requests\n", "requests"),
        (f"{_PYTHON}RUN pip install poetry requests\nRUN poetry install\n", "requests"),
        # values of options are no packages
        (f"{_PYTHON}RUN pip install --index-url 'https://index.invalid/simple' 'uv'\n{_SYNC}", ""),
        (f"{_PYTHON}RUN pip install -i $INDEX --trusted-host index.invalid -f /wheels uv==0.9 > /dev/null\n{_SYNC}", ""),
        (f"{_PYTHON}RUN pip install --extra-index-url=https://x.invalid --find-links ./w -U uv 2>&1\n{_SYNC}", ""),
        (f"{_PYTHON}RUN pip install --index-url https://x.invalid uv requests\n{_SYNC}", "requests"),
        (f"{_PYTHON}RUN pip install $MORE uv\n{_SYNC}", "$MORE"),
        (f"{_PYTHON}{_SYNC}RUN uv pip install /wheels/*.whl\n", "/wheels/*.whl"),
        (f"{_PYTHON}{_SYNC}RUN pip install --requirement=more.txt\n", "-r more.txt"),
        # the lock itself, written as requirements
        (f"{_PYTHON}RUN uv export -o r.txt && uv pip install --system --index https://x.invalid -r r.txt\n", ""),
        (f"{_PYTHON}RUN poetry export -f requirements.txt --only main | poetry run pip install -r /dev/stdin\n", ""),
        (f"FROM python:3.12 AS x\nRUN poetry export > /tmp/r.txt\n{_PYTHON}COPY --from=x /tmp/r.txt .\nRUN pip install -r r.txt\n", ""),
        (f"{_PYTHON}RUN uv export -o r.txt\nCOPY deploy/r.txt .\nRUN pip install -r r.txt\n", "-r r.txt"),
        (f"{_PYTHON}{_SYNC}RUN pip install -r /dev/stdin < more.txt\n", "-r /dev/stdin"),
    ],
)  # fmt: skip
def test_what_is_installed_beside_a_lock(text: str, other: str) -> None:
    assert _why(text) == (f"{other} is installed beside uv.lock" if other else "")


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        # a stage that hands over what it built has no Python packages
        (f"{_NODE}{_PYTHON}{_SYNC}COPY --from=web /app/dist /app/static\n", ""),
        (f"FROM oven/bun:1 AS web\nRUN bun run build\n{_PYTHON}{_SYNC}COPY --from=web /app/dist /app/dist\n", ""),
        (f"{_NODE}{_PYTHON}{_SYNC}COPY --from=web /usr/local/bin/node /usr/local/bin/\n", ""),
        (f"FROM acme/base AS unused\n{_PYTHON}{_SYNC}", ""),
        (f"FROM acme/tools AS tools\n{_PYTHON}{_SYNC}COPY --from=tools /usr/bin/crf_learn /usr/bin/\n", ""),
        (f"{_PYTHON}COPY --from=acme/agent:1 /agent /opt/extensions/agent\n{_SYNC}", ""),
        (f"{_NODE}{_PYTHON}RUN --mount=type=bind,from=web,source=/app/dist,target=/d cp -r /d /app\n{_SYNC}", ""),
        (f"{_PYTHON}RUN --mount=from=ghcr.io/acme/uv,source=/uv,target=/bin/uv uv sync\n", ""),
        # what may be packages counts
        (f"FROM acme/base AS b\n{_PYTHON}{_SYNC}RUN --mount=type=bind,from=b,target=/b cp -r /b/lib /usr/local\n", "acme/base"),
        (f"{_NODE}{_PYTHON}{_SYNC}COPY --from=web /usr/lib/python3/dist-packages /usr/local/lib/python3.12/\n", "node:24-bookworm"),
        (f"{_NODE}{_PYTHON}{_SYNC}COPY --from=web /app/.venv /app/.venv\n", "node:24-bookworm"),
        (f"{_NODE}RUN pip install -t /app/lib x\n{_PYTHON}{_SYNC}COPY --from=web /app/lib /app/lib\n", "node:24-bookworm"),
        (f"{_NODE}{_PYTHON}{_SYNC}COPY --from=web / /\n", "node:24-bookworm"),
        (f"FROM acme/base AS base\n{_PYTHON}{_SYNC}COPY --from=base /app /app\n", "acme/base"),
        (f"FROM acme/base AS base\n{_PYTHON}{_SYNC}COPY --from=0 /usr/local/lib/ /usr/local/lib\n", "acme/base"),
        (f"{_PYTHON}COPY --from=acme/libs /venv /venv\n{_SYNC}", "acme/libs"),
        (f"FROM acme/base AS base\nFROM base\n{_SYNC}", "acme/base"),
        (f"FROM node:24\nRUN apt-get install -y python3\n{_SYNC}", "node:24"),
    ],
)  # fmt: skip
def test_an_image_that_packages_may_come_from(text: str, foreign: str) -> None:
    assert _why(text) == (f"{foreign} may bring packages of its own" if foreign else "")


def test_only_the_stage_that_is_built_counts() -> None:
    text = f"{_PYTHON.strip()} AS app\n{_SYNC}FROM app AS dev\nRUN uv pip install debugpy\n"

    assert _why(text, "app") == ""
    assert _why(text, "dev") == "debugpy is installed beside uv.lock"


@pytest.mark.parametrize(
    ("text", "is_installed"),
    [
        (_SYNC, True),
        ('ENTRYPOINT ["uv", "run", "main.py"]\n', True),
        ('ENTRYPOINT ["uv", "run", "--no-project", "python", "main.py"]\n', False),
        ("RUN pip install -r requirements.txt\n", False),
        ("RUN uv pip install --system .\n", False),
    ],
)
def test_an_image_that_installs_the_lock(text: str, is_installed: bool) -> None:
    assert installs_lock(_recipe(_PYTHON + text)) is is_installed
    assert (_why(_PYTHON + text) == "no instruction installs uv.lock") is not is_installed


def test_tools_install_groups_unless_told_otherwise() -> None:
    assert installs_groups(_recipe(f"{_PYTHON}{_SYNC}"))
    assert not installs_groups(_recipe(f"{_PYTHON}RUN uv sync --frozen --no-dev\n"))


def test_what_a_mounted_stage_installs_counts() -> None:
    stage = "FROM python:3.12 AS libs\nRUN pip install --prefix /x requests\n"
    text = f"{stage}{_PYTHON}{_SYNC}RUN --mount=from=libs,source=/x,target=/x cp -r /x/. /usr/local\n"

    assert _why(text) == "requests is installed beside uv.lock"


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        (_SYNC, False),
        ("RUN uv sync --frozen --extra cache\n", True),
        ("RUN uv sync --all-extras\n", True),
        ("RUN poetry install -E cache\n", True),
        ("RUN poetry install --extras 'a b'\n", True),
        ("RUN pip install -e .[cache]\n", True),
        ("ARG EXTRAS\nRUN ./sync $EXTRAS\n", True),
        ("RUN poetry install --only main\n", False),
    ],
)
def test_whether_an_image_asks_for_extras(text: str, *, asks: bool) -> None:
    assert asks_for_extras(_recipe(f"{_PYTHON}{text}")) is asks
