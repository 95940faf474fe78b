"""The deploys of a repository that the ledger of this machine records."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.project import ledger as ledgers
from buildguard.project.ledger import LedgerLine
from buildguard.system import git


def ledger_path(repository: git.Repository) -> Path:
    """The file of a repository's ledger, in the git folder that all its worktrees share."""
    return git.git_folder(repository, "objects").parent / ledgers.NAME


class DeployHistory(NamedTuple):
    """Runs, the oldest first; the number of files that changed since the run before, None where it is unknown; notes."""

    runs: tuple[tuple[LedgerLine, ...], ...]
    changed: tuple[int | None, ...]
    notes: tuple[str, ...]


def local_history(cwd: Path) -> DeployHistory | None:
    """The history in this machine's own ledger; None where it is empty or missing."""
    repository = git.repository_of(cwd)
    if repository is None:
        return None
    lines, _broken = ledgers.read(ledger_path(repository))
    return attempts_of(repository, lines, []) if lines else None


def attempts_of(repository: git.Repository, lines: list[LedgerLine], notes: list[str]) -> DeployHistory:
    """Group lines of the ledger by run, with the number of files that changed between each two."""
    runs = ledgers.group_runs(ledgers.merge_lines(lines))
    commits = [run[0].commit for run in runs]
    changed = [_count_changed(repository, *pair) for pair in pairwise(["", *commits])]
    return DeployHistory(tuple(map(tuple, runs)), tuple(changed), tuple(notes))


def _count_changed(repository: git.Repository, before: str, after: str) -> int | None:
    """The number of files that differ between two commits; None where one of them is missing."""
    if before == after:
        return 0
    try:
        return repository.number_changed(before, after) if before else None
    except UnprovenError:
        return None
