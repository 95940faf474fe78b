"""The command in a process of its own that begins with every module imported: most of a short run is the import of them.

A server, one for each process of pytest, has imported the package. For each run it forks a child that becomes the command:
with its arguments, folder, environment, umask and pipes, as the operating system would start it. What Python itself reads
when it starts cannot be handed over: `is_faithful` says where only a real start will do, and `./scripts/test all` makes no
other.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import hashlib
import importlib
import itertools
import json
import os
import pkgutil
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from buildguard.engines.pool import Pool

_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC", "COVERAGE", "OPENSSL", "SSL_")
# imported late, by what a run comes to
_LATE = (
    "google.auth.impersonated_credentials",
    "google.auth.transport.requests",
    "google.cloud.devtools.cloudbuild_v1",
    "google.cloud.run_v2",
    "google.cloud.storage",
    "jinja2",
    "packaging.requirements",
    "packaging.tags",
    "pathspec",
    "ruamel.yaml",
    "sqlite3",
)
_ASKED = (
    "findall",
    "finditer",
    "flags",
    "fullmatch",
    "groups",
    "match",
    "pattern",
    "search",
    "split",
    "sub",
    "subn",
)  # of a pattern
_LENGTH = 8
_REAL = 5  # runs of a session that start for real: a server pays from the tenth or so
_runs = itertools.count()


def is_faithful(environment: Mapping[str, str]) -> bool:
    """Whether a forked run is what a real start would be."""
    if "BUILDGUARD_ALL" in os.environ or "COVERAGE_PROCESS_CONFIG" in os.environ or not hasattr(os, "fork"):
        return False
    return next(_runs) >= _REAL and _identity(environment) == _server().identity


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: bytes, limit: float
) -> subprocess.CompletedProcess[bytes]:
    """What `subprocess.run` gives for the same command."""
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        pipes = [os.pipe(), os.pipe()]
        order = {"argv": command, "folder": str(folder), "environment": dict(environment), "umask": _umask()}
        try:
            _server().send([theirs.fileno(), given.fileno(), *(writer for _reader, writer in pipes)])
        finally:
            theirs.close()
            for _reader, writer in pipes:
                os.close(writer)
        _write(ours, order)
        return _wait(ours, [reader for reader, _writer in pipes], command, limit)


def _wait(
    ours: socket.socket, readers: Sequence[int], command: Sequence[str], limit: float
) -> subprocess.CompletedProcess[bytes]:
    said: dict[int, bytes] = {}

    def read(reader: int) -> None:
        with open(reader, "rb") as file:
            said[reader] = file.read()

    threads = [threading.Thread(target=read, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    child = int(_read(ours))
    until = time.monotonic() + limit
    for thread in threads:
        thread.join(max(0, until - time.monotonic()))
    late = any(thread.is_alive() for thread in threads)
    if late:
        os.kill(child, signal.SIGKILL)
    status = int(_read(ours))
    for thread in threads:
        thread.join()
    if late:
        raise subprocess.TimeoutExpired(command, limit)
    return subprocess.CompletedProcess(command, status, *(said[reader] for reader in readers))


def _write(line: socket.socket, value: object) -> None:
    data = json.dumps(value).encode()
    line.sendall(len(data).to_bytes(_LENGTH, "big") + data)


def _read(line: socket.socket) -> str:
    length = int.from_bytes(_exactly(line, _LENGTH), "big")
    return _exactly(line, length).decode()


def _exactly(line: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = line.recv(length - len(data))
        if not more:
            raise EOFError("the server of the tests' commands has gone")
        data += more
    return data


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


def _identity(environment: Mapping[str, str]) -> tuple[object, ...]:
    """What a process has from its start, and keeps."""
    read = sorted((key, value) for key, value in environment.items() if key.startswith(_READ_AT_START))
    return (*os.getresuid(), *os.getresgid(), *read) if hasattr(os, "getresuid") else tuple(read)


class _Server:
    """The process that forks."""

    def __init__(self) -> None:
        self.identity = _identity(os.environ)
        self._line, theirs = socket.socketpair()
        self._lock = threading.Lock()
        self._programs = tempfile.TemporaryDirectory(prefix="programs-")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), self._programs.name],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def send(self, files: Sequence[int]) -> None:
        with self._lock:
            socket.send_fds(self._line, [b"!"], files)

    def close(self) -> None:
        self._line.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._programs.cleanup()


@functools.cache
def _server() -> _Server:
    return _Server()


def close() -> None:
    """End the server, where there is one."""
    if _server.cache_info().currsize:
        _server().close()
        _server.cache_clear()


def _compile_patterns() -> None:
    """What each run compiles when it first needs it is compiled for all of them."""
    from buildguard.definitions import _LazyPattern

    for pattern in gc.get_objects():
        if type(pattern) is _LazyPattern:
            compiled = re.compile(*pattern._source)
            for name in _ASKED:
                setattr(pattern, name, getattr(compiled, name))


def _import_all() -> None:
    import buildguard
    from buildguard.project.cloudbuild import guard_step

    for module in pkgutil.walk_packages(buildguard.__path__, "buildguard."):
        if not module.name.startswith(("buildguard.remote", "buildguard.hooks", "buildguard.__main__")):
            importlib.import_module(module.name)
    for name in _LATE:
        with contextlib.suppress(ImportError):  # a part of this project's extras
            importlib.import_module(name)
    _compile_patterns()
    guard_step.text((), ())  # the same for each project
    gc.collect()
    gc.freeze()  # else a child's collector would copy every page of them


def _serve(control: socket.socket) -> bool:
    """Fork for each order, and tell how each child ended; True in a child that is to become the command."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # a call that waits is woken by what has a handler
    watched: list[socket.socket | int] = [control, woken]
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select(watched, [], [])
        if woken in ready:
            os.read(woken, 1024)
            _report(running)
        if control in ready:
            word, files, _flags, _address = socket.recv_fds(control, 1, 4)
            if not word:
                return False
            line = socket.socket(fileno=files[0])
            order = json.loads(_read(line))
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for one in (control, line, *running.values()):
                    one.close()
                for pipe in (woken, wakes):
                    os.close(pipe)
                _become(order, files[1:])
                return True
            running[child] = line
            for file in files[1:]:
                os.close(file)
            _write(line, child)


