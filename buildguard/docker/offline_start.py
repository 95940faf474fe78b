"""An image that is started without a network: only its own loopback, probed from inside by the image's Python.

Nothing in it can reach a database, a queue or the metadata server, and nothing outside can reach it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.docker import elf, find_python, native_modules
from buildguard.docker.client import Daemon, start_container, translate_errors
from buildguard.docker.image_source import ImageFilesystem
from buildguard.docker.images import Image
from buildguard.docker.sandbox import open_image_files, owner_labels
from buildguard.docker.serve import StartedContainer, StartOptions
from buildguard.errors import GuardError, Reason, UnprovenError
from buildguard.remote import program
from buildguard.stages.archives.tar import MemberKind, TarReader
from buildguard.system import process
from buildguard.system.addresses import is_loopback

_PROBE = program("start_probe.py")
_ACCESS = program("access_probe.py")
_PAUSE = 0.3
_IDLE_FOR = 4.0  # seconds without work, after which a program that listens elsewhere is taken to have started
_TICKS = 100  # a second, on every Linux that containers run on
_BUSY = 0.1  # of one CPU
_PATIENCE = 4.0  # seconds after a first response of 500 and above, in which it may become a useful one
_EARLY = 3.0  # seconds between an open port and a useful response that a startup probe should cover
_SERVER_ERROR = 500
_HEAD = 4096  # bytes of a program that are looked at
_SHEBANG = lazy_pattern(rb"#![ \t]*([^\s\r]+)")


class Probe(NamedTuple):
    """What was seen in a container: its HTTP status, whether anything came back, its listeners, and CPU ticks so far."""

    status: int | None
    responded: bool
    listeners: tuple[tuple[str, int], ...]
    ticks: int

    def reachable(self, port: int) -> bool:
        """Whether something listens on the port at an address that Cloud Run can reach."""
        return any(number == port and not is_loopback(address) for address, number in self.listeners)

    @property
    def shown(self) -> tuple[str, ...]:
        """The listeners for people."""
        return tuple(
            dict.fromkeys(
                f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in self.listeners
            )
        )


class OfflineResult(NamedTuple):
    """How a container came up: `status` is None without an HTTP response, `listens_on` where it listens instead.

    `ending` is how it ended, empty while it runs; `silent` is a port that is open and sends nothing back. `bound` is where it
    listens, `bound_after` when that was seen first, `useful_after` when a response below 500 was; None where it was not.
    """

    started: bool
    seconds: float
    status: int | None = None
    ending: str = ""
    listens_on: tuple[str, ...] = ()
    silent: bool = False
    bound: tuple[str, ...] = ()
    bound_after: float | None = None
    useful_after: float | None = None
    access: AccessResult | None = None

    @property
    def opens_early(self) -> bool:
        """Whether a probe that only connects succeeds long before the app can serve."""
        return self.bound_after is not None and (self.useful_after or self.seconds) - self.bound_after > _EARLY


class AccessResult(NamedTuple):
    """The user that a container runs as, with paths that it cannot read and folders that it cannot write."""

    user: int
    unreadable: tuple[str, ...]
    unwritable: tuple[str, ...]


class EntrypointError(GuardError):
    """A container whose program cannot be started at all."""

    exit_code = 1


class OfflineContainer(StartedContainer):
    """A container without a network, removed on exit."""

    def __init__(self, daemon: Daemon, image: Image, start: StartOptions) -> None:
        """Start it. Raises EntrypointError if its program cannot be executed, UnprovenError for the engine's trouble."""
        self._port = start.port
        with open_image_files(daemon, image) as cell:
            self._problem = find_entrypoint_problem(cell, image, start)
            self._python = find_probing_python(cell, image, self._problem)
        with process.block_signals(), translate_errors(f"starting {image.reference}"):
            response = daemon.api.create_container(
                image.id,
                command=list(start.args) or None,
                entrypoint=list(start.command) or None,
                environment=[f"{name}={value}" for name, value in start.variables.items()],
                labels=owner_labels(),
                host_config=daemon.api.create_host_config(network_mode="none"),
            )
            super().__init__(daemon, str(response["Id"]))
        try:
            start_container(daemon, self.id, f"starting {image.reference}")
        except UnprovenError as error:
            self.close()
            if error.reason in {Reason.NO_PROGRAM, Reason.NOT_EXECUTABLE}:
                raise EntrypointError(self._problem or f"its program cannot be started: {error.what}") from error
            raise
        except BaseException:
            self.close()
            raise

    def wait(self, path: str, limit: float, clock: Callable[[], float] = time.monotonic) -> OfflineResult:
        """Wait until it responds, ends, or has come to rest listening elsewhere; for so many seconds at the most.

        Raises EntrypointError if its program could not be executed.
        """
        started, rest, watch = clock(), _IdleClock(), _ResponseClock(self._port)
        while True:
            ending = self.ending()
            seconds = clock() - started
            if ending and self._problem:  # some runtimes report it only as the program's own end
                raise EntrypointError(self._problem)
            if ending:
                return OfflineResult(started=False, seconds=seconds, ending=ending)
            probe = self._probe(path)
            seconds = clock() - started
            if probe is not None and (result := watch.result(probe, seconds)) is not None:
                return result
            if probe is not None and rest.is_elsewhere(probe, self._port, clock()):
                return OfflineResult(started=False, seconds=seconds, listens_on=probe.shown)
            if seconds > limit:
                silent = probe is not None and probe.reachable(self._port)
                return OfflineResult(
                    False, seconds, None, "", probe.shown if probe is not None and not silent else (), silent
                )
            self._rest()

    def access(self, folders: Sequence[str]) -> AccessResult | None:
        """What its user cannot read or write below some folders; None where that could not be seen."""
        argv = access_command(self._python, folders)
        try:
            with translate_errors("looking at the container's folders"):
                identity = self._daemon.api.exec_create(self.id, argv)["Id"]
                output, _errors = self._daemon.api.exec_start(identity, demux=True)
            return read_access(output or b"")
        except UnprovenError:
            return None

    def _rest(self) -> None:
        """Wait before it is looked at again."""
        time.sleep(_PAUSE)

    def _probe(self, path: str) -> Probe | None:
        """What is to be seen in it now; None if it has just ended."""
        argv = probe_command(self._python, self._port, path)
        try:
            with translate_errors("probing the container"):
                identity = self._daemon.api.exec_create(self.id, argv)["Id"]
                output, _errors = self._daemon.api.exec_start(identity, demux=True)
            return read_probe(output or b"")
        except UnprovenError:
            return None


