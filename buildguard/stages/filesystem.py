"""Stages on disk: a folder, and git's working tree.

What is read is what a later step compiles, so a file is opened without following links, read whole, and checked for
having changed meanwhile.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from buildguard.diagnostic import FOLDER, RelativePath, UnreadableFile, display_path
from buildguard.remote.source_names import NO_SOURCE, PACKAGES, VIRTUAL
from buildguard.stages.content_cache import ContentCache
from buildguard.stages.stage import KINDS, Entry, EntryKind, Listing, Stage
from buildguard.system import git
from buildguard.system.git_reader import LARGEST

READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_file(path: bytes, *, most: int | None = None, largest: int | None = None) -> bytes | UnreadableFile:
    """The content of a regular file, not through a link in its last part; whole, or the first `most` bytes.

    One of more than `largest` bytes is not read.
    """
    for _ in range(3):
        try:
            handle = os.open(path, READ_FLAGS)
        except OSError as error:
            return why_not(path, error)
        try:
            before = os.fstat(handle)
            if not stat.S_ISREG(before.st_mode) or (largest is not None and before.st_size > largest):
                return _not_readable(before, largest)
            if most is not None:
                return os.read(handle, most)
            data = os.read(handle, before.st_size + 1)
            while len(data) < before.st_size and (more := os.read(handle, before.st_size - len(data) + 1)):
                data += more  # one read gives at most 2 GiB
            after = os.fstat(handle)
        except OSError as error:
            return UnreadableFile(f"cannot be read: {error.strerror}")
        finally:
            os.close(handle)
        if len(data) == after.st_size and (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
            return data
    return UnreadableFile("changed while it was read")


def _not_readable(status: os.stat_result, largest: int | None) -> UnreadableFile:
    if largest is None or not stat.S_ISREG(status.st_mode):
        return not_a_file(status.st_mode)
    return UnreadableFile(f"more than {largest >> 20} MiB, so it was not read")


def digest_file(path: bytes) -> bytes | None:
    """The SHA-256 of a plain file as it is read just now; None for whatever `read_file` has to look at closer.

    The digest stands for the bytes that were read, so a file that changes meanwhile is no danger here: its
    mixture of old and new is in no cache.
    """
    try:
        handle = os.open(path, READ_FLAGS)
    except OSError:
        return None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return None  # a FIFO or a device reads as empty
        if status.st_size > LARGEST:
            return None
        data = os.read(handle, status.st_size + 1)
    except OSError:
        return None
    finally:
        os.close(handle)
    return hashlib.sha256(data).digest() if len(data) == status.st_size else None


def why_not(path: bytes, error: OSError) -> UnreadableFile:
    """Why a path could not be opened as a file."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return UnreadableFile("is not there any more", is_missing=True)
    except OSError:
        return UnreadableFile(f"cannot be read: {error.strerror}")
    if stat.S_ISLNK(mode):
        return UnreadableFile("a symbolic link")
    if stat.S_ISDIR(mode):
        return UnreadableFile(f"a folder that cannot be opened: {error.strerror}")
    if not stat.S_ISREG(mode):
        return not_a_file(mode)
    return UnreadableFile(f"cannot be read: {error.strerror}")


def not_a_file(mode: int) -> UnreadableFile:
    """That a path is not a regular file."""
    kind = _special(mode)
    return UnreadableFile(f"{kind}, not a file", special=kind)


def _special(mode: int) -> str:
    """What is there, by its mode."""
    kinds = {
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: FOLDER,
    }
    return kinds.get(stat.S_IFMT(mode), "something special")


