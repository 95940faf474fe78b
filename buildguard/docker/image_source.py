"""Where an image is read: on the local container engine, or in an export of its files that was made elsewhere."""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Protocol

from buildguard.docker import client as daemons
from buildguard.docker import images
from buildguard.docker import sandbox as cells
from buildguard.docker.images import Image
from buildguard.docker.sandbox import ImagePath
from buildguard.errors import UnprovenError
from buildguard.stages.archives.tar import TarReader
from buildguard.stages.archives.writer import END, FILE_TYPE, MemberHeader, pack_member

_PIECE = 1 << 20
_MOST_LINKS = 40


class ImageFilesystem(Protocol):
    """The files of an image. Nothing of it is run."""

    def stat(self, path: str) -> ImagePath | None:
        """What is at a path, links followed; None if nothing is."""

    def tar(self, path: str) -> Generator[bytes]:
        """A path as a tar, in pieces; of a folder (`path/.`) what is in it."""

    def export(self) -> Generator[bytes]:
        """All files as a tar, in pieces."""


class ImageSource(Protocol):
    """Somewhere that images can be read."""

    def open(
        self, reference: str, platform: str, pull: Callable[[str], None] | None
    ) -> AbstractContextManager[tuple[Image, ImageFilesystem]]:
        """An image and its files; raises UnprovenError where it cannot be read. `pull` is as for `images.find`."""


class EngineImages:
    """The local container engine."""

    @contextmanager
    def open(
        self, reference: str, platform: str, pull: Callable[[str], None] | None
    ) -> Iterator[tuple[Image, ImageFilesystem]]:
        """An image that the engine has, or pulls."""
        with closing(daemons.connect()) as daemon:
            cells.remove_orphans(daemon)
            image = images.find(daemon, reference, platform, pull)
            with cells.open_image_files(daemon, image) as cell:
                yield image, cell


ENGINE_IMAGES = EngineImages()


class ExportedFilesystem:
    """The files of an image in the tar that `docker export` writes; `close` when done."""

    def __init__(self, file: Path) -> None:
        """Raises UnprovenError for a damaged tar."""
        _refuse_damage(file)
        try:
            self._tar = tarfile.open(file, errors="surrogateescape")  # noqa: SIM115  closed with us
            self._members = {_absolute(member.name): member for member in self._tar}
        except (OSError, EOFError, tarfile.TarError) as error:
            raise UnprovenError(f"the exported image cannot be read: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._tar.close()

    def stat(self, path: str) -> ImagePath | None:
        """What is at a path, links followed on every level."""
        real = self._real(path)
        member = self._members.get(real)
        if not real:
            return None
        if real == "/" or (member is None and self._has_below(real)):
            return ImagePath(real, is_folder=True, is_executable=True)
        return None if member is None else ImagePath(real, member.isdir(), bool(member.mode & 0o111))

    def tar(self, path: str) -> Generator[bytes]:
        """A path as a tar; a hard link has its content."""
        base = self._real(path.removesuffix("/."))
        start = base.rstrip("/") + "/"
        names = [name for name in self._members if name.startswith(start)] if path.endswith("/.") else [base]
        for name in sorted(names):
            if name in self._members:
                inner = name[len(start) :] if path.endswith("/.") else posixpath.basename(name)
                yield from self._pack(name, inner)
        yield END

    def export(self) -> Generator[bytes]:
        """All of it."""
        yield from self.tar("/.")

    def _pack(self, name: str, inner: str) -> Iterator[bytes]:
        source = self._members[name]
        for _ in range(_MOST_LINKS):
            if not source.islnk():
                break
            source = self._members.get(_absolute(source.linkname), source)
        reader = self._tar.extractfile(source) if source.isreg() else None
        size = source.size if reader is not None else 0
        path, link = os.fsencode(f"{inner}/" if source.isdir() else inner), os.fsencode(source.linkname)
        kind = FILE_TYPE if source.isreg() else source.type
        yield b"".join(pack_member(MemberHeader(path, kind, source.mode, size, link, int(source.mtime))))
        while reader is not None and (piece := reader.read(_PIECE)):  # an image may have files larger than the memory
            yield piece
        yield bytes(-size % tarfile.BLOCKSIZE)

    def _has_below(self, folder: str) -> bool:
        start = folder.rstrip("/") + "/"
        return any(name.startswith(start) for name in self._members)

    def _real(self, path: str) -> str:
        """The path without links: each part is looked up in the folder that was reached; links that go around end nowhere."""
        done, left, links = "/", [part for part in path.split("/") if part], 0
        while left:
            done = posixpath.normpath(posixpath.join(done, left.pop(0)))
            member = self._members.get(done)
            if member is not None and member.issym():
                links += 1
                if links > _MOST_LINKS:
                    return ""
                left = [*filter(None, member.linkname.split("/")), *left]
                done = "/" if member.linkname.startswith("/") else posixpath.dirname(done)
        return done


def _refuse_damage(file: Path) -> None:
    """Raise UnprovenError for a tar that is cut or damaged: Python's own reader takes some for shorter ones."""
    with file.open("rb") as data:
        for _member in TarReader(iter(lambda: data.read(_PIECE), b"")):
            pass


def _absolute(name: str) -> str:
    return posixpath.normpath("/" + name.lstrip("/"))
