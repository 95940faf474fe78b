"""The fault matrix in the suite: everything alone, the controls, and a pair for every two causes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ALL
from tests.diagnose import matrix
from tests.diagnose.matrix import CONTROLS, FAULTS, LOG, TREE, World

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("engine")
_ALONE = [(one,) for one in FAULTS]
_CONTROLS = [(one,) for one in CONTROLS]
_PAIRS = matrix.some_pairs()


def _looked_at() -> Iterator[tuple[matrix.Fault, ...]]:
    """Every fault alone; of damages of a tree that have the same causes, the first and each fourth after it."""
    alike: Counter[frozenset[str]] = Counter()
    for one in FAULTS:
        number = alike[frozenset(one.causes)]
        if ALL or one.family != TREE or number % 4 == 0:
            yield (one,)
        alike[frozenset(one.causes)] += one.family == TREE


_EXAMINED = [*_looked_at()]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World([*_CONTROLS, *_EXAMINED, *(_PAIRS if ALL else ())]) as made:
        yield made


@pytest.mark.parametrize(
    "scene",
    [*_EXAMINED, *(pytest.param(pair, marks=pytest.mark.slow) for pair in _PAIRS)],
    ids=matrix.name,
)
def test_every_cause_at_work_is_proven_and_no_other(world: World, scene: tuple[matrix.Fault, ...]) -> None:
    assert not matrix.wrong(scene, world.examined(scene))


@pytest.mark.parametrize("scene", _CONTROLS, ids=matrix.name)
def test_no_control_is_called_faulty(world: World, scene: tuple[matrix.Fault, ...]) -> None:
    assert not matrix.wrong(scene, world.examined(scene))


@pytest.mark.parametrize("scene", [one for one in _ALONE if one[0].family != LOG], ids=matrix.name)
def test_what_was_not_looked_at_is_not_refuted(world: World, scene: tuple[matrix.Fault, ...]) -> None:
    """The fault is in an image, a build or a revision, and the repository alone is asked."""
    assert not matrix.refuted_unseen(scene, world.examined(scene, blind=True))


def test_every_cause_is_at_work_somewhere_alone_and_in_pairs(world: World) -> None:
    (causes,) = {tuple(one.id for one in world.examined(_CONTROLS[0]).diagnosis.hypotheses)}

    every = {*causes} - matrix.BY_SOURCE
    assert every == {cause for one in FAULTS for cause in one.causes}
    assert every == {cause for (one,) in _EXAMINED for cause in one.causes}
    assert every == {cause for pair in _PAIRS for one in pair for cause in one.causes}
    assert {*map(matrix.name, matrix.pairs())} >= {*map(matrix.name, _PAIRS)}
