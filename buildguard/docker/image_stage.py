"""The image stage: some folders of an image, listed, hashed and read; nothing of it is run or extracted."""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import assert_never

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnostic import RelativePath, UnreadableFile, display_path
from buildguard.docker import native_modules
from buildguard.docker.elf import ElfLibraries
from buildguard.docker.image_source import ImageFilesystem
from buildguard.docker.images import Image
from buildguard.errors import UnprovenError
from buildguard.remote.source_names import SUFFIXES
from buildguard.stages.archives.tar import MemberKind, TarMember, TarReader
from buildguard.stages.snapshot import MOST_KEPT
from buildguard.stages.stage import Entry, EntryKind

_SHEBANG = b"#!"
_KEPT = (*SUFFIXES, b".pyc")
_METADATA = (b"/pyvenv.cfg", b".dist-info/RECORD", b".dist-info/direct_url.json")
_DEAD_ENDS = lazy_pattern(rb"(?:^|/)(?:\.git|\.hg|\.svn|node_modules)/")
_COMPILED = lazy_pattern(rb"\.so(?:\.[0-9.]+)?\Z")
_MOST_LINKS = 40


class ImageEntry(NamedTuple):
    """One path of an image: its content's size and SHA-256, its mtime in seconds, and where its content is kept.

    `at` is None for content that is not kept, as it is `too_large` or of no use; `link` is the target of a symbolic link; `blob` is git's id, where it was
    asked for; `elf_target` is what a compiled module is for, `libraries` what it needs.
    """

    kind: EntryKind
    size: int
    digest: bytes
    mtime: int
    link: bytes = b""
    at: int | None = None
    blob: str = ""
    elf_target: native_modules.ElfTarget | None = None
    libraries: ElfLibraries | None = None
    too_large: bool = False


class _FileDigests:
    """What is computed of a file while its bytes go by; its git id only where its size is given for that."""

    def __init__(self, path: bytes, blob_size: int | None) -> None:
        self.sha256 = hashlib.sha256()
        self._blob = None
        if blob_size is not None:
            self._blob = hashlib.sha1(b"blob %d\0" % blob_size, usedforsecurity=False)
        self._elf = native_modules.ElfReader() if _COMPILED.search(path) else None

    def update(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.sha256.update(piece)
        if self._blob is not None:
            self._blob.update(piece)
        if self._elf is not None:
            self._elf.feed(piece)

    @property
    def blob_id(self) -> str:
        """Git's id; empty where it was not asked for."""
        return self._blob.hexdigest() if self._blob is not None else ""

    @property
    def elf_target(self) -> native_modules.ElfTarget | None:
        """What a compiled module is for; None for every other file."""
        return self._elf.target if self._elf is not None else None

    @property
    def libraries(self) -> ElfLibraries | None:
        """The libraries that a compiled module needs; None for every other file."""
        return self._elf.libraries if self._elf is not None else None


class ImageFiles:
    """The files below some folders of an image, by their absolute path; the Python among them in an unnamed file."""

    def __init__(self, cell: ImageFilesystem, *, whole: bool = False) -> None:
        """With `whole`, every file that is not very large is kept, and has its git blob id."""
        import tempfile

        self.entries: dict[bytes, ImageEntry] = {}
        self._cell = cell
        self._whole = whole
        self._read: set[tuple[str, str]] = set()
        try:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115  closed with us
        except OSError as error:
            raise _no_room(error) from error
        self._end = 0

    def close(self) -> None:
        """Forget what was kept."""
        self._spool.close()

    def read(self, folder: str, *, is_named: bool = False) -> str:
        """Take in everything at and below a path; where that really is, links followed, empty where there is nothing.

        With `is_named` it is known by the path that was given, as Python knows what it imports: a link is not resolved. Raises UnprovenError where the stream is damaged or lost, or this disk is full.
        """
        location = self._cell.stat(folder)
        if location is None:
            return ""
        known_as = folder if is_named else location.path
        if (location.path, known_as) in self._read:
            return known_as
        base = os.fsencode(known_as.rstrip("/"))
        with closing(
            self._cell.tar(f"{location.path.rstrip('/')}/." if location.is_folder else location.path)
        ) as pieces:
            reader = TarReader(pieces)
            for member in reader:
                inner = posixpath.normpath(b"/" + member.path)[1:]
                path = base + b"/" + inner if location.is_folder else base
                if member.kind is not MemberKind.FOLDER:
                    self.entries[path] = self._read_member(reader, member, path, base)
        self._read.add((location.path, known_as))
        return known_as

    def content(self, path: bytes) -> bytes | UnreadableFile:
        """The content of a kept file, links followed to whatever else was read."""
        for _ in range(_MOST_LINKS):
            held = self.entries.get(path)
            if held is None:
                return UnreadableFile("a symbolic link out of what was read of the image, not followed")
            if held.kind is not EntryKind.LINK:
                break
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), held.link))
        else:
            return UnreadableFile("a symbolic link that leads in a circle")
        if held.kind is EntryKind.OTHER or held.at is None:
            special = "something special, not a file" if held.kind is EntryKind.OTHER else "was not kept"
            return UnreadableFile(f"larger than {MOST_KEPT >> 20} MB" if held.too_large else special)
        data = os.pread(self._spool.fileno(), held.size, held.at)
        if hashlib.sha256(data).digest() != held.digest:
            return UnreadableFile("what was kept of it was lost")
        return data

    def _read_member(self, reader: TarReader, member: TarMember, path: bytes, base: bytes) -> ImageEntry:
        match member.kind:
            case MemberKind.FILE:
                return self._read_file(reader, member, path)
            case MemberKind.SYMLINK:
                return ImageEntry(EntryKind.LINK, 0, hashlib.sha256(member.link).digest(), member.mtime, member.link)
            case MemberKind.HARDLINK:
                other = base + b"/" + posixpath.normpath(b"/" + member.link)[1:]
                return self.entries.get(other, ImageEntry(EntryKind.OTHER, 0, b"", member.mtime, member.link))
            case MemberKind.FOLDER | MemberKind.OTHER:
                return ImageEntry(EntryKind.OTHER, 0, b"", member.mtime)
            case _:
                assert_never(member.kind)

    def _read_file(self, reader: TarReader, member: TarMember, path: bytes) -> ImageEntry:
        digests = _FileDigests(path, member.size if self._whole else None)
        wanted = self._is_kept(path, member.size)
        fits = member.size <= MOST_KEPT
        start, is_empty = self._end, True
        for piece in reader.content():
            wanted = wanted or (is_empty and piece.startswith(_SHEBANG))
            is_empty = False
            digests.update(piece)
            if wanted and fits:
                self._keep(piece)
        return ImageEntry(
            EntryKind.EXECUTABLE if member.mode & 0o111 else EntryKind.FILE,
            member.size,
            digests.sha256.digest(),
            member.mtime,
            # an empty file has nothing to keep, and is read as what it is
            at=start if (wanted and fits) or is_empty else None,
            blob=digests.blob_id,
            elf_target=digests.elf_target,
            libraries=digests.libraries,
            too_large=wanted and not fits,
        )

    def _is_kept(self, path: bytes, size: int) -> bool:
        """Whether a file is kept whatever it begins with."""
        return path.endswith((*_KEPT, *_METADATA)) or (self._whole and size <= MOST_KEPT)

    def _keep(self, piece: bytes) -> None:
        while piece:
            try:
                written = os.pwrite(self._spool.fileno(), piece, self._end)
            except OSError as error:
                raise _no_room(error) from error
            self._end, piece = self._end + written, piece[written:]


