"""Snapshots of a commit and of the index: raw blobs, what Linux will trip over, and what is not there."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from buildguard.stages.git_objects import GitStage, commit_of, index_of
from buildguard.stages.git_snapshot import GitSnapshotter
from buildguard.stages.snapshot import StageKind
from buildguard.system import git, git_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 7\n"


def _opened(repo: Project) -> git.Repository:
    repository = git.repository_of(repo.path)
    assert repository is not None
    return repository


def _commit(repo: Project, prefix: bytes = b"") -> GitSnapshotter:
    return GitSnapshotter(commit_of(_opened(repo), "HEAD"), prefix)


def test_a_commit_and_the_index_are_told_apart(repository: Callable[..., Project]) -> None:
    repo = repository({"a.py": "x = 1\n"})
    repo.write({"a.py": "x = 2\n", "new.py": "x = 3\n"})
    repo.git("add", "a.py", "new.py")

    commit = _commit(repo).snapshot()
    index = GitSnapshotter(index_of(_opened(repo))).snapshot()

    assert (commit.kind, index.kind) == (StageKind.COMMIT, StageKind.INDEX)
    assert commit.kind.in_git
    assert (commit.commit, index.commit) == (repo.git("rev-parse", "HEAD").strip(), "")
    assert set(commit.manifest.entries) == {b"README", b"a.py"}
    assert set(index.manifest.entries) == {b"README", b"a.py", b"new.py"}
    assert commit.manifest.entries[b"a.py"].blob == repo.git("rev-parse", "HEAD:a.py").strip()


def test_marks_are_for_what_surprises_on_linux(repository: Callable[..., Project]) -> None:
    repo = repository(
        {
            "run.sh": "echo x\r\n",
            "tool": "#!/usr/bin/env python3\r\n",
            "a.py": "x = 1\r\n",
            "large.bin": _POINTER,
            "good.sh": "echo x\n",
        }
    )

    assert _commit(repo).snapshot().marks == {b"run.sh": "crlf", b"tool": "crlf", b"large.bin": "lfs"}


def test_a_large_blob_is_compared_by_its_digest(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_reader, "LARGEST", 1000)
    repo = repository({"a.py": "x = 1\n", "model.bin": "x" * 5000})

    entry = _commit(repo).snapshot().manifest.entries[b"model.bin"]

    assert (entry.size, entry.sha256) == (5000, hashlib.sha256(b"x" * 5000).hexdigest())
    assert entry.blob == repo.git("rev-parse", "HEAD:model.bin").strip()
    same = repo.run("diff", "commit:HEAD", "dir:.", "--format", "json").json
    repo.write({"model.bin": "x" * 4999 + "y"})
    other = repo.run("diff", "commit:HEAD", "dir:.", "--format", "json").json
    assert [same["hops"][0]["differences"], [one["path"] for one in other["hops"][0]["differences"]]] == [
        [],
        ["model.bin"],
    ]


def test_only_what_is_below_the_prefix_counts(repository: Callable[..., Project]) -> None:
    repo = repository({"a.py": "x = 1\n", "api/b.py": "x = 2\n", "api2/c.py": "x = 3\n"})
    stage = _commit(repo, b"api/")

    assert list(stage.snapshot().manifest.entries) == [b"b.py"]
    assert stage.originals([b"b.py"]) == {b"b.py": b"x = 2\n"}


def test_a_path_in_conflict_is_unproven_in_the_index(repository: Callable[..., Project]) -> None:
    repo = repository({"a.py": "x = 1\n"})
    blob = repo.git("rev-parse", "HEAD:a.py").strip()
    repo.git("rm", "--quiet", "--cached", "a.py")
    repo.write({"rows": "".join(f"100644 {blob} {number}\ta.py\n" for number in (1, 2, 3))})
    with (repo.path / "rows").open("rb") as rows:
        subprocess.run(["git", "update-index", "--index-info"], cwd=repo.path, stdin=rows, check=True)

    index = GitSnapshotter(index_of(_opened(repo))).snapshot()

    assert [(row.path, row.reason) for row in index.unproven] == [("a.py", "it is in conflict in index:")]
    assert not _commit(repo).snapshot().unproven


def test_a_submodule_whose_commit_is_missing_is_closed(repository: Callable[..., Project]) -> None:
    repo = repository({"a.py": "x = 1\n"})
    oid = "12" * 20
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{oid},lib")
    repo.git("commit", "--quiet", "--message", "a submodule")
    stage = _commit(repo)

    snapshot = stage.snapshot()

    assert snapshot.closed == (b"lib/",)
    assert snapshot.notes == ("lib/: a submodule whose files are not here",)
    assert snapshot.manifest.entries[b"lib"].text == oid.encode()
    assert stage.originals([b"lib"]) == {b"lib": oid.encode()}


def test_an_object_that_is_missing_is_unproven_and_a_damaged_one_a_finding(repository: Callable[..., Project]) -> None:
    repo = repository({"gone.py": "x = 1\n", "bad.py": "x = 2\n", "pkg/good.py": "x = 3\n"})
    gone, bad, good = (
        repo.path / ".git/objects" / oid[:2] / oid[2:]
        for oid in repo.git("rev-parse", "HEAD:gone.py", "HEAD:bad.py", "HEAD:pkg/good.py").split()
    )
    gone.unlink()
    bad.chmod(0o644)
    shutil.copyfile(good, bad)

    snapshot = _commit(repo).snapshot()

    assert [row.path for row in snapshot.unproven] == ["gone.py"]
    assert list(snapshot.damaged) == [b"bad.py"]
    assert set(snapshot.manifest.entries) == {b"README", b"pkg/good.py"}


def test_damage_above_the_prefix_is_damage_of_all_of_it(repository: Callable[..., Project]) -> None:
    repo = repository({"api/v1/a.py": "x = 1\n"})
    stage = GitStage(_opened(repo), "commit:HEAD", repo.git("rev-parse", "HEAD").strip())
    stage.damaged[b"api"] = "broken"
    stage.damaged[b"web"] = "broken"

    assert list(GitSnapshotter(stage, b"api/v1/").snapshot().damaged) == [b""]
