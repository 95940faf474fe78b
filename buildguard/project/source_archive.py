"""The archive that is sent: of a commit, its entries less what gcloud's rules drop, from git's own objects; of a dirty tree if asked to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import RelativePath, UnreadableFile, display_path
from buildguard.errors import UnprovenError
from buildguard.project.ignore import gcloud
from buildguard.project.ignore.rules import IgnoreRule
from buildguard.project.upload import select_uploaded
from buildguard.stages import manifest as manifests
from buildguard.stages.archives.writer import ArchiveItem, WrittenArchive, write_archive
from buildguard.stages.filesystem import read_file
from buildguard.stages.git_objects import GitStage
from buildguard.stages.manifest import ManifestEntry
from buildguard.stages.snapshot import Snapshot, Snapshotter
from buildguard.system import git
from buildguard.system.git_reader import LARGEST

_BATCH = 64 << 20


class PackedArchive(NamedTuple):
    """An archive, what was left out of it and by which rule, and the paths whose bytes are the working tree's."""

    written: WrittenArchive
    dropped: tuple[tuple[bytes, IgnoreRule], ...]
    dirty: tuple[bytes, ...] = ()


class StageSnapshot(NamedTuple):
    """A stage whose snapshot was taken; `has_git` if a `.git` is at its top, for gcloud's rules."""

    stage: Snapshotter
    snapshot: Snapshot
    has_git: bool


def pack(stage: GitStage, file: Path, *, prefix: bytes = b"", worktree: Path | None = None) -> PackedArchive:
    """Write the archive of a commit to a file; `prefix` is the folder that is sent, empty or with its final `/`.

    With `worktree`, the bytes and executable bits of the same list are taken from there, as a dirty run wants it.
    Untracked files are never sent. Raises UnprovenError for an object that is missing, or a file that cannot be read.
    """
    rows = _rows_below(stage, prefix)
    entries = _entries_of(stage, rows)
    rules = gcloud.GcloudIgnoreRules(lambda name: _content(stage, rows.get(os.fsencode(name))), has_git=not prefix)
    sent, dropped = select_uploaded(entries, rules)
    sent = [entry for entry in sent if entry.path != manifests.CARRIED]
    mtime = stage.time()
    committed = (
        ArchiveItem(row.path[len(prefix) :], manifests.known_mode(row.mode), _require_blob(row, blob), mtime)
        for row, blob in stage.blobs([rows[entry.path] for entry in sent])
    )
    dirty: list[bytes] = []
    items = committed if worktree is None else _from_disk(committed, os.fsencode(worktree) + b"/", dirty)
    folders = [path for path in _folders(rows) if rules.drops(os.fsdecode(path), is_folder=True) is None]
    written = write_archive(file, items, folders, mtime)
    return PackedArchive(written, tuple((entry.path, rule) for entry, rule in dropped), tuple(dirty))


def _rows_below(stage: GitStage, prefix: bytes) -> dict[bytes, git.GitEntry]:
    """The rows of a folder by their paths in it; raises UnprovenError where a tree or the commit is damaged."""
    rows = {row.path[len(prefix) :]: row for row in stage.rows() if row.path.startswith(prefix)}
    for path, reason in stage.damaged.items():
        raise UnprovenError(f"{display_path(path) or f'commit {stage.commit}'}: {reason}", hint="git fsck")
    return rows


def _entries_of(stage: GitStage, rows: Mapping[bytes, git.GitEntry]) -> dict[bytes, ManifestEntry]:
    """What the rules of gcloud look at: each path with its mode, and the text of a link."""
    links = {row.path: path for path, row in rows.items() if row.mode == git.LINK}
    blobs = stage.blobs([rows[path] for path in links.values()])
    texts = {links[row.path]: _require_blob(row, blob) for row, blob in blobs}
    return {
        path: ManifestEntry(
            RelativePath(path), manifests.known_mode(row.mode), 0, manifests.Sha256(""), text=texts.get(path, b"")
        )
        for path, row in rows.items()
    }


class UploadSelection(NamedTuple):
    """What of a stage is sent, its folders, and what is left out by which rule."""

    sent: tuple[ManifestEntry, ...]
    folders: tuple[bytes, ...]
    dropped: tuple[tuple[bytes, IgnoreRule], ...]