class DiskStage:
    """What stages on disk share: reading below a root, never out of it."""

    name = "dir:."

    def __init__(self, root: Path) -> None:
        self.root = root
        self._base = os.fsencode(root) + b"/"
        self._inside: dict[bytes, bool] = {}
        self._entries: Listing | None = None
        self._left_out: list[str] = []
        self._kept: ContentCache | None = None

    @contextmanager
    def keeping_contents(self) -> Iterator[None]:
        """Read each small file once inside of this, for a run that asks for the same ones again and again."""
        outer, self._kept = self._kept, self._kept or ContentCache()
        try:
            yield
        finally:
            self._kept = outer

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        """Read each entry; a link is followed only to a file inside the root."""
        for entry in entries:
            if not self._reachable(entry.path.rpartition(b"/")[0]):
                yield entry, UnreadableFile("lies behind a symbolic link that leaves the root")
            else:
                yield entry, self._once(entry.path)

    def _once(self, path: bytes) -> bytes | UnreadableFile:
        """A content, kept where contents are."""
        kept = self._kept
        if kept is None:
            return self._read(path)
        known = kept.get(path)
        if known is not None:
            return known
        with kept.lock:
            known = kept.get(path)
            content = self._read(path) if known is None else known
            kept.keep(path, content)
        return content

    def _read(self, path: bytes) -> bytes | UnreadableFile:
        whole = self._base + path
        content = read_file(whole, largest=LARGEST)
        # asked of the disk: git's index may still know a link as the file that it was
        if isinstance(content, UnreadableFile) and os.path.islink(whole):
            return self._behind_link(whole)
        return content

    def reachable(self, entry: Entry) -> bool:
        """Whether an entry is no link, in a folder that is really inside the root."""
        return entry.kind is not EntryKind.LINK and self._reachable(entry.path.rpartition(b"/")[0])

    def plain_paths(self, entries: Iterable[Entry]) -> list[bytes | None]:
        """The whole path of each entry that is `reachable`, None in the place of any other."""
        base, link, inside = self._base, EntryKind.LINK, self._inside
        paths: list[bytes | None] = []
        for path, kind, _oid in entries:
            folder = path.rpartition(b"/")[0]
            is_inside = inside[folder] if folder in inside else self._reachable(folder)
            paths.append(base + path if is_inside and kind is not link else None)
        return paths

    def holds(self, real: bytes) -> bool:
        """Whether an absolute path without links is inside the root."""
        return real.startswith(os.fsencode(self.root).rstrip(b"/") + b"/")

    def _reachable(self, folder: bytes) -> bool:
        unknown = []  # a loop: a path may have more folders than Python calls
        while folder and folder not in self._inside:
            unknown.append(folder)
            folder = folder.rpartition(b"/")[0]
        inside = not folder or self._inside[folder]
        for below in reversed(unknown):
            inside = self._inside[below] = inside and self._stays(self._base + below)
        return inside

    def _stays(self, path: bytes) -> bool:
        try:
            if not stat.S_ISLNK(os.lstat(path).st_mode):
                return True
        except OSError:
            return True  # reading what lies below tells what is wrong
        return self.holds(os.path.realpath(path))

    def _behind_link(self, path: bytes) -> bytes | UnreadableFile:
        try:
            real = os.path.realpath(path, strict=True)
        except OSError as error:
            circle = error.errno == errno.ELOOP
            return UnreadableFile(f"a symbolic link that leads {'in a circle' if circle else 'nowhere'}")
        if not self.holds(real):
            return UnreadableFile("a symbolic link out of the root, not followed")
        return read_file(real, largest=LARGEST)


