"""The driver: lets probes judge the sources of a build's workspace, and writes down what they answered.

It runs in a step of Cloud Build, in the target's image, with nothing but the standard library of Python 3.8 on; parts of
the step file come before it there. Probes are children with limits: what kills one costs no other source its verdict.
Nothing of the workspace is imported or run.

Answers are lists of byte strings, as the probe writes them. The first is the greeting of the probe, the others begin with:
A, an answer (what the probe wrote follows) · S, the answer of a second try, under wider limits · D, that one ended without
an answer (number, size, SHA-256, how it ended, most memory) · T, the time was up (number, size, SHA-256) · U, a source
that cannot be read (path, reason) · C, a file that is not what the carried manifest says (path, content).
"""

from __future__ import annotations

import hashlib
import os
import signal
import stat
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from buildguard.remote.import_facts import facts_here
from buildguard.remote.manifest_rows import CARRIED, EXECUTABLE, FILE, OWN, QUESTIONS, ManifestRow, as_bytes, rows_of
from buildguard.remote.probe import main, send
from buildguard.remote.source_names import HEAD, NO_SOURCE, SUFFIXES, has_shebang, may_be_script
from buildguard.remote.wire import read_list
from buildguard.remote.workspace import read_file, read_source, row_of_file, scan_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from buildguard.remote.workspace import Workspace

ANSWERS = b".buildguard/answers"
_MEBI = 1 << 20
_MOST_AT_ONCE = 64 << 20  # bytes of sources in memory
_MOST_CONTENT = 8 << 20  # of all files that are not what was sent together
_LARGEST_CONTENT = 1 << 20


class Task(NamedTuple):
    """What one step does: for which target, its share of so many, and the limits of probes.

    `more` are sources that come with the driver itself.
    """

    target: int
    share: int
    shares: int
    memory: int
    seconds: int
    wider_memory: int
    wider_seconds: int
    more: Sequence[bytes]


class SourceRef(NamedTuple):
    """A source: its number, and where it is to be had."""

    number: int
    path: bytes
    data: bytes | None = None


def is_source(path: bytes, mode: int, head: bytes) -> bool:
    """Whether a file of the workspace is compiled: by its name or, with `head` as its first bytes, its shebang."""
    if path.startswith(b".buildguard/") or NO_SOURCE.intersection(path.split(b"/")):
        return False
    if path.endswith(SUFFIXES):
        return True
    return may_be_script(path, executable=bool(mode & 0o111)) and has_shebang(head)


def list_sources(workspace: Workspace, more: Sequence[bytes]) -> list[SourceRef]:
    """Every source of the workspace, and those that are no file of it."""
    questions = [SourceRef(at, b"", data) for at, data in enumerate([*more, *_sent_aside()])]
    for path, mode in sorted(workspace.modes.items()):
        if stat.S_ISREG(mode):
            head = b"" if path.endswith(SUFFIXES) else read_file(path, HEAD)
            if is_source(path, mode, head if isinstance(head, bytes) else b""):
                questions.append(SourceRef(len(questions), path))
    return questions


def _sent_aside() -> Iterator[bytes]:
    data = read_file(QUESTIONS)
    at = 0
    while isinstance(data, bytes) and at < len(data):
        end = data.index(b"\n", at) + 1
        size = int(data[at : end - 1])
        yield data[end : end + size]
        at = end + size


# ------------------------------------------------------------------------------------------ probes


class LoadedSource(NamedTuple):
    """A source as it was read."""

    number: int
    data: bytes

    @property
    def head(self) -> list[object]:
        """Its number, size and SHA-256."""
        return [self.number, len(self.data), hashlib.sha256(self.data).hexdigest()]


class AnswerFile:
    """The answers of a step on their way into its file; the first line is the greeting of its probes."""

    def __init__(self, task: Task, cores: int, out: BinaryIO) -> None:
        self.greeted = False
        self._task = task
        self._cores = cores
        self._out = out

    def judge(self, questions: Sequence[SourceRef]) -> None:
        """Judge some sources and write what came of each."""
        asked: list[LoadedSource] = []
        size = 0
        for question in questions:
            data = question.data if question.data is not None else read_source(question.path)
            if isinstance(data, str):
                self.write(b"U", question.path, data)
                continue
            asked.append(LoadedSource(question.number, data))
            size += len(data)
            if size > _MOST_AT_ONCE:
                self._compile_share(asked)
                asked, size = [], 0
        self._compile_share(asked)

    def write(self, *fields: object) -> None:
        """Write one list."""
        send(self._out, fields)

    def _compile_share(self, asked: Sequence[LoadedSource]) -> None:
        task = self._task
        shares = [share for share in (asked[at :: self._cores] for at in range(self._cores)) if share]
        children = [(share, _start_probe(share, task.memory, task.seconds)) for share in shares]
        for share, child in children:
            self._through(share, child)

    def _through(self, share: Sequence[LoadedSource], child: tuple[int, int]) -> None:
        """A share to its end: what a probe dies of is tried once more, alone, and the rest goes to the next probe."""
        while share:
            lists, status, _memory = _end_of(child)
            if not lists:
                raise OSError(f"a probe did not begin: it ended with status {status}")
            if not self.greeted:
                self.greeted = True
                self.write(*lists[0])
            for source, fields in zip(share, lists[1:]):
                if fields[3] == b"MemoryError":
                    self._second_try(source)
                else:
                    self.write(b"A", *fields)
            share = share[len(lists) - 1 :]
            if share:
                if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
                    self.write(b"T", *share[0].head)
                else:
                    self._second_try(share[0])
                share = share[1:]
            if share:
                child = _start_probe(share, self._task.memory, self._task.seconds)

    def _second_try(self, source: LoadedSource) -> None:
        child = _start_probe([source], self._task.wider_memory, self._task.wider_seconds, reads_facts=False)
        lists, status, memory = _end_of(child)
        if len(lists) > 1:
            self.write(b"S", *lists[1])
            return
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        self.write(b"D", *source.head, code, memory)