def probe_command(python: str, port: int, path: str) -> list[str]:
    """The command that looks at a container's port from inside."""
    return [python, "-I", "-S", "-B", "-c", _PROBE.read_text("utf-8"), str(port), path]


def access_command(python: str, folders: Sequence[str]) -> list[str]:
    """The command that looks at what a container's user cannot read or write below some folders."""
    return [python, "-I", "-S", "-B", "-c", _ACCESS.read_text("utf-8"), *folders]


def watched_folders(image: Image) -> list[str]:
    """The folders of an image that its user should read, and may have to write."""
    return list(dict.fromkeys([image.folder or "/", "/tmp"]))  # noqa: S108  in the container


def find_probing_python(cell: ImageFilesystem, image: Image, problem: str) -> str:
    """An interpreter of the image to look at its ports with; `problem` is what is wrong with its program, if anything."""
    try:
        python = next(find_python.candidates(cell, image), "")
    except UnprovenError:
        if problem:
            raise EntrypointError(problem) from None
        raise
    if not python:
        raise UnprovenError(f"{image.reference} has no Python to look at its ports with", hint="--skip-start REASON")
    return python


class _ResponseClock:
    """When the port was open first, and when it gave a response, and a useful one."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._bound: float | None = None
        self._responded: float | None = None

    def result(self, probe: Probe, seconds: float) -> OfflineResult | None:
        """How it came up; None while it may still give a better response."""
        if not probe.reachable(self._port):
            return None
        self._bound = seconds if self._bound is None else self._bound
        if not probe.responded:
            return None
        self._responded = seconds if self._responded is None else self._responded
        is_useful = probe.status is None or probe.status < _SERVER_ERROR
        if not is_useful and seconds - self._responded < _PATIENCE:
            return None
        useful = seconds if is_useful else None
        return OfflineResult(
            True, seconds, probe.status, bound=probe.shown, bound_after=self._bound, useful_after=useful
        )


class _IdleClock:
    """Since when a program that listens elsewhere has done no work."""

    def __init__(self) -> None:
        self._since: tuple[float, int] | None = None

    def is_elsewhere(self, probe: Probe, port: int, now: float) -> bool:
        """Whether it listens, but not where it has to, and has been idle for a while: it has started, and wrongly."""
        if not probe.listeners or probe.reachable(port):
            self._since = None
            return False
        since, ticks = self._since or (now, probe.ticks)
        if (probe.ticks - ticks) / _TICKS > _BUSY * max(now - since, 1.0):
            since, ticks = now, probe.ticks
        self._since = (since, ticks)
        return now - since >= _IDLE_FOR


def read_probe(output: bytes) -> Probe | None:
    """What the probe printed; None where it did not finish."""
    try:
        seen: dict[str, Any] = json.loads(output)
        listeners = tuple((str(address), int(port)) for address, port in seen["listeners"])
        return Probe(seen["status"], bool(seen["responded"]), listeners, int(seen["ticks"]))
    except (ValueError, LookupError, TypeError):
        return None


def read_access(output: bytes) -> AccessResult | None:
    """What was printed of the user and the folders; None where it did not finish."""
    try:
        seen: dict[str, Any] = json.loads(output)
        unreadable, unwritable = tuple(map(str, seen["unreadable"])), tuple(map(str, seen["unwritable"]))
        return AccessResult(int(seen["user"]), unreadable, unwritable)
    except (ValueError, LookupError, TypeError):
        return None


# ------------------------------------------------------------------------------------------ why a program cannot start


def find_entrypoint_problem(cell: ImageFilesystem, image: Image, start: StartOptions) -> str:
    """Why the engine could not execute the program of a container, by the image's files; empty if nothing is wrong there."""
    name = next(iter((*(start.command or image.command), *start.args)), "")
    paths = [name] if name.startswith("/") else [f"{folder}/{name}" for folder in _folders(image, name)]
    stats = [(path, cell.stat(path)) for path in paths] if name else []
    path, stat = next(((path, stat) for path, stat in stats if stat is not None), ("", None))
    if stat is None:
        return f"the image has no program {name!r}" if name else "the image has no command"
    if stat.is_folder or not stat.is_executable:
        return f"{path} is not executable: git update-index --chmod=+x FILE, or RUN chmod +x {path}"
    return _interpreter_problem(cell, image, path)


