"""Source that is read from git's own objects: a commit, or the index. Nothing is checked out."""

from __future__ import annotations

import os
from itertools import groupby
from typing import TYPE_CHECKING

from buildguard import git
from buildguard.diagnostic import shown_path
from buildguard.stages import KINDS, Entry, Kind, Unreadable, behind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MISSING = "its object is missing from the repository"


class InGit:
    """Source that is read from git's own objects, nothing checked out; the index where no commit is given."""

    def __init__(self, repository: git.Repository, name: str, commit: str | None = None) -> None:
        self.root = repository.top
        self.repository = repository
        self.name = name
        self.commit = commit
        self._rows: list[git.Listed] | None = None
        self._entries: list[Entry] | None = None
        self._homes: dict[bytes, git.Repository] = {}
        self.closed: list[bytes] = []  # submodules whose commit is not here

    def entries(self) -> list[Entry]:
        """The rows of the index, or of the commit, submodules opened where their commit is here."""
        if self._entries is None:
            rows = [row for row in self.rows() if row.mode != git.SUBMODULE]
            self._entries = [Entry(row.path, KINDS.get(row.mode, Kind.FILE), row.oid) for row in rows]
        return self._entries

    def rows(self) -> list[git.Listed]:
        """The same as git has them, sorted, with a row for each submodule besides those of its files."""
        if self._rows is None:
            listed = self.repository.index_rows() if self.commit is None else self.repository.tree_rows(self.commit)
            self._rows = sorted(self._of(listed, b""))
        return self._rows

    def blobs(self, rows: Iterable[git.Listed]) -> Iterator[tuple[git.Listed, bytes | None]]:
        """The blob of each row, in order; None where it is missing. One `git cat-file` for each repository in turn."""
        for home, group in groupby(rows, key=lambda row: self._home(row.path)):
            batch = list(group)
            yield from zip(batch, home.blobs([row.oid for row in batch]), strict=True)

    def notes(self) -> list[str]:
        """Submodules whose commit is not here."""
        self.rows()
        return [f"{shown_path(path)}: a submodule that is not checked out" for path in self.closed]

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | Unreadable]]:
        """The blob of each entry, links followed inside this stage."""
        batch = list(entries)
        blobs = self.blobs([git.Listed(entry.path, "", entry.oid) for entry in batch])
        for entry, (_row, blob) in zip(batch, blobs, strict=True):
            if entry.kind is Kind.LINK:
                yield entry, self._behind_link(entry, blob)
            else:
                yield entry, Unreadable(MISSING) if blob is None else blob

    def _home(self, path: bytes) -> git.Repository:
        for prefix, repository in self._homes.items():
            if path.startswith(prefix):
                return repository
        return self.repository

    def _of(self, rows: list[git.Listed], prefix: bytes) -> Iterator[git.Listed]:
        for row in rows:
            path = prefix + row.path
            yield row._replace(path=path)
            if row.mode != git.SUBMODULE:
                continue
            inner = git.Repository(self.root / os.fsdecode(path))
            if not (inner.top / ".git").exists() or not inner.has_commit(row.oid):
                self.closed.append(path)
                continue
            self._homes = {path + b"/": inner, **self._homes}
            yield from self._of(inner.tree_rows(row.oid), path + b"/")

    def _behind_link(self, entry: Entry, text: bytes | None) -> bytes | Unreadable:
        """What a link of this stage leads to in this same stage."""
        by_path = {one.path: one for one in self.entries()}

        def link_of(path: bytes) -> bytes | None:
            one = by_path.get(path)
            return None if one is None else self._blob(one) if one.kind is Kind.LINK else b""

        if text is None:
            return Unreadable(MISSING)
        found = behind(entry.path, text, link_of)
        if isinstance(found, Unreadable):
            return found
        blob = self._blob(by_path[found])
        return Unreadable(MISSING) if blob is None else blob

    def _blob(self, entry: Entry) -> bytes | None:
        return next(self._home(entry.path).blobs([entry.oid]), None)


def index_of(repository: git.Repository) -> InGit:
    """The index: what the next commit will hold."""
    return InGit(repository, "index:")


def commit_of(repository: git.Repository, rev: str) -> InGit:
    """A commit; raises UsageError where `rev` names none."""
    return InGit(repository, f"commit:{rev}", repository.resolve(rev))
