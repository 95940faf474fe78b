"""The corpus of layouts: no wrong target, no wrong set of files."""

from __future__ import annotations

import pytest

from buildguard.project import discovery
from buildguard.project.config import Config
from tests.project.layouts import Layout, layouts
from tests.project.memory import MemoryStage

_LAYOUTS = list(layouts())


def test_the_corpus_is_large_enough() -> None:
    assert len(_LAYOUTS) >= 60


@pytest.mark.parametrize("layout", _LAYOUTS, ids=[layout.name for layout in _LAYOUTS])
def test_targets_and_files(layout: Layout) -> None:
    stage = MemoryStage({**layout.files})
    discovered = discovery.discover_targets(stage, Config(), stage.sources())

    found = {
        (
            target.python,
            frozenset(
                entry.path.decode()
                for entry in stage.sources()
                if discovery.target_covers(target, discovered.targets, entry.path)
            ),
        )
        for target in discovered.targets
    }

    assert found == layout.expected
