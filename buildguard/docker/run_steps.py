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
from types import MappingProxyType
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.docker import images
from buildguard.docker.client import Daemon, ensure_network, start_container, translate_errors
from buildguard.docker.docker_builder import DockerBuilder, read_command
from buildguard.docker.sandbox import owner_labels, remove
from buildguard.errors import GuardError, Reason, UnprovenError
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.project.cloudbuild.steps import BuildPlan, BuildStep
from buildguard.project.deploy_table import PLATFORM
from buildguard.stages.archives.writer import pack_files

MOST_OUTPUT = 50_000  # bytes of $BUILDER_OUTPUT/output that Cloud Build keeps
_NETWORK = "cloudbuild"
_SOCKET = "/var/run/docker.sock"
_NOT_FOUND = 127
_TICK = 0.2
_FRAME = 8


class BuildStepResult(NamedTuple):
    """How one step ended: status, exit code (None where it had none), seconds, its output, and its image's digest or id."""

    status: BuildState
    code: int | None
    seconds: float
    output: bytes
    image: str


class BuildResult(NamedTuple):
    """How a build ended, with every step by number, in words where it failed, and the digest of each image pushed.

    `push_failed` says that every step succeeded, and an image could not be pushed.
    """

    status: BuildState
    steps: Mapping[int, BuildStepResult]
    detail: str = ""
    pushed: tuple[tuple[str, str], ...] = ()
    push_failed: bool = False


class BuildEnvironment(NamedTuple):
    """What a build is given: who hears its log line by line, secrets by their variable, and the platform of its images.

    `push` sends an image away and returns its digest; without it nothing is pushed. `resolve` gives the name by which the
    engine has the image of a step. `builds_here` has the docker builder's steps done without its image: always, or (None) where
    that image is not here. With `is_passing` the names that the build gives to images go with it.
    """

    say: Callable[[str], None]
    secrets: Mapping[str, str] = MappingProxyType({})
    push: Callable[[str], str] | None = None
    platform: str = PLATFORM
    resolve: Callable[[str], str] = str
    builds_here: bool | None = False
    is_passing: bool = False