def _start_probe(
    asked: Sequence[LoadedSource], memory: int, seconds: int, *, reads_facts: bool = True
) -> tuple[int, int]:
    """A probe that answers some sources in their order: its process id, and the file with its answers."""
    questions, answers = _nameless(), _nameless()
    with os.fdopen(os.dup(questions), "wb") as into:
        for source in asked:
            into.write(b"%d %d %d" % (source.number, len(source.data), seconds + 10 * len(source.data) // _MEBI))
            into.write(b"\n" if reads_facts else b" -\n")
            into.write(source.data)
    os.lseek(questions, 0, os.SEEK_SET)
    process = os.fork()
    if process:
        os.close(questions)
        return process, answers
    try:
        os.dup2(questions, 0)
        os.dup2(answers, 1)
        main(memory, facts_here)
    finally:
        os._exit(0)


def _nameless() -> int:
    """A file that has no name any more."""
    path = os.path.join(ANSWERS, b"%d-%d" % (os.getpid(), time.monotonic_ns()))
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(path)
    return handle


def _end_of(child: tuple[int, int]) -> tuple[list[list[bytes]], int, int]:
    """The whole lists that a probe wrote, the status that it ended with, and the most memory that it had."""
    process, answers = child
    _process, status, usage = os.wait4(process, 0)
    os.lseek(answers, 0, os.SEEK_SET)
    with os.fdopen(answers, "rb") as file:
        data = file.read()
    lists: list[list[bytes]] = []
    at = 0
    while True:
        item = read_list(data, at)
        if item is None:
            return lists, status, usage.ru_maxrss * 1024
        lists.append(item[0])
        at = item[1]


# ------------------------------------------------------------------------------------------ the workspace


def rows(workspace: Workspace) -> list[ManifestRow]:
    """The files of the workspace, as a manifest has them. Raises OSError for what cannot be read."""
    closed = [path for path in workspace.closed if path != ANSWERS]
    if closed:
        raise OSError(closed[0].decode("utf-8", "backslashreplace") + " cannot be opened")
    manifest = []
    for path, mode in sorted(workspace.modes.items()):
        if path in OWN or path.startswith(ANSWERS + b"/") or not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
            continue
        row = row_of_file(path, mode)
        if isinstance(row, str):
            raise OSError(path.decode("utf-8", "backslashreplace") + ": " + row)
        manifest.append(row)
    return manifest


def tell_changed(here: Sequence[ManifestRow], answers: AnswerFile) -> None:
    """Store the files that differ from the manifest in the archive, so that the cause can be found."""
    carried = read_file(CARRIED)
    try:
        sent = {row.path: row for row in rows_of(carried)} if isinstance(carried, bytes) else {}
    except ValueError:
        sent = {}
    left = _MOST_CONTENT
    for row in here:
        if row.mode in (FILE, EXECUTABLE) and sent.get(row.path) != row and row.size <= min(left, _LARGEST_CONTENT):
            content = read_file(row.path)
            if isinstance(content, bytes):
                left -= len(content)
                answers.write(b"C", row.path, content)


# ------------------------------------------------------------------------------------------ the step


def drive(task: Task) -> int:
    """Do a step's share, and leave its answers in the workspace and their digests in `$BUILDER_OUTPUT/output`."""
    try:
        words = _do_task(task)
    except (OSError, ValueError) as error:
        words = {"wrong": "".join(char if char.isalnum() else " " for char in str(error))}
    head = {"schema": "1", "engine": "cloud", "share": f"{task.share}/{task.shares}"}
    text = ", ".join('"' + key + '": "' + value + '"' for key, value in {**head, **words}.items())
    with open(os.path.join(os.environ["BUILDER_OUTPUT"], "output"), "w") as output:
        output.write("{" + text + "}\n")
    sys.stdout.write(text + "\n")
    return 0


def _do_task(task: Task) -> dict[str, str]:
    os.makedirs(ANSWERS, exist_ok=True)
    workspace = scan_workspace()
    name = f"answers-{task.target}-{task.share}"
    with open(os.path.join(ANSWERS, name.encode()), "w+b") as out:
        questions = list_sources(workspace, task.more)[task.share :: task.shares]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        answers = AnswerFile(task, max(1, cores // task.shares), out)
        answers.judge(questions)
        words = {"sources": str(len(questions))}
        if task.share == 0:
            here = rows(workspace)
            tell_changed(here, answers)
            manifest = as_bytes(here)
            with open(os.path.join(ANSWERS, b"manifest-%d" % task.target), "wb") as file:
                file.write(manifest)
            words[f"manifest-{task.target}"] = hashlib.sha256(manifest).hexdigest()
        out.seek(0)
        words[name] = hashlib.sha256(out.read()).hexdigest()
    return words
