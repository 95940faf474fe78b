"""Taking the snapshot of a stage: every entry listed and hashed raw, no filter, no stat cache and no index believed."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple, Protocol

from buildguard import causes, custody, git
from buildguard import manifest as manifests
from buildguard.archives import source as archives
from buildguard.custody import Snapshot
from buildguard.diagnostic import Unproven, shown_path
from buildguard.errors import UnprovenError
from buildguard.manifest import Entry, Extras, Manifest
from buildguard.stages import Unreadable
from buildguard.stages.disk import read_file
from buildguard.stages.hashing import hash_files
from buildguard.stages.image import MOST_KEPT
from buildguard.stages.ingit import MISSING, InGit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path


class Stage(Protocol):
    """A stage whose snapshot can be taken, and whose contents can be read again to tell why one changed."""

    def snapshot(self) -> Snapshot:
        """Everything that lies there; raises UnprovenError where that cannot be told."""

    def originals(self, paths: Collection[bytes]) -> Mapping[bytes, bytes | Unreadable]:
        """The content of some of its entries as it lies there: a link's text, not what it leads to."""


# ---------------------------------------------------------------------------------------------- in git


class Git:
    """A commit or the index, below `prefix` (empty, or with its final `/`)."""

    def __init__(self, stage: InGit, prefix: bytes = b"") -> None:
        self.stage = stage
        self._prefix = prefix

    def snapshot(self) -> Snapshot:
        """Each row of the tree, its blob read and hashed; a submodule is its commit's id, and its files where they are here."""
        rows = self._rows()
        unproven = [
            Unproven(shown_path(path), None, f"it is in conflict in {self.stage.name}") for path in self._conflicts()
        ]
        entries = [
            manifests.of_bytes(self._below(row), manifests.SUBMODULE, row.oid.encode("ascii"))
            for row in rows
            if row.mode == git.SUBMODULE
        ]
        marks: dict[bytes, str] = {}
        for row, blob in self.stage.blobs(row for row in rows if row.mode != git.SUBMODULE):
            if blob is None:
                unproven.append(Unproven(shown_path(self._below(row)), None, MISSING))
                continue
            mark = _mark(self._below(row), blob)
            if mark:
                marks[self._below(row)] = mark
            mode = row.mode if row.mode in manifests.MODES else manifests.FILE  # 100664 of old repositories
            entry = manifests.of_bytes(self._below(row), mode, blob)
            if len(row.oid) == len(entry.blob) and row.oid != entry.blob:
                unproven.append(Unproven(shown_path(entry.path), None, "its object in the repository is damaged"))
            entries.append(entry)
        closed = tuple(path[len(self._prefix) :] + b"/" for path in self.stage.closed if path.startswith(self._prefix))
        notes = tuple(f"{shown_path(path)}: a submodule whose files are not here" for path in closed)
        kind = custody.INDEX if self.stage.commit is None else custody.COMMIT
        return Snapshot(
            self.stage.name,
            kind,
            Manifest(entries),
            notes,
            tuple(unproven),
            closed,
            self.stage.commit or "",
            marks=marks,
        )

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | Unreadable]:
        """The blobs of some paths."""
        rows = [row for row in self._rows() if self._below(row) in paths]
        found: dict[bytes, bytes | Unreadable] = {
            self._below(row): row.oid.encode("ascii") for row in rows if row.mode == git.SUBMODULE
        }
        for row, blob in self.stage.blobs(row for row in rows if row.mode != git.SUBMODULE):
            found[self._below(row)] = Unreadable(MISSING) if blob is None else blob
        return found

    def _rows(self) -> list[git.Listed]:
        return [row for row in self.stage.rows() if row.path.startswith(self._prefix)]

    def _below(self, row: git.Listed) -> bytes:
        return row.path[len(self._prefix) :]

    def _conflicts(self) -> list[bytes]:
        if self.stage.commit is not None:
            return []
        return [
            path[len(self._prefix) :] for path in self.stage.repository.conflicts() if path.startswith(self._prefix)
        ]


def _mark(path: bytes, content: bytes) -> str:
    """What a committed file looks like that will surprise somebody on Linux."""
    if causes.is_pointer(content) is not None:
        return "lfs"
    script = content.startswith(b"#!") or path.endswith((b".sh", b".bash"))
    return "crlf" if script and b"\r\n" in content else ""


# ---------------------------------------------------------------------------------------------- on disk


class _Found(NamedTuple):
    """What a listing of a folder came to."""

    paths: list[bytes]
    submodules: dict[bytes, str]
    unproven: list[Unproven]
    notes: list[str]