class LocalBuild:
    """One build on the local engine. `run` once; `cancel` from any thread."""

    def __init__(self, daemon: Daemon, plan: BuildPlan, around: BuildEnvironment) -> None:
        self._daemon = daemon
        self._plan = plan
        self._around = around
        self._say = around.say
        self._name = f"buildguard-{uuid.uuid4().hex[:12]}"
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self._stop: BuildState | None = None
        self._deadline = 0.0
        self._docker = DockerBuilder(daemon, around.platform, around.push)
        self._holder_image = ""

    def cancel(self, status: BuildState = BuildState.CANCELLED) -> None:
        """End what runs; the build ends with that status."""
        with self._lock:
            self._stop = self._stop or status
            running = list(self._running)
        for container in running:
            with suppress(UnprovenError), translate_errors("ending a step"):
                self._daemon.api.kill(container)

    @contextmanager
    def workspace(self, source: Iterable[bytes]) -> Iterator[None]:
        """The volumes of this build, the source (a tar, gzipped or not) unpacked into the workspace; removed in the end."""
        api = self._daemon.api
        names = [self._volume("workspace"), self._volume("home")]
        names += sorted({self._volume(name, own=True) for step in self._plan.steps for name, _path in step.volumes})
        try:
            with translate_errors("making the workspace"):
                ensure_network(self._daemon, _NETWORK)
                for name in names:
                    api.create_volume(name, labels=owner_labels())
                self._holder_image = _empty_image(self._daemon, self._name)
                holder = self._holder()
            try:
                with translate_errors("unpacking the source", reason=Reason.SOURCE_NOT_FETCHED):
                    api.put_archive(holder, "/workspace", iter(source))
                yield
            finally:
                remove(self._daemon, holder)
                if self._around.is_passing:
                    self._docker.restore()
        finally:
            for name in names:
                with suppress(UnprovenError), translate_errors("removing the workspace"):
                    api.remove_volume(name, force=True)
            with suppress(UnprovenError), translate_errors("removing the workspace"):
                if self._holder_image:
                    api.remove_image(self._holder_image, force=True)

    def _holder(self) -> str:
        """A container that only holds the build's volumes: it needs no image of a step, which may not be here yet."""
        step = self._plan.steps[0]._replace(image=self._holder_image, env=(), secrets=())
        return self._created(step, self._holder_image, entrypoint=["/buildguard"])

    def files(self, folder: str = "") -> Iterator[bytes]:
        """The workspace as it is now, or a folder of it, as a tar whose names begin with that folder's own; inside of `workspace`.

        Raises UnprovenError with Reason.NOT_FOUND where there is no such folder.
        """
        holder = self._holder()
        try:
            with translate_errors("reading the workspace"):
                yield from self._daemon.stream(
                    f"/containers/{holder}/archive", {"path": f"/workspace/{folder}".rstrip("/")}
                )
        finally:
            remove(self._daemon, holder)

    def run(self) -> BuildResult:
        """Run every step as soon as those that it waits for are done; inside of `workspace`."""
        self._deadline = time.monotonic() + self._plan.timeout
        ended: dict[int, BuildStepResult] = {}
        threads: dict[int, threading.Thread] = {}
        while len(ended) < len(self._plan.steps):
            if time.monotonic() > self._deadline:
                self.cancel(BuildState.TIMEOUT)
            # One view of what ended: a step that ends between two looks would be done, yet not failed.
            self._start_ready_steps(threads, ended, dict(ended))
            _end_dead_steps(threads, ended)
            time.sleep(_TICK / 10)
        for thread in threads.values():
            if thread.ident is not None:
                thread.join()
        return self._result(ended)

    def _start_ready_steps(
        self,
        threads: dict[int, threading.Thread],
        ended: dict[int, BuildStepResult],
        seen: Mapping[int, BuildStepResult],
    ) -> None:
        """Start what need not wait any more, by what was `seen` to end; after a failure, or the end, it ends unstarted."""
        failed = self._failed(seen)
        for step in self._plan.steps:
            if step.number in threads or not step.after <= seen.keys():
                continue
            if self._stop or failed:
                state = BuildState.CANCELLED if self._stop else BuildState.QUEUED
                ended[step.number] = BuildStepResult(state, None, 0.0, b"", "")
                threads[step.number] = threading.Thread()
                continue
            threads[step.number] = threading.Thread(target=self._tried, args=(step, ended), daemon=True)
            threads[step.number].start()

    def _failed(self, ended: Mapping[int, BuildStepResult]) -> BuildStep | None:
        return next(
            (
                step
                for step in self._plan.steps
                if step.number in ended
                and ended[step.number].status in {BuildState.FAILURE, BuildState.TIMEOUT, BuildState.INTERNAL_ERROR}
            ),
            None,
        )

    def _result(self, ended: Mapping[int, BuildStepResult]) -> BuildResult:
        if self._stop:
            why = "the build took longer than it may" if self._stop is BuildState.TIMEOUT else "cancelled"
            return BuildResult(self._stop, ended, why)
        failed = self._failed(ended)
        if failed is not None:
            last = ended[failed.number]
            return BuildResult(last.status, ended, _failure_text(failed, last))
        return self._push_images(ended)

    def _push_images(self, ended: Mapping[int, BuildStepResult]) -> BuildResult:
        """Push what the build names, and end it."""
        pushed = []
        push = self._around.push
        for name in self._plan.images if push is not None else ():
            self._say(f"Pushing {name}")
            try:
                assert push is not None
                pushed.append((name, push(name)))
            except GuardError as error:
                return BuildResult(BuildState.FAILURE, ended, f"push {name}: {error.what}", push_failed=True)
        return BuildResult(BuildState.SUCCESS, ended, "", tuple(pushed))

    # -------------------------------------------------------------------------------------- one step

    def _tried(self, step: BuildStep, ended: dict[int, BuildStepResult]) -> None:
        started = time.monotonic()
        try:
            ended[step.number] = self._step(step, started)
        except GuardError as error:
            self._say(f"{step.name}: {error.words}")
            # an image that does not exist is the build's own mistake; anything else is trouble of this machine
            is_missing = isinstance(error, images.MissingImageError)
            ended[step.number] = BuildStepResult(
                BuildState.FAILURE if is_missing else BuildState.INTERNAL_ERROR,
                None,
                time.monotonic() - started,
                error.words.encode(),
                "",
            )

    def _step(self, step: BuildStep, started: float) -> BuildStepResult:
        command = read_command(step)
        if command is not None and self._builds_here(step):
            code = self._docker.run(command, self.files, lambda text: self._say(f"{step.name}: {text}"))
            return self._ended(step, code, None, started, (b"", ""))
        image = images.find(
            self._daemon,
            self._around.resolve(step.image),
            self._around.platform,
            lambda text: self._say(f"{step.name}: {text}"),
        )
        return self._in_container(step, image, started)

    def _builds_here(self, step: BuildStep) -> bool:
        """Whether a step of the docker builder is done without the builder's image."""
        if self._around.builds_here is not None:
            return self._around.builds_here
        try:
            images.find(self._daemon, step.image, self._around.platform, None)
        except UnprovenError:
            return True
        return False

    def _in_container(self, step: BuildStep, image: images.Image, started: float) -> BuildStepResult:
        container = self._created(step, image.id)
        code: int | None = _NOT_FOUND
        status: BuildState | None = None
        output = b""
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
        return self._ended(step, code, status, started, (output, image.digest or image.id))

    @staticmethod
    def _ended(
        step: BuildStep, code: int | None, status: BuildState | None, started: float, output: tuple[bytes, str]
    ) -> BuildStepResult:
        tolerated = step.tolerated is None or code in step.tolerated
        state = status or (BuildState.SUCCESS if tolerated else BuildState.FAILURE)
        return BuildStepResult(state, code, time.monotonic() - started, *output)

    def _starts(self, step: BuildStep, container: str) -> bool:
        """Start a step; False where its image lacks the program: as for `docker run`, that is the step's own failure."""
        try:
            with translate_errors(f"starting {step.name}"):
                self._daemon.api.put_archive(container, "/", _step_files(step.script))
            with self._lock:
                self._running.add(container)
            start_container(self._daemon, container, f"starting {step.name}")
        except UnprovenError as error:
            if error.reason is not Reason.NO_PROGRAM:
                raise
            self._say(f"{step.name}: {error.what}")
            return False
        return True

    def _created(self, step: BuildStep, image: str, entrypoint: list[str] | None = None) -> str:
        """The container of a step, not started; with `entrypoint` one that only holds the build's volumes."""
        api = self._daemon.api
        env = [*step.env, "HOME=/builder/home", "BUILDER_OUTPUT=/builder/outputs"]
        env += [f"{name}={self._around.secrets[name]}" for name in step.secrets if name in self._around.secrets]
        with translate_errors(f"making the container of {step.name}"):
            response = api.create_container(
                image,
                command=list(step.args) if entrypoint is None and not step.script else [],
                entrypoint=entrypoint or _entrypoint(step),
                environment=env,
                working_dir=step.folder,
                user="0",
                host_config=api.create_host_config(binds=self._binds(step), network_mode=_NETWORK),
                labels=owner_labels(),
            )
        return str(response["Id"])

    def _binds(self, step: BuildStep) -> dict[str, Mapping[str, str]]:
        binds: dict[str, Mapping[str, str]] = {
            self._volume("workspace"): {"bind": "/workspace", "mode": "rw"},
            self._volume("home"): {"bind": "/builder/home", "mode": "rw"},
            **{self._volume(name, own=True): {"bind": path, "mode": "rw"} for name, path in step.volumes},
        }
        if self._daemon.address.url.startswith("unix://"):
            binds[self._daemon.address.url.removeprefix("unix://")] = {"bind": _SOCKET, "mode": "rw"}
        return binds

    def _waited(self, step: BuildStep, container: str, started: float) -> tuple[int | None, BuildState | None]:
        """The exit code of a step, and a status where it was ended."""
        limit = min(self._deadline, started + step.timeout if step.timeout else self._deadline)
        while True:
            with translate_errors(f"waiting for {step.name}"):
                state: dict[str, Any] = self._daemon.api.inspect_container(container)["State"]
            if not state["Running"]:
                return int(state["ExitCode"]), BuildState.CANCELLED if self._stop else None
            is_late = time.monotonic() > limit
            if is_late or self._stop:  # `cancel` ends only what had started by then
                with suppress(UnprovenError), translate_errors("ending a step"):
                    self._daemon.api.kill(container)
            if is_late:
                return None, BuildState.TIMEOUT
            time.sleep(_TICK)

    def _listen(self, step: BuildStep, container: str) -> None:
        """Say what a step prints, line by line, until it ends; what following it missed at the end is read once more."""
        rest, seen = b"", 0
        with suppress(UnprovenError), translate_errors("reading a log"):
            for follow in ("1", "0"):
                path, wanted = f"/containers/{container}/logs", {"follow": follow, "stdout": "1", "stderr": "1"}
                skip = seen
                for piece in _strip_frames(self._daemon.stream(path, wanted, timeout=None)):
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
            with translate_errors("reading a step's output"):
                data = b"".join(
                    self._daemon.stream(f"/containers/{container}/archive", {"path": "/builder/outputs/output"})
                )
        except UnprovenError:
            return b""
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            member = tar.extractfile("output")
            return member.read(MOST_OUTPUT) if member is not None else b""

    def _volume(self, name: str, *, own: bool = False) -> str:
        return f"{self._name}-{'volume-' if own else ''}{name}"


