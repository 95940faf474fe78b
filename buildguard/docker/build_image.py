"""An image built from a Dockerfile on the local engine, out of a verified archive: never out of the working tree.

BuildKit through the docker CLI where there is one that can, since `RUN --mount` needs it; the classic builder otherwise.
"""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from buildguard.definitions import NamedTuple
from buildguard.docker.client import Daemon, translate_errors
from buildguard.errors import GuardError, Reason, UnprovenError
from buildguard.system import process, programs
from buildguard.system.temporary import folder_of

_KEPT = 40  # lines of output that show why a build failed
_HOUR = 3600
_WITH_PLUGIN = 23  # the major version of the docker CLI from which BuildKit is a plugin


class BuildFailedError(GuardError):
    """A step of the Dockerfile failed: the project's own doing. `log` is what was printed last."""

    exit_code = 1
    reason = Reason.STEP_FAILED

    def __init__(self, what: str, log: bytes) -> None:
        super().__init__(what, hint="the last lines of its log say why")
        self.log = log


class DockerfileOptions(NamedTuple):
    """What a build is asked for beside its Dockerfile, as the options of `docker build` say it."""

    arguments: Mapping[str, str] = MappingProxyType({})
    labels: Mapping[str, str] = MappingProxyType({})
    target: str = ""
    no_cache: bool = False
    platform: str = ""
    network: str = ""

    @property
    def argv(self) -> list[str]:
        """For the docker CLI."""
        argv = [f"--build-arg={name}={value}" for name, value in self.arguments.items()]
        argv += [f"--label={name}={value}" for name, value in self.labels.items()]
        argv += [f"--{name}={value}" for name, value in (("target", self.target), ("network", self.network)) if value]
        return [*argv, *(["--no-cache"] if self.no_cache else [])]


NO_OPTIONS = DockerfileOptions()


class DockerfileBuild:
    """One image build."""

    def __init__(
        self,
        archive: Path | Iterable[bytes],
        dockerfile: str,
        context: str,
        platform: str,
        options: DockerfileOptions = NO_OPTIONS,
    ) -> None:
        """Unpack the archive, a file or its bytes, into a folder of its own; raises UnprovenError where that cannot be done.

        Nothing outside of that folder becomes part of a build, whatever links there are in it.
        """
        self._dockerfile = dockerfile
        self._platform = platform
        self._options = options
        self._root = folder_of(self)
        self._context = self._root / context
        try:
            if isinstance(archive, Path):
                self._unpack(archive)
            else:
                self._unpack_pieces(archive)
        except (OSError, tarfile.TarError) as error:
            what = archive if isinstance(archive, Path) else "the workspace"
            raise UnprovenError(f"{what} cannot be unpacked: {error}") from error
        for path in (self._context, self._root / dockerfile):
            if not path.resolve().is_relative_to(self._root.resolve()):
                raise UnprovenError(f"{path.relative_to(self._root)} is a link out of the source")

    def _unpack(self, archive: Path) -> None:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "tar_filter"):
                tar.extractall(self._root, filter="tar")
            else:  # before Python 3.11.4
                tar.extractall(self._root, members=_inside(tar))  # noqa: S202 -- those stay inside

    def _unpack_pieces(self, pieces: Iterable[bytes]) -> None:
        packed = self._root.parent / f"{self._root.name}.tar"
        try:
            with packed.open("wb") as file:
                file.writelines(pieces)
            self._unpack(packed)
        finally:
            packed.unlink(missing_ok=True)

    def build(self, daemon: Daemon, tag: str, say: Callable[[str], object]) -> str:
        """Build it and return the image's id. Raises BuildFailedError for a failing step, UnprovenError for any other trouble."""
        docker = _with_buildkit(daemon)
        if docker:
            say("built by BuildKit, through the docker CLI")
            return self._by_cli(docker, daemon, tag, say)
        say("built by the classic builder: RUN --mount needs a docker CLI that has BuildKit")
        return self._classic(daemon, tag, say)

    def _by_cli(self, docker: str, daemon: Daemon, tag: str, say: Callable[[str], object]) -> str:
        id_file = self._root.parent / f"{self._root.name}.iid"
        argv = [docker, "build", "--progress=plain", "--platform", self._platform, "--iidfile", str(id_file)]
        argv += [
            *self._options.argv,
            *(["-t", tag] if tag else []),
            "-f",
            str(self._root / self._dockerfile),
            str(self._context),
        ]
        try:
            done = process.run(argv, cwd=self._root, env=_environment(daemon), timeout=_HOUR)
            log = done.stderr + done.stdout
            for line in log.decode("utf-8", "replace").splitlines():
                say(line)
            if done.status:
                raise BuildFailedError(f"docker build ended with status {done.status}", _last(log))
            return id_file.read_text("utf-8").strip()
        finally:
            id_file.unlink(missing_ok=True)

    def _classic(self, daemon: Daemon, tag: str, say: Callable[[str], object]) -> str:
        lines: list[str] = []
        identity = ""
        with translate_errors("building the image"):
            events = daemon.api.build(
                path=str(self._context),
                dockerfile=str(self._root / self._dockerfile),
                tag=tag or None,
                platform=self._platform,
                buildargs=dict(self._options.arguments),
                labels=dict(self._options.labels),
                target=self._options.target,
                nocache=self._options.no_cache,
                network_mode=self._options.network or None,
                rm=True,
                forcerm=True,
                decode=True,
            )
            for event in events:
                if "error" in event:
                    raise BuildFailedError(str(event["error"]), _last("".join(lines).encode()))
                if event.get("stream"):
                    lines.append(event["stream"])
                    if event["stream"].strip():
                        say(event["stream"].rstrip("\n"))
                identity = str((event.get("aux") or {}).get("ID", identity))
        if not identity:
            raise UnprovenError("the builder returned no image")
        return identity


def _with_buildkit(daemon: Daemon) -> str:
    """A docker CLI that can have this engine's BuildKit build; empty where none on PATH can, which only asking each tells."""
    for docker in programs.several("docker", os.getcwd()):
        if process.run([docker, "buildx", "version"], cwd="/", env=_environment(daemon), timeout=30).status == 0:
            return docker
        version = process.run(
            [docker, "version", "--format", "{{.Client.Version}}"], cwd="/", env=_environment(daemon), timeout=30
        )
        major = version.stdout.partition(b".")[0]
        # from 23 on the CLI needs the plugin; before that BuildKit is part of it
        if version.status == 0 and major.isdigit() and int(major) < _WITH_PLUGIN:
            return docker
    return ""


def _inside(tar: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """The members of an archive that stay in the folder they are unpacked in; raises TarError if one does not."""
    members = tar.getmembers()
    links = {posixpath.normpath(member.name) for member in members if member.issym()}
    for member in members:
        path = PurePosixPath(member.name)
        behind = {str(folder) for folder in path.parents} & links
        if path.is_absolute() or ".." in path.parts or behind:
            raise tarfile.TarError(f"{member.name} leads out of the folder")
        member.mode &= 0o755
    return members


def _environment(daemon: Daemon) -> dict[str, str]:
    return {**os.environ, "DOCKER_BUILDKIT": "1", "DOCKER_HOST": daemon.address.url}


def _last(log: bytes) -> bytes:
    return b"\n".join(log.splitlines()[-_KEPT:])
