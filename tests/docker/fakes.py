"""A container engine and a container in memory, for what decides by their answers and needs no container."""

from __future__ import annotations

import io
import tarfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from buildguard.docker.client import EngineAddress
from buildguard.docker.images import Image
from buildguard.docker.sandbox import ImagePath
from buildguard.project.image_reference import ImageDigest

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from buildguard.docker.client import Daemon
    from buildguard.docker.sandbox import Sandbox


def daemon_of(**methods: Any) -> Daemon:
    """An engine whose API has just these methods."""
    address = EngineAddress("unix:///nowhere.sock", None, "a test")
    return cast("Daemon", SimpleNamespace(api=SimpleNamespace(**methods), address=address, name="the engine of a test"))


def image_of(*command: str, env: tuple[str, ...] = (), folder: str = "/app") -> Image:
    """An image with a command, an environment and a working directory."""
    return Image("app:1", "sha256:1", ImageDigest(""), "linux/amd64", env, folder, command)


def tar_of(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A tar with files by their contents, and whatever else a TarInfo describes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, member in members.items():
            if isinstance(member, tarfile.TarInfo):
                member.name = name
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(member), 1000
                tar.addfile(info, io.BytesIO(member))
    return buffer.getvalue()


def special(kind: bytes, link: str = "") -> tarfile.TarInfo:
    """A member that is no file: a link, a folder, a device."""
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, link
    return info


class FakeCell:
    """The files of an image: executables by their path, everything above them being folders."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.exports = 0

    def stat(self, path: str) -> ImagePath | None:
        """A file may be executed; a folder is what has files below it."""
        if path in self.files:
            return ImagePath(path, is_folder=False, is_executable=True)
        is_folder = any(name.startswith(f"{path.rstrip('/')}/") for name in self.files)
        return ImagePath(path, is_folder=True, is_executable=True) if is_folder else None

    def tar(self, path: str) -> Generator[bytes]:
        """One file."""
        yield tar_of({path.rpartition("/")[2]: self.files[path]})

    def export(self) -> Generator[bytes]:
        """All of them."""
        self.exports += 1
        yield tar_of({name.lstrip("/"): data for name, data in self.files.items()})

    @property
    def cell(self) -> Sandbox:
        """Itself, for the type checker."""
        return cast("Sandbox", self)
