"""Random trees and damage against the step's proof, in this process; the oracle is not buildguard's."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

from buildguard.remote import build_step
from buildguard.remote.workspace import scan_workspace
from buildguard.stages.manifest import CARRIED
from tests.compare import chance
from tests.conftest import ALL
from tests.remote.running import carry

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_no_damage_is_identical_and_nothing_else_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = set()
    for seed in range(400 if ALL else 60):
        rng = random.Random(seed)
        tree = tmp_path / str(seed)
        chance.tree(tree, rng)
        digest = carry(tree)
        monkeypatch.chdir(tree)
        clean = build_step._prove_bytes(scan_workspace(), digest)
        assert (clean.differences, clean.unproven, clean.wrong, clean.digest) == ((), (), "", digest), seed
        before = chance.seen(tree)

        ways.add(chance.damage(tree, rng))

        damaged = build_step._prove_bytes(scan_workspace(), digest)
        after = chance.seen(tree)
        expected = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        if CARRIED in expected:
            kept = CARRIED in after and after[CARRIED][2] == before[CARRIED][2]  # its mode is no one's business
            assert damaged.wrong or kept, seed
            expected.discard(CARRIED)
        if damaged.wrong:
            continue
        assert {one.path for one in damaged.differences} == expected, (seed, ways)
        assert (damaged.digest == digest) == (not expected)
    assert len(ways) > 7


def test_what_lies_where_nobody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that hold no sources are compared like every other one."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.py").write_text("x = 1\n")
    digest = carry(tree)
    monkeypatch.chdir(tree)
    for name in (
        "node_modules/x.js",
        "__pycache__/a.pyc",
        ".venv/pyvenv.cfg",
        ".hg/x",
        "d/.git/config",
        os.fsdecode(b"\xff/x"),
    ):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")

        assert [os.fsdecode(one.path) for one in build_step._prove_bytes(scan_workspace(), digest).differences] == [
            name
        ]
        path.unlink()
