"""Git, asked by its own program, with everything off that would run code of the repository's choosing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from buildguard import process
from buildguard.errors import UnprovenError, UsageError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence

# A repository's own configuration may name programs to run: the file system monitor and hooks are off,
# and no filter or text conversion is ever asked for.
_SAFE = ("--no-optional-locks", "--literal-pathspecs", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")

_FEW_PATHS = 500
_AHEAD = 256  # 65 bytes at most for each, and a pipe takes 65,536
_CLOSED = b"warning: could not open directory '"
LINK = "120000"
SUBMODULE = "160000"


class Listed(NamedTuple):
    """One row of git's index or of a tree: a path relative to the repository's top, its mode and object id."""

    path: bytes
    mode: str
    oid: str


class Listing:
    """A working tree that git is busy listing."""

    def __init__(self, tracked: subprocess.Popen[bytes], untracked: subprocess.Popen[bytes]) -> None:
        self._tracked = tracked
        self._untracked = untracked

    def result(self) -> tuple[list[tuple[bytes, bytes]], list[bytes], list[bytes]]:
        """What `tracked` and `others` give."""
        return self.tracked(), *self.others()

    def tracked(self) -> list[tuple[bytes, bytes]]:
        """Mode and path of each row of the index; it is there before the others are."""
        try:
            rows = _rows(_whole(self._tracked)[0])
        except BaseException:
            process.stop(self._untracked)
            raise
        finally:
            process.stop(self._tracked)
        # "<mode> <oid> <stage>\t<path>"; a path in conflict has several rows, one after the other
        return [(row[:6], row[row.index(b"\t") + 1 :]) for row in rows]

    def others(self) -> tuple[list[bytes], list[bytes]]:
        """The untracked paths that are not ignored, and the folders that git could not open."""
        try:
            others, complaints = _whole(self._untracked)
        finally:
            process.stop(self._untracked)
        closed = [line.split(b"'")[1].rstrip(b"/") for line in complaints.splitlines() if line.startswith(_CLOSED)]
        return _rows(others), closed


class Repository(NamedTuple):
    """A git working tree, by the absolute path of its top folder; `head` is empty before the first commit."""

    top: Path
    head: str = ""

    def ask(self, *args: str, stdin: bytes = b"") -> bytes:
        """Run one git command and return its stdout; raises UnprovenError with git's own words."""
        done = process.run(self._argv(args), cwd=self.top, env=_environment(), stdin=stdin)
        if done.status != 0:
            raise UnprovenError(f"git {args[0]} failed: {done.complaint()}")
        return done.stdout

    def begin(self, *args: str) -> subprocess.Popen[bytes]:
        """Start a git command whose pipes the caller reads; end it with `process.stop`."""
        return process.start(self._argv(args), cwd=self.top, env=_environment())

    def _argv(self, args: Sequence[str]) -> list[str]:
        return [_git(), *_SAFE, *args]

    def resolve(self, rev: str) -> str:
        """The full id of the commit that `rev` names; raises UsageError where it names none."""
        if rev.startswith("-"):
            raise UsageError(f"'{rev}' is not a commit")
        argv = self._argv(["rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}"])
        done = process.run(argv, cwd=self.top, env=_environment())
        if done.status != 0:
            raise UsageError(f"'{rev}' names no commit in this repository", hint="git log shows what there is")
        return done.stdout.decode("ascii").strip()

    def time_of(self, commit: str) -> int:
        """When a commit was made, in seconds since 1970."""
        return int(self.ask("show", "--no-patch", "--format=%ct", commit).split()[0])

    def has_commit(self, oid: str) -> bool:
        """Whether the object database holds that commit (a submodule may not be fetched)."""
        argv = self._argv(["cat-file", "-e", f"{oid}^{{commit}}"])
        return process.run(argv, cwd=self.top, env=_environment()).status == 0

    def index_rows(self) -> list[Listed]:
        """The rows of the index, each path once (a path in conflict has several; the first counts)."""
        return _unique(_index_row(row) for row in _rows(self.ask("ls-files", "-s", "-z")))

    def conflicts(self) -> list[bytes]:
        """Paths that the index holds in several versions."""
        rows = _rows(self.ask("ls-files", "-u", "-z"))
        return sorted({row.partition(b"\t")[2] for row in rows})

    def ignored(self) -> list[bytes]:
        """What git ignores in the working tree, a folder of nothing else as one path with its final `/`."""
        return _rows(self.ask("ls-files", "-o", "-i", "--exclude-standard", "--directory", "-z"))

    def tree_rows(self, commit: str) -> list[Listed]:
        """The rows of a commit's tree, folders opened."""
        return [_tree_row(row) for row in _rows(self.ask("ls-tree", "-r", "-z", commit))]

    def working_tree(self) -> Listing:
        """Begin to list the working tree; git works while the caller does something else."""
        return Listing(self.begin("ls-files", "-s", "-z"), self.begin("ls-files", "-o", "--exclude-standard", "-z"))

    def tracks(self, folder: bytes) -> bool:
        """Whether the index has anything below a folder."""
        return bool(self.ask("ls-files", "-z", "--", os.fsdecode(folder)))

    def staged_paths(self) -> list[bytes]:
        """Paths that the next commit adds or changes against HEAD (in a first commit: all of the index)."""
        argv = self._argv(["rev-parse", "--verify", "--quiet", "HEAD"])
        if process.run(argv, cwd=self.top, env=_environment()).status != 0:
            return [row.path for row in self.index_rows()]
        return _rows(self.ask("diff", "--cached", "--name-only", "--no-renames", "--no-ext-diff", "-z", "HEAD", "--"))

    def filters_off(self) -> list[str]:
        """Options by which no filter program of the configuration runs: it is somebody's code."""
        done = process.run(
            self._argv(
                ["config", "--get-regexp", "-z", "--name-only", r"^filter\..*\.(clean|smudge|process|required)$"]
            ),
            cwd=self.top,
            env=_environment(),
        )
        names = {name.decode("utf-8", "surrogateescape") for name in _rows(done.stdout)}
        return [
            word for name in sorted(names) for word in ("-c", f"{name}={'false' if name.endswith('.required') else ''}")
        ]

    def filtered(self, paths: Sequence[bytes]) -> dict[bytes, str]:
        """The object ids that git's own filters (line endings, ident, encodings) make of files of the working tree."""
        plain = [path for path in paths if b"\n" not in path]
        odd = [path for path in paths if b"\n" in path]  # one line each is what git reads
        options = (*self.filters_off(), "hash-object")
        words = self.ask(*options, "--stdin-paths", stdin=b"".join(path + b"\n" for path in plain)).split()
        if odd:
            words += self.ask(*options, "--", *map(os.fsdecode, odd)).split()
        return dict(zip([*plain, *odd], (word.decode("ascii") for word in words), strict=True))

    def attributes(self, paths: Sequence[bytes], names: Sequence[str]) -> dict[bytes, dict[str, str]]:
        """The attributes of some paths that are set at all."""
        words = _rows(self.ask("check-attr", "-z", "--stdin", *names, stdin=b"".join(path + b"\0" for path in paths)))
        found: dict[bytes, dict[str, str]] = {}
        for path, name, value in zip(words[::3], words[1::3], words[2::3], strict=True):
            if value not in {b"unspecified", b"unset"}:
                found.setdefault(path, {})[name.decode()] = value.decode("utf-8", "backslashreplace")
        return found

    def setting(self, name: str) -> str:
        """A value of git's configuration, empty where it is not set."""
        done = process.run(self._argv(["config", "--get", name]), cwd=self.top, env=_environment())
        return done.stdout.decode("utf-8", "backslashreplace").strip()

    def exported(self, commit: str) -> subprocess.Popen[bytes]:
        """Start writing a commit as `git archive` does, its attributes applied; a tar comes out of its stdout."""
        return self.begin(*self.filters_off(), "archive", "--format=tar", commit)

    def history(self, commit: str, paths: Sequence[bytes]) -> Iterator[tuple[str, bytes, str]]:
        """Which commits, the newest first, gave some paths which blob: commit and its date, path, object id."""
        some = [os.fsdecode(path) for path in paths] if len(paths) <= _FEW_PATHS else []
        options = ("--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "-m", "--format=%x01%H %cs")
        wanted = set(paths)
        commit_words = ""
        words = iter(self.ask("log", *options, commit, "--", *some).split(b"\0"))
        for word in words:
            for line in word.split(b"\n") if word.startswith((b"\x01", b"\n")) else [word]:
                if line.startswith(b"\x01"):
                    commit_id, _, date = line[1:].decode("ascii", "replace").partition(" ")
                    commit_words = f"{commit_id[:10]} ({date})"
                elif line.startswith(b":"):
                    path = next(words)
                    if path in wanted:
                        yield commit_words, path, line.split(b" ")[3].decode("ascii")

    def changed_paths(self, rev: str, *, against: str) -> set[bytes]:
        """Paths that differ between commit `rev` and the worktree, the index or another commit."""
        between = {"worktree": [rev], "index": ["--cached", rev]}.get(against, [rev, against])
        options = ("--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", "-z")
        changed = set(_rows(self.ask("diff", *options, *between, "--")))
        if against == "worktree":
            changed.update(_rows(self.ask("ls-files", "-o", "--exclude-standard", "-z")))
        return changed

    def edited_paths(self) -> list[bytes]:
        """Paths of the working tree that are not as HEAD has them, untracked ones included; no filter program runs."""
        options = ("--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules", "-z")
        changed = _rows(self.ask(*self.filters_off(), "diff", *options, "HEAD", "--"))
        return sorted({*changed, *_rows(self.ask("ls-files", "-o", "--exclude-standard", "-z"))})

    def blobs(self, oids: Sequence[str]) -> Iterator[bytes | None]:
        """The content of each object, in order; None where it is missing. One git process serves all."""
        child = self.begin("cat-file", "--batch")
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with os.fdopen(os.dup(child.stdout.fileno()), "rb", 1 << 18) as answers:
                for at, _oid in enumerate(oids):
                    if at % _AHEAD == 0:
                        # so few questions always fit into the pipe: both pipes can never be full at once
                        child.stdin.write("".join(f"{one}\n" for one in oids[at : at + _AHEAD]).encode("ascii"))
                    head = answers.readline().split()
                    if len(head) != 3:  # noqa: PLR2004  "<oid> blob <size>", or "<oid> missing"
                        yield None
                        continue
                    size = int(head[2])
                    content = answers.read(size + 1)
                    if len(content) != size + 1:
                        raise UnprovenError("git cat-file ended before its answer was whole")
                    yield content[:-1]
        except BrokenPipeError as error:
            raise UnprovenError("git cat-file ended before it was asked everything") from error
        finally:
            process.stop(child)


def repository_of(folder: Path) -> Repository | None:
    """The repository that `folder` lies in, or None.

    Raises UnprovenError where a repository is there and git cannot or will not read it.
    """
    if process.which("git") is None:
        if any((above / ".git").exists() for above in (folder, *folder.parents)):
            raise UnprovenError("this is a git repository, and git is not on PATH", hint="install git")
        return None
    argv = [_git(), *_SAFE, "rev-parse", "--show-toplevel", "HEAD"]
    done = process.run(argv, cwd=folder, env=_environment())
    top, _, head = done.stdout.rstrip(b"\n").rpartition(b"\n")  # a folder's name may hold a line break
    if top and (done.status == 0 or head == b"HEAD"):
        return Repository(Path(os.fsdecode(top)), head.decode("ascii") if done.status == 0 else "")
    if b"not a git repository" in done.stderr:
        return None
    raise UnprovenError(f"git cannot read this repository: {done.complaint()}")


def git_folder(repository: Repository, name: str) -> Path:
    """The path of `name` inside the repository's git folder, as git has it (worktrees, core.hooksPath)."""
    argv = [_git(), "--no-optional-locks", "rev-parse", "--git-path", name]
    done = process.run(argv, cwd=repository.top, env=_environment())
    if done.status != 0:
        raise UnprovenError(f"git rev-parse failed: {done.complaint()}")
    return repository.top / os.fsdecode(done.stdout.removesuffix(b"\n"))


def _git() -> str:
    found = process.which("git")
    if found is None:
        raise UnprovenError("git is not on PATH", hint="install git")
    return found


def _environment() -> dict[str, str]:
    # LC_ALL: the words of one error are compared. GIT_INDEX_FILE and the like of a hook stay.
    return {**os.environ, "LC_ALL": "C", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


def _whole(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    stdout, stderr = child.communicate()
    if child.returncode != 0:
        words = stderr.decode("utf-8", "backslashreplace").strip()
        raise UnprovenError(f"git ls-files failed: {words}")
    return stdout, stderr


def _rows(output: bytes) -> list[bytes]:
    return output.split(b"\0")[:-1]


def _index_row(row: bytes) -> Listed:
    head, path = row.split(b"\t", 1)
    mode, oid, _stage = head.decode("ascii").split()
    return Listed(path, mode, oid)


def _tree_row(row: bytes) -> Listed:
    head, path = row.split(b"\t", 1)
    mode, _type, oid = head.decode("ascii").split()
    return Listed(path, mode, oid)


def _unique(rows: Iterator[Listed]) -> list[Listed]:
    return list({row.path: row for row in rows}.values())
