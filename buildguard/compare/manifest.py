"""`buildguard manifest`: every file of a stage, hashed."""

from __future__ import annotations

import os
from pathlib import Path

from buildguard.compare.open_stage import CloudLocation, open_stages, take_snapshot
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import display_path
from buildguard.stages.snapshot import Snapshot


class ManifestResult(NamedTuple):
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
    where: CloudLocation = CloudLocation(),  # noqa: B008
) -> ManifestResult:
    """The manifest of one stage; `brief` where SHA256SUMS is all that is wanted, `out` the file that it is written to.

    That file is no part of the stage, or no `sha256sum -c` could ever succeed. Raises UsageError for what is no stage.
    """
    opened_stage = open_stages(cwd, [text], brief=brief, where=where)[0]
    snapshot = take_snapshot(opened_stage.stage, text)
    if out is not None and opened_stage.root is not None:
        snapshot = _without_path(snapshot, os.fsencode(os.path.relpath(os.path.realpath(cwd / out), opened_stage.root)))
    return ManifestResult(snapshot, tuple(snapshot.manifest.odd()))


def _without_path(snapshot: Snapshot, path: bytes) -> Snapshot:
    from buildguard.stages.manifest import Manifest

    entries = snapshot.manifest.entries
    if path not in entries:
        return snapshot
    rest = Manifest([entry for entry in entries.values() if entry.path != path], snapshot.manifest.extras)
    note = f"{display_path(path)} is what this is written to, and left out"
    return snapshot._replace(manifest=rest, notes=(*snapshot.notes, note))
