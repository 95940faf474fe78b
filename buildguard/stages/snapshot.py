"""Taking the snapshot of a stage: every entry listed and hashed raw, no filter, no stat cache and no index believed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Protocol

from buildguard.definitions import NamedTuple, StrEnum
from buildguard.diagnostic import Unproven, UnreadableFile
from buildguard.stages.manifest import Manifest

MOST_KEPT = 64 << 20  # what is larger is compared by its digest alone


class Snapshotter(Protocol):
    """A stage whose snapshot can be taken, and whose contents can be read again to explain a change."""

    def snapshot(self) -> Snapshot:
        """Every entry; raises UnprovenError if they cannot be listed."""

    def originals(self, paths: Collection[bytes]) -> Mapping[bytes, bytes | UnreadableFile]:
        """The content of some of its entries as stored: a link's text, not what it leads to."""


class StageKind(StrEnum):
    """What a stage is; `UNREAD` is one that could not be read at all."""

    COMMIT = "commit"
    INDEX = "index"
    WORKTREE = "worktree"
    FOLDER = "folder"
    ARCHIVE = "archive"
    WORKSPACE = "workspace"
    IMAGE = "image"
    MANIFEST = "manifest"
    UNREAD = "unread"

    @property
    def in_git(self) -> bool:
        """Whether its contents are git objects."""
        return self in {StageKind.COMMIT, StageKind.INDEX}


class Snapshot(NamedTuple):
    """A manifest as it was seen at a stage.

    `stage` is its name as it was given, `unproven` is what exists and could not be looked
    at, `closed` the folders (each with its final `/`) that it says nothing about. `commit` is the commit's full id, `digests` what else is known of the
    stage as a whole (an archive's file and the tar inside it), `marks` the committed files that are no trouble in git and
    some later: "crlf" for a script with Windows line ends, "lfs" for a pointer in place of a content. `dockerfile` is the one that an
    image was built with, empty where that is not known. `damaged` are the
    paths whose object in git does not match its id, with the reason: a file, a folder, or all of it (empty).
    `unlisted` is what a folder holds beside its entries, without what is below: files and folders (with a final `/`)
    that git ignores, and git's own.
    """

    stage: str
    kind: StageKind
    manifest: Manifest
    notes: tuple[str, ...] = ()
    unproven: tuple[Unproven, ...] = ()
    closed: tuple[bytes, ...] = ()
    commit: str = ""
    digests: tuple[tuple[str, str], ...] = ()
    marks: Mapping[bytes, str] = MappingProxyType({})
    dockerfile: str = ""
    damaged: Mapping[bytes, str] = MappingProxyType({})
    unlisted: tuple[bytes, ...] = ()