def select_upload(seen: StageSnapshot) -> UploadSelection:
    """What of a stage is sent, by gcloud's rules; raises UnprovenError where gcloud fails on its ignore files."""
    entries = seen.snapshot.manifest.entries
    rules = gcloud.GcloudIgnoreRules(lambda name: _read_again(seen, os.fsencode(name)), has_git=seen.has_git)
    sent, dropped = select_uploaded(entries, rules)
    folders = tuple(path for path in _folders(entries) if rules.drops(os.fsdecode(path), is_folder=True) is None)
    return UploadSelection(tuple(sent), folders, tuple((entry.path, rule) for entry, rule in dropped))


def pack_selection(
    seen: StageSnapshot, selected: UploadSelection, file: Path, mtime: int, aside: bytes = b""
) -> PackedArchive:
    """Write the archive of what was seen and selected at any stage; `aside` as `write` has it.

    Raises UnprovenError where something cannot be read any more, or is not what was seen.
    """
    written = write_archive(file, _verified_items(seen, selected.sent, mtime), selected.folders, mtime, aside)
    return PackedArchive(written, selected.dropped)


def _read_again(seen: StageSnapshot, path: bytes) -> bytes | None:
    if path not in seen.snapshot.manifest.entries:
        return None
    content = seen.stage.originals([path])[path]
    if isinstance(content, UnreadableFile):
        raise UnprovenError(f"{display_path(path)}: {content.reason}")
    return content


def _verified_items(seen: StageSnapshot, sent: Sequence[ManifestEntry], mtime: int) -> Iterator[ArchiveItem]:
    """Each entry with its content, some megabytes at a time; it has to be what the snapshot says."""
    batch: list[ManifestEntry] = []
    size = 0
    for at, entry in enumerate(sent, 1):
        batch.append(entry)
        size += entry.size
        if size < _BATCH and at < len(sent):
            continue
        contents = seen.stage.originals([entry_in_batch.path for entry_in_batch in batch])
        for entry_in_batch in batch:
            content = contents[entry_in_batch.path]
            if isinstance(content, UnreadableFile):
                raise UnprovenError(f"{display_path(entry_in_batch.path)}: {content.reason}")
            if hashlib.sha256(content).hexdigest() != entry_in_batch.sha256:
                raise UnprovenError(
                    f"{display_path(entry_in_batch.path)} changed while it was read", hint="run this once more"
                )
            yield ArchiveItem(entry_in_batch.path, entry_in_batch.mode, content, mtime)
        batch, size = [], 0


def _folders(paths: Iterable[bytes]) -> set[bytes]:
    parents: set[bytes] = set()
    for path in paths:
        folder = path.rpartition(b"/")[0]
        while folder and folder not in parents:
            parents.add(folder)
            folder = folder.rpartition(b"/")[0]
    return parents


def _content(stage: GitStage, row: git.GitEntry | None) -> bytes | None:
    return None if row is None else next(_require_blob(row, blob) for row, blob in stage.blobs([row]))


def _require_blob(row: git.GitEntry, blob: bytes | UnreadableFile) -> bytes:
    if isinstance(blob, UnreadableFile):
        hint = "keep it out by a line in .gcloudignore" if blob.sha256 else "git fsck"
        raise UnprovenError(f"{display_path(row.path)}: {blob.reason}", hint=hint)
    return blob


def _from_disk(items: Iterator[ArchiveItem], base: bytes, dirty: list[bytes]) -> Iterator[ArchiveItem]:
    """The same list with the working tree's bytes; a file that is not there any more is not sent.

    What differs has its own time, or a builder would take it for the committed file of the same size.
    """
    for item in items:
        path = base + item.path
        if os.path.islink(path):
            current = item._replace(mode=manifests.LINK, content=os.readlink(path))
        else:
            content = read_file(path, largest=LARGEST)
            if isinstance(content, UnreadableFile):
                if not content.is_missing:
                    raise UnprovenError(f"{display_path(item.path)}: {content.reason}")
                dirty.append(item.path)
                continue
            mode = manifests.EXECUTABLE if os.stat(path).st_mode & 0o100 else manifests.FILE
            current = item._replace(mode=mode, content=content)
        if current != item:
            dirty.append(item.path)
            current = current._replace(mtime=int(os.lstat(path).st_mtime))
        yield current
