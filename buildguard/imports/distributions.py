"""Which modules a distribution brings: from the metadata of installed ones, else from a table of well-known ones."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from buildguard.definitions import lazy_pattern

_SHORTEST = 4  # letters of a name that means something inside of another
_STUBS = lazy_pattern(r"types-.+|.+-stubs")


@functools.cache
def known_modules() -> Mapping[str, frozenset[str]]:
    """The modules of well-known distributions, by normalized name."""
    table: dict[str, frozenset[str]] = {}
    for line in (Path(__file__).parent / "import_names.txt").read_text("utf-8").splitlines():
        name, *modules = line.partition("#")[0].split() or [""]
        if name:
            table[name] = frozenset(modules or [name.replace("-", "_")])
    return table


class ModuleIndex:
    """Which distributions bring which modules; what metadata says comes before the table."""

    def __init__(self, installed: Mapping[str, frozenset[str]]) -> None:
        self._modules = {**known_modules(), **installed}
        self._bringers: dict[str, set[str]] = {}
        for name, modules in self._modules.items():
            for module in modules:
                self._bringers.setdefault(module.partition(".")[0], set()).add(name)

    def modules_of(self, distribution: str) -> frozenset[str] | None:
        """The modules of a distribution; None where they are unknown."""
        if _STUBS.fullmatch(distribution):
            return frozenset()
        return self._modules.get(distribution)

    def bringers_of(self, dotted: str) -> set[str]:
        """The known distributions that bring a module, or the package that it is in."""
        candidates = self._bringers.get(dotted.partition(".")[0], set())
        return {name for name in candidates if brings(self._modules[name], dotted)}

    def knows(self, top: str) -> bool:
        """Whether a known distribution brings a top-level module."""
        return top in self._bringers


def brings(modules: frozenset[str], dotted: str) -> bool:
    """Whether some modules hold a dotted one, or are in it."""
    return any(f"{dotted}.".startswith(f"{module}.") or module.startswith(f"{dotted}.") for module in modules)


def resembles(distribution: str, top: str) -> bool:
    """Whether a distribution of unknown content may bring a module by the look of its name."""
    from buildguard.imports.lock import normalize

    plain = normalize(top).replace("-", "")
    own = distribution.replace("-", "")
    return plain in own or (len(own) >= _SHORTEST and own in plain)
