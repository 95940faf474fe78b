"""Which dependency groups of a lock file an image installs, by the options of uv and poetry."""

from __future__ import annotations

import pytest

from buildguard.imports.lock import LockedPackages, read_lock
from buildguard.imports.locked_groups import with_installed_groups
from buildguard.project.discovery import ImageRecipe
from buildguard.project.target import Certainty, ContextBasis, ImageService

_POETRY_PROJECT = b"""
[tool.poetry.dependencies]
python = "^3.12"
flask = "3"
[tool.poetry.group.slack.dependencies]
requests = "2"
[tool.poetry.group.extra]
optional = true
[tool.poetry.group.extra.dependencies]
redis = "5"
[tool.poetry.group.dev.dependencies]
pytest = "8"
"""
_POETRY = "".join(f'[[package]]\nname = "{name}"\n' for name in ("flask", "requests", "redis", "pytest")).encode()
_POETRY_2 = b"".join(
    b'[[package]]\nname = "%s"\ngroups = ["%s"]\n' % pair
    for pair in ((b"flask", b"main"), (b"requests", b"slack"), (b"redis", b"extra"), (b"pytest", b"dev"))
)
_UV = b"""
[[package]]
name = "svc"
source = { virtual = "." }
dependencies = [{ name = "flask" }]
[package.dev-dependencies]
slack = [{ name = "requests" }]
extra = [{ name = "redis" }]
dev = [{ name = "pytest" }]
"""
_UV_PROJECT = b"[tool.uv]\ndefault-groups = ['dev', 'slack']\n"


def _poetry(data: bytes = _POETRY, project: bytes = _POETRY_PROJECT) -> LockedPackages:
    locked = read_lock("poetry.lock", data, project)
    assert locked is not None
    return locked


def _uv(project: bytes = _UV_PROJECT) -> LockedPackages:
    locked = read_lock("uv.lock", _UV, project)
    assert locked is not None
    return locked


def _recipe(text: str) -> ImageRecipe:
    service = ImageService("root", "Dockerfile", "", ContextBasis(Certainty.GUESSED, "Dockerfile"))
    return ImageRecipe(service, f"FROM python:3.12\n{text}\n".encode())


def _brought(locked: LockedPackages, *texts: str) -> set[str]:
    """The packages beside those of the project itself."""
    installed = with_installed_groups(locked, [*map(_recipe, texts)])
    assert installed.production | installed.development == {"flask", "requests", "redis", "pytest"}
    return {*installed.production} - {"flask"}


@pytest.mark.parametrize("locked", [_poetry(), _poetry(_POETRY_2)], ids=["2.0", "2.1"])
@pytest.mark.parametrize(
    ("text", "brought"),
    [
        ("RUN poetry install", {"requests", "pytest"}),
        ("RUN poetry install --without dev --no-root", {"requests"}),
        ("RUN poetry install --without dev,slack", set()),
        ("RUN poetry install --without=dev --without slack", set()),
        ("RUN poetry install --with extra", {"requests", "redis", "pytest"}),
        ("RUN poetry install --with extra --without dev", {"requests", "redis"}),
        ("RUN poetry install --only main", set()),
        ("RUN poetry install --only main,slack", {"requests"}),
        ("RUN poetry install --only main --with extra", set()),
        ("RUN poetry install --no-dev", set()),
        ("RUN poetry install --all-groups", {"requests", "redis", "pytest"}),
        ("RUN pip install poetry && /opt/poetry/bin/poetry -n install --sync --only main", set()),
        ("RUN poetry export --without-hashes -o r.txt && pip install -r r.txt", set()),
        ("RUN poetry export --with slack | pip install -r /dev/stdin", {"requests"}),
        ("RUN poetry install --only main\nRUN poetry install --only slack", {"requests"}),
        ("RUN poetry install $(test $ENV = prod && echo --only=main)", {"requests", "redis", "pytest"}),
        ("RUN if [ $DEV ]; then poetry install; else poetry install --only main; fi", {"requests", "pytest"}),
        ("RUN poetry config installer.parallel false && poetry run pip install x && make install", {"requests", "redis", "pytest"}),
    ],
)  # fmt: skip
def test_groups_of_poetry(locked: LockedPackages, text: str, brought: set[str]) -> None:
    assert _brought(locked, text) == brought


@pytest.mark.parametrize(
    ("text", "brought"),
    [
        ("RUN uv sync --frozen", {"requests", "pytest"}),
        ("RUN uv sync --no-dev", {"requests"}),
        ("RUN uv sync --no-default-groups", set()),
        ("RUN uv sync --no-default-groups --group extra", {"redis"}),
        ("RUN uv sync --no-group slack", {"pytest"}),
        ("RUN uv sync --only-group slack", {"requests"}),
        ("RUN uv sync --only-dev", {"pytest"}),
        ("RUN uv sync --all-groups --no-group dev", {"requests", "redis"}),
        ("ENV UV_NO_DEV=1\nRUN uv sync", {"requests"}),
        ("ENV UV_NO_DEV=1\nRUN UV_NO_DEFAULT_GROUPS=1 uv sync", set()),
        ("RUN uv export --no-default-groups -o r.txt", set()),
        ("RUN uv sync --no-default-groups\nCMD uv run --no-dev app.py --group extra", {"requests"}),
        ("RUN uv sync --no-default-groups\nCMD uv run app.py", {"requests", "pytest"}),
        ('RUN uv sync --no-default-groups\nCMD ["uv", "run", "--no-sync", "app.py"]', set()),
        ("ENV UV_NO_SYNC=1\nRUN uv sync --no-default-groups\nCMD uv run app.py", set()),
        ("RUN uv sync --no-default-groups && uv pip install x && uv tool run y", set()),
    ],
)
def test_groups_of_uv(text: str, brought: set[str]) -> None:
    assert _brought(_uv(), text) == brought


def test_groups_of_uv_by_default() -> None:
    assert _brought(_uv(b""), "RUN uv sync") == {"pytest"}
    assert _brought(_uv(b"[tool.uv]\ndefault-groups = 'all'\n"), "RUN uv sync") == {"requests", "redis", "pytest"}


def test_without_an_image_only_what_serves_development_is_left_out() -> None:
    assert _brought(_poetry()) == {"requests"}
    assert _brought(_poetry(project=_POETRY_PROJECT.replace(b"group.slack", b"group.dev-tools"))) == set()
    assert _brought(_uv()) == {"requests"}
    assert _brought(_uv(b"")) == set()


def test_of_several_images_what_each_installs_counts() -> None:
    assert _brought(_poetry(), "RUN poetry install", "RUN poetry install --without dev") == {"requests"}


def test_older_tables_of_poetry_are_a_group() -> None:
    project = b'[tool.poetry.dependencies]\nflask = "3"\n[tool.poetry.dev-dependencies]\npytest = "8"\nrequests = "2"\nredis = "5"\n'

    assert _brought(_poetry(project=project), "RUN poetry install") == {"requests", "redis", "pytest"}
    assert _brought(_poetry(project=project), "RUN poetry install --no-dev") == set()
