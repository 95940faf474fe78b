"""What is installed of pip's own tools beside a lock file."""

from __future__ import annotations

import pytest

from buildguard.imports.distributions import ModuleIndex
from buildguard.imports.lock import LockedPackages
from buildguard.imports.locked_source import LockedSource
from buildguard.imports.tool_installs import with_tools
from buildguard.project.discovery import ImageRecipe
from buildguard.project.target import Certainty, ContextBasis, ImageService
from tests.imports.projects import TextProject, lines_of

_UV = "FROM python:3.12-slim\nRUN pip install uv\n"
_SYNC = "RUN uv sync --frozen\n"
_POETRY = "RUN pip install poetry && poetry config virtualenvs.create false\nRUN poetry install --no-root\n"
_OLD = '"setuptools<82"'
_MISSING = "missing"
_THERE = "there"
_OPEN = "undecided"


def _recipe(text: str) -> ImageRecipe:
    basis = ContextBasis(Certainty.GUESSED, "Dockerfile")
    return ImageRecipe(ImageService("root", "Dockerfile", "", basis), text.encode())


def _answer(*texts: str, locked: str = "84.0.0") -> tuple[str, list[str]]:
    """What becomes of `import pkg_resources`, and the lines of the report."""
    versions = {"setuptools": frozenset({locked})} if locked else {}
    packages = LockedPackages("uv.lock", frozenset({"flask", *versions}), frozenset(), frozenset(), versions)
    whole, undecided = with_tools(packages, [*map(_recipe, texts)])
    found = TextProject({"main.py": "import pkg_resources\n"}).judge(LockedSource(whole, ModuleIndex({}), undecided))
    lines = lines_of(found)
    assert not (lines and found.undecided)
    return (_MISSING if lines else _OPEN if found.undecided else _THERE), lines


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"{_UV}{_SYNC}", _MISSING),
        (f"{_UV}{_SYNC}RUN uv pip install {_OLD}\n", _THERE),
        (f"{_UV}{_SYNC}RUN uv pip install setuptools==81.0.0\n", _THERE),
        (f"{_UV}{_SYNC}RUN uv pip install 'setuptools~=80.9'\n", _THERE),
        (f"{_UV}{_SYNC}RUN uv pip install setuptools==80.*\n", _THERE),
        (f"{_UV}{_SYNC}RUN uv pip install 'setuptools<=82'\n", _OPEN),
        (f"{_UV}{_SYNC}RUN uv pip install 'setuptools>=70,<90'\n", _OPEN),
        (f"{_UV}{_SYNC}RUN uv pip install setuptools==$VERSION\n", _OPEN),
        (f"{_UV}{_SYNC}RUN uv pip install setuptools\n", _MISSING),
        (f"{_UV}{_SYNC}RUN uv pip install -U 'setuptools>=83'\n", _MISSING),
        (f"{_UV}RUN uv venv && uv pip install {_OLD}\n{_SYNC}", _MISSING),
        (f"{_UV}RUN uv sync && uv pip install {_OLD} && uv sync\n", _MISSING),
        # `.venv` does not see what the image's own pip installs
        (f"{_UV}{_SYNC}RUN pip install {_OLD}\n", _MISSING),
        (f"{_UV}RUN pip install -U pip {_OLD} wheel\n{_SYNC}", _MISSING),
        (f"{_UV}ENV UV_PROJECT_ENVIRONMENT=/usr/local\n{_SYNC}RUN pip install {_OLD}\n", _OPEN),
        (f"{_UV}RUN python -m venv .venv\n{_SYNC}RUN .venv/bin/pip install {_OLD}\n", _OPEN),
        (f"{_UV}RUN uv venv --system-site-packages\n{_SYNC}RUN pip install {_OLD}\n", _OPEN),
        (f"{_UV}RUN uv pip sync --system pylock.toml\nRUN uv pip install --system {_OLD}\n", _THERE),
        (f"{_UV}RUN uv pip sync --system pylock.toml\nRUN pip install {_OLD}\n", _THERE),
        (f"{_UV}{_SYNC}RUN uv pip install --target /t {_OLD}\n", _OPEN),
        (f"{_UV}{_SYNC}RUN test -f x || uv pip install {_OLD}\n", _OPEN),
        (f"{_UV}{_SYNC}FROM python:3.12-slim\nCOPY --from=0 /app /app\nRUN uv pip install {_OLD}\n", _OPEN),
        (f"FROM python:3.12-slim\n{_POETRY}RUN pip install {_OLD}\n", _THERE),
        (f"FROM python:3.12-slim\n{_POETRY}RUN python -m pip install {_OLD}\n", _THERE),
        (f"FROM python:3.12-slim\nRUN pip install -U pip setuptools\n{_POETRY}", _MISSING),
        (f"FROM python:3.12-slim\n{_POETRY}RUN pip install -U setuptools\n", _MISSING),
        (f"FROM python:3.12-slim\nRUN poetry install\nRUN pip install {_OLD}\n", _OPEN),
        ("FROM python:3.12-slim\nRUN uv sync\nRUN pip install 'setuptools<82\n", _OPEN),
        (f"{_UV}{_SYNC}RUN uv pip install {_OLD} {'x ' * 5000}\n", _OPEN),
        (f"{_UV}{_SYNC}RUN uv pip install {_OLD}\nCMD uv run main.py\n", _MISSING),
        (f'{_UV}{_SYNC}RUN uv pip install {_OLD}\nCMD ["uv", "run", "--no-sync", "main.py"]\n', _THERE),
    ],
)  # fmt: skip
def test_what_decides_over_a_lock(text: str, answer: str) -> None:
    assert _answer(text)[0] == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"{_UV}{_SYNC}", _MISSING),
        (f"{_UV}{_SYNC}RUN uv pip install {_OLD}\n", _THERE),
        (f"{_UV}{_SYNC}RUN uv pip install setuptools\n", _OPEN),
        (f"{_UV}{_SYNC}RUN uv pip install 'setuptools>=82'\n", _MISSING),
        # images of Python 3.11 and older have setuptools, environments of uv do not
        (f"FROM python:3.11\n{_POETRY}", _OPEN),
        ("FROM python:3.11\nRUN poetry install\n", _OPEN),
        (f"FROM python:3.12\n{_POETRY}", _MISSING),
        (f"FROM python:3.11\nRUN pip install uv\n{_SYNC}", _MISSING),
        (f"FROM python:3.11\nENV UV_PROJECT_ENVIRONMENT=/venv\n{_SYNC}", _MISSING),
    ],
)
def test_a_lock_without_the_tool(text: str, answer: str) -> None:
    assert _answer(text, locked="")[0] == answer


def test_an_older_version_that_a_later_install_replaces() -> None:
    answer, lines = _answer(f"{_UV}{_SYNC}RUN uv pip install 'setuptools>=82'\n", locked="80.0")

    assert answer == _MISSING
    assert lines == ["warning main.py:1 no module named 'pkg_resources': nothing in uv.lock and Dockerfile:4 brings it"]
    assert _answer(f"{_UV}{_SYNC}RUN uv pip install -U setuptools\n", locked="80.0")[0] == _OPEN
    assert _answer(f"{_UV}{_SYNC}RUN pip install 'setuptools>=82'\n", locked="80.0")[0] == _THERE


def test_images_that_differ() -> None:
    old, new = f"{_UV}{_SYNC}RUN uv pip install {_OLD}\n", f"{_UV}{_SYNC}"

    assert _answer(old, old)[0] == _THERE
    assert _answer(old, new)[0] == _OPEN
    assert _answer(new, new)[0] == _MISSING
