"""Git is started once for whatever a command reads of a commit; a question inside of another one has a process of its own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from buildguard.deploy.prepare import DeployRequest, prepare_deploy
from buildguard.diagnose.run import diagnose
from buildguard.stages.git_objects import commit_of
from buildguard.stages.git_snapshot import GitSnapshotter
from buildguard.system import git
from buildguard.system.git_directory import GitDir

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Project

_FILES = {
    "Dockerfile": "FROM python:3.11-slim\nCOPY app/ app/\nCMD python -m app.a\n",
    "app/a.py": 'row = {}\nprint(f"{row["id"]}")\n',
    "app/b.py": "x = 1\n",
    "buildguard.toml": '[cloud]\nproject = "acme"\n[deploy]\nservice = "web"\nimage = "eu.pkg.dev/acme/web"\n',
}
_LOG = b"""\
Traceback (most recent call last):
  File "/app/a.py", line 2
    print(f"{row["id"]}")
                  ^^
SyntaxError: f-string: unmatched '['
"""


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each process that was started to read objects."""
    started: list[str] = []
    start = GitDir.start

    def noted(self: GitDir, *words: str) -> subprocess.Popen[bytes]:
        if words[0] == "cat-file":
            started.append(words[0])
        return start(self, *words)

    monkeypatch.setattr(GitDir, "start", noted)
    return started


def _stage(made: Project) -> GitSnapshotter:
    repository = git.repository_of(made.path)
    assert repository is not None
    return GitSnapshotter(commit_of(repository, "HEAD"))


def test_a_snapshot(repository: Callable[..., Project], readers: list[str]) -> None:
    assert len(_stage(repository(_FILES)).snapshot().manifest.entries) == len(_FILES) + 1
    assert len(readers) == 1


def test_a_plan_with_its_archive(repository: Callable[..., Project], readers: list[str], tmp_path: Path) -> None:
    made = repository(_FILES)

    prepared = prepare_deploy(DeployRequest(cwd=made.path), tmp_path / "sent.tgz")

    assert prepared.plan.source.commit == made.git("rev-parse", "HEAD").strip()
    assert len(readers) <= 2


def test_a_diagnosis(repository: Callable[..., Project], readers: list[str]) -> None:
    assert diagnose(repository(_FILES).path, _LOG).cause is not None
    assert len(readers) <= 3


def test_readers_inside_of_readers_end_with_the_outer_ones(
    repository: Callable[..., Project], readers: list[str]
) -> None:
    stage = _stage(repository(_FILES)).stage

    with stage.keeping_readers():
        with stage.keeping_readers():
            entries = list(stage.entries())
        contents = dict(stage.contents(entries))

    assert b"x = 1\n" in contents.values()
    assert stage.time() > 0
    assert len(readers) == 2  # the last question came outside
