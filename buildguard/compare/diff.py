"""`buildguard diff`: two stages or more, hop by hop, and the first hop where something changed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from buildguard.compare import difference, hop_notes
from buildguard.compare.chain import Chain, Hop
from buildguard.compare.difference import Difference
from buildguard.compare.evidence import Collector, Recipe, Side, reading
from buildguard.compare.open_stage import Opened, Where, looked_at, opened
from buildguard.compare.upload_risks import Plan
from buildguard.diagnostic import Unproven, shown_path
from buildguard.errors import GuardError, UnprovenError, UsageError
from buildguard.project import config as configs
from buildguard.project import discovery, image_layout
from buildguard.stages import snapshot
from buildguard.stages.filesystem import stage_on_disk
from buildguard.stages.snapshot import Snapshot
from buildguard.system import git


class Compared(NamedTuple):
    """What `diff` returns: the chain, and what an upload of its working tree would do with it, where there is one."""

    chain: Chain
    plan: Plan | None = None


def diff(
    cwd: Path,
    texts: Sequence[str],
    *,
    strict: bool = False,
    where: Where = Where(),  # noqa: B008
    project: str = "",
) -> Compared:
    """Compare neighbouring stages; `project` is the commit whose files an image should have, in place of those on disk.

    Raises UsageError for what is no stage, UnprovenError for one that cannot be read.
    """
    if len(texts) < 2:  # noqa: PLR2004
        raise UsageError("diff takes two stages or more", hint="buildguard diff commit:HEAD dir:.")
    stages = opened(cwd, texts, where=where, project=project)
    sides = [Side(one.stage, looked_at(one.stage, text)) for one, text in zip(stages, texts, strict=True)]
    at_hand = next((one for one in stages if one.repository is not None), stages[0])
    repository = at_hand.repository or git.repository_of(cwd)
    commit = next((side.snapshot.commit for side in sides if side.snapshot.kind == snapshot.COMMIT), "")
    collector = Collector(
        repository, commit or (repository.head if repository else ""), at_hand.prefix, lambda: _recipes(stages)
    )
    return Compared(Chain(hops(sides, collector), tuple(collector.notes), strict), _plan(sides, stages))


def hops(sides: Sequence[Side], collector: Collector) -> tuple[Hop, ...]:
    """Every hop between neighbouring stages, each difference with its cause."""
    found = []
    for before, after in pairwise(sides):
        rows = difference.rows(before.snapshot, after.snapshot)
        evidence = collector.of(before, after, rows)
        found.append(
            (before.snapshot, after.snapshot, difference.explained(rows, before.snapshot, after.snapshot, evidence))
        )
    return tuple(
        Hop(before, after, tuple(rows), tuple(hop_notes.notes(before, after)), tuple(_untold(before, after, rows)))
        for (before, after, _rows), rows in zip(found, difference.settled(found), strict=True)
    )


def _untold(before: Snapshot, after: Snapshot, rows: Sequence[Difference]) -> Iterator[Unproven]:
    """What one of two stages has no words for, and the rows that may be findings or not."""
    yield from difference.untold(before, after)
    for row in rows:
        if row.undecided:
            yield Unproven(shown_path(row.path), None, f"{row.evidence}: {row.undecided}")


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
            found = discovery.recipes(judged, config)
        except GuardError:
            continue
        paths = [os.fsdecode(entry.path) for entry in judged.entries()]
        return [_recipe(recipe, paths, one.prefix) for recipe in found]
    return []


def _recipe(recipe: discovery.Recipe, paths: list[str], prefix: bytes) -> Recipe:
    service = recipe.service
    found = image_layout.of_dockerfile(
        recipe.dockerfile, dict(service.build_args), service.stage, service.context, paths
    )
    copied = {os.fsencode(path) for path in found.twins.values()}
    inside = frozenset(path[len(prefix) :] for path in copied if path.startswith(prefix))
    doubts = {
        os.fsencode(path)[len(prefix) :]: why
        for path, why in found.doubts.items()
        if os.fsencode(path).startswith(prefix)
    }
    return Recipe(service.dockerfile, service.context, inside, doubts)


def _plan(sides: Sequence[Side], stages: Sequence[Opened]) -> Plan | None:
    """What would be sent of a commit, where its working tree stands beside it."""
    from buildguard.compare import upload_risks

    committed = next((side for side in sides if side.snapshot.kind in snapshot.IN_GIT), None)
    worktree = next((side for side in sides if side.snapshot.kind == snapshot.WORKTREE), None)
    if committed is None or worktree is None:
        return None
    recipes = _recipes(stages)
    has_git = not next(one.prefix for one in stages if one.stage is committed.stage)
    try:
        return upload_risks.plan(
            committed.snapshot,
            worktree.snapshot.manifest,
            reading(committed),
            [(one.dockerfile, one.context, one.copied) for one in recipes],
            has_git=has_git,
        )
    except UnprovenError as error:
        return upload_risks.Plan((), (), (upload_risks.Killer("unknown", b"", error.words),))
