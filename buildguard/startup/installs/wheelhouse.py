"""A folder of wheels that pip installs from without an index: whether each requirement, with all that it needs, can be met. Pure."""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Callable, Iterable, Iterator

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.project.package_names import normalize
from buildguard.startup.installs.platform import WheelPlatform

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.version import Version

_SOURCES = (".tar.gz", ".zip", ".tar.bz2", ".tgz")
_TOOLS = frozenset({"pip", "setuptools", "wheel"})  # an image may have them already
_MOST_METADATA = 1 << 22
_DEEPEST = 40


class HouseRelease(NamedTuple):
    """A file of the folder that can be installed: its version, the Pythons that it is for, and what it needs (None: unknown)."""

    path: str
    version: Version
    requires_python: str = ""
    needs: tuple[Requirement, ...] | None = None


class Unmet(NamedTuple):
    """A requirement that nothing in the folder meets, and the releases on the way to it."""

    requirement: Requirement
    through: tuple[str, ...] = ()


class Wheelhouse:
    """The releases of some files for one platform.

    A requirement counts as met if a release of it meets all of its own: what pip would have to find at the least. Conflicts
    between requirements are left to pip.
    """

    def __init__(
        self, paths: Iterable[str], read: Callable[[str], bytes | None], platform: WheelPlatform, *, only_wheels: bool
    ) -> None:
        self._read = read
        self._platform = platform
        self._releases: dict[str, list[HouseRelease]] = {}
        self._unmet: dict[tuple[str, str], Unmet | None] = {}
        for path in paths:
            parsed = _parse(path, only_wheels=only_wheels)
            if parsed is not None and platform.takes_file(path):
                self._releases.setdefault(parsed[0], []).append(HouseRelease(path, parsed[1]))

    def unmet(self, requirement: Requirement, *, with_needs: bool = True) -> Unmet | None:
        """What a requirement lacks; None where it can be met, or is not needed on the platform."""
        return self._lacking(requirement, (), "", with_needs=with_needs)

    def _lacking(
        self, requirement: Requirement, through: tuple[str, ...], extra: str, *, with_needs: bool
    ) -> Unmet | None:
        name = normalize(requirement.name)
        is_needed = self._platform.marker(str(requirement.marker or ""), extra) is True and not requirement.url
        if not is_needed or name in _TOOLS or len(through) > _DEEPEST:
            return None
        key = name, f"{requirement.specifier}[{','.join(sorted(requirement.extras))}]"
        if key not in self._unmet:
            self._unmet[key] = None  # a circle is met where the rest of it is
            self._unmet[key] = self._search(name, requirement, through, with_needs=with_needs)
        return self._unmet[key]

    def _search(
        self, name: str, requirement: Requirement, through: tuple[str, ...], *, with_needs: bool
    ) -> Unmet | None:
        lacking: Unmet | None = None
        for release in self._releases.get(name, ()):
            read = self._described(release)
            is_wanted = requirement.specifier.contains(read.version, prereleases=True)
            if not is_wanted or not self._platform.admits(read.requires_python):
                continue
            way = (*through, f"{name} {read.version}")
            needs = ((need, extra) for need in read.needs or () for extra in ("", *requirement.extras))
            missing = (self._lacking(need, way, extra, with_needs=True) for need, extra in needs)
            first = next(filter(None, missing), None) if with_needs else None
            if first is None:
                return None
            lacking = lacking or first
        return lacking or Unmet(requirement, through)

    def _described(self, release: HouseRelease) -> HouseRelease:
        """A release with what its metadata says; as it is where that cannot be read."""
        data = self._read(release.path) if release.path.endswith(".whl") else None
        metadata = _metadata(data) if data else None
        if metadata is None:
            return release
        from email.parser import HeaderParser  # takes as long to import as all that is ours here

        fields = HeaderParser().parsestr(metadata)
        needs = tuple(_requirements(fields.get_all("Requires-Dist") or ()))
        return release._replace(requires_python=str(fields.get("Requires-Python") or ""), needs=needs)


def _parse(path: str, *, only_wheels: bool) -> tuple[str, Version] | None:
    """The project and version of a file; None for one that is no distribution."""
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    name = posixpath.basename(path)
    try:
        if name.endswith(".whl"):
            return parse_wheel_filename(name)[:2]
        return parse_sdist_filename(name) if name.endswith(_SOURCES) and not only_wheels else None
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def _metadata(data: bytes) -> str | None:
    """The METADATA of a wheel; None for a placeholder, or a damaged one."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            name = next(
                name for name in wheel.namelist() if name.count("/") == 1 and name.endswith(".dist-info/METADATA")
            )
            if wheel.getinfo(name).file_size > _MOST_METADATA:
                return None
            return wheel.read(name).decode("utf-8", "replace").partition("\n\n")[0]
    except (zipfile.BadZipFile, StopIteration, OSError, NotImplementedError, RuntimeError, ValueError, EOFError):
        return None


def _requirements(lines: Iterable[str]) -> Iterator[Requirement]:
    from packaging.requirements import InvalidRequirement, Requirement

    for line in lines:
        try:
            yield Requirement(str(line))
        except InvalidRequirement:
            continue
