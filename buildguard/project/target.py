"""Targets: the Python that will run the code, who says so, and which files it runs."""

from __future__ import annotations

from enum import IntEnum

from buildguard.definitions import NamedTuple, StrEnum, lazy_pattern
from buildguard.diagnostic import Severity
from buildguard.errors import UsageError

OLDEST, NEWEST = 6, 15  # minor versions of Python 3 that a target may have; 3.8 to 3.15 are what is tested
PEP_701 = 12  # the minor version from which on fields are part of the grammar of f-strings


class PythonVersion(NamedTuple):
    """A version of CPython: 3.11, or 3.11.9 where the patch release is known."""

    minor: int
    patch: int | None = None

    @property
    def minor_text(self) -> str:
        """The version without its patch release, "3.11"."""
        return f"3.{self.minor}"

    def __str__(self) -> str:
        return self.minor_text if self.patch is None else f"{self.minor_text}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> PythonVersion | None:
        """Read "3.11" or "3.11.9" (pre-releases count as their release); None where it is not one that exists."""
        match = _VERSION.fullmatch(text.strip())
        if match is None or not OLDEST <= int(match["minor"]) <= NEWEST:
            return None
        return cls(int(match["minor"]), int(match["patch"]) if match["patch"] else None)

    @classmethod
    def typed(cls, text: str, place: str = "") -> PythonVersion:
        """The same for what a person typed, after `--target` or at a place of a configuration; raises UsageError."""
        version = cls.parse(text)
        if version is None:
            unknown = f"'{text}' is not a Python that buildguard knows (3.{OLDEST} to 3.{NEWEST})"
            what, value = why_no_target(text) or unknown, cls._meant(text)
            if place:
                raise UsageError(f"{place}: target: {what}", hint=f'target = ["{value}"]')
            raise UsageError(what, hint=f"--target {value}")
        return version

    @classmethod
    def _meant(cls, text: str) -> str:
        """The version that a text most likely means."""
        close = _CLOSE.search(text)
        version = cls.parse(f"3.{close['minor']}") if close is not None else None
        return str(version or "3.11")


_VERSION = lazy_pattern(r"3\.(?P<minor>\d{1,2})(?:\.(?P<patch>\d{1,3}))?(?:(?:a|b|rc|-rc|-?dev)\d*)?t?")


# What a version that is written otherwise holds of one: 3,11, 311, python3.12-slim.
_CLOSE = lazy_pattern(r"3\D?(?P<minor>\d{1,2})(?!\d)")
_OTHER = lazy_pattern(r"(?i)(?P<name>pypy|graalpy|jython|ironpython|micropython)")
_FREE_THREADED = lazy_pattern(r"(?<![\w.])3\.\d{1,2}(?:\.\d{1,3})?(?:(?:a|b|rc)\d*)?t\b")


def why_no_target(text: str) -> str:
    """Why a Python that exists cannot be a target, empty for any other text."""
    if match := _OTHER.match(text.strip()):
        return f"'{text}' is not CPython, and buildguard asks CPython only: what {match['name']} accepts is unknown"
    newer = _VERSION.fullmatch(text.strip())
    if newer is not None and int(newer["minor"]) > NEWEST:
        return f"Python 3.{newer['minor']} is newer than every version that buildguard knows (3.{OLDEST} to 3.{NEWEST})"
    return ""


def note_free_threaded(text: str) -> str:
    """That a version is that of a free-threaded build, empty where it is not."""
    match = _FREE_THREADED.search(text)
    if match is None:
        return ""
    version = match[0].removesuffix("t")
    return (
        f"{match[0]} is a free-threaded build: it compiles the same sources as Python {version}, so that is the target"
    )


class Rank(IntEnum):
    """Who decides, the strongest first: what really runs in production before what people wrote down."""

    DOCKERFILE = 2
    BUILDPACK = 3
    APP_ENGINE = 4
    RUNTIME_TXT = 5
    PYTHON_VERSION = 6
    TOOL_VERSIONS = 7
    PIPFILE = 8
    REQUIRES = 9
    LOCKED = 10
    STEP = 11  # the image of a build step runs that step (a test, a script), never the service


class VersionDeclaration(NamedTuple):
    """One declaration of a Python version: file, line, its words, and the version if they contain it.

    `specifier` is set where it is a range (then `version` is its lowest). Where the version is unknown,
    `version` is None and `why_unknown` says why. `folder` is the folder that it speaks for ("" is the root). `refusal` is the
    command of a Dockerfile that keeps to it, of a declaration that contradicts a target.
    """

    rank: Rank
    file: str
    line: int | None
    words: str
    version: PythonVersion | None
    folder: str = ""
    specifier: str = ""
    why_unknown: str = ""
    image: str | None = None
    refusal: str = ""

    @property
    def place(self) -> str:
        """The file and line, for people."""
        return self.file if self.line is None else f"{self.file}:{self.line}"

    @property
    def decides(self) -> bool:
        """Whether this place can decide a target, or contradict one: the image of a build step cannot."""
        return self.rank is not Rank.STEP

    @property
    def is_unreadable(self) -> bool:
        """Whether this place should have a range, and has none."""
        return self.rank in {Rank.REQUIRES, Rank.LOCKED} and self.version is None and not self.specifier

    def excludes(self, version: PythonVersion) -> bool:
        """Whether this place contradicts a target of that version."""
        if self.specifier:
            return not admits(self.specifier, version)
        if self.version is None:
            return False
        same_patch = None in {self.version.patch, version.patch} or self.version.patch == version.patch
        return self.version.minor != version.minor or not same_patch


