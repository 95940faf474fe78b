"""Images that no package reaches, and environments that poetry and pipenv keep where no start looks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from buildguard.project.image_build import BuildInput, build_model
from buildguard.startup.bare_images import install_hint, is_bare
from tests.startup.projects import report_of, rows_of
from tests.startup.record_tool_folders import CASES, ToolCase
from tests.startup.test_parts import image_of

_PROJECT = '[tool.poetry]\nname = "svc"\nversion = "1"\n[tool.poetry.dependencies]\npython = "^3.12"\nflask = "3.0.3"\ngunicorn = "22.0.0"\n'
_FILES = {
    "requirements.txt": "flask==3.0.3\ngunicorn==22.0.0\n",
    "main.py": "from flask import Flask\napp = Flask(__name__)\n",
    "plain.py": "import json, own\n",
    "own.py": "",
    "start.sh": "#!/bin/sh\npip install -r requirements.txt\nexec gunicorn -b :8080 main:app\n",
    "pyproject.toml": _PROJECT,
}
_BASE = "FROM python:3.12-slim"
_BUILDER = (
    f"{_BASE} AS build\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY main.py .\n"
)
_FINAL = f"{_BASE}\nWORKDIR /app\n"
_APP = "COPY --from=build /app /app\n"
_POETRY = f"{_FINAL}RUN pip install poetry\nCOPY pyproject.toml .\nRUN poetry install\n"
_PIPENV = f"{_FINAL}RUN pip install pipenv\nCOPY Pipfile .\nRUN pipenv install --deploy\n"
_NAME = '["gunicorn", "-b", ":8080", "main:app"]'
_MODULE = '["python", "-m", "gunicorn", "-b", ":8080", "main:app"]'
_SCRIPT = '["python", "main.py"]'
_PLAIN = '["python", "plain.py"]'
_SHELL = '["sh", "start.sh"]'


def _codes(tmp_path: Path, steps: str, start: str) -> list[str]:
    text = f"{steps}COPY *.py start.sh requirements.txt ./\nCMD {start}\n"
    return [row[0] for row in rows_of(report_of(tmp_path, {**_FILES, "Dockerfile": text}))]


@pytest.mark.parametrize("start", [_NAME, _MODULE, _SCRIPT, "exec gunicorn -b :$PORT main:app"])
@pytest.mark.parametrize(
    "steps",
    [
        _FINAL,
        f"{_BUILDER}{_FINAL}",
        f"{_BUILDER}{_FINAL}{_APP}",
        f"{_BUILDER}{_FINAL}COPY --from=0 /app/main.py /app/\n",
        f"{_FINAL}RUN apt-get update && apt-get install -y curl\n",
        f"{_FINAL}RUN useradd -m app && mkdir -p /data && chown app /data\nUSER app\n",
        f"{_FINAL}RUN pip install --upgrade pip\n",
        f"{_POETRY}",
        f"{_POETRY.replace(_BASE, f'{_BASE} AS build')}COPY main.py .\n{_FINAL}{_APP}",
    ],
)
def test_no_package_reaches_the_image(tmp_path: Path, steps: str, start: str) -> None:
    assert _codes(tmp_path, steps, start) == ["BG701"]


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        (_FINAL, _PLAIN),
        (f"{_BUILDER}{_FINAL}{_APP}", _PLAIN),
        (_FINAL, _SHELL),
        (f"{_FINAL}RUN pip install -r requirements.txt\n", _NAME),
        (f"{_FINAL}RUN ./install.sh\n", _NAME),
        (f"{_FINAL}RUN apt-get install -y gunicorn python3-flask\n", _NAME),
        (f"{_BUILDER}{_FINAL}COPY --from=build /usr/local /usr/local\n", _NAME),
        (f"{_BUILDER}{_FINAL}COPY --from=build / /\n", _SCRIPT),
        (f"{_BUILDER}{_FINAL}{_APP}RUN pip install gunicorn flask\n", _NAME),
        (f"{_BUILDER.replace('RUN pip', 'RUN make')}{_FINAL}{_APP}", _SCRIPT),
        (f"{_FINAL}COPY --from=example/packages /packages /packages\nENV PYTHONPATH=/packages\n", _SCRIPT),
        (f"{_FINAL}ADD packages.tar.gz /usr/local/\n", _NAME),
        (f"{_FINAL}COPY own.py /usr/local/lib/python3.12/site-packages/\n", _SCRIPT),
        ("FROM example/python-with-flask\nWORKDIR /app\n", _NAME),
        ("FROM python:3-onbuild\nWORKDIR /app\n", _NAME),
        (f"{_FINAL}COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/uv\n", '["uv", "run", "main.py"]'),
    ],
)
def test_an_image_that_may_have_packages(tmp_path: Path, steps: str, start: str) -> None:
    assert [code for code in _codes(tmp_path, steps, start) if code == "BG701"] == []


@pytest.mark.parametrize(
    ("steps", "start", "hint"),
    [
        (_POETRY, _NAME, "start it with poetry run"),
        (_POETRY, _SCRIPT, "start it with poetry run"),
        (f"{_POETRY}USER 1000\n", f'["poetry", "run", {_NAME[1:]}', "ENV POETRY_VIRTUALENVS_CREATE=false"),
        (_PIPENV, _NAME, "start it with pipenv run"),
        (f"{_PIPENV}USER 1000\n", '["pipenv", "run", "python", "main.py"]', "pipenv install --system"),
        (f"{_BUILDER}{_FINAL}{_APP}", _SCRIPT, "COPY --from=build /usr/local /usr/local"),
        (_FINAL, _SCRIPT, "RUN pip install -r requirements.txt"),
    ],
)
def test_what_helps(tmp_path: Path, steps: str, start: str, hint: str) -> None:
    text = f"{steps}COPY *.py ./\nCMD {start}\n"
    files = {**_FILES, "Pipfile": '[packages]\nflask = "*"\ngunicorn = "*"\n', "Dockerfile": text}
    (finding,) = [item for item in report_of(tmp_path, files).diagnostics if item.code == "BG701"]

    assert hint in (finding.hint or "")


@pytest.mark.parametrize(
    ("steps", "start"),
    [
        (_POETRY, f'["poetry", "run", {_NAME[1:]}'),
        (_PIPENV, '["pipenv", "run", "python", "main.py"]'),
        (_POETRY.replace("poetry install", "poetry config virtualenvs.create false && poetry install"), _NAME),
        (_POETRY.replace("RUN poetry", "ENV POETRY_VIRTUALENVS_CREATE=false\nRUN poetry"), f"{_NAME}"),
        (_PIPENV.replace("--deploy", "--system --deploy"), _NAME),
        (f"{_FINAL}USER app\nRUN pip install poetry\nCOPY pyproject.toml .\nRUN poetry install\n", f'["poetry", "run", {_NAME[1:]}'),
        (_POETRY.replace("COPY pyproject.toml", "COPY pyproject.toml poetry.toml"), _NAME),
        (_POETRY.replace("RUN poetry", "RUN . /venv/bin/activate && poetry"), _NAME),
        (f"{_POETRY}RUN poetry export -o all.txt && pip install -r all.txt\n", _NAME),
    ],
)  # fmt: skip
def test_environments_of_tools_that_a_start_may_reach(tmp_path: Path, steps: str, start: str) -> None:
    text = f"{steps}COPY *.py ./\nCMD {start}\n"
    files = {**_FILES, "Pipfile": "[packages]\n", "poetry.toml": "[virtualenvs]\ncreate = false\n", "Dockerfile": text}

    assert [row for row in rows_of(report_of(tmp_path, files)) if row[0] == "BG701"] == []


def test_sources_that_are_mounted(tmp_path: Path) -> None:
    files = {**_FILES, "Dockerfile": f"{_FINAL}CMD {_NAME}\n"}

    assert [row for row in rows_of(report_of(tmp_path, files)) if row[0] == "BG701"] == []


def test_a_module_that_another_stage_installs(tmp_path: Path) -> None:
    """`python -m debugpy`: what comes with the environment is named in the stage that fills it."""
    text = (
        f"{_BASE} AS build\nWORKDIR /app\nCOPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/uv\nRUN mkdir -p /app && uv venv && uv pip install debugpy\n"
        f'{_FINAL}COPY --from=build /app/.venv /app/.venv\nCOPY own.py .\nENV PATH=/app/.venv/bin:$PATH\nCMD ["python", "-m", "{{}}"]\n'
    )

    def rows(module: str) -> list[tuple[str, str | None, int | None]]:
        return rows_of(report_of(tmp_path / module, {"own.py": "", "Dockerfile": text.format(module)}))

    assert rows("debugpy") == []
    assert [row[0] for row in rows("absent")] == ["BG701"]
    assert [row[0] for row in rows("app")] == ["BG701"]  # a folder that a RUN of the builder names is no package


def test_a_bare_image_and_its_hint() -> None:
    for steps, expected in ((_FINAL, True), (f"{_FINAL}RUN pip install flask\n", False)):
        image = image_of(f"{steps}COPY main.py .\nCMD {_SCRIPT}\n", {"main.py": ""})

        assert image.start is not None
        assert is_bare(image, image.start) is expected
        assert install_hint(image).startswith("copy them" if not expected else "RUN pip install")


_RECORDED = [ToolCase(*json.loads(line)) for line in CASES.read_text().splitlines()]


@pytest.mark.parametrize("case", _RECORDED, ids=lambda case: "-".join(case[:5]))
def test_where_real_tools_keep_an_environment(case: ToolCase) -> None:
    """What is certain of the model is what each version of the tool did."""
    variable = f"ENV {case.variable.replace('/HOME', '/root')}\n" if case.variable else ""
    setting = f"RUN {case.tool} config {case.setting.replace('/HOME', '/root')}\n" if case.setting else ""
    made = "RUN python -m venv --without-pip .venv\n" if case.file == ".venv" else ""
    active = "RUN python -m venv /root/active\n" if "VIRTUAL_ENV" in case.variable else ""
    text = f"{_BASE}\nWORKDIR /app\n{active}{variable}{setting}{made}COPY . .\nRUN {case.tool} install\n"
    files = ["pyproject.toml", "Pipfile", *([case.file] if case.file == "poetry.toml" else [])]
    model = build_model(BuildInput(text.encode(), files))

    real = case.folder.replace("~", "/root").replace("./", "/app/").removesuffix("/*")
    if not model.takes_more:
        assert real in [found.path for found in model.environments]
    if (case.variable, case.setting, case.file) == ("", "", ""):
        assert not model.takes_more
