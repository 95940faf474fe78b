"""Hooks: the real pre-commit program, and plain git with the hooks that `init` writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import BROKEN_BEFORE_312, REPOSITORY, Project

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DOCKERFILE = {"Dockerfile": "FROM python:3.11-slim\n"}
_BIN = Path(sys.executable).parent


def _commit(made: Project, *args: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, **made.env, "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        ["git", *(args or ("commit", "--message", "x"))], cwd=made.path, env=env, capture_output=True, check=False
    )


@pytest.fixture
def hooked(repository: Callable[..., Project]) -> Project:
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n", "b.py": "y = 1\n"})
    assert made.run("init").code == 0
    made.git("add", "--all")
    made.git("commit", "--quiet", "--no-verify", "--message", "x")
    return made


def test_a_bad_commit_is_stopped_and_a_good_one_goes_through(hooked: Project) -> None:
    hooked.write({"a.py": BROKEN_BEFORE_312})
    hooked.git("add", "a.py")

    stopped = _commit(hooked)
    assert stopped.returncode == 1
    assert b"BG101" in stopped.stdout + stopped.stderr

    hooked.write({"a.py": "x = 2\n"})
    hooked.git("add", "a.py")
    assert _commit(hooked).returncode == 0


def test_documents_only(hooked: Project) -> None:
    hooked.write({"docs.md": "words\n", "a.py": BROKEN_BEFORE_312})
    hooked.git("add", "docs.md")

    assert _commit(hooked).returncode == 0


def test_commit_of_one_file_and_of_all(hooked: Project) -> None:
    """`git commit FILE` and `-a` hand the hook an index of their own, in GIT_INDEX_FILE."""
    hooked.write({"a.py": "x = 2\n", "b.py": BROKEN_BEFORE_312})
    hooked.git("add", "b.py")

    assert _commit(hooked, "commit", "--message", "x", "a.py").returncode == 0
    assert _commit(hooked, "commit", "--all", "--message", "x").returncode == 1
    assert _commit(hooked, "commit", "--message", "x", "b.py").returncode == 1
    hooked.git("reset", "--quiet")
    assert _commit(hooked, "commit", "--all", "--message", "x").returncode == 1


def test_the_dockerfile_of_the_index_decides(hooked: Project) -> None:
    hooked.write({"a.py": BROKEN_BEFORE_312, "Dockerfile": "FROM python:3.12\n"})
    hooked.git("add", "--all")
    hooked.write({"Dockerfile": "FROM python:3.11\n"})
    assert _commit(hooked).returncode == 0

    hooked.git("add", "--all")
    assert _commit(hooked).returncode == 1


def test_from_a_folder_below_and_a_linked_worktree(hooked: Project, tmp_path: Path) -> None:
    hooked.git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    linked = Project(tmp_path / "linked")
    linked.write({"pkg/c.py": BROKEN_BEFORE_312})
    linked.git("add", "--all")
    below = Project(linked.path / "pkg")

    assert _commit(below).returncode == 1


def test_a_push_is_judged_commit_by_commit(hooked: Project, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", "--bare", tmp_path / "remote"], check=True)
    hooked.git("remote", "add", "origin", str(tmp_path / "remote"))
    assert _commit(hooked, "push", "origin", "main").returncode == 0

    hooked.git("checkout", "--quiet", "-b", "bad")
    hooked.write({"a.py": BROKEN_BEFORE_312})
    hooked.git("commit", "--quiet", "--no-verify", "--all", "--message", "bad")
    hooked.write({"a.py": "fine in the worktree\n"})
    stopped = _commit(hooked, "push", "origin", "bad", "main")
    assert stopped.returncode == 1
    assert b"refs/heads/bad" in stopped.stderr
    assert b"BG101" in stopped.stdout + stopped.stderr

    hooked.git("tag", "--annotate", "--message", "x", "release", "main")
    assert _commit(hooked, "push", "origin", "release").returncode == 0
    assert _commit(hooked, "push", "origin", "--delete", "release").returncode == 0


def test_without_buildguard_the_hook_says_so(hooked: Project) -> None:
    hooked.env["PATH"] = "/usr/bin:/bin"
    hooked.write({"a.py": "x = 3\n"})
    done = subprocess.run(
        ["git", "commit", "--all", "--message", "x"],
        cwd=hooked.path,
        env={**os.environ, **hooked.env},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 1
    assert b"buildguard is not on PATH" in done.stderr


# ------------------------------------------------------------------------------------------ the pre-commit program


_CONFIG = "repos:\n- repo: {repo}\n  rev: {rev}\n  hooks:\n  - id: buildguard\n"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path]:
    """This checkout as a repository that pre-commit can clone, its revision, and pre-commit's own store."""
    copy = tmp_path_factory.mktemp("published")
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")[:-1]
    made = Project(copy)
    for name in map(os.fsdecode, names):
        if (REPOSITORY / name).is_file():
            made.write({name: (REPOSITORY / name).read_bytes()})
            (copy / name).chmod((REPOSITORY / name).stat().st_mode & 0o777)
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    made.git("init", "--quiet")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "x", env=identity)
    return copy, made.git("rev-parse", "HEAD").strip(), tmp_path_factory.mktemp("store")


