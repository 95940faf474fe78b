#!/usr/bin/env python3
"""Written by `buildguard init --cloudbuild` for a step of Cloud Build; not to be edited: the step would refuse it.

It asks the Python that runs it, with nothing but its standard library, to compile every source file of the working
folder, and which of their imports it can satisfy. With BUILDGUARD_DIGEST in the step's environment it first proves that every byte is the one that was sent,
by the manifest in the archive. Nothing that it looks at is imported or run. Findings end it with status 1, what could
not be looked at with 3.

version: 0.1.0
digest: sha256:d92d0e69ba52d6aec7ca4b5117e159b86a32035d48f1b3abdd0340c5ca45e3b2
    (SHA-256 of everything below the line of equals signs)
"""

from __future__ import annotations

VERSION = "0.1.0"
# What is compiled, as the configuration says: patterns in gitignore syntax, and the regular expression of each.
INCLUDE: list[tuple[str, str]] = []
EXCLUDE: list[tuple[str, str]] = [
    ('examples/', '^(?:.+/)?examples(?P<ps_d>/)'),
    ('tests/cases/', '^tests/cases(?P<ps_d>/)'),
]
# ====================================================================================================
from types import ModuleType
import codecs
import gc
import hashlib
import os
import re
import signal
import stat
import sys
import warnings
from collections import namedtuple
from time import monotonic
from typing import NamedTuple


# ---------------------------------------- probe


AST_ONLY = 0x400  # ast.PyCF_ONLY_AST, without importing ast
SHORT = 0.1  # seconds


def limiter(memory):
    """Limit memory and core dumps; return a function that grants CPU seconds, or None without `resource`."""
    try:
        import resource
    except ImportError:
        return None

    def limit(which, wanted):
        _soft, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY and (wanted > hard or wanted < 0):
            wanted = hard
        resource.setrlimit(which, (wanted, hard))

    granted = [0, 0.0]  # how many seconds last, and when

    def grant(seconds):
        now = monotonic()
        if granted[0] == seconds and now - granted[1] < SHORT:
            return  # a process has used no more time than went by, and the calls below cost a tenth of a small source
        granted[:] = seconds, now
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + seconds + 1)

    for which, wanted in (("RLIMIT_CORE", 0), ("RLIMIT_STACK", 8 << 20), ("RLIMIT_AS", memory)):
        try:
            limit(getattr(resource, which), wanted)
        except (AttributeError, ValueError, OSError):  # macOS refuses some of them
            pass
    return grant


def peak_memory():
    """The most memory this process ever had, in bytes: address space, or what was resident; 0 if unknown."""
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"VmPeak:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, MemoryError):
        pass
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    except (ImportError, MemoryError):
        return 0


def near_limit(memory):
    """Whether this process was anywhere near what it may have: 1 or 0."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        memory = min([memory] + [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY])
    except (ImportError, AttributeError, MemoryError):
        pass
    return int(peak_memory() > memory // 2)


def place(error):
    """Line, column, end line and end column of a SyntaxError, empty where it names none."""
    return [
        value if isinstance(value, int) and value > 0 else ""
        for value in (
            error.lineno,
            error.offset,
            getattr(error, "end_lineno", None),
            getattr(error, "end_offset", None),
        )
    ]


def phase(data):
    """Whether the parser refuses the source or a later pass does: their columns count in different units."""
    try:
        compile(data, "<source>", "exec", AST_ONLY, True)
    except BaseException:
        return "parser"
    return "compiler"


def judge(data, seen, memory, read=None):
    """Compile one source as an import would; return what happened as a list of fields, and what `read` takes from it."""
    del seen[:]
    facts = b""
    try:
        code = compile(data, "<source>", "exec", 0, True)
    except SyntaxError as error:
        warned = list(seen)  # `phase` compiles once more, and would warn once more
        verdict = [type(error).__name__, error.msg, phase(data)] + place(error) + [0]
        seen[:] = warned
    except MemoryError as error:
        verdict = [type(error).__name__, str(error), "", "", "", "", "", near_limit(memory)]
    except BaseException as error:
        verdict = [type(error).__name__, str(error), "", "", "", "", "", 0]
    else:
        verdict = ["", "", "", "", "", "", "", 0]
        if read is not None:
            warned = list(seen)  # reading parses once more
            facts = read(data, code)
            seen[:] = warned
    return verdict + [facts] + seen


# ---------------------------------------- source_encoding


BOM = codecs.BOM_UTF8
_FIRST_LINES = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|$)")
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"[ \t\f]*(?:#|[\r\n]|$)")
_FIRST_LETTERS = (("utf-8", ("utf-8",)), ("iso-8859-1", ("latin-1", "iso-8859-1", "iso-latin-1")))
# Every visible ASCII character, and sequences with which a codec turns plain ASCII into something else.
_PLAIN = bytes(range(32, 127)) + b"\t\r\n+AGE-\\u0061\\x41\\N{DIGIT ONE}~{!!~}\n"


# `typing` takes longer to load than all of this
class SourceEncoding(namedtuple("SourceEncoding", ("cookie", "line", "has_bom"))):  # noqa: PYI024
    """How a source says that it is encoded: `cookie` is None where it says nothing, `line` where it says it."""

    __slots__ = ()
    cookie: str | None
    line: int
    has_bom: bool

    @property
    def is_utf8(self) -> bool:
        """Whether CPython reads it as UTF-8 without a codec."""
        return self.codec == "utf-8"

    @property
    def codec(self) -> str:
        """The codec that CPython looks up: of UTF-8 and Latin-1 it compares the first letters only (`latin-1-unix`)."""
        if self.cookie is None:
            return "utf-8"
        start = self.cookie[:12].lower().replace("_", "-")
        for codec, names in _FIRST_LETTERS:
            if start in names or start.startswith(tuple(name + "-" for name in names)):
                return codec
        return self.cookie


def coding_of(data: bytes) -> SourceEncoding:
    """The BOM and the cookie of a source."""
    has_bom = data.startswith(BOM)
    at = len(BOM) if has_bom else 0
    for line in (1, 2):
        match = _FIRST_LINES.match(data, at)
        text = match.group() if match else b""
        cookie = _COOKIE.match(text)
        if cookie:
            return SourceEncoding(cookie.group(1).decode("ascii", "replace"), line, has_bom)
        if not _BLANK.match(text):
            break
        at += len(text)
    return SourceEncoding(None, 0, has_bom)


def hides_code(name: str) -> bool:
    """Whether a codec turns what reads as a comment or text into something else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unicode_escape warns of the very text that unmasks it
        try:
            return _PLAIN.decode(name) != _PLAIN.decode("ascii")
        except (UnicodeError, ValueError):
            return True


def undecodable(data: bytes) -> int | None:
    """The offset of the first byte that is not UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


# ---------------------------------------- source_names


TYPE_CHECKING = False  # for those who read types: `typing` takes longer to load than all of this

SUFFIXES = (b".py", b".pyw")
# python, python3, python3.11, python3.13t, pypy3.10, `uv run` and `pipx run`, also behind env; python2 is another interpreter.
_SHEBANG = (
    rb"#![ \t]*\S*(?:/|\benv[ \t]+(?:-\S+[ \t]+)*(?:\S+=\S*[ \t]+)*)(?:python(?:3(?:\.\d+)?t?)?|pypy(?:3(?:\.\d+)?)?"
    rb"|(?:uv|pipx)[ \t]+run)(?:[ \t\r\n]|$)"
)
HEAD = 256  # the bytes of a file that its shebang is looked for in
NO_SOURCE = frozenset({b".git", b".hg", b".svn", b"__pycache__"})
PACKAGES, VIRTUAL = b"node_modules", b"pyvenv.cfg"


def may_be_script(path: bytes, *, executable: bool) -> bool:
    """Whether a file without Python's suffix is looked into: it can be started, or its name has no suffix at all."""
    return executable or b"." not in path.rpartition(b"/")[2]


def has_shebang(head: bytes) -> bool:
    """Whether a file that begins so is started by Python."""
    return head.startswith(b"#!") and re.match(_SHEBANG, head) is not None


def matches_any(rules: Sequence[tuple[str, str]], path: str) -> bool:
    """Whether a path is one that some patterns mean, each given with the regular expression that pathspec makes of it.

    The last one counts that names the path itself; only where none does, the last that names a folder above it.
    """
    is_covered, strength = False, 0
    for pattern, regex in reversed(rules):
        match = re.search(regex, path)
        if match is None:
            continue
        folder = match.groupdict().get("ps_d")  # pathspec's mark of a folder
        if not folder:
            return not pattern.startswith("!")
        if not strength:
            is_covered, strength = not pattern.startswith("!"), 1
    return is_covered


# ---------------------------------------- manifest_rows


FILE, EXECUTABLE, LINK, SUBMODULE = "100644", "100755", "120000", "160000"
MODES = (FILE, EXECUTABLE, LINK, SUBMODULE)
# Where an archive carries its manifest, and who checks it there: nothing can vouch for itself, so no manifest lists them.
CARRIED, VERIFIER = b".buildguard/manifest", b".buildguard/verify.py"
QUESTIONS = b".buildguard/questions"  # what the cloud engine asks beside the files of an archive
OWN = frozenset({CARRIED, VERIFIER, QUESTIONS})
_HEX = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
LONGEST_PATH, LONGEST_NAME = 4096, 255  # what file systems take


class ManifestRow(NamedTuple):
    """One path: git's mode, the size and the SHA-256 of the content, of a link's text, or of a submodule's commit id."""

    path: bytes
    mode: str
    size: int
    sha256: str


def row_of(path: bytes, mode: str, size: str, digest: str) -> ManifestRow:
    """A row from its words; raises ValueError where one is not what it should be."""
    why = trouble_with(path)
    if why:
        raise ValueError(f"{path.decode('utf-8', 'backslashreplace')}: {why}")
    if mode not in MODES:
        raise ValueError(f"{path.decode('utf-8', 'backslashreplace')}: '{mode}' is no mode")
    if _NUMBER.fullmatch(size) is None or _HEX.fullmatch(digest) is None:
        raise ValueError(f"{path.decode('utf-8', 'backslashreplace')}: its size or digest is none")
    return ManifestRow(path, mode, int(size), digest)


def rows_of(data: bytes) -> Iterator[ManifestRow]:
    """Every row; raises ValueError for what the writer would not have written: cut short, out of order, or twice."""
    if not data.endswith(b"\0"):
        raise ValueError("it is cut short")
    before = b""
    for row in data[:-1].split(b"\0"):
        head, tab, path = row.partition(b"\t")
        words = head.decode("ascii").split(" ")
        if not tab or len(words) != 3:
            raise ValueError(f"'{row[:80].decode('utf-8', 'backslashreplace')}' is no row")
        if path <= before:
            raise ValueError(f"{path.decode('utf-8', 'backslashreplace')} is out of order, or twice")
        before = path
        yield row_of(path, words[0], words[1], words[2])


def as_bytes(rows: Iterable[ManifestRow]) -> bytes:
    """The canonical form of rows in their order; its SHA-256 is the root digest."""
    return b"".join(b"%b %d %b\t%b\0" % (row.mode.encode(), row.size, row.sha256.encode(), row.path) for row in rows)


def trouble_with(path: bytes) -> str:
    """Why a path cannot be one of a stage: absolute, leading out of it, or not in its plainest form; else empty."""
    if not path or b"\0" in path:
        return "no proper name"
    if path.startswith(b"/"):
        return "an absolute path"
    if len(path) > LONGEST_PATH:
        return "a path of more than 4096 bytes"
    parts = path.split(b"/")
    if b".." in parts:
        return "a path that leads out of the root"
    if b"" in parts or b"." in parts:
        return "a path that is not in its plainest form"
    return "a name of more than 255 bytes" if max(map(len, parts)) > LONGEST_NAME else ""


# ---------------------------------------- workspace


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


# ---------------------------------------- compile_all


_GIBI = 1 << 30
_LIMITS = (2 * _GIBI, 20)  # bytes of address space, and seconds of CPU time, which grow with the source
_WIDER = (6 * _GIBI, 40)
_MARK = b"\x1e"  # stands between the fields of an answer
_GIVES_UP = "the compiler gives up on this file: "


class StepFinding(NamedTuple):
    """What is wrong with a path; `line` and `column` count from 1, columns in code points, 0 if unknown."""

    code: str
    path: bytes
    line: int
    column: int
    message: str
    excerpt: str = ""


class SourceResult(NamedTuple):
    """What came of one source: the SHA-256 of the bytes that were compiled, findings, or why it is unproven.

    `facts` are what was read of its imports, as JSON.
    """

    path: bytes
    sha256: str
    findings: tuple[StepFinding, ...]
    unproven: str = ""
    facts: bytes = b""


def compile_all(paths: Sequence[bytes], cores: int, read: Reader | None = None) -> Iterator[SourceResult]:
    """Compile the sources of some paths, as many at once as there are cores; each path comes back once.

    `read` takes facts from what compiles.
    """
    shares = [share for share in (paths[at::cores] for at in range(cores)) if share]
    children = [_start(share, _LIMITS, read) for share in shares]
    for share, child in zip(shares, children):
        yield from _through(share, child, read)


def _through(share: Sequence[bytes], child: tuple[int, int], read: Reader | None) -> Iterator[SourceResult]:
    """A share to its end. What its child died of, or had no memory for, is tried once more, alone, with wider limits."""
    while True:
        answers, _status = _end_of(child)
        for path, fields in zip(share, answers):
            yield _second_try(path) if fields[:1] == [b"MemoryError"] else _source_result(path, fields)
        share = share[len(answers) :]
        if share:
            yield _second_try(share[0])
        share = share[1:]
        if not share:
            return
        child = _start(share, _LIMITS, read)


def _second_try(path: bytes) -> SourceResult:
    answers, status = _end_of(_start([path], _WIDER))
    if answers:
        fields = answers[0]
        if fields[:2] == [b"MemoryError", b"1"]:
            return SourceResult(path, "", (), f"compiling it takes more than {_WIDER[0] // _GIBI} GiB of memory")
        return _source_result(path, fields)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if ended_by in {signal.SIGXCPU, signal.SIGALRM}:
        return SourceResult(path, "", (), "compiling it takes too long")
    if ended_by in {0, signal.SIGKILL}:
        return SourceResult(path, "", (), "the process that compiled it was ended, from outside or for want of memory")
    words = f"{_GIVES_UP}the compiler died: it was ended by signal {ended_by}"
    return SourceResult(path, "", (StepFinding("BG103", path, 0, 0, words),))


def _source_result(path: bytes, fields: Sequence[bytes]) -> SourceResult:
    """An answer of `_answer`: exception, whether memory was short, digest or reason, facts, and five fields for each finding."""
    words = [field.decode("utf-8") for field in fields]
    if len(words) < 4 or len(words) % 5 != 4:
        return SourceResult(path, "", (), "the answer of its compiler cannot be read")
    if words[0] == "unreadable":
        return SourceResult(path, "", (), words[2])
    rows = (words[at : at + 5] for at in range(4, len(words), 5))
    findings = (StepFinding(code, path, int(line), int(column), said, text) for code, line, column, said, text in rows)
    return SourceResult(path, words[2], tuple(findings), facts=fields[3])


# ------------------------------------------------------------------------------------------ children


def _start(paths: Sequence[bytes], limits: tuple[int, int], read: Reader | None = None) -> tuple[int, int]:
    """A child that answers for some paths in their order: its process id, and where its answers come from."""
    incoming, outgoing = os.pipe()
    process = os.fork()
    if process:
        os.close(outgoing)
        return process, incoming
    try:
        os.close(incoming)
        _serve(paths, outgoing, limits, read)
    finally:
        os._exit(0)


def _end_of(child: tuple[int, int]) -> tuple[list[list[bytes]], int]:
    """All whole answers of a child, and the status that it ended with."""
    process, incoming = child
    with os.fdopen(incoming, "rb") as answers:
        data = answers.read()
    status = os.waitpid(process, 0)[1]
    lists: list[list[bytes]] = []
    at = 0
    while True:
        start = data.find(b"\n", at) + 1
        end = start + int(data[at : start - 1]) if start else len(data) + 1
        if end > len(data):
            return lists, status
        lists.append(data[start:end].split(_MARK))
        at = end


def _serve(paths: Sequence[bytes], outgoing: int, limits: tuple[int, int], read: Reader | None) -> None:
    memory, seconds = limits
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    warnings.simplefilter("ignore")
    grant = limiter(memory)
    gc.disable()  # compile makes no cycles
    with os.fdopen(outgoing, "wb") as out:
        for path in paths:
            answered = _answer(path, grant, (memory, seconds), read)
            fields = [str(field).encode("utf-8", "backslashreplace") for field in answered]
            answer = _MARK.join(field.replace(_MARK, b"?") for field in fields)
            out.write(b"%d\n%b" % (len(answer), answer))
            out.flush()


def _answer(path: bytes, grant: object, limits: tuple[int, int], read: Reader | None) -> list[object]:
    data = read_source(path)
    if isinstance(data, str):
        return ["unreadable", 0, data, ""]
    memory, seconds = limits
    seconds += 10 * (len(data) >> 20)
    if callable(grant):
        grant(seconds)
    else:
        signal.alarm(seconds)
    kind, message, phase, line, column, _, _, short, facts = judge(data, [], memory, read)[:9]
    findings = _find_misread(path, data)
    if kind:
        findings.insert(0, _refusal_finding(path, data, f"{kind}: {message}".rstrip(": "), line or 0, column or 0))
        if phase == "compiler":
            findings[0] = _in_code_points(findings[0])
    fields: list[object] = [kind, short, hashlib.sha256(data).hexdigest(), facts.decode("ascii")]
    for finding in findings:
        fields += [finding.code, finding.line, finding.column, finding.message, finding.excerpt]
    return fields


# ------------------------------------------------------------------------------------------ findings


def _refusal_finding(path: bytes, data: bytes, words: str, line: int, column: int) -> StepFinding:
    gives_up = words.startswith(("MemoryError", "RecursionError", "SystemError"))
    return StepFinding(
        "BG103" if gives_up else "BG101",
        path,
        line,
        column,
        _GIVES_UP + words if gives_up else words,
        _line_of(data, line),
    )


def _in_code_points(finding: StepFinding) -> StepFinding:
    """Parsers count code points, later passes count bytes of UTF-8."""
    before = finding.excerpt.encode("utf-8")[: max(0, finding.column - 1)].decode("utf-8", "ignore")
    return finding._replace(column=len(before) + 1) if finding.column else finding


def _find_misread(path: bytes, data: bytes) -> list[StepFinding]:
    """What compilers let pass: bytes in a comment that do not decode, and cookies that hide code."""
    coding = coding_of(data)
    if coding.is_utf8:
        at = undecodable(data)
        if at is None:
            return []
        before = data[:at].decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return [StepFinding("BG102", path, line, column, f"byte 0x{data[at]:02x} is not UTF-8", _line_of(data, line))]
    name = coding.codec
    try:
        data.decode(name)
    except Exception:
        return []
    if coding.has_bom or not hides_code(name):
        return []
    words = f"the coding cookie {name} turns what reads as a comment or text into other code"
    return [StepFinding("BG106", path, coding.line, 1, words, _line_of(data, coding.line))]


def _line_of(data: bytes, number: int) -> str:
    lines = data.split(b"\n", number)[:number]
    return lines[-1][:400].decode("utf-8", "replace").rstrip("\r").lstrip("\ufeff") if 0 < number == len(lines) else ""


# ---------------------------------------- build_step



_VARIABLE = "BUILDGUARD_DIGEST"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_OUTPUT = 50_000  # Cloud Build keeps the first 50 KB
_MOST_LINES = 200
_NOT_COMPILED = "the start command runs it with Python, and it was not compiled: only .py files and #! scripts are"


class StepSettings(NamedTuple):
    """What `init` wrote down: the version of buildguard, and the patterns of sources with their regular expressions.

    `load` loads what judges imports.
    """

    version: str
    include: Sequence[tuple[str, str]]
    exclude: Sequence[tuple[str, str]]
    load: Callable[[], ImportModule]


class BytesProof(NamedTuple):
    """Whether the workspace is what was sent: the root digest of what is here, entries, differences, and what is unproven.

    `contents` are the SHA-256 of the files that were compared, `wrong` says why nothing could be.
    """

    digest: str = ""
    entries: int = 0
    differences: tuple[WorkspaceDifference, ...] = ()
    unproven: tuple[tuple[bytes, str], ...] = ()
    wrong: str = ""
    contents: Mapping[bytes, str] = {}


class StepReport(NamedTuple):
    """Everything that the step saw, and the version of buildguard that looked; `imports` are words about those."""

    version: str
    files: int
    findings: Sequence[StepFinding]
    unproven: Sequence[tuple[bytes, str]]
    bytes: BytesProof | None
    imports: str = ""

    @property
    def exit_code(self) -> int:
        """1 for findings, else 3 for anything unproven, else 0: as `buildguard check` has it."""
        wrong = self.bytes is not None and (self.bytes.differences or self.bytes.wrong)
        if self.findings or wrong:
            return 1
        return 3 if self.unproven or (self.bytes is not None and self.bytes.unproven) else 0


def main(folders: Sequence[str], settings: StepSettings) -> int:
    """Look at the workspace, report, and return the exit status.

    `folders` are those whose sources are compiled, and words that begin with two dashes describe the program.
    """
    words = [word for word in folders if word.startswith("--")]
    folders = [word for word in folders if not word.startswith("--")]
    importing = ImportStep(settings, words)
    workspace = scan_workspace()
    wanted = os.environ.get(_VARIABLE)
    proof = _prove_bytes(workspace, wanted) if wanted is not None else None
    proven = proof.contents if proof is not None else {}
    sources = sources_of(workspace, folders, settings.include, settings.exclude)
    findings: list[StepFinding] = []
    unproven = [(path, "a folder that cannot be opened") for path in workspace.closed]
    if not sources:
        unproven.append((b" ".join(map(os.fsencode, folders)) or b".", "no Python source here"))
    unproven += [(path, _NOT_COMPILED) for path in _started(words, workspace, settings) if path not in sources]
    for result in compile_all(sources, _cores(), importing.reader):
        findings += result.findings
        importing.note(result)
        if result.unproven:
            unproven.append((result.path, result.unproven))
        elif proven.get(result.path, result.sha256) != result.sha256:
            unproven.append((result.path, "changed between the comparison and the compiler"))
    findings += importing.findings(workspace)
    seen = StepReport(settings.version, len(sources), sorted(findings), sorted(unproven), proof, importing.words)
    sys.stdout.buffer.write(("\n".join(_lines(seen, workspace)) + "\n").encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()
    _report(seen)
    return seen.exit_code


def _started(words: Sequence[str], workspace: Workspace, settings: StepSettings) -> Iterator[bytes]:
    """The files that the start command runs, where neither a suffix nor a pattern decides whether they are sources."""
    for word in words:
        path = word.partition("=")[2].partition("=")[2] if word.startswith("--start=") else ""
        name = os.fsencode(path)
        if name in workspace.modes and not name.endswith(SUFFIXES) and not matches_any(settings.exclude, path):
            yield name


class ImportStep:
    """The imports of what is compiled: read beside the compiler, and judged after it."""

    def __init__(self, settings: StepSettings, words: Sequence[str]) -> None:
        self.words = ""
        self._words = words
        self._facts: dict[str, bytes] = {}
        self._unread = 0
        self._module: ImportModule | None = None
        try:
            self._module = settings.load()
        except ImportError as error:  # a minimal Python
            self.words = f"imports: not examined: {error}"

    @property
    def reader(self) -> Callable[[bytes, object], bytes] | None:
        """What reads the facts of a source; None where this Python lacks a module for it."""
        return None if self._module is None else sys.modules["buildguard.remote.import_facts"].facts_here

    def note(self, result: SourceResult) -> None:
        """Keep the facts of a source that compiles; count those that have none."""
        if result.facts:
            self._facts[os.fsdecode(result.path)] = result.facts
        else:
            self._unread += 1

    def findings(self, workspace: Workspace) -> list[StepFinding]:
        """The imports that fail where the program runs them."""
        if self._module is None:
            return []
        paths = {os.fsdecode(path): path for path, mode in workspace.modes.items() if not stat.S_ISDIR(mode)}

        def read(path: str) -> bytes | None:
            data = read_source(paths[path]) if path in paths else ""
            return data if isinstance(data, bytes) else None

        subject = self._module.BuildSources(sorted(paths), self._facts, read)
        try:
            rows, undecided = self._module.judge_build(subject, self._words)
        except (ValueError, RecursionError, OSError) as error:
            self.words = f"imports: not examined: {error}"
            return []
        # a build that passes must not print what looks like an error
        result = f"{len(rows)} fail" if rows else "resolved"
        unread = f", not read in {self._unread} of the files" if self._unread else ""
        self.words = f"imports: {result}, {undecided} undecided{unread}"
        return [_import_finding(paths[row.path], row) for row in rows]


def _import_finding(path: bytes, row: ImportModule) -> StepFinding:
    data = read_source(path)
    lines = re.split(rb"\r\n|\r|\n", data) if isinstance(data, bytes) else []
    excerpt = lines[row.line - 1].decode("utf-8", "replace") if 0 < row.line <= len(lines) else ""
    return StepFinding(row.code, path, row.line, row.column, row.message, excerpt)


def _prove_bytes(workspace: Workspace, wanted: str) -> BytesProof:
    """Compare the workspace with the manifest that came with it, once that is the one that was sent."""
    expected = _carried_rows(wanted)
    if isinstance(expected, str):
        return BytesProof(wrong=expected)
    rows, unproven = _rows_of(workspace)
    unread = {path for path, _why in unproven}
    differences = compare_rows([row for row in expected if row.path not in unread], rows)
    return BytesProof(
        "sha256:" + hashlib.sha256(as_bytes(rows)).hexdigest(),
        len(expected),
        tuple(differences),
        tuple(unproven),
        contents={row.path: row.sha256 for row in rows if row.mode in {FILE, EXECUTABLE}},
    )


def _carried_rows(wanted: str) -> list[ManifestRow] | str:
    """The manifest that came with the source, if its digest is the one that was sent; or what is wrong with it."""
    if _DIGEST.fullmatch(wanted) is None:
        return f"{_VARIABLE} is no digest: {wanted}"
    data = read_file(CARRIED)
    if isinstance(data, str):
        return f"{CARRIED.decode()}: {data}: this archive was not made by buildguard"
    if "sha256:" + hashlib.sha256(data).hexdigest() != wanted:
        return f"{CARRIED.decode()} is not the manifest of {wanted}"
    try:
        return list(rows_of(data))
    except ValueError as error:
        return f"{CARRIED.decode()}: {error}"


def _rows_of(workspace: Workspace) -> tuple[list[ManifestRow], list[tuple[bytes, str]]]:
    """The rows of the workspace, and the paths that cannot be read with the reason."""
    rows: list[ManifestRow] = []
    unproven: list[tuple[bytes, str]] = []
    for path, mode in sorted(workspace.modes.items()):
        if path in OWN or not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            continue
        row = ManifestRow(path, "", 0, "") if stat.S_ISDIR(mode) else row_of_file(path, mode)
        if isinstance(row, str):
            unproven.append((path, row))
        else:
            rows.append(row)
    return rows, unproven


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


# ------------------------------------------------------------------------------------------ in words


def _lines(seen: StepReport, workspace: Workspace) -> Iterator[str]:
    yield f"buildguard {seen.version}, {_interpreter()}"
    rows = [*_found(seen.findings), *_differing(seen.bytes)]
    yield from rows[:_MOST_LINES]
    if len(rows) > _MOST_LINES:
        yield f"... and {len(rows) - _MOST_LINES} lines more"
    for path, why in [*seen.unproven, *(seen.bytes.unproven if seen.bytes is not None else ())][:_MOST_LINES]:
        yield f"unproven: {_display_path(path)}: {why}"
    for path in workspace.left_out:
        yield f"note: {_display_path(path)}: installed packages, not compiled"
    yield _of_bytes(seen.bytes)
    if seen.imports:
        yield _escape_text(seen.imports)
    yield _of_sources(seen)
    if seen.findings:
        yield "hint: where it was written: buildguard fix, buildguard check; then commit, and build again"


def _found(findings: Sequence[StepFinding]) -> Iterator[str]:
    before = b""
    for finding in findings:
        if finding.path != before:
            before = finding.path
            yield _display_path(finding.path)
        place = ":".join(str(number) for number in (finding.line, finding.column) if number)
        yield f"  {place + '  ' if place else ''}{finding.code} error: {_escape_text(finding.message)}"
        text = finding.excerpt.replace("\t", " ")
        if text.strip():
            at = max(0, finding.column - 60)
            yield "      " + _escape_text(text[at : at + 100])
            if finding.column and text.isascii():
                yield "      " + " " * (finding.column - 1 - at) + "^"


def _differing(proof: BytesProof | None) -> Iterator[str]:
    if proof is None:
        return
    if proof.wrong:
        yield "error: " + _escape_text(proof.wrong)
    for difference in proof.differences:
        yield f"{_display_path(difference.path)}  {difference.code} {difference.change}: {difference.cause} ({_escape_text(difference.evidence)})"


def _of_bytes(proof: BytesProof | None) -> str:
    if proof is None:
        return f"bytes: not compared: buildguard did not submit this build, so there is no {_VARIABLE} to compare with"
    if proof.wrong:
        return "bytes: not what was sent"
    if proof.differences:
        return f"bytes: {len(proof.differences)} of {proof.entries} paths are not what was sent"
    if proof.unproven:
        return f"bytes: unproven: {len(proof.unproven)} files could not be read"
    return f"bytes: identical: all {proof.entries} entries are those of {proof.digest}"


def _of_sources(seen: StepReport) -> str:
    refused = len({finding.path for finding in seen.findings if not finding.code.startswith("BG6")})
    failing = len({finding.path for finding in seen.findings if finding.code.startswith("BG6")})
    python = "Python " + ".".join(map(str, sys.version_info[:3]))
    if refused:
        words = f"{python} refuses {refused} of {seen.files} files"
        more = ": an import stops at the first one that it reaches, so a deploy shows one at a time"
        return words + more if refused > 1 else words
    if failing:
        return f"{python} compiles all {seen.files} files; imports of {failing} fail there"
    if not seen.files:
        return f"unproven: {python} found no file to compile"
    if seen.unproven:
        return f"unproven: {len(seen.unproven)} of {seen.files} files could not be compiled under {python}"
    if seen.exit_code:
        return f"{python} compiles all {seen.files} files"
    return f"clean: {python} compiles all {seen.files} files"


def _interpreter() -> str:
    name = {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, sys.implementation.name)
    release = "" if sys.version_info[3] == "final" else f"{sys.version_info[3]}{sys.version_info[4]}"
    return f"{name} {'.'.join(map(str, sys.version_info[:3]))}{release}"


def _display_path(path: bytes) -> str:
    return _escape_text(path.decode("utf-8", "backslashreplace"))


def _escape_text(text: str) -> str:
    """Foreign text that a terminal shows and does not obey."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )


# ------------------------------------------------------------------------------------------ for programs


def _report(seen: StepReport) -> None:
    """Write the machine's form to `$BUILDER_OUTPUT/output`, less what does not fit there; a build may do without it."""
    folder = os.environ.get("BUILDER_OUTPUT")
    if not folder:
        return
    rows = _rows(seen)
    kept = len(rows)
    while True:
        text = _json(_answer_of(seen, rows[:kept], len(rows) - kept)).encode("ascii")
        if len(text) <= _MOST_OUTPUT or not kept:
            break
        kept = kept * 3 // 4
    try:
        with open(os.path.join(folder, "output"), "wb") as out:
            out.write(text)
    except OSError as error:
        sys.stderr.write(f"buildguard: {error.filename} cannot be written: {error.strerror}\n")


def _rows(seen: StepReport) -> list[tuple[str, dict[str, object]]]:
    """Every row of the answer, with the key that it belongs to."""
    rows: list[tuple[str, dict[str, object]]] = []
    proof = seen.bytes or BytesProof()
    for difference in proof.differences:
        path = difference.path.decode("utf-8", "backslashreplace")
        rows.append(
            (
                "differences",
                {
                    "code": difference.code,
                    "path": path,
                    "change": difference.change,
                    "cause": difference.cause,
                    "evidence": difference.evidence,
                },
            )
        )
    for finding in seen.findings:
        path = finding.path.decode("utf-8", "backslashreplace")
        place: dict[str, object] = {"line": finding.line or None, "column": finding.column or None}
        rows.append(("diagnostics", {"code": finding.code, "path": path, **place, "message": finding.message}))
    for bare, why in [*seen.unproven, *proof.unproven]:
        rows.append(("unproven", {"path": bare.decode("utf-8", "backslashreplace"), "reason": why}))
    return rows


def _answer_of(seen: StepReport, rows: Sequence[tuple[str, dict[str, object]]], left_out: int) -> dict[str, object]:
    proof = seen.bytes
    proven = proof is not None and not (proof.wrong or proof.unproven)
    return {
        "schema": 1,
        "buildguard": seen.version,
        "interpreter": _interpreter(),
        "digest": (proof.digest or None) if proof is not None else None,
        "identical": not proof.differences if proof is not None and proven else None,
        "wrong": (proof.wrong or None) if proof is not None else None,
        "files": seen.files,
        **{key: [row for name, row in rows if name == key] for key in ("differences", "diagnostics", "unproven")},
        "left_out": left_out,
        "exit_code": seen.exit_code,
    }


def _json(value: object) -> str:
    """JSON in ASCII: a minimal Python comes without the module of that name."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(key)}: {_json(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    units = str(value).encode("utf-16-be", "surrogatepass")
    codes = [units[at] << 8 | units[at + 1] for at in range(0, len(units), 2)]
    plain = range(32, 127)
    return (
        '"' + "".join(chr(unit) if unit in plain and unit not in {34, 92} else f"\\u{unit:04x}" for unit in codes) + '"'
    )

# Each module of ours that judges imports, without its comments.
MODULES = {
    'buildguard.definitions': r'''from __future__ import annotations
import re
import sys
from collections import _tuplegetter, namedtuple
from functools import partial
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from enum import StrEnum
    from typing import Any, AnyStr, NamedTuple, NewType, Protocol, TypeVar
    T = TypeVar("T", bound=tuple[Any, ...])
else:
    _FEW = 20
    class _Record(tuple):
        __slots__ = ()
        _fields = ()
        @classmethod
        def _make(cls, values: Iterable[Any]) -> Any:
            record = tuple.__new__(cls, values)
            if len(record) != len(cls._fields):
                raise TypeError(f"{cls.__name__} has other fields than these")
            return record
        def _replace(self, /, **changes: Any) -> Any:
            record = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {list(changes)!r}")
            return record
        __replace__ = _replace
        def _asdict(self) -> dict[str, Any]:
            return {field: getattr(self, field) for field in self._fields}
        def __repr__(self) -> str:
            values = ", ".join(f"{field}={getattr(self, field)!r}" for field in self._fields)
            return f"{type(self).__name__}({values})"
        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)
    class _RecordType(type):
        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            types = body["__annotations__"]
            fields = tuple(map(sys.intern, types))
            defaults = {field: body.pop(field) for field in fields if field in body}
            made = 0
            def first(subclass: type, /, *args: Any, **values: Any) -> Any:
                nonlocal made
                made += 1
                rest = fields[len(args) :]
                if made <= _FEW and len(args) <= len(fields) and values.keys() <= {*rest}:
                    given = {**defaults, **values}
                    if given.keys() >= {*rest}:
                        return tuple.__new__(subclass, (*args, *[given[field] for field in rest]))
                compiled = namedtuple(name, fields, defaults=defaults.values(), module=record.__module__)
                record.__new__ = staticmethod(new := compiled.__new__)
                return new(subclass, *args, **values)
            record = type(
                name,
                (_Record,),
                {
                    "__slots__": (),
                    **{field: _tuplegetter(at, "") for at, field in enumerate(fields)},
                    "_fields": fields,
                    "__match_args__": fields,
                    "_field_defaults": defaults,
                    "__new__": first,
                    **body,
                },
            )
            return record
    class NamedTuple(metaclass=_RecordType):
        pass
    class _ClosedSet(type):
        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            values = {key: body.pop(key) for key in [*body] if key[0] != "_" and isinstance(body[key], (str, tuple))}
            create = body.pop("__new__", str.__new__)
            made = super().__new__(cls, name, bases, body)
            made.__members__ = {}
            made._by_value = {}
            for key, value in values.items():
                member = create(made, *([value] if isinstance(value, str) else value))
                text = str(member)
                member = made._by_value.setdefault(text, member)
                if "name" not in vars(member):
                    member.name, member.value = key, text
                made.__members__[key] = member
                setattr(made, key, member)
            return made
        def __call__(cls, value: object) -> Any:
            try:
                return cls._by_value[value]
            except (KeyError, TypeError):
                raise ValueError(f"{value!r} is not a valid {cls.__name__}") from None
        def __getitem__(cls, name: str) -> Any:
            return cls.__members__[name]
        def __iter__(cls) -> Iterator[Any]:
            return iter(cls._by_value.values())
        def __len__(cls) -> int:
            return len(cls._by_value)
        def __contains__(cls, value: object) -> bool:
            return value in cls._by_value
    class StrEnum(str, metaclass=_ClosedSet):
        def __repr__(self) -> str:
            return f"<{type(self).__name__}.{self.name}: {self.value!r}>"
        def __reduce__(self) -> tuple[Any, ...]:
            return type(self), (self.value,)
        def __copy__(self) -> Any:
            return self
        def __deepcopy__(self, _known: object) -> Any:
            return self
    class Protocol:
        pass
    def NewType(_name: str, _kind: type) -> Callable[[T], T]:
        return lambda value: value
def records(kind: type[T], *columns: Iterable[Any]) -> list[T]:
    return list(map(partial(tuple.__new__, kind), zip(*columns, strict=True)))
def words(text: str) -> frozenset[str]:
    return frozenset(text.split())
class _LazyPattern:
    def __init__(self, text: Any, flags: int) -> None:
        self._source = text, flags
    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(*self._source), name)
        setattr(self, name, value)
        return value
def lazy_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    return _LazyPattern(text, flags)
__all__ = ["TYPE_CHECKING", "NamedTuple", "NewType", "Protocol", "StrEnum", "lazy_pattern", "records", "words"]
''',
    'buildguard.codes': r'''from __future__ import annotations
from pathlib import Path
from buildguard.definitions import StrEnum
class Code(StrEnum):
    summary: str
    def __new__(cls, code: str, summary: str = "") -> Code:
        member = str.__new__(cls, code)
        member._value_ = code
        member.summary = summary
        return member
    BG101 = "BG101", "the target Python rejects the file"
    BG102 = "BG102", "the bytes cannot be decoded as declared"
    BG103 = "BG103", "the target's compiler gives up on the file or crashes"
    BG104 = "BG104", "engines disagree on the same bytes"
    BG105 = "BG105", "the target warns of what a later Python rejects"
    BG106 = "BG106", "the text is not what it looks like"
    BG107 = "BG107", "importing the file and running it as a script end differently"
    BG201 = "BG201", "f-string reuses its own quote inside a replacement field"
    BG202 = "BG202", "backslash inside a replacement field"
    BG203 = "BG203", "comment inside a replacement field"
    BG204 = "BG204", "line break inside a replacement field of a single-quoted f-string"
    BG205 = "BG205", "nested f-string: legal on the target, and one edit away from breaking"
    BG206 = "BG206", "f-string or format spec nested deeper than the target allows"
    BG207 = "BG207", "white space after a conversion"
    BG301 = "BG301", "a file is missing at a later stage"
    BG302 = "BG302", "a file is there that no earlier stage has"
    BG303 = "BG303", "the content of a file changed between two stages"
    BG304 = "BG304", "a file gained or lost its executable bit"
    BG305 = "BG305", "a file became a link, or a link a file"
    BG306 = "BG306", "a git object does not match its id"
    BG401 = "BG401", "the project's own files disagree on the Python version"
    BG402 = "BG402", "the image runs another Python than it is declared to"
    BG403 = "BG403", "works here, breaks there"
    BG404 = "BG404", "base image not pinned by digest"
    BG405 = "BG405", "bytecode in the image that is not its source's"
    BG406 = "BG406", "the build step is not the one that would be written today"
    BG407 = "BG407", "the platform chooses the Python, or lacks the one that is pinned"
    BG409 = "BG409", "a file of requirements that names no exact versions"
    BG410 = "BG410", "the build file cannot be read"
    BG411 = "BG411", "a field that Cloud Build does not know"
    BG412 = "BG412", "a value that Cloud Build cannot take"
    BG413 = "BG413", "something stands twice in the build file"
    BG414 = "BG414", "a build that cannot run as it is written"
    BG415 = "BG415", "a step waits for a missing or later step"
    BG416 = "BG416", "a substitution that is not defined, not used or misnamed"
    BG417 = "BG417", "more than Cloud Build takes"
    BG418 = "BG418", "the path of a volume is reserved or relative"
    BG501 = "BG501", "a required environment variable is missing"
    BG502 = "BG502", "the container does not start"
    BG503 = "BG503", "the revision does not become ready"
    BG504 = "BG504", "a verify command failed, or ran nothing"
    BG601 = "BG601", "module missing from the target's standard library"
    BG602 = "BG602", "name missing from a standard-library module of the target"
    BG603 = "BG603", "third-party module missing from the image, or not declared"
    BG604 = "BG604", "module or name of the project not found"
    BG605 = "BG605", "evaluated at import, and not supported by the target's types"
    BG606 = "BG606", "a locked or local release cannot be installed on the target"
    BG701 = "BG701", "the start command names something that does not exist"
    BG702 = "BG702", "the start command's file cannot be executed"
    BG703 = "BG703", "a COPY or ADD source is not sent"
    BG704 = "BG704", "a file that the start needs does not reach the image"
    BG705 = "BG705", "the server listens where Cloud Run does not reach it"
    BG706 = "BG706", "a variable that the start requires is not set"
    BG707 = "BG707", "a placeholder is sent instead of content"
    BG708 = "BG708", "a secret is copied into the image"
class SourceMark(StrEnum):
    IGNORE = "ignore"
CODES: dict[str, str] = {code.value: code.summary for code in Code}
DOCUMENTATION_URL = ""
RULE_ERRORS = frozenset({Code.BG201, Code.BG202, Code.BG203, Code.BG204, Code.BG206, Code.BG207})
_UNSILENCEABLE = ("BG1", "BG3")
def page(code: str) -> str:
    name = code.upper()
    if name not in CODES:
        raise UsageError(f"unknown code '{code}'", hint=_every_code())
    return (Path(__file__).with_name("pages") / f"{name}.md").read_text("utf-8")
def meaning(code: str) -> str:
    section = page(code).split("## What it means", 1)[1].split("\n## ", 1)[0].strip()
    return " ".join(section.split("\n\n", 1)[0].split())
def can_be_silenced(code: str) -> bool:
    return not code.startswith(_UNSILENCEABLE)
def check_pattern(pattern: str, where: str) -> None:
    if not pattern or not any(code.startswith(pattern) for code in CODES):
        hint = did_you_mean(pattern.upper(), CODES, _every_code())
        raise UsageError(f"{where}: unknown code '{pattern}'", hint=hint)
def _every_code() -> str:
    codes = list(CODES)
    return f"codes are {codes[0]} to {codes[-1]}: `buildguard explain` lists them"
''',
    'buildguard.diagnostic': r'''from __future__ import annotations
import re
from collections.abc import Sequence
from buildguard.codes import Code, SourceMark
from buildguard.definitions import NamedTuple, NewType, StrEnum
RelativePath = NewType("RelativePath", bytes)
"""A path relative to the root of the project or of a stage, with slashes, as its files are stored."""
DisplayPath = NewType("DisplayPath", str)
"""The same as reports write it (`display_path`)."""
class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
class Range(NamedTuple):
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None
class Edit(NamedTuple):
    range: Range
    text: str
class Finding(NamedTuple):
    code: Code | SourceMark
    range: Range
    message: str
    hint: str = ""
    excerpt: str = ""
    severity: Severity = Severity.ERROR
    within: Range | None = None
    edits: tuple[Edit, ...] = ()
class Diagnostic(NamedTuple):
    code: Code
    severity: Severity
    path: DisplayPath | None
    range: Range
    message: str
    hint: str = ""
    target: str | None = None
    engine: str | None = None
    excerpt: str = ""
    within: Range | None = None
    edits: tuple[Edit, ...] = ()
    evidence: str = ""
    targets: tuple[str, ...] = ()
    subject: str = ""
    @property
    def shared(self) -> tuple[str, ...]:
        return self.targets or ((self.target,) if self.target else ())
    @property
    def fixable(self) -> bool:
        return bool(self.edits)
class Unproven(NamedTuple):
    path: DisplayPath | None
    target: str | None
    reason: str
def escape_text(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else _escaped(char) for char in text)
def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
def display_path(path: bytes) -> DisplayPath:
    return DisplayPath(path.decode("utf-8", "backslashreplace"))
def count(number: int, word: str) -> str:
    if number == 1 or word == "more":
        return f"{number} {word}"
    return f"{number} {removesuffix(word, 'y')}ies" if word.endswith("ry") else f"{number} {word}s"
def name_some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
def unproven_line(item: Unproven, where: str = "") -> str:
    shown = where or item.path
    place = f"{escape_text(shown)}: " if shown is not None else ""
    target = f" (Python {item.target})" if item.target else ""
    return f"{place}{escape_text(item.reason)}{target}"
def shorten_digests(stage: str) -> str:
    return re.sub(r"[0-9a-f]{40,}", lambda match: f"{match[0][:12]}…", stage)
FOLDER = "a folder"
class UnreadableFile(NamedTuple):
    reason: str
    is_missing: bool = False
    special: str = ""
    damaged: bool = False
    size: int = 0
    sha256: str = ""
''',
    'buildguard.imports.standard_names': r'''from __future__ import annotations
from collections.abc import Iterable
from buildguard.definitions import words
_ALWAYS = words("""
    __future__ _collections_abc _io _thread _weakrefset abc antigravity argparse array ast asyncio atexit base64 bdb
    binascii bisect builtins bz2 cProfile calendar cmath cmd code codecs codeop collections colorsys compileall
    concurrent configparser contextlib contextvars copy copyreg csv ctypes curses dataclasses datetime dbm decimal
    difflib dis doctest email encodings ensurepip enum errno faulthandler fcntl filecmp fileinput fnmatch fractions
    ftplib functools gc genericpath getopt getpass gettext glob grp gzip hashlib heapq hmac html http idlelib imaplib
    importlib inspect io ipaddress itertools json keyword linecache locale logging lzma mailbox marshal math mimetypes
    mmap modulefinder msvcrt multiprocessing netrc nt ntpath nturl2path numbers opcode operator optparse os pathlib
    pdb pickle pickletools pkgutil platform plistlib poplib posix posixpath pprint profile pstats pty pwd py_compile
    pyclbr pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy sched secrets
    select selectors shelve shlex shutil signal site smtplib socket socketserver sqlite3 sre_compile sre_constants
    sre_parse ssl stat statistics string stringprep struct subprocess symtable sys sysconfig syslog tabnanny tarfile
    tempfile termios textwrap this threading time timeit tkinter token tokenize trace traceback tracemalloc tty turtle
    turtledemo types typing unicodedata unittest urllib uuid venv warnings wave weakref webbrowser winreg winsound
    wsgiref xml xmlrpc zipapp zipfile zipimport zlib
""")
_PRIVATE = words("""
    _abc _aix_support _android_support _ast _asyncio _bisect _blake2 _bootsubprocess _bz2 _codecs _codecs_cn
    _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw _collections _colorize _compat_pickle _compression
    _contextvars _crypt _csv _ctypes _curses _curses_panel _datetime _dbm _decimal _elementtree _frozen_importlib
    _frozen_importlib_external _functools _gdbm _hashlib _heapq _imp _interpchannels _interpqueues _interpreters
    _ios_support _json _locale _lsprof _lzma _markupbase _md5 _msi _multibytecodec _multiprocessing _opcode
    _opcode_metadata _operator _osx_support _overlapped _pickle _posixshmem _posixsubprocess _py_abc _pydatetime
    _pydecimal _pyio _pylong _pyrepl _queue _random _scproxy _sha1 _sha2 _sha256 _sha3 _sha512 _signal _sitebuiltins
    _socket _sqlite3 _sre _ssl _stat _statistics _string _strptime _struct _suggestions _symtable _sysconfig
    _threading_local _tkinter _tokenize _tracemalloc _typing _uuid _warnings _weakref _winapi _wmi _zoneinfo
    _bootlocale _dummy_thread _peg_parser _xxsubinterpreters
""")
_ADDED = {
    "contextvars": 7,
    "dataclasses": 7,
    "zoneinfo": 9,
    "graphlib": 9,
    "tomllib": 11,
    "annotationlib": 14,
    "compression": 14,
    "profiling": 15,
}
_REMOVED = {
    "macurl2path": 7,
    "macpath": 8,
    **dict.fromkeys(("_dummy_threading", "dummy_threading"), 9),
    **dict.fromkeys(("formatter", "parser", "symbol"), 10),
    "binhex": 11,
    **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd"), 12),
    **dict.fromkeys(
        words("""
        aifc audioop cgi cgitb chunk crypt imghdr lib2to3 mailcap msilib nis nntplib ossaudiodev pipes sndhdr spwd sunau
        telnetlib uu xdrlib
        """),
        13,
    ),
    **dict.fromkeys(
        words("""
        __builtin__ BaseHTTPServer CGIHTTPServer ConfigParser Cookie HTMLParser Queue SimpleHTTPServer SimpleXMLRPCServer
        SocketServer StringIO Tkinter UserDict UserList UserString anydbm cPickle cStringIO cookielib copy_reg dbhash
        dummy_thread htmlentitydefs httplib robotparser tkFileDialog tkFont tkMessageBox tkSimpleDialog urllib2 urlparse
        whichdb xmlrpclib
        """),
        0,
    ),
}
_SUCCESSORS = {
    "distutils": "setuptools brings distutils back; packaging.version and shutil replace most of it",
    "imp": "importlib replaces it",
    "asyncore": "asyncio replaces it; pyasyncore keeps it alive",
    "asynchat": "asyncio replaces it; pyasynchat keeps it alive",
    "smtpd": "aiosmtpd replaces it",
    "cgi": "legacy-cgi keeps it alive; email.message and urllib.parse replace most of it",
    "cgitb": "legacy-cgi keeps it alive",
    "crypt": "legacycrypt or crypt-r replace it",
    "imghdr": "filetype or standard-imghdr replace it",
    "pipes": "subprocess replaces it, shlex.quote its quote",
    "telnetlib": "telnetlib3 or standard-telnetlib replace it",
    "audioop": "audioop-lts keeps it alive",
    "lib2to3": "libcst or fissix replace it",
    "nntplib": "standard-nntplib keeps it alive",
    "tomllib": "tomli has the same functions for older versions",
    "zoneinfo": "backports.zoneinfo has it for older versions",
    "graphlib": "graphlib-backport has it for older versions",
    "binhex": "no replacement",
    "ConfigParser": "configparser in Python 3",
    "StringIO": "io.StringIO in Python 3",
    "cStringIO": "io.BytesIO in Python 3",
    "cPickle": "pickle in Python 3",
    "Queue": "queue in Python 3",
    "urllib2": "urllib.request in Python 3",
    "urlparse": "urllib.parse in Python 3",
    "httplib": "http.client in Python 3",
    "__builtin__": "builtins in Python 3",
}
_PROVIDERS = {
    "distutils": ("setuptools", "standard-distutils"),
    "cgi": ("legacy-cgi", "standard-cgi"),
    "cgitb": ("legacy-cgi", "standard-cgitb"),
    "asyncore": ("pyasyncore", "standard-asyncore"),
    "asynchat": ("pyasynchat", "standard-asynchat"),
    "audioop": ("audioop-lts",),
    "graphlib": ("graphlib-backport",),
    "imp": ("zombie-imp",),
}
WINDOWS_ONLY = frozenset({"_msi", "_overlapped", "_winapi", "_wmi", "msilib", "msvcrt", "nt", "winreg", "winsound"})
_WINDOWS_NAMES = {
    "ctypes": words(
        "DllCanUnloadNow DllGetClassObject FormatError GetLastError HRESULT OleDLL WINFUNCTYPE WinDLL WinError oledll windll"
    ),
    "os": words("add_dll_directory startfile"),
    "signal": words("CTRL_BREAK_EVENT CTRL_C_EVENT"),
    "asyncio": words("IocpProactor ProactorEventLoop WindowsProactorEventLoopPolicy WindowsSelectorEventLoopPolicy"),
    "subprocess": words(
        "CREATE_NEW_CONSOLE CREATE_NEW_PROCESS_GROUP CREATE_NO_WINDOW STARTF_USESHOWWINDOW STARTUPINFO SW_HIDE"
    ),
}
UNIX_ONLY = words("""
    _curses _curses_panel _posixshmem _posixsubprocess _scproxy crypt curses dbm.gnu dbm.ndbm fcntl grp nis ossaudiodev
    posix pty pwd readline resource spwd syslog termios tty
    """)
OPTIONAL = words("""
    _bz2 _crypt _ctypes _curses _curses_panel _dbm _gdbm _hashlib _lzma _sqlite3 _ssl _tkinter _uuid _zoneinfo bz2 crypt
    ctypes curses dbm distutils ensurepip idlelib lib2to3 lzma nis ossaudiodev pydoc_data readline spwd sqlite3 ssl test
    tkinter turtle turtledemo uuid venv zoneinfo zlib _zstd compression
    """)
BUILD_DEPENDENT = words("""
    _socket _ssl _winapi curses errno fcntl locale mmap os posix readline resource select signal socket ssl stat
    syslog termios time
    """)
PATCH_NAMES = frozenset(
    {
        ("email.errors", "HeaderWriteError"),
        ("sys", "get_int_max_str_digits"),
        ("sys", "set_int_max_str_digits"),
        *(
            ("tarfile", name)
            for name in words(
                """
                AbsoluteLinkError AbsolutePathError FilterError LinkFallbackError LinkOutsideDestinationError
                OutsideDestinationError SpecialFileError data_filter fully_trusted_filter tar_filter
                """
            )
        ),
    }
)
_NEWEST_KNOWN = 15
def is_standard(module: str) -> bool:
    return module in _ALWAYS or module in _PRIVATE or module in _ADDED or module in _REMOVED
def public_names() -> frozenset[str]:
    return frozenset({*_ALWAYS, *_ADDED, *_REMOVED})
def is_private(module: str) -> bool:
    return module in _PRIVATE
def is_in(module: str, minor: int) -> bool:
    if module in _REMOVED:
        return minor < _REMOVED[module]
    return minor >= _ADDED.get(module, 0)
def versions_of(module: str) -> tuple[int, int] | None:
    removed = _REMOVED.get(module, 0)
    if module not in _ADDED and not removed:
        return None
    return _ADDED.get(module, 0), max(0, removed - 1)
def are_windows_names(module: str, names: Iterable[str]) -> bool:
    return _WINDOWS_NAMES.get(module, frozenset()).issuperset(names)
def history_of(module: str, minor: int) -> str:
    if module in _ADDED and minor < _ADDED[module]:
        return f"new in Python 3.{_ADDED[module]}"
    removed = _REMOVED.get(module, _NEWEST_KNOWN + 1)
    return "" if minor < removed else f"removed in Python 3.{removed}" if removed else "it was Python 2's"
def successor_of(module: str) -> str:
    return _SUCCESSORS.get(module, "")
def providers_of(module: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*_PROVIDERS.get(module, ()), f"standard-{module}")))
''',
    'buildguard.imports.records': r'''from __future__ import annotations
import json
from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from buildguard.definitions import NamedTuple, StrEnum
from buildguard.diagnostic import Finding
class ImportForm(StrEnum):
    IMPORT = "import"
    FROM = "from"
    CALL = "call"
    ATTRIBUTE = "attribute"
class Guard(StrEnum):
    NONE = ""
    CONDITIONAL = "conditional"
    MAIN = "main"
    IMPORTED = "imported"
    MODULE_ONLY = "module-only"
    HANDLER = "handler"
    TESTED = "tested"
    EXCEPT = "except"
    FALSE = "false"
class Bound(StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
_FORMS = {form.value: form for form in ImportForm}
_GUARDS = {guard.value: guard for guard in Guard}
_DECODER = json.JSONDecoder()
class ImportStatement(NamedTuple):
    line: int
    column: int
    form: ImportForm
    module: str
    names: tuple[str, ...] = ()
    level: int = 0
    guard: Guard = Guard.NONE
    late: bool = False
    lazy: bool = False
    @property
    def is_star(self) -> bool:
        return self.names == ("*",)
_statement = partial(tuple.__new__, ImportStatement)
class TryEnd(StrEnum):
    FAILS = "fails"
    LACKS = "lacks"
    WORKS = "works"
class HandlerImport(NamedTuple):
    line: int
    column: int
    guard: Guard
    tries: tuple[tuple[TryEnd, tuple[int, ...]], ...]
class PathChange(NamedTuple):
    line: int
    folder: str | None
class EvaluatedType(NamedTuple):
    line: int
    column: int
    kind: str
    text: str
    guard: Guard = Guard.NONE
class NameUse(NamedTuple):
    name: str
    level: int
    module: str
    imported: str
    taken: Mapping[str, int]
_use = partial(tuple.__new__, NameUse)
class ModuleFacts(NamedTuple):
    imports: tuple[ImportStatement, ...]
    bound: Mapping[str, int]
    exports: tuple[str, ...] | None
    dynamic: bool
    paths: tuple[PathChange, ...]
    evaluated: tuple[EvaluatedType, ...]
    attributes: tuple[ImportStatement, ...] = ()
    patched: tuple[str, ...] = ()
    unsure: frozenset[str] = frozenset()
    version: tuple[int, ...] = ()
    handlers: tuple[HandlerImport, ...] = ()
    uses: tuple[NameUse, ...] = ()
    def may_lack(self, name: str) -> bool:
        return name in self.unsure or "*" in self.unsure
    def may_make(self, name: str) -> bool:
        return self.dynamic or name == "__annotations__"
    @property
    def library_uses(self) -> tuple[ImportStatement, ...]:
        return (*self.imports, *self.attributes) if self.attributes else self.imports
class FileReach(NamedTuple):
    certain: bool
    chain: tuple[str, ...] = ()
    @property
    def is_from_start(self) -> bool:
        return self.certain and bool(self.chain)
class UndecidedImport(NamedTuple):
    path: str
    line: int
    reason: str
    is_executed: bool = False
class ProjectImports(NamedTuple):
    findings: Mapping[str, tuple[Finding, ...]]
    undecided: tuple[UndecidedImport, ...]
    reach: Mapping[str, FileReach]
def patched_names(facts: Iterable[ModuleFacts | None]) -> set[str]:
    return {name for of_file in facts if of_file is not None for name in of_file.patched}
def facts_from(data: bytes) -> ModuleFacts | None:
    if not data:
        return None
    try:
        rows = _DECODER.decode(data.decode("ascii"))
        return ModuleFacts(
            tuple(
                [
                    _statement((line, column, _FORMS[form], module, tuple(names), level, _GUARDS[guard], late, lazy))
                    for line, column, form, module, names, level, guard, late, lazy in rows["imports"]
                ]
            ),
            MappingProxyType(rows["bound"]),
            None if rows["exports"] is None else tuple(rows["exports"]),
            bool(rows["dynamic"]),
            tuple(PathChange(line, folder) for line, folder in rows["paths"]),
            tuple(
                EvaluatedType(line, column, kind, text, _GUARDS[guard])
                for line, column, kind, text, guard in rows["evaluated"]
            ),
            tuple(
                ImportStatement(line, column, ImportForm.ATTRIBUTE, module, (name,), 0, _GUARDS[guard], late)
                for line, column, module, name, guard, late in rows["attributes"]
            ),
            tuple(rows["patched"]),
            frozenset(rows["unsure"]),
            tuple(rows["version"]),
            tuple(
                HandlerImport(line, column, _GUARDS[guard], tuple((TryEnd(end), tuple(lines)) for end, lines in tries))
                for line, column, guard, tries in rows["handlers"]
            ),
            tuple(
                [_use((name, level, module, imported, taken)) for name, level, module, imported, taken in rows["uses"]]
            ),
        )
    except (TypeError, KeyError) as error:
        raise ValueError(f"these are no facts: {error}") from error
def extract(source: bytes, version: tuple[int, ...], platform: str = "linux") -> ModuleFacts | None:
    import warnings
    from buildguard.remote.import_facts import import_facts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            code = compile(source, "<source>", "exec", 0, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return facts_from(import_facts(source, code, version, platform))
''',
    'buildguard.imports.execution': r'''from __future__ import annotations
from buildguard.imports.records import Guard, ImportStatement
_CAUGHT = frozenset({Guard.HANDLER, Guard.TESTED, Guard.EXCEPT})
_CERTAIN = frozenset({Guard.NONE, Guard.MAIN, Guard.IMPORTED, Guard.MODULE_ONLY})
def is_guarded(row: ImportStatement) -> bool:
    return row.guard in _CAUGHT
def runs_at_import(row: ImportStatement, *, is_main: bool) -> bool:
    never = row.guard is Guard.FALSE or row.guard is (Guard.IMPORTED if is_main else Guard.MAIN)
    return not (never or row.late or row.lazy)
def is_certain(row: ImportStatement, *, is_main: bool) -> bool:
    guard = row.guard
    is_run = guard in _CERTAIN and guard is not (Guard.IMPORTED if is_main else Guard.MAIN)
    return is_run and not (row.late or row.lazy)
''',
    'buildguard.imports.finder': r'''from __future__ import annotations
import functools
import itertools
import posixpath
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from buildguard.definitions import NamedTuple, StrEnum, lazy_pattern
_COMPILED = lazy_pattern(r"\.(?:(?:cpython|pypy)-?\d+[\w-]*\.|abi3\.)?(?:so|pyd)\Z")
COMPILED_ENDINGS = ("so", "pyd")
_MODULE_SUFFIXES = (".py", ".pyc")
class ModuleKind(StrEnum):
    PACKAGE = "package"
    MODULE = "module"
    NAMESPACE = "namespace"
    COMPILED = "compiled"
    UNCLEAR = "unclear"
class ModuleLocation(NamedTuple):
    kind: ModuleKind
    file: str
    folders: tuple[str, ...] = ()
class Lookup(NamedTuple):
    modules: tuple[ModuleLocation, ...]
    missing: str = ""
    @property
    def last(self) -> ModuleLocation | None:
        return None if self.missing or not self.modules else self.modules[-1]
    @property
    def is_unclear(self) -> bool:
        return any(module.kind is ModuleKind.UNCLEAR for module in self.modules)
class FileTree:
    def __init__(self, files: Mapping[str, str], unclear: Iterable[str] = ()) -> None:
        self.origins: Mapping[str, str] = files
        self._unclear = frozenset(unclear)
        self._holders: dict[str, list[str]] | None = None
        self._modules: dict[str, ModuleLocation | None] = {}
        self._found: dict[tuple[str, tuple[str, ...]], ModuleLocation | None] = {}
        self._stems: dict[str, dict[str, list[str]]] = {}
        self._children: dict[str, frozenset[str]] = {}
        self._homes: dict[str, tuple[str, str]] = {}
        self._folded: dict[str, dict[str, list[str]]] = {}
    @functools.cached_property
    def _paths(self) -> Sequence[str]:
        return sorted((*self.origins, *self._unclear))
    @functools.cached_property
    def _compiled(self) -> frozenset[str]:
        if not self._may_hold_compiled():
            return frozenset()
        compiled = set()
        for path in self._paths:
            folder, slash, name = path.rpartition("/")
            while name:
                match = _COMPILED.search(name) if name.endswith(COMPILED_ENDINGS) else None
                if match is not None:
                    compiled.add(posixpath.join(folder or slash, name[: match.start()]))
                folder, slash, name = folder.rpartition("/")
        return frozenset(compiled)
    def _may_hold_compiled(self) -> bool:
        joined = "\0".join(self._paths)
        return any(f".{ending}" in joined for ending in COMPILED_ENDINGS)
    def from_project(self, origins: Collection[str]) -> list[str]:
        return [path for path, origin in self.origins.items() if origin in origins]
    @functools.cached_property
    def by_origin(self) -> dict[str, str]:
        return {origin: path for path, origin in self.origins.items() if origin}
    @functools.cached_property
    def _folders(self) -> dict[str, set[str]]:
        folders: dict[str, set[str]] = {}
        for path in self._paths:
            inside = path
            while inside not in {"", "/"}:
                folder, slash, name = inside.rpartition("/")
                inside = folder or slash
                children = folders.get(inside)
                if children is not None:
                    children.add(name)
                    break
                folders[inside] = {name}
        return folders
    def has_folder(self, path: str) -> bool:
        if not path:
            return bool(self.children(path))
        start = _start_of(path)
        at = bisect_left(self._paths, start)
        return at < len(self._paths) and self._paths[at].startswith(start)
    def is_unclear(self, path: str) -> bool:
        return path in self._unclear or any(path.startswith(f"{other}/") for other in self._unclear)
    def has_sources(self, folder: str) -> bool:
        start = _start_of(folder)
        inside = itertools.takewhile(lambda path: path.startswith(start), self._from(start))
        return any(path.endswith(".py") and path in self.origins for path in inside)
    def _from(self, start: str) -> Iterator[str]:
        return map(self._paths.__getitem__, range(bisect_left(self._paths, start), len(self._paths)))
    def home_of(self, folder: str) -> tuple[str, str]:
        known = self._homes.get(folder)
        if known is None:
            known = folder, ""
            if folder not in {"", "/"} and f"{folder}/__init__.py" in self.origins:
                above, name = posixpath.split(folder)
                home, package = self.home_of(above)
                known = home, f"{package}.{name}" if package else name
            self._homes[folder] = known
        return known
    def children(self, folder: str) -> frozenset[str]:
        known = self._children.get(folder)
        if known is None:
            known = self._children[folder] = frozenset(self._names_in(_start_of(folder)))
        return known
    def _names_in(self, start: str) -> Iterator[str]:
        at = bisect_left(self._paths, start)
        while at < len(self._paths) and self._paths[at].startswith(start):
            name, slash, _rest = self._paths[at][len(start) :].partition("/")
            if name:
                yield name
            at = bisect_left(self._paths, f"{start}{name}0", at) if slash else at + 1
    def named(self, folder: str, stem: str) -> Sequence[str]:
        stems = self._stems.get(folder)
        if stems is None:
            stems = self._stems[folder] = {}
            for child in self.children(folder):
                stems.setdefault(child.partition(".")[0], []).append(child)
        return stems.get(stem, ())
    def holders(self, name: str) -> list[str]:
        if self._holders is None:
            self._holders = {}
            for folder, children in self._folders.items():
                for child in children:
                    if child.endswith(".py") or posixpath.join(folder, child) in self._folders:
                        self._holders.setdefault(removesuffix(child, ".py"), []).append(folder)
        return sorted(self._holders.get(name, ()))
    def find(self, name: str, folders: Sequence[str]) -> ModuleLocation | None:
        place = (name, tuple(folders))
        if place not in self._found:
            self._found[place] = self._find(*place)
        return self._found[place]
    def _find(self, name: str, folders: tuple[str, ...]) -> ModuleLocation | None:
        portions: list[str] = []
        for folder in folders:
            path = f"{folder}/{name}" if folder and not folder.endswith("/") else f"{folder}{name}"
            if self._unclear and not self._unclear.isdisjoint((path, f"{path}.py", folder)):
                return ModuleLocation(ModuleKind.UNCLEAR, path)
            location = self._at(path)
            if location is not None:
                return location
            if self.has_folder(path):
                portions.append(path)
        return ModuleLocation(ModuleKind.NAMESPACE, "", tuple(portions)) if portions else None
    def _at(self, path: str) -> ModuleLocation | None:
        if path not in self._modules:
            self._modules[path] = self._in_folder(path)
        return self._modules[path]
    def _in_folder(self, path: str) -> ModuleLocation | None:
        if self.has_folder(path):
            package = self._file(f"{path}/__init__")
            if package is not None:
                kind = ModuleKind.PACKAGE if package.kind is ModuleKind.MODULE else package.kind
                return package._replace(kind=kind, folders=(path,))
        return self._file(path)
    def _file(self, stem: str) -> ModuleLocation | None:
        if stem in self._compiled:
            return ModuleLocation(ModuleKind.COMPILED, stem)
        for suffix in _MODULE_SUFFIXES:
            if stem + suffix in self.origins:
                kind = ModuleKind.MODULE if suffix == ".py" else ModuleKind.COMPILED
                return ModuleLocation(kind, stem + suffix)
        return None
    def look_up(self, dotted: str, folders: Sequence[str]) -> Lookup:
        return self.look_below(dotted.split("."), folders)
    def look_below(self, parts: Sequence[str], folders: Sequence[str]) -> Lookup:
        modules: list[ModuleLocation] = []
        for part in parts:
            location = self.find(part, folders)
            if location is None:
                return Lookup(tuple(modules), part)
            modules.append(location)
            if location.kind is ModuleKind.UNCLEAR:
                break
            folders = location.folders
        return Lookup(tuple(modules))
    def other_cases(self, name: str, folders: Sequence[str]) -> Iterator[str]:
        folded = name.casefold()
        for folder in folders:
            for stem in self._stems_by_case(folder).get(folded, ()):
                if stem != name and self.find(stem, [folder]) is not None:
                    yield stem
    def _stems_by_case(self, folder: str) -> dict[str, list[str]]:
        stems = self._folded.get(folder)
        if stems is None:
            stems = self._folded[folder] = {}
            for child in sorted(self.children(folder)):
                stem = _COMPILED.sub("", child) if child.endswith(COMPILED_ENDINGS) else child
                stem = removesuffix(stem, ".py")
                stems.setdefault(stem.casefold(), []).append(stem)
        return stems
def _start_of(folder: str) -> str:
    return folder if folder in {"", "/"} else f"{folder}/"
''',
    'buildguard.remote.import_outline': r'''import ast
import re
from bisect import bisect_left
from itertools import accumulate
CONTINUATION = b"\\\n"
DOUBLE, SINGLE = b'"' * 3, b"'" * 3
LONG_TEXT = 500
SHORT_TEXT = 48
MARGIN = re.compile(rb"\n[^\s#)\]}]")
CONTINUED = re.compile(rb"(?:else|elif|except|finally)\b")
BLOCK_START = re.compile(rb"(?:@|def\b|class\b|async[ \t]+def\b)")
DECORATED = re.compile(rb"\n(?:async[ \t]+)?(?:def|class)\b")
CLASS = re.compile(rb"(?:\A|\n)[ \t]*class\b")
BLOCK = re.compile(rb"\n([ \t]+)(?:async[ \t]+)?(def|class)[ \t]+([^\s(:\[\\]+)")
IMPORTS = re.compile(rb"(?:^|[\n;:])[ \t]*(?:lazy[ \t]+)?(?:import|from)\b|import_module|__import__")
COMPOUND = re.compile(rb"(?:if|try|with|for|while|match|async)\b")
KEPT = re.compile(
    rb"__all__|\bsys\b|version|platform|os\.name|find_spec|hasattr|getattr|TYPE_CHECKING|\bPY[23]|\braise\b|exit"
    rb"|addsitedir|__file__|ImportError|NotFoundError|__getattr__"
)
PATHS = re.compile(rb"(?<!os\.)\bpath\b|addsitedir")
CALLING = (b"import_module", b"__import__")
CALLER = re.compile(rb"(?:import_module|__import__)[\s\\]+as[\s\\]+([\w\x80-\xff]+)")
FUNCTION_START = re.compile(
    rb"(?s)(?:if 1:\n[ \t]+)?(?:@[^\n]*\n[ \t]*)*(?:async[ \t]+)?def\b.*?:[ \t]*(?:#[^\n]*)?\n([ \t]+)"
)
STATEMENT_START = rb"(?!else\b|elif\b|except\b|finally\b)[^\s#)\]}]"
HOLDING = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.ClassDef)
DECIDING = frozenset(("Raise", "Return", "Try", "TryStar", "Match"))
FIELDS = {ast.Constant: []}
LEAVES = frozenset(
    ("ctx", "op", "ops", "id", "attr", "kind", "lineno", "level", "type_comment", "conversion", "type_ignores")
)
SMALL = 2000
FEW_LOOKUPS = 12
FEW = 30
STEP = 2000
class SourceLines:
    def __init__(self, data):
        self.data = data
        self._line, self._begin = 1, 0
        self._left = 1 if len(data) < SMALL else FEW_LOOKUPS
        self._ends = None
    def start_of(self, line):
        if self._ends is not None:
            return self._listed(line)
        self._left -= 1
        if not self._left:
            self._ends = list(accumulate(map(len, self.data.split(b"\n"))))
            return self._listed(line)
        data, number, begin = self.data, self._line, self._begin
        if line < number:
            number, begin = 1, 0
        while line - number > FEW:
            lines = data.count(b"\n", begin, begin + STEP)
            if number + lines >= line or begin + STEP >= len(data):
                break
            number, begin = number + lines, begin + STEP
        while number < line:
            begin = data.index(b"\n", begin) + 1
            number += 1
        self._line, self._begin = number, data.rfind(b"\n", 0, begin) + 1
        return self._begin
    def _listed(self, line):
        if line < 2:
            return 0
        if line > len(self._ends):
            raise ValueError("no such line")
        return self._ends[line - 2] + line - 1
    def text_of(self, line):
        begin = self.start_of(line)
        end = self.data.find(b"\n", begin)
        return self.data[begin : len(self.data) if end < 0 else end], self.data[begin - 2 : begin] == b"\\\n"
def outline_of(data, typed, blocks, is_whole=False):
    if b"\r" in data or b"\0" in data or b"\f" in data:
        return None, []
    spans, left_out = spans_of(data, blocks)
    last = len(spans) if is_whole or typed is not None else last_import(data, spans)
    pieces = []
    kept = 0
    for number, (start, stop, is_block) in enumerate(spans):
        text = data[start:stop]
        if number >= last:
            break
        if is_block or not is_needed(text, typed, is_whole):
            pieces.append(data[kept:start])
            pieces.append(b"\n" * text.count(b"\n"))
            kept = stop
        elif len(text) > LONG_TEXT and typed is None and BLOCK_START.match(text):
            pieces.append(data[kept:start])
            pieces.append(without_functions(text, has_changes if is_whole else has_imports))
            kept = stop
    pieces.append(data[kept : spans[last][0]] if last < len(spans) else data[kept:])
    return b"".join(pieces), left_out
def spans_of(data, blocks):
    spans, left_out = [], []
    start = counted = 0
    line = 1
    for stop, is_whole in statement_ends(data):
        if not is_whole:
            continue
        is_block = False
        if blocks and BLOCK_START.match(data, start):
            line += data.count(b"\n", counted, start)
            counted = start
            is_block = line in blocks
            left_out += [line] if is_block else []
        spans.append((start, stop, is_block))
        start = stop
    return spans, left_out
def last_import(data, spans):
    for number in range(len(spans) - 1, -1, -1):
        start, stop, is_block = spans[number]
        if not is_block and (data.find(b"import", start, stop) >= 0 or data.find(b"__all__", start, stop) >= 0):
            return number + 1
    return 0
def statement_ends(data):
    at = last = double = single = 0
    quotes = DOUBLE in data or SINGLE in data
    for match in MARGIN.finditer(data):
        stop = match.start() + 1
        if quotes:
            double += data.count(DOUBLE, last, stop)
            single += data.count(SINGLE, last, stop)
            last = stop
            if double % 2 or single % 2:
                continue
        is_decorator = data[at : at + 1] == b"@" and not DECORATED.search(data, at, stop)
        yield stop, not (is_decorator or CONTINUED.match(data, stop) or data[stop - 2 : stop] == CONTINUATION)
        if not is_decorator:
            at = stop
    yield len(data), True
def has_imports(text):
    return b"import" in text and IMPORTS.search(text) is not None
def has_changes(text):
    return has_imports(text) or PATHS.search(text) is not None
def outline_with(data, words):
    if b"\r" in data or b"\f" in data:
        return data
    is_kept = re.compile(rb"\b(?:import|%s)\b" % b"|".join(sorted(map(re.escape, words)))).search
    pieces, start = [], 0
    for stop, is_whole in statement_ends(data):
        if is_whole:
            text = data[start:stop]
            is_bare = BLOCK_START.match(text) and not CLASS.search(text) and not is_kept(text)
            pieces.append(b"\n" * text.count(b"\n") if is_bare else without_functions(text, is_kept))
            start = stop
    return b"".join(pieces)
def statements_with(data, word):
    pieces, start = [], 0
    for stop, is_whole in statement_ends(data):
        if is_whole:
            if data.find(word, start, stop) >= 0:
                pieces.append(data[start:stop])
            start = stop
    return b"".join(pieces)
def is_needed(text, typed, is_whole):
    if is_whole and PATHS.search(text):
        return True
    if (b"import" in text and IMPORTS.search(text)) or (typed is not None and (typed.search(text) or b"class" in text)):
        return True
    if BLOCK_START.match(text):
        return False
    if len(text) < SHORT_TEXT:
        return b"=" in text or KEPT.search(text) is not None
    if len(text) > LONG_TEXT and not COMPOUND.match(text):
        return text.startswith(b"__all__")
    return KEPT.search(text) is not None
def without_functions(text, is_kept):
    pieces, kept = [], 0
    for match in BLOCK.finditer(text):
        start = match.start()
        if start < kept:
            continue
        stop = block_end(text, match.end(), len(match.group(1)))
        block = text[start:stop]
        if is_kept(block):
            continue
        indent, kind, name = match.groups()
        pieces.append(text[kept:start] + b"\n" + indent + kind + b" " + name)
        pieces.append((b"(): 0" if kind == b"def" else b": 0") + b"\n" * (block.count(b"\n") - 1))
        kept = stop
    pieces.append(text[kept:])
    return b"".join(pieces)
def block_end(text, at, indent):
    dedent = re.compile(rb"\n[ \t]{0,%d}[^\s#)\]}]" % indent)
    start = at
    while True:
        end = dedent.search(text, at)
        if end is None:
            return len(text) - text.endswith(b"\n")
        if text.count(DOUBLE, start, end.start()) % 2 == 0 and text.count(SINGLE, start, end.start()) % 2 == 0:
            return end.start()
        at = end.end()
def tree_of(text, trees):
    tree = trees.get(text)
    if tree is None:
        tree = trees[text] = ast.parse(text)
    return tree
def tree_of_piece(text, last, is_inner, trees):
    start = FUNCTION_START.match(text) if last > 0 else None
    cut = None if start is None else cut_after(text, last, start.group(1))
    tree = None if cut is None else tree_of_cut(cut, len(start.group(1)), is_inner, trees)
    return tree_of(text, trees) if tree is None else tree
def tree_of_cut(text, margin, is_inner, trees):
    try:
        tree = tree_of(text, trees)
    except SyntaxError:
        return None
    function = tree.body[0].body[0] if is_inner else tree.body[0]
    return tree if function.body[0].col_offset == margin else None
def cut_after(text, line, margin):
    parts = text.split(b"\n", line)
    if len(parts) <= line:
        return None
    end = re.compile(b"\n" + margin + STATEMENT_START)
    match = end.search(text, len(text) - len(parts[line]) - 1)
    return text[: match.start() + 1] if match is not None else None
def places_of(words, data):
    places = []
    for word in words:
        at = data.find(word)
        while at >= 0:
            places.append(at)
            at = data.find(word, at + 1)
    return places
def has_other_caller(data):
    return any(CALLER.match(data, at) for at in places_of(CALLING, data))
def lines_with(words, data, before=0):
    lines, last, line = [], 0, before + 1
    for at in sorted(places_of(words, data)):
        line += data.count(b"\n", last, at)
        last = at
        lines.append(line)
    return lines
def first_line(node):
    decorators = getattr(node, "decorator_list", None)
    return min(node.lineno, decorators[0].lineno) if decorators else node.lineno
def are_in(lines, node, before):
    at = bisect_left(lines, first_line(node) + before)
    return at < len(lines) and lines[at] <= node.end_lineno + before
def may_decide(node, has_exits):
    if isinstance(node, ast.Expr):
        return has_exits and isinstance(node.value, ast.Call)
    if not isinstance(node, HOLDING):
        return type(node).__name__ in DECIDING
    return any(may_decide(part, has_exits) for part in node.body + getattr(node, "orelse", []))
class CallLines:
    def __init__(self, data):
        places = places_of(CALLING, data)
        aliases = {match.group(1) for match in (CALLER.match(data, at) for at in places) if match is not None}
        for alias in aliases:
            places += [match.start() for match in re.finditer(rb"\b%s\b" % re.escape(alias), data)]
        self.lines = None if b"\r" in data else sorted({data.count(b"\n", 0, at) + 1 for at in places})
    def are_in(self, node, before):
        return self.lines is None or are_in(self.lines, node, before)
def is_main_test(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq):
        return False
    sides = [node.left, node.comparators[0]]
    names = [side.id for side in sides if isinstance(side, ast.Name)]
    texts = [side.value for side in sides if isinstance(side, ast.Constant)]
    return names == ["__name__"] and texts == ["__main__"]
def all_nodes(tree):
    nodes = [tree]
    for node in nodes:
        kind = type(node)
        fields = FIELDS.get(kind)
        if fields is None:
            fields = FIELDS[kind] = [field for field in kind._fields if field not in LEAVES]
        for field in fields:
            value = getattr(node, field, None)
            if type(value) is list:
                nodes += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                nodes.append(value)
    return nodes
''',
    'buildguard.remote.module_code': r'''import opcode
import re
import sys
from bisect import bisect_right
from buildguard.remote.import_outline import DOUBLE, SINGLE, SourceLines
CODE = type((lambda: None).__code__)
NEWEST = (3, 15)
FUNCTION = 1
OPERATIONS = opcode.opmap
EXTENDED = opcode.EXTENDED_ARG
IMPORT, IMPORT_FROM = OPERATIONS["IMPORT_NAME"], OPERATIONS["IMPORT_FROM"]
CONSTANT, SMALL_NUMBER = OPERATIONS["LOAD_CONST"], OPERATIONS.get("LOAD_SMALL_INT", -1)
RAISE = OPERATIONS["RAISE_VARARGS"]
RETURNS = [OPERATIONS[name] for name in ("RETURN_VALUE", "RETURN_CONST") if name in OPERATIONS]
STORE, STORE_GLOBAL = OPERATIONS["STORE_NAME"], OPERATIONS["STORE_GLOBAL"]
SPOKEN = frozenset(("import_module", "__import__", "__all__"))
SURE = re.compile(
    rb"(?!(?:if|elif|else|for|while|with|try|except|finally|match|case|async[ \t]+(?:for|with))\b)"
    rb"(?:type\b|[A-Za-z_][\w.,* \t]*(?::[^=]*)?[-+*/%&|^@<>]*=(?!=))"
)
MARGINS = (b" ", b"\t")
PLAIN = (b"import ", b"from ", b"def ", b"class ", b"async def ")
PAIRS = ((b"(", b")"), (b"[", b"]"), (b"{", b"}"))
JUMPS = bytes(item in opcode.hasjrel or item in opcode.hasjabs for item in range(256))
DELETE, DELETE_GLOBAL = OPERATIONS["DELETE_NAME"], OPERATIONS["DELETE_GLOBAL"]
DELETE_PART, STORE_PART = OPERATIONS["DELETE_SUBSCR"], OPERATIONS["STORE_SUBSCR"]
REMOVING = frozenset(("pop", "popitem", "clear"))
RUNS = frozenset(("exec", "eval"))
REMOVAL = re.compile(r"(?:^|[\n;:])[ \t]*del[ (]|(?:globals\(\)|vars\(\)|locals\(\)|__dict__)\.(?:pop|popitem|clear)\(")
SPACES = frozenset(("globals", "vars", "locals", "__dict__"))
CHANGES_OF_NAMES = (("STORE_NAME", 1), ("STORE_GLOBAL", 1 << 20), ("DELETE_NAME", 1 << 20), ("DELETE_GLOBAL", 1 << 20))
class UnclearImportError(Exception):
    pass
class ModuleCode:
    def __init__(self, data, code):
        self.data = data
        self.code = code
        self._lines = None
        self.codes, self.names = codes_and_names(code)
        self.operations = operations = code.co_code[::2]
        self.starts, self.numbers = line_table(code)
        self.imports = operands(code, operations, IMPORT) if sys.version_info < NEWEST else None
        self.stores = operands(code, operations, STORE)
        self.declaring = self.codes if self._may_declare() else ()
    def _may_declare(self):
        if STORE_GLOBAL in self.operations:
            return True
        if len(self.codes) == 1:
            return False
        if b"global" in self.data:
            return True
        for part in self.code.co_consts:
            if type(part) is CODE and part.co_name[0] == "<":
                return b":=" in self.data
        return False
    @property
    def lines(self):
        if self._lines is None:
            self._lines = SourceLines(self.data)
        return self._lines
    def line_at(self, offset):
        return self.numbers[bisect_right(self.starts, offset) - 1]
    def lines_of(self, operation):
        at = self.operations.find(operation)
        while at >= 0:
            yield self.line_at(2 * at)
            at = self.operations.find(operation, at + 1)
    def bindings(self):
        offsets, bound = {}, {}
        stores = self.stores
        if self.declaring:
            own = operands(self.code, self.operations, STORE_GLOBAL)
            stores = sorted(stores + own, key=offset_of) if own else stores
        for name, offset in stores:
            if name not in offsets:
                offsets[name] = offset
                bound[name] = self.line_at(offset)
        for part in self.declaring[1:]:
            for name, _offset in operands_of(part, STORE_GLOBAL):
                bound.setdefault(name, part.co_firstlineno)
        return offsets, bound
    def names_bound_again(self):
        if len({name for name, _offset in self.stores}) == len(self.stores):
            return []
        once, others, again = set(), set(), set()
        for name, offset in self.stores:
            if self.operations[self.filled_at(offset) // 2] not in (IMPORT, IMPORT_FROM):
                others.add(name)
            (again if name in once else once).add(name)
        return sorted(again & others - {"TYPE_CHECKING"})
    def filled_at(self, offset):
        at = offset // 2 - 1
        while at >= 0 and self.operations[at] == EXTENDED:
            at -= 1
        return 2 * at
    def uses_of(self, name):
        count = 0
        for part in self.codes:
            if name in part.co_varnames or name in part.co_cellvars or name in part.co_freevars:
                return None
            if name in part.co_names:
                count += uses_in(part, name)
        return count
    def changes_of(self, name, is_by_line=False):
        count = 0
        for kind, weight in CHANGES_OF_NAMES:
            for part in self.codes if kind.endswith("GLOBAL") else self.codes[:1]:
                if name in part.co_names:
                    changes = [at for changed, at in operands_of(part, OPERATIONS[kind]) if changed == name]
                    lines = set(map(self.line_at, changes)) if is_by_line and weight == 1 else changes
                    count += len(lines) * weight
        return count
    def count_imports(self):
        return imports_in(self.codes)
    def holding_imports(self):
        holding = set()
        for part in reversed(self.codes[1:]):
            text = part.co_code
            imports = IMPORT in text and IMPORT in text[::2]
            if imports or (holding and not holding.isdisjoint(map(id, part.co_consts))):
                holding.add(id(part))
        return holding
    def bare_blocks(self):
        bare, others = set(), set()
        for item in self.code.co_consts:
            if type(item) is CODE:
                parts, names = codes_and_names(item)
                is_other = imports_in(parts) or not SPOKEN.isdisjoint(names)
                (others if is_other else bare).add(item.co_firstlineno)
        return bare - others
    def changing(self, operation):
        return {name for part in self.declaring for name, _at in operands_of(part, operation)}
def codes_and_names(code):
    codes = [code]
    for part in codes:
        for constant in part.co_consts:
            if type(constant) is CODE:
                codes.append(constant)
    return codes, set().union(*[part.co_names for part in codes])
def line_table(code):
    if hasattr(code, "co_lines"):
        rows = [row for row in code.co_lines() if row[2] is not None]
        if not rows:
            return (0,), (code.co_firstlineno,)
        starts, _ends, numbers = zip(*rows)
        return ((0,) + starts[1:] if starts[0] else starts), numbers
    offset, line = 0, code.co_firstlineno
    starts, numbers = [0], [line]
    for step, lines in zip(code.co_lnotab[::2], code.co_lnotab[1::2]):
        offset += step
        line += lines - 256 if lines >= 128 else lines
        starts.append(offset)
        numbers.append(line)
    return starts, numbers
def lines_at(code, offsets):
    if not offsets or not hasattr(code, "co_lines"):
        starts, numbers = line_table(code) if offsets else ((), ())
        return [numbers[bisect_right(starts, offset) - 1] for offset in offsets]
    lines, pending = [], iter(offsets)
    line, offset = code.co_firstlineno, next(pending)
    for _start, end, number in code.co_lines():
        if number is not None:
            line = number
        while offset < end:
            lines.append(line)
            offset = next(pending, None)
            if offset is None:
                return lines
    return lines
def offset_of(pair):
    return pair[1]
def operands_of(code, operation):
    text = code.co_code
    return operands(code, text[::2], operation) if operation in text else []
def operands(code, operations, operation):
    pairs = []
    at = operations.find(operation)
    if at >= 0:
        text, names, find = code.co_code, code.co_names, operations.find
        while at >= 0:
            argument = text[2 * at + 1]
            if at and operations[at - 1] == EXTENDED:
                argument |= extended_argument(text, 2 * at)
            pairs.append((names[argument], 2 * at))
            at = find(operation, at + 1)
    return pairs
def extended_argument(text, offset):
    argument, shift = 0, 8
    offset -= 2
    while offset >= 0 and text[offset] == EXTENDED:
        argument |= text[offset + 1] << shift
        offset, shift = offset - 2, shift + 8
    return argument
def constants_before(code, offset):
    text = code.co_code
    if text[offset - 2] == CONSTANT == text[offset - 4] and text[offset - 6] != EXTENDED:
        return code.co_consts[text[offset - 1]], code.co_consts[text[offset - 3]]
    names, at = constant_before(code, text, offset)
    if text[at] == SMALL_NUMBER:
        return names, text[at + 1]
    return names, constant_before(code, text, at + 2)[0]
def constant_before(code, text, offset):
    at = offset - 2
    while text[at] == EXTENDED:
        at -= 2
    if text[at] != CONSTANT:
        raise UnclearImportError
    argument, before = text[at + 1], at - 2
    if before >= 0 and text[before] == EXTENDED:
        argument |= extended_argument(text, at)
        while before >= 0 and text[before] == EXTENDED:
            before -= 2
    return code.co_consts[argument], before
def uses_in(code, name):
    count = 0
    index = code.co_names.index(name)
    text = code.co_code
    for kind in ("LOAD_NAME", "STORE_NAME", "LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_NAME", "DELETE_GLOBAL"):
        shift = 1 if kind == "LOAD_GLOBAL" and "PUSH_NULL" in OPERATIONS else 0
        operations = text[::2]
        at = operations.find(OPERATIONS[kind])
        while at >= 0:
            argument = text[2 * at + 1] | extended_argument(text, 2 * at)
            count += argument >> shift == index
            at = operations.find(OPERATIONS[kind], at + 1)
    return count
def imports_in(codes):
    texts = [code.co_code for code in codes]
    return sum([text[::2].count(IMPORT) for text in texts if IMPORT in text])
def unsure_names(module, bound, offsets, is_dynamic):
    if is_dynamic and may_remove(module.codes):
        return ["*"]
    unsure = names_behind(module, bound, offsets)
    if DELETE in module.operations:
        unsure.update(name for name, _at in operands(module.code, module.operations, DELETE))
    if module.declaring:
        unsure.update(bound.keys() - offsets.keys())
        unsure |= module.changing(DELETE_GLOBAL)
    return sorted(unsure)
def names_behind(module, bound, offsets):
    whole = straight_until(module.code, module.operations)
    if not module.declaring and (not module.stores or module.stores[-1][1] < whole):
        return set()
    names = [name for name, offset in offsets.items() if offset >= whole]
    if not names:
        return set()
    data = module.data
    lines = SourceLines(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")) if b"\r" in data else module.lines
    return {name for name in names if bound[name] <= 0 or not is_sure(lines, bound[name])}
def straight_until(code, operations):
    first = operations.translate(JUMPS).find(1)
    whole = len(code.co_code) if first < 0 else 2 * first
    table = getattr(code, "co_exceptiontable", b"")
    if table:
        at, start = 0, table[0] & 63
        while table[at] & 64:
            at += 1
            start = start << 6 | table[at] & 63
        whole = min(whole, 2 * start)
    return whole
def is_sure(lines, number):
    try:
        line, is_continued = lines.text_of(number)
    except ValueError:
        return False
    if is_continued or line.startswith(MARGINS) or DOUBLE in line or SINGLE in line:
        return False
    if line.startswith(PLAIN):
        return True
    if SURE.match(line) is None or b";" in line or b":=" in line:
        return False
    return all(line.count(last) <= line.count(first) for first, last in PAIRS if last in line)
def may_remove(codes):
    for part in codes:
        names, operations = part.co_names, part.co_code[::2]
        if not SPACES.isdisjoint(names) and (DELETE_PART in operations or not REMOVING.isdisjoint(names)):
            return True
        if "modules" in names and "__name__" in names and (STORE_PART in operations or "delattr" in names):
            return True
    return any(not RUNS.isdisjoint(part.co_names) for part in codes) and any(map(has_removal, codes))
def has_removal(code):
    return any(isinstance(item, str) and REMOVAL.search(item) is not None for item in code.co_consts)
''',
    'buildguard.remote.import_paths': r'''import ast
import re
from buildguard.remote.import_outline import all_nodes
FOLDER = "@"
SAME_FOLDER = (
    "os.path.abspath",
    "os.path.realpath",
    "os.path.normpath",
    "os.path.expanduser",
    "str",
    "pathlib.Path",
    "os.fspath",
)
WORKING_FOLDER = ("os.getcwd", "pathlib.Path.cwd")
PATH_TYPES = ("pathlib.Path", "pathlib.PosixPath", "pathlib.PurePath", "pathlib.PurePosixPath", "pathlib.Path.cwd")
SAME_PATH = ("resolve", "absolute", "expanduser", "joinpath")
SYS_USE = re.compile(rb"sys(?!\w)(?!\.(?!path\b)\w|[ \t]*[\n,#])")
PATH_BELOW = re.compile(rb"\n[ \t\f]*\.[ \t]*path\b")
IN_WORD = re.compile(rb"\w")
READ_PATH = re.compile(
    rb"sys(?:\.path(?:\[[^\]\n]*\])?[ \t]*[)\]},:\n#]|[ \t]+import[ \t]+(?![^\n]*\bpath\b)[^(\\\n]*\n)"
)
READ_BEFORE = re.compile(
    rb"(?:\bin[ \t]+|\bfrom[ \t]+|\b(?:print|len|list|tuple|set|sorted|enumerate|reversed|str|repr|iter)\(|\.\w+\()\Z"
)
LINE_BEFORE = 60
PATH_WORDS = (b"sys", b"addsitedir")
RENAMED = re.compile(rb"(?:sys|addsitedir)(?:(?:[ \t\f]|\\\n)+import\b|(?:[\s\\]|#[^\n]*\n)+as\b)")
CHANGES = frozenset(("insert", "append"))
MOVES = frozenset(("chdir", "fchdir"))
READING_METHODS = frozenset(("index", "count", "copy"))
READING_CALLS = frozenset(
    (
        "all",
        "any",
        "dict",
        "enumerate",
        "filter",
        "id",
        "isinstance",
        "iter",
        "len",
        "list",
        "map",
        "max",
        "min",
        "next",
    )
    + ("print", "repr", "reversed", "set", "frozenset", "sorted", "str", "tuple", "type", "zip")
)
def may_change_paths(data: bytes, names: "frozenset[str]") -> bool:
    if "addsitedir" in names:
        return True
    if "path" not in names or "sys" not in names:
        return False
    if CHANGES.isdisjoint(names):
        return any(not is_reading(data, at) for at in uses_of_sys(data))
    return PATH_BELOW.search(data) is not None or next(uses_of_sys(data), None) is not None
def names_paths(data):
    return data.isascii() and RENAMED.search(data) is None
def uses_of_sys(data):
    for match in SYS_USE.finditer(data):
        at = match.start()
        if not at or not IN_WORD.match(data, at - 1):
            yield at
def is_reading(data, at):
    return READ_PATH.match(data, at) is not None and READ_BEFORE.search(data[max(0, at - LINE_BEFORE) : at]) is not None
class FolderReader:
    def __init__(self, values):
        self._values = values
    def folder(self, node):
        read = FOLDERS.get(type(node))
        return getattr(self, read)(node) if read is not None else None
    def is_path(self, node):
        read = PATH_OBJECTS.get(type(node))
        return read is not None and getattr(self, read)(node)
    def _is_name_of_path(self, node):
        value = self._values.value_of(node.id)
        return isinstance(value, FolderValue) and value.is_path
    def _is_path_below(self, node):
        return isinstance(node.op, ast.Div) and (self.is_path(node.left) or self.is_path(node.right))
    def _is_path_above(self, node):
        return node.attr in ("parent", "parents") and self.is_path(node.value)
    def _is_one_above(self, node):
        return isinstance(node.value, ast.Attribute) and self.is_path(node.value)
    def _is_call_of_path(self, node):
        return self._values.dotted(node.func) in PATH_TYPES or self._is_method_of_path(node.func)
    def _is_method_of_path(self, function):
        return isinstance(function, ast.Attribute) and function.attr in SAME_PATH and self.is_path(function.value)
    def value(self, node):
        folder = self.folder(node)
        return None if folder is None else FolderValue(folder, self.is_path(node))
    def _text(self, node):
        return node.value if isinstance(node.value, str) else None
    def _of_name(self, node):
        if node.id == "__file__":
            return FOLDER + "/."
        value = self._values.value_of(node.id)
        return value.path if isinstance(value, FolderValue) else value if isinstance(value, str) else None
    def _above(self, node):
        return above(self.folder(node.value)) if node.attr == "parent" else None
    def _below(self, node):
        return joined([self.folder(node.left), self.folder(node.right)]) if isinstance(node.op, ast.Div) else None
    def _parents(self, node):
        if not isinstance(node.value, ast.Attribute) or node.value.attr != "parents":
            return None
        path, index = self.folder(node.value.value), self._values.test(index_of(node))
        if not isinstance(index, int) or not 0 <= index < 20:
            return None
        for _ in range(index + 1):
            path = above(path)
        return path
    def _of_call(self, node):
        name = self._values.dotted(node.func)
        folders = [self.folder(argument) for argument in node.args]
        if name in WORKING_FOLDER and not folders:
            return "."
        if name == "os.path.dirname" and len(folders) == 1:
            return above(folders[0])
        if name == "os.path.join" and folders:
            return joined(folders)
        if name in SAME_FOLDER and len(folders) == 1:
            return folders[0]
        return self._of_method(node.func, folders) if isinstance(node.func, ast.Attribute) else None
    def _of_method(self, function, folders):
        if function.attr == "joinpath":
            return joined([self.folder(function.value)] + folders)
        if function.attr in ("resolve", "absolute", "as_posix") and not folders:
            return self.folder(function.value)
        return None
class SysPathReader:
    def __init__(self, data, names, values):
        self.rows = []
        self._data = data
        self._values = values
        self._folders = FolderReader(values)
        self._moves = not MOVES.isdisjoint(names)
        self._function = ""
        self._rebound = frozenset()
    def enter(self, function):
        outer = self._function, self._rebound
        once, more = set(), set()
        for name in names_given_values(all_nodes(function)):
            (more if name in once else once).add(name)
        self._function = function.name
        self._rebound = outer[1].union(more)
        self._values.forget_folders(once)
        return outer
    def leave(self, outer):
        self._function, self._rebound = outer
    def see_assignment(self, targets, node):
        for target in targets:
            if isinstance(target, ast.Name) and target.id not in self._rebound:
                self._values.see_folder(target.id, self._folders.value(node))
    def _may_run(self):
        name = re.escape(self._function.encode("utf-8"))
        calls = re.findall(rb"\b%s[ \t]*\(" % name, self._data)
        return len(calls) > len(re.findall(rb"\bdef[ \t]+%s[ \t]*\(" % name, self._data))
    def read(self, statement, expressions):
        nodes = [statement] + [node for expression in expressions for node in all_nodes(expression)]
        uses = {id(node): node for node in nodes if self._is_path(node)}
        for node in nodes:
            if isinstance(node, ast.Call) and self._values.dotted(node.func) == "site.addsitedir":
                self._add(node, node.args[:1] or None, takes_paths=True)
            if uses:
                for part in reads_of(node):
                    uses.pop(id(part), None)
                use = self._read_change(node)
                uses.pop(id(use), None)
        for use in uses.values():
            self._add(use, None)
    def _is_path(self, node):
        return isinstance(node, (ast.Attribute, ast.Name)) and self._values.dotted(node) == "sys.path"
    def _read_change(self, node):
        read = PATH_CHANGES.get(type(node))
        return None if read is None else getattr(self, read)(node)
    def _read_call(self, node):
        method = node.func
        if not isinstance(method, ast.Attribute) or not self._is_path(method.value):
            return None
        return self._read_method(node, method)
    def _read_addition(self, node):
        if not self._is_path(node.target):
            return None
        self._add(node, self._listed(node.value) if isinstance(node.op, ast.Add) else None)
        return node.target
    def _read_assignment(self, node):
        target = node.targets[0]
        if len(node.targets) > 1 or not isinstance(target, ast.Subscript):
            return self._read_new_path(node, target)
        if not self._is_path(target.value):
            return None
        self._add(node, self._listed(node.value) if self._inserts(index_of(target)) else None)
        return target.value
    def _read_new_path(self, node, target):
        if not self._is_path(target):
            return None
        keeps = any(map(self._is_path, all_nodes(node.value)))
        self._add(node, self._listed(node.value) if keeps else None)
        return target
    def _read_method(self, call, method):
        folders = None
        if not call.keywords and len(call.args) == {"append": 1, "insert": 2, "extend": 1}.get(method.attr):
            folders = self._listed(call.args[0]) if method.attr == "extend" else call.args[-1:]
        if method.attr not in READING_METHODS:
            self._add(call, folders)
        return method.value
    def _inserts(self, part):
        if not isinstance(part, ast.Slice) or part.step is not None:
            return False
        lower, upper = (None if end is None else self._values.test(end) for end in (part.lower, part.upper))
        if part.upper is None:
            return isinstance(part.lower, ast.Call) and self._values.dotted(part.lower.func) == "len"
        return isinstance(upper, int) and (lower == upper or (part.lower is None and not upper))
    def _listed(self, node):
        if isinstance(node, (ast.List, ast.Tuple)):
            parts = [self._listed(item.value) if isinstance(item, ast.Starred) else [item] for item in node.elts]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts = [self._listed(node.left), self._listed(node.right)]
        else:
            return [] if self._is_whole(node) else None
        return None if None in parts else [item for part in parts for item in part]
    def _is_whole(self, node):
        if isinstance(node, ast.Subscript):
            part = index_of(node)
            return (
                isinstance(part, ast.Slice)
                and (part.lower, part.upper, part.step) == (None,) * 3
                and self._is_path(node.value)
            )
        if isinstance(node, ast.Call):
            return self._values.dotted(node.func) in ("list", "tuple") and any(map(self._is_path, node.args))
        return self._is_path(node)
    def _add(self, node, folders, takes_paths=False):
        for item in [None] if folders is None else folders:
            folder = None if item is None else self._folders.folder(item)
            if item is None or takes_paths or not self._folders.is_path(item):
                self.rows.append([node.lineno, folder if folder is not None and self._is_known(folder) else None])
    def _is_known(self, folder):
        return not (self._moves and not folder.startswith(("/", FOLDER))) and (not self._function or self._may_run())
def names_given_values(nodes):
    names = [node.arg for node in nodes if isinstance(node, ast.arg)]
    return names + [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
def reads_of(node):
    if isinstance(node, ast.Call):
        is_reading = isinstance(node.func, ast.Attribute) or getattr(node.func, "id", "") in READING_CALLS
        return node.args + [keyword.value for keyword in node.keywords] if is_reading else []
    if isinstance(node, ast.Subscript):
        return [node.value] if isinstance(node.ctx, ast.Load) else []
    fields = READ_FIELDS.get(type(node).__name__, ())
    parts = [getattr(node, field) for field in fields]
    return [item for part in parts for item in (part if isinstance(part, list) else [part])]
def index_of(node):
    return node.slice.value if type(node.slice).__name__ == "Index" else node.slice
class FolderValue:
    def __init__(self, path, is_path=False):
        self.path = path
        self.is_path = is_path
def above(path):
    if path is None:
        return None
    if path == FOLDER + "/.":
        return FOLDER
    head, _slash, tail = path.rpartition("/")
    if tail in ("", ".", "..", FOLDER) or not head:
        return path + "/.." if path.startswith(FOLDER) else None
    return head
def joined(paths):
    if any(path is None for path in paths):
        return None
    whole = paths[0]
    for path in paths[1:]:
        whole = path if path.startswith(("/", FOLDER)) else whole.rstrip("/") + "/" + path
    return whole
PATH_OBJECTS = {
    ast.Name: "_is_name_of_path",
    ast.BinOp: "_is_path_below",
    ast.Attribute: "_is_path_above",
    ast.Subscript: "_is_one_above",
    ast.Call: "_is_call_of_path",
}
PATH_CHANGES = {
    ast.Call: "_read_call",
    ast.AugAssign: "_read_addition",
    ast.Assign: "_read_assignment",
}
FOLDERS = {
    ast.Constant: "_text",
    ast.Name: "_of_name",
    ast.Attribute: "_above",
    ast.BinOp: "_below",
    ast.Subscript: "_parents",
    ast.Call: "_of_call",
}
READ_FIELDS = {
    "Compare": ("left", "comparators"),
    "arguments": ("defaults", "kw_defaults"),
    "comprehension": ("iter",),
    "For": ("iter",),
    "AsyncFor": ("iter",),
    "FormattedValue": ("value",),
    "Starred": ("value",),
    "BinOp": ("left", "right"),
    "UnaryOp": ("operand",),
    "AugAssign": ("value",),
    "List": ("elts",),
    "Tuple": ("elts",),
    "Set": ("elts",),
    "Dict": ("values",),
    "If": ("test",),
    "While": ("test",),
    "Assert": ("test", "msg"),
    "Expr": ("value",),
    "Return": ("value",),
}
''',
    'buildguard.remote.import_tests': r'''import ast
from buildguard.remote.import_outline import all_nodes
from buildguard.remote.import_paths import FolderReader, FolderValue, index_of
class UnknownValue:
    def __init__(self, tested=False):
        self.tested = tested
UNKNOWN = UnknownValue()
TESTED = UnknownValue(tested=True)
ABSENT = UnknownValue()
TESTS = frozenset({"find_spec", "find_loader", "hasattr", "getattr", "iter_modules"})
ENDS = ("sys.exit", "exit", "quit", "os._exit")
SYSTEMS = {"linux": ("posix", "Linux"), "darwin": ("posix", "Darwin"), "win32": ("nt", "Windows")}
PYTHON_FLAGS = {"PY2": False, "PY3": True, "IS_PY2": False, "IS_PY3": True, "is_py2": False, "is_py3": True}
CAUGHT = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})
IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError"})
CATCHES_NAMES = frozenset({"ImportError", "Exception", "BaseException"})
PASSING = frozenset(
    {
        *("open", "io.open", "os.scandir", "warnings.catch_warnings"),
        *("catch_warnings", "contextlib.closing", "closing", "contextlib.nullcontext", "nullcontext"),
        *("contextlib.redirect_stdout", "contextlib.redirect_stderr", "threading.Lock", "threading.RLock"),
        *("tempfile.TemporaryDirectory", "tempfile.NamedTemporaryFile", "zipfile.ZipFile", "tarfile.open"),
        *("unittest.mock.patch", "mock.patch", "patch"),
    }
)
GUARDS = ("", "conditional", "main", "imported", "module-only", "handler", "tested", "except", "false")
class Evaluator:
    def __init__(self, version: "tuple[int, ...]", platform: str, names: "frozenset[str]") -> None:
        system, name = SYSTEMS.get(platform, ("posix", platform.capitalize()))
        version = tuple(version)
        self._aliases = {}
        self._values = {}
        self._literals = set()
        self._folders = FolderReader(self)
        self._version = version
        self._may_ask = not TESTS.isdisjoint(names) or "modules" in names
        self._known = {
            "sys.version_info": version,
            "sys.version_info.major": version[0],
            "sys.version_info.minor": version[1],
            "sys.platform": platform,
            "sys.implementation.name": "cpython",
            "sys.implementation.version": version,
            "os.name": system,
            "typing.TYPE_CHECKING": False,
            "typing_extensions.TYPE_CHECKING": False,
            "TYPE_CHECKING": False,
            "__debug__": True,
            "platform.system()": name,
            "platform.python_implementation()": "CPython",
        }
        if len(version) > 2:
            self._known["sys.version_info.micro"] = version[2]
            self._known["sys.hexversion"] = version[0] << 24 | version[1] << 16 | version[2] << 8 | 0xF0
    def see_import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.asname:
                self._aliases[alias.asname] = alias.name
    def see_import_from(self, node: ast.ImportFrom) -> None:
        if node.names[0].name == "*":
            self.forget(name for name in self._literals if self._values[name] is not TESTED)
        if node.module and not node.level:
            for alias in node.names:
                self._aliases[alias.asname or alias.name] = node.module + "." + alias.name
    def see_names(self, node):
        self._may_ask = True
        for child in all_nodes(node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                self._values[child.id] = TESTED
            elif isinstance(child, ast.alias):
                self._values[child.asname or child.name.partition(".")[0]] = TESTED
    def scope(self):
        return dict(self._aliases), dict(self._values)
    def leave(self, scope):
        self._aliases, self._values = scope
    def forget(self, names):
        self._values.update(dict.fromkeys(names, UNKNOWN))
    def see_assignment(self, targets, node):
        for target in targets:
            if not isinstance(target, ast.Name):
                continue
            if target.id in self._values:
                tested = isinstance(self._values[target.id], UnknownValue) and self._values[target.id].tested
                self._values[target.id] = TESTED if tested else UNKNOWN
                continue
            names = self.exceptions(node) if isinstance(node, ast.Tuple) else ()
            value = tuple(names) if names and all(isinstance(item, ast.Name) for item in node.elts) else self.test(node)
            folder = self._folders.value(node) if isinstance(value, UnknownValue) and not value.tested else None
            self._values[target.id] = value if folder is None else folder
            if isinstance(node, ast.Constant):
                self._literals.add(target.id)
    def forget_folders(self, names):
        self.forget(name for name in names if self._values.get(name) is not TESTED)
    def see_folder(self, name, value):
        if value is not None and self._values.get(name) is not TESTED:
            self._values[name] = value
    def alias_of(self, name):
        return self._aliases.get(name, name)
    def value_of(self, name):
        return self._values.get(name, ABSENT)
    def dotted(self, node):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        parts.append(self.alias_of(node.id))
        return ".".join(reversed(parts))
    def exceptions(self, node):
        if isinstance(node, ast.Tuple):
            return [name for item in node.elts for name in self.exceptions(item)]
        name = self.dotted(node).rpartition(".")[2]
        if name in CAUGHT:
            return [name]
        value = self.value_of(node.id) if isinstance(node, ast.Name) else None
        return [item for item in value if item in CAUGHT] if isinstance(value, tuple) else []
    def caught_by(self, handlers, late):
        caught = ""
        for handler in handlers:
            types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            if self.goes_on(handler) or (late and self._expects_imports(types)):
                caught = max(caught, self.caught(types), key=GUARDS.index)
        return caught
    def _expects_imports(self, types):
        return any(node is not None and not IMPORT_ERRORS.isdisjoint(self.exceptions(node)) for node in types)
    def goes_on(self, handler):
        last = handler.body[-1]
        is_exit = isinstance(last, ast.Expr) and isinstance(last.value, ast.Call)
        return not isinstance(last, ast.Raise) and not (is_exit and self.dotted(last.value.func) in ENDS)
    def catches(self, handlers, names):
        for handler in filter(self.goes_on, handlers):
            types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            if any(node is None or self.dotted(node) in names for node in types):
                return True
        return False
    def caught(self, types):
        guard = ""
        for node in types:
            names = ["BaseException"] if node is None else self.exceptions(node)
            if not CATCHES_NAMES.isdisjoint(names):
                return "except"
            if "ModuleNotFoundError" in names:
                guard = "module-only"
        return guard
    def test(self, node: ast.AST) -> object:
        value = self._value(node)
        if value is UNKNOWN and self._may_ask and any(self._asks(child) for child in all_nodes(node)):
            return TESTED
        return value
    def _asks(self, node):
        if isinstance(node, ast.Call):
            return self.dotted(node.func).rpartition(".")[2] in TESTS
        if isinstance(node, ast.Name):
            return self.value_of(node.id) is TESTED
        return isinstance(node, ast.Attribute) and self.dotted(node) == "sys.modules"
    def _value(self, node):
        read = VALUES.get(type(node))
        return getattr(self, read)(node) if read is not None else UNKNOWN
    def _constant(self, node):
        return node.value
    def _name(self, node):
        if isinstance(node, ast.Name):
            value = self.value_of(node.id)
            if value is not ABSENT:
                return UNKNOWN if isinstance(value, FolderValue) else value
        name = self.dotted(node)
        return self._known.get(name, PYTHON_FLAGS.get(name.rpartition(".")[2], UNKNOWN))
    def _tuple(self, node):
        values = [self._value(item) for item in node.elts]
        return UNKNOWN if any(isinstance(value, UnknownValue) for value in values) else tuple(values)
    def _subscript(self, node):
        value, part = self._value(node.value), index_of(node)
        if isinstance(part, ast.Slice):
            ends = [None if end is None else self._value(end) for end in (part.lower, part.upper, part.step)]
            if isinstance(value, UnknownValue) or any(isinstance(end, UnknownValue) for end in ends):
                return UNKNOWN
            index = slice(*ends)
            if value == self._version and (index.stop is None or index.stop > len(value)):
                return UNKNOWN
        else:
            index = self._value(part)
        try:
            return UNKNOWN if isinstance(value, UnknownValue) else value[index]
        except (TypeError, IndexError, KeyError):
            return UNKNOWN
    def _named(self, node):
        return self._value(node.value)
    def _not(self, node):
        value = self._value(node.operand)
        if isinstance(value, UnknownValue):
            return value
        return not value if isinstance(node.op, ast.Not) else UNKNOWN
    def _all_or_any(self, node):
        values = [self.test(item) for item in node.values]
        decides = isinstance(node.op, ast.Or)
        known = [bool(value) for value in values if not isinstance(value, UnknownValue)]
        if decides in known:
            return decides
        unknown = [value for value in values if isinstance(value, UnknownValue)]
        if not unknown:
            return not decides
        return TESTED if any(value.tested for value in unknown) else UNKNOWN
    def _compare(self, node):
        left = self._value(node.left)
        for operator, right in zip(node.ops, map(self._value, node.comparators)):
            if isinstance(left, UnknownValue) or isinstance(right, UnknownValue) or self._is_too_exact(left, right):
                return UNKNOWN
            compare = COMPARISONS.get(type(operator))
            try:
                if compare is None or not compare(left, right):
                    return UNKNOWN if compare is None else False
            except TypeError:
                return UNKNOWN
            left = right
        return True
    def _is_too_exact(self, left, right):
        if len(self._version) > 2 or self._version not in (left, right):
            return False
        other = right if left == self._version else left
        return isinstance(other, tuple) and len(other) > 2 and other[:2] == self._version
    def _call(self, node):
        name = self.dotted(node.func)
        if name + "()" in self._known and not node.args:
            return self._known[name + "()"]
        if name in ("bool", "tuple") and len(node.args) == 1:
            return self._value(node.args[0])
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in ("startswith", "endswith", "lower")
            and len(node.args) < 2
        ):
            text = self._value(node.func.value)
            arguments = [self._value(argument) for argument in node.args]
            if isinstance(text, str) and not any(isinstance(argument, UnknownValue) for argument in arguments):
                try:
                    return getattr(text, node.func.attr)(*arguments)
                except TypeError:
                    return UNKNOWN
        return UNKNOWN
VALUES = {
    ast.Constant: "_constant",
    ast.Name: "_name",
    ast.Attribute: "_name",
    ast.Tuple: "_tuple",
    ast.List: "_tuple",
    ast.Set: "_tuple",
    ast.Subscript: "_subscript",
    ast.UnaryOp: "_not",
    ast.BoolOp: "_all_or_any",
    ast.Compare: "_compare",
    ast.Call: "_call",
    getattr(ast, "NamedExpr", None): "_named",
}
COMPARISONS = {
    ast.Eq: lambda left, right: left == right,
    ast.NotEq: lambda left, right: left != right,
    ast.Lt: lambda left, right: left < right,
    ast.LtE: lambda left, right: left <= right,
    ast.Gt: lambda left, right: left > right,
    ast.GtE: lambda left, right: left >= right,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Is: lambda left, right: left is right or left == right,
    ast.IsNot: lambda left, right: left is not right and left != right,
}
''',
    'buildguard.remote.evaluated_types': r'''import ast
import builtins
import re
from buildguard.remote.import_tests import UnknownValue
UNION, GENERIC = "union", "generic"
UNDECIDED = "undecided-union"
UNIONS_FROM, GENERICS_FROM = 10, 9
BUILTIN_GENERICS = ("list", "dict", "set", "frozenset", "tuple", "type")
BUILTIN_TYPES = frozenset(
    ("int", "str", "bytes", "bool", "float", "complex", "object", "bytearray", "memoryview", "range", "slice")
    + ("BaseException", "Exception", "ValueError", "TypeError", "OSError", "KeyError", "RuntimeError")
    + BUILTIN_GENERICS
)
LIBRARY_GENERICS = {
    "collections": ("deque", "defaultdict", "OrderedDict", "Counter", "ChainMap"),
    "collections.abc": (),
    "contextlib": ("AbstractContextManager", "AbstractAsyncContextManager"),
    "re": ("Pattern", "Match"),
    "queue": ("Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"),
    "os": ("PathLike",),
    "subprocess": ("Popen", "CompletedProcess"),
    "asyncio": ("Future", "Task", "Queue"),
    "concurrent.futures": ("Future",),
    "functools": ("partial", "partialmethod", "cached_property"),
    "weakref": ("WeakSet", "WeakKeyDictionary", "WeakValueDictionary", "ReferenceType"),
}
LIBRARY_TYPES = {
    "datetime": ("datetime", "date", "time", "timedelta", "tzinfo", "timezone"),
    "decimal": ("Decimal",),
    "fractions": ("Fraction",),
    "io": ("StringIO", "BytesIO", "TextIOWrapper"),
    "ipaddress": ("IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network", "IPv4Interface", "IPv6Interface"),
    "pathlib": ("Path", "PurePath", "PosixPath", "PurePosixPath"),
    "uuid": ("UUID",),
}
CLASS_NAME = re.compile(r"_{0,2}[A-Z]+[a-z0-9]\w*")
GENERIC_WORDS = (
    b"list|dict|set|frozenset|tuple|type|deque|defaultdict|OrderedDict|Counter|ChainMap|AbstractContextManager"
    b"|AbstractAsyncContextManager|Pattern|Match|Queue|PathLike|Popen|CompletedProcess|Future|Task|partial"
    b"|cached_property|Weak\\w+|abc\\.\\w+|Iterable|Iterator|Sequence|Mapping|MutableMapping|Callable|Generator|Awaitable"
    b"|Coroutine|AsyncIterator|AsyncIterable|AsyncGenerator|Collection|Set|MutableSet|MutableSequence"
)
UNION_BYTES = re.compile(rb"\|")
TYPED_BYTES = re.compile(rb"\||\b(?:" + GENERIC_WORDS + rb")\[")
MODELS = (
    "pydantic.BaseModel",
    "pydantic.BaseSettings",
    "pydantic_settings.BaseSettings",
    "pydantic.generics.GenericModel",
)
BASES = MODELS + (
    "django.db.models.Model",
    "sqlalchemy.orm.DeclarativeBase",
    "enum.Enum",
    "enum.IntEnum",
    "enum.Flag",
    "abc.ABC",
)
LIBRARY_BASES = frozenset(
    ("argparse", "ast", "asyncio", "cmd", "code", "collections", "concurrent", "configparser", "contextlib", "datetime")
    + ("decimal", "email", "html", "http", "io", "json", "logging", "multiprocessing", "pathlib", "queue", "random")
    + ("smtplib", "socket", "socketserver", "string", "subprocess", "tempfile", "threading", "types", "unittest")
    + ("urllib", "uuid", "weakref", "xml", "zipfile")
)
METACLASSES = ("abc.ABCMeta", "enum.EnumMeta", "enum.EnumType")
OPERATORS = frozenset(("__or__", "__ror__"))
READS_TEXT = frozenset(("pydantic", "pydantic_settings", "fastapi"))
OPTIMIZED = 1
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
ROUTES = frozenset(("get", "post", "put", "delete", "patch", "options", "head", "trace", "websocket", "api_route"))
def typed_bytes(minor):
    if minor >= UNIONS_FROM:
        return None
    return UNION_BYTES if minor >= GENERICS_FROM else TYPED_BYTES
def may_evaluate(code, names, minor):
    import opcode
    if names.issuperset(("__future__", "annotations")) and not READS_TEXT.isdisjoint(
        name.partition(".")[0] for name in names
    ):
        return True
    wanted = ["BINARY_OR"] + (["BINARY_SUBSCR"] if minor < GENERICS_FROM else [])
    if not opcode.opmap.keys() >= set(wanted):
        return True
    operations = [opcode.opmap[name] for name in wanted]
    running = [code]
    for part in running:
        used = part.co_code[::2]
        if any(operation in used for operation in operations):
            return True
        running += [item for item in part.co_consts if type(item) is type(code) and runs_at_once(item)]
    return False
def runs_at_once(code):
    return not code.co_flags & OPTIMIZED or (code.co_name[:1] == "<" and code.co_name != "<lambda>")
def is_none(node):
    return isinstance(node, ast.Constant) and node.value is None
def is_class(node):
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return CLASS_NAME.fullmatch(name) is not None
def parts_of(node, test):
    if isinstance(node, ast.IfExp):
        yield node.test, ""
        value = test(node.test)
        if isinstance(value, UnknownValue):
            yield node.body, guard_by(value)
            yield node.orelse, guard_by(value)
        else:
            yield (node.body if value else node.orelse), ""
    elif isinstance(node, ast.BoolOp):
        guard = ""
        for part in node.values:
            yield part, guard
            value = test(part)
            if isinstance(value, UnknownValue):
                guard = "tested" if guard == "tested" else guard_by(value)
            elif bool(value) is isinstance(node.op, ast.Or):
                return
    elif not isinstance(node, ast.Lambda):
        for part in ast.iter_child_nodes(node):
            yield part, ""
def parts_of_comprehension(node):
    each = [getattr(node, field, None) for field in ("key", "value", "elt")]
    for number, generator in enumerate(node.generators):
        each += ([generator.iter] if number else []) + generator.ifs
    return node.generators[0].iter, [part for part in each if part is not None]
def targets_of(statement):
    if isinstance(statement, ast.AnnAssign) and statement.value is None:
        return []
    targets = [item.optional_vars for item in getattr(statement, "items", ()) if isinstance(item, ast.withitem)]
    targets += getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return [target for target in targets if target is not None]
def names_in(targets):
    nodes = (node for target in targets for node in ast.walk(target))
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
def guard_by(value):
    return "tested" if value.tested else "conditional"
class TypeReader:
    def __init__(self, minor, bound, values):
        self.rows = []
        self._minor = minor
        self._bound = bound
        self._local = frozenset()
        self._is_in_class = False
        self._values = values
        self._later = False
        self._uses_fastapi = False
        self._models = set()
        self._classes = {}
        self._metaclasses = {}
    def see_import_from(self, node):
        if node.module == "__future__":
            self._later = self._later or any(alias.name == "annotations" for alias in node.names)
        self._uses_fastapi = self._uses_fastapi or (node.module or "").partition(".")[0] == "fastapi"
    def read(self, node, place, guard, in_model):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self._read_function(node, place, guard)
        elif isinstance(node, ast.AnnAssign):
            self._annotation(node.annotation, place, guard, in_model)
            self._expression(node.value, place, guard)
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, (ast.expr, ast.keyword, ast.withitem)):
                    self._expression(child, place, guard)
            self._forget(getattr(node, "targets", ()))
        if self._is_in_class:
            self._local |= names_in(targets_of(node))
    def enter_class(self):
        outer = self._local, self._is_in_class
        self._local, self._is_in_class = frozenset(), True
        return outer
    def leave_class(self, outer):
        self._local, self._is_in_class = outer
    def _forget(self, targets):
        for target in targets:
            if isinstance(target, ast.Name) and target.id in self._classes:
                self._classes[target.id] = False
    def is_model(self, node):
        self._classes[node.name] = all(map(self._is_plain_base, node.bases)) and all(
            keyword.arg is not None and (keyword.arg != "metaclass" or self._is_plain_metaclass(keyword.value))
            for keyword in node.keywords
        )
        self._metaclasses[node.name] = all(map(self._is_plain_metaclass, node.bases)) and not any(
            getattr(item, "name", getattr(item, "id", "")) in OPERATORS for item in ast.walk(node)
        )
        is_model = any(self._values.dotted(base) in MODELS or self._is_known_model(base) for base in node.bases)
        if is_model:
            self._models.add(node.name)
        return is_model
    def _is_plain_base(self, base):
        if isinstance(base, ast.Subscript):
            base = base.value
        if isinstance(base, ast.Name) and base.id in self._classes:
            return self._classes[base.id]
        if isinstance(base, ast.Name) and base.id not in self._bound:
            return isinstance(getattr(builtins, base.id, None), type)
        dotted = self._values.dotted(base)
        is_of_library = "." in dotted and dotted.partition(".")[0] in LIBRARY_BASES
        return self._is_type(base) or self._is_generic(base) or is_of_library or dotted in BASES + METACLASSES
    def _is_plain_metaclass(self, node):
        if isinstance(node, ast.Name) and node.id in self._metaclasses:
            return self._metaclasses[node.id]
        if isinstance(node, ast.Name) and node.id in ("type", "object"):
            return node.id not in self._bound
        return self._values.dotted(node) in METACLASSES
    def _is_known_model(self, base):
        return isinstance(base, ast.Name) and base.id in self._models
    def _read_function(self, node, place, guard):
        arguments = node.args
        for default in arguments.defaults + arguments.kw_defaults + node.decorator_list:
            self._expression(default, place, guard)
        named = getattr(arguments, "posonlyargs", []) + arguments.args + arguments.kwonlyargs
        named += [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
        is_route = self._uses_fastapi and any(map(self._is_route, node.decorator_list))
        for annotation in [argument.annotation for argument in named] + [node.returns]:
            self._annotation(annotation, place, guard, is_route)
    def _is_route(self, decorator):
        function = decorator.func if isinstance(decorator, ast.Call) else None
        return isinstance(function, ast.Attribute) and function.attr in ROUTES
    def _annotation(self, node, place, guard, is_read):
        if node is not None and (is_read or not self._later):
            self._note(self._first(node, True), place, guard, "-read" if self._later else "")
    def _expression(self, node, place, guard):
        if node is not None:
            self._note(self._first(node, False), place, guard, "")
    def _note(self, item, place, guard, how):
        if item is not None:
            kind, node, within = item
            line, column = place(node)
            self.rows.append([line, column, kind + how, self._written(node), guard or within])
    def _first(self, node, is_type):
        if isinstance(node, COMPREHENSIONS):
            outer = self._local
            self._local |= names_in(generator.target for generator in node.generators)
            item = self._first_of_parts(node, is_type)
            self._local = outer
            return item
        return self._first_of_parts(node, is_type)
    def _first_of_parts(self, node, is_type):
        inside = (is_type and not isinstance(node, ast.Call)) or self._takes_types(node)
        doubtful = None
        for part, guard in parts_of(node, self._values.test):
            item = self._first(part, inside) if guard != "tested" else None
            if item is not None and item[0] != UNDECIDED and not (guard or item[2]):
                return item
            if item is not None and doubtful is None:
                doubtful = item[0], item[1], guard or item[2]
        failing = self._failing(node, is_type)
        return failing if failing is not None and (doubtful is None or failing[0] != UNDECIDED) else doubtful
    def _failing(self, node, is_type):
        if isinstance(node, ast.Subscript) and self._minor < GENERICS_FROM and self._is_generic(node.value):
            return GENERIC, node, ""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and self._is_union(node, is_type):
            return (UNION if self._is_plain_union(node) else UNDECIDED), node, ""
        return None
    def _is_plain_union(self, node):
        names = [side.id for side in (node.left, node.right) if isinstance(side, ast.Name)]
        return all(self._classes.get(name, True) for name in names)
    def _takes_types(self, node):
        return isinstance(node, ast.Subscript) and (self._is_type(node.value) or self._is_generic(node.value))
    def _is_generic(self, node):
        if isinstance(node, ast.Name) and node.id in BUILTIN_GENERICS:
            return self._is_builtin(node.id)
        module, _dot, name = self._values.dotted(node).rpartition(".")
        return module in LIBRARY_GENERICS and (not LIBRARY_GENERICS[module] or name in LIBRARY_GENERICS[module])
    def _is_builtin(self, name):
        return name not in self._bound and name not in self._local
    def _is_union(self, node, is_type):
        known = [self._is_type(side) for side in (node.left, node.right)]
        nothing = [is_none(side) for side in (node.left, node.right)]
        if all(known) or (any(known) and any(nothing)):
            return True
        named = [isinstance(side, (ast.Name, ast.Attribute, ast.Subscript)) for side in (node.left, node.right)]
        if any(nothing) and (is_class(node.left) or is_class(node.right)):
            return True
        if not is_type:
            return self._are_own(node)
        return ((any(known) or any(nothing)) and any(named)) or (is_class(node.left) and is_class(node.right))
    def _are_own(self, node):
        return all(isinstance(side, ast.Name) and side.id in self._classes for side in (node.left, node.right))
    def _is_type(self, node):
        if isinstance(node, ast.Subscript):
            return self._is_type(node.value) or self._is_generic(node.value)
        if isinstance(node, ast.Name) and node.id in BUILTIN_TYPES:
            return self._is_builtin(node.id)
        module, _dot, name = self._values.dotted(node).rpartition(".")
        return module in ("typing", "typing_extensions") or name in LIBRARY_TYPES.get(module, ())
    def _written(self, node):
        if isinstance(node, ast.BinOp):
            return self._written(node.left) + " | " + self._written(node.right)
        if isinstance(node, ast.Subscript):
            index = node.slice.value if type(node.slice).__name__ == "Index" else node.slice
            return self._written(node.value) + "[" + self._written(index) + "]"
        if isinstance(node, ast.Tuple):
            return ", ".join(map(self._written, node.elts))
        if isinstance(node, ast.Attribute):
            return self._written(node.value) + "." + node.attr
        if isinstance(node, ast.Name):
            return node.id
        return repr(node.value) if isinstance(node, ast.Constant) else "…"
''',
    'buildguard.remote.library_attributes': r'''import ast
import re
from buildguard.remote.evaluated_types import parts_of
from buildguard.remote.module_code import EXTENDED, IMPORT, OPERATIONS, operands_of
SETS = OPERATIONS["STORE_ATTR"]
CACHE = OPERATIONS.get("CACHE", EXTENDED)
LOADS_TWO = {
    OPERATIONS[name] for name in ("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW") if name in OPERATIONS
}
LOADS_LOCAL = LOADS_TWO | {OPERATIONS[name] for name in ("LOAD_FAST", "LOAD_FAST_BORROW") if name in OPERATIONS}
ANNOTATIONS_LATE_FROM = 14
CHANGED_WORDS = """
abc: update_abstractmethods
aifc: openfp
argparse: BooleanOptionalAction
ast: Bytes Ellipsis Interpolation Match MatchAs MatchClass MatchMapping MatchOr MatchSequence MatchSingleton MatchStar
    MatchValue NameConstant Num ParamSpec Str TemplateStr TryStar TypeAlias TypeVar TypeVarTuple compare match_case pattern
    type_param unparse
asyncio: AbstractChildWatcher Barrier BrokenBarrierError EventLoop FastChildWatcher FrameCallGraphEntry FutureCallGraph
    MultiLoopChildWatcher PidfdChildWatcher QueueShutDown Runner SafeChildWatcher Server TaskGroup ThreadedChildWatcher
    Timeout capture_call_graph coroutine create_eager_task_factory eager_task_factory format_call_graph
    future_add_to_awaited_by future_discard_from_awaited_by get_child_watcher iscoroutinefunction print_call_graph
    set_child_watcher timeout timeout_at to_thread
base64: b32hexdecode b32hexencode decodestring encodestring z85decode z85encode
binascii: a2b_ascii85 a2b_base32 a2b_base85 a2b_hqx b2a_ascii85 b2a_base32 b2a_base85 b2a_hqx rlecode_hqx rledecode_hqx
builtins: BaseExceptionGroup EncodingWarning ExceptionGroup ImportCycleError PythonFinalizationError aiter anext frozendict
    sentinel
calendar: APRIL AUGUST DECEMBER Day FEBRUARY JANUARY JULY JUNE MARCH MAY Month NOVEMBER OCTOBER SEPTEMBER
    standalone_month_abbr standalone_month_name
cgi: escape parse_qs parse_qsl
codecs: unregister
collections: AsyncGenerator AsyncIterable AsyncIterator Awaitable ByteString Callable Collection Container Coroutine
    Generator Hashable ItemsView Iterable Iterator KeysView Mapping MappingView MutableMapping MutableSequence MutableSet
    Reversible Sequence Set Sized ValuesView
collections.abc: Buffer ByteString
concurrent.futures: InvalidStateError
configparser: InvalidWriteError LegacyInterpolation MultilineContinuationError SafeConfigParser UNNAMED_SECTION
    UnnamedSectionDisabledError
contextlib: AsyncContextDecorator aclosing chdir
copy: replace
csv: QUOTE_NOTNULL QUOTE_STRINGS
ctypes: CField LittleEndianUnion SetPointerType c_time_t memoryview_at
dataclasses: KW_ONLY
datetime: UTC
decimal: IEEEContext
dis: hasarg hasexc hasjump hasnargs
enum: CONFORM CONTINUOUS EJECT EnumCheck EnumDict EnumType FlagBoundary KEEP NAMED_FLAGS ReprEnum STRICT StrEnum UNIQUE
    global_enum global_enum_repr global_flag_repr global_str member nonmember pickle_by_enum_name pickle_by_global_name
    property show_flag_values verify
faulthandler: dump_c_stack
fractions: gcd
functools: Placeholder cache
gc: is_finalized
gettext: bind_textdomain_codeset ldgettext ldngettext lgettext lngettext
glob: translate
hashlib: file_digest
heapq: heapify_max heappop_max heappush_max heappushpop_max heapreplace_max
http: HTTPMethod
http.server: CGIHTTPRequestHandler HTTPSServer ThreadingHTTPSServer
importlib: find_loader
importlib.abc: Finder ResourceReader Traversable TraversableResources
importlib.machinery: AppleFrameworkLoader NamespaceLoader NamespacePath
importlib.metadata: MetadataNotFound PackageMetadata SimplePath packages_distributions
importlib.resources: Anchor Resource ResourceReader as_file contents files is_resource open_binary open_text path
    read_binary read_text
importlib.util: module_for_loader set_loader set_package
inspect: AGEN_CLOSED AGEN_CREATED AGEN_RUNNING AGEN_SUSPENDED ArgSpec BufferFlags CO_HAS_DOCSTRING CO_METHOD
    ClassFoundException formatargspec get_annotations getargspec getasyncgenlocals getasyncgenstate getmembers_static
    ismethodwrapper ispackage markcoroutinefunction
io: Reader Writer text_encoding
itertools: batched ifilter ifilterfalse imap izip izip_longest pairwise
keyword: issoftkeyword softkwlist
locale: format getdefaultlocale getencoding localize resetlocale
logging: getHandlerByName getHandlerNames getLevelNamesMapping
math: cbrt exp2 fma fmax fmin integer isnormal issubnormal lcm nextafter signbit sumprod ulp
mimetypes: guess_file_type
operator: call is_none is_not_none
os: eventfd getcwdu pidfd_open process_cpu_count reload_environ splice unshare waitstatus_to_exitcode
os.path: ALLOW_MISSING ALL_BUT_LAST isdevdrive isjunction splitroot
pathlib: UnsupportedOperation
pdb: get_default_backend set_default_backend
pkgutil: ImpImporter ImpLoader find_loader get_loader resolve_name
platform: AndroidVer IOSVersionInfo android_ver dist freedesktop_os_release invalidate_caches ios_ver java_ver
    linux_distribution popen
plistlib: Data readPlist readPlistFromBytes writePlist writePlistToBytes
pstats: FunctionProfile StatsProfile
pty: master_open slave_open
queue: ShutDown
random: binomialvariate randbytes
re: NOFLAG PatternError TEMPLATE prefixmatch template
shelve: ShelveError
shutil: ExecError
site: gethistoryfile register_readline
socket: recv_fds send_fds
sqlite3: Blob OptimizedUnicode enable_shared_cache
ssl: RAND_pseudo_bytes get_sigalgs match_hostname wrap_socket
statistics: LinearRegression correlation covariance fmean kde kde_random linear_regression
string: letters lowercase maketrans uppercase
sunau: openfp
symtable: SymbolTableType
sys: abi_info activate_stack_trampoline callstats deactivate_stack_trampoline exception get_lazy_imports
    get_lazy_imports_filter getcheckinterval is_remote_debug_enabled is_stack_trampoline_active maxint orig_argv remote_exec
    set_coroutine_wrapper set_lazy_imports set_lazy_imports_filter setcheckinterval stdlib_module_names unraisablehook
tarfile: LinkFallbackError
termios: tcgetwinsize tcsetwinsize
threading: concurrent_tee getprofile gettrace serialize_iterator setprofile_all_threads settrace_all_threads
    synchronized_iterator
time: clock
token: ASYNC AWAIT EXCLAMATION FSTRING_END FSTRING_MIDDLE FSTRING_START SOFT_KEYWORD TSTRING_END TSTRING_MIDDLE
    TSTRING_START
tokenize: ASYNC AWAIT EXCLAMATION FSTRING_END FSTRING_MIDDLE FSTRING_START SOFT_KEYWORD TSTRING_END TSTRING_MIDDLE
    TSTRING_START
tracemalloc: reset_peak
tty: cfmakecbreak cfmakeraw
types: CapsuleType EllipsisType FrameLocalsProxyType GenericAlias LazyImportType NoneType NotImplementedType UnionType
    get_original_bases
typing: Annotated ByteString Concatenate Final Literal LiteralString Never NoDefault NoExtraItems NotRequired ParamSpec
    ParamSpecArgs ParamSpecKwargs Protocol ReadOnly Required Self SupportsIndex TypeAlias TypeAliasType TypeForm TypeGuard
    TypeIs TypeVarTuple TypedDict Unpack assert_never assert_type clear_overloads dataclass_transform disjoint_base
    evaluate_forward_ref final get_args get_origin get_overloads get_protocol_members is_protocol is_typeddict
    no_type_check_decorator override reveal_type runtime_checkable
unicodedata: block extended_pictographic grapheme_cluster_break indic_conjunct_break isxidcontinue isxidstart iter_graphemes
unittest: IsolatedAsyncioTestCase doModuleCleanups enterModuleContext findTestCases getTestCaseNames makeSuite
unittest.mock: ThreadingMock
urllib.request: FancyURLopener URLopener
uuid: uuid6 uuid7 uuid8
warnings: deprecated
wave: WAVE_FORMAT_EXTENSIBLE WAVE_FORMAT_IEEE_FLOAT openfp
xml: is_valid_name is_valid_text
xml.etree.ElementTree: VERSION canonicalize indent
zipfile: ZIP_ZSTANDARD
zlib: adler32_combine crc32_combine
zoneinfo: available_timezones
"""
def changed_names(words):
    names = {}
    for line in words.replace("\n    ", " ").strip().splitlines():
        module, _colon, rest = line.partition(":")
        names[module] = frozenset(rest.split())
    modules = {}
    for module, of_module in names.items():
        for name in of_module:
            modules.setdefault(name, []).append(module)
    return names, modules
CHANGED, MODULES_WITH = changed_names(CHANGED_WORDS)
NAMES = frozenset(MODULES_WITH)
WAYS = {}
PARTS = frozenset(part.encode("ascii") for module in CHANGED for part in module.split("."))
WORDS = rb"[\w\x80-\xff]+"
SETS_BY_NAME = re.compile(rb"setattr\(\s*(%s)[\w.\x80-\xff]*\s*,\s*[\"']" % WORDS)
ALIAS = re.compile(rb"as(?<=[\s\\]as)[\s\\]+(%s)" % WORDS)
WORD_BEFORE = re.compile(rb"(\w+)[\s\\]+\Z")
REST = rb"((?:[\s\\)]*\.[\s\\]*%s)+)(\s*[(\[]|[ \t]+(?:as|import)\b)?" % WORDS
BETWEEN_PARTS = b" \t\n\r\f\v\\)"
FAR = 80
INSIDE = re.compile(rb"[\w.\x80-\xff]")
WORD = re.compile(WORDS)
def may_use(data: bytes, names: "frozenset[str]") -> bool:
    if "setattr" in names and SETS_BY_NAME.search(data) is not None and not names.isdisjoint(CHANGED):
        return True
    may_take = {}
    ways = [way for name in NAMES & names for way in ways_to_use(name)]
    return any(is_way(way, data, may_take) for way in ways if way[0] in names or (way[1] and names.issuperset(way[1])))
def is_way(way, data, may_take):
    _module, _parts, dotted, renamed = way
    if renamed not in may_take:
        may_take[renamed] = renamed[:-4] + b"." in data
        if renamed in data:
            return True
    return may_take[renamed] and dotted in data
def ways_to_use(name):
    ways = WAYS.get(name)
    if ways is None:
        ways = WAYS[name] = []
        for module in MODULES_WITH[name]:
            parts = module.split(".")
            last = parts[-1].encode("ascii")
            dotted = last + b"." + name.encode("ascii")
            ways.append((module, parts if len(parts) > 1 else (), dotted, last + b" as "))
    return ways
def uses_of(module):
    data, names = module.data, module.names
    aliases = dict(module_aliases(data))
    words = {name.encode("utf-8") for name in names}
    modules = PARTS & words.union(name.partition(b".")[0] for name in words) | set(aliases)
    setting = {match.group(1) for match in SETS_BY_NAME.finditer(data)} & modules if "setattr" in names else set()
    are_set = stored_names(module.codes, modules)
    wanted = wanted_owners(NAMES & names)
    if not are_set:
        owners = parts_of_modules(NAMES & names)
        modules = {word for word in modules if aliases.get(word, word) in owners}
    uses = []
    for start, word, parts, is_taken in dotted_names(data, modules):
        if parts[-1] in are_set and not is_taken:
            setting.add(word)
        if any(owner in wanted.get(part, ()) for owner, part in zip([aliases.get(word, word)] + parts, parts)):
            uses.append((start, word.decode("utf-8")))
    return None if setting else uses, setting.union(word.encode("utf-8") for _start, word in uses)
def parts_of_modules(names):
    modules = {module for name in names for module in MODULES_WITH[name]}
    return {part.encode("ascii") for module in modules for part in module.split(".")}
def wanted_owners(names):
    return {
        name.encode("ascii"): {module.rpartition(".")[2].encode("ascii") for module in MODULES_WITH[name]}
        for name in names
    }
def module_aliases(data):
    for match in ALIAS.finditer(data):
        start = match.start()
        before = WORD_BEFORE.search(data[max(0, start - FAR) : start])
        if before is not None and before.group(1) in PARTS:
            yield match.group(1), before.group(1)
def dotted_names(data, modules):
    together = data.translate(None, BETWEEN_PARTS)
    for module in modules:
        if module + b"." in together:
            for match in re.finditer(re.escape(module) + REST, data):
                start = match.start()
                if not start or not INSIDE.match(data, start - 1):
                    yield start, module, WORD.findall(match.group(1)), match.group(2)
def stored_names(codes, words):
    names = set()
    for code in codes:
        stores = operands_of(code, SETS)
        if stores:
            imports = IMPORT in code.co_code[::2]
            others = [not imports or name.encode("utf-8") not in words for name in code.co_varnames]
            names.update(name for name, at in stores if not is_of_local(code.co_code, at, others))
    return {name.encode("utf-8") for name in names}
def is_of_local(text, offset, others):
    at = offset - 2
    while at > 0 and text[at] in (CACHE, EXTENDED):
        at -= 2
    if at < 0 or text[at] not in LOADS_LOCAL:
        return False
    number = text[at + 1] & (15 if text[at] in LOADS_TWO else 255)
    return (at < 2 or text[at - 2] != EXTENDED) and number < len(others) and others[number]
NAMELESS = frozenset(
    (ast.Attribute, ast.Constant, ast.Call, ast.keyword, ast.Expr, ast.Assign, ast.If, ast.Return, ast.arguments)
)
class AttributeReader:
    def __init__(self, modules, has_late_annotations, wanted=CHANGED):
        self.rows = []
        self._wanted = wanted
        self._modules = modules
        self._has_late_annotations = has_late_annotations
        self._seen = set()
    def taken_in(self, attributes):
        return [node.lineno for node in attributes if node.attr in CHANGED.get(self._module_of(node.value), ())]
    def patched(self, nodes, attributes):
        return sorted(set(self._assigned(attributes)).union(self._set(nodes)))
    def _assigned(self, attributes):
        for node in attributes:
            module = self._module_of(node.value) if isinstance(node.ctx, ast.Store) else ""
            if module in CHANGED:
                yield module + "." + node.attr
    def _set(self, nodes):
        for node in nodes:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
                names = [item.value for item in node.args[1:2] if isinstance(item, ast.Constant)]
                module = self._module_of(node.args[0]) if names else ""
                if module in CHANGED:
                    yield module + "." + str(names[0])
    def read(self, statement, place, block, test):
        if isinstance(statement, ast.Assert):
            block = block.inside("conditional")
        pending = [(node, block) for node in self._expressions(statement, block)]
        while pending:
            node, around = pending.pop()
            if isinstance(node, ast.Attribute):
                self._attribute(node, place, around)
            pending += ((part, around.inside(guard) if guard else around) for part, guard in parts_of(node, test))
    def _expressions(self, statement, block):
        if type(statement).__name__ == "TypeAlias":
            return
        late = self._has_late_annotations
        waiting = [getattr(statement, "returns", None)] if late else []
        if isinstance(statement, ast.AnnAssign) and (block.late or late):
            waiting.append(statement.annotation)
        if isinstance(statement, ast.Assert):
            waiting.append(statement.msg)
        for node in ast.iter_child_nodes(statement):
            if isinstance(node, ast.arguments):
                for value in node.defaults + node.kw_defaults + ([] if late else annotations_of(node)):
                    if value is not None:
                        yield value
            elif isinstance(node, (ast.expr, ast.keyword, ast.withitem)) and node not in waiting:
                yield node
    def _attribute(self, node, place, block):
        if not isinstance(node.ctx, ast.Load):
            return
        module = self._module_of(node.value)
        if node.attr in self._wanted.get(module, ()):
            line, column = place(node)
            key = (module, node.attr, block.late, block.guard)
            if key not in self._seen:
                self._seen.add(key)
                self.rows.append([line, column, module, node.attr, block.guard, block.late])
    def _module_of(self, node):
        if isinstance(node, ast.Name):
            return self._modules.get(node.id, "")
        if isinstance(node, ast.Attribute):
            parent = self._module_of(node.value)
            return parent + "." + node.attr if parent else ""
        return ""
def annotations_of(arguments):
    listed = getattr(arguments, "posonlyargs", []) + arguments.args + arguments.kwonlyargs
    return [item.annotation for item in listed + [arguments.vararg, arguments.kwarg] if item is not None]
def has_future(tree):
    return any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(alias.name == "annotations" for alias in node.names)
        for node in tree.body
    )
def module_names(nodes):
    imported = {}
    other = set()
    for node in nodes:
        kind = type(node)
        if kind is ast.Name:
            if type(node.ctx) is not ast.Load:
                other.add(node.id)
        elif kind is ast.Import:
            for alias in node.names:
                top = alias.name.partition(".")[0]
                note(imported, other, alias.asname or top, alias.name if alias.asname else top)
        elif kind is ast.ImportFrom:
            note_names(imported, other, node)
        elif kind not in NAMELESS:
            other.update(names_bound(node))
    return {name: module for name, module in imported.items() if name not in other and "*" not in other}
def note_names(imported, other, node):
    base = "" if node.level or not node.module else node.module + "."
    for alias in node.names:
        if base and base + alias.name in CHANGED:
            note(imported, other, alias.asname or alias.name, base + alias.name)
        else:
            other.add(alias.asname or alias.name)
def note(imported, other, name, module):
    if imported.setdefault(name, module) != module:
        other.add(name)
def names_bound(node):
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    if isinstance(node, ast.arg):
        return (node.arg,)
    fields = [field for field in ("name", "rest") if field in node._fields]
    if not fields or isinstance(node, ast.alias):
        return ()
    names = [getattr(node, field, None) for field in fields]
    return [name for name in names if isinstance(name, str)]
''',
    'buildguard.remote.import_codes': r'''import ast
import re
import sys
from bisect import bisect_right
from buildguard.remote.evaluated_types import runs_at_once
from buildguard.remote.import_outline import BLOCK_START, CONTINUATION, has_other_caller
from buildguard.remote.import_paths import may_change_paths
from buildguard.remote.module_code import (
    CODE,
    EXTENDED,
    FUNCTION,
    IMPORT,
    IMPORT_FROM,
    OPERATIONS,
    RAISE,
    RETURNS,
    UnclearImportError,
    codes_and_names,
    constants_before,
    extended_argument,
    line_table,
    lines_at,
    operands,
    operands_of,
)
IMPORT_LINE = re.compile(
    rb"[ \t]*(?:import[ \t]+|(from)[ \t]+(\.*)[ \t]*)([A-Za-z0-9_.]*)[^;#\n]*(?:#[^\n]*)?(?:\n|\Z)"
)
HEADERS = rb"(?:if|elif|else|for|while|with|try|except|finally|match|case|async|class|def)\b"
HEADER = re.compile(rb"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+([A-Za-z0-9_]+)[^\n]*\n", re.MULTILINE)
EXPORTS = re.compile(rb"__all__[ \t]*=[ \t]*([\[(])([^\])#]*)[\])][ \t]*(?:\n|\Z)")
QUOTED = re.compile(rb"([\"'])([A-Za-z0-9_.]+)\1\Z")
CALLERS = frozenset(("import_module", "__import__"))
ENDING = frozenset(("exit", "quit", "_exit"))
ENDING_WORD = re.compile(rb"(?:exit|quit)\b([\s\\]+as\b)?")
LOAD, ATTRIBUTE = OPERATIONS["LOAD_NAME"], OPERATIONS["LOAD_ATTR"]
SHIFT = int(OPERATIONS.get("LOAD_METHOD", 256) > 255)
METHOD = ATTRIBUTE if SHIFT else OPERATIONS["LOAD_METHOD"]
TAKES = [bytes([LOAD, operation]) for operation in {ATTRIBUTE, METHOD, EXTENDED}]
TAKING = frozenset((0, EXTENDED, ATTRIBUTE, METHOD))
BETWEEN = frozenset(
    [EXTENDED, IMPORT_FROM] + [OPERATIONS[name] for name in ("SWAP", "ROT_TWO", "POP_TOP") if name in OPERATIONS]
)
STANDARD = frozenset(getattr(sys, "stdlib_module_names", ()))
def plain_reader(module):
    data, names = module.data, module.names
    if b"\r" in data or module.imports is None or may_change_paths(data, names):
        return None
    if not CALLERS.isdisjoint(names) and has_other_caller(data):
        return None
    if not ENDING.isdisjoint(names) and any(match.group(1) for match in ENDING_WORD.finditer(data)):
        return None
    return PlainReader(module)
def plain_exports(data, bound):
    at = data.find(b"__all__")
    match = EXPORTS.match(data, at) if at == 0 or data[at - 1 : at] == b"\n" else None
    if match is None or data.count(b"__all__") > 1 or data.count(b"\n", 0, at) + 1 != bound.get("__all__"):
        return None
    texts = [item.strip() for item in match.group(2).split(b",")]
    if match.group(1) == b"(" and len(texts) == 1:
        return None
    names = [QUOTED.match(text) for text in texts[: None if texts[-1] else -1]]
    return None if None in names else [name.group(2).decode("ascii") for name in names]
def literal_names(node):
    if not isinstance(node, (ast.List, ast.Tuple)):
        return None
    names = [item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return names if len(names) == len(node.elts) else None
class ExportReader:
    def __init__(self):
        self._names = []
        self._is_known = False
        self._count = 0
        self.is_guarded = False
    def names(self, module):
        return self._names if self._is_known and module.changes_of("__all__", True) <= self._count else None
    def assign(self, node, guard):
        self._count += 1
        if guard == "false":
            return
        names = literal_names(node.value)
        adds = isinstance(node, ast.AugAssign)
        self.is_guarded = self.is_guarded or bool(guard)
        self._set(None if guard or (adds and not self._is_known) else names, adds)
    def call(self, name, call, guard):
        if guard == "false":
            return
        argument = call.args[0] if len(call.args) == 1 else None
        names = literal_names(argument) if name == "__all__.extend" else None
        if name == "__all__.append" and isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            names = [argument.value]
        self.is_guarded = self.is_guarded or bool(guard)
        self._set(None if guard or not self._is_known else names, True)
    def _set(self, names, adds):
        self._is_known = names is not None
        self._names = self._names + names if adds and names is not None else names or []
class PlainReader:
    def __init__(self, module):
        self.module = module
        self._data = module.data
        self.start_of = module.lines.start_of
        self._holding = module.holding_imports() if may_nest_imports(module.data) else ()
    def read_blocks(self):
        blocks = {}
        if RAISE in self.module.operations:
            return blocks
        for line, item in self.blocks(self.module.code):
            if not CALLERS.isdisjoint(self.module.names) and not CALLERS.isdisjoint(codes_and_names(item)[1]):
                continue
            begin = self.start_of(line)
            try:
                self.margin_of(begin, 0, None)
                blocks[line] = self.read(item, bool(item.co_flags & FUNCTION), self.body_of(item, begin))
            except UnclearImportError:
                continue
        return blocks
    def items(self):
        code, line_at = self.module.code, self.module.line_at
        items = [(line_at(at), (name,) + constants_before(code, at)) for name, at in self.module.imports]
        if self._holding:
            items += self.blocks(code)
            items.sort(key=first_of)
        return items
    def read(self, code, late, body):
        imports, last = statements_of(code)
        items = sorted(imports + list(self.blocks(code)), key=first_of)
        check_order(code, items, last)
        rows = []
        margin = None
        for line, item in items:
            begin = self.start_of(line)
            margin = self.margin_of(begin, margin, body)
            rows += self.rows_of(line, item, begin, margin, late)
            body = begin
        return rows
    def rows_of(self, line, item, begin, margin, late):
        if type(item) is CODE:
            return self.read(item, late or bool(item.co_flags & FUNCTION), self.body_of(item, begin))
        if not self._data.startswith(plain_line(*item), begin + margin):
            self._check_written(item, begin)
        return [import_row(line, margin + 1, item, late)]
    def margin_of(self, begin, margin, body=None):
        width = self._end_of_margin(begin) - begin
        if margin is not None and width != margin:
            raise UnclearImportError
        if body and width and self._has_header(body - 1, begin, width):
            raise UnclearImportError
        if self._data[begin - 2 : begin] == CONTINUATION:
            raise UnclearImportError
        return width
    def _has_header(self, start, stop, width):
        data = self._data
        starts = (b"\n" + b" " * width, b"\n" + b" " * (width - 4) + b")", b"\n\n")
        if data.count(b"\n", start, stop) == 1 + sum([data.count(text, start, stop) for text in starts]):
            return False
        return header_before(width).search(data, start, stop) is not None
    def _end_of_margin(self, begin):
        stop = self._data.find(b"\n", begin)
        line = self._data[begin : stop if stop >= 0 else None]
        return begin + len(line) - len(line.lstrip(b" \t"))
    def _check_written(self, item, begin):
        module, names, _level = item
        match = IMPORT_LINE.match(self._data, begin)
        if match is None or bool(match.group(1)) != isinstance(names, tuple):
            raise UnclearImportError
        if names is not None and match.group(3).decode("ascii") != (module or "import"):
            raise UnclearImportError
    def blocks(self, code):
        if not self._holding:
            return
        for item in code.co_consts:
            if type(item) is CODE and id(item) in self._holding:
                yield item.co_firstlineno, item
    def body_of(self, code, begin):
        header = HEADER.search(self._data, begin)
        is_block = BLOCK_START.match(self._data, self._end_of_margin(begin))
        if header is None or not is_block or header.group(1) != code.co_name.encode():
            raise UnclearImportError
        return header.end()
def plain_line(module, names, level):
    if names is None:
        return ("import %s\n" % module).encode("utf-8")
    return ("from %s%s import %s\n" % ("." * level, module, ", ".join(names))).encode("utf-8")
def import_row(line, column, item, late):
    module, names, level = item
    if names is None:
        return [line, column, "import", module, [], 0, "", late, False]
    return [line, column, "from", module, list(names), level, "", late, False]
def statements_of(code):
    imports = operands_of(code, IMPORT)
    lines = lines_at(code, [at for _name, at in imports])
    items = [(line, (name,) + constants_before(code, at)) for line, (name, at) in zip(lines, imports)]
    return items, imports[-1][1] if imports else 0
def check_order(code, items, last):
    if not items:
        return
    if not ENDING.isdisjoint(code.co_names):
        raise UnclearImportError
    operations = code.co_code[::2]
    ends = [RAISE]
    if code.co_flags & FUNCTION:
        line, item = items[-1]
        if type(item) is CODE:
            starts, numbers = line_table(code)
            last = starts[numbers.index(line)] if line in numbers else len(code.co_code)
        operations = operations[: last // 2]
        ends += RETURNS
    if any(end in operations for end in ends):
        raise UnclearImportError
def may_nest_imports(data):
    at = data.find(b"import")
    while at >= 0:
        start = data.rfind(b"\n", 0, at) + 1
        before = data[start:at]
        if before and not before.startswith((b"from", b"#")):
            return True
        if b";" in before or b":" in before:
            return True
        at = data.find(b"import", at + 6)
    return False
def first_of(pair):
    return pair[0]
def header_before(width):
    return re.compile(rb"\n[ \t\f]{0,%d}%s" % (width - 1, HEADERS))
def module_uses(module):
    uses = uses_by_name(module) if module.imports else {}
    rows = []
    places = [place for _module, place in module.imports] if uses else ()
    try:
        for name, offset in module.stores if uses else ():
            origin = import_of(module, places, name, offset) if name in uses else None
            if origin is not None:
                rows.append([name] + origin + [uses.pop(name)])
    except UnclearImportError:
        return []
    return rows
def uses_by_name(module):
    uses = {}
    add_uses(module.code, (module.starts, module.numbers), uses)
    bound = {name for name, _offset in module.stores}
    for item in module.code.co_consts:
        if type(item) is CODE and runs_at_once(item) and not bound.isdisjoint(item.co_names):
            add_uses(item, None, uses)
    return uses
def add_uses(code, lines, uses):
    text, names = code.co_code, code.co_names
    operations = text[::2]
    starts = places_of_takes(operations)
    if starts:
        offsets, numbers = lines or line_table(code)
        for start in starts:
            dotted = ".".join([names[part] for part in taken_parts(text, operations, start + 1)])
            line = numbers[bisect_right(offsets, 2 * start) - 1]
            if dotted:
                uses.setdefault(names[argument_at(text, start)], {}).setdefault(dotted, line)
def places_of_takes(operations):
    places = []
    for pair in TAKES:
        at = operations.find(pair)
        while at >= 0:
            places.append(at)
            at = operations.find(pair, at + 1)
    return sorted(places) if len(places) > 1 else places
def taken_parts(text, operations, at):
    parts = []
    while operations[at] in TAKING:
        if operations[at] in (ATTRIBUTE, METHOD):
            parts.append(argument_at(text, at) >> SHIFT)
        at += 1
    return parts
def argument_at(text, number):
    argument = text[2 * number + 1]
    return argument | extended_argument(text, 2 * number) if number and text[2 * number - 2] == EXTENDED else argument
def import_of(module, places, name, offset):
    at = module.filled_at(offset)
    number = bisect_right(places, at) - 1
    if number < 0:
        return None
    dotted, place = module.imports[number]
    names, level = constants_before(module.code, place)
    if not level and dotted.partition(".")[0] in STANDARD:
        return None
    if names is not None:
        parts = operands(module.code, module.operations, IMPORT_FROM)
        return next(([level, dotted, part] for part, of_part in parts if of_part == at), None)
    if at == place and name == dotted.partition(".")[0]:
        return [0, name, ""]
    if not BETWEEN.issuperset(module.operations[place // 2 + 1 : offset // 2]):
        return None
    package, _dot, last = dotted.rpartition(".")
    return [0, package, last] if package else [0, dotted, ""]
''',
    'buildguard.remote.import_reader': r'''import ast
import itertools
import re
from bisect import bisect_right
from buildguard.remote.evaluated_types import COMPREHENSIONS, parts_of, parts_of_comprehension
from buildguard.remote.import_codes import CALLERS, ENDING, ExportReader
from buildguard.remote.import_outline import (
    CallLines,
    are_in,
    first_line,
    is_main_test,
    lines_with,
    may_decide,
    tree_of_piece,
)
from buildguard.remote.import_paths import PATH_WORDS, names_paths
from buildguard.remote.import_tests import ENDS, GUARDS, PASSING, UnknownValue
CALLS = ("importlib.import_module", "importlib.__import__", "__import__", "builtins.__import__")
EXPRESSIONS = (ast.expr, ast.withitem, ast.keyword, ast.arguments)
EXPORT_CALLS = tuple("__all__." + word for word in ("extend", "append", "remove", "insert", "pop", "clear"))
IMPORTING = (ast.Import, ast.ImportFrom)
SAID = (b"import", b"__all__")
MOST_LINES = 20
CATCHES_TYPES = frozenset({"TypeError", "Exception", "BaseException"})
CATCHES_ATTRIBUTES = frozenset({"AttributeError", "Exception", "BaseException"})
CATCHES_OTHERS = frozenset({"AttributeError", "NameError", "TypeError"})
STAYS_CONDITIONAL = ({"conditional", "main"}, {"conditional", "imported"})
ERRORS = frozenset({"error", "timeout", "herror", "gaierror"})
SWALLOWING = re.compile("(?i)suppress|ignor|option|catch|try|safe|allow|skip|swallow|silen|toler|handle|guard")
def is_own_package(call):
    values = call.args[1:] + [keyword.value for keyword in call.keywords if keyword.arg == "package"]
    return len(values) == 1 and isinstance(values[0], ast.Name) and values[0].id in ("__package__", "__name__")
def stronger(first, second):
    both = {first, second}
    if both == {"imported", "main"}:
        return "false"
    return "conditional" if both in STAYS_CONDITIONAL else max(first, second, key=GUARDS.index)
def expressions_of(statement):
    return [item for item in ast.iter_child_nodes(statement) if isinstance(item, EXPRESSIONS)]
class ImportBlock:
    tries = ()
    outside = ""
    def __init__(self, guard="", late=False, model=False, caught=False, local=False, absent=False):
        self.absent = absent
        self.guard = guard
        self.late = late
        self.model = model
        self.caught = caught
        self.local = local or late
    def inside(self, guard):
        block = ImportBlock(stronger(self.guard, guard), self.late, self.model, self.caught, self.local, self.absent)
        return block.after_tries(self.tries, stronger(self.outside, guard)) if self.tries else block
    def after(self, end, lines):
        block = self.inside("handler")
        return block.after_tries(self.tries + ((end, lines),), self.outside if self.tries else self.guard)
    def after_tries(self, tries, outside):
        self.tries, self.outside = tries, outside
        return self
    def later(self):
        inner = ImportBlock("" if self.guard in ("except", "module-only") else self.guard, late=True)
        return inner.after_tries(self.tries, self.outside)
    @property
    def runs(self):
        return not self.late and not self.caught and self.guard in ("", "conditional", "main", "imported")
class FactReader:
    needed = None
    wanted = ()
    def __init__(self, data, names, values):
        self.imports = []
        self.handlers = []
        self.paths = None
        self.exports = ExportReader()
        self.types = None
        self.attributes = None
        self.values = values
        self._data = data
        self._lines = None
        self._before = 0
        self.count = 0
        self.modules = set()
        self._calls = None if CALLERS.isdisjoint(names) else CallLines(data)
        self._has_exits = not ENDING.isdisjoint(names)
    def read(self, tree):
        self._body(tree.body, ImportBlock())
    def need(self, text):
        if b"\r" not in text and (self.paths is None or names_paths(text)):
            words = SAID if self.paths is None else SAID + PATH_WORDS
            calls = self._calls.lines if self._calls is not None else []
            self.needed = sorted([*lines_with(words, text, self._before), *calls, *self.wanted])
    def _needs(self, node):
        return self.needed is None or are_in(self.needed, node, self._before)
    def read_piece(self, line, text, is_inner, trees):
        self._data, self._lines, self.needed = text, None, None
        self._before = line - 1 - is_inner
        if self.attributes is not None or b"def" in text or b"class" in text:
            self.need(text)
        last = 0 if self.needed is None else self._last_needed(text.count(b"\n"))
        tree = tree_of_piece(text, last, is_inner, trees)
        if is_inner:
            return self._body(tree.body[0].body, ImportBlock(local=True))
        return self._body(tree.body, ImportBlock())
    def _body(self, body, block):
        ended = ""
        for node in body:
            if ended:
                block = block.inside(ended)
            end = self._statement(node, block)
            ended = stronger(ended, end) if end else ended
        return ended
    def _statement(self, node, block):
        if block.local and self.paths is None and not self._needs(node) and not may_decide(node, self._has_exits):
            return ""
        read = READERS.get(type(node))
        if read is not None:
            return getattr(self, read)(node, block)
        self._expressions(node, block)
        return ""
    def _expressions(self, node, block):
        if self.types is not None and block.runs:
            self.types.read(node, self._place, block.guard, block.model)
        if self.attributes is not None and not block.absent and self._needs(node):
            self.attributes.read(node, self._place, block, self.values.test)
        if self.paths is not None and block.guard != "false" and self._needs(node):
            self.paths.read(node, expressions_of(node))
        if self._calls is not None and self._calls.are_in(node, self._before):
            for expression in expressions_of(node):
                self._calls_in(expression, block)
    def _calls_in(self, expression, block):
        pending = [(expression, block)]
        for node, around in pending:
            if isinstance(node, ast.Call):
                self._call(node, around)
            if isinstance(node, ast.Lambda):
                pending += [(node.args, around), (node.body, around.later())]
            elif isinstance(node, COMPREHENSIONS):
                once, each = parts_of_comprehension(node)
                pending.append((once, around))
                inner = around.inside("conditional")
                pending += [(part, inner) for part in each]
            else:
                parts = parts_of(node, self.values.test)
                pending += [(part, around.inside(guard) if guard else around) for part, guard in parts]
    def _import(self, node, block):
        self.values.see_import(node)
        self.count += len(node.names)
        self.modules.update(alias.name for alias in node.names)
        for alias in node.names:
            self._add(node, "import", alias.name, [], 0, block)
    def _import_from(self, node, block):
        self.values.see_import_from(node)
        if self.types is not None:
            self.types.see_import_from(node)
        self.count += 1
        self.modules.add(node.module or "")
        self._add(node, "from", node.module or "", [alias.name for alias in node.names], node.level or 0, block)
    def _call(self, node, block):
        name = self.values.dotted(node.func)
        if name not in CALLS or not node.args or not isinstance(node.args[0], ast.Constant):
            return
        text = node.args[0].value
        if not isinstance(text, str) or not text:
            return
        module = text.lstrip(".")
        level = len(text) - len(module)
        if level and not (name == CALLS[0] and len(node.args) + len(node.keywords) > 1 and is_own_package(node)):
            return
        self._add(node, "call", module, [], level, block)
    def _add(self, node, form, module, names, level, block):
        line, column = self._place(node)
        lazy = bool(getattr(node, "is_lazy", False))
        self.imports.append([line, column, form, module, names, level, block.guard, block.late, lazy])
        if block.tries and block.guard == "handler":
            self.handlers.append([line, column, block.outside, list(map(list, block.tries))])
    def _place(self, node):
        column = node.col_offset
        if column and self._lines is None:
            self._lines = [] if self._data.isascii() else re.split(rb"\r\n|\r|\n", self._data)
        if column and node.lineno <= len(self._lines):
            column = len(self._lines[node.lineno - 1][:column].decode("utf-8", "replace"))
        return node.lineno + self._before, column + 1
    def _function(self, node, block):
        if not self._needs(node):
            return ""
        self._expressions(node, block)
        scope = self.values.scope()
        outer = None if self.paths is None else self.paths.enter(node)
        self._body(self._needed_of(node), block.later())
        if self.paths is not None:
            self.paths.leave(outer)
        self.values.leave(scope)
        return ""
    def _needed_of(self, function):
        if self.needed is None:
            return function.body
        last = self._last_needed(function.end_lineno)
        return list(itertools.takewhile(lambda item: first_line(item) <= last, function.body))
    def _last_needed(self, line):
        at = bisect_right(self.needed, line + self._before)
        return self.needed[at - 1] - self._before if at else 0
    def _class(self, node, block):
        self._expressions(node, block)
        is_model = self.types is not None and self.types.is_model(node)
        inner = ImportBlock(block.guard, block.late, is_model, block.caught, True, block.absent)
        outer = None if self.types is None else self.types.enter_class()
        self._body(node.body, inner.after_tries(block.tries, block.outside))
        if self.types is not None:
            self.types.leave_class(outer)
        return ""
    def _if(self, node, block):
        self._expressions(node, block)
        if is_main_test(node.test):
            ended = self._body(node.body, block.inside("main"))
            self._body(node.orelse, block.inside("conditional"))
            return "imported" if ended else ""
        value = self.values.test(node.test)
        if isinstance(value, UnknownValue):
            guard = "tested" if value.tested else "conditional"
            first = self._body(node.body, block.inside(guard))
            second = self._body(node.orelse, block.inside(guard))
            return min(first, second, key=GUARDS.index)
        first = self._body(node.body, block if value else block.inside("false"))
        second = self._body(node.orelse, block.inside("false") if value else block)
        return first if value else second
    def _loop(self, node, block):
        self._expressions(node, block)
        self._body(node.body, block.inside("conditional"))
        self._body(node.orelse, block.inside("conditional"))
        return ""
    def _with(self, node, block):
        self._expressions(node, block)
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and self.values.dotted(call.func) in ("contextlib.suppress", "suppress"):
                block = block.inside(self.values.caught(call.args))
                block.absent = block.absent or any(self.values.dotted(node) in CATCHES_ATTRIBUTES for node in call.args)
            elif self._may_swallow(call):
                block = block.inside("conditional")
        self._body(node.body, block)
        return ""
    def _may_swallow(self, manager):
        function = manager.func if isinstance(manager, ast.Call) else manager
        if self.values.dotted(function) in PASSING:
            return False
        return not isinstance(function, ast.Attribute) or SWALLOWING.search(function.attr) is not None
    def _match(self, node, block):
        self._expressions(node, block)
        for case in node.cases:
            self._body(case.body, block.inside("conditional"))
        return ""
    def _try(self, node, block):
        caught = self.values.caught_by(node.handlers, block.late)
        body = self._tried(node, block, caught or self._perhaps_caught(node.handlers))
        count = len(self.imports)
        ended = self._guarded(node, body)
        has_imports = len(self.imports) > count
        lines = self._first_lines(node) if caught else []
        other = "handler" if caught else "conditional"
        for handler, end in zip(node.handlers, self._ends_of(node.handlers, lines)):
            instead = block.after(end, lines) if end else block.inside(other)
            instead.absent = body.absent
            self._body(handler.body, instead)
        guard = "" if not caught else "handler" if has_imports else "conditional"
        works = lines and len(lines) == len(node.body)
        self._body(node.orelse, block.after("works", lines) if works else block.inside(guard))
        return self._body(node.finalbody, block) or ("" if node.handlers else ended)
    def _tried(self, node, block, guard):
        if guard:
            self.values.see_names(node)
        body = block.inside(guard)
        body.caught = block.caught or self.values.catches(node.handlers, CATCHES_TYPES)
        body.absent = block.absent or self.values.catches(node.handlers, CATCHES_ATTRIBUTES)
        return body
    def _perhaps_caught(self, handlers):
        for handler in filter(self.values.goes_on, handlers):
            types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            if any(map(self._may_be_raised, types)):
                return "conditional"
        return ""
    def _may_be_raised(self, node):
        name = self.values.dotted(node).rpartition(".")[2]
        is_class = name[:1].isupper() and not name.isupper()
        return name in CATCHES_OTHERS or not (is_class or name in ERRORS)
    def _first_lines(self, node):
        first = itertools.takewhile(lambda item: isinstance(item, IMPORTING), node.body[:MOST_LINES])
        return [item.lineno + self._before for item in first]
    def _ends_of(self, handlers, lines):
        is_taken = not lines
        for handler in handlers:
            types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
            caught = "" if is_taken else self.values.caught(types)
            is_taken = is_taken or bool(caught)
            yield {"except": "fails", "module-only": "lacks"}.get(caught, "")
    def _guarded(self, node, body):
        first = 1 + next((at for at, item in enumerate(node.body) if not isinstance(item, IMPORTING)), len(node.body))
        ended = self._body(node.body[:first], body)
        return self._body(node.body[first:], body.inside("conditional" if node.handlers else "")) or ended
    def _assign(self, node, block):
        self._expressions(node, block)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name) and target.id == "__all__" and not block.local:
                self.exports.assign(node, block.guard)
        if not block.local and node.value is not None and not isinstance(node, ast.AugAssign):
            self.values.see_assignment(targets, node.value)
        if block.late and self.paths is not None and node.value is not None:
            self.paths.see_assignment(targets, node.value)
        return ""
    def _expression(self, node, block):
        self._expressions(node, block)
        if not isinstance(node.value, ast.Call):
            return ""
        call = node.value
        name = self.values.dotted(call.func)
        if name in EXPORT_CALLS:
            self.exports.call(name, call, block.guard)
        return "false" if name in ENDS else ""
    def _end(self, node, block):
        self._expressions(node, block)
        return "false"
READERS = {
    getattr(ast, kind): read
    for kind, read in (
        ("Import", "_import"),
        ("ImportFrom", "_import_from"),
        ("FunctionDef", "_function"),
        ("AsyncFunctionDef", "_function"),
        ("ClassDef", "_class"),
        ("If", "_if"),
        ("For", "_loop"),
        ("AsyncFor", "_loop"),
        ("While", "_loop"),
        ("With", "_with"),
        ("AsyncWith", "_with"),
        ("Try", "_try"),
        ("TryStar", "_try"),
        ("Match", "_match"),
        ("Assign", "_assign"),
        ("AnnAssign", "_assign"),
        ("AugAssign", "_assign"),
        ("Expr", "_expression"),
        ("Raise", "_end"),
        ("Return", "_end"),
    )
    if hasattr(ast, kind)
}
''',
    'buildguard.imports.binding_nodes': r'''from __future__ import annotations
import ast
from collections import Counter
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any
from buildguard.remote.import_outline import BLOCK_START, all_nodes, statement_ends
_NAMED = {
    "FunctionDef": "name",
    "AsyncFunctionDef": "name",
    "ClassDef": "name",
    "ExceptHandler": "name",
    "MatchAs": "name",
    "MatchStar": "name",
    "MatchMapping": "rest",
}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_MOST_TREES = 16
def is_walrus(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.NamedExpr) and node.target.id == name
def deletes(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.Delete):
        return any(isinstance(item, ast.Name) and item.id == name for target in node.targets for item in _parts(target))
    return isinstance(node, ast.ExceptHandler) and node.name == name
def _parts(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, (ast.Tuple, ast.List)):
        for item in target.elts:
            yield from _parts(item)
    else:
        yield target
def names_bound_by(node: Any) -> Iterator[str]:
    kind = type(node).__name__
    if kind == "Name":
        if isinstance(node.ctx, ast.Store):
            yield node.id
    elif kind == "Import":
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif kind == "ImportFrom":
        yield from (alias.asname or alias.name for alias in node.names)
    elif kind == "TypeAlias":
        yield node.name.id
    elif kind in _NAMED:
        name = getattr(node, _NAMED[kind])
        yield from [name] if name else []
def changing_names(nodes: list[ast.AST]) -> set[str]:
    counts = Counter(name for node in nodes for name in names_bound_by(node))
    constants = {
        name for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for name in names_bound_by(node)
    }
    for node in nodes:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            constants.update(target.id for target in targets if isinstance(target, ast.Name))
    return {name for name, count in counts.items() if count > 1 or name not in constants}
def may_raise(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        is_plain = isinstance(node.value, ast.Constant) and all(isinstance(item, ast.Name) for item in node.targets)
        return not is_plain
    if isinstance(node, ast.FunctionDef):
        arguments = node.args
        return bool(node.decorator_list or arguments.defaults or arguments.kw_defaults or node.returns)
    return not isinstance(node, (ast.Pass, ast.Global, ast.Try, ast.Break, ast.Continue))
def least_rounds(node: ast.expr) -> int | None:
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return None if any(isinstance(item, ast.Starred) for item in node.elts) else len(node.elts)
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        return len(node.value)
    return None
def matches_all(pattern: Any) -> bool:
    kind = type(pattern).__name__
    if kind == "MatchOr":
        return any(map(matches_all, pattern.patterns))
    return kind == "MatchAs" and (pattern.pattern is None or matches_all(pattern.pattern))
def _without_blocks(data: bytes, name: bytes) -> bytes:
    if b"\r" in data or b"\f" in data:
        return data
    pieces, start = [], 0
    for stop, is_whole in statement_ends(data):
        if is_whole:
            block = data[start:stop]
            is_left_out = BLOCK_START.match(block) is not None and block.find(name) < 0
            pieces.append(b"\n" * block.count(b"\n") if is_left_out else block)
            start = stop
    return b"".join(pieces)
class ParsedSource:
    def __init__(self, data: bytes) -> None:
        self.tree = ast.parse(data)
    @cached_property
    def nodes(self) -> list[ast.AST]:
        nodes: list[ast.AST] = all_nodes(self.tree)
        return nodes
    @cached_property
    def writers(self) -> dict[str, list[ast.AST]]:
        writers: dict[str, list[ast.AST]] = {}
        for node in self.nodes:
            if isinstance(node, FUNCTIONS):
                for name in _declared_in(all_nodes(node)):
                    writers.setdefault(name, []).append(node)
        return writers
    @cached_property
    def declared(self) -> set[str]:
        return _declared_in(self.nodes)
    @cached_property
    def changing(self) -> set[str]:
        return changing_names(self.nodes)
def _declared_in(nodes: list[ast.AST]) -> set[str]:
    return {name for node in nodes if isinstance(node, ast.Global) for name in node.names}
parse_source = lru_cache(_MOST_TREES)(ParsedSource)
class NamedTree:
    def __init__(self, data: bytes, name: str) -> None:
        self._has_walrus = b":=" in data
        self._has_global = b"global" in data
        is_plain = not self._has_walrus and not self._has_global and b"import *" not in data
        try:
            self.source = parse_source(_without_blocks(data, name.encode()) if is_plain else data)
        except SyntaxError:
            self.source = parse_source(data)
        self.tree = self.source.tree
    def writers(self, name: str) -> list[ast.AST]:
        return self.source.writers.get(name, []) if self._has_global else []
    def has_walrus(self, name: str) -> bool:
        return self._has_walrus and any(is_walrus(node, name) for node in self.source.nodes)
''',
    'buildguard.imports.bindings': r'''from __future__ import annotations
import ast
from collections.abc import Callable, Iterable
from typing import Any
from buildguard.imports.binding_nodes import (
    NamedTree,
    deletes,
    is_walrus,
    least_rounds,
    matches_all,
    may_raise,
    names_bound_by,
)
from buildguard.imports.records import Bound
from buildguard.remote.import_outline import is_main_test
from buildguard.remote.import_tests import ENDS, PASSING, Evaluator, UnknownValue
_BOUND, _UNBOUND = 1, 2
_ANSWERS = {_BOUND: Bound.YES, _UNBOUND: Bound.NO}
_STARS = {Bound.YES: _BOUND, Bound.NO: 0}
_MOST_ROUNDS = 4
def find_binding(data: bytes, name: str, version: tuple[int, ...], star: Callable[[str, int], Bound]) -> Bound:
    try:
        return _NameFlow(NamedTree(data, name), name, version, star).answer()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Bound.UNKNOWN
class _NameFlow:
    def __init__(
        self, module: NamedTree, name: str, version: tuple[int, ...], star: Callable[[str, int], Bound]
    ) -> None:
        self._module = module
        self._name = name
        self._star = star
        self._values = Evaluator(version, "linux", frozenset()) if version else None
        self._is_primed = False
        self._writers = module.writers(name)
        self._by_call = self._effect_of_calls()
        self._has_walrus = module.has_walrus(name)
        self._raised: list[
            int
        ] = []
        self._loops: list[list[int]] = []
        self._returned: list[int] = []
        self._calling: list[ast.AST] = []
    def answer(self) -> Bound:
        state = self._run(self._module.tree.body, _UNBOUND)
        return _ANSWERS.get(state and state | self._by_call, Bound.UNKNOWN)
    def _effect_of_calls(self) -> int:
        effect = 0
        for node in self._writers:
            inside = list(ast.walk(node))
            does_bind = any(name == self._name for item in inside for name in names_bound_by(item))
            does_delete = any(deletes(item, self._name) for item in inside)
            effect |= (_BOUND if does_bind else 0) | (_UNBOUND if does_delete else 0)
        return effect
    def _run(self, body: Iterable[ast.stmt], state: int) -> int:
        for node in body:
            if not state:
                break
            if may_raise(node):
                self._leave(state)
            state = self._statement(node, state)
        return state
    def _leave(self, state: int) -> None:
        self._raised = [known | state for known in self._raised]
    def _statement(self, node: ast.stmt, state: int) -> int:
        read = _STATEMENTS.get(type(node).__name__)
        if read is not None:
            after: int = getattr(self, read)(node, state)
            return after
        for child in ast.iter_child_nodes(node):
            state = self._expression(child, state)
        return self._bind(node, state)
    def _bind(self, node: ast.AST, state: int) -> int:
        names = list(names_bound_by(node))
        if self._name not in names:
            return state
        if len(names) > 1:
            self._leave(state | _BOUND)
        return _BOUND
    def _assign(self, node: Any, state: int) -> int:
        state = self._expression(node.value, state)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if self._values is not None and node.value is not None and not isinstance(node, ast.AugAssign):
            self._values.see_assignment(targets, node.value)
        if node.value is None:
            return state
        for target in targets:
            for item in ast.walk(target):
                state = self._bind(item, state)
        return state
    def _import(self, node: ast.Import, state: int) -> int:
        if self._values is not None:
            self._values.see_import(node)
        return self._bind(node, state)
    def _import_from(self, node: ast.ImportFrom, state: int) -> int:
        if any(alias.name == "*" for alias in node.names):
            if self._values is not None:
                self._values.see_import_from(node)
            brought = self._star(node.module or "", node.level)
            return _STARS.get(brought, _BOUND) | (0 if brought is Bound.YES else state)
        if self._values is not None:
            self._values.see_import_from(node)
        return self._bind(node, state)
    def _delete(self, node: ast.Delete, state: int) -> int:
        return _UNBOUND if deletes(node, self._name) else state
    def _function(self, node: Any, state: int) -> int:
        arguments = node.args
        for child in [*node.decorator_list, *arguments.defaults, *arguments.kw_defaults]:
            state = self._expression(child, state)
        return self._bind(node, state)
    def _class(self, node: ast.ClassDef, state: int) -> int:
        for child in [*node.decorator_list, *node.bases, *node.keywords]:
            state = self._expression(child, state)
        if any(isinstance(item, ast.Global) and self._name in item.names for item in node.body):
            state = self._run(node.body, state)
        else:
            state |= self._by_call
        return self._bind(node, state) if state else 0
    def _ends(self, node: Any, state: int) -> int:
        for child in ast.iter_child_nodes(node):
            state = self._expression(child, state)
        if isinstance(node, ast.Return) and self._returned:
            self._returned[-1] |= state
        else:
            self._leave(state)
        return 0
    def _jump(self, node: ast.stmt, state: int) -> int:
        self._loops[-1][0 if isinstance(node, ast.Break) else 1] |= state
        return 0
    def _expr(self, node: ast.Expr, state: int) -> int:
        state = self._expression(node.value, state)
        if isinstance(node.value, ast.Call) and _dotted(node.value.func, self._values) in ENDS:
            self._leave(state)
            return 0
        return state
    def _if(self, node: ast.If, state: int) -> int:
        state = self._expression(node.test, state)
        value = self._test(node.test)
        if isinstance(value, UnknownValue):
            return self._run(node.body, state) | self._run(node.orelse, state)
        return self._run(node.body if value else node.orelse, state)
    def _test(self, test: ast.expr) -> object:
        if is_main_test(test):
            return False
        if self._values is not None:
            if not self._is_primed:
                self._is_primed = True
                self._values.forget(self._module.source.changing)
            return self._values.test(test)
        return test.value if isinstance(test, ast.Constant) else UnknownValue()
    def _for(self, node: Any, state: int) -> int:
        state = self._expression(node.iter, state)
        count = least_rounds(node.iter)
        if count == 0:
            return self._run(node.orelse, state)
        def begin(before: int) -> int:
            for item in ast.walk(node.target):
                before = self._bind(item, before)
            return before
        first, broken = self._round(node.body, begin(state))
        repeated, more = self._repeat(node.body, first, begin)
        end = repeated if count else repeated | state
        return self._run(node.orelse, end) | broken | more
    def _while(self, node: ast.While, state: int) -> int:
        value = self._test(node.test)
        endless = not isinstance(value, UnknownValue) and bool(value)
        if not isinstance(value, UnknownValue) and not value:
            return self._run(node.orelse, self._expression(node.test, state))
        def begin(before: int) -> int:
            return self._expression(node.test, before)
        tested = begin(state)
        first, broken = self._round(node.body, tested)
        repeated, more = self._repeat(node.body, first, begin)
        end = 0 if endless else tested | (begin(repeated) if repeated else 0)
        return (self._run(node.orelse, end) if end else 0) | broken | more
    def _round(self, body: Iterable[ast.stmt], state: int) -> tuple[int, int]:
        self._loops.append([0, 0])
        end = self._run(body, state)
        broken, goes_on = self._loops.pop()
        return end | goes_on, broken
    def _repeat(self, body: list[ast.stmt], state: int, begin: Callable[[int], int]) -> tuple[int, int]:
        broken = 0
        for _ in range(_MOST_ROUNDS):
            if not state:
                break
            end, left = self._round(body, begin(state))
            if end | state == state and left | broken == broken:
                break
            state, broken = state | end, broken | left
        return state, broken
    def _with(self, node: Any, state: int) -> int:
        passes = True
        for item in node.items:
            state = self._expression(item.context_expr, state)
            call = item.context_expr
            passes = passes and isinstance(call, ast.Call) and _dotted(call.func, self._values) in PASSING
            for child in ast.walk(item.optional_vars) if item.optional_vars is not None else ():
                state = self._bind(child, state)
        self._raised.append(0)
        end = self._run(node.body, state)
        raised = self._raised.pop()
        return end if passes else end | raised
    def _try(self, node: Any, state: int) -> int:
        outer = self._loops
        self._loops = [[0, 0] for _ in outer] if node.finalbody else outer
        self._raised.append(0)
        self._raised.append(0)
        end = self._run(node.body, state)
        raised = self._raised.pop()
        end = self._run(node.orelse, end)
        for handler in node.handlers:
            end |= self._handler(handler, raised) if raised else 0
        escaped = self._raised.pop()
        if not node.finalbody:
            return end
        inner, self._loops = self._loops, outer
        for number, left in enumerate(inner):
            for kind in (0, 1):
                outer[number][kind] |= self._run(node.finalbody, left[kind]) if left[kind] else 0
        if escaped:
            self._run(node.finalbody, escaped)
        return self._run(node.finalbody, end)
    def _handler(self, handler: ast.ExceptHandler, state: int) -> int:
        if handler.type is not None:
            state = self._expression(handler.type, state)
        if handler.name != self._name:
            return self._run(handler.body, state)
        outer, self._loops = self._loops, [[0, 0] for _ in self._loops]
        end = self._run(handler.body, _BOUND)
        inner, self._loops = self._loops, outer
        for number, left in enumerate(inner):
            for kind in (0, 1):
                outer[number][kind] |= _UNBOUND if left[kind] else 0
        if not end:
            self._leave(_UNBOUND)
        return _UNBOUND if end else 0
    def _match(self, node: Any, state: int) -> int:
        state = self._expression(node.subject, state)
        end = 0
        for case in node.cases:
            matched = state
            for item in ast.walk(case.pattern):
                matched = self._bind(item, matched)
            if case.guard is not None:
                matched = self._expression(case.guard, matched)
            end |= self._run(case.body, matched)
            if case.guard is not None:
                state |= matched
            elif matches_all(case.pattern):
                return end
        return end | state
    def _expression(self, node: ast.AST | None, state: int) -> int:
        if node is None or not (self._has_walrus or self._by_call):
            return state
        read = _EXPRESSIONS.get(type(node).__name__)
        if read is not None:
            after: int = getattr(self, read)(node, state)
            return after
        return self._children(ast.iter_child_nodes(node), state)
    def _children(self, nodes: Iterable[ast.AST | None], state: int) -> int:
        for node in nodes:
            state = self._expression(node, state)
        return state
    def _walrus(self, node: Any, state: int) -> int:
        state = self._expression(node.value, state)
        return _BOUND if node.target.id == self._name else state
    def _bool(self, node: ast.BoolOp, state: int) -> int:
        return self._perhaps(node.values[1:], self._expression(node.values[0], state))
    def _perhaps(self, nodes: Iterable[ast.AST], state: int) -> int:
        after = state
        for node in nodes:
            after = self._expression(node, after)
            state |= after
        return state
    def _compare(self, node: ast.Compare, state: int) -> int:
        state = self._children([node.left, node.comparators[0]], state)
        return self._perhaps(node.comparators[1:], state)
    def _if_else(self, node: ast.IfExp, state: int) -> int:
        state = self._expression(node.test, state)
        return self._expression(node.body, state) | self._expression(node.orelse, state)
    def _lambda(self, node: ast.Lambda, state: int) -> int:
        return self._children([*node.args.defaults, *node.args.kw_defaults], state)
    def _comprehension(self, node: Any, state: int) -> int:
        state = self._expression(node.generators[0].iter, state)
        rest = [child for child in ast.walk(node) if is_walrus(child, self._name)]
        return state | (_BOUND if rest else 0) | self._by_call
    def _call(self, node: ast.Call, state: int) -> int:
        state = self._children(ast.iter_child_nodes(node), state)
        if not self._by_call:
            return state
        function = self._called(node)
        if function is None or function in self._calling:
            return state | self._by_call
        saved = self._raised, self._loops
        self._raised, self._loops = [], []
        self._calling.append(function)
        self._returned.append(0)
        end = self._run(function.body, state) | self._returned.pop()
        self._calling.pop()
        self._raised, self._loops = saved
        self._leave(state | self._by_call)
        return end or state | self._by_call
    def _called(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name):
            return None
        name = node.func.id
        named = [item for item in self._module.source.nodes for other in names_bound_by(item) if other == name]
        function = named[0] if len(named) == 1 and named[0] in self._module.tree.body else None
        if not isinstance(function, ast.FunctionDef) or function.decorator_list or function not in self._writers:
            return None
        is_generator = any(isinstance(item, (ast.Yield, ast.YieldFrom)) for item in ast.walk(function))
        return None if is_generator else function
def _dotted(node: ast.expr, values: Evaluator | None) -> str:
    if values is not None:
        text: str = values.dotted(node)
        return text
    return node.id if isinstance(node, ast.Name) else ""
_STATEMENTS = {
    "Assign": "_assign",
    "AnnAssign": "_assign",
    "AugAssign": "_assign",
    "Import": "_import",
    "ImportFrom": "_import_from",
    "Delete": "_delete",
    "FunctionDef": "_function",
    "AsyncFunctionDef": "_function",
    "ClassDef": "_class",
    "Raise": "_ends",
    "Return": "_ends",
    "Break": "_jump",
    "Continue": "_jump",
    "Expr": "_expr",
    "If": "_if",
    "For": "_for",
    "While": "_while",
    "With": "_with",
    "Try": "_try",
    "TryStar": "_try",
    "Match": "_match",
}
_EXPRESSIONS = {
    "NamedExpr": "_walrus",
    "BoolOp": "_bool",
    "Compare": "_compare",
    "IfExp": "_if_else",
    "Lambda": "_lambda",
    "ListComp": "_comprehension",
    "SetComp": "_comprehension",
    "DictComp": "_comprehension",
    "GeneratorExp": "_comprehension",
    "Call": "_call",
}
''',
    'buildguard.imports.names': r'''from __future__ import annotations
from collections.abc import Callable
from buildguard.definitions import NamedTuple
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.records import Bound, Guard, ImportForm, ImportStatement, ModuleFacts
_MOST_STEPS, _FEWEST_STEPS, _ALL_STEPS = 20_000, 1_000, 2_000_000
_OF_EVERY_MODULE = frozenset(
    {
        "__builtins__",
        "__cached__",
        "__class__",
        "__dict__",
        "__dir__",
        "__doc__",
        "__file__",
        "__loader__",
        "__name__",
        "__package__",
        "__path__",
        "__spec__",
    }
    | set(dir(object))
)
class LoadedModule(NamedTuple):
    name: str
    location: ModuleLocation
    home: str | None = None
    @property
    def is_main(self) -> bool:
        return self.home is not None
    @property
    def is_file_package(self) -> bool:
        return self.location.kind is ModuleKind.PACKAGE and not self.location.file.endswith("/__init__.py")
    @property
    def package(self) -> str:
        if self.home is not None:
            return self.home
        kind = self.location.kind
        if kind is ModuleKind.PACKAGE or kind is ModuleKind.NAMESPACE:
            return self.name
        return self.name.rpartition(".")[0]
class NameReader:
    def __init__(
        self,
        tree: FileTree,
        facts: Callable[[str], ModuleFacts | None],
        follow: Callable[[LoadedModule, ImportStatement], LoadedModule | None],
        may_be_foreign: Callable[[str], bool],
        read: Callable[[str], bytes | None],
    ) -> None:
        self._read = read
        self._flows: dict[tuple[str, str], Bound] = {}
        self._returns: dict[tuple[str, str], bool] = {}
        self._tree = tree
        self._facts = facts
        self._follow = follow
        self._may_be_foreign = may_be_foreign
        self._left = _ALL_STEPS
        self._steps = 0
    def is_bound(self, module: LoadedModule, name: str, before: int | None = None) -> Bound:
        granted = self._steps = min(_MOST_STEPS, max(_FEWEST_STEPS, self._left))
        answer = self._is_bound(module, name, before, frozenset())
        self._left -= granted - self._steps
        return answer if self._steps > 0 else Bound.UNKNOWN
    def _is_bound(self, module: LoadedModule, name: str, before: int | None, seen: frozenset[str]) -> Bound:
        location = module.location
        if name in _OF_EVERY_MODULE or self._tree.find(name, location.folders) is not None:
            return Bound.YES
        if location.kind is ModuleKind.NAMESPACE:
            return Bound.UNKNOWN if self._may_be_foreign(module.name) else Bound.NO
        facts = self._facts(location.file) if location.kind in {ModuleKind.PACKAGE, ModuleKind.MODULE} else None
        if facts is None:
            return Bound.UNKNOWN
        line = facts.bound.get(name)
        is_early = line is not None and (before is None or line < before)
        if is_early and not facts.may_lack(name):
            return Bound.YES
        seen |= {module.name}
        if before is None and name in facts.unsure:
            return self._by_flow(module, facts, name, seen)
        is_open = is_early or facts.may_make(name)
        return Bound.UNKNOWN if is_open else self._by_stars(module, facts, name, before, seen)
    def _by_flow(self, module: LoadedModule, facts: ModuleFacts, name: str, seen: frozenset[str]) -> Bound:
        key = module.location.file, name
        is_first = len(seen) == 1
        known = self._flows.get(key) if is_first else None
        if known is None:
            known = self._find_binding(module, facts, name, seen)
            if is_first:
                self._flows[key] = known
        return Bound.UNKNOWN if known is Bound.NO and facts.dynamic else known
    def _find_binding(self, module: LoadedModule, facts: ModuleFacts, name: str, seen: frozenset[str]) -> Bound:
        from buildguard.imports.bindings import find_binding
        def star(module_name: str, level: int) -> Bound:
            row = ImportStatement(0, 0, ImportForm.FROM, module_name, ("*",), level)
            return self._by_star(self._follow(module, row), name, seen)
        data = self._read(module.location.file)
        return Bound.UNKNOWN if data is None else find_binding(data, name, facts.version, star)
    def _by_stars(
        self, module: LoadedModule, facts: ModuleFacts, name: str, before: int | None, seen: frozenset[str]
    ) -> Bound:
        answer = Bound.NO
        for row in facts.imports:
            if self._steps <= 0:
                return Bound.UNKNOWN
            if not row.is_star or row.guard is Guard.FALSE or (before is not None and row.line >= before):
                continue
            source = self._follow(module, row)
            brought = self._by_star(source, name, seen)
            if brought is Bound.YES and source is not None and self._leads_back(source, module):
                brought = Bound.UNKNOWN
            if brought is Bound.YES:
                if row.guard is Guard.NONE:
                    return Bound.YES
                return self._by_flow(module, facts, name, seen) if before is None else Bound.UNKNOWN
            answer = brought if brought is Bound.UNKNOWN else answer
        return answer
    def _by_star(self, source: LoadedModule | None, name: str, seen: frozenset[str]) -> Bound:
        self._steps -= 1
        if self._steps <= 0 or source is None or source.location.kind not in {ModuleKind.PACKAGE, ModuleKind.MODULE}:
            return Bound.UNKNOWN
        facts = self._facts(source.location.file)
        if source.name in seen:
            return Bound.NO
        if facts is None or facts.dynamic or (facts.exports is None and "__all__" in facts.bound):
            return Bound.UNKNOWN
        if facts.exports is not None:
            return Bound.YES if name in facts.exports else Bound.NO
        if name.startswith("_"):
            return Bound.NO
        is_submodule = name not in facts.bound and self._tree.find(name, source.location.folders) is not None
        return Bound.UNKNOWN if is_submodule else self._is_bound(source, name, None, seen)
    def _leads_back(self, source: LoadedModule, module: LoadedModule) -> bool:
        place = source.name, module.name
        known = self._returns.get(place)
        if known is None:
            known = self._returns[place] = self._may_return(source, module)
        return known
    def _may_return(self, source: LoadedModule, module: LoadedModule) -> bool:
        waiting, known = [source], {source.name}
        while waiting:
            facts = self._facts(waiting[-1].location.file)
            current = waiting.pop()
            for row in facts.imports if facts is not None else ():
                self._steps -= 1
                target = None if row.late or row.guard is Guard.FALSE else self._follow(current, row)
                if target is None or target.name in known:
                    continue
                if target.name == module.name:
                    return not source.name.startswith(f"{module.name}.")
                known.add(target.name)
                waiting.append(target)
        return False
''',
    'buildguard.imports.resolver': r'''from __future__ import annotations
import posixpath
from collections.abc import Callable, Container, Sequence
from buildguard.definitions import NamedTuple, StrEnum
from buildguard.imports.finder import FileTree, Lookup, ModuleKind, ModuleLocation
from buildguard.imports.names import LoadedModule
from buildguard.imports.records import ImportStatement, NameUse
from buildguard.imports.standard_names import is_standard
LOADED_AT_START = frozenset(
    {
        "_collections_abc",
        "_sitebuiltins",
        "abc",
        "builtins",
        "codecs",
        "encodings",
        "genericpath",
        "io",
        "os",
        "posixpath",
        "site",
        "stat",
        "sys",
        "zipimport",
    }
)
BUILT_IN = frozenset(
    {"atexit", "errno", "faulthandler", "gc", "itertools", "marshal", "posix", "pwd", "signal", "time"}
)
_ALEMBIC, _TEMPLATE = "alembic", "script.py.mako"
class ImportKind(StrEnum):
    RESOLVED = "resolved"
    MISSING = "missing"
    OUTSIDE = "outside"
    UNCLEAR = "unclear"
    NO_PACKAGE = "no package"
    BEYOND = "beyond"
class Resolution(NamedTuple):
    kind: ImportKind
    modules: tuple[LoadedModule, ...] = ()
    missing: str = ""
    @property
    def last(self) -> LoadedModule | None:
        return self.modules[-1] if self.kind is ImportKind.RESOLVED and self.modules else None
_OUTSIDE = Resolution(ImportKind.OUTSIDE)
class SearchPath(NamedTuple):
    front: tuple[str, ...]
    back: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    @property
    def folders(self) -> tuple[str, ...]:
        return (*self.front, *self.back)
class ModuleResolver:
    def __init__(
        self,
        tree: FileTree,
        path: SearchPath,
        standard: Container[str],
        may_be_foreign: Callable[[str], bool],
        *,
        prefer_installed: bool = False,
    ) -> None:
        self.tree = tree
        self.path = path
        self.standard = standard
        self._may_be_foreign = may_be_foreign
        self._prefer_installed = prefer_installed
        self._found: dict[str, Resolution] = {}
        self._absolute: dict[str, tuple[str, Resolution]] = {}
        self._found_relative: dict[tuple[str, int, str], Resolution] = {}
        self._installed: dict[str, bool] = {}
        self._outside: dict[str, tuple[str, Resolution]] = {}
        self._of_library: dict[str, str] = {}
    def with_path(self, path: SearchPath) -> ModuleResolver:
        other = ModuleResolver(
            self.tree, path, self.standard, self._may_be_foreign, prefer_installed=self._prefer_installed
        )
        other._installed, other._outside, other._of_library = self._installed, self._outside, self._of_library
        return other
    def add(self, module: LoadedModule) -> None:
        self._found[module.name] = Resolution(ImportKind.RESOLVED, (module,))
        self._absolute.clear()
    def resolve(self, module: LoadedModule, row: ImportStatement | NameUse) -> Resolution:
        if row.level:
            return self._find_relative(module.package, row)
        dotted = row.module
        top, resolution = self._absolute.get(dotted) or self._outside.get(dotted) or self._find_for_others(dotted)
        if not self._prefer_installed or (module.home is None and not module.name.startswith(top)):
            return resolution
        return _OUTSIDE if self._means_installed(module, top) else self.find(dotted)
    def without_library(self, module: LoadedModule, rows: Sequence[ImportStatement]) -> Sequence[ImportStatement]:
        if not self._prefer_installed or module.home is not None:
            return rows
        others = []
        for row in rows:
            top = "" if row.level else self._of_library.get(row.module)
            if top is None:
                top = self._top_of_library(row.module)
            if not top or module.name.startswith(top):
                others.append(row)
        return others
    def _top_of_library(self, dotted: str) -> str:
        top = dotted.partition(".")[0]
        known = self._of_library[dotted] = top if is_standard(top) and self.may_be_installed(top) else ""
        return known
    def _find_for_others(self, dotted: str) -> tuple[str, Resolution]:
        top = dotted.partition(".")[0]
        if self._prefer_installed and self.may_be_installed(top):
            known = self._outside[dotted] = (top, _OUTSIDE)
        else:
            known = self._absolute[dotted] = (top, self.find(dotted))
        return known
    def _means_installed(self, module: LoadedModule, top: str) -> bool:
        is_installed = self.may_be_installed(top)
        if module.home is None and not module.name.startswith(top):
            return is_installed
        package = module.package
        if not package:
            return top == module.name or is_installed
        is_own = top == package.partition(".")[0]
        return is_installed and (not is_own or (top == _ALEMBIC and self._is_migration(module)))
    def _is_migration(self, module: LoadedModule) -> bool:
        folder = posixpath.dirname(module.location.file)
        return any(_TEMPLATE in self.tree.children(place) for place in (folder, posixpath.dirname(folder)))
    def find(self, dotted: str) -> Resolution:
        known = self._found.get(dotted)
        if known is None:
            known = self._found[dotted] = self._find(dotted)
        return known
    def _find(self, dotted: str) -> Resolution:
        top = dotted.partition(".")[0]
        if top in LOADED_AT_START or top in BUILT_IN:
            return Resolution(ImportKind.OUTSIDE)
        folders = self.path.front if top in self.standard else self.path.folders
        lookup = self.tree.look_up(dotted, folders)
        if not lookup.modules or (lookup.missing and self._is_foreign(top, lookup.modules[0])):
            return Resolution(ImportKind.OUTSIDE)
        if top in self.standard and lookup.modules[0].kind is ModuleKind.NAMESPACE:
            return Resolution(ImportKind.OUTSIDE)
        resolution = _resolution(lookup, dotted.split("."), ())
        return (
            resolution._replace(kind=ImportKind.UNCLEAR) if self._may_be_added(top, lookup.modules[0]) else resolution
        )
    def _may_be_added(self, top: str, first: ModuleLocation) -> bool:
        others = (self.tree.find(top, [folder]) for folder in self.path.added)
        return any(other not in {None, first} for other in others)
    def may_be_installed(self, top: str) -> bool:
        known = self._installed.get(top)
        if known is None:
            known = self._installed[top] = top in self.standard or self._may_be_foreign(top)
        return known
    def _is_foreign(self, top: str, first: ModuleLocation) -> bool:
        return first.kind is ModuleKind.NAMESPACE and self.may_be_installed(top)
    def _find_relative(self, package: str, row: ImportStatement | NameUse) -> Resolution:
        place = (package, row.level, row.module)
        known = self._found_relative.get(place)
        if known is None:
            known = self._found_relative[place] = self._relative(package, row)
        return known
    def _relative(self, package: str, row: ImportStatement | NameUse) -> Resolution:
        if not package:
            return Resolution(ImportKind.NO_PACKAGE)
        parts = package.split(".")
        if row.level > len(parts):
            return Resolution(ImportKind.BEYOND)
        base = self.find(".".join(parts[: len(parts) - row.level + 1]))
        if base.last is None:
            return base._replace(kind=ImportKind.UNCLEAR) if base.kind is not ImportKind.UNCLEAR else base
        names = row.module.split(".") if row.module else []
        lookup = self.tree.look_below(names, base.last.location.folders)
        if lookup.missing and self._is_foreign(parts[0], base.modules[0].location):
            return Resolution(ImportKind.UNCLEAR)
        return _resolution(lookup, [*base.last.name.split("."), *names], base.modules)
    def submodule(self, module: LoadedModule, name: str) -> LoadedModule | None:
        location = self.tree.find(name, module.location.folders)
        return None if location is None else LoadedModule(f"{module.name}.{name}", location)
def _resolution(lookup: Lookup, parts: Sequence[str], before: tuple[LoadedModule, ...]) -> Resolution:
    start = len(before)
    modules = tuple(
        LoadedModule(".".join(parts[: start + number + 1]), location) for number, location in enumerate(lookup.modules)
    )
    if lookup.is_unclear:
        return Resolution(ImportKind.UNCLEAR, (*before, *modules))
    if lookup.missing:
        missing = ".".join(parts[: start + len(modules) + 1])
        return Resolution(ImportKind.MISSING, (*before, *modules), missing)
    return Resolution(ImportKind.RESOLVED, (*before, *modules))
''',
    'buildguard.imports.faults': r'''from __future__ import annotations
from collections.abc import Callable, Container, Mapping
from buildguard.definitions import TYPE_CHECKING, NamedTuple, StrEnum
from buildguard.imports import standard_names
from buildguard.imports.names import LoadedModule
from buildguard.imports.records import ImportForm, ImportStatement, ModuleFacts
if TYPE_CHECKING:
    from typing import TypeAlias
    from buildguard.imports.third_party import PackageAnswer
FactsReader = "Callable[[str], ModuleFacts | None]"
class FaultKind(StrEnum):
    MISSING = "missing"
    OTHER_CASE = "other case"
    UNBOUND = "unbound"
    NO_PACKAGE = "no package"
    BEYOND = "beyond"
    CIRCULAR = "circular"
    NOT_ON_PATH = "not on path"
    OTHER_PLACE = "other place"
    SHADOWS = "shadows"
    UNLOADED = "unloaded"
    EARLY = "early"
class ImportFault(NamedTuple):
    kind: FaultKind
    module: LoadedModule
    row: ImportStatement
    name: str
    source: LoadedModule | None
    certain: bool
    chain: tuple[str, ...]
    detail: str = ""
class ImportContext(NamedTuple):
    facts: FactsReader
    read: Callable[[str], bytes | None]
    standard: Container[str]
    may_be_foreign: Callable[[str], bool]
    ask_unlisted: Callable[[str], PackageAnswer | None] = lambda _top: None
class FaultText(NamedTuple):
    message: str
    hint: str
def describe(fault: ImportFault, origin: Callable[[str], str]) -> FaultText:
    source = "" if fault.source is None else origin(fault.source.location.file) or fault.source.name
    return _TEXTS[fault.kind](fault, source)
def _missing(fault: ImportFault, source: str) -> FaultText:
    parent = fault.name.rpartition(".")[0]
    if _shadowed(fault) and source:
        message = f"no module named '{fault.name}': {source} shadows the standard library's '{_shadowed(fault)}'"
        return FaultText(message, f"rename {source}")
    if fault.source is not None and not fault.source.location.folders:
        return FaultText(f"no module named '{fault.name}': {source} is not a package", "correct the import")
    place = f"the package '{parent}' has no such module" if parent else "the project has no such module"
    return FaultText(f"no module named '{fault.name}': {place}", "add the file and commit it, or correct the import")
def _other_case(fault: ImportFault, _source: str) -> FaultText:
    right = ".".join([*fault.name.split(".")[:-1], fault.detail])
    return FaultText(
        f"no module named '{fault.name}': it is spelled '{right}', and names are case-sensitive on Linux",
        f"import {right}",
    )
def _unbound(fault: ImportFault, source: str) -> FaultText:
    message = f"{_refusal(fault)}: {source} {_why_unbound(fault)}"
    shadowed = _shadowed(fault)
    if shadowed:
        return FaultText(f"{message}, and shadows the standard library's '{shadowed}'", f"rename {source}")
    mistaken = "name" if fault.row.form is ImportForm.ATTRIBUTE else "import"
    return FaultText(message, f"define {fault.name} there, or correct the {mistaken}")
def _refusal(fault: ImportFault) -> str:
    if fault.row.form is ImportForm.ATTRIBUTE and fault.source is not None:
        return f"module '{fault.source.name}' has no attribute '{fault.name}'"
    return f"cannot import name '{fault.name}'"
def _why_unbound(fault: ImportFault) -> str:
    if fault.detail:
        return f"binds it in line {fault.detail}, and deletes it again or does not run that line here"
    return "names it in __all__, and never binds it" if fault.row.is_star else "never binds it"
def _shadowed(fault: ImportFault) -> str:
    top = fault.row.module.partition(".")[0]
    return top if standard_names.is_standard(top) and not fault.row.level else ""
def _no_package(fault: ImportFault, _source: str) -> FaultText:
    name = fault.module.location.file.rpartition("/")[2]
    message = f"relative import with no parent package: {name} is {_how_started(fault)}"
    return FaultText(
        message, "import by the full name, or start it as a module of its package: python -m PACKAGE.MODULE"
    )
def _how_started(fault: ImportFault) -> str:
    return "started as a script" if fault.module.is_main else "imported as a top-level module"
def _beyond(fault: ImportFault, _source: str) -> FaultText:
    top = fault.module.package.partition(".")[0]
    return FaultText(
        f"relative import beyond the top-level package '{top}'", "use fewer dots, or import by the full name"
    )
def _circular(fault: ImportFault, source: str) -> FaultText:
    return FaultText(
        f"{_refusal(fault)}: {source} has not bound it yet, because the imports run in a circle ({fault.detail})",
        "move one of the imports below what the other needs, or into the function that uses it",
    )
def _not_on_path(fault: ImportFault, _source: str) -> FaultText:
    return FaultText(
        f"no module named '{fault.name}': it is in {fault.detail}, and that folder is not on sys.path",
        f"set ENV PYTHONPATH={fault.detail}, or start the program in that folder with python -m",
    )
def _other_place(fault: ImportFault, _source: str) -> FaultText:
    return FaultText(
        f"no module named '{fault.name}': {fault.detail}",
        f"copy the folder itself (COPY {fault.name} ./{fault.name}), or import the module by the name that it has in the image",
    )
def _shadows(fault: ImportFault, source: str) -> FaultText:
    wanted = f", which {fault.row.module} imports" if fault.row.module != fault.detail else ""
    return FaultText(
        f"{source} shadows the standard library's '{fault.detail}'{wanted}, and never binds '{fault.name}'",
        f"rename {source}",
    )
def _early(fault: ImportFault, _source: str) -> FaultText:
    package, _dot, name = ("" if fault.source is None else fault.source.name).rpartition(".")
    return FaultText(
        f"{_refusal(fault)}: {package} has not bound {name} yet, so that it is the module, because the imports run in a circle "
        f"({fault.detail})",
        f"from {package}.{name} import {name}, once that module no longer needs this one, or import it in the function that uses it",
    )
def _unloaded(fault: ImportFault, _source: str) -> FaultText:
    submodule = f"{fault.source.name}.{fault.name}" if fault.source is not None else fault.name
    return FaultText(f"{_refusal(fault)}: nothing imports {submodule}", f"import {submodule} before")
_TEXTS: Mapping[FaultKind, Callable[[ImportFault, str], FaultText]] = {
    FaultKind.MISSING: _missing,
    FaultKind.OTHER_CASE: _other_case,
    FaultKind.UNBOUND: _unbound,
    FaultKind.NO_PACKAGE: _no_package,
    FaultKind.BEYOND: _beyond,
    FaultKind.CIRCULAR: _circular,
    FaultKind.NOT_ON_PATH: _not_on_path,
    FaultKind.OTHER_PLACE: _other_place,
    FaultKind.SHADOWS: _shadows,
    FaultKind.UNLOADED: _unloaded,
    FaultKind.EARLY: _early,
}
''',
    'buildguard.imports.import_graph': r'''from __future__ import annotations
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from buildguard.definitions import NamedTuple
from buildguard.imports.execution import is_certain, is_guarded
from buildguard.imports.finder import ModuleKind
from buildguard.imports.names import LoadedModule
from buildguard.imports.records import Guard, ImportForm, ImportStatement, ModuleFacts
from buildguard.imports.resolver import ImportKind, ModuleResolver, Resolution
class ImportEdge(NamedTuple):
    row: ImportStatement
    resolution: Resolution
    targets: tuple[LoadedModule, ...]
    certain: bool
_edge_of = partial(tuple.__new__, ImportEdge)
class ReachedModule(NamedTuple):
    module: LoadedModule
    certain: bool
    chain: tuple[str, ...]
    handled: bool = False
class ImportGraph:
    def __init__(self, resolver: ModuleResolver, facts: Callable[[str], ModuleFacts | None]) -> None:
        self.resolver = resolver
        self.facts = facts
        self._edges: dict[str, tuple[ImportEdge, ...]] = {}
        self._own_edges: dict[str, tuple[ImportEdge, ...]] = {}
    def edges(self, module: LoadedModule) -> tuple[ImportEdge, ...]:
        known = self._edges.get(module.name)
        if known is None:
            facts = self.facts(module.location.file)
            rows = () if facts is None else self.resolver.without_library(module, facts.imports)
            is_main = module.is_main
            known = tuple([self._edge(module, row, is_main=is_main) for row in rows if row.guard is not Guard.FALSE])
            self._edges[module.name] = known
        return known
    def own_edges(self, module: LoadedModule) -> tuple[ImportEdge, ...]:
        known = self._own_edges.get(module.name)
        if known is None:
            known = tuple([edge for edge in self.edges(module) if edge.resolution.modules])
            self._own_edges[module.name] = known
        return known
    def _edge(self, module: LoadedModule, row: ImportStatement, *, is_main: bool) -> ImportEdge:
        resolution = self.resolver.resolve(module, row)
        sources = self._sources(module, resolution, row) if resolution.modules else ()
        certain = resolution.kind is not ImportKind.UNCLEAR and is_certain(row, is_main=is_main)
        return _edge_of((row, resolution, sources, certain))
    def _sources(self, module: LoadedModule, resolution: Resolution, row: ImportStatement) -> tuple[LoadedModule, ...]:
        targets = [*resolution.modules, *self._submodules(module, resolution.last, row)]
        return tuple(target for target in targets if has_source(target))
    def _submodules(
        self, module: LoadedModule, package: LoadedModule | None, row: ImportStatement
    ) -> Iterator[LoadedModule]:
        if package is None or row.form is not ImportForm.FROM:
            return
        bound = self._bound(package)
        for name in row.names:
            if name not in bound or (package.name == module.name and bound[name] >= row.line):
                submodule = self.resolver.submodule(package, name)
                if submodule is not None:
                    yield submodule
    def _bound(self, package: LoadedModule) -> Mapping[str, int]:
        facts = self.facts(package.location.file) if has_source(package) else None
        return {} if facts is None else facts.bound
def has_source(module: LoadedModule) -> bool:
    kind = module.location.kind
    return kind is ModuleKind.MODULE or kind is ModuleKind.PACKAGE
def find_reached(
    graph: ImportGraph, starts: Iterable[LoadedModule], *, may_fail: bool = False
) -> dict[str, ReachedModule]:
    modules = [*starts]
    unsure = frozenset(module.name for module in modules if may_fail)
    reached = _reach(graph, modules, unsure)
    guarded = _guarded_packages(graph, reached.values())
    first = unsure.union(name for name, is_late in guarded if not is_late)
    reached = _reach(graph, modules, first) if first else reached
    for name in {name for name, _is_late in guarded}:
        reached[name] = reached[name]._replace(certain=False)
    for name in reached.keys() - _unhandled(graph, modules):
        reached[name] = reached[name]._replace(handled=True)
    return reached
def _is_handled(row: ImportStatement) -> bool:
    return is_guarded(row) or row.guard is Guard.MODULE_ONLY
def _unhandled(graph: ImportGraph, starts: Iterable[LoadedModule]) -> set[str]:
    waiting = [*starts]
    found = {module.name for module in waiting}
    while waiting:
        for edge in graph.own_edges(waiting.pop()):
            if not _is_handled(edge.row):
                others = [target for target in edge.targets if target.name not in found]
                found.update(target.name for target in others)
                waiting += others
    return found
def _reach(graph: ImportGraph, starts: Iterable[LoadedModule], unsure: AbstractSet[str]) -> dict[str, ReachedModule]:
    reached: dict[str, ReachedModule] = {}
    first = [ReachedModule(module, module.name not in unsure, (module.name,)) for module in starts]
    _spread(graph, [item for item in first if item.certain], reached, unsure, only_certain=True)
    _spread(
        graph, [*reached.values(), *(item for item in first if not item.certain)], reached, unsure, only_certain=False
    )
    return reached
def _guarded_packages(graph: ImportGraph, reached: Iterable[ReachedModule]) -> set[tuple[str, bool]]:
    edges = (edge for item in reached for edge in graph.edges(item.module) if is_guarded(edge.row))
    return {(target.name, edge.row.late) for edge in edges for target in edge.targets if target.location.folders}
def _spread(
    graph: ImportGraph,
    first: Iterable[ReachedModule],
    reached: dict[str, ReachedModule],
    unsure: AbstractSet[str],
    *,
    only_certain: bool,
) -> None:
    waiting = deque(first)
    reached.update((item.module.name, item) for item in waiting)
    while waiting:
        item = waiting.popleft()
        edges = (edge for edge in graph.edges(item.module) if edge.certain or not only_certain)
        for target in (target for edge in edges for target in edge.targets):
            if target.name not in reached and not (only_certain and target.name in unsure):
                step = ReachedModule(target, only_certain, (*item.chain, target.name))
                reached[target.name] = step
                waiting.append(step)
''',
    'buildguard.imports.circles': r'''from __future__ import annotations
from collections.abc import Callable, Iterable, Iterator
from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.imports.execution import is_guarded, runs_at_import
from buildguard.imports.import_graph import ImportEdge, ImportGraph, has_source
from buildguard.imports.names import LoadedModule, NameReader
from buildguard.imports.records import Bound, ImportForm, ImportStatement
if TYPE_CHECKING:
    from buildguard.imports.taken_names import OwnUse, TakenNameReader
class CircularImport(NamedTuple):
    module: LoadedModule
    row: ImportStatement
    name: str
    source: LoadedModule
    line: int
    circle: tuple[str, ...]
    is_open: bool = False
    is_early: bool = False
    @property
    def place(self) -> tuple[str, int, str]:
        return self.module.location.file, self.row.line, self.name
class ExecutedNames(NamedTuple):
    reader: NameReader
    taken: Callable[[], TakenNameReader]
def find_circles(
    graph: ImportGraph, names: ExecutedNames, starts: Iterable[LoadedModule], *, with_conditional: bool = True
) -> list[CircularImport]:
    starts = list(starts)
    certain = _Execution(graph, names, only_certain=True)
    certain.run(starts)
    if not with_conditional and not certain.circles:
        return []
    every = _Execution(graph, names, only_certain=False)
    every.run(starts)
    places = {circle.place for circle in every.circles if not circle.is_open}
    circles = {circle.place: circle for circle in [*every.circles, *certain.circles]}
    sure = {circle.place for circle in certain.circles if not circle.is_open} & places
    return [circle._replace(is_open=place not in sure) for place, circle in circles.items()]
class _Execution:
    def __init__(self, graph: ImportGraph, names: ExecutedNames, *, only_certain: bool) -> None:
        self.circles: list[CircularImport] = []
        self._graph = graph
        self._names = names
        self._only_certain = only_certain
        self._lines: dict[str, int] = {}
        self._stack: list[str] = []
        self._entered: set[str] = set()
        self._late: set[str] = set()
    def run(self, starts: Iterable[LoadedModule]) -> None:
        for start in starts:
            if start.name not in self._entered:
                self._run_from(start)
    def _run_from(self, start: LoadedModule) -> None:
        running = [self._execute(start)]
        while running:
            entered = next(running[-1], None)
            if entered is None:
                running.pop()
            else:
                running.append(self._execute(entered))
    def _execute(self, module: LoadedModule) -> Iterator[LoadedModule]:
        self._entered.add(module.name)
        self._stack.append(module.name)
        self._lines[module.name] = 0
        late: set[str] = set()
        uses = self._uses_of(module)
        for edge in self._graph.own_edges(module):
            while uses and uses[-1][0] < edge.row.line:
                self._check_use(module, *uses.pop())
            if not self._runs(module, edge):
                late.update(target.name for target in edge.targets)
                continue
            self._lines[module.name] = edge.row.line
            for target in edge.targets:
                if target.name not in self._entered:
                    yield target
            self._check(module, edge)
        while uses:
            self._check_use(module, *uses.pop())
        self._late |= late
        self._stack.pop()
        del self._lines[module.name]
    def _uses_of(self, module: LoadedModule) -> list[tuple[int, OwnUse, str]]:
        facts = self._graph.facts(module.location.file)
        if facts is None or not facts.uses:
            return []
        early = [item for item in self._names.taken().own_uses(module) if item.may_be_early(self._lines)]
        uses = [(line, item, dotted) for item in early for dotted, line in item.use.taken.items()]
        return sorted(uses, key=_line_of, reverse=True)
    def _check_use(self, module: LoadedModule, line: int, use: OwnUse, dotted: str) -> None:
        self._lines[module.name] = line
        taken = self._names.taken().read_early(module, use, dotted, self._lines)
        if taken is None:
            return
        source = taken.source
        names = [source.name, f"{source.name}.{taken.name}", source.name.rpartition(".")[0]]
        running = names[2] if taken.is_early else next(name for name in names if name in self._lines)
        circle = tuple(self._stack[self._stack.index(running) :])
        is_later = source == module and taken.row.line != line
        is_open = taken.is_open or is_later or bool(self._late & {*circle})
        at = self._lines[running]
        self.circles.append(CircularImport(module, taken.row, taken.name, source, at, circle, is_open, taken.is_early))
    def _runs(self, module: LoadedModule, edge: ImportEdge) -> bool:
        return edge.certain if self._only_certain else runs_at_import(edge.row, is_main=module.is_main)
    def _check(self, module: LoadedModule, edge: ImportEdge) -> None:
        source = edge.resolution.last if edge.row.form is ImportForm.FROM else None
        line = None if source is None else self._lines.get(source.name)
        if source is None or line is None or not has_source(source) or is_guarded(edge.row):
            return
        circle = tuple(self._stack[self._stack.index(source.name) :])
        is_open = not edge.certain or bool(self._late & {*circle})
        for name in self._starred(source, line) if edge.row.is_star else edge.row.names:
            bound = self._names.reader.is_bound(source, name, line)
            if bound is not Bound.YES:
                is_unsure = is_open or bound is Bound.UNKNOWN
                self.circles.append(CircularImport(module, edge.row, name, source, line, circle, is_unsure))
    def _starred(self, source: LoadedModule, line: int) -> tuple[str, ...]:
        facts = self._graph.facts(source.location.file)
        if facts is None or facts.exports is None or facts.bound.get("__all__", line) >= line:
            return ()
        return facts.exports
def _line_of(place: tuple[int, OwnUse, str]) -> int:
    return place[0]
''',
    'buildguard.imports.program': r'''from __future__ import annotations
import functools
import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.names import LoadedModule
from buildguard.imports.records import ImportStatement, ModuleFacts
from buildguard.imports.resolver import SearchPath
_TEST = lazy_pattern(
    r"(?:^|/)(?:tests?|[^/]*-tests?(?:\.py)?|[^/]*_tests|testing|e2e|fixtures|conftest\.py|tests\.py|test_[^/]*\.py|[^/]*_tests?\.py"
    r"|[^/]*\{\{[^/]*)(?:/|$)"
)
_FILES, _FOLDERS = 100_000, 10_000
_SOURCES = frozenset({ModuleKind.PACKAGE, ModuleKind.MODULE})
class StartedProgram(NamedTuple):
    tree: FileTree
    path: SearchPath
    starts: tuple[LoadedModule, ...] = ()
    roots: tuple[str, ...] = ()
    why_unknown: Callable[[str], str] = lambda _path: ""
    open_path: str = ""
    by_name: Callable[[], tuple[LoadedModule, ...]] = tuple
    listed: Callable[[], tuple[tuple[LoadedModule, ImportStatement], ...]] = tuple
    image: ImageRecipe | None = None
    is_main: bool = True
    may_fail: bool = False
    folder: str = ""
@functools.lru_cache(_FILES)
def is_test(path: str) -> bool:
    folder, _slash, base = path.rpartition("/")
    return _is_folder_of_tests(folder) or _TEST.search(base) is not None
@functools.lru_cache(_FOLDERS)
def _is_folder_of_tests(folder: str) -> bool:
    return _TEST.search(folder) is not None
def words_of_imports(facts: Iterable[ModuleFacts | None]) -> set[str]:
    modules: set[str] = set()
    names: set[tuple[str, ...]] = set()
    for of_file in facts:
        if of_file is not None:
            modules.update([row.module for row in of_file.imports])
            names.update([row.names for row in of_file.imports])
            names.add(of_file.exports or ())
    return {word for module in modules for word in module.split(".")}.union(*names)
def last_word(path: str) -> str:
    folder, base = posixpath.split(path)
    return posixpath.basename(folder) if base == "__init__.py" else removesuffix(base, ".py")
def started_modules(command: StartCommand, tree: FileTree) -> Iterator[LoadedModule]:
    if command.script in tree.origins:
        yield _of_file(command)
    if command.module and not command.script:
        yield from _named(command, tree)
    for path in command.configs:
        if path.endswith(".py") and path in tree.origins:
            yield LoadedModule("__config__", ModuleLocation(ModuleKind.MODULE, path))
    for loaded in command.loads:
        yield from started_modules(loaded, tree)
def _of_file(command: StartCommand) -> LoadedModule:
    if command.server != "functions-framework":
        return LoadedModule("__main__", ModuleLocation(ModuleKind.MODULE, command.script), home="")
    folder, base = posixpath.split(command.script)
    return LoadedModule(removesuffix(base, ".py"), ModuleLocation(ModuleKind.PACKAGE, command.script, (folder,)))
def _named(command: StartCommand, tree: FileTree) -> Iterator[LoadedModule]:
    parts = command.module.split(".")
    lookup = tree.look_up(command.module, command.search_path)
    if lookup.last is None or lookup.is_unclear:
        return
    for number, location in enumerate(lookup.modules[:-1]):
        if location.file:
            yield LoadedModule(".".join(parts[: number + 1]), location)
    last = lookup.last
    if not command.is_main:
        yield LoadedModule(command.module, last)
    elif last.folders:
        yield from [LoadedModule(command.module, last)] if last.file else []
        main = tree.find("__main__", last.folders)
        if main is not None and main.file:
            yield LoadedModule("__main__", main, home=command.module)
    else:
        yield LoadedModule("__main__", last, home=command.module.rpartition(".")[0])
def modules_named(name: str, tree: FileTree, folders: Sequence[str]) -> Iterator[LoadedModule]:
    lookup = tree.look_up(name, folders)
    parts = name.split(".")
    for number, location in enumerate(() if lookup.is_unclear else lookup.modules):
        if location.kind in _SOURCES:
            yield LoadedModule(".".join(parts[: number + 1]), location)
def absolute_name(module: str, level: int, package: str) -> str:
    parts = package.split(".")
    above = parts[: len(parts) - level + 1] if level else []
    return ".".join(filter(None, [*above, module]))
def working_folder(command: StartCommand | None) -> str:
    if command is None:
        return ""
    folders = {part.folder for part in (command, *command.before) if part is command or part.script or part.module}
    return command.folder if len(folders) == 1 and "$" not in command.folder else ""
def extended_path(path: SearchPath, added: Iterable[tuple[str, str]], folder: str) -> SearchPath:
    front = list(path.folders)
    for file, name in added:
        if name.startswith("@"):
            front.append(posixpath.normpath(posixpath.dirname(file) + removeprefix(name, "@")))
        elif folder or name.startswith("/"):
            front.append(posixpath.normpath(posixpath.join(folder, name)))
    added_folders = [name for name in dict.fromkeys(front) if name not in path.folders]
    return path._replace(back=(*path.back, *added_folders), added=(*path.added, *added_folders))
def home_of(file: str, tree: FileTree) -> tuple[str, str]:
    folder, base = posixpath.split(file)
    home, package = tree.home_of(folder)
    name = "" if base == "__init__.py" else removesuffix(base, ".py")
    return home, f"{package}.{name}" if package and name else package or name
@functools.lru_cache(_FOLDERS)
def folders_above(folder: str, roots: tuple[str, ...]) -> tuple[str, ...]:
    folders = [folder]
    while folder not in {"", "/", *roots}:
        folder = posixpath.dirname(folder)
        folders.append(folder)
    return tuple(folders)
def sources_of(tree: FileTree, is_wanted: Callable[[str], bool], among: Collection[str] | None = None) -> list[str]:
    candidates = tree.origins if among is None else tree.from_project(among)
    sources = ((path, tree.origins[path]) for path in candidates if path.endswith(".py"))
    return sorted(path for path, origin in sources if origin and is_wanted(origin))
''',
    'buildguard.imports.shadows': r'''from __future__ import annotations
from collections.abc import Callable, Iterable, Iterator, Mapping
from buildguard.definitions import TYPE_CHECKING
from buildguard.imports.faults import FaultKind, ImportFault
from buildguard.imports.import_graph import ImportEdge, ImportGraph, ReachedModule, has_source
from buildguard.imports.names import LoadedModule, NameReader
from buildguard.imports.records import Bound, ImportForm
if TYPE_CHECKING:
    import ast
def find_shadows(
    graph: ImportGraph,
    names: NameReader,
    reached: Mapping[str, ReachedModule],
    read: Callable[[str], bytes | None],
) -> Iterator[ImportFault]:
    for item in reached.values():
        for edge in graph.edges(item.module):
            source = _shadowing(graph, edge)
            if source is None:
                continue
            used = _used_names(read(item.module.location.file), edge.row.module)
            lost = next((name for name in sorted(used) if names.is_bound(source, name) is Bound.NO), "")
            if lost:
                certain = item.certain and edge.certain
                yield ImportFault(
                    FaultKind.SHADOWS, item.module, edge.row, lost, source, certain, item.chain, edge.row.module
                )
def may_shadow(graph: ImportGraph) -> bool:
    resolver = graph.resolver
    children = (child for folder in resolver.path.front for child in resolver.tree.children(folder))
    return any(child.partition(".")[0] in resolver.standard for child in children)
def _shadowing(graph: ImportGraph, edge: ImportEdge) -> LoadedModule | None:
    source = edge.resolution.last
    is_plain = edge.row.form is ImportForm.IMPORT and "." not in edge.row.module
    if not is_plain or edge.row.module not in graph.resolver.standard or source is None or not has_source(source):
        return None
    return source
def _used_names(data: bytes | None, module: str) -> set[str]:
    import ast
    try:
        tree = ast.parse(data or b"")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names = set(_aliases(ast.walk(tree), module))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
    }
def _aliases(nodes: Iterable[ast.AST], module: str) -> Iterator[str]:
    import ast
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.asname or alias.name for alias in node.names if alias.name == module)
''',
    'buildguard.imports.executed_uses': r'''from __future__ import annotations
import ast
from collections.abc import Iterator
from functools import singledispatch
from buildguard.imports.binding_nodes import ParsedSource, names_bound_by, parse_source
from buildguard.imports.records import Guard, ImportForm, ImportStatement, NameUse
from buildguard.remote.import_reader import FactReader
from buildguard.remote.import_tests import Evaluator
from buildguard.remote.library_attributes import ANNOTATIONS_LATE_FROM, AttributeReader, has_future, names_bound
def rows_of(data: bytes, use: NameUse, dotted: str, version: tuple[int, ...]) -> list[ImportStatement] | None:
    source = _parsed(data)
    if source is None or not version or not _is_only(use, source):
        return None
    owner, _dot, name = f"{use.name}.{dotted}".rpartition(".")
    reader = FactReader(data, frozenset(), Evaluator(version, "linux", frozenset()))
    reader.values.forget(source.changing)
    is_late = version[1] >= ANNOTATIONS_LATE_FROM or has_future(source.tree)
    attributes = reader.attributes = AttributeReader({use.name: use.name}, is_late, {owner: frozenset({name})})
    try:
        reader.read(source.tree)
    except RecursionError:
        return None
    return [_use_row(use, row) for row in attributes.rows if not row[-1]]
def _use_row(use: NameUse, row: tuple[int, int, str, str, str, bool]) -> ImportStatement:
    line, column, _owner, name, guard, _late = row
    return ImportStatement(line, column, ImportForm.ATTRIBUTE, use.module, (name,), use.level, Guard(guard))
def is_only_import(data: bytes, use: NameUse) -> bool:
    source = _parsed(data)
    return source is not None and _is_only(use, source)
def _parsed(data: bytes) -> ParsedSource | None:
    try:
        return parse_source(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
def _is_only(use: NameUse, source: ParsedSource) -> bool:
    return use.name not in source.declared and all(
        origin == use[1:4] for node in _of_module(source.tree) for origin in _origins(node, use.name)
    )
def _of_module(tree: ast.Module) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += _parts(node)
@singledispatch
def _parts(node: ast.AST) -> Iterator[ast.AST]:
    return ast.iter_child_nodes(node)
@_parts.register(ast.FunctionDef)
@_parts.register(ast.AsyncFunctionDef)
def _around(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    arguments = node.args
    return filter(None, [*node.decorator_list, *arguments.defaults, *arguments.kw_defaults])
@singledispatch
def _origins(node: ast.AST, name: str) -> Iterator[tuple[int, str, str]]:
    if name in names_bound_by(node) or name in names_bound(node):
        yield -1, "", ""
@_origins.register(ast.Import)
def _imported_modules(node: ast.Import, name: str) -> Iterator[tuple[int, str, str]]:
    for alias in node.names:
        top = alias.name.partition(".")[0]
        package, _dot, last = alias.name.rpartition(".")
        if name == (alias.asname or top):
            yield (0, package, last) if alias.asname and package else (0, top, "")
@_origins.register(ast.ImportFrom)
def _imported_names(node: ast.ImportFrom, name: str) -> Iterator[tuple[int, str, str]]:
    for alias in node.names:
        if name == (alias.asname or alias.name) or alias.name == "*":
            yield node.level, node.module or "", alias.name
''',
    'buildguard.imports.taken_names': r'''from __future__ import annotations
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from buildguard.definitions import NamedTuple
from buildguard.imports.execution import is_guarded, runs_at_import
from buildguard.imports.faults import ImportContext
from buildguard.imports.import_graph import ImportGraph, find_reached, has_source
from buildguard.imports.names import LoadedModule, NameReader
from buildguard.imports.records import Bound, Guard, ImportForm, ImportStatement, ModuleFacts, NameUse
class TakenName(NamedTuple):
    row: ImportStatement
    source: LoadedModule
    name: str
    is_open: bool
    is_unloaded: bool = False
    is_early: bool = False
class OwnUse(NamedTuple):
    use: NameUse
    owner: LoadedModule
    first: str
    def may_be_early(self, running: Collection[str]) -> bool:
        return self.owner.name in running or any(name.startswith(self.first) for name in running)
class _Part(NamedTuple):
    module: LoadedModule
    package: LoadedModule | None = None
    use: NameUse | None = None
    is_open: bool = False
class _MissingName(NamedTuple):
    source: LoadedModule
    name: str
    is_open: bool
    dotted: str
    parts: tuple[_Part, ...]
    is_unloaded: bool = False
class TakenNameReader:
    def __init__(
        self,
        graph: ImportGraph,
        names: NameReader,
        context: ImportContext,
        loaded: Container[str] | None = None,
    ) -> None:
        self._graph = graph
        self._loaded = loaded
        self._names = names
        self._context = context
        self._own_uses: dict[str, tuple[OwnUse, ...]] = {}
        self._lacking: dict[tuple[str, str, str], _MissingName | None] = {}
        self._read_rows: dict[tuple[object, ...], list[ImportStatement] | None] = {}
    def own_uses(self, module: LoadedModule) -> tuple[OwnUse, ...]:
        known = self._own_uses.get(module.name)
        if known is None:
            facts = self._facts(module)
            pairs = (
                ((use, self._graph.resolver.resolve(module, use).last) for use in facts.uses)
                if facts is not None
                else ()
            )
            known = tuple(
                OwnUse(use, owner, f"{owner.name}.{use.imported}" if use.imported else owner.name)
                for use, owner in pairs
                if owner is not None
            )
            self._own_uses[module.name] = known
        return known
    def read(self, module: LoadedModule) -> Iterator[TakenName]:
        for use, owner, _first in self.own_uses(module):
            for dotted, line in use.taken.items() if not self._is_of_library(use) else ():
                found = self._lacking_in(owner, use.imported, dotted)
                taken = None if found is None else self._executed(module, use, found, line)
                if taken is not None:
                    was_there = not taken.is_open and self._was_there(taken.source, taken.name, module)
                    yield taken._replace(is_open=True) if was_there else taken
    def read_early(
        self, module: LoadedModule, own_use: OwnUse, dotted: str, lines: Mapping[str, int]
    ) -> TakenName | None:
        use, owner, _first = own_use
        early = self._early_submodule(owner, use.imported, lines)
        def bound(source: LoadedModule, name: str) -> Bound:
            if f"{source.name}.{name}" in lines and not self._binds(source, name):
                return Bound.NO
            if source.name in lines and has_source(source):
                return self._names.is_bound(source, name, lines[source.name])
            return self._bound(source, name) if early is not None and source == early.module else Bound.YES
        part = early or (None if self._is_of_library(use) else self._part_of(owner, use.imported))
        found = self._missing(part, dotted, bound)
        taken = None if found is None else self._executed(module, use, found, use.taken[dotted])
        is_early = taken is not None and early is not None and taken.source == early.module
        return taken._replace(is_early=True) if taken is not None and is_early else taken
    def _early_submodule(self, package: LoadedModule, name: str, lines: Mapping[str, int]) -> _Part | None:
        if not name or package.name not in lines or not self._binds_later(package, name, lines[package.name]):
            return None
        source = self._graph.resolver.submodule(package, name)
        return None if source is None else _Part(source, is_open=self._may_bind_more(package))
    def _binds_later(self, package: LoadedModule, name: str, line: int) -> bool:
        facts = self._facts(package)
        return facts is not None and facts.bound.get(name, 0) >= line
    def _is_of_library(self, use: NameUse) -> bool:
        return not use.level and use.module.partition(".")[0] in self._context.standard
    def _part_of(self, owner: LoadedModule, imported: str) -> _Part | None:
        return self._below(owner, imported) if imported else _Part(owner)
    def _lacking_in(self, owner: LoadedModule, imported: str, dotted: str) -> _MissingName | None:
        key = owner.name, imported, dotted
        if key not in self._lacking:
            self._lacking[key] = self._missing(self._part_of(owner, imported), dotted, self._bound, self._is_unloaded)
        return self._lacking[key]
    def _below(self, package: LoadedModule, name: str) -> _Part | None:
        source = self._graph.resolver.submodule(package, name)
        if source is None or not self._binds(package, name):
            return None if source is None else _Part(source, is_open=self._may_bind_more(package))
        uses = self._own_submodules(package)
        return next((_Part(source, package, use) for use in uses if use.name == name), None)
    def _may_bind_more(self, package: LoadedModule) -> bool:
        facts = self._facts(package)
        return facts is not None and (facts.dynamic or any(row.is_star for row in facts.imports))
    def _facts(self, module: LoadedModule) -> ModuleFacts | None:
        return self._graph.facts(module.location.file) if has_source(module) else None
    def _own_submodules(self, package: LoadedModule) -> Iterator[NameUse]:
        facts = self._graph.facts(package.location.file)
        for row in facts.imports if facts is not None else ():
            if row.names and self._graph.resolver.resolve(package, row).last == package:
                yield from (NameUse(name, row.level, row.module, name, {}) for name in row.names)
    def _missing(
        self,
        part: _Part | None,
        dotted: str,
        is_bound: Callable[[LoadedModule, str], Bound],
        is_unloaded_part: Callable[[_Part], bool] = lambda _part: False,
    ) -> _MissingName | None:
        names = dotted.split(".")
        passed: list[_Part] = []
        for number, name in enumerate(names):
            if part is None:
                break
            passed.append(part)
            bound = is_bound(part.module, name)
            below = self._below(part.module, name)
            is_unloaded = bound is Bound.YES and below is not None and is_unloaded_part(below)
            if is_unloaded or bound is not Bound.YES:
                shown = ".".join(names[: number + 1])
                is_open = bound is Bound.UNKNOWN or any(each.is_open for each in passed)
                return _MissingName(part.module, name, is_open, shown, tuple(passed), is_unloaded)
            part = below
        return None
    def _is_unloaded(self, part: _Part) -> bool:
        is_sure = part.use is None and not part.is_open and has_source(part.module)
        return is_sure and self._loaded is not None and part.module.name not in self._loaded
    def _bound(self, module: LoadedModule, name: str) -> Bound:
        return Bound.YES if self._facts(module) is None else self._names.is_bound(module, name)
    def _was_there(self, source: LoadedModule, name: str, module: LoadedModule) -> bool:
        return self._binds(source, name) and module.name in find_reached(self._graph, [source])
    def _binds(self, source: LoadedModule, name: str) -> bool:
        facts = self._facts(source)
        return facts is not None and name in facts.bound
    def _executed(self, module: LoadedModule, use: NameUse, found: _MissingName, line: int) -> TakenName | None:
        rows = self._rows(module, use, found)
        if rows is None:
            row = ImportStatement(line, 1, ImportForm.ATTRIBUTE, use.module, (found.name,), use.level)
            return TakenName(row, found.source, found.name, is_open=True)
        taken = [row for row in rows if runs_at_import(row, is_main=module.is_main) and not is_guarded(row)]
        first = min(taken, key=_is_conditional, default=None)
        if first is None:
            return None
        is_open = found.is_open or _is_conditional(first)
        return TakenName(first, found.source, found.name, is_open, found.is_unloaded)
    def _rows(self, module: LoadedModule, use: NameUse, found: _MissingName) -> list[ImportStatement] | None:
        from buildguard.imports.executed_uses import rows_of
        facts, data = self._graph.facts(module.location.file), self._context.read(module.location.file)
        if facts is None or data is None or not all(map(self._holds, found.parts)):
            return None
        key = module.location.file, found.dotted, *use[:4]
        if key not in self._read_rows:
            self._read_rows[key] = rows_of(data, use, found.dotted, facts.version)
        return self._read_rows[key]
    def _holds(self, part: _Part) -> bool:
        from buildguard.imports.executed_uses import is_only_import
        if part.package is None or part.use is None:
            return True
        data = self._context.read(part.package.location.file)
        return data is not None and is_only_import(data, part.use)
def _is_conditional(row: ImportStatement) -> bool:
    return row.guard is Guard.CONDITIONAL
''',
    'buildguard.imports.own_imports': r'''from __future__ import annotations
import posixpath
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.imports.circles import CircularImport, ExecutedNames, find_circles
from buildguard.imports.execution import is_certain, is_guarded
from buildguard.imports.faults import FaultKind, ImportContext, ImportFault
from buildguard.imports.import_graph import ImportEdge, ImportGraph, ReachedModule, find_reached, has_source
from buildguard.imports.names import LoadedModule, NameReader
from buildguard.imports.program import StartedProgram, extended_path, folders_above, modules_named
from buildguard.imports.records import Bound, Guard, ImportForm, ImportStatement, PathChange
from buildguard.imports.resolver import ImportKind, ModuleResolver, Resolution, SearchPath
from buildguard.imports.shadows import find_shadows, may_shadow
if TYPE_CHECKING:
    from typing import TypeAlias
    from buildguard.imports.taken_names import TakenNameReader
_WRONG_LEVEL = {ImportKind.NO_PACKAGE: FaultKind.NO_PACKAGE, ImportKind.BEYOND: FaultKind.BEYOND}
_FLASKS = frozenset({"flask", "quart"})
_MOST_ROUNDS = 4
_NamedObject = "tuple[LoadedModule, ImportStatement]"
class OutsideImport(NamedTuple):
    module: LoadedModule
    row: ImportStatement
    certain: bool
    chain: tuple[str, ...]
    handled: bool = False
class OpenImport(NamedTuple):
    file: str
    line: int
    certain: bool
    reason: str = "its names are not known"
class OwnImports(NamedTuple):
    faults: tuple[ImportFault, ...]
    outside: tuple[OutsideImport, ...]
    undecided: tuple[OpenImport, ...]
    reached: Mapping[str, ReachedModule]
    knows_path: bool = True
class ProgramReader:
    def __init__(self, program: StartedProgram, context: ImportContext) -> None:
        self._program = program
        self._context = context
        self._facts = context.facts
        self._by_name = program.by_name()
    def read(self) -> OwnImports:
        path = self._program.path
        graph, reached = self._reach(path)
        for _ in range(_MOST_ROUNDS):
            longer = extended_path(path, self._added_folders(reached), self._program.folder)
            if longer == path:
                break
            path = longer
            graph, reached = self._reach(path)
        objects = self._objects(reached)
        loaded = [*self._loaded_objects(objects, path, reached)]
        if any(module.name not in reached for module in loaded):
            self._by_name = (*self._by_name, *loaded)
            graph, reached = self._reach(path)
            objects = self._objects(reached)
        return self._judge(graph, reached, objects)
    def _loaded_objects(
        self, objects: Iterable[_NamedObject], path: SearchPath, reached: Mapping[str, ReachedModule]
    ) -> Iterator[LoadedModule]:
        for module, row in objects:
            if reached[module.name].certain and is_certain(row, is_main=module.is_main):
                yield from modules_named(row.module, self._program.tree, path.folders)
    def _objects(self, reached: Mapping[str, ReachedModule]) -> Sequence[_NamedObject]:
        modules = [item.module for item in reached.values() if self._imports_flask(item.module)]
        if not modules:
            return ()
        from buildguard.imports.flask_objects import flask_objects
        return tuple(flask_objects(modules, self._context.read))
    def _imports_flask(self, module: LoadedModule) -> bool:
        facts = self._facts(module.location.file)
        return facts is not None and any(row.module in _FLASKS for row in facts.imports)
    def _reach(self, path: SearchPath) -> tuple[ImportGraph, dict[str, ReachedModule]]:
        resolver = ModuleResolver(self._program.tree, path, self._context.standard, self._context.may_be_foreign)
        for start in self._program.starts:
            if start.is_file_package:
                resolver.add(start)
        graph = ImportGraph(resolver, self._facts)
        starts = (*self._program.starts, *self._by_name)
        return graph, find_reached(graph, starts, may_fail=self._program.may_fail)
    def _added_folders(self, reached: dict[str, ReachedModule]) -> Iterator[tuple[str, str]]:
        for item in reached.values():
            facts = self._facts(item.module.location.file)
            for change in facts.paths if facts is not None else ():
                if change.folder is not None:
                    yield item.module.location.file, change.folder
    def _knows_path(self, reached: dict[str, ReachedModule]) -> bool:
        if self._program.open_path:
            return False
        known = (self._facts(item.module.location.file) for item in reached.values())
        return all(self._is_known(change) for facts in known if facts is not None for change in facts.paths)
    def _is_known(self, change: PathChange) -> bool:
        return change.folder is not None and (change.folder.startswith(("@", "/")) or self._program.folder != "")
    def _loaded(self, reached: Mapping[str, ReachedModule]) -> Container[str] | None:
        files = {item.module.location.file for item in reached.values() if has_source(item.module)}
        return None if any(self._facts(file) is None for file in files) else reached
    def _judge(
        self, graph: ImportGraph, reached: dict[str, ReachedModule], objects: Iterable[_NamedObject]
    ) -> OwnImports:
        judge = OwnImportJudge(graph, self._context, knows_path=self._knows_path(reached), loaded=self._loaded(reached))
        for item in reached.values():
            judge.judge(item)
        for module, row in (*self._program.listed(), *objects):
            if module.name in reached:
                judge.judge_listed(reached[module.name], row)
        for circle in find_circles(graph, judge.executed, self._program.starts):
            judge.add_circle(circle, reached)
        judge.add_faults(self._find_shadows(graph, judge.names, reached))
        return judge.result(reached)
    def _find_shadows(
        self, graph: ImportGraph, names: NameReader, reached: dict[str, ReachedModule]
    ) -> Iterator[ImportFault]:
        shadows = [*find_shadows(graph, names, reached, self._context.read)]
        yield from shadows
        if may_shadow(graph) and self._knows_path(reached):
            from buildguard.imports.library_shadows import find_library_shadows
            known = {fault.detail for fault in shadows}
            yield from find_library_shadows(graph, names, reached, self._facts, known)
class OwnImportJudge:
    def __init__(
        self,
        graph: ImportGraph,
        context: ImportContext,
        *,
        knows_path: bool = False,
        loaded: Container[str] | None = None,
    ) -> None:
        self.names = NameReader(graph.resolver.tree, context.facts, self._follow, context.may_be_foreign, context.read)
        self._graph = graph
        self.executed = ExecutedNames(self.names, self._taken_names)
        self._taken: TakenNameReader | None = None
        self._loaded = loaded
        self._context = context
        self._facts = context.facts
        self._knows_path = knows_path
        self._other_cases: dict[str, str] = {}
        self._faults: list[ImportFault] = []
        self._outside: list[OutsideImport] = []
        self._undecided: list[OpenImport] = []
    def _follow(self, module: LoadedModule, row: ImportStatement) -> LoadedModule | None:
        return self._graph.resolver.resolve(module, row).last
    def result(self, reached: dict[str, ReachedModule]) -> OwnImports:
        found = (tuple(self._faults), tuple(self._outside), tuple(self._undecided))
        return OwnImports(*found, reached, self._knows_path)
    def judge(self, item: ReachedModule) -> None:
        for edge in self._graph.edges(item.module):
            self._judge_edge(item, edge)
        facts = self._facts(item.module.location.file)
        if facts is not None and facts.uses:
            self._judge_uses(item)
    def _taken_names(self) -> TakenNameReader:
        if self._taken is None:
            from buildguard.imports.taken_names import TakenNameReader
            self._taken = TakenNameReader(self._graph, self.names, self._context, self._loaded)
        return self._taken
    def _judge_uses(self, item: ReachedModule) -> None:
        for row, source, name, is_open, is_unloaded, _is_early in self._taken_names().read(item.module):
            certain = is_certain(row, is_main=item.module.is_main)
            if is_open:
                reason = f"whether {source.name} has {name} when it is asked for is not known"
                file = item.module.location.file
                self._undecided.append(OpenImport(file, row.line, item.certain and certain, reason))
            else:
                edge = ImportEdge(row, Resolution(ImportKind.RESOLVED, (source,)), (), certain)
                kind = FaultKind.UNLOADED if is_unloaded else FaultKind.UNBOUND
                self._add(kind, item, edge, name, self._where(source, name))
    def judge_listed(self, item: ReachedModule, row: ImportStatement) -> None:
        certain = is_certain(row, is_main=item.module.is_main)
        self._judge_edge(item, ImportEdge(row, self._graph.resolver.resolve(item.module, row), (), certain))
    def _judge_edge(self, item: ReachedModule, edge: ImportEdge) -> None:
        if edge.resolution.kind is ImportKind.OUTSIDE:
            self._judge_outside(item, edge)
        elif not is_guarded(edge.row):
            self._judge_own(item, edge)
    def _judge_outside(self, item: ReachedModule, edge: ImportEdge) -> None:
        resolver = self._graph.resolver
        top = edge.row.module.partition(".")[0]
        is_own = not is_guarded(edge.row) and edge.row.guard is not Guard.MODULE_ONLY
        if is_own and not edge.row.level and not resolver.may_be_installed(top):
            kind, detail = self._why_absent(item.module, edge.row, top)
            if detail:
                self._add(kind, item, edge, top, detail)
                return
        self._outside.append(
            OutsideImport(
                item.module, edge.row, item.certain and edge.certain, item.chain, item.handled and not edge.row.late
            )
        )
    def _why_absent(self, module: LoadedModule, row: ImportStatement, top: str) -> tuple[FaultKind, str]:
        other = self._other_case(top)
        if other or not self._knows_path:
            return FaultKind.OTHER_CASE, other
        elsewhere = self._elsewhere(row.module)
        if elsewhere:
            return FaultKind.NOT_ON_PATH, elsewhere
        return FaultKind.OTHER_PLACE, self._other_place(module, row)
    def _other_place(self, module: LoadedModule, row: ImportStatement) -> str:
        tree = self._graph.resolver.tree
        names = [row.module, *(f"{row.module}.{name}" for name in row.names)]
        own = tree.origins.get(module.location.file, "")
        for base in folders_above(posixpath.dirname(own), ("",)) if own else ():
            stems = (posixpath.join(base, name.replace(".", "/")) for name in names)
            for origin in (stem + end for stem in stems for end in (".py", "/__init__.py")):
                if origin in tree.by_origin:
                    return f"{origin} is in the image as {tree.by_origin[origin]}"
        return ""
    def _other_case(self, top: str) -> str:
        known = self._other_cases.get(top)
        if known is None:
            resolver = self._graph.resolver
            known = self._other_cases[top] = next(resolver.tree.other_cases(top, resolver.path.folders), "")
        return known
    def _elsewhere(self, dotted: str) -> str:
        tree = self._graph.resolver.tree
        folders = tree.holders(dotted.partition(".")[0])
        return next((folder for folder in folders if tree.look_up(dotted, [folder]).last is not None), "")
    def _judge_own(self, item: ReachedModule, edge: ImportEdge) -> None:
        kind = edge.resolution.kind
        if kind is ImportKind.UNCLEAR:
            self._leave_open(item, edge)
        elif kind in _WRONG_LEVEL:
            self._add(_WRONG_LEVEL[kind], item, edge, "." * edge.row.level + edge.row.module)
        elif kind is ImportKind.MISSING:
            self._judge_missing(item, edge)
        else:
            self._judge_names(item, edge)
    def _judge_missing(self, item: ReachedModule, edge: ImportEdge) -> None:
        if edge.row.guard is Guard.MODULE_ONLY:
            return
        missing = edge.resolution.missing
        parent = edge.resolution.modules[-1] if edge.resolution.modules else None
        folders = parent.location.folders if parent is not None else self._graph.resolver.path.folders
        name = missing.rpartition(".")[2]
        other = next(self._graph.resolver.tree.other_cases(name, folders), "")
        if parent is not None and not has_source(parent) and parent.location.file:
            self._leave_open(item, edge)
        else:
            self._add(FaultKind.OTHER_CASE if other else FaultKind.MISSING, item, edge, missing, other)
    def _judge_names(self, item: ReachedModule, edge: ImportEdge) -> None:
        source = edge.resolution.last
        if source is None or edge.row.form is not ImportForm.FROM:
            return
        names = self._starred(source) if edge.row.is_star else edge.row.names
        if names is None:
            self._leave_open(item, edge)
            return
        for name in names:
            bound = self.names.is_bound(source, name)
            if bound is Bound.NO:
                other = next(self._graph.resolver.tree.other_cases(name, source.location.folders), "")
                kind = FaultKind.OTHER_CASE if other else FaultKind.UNBOUND
                self._add(
                    kind, item, edge, f"{source.name}.{name}" if other else name, other or self._where(source, name)
                )
            elif bound is Bound.UNKNOWN and not self._is_refused(source):
                self._leave_open(item, edge)
    def _where(self, source: LoadedModule, name: str) -> str:
        facts = self._facts(source.location.file) if has_source(source) else None
        line = None if facts is None else facts.bound.get(name)
        return "" if line is None else str(line)
    def _starred(self, source: LoadedModule) -> tuple[str, ...] | None:
        facts = self._facts(source.location.file) if has_source(source) else None
        if facts is None or "__all__" not in facts.bound:
            return ()
        return facts.exports
    def _leave_open(self, item: ReachedModule, edge: ImportEdge) -> None:
        certain = item.certain and edge.certain
        self._undecided.append(OpenImport(item.module.location.file, edge.row.line, certain))
    def _is_refused(self, source: LoadedModule) -> bool:
        return has_source(source) and self._facts(source.location.file) is None
    def _add(self, kind: FaultKind, item: ReachedModule, edge: ImportEdge, name: str, detail: str = "") -> None:
        source = edge.resolution.modules[-1] if edge.resolution.modules else None
        certain = item.certain and edge.certain
        self._faults.append(ImportFault(kind, item.module, edge.row, name, source, certain, item.chain, detail))
    def add_faults(self, faults: Iterable[ImportFault]) -> None:
        self._faults += faults
    def add_circle(self, circle: CircularImport, reached: dict[str, ReachedModule]) -> None:
        if self.names.is_bound(circle.source, circle.name) is Bound.NO and not circle.is_early:
            return
        item = reached[circle.module.name]
        if circle.is_open:
            self._undecided.append(OpenImport(circle.module.location.file, circle.row.line, item.certain))
            return
        kind, detail = self._kind_of(circle)
        self._faults.append(
            ImportFault(
                *(kind, circle.module, circle.row, circle.name, circle.source, item.certain, item.chain, detail)
            )
        )
    def _kind_of(self, circle: CircularImport) -> tuple[FaultKind, str]:
        if circle.is_early:
            return FaultKind.EARLY, " → ".join([*circle.circle, circle.circle[0]])
        if circle.module == circle.source and self._where(circle.source, circle.name) == str(circle.row.line):
            return FaultKind.UNBOUND, ""
        return FaultKind.CIRCULAR, " → ".join([*circle.circle, circle.source.name])
''',
    'buildguard.imports.unreached': r'''from __future__ import annotations
import functools
import itertools
import posixpath
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.imports.circles import CircularImport, find_circles
from buildguard.imports.faults import FaultKind, ImportFault
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.import_graph import ImportGraph, ReachedModule
from buildguard.imports.names import LoadedModule
from buildguard.imports.own_imports import OpenImport, OwnImportJudge, OwnImports
from buildguard.imports.program import folders_above, home_of
from buildguard.imports.resolver import ModuleResolver, SearchPath
if TYPE_CHECKING:
    from buildguard.imports.faults import ImportContext
_KINDS_OF_CIRCLES = frozenset({FaultKind.CIRCULAR, FaultKind.EARLY, FaultKind.UNBOUND})
_MOST_MEMBERS = 8
class _Group(NamedTuple):
    modules: tuple[LoadedModule, ...]
    asked: tuple[LoadedModule, ...]
class LooseReader:
    def __init__(self, tree: FileTree, roots: tuple[str, ...], context: ImportContext) -> None:
        self._tree = tree
        self._roots = roots
        self._context = context
        self._alone: dict[tuple[str, str], ModuleLocation | None] = {}
        self._resolver = ModuleResolver(
            tree, SearchPath(()), context.standard, context.may_be_foreign, prefer_installed=True
        )
    def read(self, files: Iterable[str], is_asked: Callable[[str], bool], *, certain: bool) -> OwnImports:
        groups = self._by_home(files if certain else filter(is_asked, files))
        results = [
            self._read_group(
                home,
                _Group(tuple(modules), tuple(one for one in modules if is_asked(one.location.file))),
                certain=certain,
            )
            for home, modules in groups.items()
        ]
        return OwnImports(
            tuple(fault for result in results for fault in result.faults),
            tuple(item for result in results for item in result.outside),
            tuple(item for result in results for item in result.undecided),
            {},
        )
    def _by_home(self, files: Iterable[str]) -> Mapping[str, list[LoadedModule]]:
        groups: dict[str, list[LoadedModule]] = defaultdict(list)
        for file in files:
            home, name = home_of(file, self._tree)
            kind = ModuleKind.PACKAGE if file.endswith("/__init__.py") else ModuleKind.MODULE
            folders = (removesuffix(file, "/__init__.py"),) if kind is ModuleKind.PACKAGE else ()
            if name:
                groups[home].append(LoadedModule(name, ModuleLocation(kind, file, folders)))
        return groups
    def _read_group(self, home: str, group: _Group, *, certain: bool) -> OwnImports:
        folders = tuple(dict.fromkeys([*folders_above(home, self._roots), *self._roots]))
        first = self._judge(folders, group, certain=certain, with_circles=certain)
        if not first.faults or len(folders) == 1:
            return first
        again = group._replace(asked=_to_judge_again(first, group.asked))
        with_circles = certain and not _KINDS_OF_CIRCLES.isdisjoint([fault.kind for fault in first.faults])
        second = self._judge(folders[::-1], again, certain=certain, with_circles=with_circles)
        shared = {_place(fault) for fault in second.faults}
        faults = tuple(fault for fault in first.faults if _place(fault) in shared)
        lost = [
            OpenImport(fault.module.location.file, fault.row.line, fault.certain)
            for fault in first.faults
            if _place(fault) not in shared
        ]
        return first._replace(faults=faults, undecided=(*first.undecided, *lost))
    def _judge(self, folders: tuple[str, ...], group: _Group, *, certain: bool, with_circles: bool) -> OwnImports:
        graph = ImportGraph(self._resolver.with_path(SearchPath((), folders)), self._context.facts)
        judge = OwnImportJudge(graph, self._context)
        items = {module.name: ReachedModule(module, certain, (module.name,)) for module in group.modules}
        for module in group.asked:
            judge.judge(items[module.name])
        circles = list(self._circles(graph, judge, group)) if with_circles else []
        for circle in circles:
            if not circle.is_open:
                judge.add_circle(circle, items)
        left = [
            OpenImport(circle.module.location.file, circle.row.line, certain) for circle in circles if circle.is_open
        ]
        return self._without_loose(judge.result({}), folders, left)
    def _without_loose(self, result: OwnImports, folders: tuple[str, ...], left: Iterable[OpenImport]) -> OwnImports:
        faults: list[ImportFault] = []
        loose: list[ImportFault] = []
        for fault in result.faults:
            (loose if self._is_loose(fault, folders) else faults).append(fault)
        outside = (fault for fault in loose if fault.certain and self._leaves_roots(fault))
        undecided = (OpenImport(fault.module.location.file, fault.row.line, fault.certain) for fault in outside)
        relative, unsure = self._judge_relative(fault for fault in loose if fault.row.level)
        return result._replace(faults=(*faults, *relative), undecided=(*result.undecided, *left, *undecided, *unsure))
    def _judge_relative(self, loose: Iterable[ImportFault]) -> tuple[list[ImportFault], list[OpenImport]]:
        results = [*map(self._judge_below, itertools.filterfalse(self._leaves_roots, loose))]
        faults = [fault for result in results for fault in result.faults]
        return faults, [item for result in results for item in result.undecided]
    def _judge_below(self, fault: ImportFault) -> OwnImports:
        results = [self._judge_named(fault, name) for name in dict.fromkeys(self._names_below(fault))]
        if not results:
            return self._judge_outside(fault)
        if all(result.faults for result in results) and not any(map(self._has_portion, results[0].faults)):
            return results[0]
        is_open = any(result.faults or result.undecided for result in results)
        left = (OpenImport(fault.module.location.file, fault.row.line, fault.certain),) if is_open else ()
        return results[0]._replace(faults=(), undecided=left)
    def _judge_outside(self, fault: ImportFault) -> OwnImports:
        folder = posixpath.dirname(fault.module.location.file)
        for _ in range(fault.row.level - 1):
            folder = posixpath.dirname(folder)
        is_there = not fault.row.module or self._look_up_in(folder, fault.row.module) is not None
        left = OpenImport(fault.module.location.file, fault.row.line, fault.certain)
        return OwnImports((), (), () if is_there else (left,), {})
    def _names_below(self, fault: ImportFault) -> Iterator[str]:
        file = fault.module.location.file
        for root in self._roots:
            path = _inside(file, root)
            if path.count("/") >= fault.row.level:
                yield removesuffix(removesuffix(path, ".py"), "/__init__")
    def _has_portion(self, fault: ImportFault) -> bool:
        if fault.source is None or fault.source.location.kind is not ModuleKind.NAMESPACE:
            return False
        folders = fault.source.location.folders
        ends = {posixpath.basename(folder) for folder in folders}
        holders = self._tree.holders(fault.name.rpartition(".")[2])
        return any(posixpath.basename(holder) in ends and holder not in folders for holder in holders)
    def _judge_named(self, fault: ImportFault, path: str) -> OwnImports:
        judge = OwnImportJudge(self._graph_of_roots, self._context)
        module = LoadedModule(path.replace("/", "."), fault.module.location)
        judge.judge_listed(ReachedModule(module, certain=False, chain=(module.name,)), fault.row)
        return judge.result({})
    @functools.cached_property
    def _graph_of_roots(self) -> ImportGraph:
        context = self._context
        resolver = ModuleResolver(self._tree, SearchPath((), self._roots), context.standard, context.may_be_foreign)
        return ImportGraph(resolver, context.facts)
    def _is_loose(self, fault: ImportFault, folders: tuple[str, ...]) -> bool:
        if fault.row.level:
            return fault.kind in {FaultKind.BEYOND, FaultKind.NO_PACKAGE}
        top = fault.detail if fault.kind is FaultKind.OTHER_CASE and "." not in fault.name else fault.row.module
        is_elsewhere = self._tree.find(top.partition(".")[0], self._roots) is None
        return is_elsewhere or self._has_other(fault, folders)
    def _leaves_roots(self, fault: ImportFault) -> bool:
        folder = posixpath.dirname(fault.module.location.file)
        depths = (
            len(folder[len(root) :].strip("/").split("/")) if folder != root else 0
            for root in self._roots
            if folder == root or folder.startswith(f"{root.rstrip('/')}/")
        )
        return fault.row.level > max(depths, default=fault.row.level)
    def _has_other(self, fault: ImportFault, folders: tuple[str, ...]) -> bool:
        used = fault.source.location.file if fault.source is not None else ""
        inside = folders_above(posixpath.dirname(fault.module.location.file), self._roots)
        alone = (self._look_up_in(folder, fault.row.module) for folder in (*inside, *folders))
        return any(location is not None and location.file != used for location in alone)
    def _look_up_in(self, folder: str, dotted: str) -> ModuleLocation | None:
        place = folder, dotted
        if place not in self._alone:
            self._alone[place] = self._tree.look_up(dotted, place[:1]).last
        return self._alone[place]
    def _circles(self, graph: ImportGraph, judge: OwnImportJudge, group: _Group) -> Iterator[CircularImport]:
        by_name = {module.name: module for module in group.modules}
        for circle in find_circles(graph, judge.executed, group.asked, with_conditional=False):
            members = [by_name[name] for name in circle.circle if name in by_name]
            fails = not circle.is_open and len(members) == len(circle.circle) <= _MOST_MEMBERS
            yield circle._replace(is_open=not (fails and all(self._fails_from(graph, judge, item) for item in members)))
    def _fails_from(self, graph: ImportGraph, judge: OwnImportJudge, start: LoadedModule) -> bool:
        circles = find_circles(graph, judge.executed, [start], with_conditional=False)
        return not all(circle.is_open for circle in circles)
def _inside(file: str, root: str) -> str:
    start = f"{root.rstrip('/')}/"
    return file[len(start) :] if file.startswith(start) else ""
def _to_judge_again(first: OwnImports, modules: tuple[LoadedModule, ...]) -> tuple[LoadedModule, ...]:
    if any(fault.kind is FaultKind.CIRCULAR for fault in first.faults):
        return modules
    files = {fault.module.location.file for fault in first.faults}
    return tuple(module for module in modules if module.location.file in files)
def _place(fault: ImportFault) -> tuple[str, int, str, str]:
    return fault.module.location.file, fault.row.line, fault.name, fault.kind
''',
    'buildguard.imports.changed_modules': r'''from __future__ import annotations
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property
from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.imports.faults import FaultKind, ImportFault
from buildguard.imports.program import is_test, last_word
from buildguard.imports.records import ImportForm
if TYPE_CHECKING:
    from buildguard.imports.doubts import ProjectTexts
_LONGEST = 2000
_MOST_NAMED = 200
_IN_QUOTES = lazy_pattern(rb"'[^'\n]*'|\"(?!\$\{?\w+\}?\")[^\"\n]*\"")
_SEPARATORS = lazy_pattern(rb"[;&|]")
_COMMAND = lazy_pattern(rb"\b(?:sed|perl|g?awk|tee|patch|ed|ex|truncate|curl|wget|cp|mv|ln|install|rsync)\b")
_EDITORS = frozenset({b"sed", b"perl", b"awk", b"gawk"})
_FETCHERS = frozenset({b"curl", b"wget"})
_COPIERS = frozenset({b"cp", b"mv", b"ln", b"install", b"rsync"})
_IN_PLACE = lazy_pattern(rb"\s-(?:\w*i\b|\w*i[.\s]|-in-place)")
_TO_FILE = lazy_pattern(rb"\s-(?:\w*[oO]|-output[\w-]*)[ =]?\Z")
_REDIRECTION = lazy_pattern(rb"(?:>[ \t]*|\bof=)[\"']?\Z")
_IN_PATH = bytes(code for code in range(33, 127) if code not in b"'\";&|=>()[],")
_IN_WORD, _IN_NAME = lazy_pattern(rb"[\w.-]"), lazy_pattern(rb"[\w.]")
_LAST = lazy_pattern(rb"[\"']?[ \t]*(?:[;&|\r\n\"')\]]|\Z)")
_EVERY_FILE = lazy_pattern(rb"[\s/]\*(?:\.py)?[\s;)\"']|\{\}|\$\{?(?:f|file|path|i)\}?[\s;)\"']|\bxargs\b")
_PATCHES = lazy_pattern(rb"\bpatch[ \t]+(?:-p\d|<|-i)|\bgit[ \t]+(?:apply|am)\b|\bquilt[ \t]+push\b|\b2to3\b")
_OTHER_FILES = lazy_pattern(rb"\*\.(?!py\b)\w")
_PATH = lazy_pattern(rb"(?<![\w./-])[\w./-]{1,200}\.py\b")
_SETATTR = rb"setattr\(\s*(?!self\b|cls\b)[\w.\[\]\"']+\s*,\s*(?!\s|[\"'][^\"'\n]*[\"']\s*,)"
_SETS_COMPUTED = lazy_pattern(_SETATTR + rb"|(?:__dict__|vars\([^()\n]*\))(?:\[|\.(?:update|setdefault)\()")
_ANY_MODULE = lazy_pattern(rb"\bmodules\s*(?:\[\s*(?!__name__|[\"'])|\.get\()|\bgetmodule\(")
_ANY_GLOBALS = lazy_pattern(
    rb"(?m)\b(?:f_globals|__globals__)(?:\[[^\]\n]+\]\s*=(?!=)|\.(?:update|setdefault)\()|^[ \t]*\w+\s*=\s*[^\n#]*\b(?:f_globals|__globals__)[ \t]*$"
)
_FUNCTION = lazy_pattern(rb"\bdef\s+(\w+)")
_REGISTERS = lazy_pattern(
    rb"\bmodules\[[ \t]*([^\]\n]{1,200}?)[ \t]*\]\s*=(?!=)|\bmodules\.(?:setdefault|update|__setitem__)\(([^\n]{0,200})"
    rb"|\b(?:setitem|patch\.dict)\(([^\n]{0,200}?\bmodules\b[^\n]{0,200})"
)
_QUOTED = lazy_pattern(rb"[\"']([\w.]+)[\"']")
_LITERAL = lazy_pattern(rb"[\"'][\w.]+[\"']")
_IMPORTS_COMPUTED = lazy_pattern(
    rb"\b(?:import_module|__import__)\((?!\s*[\"'][\w.]*[\"']\s*[,)])|\b(?:exec_module|load_module|import_string)\("
    rb"|\bdjango\.setup\(|\bget_[aw]sgi_application\("
)
_BY_ORDER = frozenset({FaultKind.CIRCULAR, FaultKind.UNLOADED, FaultKind.EARLY})
_SETTERS = (b"setattr(", b"__dict__", b"vars(")
_IMPORTING = (b"import_module", b"__import__", b"exec_module", b"load_module", b"import_string", b"django")
class _SetPlace(NamedTuple):
    word: bytes
    is_module: bool = False
    is_text: bool = False
    @property
    def shown(self) -> str:
        if self.is_text:
            return f"names {self.word.decode()} in a text, and may import it so"
        return f"sets {'computed attributes of' if self.is_module else 'an attribute'} {self.word.decode()}"
class _Marks:
    def __init__(self) -> None:
        self.setting: list[str] = []
        self.functions: set[bytes] = set()
        self.registered: set[bytes] = set()
        self.registered_words: set[bytes] = set()
        self.importing: list[str] = []
        self.writing: dict[str, list[bytes]] = {}
    def note(self, path: str, data: bytes) -> None:
        if self._note_functions(data) or (b"globals" in data and _ANY_GLOBALS.search(data)):
            self.setting.append(path)
        if b"modules" in data:
            self._note_registered(data)
        if any(word in data for word in _IMPORTING) and _IMPORTS_COMPUTED.search(data):
            self.importing.append(path)
        if b"write" in data and b".py" in data:
            self.writing[path] = _PATH.findall(data)
    def _note_functions(self, data: bytes) -> bool:
        if not any(word in data for word in _SETTERS) or not _SETS_COMPUTED.search(data):
            return False
        self.functions.update(_FUNCTION.findall(data))
        return _ANY_MODULE.search(data) is not None
    def _note_registered(self, data: bytes) -> None:
        keys = {key for keys in _REGISTERS.findall(data) for key in keys if key} - {b"__name__"}
        literal = {key for key in keys if _LITERAL.fullmatch(key)}
        self.registered.update(key[1:-1] for key in literal)
        if keys - literal:
            self.registered_words.update(text.rpartition(b".")[2] for text in _QUOTED.findall(data))
class _PlaceSearch:
    def __init__(self, places: Iterable[_SetPlace]) -> None:
        self._left = {place: _setting(place) for place in places}
        self._passing = {place: _passing(place.word) for place in self._left if place.is_module}
        self._called: dict[_SetPlace, set[bytes]] = {place: set() for place in self._left}
        self._found: set[_SetPlace] = set()
    def look(self, data: bytes) -> None:
        for place in [place for place in self._left if place.word in data]:
            if self._left[place].search(data):
                self._found.add(place)
                del self._left[place]
            elif place in self._passing:
                self._called[place].update(self._passing[place].findall(data))
    def results(self, functions: set[bytes]) -> dict[_SetPlace, bool]:
        return {
            place: place in self._found or not called.isdisjoint(functions) for place, called in self._called.items()
        }
class ChangedModules:
    def __init__(
        self, texts: ProjectTexts, read_sources: Callable[[Callable[[str], object]], Iterator[tuple[str, bytes]]]
    ) -> None:
        self._texts = texts
        self._read_sources = read_sources
        self._set_places: dict[_SetPlace, bool] = {}
        self._marks = _Marks()
        self._are_noted = False
        self._rewritten: dict[str, str] = {}
    def look_for(self, faults: Iterable[ImportFault]) -> None:
        places = {place for fault in faults for place in _set_places(fault)} - self._set_places.keys()
        if not places:
            return
        search = _PlaceSearch(places)
        for path, data in self._read_sources(lambda _path: True):
            if not self._are_noted and not is_test(path):
                self._marks.note(path, data)
            search.look(data)
        self._are_noted = True
        self._set_places.update(search.results(self._marks.functions))
    def why_other(self, fault: ImportFault, reached: Collection[str]) -> str:
        return next(self._reasons(fault, reached), "")
    def _reasons(self, fault: ImportFault, reached: Collection[str]) -> Iterator[str]:
        marks = self._marks
        place = next(filter(self._set_places.get, _set_places(fault)), None)
        if place is not None:
            yield f"the project {place.shown}"
        if fault.source is None:
            return
        yield from self._of_file(fault.source.location.file, marks)
        yield from (f"{posixpath.basename(path)} sets names of the module that calls it" for path in marks.setting[:1])
        if self._is_registered(fault.source.name.encode(), marks):
            yield f"the project puts {fault.source.name} into sys.modules"
        if fault.kind in _BY_ORDER:
            yield from (
                f"{posixpath.basename(path)} imports modules by names that it computes"
                for path in marks.importing
                if path in reached
            )
    def _is_registered(self, name: bytes, marks: _Marks) -> bool:
        parts = name.split(b".")
        packages = {b".".join(parts[: end + 1]) for end in range(len(parts))}
        return not marks.registered.isdisjoint(packages) or not marks.registered_words.isdisjoint(parts)
    def _of_file(self, file: str, marks: _Marks) -> Iterator[str]:
        yield from filter(None, [self.why_rewritten(file)])
        for script, paths in marks.writing.items():
            if any(_may_be(path, file) for path in paths) and self._is_run(script):
                yield f"{posixpath.basename(script)} may write {posixpath.basename(file)}"
    def why_rewritten(self, file: str) -> str:
        reason = self._rewritten.get(file)
        if reason is None:
            reason = self._rewritten[file] = self._why_rewritten(file) if file.endswith(".py") else ""
        return reason
    def _why_rewritten(self, file: str) -> str:
        base, texts = posixpath.basename(file), self._texts.build_files()
        if any(_is_written(*place, file) for place in _places_of(base.encode(), texts)):
            return f"a build file or script may rewrite {base}"
        return "a build file or script may rewrite any source" if self._writes_all else ""
    @cached_property
    def _writes_all(self) -> bool:
        return any(map(_writes_every_file, self._texts.build_files().split(b"\n")))
    def _is_run(self, script: str) -> bool:
        return re.search(rb"\b%s\b" % re.escape(last_word(script).encode()), self._texts.build_files()) is not None
def _places_of(name: bytes, texts: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    at = texts.find(name)
    for _ in range(_MOST_NAMED):
        if at < 0:
            return
        before, behind = _line_before(texts, at), texts[at + len(name) : at + len(name) + _LONGEST]
        start = len(before.rstrip(_IN_PATH))
        if not (_IN_NAME.match(behind) or (start < len(before) and _IN_WORD.match(before[-1:]))):
            yield before[:start], before[start:] + name, behind
        at = texts.find(name, at + 1)
def _line_before(texts: bytes, at: int) -> bytes:
    start = max(at - _LONGEST, 0)
    text = texts[start:at].replace(b"\\\r\n", b"  ").replace(b"\\\n", b"  ")
    return text[text.rfind(b"\n") + 1 :]
def _is_written(before: bytes, path: bytes, behind: bytes, file: str) -> bool:
    if _REDIRECTION.search(before):
        return _may_be(path, file)
    command = _SEPARATORS.split(_IN_QUOTES.sub(b"''", before))[-1]
    program = next((match for match in _COMMAND.finditer(command) if _writes(match[0], command[match.end() :])), None)
    if program is None or program[0] not in _COPIERS or _LAST.match(behind):
        return program is not None and _may_be(path, file)
    folder = posixpath.dirname(path.decode("utf-8", "replace"))
    return folder not in {"", "."} and (not _may_be(path, file) or "$" in folder)
def _writes(program: bytes, arguments: bytes) -> bool:
    if program in _EDITORS:
        return _IN_PLACE.search(arguments) is not None
    return program not in _FETCHERS or _TO_FILE.search(arguments) is not None
def _writes_every_file(line: bytes) -> bool:
    text = _IN_QUOTES.sub(b"''", line[:_LONGEST] + b" ")
    is_edit = (b"sed" in text or b"perl" in text) and _IN_PLACE.search(text) and _EVERY_FILE.search(text)
    return bool(is_edit or _PATCHES.search(text)) and not _OTHER_FILES.search(line[:_LONGEST])
def _may_be(written: bytes, file: str) -> bool:
    folder, name = posixpath.split(written.decode("utf-8", "replace"))
    last = posixpath.basename(folder)
    is_open = not re.fullmatch(r"[\w-]+", last)
    return name == posixpath.basename(file) and (is_open or last == posixpath.basename(posixpath.dirname(file)))
def _set_places(fault: ImportFault) -> Iterator[_SetPlace]:
    yield _SetPlace(fault.name.encode())
    if fault.kind is FaultKind.UNLOADED:
        yield _SetPlace(fault.name.encode(), is_text=True)
    if fault.source is not None:
        package, _dot, last = fault.source.name.rpartition(".")
        yield _SetPlace(last.encode(), is_module=True)
        if package and fault.row.form is ImportForm.ATTRIBUTE:
            yield _SetPlace(last.encode())
def _setting(place: _SetPlace) -> re.Pattern[bytes]:
    word = re.escape(place.word)
    if place.is_text:
        return re.compile(rb"[\"'](?:[\w.]*\.)?%s(?:[.:][\w.:]*)?[\"']" % word)
    if place.is_module:
        space = rb"(?:\b%s\.__dict__|vars\(\s*(?:\w+\.)*%s\s*\))(?:\[|\.(?:update|setdefault)\()" % (word, word)
        return re.compile(_SETATTR + b"|" + space)
    statement = rb"\.%s\s{0,200}(?::[^=\n]{1,200})?=(?!=)|^[\w., \t]{0,200}\.%s[ \t]*,[\w., \t]{0,200}=(?!=)" % (
        word,
        word,
    )
    target = (
        rb"\bfor\s+[\w.]{1,200}\.%s\s+in\b|\bwith\b[^\n]{0,200}\bas\s+[\w.]{1,200}\.%s\b|setattr\((?:[^\n]{0,200}|[^()]{0,200})[\"']%s[\"']"
        % ((word,) * 3)
    )
    return re.compile(statement + b"|" + target, re.MULTILINE)
def _passing(word: bytes) -> re.Pattern[bytes]:
    return re.compile(
        rb"\b(\w+)\(\s{0,99}(?:[^()\n]{1,200},[ \t]{0,9})?(?:\w{1,99} ?= ?)?(?:\w{1,99}\.){0,9}%s\s{0,99}[,)]"
        % re.escape(word)
    )
''',
    'buildguard.imports.doubts': r'''from __future__ import annotations
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property
from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.imports.faults import FaultKind, ImportFault
from buildguard.imports.names import LoadedModule
from buildguard.imports.program import StartedProgram, is_test
from buildguard.imports.records import ModuleFacts
if TYPE_CHECKING:
    from buildguard.imports.changed_modules import ChangedModules
_GENERATED = lazy_pattern(
    r"_?version|__version__|_?build_info|.+_pb2(?:_grpc)?|.+_(?:thrift|rc|ui)|ui_.+|_?generated|.+_generated"
)
_EXTENSION = lazy_pattern(
    rb"""(?x)
    (?: \w*Extension\(\s*(?:name\s*=\s*)?    # setuptools, Cython, pybind11, setuptools-rust
      | \bmodule-name\s*=\s*                  # maturin
      | \bset_source\(\s*                     # cffi
      | \bextension_module\(\s*               # meson
      | \{\s*name\s*=\s*(?=["'][\w.]+["']\s*,\s*sources)  # setuptools, in pyproject.toml
    )["']([\w.]+)["']
    | (?: \b(?:pybind11|nanobind)_add_module\(\s* | \b[Pp]ython3?_add_library\(\s*  # CMake
      | ^\[lib\](?:\r?\n(?!\[)[^\n]*)*?\nname\s*=\s*" )([\w.]+)                                   # cargo
    """,
    re.MULTILINE,
)
_MAY_BUILD = lazy_pattern(r"(?i)(?:setup|build|ext|ffi|compile|cython)[^/]*\.py$")
_BUILD_FILES = frozenset(
    {
        "Makefile",
        "justfile",
        "Justfile",
        "noxfile.py",
        "setup.py",
        "setup.cfg",
        "pyproject.toml",
        "MANIFEST.in",
        "Cargo.toml",
        "meson.build",
        "CMakeLists.txt",
    }
)
_BUILD_SUFFIXES = (".sh", ".mk", ".yaml", ".yml", "Dockerfile")
_BUILD_ENDINGS = (*_BUILD_FILES, *_BUILD_SUFFIXES)
_STEP = ".buildguard/"
_ABSENT = frozenset({FaultKind.MISSING, FaultKind.NOT_ON_PATH, FaultKind.OTHER_PLACE, FaultKind.OTHER_CASE})
_UNBOUND = frozenset({FaultKind.UNBOUND, FaultKind.CIRCULAR, FaultKind.SHADOWS, FaultKind.UNLOADED, FaultKind.EARLY})
class ProjectTexts(NamedTuple):
    read: Callable[[str], bytes | None]
    is_ignored: Callable[[str], bool]
    facts: Callable[[str], ModuleFacts | None]
    build_files: Callable[[], bytes] = bytes
    read_each: Callable[[Iterable[str]], Iterator[tuple[str, bytes]]] | None = None
def is_build_file(path: str) -> bool:
    return path.endswith(_BUILD_ENDINGS) and (
        path.endswith(_BUILD_SUFFIXES) or posixpath.basename(path) in _BUILD_FILES
    )
class DoubtFinder:
    def __init__(self, program: StartedProgram, texts: ProjectTexts) -> None:
        self._program = program
        self._tree = program.tree
        self._texts = texts
        self._absent: dict[tuple[str, LoadedModule | None, bool], str] = {}
    def find(
        self, faults: Iterable[ImportFault], reached: Callable[[], Collection[str]]
    ) -> Iterator[tuple[ImportFault, str]]:
        pairs = [(fault, self._of_path(fault)) for fault in faults]
        left = [fault for fault, doubt in pairs if not doubt and fault.kind in _UNBOUND]
        if left:
            self._changes.look_for(left)
        files = reached() if left else ()
        for fault, doubt in pairs:
            yield fault, doubt or (self._changes.why_other(fault, files) if fault.kind in _UNBOUND else "")
    @cached_property
    def _changes(self) -> ChangedModules:
        from buildguard.imports.changed_modules import ChangedModules
        return ChangedModules(self._texts, self._read_sources)
    def _of_path(self, fault: ImportFault) -> str:
        rewritten = self._changes.why_rewritten(fault.module.location.file)
        if rewritten:
            return rewritten
        is_package = fault.source is not None and bool(fault.source.location.folders)
        if fault.kind in _ABSENT or (fault.kind in {FaultKind.UNBOUND, FaultKind.CIRCULAR} and is_package):
            place = fault.name, fault.source, fault.kind in _ABSENT
            if place not in self._absent:
                self._absent[place] = next(self._of_absent(fault), "")
            return self._absent[place]
        return ""
    def _of_absent(self, fault: ImportFault) -> Iterator[str]:
        name = fault.name.rpartition(".")[2]
        folders = fault.source.location.folders if fault.source is not None else self._program.path.folders
        if _GENERATED.fullmatch(name):
            yield f"{fault.name} is generated"
        for folder in folders:
            yield from self._of_folder(folder, name)
        if self._is_named_by_build(name):
            yield f"a build file names {name}.py"
        if self._is_compiled(fault):
            yield f"a build compiles {fault.name}"
        if fault.source is not None and self._changes_modules(fault.source.location.file):
            yield f"{fault.source.name} changes where its modules come from"
        if self._is_registered(fault.name):
            yield f"the project puts {fault.name} into sys.modules"
    def _is_named_by_build(self, name: str) -> bool:
        file = name.encode() + b".py"
        texts = self._texts.build_files()
        return file in texts and re.search(rb"\b%s\b" % re.escape(file), texts) is not None
    def _is_compiled(self, fault: ImportFault) -> bool:
        package = fault.source.name if fault.source is not None and fault.kind not in _ABSENT else ""
        parts = [*filter(None, package.split(".")), *fault.name.split(".")]
        names = {".".join(parts[: end + 1]) for end in range(len(parts))} | {parts[-1]}
        return not names.isdisjoint(self._extensions)
    @cached_property
    def _extensions(self) -> frozenset[str]:
        scripts = (data for _path, data in self._read_sources(_may_build) if _is_build_script(data))
        pairs = (pair for text in (self._texts.build_files(), *scripts) for pair in _EXTENSION.findall(text))
        return frozenset(name.decode("utf-8", "replace") for pair in pairs for name in pair)
    def _of_folder(self, folder: str, name: str) -> Iterator[str]:
        stem = posixpath.join(folder, name)
        yield from filter(None, map(self._program.why_unknown, (f"{stem}.py", f"{stem}/__init__.py")))
        for child in self._tree.named(folder, name):
            if child not in {name, f"{name}.py"}:
                yield f"{child} may be built into it"
        origin = self._origin_of(folder)
        if origin is not None:
            stem = posixpath.join(origin, name)
            if self._texts.is_ignored(f"{stem}.py") or self._texts.is_ignored(f"{stem}/__init__.py"):
                yield f"git ignores {stem}.py"
    def _origin_of(self, folder: str) -> str | None:
        for child in self._tree.children(folder):
            origin = self._tree.origins.get(posixpath.join(folder, child), "")
            if origin:
                return posixpath.dirname(origin)
        return None
    def _changes_modules(self, file: str) -> bool:
        data = self._texts.read(file) if file else None
        return data is not None and (b"__path__" in data or b"sys.modules" in data)
    def _is_registered(self, dotted: str) -> bool:
        name = dotted.rpartition(".")[2].encode()
        return self._registering is None or any(name in data for data in self._registering)
    @cached_property
    def _registering(self) -> list[bytes] | None:
        registering = []
        for path, data in self._read_sources(lambda path: is_test(path) or self._is_dynamic(path)):
            is_finder = b"meta_path" in data or b"path_hooks" in data
            if not is_finder and b"sys.modules" not in data:
                continue
            if is_test(path) and not self._is_dynamic(path):
                continue
            if is_finder:
                return None
            registering.append(data)
        return registering
    def _read_sources(self, is_wanted: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
        wanted = (
            path
            for path, origin in self._tree.origins.items()
            if path.endswith(".py")
            and origin
            and not origin.startswith(_STEP)
            and is_wanted(path)
        )
        if self._texts.read_each is not None:
            yield from self._texts.read_each(wanted)
            return
        for path in wanted:
            data = self._texts.read(path)
            if data is not None:
                yield path, data
    def _is_dynamic(self, path: str) -> bool:
        facts = self._texts.facts(path)
        return facts is None or facts.dynamic
def _may_build(path: str) -> bool:
    return _MAY_BUILD.search(path, path.rfind("/") + 1) is not None
def _is_build_script(source: bytes) -> bool:
    return b"Extension(" in source or b"set_source(" in source
''',
    'buildguard.imports.third_party': r'''from __future__ import annotations
from buildguard.definitions import NamedTuple, Protocol, StrEnum
from buildguard.imports.records import ImportStatement
class PackagePresence(StrEnum):
    PRESENT = "present"
    MISSING = "missing"
    DEVELOPMENT = "development"
    NAME_MISSING = "name missing"
    UNKNOWN = "unknown"
class PackageAnswer(NamedTuple):
    presence: PackagePresence
    missing: str = ""
    detail: str = ""
class PackageSource(Protocol):
    @property
    def predicted(self) -> bool:
        pass
    @property
    def words(self) -> str:
        pass
    def ask(self, row: ImportStatement) -> PackageAnswer:
        pass
''',
    'buildguard.imports.project_imports': r'''from __future__ import annotations
import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from buildguard.codes import Code
from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.diagnostic import Finding, Range, Severity
from buildguard.imports import standard_names
from buildguard.imports.execution import is_guarded
from buildguard.imports.finder import ModuleKind
from buildguard.imports.own_imports import OpenImport, OutsideImport, OwnImports, ProgramReader
from buildguard.imports.program import StartedProgram, folders_above, is_test, sources_of
from buildguard.imports.records import FileReach, Guard, ProjectImports, UndecidedImport
from buildguard.imports.third_party import PackagePresence
from buildguard.imports.unreached import LooseReader
if TYPE_CHECKING:
    from buildguard.imports.doubts import ProjectTexts
    from buildguard.imports.faults import ImportContext, ImportFault
    from buildguard.imports.names import LoadedModule
    from buildguard.imports.records import ImportStatement
    from buildguard.imports.third_party import PackageAnswer, PackageSource
_ABSENT = frozenset({PackagePresence.MISSING, PackagePresence.DEVELOPMENT})
class ProgramSubject(NamedTuple):
    program: StartedProgram
    context: ImportContext
    texts: ProjectTexts
    packages: PackageSource | None = None
def read_imports(
    subjects: Sequence[ProgramSubject],
    asked: Collection[str] | None = None,
    *,
    follows_starts: bool = True,
) -> ProjectImports:
    judges = [_ProgramJudge(subject) for subject in subjects]
    reach: dict[str, FileReach] = {}
    for judge in judges if follows_starts else ():
        for path, how in judge.follow():
            known = reach.get(path)
            if known is None or (how.certain and not known.certain):
                reach[path] = how
    for judge in judges:
        for path, how in judge.read_rest(reach, asked, follows_starts=follows_starts):
            reach.setdefault(path, how)
    findings = _strongest(item for judge in judges for item in judge.findings)
    undecided = _surest(item for judge in judges for item in judge.undecided)
    return ProjectImports(findings, undecided, reach)
def _strongest(located: Iterable[tuple[str, Finding]]) -> dict[str, tuple[Finding, ...]]:
    kept: dict[str, dict[tuple[str, Range], Finding]] = {}
    for path, finding in located:
        of_file = kept.setdefault(path, {})
        known = of_file.get((finding.code, finding.range))
        if known is None or (finding.severity is Severity.ERROR and known.severity is not Severity.ERROR):
            of_file[finding.code, finding.range] = finding
    return {path: tuple(of_file.values()) for path, of_file in kept.items()}
def _surest(items: Iterable[UndecidedImport]) -> tuple[UndecidedImport, ...]:
    kept: dict[tuple[str, int, str], UndecidedImport] = {}
    for item in items:
        key = item.path, item.line, item.reason
        if key not in kept or item.is_executed:
            kept[key] = item
    return tuple(kept.values())
class _ProgramJudge:
    def __init__(self, subject: ProgramSubject) -> None:
        from buildguard.imports.doubts import DoubtFinder
        program, context, texts, packages = subject
        self.findings: list[tuple[str, Finding]] = []
        self.undecided: list[UndecidedImport] = []
        self._program = program
        self._context = context
        self._doubts = DoubtFinder(program, texts)
        self._packages = packages
        self._unlisted: dict[str, PackageAnswer | None] = {}
        self._start_names = frozenset(start.name for start in program.starts)
    def follow(self) -> Iterator[tuple[str, FileReach]]:
        result = ProgramReader(self._program, self._context).read()
        self._take(result)
        for item in result.reached.values():
            origin = self._origin(item.module.location.file)
            if origin:
                yield origin, FileReach(item.certain, self._shown(item.chain))
    def read_rest(
        self, reached: Mapping[str, FileReach], asked: Collection[str] | None, *, follows_starts: bool
    ) -> Iterator[tuple[str, FileReach]]:
        certain = not self._program.starts and follows_starts
        def is_left(path: str) -> bool:
            return path not in reached and not is_test(path)
        files = sources_of(self._program.tree, is_left, None if certain else asked)
        origins = {file: self._origin(file) for file in files}
        kept = {file: origin for file, origin in origins.items() if asked is None or origin in asked}
        reader = LooseReader(self._program.tree, self._program.roots, self._context)
        self._take(reader.read(files, kept.__contains__, certain=certain))
        how = FileReach(certain or not follows_starts)
        yield from ((origin, how) for origin in kept.values())
    def _origin(self, file: str) -> str:
        return self._program.tree.origins.get(file, "")
    def _take(self, result: OwnImports) -> None:
        def reached() -> set[str]:
            return {item.module.location.file for item in result.reached.values()}
        for fault, doubt in self._doubts.find(result.faults, reached):
            self._take_fault(fault, doubt)
        for item in result.outside:
            if self._packages is not None:
                self._take_outside(item, self._packages, knows_path=result.knows_path)
            else:
                self._take_unlisted(item)
        for left in result.undecided:
            self._leave_open(left, left.reason)
    def _leave_open(self, item: OpenImport, reason: str) -> None:
        self.undecided.append(UndecidedImport(self._origin(item.file), item.line, reason, item.certain))
    def _take_fault(self, fault: ImportFault, doubt: str) -> None:
        from buildguard.imports.faults import describe
        doubt = doubt or self._why_foreign(fault)
        if doubt:
            self._leave_open(_open_import(fault), doubt)
            return
        text = describe(fault, self._origin)
        self._add(Code.BG604, fault, text.message, text.hint, is_error=fault.certain)
    def _why_foreign(self, fault: ImportFault) -> str:
        source = fault.source
        if source is None or fault.row.level or source.location.kind is not ModuleKind.NAMESPACE:
            return ""
        top = source.name.partition(".")[0]
        if any(map(self._program.tree.has_sources, _top_folders(source))) or self._is_unbrought(fault.row, top):
            return ""
        return f"a package may bring {top}: the folder of that name has no Python source"
    def _is_unbrought(self, row: ImportStatement, top: str) -> bool:
        if self._packages is None:
            return self._context.ask_unlisted(top) is not None
        return self._packages.ask(row._replace(module=top, names=())).presence in _ABSENT
    def _take_outside(self, item: OutsideImport, packages: PackageSource, *, knows_path: bool) -> None:
        top = item.row.module.partition(".")[0]
        if standard_names.is_standard(top) or is_guarded(item.row):
            return
        answer = packages.ask(item.row)
        elsewhere = self._why_elsewhere(item, top, knows_path=knows_path) if answer.presence in _ABSENT else ""
        if elsewhere:
            self._leave_open(_open_import(item), elsewhere)
        elif answer.presence is PackagePresence.UNKNOWN:
            self._leave_open(_open_import(item), answer.detail or "its package is not known")
        elif answer.presence is not PackagePresence.PRESENT:
            if _is_caught(item, answer) or (packages.predicted and not self._is_reached(item)):
                return
            message, hint = _package_text(answer, packages)
            self._add(Code.BG603, item, message, hint, is_error=item.certain and not packages.predicted)
    def _why_elsewhere(self, item: OutsideImport, top: str, *, knows_path: bool) -> str:
        if item.module.location.file.endswith("/setup.py"):
            return "a build brings packages of its own"
        if not knows_path and self._program.tree.holders(top):
            return f"a folder of the project that has {top} may be on sys.path"
        return f"the project has a module {top} of its own" if self._is_beside(item, top) else ""
    def _take_unlisted(self, item: OutsideImport) -> None:
        dotted = item.row.module
        if is_guarded(item.row) or item.row.guard is Guard.MODULE_ONLY:
            return
        if dotted not in self._unlisted:
            self._unlisted[dotted] = self._ask_unlisted(dotted)
        answer = self._unlisted[dotted]
        if answer is not None:
            self._take_unlisted_answer(item, answer)
    def _ask_unlisted(self, dotted: str) -> PackageAnswer | None:
        from buildguard.imports.third_party import PackageAnswer
        top = dotted.partition(".")[0]
        if standard_names.is_standard(top):
            return None
        lookup = self._program.tree.look_up(dotted, self._program.path.folders)
        if lookup.modules and lookup.missing:
            reason = "a package may bring the rest of a folder without __init__.py"
        elif not self._context.may_be_foreign(top):
            reason = f"no file and no requirement of the project is known to bring {top}"
        else:
            return self._context.ask_unlisted(top)
        return PackageAnswer(PackagePresence.UNKNOWN, top, reason)
    def _take_unlisted_answer(self, item: OutsideImport, answer: PackageAnswer) -> None:
        if answer.presence is not PackagePresence.MISSING:
            self._leave_open(_open_import(item), answer.detail)
        elif self._program.tree.holders(answer.missing) or not self._is_reached(item):
            self._leave_open(_open_import(item), "the image installs no packages")
        else:
            message = f"no module named '{answer.missing}': the image installs no packages"
            hint = (
                f"add {answer.detail} to a requirements.txt, and RUN pip install -r requirements.txt in the Dockerfile"
            )
            self._add(Code.BG603, item, message, hint, is_error=False)
    def _is_beside(self, item: OutsideImport, top: str) -> bool:
        folders = folders_above(posixpath.dirname(item.module.location.file), self._program.roots)
        return not self._program.starts and self._program.tree.find(top, folders) is not None
    def _is_reached(self, item: OutsideImport) -> bool:
        return not self._program.starts or item.chain[0] in self._start_names
    def _add(self, code: Code, item: ImportFault | OutsideImport, message: str, hint: str, *, is_error: bool) -> None:
        chain = self._shown(item.chain)
        shown = f"{message} ({' → '.join(chain)})" if len(chain) > 1 else message
        severity = Severity.ERROR if is_error else Severity.WARNING
        path = self._origin(item.module.location.file)
        place = Range(item.row.line, item.row.column)
        self.findings.append((path, Finding(code, place, shown, hint, severity=severity)))
    def _shown(self, chain: tuple[str, ...]) -> tuple[str, ...]:
        main = next((start.location.file for start in self._program.starts if start.is_main), "")
        return tuple(main.rpartition("/")[2] if name == "__main__" else name for name in chain)
def _top_folders(package: LoadedModule) -> Iterator[str]:
    ending = package.name.replace(".", "/")[len(package.name.partition(".")[0]) :]
    return (removesuffix(folder, ending) for folder in package.location.folders)
def _is_caught(item: OutsideImport, answer: PackageAnswer) -> bool:
    return answer.presence in _ABSENT and (item.handled or item.row.guard is Guard.MODULE_ONLY)
def _open_import(item: ImportFault | OutsideImport) -> OpenImport:
    return OpenImport(item.module.location.file, item.row.line, item.certain)
def _package_text(answer: PackageAnswer, packages: PackageSource) -> tuple[str, str]:
    if answer.presence is PackagePresence.NAME_MISSING:
        message = f"cannot import name '{answer.missing}' from '{answer.detail}' as it is installed in {packages.words}"
        return message, "install a version that has it, or correct the import"
    if answer.presence is PackagePresence.DEVELOPMENT:
        message = f"no module named '{answer.missing}': only a development group of {packages.words} brings it"
        return message, f"move {answer.detail} to the project's dependencies, and lock again"
    if packages.predicted:
        message = f"no module named '{answer.missing}': nothing in {packages.words} brings it"
        return message, f"add {answer.detail or 'its package'} to the project's dependencies, and lock again"
    message = f"no module named '{answer.missing}': no package in {packages.words} brings it"
    return message, "add its package to the project's dependencies, and install it"
''',
    'buildguard.imports.standard': r'''from __future__ import annotations
from collections.abc import Container
from buildguard.imports import standard_names
class LibraryModules(Container):
    def __init__(self, minor: int) -> None:
        self._minor = minor
    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and standard_names.is_standard(name) and standard_names.is_in(name, self._minor)
''',
    'buildguard.imports.library_answers': r'''from __future__ import annotations
import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from buildguard.definitions import TYPE_CHECKING, NamedTuple, StrEnum, words
from buildguard.imports import standard_names
if TYPE_CHECKING:
    from typing import TypeAlias
_BUILD_NAMES = words("""
    copy_file_range eventfd eventfd_read eventfd_write getrandom getresgid getresuid grantpt lchflags lchmod login_tty
    memfd_create pidfd_getfd pidfd_open pidfd_send_signal posix_fadvise posix_fallocate posix_openpt posix_spawn
    posix_spawnp preadv ptsname pwritev sched_getaffinity sched_setaffinity setns splice timerfd_create timerfd_gettime
    timerfd_settime unlockpt unshare clock_settime clock_getcpuclockid pthread_getcpuclockid tzset epoll kqueue devpoll
    kevent sethostname if_nameindex recvmsg sendmsg getxattr setxattr listxattr removexattr
    """)
class Availability(StrEnum):
    PRESENT = "present"
    MISSING = "missing"
    UNDECIDED = "undecided"
class LibraryAnswer(NamedTuple):
    module: Availability
    words: str = ""
    names: Mapping[str, Availability] = MappingProxyType({})
Question = "tuple[str, frozenset[str]]"
class LibraryReply(NamedTuple):
    module: str
    words: str
    names: Mapping[str, str]
    platform: str
class AnswerJudge:
    def __init__(self, minor: int, platform: str, *, is_image: bool) -> None:
        self._minor = minor
        self._platform = platform
        self._is_image = is_image
    def answer(
        self, questions: Iterable[Question], ask: Callable[[list[Question]], Mapping[str, LibraryReply]]
    ) -> dict[str, LibraryAnswer]:
        questions = [question for question in questions if standard_names.is_standard(_top(question[0]))]
        replies = ask([question for question in questions if self._documented(question[0]) is None])
        answers = {}
        for module, names in questions:
            documented = self._documented(module)
            answers[module] = documented if documented is not None else self._judge(module, names, replies.get(module))
        return answers
    def _documented(self, module: str) -> LibraryAnswer | None:
        top = _top(module)
        if standard_names.is_private(top):
            return None
        if not standard_names.is_in(top, self._minor):
            return LibraryAnswer(Availability.MISSING, standard_names.history_of(top, self._minor))
        if self._platform != "win32" and top in standard_names.WINDOWS_ONLY:
            return LibraryAnswer(Availability.MISSING, "only on Windows")
        if self._platform == "win32" and (top in standard_names.UNIX_ONLY or module in standard_names.UNIX_ONLY):
            return LibraryAnswer(Availability.MISSING, "not on Windows")
        return None
    def _judge(self, module: str, names: frozenset[str], reply: LibraryReply | None) -> LibraryAnswer:
        if reply is None or reply.module == "unknown":
            return _undecided(names)
        same = reply.platform == self._platform
        if reply.module == "no":
            if self._is_image and same:
                return LibraryAnswer(
                    Availability.MISSING, "this image does not have it" if not reply.words else reply.words
                )
            if _depends_on_installation(module, reply) or not same:
                return _undecided(names)
            return LibraryAnswer(Availability.MISSING, reply.words)
        return LibraryAnswer(
            Availability.PRESENT, "", {name: self._judge_name(module, name, reply, same=same) for name in names}
        )
    def _judge_name(self, module: str, name: str, reply: LibraryReply, *, same: bool) -> Availability:
        verdict = reply.names.get(name, "unknown")
        depends = _top(module) in standard_names.BUILD_DEPENDENT
        if verdict == "yes":
            return Availability.PRESENT if same or not depends else Availability.UNDECIDED
        if verdict != "no":
            return Availability.UNDECIDED
        if self._is_image and same:
            return Availability.MISSING
        optional = name in _BUILD_NAMES or f"{module}.{name}" in standard_names.OPTIONAL
        if not same or optional or (module, name) in standard_names.PATCH_NAMES:
            return Availability.UNDECIDED
        return Availability.UNDECIDED if depends and name.isupper() else Availability.MISSING
def replies_from(data: bytes) -> dict[str, LibraryReply]:
    try:
        said = json.loads(data.decode("ascii"))
        platform, answers = str(said["platform"]), said["answers"]
        return {
            module: LibraryReply(str(verdict), str(words), MappingProxyType(dict(names)), platform)
            for module, (verdict, words, names) in answers.items()
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"the interpreter's answers cannot be read: {error}") from error
def _top(module: str) -> str:
    return module.partition(".")[0]
def _undecided(names: Iterable[str]) -> LibraryAnswer:
    return LibraryAnswer(Availability.UNDECIDED, "", dict.fromkeys(names, Availability.UNDECIDED))
def _depends_on_installation(module: str, reply: LibraryReply) -> bool:
    missing = reply.words.partition(":")[0]
    cause = _top(missing) if missing else ""
    if cause in standard_names.WINDOWS_ONLY:
        return False
    if _top(module) in standard_names.OPTIONAL or standard_names.is_private(_top(module)):
        return True
    return cause in standard_names.OPTIONAL or (cause.startswith("_") and cause != _top(module))
''',
    'buildguard.imports.standard_imports': r'''from __future__ import annotations
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from buildguard.codes import Code
from buildguard.definitions import NamedTuple, words
from buildguard.diagnostic import Finding, Range, Severity
from buildguard.imports import standard_names
from buildguard.imports.library_answers import Availability, LibraryAnswer, Question
from buildguard.imports.records import FileReach, Guard, ImportForm, ImportStatement
_NEVER_FAILS = frozenset({Guard.FALSE, Guard.EXCEPT, Guard.TESTED, Guard.HANDLER})
_MAY_NOT_RUN = frozenset({Guard.CONDITIONAL, Guard.MAIN, Guard.IMPORTED})
_MOVED = (
    (
        "typing",
        "typing_extensions",
        words(
            """
            Annotated Concatenate Final Literal LiteralString Never NotRequired ParamSpec Protocol ReadOnly Required Self
            TypeAlias TypeAliasType TypeGuard TypeIs TypedDict TypeVarTuple Unpack assert_never assert_type
            dataclass_transform get_type_hints is_typeddict override reveal_type runtime_checkable
            """
        ),
    ),
    (
        "collections",
        "collections.abc",
        words(
            """
            AsyncGenerator AsyncIterable AsyncIterator Awaitable ByteString Callable Collection Container Coroutine Generator
            Hashable ItemsView Iterable Iterator KeysView Mapping MappingView MutableMapping MutableSequence MutableSet
            Reversible Sequence Set Sized ValuesView
            """
        ),
    ),
)
class ImportVerdict(NamedTuple):
    findings: tuple[Finding, ...]
    undecided: tuple[tuple[int, str, bool], ...]
def questions_of(statements: Iterable[ImportStatement]) -> set[Question]:
    names: dict[str, set[str]] = defaultdict(set)
    wanted = {(row.module, row.names) for row in statements if not row.level and row.guard not in _NEVER_FAILS}
    for module, asked in wanted:
        if _is_in_library(module):
            names[module].update(() if asked == ("*",) else asked)
    return {(module, frozenset(asked)) for module, asked in names.items()}
def is_of_library(statement: ImportStatement) -> bool:
    if statement.level or statement.guard in _NEVER_FAILS:
        return False
    return _is_in_library(statement.module)
@functools.lru_cache(10_000)
def _is_in_library(module: str) -> bool:
    return standard_names.is_standard(module.partition(".")[0])
class ImportJudge:
    def __init__(
        self,
        answers: Mapping[str, LibraryAnswer],
        version: str,
        brings: Callable[[str], str],
        patched: Iterable[str] = (),
    ) -> None:
        self._patched = frozenset(patched)
        self._answers = answers
        self._version = version
        self._brings = brings
        self._fine: set[tuple[str, tuple[str, ...]]] = set()
    def judge(self, statements: Iterable[ImportStatement], reach: FileReach) -> ImportVerdict:
        findings: list[Finding] = []
        undecided: list[tuple[int, str, bool]] = []
        for statement in statements:
            what = (statement.module, statement.names)
            if what in self._fine or not is_of_library(statement):
                continue
            items = list(self._judge(statement, reach))
            if not items and statement.form is not ImportForm.ATTRIBUTE and statement.guard is Guard.NONE:
                self._fine.add(what)
            for item in items:
                if isinstance(item, Finding):
                    findings.append(item)
                else:
                    is_executed = severity_of(statement, reach) is Severity.ERROR
                    undecided.append((statement.line, item, is_executed))
        return ImportVerdict(tuple(findings), tuple(undecided))
    def _judge(self, statement: ImportStatement, reach: FileReach) -> Iterator[Finding | str]:
        answer = self._answers.get(statement.module)
        state = Availability.UNDECIDED if answer is None else answer.module
        if statement.form is ImportForm.ATTRIBUTE and state in {Availability.UNDECIDED, Availability.MISSING}:
            return
        if answer is None or state is Availability.UNDECIDED:
            yield "the target's interpreter could not be asked"
            return
        if answer.module is not Availability.MISSING:
            yield from self._judge_names(statement, answer, reach)
        elif statement.guard is not Guard.MODULE_ONLY:
            yield self._brings(statement.module) or _missing_module(statement, answer, reach, self._version)
    def _judge_names(
        self, statement: ImportStatement, answer: LibraryAnswer, reach: FileReach
    ) -> Iterator[Finding | str]:
        states = {name: answer.names.get(name, Availability.UNDECIDED) for name in statement.names if name != "*"}
        if Availability.UNDECIDED in states.values():
            yield "whether the name is there depends on how the interpreter was built"
        missing = [name for name, state in states.items() if state is Availability.MISSING]
        if any(f"{statement.module}.{name}" in self._patched for name in missing):
            yield "the project sets the name itself"
            return
        if not missing:
            return
        if not reach.chain and standard_names.are_windows_names(statement.module, missing):
            yield "only Windows has the name, and no start is known to run the file"
        else:
            yield self._brings(statement.module) or _missing_names(statement, missing, reach, self._version)
def severity_of(statement: ImportStatement, reach: FileReach) -> Severity:
    runs = reach.certain and not statement.late and not statement.lazy
    return Severity.ERROR if runs and statement.guard not in _MAY_NOT_RUN else Severity.WARNING
def chain_words(reach: FileReach, module: str) -> str:
    return f" ({' → '.join((*reach.chain, module))})" if len(reach.chain) > 1 else ""
def _missing_module(statement: ImportStatement, answer: LibraryAnswer, reach: FileReach, version: str) -> Finding:
    top = statement.module.partition(".")[0]
    module = top if standard_names.history_of(top, _minor(version)) else statement.module
    words = f": {answer.words.lstrip(': ')}" if answer.words else ""
    message = f"Python {version} has no module {module}{words}{chain_words(reach, statement.module)}"
    is_foreign = top in standard_names.WINDOWS_ONLY and not reach.chain
    severity = Severity.WARNING if is_foreign else severity_of(statement, reach)
    return Finding(Code.BG601, _range(statement), message, standard_names.successor_of(top), severity=severity)
def _missing_names(statement: ImportStatement, missing: list[str], reach: FileReach, version: str) -> Finding:
    chain = chain_words(reach, statement.module)
    message = f"cannot import name {', '.join(missing)} from {statement.module} on Python {version}{chain}"
    if statement.form is ImportForm.ATTRIBUTE:
        message = f"module {statement.module} has no attribute {missing[0]} on Python {version}{chain}"
    hint = _hint_for(statement, missing)
    return Finding(Code.BG602, _range(statement), message, hint, severity=severity_of(statement, reach))
def _hint_for(statement: ImportStatement, missing: list[str]) -> str:
    for module, elsewhere, names in _MOVED:
        if statement.module == module and names.issuperset(missing):
            return f"from {elsewhere} import {', '.join(missing)}"
    return ""
def _range(statement: ImportStatement) -> Range:
    return Range(statement.line, statement.column)
def _minor(version: str) -> int:
    return int(version.split(".")[1])
''',
    'buildguard.imports.handlers': r'''from __future__ import annotations
from collections.abc import Callable, Iterator, Mapping
from buildguard.imports.library_answers import Availability, LibraryAnswer, Question
from buildguard.imports.records import Guard, HandlerImport, ImportStatement, ModuleFacts, TryEnd
from buildguard.imports.standard_imports import questions_of
def decide_handlers(
    facts: Mapping[str, ModuleFacts | None],
    ask: Callable[[set[Question]], Mapping[str, LibraryAnswer]],
    brings: Callable[[str], str],
) -> dict[str, ModuleFacts | None]:
    asked = {path: of_file for path, of_file in facts.items() if of_file is not None and of_file.handlers}
    if not asked:
        return dict(facts)
    rows = (row for of_file in asked.values() for row in _rows_of_tries(of_file))
    tries = _Tries(ask(questions_of(rows)), brings)
    return {**facts, **{path: tries.decide(of_file) for path, of_file in asked.items()}}
def _rows_of_tries(facts: ModuleFacts) -> Iterator[ImportStatement]:
    lines = {line for item in facts.handlers for _end, lines in item.tries for line in lines}
    return (row._replace(guard=Guard.NONE) for row in facts.imports if row.line in lines)
class _Tries:
    def __init__(self, answers: Mapping[str, LibraryAnswer], brings: Callable[[str], str]) -> None:
        self._answers = answers
        self._brings = brings
    def decide(self, facts: ModuleFacts) -> ModuleFacts:
        running = {(item.line, item.column): item.guard for item in facts.handlers if self._runs(item, facts.imports)}
        imports = (row._replace(guard=running.get((row.line, row.column), row.guard)) for row in facts.imports)
        return facts._replace(imports=tuple(imports))
    def _runs(self, item: HandlerImport, imports: tuple[ImportStatement, ...]) -> bool:
        return all(self._ends(end, [row for row in imports if row.line in lines]) for end, lines in item.tries)
    def _ends(self, end: TryEnd, rows: list[ImportStatement]) -> bool:
        if end is TryEnd.WORKS:
            return all(set(self._states(row)) == {Availability.PRESENT} for row in rows)
        if end is TryEnd.LACKS:
            return any(self._states(row)[0] is Availability.MISSING for row in rows)
        return any(Availability.MISSING in self._states(row) for row in rows)
    def _states(self, row: ImportStatement) -> list[Availability]:
        states = _answered(row, self._answers.get(row.module))
        is_brought = Availability.MISSING in states and self._brings(row.module)
        return [Availability.UNDECIDED] if is_brought else states
def _answered(row: ImportStatement, answer: LibraryAnswer | None) -> list[Availability]:
    if answer is None or row.level:
        return [Availability.UNDECIDED]
    if answer.module is not Availability.PRESENT:
        return [answer.module]
    return [answer.module, *(answer.names.get(name, Availability.UNDECIDED) for name in row.names)]
''',
    'buildguard.imports.evaluated': r'''from __future__ import annotations
from collections.abc import Iterable
from buildguard.codes import Code
from buildguard.diagnostic import Finding, Range, Severity
from buildguard.imports.records import EvaluatedType, FileReach, Guard
from buildguard.imports.standard_imports import ImportVerdict
BACKPORT = "eval_type_backport"
_READ = "-read"
_SINCE = {"union": "3.10", "generic": "3.9"}
_UNDECIDED = "undecided-union"
def judge_types(rows: Iterable[EvaluatedType], reach: FileReach, version: str, *, has_backport: bool) -> ImportVerdict:
    counted = [row for row in rows if not (has_backport and row.kind.endswith(_READ))]
    return ImportVerdict(
        tuple(_finding(row, reach, version) for row in counted if not row.kind.startswith(_UNDECIDED)),
        tuple((row.line, _undecided(row), reach.certain) for row in counted if row.kind.startswith(_UNDECIDED)),
    )
def _undecided(row: EvaluatedType) -> str:
    return f"a metaclass may give {row.text} a meaning; without one it needs Python {_SINCE['union']}"
def _finding(row: EvaluatedType, reach: FileReach, version: str) -> Finding:
    kind = removesuffix(row.kind, _READ)
    chain = f" ({' → '.join(reach.chain)})" if len(reach.chain) > 1 else ""
    reader = ", and pydantic evaluates this annotation" if row.kind.endswith(_READ) else " at import"
    message = f"{row.text} raises TypeError on Python {version}{reader}: it needs Python {_SINCE[kind]}{chain}"
    certain = reach.certain and row.guard is Guard.NONE
    severity = Severity.ERROR if certain else Severity.WARNING
    return Finding(Code.BG605, Range(row.line, row.column), message, _hint(row, kind), severity=severity)
def _hint(row: EvaluatedType, kind: str) -> str:
    if row.kind.endswith(_READ):
        return "write Optional or Union from typing, or install eval_type_backport"
    if kind == "union":
        return "write Optional or Union from typing; in annotations `from __future__ import annotations` does as well"
    return "take the type from typing (List, Dict …); in annotations `from __future__ import annotations` does as well"
''',
    'buildguard.imports.declared': r'''from __future__ import annotations
import re
from collections.abc import Callable, Iterable
from functools import cached_property
from buildguard.definitions import lazy_pattern, words
from buildguard.imports import standard_names
DECLARES = lazy_pattern(
    r"(^|/)([^/]*requirements[^/]*\.(txt|in)|constraints[^/]*\.txt|pyproject\.toml|setup\.(py|cfg)|Pipfile(\.lock)?"
    r"|(poetry|uv|pdm)\.lock|pylock[^/]*\.toml|environment[^/]*\.ya?ml|[^/]*(Docker|Container)file[^/]*|cloudbuild[^/]*\.ya?ml)$"
)
_BUILD_SYSTEM = lazy_pattern(r"^\[build-system\].*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)
_SETUP_IMPORTS = lazy_pattern(r"^\s*(from|import) .*$", re.MULTILINE)
_DEPENDENTS = {
    "setuptools": words("""
        apache-beam astroid gevent google-cloud-bigtable grpcio-tools gunicorn horovod kubernetes lightning nodeenv numba
        opentelemetry-instrumentation pip-tools pkgutil-resolve-name pyramid pytorch-lightning setuptools-scm spacy sphinx
        supervisor tensorboard tensorflow thinc torch triton zope.interface
    """),
    "legacy-cgi": ["pyramid", "web.py", "webob"],
    "pyasyncore": ["pyftpdlib", "pysnmp", "pysnmplib"],
    "pyasynchat": ["pyftpdlib"],
    "audioop-lts": ["discord.py", "gradio", "pydub", "speechrecognition", "livekit-agents"],
    "standard-aifc": ["librosa", "audioread", "speechrecognition"],
    "standard-sunau": ["librosa", "audioread"],
}
_ONLY_OLD = {"gunicorn": lazy_pattern(r"gunicorn\s*(==|~=|<=?)\s*(1?\d|20)\b")}
_COMMANDS = lazy_pattern(r"(^|/)([^/]*(Docker|Container)file[^/]*|cloudbuild[^/]*\.ya?ml)$")
_INSTALLS = lazy_pattern(r"\b(install|add|sync)\b")
def may_declare(path: str) -> bool:
    return not path.endswith(".py") or path.endswith("setup.py") or "file" in path
class ProvidedModules:
    def __init__(self, texts: Callable[[], Iterable[tuple[str, str]]], modules: Iterable[str]) -> None:
        self._read = texts
        self._modules = modules
        self._reasons: dict[str, str] = {}
    def brings(self, module: str) -> str:
        top = module.partition(".")[0]
        if top not in self._reasons:
            self._reasons[top] = self._reason(top)
        return self._reasons[top]
    def _reason(self, top: str) -> str:
        if top in self._own:
            return f"the project has a module {top} of its own"
        if top == "distutils" and "setuptools" in self._own:
            return "the project holds setuptools, which brings distutils"
        for distribution in standard_names.providers_of(top):
            for path, text in self._texts:
                if _names(text, distribution):
                    return f"{path} names {distribution}, which brings {top}"
                dependent = next((name for name in _DEPENDENTS.get(distribution, ()) if _depends(text, name)), "")
                if dependent:
                    return f"{path} names {dependent}, which may bring {top}"
        return ""
    def declares(self, distribution: str) -> bool:
        return any(_names(text, distribution) for _path, text in self._texts)
    @cached_property
    def _texts(self) -> list[tuple[str, str]]:
        return [(path, _without_build_tools(path, text)) for path, text in self._read()]
    @cached_property
    def _own(self) -> set[str]:
        parts = (removesuffix(path, ".py").split("/") for path in self._modules)
        return {name for path in parts for name in path}
def _without_build_tools(path: str, text: str) -> str:
    if path.endswith("pyproject.toml"):
        return _BUILD_SYSTEM.sub("", text)
    if _COMMANDS.search(path):
        return "\n".join(filter(_INSTALLS.search, re.sub(r"\\\r?\n", " ", text).splitlines()))
    return _SETUP_IMPORTS.sub("", text) if path.endswith("setup.py") else text
def _names(text: str, distribution: str) -> bool:
    pattern = re.sub(r"[-_.]+", "[-_.]+", re.escape(distribution).replace("\\", ""))
    return re.search(rf"(?i)(?<![\w.-]){pattern}(?![\w-])", text) is not None
def _depends(text: str, name: str) -> bool:
    old = _ONLY_OLD.get(name)
    return _names(text, name) if old is None else old.search(text) is not None
''',
    'buildguard.remote.library_query': r'''import os
import sys
LIVELY = ("antigravity", "idlelib", "test", "this", "turtledemo", "lib2to3.tests", "unittest.__main__")
def answer_questions(data: bytes) -> bytes:
    import json
    questions = [(str(module), [str(name) for name in names]) for module, names in json.loads(data.decode("utf-8"))]
    answers = {}
    asked = []
    for module, names in questions:
        if not is_found(module):
            answers[module] = ["no", "", {}]
        elif is_lively(module):
            answers[module] = ["yes", "", dict.fromkeys(names, "unknown")]
        else:
            asked.append((module, names))
    while asked:
        lines = ask_child(asked)
        answers.update(zip((module for module, _names in asked), lines))
        if len(lines) < len(asked):
            answers[asked[len(lines)][0]] = ["unknown", "", {}]
        asked = asked[len(lines) + 1 :]
    return json.dumps({"platform": sys.platform, "answers": answers}).encode("ascii")
def is_lively(module):
    return module.split(".")[-1] == "__main__" or any(
        module == name or module.startswith(name + ".") for name in LIVELY
    )
def is_found(module):
    from importlib import machinery
    path = None
    name = ""
    for part in module.split("."):
        name = name + "." + part if name else part
        spec = None
        if path is None:
            spec = machinery.BuiltinImporter.find_spec(name) or machinery.FrozenImporter.find_spec(name)
        spec = spec or machinery.PathFinder.find_spec(name, path)
        if spec is None:
            return path is not None and not list(path)
        path = spec.submodule_search_locations or []
    return True
def ask_child(asked):
    import json
    incoming, outgoing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(incoming)
            serve_child(asked, outgoing)
        finally:
            os._exit(0)
    os.close(outgoing)
    with os.fdopen(incoming, "rb") as answers:
        lines = answers.read().split(b"\n")[:-1]
    os.waitpid(process, 0)
    return [json.loads(line.decode("ascii")) for line in lines]
def serve_child(asked, outgoing):
    import json
    import warnings
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    for module, names in asked:
        answer = json.dumps(look_at(module, names)).encode("ascii") + b"\n"
        while answer:
            answer = answer[os.write(outgoing, answer) :]
def look_at(module, names):
    try:
        found = loaded(module)
    except BaseException as error:
        return ["no", words_of(error), {}]
    verdicts = {}
    for name in names:
        try:
            if hasattr(found, name):
                verdicts[name] = "yes"
            else:
                loaded(module + "." + name)
                verdicts[name] = "yes"
        except BaseException:
            verdicts[name] = "no"
    return ["yes", "", verdicts]
def loaded(module):
    __import__(module)
    return sys.modules[module]
def words_of(error):
    return "%s: %s" % (getattr(error, "name", None) or "", error)
''',
    'buildguard.remote.import_pieces': r'''import ast
import re
from bisect import bisect_right
from buildguard.remote.import_codes import ENDING, ENDING_WORD, first_of, import_row, plain_line
from buildguard.remote.import_outline import BLOCK_START, CONTINUATION, CONTINUED, block_end
from buildguard.remote.import_tests import ABSENT, TESTED, Evaluator, UnknownValue
from buildguard.remote.module_code import (
    CODE,
    FUNCTION,
    IMPORT,
    IMPORT_FROM,
    RAISE,
    STORE,
    UnclearImportError,
    codes_and_names,
    constants_before,
    imports_in,
    operands,
    operands_of,
)
AT_MARGIN = b" \t#)]}\n"
VARIABLE, KEYWORDS = 4, 8
BLOCKS = (b"def", b"class", b"async")
CODING = b"coding"
STAR = ("*",)
FLAG, FLAG_RENAMED = "TYPE_CHECKING", b"TYPE_CHECKING as"
FLAG_ROWS = [[[1, "from", module, 0, "", False, False]] for module in ("typing", "typing_extensions")]
ROW_GUARD = 6
TYPING = b"if TYPE_CHECKING:"
TYPING_IMPORTS = re.compile(
    rb"if TYPE_CHECKING:[ \t]*(?:#[^\n]*)?\n"
    rb"(?:[ \t]*(?:#[^\n]*)?\n|[ \t]+import [\w., ]+(?:#[^\n]*)?\n"
    rb"|[ \t]+from [\w.]+ import (?:[\w, ]+|\((?:[\w,\s]|#[^\n]*\n)*\)[ \t]*)(?:#[^\n]*)?\n)+"
)
INNER = b"if 1:\n"
class UnclearLinesError(UnclearImportError):
    def __init__(self, lines):
        UnclearImportError.__init__(self, lines)
        self.lines = lines
class UnclearValue(UnknownValue):
    def __init__(self, lines):
        UnknownValue.__init__(self)
        self.lines = lines
class ImportPieces:
    def __init__(self, reader, lines=()):
        self.rows = []
        self.pieces = []
        self.star_lines = []
        self.module = reader.module
        self.data = reader.module.data
        self._reader = reader
        self._lines = None
        self.lines = sorted(lines)
        self._split(self.lines)
    @property
    def last_line(self):
        return max([row[0] for row in self.rows] + [piece[0] for piece in self.pieces])
    def covers(self, line):
        return is_within(line, (piece[:2] for piece in self.pieces))
    def _split(self, lines):
        used = self._add_lines(lines) if lines else ()
        items = self._reader.items()
        if STAR in self.module.code.co_consts:
            self.star_lines = list(lines_of_stars(items))
        self._add_items(items, used)
        if used:
            self.pieces.sort(key=first_of)
        if items or lines:
            self._check_order(max([line for line, _item in items[-1:]] + list(lines)))
    def _add_items(self, items, used):
        data, rows = self.data, self.rows
        after = following = begin = 0
        for line, item in items:
            if line < after or (used and is_within(line, used)):
                continue
            if line != following:
                begin = self._reader.start_of(line)
            text = b"" if type(item) is CODE else plain_line(*item)
            is_plain = text and data.startswith(text, begin)
            if is_plain and (line == following or data[begin - 2 : begin] != CONTINUATION):
                rows.append(import_row(line, 1, item, False))
                following, begin = line + 1, begin + len(text)
            else:
                after = self._add_item(line, item, begin) or after
                following = 0
    def _add_item(self, line, item, begin):
        reader = self._reader
        try:
            self.rows += reader.rows_of(line, item, begin, reader.margin_of(begin, 0), False)
        except UnclearImportError:
            return 0 if self._split_class(item, begin) else self._add_statement(line)
        return 0
    def _check_order(self, last):
        module = self.module
        if RAISE not in module.operations and ENDING.isdisjoint(module.code.co_names):
            return
        ends = list(module.lines_of(RAISE))
        if not ENDING.isdisjoint(module.code.co_names):
            stop = self._reader.start_of(last)
            words = ENDING_WORD.finditer(self.data, 0, stop)
            ends += [self.data.count(b"\n", 0, match.start()) + 1 for match in words]
        uncovered = [line for line in ends if line < last and not self.covers(line)]
        if uncovered:
            raise UnclearLinesError(uncovered)
    def _add_lines(self, lines):
        after = 0
        for line in lines:
            if line >= after:
                start, stop = self._statement_around(line)
                after = self._add_function_around(line, start) or self._add_between(start, stop)
        return [piece[:2] for piece in self.pieces]
    def _add_statement(self, line):
        start, stop = self._statement_around(line)
        begin = self._reader.start_of(start)
        is_typing = stop and self.data.startswith(TYPING, begin) and self._has_flag()
        match = TYPING_IMPORTS.match(self.data, begin) if is_typing else None
        if match is None or match.end() != self._reader.start_of(stop):
            return self._add_between(start, stop)
        self.rows += [self._typing_row(*item) for item in self._reader.items() if start < item[0] < stop]
        return stop
    def _typing_row(self, line, item):
        margin = self._reader.margin_of(self._reader.start_of(line), None)
        row = import_row(line, margin + 1, item, False)
        row[ROW_GUARD] = "false"
        return row
    def _has_flag(self):
        module = self.module
        if module.declaring or FLAG_RENAMED in self.data or STAR in module.code.co_consts:
            return False
        rows = [row[1:] for row in self.rows if FLAG in row[4]]
        stores = [name for name, _at in module.stores if name == FLAG]
        return len(stores) == 1 and [row[:3] + row[4:] for row in rows] in FLAG_ROWS
    def _statement_around(self, line):
        if self._lines is None:
            self._lines = sorted(set(self.module.numbers) - {0})
        at = self._begin_before(bisect_right(self._lines, line))
        if at < 0:
            raise UnclearImportError
        end = bisect_right(self._lines, line)
        is_decorated = self._begins_with(self._lines[at], b"@")
        while end < len(self._lines) and (is_decorated or not self._begins_statement(self._lines[end])):
            is_decorated = is_decorated and not self._begins_with(self._lines[end], BLOCKS)
            end += 1
        before = self._begin_before(at)
        while before >= 0 and self._begins_with(self._lines[before], b"@"):
            at, before = before, self._begin_before(before)
        return self._lines[at], self._lines[end] if end < len(self._lines) else 0
    def _begin_before(self, end):
        at = end - 1
        while at >= 0 and not self._begins_statement(self._lines[at]):
            at -= 1
        return at
    def _begins_with(self, line, words):
        return self.data.startswith(words, self._reader.start_of(line))
    def _begins_statement(self, line):
        begin = self._reader.start_of(line)
        if self.data[begin : begin + 1] in AT_MARGIN or CONTINUED.match(self.data, begin):
            return False
        return self.data[begin - 2 : begin] != CONTINUATION
    def _add_between(self, start, stop):
        begin = self._reader.start_of(start)
        last = self._reader.start_of(stop) if stop else len(self.data)
        stop = stop or start + self.data.count(b"\n", begin) + 1
        self.pieces = [piece for piece in self.pieces if not start <= piece[0] < stop]
        self._add(start, stop, self.data[begin:last], False)
        return stop
    def _add(self, start, stop, text, is_inner):
        if not text.isascii() and CODING in b"".join(self.data.split(b"\n", 2)[:2]):
            raise UnclearImportError
        self.pieces.append((start, stop, text, is_inner))
    def _add_function_around(self, line, start):
        for item in self.module.code.co_consts:
            if type(item) is not CODE or item.co_firstlineno != start:
                continue
            functions = [part for part in functions_of(item) if part.co_firstlineno <= line]
            if not functions or imports_in(codes_and_names(functions[-1])[0]):
                continue
            first = functions[-1].co_firstlineno
            try:
                body = self._reader.body_of(item, self._reader.start_of(start))
                begin = self._reader.start_of(first)
                after = self._add_function(functions[-1], first, begin, self._reader.margin_of(begin, None, body))
            except UnclearImportError:
                return 0
            if line < after:
                return after
            self.pieces.pop()
        return 0
    def _split_class(self, item, begin):
        if type(item) is not CODE or item.co_flags & FUNCTION:
            return False
        rows, pieces = len(self.rows), len(self.pieces)
        try:
            if self._reader.margin_of(begin, 0) == 0:
                self._read_class(item, self._reader.body_of(item, begin))
                return True
        except UnclearImportError:
            del self.rows[rows:], self.pieces[pieces:]
        return False
    def _read_class(self, code, body):
        reader = self._reader
        functions = sorted(reader.blocks(code), key=first_of)
        operations = code.co_code[::2]
        if IMPORT in operations or RAISE in operations:
            raise UnclearImportError
        margin = None
        for line, item in functions:
            begin = reader.start_of(line)
            margin = reader.margin_of(begin, margin, body)
            try:
                self.rows += reader.rows_of(line, item, begin, margin, False)
            except UnclearImportError:
                self._add_function(item, line, begin, margin)
            body = begin
    def _add_function(self, item, line, begin, margin):
        if not item.co_flags & FUNCTION:
            raise UnclearImportError
        header = self._reader.body_of(item, begin)
        end = block_end(self.data, header - 1, margin)
        text = self.data[begin:end]
        after = line + text.count(b"\n") + 1
        self._add(line, after, INNER + text + b"\n", True)
        return after
def is_within(line, spans):
    return any(start <= line < stop for start, stop in spans)
def lines_of_stars(items):
    return (line for line, item in items if type(item) is not CODE and item[1] == STAR)
def functions_of(code):
    if code.co_flags & FUNCTION:
        return []
    parts = [
        item for item in code.co_consts if type(item) is CODE and item.co_flags & FUNCTION and item.co_name[0] != "<"
    ]
    return sorted(parts, key=lambda part: part.co_firstlineno)
class PieceEvaluator(Evaluator):
    def __init__(self, version, platform, names, origins):
        Evaluator.__init__(self, version, platform, names)
        self._origins_of = origins
        self._origins = {}
    def alias_of(self, name):
        alias = self._aliases.get(name)
        if alias is None:
            alias = self._origins.get(name)
            if alias is None:
                alias = self._origins[name] = self._origins_of.origin_of(name)
        return alias
    def value_of(self, name):
        value = self._values.get(name, ABSENT)
        if type(value) is UnclearValue:
            raise UnclearLinesError(value.lines)
        if value is not TESTED and self._origins_of.may_assign(name):
            raise UnclearLinesError(self._origins_of.lines_of(name))
        return value
    def see_assignment(self, targets, node):
        try:
            Evaluator.see_assignment(self, targets, node)
        except UnclearLinesError as error:
            value = UnclearValue(error.lines)
            self._values.update({target.id: value for target in targets if isinstance(target, ast.Name)})
class NameOrigins:
    def __init__(self, reader, split):
        self._module = reader.module
        self._reader = reader
        self._split = split
        self._stores = None
        self._fills = {}
    def lines_of(self, name):
        return [self._module.line_at(at) for at in self._fills_of(name)]
    def may_assign(self, name):
        return any(not self._is_import(at) and not self._is_block(at) for at in self._outside(name))
    def origin_of(self, name):
        outside = self._outside(name)
        if not any(map(self._is_import, outside)):
            return name
        if len(self._fills_of(name)) > 1:
            raise UnclearImportError
        return self._imported(name, outside[0]) or name
    def module_of(self, name):
        module = self._module
        fills = self._fills_of(name)
        if not all(map(self._is_import, fills)):
            return ""
        binding = [part for part in module.codes[1:] if binds(part, name)]
        if any(name in arguments_of(part) or IMPORT not in part.co_code[::2] for part in binding):
            return ""
        if STAR in module.code.co_consts or module.changes_of(name) != len(fills) or binding:
            raise UnclearImportError
        modules = {self._imported(name, at) for at in fills} or {""}
        if len(modules) != 1 or name in module.code.co_varnames:
            raise UnclearImportError
        return modules.pop()
    def _fills_of(self, name):
        if self._stores is None:
            self._stores = {}
            for stored, at in self._module.stores:
                self._stores.setdefault(stored, []).append(at)
        fills = self._fills.get(name)
        if fills is None:
            fills = self._fills[name] = [self._module.filled_at(at) for at in self._stores.get(name, ())]
        return fills
    def _outside(self, name):
        covers, line_at = self._split.covers, self._module.line_at
        return [at for at in self._fills_of(name) if not covers(line_at(at))]
    def _is_import(self, at):
        return self._module.operations[at // 2] in (IMPORT, IMPORT_FROM)
    def _is_block(self, offset):
        return BLOCK_START.match(self._split.data, self._reader.start_of(self._module.line_at(offset))) is not None
    def _imported(self, name, at):
        module, offset = next(pair for pair in reversed(self._module.imports) if pair[1] <= at)
        names, level = constants_before(self._module.code, offset)
        if names is not None:
            part = next(
                part
                for part, of_part in operands(self._module.code, self._module.operations, IMPORT_FROM)
                if of_part == at
            )
            return module + "." + part if module and not level else ""
        return name if offset == at and name == module.partition(".")[0] else module
def arguments_of(code):
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & VARIABLE) + bool(code.co_flags & KEYWORDS)
    return code.co_varnames[:count]
def binds(code, name):
    if name in code.co_varnames or name in code.co_cellvars:
        return True
    stores = operands_of(code, STORE) if name in code.co_names else ()
    return any(bound == name for bound, _at in stores)
''',
    'buildguard.remote.import_facts': r'''import ast
import re
import sys
from buildguard.remote.evaluated_types import TypeReader, may_evaluate, typed_bytes
from buildguard.remote.import_codes import CALLERS, module_uses, plain_exports, plain_reader
from buildguard.remote.import_outline import (
    CallLines,
    all_nodes,
    has_other_caller,
    lines_with,
    outline_of,
    outline_with,
    statements_with,
)
from buildguard.remote.import_paths import SysPathReader, may_change_paths
from buildguard.remote.import_pieces import ImportPieces, NameOrigins, PieceEvaluator, UnclearLinesError
from buildguard.remote.import_reader import FactReader
from buildguard.remote.import_tests import Evaluator
from buildguard.remote.library_attributes import (
    ANNOTATIONS_LATE_FROM,
    WORD,
    AttributeReader,
    has_future,
    may_use,
    module_names,
    uses_of,
)
from buildguard.remote.module_code import SPOKEN, ModuleCode, UnclearImportError, unsure_names
ENCODER = []
PROOF = {"a": ['\u00e9\n"\ud800\U0001f600', 10, None, True, False, [], {}], "b": [[1, "x"]]}
PROOF_AS_JSON = '{"a":["\\u00e9\\n\\"\\ud800\\ud83d\\ude00",10,null,true,false,[],{}],"b":[[1,"x"]]}'
LARGEST = 2 << 20
DYNAMIC = frozenset({"globals", "exec", "modules", "meta_path", "path_hooks"})
DYNAMIC_AT_TOP = frozenset(
    {
        "vars",
        "locals",
        "eval",
        "__dict__",
        "setattr",
        "global_enum",
        "_convert_",
        "_convert",
    }
)
GLOBAL = re.compile(rb"global\b([^\n;#]*)")
ANNOTATIONS = 0x100000 if sys.version_info < (3, 9) else 0x1000000
def facts_here(data, code):
    return import_facts(data, code, sys.version_info, "linux")
def facts_for(version):
    wanted = tuple(int(part) for part in version.split("."))
    return lambda data, code: import_facts(data, code, wanted, "linux")
def import_facts(data: bytes, code: object, version: object, platform: str) -> bytes:
    try:
        if len(data) > LARGEST or sys.version_info < (3, 8):
            return b""
        text = encoder()(read_facts(data, code, version, platform))
        return text.encode("ascii")
    except Exception:
        return b""
def encoder():
    if not ENCODER:
        try:
            ENCODER.append(bare_encoder())
        except Exception:
            import json
            ENCODER.append(json.JSONEncoder(separators=(",", ":"), check_circular=False).encode)
    return ENCODER[0]
def bare_encoder():
    from _json import encode_basestring_ascii, make_encoder
    encode = make_encoder(None, None, encode_basestring_ascii, None, ":", ",", False, False, True)
    if "".join(encode(PROOF, 0)) != PROOF_AS_JSON:
        raise ValueError("it writes something else")
    return lambda value: "".join(encode(value, 0))
def read_facts(data, code, version, platform):
    module = ModuleCode(data, code)
    offsets, bound = module.bindings()
    dynamic = is_dynamic(module, bound)
    facts = {"imports": [], "bound": bound, "exports": None, "dynamic": dynamic, "paths": [], "evaluated": []}
    facts["attributes"], facts["patched"], facts["handlers"] = [], [], []
    facts["unsure"] = unsure_names(module, bound, offsets, dynamic)
    facts["uses"] = module_uses(module)
    facts["version"] = list(version[:3])
    facts.update(facts_of_text(module, bound, (version, platform)))
    return facts
def facts_of_text(module, bound, target):
    data, names = module.data, module.names
    uses, words = uses_of(module) if may_use(data, names) else ((), ())
    typed = typed_source(module, target[0][1])
    facts = {}
    if typed is not None or b"import" in data or "__all__" in names:
        reader = None if typed is not None else plain_reader(module)
        facts = None if reader is None else plain_facts(module, bound, target, reader, uses or ())
        if facts is None:
            facts = tree_facts(module, bound, target, typed, {} if reader is None else reader.read_blocks())
    if uses is None or (uses and "attributes" not in facts):
        facts.update(read_attributes(module, target, words))
    return facts
def is_dynamic(module, bound):
    return not (
        DYNAMIC_AT_TOP.isdisjoint(module.code.co_names)
        and DYNAMIC.isdisjoint(module.names)
        and "__getattr__" not in bound
    )
def typed_source(module, minor):
    typed = typed_bytes(minor)
    data, names = module.data, module.names
    if typed is None or not typed.search(data):
        return None
    return typed if may_evaluate(module.code, names, minor) or may_change_paths(data, names) else None
def read_attributes(module, target, words):
    version, platform = target
    try:
        tree = ast.parse(outline_with(module.data, words))
    except SyntaxError:
        tree = ast.parse(module.data)
    nodes = all_nodes(tree)
    found = [node for node in nodes if isinstance(node, ast.Attribute)]
    attributes = AttributeReader(module_names(nodes), version[1] >= ANNOTATIONS_LATE_FROM or has_future(tree))
    taken = attributes.taken_in(found)
    if taken:
        reader = FactReader(module.data, module.names, Evaluator(version, platform, module.names))
        reader.attributes = attributes
        reader.wanted = taken
        reader.need(module.data)
        reader.read(tree)
    return {"attributes": attributes.rows, "patched": attributes.patched(nodes, found)}
def plain_facts(module, bound, target, reader, uses):
    data = module.data
    try:
        split, pieces = split_and_read(module, target, reader, uses)
    except (UnclearImportError, SyntaxError, ValueError):
        return None if not uses else plain_facts(module, bound, target, reader, ())
    facts = {"imports": split.rows if pieces is None else sorted(split.rows + pieces.imports, key=line_of)}
    if pieces is not None and pieces.handlers:
        facts["handlers"] = pieces.handlers
    if pieces is not None and pieces.attributes is not None:
        facts["attributes"] = pieces.attributes.rows
    if "__all__" not in module.names:
        return facts
    if pieces is not None and data.count(b"__all__") == sum(piece[2].count(b"__all__") for piece in split.pieces):
        facts["exports"] = pieces.exports.names(module)
        return facts
    facts["exports"] = plain_exports(data, bound)
    if facts["exports"] is not None:
        return facts
    parts = read_exports(module)
    if parts is not None:
        facts["exports"] = exports_of(parts.exports, split, reader, target)
    return None if parts is None else facts
def exports_of(exports, split, reader, target):
    module = split.module
    if not exports.is_guarded:
        return exports.names(module)
    try:
        lines = split.lines + lines_with((b"__all__",), module.data)
        pieces = split_and_read(module, target, reader, (), lines)[1]
    except (UnclearImportError, SyntaxError, ValueError):
        return None
    return pieces.exports.names(module)
def split_and_read(module, target, reader, uses, lines=()):
    lines = {module.data.count(b"\n", 0, at) + 1 for at, _word in uses}.union(lines)
    if not CALLERS.isdisjoint(module.names):
        lines.update(CallLines(module.data).lines)
    words = {word for _at, word in uses}
    trees = {}
    while True:
        try:
            split = ImportPieces(reader, lines)
            if not split.pieces:
                return split, None
            if not lines.issuperset(
                split.star_lines
            ):
                lines.update(split.star_lines)
                continue
            pieces = read_pieces(split, target, NameOrigins(reader, split), (words, trees))
        except UnclearLinesError as error:
            if lines.issuperset(error.lines):
                raise
            lines.update(error.lines)
        else:
            return split, pieces
def read_pieces(split, target, origins, words_and_trees):
    words, trees = words_and_trees
    module = split.module
    version, platform = target
    values = PieceEvaluator(version, platform, module.names, origins)
    values.forget(names_rebound(module))
    facts = FactReader(module.data, module.names, values)
    if words:
        modules = {word: origins.module_of(word) for word in words}
        is_late = version[1] >= ANNOTATIONS_LATE_FROM or bool(module.code.co_flags & ANNOTATIONS)
        facts.attributes = AttributeReader(modules, is_late)
    facts.wanted = split.lines
    for line, stop, text, is_inner in split.pieces:
        ended = facts.read_piece(line, text, is_inner, trees)
        if ended == "false" or (ended and split.last_line >= stop):
            raise UnclearImportError
    if facts.count + len(split.rows) != module.count_imports() or not module.names.issuperset(facts.modules):
        raise UnclearImportError
    return facts
def names_rebound(module):
    data = module.data
    lines = []
    if b"global" in data:
        found = GLOBAL.finditer(data)
        lines = [match.group(1) for match in found if not WORD.match(data, max(0, match.start() - 1), match.start())]
    names = [name.decode("utf-8", "replace") for line in lines for name in WORD.findall(line)]
    return names + module.names_bound_again()
def read_exports(module):
    data = module.data
    text = statements_with(data, b"__all__")
    if b"__all__ as" in text or b"\r" in data or b"\f" in data or not text.isascii():
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    nodes = all_nodes(tree)
    uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == "__all__"]
    changes = [node for node in nodes if isinstance(node, ast.AugAssign) and node.target in uses]
    if len(uses) + len(changes) != module.uses_of("__all__"):
        return None
    reader = FactReader(text, (), Evaluator(sys.version_info, "linux", ()))
    reader.read(tree)
    return reader
def tree_facts(module, bound, target, typed, blocks):
    blocks, outline, left_out = outline_beside(module, typed, blocks)
    rows = [row for line in left_out for row in blocks[line]]
    try:
        reader = None if outline is None else read_tree(outline, module, bound, target, typed)
    except (SyntaxError, ValueError):
        reader = None
    compiled = module.count_imports()
    if reader is None or reader.count + len(rows) != compiled or not module.names.issuperset(reader.modules):
        reader, rows = read_tree(module.data, module, bound, target, typed), []
        if compiled > reader.count and (b"finally" not in module.data or not reader.count):
            raise ValueError("an import is in a statement that is not known here")
    return {
        "imports": sorted(reader.imports + rows, key=line_of) if rows else reader.imports,
        "handlers": reader.handlers,
        "paths": reader.paths.rows if reader.paths is not None else [],
        "exports": reader.exports.names(module),
        "evaluated": reader.types.rows if reader.types is not None else [],
    }
def outline_beside(module, typed, blocks):
    data, names = module.data, module.names
    if not SPOKEN.isdisjoint(names) and has_other_caller(data):
        return blocks, None, []
    is_whole = may_change_paths(data, names)
    if typed is None and not is_whole:
        blocks = {**dict.fromkeys(module.bare_blocks(), ()), **blocks}
    return (blocks,) + outline_of(data, typed, blocks, is_whole=is_whole)
def line_of(row):
    return row[0]
def read_tree(text, module, bound, target, typed):
    version, platform = target
    reader = FactReader(module.data, module.names, Evaluator(version, platform, module.names))
    reader.values.forget(names_rebound(module))
    if typed is not None:
        reader.types = TypeReader(version[1], bound, reader.values)
    if may_change_paths(module.data, module.names):
        reader.paths = SysPathReader(module.data, module.names, reader.values)
    if typed is None:
        reader.need(text)
    reader.read(ast.parse(text))
    return reader
''',
    'buildguard.imports.build_imports': r'''from __future__ import annotations
import fnmatch
import functools
import posixpath
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Finding, Severity
from buildguard.imports.declared import DECLARES, ProvidedModules
from buildguard.imports.doubts import ProjectTexts, is_build_file
from buildguard.imports.evaluated import BACKPORT, judge_types
from buildguard.imports.faults import ImportContext
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.handlers import decide_handlers
from buildguard.imports.library_answers import AnswerJudge, LibraryAnswer, LibraryReply, Question, replies_from
from buildguard.imports.names import LoadedModule
from buildguard.imports.program import StartedProgram
from buildguard.imports.project_imports import ProgramSubject, read_imports
from buildguard.imports.records import FileReach, ModuleFacts, ProjectImports, facts_from, patched_names
from buildguard.imports.resolver import SearchPath
from buildguard.imports.standard import LibraryModules
from buildguard.imports.standard_imports import ImportJudge, questions_of
from buildguard.remote.library_query import answer_questions
_ROOT = "/workspace"
START, FRONT, BACK, UNKNOWN = "--start=", "--front=", "--path=", "--start=?"
WORKS_IN, WORKS_ANYWHERE = "--folder=", "--folder=?"
class BuildSources(NamedTuple):
    paths: Sequence[str]
    facts: Mapping[str, bytes]
    read: Callable[[str], bytes | None]
class BuildFinding(NamedTuple):
    code: str
    path: str
    line: int
    column: int
    message: str
def judge_build(sources: BuildSources, words: Iterable[str]) -> tuple[list[BuildFinding], int]:
    return _BuildJudge(sources, list(words)).judge()
class _BuildJudge:
    def __init__(self, sources: BuildSources, words: list[str]) -> None:
        self._sources = sources
        self._words = words
        self._provided = ProvidedModules(self._declarations, sources.facts)
        facts = {path: facts_from(data) for path, data in sources.facts.items()}
        self._facts = decide_handlers(facts, _ask_library, self._provided.brings)
        self._tree = FileTree({f"{_ROOT}/{path}": path for path in sources.paths})
        self._ignores = [path for path in sources.paths if posixpath.basename(path) == ".gitignore"]
    def judge(self) -> tuple[list[BuildFinding], int]:
        if self._is_lost:
            return [], sum(len(facts.imports) for facts in self._facts.values() if facts is not None)
        project = self._of_project()
        reach = {path: how for path, how in project.reach.items() if self._facts.get(path) is not None}
        findings = [(path, finding) for path, of_file in project.findings.items() for finding in of_file]
        undecided = len(project.undecided)
        for path, finding in self._of_library(reach):
            if isinstance(finding, Finding):
                findings.append((path, finding))
            else:
                undecided += 1
        errors = [(path, finding) for path, finding in findings if finding.severity is Severity.ERROR]
        return [_build_finding(path, finding) for path, finding in errors], undecided
    def _of_project(self) -> ProjectImports:
        program = self._program()
        context = ImportContext(
            self._facts_at, self._read_at, LibraryModules(sys.version_info[1]), lambda _dotted: True
        )
        texts = ProjectTexts(
            self._read_at, self._may_be_ignored, self._facts_at, functools.lru_cache(maxsize=None)(self._build_texts)
        )
        return read_imports([ProgramSubject(program, context, texts)])
    def _program(self) -> StartedProgram:
        front, back = (self._folders(kind) for kind in (FRONT, BACK))
        roots = tuple(dict.fromkeys([*front, *back, _ROOT]))
        starts = tuple(self._starts())
        folder = next(iter(self._folders(WORKS_IN)), _ROOT) if starts and WORKS_ANYWHERE not in self._words else ""
        return StartedProgram(self._tree, SearchPath(front, back), starts, roots, folder=folder)
    @property
    def _is_lost(self) -> bool:
        return any(word.startswith(START) for word in self._words) and not list(self._starts())
    def _folders(self, kind: str) -> tuple[str, ...]:
        folders = [word[len(kind) :] for word in self._words if word.startswith(kind)]
        return tuple(posixpath.normpath(posixpath.join(_ROOT, folder)) for folder in folders)
    def _starts(self) -> Iterator[LoadedModule]:
        for word in self._words:
            if word.startswith(START):
                name, _, file = word[len(START) :].partition("=")
                name, _, home = name.partition("@")
                path = f"{_ROOT}/{file}"
                if path in self._tree.origins:
                    is_package = posixpath.basename(file) == "__init__.py"
                    kind = ModuleKind.PACKAGE if is_package else ModuleKind.MODULE
                    folders = (posixpath.dirname(path),) if is_package else ()
                    yield LoadedModule(name, ModuleLocation(kind, path, folders), home if name == "__main__" else None)
    def _facts_at(self, file: str) -> ModuleFacts | None:
        return self._facts.get(self._tree.origins.get(file, ""))
    def _read_at(self, file: str) -> bytes | None:
        path = self._tree.origins.get(file)
        return None if path is None else self._sources.read(path)
    def _build_texts(self) -> bytes:
        texts = (self._sources.read(path) for path in filter(is_build_file, self._sources.paths))
        return b"\n".join(text for text in texts if text is not None and len(text) <= 1 << 20)
    def _may_be_ignored(self, path: str) -> bool:
        parts = path.split("/")
        return not self._ignores or any(
            fnmatch.fnmatchcase(part, pattern) for pattern in self._patterns() for part in parts
        )
    def _patterns(self) -> Iterator[str]:
        for file in self._ignores:
            lines = (self._sources.read(file) or b"").decode("utf-8", "replace").splitlines()
            for line in lines:
                if line.strip() and not line.startswith(("#", "!")):
                    yield from (part for part in line.strip().split("/") if part.strip("*"))
    def _of_library(self, reach: Mapping[str, FileReach]) -> Iterator[tuple[str, Finding | str]]:
        known = {path: facts for path, facts in self._facts.items() if facts is not None and path in reach}
        version = f"3.{sys.version_info[1]}"
        brings = self._provided.brings
        judge = ImportJudge(self._answers(known.values()), version, brings, patched_names(self._facts.values()))
        for path, facts in known.items():
            verdict = judge.judge(facts.library_uses, reach[path])
            yield from ((path, finding) for finding in verdict.findings)
            yield from ((path, reason) for _line, reason, _is_executed in verdict.undecided)
            if facts.evaluated:
                has_backport = self._provided.declares(BACKPORT)
                types = judge_types(facts.evaluated, reach[path], version, has_backport=has_backport)
                yield from ((path, finding) for finding in types.findings)
                yield from ((path, reason) for _line, reason, _is_executed in types.undecided)
    def _answers(self, facts: Iterable[ModuleFacts]) -> dict[str, LibraryAnswer]:
        return _ask_library(questions_of(row for of_file in facts for row in of_file.library_uses))
    def _declarations(self) -> Iterator[tuple[str, str]]:
        for path in self._sources.paths:
            data = self._sources.read(path) if DECLARES.search(path) else None
            if data is not None:
                yield path, data.decode("utf-8", "replace")
def _ask_library(questions: set[Question]) -> dict[str, LibraryAnswer]:
    return AnswerJudge(sys.version_info[1], sys.platform, is_image=False).answer(questions, _ask)
def _ask(questions: list[Question]) -> Mapping[str, LibraryReply]:
    import json
    data = json.dumps([[module, sorted(names)] for module, names in questions]).encode("ascii")
    return replies_from(answer_questions(data))
def _build_finding(path: str, finding: Finding) -> BuildFinding:
    return BuildFinding(finding.code, path, finding.range.line or 0, finding.range.column or 0, finding.message)
''',
}

def removesuffix(text, end):
    """`str.removesuffix` for older versions."""
    return text[: len(text) - len(end)] if end and text.endswith(end) else text


def removeprefix(text, start):
    """`str.removeprefix` for older versions."""
    return text[len(start) :] if text.startswith(start) else text


def load_modules():
    """The modules below, loaded from this file: nothing of the working folder is imported."""
    for name in ("buildguard", "buildguard.imports", "buildguard.remote"):
        sys.modules[name] = ModuleType(name)
    for name, text in MODULES.items():
        module = sys.modules[name] = ModuleType(name)
        parent, _, last = name.rpartition(".")
        setattr(sys.modules[parent], last, module)
        module.__dict__.update(removesuffix=removesuffix, removeprefix=removeprefix)
        exec(compile(text, name, "exec", 0, True), module.__dict__)
    return sys.modules[name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], StepSettings(VERSION, INCLUDE, EXCLUDE, load_modules)))
