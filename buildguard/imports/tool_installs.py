"""What instructions install of pip's own tools beside a lock file: `pip install "setuptools<82"` decides over the lock before it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.imports.distributions import known_distributions, left_out
from buildguard.imports.lock import LockedPackages
from buildguard.project import dockerfile, image_reference, run_commands
from buildguard.project.discovery import ImageRecipe
from buildguard.project.dockerfile_python import follow
from buildguard.project.package_names import normalize

TOOLS = frozenset({"uv", "pip", "setuptools", "wheel"})  # none of them needs another distribution
_SEEDED = range(3, 12)  # the minor versions whose images and new environments have setuptools
_LONGEST = 1 << 13  # characters of a command that is read
_MAJORS = range(300)  # more than any tool has
_NAME = lazy_pattern(r"[A-Za-z0-9._-]+")
_OPEN = lazy_pattern(r"[\w.-]+(?:>=?[\w.]+)?")
_PIP = lazy_pattern(r"\bpip[\d.]* (?:-\S+ )*install (?P<words>.*)")
_WITH_LOCK = frozenset({"RUN", "CMD", "ENTRYPOINT"})  # `uv run` installs again what is locked

# What makes an environment another one, or lets it see packages beside its own: in the command, or anywhere in the Dockerfile.
_ELSEWHERE = r"\A[^\n]* (?:--python|-p|--target|-t|--prefix|--root|--user)\b|\A[^\n]* run [^\n]*install|\A\S*/\S*pip"
_SHARED = (
    r"--system-site-packages|PYTHONPATH[= ]\S*-packages|--seed\b|UV_VENV_SEED|--active\b"
    r"|UV_NO_SYNC|UV_PROJECT_ENVIRONMENT[= ][\"']?/usr"
)
_OF_UV = lazy_pattern(rf"{_SHARED}|{_ELSEWHERE}|\bVIRTUAL_ENV[= ]|UV_PROJECT_ENVIRONMENT")
_OF_PIP = lazy_pattern(rf"{_SHARED}|{_ELSEWHERE}|\A\S*/|-m\s+venv\b|\bvirtualenv\b")
_OF_SYNC = lazy_pattern(_SHARED)
_OF_POETRY = lazy_pattern(rf"{_SHARED}|\bVIRTUAL_ENV[= ]|-m\s+venv\b|\bvirtualenv\s|bin/activate|\bconda\b")
_ANY, _NONE = lazy_pattern(""), lazy_pattern(r"(?!)")


class _Kind(NamedTuple):
    """A kind of command that installs: how it begins, what else is in the Dockerfile, what makes it unclear, and the environment."""

    command: re.Pattern[str]
    whole: re.Pattern[str]
    unclear: re.Pattern[str]
    place: str


_UV_PIP = lazy_pattern(r"\A[^\n]*\buv pip (?:install|sync)\b")
_POETRY = lazy_pattern(r"\A[^\n]*\b(?:poetry|pdm) (?:-\S+ )*(?:install|sync)\b")
_KINDS = (
    _Kind(_UV_PIP, lazy_pattern(r"--system\b|UV_SYSTEM_PYTHON"), _OF_UV, "system"),
    _Kind(_UV_PIP, _ANY, _OF_UV, "project"),
    _Kind(lazy_pattern(r"\A[^\n]*\bpip[\d.]* (?:-\S+ )*install\b"), _ANY, _OF_PIP, "system"),
    _Kind(
        lazy_pattern(r"\A(?![^\n]*--no-sync)[^\n]*\buv (?:-\S+ )*(?:sync|run)\b"), _ANY, _OF_SYNC, "project"
    ),
    _Kind(
        _POETRY,
        lazy_pattern(r"virtualenvs\.create\s+false|POETRY_VIRTUALENVS_CREATE[= ][\"']?(?:false|0)\b"),
        _NONE,
        "system",
    ),
    _Kind(
        _POETRY,
        lazy_pattern(r"virtualenvs\.in-project\s+true|POETRY_VIRTUALENVS_IN_PROJECT[= ][\"']?(?:true|1)\b"),
        _OF_POETRY,
        "project",
    ),
    _Kind(_POETRY, _ANY, _ANY, ""),
)  # fmt: skip


class _Install(NamedTuple):
    """An install of a tool, or of the lock file: its environment ("" where it is not known), its line, and its chain of stages."""

    place: str
    tool: str = ""
    requirement: str = ""
    line: int = 0
    chain: int = 0


class _End(NamedTuple):
    """What an install leaves of a tool: a version that left modules out, "" for one that has all, None where it is not known."""

    version: str | None
    line: str


class InstallPlaces:
    """The environments that the commands of an image install into: "system", "project", or "" where it is unclear."""

    def __init__(self, recipe: ImageRecipe) -> None:
        self._text = recipe.dockerfile.decode("utf-8", "replace")
        self.of_lock = frozenset(install.place for install in _installs(recipe) if not install.tool)

    def of(self, command: str) -> str:
        """The environment of a command."""
        return _place(command, self._text) or ""


def with_tools(locked: LockedPackages, recipes: Sequence[ImageRecipe]) -> tuple[LockedPackages, dict[str, str]]:
    """A lock with the tools as every image has them in the end; and why the modules of others are undecided, by their names."""
    each = [_ends(recipe, locked) for recipe in recipes]
    undecided: dict[str, str] = {}
    for tool, (_version, line) in sorted({tool: end for ends in each for tool, end in ends.items()}.items()):
        version, *others = {ends.get(tool, _End(None, "")).version for ends in each}
        if others or version is None:
            undecided[tool] = f"{line} installs {tool} beside {locked.file}"
        else:
            locked = _with_version(locked, tool, _End(version, line))
    return locked, undecided


def _with_version(locked: LockedPackages, tool: str, end: _End) -> LockedPackages:
    versions = {**locked.versions, tool: frozenset({end.version or ""} - {""})}
    production = locked.production | {tool}
    return locked._replace(file=f"{locked.file} and {end.line}", production=production, versions=versions)


def _ends(recipe: ImageRecipe, locked: LockedPackages) -> Mapping[str, _End]:
    """Each tool that an image may have otherwise than locked."""
    installs = [*_installs(recipe)]
    locks = [at for at, install in enumerate(installs) if not install.tool]
    if not locks:
        return {}
    last = locks[-1]
    lock = installs[last]
    ends: dict[str, _End] = {}
    for install in _not_settled(installs[:last], locked):
        if not _is_apart(install, lock):
            ends[install.tool] = _End(None, f"{recipe.service.dockerfile}:{install.line}")
    for install in installs[last + 1 :]:
        if not _is_apart(install, lock) and not _is_met(install, lock, locked):
            ends[install.tool] = _End(_version(install, lock), f"{recipe.service.dockerfile}:{install.line}")
    return ends


def _not_settled(earlier: Iterable[_Install], locked: LockedPackages) -> Iterator[_Install]:
    """The installs of tools that the lock after them does not have."""
    return (install for install in earlier if install.tool and install.tool not in locked.production)


def _is_apart(install: _Install, lock: _Install) -> bool:
    """Whether an install surely changes another environment."""
    return bool(install.place and lock.place) and install.place != lock.place


def _is_same(install: _Install, lock: _Install) -> bool:
    return bool(install.place) and (install.place, install.chain) == (lock.place, lock.chain)


def _is_met(install: _Install, lock: _Install, locked: LockedPackages) -> bool:
    """Whether what the lock has is the oldest version that a tool may be, and has left modules out already."""
    own = {install.tool: locked.versions.get(install.tool, frozenset())}
    is_open = _is_same(install, lock) and _OPEN.fullmatch(install.requirement) is not None
    return is_open and any(left_out(module, own) for module in _until(install.tool))


def _until(tool: str) -> Mapping[str, str]:
    known = known_distributions().get(tool)
    return {} if known is None else known.until


def _version(install: _Install, lock: _Install) -> str | None:
    """The version that an install after the lock leaves."""
    until = max(_until(install.tool).values(), default="")
    sides = _sides(install.requirement, until or "0") if _is_same(install, lock) else set()
    return {True: until, False: ""}[sides.pop()] if len(sides) == 1 else None


def _sides(text: str, until: str) -> set[bool]:
    """Whether the versions that a requirement admits are at least some version."""
    from packaging.requirements import InvalidRequirement, Requirement  # few images need it
    from packaging.version import InvalidVersion, Version

    try:
        specifiers = Requirement(text).specifier
        named = [Version(specifier.version.removesuffix(".*")) for specifier in specifiers]
    except (InvalidRequirement, InvalidVersion):
        return set()
    versions = [*named, *(Version(str(major)) for major in _MAJORS)]
    return {version >= Version(until) for version in versions if specifiers.contains(version, prereleases=True)}


def _installs(recipe: ImageRecipe) -> Iterator[_Install]:
    """The installs of the stages that an image is made of, in their order; what a base image has comes first."""
    stages = dockerfile.stages(recipe.dockerfile, dict(recipe.service.build_args))
    text = recipe.dockerfile.decode("utf-8", "replace")
    for number in sorted(dockerfile.needed_stages(stages, recipe.service.stage)):
        chain = follow(stages, number).chain
        yield from (install._replace(chain=chain[-1].line) for install in _of_stage(chain[0], text))


def _of_stage(stage: dockerfile.DockerfileStage, text: str) -> Iterator[_Install]:
    version = image_reference.promised_version(stage.base)
    if version is not None and version.minor in _SEEDED:
        yield _Install("system", "setuptools", "setuptools<82", stage.line)
    for step in stage.instructions:
        if step.name in _WITH_LOCK:
            words = dockerfile.exec_words(step.text)
            command = step.text if words is None else " ".join(words)
            yield from (install._replace(line=step.line) for install in _of_command(command, text))


def _of_command(text: str, whole: str) -> Iterator[_Install]:
    try:
        commands = [*run_commands.split(text)]
    except ValueError:
        commands = []
    if not commands or len(text) > _LONGEST:
        yield from (_Install("", tool) for tool in sorted(TOOLS) if tool in text)
        return
    for command in commands:
        line = " ".join(command.words)
        place = _place(line, whole)
        if place is not None:
            pip = _PIP.search(line)
            place = place if command.is_certain else ""
            yield from (_Install(place, *tool) for tool in (_tools(pip["words"]) if pip is not None else [()]))


def _place(line: str, whole: str) -> str | None:
    """The environment that a command installs into, empty where it is unclear; None where it installs nothing."""
    text = f"{line}\n{whole}"
    kind = next((kind for kind in _KINDS if kind.command.search(text) and kind.whole.search(text)), None)
    if kind is None:
        return None
    return "" if kind.unclear.search(text) else kind.place


def _tools(words: str) -> Iterator[tuple[str, str]]:
    names = ((_NAME.match(word), word) for word in words.split())
    return ((tool, word) for match, word in names if match is not None and (tool := normalize(match[0])) in TOOLS)
