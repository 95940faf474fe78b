"""Git's objects, each compared with its id: what git returns for an id counts only where it hashes to that id.

Git itself recomputes an id in `git fsck` alone. A pack with a flipped bit, or an object that was written under
another one's name, is read by every other command as if it were right.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from functools import partial
from types import TracebackType

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.diagnostic import UnreadableFile, display_path
from buildguard.errors import UnprovenError
from buildguard.system import process
from buildguard.system.git_directory import GitDir
from buildguard.system.git_paths import refuse_overlaps, refuse_unsafe_paths
from buildguard.system.git_wait import TimedPipe

if TYPE_CHECKING:
    import subprocess
    from typing import Self


_FETCH_ALL = "git fetch --refetch --no-filter"  # every object again, of a partial clone too
MISSING = UnreadableFile(f"its object is missing from the repository (a partial clone?); to fetch it: {_FETCH_ALL}")
DAMAGED = UnreadableFile("its object in the repository is damaged: it does not match its id", damaged=True)
LINK = "120000"
SUBMODULE = "160000"
_AHEAD = 256  # 65 bytes at most for each of these and half as many again, and a pipe takes 65,536
_TREE = "040000"
LARGEST = 256 << 20  # bytes of an object or a file that is read into memory; no compiler takes a source so large
_PIECE = 1 << 20
_SMALL = 1 << 16  # to be copied for one call of the hash rather than two
_MOST_ROWS = (
    1_000_000  # as many as an archive may have; ten trees of ten rows each can stand for more than any disk holds
)
_COMMITTED = lazy_pattern(rb"\ncommitter .*> (\d{1,18})(?: |\n|$)")


class GitEntry(NamedTuple):
    """One row of git's index or of a tree: a path relative to the repository's top, its mode and object id."""

    path: bytes
    mode: str
    oid: str


class Tree(NamedTuple):
    """The rows of a commit's tree, folders opened; `damaged` are the folders whose tree object does not match its id."""

    rows: Sequence[GitEntry]
    damaged: Sequence[bytes]


class _Object(NamedTuple):
    kind: bytes
    content: bytes