def _folders(image: Image, name: str) -> Sequence[str]:
    return [image.folder.rstrip("/")] if "/" in name else image.path


def _interpreter_problem(cell: ImageFilesystem, image: Image, path: str) -> str:
    """What is wrong with the first line of a script, or with the header of a program."""
    head = _head(cell, path)
    if problem := _wrong_machine(cell, image, path, head):
        return problem
    line = head.partition(b"\n")[0]
    match = _SHEBANG.match(line)
    if match is None:
        return ""
    interpreter = match[1].decode("utf-8", "replace")
    if line.endswith(b"\r"):
        return f"{path} has Windows line endings (CRLF): the kernel looks for {interpreter + chr(13)!r}; '*.sh text eol=lf' in .gitattributes"
    return "" if cell.stat(interpreter) is not None else f"{path} needs {interpreter}, and the image has none"


def _wrong_machine(cell: ImageFilesystem, image: Image, path: str, head: bytes) -> str:
    """Why a compiled program cannot be executed: another processor's ("exec format error"), or a loader that is missing."""
    reader = native_modules.ElfReader()
    reader.feed(head)
    words = reader.target.misfit(image.platform, frozenset()) if reader.target is not None else ""
    if words:
        return f"{path} {words}"
    loader = elf.loader_of(head)
    return f"{path} needs the loader {loader}, and the image has none" if loader and cell.stat(loader) is None else ""


def _head(cell: ImageFilesystem, path: str) -> bytes:
    with closing(cell.tar(path)) as pieces:
        reader = TarReader(pieces)
        member = next(iter(reader), None)
        return next(reader.content(), b"")[:_HEAD] if member is not None and member.kind is MemberKind.FILE else b""
