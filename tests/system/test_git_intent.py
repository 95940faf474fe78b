"""What `git add --intent-to-add` announced is in no commit, and in none of our listings of the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.system import git as gits
from buildguard.system.git_intent import find_intended
from tests.compare.damage import git, write

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interpreters


def _announced(folder: Path, object_format: str) -> gits.Repository:
    folder.mkdir()
    git(folder, "init", "--quiet", f"--object-format={object_format}")
    write(folder, {"empty.py": b"", "a.py": b"x = 1\n", "later.py": b"y = 1\n", "pkg/later.py": b""})
    git(folder, "add", "empty.py", "a.py")
    git(folder, "add", "--intent-to-add", "later.py", "pkg/later.py")
    opened = gits.repository_of(folder)
    assert opened is not None
    return opened


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_before_the_first_commit(tmp_path: Path, object_format: str) -> None:
    opened = _announced(tmp_path / "repo", object_format)

    assert find_intended(opened.folder, opened.head) == {b"later.py", b"pkg/later.py"}
    assert opened.index_columns().paths == [b"a.py", b"empty.py"]
    assert opened.staged_paths() == [b"a.py", b"empty.py"]


def test_a_file_of_the_commit_that_is_announced_again(tmp_path: Path) -> None:
    folder = _announced(tmp_path / "repo", "sha1").top
    git(folder, "commit", "--quiet", "-m", "one")
    git(folder, "rm", "--quiet", "--cached", "a.py")
    git(folder, "add", "--intent-to-add", "a.py")
    opened = gits.repository_of(folder)
    assert opened is not None

    assert opened.index_columns().paths == [b"empty.py"]
    assert opened.staged_paths() == [b"a.py"]  # it is deleted


def test_other_marks_of_an_index_hide_nothing(tmp_path: Path) -> None:
    folder = _announced(tmp_path / "repo", "sha1").top
    git(folder, "reset", "--quiet")
    git(folder, "add", ".")
    git(folder, "update-index", "--skip-worktree", "empty.py")
    git(folder, "update-index", "--index-version", "4")
    opened = gits.repository_of(folder)
    assert opened is not None

    assert find_intended(opened.folder, opened.head) == frozenset()
    assert len(opened.index_columns().paths) == 4
