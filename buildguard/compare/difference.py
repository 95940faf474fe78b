"""What differs between two neighbouring snapshots. Pure.

What was added, removed or changed is a matter of digests alone: no cause can take a row away.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType

from buildguard.codes import Code
from buildguard.compare.causes import CauseKind
from buildguard.definitions import NamedTuple, StrEnum
from buildguard.diagnostic import RelativePath, Unproven, display_path
from buildguard.stages.manifest import EXECUTABLE, LINK, SUBMODULE, ManifestEntry
from buildguard.stages.snapshot import Snapshot, StageKind


class ChangeKind(StrEnum):
    """How a path differs between two stages."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MODE = "mode"
    TYPE = "type"
    DAMAGED = "damaged"


CODES: Mapping[ChangeKind, Code] = MappingProxyType(
    {
        ChangeKind.REMOVED: Code.BG301,
        ChangeKind.ADDED: Code.BG302,
        ChangeKind.CHANGED: Code.BG303,
        ChangeKind.MODE: Code.BG304,
        ChangeKind.TYPE: Code.BG305,
        ChangeKind.DAMAGED: Code.BG306,
    }
)


class Difference(NamedTuple):
    """One path of a hop: what changed and why.

    `finding` is false for a change that a setting asks for (`explained` names it) and for one that cannot be decided
    (`undecided` says why).
    """

    path: RelativePath
    change: ChangeKind
    cause: CauseKind = CauseKind.CONTENT
    evidence: str = ""
    finding: bool = True
    explained: str = ""
    before: ManifestEntry | None = None
    after: ManifestEntry | None = None
    undecided: str = ""


def find_differences(before: Snapshot, after: Snapshot) -> list[Difference]:
    """Every path whose type, executable bit or content differs, or whose object is damaged; without its cause."""
    damaged = {**before.damaged, **after.damaged}
    differences = [
        Difference(RelativePath(path or b"."), ChangeKind.DAMAGED, CauseKind.DAMAGED, reason)
        for path, reason in damaged.items()
    ]
    if StageKind.UNREAD in {before.kind, after.kind} or b"" in damaged:
        return differences  # a stage that was not read lacks nothing for certain
    modes = not (before.manifest.contents_only or after.manifest.contents_only)
    for path, was, now in _comparable_entries(before, after):
        change = _change(was, now, modes=modes)
        if change is not None:
            differences.append(Difference(RelativePath(path), change, before=was, after=now))
    return differences


def _comparable_entries(
    before: Snapshot, after: Snapshot
) -> Iterator[tuple[bytes, ManifestEntry | None, ManifestEntry | None]]:
    """The entries of each path that differ, less what one of the stages could not look at."""
    before_entries, after_entries = before.manifest.entries, after.manifest.entries
    unread = unread_paths(before, after)
    for path in sorted(before_entries.keys() | after_entries.keys()):
        was, now = before_entries.get(path), after_entries.get(path)
        if was == now or _is_incomparable(path, was, before, after) or _is_incomparable(path, now, after, before):
            continue
        if not unread or not _at_or_below(display_path(path), unread):
            yield path, was, now


def unread_paths(*stages: Snapshot) -> set[str]:
    """The paths that a stage has, and whose content was not read there."""
    unread = {item.path for stage in stages for item in stage.unproven if item.path is not None}
    return unread | {display_path(path) for stage in stages for path in stage.damaged}


def _at_or_below(path: str, several: Container[str]) -> bool:
    while path:
        if path in several:
            return True
        path = path.rpartition("/")[0]
    return False


def _change(was: ManifestEntry | None, now: ManifestEntry | None, *, modes: bool) -> ChangeKind | None:
    if was is None or now is None:
        return ChangeKind.ADDED if was is None else ChangeKind.REMOVED
    if was.type != now.type:
        return ChangeKind.TYPE
    if was.sha256 != now.sha256:
        return ChangeKind.CHANGED
    return ChangeKind.MODE if modes and was.mode != now.mode else None


def _is_incomparable(path: bytes, entry: ManifestEntry | None, here: Snapshot, other_stage: Snapshot) -> bool:
    """Whether the other stage does not record such an entry, so that its absence there means nothing."""
    if entry is None or path in other_stage.manifest.entries:
        return False
    if any((path + b"/").startswith(folder) for folder in other_stage.closed):
        return True  # list_incomparable reports its files
    if entry.mode == SUBMODULE and path + b"/" not in here.closed:
        return True  # its files are compared one by one
    if entry.mode == SUBMODULE:
        return any(other.startswith(path + b"/") for other in other_stage.manifest.entries)
    return other_stage.manifest.contents_only and entry.mode == LINK


def list_incomparable(before: Snapshot, after: Snapshot) -> Iterator[Unproven]:
    """What one of two stages has and the other does not record, and an image that has no file of the other stage."""
    if after.kind is StageKind.IMAGE and before.kind is not StageKind.UNREAD and not _in_common(before, after):
        yield Unproven(None, None, f"{after.stage} and {before.stage} have no file in common")
    yield from _incomparable_entries(before, after)
    yield from _incomparable_entries(after, before)


def _incomparable_entries(here: Snapshot, other_stage: Snapshot) -> Iterator[Unproven]:
    if not other_stage.closed and not other_stage.manifest.contents_only:
        return
    without_modes = other_stage.manifest.contents_only and not here.manifest.contents_only
    for path, entry in here.manifest.entries.items():
        if any(path.startswith(folder) for folder in other_stage.closed):
            yield Unproven(display_path(path), None, f"its submodule's files are not known to {other_stage.stage}")
        if without_modes and entry.mode in _UNRECORDED:
            yield Unproven(
                display_path(path), None, f"{_UNRECORDED[entry.mode]}, which {other_stage.stage} cannot tell"
            )


_UNRECORDED = {LINK: "a symbolic link", EXECUTABLE: "executable"}  # where a manifest holds nothing but contents


def _in_common(before: Snapshot, after: Snapshot) -> bool:
    return not before.manifest.entries.keys().isdisjoint(after.manifest.entries)
