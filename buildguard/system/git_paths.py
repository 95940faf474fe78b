"""The rows of git's index as columns, and the paths that git records and never checks out: what holds one was not written by git."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise
from operator import lt

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
_SETTLED = b"0"
_PLAIN = b"0"  # the second digit of the mode of a file, of nothing else


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
    suspects = []
    at = names.find(b"\0.")
    while at >= 0:
        end = joined.index(b"\0", at + 1)
        suspects.append(joined[joined.rindex(b"\0", 0, at + 1) + 1 : end])
        at = names.find(b"\0.", end)
    return suspects


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


class IndexColumns:
    """The paths of an index, each once, and what is said of each: `<mode> <object id> <stage>`, all of one length."""

    def __init__(self, paths: list[bytes], heads: bytes) -> None:
        self.paths = paths
        self._heads = heads
        self._width = len(heads) // len(paths) if paths else 1

    def mode(self, number: int) -> str:
        """The mode of one path, as git writes it."""
        start = number * self._width
        return self._heads[start : start + 6].decode("ascii")

    def oid(self, number: int) -> str:
        """The object id of one path."""
        start = number * self._width
        return self._heads[start + 7 : start + self._width - 3].decode("ascii")

    def modes(self) -> list[str]:
        """The mode of every path."""
        text = self._heads.decode("ascii")
        return [text[start : start + 6] for start in range(0, len(text), self._width)]

    def oids(self) -> list[str]:
        """The object id of every path."""
        text, width = self._heads.decode("ascii"), self._width
        return [text[start + 7 : start + width - 3] for start in range(0, len(text), width)]

    def special(self) -> list[int]:
        """The numbers of the paths that are no files: links and submodules."""
        digits = self._heads[1 :: self._width]
        if digits.count(_PLAIN) == len(digits):
            return []
        return [number for number, digit in enumerate(digits) if digit != _PLAIN[0]]


def columns_of(rows: Sequence[bytes]) -> IndexColumns:
    """The columns of what `git ls-files -s` writes; of a path in conflict, which has several rows, the last counts.

    Raises UnprovenError where one is what no checkout can have; in a conflict a file may be a folder as well.
    """
    paths, heads = split_rows(rows)
    if all(map(lt, paths, paths[1:])):  # as git sorts them
        return IndexColumns(paths, heads)
    last = dict(zip(paths, rows, strict=True))
    width = len(heads) // len(paths)
    return IndexColumns([*last], b"".join([row[:width] for row in last.values()]))


def split_rows(rows: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    """The path of each row, and what stands before the paths, the tabs behind it included.

    Raises UnprovenError as `columns_of` does.
    """
    if not rows:
        return [], b""
    width = rows[0].index(b"\t") + 1
    heads = b"".join([row[:width] for row in rows])
    if heads[width - 1 :: width] != b"\t" * len(rows) or heads.count(b"\t") != len(rows):
        raise UnprovenError("the index holds a mode that git does not write")  # those all have one length, as ids have
    paths = [row[width:] for row in rows]
    refuse_unsafe_paths(paths, "the index")
    stages = heads[width - 2 :: width]
    settled = paths
    if stages.count(_SETTLED) != len(stages):
        settled = [path for stage, path in zip(stages, paths, strict=True) if stage == _SETTLED[0]]
    refuse_overlaps(settled, "the index")
    return paths, heads
