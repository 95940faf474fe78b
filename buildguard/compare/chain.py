"""The chain of custody: what was seen at each stage, hop by hop, and the first hop where something changed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from buildguard.compare.difference import Difference
    from buildguard.diagnostic import Unproven
    from buildguard.stages.manifest import Manifest

COMMIT, INDEX, WORKTREE, FOLDER = "commit", "index", "worktree", "folder"
ARCHIVE, WORKSPACE, IMAGE, MANIFEST, UNREAD = "archive", "workspace", "image", "manifest", "unread"
IN_GIT = frozenset({COMMIT, INDEX})


class Snapshot(NamedTuple):
    """A manifest as it was seen at a stage.

    `stage` is its name as it was given, `kind` one of those above. `unproven` is what lies there and could not be looked
    at, `closed` the folders (each with its final `/`) that it says nothing about. `commit` is the commit's full id, `digests` what else is known of the
    stage as a whole (an archive's file and the tar inside it), `marks` the committed files that are no trouble in git and
    some later: "crlf" for a script with Windows line ends, "lfs" for a pointer in place of a content. `dockerfile` is the one that an
    image was built with, empty where that is not known. `damaged` are the
    paths whose object in git does not match its id, with the reason: a file, a folder, or all of it (empty).
    """

    stage: str
    kind: str
    manifest: Manifest
    notes: tuple[str, ...] = ()
    unproven: tuple[Unproven, ...] = ()
    closed: tuple[bytes, ...] = ()
    commit: str = ""
    digests: tuple[tuple[str, str], ...] = ()
    marks: Mapping[bytes, str] = {}
    dockerfile: str = ""
    damaged: Mapping[bytes, str] = {}


class Hop(NamedTuple):
    """Two neighbouring snapshots and what differs between them, by path.

    `notes` are about what is recorded and not judged; `untold` is what one of the two has no words for.
    """

    before: Snapshot
    after: Snapshot
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()
    untold: tuple[Unproven, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether nothing at all differs, and everything was looked at."""
        return not (self.differences or self.untold or self.before.unproven or self.after.unproven)

    @property
    def findings(self) -> tuple[Difference, ...]:
        """What differs and should not."""
        return tuple(one for one in self.differences if one.finding)


class Chain(NamedTuple):
    """Every hop in order; `notes` are about the chain as a whole."""

    hops: tuple[Hop, ...]
    notes: tuple[str, ...] = ()
    strict: bool = False

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """Each stage once, in order."""
        return (self.hops[0].before, *(hop.after for hop in self.hops))

    @property
    def unproven(self) -> tuple[Unproven, ...]:
        """What could not be looked at, at any stage."""
        seen = [one for snapshot in self.snapshots for one in snapshot.unproven]
        return (*seen, *(one for hop in self.hops for one in hop.untold))

    @property
    def first_changed(self) -> int | None:
        """The number of the first hop (from 0) with a difference; with a finding, where there is any in the chain."""
        findings = [at for at, hop in enumerate(self.hops) if hop.findings]
        changed = findings or [at for at, hop in enumerate(self.hops) if hop.differences]
        return changed[0] if changed else None

    @property
    def exit_code(self) -> int:
        """1 for findings, else 3 for anything unproven, else 0."""
        if any(hop.findings or (self.strict and (hop.differences or hop.notes)) for hop in self.hops):
            return 1
        return 3 if self.unproven else 0
