"""No FIFO, socket or device makes git, and us with it, wait without end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.compare import manifest
from buildguard.errors import UnprovenError
from buildguard.system import git as gits
from buildguard.system import git_wait
from tests.conftest import Project
from tests.stages.deep import flatten, nest

pytestmark = pytest.mark.interpreters

_SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def repo(repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(git_wait, "PATIENCE", 0.3)
    return repository({"Dockerfile": "FROM python:3.11\n", "a.py": "x = 1\n", "sub/b.py": "y = 1\n"})


def _reason(repo: Project, stage: str) -> str:
    """Why a manifest of a stage could not be made."""
    try:
        answer = manifest.manifest(repo.path, stage)
    except UnprovenError as error:
        return error.what
    assert answer.exit_code == 3
    return answer.snapshot.unproven[0].reason


@pytest.mark.parametrize("name", ["sub/.gitignore", ".gitignore", ".git/index", ".git/HEAD", ".git/config"])
def test_a_fifo_that_git_reads_is_named(repo: Project, name: str) -> None:
    (repo.path / name).unlink(missing_ok=True)
    os.mkfifo(repo.path / name)

    assert f"git waits for {name}, which is no file" in _reason(repo, "dir:.")


@pytest.mark.parametrize("name", ["info/exclude", "info/attributes"])
def test_a_fifo_in_the_git_folder_is_refused_before_git_opens_it(repo: Project, name: str) -> None:
    (repo.path / ".git" / name).unlink(missing_ok=True)
    os.mkfifo(repo.path / ".git" / name)

    assert "a FIFO, a socket or a device" in _reason(repo, "dir:.")


@pytest.mark.parametrize("key", ["core.excludesFile", "core.attributesFile"])
@pytest.mark.parametrize("kind", ["absolute", "home", "device"])
def test_a_setting_that_leads_to_no_file_is_refused(
    repo: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, kind: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    repo.git("config", key, {"absolute": str(tmp_path / "pipe"), "home": "~/pipe", "device": "/dev/zero"}[kind])

    assert f"{key.lower()} (" in _reason(repo, "dir:.")


def test_the_null_device_is_a_setting_that_people_have(repo: Project) -> None:
    repo.git("config", "core.excludesFile", os.devnull)

    assert manifest.manifest(repo.path, "dir:.").exit_code == 0


def test_an_object_that_is_a_fifo_is_no_object(repo: Project) -> None:
    oid = repo.git("rev-parse", "HEAD:a.py").strip()
    (repo.path / ".git/objects" / oid[:2] / oid[2:]).unlink()
    os.mkfifo(repo.path / ".git/objects" / oid[:2] / oid[2:])

    assert "which is no file" in _reason(repo, "commit:HEAD")


def test_attributes_that_are_a_fifo_end_what_asks_for_them(repo: Project) -> None:
    os.mkfifo(repo.path / "sub/.gitattributes")
    repo.write({"sub/b.py": "y = 2\n"})
    opened = gits.repository_of(repo.path)
    assert opened is not None

    with pytest.raises(UnprovenError, match=r"sub/\.gitattributes"):
        opened.attributes([b"sub/b.py"], ["filter"])
    with pytest.raises(UnprovenError, match=r"sub/\.gitattributes"):
        opened.filtered([b"sub/b.py"])


@pytest.mark.interpreters
def test_git_that_never_ends_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_wait, "PATIENCE", 0.1)
    monkeypatch.setattr(git_wait, "DEADLINE", 0.2)

    with pytest.raises(UnprovenError, match="did not end within"):
        git_wait.run(_SLEEP, cwd=tmp_path, env=dict(os.environ))
    with subprocess.Popen(_SLEEP, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        with git_wait.TimedPipe(child.stdout.fileno(), tmp_path) as pipe, pytest.raises(UnprovenError, match="nothing"):
            pipe.read(1)
        child.kill()


@pytest.mark.interpreters
def test_git_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnprovenError, match="could not be started"):
        git_wait.run([str(tmp_path / "git")], cwd=tmp_path, env={})


@pytest.mark.parametrize("where", ["elsewhere", "missing"])
def test_a_working_tree_that_is_elsewhere_is_an_error_with_its_fix(repo: Project, tmp_path: Path, where: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    repo.git("config", "core.worktree", str(tmp_path / where))

    with pytest.raises(UnprovenError, match=r"core\.worktree") as raised:
        gits.repository_of(repo.path)
    assert "git config --unset core.worktree" in raised.value.hint
    for command in (("manifest",), ("diff", "commit:HEAD", "dir:."), ("doctor",)):
        assert repo.run(*command).code == 3


def test_variables_that_name_another_repository_are_named(
    repo: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    with pytest.raises(UnprovenError, match=r"\(GIT_WORK_TREE\), not this folder") as raised:
        gits.repository_of(repo.path)
    assert raised.value.hint == "cd there, or: unset GIT_WORK_TREE"
    monkeypatch.delenv("GIT_WORK_TREE")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other"))

    assert gits.repository_of(repo.path) is None
    assert gits.missing_repository("'index:' needs a git repository").hint == "unset GIT_DIR"


def test_folders_deeper_than_python_calls_functions(tmp_path: Path) -> None:
    nest(tmp_path, 1200)
    os.mkfifo(tmp_path / "d" / "d" / ".gitignore")
    try:
        with pytest.raises(UnprovenError, match=r"git waits for d/d/\.gitignore"):
            git_wait.refuse_pipe(tmp_path)
    finally:
        (tmp_path / "d" / "d" / ".gitignore").unlink()
        flatten(tmp_path, 1200)
