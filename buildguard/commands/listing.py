"""`buildguard manifest`: every file of a stage, hashed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from buildguard.commands.named import looked_at, opened

if TYPE_CHECKING:
    from pathlib import Path

    from buildguard.custody import Snapshot


class Listed(NamedTuple):
    """What `manifest` returns: a snapshot, and the names that not every tool reads back from SHA256SUMS."""

    snapshot: Snapshot
    odd: tuple[bytes, ...]

    @property
    def exit_code(self) -> int:
        """1 where a name is odd, else 3 for anything that could not be looked at, else 0."""
        return 1 if self.odd else 3 if self.snapshot.unproven else 0


def manifest(cwd: Path, text: str, *, blobs: bool = True) -> Listed:
    """The manifest of one stage; `blobs` is whether anybody wants git's blob ids. Raises UsageError for what is none, UnprovenError for one that cannot be read."""
    snapshot = looked_at(opened(cwd, [text], blobs=blobs)[0].stage, text)
    return Listed(snapshot, tuple(snapshot.manifest.odd()))
