"""Which files of a project may create what a COPY names: those that run commands beside the build, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.startup.build_scripts import runs_commands
from tests.startup.projects import report_of, rows_of

_DOCKERFILE = (
    'FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCOPY model.bin ./\nCMD ["gunicorn", "-b", ":8080", "main:app"]\n'
)


def _is_reported(tmp_path: Path, name: str, text: str) -> bool:
    rows = rows_of(report_of(tmp_path, {"Dockerfile": _DOCKERFILE, name: text}))
    return ("BG703", "Dockerfile", 4) in rows


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".codecov.yaml", "ignore:\n  - model.bin\n"),
        (
            "docker-compose.yml",
            "services:\n  web:\n    image: a\n    command: ls\n    volumes:\n      - ./model.bin:/srv/model.bin\n",
        ),
        ("compose.override.yaml", "services:\n  web:\n    image: a\n    volumes: [./model.bin:/srv/model.bin]\n"),
        ("ansible/site.yml", "- name: a\n  hosts: all\n  tasks:\n    - copy: src=model.bin dest=/srv\n"),
        ("site.yml", "- hosts: all\n  tasks:\n    - copy: src=model.bin dest=/srv\n"),
        ("api/v1.yaml", "openapi: 3.0.0\npaths:\n  /model.bin: {get: {}}\n"),
        ("api/openapi.yaml", "paths:\n  /model.bin: {get: {}}\n"),
        ("deployment.yaml", "kind: Deployment\nspec:\n  command: [cat, model.bin]\n"),
        (".github/dependabot.yml", "updates: [{directory: model.bin}]\n"),
        (".pre-commit-config.yaml", "repos:\n- hooks:\n  - args: [model.bin]\n"),
        ("mkdocs.yml", "nav: [model.bin]\n"),
        ("conf/app.yaml", "model: model.bin\n"),
        ("start.sh", "pip install --no-cache-dir -r model.bin\n"),
    ],
)
def test_what_lists_a_file_does_not_create_it(tmp_path: Path, name: str, text: str) -> None:
    assert _is_reported(tmp_path, name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".github/workflows/ci.yml", "jobs:\n  a:\n    steps:\n      - run: cp a model.bin\n"),
        (".gitlab-ci.yml", "build:\n  script:\n    - cp a model.bin\n"),
        (
            "ansible/build.yml",
            "- hosts: localhost\n  tasks:\n    - template: src=a dest=model.bin\n    - docker_image: name=a source=build\n",
        ),
        ("azure-pipelines.yml", "steps:\n- script: cp a model.bin\n"),
        ("Taskfile.yml", "tasks:\n  a:\n    cmds: [cp a model.bin]\n"),
        (
            "skaffold.yaml",
            "kind: Config\nbuild:\n  artifacts:\n  - hooks:\n      before:\n      - command: [cp, a, model.bin]\n",
        ),
        ("Makefile", "a:\n\tcp a model.bin\n"),
        ("scripts/build.sh", "cp a model.bin\n"),
        ("Jenkinsfile", "sh 'cp a model.bin'\n"),
        ("package.json", '{"scripts": {"build": "cp a model.bin"}}\n'),
    ],
)
def test_what_runs_commands_may_create_it(tmp_path: Path, name: str, text: str) -> None:
    assert not _is_reported(tmp_path, name, text)


def test_data_runs_no_commands() -> None:
    assert runs_commands(b"steps:\n- name: a\n")
    assert not runs_commands(b"names: [run, steps]\n")
    assert not runs_commands(b"kind: Job\nspec:\n  command: [a]\n")


def test_a_script_that_names_the_context_creates_nothing_in_it(tmp_path: Path) -> None:
    files = {
        "backend/Dockerfile": 'FROM python:3.11-slim\nWORKDIR /srv\nCOPY backend/model.bin .\nCOPY . .\nCMD ["python", "main.py"]\n',
        "backend/main.py": "",
        "compose.yaml": "services:\n  web:\n    build: ./backend\n",
        "migrate.sh": "cd backend && alembic upgrade head\n",
    }

    assert ("BG703", "backend/Dockerfile", 3) in rows_of(report_of(tmp_path, files))
