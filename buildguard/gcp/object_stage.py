"""The snapshot of an object in a bucket: fetched as it is, its hashes compared, and read like any archive."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from buildguard.diagnostic import UnreadableFile
from buildguard.gcp.storage import ObjectUrl, StorageClient
from buildguard.stages.archive_snapshot import ArchiveSnapshotter
from buildguard.stages.snapshot import Snapshot
from buildguard.system.temporary import folder_of


class ObjectSnapshotter:
    """`gs://bucket/object#generation`; without a generation the newest, and which one that is becomes a note."""

    def __init__(self, text: str) -> None:
        """Raises UsageError for what is no such address."""
        self._url = ObjectUrl.parse(text)
        self._name = text
        self._folder = folder_of(self)
        self._archive: ArchiveSnapshotter | None = None

    def snapshot(self) -> Snapshot:
        """The archive in the bucket; raises UnprovenError if it cannot be fetched, ChangedError if it arrived changed."""
        file = self._folder / "object"
        digests, url = fetch(self._url, file)
        self._archive = ArchiveSnapshotter(self._name, file)
        snapshot = self._archive.snapshot()
        notes = (*snapshot.notes, *(() if self._url.generation else (f"{self._name} is {url} at this time",)))
        return snapshot._replace(notes=notes, digests=(*snapshot.digests, *digests))

    def originals(self, paths: Collection[bytes]) -> Mapping[bytes, bytes | UnreadableFile]:
        """Some members, out of what was fetched."""
        assert self._archive is not None
        return self._archive.originals(paths)


def fetch(url: ObjectUrl, file: Path) -> tuple[tuple[tuple[str, str], ...], str]:
    """Download one generation of an object to a file; what the bucket reports of it, and its address with the generation."""
    with StorageClient() as storage, open(file, "w+b") as out:
        stored = storage.look(url)
        storage.download(stored, out)
    hashes = stored.hashes
    return (("md5", hashes.md5), ("crc32c", hashes.crc32c), ("generation", str(stored.generation))), stored.url
