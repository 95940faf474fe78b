"""BG603 predicted: the modules that a lock file will install, where its whole closure is known and is all that is installed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from buildguard.definitions import words
from buildguard.imports.distributions import ModuleIndex, brings, left_out, resembles, shares_namespace
from buildguard.imports.lock import LockedPackages
from buildguard.imports.records import ImportStatement
from buildguard.imports.third_party import PackageAnswer, PackagePresence

_ABSENT = frozenset({PackagePresence.MISSING, PackagePresence.DEVELOPMENT})
# What is called `django-…` is for django: it brings neither that nor another known module, unless its name says that it replaces it.
_FRAMEWORKS = words("celery django fastapi flask pytest sphinx wagtail")
_REPLACING = frozenset(
    words("backport compat community core dev extended fork legacy lts main next ng nightly patched plus vendored")
)


class LockedSource:
    """Predicts imports from the closure of a lock file."""

    predicted = True

    def __init__(
        self,
        locked: LockedPackages,
        index: ModuleIndex,
        undecided: Mapping[str, str] = MappingProxyType({}),
        why_open: str = "",
    ) -> None:
        """`undecided` has distributions that something else installs in an unknown version, with the reason.

        `why_open` is why something else may be installed beside the lock: then nothing counts as missing.
        """
        self.words = locked.file
        self._why_open = why_open
        self._undecided = undecided
        self._index = index
        self._answers: dict[str, PackageAnswer] = {}
        self._local = locked.local
        self._development = locked.development
        self._production = locked.production
        self._versions = {name: versions for name, versions in locked.versions.items() if name in locked.production}
        self._unknown = {name for name in self._production if index.modules_of(name) is None or name in locked.local}

    def ask(self, row: ImportStatement) -> PackageAnswer:
        """A module counts as missing only where its distribution is known, or those of the whole closure are."""
        whole = self._ask_module(row.module)
        if row.is_star or not row.names:
            return whole
        named = (self._ask_module(f"{row.module}.{name}") for name in row.names)
        if whole.presence in _ABSENT:
            return whole
        lost = next((answer for answer in named if answer.presence in _ABSENT and answer.detail), None)
        return lost or whole

    def _ask_module(self, dotted: str) -> PackageAnswer:
        if dotted not in self._answers:
            answer = self._find_module(dotted)
            is_open = bool(self._why_open) and answer.presence in _ABSENT
            self._answers[dotted] = _undecided(self._why_open) if is_open else answer
        return self._answers[dotted]

    def _find_module(self, dotted: str) -> PackageAnswer:
        bringers = self._index.bringers_of(dotted)
        if reason := next(filter(None, map(self._undecided.get, sorted(bringers))), ""):
            return _undecided(reason)
        older = left_out(dotted, self._versions)
        if older and not any(resembles(name, dotted.partition(".")[0]) for name in self._unknown):
            return PackageAnswer(PackagePresence.MISSING, dotted, older)
        if bringers & self._production or self._brings(dotted):
            return PackageAnswer(PackagePresence.PRESENT)
        if self._may_bring(dotted.partition(".")[0], bringers) or not (bringers or self._is_known(dotted)):
            return PackageAnswer(PackagePresence.UNKNOWN)
        development = sorted(bringers & self._development)
        if development:
            return PackageAnswer(PackagePresence.DEVELOPMENT, dotted, development[0])
        return PackageAnswer(PackagePresence.MISSING, dotted, min(bringers, key=len) if bringers else "")

    def _may_bring(self, top: str, bringers: Iterable[str]) -> bool:
        """Whether a distribution of unknown content may bring a module by the look of its name, or is a form of one that does."""
        is_known = self._index.knows(top)
        names = [name for name in self._unknown if not is_known or name in self._local or not _is_plugin(name)]
        return any(resembles(name, top) for name in names) or any(
            _is_form(name, bringer) for name in self._unknown for bringer in bringers
        )

    def _is_known(self, dotted: str) -> bool:
        """Whether all is known that the distributions bring beside a module of no known one.

        What shares a namespace may have more modules there than those that are known.
        """
        known = (self._index.modules_of(name) or frozenset() for name in self._production)
        return not self._unknown and not any(shares_namespace(modules, dotted) for modules in known)

    def _brings(self, dotted: str) -> bool:
        return any(
            brings(modules, dotted)
            for name in self._production
            if (modules := self._index.modules_of(name)) is not None
        )


def _undecided(reason: str) -> PackageAnswer:
    return PackageAnswer(PackagePresence.UNKNOWN, detail=reason)


def _is_form(name: str, other: str) -> bool:
    """Whether a distribution is named as another form of one: pillow-simd, acme-pyyaml, and no plugin of a framework for it."""
    if other in _FRAMEWORKS:
        return False
    return name.startswith(f"{other}-") or (f"-{other}-" in f"-{name}-" and not _is_plugin(name))


def _is_plugin(name: str) -> bool:
    """Whether a distribution is named after the framework that it is for, and is no other form of that."""
    framework, *rest = name.split("-")
    replaces = not rest or rest[0].isdigit() or bool(_REPLACING.intersection(rest))
    return framework in _FRAMEWORKS and not replaces
