"""BG603 predicted: the modules that a lock file will install, where its whole closure is known and is all that is installed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from buildguard.definitions import lazy_pattern
from buildguard.imports.distributions import ModuleIndex, brings, left_out, resembles
from buildguard.imports.lock import LockedPackages
from buildguard.imports.records import ImportStatement
from buildguard.imports.third_party import PackageAnswer, PackagePresence
from buildguard.imports.tool_installs import TOOLS
from buildguard.project import dockerfile, image_reference
from buildguard.project.discovery import ImageRecipe

_ABSENT = frozenset({PackagePresence.MISSING, PackagePresence.DEVELOPMENT})
_PIP = lazy_pattern(
    r"\bpip3?\s+install\b([^\n;&|]*)|\b(?:conda|mamba|apt|apt-get|apk|dnf|yum)\b[^\n;&|]*\b(?:install|add)\b([^\n;&|]*)"
)
_LOCKED = lazy_pattern(r"\buv\s+(?:sync|run|export|pip\s+sync)\b|\bpoetry\s+(?:install|export|sync)\b|pylock|\bpdm\b")
_WITH_GROUPS = lazy_pattern(r"--group\b|--all-groups|--with[= ]|--dev\b")
_WITHOUT_GROUPS = lazy_pattern(
    r"--no-dev|--no-default-groups|--only[= ]main|--without[= ]\S*dev|--no-group|UV_NO_DEV|--prod\b"
)


class LockedSource:
    """Predicts imports from the closure of a lock file."""

    predicted = True

    def __init__(
        self, locked: LockedPackages, index: ModuleIndex, undecided: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`undecided` has distributions that something else installs in an unknown version, with the reason."""
        self.words = locked.file
        self._undecided = undecided
        self._index = index
        self._answers: dict[str, PackageAnswer] = {}
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
            self._answers[dotted] = self._find_module(dotted)
        return self._answers[dotted]

    def _find_module(self, dotted: str) -> PackageAnswer:
        bringers = self._index.bringers_of(dotted)
        if reason := next(filter(None, map(self._undecided.get, sorted(bringers))), ""):
            return PackageAnswer(PackagePresence.UNKNOWN, detail=reason)
        older = left_out(dotted, self._versions)
        if older and not any(resembles(name, dotted.partition(".")[0]) for name in self._unknown):
            return PackageAnswer(PackagePresence.MISSING, dotted, older)
        if bringers & self._production or self._brings(dotted):
            return PackageAnswer(PackagePresence.PRESENT)
        top = dotted.partition(".")[0]
        if any(resembles(name, top) for name in self._unknown) or (self._unknown and not bringers):
            return PackageAnswer(PackagePresence.UNKNOWN)
        development = sorted(bringers & self._development)
        if development:
            return PackageAnswer(PackagePresence.DEVELOPMENT, dotted, development[0])
        return PackageAnswer(PackagePresence.MISSING, dotted, min(bringers, key=len) if bringers else "")

    def _brings(self, dotted: str) -> bool:
        return any(
            brings(modules, dotted)
            for name in self._production
            if (modules := self._index.modules_of(name)) is not None
        )


def explain_open_lock(recipe: ImageRecipe, locked: LockedPackages) -> str:
    """Why an image may hold more than a lock file says; empty where the lock is all."""
    stages = dockerfile.stages(recipe.dockerfile, dict(recipe.service.build_args))
    known = {stage.alias for stage in stages if stage.alias}
    foreign = next(
        (stage.base for stage in stages if stage.base.lower() not in known and not _is_plain(stage.base)), ""
    )
    if foreign:
        return f"{foreign} may bring packages of its own"
    runs = [step.text for stage in stages for step in stage.instructions if step.name in {"RUN", "ENV", "CMD"}]
    if not any(map(_LOCKED.search, runs)):
        return f"no instruction installs {locked.file}"
    other = next((name for text in runs for name in _installed(text)), "")
    return f"{other} is installed beside {locked.file}" if other else ""


def installs_groups(recipe: ImageRecipe) -> bool:
    """Whether an image may get development groups of a lock file: tools install them by default, or are asked for some."""
    text = recipe.dockerfile.decode("utf-8", "replace")
    return _WITHOUT_GROUPS.search(text) is None or _WITH_GROUPS.search(text) is not None


def _is_plain(base: str) -> bool:
    """Whether an image is Python's own or a plain system's, without packages of its own."""
    ref = image_reference.parse(base)
    return ref.last in {"python", "scratch", "debian", "ubuntu", "alpine", "uv"} or ref.last.startswith(
        ("python3", "base-debian")
    )


def _installed(text: str) -> Iterator[str]:
    """What a command installs beside the lock file, tools aside."""
    for match in _PIP.finditer(text):
        words = [word.strip("\"'") for word in (match[1] or match[2] or "").split()]
        for word in words:
            name = re.split(r"[<>=~!\[]", word)[0]
            is_file = word.startswith("-r")
            is_name = bool(name) and not word.startswith("-") and name not in {*TOOLS, ".", "/"}
            if (is_file or is_name) and (match[1] is not None or name.startswith("python3-")):
                yield word
