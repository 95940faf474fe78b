"""Whether requirements whose whole closure is known bring a module: well-known distributions and what they need. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING

if TYPE_CHECKING:
    from buildguard.imports.distributions import ModuleIndex

_EVERYWHERE = frozenset({"pip", "setuptools", "wheel"})  # what an image or an environment may have of itself


@functools.cache
def needed_distributions() -> Mapping[str, frozenset[str]]:
    """All that well-known distributions need, by their normalized names."""
    lines = (Path(__file__).parent / "needed_names.txt").read_text("utf-8").splitlines()
    pairs = (line.partition(":") for line in lines if not line.startswith("#"))
    return {name: frozenset(needed.split()) for name, _colon, needed in pairs}


def is_unbrought(top: str, names: Iterable[str], index: ModuleIndex) -> bool:
    """Whether distributions, with all that they need, are known and none of them brings a top-level module."""
    known = needed_distributions()
    closure, pending = {*_EVERYWHERE}, [*names]
    if not known.keys() >= {*pending}:
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
