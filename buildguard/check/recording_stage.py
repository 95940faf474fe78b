"""A stage that notes what is read from it, for a result that is kept until one of those files changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from buildguard.diagnostic import UnreadableFile
from buildguard.stages.stage import Entry, Stage


class RecordingStage:
    """A stage that notes the digest of everything that is read from it; empty for what cannot be read."""

    def __init__(self, stage: Stage) -> None:
        self.name = stage.name
        self.root = stage.root
        self.digests: dict[bytes, bytes] = {}
        self._stage = stage

    def entries(self) -> Sequence[Entry]:
        """Every path there is."""
        return self._stage.entries()

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        """The content of each entry, in order."""
        for entry, content in self._stage.contents(entries):
            self.digests[entry.path] = digest_of(content)
            yield entry, content

    def notes(self) -> list[str]:
        """What `entries` left out."""
        return self._stage.notes()


def digest_of(content: bytes | UnreadableFile) -> bytes:
    """The SHA-256 of a content; empty for what cannot be read."""
    return hashlib.sha256(content).digest() if isinstance(content, bytes) else b""