class Disk:
    """A folder: with git, what is tracked and what is neither tracked nor ignored; without, everything in it."""

    def __init__(self, name: str, root: Path, repository: git.Repository | None, prefix: bytes = b"") -> None:
        """`root` is the folder itself, `prefix` its path in the repository (empty, or with its final `/`)."""
        self._name = name
        self._repository = repository
        self._prefix = prefix
        self._base = os.fsencode(root) + b"/"
        # git works while the rest is being imported
        self._listing = repository.working_tree() if repository is not None else None

    def snapshot(self) -> Snapshot:
        """Each file as it lies there now."""
        found = self._tracked() if self._listing is not None else self._everything()
        real = _RealFolders(self._base)
        paths = [path for path in found.paths if real.holds(path)]
        entries = [
            manifests.of_bytes(path, manifests.SUBMODULE, commit.encode("ascii"))
            for path, commit in found.submodules.items()
        ]
        modes: dict[bytes, int] = {}
        special: dict[bytes, str] = {}
        twins: dict[bytes, bytes] = {}
        for path, one in zip(paths, hash_files(self._base, paths), strict=True):
            if isinstance(one, Unreadable):
                self._closer(path, one, entries, special, found.unproven)
                continue
            mode = manifests.EXECUTABLE if one.mode & stat.S_IXUSR else manifests.FILE
            entries.append(Entry(path, mode, one.size, one.digest.hex(), one.blob.hex()))
            modes[path] = one.mode
            if one.names > 1:
                twins[path] = b""
        empty, others = _leftovers(self._base, [entry.path for entry in entries], self._ignored())
        kind = custody.WORKTREE if self._repository is not None else custody.FOLDER
        extras = Extras(frozenset(empty), {**others, **special}, modes, twins, whole=True)
        return Snapshot(self._name, kind, Manifest(entries, extras), tuple(found.notes), tuple(found.unproven))

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | Unreadable]:
        """Some files as they lie there now."""
        return {path: _raw(self._base + path) for path in paths}

    def _closer(
        self, path: bytes, why: Unreadable, entries: list[Entry], special: dict[bytes, str], unproven: list[Unproven]
    ) -> None:
        """What is no regular file: a link is one entry, a missing file is none."""
        if why.gone:
            return
        content = _raw(self._base + path)
        if isinstance(content, bytes) and os.path.islink(self._base + path):
            entries.append(manifests.of_bytes(path, manifests.LINK, content))
        elif why.special == "a folder":
            return  # what lies in it is listed by itself
        elif why.special:
            special[path] = why.special
        else:
            unproven.append(Unproven(shown_path(path), None, why.reason))

    def _tracked(self) -> _Found:
        assert self._repository is not None
        assert self._listing is not None
        found = _Found([], {}, [], [])
        self._of(self._listing, b"", found)
        self._listing = None
        ignored = len(self._ignored())
        if ignored:
            found.notes.append(f"{ignored} files or folders that git ignores were not looked at")
        return found

    def _of(self, listing: git.Listing, inside: bytes, found: _Found) -> None:
        tracked, untracked, closed = listing.result()
        names = {name: mode for mode, name in tracked}
        for name, mode in names.items():
            path = self._own(inside + name)
            if path is None:
                continue
            if mode == b"160000":
                self._submodule(inside + name, path, found)
            else:
                found.paths.append(path)
        for name in untracked:
            path = self._own(inside + name)
            if path is not None and name.endswith(b"/"):
                self._submodule(inside + name[:-1], path[:-1], found)
            elif path is not None:
                found.paths.append(path)
        for name in closed:
            path = self._own(inside + name)
            if path is not None:
                found.unproven.append(Unproven(shown_path(path), None, "a folder that cannot be opened"))

    def _own(self, path: bytes) -> bytes | None:
        return path[len(self._prefix) :] if path.startswith(self._prefix) else None

    def _submodule(self, path: bytes, own: bytes, found: _Found) -> None:
        top = self._base + own
        inner = git.repository_of(_as_path(top)) if os.path.lexists(top + b"/.git") else None
        if inner is None:
            found.notes.append(f"{shown_path(own)}: a submodule that is not checked out")
            return
        found.submodules[own] = inner.head
        self._of(inner.working_tree(), path + b"/", found)

    def _ignored(self) -> list[bytes]:
        if self._repository is None:
            return [b".git"] if os.path.lexists(self._base + b".git") else []
        ignored = [self._own(path.rstrip(b"/")) for path in self._repository.ignored()]
        return [path for path in ignored if path]

    def _everything(self) -> _Found:
        found = _Found([], {}, [], [])
        skipped = self._ignored()
        found.notes.extend(f"{shown_path(path)} was not looked at" for path in skipped)
        pending = [b""]
        while pending:
            here = pending.pop()
            try:
                with os.scandir(self._base + here) as listing:
                    inside = list(listing)
            except OSError as error:
                found.unproven.append(
                    Unproven(shown_path(here) or ".", None, f"a folder that cannot be opened: {error.strerror}")
                )
                continue
            for one in inside:
                if one.is_dir(follow_symlinks=False):
                    if here + one.name not in skipped:
                        pending.append(here + one.name + b"/")
                else:
                    found.paths.append(here + one.name)
        return found


