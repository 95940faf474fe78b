"""Source that is read from git's own objects: a commit, or the index. Nothing is checked out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby

from buildguard.definitions import records
from buildguard.diagnostic import RelativePath, UnreadableFile, display_path
from buildguard.stages.content_cache import ContentCache
from buildguard.stages.stage import KINDS, Entry, EntryKind, Listing, Stage, resolve_link
from buildguard.system import git
from buildguard.system.git_paths import IndexColumns
from buildguard.system.git_reader import DAMAGED, ObjectReader


class IndexListing(Listing):
    """The entries of an index without submodules."""

    def __init__(self, columns: IndexColumns) -> None:
        super().__init__()
        self._columns = columns

    @cached_property
    def every(self) -> list[Entry]:
        """All of them."""
        return records(Entry, self.paths, map(_kind, self._columns.modes()), self._columns.oids())

    @cached_property
    def paths(self) -> list[bytes]:
        """Their paths."""
        return self._columns.paths

    @cached_property
    def text(self) -> bytes:
        """Their paths as one text."""
        return self._columns.text

    @cached_property
    def other_paths(self) -> list[bytes]:
        """Those of them that are called anything else than `.py`."""
        return self._columns.others

    @cached_property
    def _ascend(self) -> bool:
        return self._columns.ascend

    def entry(self, number: int) -> Entry:
        """One of them, by its place in the list."""
        return Entry(RelativePath(self.paths[number]), _kind(self._columns.mode(number)), self._columns.oid(number))

    @cached_property
    def unclear(self) -> list[bytes]:
        """The links."""
        special = map(self.entry, self._columns.special())
        return [entry.path for entry in special if entry.kind not in {EntryKind.FILE, EntryKind.EXECUTABLE}]


def _kind(mode: str) -> EntryKind:
    return KINDS.get(mode, EntryKind.FILE)


class GitStage:
    """Source that is read from git's own objects, nothing checked out; the index where no commit is given.

    `damaged` grows with what is read: each path whose object does not match its id, a folder's tree among them (the root
    is empty).
    """

    def __init__(self, repository: git.Repository, name: str, commit: str | None = None) -> None:
        self.root = repository.top
        self.repository = repository
        self.name = name
        self.commit = commit
        self._rows: list[git.GitEntry] | None = None
        self._index: IndexColumns | None = None
        self._entries: Listing | None = None
        self._homes: dict[bytes, git.Repository] = {}
        self.closed: list[bytes] = []  # submodules whose commit is not here
        self.damaged: dict[bytes, str] = {}
        self._kept: ContentCache | None = None
        self._idle: dict[git.Repository, list[ObjectReader]] | None = None
        self._begun: ObjectReader | None = None

    def keep_contents(self) -> None:
        """Read each small blob once from here on; for a run that asks for the same ones again and again."""
        self._kept = self._kept or ContentCache()

    def begin_reading(self) -> None:
        """Start the process that reads inside of `keeping_readers`, which ends it."""
        self._begun = self.repository.reader()
        self._begun.begin()

    @contextmanager
    def keeping_readers(self) -> Iterator[None]:
        """Have git read all objects in one process, as long as no two threads read at once."""
        if self._idle is not None:  # inside of another one, which ends what is begun here
            yield
            return
        begun, self._begun = self._begun, None
        idle: dict[git.Repository, list[ObjectReader]] = {self.repository: [begun]} if begun is not None else {}
        self._idle = idle
        try:
            yield
        finally:
            self._idle = None
            for reader in (reader for readers in idle.values() for reader in readers):
                reader.close()

    def entries(self) -> Listing:
        """The rows of the index, or of the commit, submodules opened where their commit is here."""
        if self._entries is None:
            self._entries = self._listed()
        return self._entries

    def _listed(self) -> Listing:
        """An index without submodules needs no rows, and makes an entry when it is asked for."""
        if self.commit is None and self._rows is None:
            columns = self._index_columns()
            if not any(columns.mode(number) == git.SUBMODULE for number in columns.special()):
                return IndexListing(columns)
        rows = [row for row in self.rows() if row.mode != git.SUBMODULE]
        kinds = [_kind(row.mode) for row in rows]
        return Listing(records(Entry, [row.path for row in rows], kinds, [row.oid for row in rows]))

    def _index_columns(self) -> IndexColumns:
        if self._index is None:
            self._index = self.repository.index_columns()
        return self._index

    def rows(self) -> list[git.GitEntry]:
        """The same as git has them, sorted, with a row for each submodule besides those of its files."""
        if self._rows is None:
            listed: Sequence[git.GitEntry]
            if self.commit is not None:
                listed = self._tree(self.repository, self.commit)
            else:
                columns = self._index_columns()
                listed = records(git.GitEntry, columns.paths, columns.modes(), columns.oids())
            has_others = any(row.mode == git.SUBMODULE for row in listed)
            self._rows = sorted(self._of(listed, b"") if has_others else listed)
        return self._rows

    def blobs(self, rows: Iterable[git.GitEntry]) -> Iterator[tuple[git.GitEntry, bytes | UnreadableFile]]:
        """The blob of each row, in order, compared with its id. One `git cat-file` for each repository in turn."""
        for (home, _prefix), group in groupby(rows, key=lambda row: self.home(row.path)):
            batch = list(group)
            known = {row.oid: self._kept.get(row.oid) for row in batch} if self._kept else {}
            kept = {oid: content for oid, content in known.items() if content is not None}
            fresh = self._read(home, [row.oid for row in batch if row.oid not in kept])
            for row in batch:
                blob: bytes | UnreadableFile = kept[row.oid] if row.oid in kept else next(fresh)
                if isinstance(blob, UnreadableFile) and blob.damaged:
                    self.damaged[row.path] = blob.reason
                if self._kept:
                    self._kept.keep(row.oid, blob)
                yield row, blob

    def _read(self, home: git.Repository, oids: Sequence[str]) -> Iterator[bytes | UnreadableFile]:
        """The content of each blob."""
        if not oids:
            return
        due = len(oids)
        with self._reader(home, lambda: not due) as reader:
            for blob in reader.blobs(oids):
                due -= 1
                yield blob

    @contextmanager
    def _reader(self, home: git.Repository, is_free: Callable[[], bool]) -> Iterator[ObjectReader]:
        """The process that was asked before; it is left to the next question, unless an answer is still due."""
        idle = self._idle.setdefault(home, []) if self._idle is not None else []
        try:
            reader = idle.pop()
        except IndexError:  # none yet, or other threads have them
            reader = home.reader()
        is_whole = False
        try:
            yield reader
            is_whole = True
        except GeneratorExit:  # whoever asked has read enough
            is_whole = True
            raise
        finally:
            if is_whole and is_free() and self._idle is not None:
                idle.append(reader)
            else:
                reader.close()

    def time(self) -> int:
        """When its commit was made, in seconds since 1970."""
        assert self.commit is not None
        with self._reader(self.repository, lambda: True) as reader:
            return reader.time_of(self.commit)

    def notes(self) -> list[str]:
        """Submodules whose commit is not here, and what git would read in place of the objects."""
        self.entries()
        closed = [f"{display_path(path)}: a submodule that is not checked out" for path in self.closed]
        return [*closed, *self.repository.notes()]

    def contents(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bytes | UnreadableFile]]:
        """The blob of each entry, links followed inside this stage."""
        batch = list(entries)
        conflicts = self._index_columns().conflicts if self.commit is None else ()
        blobs = self.blobs([git.GitEntry(entry.path, "", entry.oid) for entry in batch])
        for entry, (_row, blob) in zip(batch, blobs, strict=True):
            if entry.path in conflicts:
                yield entry, UnreadableFile(f"it is in conflict in {self.name}")
            elif entry.kind is EntryKind.LINK:
                yield entry, self._behind_link(entry, blob)
            else:
                yield entry, blob

    def home(self, path: bytes) -> tuple[git.Repository, bytes]:
        """The repository whose objects hold a path, and where its top folder is (empty, or with its final `/`)."""
        for prefix, repository in self._homes.items():
            if path.startswith(prefix):
                return repository, prefix
        return self.repository, b""

    def _tree(self, repository: git.Repository, commit: str, prefix: bytes = b"") -> Sequence[git.GitEntry]:
        with self._reader(repository, lambda: True) as reader:
            tree = reader.tree(commit)
        self.damaged.update(((prefix + folder).rstrip(b"/"), DAMAGED.reason) for folder in tree.damaged)
        return tree.rows

    def _of(self, rows: Sequence[git.GitEntry], prefix: bytes) -> Iterator[git.GitEntry]:
        for row in rows:
            path = prefix + row.path
            yield row._replace(path=path) if prefix else row
            if row.mode != git.SUBMODULE:
                continue
            inner = git.submodule_of(self.root / os.fsdecode(path))
            if inner is None or not inner.has_commit(row.oid):
                self.closed.append(path)
                continue
            self._homes = {path + b"/": inner, **self._homes}
            yield from self._of(self._tree(inner, row.oid, path + b"/"), path + b"/")

    def _behind_link(self, entry: Entry, text: bytes | UnreadableFile) -> bytes | UnreadableFile:
        """What a link of this stage leads to in this same stage."""
        listing = self.entries()

        def link_of(path: bytes) -> bytes | None:
            linked = listing.find(path)
            if linked is None or linked.kind is not EntryKind.LINK:
                return None if linked is None else b""
            blob = self._blob(linked)
            return blob if isinstance(blob, bytes) else None

        if isinstance(text, UnreadableFile):
            return text
        target = resolve_link(entry.path, text, link_of)
        if isinstance(target, UnreadableFile):
            return target
        entry_behind = listing.find(target)
        assert entry_behind is not None  # `resolve_link` has asked for it
        return self._blob(entry_behind)

    def _blob(self, entry: Entry) -> bytes | UnreadableFile:
        return next(blob for _row, blob in self.blobs([git.GitEntry(entry.path, "", entry.oid)]))


HOW_TO_REPAIR = "`git fsck` lists damaged objects; get them from a clone that is whole"


def damaged_in(stage: Stage) -> Mapping[bytes, str]:
    """The paths of a stage whose object in git does not match its id, among what was read so far, with the reason."""
    return stage.damaged if isinstance(stage, GitStage) else {}


def index_of(repository: git.Repository) -> GitStage:
    """The index: what the next commit will hold."""
    return GitStage(repository, "index:")


def commit_of(repository: git.Repository, rev: str) -> GitStage:
    """A commit; raises UsageError where `rev` names none."""
    return GitStage(repository, f"commit:{rev}", repository.resolve(rev))
