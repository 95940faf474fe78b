"""An image built from a Dockerfile on the local engine, out of a verified archive: never out of the working tree.

BuildKit through the docker CLI where there is one that can, since `RUN --mount` needs it; the classic builder otherwise.
"""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

from buildguard import process
from buildguard.containers.daemon import plainly
from buildguard.errors import GuardError, UnprovenError
from buildguard.scratch import folder_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildguard.containers.daemon import Daemon

_KEPT = 40  # lines of output that tell why a build failed
_HOUR = 3600


class BuildFailedError(GuardError):
    """A step of the Dockerfile failed: the project's own doing. `log` is what was printed last."""

    exit_code = 1

    def __init__(self, what: str, log: bytes) -> None:
        super().__init__(what, hint="the last lines of its log say why")
        self.log = log


class Dockerfile:
    """One image build."""

    def __init__(self, archive: Path, dockerfile: str, context: str, platform: str) -> None:
        """Unpack the archive into a folder of its own; raises UnprovenError where that cannot be done."""
        self._dockerfile = dockerfile
        self._platform = platform
        self._root = folder_of(self)
        self._context = self._root / context
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(self._root, filter="tar")  # an archive of ours, held against its digest
        except (OSError, tarfile.TarError) as error:
            raise UnprovenError(f"{archive} cannot be unpacked: {error}") from error

    def build(self, daemon: Daemon, tag: str, say: Callable[[str], object]) -> str:
        """Build it and return the image's id. Raises BuildFailedError for a failing step, UnprovenError for any other trouble."""
        if _has_buildkit(daemon):
            say("built by BuildKit, through the docker CLI")
            return self._by_cli(daemon, tag, say)
        say("built by the classic builder: RUN --mount needs the docker CLI")
        return self._classic(daemon, tag, say)

    def _by_cli(self, daemon: Daemon, tag: str, say: Callable[[str], object]) -> str:
        told = self._root.parent / f"{self._root.name}.iid"
        argv = ["docker", "build", "--progress=plain", "--platform", self._platform, "--iidfile", str(told)]
        argv += ["-t", tag, "-f", str(self._root / self._dockerfile), str(self._context)]
        env = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": daemon.address.url}
        try:
            done = process.run([process.which("docker") or "docker", *argv[1:]], cwd=self._root, env=env, timeout=_HOUR)
            log = done.stderr + done.stdout
            for line in log.decode("utf-8", "replace").splitlines():
                say(line)
            if done.status:
                raise BuildFailedError(f"docker build ended with status {done.status}", _last(log))
            return told.read_text("utf-8").strip()
        finally:
            told.unlink(missing_ok=True)

    def _classic(self, daemon: Daemon, tag: str, say: Callable[[str], object]) -> str:
        lines: list[str] = []
        identity = ""
        with plainly("building the image"):
            events = daemon.api.build(
                path=str(self._context),
                dockerfile=str(self._root / self._dockerfile),
                tag=tag,
                platform=self._platform,
                rm=True,
                forcerm=True,
                decode=True,
            )
            for event in events:
                if "error" in event:
                    raise BuildFailedError(str(event["error"]), _last("".join(lines).encode()))
                if event.get("stream"):
                    lines.append(event["stream"])
                    say(event["stream"].rstrip("\n"))
                identity = str((event.get("aux") or {}).get("ID", identity))
        if not identity:
            raise UnprovenError("the builder told no image")
        return identity


def _has_buildkit(daemon: Daemon) -> bool:
    """Whether a docker CLI is here that can have this engine's BuildKit build, which only trying tells."""
    docker = process.which("docker")
    if docker is None:
        return False
    env = {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": daemon.address.url}
    for argv in ([docker, "buildx", "version"], [docker, "version", "--format", "{{.Client.Version}}"]):
        done = process.run(argv, cwd="/", env=env, timeout=30)
        if done.status == 0:
            # from 23 on the CLI needs the plugin; before that BuildKit is part of it
            return "buildx" in argv or (done.stdout.split(b".")[0].isdigit() and int(done.stdout.split(b".")[0]) < 23)  # noqa: PLR2004
    return False


def _last(log: bytes) -> bytes:
    return b"\n".join(log.splitlines()[-_KEPT:])
