"""Writing the archive that is sent: the same tar bytes for the same content, on every machine, Python version and day.

Sorted, owner 0, fixed modes, one time (a commit's: a constant one makes builders take a changed file of the same size
for the one they have), ustar where a name fits and pax where it does not. Compressed bytes depend on the compressor, so
the identity is the digest of the tar inside.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import RelativePath
from buildguard.errors import UnprovenError
from buildguard.stages import manifest as manifests
from buildguard.stages.archives import gzip
from buildguard.stages.archives.tar import CUT_OFF
from buildguard.stages.manifest import Manifest, ManifestEntry, Sha256

_BLOCK = 512
_BATCH = 1 << 20
_NAME, _PREFIX, _LINK, _SIZE = 100, 155, 100, 8**11
_MODES = {manifests.FILE: 0o644, manifests.EXECUTABLE: 0o755, manifests.LINK: 0o777}
_FOLDER = 0o755
FILE_TYPE, FOLDER_TYPE = b"0", b"5"
_TYPES = {manifests.FILE: FILE_TYPE, manifests.EXECUTABLE: FILE_TYPE, manifests.LINK: b"2"}
END = bytes(2 * _BLOCK)


class ArchiveItem(NamedTuple):
    """What goes into an archive: a path, git's mode, the content (a link's text), and its time in seconds."""

    path: bytes
    mode: str
    content: bytes
    mtime: int


class MemberHeader(NamedTuple):
    """The fields of a member's header; `type` is tar's: `FILE_TYPE`, `FOLDER_TYPE` (whose path ends in a slash), a link's."""

    path: bytes
    type: bytes
    mode: int
    size: int
    link: bytes = b""
    mtime: int = 0


class WrittenArchive(NamedTuple):
    """An archive that was written: what it holds, the SHA-256 of the tar inside and of the file, and the file's size."""

    manifest: Manifest
    digest: Sha256
    file_digest: Sha256
    size: int


def write_archive(
    file: Path, items: Iterable[ArchiveItem], folders: Iterable[bytes], mtime: int, aside: bytes = b""
) -> WrittenArchive:
    """Write a gzipped tar of some items (sorted by path) and folders, with the manifest of it all at its end.

    `aside` is what the cloud engine asks beside them: it is no part of the manifest, and left out where it is empty. The file is read back and has to give the same tar. Raises UnprovenError where it does not, or cannot be written.
    """
    try:
        with open(file, "wb") as out, _TarWriter(out, sorted(folders, reverse=True), mtime) as tar:
            for item in items:
                tar.add(item)
            written = tar.finish(aside)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise UnprovenError(f"{file} could not be written: {error.strerror}") from error
    _read_back(file, written)
    return written


class _TarWriter:
    """A gzipped tar while it grows."""

    def __init__(self, out: BinaryIO, folders: list[bytes], mtime: int) -> None:
        self._out = out
        self._folders = folders  # the next one last
        self._written_folders: set[bytes] = set()
        self._mtime = mtime
        self._file_digest, self._size = hashlib.sha256(), 0
        self._gzip = gzip.GzipWriter(self._write)
        self._entries: list[ManifestEntry] = []
        self._pending: list[bytes] = []
        self._length = 0

    def __enter__(self) -> Self:
        self._gzip.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._gzip.__exit__(*error)

    def add(self, item: ArchiveItem) -> None:
        while self._folders and self._folders[-1] + b"/" < item.path:
            self._folder(self._folders.pop())
        self._entries.append(
            ManifestEntry(
                RelativePath(item.path),
                item.mode,
                len(item.content),
                manifests.sha256_of(item.content),
                text=item.content if item.mode == manifests.LINK else b"",
            )
        )
        link = item.content if item.mode == manifests.LINK else b""
        content = b"" if item.mode == manifests.LINK else item.content
        self._member(
            MemberHeader(item.path, _TYPES[item.mode], _MODES[item.mode], len(content), link, item.mtime), content
        )

    def finish(self, aside: bytes) -> WrittenArchive:
        while self._folders:
            self._folder(self._folders.pop())
        manifest = Manifest(self._entries)
        rows = manifest.rows()
        self._folder(manifests.CARRIED.rpartition(b"/")[0])
        for path, content in ((manifests.CARRIED, rows), (manifests.ASIDE, aside)):
            if content or path == manifests.CARRIED:
                self._member(
                    MemberHeader(path, FILE_TYPE, _MODES[manifests.FILE], len(content), b"", self._mtime), content
                )
        self._put(END)
        self._flush()
        self._gzip.end()
        return WrittenArchive(manifest, Sha256(self._gzip.digest), Sha256(self._file_digest.hexdigest()), self._size)

    def _folder(self, path: bytes) -> None:
        if path not in self._written_folders:
            self._written_folders.add(path)
            self._member(MemberHeader(path + b"/", FOLDER_TYPE, _FOLDER, 0, b"", self._mtime), b"")

    def _member(self, member: MemberHeader, content: bytes) -> None:
        self._put(*pack_member(member, content))

    def _put(self, *pieces: bytes) -> None:
        self._pending += pieces
        self._length += sum(map(len, pieces))
        if self._length >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        """Hand a batch to the compressor, which works on other cores."""
        self._gzip.add(b"".join(self._pending))
        self._pending, self._length = [], 0

    def _write(self, packed: bytes) -> None:
        self._file_digest.update(packed)
        self._size += len(packed)
        self._out.write(packed)


