"""Running a plan on the local container engine, step by step, as Cloud Build does: a fresh workspace, the same folders.

Each build has volumes of its own for /workspace and /builder/home, and the network `cloudbuild`; steps get the engine's
socket where it is on this machine. What a build leaves, containers and volumes, is removed with it.
"""

from __future__ import annotations

import io
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from buildguard.docker import images
from buildguard.docker.client import Daemon, plainly
from buildguard.docker.sandbox import owned, remove
from buildguard.errors import GuardError, UnprovenError
from buildguard.project.cloudbuild.steps import Plan, Step
from buildguard.project.config import PLATFORM

QUEUED, WORKING, SUCCESS, FAILURE = "QUEUED", "WORKING", "SUCCESS", "FAILURE"
TIMEOUT, CANCELLED, INTERNAL = "TIMEOUT", "CANCELLED", "INTERNAL_ERROR"
UNPACKING = "unpacking the source"
MOST_OUTPUT = 50_000  # bytes of $BUILDER_OUTPUT/output that Cloud Build keeps
_NETWORK = "cloudbuild"
_SOCKET = "/var/run/docker.sock"
_NO_PROGRAM, _NOT_FOUND = ("executable file not found", "no such file or directory"), 127
_TICK = 0.2
_FRAME = 8


class Ended(NamedTuple):
    """How one step ended: status, exit code (None where it had none), seconds, its output, and its image's digest or id."""

    status: str
    code: int | None
    seconds: float
    output: bytes
    image: str


class Result(NamedTuple):
    """How a build ended, with every step by number, in words where it failed, and the digest of each image pushed."""

    status: str
    steps: Mapping[int, Ended]
    detail: str = ""
    pushed: tuple[tuple[str, str], ...] = ()


class Around(NamedTuple):
    """What a build is given: who hears its log line by line, secrets by their variable, and the platform of its images.

    `push` sends an image away and returns its digest; without it nothing is pushed.
    """

    say: Callable[[str], None]
    secrets: Mapping[str, str] = {}
    push: Callable[[str], str] | None = None
    platform: str = PLATFORM


