"""Git's program, and a git folder of our own through which it reads a repository.

A repository's configuration can name programs in dozens of keys, and new ones come with new versions of git. So git is
asked in the repository itself only for names and plain values (`rev-parse`, `config --get-regexp`, `for-each-ref`), which
run nothing. Everything else goes through an empty git folder of our own that uses the repository's objects and index:
no key of the repository's configuration is in force there, and no replace ref, graft or commit graph either.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.errors import UnprovenError
from buildguard.system import git_wait, process, programs

if TYPE_CHECKING:
    import subprocess

# The settings that say what a file of the working tree means to git. They are read as data, and hold no program.
# Whatever else a repository sets is not in force.
_DATA = (
    "core.autocrlf",
    "core.eol",
    "core.excludesfile",
    "core.attributesfile",
    "core.filemode",
    "core.symlinks",
    "core.precomposeunicode",
    "core.trustctime",
    "core.checkstat",
)
# Read, and never in force.
_KNOWN = (*_DATA, "core.ignorecase")
# Git looks these up by name on its own, so they name nothing that could be started.
_NO_PROGRAM = "/dev/null"
_CONFIG = f"""[core]
\trepositoryformatversion = 1
\tbare = false
\tignorecase = false
\tcommitgraph = false
\tusereplacerefs = false
\tsafecrlf = false
\tfsmonitor = false
\thookspath = {_NO_PROGRAM}
\tpager = {_NO_PROGRAM}
[gpg]
\tprogram = {_NO_PROGRAM}
[gpg "ssh"]
\tprogram = {_NO_PROGRAM}
[gpg "x509"]
\tprogram = {_NO_PROGRAM}
[extensions]
\tobjectformat = """
_OPTIONS = ("--no-optional-locks", "--literal-pathspecs")
# In the repository itself: a monitor would be asked where the index is read, a commit graph could falsify `HEAD~1`.
_HERE = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={_NO_PROGRAM}", "-c", "core.commitGraph=false")
# LC_ALL: the words of some errors are compared. No object is fetched: neither by old versions of git nor by new ones.
_ALWAYS = {
    "LC_ALL": "C",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
}
_OURS = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_SYSTEM": os.devnull, "GIT_CONFIG_GLOBAL": os.devnull}
_PARTS = ("--absolute-git-dir", "--git-common-dir", "--git-path objects", "--git-path index", "--show-toplevel")


class GitParts(NamedTuple):
    """Where the parts of a repository are, and how its object ids are computed: `sha1` or `sha256`.

    `inherited` where a hook's environment (GIT_DIR, GIT_INDEX_FILE …) takes part in deciding that: not for a submodule.
    """

    object_format: str
    git_dir: Path
    common_dir: Path
    objects: Path
    index_file: Path
    top: Path
    inherited: bool


class GitDir:
    """A git folder of our own that reads one repository; it is written when it is first needed."""

    def __init__(self, parts: GitParts) -> None:
        self.parts = parts
        self._folder: Path | None = None
        self._settings: dict[str, str] | None = None
        self._begun: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}

    def begin(self, *args: str) -> None:
        """Start a command that will be asked; git works while the caller does something else."""
        self._begun[args] = self.start(*args)

    def ask(self, *args: str, stdin: bytes = b"") -> bytes:
        """Run one git command through our folder and return its stdout; raises UnprovenError with git's own words."""
        begun = self._begun.pop(args, None) if not stdin else None
        if begun is None:
            done = git_wait.run(self._argv(args), cwd=self.parts.top, env=self._environment(), stdin=stdin)
        else:
            stdout, stderr = git_wait.finish(begun, self.parts.top)
            done = process.ProcessResult(args, begun.returncode, stdout, stderr)
        return _stdout(done, args)

    def succeeds(self, *args: str) -> bool:
        """Whether one git command through our folder ends with status 0."""
        return self.result(*args).status == 0

    def result(self, *args: str) -> process.ProcessResult:
        """How one git command through our folder ended, and what it wrote."""
        return git_wait.run(self._argv(args), cwd=self.parts.top, env=self._environment())

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """Start a git command through our folder whose pipes the caller reads; end it with `process.stop`."""
        child = process.start(self._argv(args), cwd=self.parts.top, env=self._environment())
        process.widen(child.stdout)  # git is not held up while the caller is busy
        return child

    def start_archive(self, commit: str) -> subprocess.Popen[bytes]:
        """Start `git archive` of a commit; end it with `process.stop`.

        `export-subst` may ask for a signature, and then git looks for gpg on PATH, whatever the configuration says.
        """
        argv = self._argv((*self.data_options(), "archive", "--format=tar", commit))
        return process.start(argv, cwd=self.parts.top, env=self._environment() | {"PATH": _NO_PROGRAM})

    def ask_here(self, *args: str) -> process.ProcessResult:
        """Run a command that only reads names and values in the repository itself."""
        argv = [self._program, *_OPTIONS, *_HERE, *args]
        return git_wait.run(argv, cwd=self.parts.top, env=environment(inherited=self.parts.inherited))

    def path_of(self, name: str) -> str:
        """The path of `name` inside the repository's git folder, as git has it; relative to the top where git says so."""
        words = ("rev-parse", "--git-path", name)
        argv = [self._program, *_OPTIONS, *words]  # core.hooksPath is in force: it is what is asked for
        done = git_wait.run(argv, cwd=self.parts.top, env=environment(inherited=self.parts.inherited))
        return os.fsdecode(_stdout(done, words).removesuffix(b"\n"))

    def setting(self, name: str) -> str:
        """A value of the repository's configuration that is read as data, empty where it is not set."""
        return self._read_settings().get(name.lower(), "")

    def data_options(self) -> tuple[str, ...]:
        """The options that put the repository's settings for its files into force."""
        settings = self._read_settings()
        return tuple(word for name in _DATA if name in settings for word in ("-c", f"{name}={settings[name]}"))

    def _read_settings(self) -> dict[str, str]:
        if self._settings is None:
            pattern = rf"^({'|'.join(name.replace('.', '[.]') for name in _KNOWN)})$"
            rows = self.ask_here("config", "-z", "--get-regexp", pattern).stdout.split(b"\0")[:-1]
            pairs = (row.decode("utf-8", "surrogateescape").partition("\n") for row in rows)
            # a name alone means true
            self._settings = {name: value if separator else "true" for name, separator, value in pairs}
            for name in ("core.excludesfile", "core.attributesfile"):
                if name in self._settings:
                    file = self.parts.top / os.path.expanduser(self._settings[name])
                    _refuse_odd_file(file, f"{name} ({file})")
        return self._settings

    def _argv(self, args: Sequence[str]) -> list[str]:
        return [self._program, *_OPTIONS, *args]

    @cached_property
    def _program(self) -> str:
        return program(self.parts.top)

    def _environment(self) -> dict[str, str]:
        if self._folder is None:
            from buildguard.system import temporary

            folder = temporary.folder_of(self)
            try:
                _write(folder, self.parts)
            except OSError as error:
                reason = f"the temporary folder {folder} cannot be written: {error.strerror}"
                raise UnprovenError(reason, hint="free some space, or set TMPDIR to another folder") from error
            self._folder = folder  # whole, for another thread may ask for it
        parts = self.parts
        return {
            **environment(inherited=False),
            **_OURS,
            **_alternates(inherited=parts.inherited),
            "GIT_DIR": str(self._folder),
            "GIT_WORK_TREE": str(parts.top),
            "GIT_OBJECT_DIRECTORY": str(parts.objects),
            "GIT_INDEX_FILE": str(parts.index_file),
        }


