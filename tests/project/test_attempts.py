"""The history of deploys in the ledger of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from buildguard.project import attempts
from buildguard.project.ledger import LedgerLine
from buildguard.system import git

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project


def _line(run: str, commit: str, at: str) -> LedgerLine:
    return LedgerLine(run, 1, at, "web", commit, "local", "end", "ok", 0.5, {})


def test_the_number_of_changed_files_is_none_where_a_commit_is_missing(repository: Callable[..., Project]) -> None:
    repo = repository({"a.py": "x = 1\n"})
    first = repo.git("rev-parse", "HEAD").strip()
    second = repo.commit({"a.py": "x = 2\n", "b.py": "y = 1\n"})
    opened = git.repository_of(repo.path)
    assert opened is not None
    commits = [first, second, second, "0" * 40, first]
    lines = [_line(f"run-{at}", commit, f"2026-01-0{at + 1}T00:00:00Z") for at, commit in enumerate(commits)]

    history = attempts.attempts_of(opened, lines, ["a note"])

    assert [run[0].commit for run in history.runs] == commits
    assert history.changed == (None, 2, 0, None, None)
    assert history.notes == ("a note",)


def test_a_repository_without_a_ledger_has_no_history(repository: Callable[..., Project]) -> None:
    repo = repository({"a.py": "x = 1\n"})

    assert attempts.local_history(repo.path) is None
    assert attempts.local_history(repo.path.parent) is None


def test_worktrees_share_one_ledger(repository: Callable[..., Project]) -> None:
    repo = repository({"a.py": "x = 1\n"})
    repo.git("worktree", "add", "--quiet", "../other")
    opened = [git.repository_of(repo.path), git.repository_of(repo.path.parent / "other")]

    assert None not in opened
    paths = {attempts.ledger_path(each).resolve() for each in opened if each is not None}
    assert paths == {(repo.path / ".git/buildguard/ledger.jsonl").resolve()}
