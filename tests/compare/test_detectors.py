"""Each detector is needed: with any one of them disabled, the corruption matrix fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.compare import causes, diff
from buildguard.compare.evidence import EvidenceCollector
from buildguard.compare.name_index import NameIndex
from tests.compare import damage
from tests.compare.damage import DAMAGES, Damage, stage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.interpreters


Made = tuple[Path, list[tuple[Damage, str]]]
NAMES = ("find_normalized", "find_collision", "find_moved", "find_swapped")


def made_in(base: Path) -> Made:
    """A repository, and every damage as a folder that `commit:HEAD` can be compared with."""
    repo = base / "repo"
    damage.repository(repo)
    stages = []
    for number, one in enumerate(DAMAGES):
        tree = base / str(number)
        damage.fill_clean(tree)
        one.do(tree)
        stages.append((one, stage_of("folder", tree, repo, str(number))))
        shutil.rmtree(tree)
    return repo, stages


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made_in(tmp_path_factory.mktemp("detectors"))


def wrong_of(made: Made) -> Iterator[str]:
    """The damages that do not come back with their cause, each when it is asked for."""
    repo, stages = made
    for one, stage in stages:
        (hop,) = diff.diff(repo, ["commit:HEAD", stage]).chain.hops
        if {os.fsdecode(row.path): (row.change, row.cause) for row in hop.differences} != one.expected:
            yield one.name


def test_with_all_of_them_the_matrix_holds(made: Made) -> None:
    assert list(wrong_of(made)) == []


@pytest.mark.parametrize("detector", causes.DETECTORS, ids=lambda one: one.__name__.strip("_"))
def test_each_detector_of_contents_is_needed(
    made: Made,
    monkeypatch: pytest.MonkeyPatch,
    detector: Callable[[bytes, bytes], causes.Cause | None],
) -> None:
    monkeypatch.setattr(causes, "DETECTORS", tuple(one for one in causes.DETECTORS if one is not detector))

    assert next(wrong_of(made), None)


@pytest.mark.parametrize("name", NAMES)
def test_each_detector_of_names_is_needed(made: Made, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(NameIndex, name, lambda _self, _one: None)

    assert next(wrong_of(made), None)


def test_history_is_needed(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EvidenceCollector, "_find_in_history", lambda _self, _rows: {})

    assert set(wrong_of(made)) == {"stale", "risen"}


def test_no_detector_can_take_a_row_away(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "DETECTORS", ())
    for name in NAMES:
        monkeypatch.setattr(NameIndex, name, lambda _self, _one: None)
    repo, stages = made

    for one, stage in stages:
        chain = diff.diff(repo, ["commit:HEAD", stage]).chain
        assert {os.fsdecode(row.path) for row in chain.hops[0].differences} == set(one.expected)
        assert chain.exit_code == 1
