"""The Python that a stage of a Dockerfile installs for: its version, processor and C library, with the wheels that it takes. Pure."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.project import dockerfile, image_reference
from buildguard.project.dockerfile import DockerfileStage
from buildguard.project.image_build import knows_base

if TYPE_CHECKING:
    from typing import Any

    from packaging.tags import Tag

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "ppc64le": "ppc64le", "s390x": "s390x"}
_NEWEST_GLIBC = 43  # 2.43: more than any image has, so that an unknown release takes every wheel
_GLIBC = {"buster": 28, "bullseye": 31, "bookworm": 36, "trixie": 41, "focal": 31, "jammy": 35, "noble": 39}
_OLDEST_GLIBC = {"x86_64": 5, "i686": 5}  # of the others 17
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
_MUSL = 2  # 1.2: every Alpine since 3.13
_ASKS = lazy_pattern(r"\b(?:extras|dependency_groups)\b")
_NO_PATCH, _ANY_PATCH = "0", "99"
_MOUNT = lazy_pattern(r"(\w+)=([^,\s]+)")
_COMPILERS = lazy_pattern(
    r"\b(?:gcc|g\+\+|clang|build-essential|build-base|python3-dev|musl-dev|gfortran|rust|cargo|make)\b|groupinstall"
)
_WITHOUT_COMPILER = lazy_pattern(r"slim|alpine|distroless|chiselled")


class WheelPlatform(NamedTuple):
    """A CPython 3.`minor` on Linux: the processor as Python names it, whether the C library is musl, and the minor version of that."""

    minor: int
    machine: str = "x86_64"
    is_musl: bool = False
    libc: int = _NEWEST_GLIBC

    @property
    def words(self) -> str:
        """The platform for people."""
        return f"Python 3.{self.minor} on {self.machine} with {'musl' if self.is_musl else 'glibc'}"

    @property
    def tags(self) -> frozenset[Tag]:
        """Every tag of a wheel that this Python takes."""
        return _tags(self)

    def platforms(self) -> Iterator[str]:
        """The platform tags, the newest first."""
        if self.is_musl:
            yield from (f"musllinux_1_{minor}_{self.machine}" for minor in range(self.libc, -1, -1))
        else:
            for minor in range(self.libc, _OLDEST_GLIBC.get(self.machine, 17) - 1, -1):
                yield f"manylinux_2_{minor}_{self.machine}"
                if minor in _LEGACY:
                    yield f"{_LEGACY[minor]}_{self.machine}"
        yield f"linux_{self.machine}"

    def takes(self, filename: str) -> bool:
        """Whether a wheel can be installed, by its name; True for a name that is not a wheel's."""
        from packaging.utils import InvalidWheelFilename, parse_wheel_filename

        try:
            return not self.tags.isdisjoint(parse_wheel_filename(filename)[3])
        except InvalidWheelFilename:
            return True

    def takes_file(self, path: str) -> bool:
        """Whether a file can be installed: a wheel for this Python, or a source distribution."""
        name = path.rpartition("/")[2]
        return not name.endswith(".whl") or self.takes(name)

    def marker(self, text: str, extra: str = "") -> bool | None:
        """The value of a marker; None where the patch release decides it, or where it cannot be read."""
        return self._value(text, {"extra": extra}, {})

    def locked_marker(self, text: str, extras: frozenset[str], groups: frozenset[str]) -> bool | None:
        """The value of a marker of pylock.toml, which may ask for extras and dependency groups; None as above."""
        asked = {"extras": extras, "dependency_groups": groups}
        return self._value(text, asked, {"context": "lock_file"}) if _ASKS.search(text) else self.marker(text)

    def _value(self, text: str, more: Mapping[str, Any], options: Mapping[str, Any]) -> bool | None:
        if not text:
            return True
        from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName

        try:
            marker = Marker(text)
            values = {
                marker.evaluate({**self._environment(patch), **more}, **options) for patch in (_NO_PATCH, _ANY_PATCH)
            }
        except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, TypeError):
            return None  # packaging before 25 does not know extras and groups of a lock
        return values.pop() if len(values) == 1 else None

    def _environment(self, patch: str) -> dict[str, str]:
        full = f"3.{self.minor}.{patch}"
        return {
            "implementation_name": "cpython",
            "implementation_version": full,
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": full,
            "python_version": f"3.{self.minor}",
            "sys_platform": "linux",
        }

    def admits(self, specifier: str) -> bool:
        """Whether a range of Python versions lets this one in, in any patch release; True for one that cannot be read."""
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            spec = SpecifierSet(specifier)
        except InvalidSpecifier:
            return True
        return any(spec.contains(f"3.{self.minor}.{patch}", prereleases=True) for patch in range(40))