def program(project: Path) -> str:
    """The absolute path of git, outside of the project; raises UnprovenError if it is missing."""
    path = programs.which("git", project)
    if path is None:
        raise UnprovenError("git is not on PATH", hint="install git (a git inside this folder is never run)")
    return path


def find_parts(folder: Path, *, inherited: bool) -> tuple[GitParts, str] | None:
    """The parts of the repository that `folder` is in and the id of HEAD (empty before the first commit), or None.

    Raises UnprovenError where a repository is there and git cannot or will not read it.
    """
    separator = "--show-object-format"
    words = [word for part in _PARTS for word in (separator, *part.split())]
    argv = [program(folder), *_OPTIONS, *_HERE, "rev-parse", "--path-format=absolute", *words, separator, "HEAD"]
    done = git_wait.run(argv, cwd=folder, env=environment(inherited=inherited), meanwhile=_load)
    object_format, _, rest = done.stdout.partition(b"\n")
    # a folder's name may hold a line break, but then the number of fields is another one
    fields = rest.removesuffix(b"\n").split(b"\n" + object_format + b"\n")
    if (
        object_format in {b"sha1", b"sha256"}
        and len(fields) == len(_PARTS) + 1
        and (done.status == 0 or fields[-1] == b"HEAD")
    ):
        git_dir, common_dir, objects, index, top = (Path(os.fsdecode(field)) for field in fields[:-1])
        parts = GitParts(object_format.decode("ascii"), git_dir, common_dir, objects, index, top, inherited)
        return parts, fields[-1].decode("ascii") if done.status == 0 else ""
    if b"not a git repository" in done.stderr:
        return None
    why = (
        done.complaint()
        if done.status
        else "its object format or its paths cannot be read (git 2.31 or newer is needed)"
    )
    raise UnprovenError(f"git cannot read this repository: {why}")


def _load() -> None:
    """Load what makes the folder of our own, which is next."""
    import_module("buildguard.system.temporary")


def environment(*, inherited: bool) -> dict[str, str]:
    """The environment of a git command; without `inherited`, no variable of git's but where its own programs are."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if inherited or not name.startswith("GIT_") or name == "GIT_EXEC_PATH"
    }
    return {**kept, **_ALWAYS}


def _alternates(*, inherited: bool) -> dict[str, str]:
    """Where a hook finds the objects that are being received."""
    name = "GIT_ALTERNATE_OBJECT_DIRECTORIES"
    return {name: os.environ[name]} if inherited and name in os.environ else {}


def _write(folder: Path, parts: GitParts) -> None:
    """Write a git folder that holds no object and no ref; what is linked holds names, patterns and ids, and no program."""
    (folder / "refs").mkdir()
    (folder / "info").mkdir()
    (folder / "HEAD").write_bytes(b"ref: refs/heads/none\n")
    (folder / "config").write_text(f"{_CONFIG}{parts.object_format}\n", "utf-8")
    for name in ("info/exclude", "info/attributes", "shallow"):
        _link(folder / name, parts.common_dir / name)
    # the larger part of a split index
    for name in os.listdir(parts.git_dir):
        if name.startswith("sharedindex."):
            _link(folder / name, parts.git_dir / name)


def _link(link: Path, file: Path) -> None:
    """Let a name in our folder lead to a file of the repository, where there is one."""
    if os.path.lexists(file):
        _refuse_odd_file(file, str(file))
        link.symlink_to(file)


def _refuse_odd_file(file: Path, name: str) -> None:
    if not git_wait.is_plain(file):
        raise UnprovenError(f"{name} is a FIFO, a socket or a device, and git would wait for it")


def _stdout(done: process.ProcessResult, args: Sequence[str]) -> bytes:
    if done.status != 0:
        command = next(word for word in args if not word.startswith("-") and "=" not in word)
        raise UnprovenError(f"git {command} failed: {done.complaint()}")
    return done.stdout
