"""`buildguard diff`: two stages or more, hop by hop, and the first hop where something changed."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from buildguard import config as configs
from buildguard import custody, difference, git
from buildguard.commands.evidence import Collector, Recipe, Side, reading
from buildguard.custody import Chain, Hop
from buildguard.declared import gather, layout
from buildguard.diagnostic import Unproven
from buildguard.errors import GuardError, UnprovenError, UsageError
from buildguard.manifest import Manifest
from buildguard.stages.disk import resolved, stage_on_disk
from buildguard.stages.ingit import commit_of, index_of
from buildguard.stages.snapshots import Archive, Disk, Git, Written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from buildguard.stages.ingit import InGit
    from buildguard.stages.snapshots import Stage
    from buildguard.upload import Plan

_LATER = ("gs://", "build:")
_ARCHIVES = (".tar", ".tgz", ".tar.gz", ".zip")


class Compared(NamedTuple):
    """What `diff` returns: the chain, and what an upload of its working tree would do with it, where there is one."""

    chain: Chain
    plan: Plan | None = None


class Listed(NamedTuple):
    """What `manifest` returns: a snapshot, and the names that not every tool reads back from SHA256SUMS."""

    snapshot: custody.Snapshot
    odd: tuple[bytes, ...]

    @property
    def exit_code(self) -> int:
        """1 where a name is odd, else 3 for anything that could not be looked at, else 0."""
        return 1 if self.odd else 3 if self.snapshot.unproven else 0


def manifest(cwd: Path, text: str) -> Listed:
    """The manifest of one stage. Raises UsageError for what is none, UnprovenError for one that cannot be read."""
    snapshot = _looked_at(opened(cwd, [text])[0].stage, text)
    return Listed(snapshot, tuple(snapshot.manifest.odd()))


def diff(cwd: Path, texts: Sequence[str], *, strict: bool = False) -> Compared:
    """Compare neighbouring stages. Raises UsageError for what is no stage, UnprovenError for one that cannot be read."""
    if len(texts) < 2:  # noqa: PLR2004
        raise UsageError("diff takes two stages or more", hint="buildguard diff commit:HEAD dir:.")
    stages = opened(cwd, texts)
    sides = [Side(one.stage, _looked_at(one.stage, text)) for one, text in zip(stages, texts, strict=True)]
    at_hand = next((one for one in stages if one.repository is not None), stages[0])
    repository = at_hand.repository or git.repository_of(cwd)
    commit = next((side.snapshot.commit for side in sides if side.snapshot.kind == custody.COMMIT), "")
    collector = Collector(
        repository, commit or (repository.head if repository else ""), at_hand.prefix, lambda: _recipes(stages)
    )
    found = []
    for before, after in pairwise(sides):
        rows = difference.rows(before.snapshot, after.snapshot)
        evidence = collector.of(before, after, rows)
        found.append(
            (before.snapshot, after.snapshot, difference.explained(rows, before.snapshot, after.snapshot, evidence))
        )
    hops = tuple(
        Hop(before, after, tuple(rows), tuple(difference.notes(before, after)), tuple(difference.untold(before, after)))
        for (before, after, _rows), rows in zip(found, difference.settled(found), strict=True)
    )
    return Compared(Chain(hops, tuple(collector.notes), strict), _plan(sides, stages))


class Opened(NamedTuple):
    """A stage of the command line, and the repository that it belongs to, below `prefix` in it."""

    stage: Stage
    repository: git.Repository | None = None
    prefix: bytes = b""
    judged: InGit | None = None
    root: Path | None = None


def opened(cwd: Path, texts: Sequence[str]) -> list[Opened]:
    """The stages of a command line; those in git are narrowed to the folder that `dir:` names."""
    disks = {text: _on_disk(cwd, text) for text in texts if _is_folder(text)}
    below = {one.prefix for one in disks.values() if one.repository is not None}
    prefix = below.pop() if len(below) == 1 else b""
    return [disks[text] if text in disks else _other(cwd, text, prefix) for text in texts]


def _is_folder(text: str) -> bool:
    known = ("commit:", "index:", "tar:", "manifest:", "image:", *_LATER)
    return text.startswith("dir:") or not (text.startswith(known) or text.endswith(_ARCHIVES))


def _on_disk(cwd: Path, text: str) -> Opened:
    root = resolved(cwd / (text.removeprefix("dir:") or "."))
    if not root.is_dir():
        raise UsageError(
            f"there is no folder '{text.removeprefix('dir:')}'", hint="a file is tar:FILE or manifest:FILE"
        )
    repository = git.repository_of(root)
    if repository is not None:
        top = resolved(repository.top)
        prefix = b"" if root == top else os.fsencode(root.relative_to(top)) + b"/"
        # an unpacked archive somewhere inside a working tree is no part of it
        if not prefix or repository.tracks(prefix):
            repository = git.Repository(top, repository.head)
            return Opened(Disk(text, root, repository, prefix), repository, prefix, root=root)
    return Opened(Disk(text, root, None), root=root)


def _other(cwd: Path, text: str, prefix: bytes) -> Opened:
    kind, _, rest = text.partition(":")
    if text.startswith(_LATER):
        raise UsageError(f"'{text}' cannot be read by this version of buildguard")
    if kind in {"commit", "index"}:
        repository = git.repository_of(cwd)
        if repository is None:
            raise UsageError(f"'{text}' needs a git repository, and this is none")
        if kind == "index" and rest:
            raise UsageError("'index:' takes nothing after the colon")
        judged = index_of(repository) if kind == "index" else commit_of(repository, rest or "HEAD")
        return Opened(Git(judged, prefix), repository, prefix, judged)
    if kind == "image":
        from buildguard.commands.imaged import Image

        return Opened(Image(cwd, text))
    file = cwd / (rest if kind in {"tar", "manifest"} else text)
    if not file.is_file():
        raise UsageError(f"there is no file '{rest if kind in {'tar', 'manifest'} else text}'")
    return Opened(Written(text, file) if kind == "manifest" else Archive(text, file))


def _looked_at(stage: Stage, name: str) -> custody.Snapshot:
    """The snapshot of a stage; nothing seen is nothing proven, and what cannot be read has no differences."""
    try:
        snapshot = stage.snapshot()
    except UnprovenError as error:
        return custody.Snapshot(name, custody.UNREAD, Manifest([]), unproven=(Unproven(None, None, f"{name}: {error.words}"),))
    if snapshot.manifest.entries or snapshot.unproven:
        return snapshot
    return snapshot._replace(unproven=(Unproven(None, None, f"there is nothing in {name}"),))


def _recipes(stages: Sequence[Opened]) -> list[Recipe]:
    """What the Dockerfiles of the first stage that holds them copy; paths below the prefix."""
    for one in stages:
        judged = one.judged or (
            stage_on_disk(one.root, one.repository) if one.root is not None and not one.prefix else None
        )
        if judged is None:
            continue
        try:
            config = configs.read(
                {
                    entry.path: content
                    for entry, content in judged.contents(e for e in judged.entries() if e.path in configs.FILES)
                    if isinstance(content, bytes)
                }
            )
            found = gather.recipes(judged, config)
        except GuardError:
            continue
        paths = [os.fsdecode(entry.path) for entry in judged.entries()]
        return [_recipe(recipe, paths, one.prefix) for recipe in found]
    return []


def _recipe(recipe: gather.Recipe, paths: list[str], prefix: bytes) -> Recipe:
    service = recipe.service
    found = layout.of_dockerfile(recipe.dockerfile, dict(service.build_args), service.stage, service.context, paths)
    copied = {os.fsencode(path) for path in found.twins.values()}
    inside = frozenset(path[len(prefix) :] for path in copied if path.startswith(prefix))
    return Recipe(service.dockerfile, service.context, inside)


def _plan(sides: Sequence[Side], stages: Sequence[Opened]) -> Plan | None:
    """What would be sent of a commit, where its working tree stands beside it."""
    from buildguard import upload

    committed = next((side for side in sides if side.snapshot.kind in custody.IN_GIT), None)
    worktree = next((side for side in sides if side.snapshot.kind == custody.WORKTREE), None)
    if committed is None or worktree is None:
        return None
    recipes = _recipes(stages)
    has_git = not next(one.prefix for one in stages if one.stage is committed.stage)
    try:
        return upload.plan(
            committed.snapshot,
            worktree.snapshot.manifest,
            reading(committed),
            [(one.dockerfile, one.context, one.copied) for one in recipes],
            has_git=has_git,
        )
    except UnprovenError as error:
        return upload.Plan((), (), (upload.Killer("unknown", b"", error.words),))
