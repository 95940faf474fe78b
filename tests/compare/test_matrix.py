"""The corruption matrix: each kind of damage, done for real at each hop that can have it, is found with its cause."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from buildguard.compare import diff
from tests.compare import damage
from tests.compare.damage import DAMAGES, TREE, Damage, Tree, stage_of, worktree_of
from tests.conftest import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from buildguard.compare.chain import Chain

pytestmark = pytest.mark.interpreters

_KINDS = ("folder", "tgz", "pax", "zip", "commit", "index", "worktree")
# each kind of stage on each side; the rest of the square adds no other code
PAIRS = [
    *(("commit", kind) for kind in _KINDS if kind != "commit"),
    *(("index", kind) for kind in ("worktree", "tgz")),
    *(("worktree", kind) for kind in ("tgz", "zip", "folder")),
    *(("tgz", kind) for kind in ("folder", "zip", "commit")),
    *(("folder", kind) for kind in ("pax", "worktree")),
    ("zip", "folder"),
    ("pax", "tgz"),
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("custody") / "repo"
    damage.repository(made)
    return made


@pytest.fixture
def repo(template: Path, tmp_path: Path) -> Path:
    return shutil.copytree(template, tmp_path / "repo", symlinks=True)


def chain_of(repo: Path, one: Damage, before: str, after: str, of: Tree = TREE) -> Chain:
    """HEAD, a clean stage, a damaged one."""
    clean = repo.parent / "clean"
    damage.fill_clean(clean, of)
    there = {"worktree": f"dir:{repo}", "commit": "commit:HEAD", "index": "index:"}
    first = there.get(before) or stage_of(before, clean, repo, "clean")
    damaged = repo.parent / "damaged"
    damage.fill_clean(damaged, of)
    one.do(damaged)
    last = worktree_of(damaged, repo) if after == "worktree" else stage_of(after, damaged, repo, "damaged")
    names = [first, last] if before == "commit" else ["commit:HEAD", first, last]
    return diff.diff(repo, names).chain


def rows_of(chain: Chain, hop: int) -> dict[str, tuple[str, str]]:
    return {os.fsdecode(row.path): (row.change, row.cause) for row in chain.hops[hop].differences}


def expected_of(one: Damage, before: str, after: str) -> dict[str, tuple[str, str]]:
    edited = one.worktree and after == "worktree" and before in {"commit", "index"}
    return {path: (change, one.worktree if edited else cause) for path, (change, cause) in one.expected.items()}


def _product() -> Iterator[tuple[Damage, str, str]]:
    """Each damage in two kinds of stages behind a commit, each kind with a third of them; in `all` the whole product."""
    behind = [pair for pair in PAIRS if pair[0] == "commit"]
    for number, one in enumerate(DAMAGES):
        chosen = PAIRS if ALL else (behind[number % len(behind)], behind[(number + 3) % len(behind)])
        yield from ((one, *pair) for pair in chosen)


@pytest.mark.parametrize(
    ("one", "before", "after"),
    list(_product()),
    ids=lambda value: value.name.replace(" ", "-") if isinstance(value, Damage) else value,
)
def test_damage_is_found_where_it_happened(repo: Path, one: Damage, before: str, after: str) -> None:
    chain = chain_of(repo, one, before, after)

    last = len(chain.hops) - 1
    assert rows_of(chain, last) == expected_of(one, before, after)
    assert all(not hop.differences for hop in chain.hops[:last])
    assert chain.first_changed == last
    assert chain.exit_code == 1


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_nothing_is_found_where_nothing_happened(repo: Path, before: str, after: str) -> None:
    chain = chain_of(repo, Damage("none", lambda _tree: None, {}), before, after)

    assert all(hop.identical for hop in chain.hops)
    assert chain.first_changed is None
    assert chain.exit_code == 0