class Certainty(StrEnum):
    """How a build context is known: a file declares it, the COPY sources confirm it, or neither."""

    DECLARED = "declared"
    CONFIRMED = "confirmed"
    GUESSED = "guessed"


class ContextBasis(NamedTuple):
    """How a build context is known, and by which file and line; by the Dockerfile itself where it is a guess."""

    known: Certainty
    by: str


class PinProblem(NamedTuple):
    """BG407: the platform chooses the Python, or cannot take the one that is pinned."""

    severity: Severity
    file: str
    line: int | None
    message: str
    hint: str


class ImageService(NamedTuple):
    """One image that the repository ships: its Dockerfile, its build context, and how it is called and built.

    `build_args` and `stage` are the `--build-arg`s and the `--target` of the build. `reach` is a wider folder that may be the
    context just as well, None where none may. `from_source` says that gcloud sends the folder of the context by itself.
    """

    name: str
    dockerfile: str
    context: str
    basis: ContextBasis
    build_args: tuple[tuple[str, str], ...] = ()
    stage: str = ""
    reach: str | None = None
    from_source: bool = False


class Target(NamedTuple):
    """A Python to compile for, where that was found, and the part of the tree that it runs.

    `context` is a folder ("" is everything); None stands for the files in no service's context. `image` is what the
    Python comes from; `doubt` says why another Python than that image's may run in the end, empty where none can.
    `specifier` is the range whose lowest version this is, where nothing says more. `without` are folders in the context
    that other images are built of, and that this one's `.dockerignore` leaves out. `basis` is how a build context is known,
    None where `context` is none. `reach` is a wider folder that may be the context just as well. `pin_problem` is what is wrong
    with the way in which a platform chooses the version. `ships` are the paths that the Dockerfile may copy, None where that does
    not matter: it decides where images share a context.
    """

    version: PythonVersion | None
    found_in: str
    image: str | None = None
    service: str | None = None
    context: str | None = ""
    why_unknown: str = ""
    conflicts: tuple[VersionDeclaration, ...] = ()
    doubt: str = ""
    specifier: str = ""
    without: tuple[str, ...] = ()
    basis: ContextBasis | None = None
    reach: str | None = None
    pin_problem: PinProblem | None = None
    ships: frozenset[str] | None = None

    @property
    def place(self) -> tuple[str | None, int | None]:
        """The file and line that declare the version; None for a flag."""
        file, _, line = self.found_in.rpartition(":")
        if line.isdigit():
            return file, int(line)
        return (None, None) if self.found_in.startswith("--") else (self.found_in, None)

    @property
    def python(self) -> str:
        """The version as reports show it; "unknown" where none is known."""
        return "unknown" if self.version is None else str(self.version)

    def covers(self, path: bytes) -> bool:
        """Whether a path is in this target's context."""
        if self.context and not path.startswith(self.context.encode() + b"/"):
            return False
        return not any(path.startswith(folder.encode() + b"/") for folder in self.without)

    def leaves_to(self, other: Target, path: bytes) -> bool:
        """Whether a path of this target's context is another one's alone: that copies it, and this one does not."""
        if self.ships is None or other.ships is None:
            return False
        name = path.decode("utf-8", "surrogateescape")
        return name not in self.ships and name in other.ships and other.covers(path)

    def may_cover(self, path: bytes) -> bool:
        """Whether a path lies outside of this target's context, and in the wider folder that may be the context too."""
        if self.reach is None or self.covers(path):
            return False
        return not self.reach or path.startswith(self.reach.encode() + b"/")


def admits(specifier: str, version: PythonVersion) -> bool:
    """Whether a PEP 440 range, or one of its alternatives, lets a Python in: its patch release, or any where none is named."""
    from packaging.specifiers import SpecifierSet

    patches = [version.patch] if version.patch is not None else range(40)
    specs = [SpecifierSet(alternative) for alternative in specifier.split("||")]
    return any(spec.contains(f"3.{version.minor}.{patch}", prereleases=True) for spec in specs for patch in patches)


def lowest(specifier: str) -> PythonVersion | None:
    """The lowest Python 3 minor version that a PEP 440 range lets in; raises ValueError where it is no range."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        sets = [SpecifierSet(alternative) for alternative in specifier.split("||")]
    except InvalidSpecifier as error:
        raise ValueError(f"'{specifier}' is no version range") from error
    bounded = all(any(clause.operator not in {"<", "<=", "!="} for clause in spec) for spec in sets)
    if not bounded or any(admits(specifier, PythonVersion(minor)) for minor in range(OLDEST)):
        return None  # no lower end, or one that no target can have: the version is unknown
    versions = (PythonVersion(minor) for minor in range(OLDEST, NEWEST + 1))
    return next((version for version in versions if admits(specifier, version)), None)
