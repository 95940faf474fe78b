"""The image stage: what lies in some folders of an image, listed, hashed and read; nothing of it is run or extracted."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from buildguard.diagnostic import Unreadable, shown_path
from buildguard.docker import native_modules
from buildguard.docker.sandbox import Cell
from buildguard.errors import UnprovenError
from buildguard.remote.source_names import SUFFIXES
from buildguard.stages.archives.tar import Member, MemberKind, TarReader
from buildguard.stages.snapshot import MOST_KEPT
from buildguard.stages.stage import Entry, Kind

_SHEBANG = b"#!"
_KEPT = (*SUFFIXES, b".pyc")
_DEAD_ENDS = re.compile(rb"(?:^|/)(?:\.git|\.hg|\.svn|node_modules)/")
_COMPILED = re.compile(rb"\.so(?:\.[0-9.]+)?\Z")
_MOST_LINKS = 40


class Held(NamedTuple):
    """One path of an image: its content's size and SHA-256, its mtime in seconds, and where its content is kept.

    `at` is -1 for what nobody will want to read again; `link` is what a symbolic link says; `blob` is git's id, where
    it was asked for; `made` is what a compiled module is for.
    """

    kind: Kind
    size: int
    digest: bytes
    mtime: int
    link: bytes = b""
    at: int = -1
    blob: str = ""
    made: native_modules.Made | None = None


class ImageFiles:
    """The files below some folders of an image, by their absolute path; the Python among them in an unnamed file."""

    def __init__(self, cell: Cell, *, whole: bool = False) -> None:
        """With `whole`, every file that is not very large is kept, and has its git blob id."""
        import tempfile

        self.found: dict[bytes, Held] = {}
        self._cell = cell
        self._whole = whole
        try:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115  closed with us
        except OSError as error:
            raise _no_room(error) from error
        self._end = 0

    def close(self) -> None:
        """Forget what was kept."""
        self._spool.close()

    def read(self, folder: str) -> str:
        """Take in everything at and below a path; where that really is, links followed, empty where there is nothing.

        Raises UnprovenError where the stream is damaged or lost, or this disk is full.
        """
        found = self._cell.stat(folder)
        if found is None:
            return ""
        base = os.fsencode(found.path.rstrip("/"))
        with closing(self._cell.tar(f"{found.path.rstrip('/')}/." if found.is_folder else found.path)) as pieces:
            reader = TarReader(pieces)
            for member in reader:
                inner = posixpath.normpath(b"/" + member.path)[1:]
                path = base + b"/" + inner if found.is_folder else base
                if member.kind is not MemberKind.FOLDER:
                    self.found[path] = self._held(reader, member, path, base)
        return found.path

    def content(self, path: bytes) -> bytes | Unreadable:
        """The content of a kept file, links followed to whatever else was read."""
        for _ in range(_MOST_LINKS):
            held = self.found.get(path)
            if held is None:
                return Unreadable("a symbolic link out of what was read of the image, not followed")
            if held.kind is not Kind.LINK:
                break
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), held.link))
        else:
            return Unreadable("a symbolic link that leads in a circle")
        if held.kind is Kind.OTHER or held.at < 0:
            return Unreadable("something special, not a file" if held.kind is Kind.OTHER else "was not kept")
        data = os.pread(self._spool.fileno(), held.size, held.at)
        if hashlib.sha256(data).digest() != held.digest:
            return Unreadable("what was kept of it was lost")
        return data

    def _held(self, reader: TarReader, member: Member, path: bytes, base: bytes) -> Held:
        if member.kind is MemberKind.SYMLINK:
            return Held(Kind.LINK, 0, hashlib.sha256(member.link).digest(), member.mtime, member.link)
        if member.kind is MemberKind.HARDLINK:
            other = base + b"/" + posixpath.normpath(b"/" + member.link)[1:]
            return self.found.get(other, Held(Kind.OTHER, 0, b"", member.mtime, member.link))
        if member.kind is MemberKind.OTHER:
            return Held(Kind.OTHER, 0, b"", member.mtime)
        digest = hashlib.sha256()
        blob = hashlib.sha1(b"blob %d\0" % member.size, usedforsecurity=False) if self._whole else None
        kept = path.endswith(_KEPT) or path.endswith(b"/pyvenv.cfg") or (self._whole and member.size <= MOST_KEPT)
        elf = native_modules.Reader() if _COMPILED.search(path) else None
        start, first = self._end, True
        for piece in reader.content():
            if first and not kept:
                kept = piece.startswith(_SHEBANG)
            first = False
            digest.update(piece)
            if elf is not None:
                elf.feed(piece)
            if blob is not None:
                blob.update(piece)
            if kept:
                self._keep(piece)
        kind = Kind.EXECUTABLE if member.mode & 0o111 else Kind.FILE
        # an empty file has nothing to keep, and is read as what it is
        oid = blob.hexdigest() if blob is not None else ""
        made = elf.made if elf is not None else None
        at = start if kept or first else -1
        return Held(kind, member.size, digest.digest(), member.mtime, at=at, blob=oid, made=made)

    def _keep(self, piece: bytes) -> None:
        while piece:
            try:
                written = os.pwrite(self._spool.fileno(), piece, self._end)
            except OSError as error:
                raise _no_room(error) from error
            self._end, piece = self._end + written, piece[written:]


def _no_room(error: OSError) -> UnprovenError:
    return UnprovenError(f"what lies in the image cannot be kept: {error.strerror}", hint="TMPDIR names another disk")


class InImage:
    """The project in an image, as a stage: entries have the project's paths, others their absolute path in the image."""

    def __init__(self, name: str, root: Path, files: ImageFiles, places: dict[bytes, bytes]) -> None:
        """`places` gives the path in the image of each entry."""
        self.name = name
        self.root = root
        self.files = files
        self.places = places

    def entries(self) -> list[Entry]:
        """Every path, sorted."""
        return [
            Entry(path, self.files.found[place].kind)
            for path, place in sorted(self.places.items())
            if not _DEAD_ENDS.search(place)
        ]

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | Unreadable]]:
        """The content of each entry, from what was kept of the image."""
        for entry in entries:
            held = self.files.found[self.places[entry.path]]
            # scripts are looked for among all files: what does not begin as one was not kept
            if held.at < 0 and held.kind in {Kind.FILE, Kind.EXECUTABLE}:
                yield entry, b""
            else:
                yield entry, self.files.content(self.places[entry.path])

    def notes(self) -> list[str]:
        """Links that lead out of what was read."""
        notes = []
        known = {*self.files.found, *map(posixpath.dirname, self.files.found)}
        for path, place in sorted(self.places.items()):
            held = self.files.found[place]
            if held.kind is Kind.LINK and not path.endswith(SUFFIXES):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(place), held.link))
                if target not in known:
                    notes.append(f"{shown_path(path)}: a symbolic link to {shown_path(target)}, not followed")
        return notes