class _RealFolders:
    """Which folders are really there: what lies behind a link to a folder is not in this tree."""

    def __init__(self, base: bytes) -> None:
        self._base = base
        self._known = {b"": True}

    def holds(self, path: bytes) -> bool:
        folder = path.rpartition(b"/")[0]
        known = self._known.get(folder)
        if known is None:
            known = self._known[folder] = self.holds(folder) and not os.path.islink(self._base + folder)
        return known


def _leftovers(base: bytes, paths: list[bytes], ignored: list[bytes]) -> tuple[list[bytes], dict[bytes, str]]:
    """The empty folders and the special files below a folder, which no listing of git's mentions."""
    full = {b""}
    for path in paths:
        while b"/" in path and (path := path.rpartition(b"/")[0]) not in full:
            full.add(path)
    skipped = set(ignored)
    empty: list[bytes] = []
    special: dict[bytes, str] = {}
    pending = [b""]
    while pending:
        here = pending.pop()
        try:
            with os.scandir(base + here) as listing:
                inside = list(listing)
        except OSError:
            continue  # whoever listed the files says so
        start = here + b"/" if here else b""
        if not inside and here not in full:
            empty.append(here)
        for one in inside:
            path = start + one.name
            if path in skipped or one.name == b".git":
                continue
            if one.is_dir(follow_symlinks=False):
                pending.append(path)
            elif not one.is_file(follow_symlinks=False) and not one.is_symlink():
                special[path] = _kind(base + path)
    return empty, special


def _kind(path: bytes) -> str:
    found = read_file(path)
    return found.special or found.reason if isinstance(found, Unreadable) else "a file"


def _raw(path: bytes) -> bytes | Unreadable:
    try:
        return os.readlink(path)
    except OSError:
        pass
    try:
        large = os.lstat(path).st_size > MOST_KEPT
    except OSError as error:
        return Unreadable(f"cannot be read: {error.strerror}")
    return Unreadable("too large to look closer") if large else read_file(path)


def _as_path(path: bytes) -> Path:
    from pathlib import Path

    return Path(os.fsdecode(path))


# ---------------------------------------------------------------------------------------------- written


class Archive:
    """A tar, a gzipped tar or a zip."""

    def __init__(self, name: str, file: Path) -> None:
        self._name = name
        self._file = file
        self._read: archives.Contents | None = None

    def snapshot(self) -> Snapshot:
        """Each member, hashed as it streams by."""
        self._read = archives.read(self._file)
        found = self._read
        digests = (("file", f"sha256:{found.file_digest}"), ("tar", f"sha256:{found.digest}"))
        return Snapshot(
            self._name,
            custody.ARCHIVE,
            found.manifest,
            digests=digests,
            commit=found.comment if _is_id(found.comment) else "",
        )

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | Unreadable]:
        """Some members, by reading the archive once more; what it holds by now has to be what it held."""
        assert self._read is not None
        manifest = self._read.manifest
        sources = {path: manifest.extras.twins.get(path, path) for path in paths}
        small = {one for one in sources.values() if manifest.entries[one].size <= MOST_KEPT}
        pieces: dict[bytes, list[bytes]] = {one: [] for one in small}
        again = archives.read(self._file, keep=lambda path, piece: pieces[path].append(piece), wanted=frozenset(small))
        if again.file_digest != self._read.file_digest:
            raise UnprovenError(f"{self._name} changed while it was read")
        return {
            path: b"".join(pieces[one]) if one in pieces else Unreadable("too large to look closer")
            for path, one in sources.items()
        }


def _is_id(text: str) -> bool:
    return len(text) in {40, 64} and not text.strip("0123456789abcdef")


class Written:
    """A manifest that was written down: digests, and no contents."""

    def __init__(self, name: str, file: Path) -> None:
        self._name = name
        self._file = file

    def snapshot(self) -> Snapshot:
        """What it says, where it says it properly."""
        data = read_file(os.fsencode(self._file))
        if isinstance(data, Unreadable):
            raise UnprovenError(f"{self._file}: {data.reason}")
        found = manifests.parse(data, str(self._file))
        notes = ("it tells contents only, neither modes nor links",) if found.contents_only else ()
        return Snapshot(self._name, custody.MANIFEST, found, notes)

    def originals(self, paths: Iterable[bytes]) -> dict[bytes, bytes | Unreadable]:
        """None of them."""
        return {path: Unreadable("a manifest holds no contents") for path in paths}
