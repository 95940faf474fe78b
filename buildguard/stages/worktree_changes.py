"""What `git status` calls changed, without the programs that it would start: filters, monitors, itself in submodules."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildguard.stages import lfs
from buildguard.stages.hashing import HashedFile, hash_file
from buildguard.system import git


def edited_paths(repository: git.Repository) -> list[bytes]:
    """The tracked paths that differ from HEAD in the index or in the working tree, submodules looked into.

    Where a filter program would have to say what git commits of a file that was touched, the file counts as edited; Git
    LFS is known here.
    """
    rows = {row.path: row for row in repository.index_rows()}
    touched = [rows[path] for path in repository.touched() if path in rows]
    edited = {row.path for row in touched} - set(unchanged(repository, touched))
    edited.update(row.path for row in rows.values() if row.mode == git.SUBMODULE and _is_edited(repository, row))
    return sorted(edited.union(repository.staged_paths()))


def unchanged(repository: git.Repository, rows: Iterable[git.GitEntry]) -> Iterator[bytes]:
    """The paths of some rows whose file in the working tree git would commit as the row has it."""
    base = os.fsencode(repository.top) + b"/"
    same_kind = [row for row in rows if _has_mode(base + row.path, row.mode, repository)]
    yield from _unchanged_links(repository, [row for row in same_kind if row.mode == git.LINK])
    yield from _unchanged_files(repository, {row.path: row for row in same_kind if row.mode != git.LINK})


def _unchanged_links(repository: git.Repository, rows: Sequence[git.GitEntry]) -> Iterator[bytes]:
    for row, blob in zip(rows, repository.blobs([row.oid for row in rows]), strict=True):
        if blob == os.readlink(os.fsencode(repository.top) + b"/" + row.path):
            yield row.path


def _unchanged_files(repository: git.Repository, rows: Mapping[bytes, git.GitEntry]) -> Iterator[bytes]:
    oids = repository.filtered(list(rows)) if rows else {}
    yield from (path for path, row in rows.items() if oids[path] == row.oid)
    yield from _in_lfs(repository, {path: row for path, row in rows.items() if oids[path] != row.oid})


def _has_mode(path: bytes, mode: str, repository: git.Repository) -> bool:
    """Whether a path is a link, a file or a program as its row has it."""
    if os.path.islink(path) or mode == git.LINK:
        return os.path.islink(path) and mode == git.LINK
    if not os.path.isfile(path):
        return False
    executable = bool(os.stat(path).st_mode & 0o100)
    return executable == (mode == "100755") or repository.setting("core.fileMode") == "false"


def _in_lfs(repository: git.Repository, rows: Mapping[bytes, git.GitEntry]) -> Iterator[bytes]:
    """Files that are what the Git LFS pointer of their row stands for."""
    attributes = repository.attributes(list(rows), ["filter"]) if rows else {}
    pointed = [rows[path] for path, values in attributes.items() if values.get("filter") == "lfs"]
    for row, blob in zip(pointed, repository.blobs([row.oid for row in pointed]), strict=True):
        hashed = hash_file(os.fsencode(repository.top) + b"/" + row.path, blobs=False)
        if not isinstance(blob, bytes) or not isinstance(hashed, HashedFile):
            continue
        if lfs.parse_pointer(blob) == (hashed.digest.hex(), hashed.size):
            yield row.path


def _is_edited(repository: git.Repository, row: git.GitEntry) -> bool:
    inner = git.submodule_of(repository.top / os.fsdecode(row.path))
    return inner is not None and (inner.head != row.oid or bool(edited_paths(inner)))
