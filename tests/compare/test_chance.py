"""No damage ever comes back as identical, and no clean chain raises an alarm."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from buildguard.errors import UnprovenError
from buildguard.stages import manifest
from buildguard.stages.archives import reader
from tests.compare import chains, chance, damage, mutants
from tests.conftest import ALL

if TYPE_CHECKING:
    from pathlib import Path

_INJECTIONS = 2000 if ALL else 120
_MUTANTS = 2500 if ALL else 400
_CHAINS = 60 if ALL else 12


@pytest.mark.parametrize("part", range(4))
def test_no_damage_comes_back_as_identical(tmp_path: Path, part: int) -> None:
    done: Counter[str] = Counter()
    for seed in range(part, _INJECTIONS, 4):
        name, was_seen = chance.injection(tmp_path, seed)
        assert was_seen, f"seed {seed}: {name}"
        done[name] += 1

    assert len(done) >= 10, done
    assert sum(done.values()) == _INJECTIONS // 4


def test_the_harness_fails_where_the_check_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chance, "judged", lambda before, after: False)

    assert not all(chance.injection(tmp_path, seed)[1] for seed in range(5))


@pytest.mark.interpreters
@pytest.mark.parametrize("kind", ["tar", "tgz", "zip"])
def test_a_mutated_archive_is_refused_or_differs(tmp_path: Path, kind: str) -> None:
    """Bits flipped, ends cut, pieces moved: members lost without a word would be the worst."""
    repo = tmp_path / "repo"
    damage.repository(repo)
    file = tmp_path / f"made.{kind}"
    stage = damage.stage_of(kind, repo, repo, "made")
    data = (repo / "stages" / f"made.{kind}").read_bytes()
    assert stage.endswith(kind)
    whole = reader.read(repo / "stages" / f"made.{kind}")
    rng = random.Random(zlib.crc32(kind.encode()))
    outcomes: Counter[str] = Counter()
    for _ in range(_MUTANTS):
        way, mutant = mutants.mutated(data, rng)
        if mutant == data:
            continue
        file.write_bytes(mutant)
        try:
            found = reader.read(file)
        except UnprovenError:
            outcomes["refused"] += 1
            continue
        same = found.manifest.rows() == whole.manifest.rows()
        outcomes["same members" if same else "differs"] += 1
        assert found.file_digest != whole.file_digest
        if way in mutants.KEEPS_BLOCKS:
            assert len(found.manifest.entries) == len(whole.manifest.entries), "members were lost without an error"

    assert outcomes["refused"] > _MUTANTS // 2, outcomes


@pytest.mark.interpreters
@pytest.mark.parametrize("part", range(4))
def test_clean_chains_raise_no_alarm(tmp_path: Path, part: int) -> None:
    for seed in range(part, _CHAINS, 4):
        found = chains.chain(tmp_path / str(seed), seed)
        assert (found.exit_code, [one.evidence for hop in found.hops for one in hop.findings]) == (0, []), (
            f"seed {seed}"
        )
        assert not found.unproven


def test_a_manifest_reads_itself_back_whatever_the_tree(tmp_path: Path) -> None:
    for seed in range(100 if ALL else 50):
        rng = random.Random(seed)
        root = tmp_path / str(seed)
        chance.tree(root, rng)
        made = chance.of_folder(root).manifest
        assert manifest.parse(made.rows(), "rows").rows() == made.rows()
        sums = manifest.parse(made.sums(), "sums")
        assert {path: one.sha256 for path, one in sums.entries.items()} == {
            path: one.sha256 for path, one in made.entries.items() if one.type == "file"
        }
