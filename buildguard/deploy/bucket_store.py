"""The bucket's side of a deploy: the lock that other machines see, and the ledger that a team shares."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from buildguard.gcp.storage import ObjectUrl, StorageClient
from buildguard.project import ledger
from buildguard.project.ledger import LedgerLine, ServiceId

_AT_ONCE = 8  # objects that are fetched side by side


class BucketLock:
    """A lock as an object; see `buildguard.deploy.lock`."""

    def __init__(self, storage: StorageClient, bucket: str, service: ServiceId) -> None:
        self._storage = storage
        self._bucket = bucket
        self._name = f"buildguard/lock/{service.path}.json"

    def create(self, data: bytes, over: int) -> int | None:
        """Make it where generation `over` lies."""
        return self._storage.create(self._bucket, self._name, data, over)

    def read(self) -> tuple[bytes, int] | None:
        """What the holder wrote, and its generation."""
        if self._name not in self._storage.names(self._bucket, self._name):
            return None
        generation = self._storage.look(ObjectUrl(self._bucket, self._name, 0)).generation
        return self._storage.content(f"gs://{self._bucket}/{self._name}#{generation}"), generation

    def remove(self, version: int) -> None:
        """Give it back."""
        self._storage.remove(self._bucket, self._name, version)

    def remedy(self) -> str:
        """Remove the object."""
        return f"gcloud storage rm gs://{self._bucket}/{self._name}"


def read_lines(
    storage: StorageClient, bucket: str, folder: str, known: Collection[LedgerLine], most: int = 0
) -> list[LedgerLine]:
    """The lines in a folder of a bucket, less those that are known; of many only the newest `most` (0: all)."""
    names = sorted(storage.names(bucket, folder))
    have = {f"{line.run}-{line.number:04d}.json" for line in known}
    wanted = [name for name in names[-most:] if "-".join(name.rsplit("-", 2)[1:]) not in have]
    with ThreadPoolExecutor(_AT_ONCE) as helpers:
        contents = list(helpers.map(lambda name: storage.content(f"gs://{bucket}/{name}"), wanted))
    return ledger.parse(contents)[0]