def _no_room(error: OSError) -> UnprovenError:
    return UnprovenError(f"the files of the image cannot be stored: {error.strerror}", hint="TMPDIR names another disk")


class ImageStage:
    """The project in an image, as a stage: entries have the project's paths, others their absolute path in the image."""

    def __init__(
        self, name: str, root: Path, files: ImageFiles, places: dict[bytes, bytes], image: Image | None = None
    ) -> None:
        """`places` gives the path in the image of each entry; `image` is how that would be run, where it is asked for."""
        self.image = image
        self.name = name
        self.root = root
        self.files = files
        self.places = places
        self.lacking: frozenset[str] = frozenset()  # places that the Dockerfile fills and the image lacks: BG301 each

    @property
    def cache_folder(self) -> bytes:
        """The folder that Python keeps all bytecode in, as PYTHONPYCACHEPREFIX names it; empty where it is beside the sources."""
        return os.fsencode(self.image.cache_folder) if self.image is not None else b""

    def entries(self) -> list[Entry]:
        """Every path, sorted."""
        return [
            Entry(RelativePath(path), self.files.entries[place].kind)
            for path, place in sorted(self.places.items())
            if not _DEAD_ENDS.search(place)
        ]

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        """The content of each entry, from what was kept of the image."""
        for entry in entries:
            held = self.files.entries[self.places[entry.path]]
            # scripts are looked for among all files: what does not begin as one was not kept
            if held.at is None and held.kind in {EntryKind.FILE, EntryKind.EXECUTABLE} and not held.too_large:
                yield entry, b""
            else:
                yield entry, self.files.content(self.places[entry.path])

    def notes(self) -> list[str]:
        """Links that lead out of what was read."""
        notes = []
        known = {*self.files.entries, *map(posixpath.dirname, self.files.entries)}
        for path, place in sorted(self.places.items()):
            held = self.files.entries[place]
            if held.kind is EntryKind.LINK and not path.endswith(SUFFIXES):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(place), held.link))
                if target not in known:
                    notes.append(f"{display_path(path)}: a symbolic link to {display_path(target)}, not followed")
        return notes
