"""Which modules a distribution brings: from the metadata of installed ones, else from a table of well-known ones."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.package_names import normalize

_SHORTEST = 4  # letters of a name that means something inside of another
_OF_VERSION = lazy_pattern(r"(?<=\.)(\w+?)_v\d\w*(?=\.|$)")
_AFFIXES = lazy_pattern(r"^(?:python3?|py|lib)|(?:python3?|py|lib)$")
_STUBS = lazy_pattern(r"types-.+|.+-stubs")


class KnownDistribution(NamedTuple):
    """The modules of a well-known distribution; `until` has the version that left one of them out."""

    modules: frozenset[str]
    until: Mapping[str, str] = MappingProxyType({})


@functools.cache
def known_distributions() -> Mapping[str, KnownDistribution]:
    """Well-known distributions, by normalized name."""
    table: dict[str, KnownDistribution] = {}
    for line in (Path(__file__).parent / "import_names.txt").read_text("utf-8").splitlines():
        name, *entries = line.partition("#")[0].split() or [""]
        if name:
            pairs = [entry.partition("<")[::2] for entry in entries or [name.replace("-", "_")]]
            until = {module: version for module, version in pairs if version}
            table[name] = KnownDistribution(frozenset(module for module, _version in pairs), until)
    return table


class ModuleIndex:
    """Which distributions bring which modules; what metadata says comes before the table."""

    def __init__(self, installed: Mapping[str, frozenset[str]]) -> None:
        known = {name: distribution.modules for name, distribution in known_distributions().items()}
        self._modules = {**known, **installed}
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
        """The known distributions that bring a module, or the package that it is in; `a.b_v1` comes with `a.b`."""
        return self._holders(dotted) or self._holders(_OF_VERSION.sub(r"\1", dotted))

    def _holders(self, dotted: str) -> set[str]:
        candidates = self._bringers.get(dotted.partition(".")[0], set())
        return {name for name in candidates if brings(self._modules[name], dotted)}

    def knows(self, top: str) -> bool:
        """Whether a known distribution brings a top-level module."""
        return top in self._bringers


def left_out(dotted: str, locked: Mapping[str, Collection[str]]) -> str:
    """What to require of a distribution whose locked versions no longer have a module ("setuptools<82"); else empty."""
    top = dotted.partition(".")[0]
    for name, versions in locked.items():
        known = known_distributions().get(name)
        until = "" if known is None else known.until.get(top, "")
        if until and versions and all(not _is_older(version, until) for version in versions):
            return f"{name}<{until}"
    return ""


def _is_older(version: str, other: str) -> bool:
    from packaging.version import InvalidVersion, Version  # few locks need it

    try:
        return Version(version) < Version(other)
    except InvalidVersion:
        return True


def brings(modules: frozenset[str], dotted: str) -> bool:
    """Whether some modules hold a dotted one, or are in it."""
    return any(f"{dotted}.".startswith(f"{module}.") or module.startswith(f"{dotted}.") for module in modules)


def shares_namespace(modules: frozenset[str], dotted: str) -> bool:
    """Whether some modules lie in the package that holds a dotted one, or in one above that: google.cloud.a and google.cloud.b."""
    parents = [f"{dotted[:at]}." for at, mark in enumerate(dotted) if mark == "."]
    return any(module.startswith(parent) for module in modules for parent in parents)


def resembles(distribution: str, top: str) -> bool:
    """Whether a distribution of unknown content may bring a module by the look of its name.

    A short name means something as a word alone: fastapi-mail brings no `api`.
    """
    plain = normalize(top).replace("-", "")
    own = distribution.replace("-", "")
    if len(plain) < _SHORTEST:
        return plain in {*distribution.split("-"), own.removeprefix("py"), own.removeprefix("python")}
    core = _core(own)
    return plain in own or any(len(name) >= _SHORTEST and name in plain for name in (own, core)) or core == _core(plain)


def _core(name: str) -> str:
    """A name without what says that it is a library for Python: libpass and passlib have one core."""
    return _AFFIXES.sub("", name) or name