def pack_member(member: MemberHeader, content: bytes = b"") -> Iterator[bytes]:
    """One member of a tar in pieces: what says more than a header can, the header, and the content up to the end of its block."""
    if CUT_OFF.match(member.path):
        member = member._replace(path=b"./" + member.path)
    records = _records(member)
    if records:
        extended = MemberHeader(b"pax_header", b"x", _MODES[manifests.FILE], len(records), b"", member.mtime)
        yield from (_header(extended), records, bytes(-len(records) % _BLOCK))
    yield from (_header(member), content, bytes(-len(content) % _BLOCK))


def pack_files(files: Iterable[tuple[str, int, bytes]], folders: Iterable[tuple[str, int]] = ()) -> bytes:
    """A tar of a few folders and files in memory, each with its mode: what is put into a container."""
    members = [pack_member(MemberHeader(os.fsencode(f"{path}/"), FOLDER_TYPE, mode, 0)) for path, mode in folders]
    members += [
        pack_member(MemberHeader(os.fsencode(path), FILE_TYPE, mode, len(content)), content)
        for path, mode, content in files
    ]
    return b"".join(piece for member in members for piece in member) + END


_OWNER = b"%07o\0%07o\0" % (0, 0)
_MAGIC_AND_OWNER = b"ustar\x0000" + bytes(64) + _OWNER
_CONSTANT = sum(_OWNER) + 8 * 0x20 + sum(_MAGIC_AND_OWNER)


def _header(member: MemberHeader) -> bytes:
    name, prefix = _split(member.path)
    size = member.size if member.size < _SIZE else 0
    link = member.link[:_LINK]
    mode, numbers = b"%07o\0" % member.mode, b"%011o\0%011o\0" % (size, member.mtime)
    # the checksum's own field counts as blanks, and zeros count nothing
    check = _CONSTANT + sum(name) + sum(mode) + sum(numbers) + sum(member.type) + sum(link) + sum(prefix)
    fields = (
        name.ljust(_NAME, b"\0"),
        mode,
        _OWNER,
        numbers,
        b"%06o\0 " % check,
        member.type,
        link.ljust(_LINK, b"\0"),
        _MAGIC_AND_OWNER,
        prefix.ljust(_PREFIX + 12, b"\0"),
    )
    return b"".join(fields)


def _split(path: bytes) -> tuple[bytes, bytes]:
    """A path in the two fields of ustar; what does not fit is cut there, and whole in the extended header."""
    if len(path) <= _NAME:
        return path, b""
    at = path.find(b"/", max(0, len(path) - _NAME - 1))
    if 0 < at <= _PREFIX and at < len(path) - 1:
        return path[at + 1 :], path[:at]
    return path[:_NAME].rstrip(b"/"), b""


def _records(member: MemberHeader) -> bytes:
    """The extended header of a member, empty where its fields say everything."""
    if len(member.path) <= _NAME and len(member.link) <= _LINK and member.size < _SIZE:
        return b""
    records = []
    name, prefix = _split(member.path)
    if (prefix + b"/" + name if prefix else name) != member.path:
        records.append((b"path", member.path))
    if len(member.link) > _LINK:
        records.append((b"linkpath", member.link))
    if member.size >= _SIZE:
        records.append((b"size", b"%d" % member.size))
    if any(not _is_composed(value) for _key, value in records):
        records.insert(0, (b"hdrcharset", b"BINARY"))
    return b"".join(_record(key, value) for key, value in records)


def _record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %b=%b\n" % (length, key, value)


def _is_composed(value: bytes) -> bool:
    """Whether a value is UTF-8 that no reader changes: bsdtar composes letters and accents."""
    import unicodedata

    try:
        return unicodedata.is_normalized("NFC", value.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _read_back(file: Path, written: WrittenArchive) -> None:
    """The file on the disk has to be what was written; that it unpacks to the tar was seen while it was."""
    with open(file, "rb") as packed:
        if hashlib.file_digest(packed, "sha256").hexdigest() != written.file_digest:
            raise UnprovenError(f"{file} does not hold what was written into it")
