"""Snapshots of a folder and of git's working tree: the bytes as they lie there, not as git takes them."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from buildguard.diagnostic import Unproven, Unreadable, shown_path
from buildguard.stages import manifest as manifests
from buildguard.stages import snapshot
from buildguard.stages.filesystem import read_file
from buildguard.stages.hashing import hash_files
from buildguard.stages.manifest import Entry, Extras, Manifest
from buildguard.stages.snapshot import MOST_KEPT, Snapshot
from buildguard.system import git


class _Found(NamedTuple):
    """What a listing of a folder came to; `busy` are the listings whose untracked files nobody asked for yet."""

    paths: list[bytes]
    submodules: dict[bytes, str]
    unproven: list[Unproven]
    notes: list[str]
    closed: list[bytes]
    busy: list[tuple[git.Listing, bytes]]


class Disk:
    """A folder: with git, what is tracked and what is neither tracked nor ignored; without, everything in it."""

    def __init__(
        self, name: str, root: Path, listing: git.Listing | None, prefix: bytes = b"", *, brief: bool = False
    ) -> None:
        """`root` is the folder itself, and `prefix` its path in the repository that `listing` is of (with a final `/`).

        `brief` leaves out what SHA256SUMS cannot say: blob ids, empty folders, special files, what git ignores.
        """
        self._brief = brief
        self._name = name
        self._kind = snapshot.WORKTREE if listing is not None else snapshot.FOLDER
        self._prefix = prefix
        self._base = os.fsencode(root) + b"/"
        self._listing = listing

    def snapshot(self) -> Snapshot:
        """Each file as it lies there now."""
        found = self._tracked() if self._listing is not None else self._everything()
        first = list(found.paths)
        rest = _Rest(self._base)

        def meanwhile() -> None:
            self._untracked(found)
            rest.look(found.paths, briefly=self._brief)

        blobs = not self._brief
        hashed = hash_files(self._base, first, blobs=blobs, meanwhile=meanwhile, shares=2 if self._brief else 3)
        hashed += hash_files(self._base, found.paths[len(first) :], blobs=blobs)
        entries = [
            manifests.of_bytes(path, manifests.SUBMODULE, commit.encode("ascii"))
            for path, commit in found.submodules.items()
        ]
        modes: dict[bytes, int] = {}
        special: dict[bytes, str] = {}
        twins: dict[bytes, bytes] = {}
        for path, one in zip(found.paths, hashed, strict=True):
            if rest.unreal and path[: path.rfind(b"/") + 1] in rest.unreal:
                continue  # what lies behind a link to a folder is not in this tree
            if isinstance(one, Unreadable):
                self._closer(path, one, entries, special, found.unproven)
                continue
            mode, names, size, digest, blob = one
            executable = manifests.EXECUTABLE if mode & stat.S_IXUSR else manifests.FILE
            entries.append(Entry(path, executable, size, digest.hex(), blob.hex() if blobs else ""))
            modes[path] = mode
            if names > 1:
                twins[path] = b""
        if rest.ignored:
            found.notes.append(f"{rest.ignored} files or folders that git ignores were not looked at")
        extras = Extras(frozenset(rest.empty), {**rest.special, **special}, modes, twins, whole=not self._brief)
        return Snapshot(
            self._name,
            self._kind,
            Manifest(entries, extras),
            tuple(found.notes),
            tuple(found.unproven),
            tuple(found.closed),
        )

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
        assert self._listing is not None
        found = _Found([], {}, [], [], [], [])
        self._of(self._listing, b"", found)
        return found

    def _of(self, listing: git.Listing, inside: bytes, found: _Found) -> None:
        """What is tracked; git lists the rest while that is being hashed."""
        found.busy.append((listing, inside))
        for name, mode in {name: mode for mode, name in listing.tracked()}.items():
            path = self._own(inside + name)
            if path is not None and mode == b"160000":
                self._submodule(inside + name, path, found)
            elif path is not None:
                found.paths.append(path)

    def _untracked(self, found: _Found) -> None:
        while found.busy:
            listing, inside = found.busy.pop()
            untracked, closed = listing.others()
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
        inner = git.submodule_of(Path(os.fsdecode(self._base + own)))
        if inner is None:
            found.notes.append(f"{shown_path(own)}: a submodule that is not checked out")
            found.closed.append(own + b"/")
            return
        found.submodules[own] = inner.head
        self._of(inner.working_tree(), path + b"/", found)

    def _everything(self) -> _Found:
        found = _Found([], {}, [], [], [], [])
        if os.path.lexists(self._base + _GIT):
            found.notes.append("its folder .git was not looked at")
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
                    if here + one.name != _GIT:
                        pending.append(here + one.name + b"/")
                else:
                    found.paths.append(here + one.name)
        return found


class _Rest:
    """What lies in a folder beside the listed files: empty folders, special files, and what git ignores."""

    def __init__(self, base: bytes) -> None:
        self._base = base
        self.empty: list[bytes] = []
        self.special: dict[bytes, str] = {}
        self.ignored = 0
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
            for one in self._inside(folder):
                path = folder + one.name
                if one.is_file(follow_symlinks=False) or one.is_symlink():
                    self.ignored += path not in listed
                elif not one.is_dir(follow_symlinks=False):
                    self.special[path] = _kind(self._base + path)
                elif path + b"/" in full:
                    real.add(path + b"/")
                else:
                    self.ignored += self._holds_files(path + b"/")
        return real

    @staticmethod
    def _is_real(folder: bytes, real: set[bytes]) -> bool:
        while folder in real and folder:
            folder = folder[: folder.rfind(b"/", 0, -1) + 1]
        return folder in real

    def _holds_files(self, folder: bytes) -> bool:
        """Whether there is any file in a folder without listed ones; if not, it is empty, or holds special ones."""
        inside = self._inside(folder)
        if not inside:
            self.empty.append(folder[:-1])
        for one in inside:
            path = folder + one.name
            if one.is_file(follow_symlinks=False) or one.is_symlink():
                return True
            if not one.is_dir(follow_symlinks=False):
                self.special[path] = _kind(self._base + path)
            elif self._holds_files(path + b"/"):
                return True
        return False

    def _inside(self, folder: bytes) -> list[os.DirEntry[bytes]]:
        try:
            with os.scandir(self._base + folder) as listing:
                return [one for one in listing if one.name != _GIT]
        except OSError:
            return []  # whoever listed the files says so


_GIT = b".git"


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