@functools.lru_cache(maxsize=32)
def _tags(platform: WheelPlatform) -> frozenset[Tag]:
    from packaging.tags import compatible_tags, cpython_tags

    platforms = list(platform.platforms())
    version, interpreter = (3, platform.minor), f"cp3{platform.minor}"
    return frozenset(
        (*cpython_tags(version, [interpreter], platforms), *compatible_tags(version, interpreter, platforms))
    )


class BuildStage(NamedTuple):
    """A stage with those that it rests on, the nearest first, and the image at the root."""

    chain: tuple[DockerfileStage, ...]
    base: str

    def platform(self, of_image: str) -> WheelPlatform | None:
        """What it installs for, on `linux/amd64` or another platform, or the one that FROM names; None where that is not certain."""
        version = image_reference.promised_version(self.base)
        wanted = self.chain[-1].platform or of_image
        machine = _MACHINES.get(wanted.partition("/")[2].partition("/")[0])
        is_known = knows_base(self.base) and not dockerfile.installs_python(self.chain)
        if version is None or machine is None or not is_known:
            return None
        parts = re.split(r"[-_:.]", self.base)
        if any(part.startswith("alpine") for part in parts):
            return WheelPlatform(version.minor, machine, is_musl=True, libc=_MUSL)
        release = next((_GLIBC[part] for part in parts if part in _GLIBC), _NEWEST_GLIBC)
        return WheelPlatform(version.minor, machine, libc=release)

    @property
    def folder(self) -> str:
        """The last WORKDIR; empty where none is set."""
        steps = (step for stage in self.chain for step in reversed(stage.instructions))
        return next((step.text.strip() for step in steps if step.name == "WORKDIR"), "")

    @property
    def has_compiler(self) -> bool | None:
        """Whether a compiler is there; None where that is unknown."""
        runs = (step.text for stage in self.chain for step in stage.instructions if step.name == "RUN")
        if any(map(_COMPILERS.search, runs)):
            return True
        if not knows_base(self.base):
            return None
        return _WITHOUT_COMPILER.search(self.base) is None


def copied_sources(stage: BuildStage) -> Iterator[str]:
    """What a stage copies or mounts of the build context, as relative paths; "." is all of it."""
    for step in (step for part in reversed(stage.chain) for step in part.instructions):
        if step.name in {"COPY", "ADD"} and not any(flag.startswith("--from") for flag in step.flags):
            yield from (_relative(source) for source in dockerfile.source_words(step.text)[:-1])
        elif step.name == "RUN":
            mounts = (dict(_MOUNT.findall(flag)) for flag in step.flags if flag.startswith("--mount"))
            yield from (
                _relative(mount.get("source") or mount.get("src", "."))
                for mount in mounts
                if mount.get("type", "bind") == "bind" and "from" not in mount
            )


def _relative(source: str) -> str:
    return posixpath.normpath(source.lstrip("/") or ".")


def build_stages(recipe: bytes, build_args: Mapping[str, str]) -> list[BuildStage]:
    """Every stage of a Dockerfile."""
    stages = dockerfile.stages(recipe, build_args)
    return [BuildStage(*_chain(stages, at)) for at in range(len(stages))]


def _chain(stages: Sequence[DockerfileStage], at: int) -> tuple[tuple[DockerfileStage, ...], str]:
    chain = [stages[at]]
    while True:
        below = next(
            (i for i in range(at - 1, -1, -1) if stages[i].alias and stages[i].alias == chain[-1].base.lower()), None
        )
        if below is None:
            return tuple(chain), chain[-1].base
        at = below
        chain.append(stages[at])