def _report(running: dict[int, socket.socket]) -> None:
    """Tell of each child that has ended; who asked may have gone."""
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            line = running.pop(ended[0])
            with line, contextlib.suppress(OSError):
                _write(line, os.waitstatus_to_exitcode(ended[1]))


def _become(order: dict[str, object], files: Sequence[int]) -> None:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(str(order["folder"]))
    os.umask(int(str(order["umask"])))
    os.environ.clear()
    os.environ.update(order["environment"])  # type: ignore[call-overload]
    time.tzset()
    tempfile.tempdir = None
    sys.argv = list(order["argv"])  # type: ignore[call-overload]
    sys.path[0] = os.path.dirname(sys.argv[0])


def _share_programs(folder: str) -> None:
    """What reads imports in an interpreter is compiled by it once for all runs, as in a user's home once for all projects."""
    from buildguard.engines.compiled_program import CompiledProgram

    ask, keep = CompiledProgram.code, CompiledProgram.keep

    def path_of(program: CompiledProgram) -> Path:
        return Path(folder, hashlib.sha256(program._context).hexdigest())

    def code(self: CompiledProgram) -> bytes:
        if not ask(self):
            with contextlib.suppress(FileNotFoundError):
                self._code = path_of(self).read_bytes()
        return self._code or b""

    def keep_for_all(self: CompiledProgram, pool: Pool) -> None:
        was_missing = self._code == b""
        keep(self, pool)
        if was_missing and self._code:
            written = path_of(self).with_suffix(f".{os.getpid()}")
            written.write_bytes(self._code)
            written.replace(path_of(self))

    CompiledProgram.code = code  # type: ignore[method-assign]
    CompiledProgram.keep = keep_for_all  # type: ignore[method-assign]


def _end(status: int) -> None:
    """End as Python does, but for taking every module apart: that would copy each page of the server's memory."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    """The server: its argument is the number of the socket that orders come by."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0] = os.path.dirname(sys.executable)  # not this folder, in which there is another `docker`
    _import_all()
    _share_programs(sys.argv[2])
    if not _serve(socket.socket(fileno=int(sys.argv[1]))):
        return
    from buildguard.cli.main import main as command

    try:
        command()
    except SystemExit as ended:
        if not isinstance(ended.code, int):
            raise
        _end(ended.code)
    _end(0)


if __name__ == "__main__":
    main()
