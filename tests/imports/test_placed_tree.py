"""The files of a project at another place: a tree that is put together when asked equals one that holds them all."""

from __future__ import annotations

import random

import pytest

from buildguard.imports import placed_tree
from buildguard.imports.finder import FileTree
from buildguard.imports.placed_tree import PlacedFiles, PlacedTree

_NAMES = ("a", "b", "a-b", "a.b", "lib.so", "ext.cpython-311-x86_64-linux-gnu.so", "__init__", "A")
_SUFFIXES = (".py", ".pyc", ".txt", "")


def _paths(rng: random.Random, start: str) -> list[str]:
    folders = ["", *("/".join(rng.choices(_NAMES, k=rng.randint(1, 2))) + "/" for _ in range(4))]
    return sorted({start + rng.choice(folders) + rng.choice(_NAMES) + rng.choice(_SUFFIXES) for _ in range(12)})


@pytest.mark.parametrize("few", [0, 5, 2000])  # questions before something is made for each file
@pytest.mark.parametrize("seed", range(40))
def test_it_answers_as_a_tree_of_all_files(seed: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placed_tree, "_FEW", few)
    rng = random.Random(seed)
    start = rng.choice(("", "app/", "app/inner/"))
    paths = _paths(rng, start)
    whole = FileTree({f"/workspace/{path[len(start) :]}": path for path in paths})
    placed = PlacedTree(PlacedFiles([path.encode() for path in paths], start, "/workspace/"))

    assert dict(placed.origins) == dict(whole.origins)
    assert len(placed.origins) == len(whole.origins)
    for folder in ("/", "/workspace", "/workspace/a", "/workspace/b", "/other"):
        assert placed.has_folder(folder) == whole.has_folder(folder)
        assert placed.has_sources(folder) == whole.has_sources(folder)
        assert placed.children(folder) == whole.children(folder)
        for name in (*_NAMES, "lib", "ext", "missing", "\N{LATIN SMALL LETTER E WITH ACUTE}"):
            assert placed.find(name, [folder]) == whole.find(name, [folder])
            assert placed.holders(name) == whole.holders(name)
    asked = [*paths[:3], "missing.py", "\N{LATIN SMALL LETTER E WITH ACUTE}.py"]
    assert sorted(placed.from_project(asked)) == sorted(whole.from_project(asked))
