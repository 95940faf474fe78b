"""Snapshots of what was written to a file: an archive, or a manifest."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from buildguard.diagnostic import UnreadableFile
from buildguard.errors import UnprovenError
from buildguard.stages import manifest as manifests
from buildguard.stages.archives import reader as archives
from buildguard.stages.filesystem import read_file
from buildguard.stages.snapshot import MOST_KEPT, Snapshot, StageKind


class ArchiveSnapshotter:
    """A tar, a gzipped tar or a zip."""

    def __init__(self, name: str, file: Path) -> None:
        self._name = name
        self._file = file
        self._read: archives.ArchiveContents | None = None

    def snapshot(self) -> Snapshot:
        """Each member, hashed as it streams by."""
        self._read = archives.read(self._file)
        contents = self._read
        digests = (("file", f"sha256:{contents.file_digest}"), ("tar", f"sha256:{contents.digest}"))
        return Snapshot(
            self._name,
            StageKind.ARCHIVE,
            contents.manifest,
            digests=digests,
            commit=contents.comment if _is_id(contents.comment) else "",
        )

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | UnreadableFile]:
        """Some members, by reading the archive once more; what it holds by now has to be what it held."""
        assert self._read is not None
        manifest = self._read.manifest
        sources = {path: manifest.extras.twins.get(path, path) for path in paths}
        small = {source for source in sources.values() if manifest.entries[source].size <= MOST_KEPT}
        pieces: dict[bytes, list[bytes]] = {source: [] for source in small}
        again = archives.read(self._file, keep=lambda path, piece: pieces[path].append(piece), wanted=frozenset(small))
        if again.file_digest != self._read.file_digest:
            raise UnprovenError(f"{self._name} changed while it was read")
        return {
            path: b"".join(pieces[source]) if source in pieces else UnreadableFile("too large to look closer")
            for path, source in sources.items()
        }


def _is_id(text: str) -> bool:
    return len(text) in {40, 64} and not text.strip("0123456789abcdef")


class ManifestSnapshotter:
    """A manifest that was written down: digests, and no contents."""

    def __init__(self, name: str, file: Path) -> None:
        self._name = name
        self._file = file

    def snapshot(self) -> Snapshot:
        """What it says, where it says it properly."""
        data = read_file(os.fsencode(self._file))
        if isinstance(data, UnreadableFile):
            raise UnprovenError(f"{self._file}: {data.reason}")
        manifest = manifests.parse(data, str(self._file))
        notes = ("it lists contents only, no modes and no links",) if manifest.contents_only else ()
        return Snapshot(self._name, StageKind.MANIFEST, manifest, notes)

    def originals(self, paths: Iterable[bytes]) -> dict[bytes, bytes | UnreadableFile]:
        """None of them."""
        return {path: UnreadableFile("a manifest holds no contents") for path in paths}
