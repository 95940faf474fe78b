"""What is known of a hop beside its two manifests. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.stages.snapshot import Snapshot, StageKind

_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class HopEvidence(NamedTuple):
    """Evidence for the causes of a hop; a field that is missing explains nothing.

    `before` and `after` hold contents. `older` names the commit that held a path with that blob id. `drops` is the
    ignore rule that drops a path. `unexported` are the committed paths that `git archive` leaves out.
    `filtered` is the blob that git's own filters make of a worktree file, with their names. `copied` are the paths that
    the Dockerfile copies, None without a Dockerfile. `committed` is the blob of each path in the commit. `doubts` says
    why the image may lack a path although its Dockerfile copies it. `no_modes` and `no_links` are the settings by which
    git reports that the disk has none.
    """

    before: Mapping[bytes, bytes] = _NOTHING
    after: Mapping[bytes, bytes] = _NOTHING
    older: Mapping[tuple[bytes, str], str] = _NOTHING
    drops: Mapping[bytes, str] = _NOTHING
    unexported: AbstractSet[bytes] = frozenset()
    filtered: Mapping[bytes, tuple[str, str]] = _NOTHING
    copied: frozenset[bytes] | None = None
    no_modes: str = ""
    no_links: str = ""
    committed: Mapping[bytes, str] = _NOTHING
    doubts: Mapping[bytes, str] = _NOTHING


class HopContext(NamedTuple):
    """The two snapshots of a hop, and the evidence for what differs between them."""

    before: Snapshot
    after: Snapshot
    evidence: HopEvidence

    @property
    def is_checkout(self) -> bool:
        """Whether it leads from git to the working tree."""
        return self.after.kind is StageKind.WORKTREE and self.before.kind.in_git

    @property
    def is_to_image(self) -> bool:
        """Whether it ends in an image."""
        return self.after.kind is StageKind.IMAGE

    @property
    def records_modes(self) -> bool:
        """Whether both stages record the executable bit."""
        return not (self.before.manifest.contents_only or self.after.manifest.contents_only)
