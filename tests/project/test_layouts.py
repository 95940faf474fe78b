"""The corpus of layouts: no wrong target, no wrong set of files."""

from __future__ import annotations

import pytest

from buildguard.project import discovery
from buildguard.project.config import Config
from buildguard.project.discovery import DiscoveredTargets
from buildguard.project.target import Target
from tests.project.layouts import Layout, layouts
from tests.project.memory import MemoryStage

_LAYOUTS = list(layouts())


def test_the_corpus_is_large_enough() -> None:
    assert len(_LAYOUTS) >= 60


@pytest.mark.parametrize("layout", _LAYOUTS, ids=[layout.name for layout in _LAYOUTS])
def test_targets_and_files(layout: Layout) -> None:
    stage = MemoryStage({**layout.files})
    discovered = discovery.discover_targets(stage, Config(), stage.sources())

    found = {(target.python, _files_of(target, discovered, stage)) for target in discovered.targets}

    assert found == layout.expected


@pytest.mark.parametrize("layout", _LAYOUTS, ids=[layout.name for layout in _LAYOUTS])
def test_a_picked_service_has_the_files_that_it_has_among_all(layout: Layout) -> None:
    stage = MemoryStage({**layout.files})
    every = discovery.discover_targets(stage, Config(), stage.sources())

    for service in {target.service for target in every.targets if target.service}:
        picked = discovery.discover_targets(stage, Config(), stage.sources(), (), service)
        expected = {_files_of(target, every, stage) for target in every.targets if target.service == service}
        assert {_files_of(target, picked, stage) for target in picked.targets} == expected


def _files_of(target: Target, discovered: DiscoveredTargets, stage: MemoryStage) -> frozenset[str]:
    among = (*discovered.targets, *discovered.neighbours)
    return frozenset(entry.path.decode() for entry in discovery.covered_entries(target, among, stage.sources()))
