"""What a source archive holds, whatever its form: each member hashed correctly, or the archive refused by that member's name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import assert_never

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import RelativePath, display_path
from buildguard.errors import UnprovenError
from buildguard.stages import manifest as manifests
from buildguard.stages.archives import gzip
from buildguard.stages.archives import zip as zips
from buildguard.stages.archives.tar import CUT_OFF, MemberKind, RefusedArchiveError, TarMember, TarReader, refusal
from buildguard.stages.archives.zip import ZipReader
from buildguard.stages.manifest import Extras, Manifest, ManifestEntry, Sha256

_CHUNK = 1 << 18
_MOST_MEMBERS = 1_000_000
_USTAR, _USTAR_AT = b"ustar", 257
_SET_ID = 0o6000


class ArchiveContents(NamedTuple):
    """An archive's manifest; the SHA-256 of the file and of the tar inside it (the file's own for a zip or a plain tar).

    `comment` is the commit that `git archive` names.
    """

    manifest: Manifest
    file_digest: Sha256
    digest: Sha256
    comment: str


def read(
    file: Path, *, keep: Callable[[bytes, bytes], None] | None = None, wanted: frozenset[bytes] | None = None
) -> ArchiveContents:
    """Hash every member of a tar, a gzipped tar or a zip; `keep` gets the content of the wanted ones (None: all), piece by piece.

    Nothing is extracted, and memory does not grow with the archive. Raises UnprovenError for an archive that is damaged,
    cut, ambiguous, or that reaches out of its root: then nothing of it is known.
    """
    try:
        with _open_archive(file) as descriptor:
            digests = _ArchiveDigests()
            reader = _reader(descriptor, digests)
            members = _MemberIndex(reader, keep, wanted)
            members.add_all()
            return ArchiveContents(
                members.manifest(), Sha256(digests.file.hexdigest()), Sha256(digests.inner.hexdigest()), reader.comment
            )
    except OSError as error:
        raise UnprovenError(f"{file} cannot be read: {error.strerror}") from error


@contextmanager
def _open_archive(file: Path) -> Iterator[int]:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _ArchiveDigests:
    """What is hashed on the way: the file itself, and the tar inside it."""

    def __init__(self) -> None:
        self.file = hashlib.sha256()
        self.inner = hashlib.sha256()

    def pieces(self, descriptor: int) -> Iterator[bytes]:
        while piece := os.read(descriptor, _CHUNK):
            self.file.update(piece)
            yield piece

    def unpacked(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.inner.update(piece)
            yield piece


def _reader(descriptor: int, digests: _ArchiveDigests) -> TarReader | ZipReader:
    head = os.pread(descriptor, 512, 0)
    if head.startswith(gzip.MAGIC):
        return TarReader(digests.unpacked(gzip.gunzip(digests.pieces(descriptor))))
    if head.startswith(zips.MAGIC):
        for piece in digests.pieces(descriptor):
            digests.inner.update(piece)
        return zips.ZipReader(descriptor)
    if head[_USTAR_AT : _USTAR_AT + len(_USTAR)] != _USTAR and head.strip(b"\0"):
        raise UnprovenError("the archive is neither a tar, a gzipped tar nor a zip")
    return TarReader(digests.unpacked(digests.pieces(descriptor)))


class _MemberIndex:
    """The members of one archive, compared with each other."""

    def __init__(
        self,
        reader: TarReader | ZipReader,
        keep: Callable[[bytes, bytes], None] | None,
        wanted: frozenset[bytes] | None,
    ) -> None:
        self._reader = reader
        self._keep = keep
        self._wanted = wanted
        self._entries: dict[bytes, ManifestEntry] = {}
        self._folders: set[bytes] = set()
        self._explicit: set[bytes] = set()
        self._modes: dict[bytes, int] = {}
        self._twins: dict[bytes, bytes] = {}

    def add_all(self) -> None:
        """Every member; what has no place of its own is reported with the last member that was whole."""
        last = b""
        try:
            for member in self._reader:
                self.add(member)
                last = member.path
        except UnprovenError as error:
            if isinstance(error, RefusedArchiveError) and error.has_place:
                raise
            where = f"after {display_path(last)}" if last else "before its first member"
            raise UnprovenError(f"{error.what} ({where})", hint=error.hint) from error

    def add(self, member: TarMember) -> None:
        path = _path(member)
        if not path and member.kind is not MemberKind.FOLDER:
            raise refusal("the root by its name, and no folder", member.path)
        if not path:
            return
        if path in self._entries or path in self._explicit:
            raise refusal("it is there twice", path)
        if len(self._entries) + len(self._explicit) >= _MOST_MEMBERS:
            raise refusal("it has more than a million members", path)
        if member.mode & _SET_ID:
            raise refusal("it would run as another user (set-id bits)", path)
        self._parents(path)
        if member.kind is MemberKind.FOLDER:
            self._explicit.add(path)
            self._folders.add(path)
            return
        if path in self._folders:
            raise refusal("a folder and a file of one name", path)
        if member.mode:  # a zip may have none
            self._modes[path] = member.mode
        self._entries[path] = self._entry(path, member)

    def manifest(self) -> Manifest:
        """Everything that was added."""
        full = {path.rpartition(b"/")[0] for path in [*self._entries, *self._explicit]}
        extras = Extras(frozenset(self._explicit - full), {}, self._modes, self._twins, whole=True)
        return Manifest(self._entries.values(), extras)

    def _parents(self, path: bytes) -> None:
        parent = path.rpartition(b"/")[0]
        while parent and parent not in self._folders:
            if parent in self._entries:
                raise refusal("it lies below a file or a link", path)
            self._folders.add(parent)
            parent = parent.rpartition(b"/")[0]

    def _entry(self, path: bytes, member: TarMember) -> ManifestEntry:
        match member.kind:
            case MemberKind.FILE:
                return self._file(path, member)
            case MemberKind.SYMLINK:
                self._give(path, member.link)
                return manifests.of_bytes(path, manifests.LINK, member.link)
            case MemberKind.HARDLINK:
                return self._hard_link(path, member)
            case MemberKind.FOLDER | MemberKind.OTHER:
                raise refusal("a device, a FIFO or something else that is no source", path)
            case _:
                assert_never(member.kind)

    def _hard_link(self, path: bytes, member: TarMember) -> ManifestEntry:
        other = self._entries.get(_plainest(member.link, member.path))
        if other is None or other.type != "file":
            raise refusal("a hard link to no earlier file", path)
        self._twins[path] = other.path
        return other._replace(path=RelativePath(path))

    def _file(self, path: bytes, member: TarMember) -> ManifestEntry:
        digest, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % member.size, usedforsecurity=False)
        for piece in self._reader.content():
            digest.update(piece)
            blob.update(piece)
            self._give(path, piece)
        mode = manifests.EXECUTABLE if member.mode & 0o111 else manifests.FILE
        return ManifestEntry(
            RelativePath(path), mode, member.size, manifests.Sha256(digest.hexdigest()), blob.hexdigest()
        )

    def _give(self, path: bytes, piece: bytes) -> None:
        if self._keep is not None and (self._wanted is None or path in self._wanted):
            self._keep(path, piece)


def _path(member: TarMember) -> bytes:
    """A member's path from the root, empty for the root itself."""
    name = member.path.removesuffix(b"/") if member.kind is MemberKind.FOLDER else member.path
    if CUT_OFF.match(name):
        raise refusal("a name that begins like a path of Windows, which bsdtar cuts off", name)
    return _plainest(name, member.path)


def _plainest(name: bytes, full: bytes) -> bytes:
    if name == b".":
        return b""
    name = name.removeprefix(b"./")
    why = manifests.trouble_with(name) if name else ""  # `./`, and Python's `/`, are the root itself
    if why:
        raise refusal(why, full)
    return name


def list_oddities(manifest: Manifest) -> list[str]:
    """What another machine may understand differently, one line each: names that collide, or that terminals and tools mistake."""
    by_folded_path: dict[str, list[bytes]] = {}
    for path in manifest.entries:
        by_folded_path.setdefault(manifests.fold_path(path), []).append(path)
    return [
        f"{' and '.join(map(display_path, paths))} may be one name on a disk that ignores case or normalizes names"
        for paths in by_folded_path.values()
        if len(paths) > 1
    ]
