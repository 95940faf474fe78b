"""What the ledger of this machine says of the deploys of a repository."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from buildguard.errors import UnprovenError
from buildguard.project import ledger as ledgers
from buildguard.project.ledger import LedgerLine
from buildguard.system import git


def ledger_path(repository: git.Repository) -> Path:
    """Where a repository's ledger lies: in the git folder that all its worktrees share."""
    return git.git_folder(repository, "objects").parent / ledgers.NAME


class DeployHistory(NamedTuple):
    """What `history` returns: runs, the oldest first; how many files changed since the run before (-1: nobody can tell)."""

    runs: tuple[tuple[LedgerLine, ...], ...]
    changed: tuple[int, ...]
    notes: tuple[str, ...]


def local_history(cwd: Path) -> DeployHistory | None:
    """What this machine's own ledger says; None where no deploy was ever made here."""
    repository = git.repository_of(cwd)
    if repository is None:
        return None
    lines, _broken = ledgers.read(ledger_path(repository))
    return attempts_of(repository, lines, []) if lines else None


def attempts_of(repository: git.Repository, lines: list[LedgerLine], notes: list[str]) -> DeployHistory:
    """Lines of the ledger as runs, with how many files changed between each two."""
    runs = ledgers.group_runs(ledgers.merge_lines(lines))
    commits = [run[0].commit for run in runs]
    changed = [_count_changed(repository, *pair) for pair in pairwise(["", *commits])]
    return DeployHistory(tuple(map(tuple, runs)), tuple(changed), tuple(notes))


def _count_changed(repository: git.Repository, before: str, after: str) -> int:
    """How many files differ between two commits; -1 where one of them is not here."""
    if before == after:
        return 0
    try:
        return repository.number_changed(before, after) if before else -1
    except UnprovenError:
        return -1
