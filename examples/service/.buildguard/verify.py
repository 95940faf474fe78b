#!/usr/bin/env python3
"""Written by `buildguard init --cloudbuild` for a step of Cloud Build; not to be edited: the step would refuse it.

It asks the Python that runs it, with nothing but its standard library, to compile every source file of the working
folder. With BUILDGUARD_DIGEST in the step's environment it first proves that every byte is the one that was sent,
by the manifest in the archive. Nothing that it looks at is imported or run. Findings end it with status 1, what could
not be looked at with 3.

version: 0.1.0
digest: sha256:6d13b038cff2bf403ddf524e0c464185da898801368ca9521982a0b69baa935d
    (SHA-256 of everything below the line of equals signs)
"""

from __future__ import annotations

VERSION = "0.1.0"
# What is compiled, as the configuration says: patterns in gitignore syntax, and the regular expression of each.
INCLUDE: list[tuple[str, str]] = []
EXCLUDE: list[tuple[str, str]] = []
# ====================================================================================================
import codecs
import gc
import hashlib
import os
import re
import signal
import stat
import sys
import warnings
from typing import NamedTuple


# ---------------------------------------- probe


AST_ONLY = 0x400  # ast.PyCF_ONLY_AST, without importing ast


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

    def grant(seconds):
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


class SourceEncoding(NamedTuple):
    """How a source says that it is encoded: `cookie` is None where it says nothing, `line` where it says it."""

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


SUFFIXES = (b".py", b".pyw")
# python, python3, python3.11, python3.13t, pypy3.10, `uv run` and `pipx run`, also behind env; python2 is another interpreter.
SHEBANG = re.compile(
    rb"#![ \t]*\S*(?:/|\benv[ \t]+(?:-\S+[ \t]+)*(?:\S+=\S*[ \t]+)*)(?:python(?:3(?:\.\d+)?t?)?|pypy(?:3(?:\.\d+)?)?"
    rb"|(?:uv|pipx)[ \t]+run)(?:[ \t\r\n]|$)"
)
HEAD = 256  # the bytes of a file that its shebang is looked for in
NO_SOURCE = frozenset({b".git", b".hg", b".svn", b"__pycache__"})
PACKAGES, VIRTUAL = b"node_modules", b"pyvenv.cfg"


def may_be_script(path: bytes, *, executable: bool) -> bool:
    """Whether a file without Python's suffix is looked into: it can be started, or its name has no suffix at all."""
    return executable or b"." not in path.rpartition(b"/")[2]


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

    modes: dict[bytes, int]
    closed: list[bytes]
    left_out: list[bytes]


class WorkspaceDifference(NamedTuple):
    """A path that is not what the manifest says: the code of `buildguard diff`, what happened, its cause, and evidence."""

    code: str
    path: bytes
    change: str
    cause: str
    evidence: str


def scan_workspace() -> Workspace:
    """Look through the working folder; a git folder at its top is one path."""
    workspace = Workspace({}, [], [])
    pending = [b""]
    while pending:
        here = pending.pop()
        try:
            with os.scandir(here or b".") as listing:
                inside = [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in listing]
        except OSError:
            workspace.closed.append(here or b".")
            continue
        if here and any(name == VIRTUAL for name, _mode in inside):
            workspace.left_out.append(here)
        for name, mode in inside:
            path = here + b"/" + name if here else name
            if not stat.S_ISDIR(mode) or path == _GIT:
                workspace.modes[path] = mode
                continue
            pending.append(path)
            if name == PACKAGES:
                workspace.left_out.append(path)
    return workspace


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
    return isinstance(head, str) or SHEBANG.match(head) is not None  # what cannot be read is told later


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
    """What came of one source: the SHA-256 of the bytes that were compiled, findings, or why it is unproven."""

    path: bytes
    sha256: str
    findings: tuple[StepFinding, ...]
    unproven: str = ""


def compile_all(paths: Sequence[bytes], cores: int) -> Iterator[SourceResult]:
    """Compile the sources of some paths, as many at once as there are cores; each path comes back once."""
    shares = [share for share in (paths[at::cores] for at in range(cores)) if share]
    children = [_start(share, _LIMITS) for share in shares]
    for share, child in zip(shares, children):
        yield from _through(share, child)


