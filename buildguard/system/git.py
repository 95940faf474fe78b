"""Git, asked by its own program, with nothing in force that the repository's configuration says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING, NamedTuple, records
from buildguard.diagnostic import UnreadableFile, display_path
from buildguard.errors import UnprovenError, UsageError, did_you_mean
from buildguard.system import git_directory, git_notes, git_wait, process, programs
from buildguard.system.git_directory import GitDir
from buildguard.system.git_paths import IndexColumns, columns_of, columns_of_files, split_rows
from buildguard.system.git_reader import LINK, SUBMODULE, GitEntry, ObjectReader, Tree

if TYPE_CHECKING:
    import subprocess


__all__ = [
    "LINK",
    "SUBMODULE",
    "GitEntry",
    "Repository",
    "Tree",
    "WorktreeListing",
    "git_folder",
    "repository_of",
    "submodule_of",
]

_EMPTY_FILES = (  # by SHA-1 and SHA-256, between the spaces of a row
    b" e69de29bb2d1d6434b8b29ae775ad8c2e48c5391 ",
    b" 473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813 ",
)
_VERSION_WITHOUT_MARKS = b"\0\0\0\2"
_FEW_PATHS = 500
_CLOSED = b"warning: could not open directory '"
_AFTER_PATH = b"': "
_VANISHED = b"No such file or directory"
_SHOWN = 200  # bytes of git's words
_UNTRACKED = ("ls-files", "-o", "--exclude-standard", "-z")
# What is untracked, "? ", and what the index has and the disk has not, "R ".
_ON_DISK = ("ls-files", "-o", "-d", "-t", "--exclude-standard", "-z")
_UNMARKED = frozenset((b"H", b"M"))  # as git tags a file, and one in conflict
_NO_RENAMES = ("--name-only", "--no-renames", "-z")
_INDEX = ("ls-files", "-s", "-z")
_STAGED = (
    *("diff-index", "--cached", "--ita-invisible-in-index", "--raw", "--no-abbrev", "--no-renames", "-z"),
    "--ignore-submodules=none",
)
_WORD_SEARCH = ("grep", "--cached", "-l", "-z", "-w", "-F", "--no-color", "--no-textconv", "--no-recurse-submodules")
_FIRST_COMMIT = 'git add --all && git commit -m "first commit"'
_FOUND_NOTHING = 1  # the status of `git grep`


class WorktreeListing:
    """A working tree that git is busy listing."""

    def __init__(self, tracked: subprocess.Popen[bytes], untracked: subprocess.Popen[bytes], folder: GitDir) -> None:
        self._tracked = tracked
        self._untracked = untracked
        self._folder = folder  # it would be removed if nothing referred to it
        self._marked: list[bytes] = []
        self._tracked_rows: list[tuple[bytes, bytes]] = []
        self._others: list[bytes] = []
        self.gone: frozenset[bytes] = frozenset()  # tracked paths that are deleted, once the others are known

    def _finish(self, child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
        stdout, stderr = git_wait.finish(child, self._folder.parts.top)
        if child.returncode != 0:
            words = stderr.decode("utf-8", "backslashreplace").strip()
            raise UnprovenError(f"git ls-files failed: {words}")
        return stdout, stderr

    def result(self) -> tuple[list[tuple[bytes, bytes]], list[bytes], list[bytes]]:
        """What `tracked` and `others` give."""
        return self.tracked(), *self.others()

    def tracked(self) -> list[tuple[bytes, bytes]]:
        """Mode and path of each row of the index; it is there before the others are."""
        try:
            listing = self._finish(self._tracked)[0]
            columns = columns_of_files(listing, b"H ")
            rows = [] if columns is not None else _rows(listing)
            paths = split_rows(rows)
        except BaseException:
            process.stop(self._untracked)
            raise
        finally:
            process.stop(self._tracked)
        self._marked = [row for row in rows if row[:1] not in _UNMARKED]
        if columns is not None:
            self._tracked_rows = columns.modes_and_paths()
            return self._tracked_rows
        # "<tag> <mode> <oid> <stage>\t<path>"; a path in conflict has several rows, one after the other
        self._tracked_rows = [(row[2:8], path) for row, path in zip(rows, paths, strict=True)]
        return self._tracked_rows

    def others(self) -> tuple[list[bytes], list[bytes]]:
        """The untracked paths that are not ignored, and the folders that git could not open."""
        try:
            others, complaints = self._finish(self._untracked)
        finally:
            process.stop(self._untracked)
        rows = _rows(others)
        self._others = [row[2:] for row in rows if row[:1] == b"?"]
        self.gone = frozenset(row[2:] for row in rows if row[:1] == b"R")
        return self._others, self._closed(complaints)

    def _closed(self, complaints: bytes) -> list[bytes]:
        """The folders that git could not open, by its words; raises UnprovenError where those do not show which one."""
        closed = []
        for words in complaints.split(_CLOSED)[1:]:
            pieces = words.split(_AFTER_PATH)
            paths = (_AFTER_PATH.join(pieces[:number]) for number in range(1, len(pieces)))
            path = next((path for path in paths if os.path.lexists(os.path.join(self._top, path))), None)
            if path is not None:
                closed.append(path.rstrip(b"/"))
            elif _VANISHED not in words:  # its name has a line break, or is too long for a message of git
                raise UnprovenError(f"git could not open a folder: {display_path(words.splitlines()[0][:_SHOWN])}")
        return closed

    @property
    def _top(self) -> bytes:
        return os.fsencode(self._folder.parts.top)

    def notes(self) -> list[str]:
        """What `git status` would not show of all this, one line each: to be asked after `result`."""
        hidden = {
            "skip-worktree": [row for row in self._marked if row[:1] in b"Ss"],
            "assume-unchanged": [row for row in self._marked if row[:1].islower()],
        }
        lines = [
            git_notes.on_marked(mark, [row[row.index(b"\t") + 1 :] for row in rows]) for mark, rows in hidden.items()
        ]
        if self._others and self._folder.setting("core.ignoreCase") == "true":
            lines.append(git_notes.on_case(self._others, [path for _mode, path in self._tracked_rows]))
        return [line for line in lines if line]


class Repository(NamedTuple):
    """A git working tree, by the absolute path of its top folder; `head` is empty before the first commit."""

    top: Path
    head: str
    folder: GitDir

    def resolve(self, rev: str) -> str:
        """The full id of the commit that `rev` names; raises UsageError where it names none."""
        if rev.startswith("-"):
            raise UsageError(f"'{rev}' is not a commit")
        verify = ("rev-parse", "--verify", "--quiet", "--end-of-options")
        done = self.folder.ask_here(*verify, f"{rev}^{{commit}}")
        if b"hash mismatch" in done.stderr:
            done = self.folder.ask_here(*verify, rev)  # it is damaged, and whoever reads it reports that
        if done.status != 0:
            raise self._unknown_revision(rev)
        return done.stdout.decode("ascii").strip()

    def references(self) -> list[str]:
        """The short names of branches, tags and remote branches."""
        names = ("refs/heads", "refs/tags", "refs/remotes")
        done = self.folder.ask_here("for-each-ref", "--format=%(refname:short)", *names)
        return done.stdout.decode("utf-8", "replace").split()

    def _unknown_revision(self, rev: str) -> UsageError:
        if not self.head and rev.startswith("HEAD"):
            return UsageError(f"unknown revision '{rev}': this branch has no commits", hint=_FIRST_COMMIT)
        shallow = self.is_shallow()
        otherwise = "git log --all lists commits"
        if shallow:
            remote, slash, branch = rev.partition("/")
            fetch = f"git fetch {remote} {branch}" if slash else f"git fetch origin {rev}"
            otherwise = f"{fetch}, or set fetch-depth: 0"
        place = " (this is a shallow clone)" if shallow else ""
        known = ["HEAD"] * rev.isalpha() + self.references()  # HEAD~9 is spelt right, and too far back
        return UsageError(f"unknown revision '{rev}'{place}", hint=did_you_mean(rev, known, otherwise))

    def is_shallow(self) -> bool:
        """Whether older commits are missing because the clone has a limited depth."""
        return (self.folder.parts.common_dir / "shallow").is_file()

    def notes(self) -> list[str]:
        """What git would read in place of this repository's own objects, and buildguard does not, one line each."""
        return git_notes.on_substitutes(self.folder)

    def has_commit(self, oid: str) -> bool:
        """Whether the object database holds that commit (a submodule may not be fetched)."""
        return self.folder.succeeds("cat-file", "-e", f"{oid}^{{commit}}")

    def is_pushed(self) -> bool | None:
        """Whether a branch of a remote holds HEAD, as far as this repository knows; None where it has no remote."""
        if not self.folder.ask_here("config", "--name-only", "--get-regexp", "^remote[.]").stdout:
            return None
        refs = self.folder.ask_here("for-each-ref", "--format=%(objectname)", "refs/remotes").stdout.split()
        if not refs:
            return False
        words = b"\n".join([self.head.encode("ascii"), *(b"^" + oid for oid in refs), b""])
        return not self.folder.ask("rev-list", "--max-count=1", "--ignore-missing", "--stdin", stdin=words)

    def distance(self, commit: str, other: str) -> tuple[int, int]:
        """How many commits each of two has that the other has not."""
        left, right = self.folder.ask("rev-list", "--left-right", "--count", f"{commit}...{other}").split()
        return int(left), int(right)

    def number_changed(self, commit: str, other: str) -> int:
        """How many paths differ between two commits, a renamed one counted once."""
        return len(_rows(self.folder.ask("diff-tree", "-r", "-M", "--name-only", "-z", commit, other)))

    def setting(self, name: str) -> str:
        """A value of git's configuration that is read as data, empty where it is not set."""
        return self.folder.setting(name)

    # ------------------------------------------------------------------------------------------ objects

    def tree(self, commit: str) -> Tree:
        """The tree of a commit, each object compared with its id."""
        with self.reader() as reader:
            return reader.tree(commit)

    def blobs(self, oids: Sequence[str]) -> Iterator[bytes | UnreadableFile]:
        """The content of each blob, in order, compared with its id. One git process serves all."""
        with self.reader() as reader:
            yield from reader.blobs(oids)

    def time_of(self, commit: str) -> int:
        """When a commit was made, in seconds since 1970."""
        with self.reader() as reader:
            return reader.time_of(commit)

    def reader(self) -> ObjectReader:
        """What reads objects of this repository, for use as a context."""
        return ObjectReader(self.folder)

    def history(self, commit: str, paths: Sequence[bytes]) -> Iterator[tuple[str, bytes, str]]:
        """Which commits, the newest first, gave some paths which blob: commit and its date, path, object id."""
        some = [os.fsdecode(path) for path in paths] if len(paths) <= _FEW_PATHS else []
        options = ("--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "-m", "--format=%x01%H %cs")
        wanted = set(paths)
        commit_words = ""
        words = iter(self.folder.ask("log", *options, commit, "--", *some).split(b"\0"))
        for word in words:
            for line in word.split(b"\n") if word.startswith((b"\x01", b"\n")) else [word]:
                if line.startswith(b"\x01"):
                    commit_id, _, date = line[1:].decode("ascii", "replace").partition(" ")
                    commit_words = f"{commit_id[:10]} ({date})"
                elif line.startswith(b":"):
                    path = next(words)
                    if path in wanted:
                        yield commit_words, path, line.split(b" ")[3].decode("ascii")

    def exported(self, commit: str) -> subprocess.Popen[bytes]:
        """Start writing a commit as `git archive` does, its attributes applied; a tar comes out of its stdout."""
        return self.folder.start_archive(commit)

    # ------------------------------------------------------------------------------------------ the index

    def begin_staged(self) -> None:
        """Have git list the index, and what is staged in it, while the caller gets ready for that."""
        self.folder.begin(*_INDEX)
        if self.head:
            self.folder.begin(*_STAGED, self.head)

    def index_rows(self) -> list[GitEntry]:
        """The rows of the index, each path once (a path in conflict has several; the last counts)."""
        columns = self.index_columns()
        return records(GitEntry, columns.paths, columns.modes(), columns.oids())

    def index_columns(self) -> IndexColumns:
        """The same as columns: an index has as many rows as a repository has files.

        What was only announced (`git add --intent-to-add`) is left out: no commit holds it.
        """
        listing = self.folder.ask(*_INDEX)
        columns = columns_of(listing)
        if not (any(oid in listing for oid in _EMPTY_FILES) and _has_marks(self.folder.parts.index_file)):
            return columns
        from buildguard.system.git_intent import find_intended

        intended = find_intended(self.folder, self.head)
        return columns.without(intended) if intended else columns

    def conflicts(self) -> list[bytes]:
        """Paths that the index holds in several versions."""
        rows = _rows(self.folder.ask("ls-files", "-u", "-z"))
        return sorted({row.partition(b"\t")[2] for row in rows})

    def tracks(self, folder: bytes) -> bool:
        """Whether the index has anything below a folder."""
        return bool(self.folder.ask("ls-files", "-z", "--", os.fsdecode(folder)))

    def staged_paths(self) -> list[bytes]:
        """Paths that the next commit adds or changes against HEAD (in a first commit: all of the index)."""
        return [change.path for change in self.staged_changes()]

    def staged_changes(self) -> list[GitEntry]:
        """The same, each with its mode and blob in HEAD; both are zeros for what HEAD does not have."""
        if not self.head:
            return [GitEntry(row.path, "000000", "0" * len(row.oid)) for row in self.index_rows()]
        words = _rows(self.folder.ask(*_STAGED, self.head))
        before = (row.decode("ascii").split(" ") for row in words[::2])  # :mode mode blob blob status
        return [
            GitEntry(path, mode.removeprefix(":"), oid)
            for path, (mode, _mode, oid, *_rest) in zip(words[1::2], before, strict=True)
        ]

    def indexed_with(self, words: Iterable[str]) -> list[bytes]:
        """The paths of the index whose content has one of some words. Raises UnprovenError where git could not look."""
        done = self.folder.result(*_WORD_SEARCH, *(f"-e{word}" for word in words))
        if done.status not in {0, _FOUND_NOTHING} or done.stderr:  # of an object that is missing it only complains
            raise UnprovenError(f"git grep failed: {done.complaint()}")
        return _rows(done.stdout)

    # ------------------------------------------------------------------------------------------ the working tree

    def working_tree(self) -> WorktreeListing:
        """Begin to list the working tree; git works while the caller does something else."""
        tracked = self.folder.start("ls-files", "-s", "-v", "-z")
        try:
            return WorktreeListing(tracked, self.folder.start(*self.folder.data_options(), *_ON_DISK), self.folder)
        except BaseException:
            process.stop(tracked)
            raise

    def untracked(self) -> list[bytes]:
        """The paths of the working tree that are neither tracked nor ignored."""
        return _rows(self.folder.ask(*self.folder.data_options(), *_UNTRACKED))

    def touched(self) -> list[bytes]:
        """Tracked paths whose file is gone or has other times, size or mode than the index: it may have been edited."""
        options = (*self.folder.data_options(), "diff-files")
        return _rows(self.folder.ask(*options, *_NO_RENAMES, "--ignore-submodules=all"))

    def filtered(self, paths: Sequence[bytes]) -> dict[bytes, str]:
        """The object ids that git's own filters (line endings, ident, encodings) make of files of the working tree.

        A filter driver is a program that the configuration names, and has no part in it.
        """
        plain = [path for path in paths if b"\n" not in path]
        odd = [path for path in paths if b"\n" in path]  # one line each is what git reads
        options = (*self.folder.data_options(), "hash-object")
        words = self.folder.ask(*options, "--stdin-paths", stdin=b"".join(path + b"\n" for path in plain)).split()
        if odd:
            words += self.folder.ask(*options, "--", *map(os.fsdecode, odd)).split()
        return dict(zip([*plain, *odd], (word.decode("ascii") for word in words), strict=True))

    def attributes(self, paths: Sequence[bytes], names: Sequence[str]) -> dict[bytes, dict[str, str]]:
        """The attributes of some paths that are set at all."""
        options = (*self.folder.data_options(), "check-attr", "-z", "--stdin", *names)
        words = _rows(self.folder.ask(*options, stdin=b"".join(path + b"\0" for path in paths)))
        by_path: dict[bytes, dict[str, str]] = {}
        for path, name, value in zip(words[::3], words[1::3], words[2::3], strict=True):
            if value not in {b"unspecified", b"unset"}:
                by_path.setdefault(path, {})[name.decode()] = value.decode("utf-8", "backslashreplace")
        return by_path


def require_commit(repository: Repository | None) -> Repository:
    """The repository, if it has a commit to deploy; raises UsageError with the commands that make one."""
    if repository is None:
        raise missing_repository(
            "nothing to deploy: this is not a git repository",
            hint=f"cd to your repository, or make one: git init && {_FIRST_COMMIT}",
        )
    if not repository.head:
        raise UsageError(
            "nothing to deploy: this repository has no commits",
            hint=_FIRST_COMMIT,
        )
    return repository


def missing_repository(what: str, hint: str = "run it inside one") -> UsageError:
    """The error of a command that needs a repository: where GIT_DIR names another folder, git looks there alone."""
    named = os.environ.get("GIT_DIR")
    return UsageError(f"{what} (GIT_DIR is {named})", hint="unset GIT_DIR") if named else UsageError(what, hint=hint)


def repository_of(folder: Path) -> Repository | None:
    """The repository around `folder`, or None.

    Raises UnprovenError where a repository is there and git cannot or will not read it.
    """
    if programs.which("git", folder) is None:
        if any((above / ".git").exists() for above in (folder, *folder.parents)):
            raise UnprovenError(
                "this is a git repository, and git is not on PATH",
                hint="install git (a git inside this folder is never run)",
            )
        return None
    located = git_directory.find_parts(folder, inherited=True)
    if located is None:
        return None
    parts, head = located
    if not Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(parts.top)):
        variables = [name for name in ("GIT_DIR", "GIT_WORK_TREE") if os.environ.get(name)]
        undo = f"unset {' '.join(variables)}" if variables else "git config --unset core.worktree"
        setting = " and ".join(variables) or "core.worktree"
        raise UnprovenError(
            f"the working tree of {parts.git_dir} is {parts.top} ({setting}), not this folder",
            hint=f"cd there, or: {undo}",
        )
    return Repository(parts.top, head, GitDir(parts))


