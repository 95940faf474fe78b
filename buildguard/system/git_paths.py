"""The rows of git's index as columns, and the paths that git records and never checks out: what holds one was not written by git."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
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
_FILE = b"100"  # the first digits of the mode of a file, of nothing else
_WIDTHS = frozenset((len("644  0\t") + 40, len("644  0\t") + 64))  # of what stands between `_FILE` and a path
_FEW = 8  # one in so many is searched for in all paths, rather than all folders made


def refuse_unsafe_paths(paths: Collection[bytes], place: str) -> None:
    """Raise UnprovenError where a path leads out of its root or into `.git`; `place` is what holds it, for the message."""
    if paths:
        _refuse_unsafe(paths, joined(paths), place)


def _refuse_unsafe(paths: Collection[bytes], text: bytes, place: str) -> None:
    suspects = _suspects(paths, text)
    if (suspects and _ODD.search(joined(suspects))) or max(map(len, paths)) > _SURELY_SHORT:
        for path in paths:
            if why := _trouble_with(path):
                raise UnprovenError(f"{place} holds '{display_path(path)}': {why}")


def joined(paths: Iterable[bytes]) -> bytes:
    """Some paths as one text, with a zero byte before and behind each."""
    return b"\0%b\0" % b"\0".join(paths)


def _suspects(paths: Collection[bytes], text: bytes) -> Collection[bytes]:
    """The paths in which `_ODD` may find anything: it takes ten times as long as this to look at all of a repository's."""
    names = text.replace(b"/", b"\0")
    if not text.isascii() or b"~" in text or b"\0\0" in names:
        return paths
    suspects = []
    at = names.find(b"\0.")
    while at >= 0:
        end = text.index(b"\0", at + 1)
        suspects.append(text[text.rindex(b"\0", 0, at + 1) + 1 : end])
        at = names.find(b"\0.", end)
    return suspects


def _trouble_with(path: bytes) -> str:
    from buildguard.remote.manifest_rows import trouble_with

    if _IN_GIT.search(b"\0%b\0" % path):
        return "a path into a folder that git takes for its own (.git)"
    return trouble_with(path)


def refuse_overlaps(paths: Sequence[bytes], place: str) -> None:
    """Raise UnprovenError where a path is there twice, or is a file and a folder at once."""
    if len(set(paths)) != len(paths):
        twice = next(first for first, second in pairwise(sorted(paths)) if first == second)
        raise UnprovenError(f"{place} holds '{display_path(twice)}' twice")
    overlap = _overlap(paths, joined(paths), other_paths(paths))
    if overlap is not None:
        raise UnprovenError(f"{place} holds '{display_path(overlap)}' as a file and as a folder")


def other_paths(paths: Iterable[bytes]) -> list[bytes]:
    """Those of some paths that are called anything else than `.py`."""
    return [path for path in paths if path[-3:] != b".py"]


def _overlap(paths: Sequence[bytes], text: bytes, others: Sequence[bytes]) -> bytes | None:
    """The first of some paths that is a folder as well; `others` are those of them that are not called `.py`."""
    files = paths if b".py/" in text else others
    folders: set[bytes] = set()
    for folder in {path.rpartition(b"/")[0] for path in paths} if files else ():
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition(b"/")[0]  # noqa: PLW2901
    return min(folders.intersection(files), default=None)


def _has_overlap(paths: Sequence[bytes], text: bytes, others: Sequence[bytes]) -> bool:
    """The same of sorted paths, without a look at each where few of them can be a folder."""
    if b".py/" in text or len(others) > len(paths) // _FEW:
        return _overlap(paths, text, others) is not None
    return any(_follows(paths, file + b"/") for file in others)


def _follows(paths: Sequence[bytes], start: bytes) -> bool:
    """Whether one of some sorted paths begins so."""
    at = bisect_left(paths, start)
    return at < len(paths) and paths[at].startswith(start)


