"""What names a package: a start is called broken unless something may install a package of the name that it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.startup.named_packages import is_in_run, requirement_files, who_names, who_requires
from tests.startup.projects import APP, report_of, rows_of
from tests.startup.test_parts import image_of

_DOCKERFILE = """FROM python:3.12-slim
WORKDIR /app
COPY requirements.txt ./
RUN pip install -r requirements.txt
{run}COPY app ./
CMD ["gunicorn", "--bind", ":8080", "app.main:app"]
"""
_PROJECT = '[project]\nname = "app"\nversion = "1"\n\n[tool.ruff]\nsrc = ["app"]\n'
_LOCK = 'version = 1\n\n[[package]]\nname = "app"\nversion = "1"\nsource = { virtual = "." }\n'
_BRINGS_NONE = (
    "chown -R 1000 /app",
    "useradd app",
    "groupadd -r app && useradd -r -g app app && chown -R app:app /app",
    "set -eux; mkdir -p /home/app /app/data; chmod -R a+rX /app",
    "apt-get update && apt-get install -y app-armor && rm -rf /app/tmp",
    "echo app && ls /app && echo x > /app/flag",
    'echo "export PATH=$PATH:/app/bin" >> /root/.bashrc',
    "pip install --no-cache-dir -r /app/requirements.txt",
    "pip install --cache-dir /tmp/app flask",
    "cp /app/requirements.txt /app/copy.txt",
    "cd /app && ls",
    "sed -i s/a/b/ /app/main.py",
)
_MAY_BRING = (
    "pip install app",
    "python -m pip install 'app>=1'",
    "pip install git+https://example.com/app.git",
    "pip install dist/app-1.0-py3-none-any.whl",
    "conda install -n base app",
    "apt-get install -y python3-app",
    "cd /tmp/app && python setup.py install",
    "cd /tmp && bash -c 'pip install app'",
    "cp -r /build/app /usr/local/lib/python3.12/site-packages/",
    "cp -r /build/app $SITE/",
    "echo /opt/app > /usr/local/lib/python3.12/site-packages/more.pth",
    "echo app==1 > /tmp/list.txt && pip install -r /tmp/list.txt",
    "cd /tmp && echo app | xargs pip install",
    "cat > /tmp/list.txt <<EOF\napp==1\nEOF",
    "pip install 'unclosed app",
)


def _report(root: Path, run: str = "", **files: str) -> tuple[list[str], tuple[str, ...]]:
    dockerfile = _DOCKERFILE.format(run=f"RUN {run}\n" if run else "")
    names = {name.replace("_", "."): text for name, text in files.items()}
    report = report_of(root, {"app/__init__.py": "", "app/main.py": APP, "Dockerfile": dockerfile, **names})
    return [row[0] for row in rows_of(report)], tuple(report.undecided)


@pytest.mark.parametrize("run", ["", *_BRINGS_NONE])
def test_a_command_that_brings_no_module_casts_no_doubt(tmp_path: Path, run: str) -> None:
    codes, undecided = _report(tmp_path, run)

    assert (codes, undecided) == (["BG701"], ())


@pytest.mark.parametrize("run", _MAY_BRING)
def test_a_command_that_may_bring_it_leaves_the_start_undecided(tmp_path: Path, run: str) -> None:
    codes, undecided = _report(tmp_path, run)

    assert codes == []
    assert any("module app.main: " in reason for reason in undecided), undecided


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject_toml": _PROJECT},
        {"pyproject_toml": _PROJECT, "uv_lock": _LOCK},
        {"requirements_txt": "# what the app needs\nflask\ngunicorn\n"},
    ],
    ids=["the project's name", "its lock", "a comment"],
)
def test_a_file_that_only_mentions_the_name_casts_no_doubt(tmp_path: Path, files: dict[str, str]) -> None:
    codes, undecided = _report(tmp_path, **files)

    assert (codes, undecided) == (["BG701"], ())


@pytest.mark.parametrize(
    ("run", "files"),
    [
        ("", {"requirements_txt": "gunicorn\napp\n"}),
        ("", {"requirements_txt": "gunicorn\nacme-app-lib==1\n"}),
        ("", {"requirements_txt": "gunicorn\n./vendored/app\n"}),
        ("", {"requirements_txt": "gunicorn\ngit+https://example.com/acme.git\n"}),
        ("pip install /wheels/*", {"pyproject_toml": _PROJECT}),
        ("cd /tmp && python -m build /src", {"pyproject_toml": _PROJECT}),
    ],
)
def test_a_requirement_or_a_built_project_leaves_it_undecided(tmp_path: Path, run: str, files: dict[str, str]) -> None:
    codes, undecided = _report(tmp_path, run, **files)

    assert codes == []
    assert any("names app" in reason for reason in undecided), undecided


@pytest.mark.parametrize(
    ("run", "codes"),
    [
        ("mkdir -p /opt/uv", ["BG701"]),
        ("pip install uv", []),
    ],
)
def test_a_tool_is_missing_where_a_command_only_mentions_it(tmp_path: Path, run: str, codes: list[str]) -> None:
    dockerfile = f'FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nRUN {run}\nCMD ["uv", "run", "main.py"]\n'

    report = report_of(tmp_path, {"pyproject.toml": _PROJECT, "Dockerfile": dockerfile})

    assert [row[0] for row in rows_of(report)] == codes


def test_the_project_that_an_earlier_stage_builds_is_named_and_not_required() -> None:
    dockerfile = (
        "FROM python:3.12 AS build\nCOPY . .\nRUN pip install tool && pip wheel . -w /wheels\n"
        "FROM python:3.12\nWORKDIR /srv\nCOPY --from=build /wheels /wheels\nRUN pip install /wheels/*\nCMD python -m app\n"
    )
    image = image_of(dockerfile, {"pyproject.toml": _PROJECT})

    assert requirement_files(image) == ["pyproject.toml"]
    assert (who_names(image, "app"), who_requires(image, "app")) == ("pyproject.toml names app", "")
    assert (who_requires(image, "tool"), is_in_run(image, "tool")) == ("a RUN names tool", False)


@pytest.mark.parametrize(("folder", "codes"), [("/srv/other", []), ("/app/part", ["BG701"])])
def test_a_shell_stays_where_it_is_if_a_folder_is_missing(tmp_path: Path, folder: str, codes: list[str]) -> None:
    start = f"#!/bin/sh\ncd {folder}\nexec gunicorn --bind :8080 src.web:app\n"
    dockerfile = (
        "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nRUN mkdir -p /usr/src && pip install -r requirements.txt\n"
        'CMD ["sh", "start.sh"]\n'
    )
    files = {"start.sh": start, "src/__init__.py": "", "src/web.py": APP, "part/x.txt": ""}

    report = report_of(tmp_path, {**files, "Dockerfile": dockerfile})

    assert [row[0] for row in rows_of(report)] == codes
