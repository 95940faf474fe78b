"""Whether requirements whose whole closure is known bring a module: well-known distributions and what they need. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from buildguard.imports.distributions import ModuleIndex

# What an image or an environment may have of itself, and what came with it up to 3.11.
_EVERYWHERE, _ONCE_EVERYWHERE = frozenset({"pip"}), frozenset({"setuptools", "wheel"})
_WITH_SETUPTOOLS = 11  # the last minor version


@functools.cache
def needed_distributions() -> Mapping[str, frozenset[str]]:
    """All that well-known distributions need, by their normalized names."""
    lines = (Path(__file__).parent / "needed_names.txt").read_text("utf-8").splitlines()
    pairs = (line.partition(":") for line in lines if not line.startswith("#"))
    return {name: frozenset(needed.split()) for name, _colon, needed in pairs}


class InstalledNames(NamedTuple):
    """The distributions that an image installs; `is_whole` where what they need is among them."""

    names: frozenset[str]
    is_whole: bool = False


def is_unbrought(top: str, installed: InstalledNames, index: ModuleIndex, minor: int) -> bool:
    """Whether distributions, with all that they need, are known and none of them brings a top-level module to Python 3.`minor`."""
    known = {} if installed.is_whole else needed_distributions()
    of_itself = _EVERYWHERE | _ONCE_EVERYWHERE if minor <= _WITH_SETUPTOOLS else _EVERYWHERE
    closure, pending = {*of_itself}, [*installed.names]
    if not installed.is_whole and not known.keys() >= {*pending}:
        return False
    while pending:
        name = pending.pop()
        if name not in closure:
            closure.add(name)
            pending += known.get(name, ())
    return not any(top in _top_levels(name, index) for name in closure)


def _top_levels(name: str, index: ModuleIndex) -> set[str]:
    """The modules of a distribution; one that the table of modules lacks goes by its name."""
    modules = index.modules_of(name)
    return {name.replace("-", "_")} if modules is None else {module.partition(".")[0] for module in modules}
