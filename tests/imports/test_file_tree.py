"""A tree of files answers from its sorted paths what a set of names for every folder would."""

from __future__ import annotations

import posixpath
import random
from collections.abc import Iterable

import pytest

from buildguard.imports.finder import FileTree, ModuleKind

_NAMES = ("a", "a.py", "a0", "a-b.py", "ab.py", "__init__.py", "b.so", "b.cpython-311-x86_64-linux-gnu.so", "c.abi3.so")


def _random_paths(seed: int, root: str) -> list[str]:
    rng = random.Random(seed)
    depths = (rng.randint(1, 4) for _ in range(rng.randint(1, 25)))
    return sorted({root + "/".join(rng.choices(_NAMES, k=depth)) for depth in depths})


def _names_by_folder(paths: Iterable[str]) -> dict[str, set[str]]:
    folders: dict[str, set[str]] = {}
    for path in paths:
        while path not in {"", "/"}:
            folder, name = posixpath.split(path)
            folders.setdefault(folder, set()).add(name)
            path = folder  # noqa: PLW2901
    return folders


@pytest.mark.parametrize("root", ["", "/", "/srv/app/"])
@pytest.mark.parametrize("seed", range(40))
def test_folders_and_names_are_those_of_the_paths(seed: int, root: str) -> None:
    paths = _random_paths(seed, root)
    rng = random.Random(seed)
    unclear = rng.sample(paths, k=len(paths) // 4)
    tree = FileTree({path: path for path in paths if path not in unclear}, unclear)

    folders = _names_by_folder(paths)

    for folder in {*folders, *paths, *(f"{path}/none" for path in paths), "", "/", "/srv"}:
        assert tree.has_folder(folder) is (folder in folders)
        assert tree.children(folder) == folders.get(folder, set())
        held = any(path.startswith(f"{folder.rstrip('/')}/") and path.endswith(".py") for path in tree.origins)
        assert folder == "" or tree.has_sources(folder) is held


@pytest.mark.parametrize("name", ["b.so", "b.cpython-311-x86_64-linux-gnu.so", "b.abi3.so"])
def test_compiled_modules_are_found_by_their_names(name: str) -> None:
    tree = FileTree({f"/srv/{name}": name, "/srv/c.so/inside": "inside"})

    found = [tree.find(module, ["/srv"]) for module in ("b", "c", "d")]

    assert [location and location.kind for location in found] == [ModuleKind.COMPILED, ModuleKind.COMPILED, None]


def test_what_is_below_a_link_is_unclear_too() -> None:
    tree = FileTree({"/srv/app.py": "app.py", "/srv/sites.py": "sites.py"}, ["/srv/site"])

    paths = ["/srv/site", "/srv/site/wsgi.py", "/srv/sites.py", "/srv/app.py"]

    assert [tree.is_unclear(path) for path in paths] == [True, True, False, False]
