"""The shared libraries that compiled modules of an image need and the image lacks: looked up as the loader does, nothing is run."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from buildguard.definitions import lazy_pattern
from buildguard.docker.elf import ElfLibraries
from buildguard.docker.native_modules import LOADERS, MUSL

# Where the loaders of Debian, Red Hat and Alpine look without being asked to, by the processor.
_FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64")
_TRIPLETS = {
    "amd64": "x86_64-linux-gnu",
    "arm64": "aarch64-linux-gnu",
    "386": "i386-linux-gnu",
    "arm": "arm-linux-gnueabihf",
}
# The C library and its loader: they are there, or nothing runs; what does not fit is another finding.
_BASIC = lazy_pattern(
    r"(?:ld-linux|ld64|ld-musl|libc\.musl|linux-vdso).*|lib(?:c|m|dl|pthread|rt|util|resolv)\.so(?:\.\d+)?"
)
# What a host or the platform brings into a container.
_BROUGHT = lazy_pattern(r"lib(?:cuda|nvidia-ml|nvcuvid|tpu)\.so.*")


class LibraryFinder:
    """Looks for libraries in one image. `exists` answers for a path, `inside` are the names of libraries that packages bring."""

    def __init__(self, exists: Callable[[str], bool], folders: Sequence[str], inside: Collection[str]) -> None:
        self._exists = exists
        self._folders = folders
        self._inside = inside
        self._seen: dict[tuple[str, str], bool] = {}

    def missing(self, path: str, libraries: ElfLibraries) -> list[str]:
        """What a module needs and nothing in the image is; a library that another package brings may be loaded before."""
        origin = posixpath.dirname(path)
        own = [_expand(folder, origin) for folder in libraries.folders]
        names = [name for name in libraries.needed if not _BASIC.fullmatch(name) and not _BROUGHT.fullmatch(name)]
        return [name for name in names if name not in self._inside and not self._is_there(name, own)]

    def _is_there(self, name: str, own: Sequence[str]) -> bool:
        if "/" in name:
            return self._holds("/", name)
        return any(self._holds(folder, name) for folder in (*own, *self._folders))

    def _holds(self, folder: str, name: str) -> bool:
        if (folder, name) not in self._seen:
            self._seen[folder, name] = self._exists(posixpath.normpath(posixpath.join(folder, name)))
        return self._seen[folder, name]


def _expand(folder: str, origin: str) -> str:
    return folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)


def loader_folders(platform: str, variable: str, configured: Mapping[str, bytes]) -> list[str]:
    """The folders of an image's loader: LD_LIBRARY_PATH, `/etc/ld.so.conf` with what it includes, and the usual ones."""
    machine = platform.partition("/")[2].partition("/")[0]
    triplet = _TRIPLETS.get(machine, "")
    usual = [f"{folder}/{triplet}" for folder in ("/lib", "/usr/lib", "/usr/local/lib") if triplet]
    lines = (line for text in configured.values() for line in text.decode("utf-8", "replace").splitlines())
    listed = (line.strip().split("#")[0].strip() for line in lines)
    named = [
        folder
        for line in listed
        for folder in re.split(r"[:,\s]+", line)
        if folder.startswith("/") and "*" not in folder
    ]
    return list(dict.fromkeys([*filter(None, variable.split(":")), *named, *usual, *_FOLDERS]))


def loader_settings(platform: str) -> Iterator[str]:
    """The paths of the files, and folders of files, that tell an image's loader where to look."""
    machine = platform.partition("/")[2].partition("/")[0]
    musl = LOADERS.get(machine, {}).get(MUSL, "")
    yield from ("/etc/ld.so.conf", "/etc/ld.so.conf.d")
    if musl:
        yield "/etc/" + posixpath.basename(musl).replace(".so.1", ".path")