def _through(share: Sequence[bytes], child: tuple[int, int]) -> Iterator[SourceResult]:
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
        child = _start(share, _LIMITS)


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
    """An answer of `_answer`: exception, whether memory was short, digest or reason, and five fields for each finding."""
    words = [field.decode("utf-8") for field in fields]
    if len(words) < 3 or len(words) % 5 != 3:
        return SourceResult(path, "", (), "the answer of its compiler cannot be read")
    if words[0] == "unreadable":
        return SourceResult(path, "", (), words[2])
    rows = (words[at : at + 5] for at in range(3, len(words), 5))
    findings = (StepFinding(code, path, int(line), int(column), said, text) for code, line, column, said, text in rows)
    return SourceResult(path, words[2], tuple(findings))


# ------------------------------------------------------------------------------------------ children


def _start(paths: Sequence[bytes], limits: tuple[int, int]) -> tuple[int, int]:
    """A child that answers for some paths in their order: its process id, and where its answers come from."""
    incoming, outgoing = os.pipe()
    process = os.fork()
    if process:
        os.close(outgoing)
        return process, incoming
    try:
        os.close(incoming)
        _serve(paths, outgoing, limits)
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


def _serve(paths: Sequence[bytes], outgoing: int, limits: tuple[int, int]) -> None:
    memory, seconds = limits
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    warnings.simplefilter("ignore")
    grant = limiter(memory)
    gc.disable()  # compile makes no cycles
    with os.fdopen(outgoing, "wb") as out:
        for path in paths:
            fields = [str(field).encode("utf-8", "backslashreplace") for field in _answer(path, grant, memory, seconds)]
            answer = _MARK.join(field.replace(_MARK, b"?") for field in fields)
            out.write(b"%d\n%b" % (len(answer), answer))
            out.flush()


def _answer(path: bytes, grant: object, memory: int, seconds: int) -> list[object]:
    data = read_source(path)
    if isinstance(data, str):
        return ["unreadable", 0, data]
    seconds += 10 * (len(data) >> 20)
    if callable(grant):
        grant(seconds)
    else:
        signal.alarm(seconds)
    kind, message, phase, line, column, _, _, short = judge(data, [], memory)[:8]
    findings = _find_misread(path, data)
    if kind:
        findings.insert(0, _refusal_finding(path, data, f"{kind}: {message}".rstrip(": "), line or 0, column or 0))
        if phase == "compiler":
            findings[0] = _in_code_points(findings[0])
    fields: list[object] = [kind, short, hashlib.sha256(data).hexdigest()]
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


class StepSettings(NamedTuple):
    """What `init` wrote down: the version of buildguard, and the patterns of sources with their regular expressions."""

    version: str
    include: list[tuple[str, str]]
    exclude: list[tuple[str, str]]


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
    """Everything that the step saw, and the version of buildguard that looked."""

    version: str
    files: int
    findings: list[StepFinding]
    unproven: list[tuple[bytes, str]]
    bytes: BytesProof | None

    @property
    def exit_code(self) -> int:
        """1 for findings, else 3 for anything unproven, else 0: as `buildguard check` has it."""
        wrong = self.bytes is not None and (self.bytes.differences or self.bytes.wrong)
        if self.findings or wrong:
            return 1
        return 3 if self.unproven or (self.bytes is not None and self.bytes.unproven) else 0


def main(folders: Sequence[str], settings: StepSettings) -> int:
    """Look at the workspace, tell, and return the exit status; `folders` are those whose sources are compiled."""
    workspace = scan_workspace()
    wanted = os.environ.get(_VARIABLE)
    proof = _prove_bytes(workspace, wanted) if wanted is not None else None
    proven = proof.contents if proof is not None else {}
    sources = sources_of(workspace, folders, settings.include, settings.exclude)
    findings: list[StepFinding] = []
    unproven = [(path, "a folder that cannot be opened") for path in workspace.closed]
    if not sources:
        unproven.append((b" ".join(map(os.fsencode, folders)) or b".", "no Python source here"))
    for result in compile_all(sources, _cores()):
        findings += result.findings
        if result.unproven:
            unproven.append((result.path, result.unproven))
        elif proven.get(result.path, result.sha256) != result.sha256:
            unproven.append((result.path, "changed between the comparison and the compiler"))
    seen = StepReport(settings.version, len(sources), sorted(findings), sorted(unproven), proof)
    sys.stdout.buffer.write(("\n".join(_lines(seen, workspace)) + "\n").encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()
    _report(seen)
    return seen.exit_code


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
    refused = len({finding.path for finding in seen.findings})
    python = "Python " + ".".join(map(str, sys.version_info[:3]))
    if refused:
        words = f"{python} refuses {refused} of {seen.files} files"
        more = f": an import stops at the first one, so deployed as they are they fail {refused} deploys in a row"
        return words + more if refused > 1 else words
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], StepSettings(VERSION, INCLUDE, EXCLUDE)))
