"""Random repositories, damage and archive writers from end to end: no difference missed, none invented, none of a wrong kind."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from buildguard.compare import diff
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
from buildguard.system import git as gits
from tests.compare import worlds
from tests.compare.worlds import SUBMODULE, Tree, World
from tests.conftest import ALL

pytestmark = pytest.mark.interpreters

_CASES = 5_000 if ALL else 50


def _without_rows(tree: Tree) -> Tree:
    """A tree without the rows of its submodules, whose files count one by one."""
    return {path: entry for path, entry in tree.items() if entry[0] != SUBMODULE}


def _found(repo: Path, *stages: str) -> dict[str, tuple[str, bool]]:
    """Each path of the last hop with its kind, and whether it is a finding."""
    chain = diff.diff(repo, stages).chain
    return {os.fsdecode(row.path): (str(row.change), row.finding) for row in chain.hops[-1].differences}


def working_tree(world: World, dice: random.Random) -> list[str]:
    """Damage on disk."""
    after = worlds.damaged(world.disk, dice)
    worlds.rewrite(world.folder, world.disk, after)
    expected = worlds.differences(_without_rows(world.committed), _without_rows(after))
    rows = _found(world.folder, "commit:HEAD", "dir:.")
    wrong = [
        f"{path}: {rows.get(path, '')}, truth: {expected.get(path, '')}"
        for path in rows.keys() | expected
        if rows.get(path, ("",))[0] != expected.get(path, "")
    ]
    asked_for = {path for path in rows if _is_asked_for(world.committed.get(path), after.get(path), path)}
    return wrong + [
        f"{path}: finding={finding}" for path, (_kind, finding) in rows.items() if finding == (path in asked_for)
    ]


def _is_asked_for(before: tuple[str, bytes] | None, after: tuple[str, bytes] | None, path: str) -> bool:
    """Whether git would commit the very same of what is on disk."""
    if before is None or after is None or before[0] != after[0]:
        return False
    return worlds.cleaned(path, after[1]) == before[1]


def archive(world: World, dice: random.Random) -> list[str]:
    """Damage in an archive, whoever wrote it."""
    name = dice.choice(sorted(worlds.WRITERS))
    suffix, write = worlds.WRITERS[name]
    tree = _without_rows(world.committed if dice.random() < 0.6 else worlds.exported(world))
    after = worlds.damaged(tree, dice)
    write(world.folder.parent / suffix, after)
    return _compare_archive(world, after, world.folder.parent / suffix)


def own_archive(world: World, _dice: random.Random) -> list[str]:
    """The archive that a deploy sends."""
    opened = gits.repository_of(world.folder)
    assert opened is not None
    pack(commit_of(opened, "HEAD"), world.folder.parent / "own.tgz")
    return _compare_archive(world, _without_rows(world.committed), world.folder.parent / "own.tgz")


def _compare_archive(world: World, after: Tree, file: Path) -> list[str]:
    expected = worlds.differences(_without_rows(world.committed), after)
    rows = {path: kind for path, (kind, _finding) in _found(world.folder, "commit:HEAD", f"tar:{file}").items()}
    for folder in world.closed:
        expected[folder] = rows.get(folder, "")  # what is not checked out may be missing from an archive or not
    return [
        f"{path}: {rows.get(path, '')}, truth: {expected.get(path, '')}"
        for path in rows.keys() | expected
        if rows.get(path, "") != expected.get(path, "")
    ]


def index(world: World, _dice: random.Random) -> list[str]:
    """The index is what was read into it; a path in conflict is unknown."""
    chain = diff.diff(world.folder, ["commit:HEAD", "index:"]).chain
    rows = [f"index: {row}" for row in chain.hops[-1].differences]
    in_doubt = {item.path for item in chain.unproven}
    if "conflict" in world.features and not in_doubt:
        rows.append("index: a conflict went by in silence")
    return rows


def case(folder: Path, seed: int) -> tuple[World, list[str]]:
    """A world of a seed, and what is wrong with the answers about it."""
    dice = random.Random(seed)
    world = worlds.make(folder, dice)
    judge = dice.choice((working_tree, working_tree, archive, archive, own_archive, index))
    return world, [f"{judge.__name__}, {sorted(world.features)}: {line}" for line in judge(world, dice)]


@pytest.mark.interpreters
def test_no_miss_no_false_row_no_wrong_kind(tmp_path: Path) -> None:
    features: Counter[str] = Counter()
    for seed in range(_CASES):
        world, wrong = case(tmp_path / str(seed), seed)
        shutil.rmtree(tmp_path / str(seed))
        assert not wrong, (seed, wrong)
        features.update(world.features)

    assert len(features) >= 9, features


@pytest.mark.interpreters
@pytest.mark.parametrize("seed", range(3))
def test_a_truth_that_is_wrong_would_be_seen(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    world = worlds.make(tmp_path / "w", dice)
    world.committed["invented.py"] = (worlds.FILE, b"x\n")

    assert working_tree(world, dice)


@pytest.mark.interpreters
def test_a_filter_explains_no_executable_bit(tmp_path: Path) -> None:
    world = _world_with(tmp_path, "w.crlf")
    (world.folder / "w.crlf").chmod(0o755)

    row = diff.diff(world.folder, ["commit:HEAD", "dir:."]).chain.hops[0].differences[0]

    assert (row.finding, row.explained) == (True, "")
    assert "its executable bit changed too" in row.evidence


@pytest.mark.interpreters
def test_an_lfs_pointer_explains_no_executable_bit(tmp_path: Path) -> None:
    world = _world_with(tmp_path, "big.lfs")
    assert _found(world.folder, "commit:HEAD", "dir:.") == {"big.lfs": ("changed", False)}

    (world.folder / "big.lfs").chmod(0o755)

    assert _found(world.folder, "commit:HEAD", "dir:.") == {"big.lfs": ("changed", True)}


def _world_with(folder: Path, path: str) -> World:
    """A repository on disk with attributes and one file that a checkout changes."""
    files: Tree = {
        path: (worlds.FILE, worlds.POINTER if path.endswith(".lfs") else b"x = 1\n"),
        ".gitattributes": (worlds.FILE, worlds.ATTRIBUTES),
    }
    return worlds.of_files(folder, files)


@pytest.mark.interpreters
def test_the_filters_of_a_submodule_are_its_own(tmp_path: Path) -> None:
    for seed in range(200):
        dice = random.Random(seed)
        world = worlds.make(tmp_path / str(seed), dice)
        path = next((path for path in world.disk if path.startswith("sub/") and path.endswith(".crlf")), "")
        if path:
            assert _found(world.folder, "commit:HEAD", "dir:.")[path] == ("changed", False)
            return
    pytest.fail("no world has such a submodule")