class FolderStage(DiskStage):
    """A folder without git: every file below it, but for virtual environments and what no build reads."""

    def entries(self) -> Listing:
        """Every file below the root, sorted."""
        if self._entries is None:
            self._entries = Listing(sorted(self._walk(b"")))
        return self._entries

    def notes(self) -> list[str]:
        """The folders that were left out."""
        self.entries()
        return self._left_out

    def _walk(self, folder: bytes) -> Iterator[Entry]:
        pending = [folder]
        base = os.fsencode(self.root)
        while pending:
            here = pending.pop()
            try:
                with os.scandir(os.path.join(base, here)) as listing:
                    children = list(listing)
            except OSError:
                # An entry of its own, so that the folder shows up as unreadable and is not passed over.
                yield Entry(RelativePath(here), EntryKind.OTHER)
                continue
            if here and any(child.name == VIRTUAL for child in children):
                self._left_out.append(f"{display_path(here)}: a virtual environment, left out")
                continue
            for child in children:
                path = here + b"/" + child.name if here else child.name
                if child.is_symlink():
                    yield Entry(RelativePath(path), EntryKind.LINK)
                elif not child.is_dir(follow_symlinks=False):
                    yield Entry(RelativePath(path), _kind_of(child))
                elif child.name == PACKAGES:
                    self._left_out.append(f"{display_path(path)}: installed packages, left out")
                elif child.name not in NO_SOURCE:
                    pending.append(path)


def _kind_of(entry: os.DirEntry[bytes]) -> EntryKind:
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except OSError:
        return EntryKind.OTHER  # it vanished: reading it tells
    if not stat.S_ISREG(mode):
        return EntryKind.OTHER
    return EntryKind.EXECUTABLE if mode & 0o111 else EntryKind.FILE


class WorkingTreeStage(DiskStage):
    """Git's working tree: tracked files as they are now, and untracked ones that are not ignored.

    Git begins to list when this is made: it takes as long as it takes us to get ready.
    """

    def __init__(self, root: Path, repository: git.Repository) -> None:
        super().__init__(root)
        self._listing = repository.working_tree()

    def entries(self) -> Listing:
        """Every such file, checked-out submodules opened, sorted."""
        if self._entries is None:
            self._entries = Listing(sorted(self._of(self._listing, b"")))
        return self._entries

    def notes(self) -> list[str]:
        """Submodules that are not checked out, and what `git status` would hide."""
        self.entries()
        return self._left_out

    def _of(self, listing: git.WorktreeListing, prefix: bytes) -> list[Entry]:
        tracked, untracked, closed = listing.result()
        self._left_out += listing.notes()
        entries = [Entry(RelativePath(prefix + path), EntryKind.OTHER) for path in closed]
        before, gone = b"", listing.gone
        for mode, name in tracked:
            if name == before or (gone and name in gone and mode != b"160000"):
                continue
            before = name
            if mode == b"100644":
                entries.append(Entry(RelativePath(prefix + name), EntryKind.FILE))
            elif mode == b"160000":
                entries += self._submodule(prefix + name)
            else:
                entries.append(Entry(RelativePath(prefix + name), KINDS.get(mode.decode(), EntryKind.FILE)))
        entries += self._untracked(untracked, prefix)
        return entries

    def _untracked(self, untracked: list[bytes], prefix: bytes) -> Iterator[Entry]:
        base = os.fsencode(self.root) + b"/"
        for path in untracked:
            if path.endswith(b"/"):  # a repository inside this one that is no submodule
                yield from self._submodule(prefix + path[:-1])
                continue
            mode = os.lstat(base + prefix + path).st_mode if os.path.lexists(base + prefix + path) else 0
            if stat.S_ISLNK(mode):
                yield Entry(RelativePath(prefix + path), EntryKind.LINK)
            elif mode:
                yield Entry(RelativePath(prefix + path), EntryKind.EXECUTABLE if mode & 0o111 else EntryKind.FILE)

    def _submodule(self, path: bytes) -> list[Entry]:
        top = self.root / os.fsdecode(path)
        inner = git.submodule_of(top)
        if inner is None:
            self._left_out.append(f"{display_path(path)}: a submodule that is not checked out")
            return []
        return self._of(inner.working_tree(), path + b"/")


def stage_on_disk(root: Path, repository: git.Repository | None) -> Stage:
    """The stage of a folder on disk: git's view of it where there is a repository."""
    if repository is None:
        return FolderStage(root)
    return WorkingTreeStage(root, repository)


def resolve_path(path: Path) -> Path:
    """A path without links, so that names show what is inside it."""
    return Path(os.path.realpath(path))