class Build:
    """One build on the local engine. `run` once; `cancel` from any thread."""

    def __init__(self, daemon: Daemon, plan: Plan, around: Around) -> None:
        self._daemon = daemon
        self._plan = plan
        self._around = around
        self._say = around.say
        self._name = f"buildguard-{uuid.uuid4().hex[:12]}"
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self._stop = ""
        self._deadline = 0.0

    def cancel(self, status: str = CANCELLED) -> None:
        """End what runs; the build ends with that status."""
        with self._lock:
            self._stop = self._stop or status
            running = list(self._running)
        for container in running:
            with suppress(UnprovenError), plainly("ending a step"):
                self._daemon.api.kill(container)

    @contextmanager
    def workspace(self, source: Iterable[bytes]) -> Iterator[None]:
        """The volumes of this build, the source (a tar, gzipped or not) unpacked into the workspace; removed in the end."""
        api = self._daemon.api
        names = [self._volume("workspace"), self._volume("home")]
        names += sorted({self._volume(name, own=True) for step in self._plan.steps for name, _path in step.volumes})
        try:
            with plainly("making the workspace"):
                if not api.networks(names=[_NETWORK]):
                    api.create_network(_NETWORK)
                for name in names:
                    api.create_volume(name, labels=owned())
                holder = self._created(self._plan.steps[0], entrypoint=["/buildguard"])
            try:
                with plainly(UNPACKING):
                    api.put_archive(holder, "/workspace", iter(source))
                yield
            finally:
                remove(self._daemon, holder)
        finally:
            for name in names:
                with suppress(UnprovenError), plainly("removing the workspace"):
                    api.remove_volume(name, force=True)

    def files(self) -> Iterator[bytes]:
        """The workspace as it is now, as a tar; inside of `workspace`."""
        holder = self._created(self._plan.steps[0], entrypoint=["/buildguard"])
        try:
            with plainly("reading the workspace"):
                yield from self._daemon.stream(f"/containers/{holder}/archive", {"path": "/workspace"})
        finally:
            remove(self._daemon, holder)

    def run(self) -> Result:
        """Run every step as soon as those that it waits for are done; inside of `workspace`."""
        self._deadline = time.monotonic() + self._plan.timeout
        ended: dict[int, Ended] = {}
        threads: dict[int, threading.Thread] = {}
        while len(ended) < len(self._plan.steps):
            if time.monotonic() > self._deadline:
                self.cancel(TIMEOUT)
            failed = self._failed(ended)
            for step in self._plan.steps:
                if step.number in threads or not step.after <= ended.keys():
                    continue
                if self._stop or failed:
                    ended[step.number] = Ended(CANCELLED if self._stop else QUEUED, None, 0.0, b"", "")
                    threads[step.number] = threading.Thread()
                    continue
                threads[step.number] = threading.Thread(target=self._tried, args=(step, ended), daemon=True)
                threads[step.number].start()
            for number, thread in threads.items():
                # it died of a bug of ours: without this nobody would end the wait
                if not thread.is_alive() and number not in ended:
                    ended[number] = Ended(INTERNAL, None, 0.0, b"the thread of this step died", "")
            time.sleep(_TICK / 10)
        for thread in threads.values():
            if thread.ident is not None:
                thread.join()
        return self._result(ended)

    def _failed(self, ended: Mapping[int, Ended]) -> Step | None:
        return next(
            (
                step
                for step in self._plan.steps
                if step.number in ended and ended[step.number].status in {FAILURE, TIMEOUT, INTERNAL}
            ),
            None,
        )

    def _result(self, ended: Mapping[int, Ended]) -> Result:
        if self._stop:
            return Result(
                self._stop, ended, "the build took longer than it may" if self._stop == TIMEOUT else "cancelled"
            )
        failed = self._failed(ended)
        if failed is not None:
            one = ended[failed.number]
            words = (
                f"build {failed.name} failed: step exited with non-zero status: {one.code}"
                if one.status == FAILURE
                else f"build {failed.name}: {one.output.decode('utf-8', 'replace') or one.status}"
            )
            return Result(TIMEOUT if one.status == TIMEOUT else one.status, ended, words)
        pushed = []
        push = self._around.push
        for name in self._plan.images if push is not None else ():
            self._say(f"Pushing {name}")
            try:
                assert push is not None
                pushed.append((name, push(name)))
            except GuardError as error:
                return Result(FAILURE, ended, f"push {name}: {error.what}")
        return Result(SUCCESS, ended, "", tuple(pushed))

    # -------------------------------------------------------------------------------------- one step

    def _tried(self, step: Step, ended: dict[int, Ended]) -> None:
        started = time.monotonic()
        try:
            ended[step.number] = self._step(step, started)
        except GuardError as error:
            self._say(f"{step.name}: {error.words}")
            ended[step.number] = Ended(INTERNAL, None, time.monotonic() - started, error.words.encode(), "")

    def _step(self, step: Step, started: float) -> Ended:
        found = images.find(
            self._daemon, step.image, self._around.platform, lambda text: self._say(f"{step.name}: {text}")
        )
        container = self._created(step)
        code: int | None = _NOT_FOUND
        status, output = "", b""
        try:
            if self._starts(step, container):
                listener = threading.Thread(target=self._listen, args=(step, container), daemon=True)
                listener.start()
                code, status = self._waited(step, container, started)
                listener.join(timeout=10)
                output = self._output(container)
        finally:
            with self._lock:
                self._running.discard(container)
            remove(self._daemon, container)
        seconds = time.monotonic() - started
        tolerated = step.tolerated is None or code in step.tolerated
        return Ended(status or (SUCCESS if tolerated else FAILURE), code, seconds, output, found.digest or found.id)

    def _starts(self, step: Step, container: str) -> bool:
        """Start a step; False where its image lacks the program: as for `docker run`, that is the step's own failure."""
        try:
            with plainly(f"starting {step.name}"):
                self._daemon.api.put_archive(container, "/", _furniture(step.script))
                with self._lock:
                    self._running.add(container)
                self._daemon.api.start(container)
        except UnprovenError as error:
            if not any(words in error.what for words in _NO_PROGRAM):
                raise
            self._say(f"{step.name}: {error.what}")
            return False
        return True

    def _created(self, step: Step, entrypoint: list[str] | None = None) -> str:
        api = self._daemon.api
        binds: dict[str, Mapping[str, str]] = {
            self._volume("workspace"): {"bind": "/workspace", "mode": "rw"},
            self._volume("home"): {"bind": "/builder/home", "mode": "rw"},
            **{self._volume(name, own=True): {"bind": path, "mode": "rw"} for name, path in step.volumes},
        }
        if self._daemon.address.url.startswith("unix://"):
            binds[self._daemon.address.url.removeprefix("unix://")] = {"bind": _SOCKET, "mode": "rw"}
        env = [*step.env, "HOME=/builder/home", "BUILDER_OUTPUT=/builder/outputs"]
        env += [f"{name}={self._around.secrets[name]}" for name in step.secrets if name in self._around.secrets]
        start = entrypoint or (["/builder/script"] if step.script else [step.entrypoint] if step.entrypoint else None)
        with plainly(f"making the container of {step.name}"):
            made = api.create_container(
                step.image,
                command=list(step.args) if entrypoint is None and not step.script else [],
                entrypoint=start,
                environment=env,
                working_dir=step.folder,
                user="0",
                host_config=api.create_host_config(binds=binds, network_mode=_NETWORK),
                labels=owned(),
            )
        return str(made["Id"])

    def _waited(self, step: Step, container: str, started: float) -> tuple[int | None, str]:
        """The exit code of a step, and a status where it was ended."""
        limit = min(self._deadline, started + step.timeout if step.timeout else self._deadline)
        while True:
            with plainly(f"waiting for {step.name}"):
                state: dict[str, Any] = self._daemon.api.inspect_container(container)["State"]
            if not state["Running"]:
                return int(state["ExitCode"]), CANCELLED if self._stop else ""
            if time.monotonic() > limit:
                with suppress(UnprovenError), plainly("ending a step"):
                    self._daemon.api.kill(container)
                return None, TIMEOUT
            time.sleep(_TICK)

    def _listen(self, step: Step, container: str) -> None:
        """Say what a step prints, line by line, until it ends; what following it missed at the end is read once more."""
        rest, seen = b"", 0
        with suppress(UnprovenError), plainly("reading a log"):
            for follow in ("1", "0"):
                path, wanted = f"/containers/{container}/logs", {"follow": follow, "stdout": "1", "stderr": "1"}
                skip = seen
                for piece in _unframed(self._daemon.stream(path, wanted, timeout=None)):
                    new, skip = piece[skip:], max(0, skip - len(piece))
                    seen += len(new)
                    *lines, rest = (rest + new).split(b"\n")
                    for line in lines:
                        self._say(f"{step.name}: {line.decode('utf-8', 'replace')}")
        if rest:
            self._say(f"{step.name}: {rest.decode('utf-8', 'replace')}")

    def _output(self, container: str) -> bytes:
        """The first 50 KB of what a step wrote to `$BUILDER_OUTPUT/output`."""
        try:
            with plainly("reading a step's output"):
                data = b"".join(
                    self._daemon.stream(f"/containers/{container}/archive", {"path": "/builder/outputs/output"})
                )
        except UnprovenError:
            return b""
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            found = tar.extractfile("output")
            return found.read(MOST_OUTPUT) if found is not None else b""

    def _volume(self, name: str, *, own: bool = False) -> str:
        return f"{self._name}-{'volume-' if own else ''}{name}"


def _furniture(script: str) -> bytes:
    """What Cloud Build puts into every step: folders, and its script; without a shebang `/bin/sh` runs it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        outputs = tarfile.TarInfo("builder/outputs")
        outputs.type, outputs.mode = tarfile.DIRTYPE, 0o777
        tar.addfile(outputs)
        if script:
            text = (script if script.startswith("#!") else f"#!/bin/sh\n{script}").encode()
            info = tarfile.TarInfo("builder/script")
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text))
    return made.getvalue()


def _unframed(stream: Iterator[bytes]) -> Iterator[bytes]:
    """What a container printed, out of the frames that the engine puts it in: eight bytes, the last four the size."""
    held = b""
    for piece in stream:
        held += piece
        while len(held) >= _FRAME and len(held) >= (end := _FRAME + int.from_bytes(held[4:_FRAME], "big")):
            yield held[_FRAME:end]
            held = held[end:]