def _empty_image(daemon: Daemon, name: str) -> str:
    """An image with nothing in it."""
    daemon.api.import_image_from_data(pack_files([]), repository=name, tag="empty")
    return f"{name}:empty"


def _end_dead_steps(threads: Mapping[int, threading.Thread], ended: dict[int, BuildStepResult]) -> None:
    """End the steps whose threads died of a bug of ours: nothing else would end the wait for them."""
    for number, thread in threads.items():
        if not thread.is_alive() and number not in ended:
            ended[number] = BuildStepResult(BuildState.INTERNAL_ERROR, None, 0.0, b"the thread of this step died", "")


def _failure_text(step: BuildStep, result: BuildStepResult) -> str:
    if result.status is BuildState.FAILURE and result.code is not None:
        return f"build {step.name} failed: step exited with non-zero status: {result.code}"
    return f"build {step.name}: {result.output.decode('utf-8', 'replace') or result.status}"


def _entrypoint(step: BuildStep) -> list[str] | None:
    if step.script:
        return ["/builder/script"]
    return [step.entrypoint] if step.entrypoint else None


def _step_files(script: str) -> bytes:
    """What Cloud Build puts into every step: folders, and its script; without a shebang `/bin/sh` runs it."""
    text = (script if script.startswith("#!") else f"#!/bin/sh\n{script}").encode()
    return pack_files([("builder/script", 0o755, text)] if script else [], [("builder/outputs", 0o777)])


def _strip_frames(stream: Iterator[bytes]) -> Iterator[bytes]:
    """What a container printed, out of the frames that the engine puts it in: eight bytes, the last four the size."""
    held = b""
    for piece in stream:
        held += piece
        while len(held) >= _FRAME and len(held) >= (end := _FRAME + int.from_bytes(held[4:_FRAME], "big")):
            yield held[_FRAME:end]
            held = held[end:]
