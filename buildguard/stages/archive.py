"""Source that is read from an archive: nothing is extracted, the contents wait in a file without a name."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from buildguard.diagnostic import UnreadableFile
from buildguard.errors import UnprovenError
from buildguard.stages.archives import reader as archives
from buildguard.stages.manifest import EXECUTABLE, LINK, sha256_of
from buildguard.stages.snapshot import MOST_KEPT
from buildguard.stages.stage import Entry, EntryKind, resolve_link

_KINDS = {EXECUTABLE: EntryKind.EXECUTABLE, LINK: EntryKind.LINK}


class ArchiveStage:
    """A tar, a gzipped tar or a zip."""

    def __init__(self, name: str, file: Path, root: Path) -> None:
        """Read the archive once; raises UnprovenError for one that cannot be trusted, or where this disk is full."""
        self.name = name
        self.root = root
        self._at: dict[bytes, list[tuple[int, int]]] = {}
        self._end = 0
        try:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115  closed with us
            weakref.finalize(self, self._spool.close)
            self._manifest = archives.read(file, keep=self._keep).manifest
            self._spool.flush()
        except OSError as error:
            raise UnprovenError(
                f"the files of {file} cannot be stored: {error.strerror}", hint="set TMPDIR to a folder on another disk"
            ) from error

    def entries(self) -> list[Entry]:
        """Every path, sorted."""
        entries = self._manifest.entries.values()
        return [Entry(entry.path, _KINDS.get(entry.mode, EntryKind.FILE)) for entry in entries]

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        """The content of each entry, links followed inside the archive."""
        for entry in entries:
            yield entry, self._content(entry.path)

    def notes(self) -> list[str]:
        """What another disk may understand differently."""
        return archives.list_oddities(self._manifest)

    def _content(self, path: bytes) -> bytes | UnreadableFile:
        entry = self._manifest.entries[path]
        if entry.mode == LINK:
            target = resolve_link(path, entry.text, self._link)
            if isinstance(target, UnreadableFile):
                return target
            entry = self._manifest.entries[target]
        if entry.size > MOST_KEPT:
            return UnreadableFile(f"larger than {MOST_KEPT >> 20} MB")
        source = self._manifest.extras.twins.get(entry.path, entry.path)
        data = b"".join(os.pread(self._spool.fileno(), size, at) for at, size in self._at.get(source, ()))
        if sha256_of(data) != entry.sha256:
            return UnreadableFile("what was kept of it was lost")
        return data

    def _link(self, path: bytes) -> bytes | None:
        entry = self._manifest.entries.get(path)
        return None if entry is None else entry.text

    def _keep(self, path: bytes, piece: bytes) -> None:
        pieces = self._at.setdefault(path, [])
        if sum(size for _at, size in pieces) <= MOST_KEPT:
            pieces.append((self._end, len(piece)))
            self._end += self._spool.write(piece)
