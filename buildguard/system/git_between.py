"""What is between two commits: their subjects, and the paths that differ."""

from __future__ import annotations

import os

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.system.git import Repository

_MOST = 200  # commits and paths that are listed
_ID = 10


class CommitRange(NamedTuple):
    """Commits, the newest first (`id subject`), and paths; `more_paths` is how many beyond those. `gap` is why it is unknown."""

    commits: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    more_paths: int = 0
    gap: str = ""


def commits_between(repository: Repository, before: str, after: str) -> CommitRange:
    """What a commit has beyond another one, and how their files differ."""
    if not before or before == after:
        return CommitRange()
    try:
        subjects = repository.folder.ask(
            "log", "-z", "--no-show-signature", f"--max-count={_MOST}", "--format=%H %s", f"{before}..{after}", "--"
        )
        changed = repository.folder.ask("diff-tree", "-r", "-M", "--name-only", "-z", before, after)
    except UnprovenError as error:
        return CommitRange(gap=error.what)
    rows = [row.decode("utf-8", "replace").strip() for row in subjects.split(b"\0") if row.strip()]
    paths = [os.fsdecode(path) for path in changed.split(b"\0") if path]
    return CommitRange(
        tuple(f"{row[:_ID]} {row.partition(' ')[2]}" for row in rows), tuple(paths[:_MOST]), max(0, len(paths) - _MOST)
    )
