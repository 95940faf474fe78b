"""`buildguard manifest`: every file of a stage, hashed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from buildguard.compare.open_stage import Where, looked_at, opened
from buildguard.diagnostic import shown_path
from buildguard.stages.snapshot import Snapshot


class Listed(NamedTuple):
    """What `manifest` returns: a snapshot, and the names that not every tool reads back from SHA256SUMS."""

    snapshot: Snapshot
    odd: tuple[bytes, ...]

    @property
    def exit_code(self) -> int:
        """1 where a name is odd or an object damaged, else 3 for anything that could not be looked at, else 0."""
        return 1 if self.odd or self.snapshot.damaged else 3 if self.snapshot.unproven else 0


def manifest(
    cwd: Path,
    text: str,
    *,
    brief: bool = False,
    out: Path | None = None,
    where: Where = Where(),  # noqa: B008
) -> Listed:
    """The manifest of one stage; `brief` where SHA256SUMS is all that is wanted, `out` the file that it is written to.

    That file is no part of the stage, or no `sha256sum -c` could ever succeed. Raises UsageError for what is no stage.
    """
    opened_stage = opened(cwd, [text], brief=brief, where=where)[0]
    snapshot = looked_at(opened_stage.stage, text)
    if out is not None and opened_stage.root is not None:
        snapshot = _without(snapshot, os.fsencode(os.path.relpath(os.path.realpath(cwd / out), opened_stage.root)))
    return Listed(snapshot, tuple(snapshot.manifest.odd()))


def _without(snapshot: Snapshot, path: bytes) -> Snapshot:
    from buildguard.stages.manifest import Manifest

    entries = snapshot.manifest.entries
    if path not in entries:
        return snapshot
    rest = Manifest([one for one in entries.values() if one.path != path], snapshot.manifest.extras)
    note = f"{shown_path(path)} is what this is written to, and left out"
    return snapshot._replace(manifest=rest, notes=(*snapshot.notes, note))