class ObjectReader:
    """One `git cat-file` process for many objects; used as a context."""

    def __init__(self, folder: GitDir) -> None:
        self._folder = folder
        algorithm = hashlib.sha1 if folder.parts.object_format == "sha1" else hashlib.sha256
        self._hash = partial(algorithm, usedforsecurity=False)
        self._id_bytes = self._hash().digest_size
        self._entry = lazy_pattern(rb"([0-7]{1,6}) ([^\0]+)\0(.{%d})" % self._id_bytes, re.DOTALL)
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def begin(self) -> None:
        """Start the process already; the caller does something else meanwhile, and closes it."""
        self._running()

    def close(self) -> None:
        """End the process; whoever reads more after that starts another one."""
        if self._child is not None:
            self._output.close()
            process.stop(self._child)
            self._child = None

    def blobs(self, oids: Sequence[str]) -> Iterator[bytes | UnreadableFile]:
        """The content of each blob, in order."""
        for answer in self._read(oids):
            if isinstance(answer, UnreadableFile):
                yield answer
            else:
                yield answer.content if answer.kind == b"blob" else DAMAGED

    def tree(self, commit: str) -> Tree:
        """The tree of a commit.

        Raises UnprovenError where an object of it is missing, or where it holds paths that no checkout can have.
        """
        tree = self._open_tree(commit)
        refuse_unsafe_paths([row.path for row in tree.rows], f"commit {commit[:12]}")
        return tree

    def _open_tree(self, commit: str) -> Tree:
        rows: list[GitEntry] = []
        damaged: list[bytes] = []
        root = self._root(commit)
        if not root:
            return Tree(rows, [b""])
        level = [(b"", root)]
        while level:
            below: list[tuple[bytes, str]] = []
            for prefix, folder in self._open_folders(level, commit):
                if folder is None:
                    damaged.append(prefix[:-1])
                    continue
                for mode, name, oid in folder:
                    if mode == _TREE:
                        below.append((prefix + name + b"/", oid))
                    else:
                        rows.append(GitEntry(prefix + name, mode, oid))
            if len(rows) + len(below) > _MOST_ROWS:
                raise UnprovenError(f"commit {commit[:12]} holds more than a million files or folders")
            level = below
        return Tree(rows, damaged)

    def _open_folders(
        self, folders: Sequence[tuple[bytes, str]], commit: str
    ) -> Iterator[tuple[bytes, list[tuple[str, bytes, str]] | None]]:
        """The rows of some folders, each with its path; None for one that is damaged."""
        for (prefix, _oid), answer in zip(folders, self._read([oid for _prefix, oid in folders]), strict=True):
            if answer == MISSING:
                what = f"git has no tree for {os.fsdecode(prefix) or 'the root'} of commit {commit}"
                raise UnprovenError(what, hint=_FETCH_ALL)
            rows = self._rows(answer.content) if isinstance(answer, _Object) and answer.kind == b"tree" else None
            if rows is not None:
                _refuse_names(rows, prefix, commit[:12])
            yield prefix, rows

    def time_of(self, commit: str) -> int:
        """When a commit was made, in seconds since 1970."""
        content = self._commit(commit)
        date = _COMMITTED.search(content.partition(b"\n\n")[0]) if content is not None else None
        if date is None:
            raise UnprovenError(f"commit {commit} is damaged: its date cannot be read")
        return int(date[1])

    def _root(self, commit: str) -> str:
        """The id of a commit's tree, empty where the commit is damaged."""
        content = self._commit(commit)
        if content is None:
            return ""
        line = re.match(rb"tree ([0-9a-f]{%d})\n" % (2 * self._id_bytes), content)
        return line[1].decode("ascii") if line is not None else ""

    def _commit(self, commit: str) -> bytes | None:
        answer = next(self._read([commit]))
        if answer == MISSING:
            raise UnprovenError(f"git has no commit {commit}", hint="git fetch")
        return answer.content if isinstance(answer, _Object) and answer.kind == b"commit" else None

    def _rows(self, content: bytes) -> list[tuple[str, bytes, str]] | None:
        """The entries of a tree object; None where it is malformed."""
        entries: list[tuple[bytes, bytes, bytes]] = self._entry.findall(content)
        # what stands side by side and is as long as the whole leaves nothing out
        length = sum(len(mode) + len(name) for mode, name, _id in entries) + len(entries) * (2 + self._id_bytes)
        if length != len(content):
            return None
        return [(_MODES.get(mode) or _mode(mode), name, raw.hex()) for mode, name, raw in entries]

    # ------------------------------------------------------------------------------------------ the process

    def _read(self, oids: Sequence[str]) -> Iterator[_Object | UnreadableFile]:
        """Each object in order, its id recomputed. Git ends at an object that it cannot unpack: another one goes on."""
        at = 0
        while at < len(oids):
            for answer in self._answers(oids[at:]):
                at += 1
                yield answer

    def _answers(self, oids: Sequence[str]) -> Iterator[_Object | UnreadableFile]:
        """The answers up to one that git complains of. Some questions are always ahead, so that git works while we hash."""
        asked = 0
        for at, oid in enumerate(oids):
            if asked < len(oids) and asked - at <= _AHEAD // 2:
                self._ask(oids[asked : asked + _AHEAD])
                asked += _AHEAD
            answer = self._answer(oid)
            if answer is None:
                yield self._why_missing(oid)
                return  # the rest of them is asked once more
            yield answer

    def _ask(self, oids: Sequence[str]) -> None:
        child = self._running()
        assert child.stdin is not None
        try:
            # so few questions always fit into the pipe: both pipes can never be full at once
            child.stdin.write("".join(f"{oid}\n" for oid in oids).encode("ascii"))
        except BrokenPipeError as error:
            raise UnprovenError("git cat-file ended before it was asked everything") from error

    def _answer(self, oid: str) -> _Object | UnreadableFile | None:
        """The next object; None where git complains of it, or has ended."""
        header = self._output.readline()[len(oid) + 1 : -1]  # of "<oid> blob <size>": what the id is a hash of, too
        kind, _, length = header.partition(b" ")
        if not length.isdigit():
            is_missing = header == b"missing" and not (self._folder.parts.objects / oid[:2] / oid[2:]).exists()
            return MISSING if is_missing else None
        size = int(length)
        if size > LARGEST:
            return self._large(oid, header, size) if kind == b"blob" else DAMAGED
        content = self._output.read(size + 1)
        if len(content) != size + 1:
            return None
        content = content[:-1]
        if size < _SMALL:
            digest = self._hash(header + b"\0" + content)
        else:
            digest = self._hash(header + b"\0")
            digest.update(content)
        return _Object(kind, content) if digest.hexdigest() == oid else DAMAGED

    def _large(self, oid: str, header: bytes, size: int) -> UnreadableFile | None:
        """The digest of a blob that is too large to be kept; None where it is cut."""
        own, sha256 = self._hash(header + b"\0"), hashlib.sha256()
        left = size
        while left:
            piece = self._output.read(min(left, _PIECE))
            if not piece:
                return None
            own.update(piece)
            sha256.update(piece)
            left -= len(piece)
        if self._output.read(1) != b"\n":
            return None
        words = f"larger than {LARGEST >> 20} MiB"
        return UnreadableFile(words, size=size, sha256=sha256.hexdigest()) if own.hexdigest() == oid else DAMAGED

    def _why_missing(self, oid: str) -> UnreadableFile:
        """What git said of an object that it did not return; the next one is asked of another process."""
        child = self._running()
        assert child.stdout is not None
        assert child.stderr is not None
        self._output.close()
        child.stdout.close()  # whatever git still writes there ends it
        if child.stdin is not None:
            child.stdin.close()
        words = child.stderr.read()
        self.close()
        if oid.encode("ascii") in words:
            return DAMAGED
        raise UnprovenError(f"git cat-file ended before its answer was whole: {process.last_line(words)}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._child = self._folder.start("cat-file", "--batch")
            assert self._child.stdout is not None
            pipe = TimedPipe(self._child.stdout.fileno(), self._folder.parts.top)
            self._output = io.BufferedReader(pipe, 1 << 18)
        return self._child


def _refuse_names(rows: Sequence[tuple[str, bytes, str]], prefix: bytes, commit: str) -> None:
    """Raise UnprovenError where one tree has a name with a slash, or one name twice."""
    names = [name for _mode, name, _oid in rows]
    for name in names if b"/" in b"".join(names) else []:
        if b"/" in name:
            raise UnprovenError(f"a tree of commit {commit} holds '{display_path(prefix + name)}', a name with a slash")
    if len(set(names)) != len(names):
        # a folder is told from a file by what is in it
        paths = [prefix + name + (b"/x" if mode == _TREE else b"") for mode, name, _oid in rows]
        refuse_overlaps(paths, f"commit {commit}")


_MODES = {b"40000": _TREE, b"100644": "100644", b"100755": "100755", b"120000": LINK, b"160000": SUBMODULE}


def _mode(word: bytes) -> str:
    """A mode as git takes it: old versions wrote more permission bits."""
    number = int(word, 8)
    kinds = {0o040000: _TREE, 0o120000: LINK, 0o100000: "100755" if number & 0o100 else "100644"}
    return kinds.get(number & 0o170000, SUBMODULE)
