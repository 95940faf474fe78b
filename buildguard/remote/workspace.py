"""The workspace of a build: its files, which of them are sources, and whether they are what a manifest says.

A part of the step file. Paths are bytes relative to the working folder, with `/`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from buildguard.remote.manifest_rows import EXECUTABLE, FILE, LINK, OWN, ManifestRow
from buildguard.remote.source_names import (
    HEAD,
    NO_SOURCE,
    PACKAGES,
    SUFFIXES,
    VIRTUAL,
    has_shebang,
    matches_any,
    may_be_script,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LARGE = 64 << 20
_GIT = b".git"


class Workspace(NamedTuple):
    """Every path that is no folder, with its mode; folders that cannot be opened, and what holds no sources."""

    modes: Mapping[bytes, int]
    closed: Sequence[bytes]
    left_out: Sequence[bytes]


class WorkspaceDifference(NamedTuple):
    """A path that is not what the manifest says: the code of `buildguard diff`, what happened, its cause, and evidence."""

    code: str
    path: bytes
    change: str
    cause: str
    evidence: str


def scan_workspace() -> Workspace:
    """Look through the working folder; a git folder at its top is one path."""
    modes: dict[bytes, int] = {}
    closed: list[bytes] = []
    left_out: list[bytes] = []
    pending = [b""]
    while pending:
        here = pending.pop()
        inside = _list_folder(here)
        if inside is None:
            closed.append(here or b".")
            continue
        if here and any(name == VIRTUAL for name, _mode in inside):
            left_out.append(here)
        for name, mode in inside:
            path = here + b"/" + name if here else name
            if not stat.S_ISDIR(mode) or path == _GIT:
                modes[path] = mode
                continue
            pending.append(path)
            if name == PACKAGES:
                left_out.append(path)
    return Workspace(modes, closed, left_out)


def _list_folder(folder: bytes) -> list[tuple[bytes, int]] | None:
    """The names in a folder and their modes; None where it cannot be opened."""
    try:
        with os.scandir(folder or b".") as listing:
            return [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in listing]
    except OSError:
        return None


def sources_of(
    workspace: Workspace,
    folders: Sequence[str],
    include: Sequence[tuple[str, str]],
    exclude: Sequence[tuple[str, str]],
) -> list[bytes]:
    """The Python sources below some folders (`!` before one leaves it out) that the patterns let through, sorted."""
    wanted = tuple(os.fsencode(folder_name) + b"/" for folder_name in folders if not folder_name.startswith("!"))
    unwanted = tuple(os.fsencode(folder_name[1:]) + b"/" for folder_name in folders if folder_name.startswith("!"))
    unwanted += tuple(folder + b"/" for folder in workspace.left_out)

    def is_let_through(path: bytes) -> bool:
        if path in OWN or path.startswith(unwanted) or not path.startswith(wanted or b""):
            return False
        text = os.fsdecode(path)
        return (not include or matches_any(include, text)) and not matches_any(exclude, text)

    return sorted(path for path, mode in workspace.modes.items() if is_let_through(path) and _is_source(path, mode))


def _is_source(path: bytes, mode: int) -> bool:
    if NO_SOURCE.intersection(path.split(b"/")):
        return False
    if path.endswith(SUFFIXES):
        return True
    if not stat.S_ISREG(mode) or not may_be_script(path, executable=bool(mode & 0o111)):
        return False
    head = read_file(path, HEAD)
    return isinstance(head, str) or has_shebang(head)  # what cannot be read is told later


def read_source(path: bytes) -> bytes | str:
    """The content of a source, through a link only to a file of the workspace; or why it cannot be read."""
    if os.path.islink(path):
        try:
            os.stat(path)
        except OSError as error:
            return f"a symbolic link that leads nowhere: {error.strerror}"
        real, root = os.path.realpath(path), os.path.realpath(b".")
        if not real.startswith(root.rstrip(b"/") + b"/"):
            return "a symbolic link out of the root, not followed"
        path = real
    return read_file(path)


def read_file(path: bytes, most: int = 0) -> bytes | str:
    """The content of a regular file, whole or the first bytes of it; or why it cannot be read."""
    try:
        handle = os.open(path, _FLAGS)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    with os.fdopen(handle, "rb") as file:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            return "is no regular file"
        try:
            data = file.read(most or -1)
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        after = os.fstat(handle)
    if not most and (len(data) != after.st_size or before.st_mtime_ns != after.st_mtime_ns):
        return "changed while it was read"
    return data


# ------------------------------------------------------------------------------------------ against a manifest


def row_of_file(path: bytes, mode: int) -> ManifestRow | str:
    """The row of a path of the workspace; or why there can be none."""
    if stat.S_ISLNK(mode):
        text = os.readlink(path)
        return ManifestRow(path, LINK, len(text), hashlib.sha256(text).hexdigest())
    git_mode = EXECUTABLE if mode & stat.S_IXUSR else FILE
    digest, size = hashlib.sha256(), 0
    try:
        handle = os.open(path, _FLAGS)
        with os.fdopen(handle, "rb") as file:
            while True:
                piece = file.read(1 << 20)
                if not piece:
                    break
                digest.update(piece)
                size += len(piece)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ManifestRow(path, git_mode, size, digest.hexdigest())


def compare_rows(expected: Sequence[ManifestRow], here: Sequence[ManifestRow]) -> list[WorkspaceDifference]:
    """What differs between a manifest and the workspace, by path."""
    before, after = ({row.path: row for row in rows} for rows in (expected, here))
    places: dict[str, bytes] = {row.sha256: row.path for row in here if row.path not in before}
    homes: dict[str, bytes] = {row.sha256: row.path for row in expected if row.path not in after}
    differences = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None:
            differences.append(_presence_difference("BG302", path, "added", homes.get(after[path].sha256)))
        elif new is None:
            differences.append(_presence_difference("BG301", path, "removed", places.get(old.sha256)))
        elif old != new:
            differences.append(_difference(old, new))
    return differences


def _difference(old: ManifestRow, new: ManifestRow) -> WorkspaceDifference:
    """What differs between two rows of one path: its type, its content, or else its executable bit."""
    if (old.mode == LINK) != (new.mode == LINK):
        was, now = ("a link" if side.mode == LINK else "a file" for side in (old, new))
        return WorkspaceDifference("BG305", new.path, "type", "symlink-replaced", f"{was} became {now}")
    if old.sha256 != new.sha256:
        return _changed(old, new)
    evidence = f"{'gained' if new.mode == EXECUTABLE else 'lost'} its executable bit"
    return WorkspaceDifference("BG304", new.path, "mode", "mode", evidence)


def _presence_difference(code: str, path: bytes, change: str, other: bytes | None) -> WorkspaceDifference:
    if other is None:
        return WorkspaceDifference(
            code, path, change, "content", f"not in the {'manifest' if change == 'added' else 'workspace'}"
        )
    shown = other.decode("utf-8", "backslashreplace")
    return WorkspaceDifference(code, path, change, "moved", f"the same content is at {shown}")


def _changed(old: ManifestRow, new: ManifestRow) -> WorkspaceDifference:
    same = old.size == new.size
    evidence = f"{new.size} bytes, and other ones" if same else f"{old.size} bytes became {new.size}"
    content = read_file(new.path) if new.mode != LINK and new.size < _LARGE else ""
    for cause, what, undone in _undo_changes(content) if isinstance(content, bytes) else ():
        if len(undone) == old.size and hashlib.sha256(undone).hexdigest() == old.sha256:
            return WorkspaceDifference("BG303", new.path, "changed", cause, what)
    return WorkspaceDifference("BG303", new.path, "changed", "content", evidence)


def _undo_changes(content: bytes) -> list[tuple[str, str, bytes]]:
    """Each change that can be undone: its cause, in words, and the content without it."""
    bom = b"\xef\xbb\xbf"
    unix = content.replace(b"\r\n", b"\n")
    return [
        ("line-endings", "LF became CRLF", unix),
        ("line-endings", "CRLF became LF", unix.replace(b"\n", b"\r\n")),
        ("line-endings", "LF became CR", content.replace(b"\r", b"\n")),
        ("bom", "it has a byte order mark now", content[3:] if content.startswith(bom) else content),
        ("bom", "its byte order mark is gone", bom + content),
        ("final-newline", "its last line break is gone", content + b"\n"),
        ("final-newline", "it has a line break more at its end", content[:-1] if content[-1:] == b"\n" else content),
    ]
