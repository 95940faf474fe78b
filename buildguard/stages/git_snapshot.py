"""Snapshots of a commit and of the index, from git's own objects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from buildguard.diagnostic import RelativePath, Unproven, UnreadableFile, display_path
from buildguard.stages import lfs
from buildguard.stages import manifest as manifests
from buildguard.stages.git_objects import GitStage
from buildguard.stages.manifest import Manifest, ManifestEntry
from buildguard.stages.snapshot import Snapshot, StageKind
from buildguard.system import git


class GitSnapshotter:
    """A commit or the index, below `prefix` (empty, or with its final `/`)."""

    def __init__(self, stage: GitStage, prefix: bytes = b"") -> None:
        self.stage = stage
        self._prefix = prefix

    def snapshot(self) -> Snapshot:
        """Each row of the tree, its blob read and hashed; a submodule is its commit's id, and its files where they are here."""
        with self.stage.keeping_readers():
            return self._snapshot()

    def _snapshot(self) -> Snapshot:
        unproven = [
            Unproven(display_path(path), None, f"it is in conflict in {self.stage.name}") for path in self._conflicts()
        ]
        rows = self._rows()
        entries = list(self._submodules(rows))
        marks: dict[bytes, str] = {}
        for row, blob in self.stage.blobs(row for row in rows if row.mode != git.SUBMODULE):
            path = self._below(row)
            if not isinstance(blob, UnreadableFile):
                entries.append(manifests.of_bytes(path, manifests.known_mode(row.mode), blob, row.oid))
                marks[path] = _mark(path, blob)
            elif blob.sha256:
                entries.append(_large_entry(path, row, blob))
            elif not blob.damaged:
                unproven.append(Unproven(display_path(path), None, blob.reason))
        closed = self._closed()
        notes = [f"{display_path(path)}: a submodule whose files are not here" for path in closed]
        notes += self.stage.repository.notes()
        kind = StageKind.INDEX if self.stage.commit is None else StageKind.COMMIT
        return Snapshot(
            self.stage.name,
            kind,
            Manifest(entries),
            tuple(notes),
            tuple(unproven),
            closed,
            self.stage.commit or "",
            marks={path: mark for path, mark in marks.items() if mark},
            damaged=self._damaged(),
        )

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | UnreadableFile]:
        """The blobs of some paths."""
        rows = [row for row in self._rows() if self._below(row) in paths]
        contents: dict[bytes, bytes | UnreadableFile] = {
            self._below(row): row.oid.encode("ascii") for row in rows if row.mode == git.SUBMODULE
        }
        for row, blob in self.stage.blobs(row for row in rows if row.mode != git.SUBMODULE):
            contents[self._below(row)] = blob
        return contents

    def _closed(self) -> tuple[bytes, ...]:
        return tuple(path[len(self._prefix) :] + b"/" for path in self.stage.closed if path.startswith(self._prefix))

    def _damaged(self) -> dict[bytes, str]:
        """The damaged objects of this folder; where a tree above it is damaged, the whole of it is."""
        return {
            path[len(self._prefix) :]: reason
            for path, reason in self.stage.damaged.items()
            if (path + b"/").startswith(self._prefix) or self._prefix.startswith(path + b"/" if path else b"")
        }

    def _submodules(self, rows: Iterable[git.GitEntry]) -> Iterator[ManifestEntry]:
        for row in rows:
            if row.mode == git.SUBMODULE:
                yield manifests.of_bytes(self._below(row), manifests.SUBMODULE, row.oid.encode("ascii"))

    def _rows(self) -> list[git.GitEntry]:
        return [row for row in self.stage.rows() if row.path.startswith(self._prefix)]

    def _below(self, row: git.GitEntry) -> bytes:
        return row.path[len(self._prefix) :]

    def _conflicts(self) -> list[bytes]:
        if self.stage.commit is not None:
            return []
        return [
            path[len(self._prefix) :] for path in self.stage.repository.conflicts() if path.startswith(self._prefix)
        ]


def _large_entry(path: bytes, row: git.GitEntry, blob: UnreadableFile) -> ManifestEntry:
    """The entry of a blob that was read and not kept; git's id is one by SHA-1 alone."""
    oid = row.oid if len(row.oid) == manifests.SHA1_DIGITS else ""
    return ManifestEntry(
        RelativePath(path), manifests.known_mode(row.mode), blob.size, manifests.Sha256(blob.sha256), oid
    )


def _mark(path: bytes, content: bytes) -> str:
    """What about a committed file will be a surprise on Linux."""
    if lfs.parse_pointer(content) is not None:
        return "lfs"
    script = content.startswith(b"#!") or path.endswith((b".sh", b".bash"))
    return "crlf" if script and b"\r\n" in content else ""
