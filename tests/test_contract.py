"""The command line as other programs see it: exit codes, flags and JSON of thirty recorded runs.

`python -m tests.test_contract` records them again; read the diff before you keep it. Prose is masked: sentences may
change, what a program reads may not.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from buildguard.cli.commands import cli as root_command
from tests.conftest import REPOSITORY, Project, interpreter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_RECORDED = REPOSITORY / "tests/contract.json"
_PROSE = frozenset(
    {"message", "hint", "reason", "evidence", "sentence", "remedies", "notes", "will", "quote", "interpreter"}
)
_NOISE = frozenset({"seconds", "cached", "buildguard"})
_OUTAGE = 'def text(row):\n    return f"{row["name"]}: {row["size"]}"\n'
_LOG = """Traceback (most recent call last):
  File "/app/app/report.py", line 2
    return f"{row["name"]}: {row["size"]}"
                   ^^^^
SyntaxError: f-string: unmatched '['
"""
_FILES: Mapping[str, str | bytes] = {
    "Dockerfile": "FROM python:3.11-slim\nWORKDIR /app\nCOPY . /app\nCMD python -m app.main\n",
    "app/__init__.py": "",
    "app/main.py": "from app.report import text\n\nprint(text({}))\n",
    "app/report.py": _OUTAGE,
    "app/latin.py": b"name = 'caf\xe9'\n",
    "app/old.py": "print 'hello'\n",
    "app/fine.py": 'print(f"{1 + 1}")\n',
    "scripts/run.sh": "#!/bin/sh\nexec python -m app.main\n",
    "cloudbuild.yaml": "steps:\n- name: gcr.io/cloud-builders/docker\n  args: [build, -t, gcr.io/$PROJECT_ID/web, .]\nimages: [gcr.io/$PROJECT_ID/web]\n",
    "build.log": _LOG,
    "service.log": "INFO:     Started server process [1]\nKeyError: 'DATABASE_URL'\n",
    "empty.log": "",
    ".gitattributes": "* -text\n",
}
_INTERPRETER = ("--engine", "interpreter", "--no-cache")
_RUNS: Mapping[str, tuple[str, ...]] = {
    "check": ("check", *_INTERPRETER),
    "check-a-file": ("check", *_INTERPRETER, "app/fine.py"),
    "check-a-folder": ("check", *_INTERPRETER, "app"),
    "check-newer-target": ("check", *_INTERPRETER, "--target", "3.12"),
    "check-two-targets": ("check", *_INTERPRETER, "--target", "3.11", "--target", "3.12"),
    "check-predicted": ("check", "--engine", "static", "--no-cache", "--proof", "predicted"),
    "check-predicted-unproven": ("check", "--engine", "static", "--no-cache"),
    "check-index": ("check", "index:", *_INTERPRETER),
    "check-commit": ("check", "commit:HEAD", *_INTERPRETER),
    "check-staged-nothing": ("check", "--staged", *_INTERPRETER),
    "check-select": ("check", *_INTERPRETER, "--select", "BG102"),
    "check-ignore": ("check", *_INTERPRETER, "--ignore", "BG201"),
    "check-ignore-compiler": ("check", *_INTERPRETER, "--ignore", "BG101"),
    "check-diff-base": ("check", *_INTERPRETER, "--diff-base", "HEAD"),
    "check-strict": ("check", *_INTERPRETER, "--strict", "app/fine.py"),
    "check-no-target": ("check", *_INTERPRETER, "--target", "x"),
    "check-missing-path": ("check", *_INTERPRETER, "nowhere.py"),
    "check-no-engine": ("check", "--engine", "none"),
    "fix-check": ("fix", "--check"),
    "manifest": ("manifest", "commit:HEAD"),
    "manifest-folder": ("manifest", "dir:app"),
    "diff-same": ("diff", "commit:HEAD", "index:", "dir:."),
    "diff-missing-revision": ("diff", "commit:nowhere", "dir:."),
    "diff-one-stage": ("diff", "commit:HEAD"),
    "diagnose": ("diagnose", "--log", "build.log"),
    "diagnose-variable": ("diagnose", "--log", "service.log"),
    "diagnose-empty": ("diagnose", "--log", "empty.log"),
    "deploy-plan": ("deploy", "--dry-run", "--project", "acme"),
    "explain": ("explain", "BG201"),
    "explain-unknown": ("explain", "BG999"),
    "history": ("history",),
}
_TEXT_ONLY = frozenset({"fix-check", "explain", "explain-unknown"})


def masked(value: Any, key: str = "") -> Any:
    """A JSON value without its prose and without what differs from run to run."""
    if key in _NOISE:
        return None
    if key in _PROSE and value:
        return "…"
    if isinstance(value, dict):
        return {name: masked(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, key) for inner in value]
    return re.sub(r"\b[0-9a-f]{40,64}\b", "<id>", value) if isinstance(value, str) else value


def flags() -> dict[str, list[str]]:
    """The options of every command."""
    context = click.Context(root_command, info_name="buildguard")
    commands = {name: root_command.get_command(context, name) for name in root_command.list_commands(context)}
    return {
        name: sorted(option for parameter in command.params for option in parameter.opts)
        for name, command in commands.items()
        if command is not None
    }


def _run(project: Project, name: str) -> dict[str, Any]:
    arguments = _RUNS[name]
    result = project.run(*arguments, *(() if name in _TEXT_ONLY else ("--format", "json")))
    answer = masked(json.loads(result.out)) if result.out.startswith("{") else None
    return {"command": list(arguments), "exit": result.code, "answer": answer, "stdout": bool(result.out)}


@pytest.fixture
def outage(repository: Any) -> Project:
    for version in ("3.11", "3.12"):
        interpreter(version)
    project: Project = repository(_FILES)
    return project


@pytest.mark.parametrize("name", _RUNS)
def test_a_run_answers_as_recorded(outage: Project, name: str) -> None:
    assert _run(outage, name) == json.loads(_RECORDED.read_text("utf-8"))["runs"][name]


def test_the_flags_are_those_recorded() -> None:
    recorded = json.loads(_RECORDED.read_text("utf-8"))["flags"]
    present = flags()

    for command, options in recorded.items():
        assert set(options) <= set(present.get(command, ())), command


def test_every_recorded_run_is_run() -> None:
    assert set(json.loads(_RECORDED.read_text("utf-8"))["runs"]) == set(_RUNS)


def _recorded() -> Iterator[tuple[str, dict[str, Any]]]:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Test")
            patch.setenv(f"GIT_{who}_EMAIL", "test@example.invalid")
        patch.setenv("BUILDGUARD_CACHE_DIR", f"{folder}/cache")
        patch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
        project = Project(Path(folder) / "project")
        project.path.mkdir()
        project.commit({"README": "", **_FILES})
        for name in _RUNS:
            yield name, _run(project, name)


if __name__ == "__main__":
    kept = {"flags": flags(), "runs": dict(_recorded())}
    _RECORDED.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf-8")
    subprocess.run(["git", "diff", "--stat", str(_RECORDED)], check=False)
    sys.exit(0)
