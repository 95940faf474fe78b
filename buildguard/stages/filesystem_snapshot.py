"""Snapshots of a folder and of git's working tree: the bytes as they lie there, not as git takes them."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path

from buildguard.diagnostic import FOLDER, RelativePath, Unproven, UnreadableFile, count, display_path
from buildguard.stages import manifest as manifests
from buildguard.stages.filesystem import read_file
from buildguard.stages.hashing import hash_files
from buildguard.stages.manifest import Extras, Manifest, ManifestEntry
from buildguard.stages.snapshot import MOST_KEPT, Snapshot, StageKind
from buildguard.system import git


class _FolderListing:
    """What is listed of a folder; `busy` are the listings whose untracked files were not asked for yet."""

    def __init__(self) -> None:
        self.paths: list[bytes] = []
        self.submodules: dict[bytes, str] = {}
        self.unproven: list[Unproven] = []
        self.notes: list[str] = []
        self.closed: list[bytes] = []
        self.busy: list[tuple[git.WorktreeListing, bytes]] = []


class DiskSnapshotter:
    """A folder: with git, what is tracked and what is neither tracked nor ignored; without, everything in it."""

    def __init__(
        self, name: str, root: Path, listing: git.WorktreeListing | None, prefix: bytes = b"", *, brief: bool = False
    ) -> None:
        """`root` is the folder itself, and `prefix` its path in the repository that `listing` is of (with a final `/`).

        `brief` leaves out what SHA256SUMS cannot say: blob ids, empty folders, special files, what git ignores.
        """
        self._brief = brief
        self._name = name
        self._kind = StageKind.WORKTREE if listing is not None else StageKind.FOLDER
        self._prefix = prefix
        self._base = os.fsencode(root) + b"/"
        self._listing = listing

    def snapshot(self) -> Snapshot:
        """Each file as it is now."""
        listing = self._tracked() if self._listing is not None else self._everything()
        first = list(listing.paths)
        rest = _UnlistedFiles(self._base)

        def meanwhile() -> None:
            self._untracked(listing)
            rest.look(listing.paths, briefly=self._brief)

        blobs = not self._brief
        hashed = hash_files(self._base, first, blobs=blobs, meanwhile=meanwhile, shares=2 if self._brief else 3)
        hashed += hash_files(self._base, listing.paths[len(first) :], blobs=blobs)
        entries = [
            manifests.of_bytes(path, manifests.SUBMODULE, commit.encode("ascii"))
            for path, commit in listing.submodules.items()
        ]
        modes: dict[bytes, int] = {}
        special: dict[bytes, str] = {}
        twins: dict[bytes, bytes] = {}
        for path, result in zip(listing.paths, hashed, strict=True):
            if rest.unreal and path[: path.rfind(b"/") + 1] in rest.unreal:
                continue  # what lies behind a link to a folder is not in this tree
            if isinstance(result, UnreadableFile):
                self._closer(path, result, entries, special, listing.unproven)
                continue
            mode, names, size, digest, blob = result
            executable = manifests.EXECUTABLE if mode & stat.S_IXUSR else manifests.FILE
            entries.append(
                ManifestEntry(
                    RelativePath(path), executable, size, manifests.Sha256(digest.hex()), blob.hex() if blobs else ""
                )
            )
            modes[path] = mode
            if names > 1:
                twins[path] = b""
        if rest.ignored:
            listing.notes.append(f"{count(len(rest.ignored), 'path')} ignored by git, not compared")
        extras = Extras(frozenset(rest.empty), {**rest.special, **special}, modes, twins, whole=not self._brief)
        return Snapshot(
            self._name,
            self._kind,
            Manifest(entries, extras),
            tuple(listing.notes),
            tuple(listing.unproven),
            tuple(listing.closed),
            unlisted=(*rest.ignored, *rest.git_folders),
        )

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | UnreadableFile]:
        """Some files as they lie there now."""
        return {path: _raw(self._base + path) for path in paths}

    def _closer(
        self,
        path: bytes,
        why: UnreadableFile,
        entries: list[ManifestEntry],
        special: dict[bytes, str],
        unproven: list[Unproven],
    ) -> None:
        """What is no regular file: a link is one entry, a missing file is none."""
        if why.is_missing:
            return
        content = _raw(self._base + path)
        if isinstance(content, bytes) and os.path.islink(self._base + path):
            entries.append(manifests.of_bytes(path, manifests.LINK, content))
        elif why.special == FOLDER:
            return  # its content is listed by itself
        elif why.special:
            special[path] = why.special
        else:
            unproven.append(Unproven(display_path(path), None, why.reason))

    def _tracked(self) -> _FolderListing:
        assert self._listing is not None
        folder_listing = _FolderListing()
        self._of(self._listing, b"", folder_listing)
        return folder_listing

    def _of(self, listing: git.WorktreeListing, inside: bytes, folder_listing: _FolderListing) -> None:
        """What is tracked; git lists the rest while that is being hashed."""
        folder_listing.busy.append((listing, inside))
        for name, mode in {name: mode for mode, name in listing.tracked()}.items():
            path = self._own(inside + name)
            if path is not None and mode == b"160000":
                self._submodule(inside + name, path, folder_listing)
            elif path is not None:
                folder_listing.paths.append(path)

    def _untracked(self, folder_listing: _FolderListing) -> None:
        while folder_listing.busy:
            listing, inside = folder_listing.busy.pop()
            untracked, closed = listing.others()
            folder_listing.notes.extend(listing.notes())
            for name in untracked:
                path = self._own(inside + name)
                if path is not None and name.endswith(b"/"):
                    self._submodule(inside + name[:-1], path[:-1], folder_listing)
                elif path is not None:
                    folder_listing.paths.append(path)
            for name in closed:
                path = self._own(inside + name)
                if path is not None:
                    folder_listing.unproven.append(Unproven(display_path(path), None, "a folder that cannot be opened"))

    def _own(self, path: bytes) -> bytes | None:
        return path[len(self._prefix) :] if path.startswith(self._prefix) else None

    def _submodule(self, path: bytes, own: bytes, folder_listing: _FolderListing) -> None:
        inner = git.submodule_of(Path(os.fsdecode(self._base + own)))
        if inner is None:
            folder_listing.notes.append(f"{display_path(own)}: a submodule that is not checked out")
            folder_listing.closed.append(own + b"/")
            return
        folder_listing.submodules[own] = inner.head
        self._of(inner.working_tree(), path + b"/", folder_listing)

    def _everything(self) -> _FolderListing:
        folder_listing = _FolderListing()
        if os.path.lexists(self._base + _GIT):
            folder_listing.notes.append("its folder .git was not looked at")
        pending = [b""]
        while pending:
            here = pending.pop()
            try:
                with os.scandir(self._base + here) as listing:
                    inside = list(listing)
            except OSError as error:
                folder_listing.unproven.append(
                    Unproven(display_path(here or b"."), None, f"a folder that cannot be opened: {error.strerror}")
                )
                continue
            for entry in inside:
                if entry.is_dir(follow_symlinks=False):
                    if here + entry.name != _GIT:
                        pending.append(here + entry.name + b"/")
                else:
                    folder_listing.paths.append(here + entry.name)
        return folder_listing


class _UnlistedFiles:
    """What a folder has beside the listed files: empty folders, special files, and what git ignores."""

    def __init__(self, base: bytes) -> None:
        self._base = base
        self.empty: list[bytes] = []
        self.special: dict[bytes, str] = {}
        self.ignored: list[bytes] = []  # files, and folders with their final `/`
        self.git_folders: list[bytes] = []
        self.unreal: set[bytes] = set()

    def look(self, paths: list[bytes], *, briefly: bool) -> None:
        """Look through every folder that holds a listed file; of any other one it is enough to know what it is.

        Folders are `/`-terminated paths here, the root is empty. Briefly, only links in a folder's place are looked for.
        """
        listed = set(paths)
        full = {b""}
        for folder in {path[: path.rfind(b"/") + 1] for path in paths}:
            while folder not in full:
                full.add(folder)
                folder = folder[: folder.rfind(b"/", 0, -1) + 1]  # noqa: PLW2901
        if briefly:
            real = {folder for folder in full if not os.path.islink(self._base + folder[:-1])}
        else:
            real = self._real_folders(full, listed)
        self.unreal = {folder for folder in full if not self._is_real(folder, real)}

    def _real_folders(self, full: set[bytes], listed: set[bytes]) -> set[bytes]:
        real = {b""}
        for folder in full:
            for entry in self._inside(folder):
                path = folder + entry.name
                if entry.name == _GIT:
                    self.git_folders.append(path + b"/" if entry.is_dir(follow_symlinks=False) else path)
                elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                    self.ignored += [path] if path not in listed else []
                elif not entry.is_dir(follow_symlinks=False):
                    self.special[path] = _kind(self._base + path)
                elif path + b"/" in full:
                    real.add(path + b"/")
                elif self._holds_files(path + b"/"):
                    self.ignored.append(path + b"/")
        return real

    @staticmethod
    def _is_real(folder: bytes, real: set[bytes]) -> bool:
        while folder in real and folder:
            folder = folder[: folder.rfind(b"/", 0, -1) + 1]
        return folder in real

    def _holds_files(self, folder: bytes) -> bool:
        """Whether there is any file in a folder without listed ones; if not, it is empty, or holds special ones."""
        pending = [folder]
        while pending:
            here = pending.pop()
            inside = [entry for entry in self._inside(here) if entry.name != _GIT]
            if not inside:
                self.empty.append(here[:-1])
            for entry in inside:
                path = here + entry.name
                if entry.is_file(follow_symlinks=False) or entry.is_symlink():
                    return True
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path + b"/")
                else:
                    self.special[path] = _kind(self._base + path)
        return False

    def _inside(self, folder: bytes) -> list[os.DirEntry[bytes]]:
        try:
            with os.scandir(self._base + folder) as listing:
                return list(listing)
        except OSError:
            return []  # whoever listed the files says so


_GIT = b".git"


def _kind(path: bytes) -> str:
    content = read_file(path)
    return content.special or content.reason if isinstance(content, UnreadableFile) else "a file"


def _raw(path: bytes) -> bytes | UnreadableFile:
    try:
        return os.readlink(path)
    except OSError:
        pass
    try:
        large = os.lstat(path).st_size > MOST_KEPT
    except OSError as error:
        return UnreadableFile(f"cannot be read: {error.strerror}")
    return UnreadableFile("too large to look closer") if large else read_file(path)
