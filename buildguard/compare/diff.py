"""`buildguard diff`: two stages or more, hop by hop, and the first hop where something changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType

from buildguard.compare import hop_notes
from buildguard.compare.chain import Chain, ComparedHop, Hop, settle_chain
from buildguard.compare.difference import Difference, find_differences, list_incomparable, unread_paths
from buildguard.compare.evidence import CopyRecipe, EvidenceCollector, HopSide
from buildguard.compare.explain import explain_differences
from buildguard.compare.image_lookup import ANY_IMAGE, ImageLookup
from buildguard.compare.open_stage import CloudLocation, OpenStage, open_stages, take_snapshot
from buildguard.compare.upload_risks import UploadPlan
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Unproven, display_path
from buildguard.errors import GuardError, UnprovenError, UsageError
from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.project import discovery
from buildguard.stages.filesystem import stage_on_disk
from buildguard.stages.snapshot import Snapshot, StageKind
from buildguard.stages.stage import Stage
from buildguard.system import git


class DiffResult(NamedTuple):
    """What `diff` returns: the chain, and what an upload of its working tree would do with it, where there is one."""

    chain: Chain
    plan: UploadPlan | None = None


def diff(
    cwd: Path,
    texts: Sequence[str],
    *,
    strict: bool = False,
    where: CloudLocation = CloudLocation(),  # noqa: B008
    lookup: ImageLookup = ANY_IMAGE,
) -> DiffResult:
    """Compare neighbouring stages; `lookup` is how an image is read, and what it is compared with.

    Raises UsageError for what is no stage, UnprovenError for one that cannot be read.
    """
    if len(texts) < 2:  # noqa: PLR2004
        raise UsageError("diff takes two stages or more", hint="buildguard diff commit:HEAD dir:.")
    stages = open_stages(cwd, texts, where=where, lookup=lookup)
    sides = [HopSide(stage.stage, take_snapshot(stage.stage, text)) for stage, text in zip(stages, texts, strict=True)]
    at_hand = next((stage for stage in stages if stage.repository is not None), stages[0])
    repository = at_hand.repository or git.repository_of(cwd)
    commit = next((side.snapshot.commit for side in sides if side.snapshot.kind is StageKind.COMMIT), "")
    collector = EvidenceCollector(
        repository, commit or (repository.head if repository else ""), at_hand.prefix, lambda: _list_recipes(stages)
    )
    return DiffResult(
        Chain(compare_hops(sides, collector), tuple(collector.notes), strict), _plan_upload(sides, stages)
    )


def compare_hops(sides: Sequence[HopSide], collector: EvidenceCollector) -> tuple[Hop, ...]:
    """Every hop between neighbouring stages, each difference with its cause."""
    compared = [_compare_hop(before, after, collector) for before, after in pairwise(sides)]
    return tuple(
        Hop(
            hop.before,
            hop.after,
            tuple(rows),
            tuple(hop_notes.notes(hop.before, hop.after)),
            tuple(_list_unproven(hop.before, hop.after, rows)),
        )
        for hop, rows in zip(compared, settle_chain(compared), strict=True)
    )


def _compare_hop(before: HopSide, after: HopSide, collector: EvidenceCollector) -> ComparedHop:
    rows = find_differences(before.snapshot, after.snapshot)
    evidence = collector.collect(before, after, rows)
    explained = explain_differences(rows, before.snapshot, after.snapshot, evidence)
    return ComparedHop(before.snapshot, after.snapshot, explained)


def _list_unproven(before: Snapshot, after: Snapshot, rows: Sequence[Difference]) -> Iterator[Unproven]:
    """What one of two stages does not record, and the rows that may be findings or not."""
    yield from list_incomparable(before, after)
    for row in rows:
        if row.undecided:
            yield Unproven(display_path(row.path), None, f"{row.evidence}: {row.undecided}")


def _list_recipes(stages: Sequence[OpenStage]) -> list[CopyRecipe]:
    """The paths that the Dockerfiles of the first stage with sources copy, below its prefix."""
    for stage in stages:
        sources = _source_stage(stage)
        if sources is None:
            continue
        try:
            image_recipes = _recipes_in(sources)
        except GuardError:
            continue
        paths = [os.fsdecode(entry.path) for entry in sources.entries()]
        return [_recipe(recipe, paths, stage.prefix) for recipe in image_recipes]
    return []


def _source_stage(stage: OpenStage) -> Stage | None:
    """The stage as one whose files can be listed and read; None where it is a part of one, or holds only digests."""
    if stage.git_stage is not None:
        return stage.git_stage
    if stage.root is None or stage.prefix:
        return None
    return stage_on_disk(stage.root, stage.repository)


def _recipes_in(stage: Stage) -> Sequence[discovery.ImageRecipe]:
    place = WorkScope(stage.root, None, stage, ())
    return Project(place, Project(place).root_config).recipes


def _recipe(recipe: discovery.ImageRecipe, paths: list[str], prefix: bytes) -> CopyRecipe:
    service = recipe.service
    model = recipe.model(paths)
    copied = _below(prefix, model.twins.values())
    doubts = {path: model.doubts[name] for path, name in _below(prefix, model.doubts).items()}
    return CopyRecipe(service.dockerfile, service.context, frozenset(copied), MappingProxyType(doubts))


def _below(prefix: bytes, names: Iterable[str]) -> dict[bytes, str]:
    """The names that begin with a prefix, by their paths without it."""
    paths = ((os.fsencode(name), name) for name in names)
    return {path[len(prefix) :]: name for path, name in paths if path.startswith(prefix)}


def _plan_upload(sides: Sequence[HopSide], stages: Sequence[OpenStage]) -> UploadPlan | None:
    """What would be sent of a working tree, by the ignore files on disk, where its commit or its index is compared."""
    from buildguard.compare import upload_risks
    from buildguard.stages import disk_walk

    committed = next((side.snapshot for side in sides if side.snapshot.kind.in_git), None)
    worktree = next((side for side in sides if side.snapshot.kind is StageKind.WORKTREE), None)
    if committed is None or worktree is None:
        return None
    root = next(stage.root for stage in stages if stage.stage is worktree.stage)
    assert root is not None
    recipes = [(recipe.dockerfile, recipe.context, recipe.copied) for recipe in _list_recipes(stages)]
    folder = upload_risks.UploadFolder(
        worktree.snapshot.manifest,
        disk_walk.file_reader(root),
        os.path.lexists(root / ".git"),
        lambda keeps: disk_walk.walk(root, worktree.snapshot.unlisted, keeps),
        frozenset(unread_paths(worktree.snapshot)),
    )
    try:
        return upload_risks.plan_upload(committed, folder, recipes)
    except UnprovenError as error:
        return upload_risks.UploadPlan((), (), (upload_risks.UploadRisk(upload_risks.UNKNOWN, b"", error.words),))
