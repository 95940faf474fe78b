"""The container engine: the image's own interpreter compiles every source, in a locked-down container."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path

from buildguard.definitions import NamedTuple
from buildguard.docker.client import Daemon
from buildguard.docker.images import Image
from buildguard.docker.sandbox import Sandbox
from buildguard.engines.engine import EngineName, Outcome, ReadyEngine, Source, UnavailableEngine
from buildguard.engines.pool import Pool
from buildguard.engines.verify_interpreter import (
    digest_of_probe,
    full_name,
    identity_of,
    probe_text,
    verify_interpreter,
    why_no_witness,
)
from buildguard.engines.worker import Greeting, ProbeLimits
from buildguard.errors import Reason, TimedOutError, UnprovenError
from buildguard.project.deploy_table import PLATFORM
from buildguard.project.proof_grade import ProofGrade
from buildguard.system import process
from buildguard.system.cache import Cache, context_of

_PATIENCE = 20.0
_HASTY = 5
_KNOWN = b"interpreter"
_ROOM = 512 << 20  # what the relay and the idle probes may take beside the one at work
_NOBODY, _ROOT = "65534:65534", "0:0"


class ImageRequest(NamedTuple):
    """Which image to ask: its reference, the platform that will run it, and the proof that its verdicts are.

    `tell` is told what is being pulled; None where nothing may be.
    """

    reference: str
    platform: str = PLATFORM
    proof: ProofGrade = ProofGrade.COMPILED
    tell: Callable[[str], None] | None = None


class SandboxedInterpreter(NamedTuple):
    """The interpreter of an image: its path, the user that may run it, and how it introduced itself."""

    path: str
    user: str
    greeting: Greeting


class ContainerEngine:
    """Asks the interpreter of an image; what it found out about an image id is in the cache."""

    name = EngineName.CONTAINER

    def __init__(
        self,
        wanted: ImageRequest,
        jobs: int,
        cache: Cache,
        *,
        limits: ProbeLimits | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        self._request = wanted
        self._jobs = jobs
        self._cache = cache
        self._limits = limits or ProbeLimits()
        self._patience = patience
        self._daemon: Daemon | None = None
        self._pool: Pool | None = None
        self._cell: Sandbox | None = None
        self.image: Image | None = None
        self.known: SandboxedInterpreter | None = None

    def begin(self) -> None:
        """Nothing: whether a container is needed is known when the cache has been asked."""

    @property
    def daemon(self) -> Daemon:
        """The container engine, reached when it is first needed. Raises UnprovenError."""
        from buildguard.docker import client, sandbox

        if self._daemon is None:
            # a hook pulls nothing, and does not wait for a remote engine that is down
            self._daemon = client.connect(_HASTY) if self._request.tell is None else client.connect()
            sandbox.remove_orphans(self._daemon)
        return self._daemon

    def prepare(self) -> ReadyEngine | UnavailableEngine:
        """Find the image and its interpreter; a container starts only where that is not known from an earlier run."""
        from buildguard.docker import images

        wanted = self._request
        try:
            self.image = images.find(self.daemon, wanted.reference, wanted.platform, wanted.tell)
            self.known = self._remembered() or self._find_interpreter()
        except UnprovenError as error:
            return UnavailableEngine(self.name, error.what, error.hint)
        image, known = self.image, self.known
        if reason := why_no_witness(known.greeting, wanted.reference):
            return UnavailableEngine(self.name, reason)
        return ReadyEngine(
            engine=self.name,
            proof=wanted.proof,
            interpreter=full_name(known.greeting),
            version=known.greeting.version,
            identity="\n".join((identity_of(known.greeting), image.id, known.path)),
            image=wanted.reference,
            image_id=image.id,
            image_digest=image.digest,
            libc=known.greeting.libc,
        )

    def compile(self, sources: Iterable[Source]) -> Iterator[Outcome]:
        """Judge every source in the image's interpreter; no container is started for none."""
        asked = iter(sources)
        first = next(asked, None)
        if first is None:
            return
        if self._pool is None:
            assert self.known is not None
            self._pool = self._open_sandbox(self.known.path, self.known.user)
            if self._pool.greet(self._patience) != self.known.greeting:
                raise UnprovenError("the image's interpreter is not the one that it was")
        yield from self._pool.run(chain([first], asked))

    def close(self) -> None:
        """Remove the container, and hang up."""
        self._discard()
        if self._daemon is not None:
            self._daemon.close()
            self._daemon = None

    # ------------------------------------------------------------------------------------------ finding

    def _find_interpreter(self) -> SandboxedInterpreter:
        """Ask the image's interpreters in turn, until one answers as a Python does."""
        from buildguard.docker import find_python
        from buildguard.docker import sandbox as docker_sandbox

        assert self.image is not None
        refused: list[str] = []
        with docker_sandbox.open_image_files(self.daemon, self.image) as looking:
            for path in find_python.candidates(looking, self.image):
                known = self._greeted(path, refused)
                if known is not None:
                    self._remember(known)
                    return known
        reasons = "".join(f"; {reason}" for reason in refused)
        none = "its Python does not answer" if len(refused) == 1 else "none of its Pythons answers"
        what = none if refused else "there is no Python in it"
        raise UnprovenError(f"{self.image.reference}: {what}{reasons}", hint="--image names another image")

    def _greeted(self, path: str, refused: list[str]) -> SandboxedInterpreter | None:
        """An interpreter's greeting, run as an unprivileged user or, if only root may run it, as root without capabilities."""
        for user in (_NOBODY, _ROOT):
            try:
                greeting = self._introduced(path, user)
            except UnprovenError as error:
                if error.reason is Reason.TIMED_OUT:
                    raise TimedOutError(f"{path} in {self._request.reference} {error.what}") from error
                if user == _ROOT or error.reason is not Reason.DENIED:
                    refused.append(f"{path}: {error.what}")
                    return None
                continue
            return SandboxedInterpreter(path, user, greeting)
        return None

    def _introduced(self, path: str, user: str) -> Greeting:
        """What a believable interpreter says of itself; its container stays for the sources to come."""
        self._pool = self._open_sandbox(path, user)
        try:
            greeting = self._pool.greet(self._patience)
            verify_interpreter(self._pool.run, greeting)
        except UnprovenError:
            self._discard()
            raise
        return greeting

    def _open_sandbox(self, path: str, user: str) -> Pool:
        from buildguard.docker import sandbox as docker_sandbox
        from buildguard.engines.container_transport import RelayedSite, relay_arguments

        assert self.image is not None
        memory = max(self._limits.memory * self._jobs, self._limits.wider().memory) + _ROOM
        limits = docker_sandbox.SandboxLimits(memory, 2 * self._jobs + 8)
        argv = [path, *relay_arguments(probe_text())]
        with process.block_signals():
            self._cell = docker_sandbox.create_sandbox(self.daemon, self.image, argv, user, limits)
        try:
            return Pool(RelayedSite(self._cell), self._jobs, self._limits)
        except UnprovenError:
            self._discard()
            raise

    def _discard(self) -> None:
        """End the probes, and remove the container that they ran in."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        if self._cell is not None:
            self._cell.close()
            self._cell = None

    # ------------------------------------------------------------------------------------------ remembering

    def _key(self) -> bytes:
        from buildguard.docker import find_python
        from buildguard.engines.container_transport import relay_text

        assert self.image is not None
        search = Path(find_python.__file__).read_text("utf-8")  # by other rules it may be another one
        scripts = hashlib.sha256((relay_text() + digest_of_probe() + search).encode()).hexdigest()
        return context_of("the interpreter of an image", self.image.id, self.image.platform, scripts)

    def _remember(self, known: SandboxedInterpreter) -> None:
        self._cache.store(self._key(), {_KNOWN: json.dumps(known).encode()})

    def _remembered(self) -> SandboxedInterpreter | None:
        cached = self._cache.known(self._key(), [_KNOWN]).get(_KNOWN)
        if cached is None:
            return None
        path, user, greeting = json.loads(cached)
        return SandboxedInterpreter(path, user, Greeting(*greeting))