class IndexColumns:
    """The paths of an index, each once, and what is said of each: `<mode> <object id> <stage>` before a tab in its row.

    `kind` is what every mode begins with where the rows begin behind that; `conflicts` are the paths in several versions.
    """

    def __init__(
        self, paths: list[bytes], rows: Sequence[bytes], kind: str = "", conflicts: Collection[bytes] = ()
    ) -> None:
        self.paths = paths
        self._rows = rows
        self._kind = kind
        self.conflicts = conflicts
        self._id = slice(7 - len(kind), rows[0].index(b"\t") - 2) if rows else slice(0)

    @cached_property
    def text(self) -> bytes:
        """The paths as `joined` makes it."""
        return joined(self.paths)

    @cached_property
    def ascend(self) -> bool:
        """Whether each path comes after the one before it, as git sorts them."""
        return all(map(lt, self.paths, self.paths[1:]))

    @cached_property
    def others(self) -> list[bytes]:
        """The paths that are called anything else than `.py`."""
        return other_paths(self.paths)

    def mode(self, number: int) -> str:
        """The mode of one path, as git writes it."""
        return (self._kind + self._rows[number][:6].decode("ascii"))[:6]

    def oid(self, number: int) -> str:
        """The object id of one path."""
        return self._rows[number][self._id].decode("ascii")

    def modes(self) -> list[str]:
        """The mode of every path."""
        return list(map(self.mode, range(len(self.paths))))

    def oids(self) -> list[str]:
        """The object id of every path."""
        return list(map(self.oid, range(len(self.paths))))

    def modes_and_paths(self) -> list[tuple[bytes, bytes]]:
        """The mode of every path, as bytes, with the path."""
        start, rest = self._kind.encode("ascii"), 6 - len(self._kind)
        return [(start + row[:rest], path) for row, path in zip(self._rows, self.paths, strict=True)]

    def without(self, paths: Collection[bytes]) -> IndexColumns:
        """The same without some paths."""
        kept = [(path, row) for path, row in zip(self.paths, self._rows, strict=True) if path not in paths]
        return IndexColumns([path for path, _row in kept], [row for _path, row in kept], self._kind, self.conflicts)

    def special(self) -> list[int]:
        """The numbers of the paths that are no files: links and submodules."""
        return [] if self._kind else [number for number, row in enumerate(self._rows) if row[1:2] != b"0"]


def columns_of(listing: bytes) -> IndexColumns:
    """The columns of what `git ls-files -s -z` writes; of a path in conflict, which has several rows, the last counts.

    Raises UnprovenError where one is what no checkout can have; in a conflict a file may be a folder as well.
    """
    columns = columns_of_files(listing)
    if columns is not None:
        return columns
    rows = listing.split(b"\0")[:-1]
    paths = split_rows(rows)
    last = dict(zip(paths, rows, strict=True))
    stage = rows[0].index(b"\t") - 1 if rows else 0
    conflicts = {path for path, row in zip(paths, rows, strict=True) if row[stage] != _SETTLED[0]}
    return IndexColumns([*last], [*last.values()], conflicts=conflicts)


def columns_of_files(listing: bytes, tag: bytes = b"") -> IndexColumns | None:
    """The columns of an index of plain files, each there once and with a tag; None where each row has to be looked at."""
    start = tag + _FILE
    rows = listing.split(b"\0" + start)
    if not listing.startswith(start) or len(rows) != listing.count(b"\0"):
        return None
    rows[0] = rows[0][len(start) :]
    rows[-1] = rows[-1][:-1]  # of a zero byte
    width = rows[0].index(b"\t") + 1
    columns = IndexColumns([row[width:] for row in rows], rows, _FILE.decode("ascii"))
    # what stands before the tab of a row is as long as this or longer: where no path has a tab, it is as long
    if width not in _WIDTHS or b"\t" in columns.text or not columns.ascend:
        return None
    _refuse_unsafe(columns.paths, columns.text, "the index")
    return None if _has_overlap(columns.paths, columns.text, columns.others) else columns


def split_rows(rows: Sequence[bytes]) -> list[bytes]:
    """The path of each row; raises UnprovenError as `columns_of` does."""
    if not rows:
        return []
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
    return paths
