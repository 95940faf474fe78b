"""The stages that a command line names, and their snapshots."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from buildguard import locate
from buildguard.compare.image_lookup import ANY_IMAGE, ImageLookup
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Unproven
from buildguard.errors import UnprovenError, UsageError
from buildguard.load import Project
from buildguard.stages.git_objects import GitStage
from buildguard.stages.snapshot import Snapshot, Snapshotter, StageKind
from buildguard.system import git

_BUCKET = "gs://"


class OpenStage(NamedTuple):
    """A stage of the command line, and the repository that it belongs to, below `prefix` in it."""

    stage: Snapshotter
    repository: git.Repository | None = None
    prefix: bytes = b""
    git_stage: GitStage | None = None
    root: Path | None = None


class CloudLocation(NamedTuple):
    """The project and the region that a command line names, empty where it names none."""

    project: str = ""
    region: str = ""

    def filled(self, cwd: Path) -> CloudLocation:
        """The same with what the configuration around a folder says."""
        table = Project.load(cwd).root_config.cloud
        return CloudLocation(self.project or table.project, self.region or table.region)


def open_stages(
    cwd: Path,
    texts: Sequence[str],
    *,
    brief: bool = False,
    where: CloudLocation = CloudLocation(),  # noqa: B008
    lookup: ImageLookup = ANY_IMAGE,
) -> list[OpenStage]:
    """The stages of a command line; those in git are narrowed to the folder that `dir:` names.

    `lookup` is how images are read.
    """
    disks = [_open_on_disk(cwd, text, brief=brief) if _is_folder(text) else None for text in texts]
    below = {stage.prefix for stage in disks if stage is not None and stage.repository is not None}
    prefix = below.pop() if len(below) == 1 else b""
    return [
        disk if disk is not None else _open_other(cwd, text, prefix, where, lookup)
        for disk, text in zip(disks, texts, strict=True)
    ]


def _is_folder(text: str) -> bool:
    return text.startswith("dir:") or (not text.startswith(locate.STAGES) and not text.endswith(locate.ARCHIVES))


def _open_on_disk(cwd: Path, text: str, *, brief: bool) -> OpenStage:
    root = Path(os.path.realpath(cwd / (text.removeprefix("dir:") or ".")))
    if not root.is_dir():
        name = text.removeprefix("dir:")
        hint = locate.suggest_path(cwd, name) or "a file is tar:FILE or manifest:FILE"
        raise UsageError(f"folder '{name}' not found", hint=hint)
    repository = git.repository_of(root)
    if repository is not None:
        top = Path(os.path.realpath(repository.top))
        prefix = b"" if root == top else os.fsencode(root.relative_to(top)) + b"/"
        # an unpacked archive somewhere inside a working tree is no part of it
        if not prefix or repository.tracks(prefix):
            repository = repository._replace(top=top)
            listing = repository.working_tree()  # git works while the rest is being imported
            return OpenStage(_disk(text, root, listing, prefix, brief=brief), repository, prefix, root=root)
    return OpenStage(_disk(text, root, None, b"", brief=brief), root=root)


def _disk(text: str, root: Path, listing: git.WorktreeListing | None, prefix: bytes, *, brief: bool) -> Snapshotter:
    from buildguard.stages.filesystem_snapshot import DiskSnapshotter

    return DiskSnapshotter(text, root, listing, prefix, brief=brief)


def _open_other(cwd: Path, text: str, prefix: bytes, where: CloudLocation, lookup: ImageLookup) -> OpenStage:
    kind, _, rest = text.partition(":")
    match kind:
        case "build":
            from buildguard.compare.build_stage import BuildSnapshotter

            return OpenStage(BuildSnapshotter(text, *where.filled(cwd)))
        case "gs" if text.startswith(_BUCKET):
            from buildguard.gcp.object_stage import ObjectSnapshotter

            return OpenStage(ObjectSnapshotter(text))
        case "commit" | "index":
            return _open_in_git(cwd, text, prefix)
        case "image":
            from buildguard.compare.image_stage import ImageSnapshotter

            return OpenStage(ImageSnapshotter(cwd, text, lookup))
        case "tar" | "manifest":
            return _open_file(cwd, text, rest)
        case _:
            return _open_file(cwd, text, text)


def _open_in_git(cwd: Path, text: str, prefix: bytes) -> OpenStage:
    from buildguard.stages.git_objects import commit_of, index_of
    from buildguard.stages.git_snapshot import GitSnapshotter

    kind, _, rest = text.partition(":")
    repository = git.repository_of(cwd)
    if repository is None:
        raise git.missing_repository(f"'{text}' needs a git repository")
    if kind == "index" and rest:
        raise UsageError("'index:' takes nothing after the colon")
    stage = index_of(repository) if kind == "index" else commit_of(repository, rest or "HEAD")
    return OpenStage(GitSnapshotter(stage, prefix), repository, prefix, stage)


def _open_file(cwd: Path, text: str, name: str) -> OpenStage:
    from buildguard.stages.archive_snapshot import ArchiveSnapshotter, ManifestSnapshotter

    file = cwd / name
    if not file.is_file():
        raise UsageError(f"file '{name}' not found", hint=locate.suggest_path(cwd, name))
    return OpenStage((ManifestSnapshotter if text.startswith("manifest:") else ArchiveSnapshotter)(text, file))


def take_snapshot(stage: Snapshotter, name: str) -> Snapshot:
    """The snapshot of a stage; nothing seen is nothing proven, and what cannot be read has no differences."""
    from buildguard.stages.manifest import Manifest

    try:
        seen = stage.snapshot()
    except UnprovenError as error:
        return Snapshot(
            name, StageKind.UNREAD, Manifest([]), unproven=(Unproven(None, None, f"{name}: {error.words}"),)
        )
    if seen.manifest.entries or seen.unproven or seen.damaged:
        return seen
    return seen._replace(unproven=(Unproven(None, None, f"there is nothing in {name}"),))
