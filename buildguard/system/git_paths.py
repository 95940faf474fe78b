"""Paths that git records and never checks out: a tree or an index that holds one was not written by git."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise

from buildguard.definitions import lazy_pattern
from buildguard.diagnostic import display_path
from buildguard.errors import UnprovenError

_HIDDEN = rb"(?:\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf)*"  # what HFS+ leaves out of a name
# `.git` as Linux, HFS+ and NTFS read it, each of which git refuses to check out
_GIT_FOLDER = (
    _HIDDEN + _HIDDEN.join((rb"\.", b"[gG]", b"[iI]", b"[tT]")) + _HIDDEN + rb"[. ]*(?::[^/\0]*)?|[gG][iI][tT]~1[. ]*"
)
_IN_GIT = lazy_pattern(rb"[\0/](?:" + _GIT_FOLDER + rb")(?=[/\0])")
_SURELY_SHORT = 255  # of a path: each of its names is that short, too
_ODD = lazy_pattern(rb"[\0/](?:\.{0,2}|" + _GIT_FOLDER + rb")[/\0]")


def refuse_unsafe_paths(paths: Collection[bytes], place: str) -> None:
    """Raise UnprovenError where a path leads out of its root or into `.git`; `place` is what holds it, for the message."""
    if not paths:
        return
    suspects = _suspects(paths)
    if (suspects and _ODD.search(_joined(suspects))) or max(map(len, paths)) > _SURELY_SHORT:
        for path in paths:
            if why := _trouble_with(path):
                raise UnprovenError(f"{place} holds '{display_path(path)}': {why}")


def _joined(paths: Collection[bytes]) -> bytes:
    return b"\0%b\0" % b"\0".join(paths)


def _suspects(paths: Collection[bytes]) -> Collection[bytes]:
    """The paths in which `_ODD` may find anything: it takes ten times as long as this to look at all of a repository's."""
    joined = _joined(paths)
    names = joined.replace(b"/", b"\0")
    if not joined.isascii() or b"~" in joined or b"\0\0" in names:
        return paths
    return [path for path in paths if path.startswith(b".") or b"/." in path] if b"\0." in names else ()


def _trouble_with(path: bytes) -> str:
    from buildguard.remote.manifest_rows import trouble_with

    if _IN_GIT.search(b"\0%b\0" % path):
        return "a path into a folder that git takes for its own (.git)"
    return trouble_with(path)


def refuse_overlaps(paths: Collection[bytes], place: str) -> None:
    """Raise UnprovenError where a path is there twice, or is a file and a folder at once."""
    distinct = set(paths)
    if len(distinct) != len(paths):
        twice = next(first for first, second in pairwise(sorted(paths)) if first == second)
        raise UnprovenError(f"{place} holds '{display_path(twice)}' twice")
    folders: set[bytes] = set()
    for folder in {path.rpartition(b"/")[0] for path in paths}:
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition(b"/")[0]  # noqa: PLW2901
    if overlap := folders & distinct:
        raise UnprovenError(f"{place} holds '{display_path(min(overlap))}' as a file and as a folder")