def submodule_of(folder: Path) -> Repository | None:
    """The repository whose top folder this is, whatever a hook's environment says; None where it is none.

    Raises UnprovenError where git cannot or will not read it.
    """
    located = git_directory.find_parts(folder, inherited=False) if os.path.lexists(folder / ".git") else None
    if located is None:
        return None
    parts, head = located
    here, top = Path(os.path.realpath(folder)), os.path.realpath(parts.top)
    if str(here) != top:
        if here.is_relative_to(top):
            return None  # its `.git` is no git folder, and git looked further up
        raise UnprovenError(f"the working tree of {parts.git_dir} is {parts.top} (core.worktree), not {folder}")
    return Repository(parts.top, head, GitDir(parts))


def git_folder(repository: Repository, name: str) -> Path:
    """The path of `name` inside the repository's git folder, as git has it (worktrees, core.hooksPath)."""
    return repository.top / repository.folder.path_of(name)


def _has_marks(index: Path) -> bool:
    """Whether an index is of a version that marks paths as announced; git writes an older one unless it has to."""
    try:
        with index.open("rb", buffering=0) as file:
            return file.read(8)[4:] > _VERSION_WITHOUT_MARKS
    except OSError:
        return False  # whoever lists it reports that


def _rows(output: bytes) -> list[bytes]:
    return output.split(b"\0")[:-1]