def run_pre_commit(made: Project, store: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "PRE_COMMIT_HOME": str(store), "PATH": f"{_BIN}{os.pathsep}{os.environ['PATH']}"}
    env["GIT_CONFIG_GLOBAL"] = os.devnull
    command: Sequence[str] = [sys.executable, "-m", "pre_commit", *args]
    return subprocess.run(command, cwd=made.path, env=env, capture_output=True, check=False, timeout=600)


def test_with_the_real_pre_commit(repository: Callable[..., Project], published: tuple[Path, str, Path]) -> None:
    copy, rev, store = published
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n", "old.py": BROKEN_BEFORE_312})
    made.commit({".pre-commit-config.yaml": _CONFIG.format(repo=copy, rev=rev)})

    everything = run_pre_commit(made, store, "run", "--all-files")
    assert everything.returncode == 1, everything.stdout
    assert b"old.py" in everything.stdout
    assert b"BG101" in everything.stdout

    made.write({"docs.md": "words\n"})
    made.git("add", "docs.md")
    documents = run_pre_commit(made, store, "run")
    assert documents.returncode == 0, documents.stdout
    assert b"Passed" in documents.stdout

    made.write({"a.py": "x = 2\n"})
    made.git("add", "a.py")
    good = run_pre_commit(made, store, "run")
    assert good.returncode == 0, good.stdout
    assert b"Passed" in good.stdout

    made.write({"a.py": "x = 3\n", "Dockerfile": "FROM python:3.10-slim\n"})
    made.git("add", "Dockerfile")
    moved = run_pre_commit(made, store, "run")
    assert moved.returncode == 1
    assert b"old.py" in moved.stdout

    made.git("reset", "--quiet", "--hard")
    _breaks_what_it_does_not_change(made, store)

    installed = run_pre_commit(made, store, "install")
    assert installed.returncode == 0
    made.env["PRE_COMMIT_HOME"] = str(store)  # else the hook would set up its environment once more
    made.write({"a.py": BROKEN_BEFORE_312, "old.py": "x = 4\n"})
    assert _commit(made, "commit", "--message", "x", "old.py").returncode == 0
    assert _commit(made, "commit", "--all", "--message", "x").returncode == 1


def _breaks_what_it_does_not_change(made: Project, store: Path) -> None:
    """Two commits without a file that looks like Python: one only deletes, one changes what the image starts."""
    dockerfile = 'FROM python:3.11-slim\nCOPY . .\nENTRYPOINT ["./run.sh"]\n'
    starts = "#!/bin/sh\nexec python main.py\n"
    made.write({"Dockerfile": dockerfile, "run.sh": starts, "main.py": "import app.used\n", "old.py": ""})
    made.write({"app/__init__.py": "", "app/used.py": ""})
    (made.path / "run.sh").chmod(0o755)
    made.commit()

    made.git("rm", "--quiet", "app/used.py")
    deleted = run_pre_commit(made, store, "run")
    made.git("reset", "--quiet", "--hard")
    made.write({"run.sh": starts.replace("main", "gone")})
    made.git("add", "run.sh")
    started = run_pre_commit(made, store, "run")
    made.git("reset", "--quiet", "--hard")

    assert (deleted.returncode, b"main.py" in deleted.stdout, b"BG604" in deleted.stdout) == (1, True, True)
    assert (started.returncode, b"run.sh" in started.stdout, b"BG701" in started.stdout) == (1, True, True)


def test_the_fixer_with_the_real_pre_commit(
    repository: Callable[..., Project], published: tuple[Path, str, Path]
) -> None:
    copy, rev, store = published
    made = repository({**_DOCKERFILE, "a.py": "x = 1\n"})
    config = _CONFIG.format(repo=copy, rev=rev).replace(
        "- id: buildguard\n", "- id: buildguard-fix\n  - id: buildguard\n"
    )
    made.commit({".pre-commit-config.yaml": config})
    made.write({"a.py": "d = {'k': 1}\ns = f'{d['k']}'\n"})
    made.git("add", "--all")

    first = run_pre_commit(made, store, "run")
    made.git("add", "--all")
    second = run_pre_commit(made, store, "run")

    assert first.returncode == 1
    assert b"files were modified by this hook" in first.stdout
    assert (made.path / "a.py").read_text() == "d = {'k': 1}\ns = f'{d[\"k\"]}'\n"
    assert second.returncode == 0, second.stdout
