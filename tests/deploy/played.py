"""A container engine that plays its part: for tests of what a deploy does around its image, which no image has to be built for.

It takes builds, names, pushes and containers as the real one does, and knows an image by what it was built of. A container
serves what `SERVER` of conftest.py would. What an image holds and how it starts is not to be learned here: those two steps
say yes. `./scripts/test all` has the real engine in its place.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import tarfile
import threading
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import ImageNotFound
from docker.errors import NotFound as MissingError

from buildguard.deploy import image_steps, service_steps
from buildguard.deploy.context import DeployContext, StepResult
from buildguard.docker import client
from buildguard.docker.build_image import DockerfileBuild
from buildguard.docker.client import EngineAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


PLAYED = "registry.invalid/beside"  # images below that are always there
_ADDRESS = EngineAddress("tcp://played.invalid:1", None, "a test")


def _digest(*parts: bytes) -> str:
    return f"sha256:{hashlib.sha256(b' '.join(parts)).hexdigest()}"


class _Serving:
    """What `SERVER` serves, on a port of this machine."""

    def __init__(self, env: dict[str, str]) -> None:
        revision = env.get("K_REVISION", "unset")

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fine = self.path == "/healthz" or "broken" not in revision
                self.send_response(200 if fine else 500)
                self.end_headers()
                self.wfile.write(revision.encode())

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._web.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it is reached."""
        return self._web.server_port

    def close(self) -> None:
        """Answer no more."""
        self._web.shutdown()
        self._thread.join()
        self._web.server_close()


class PlayedApi:
    """The part of docker-py's client that a deploy and the emulator use."""

    def __init__(self) -> None:
        self._images: dict[str, str] = {}  # by name, id or digest: the id
        self._digests: dict[str, list[str]] = {}  # by id: the names with their digests
        self._volumes: dict[str, bytes] = {}
        self._containers: dict[str, dict[str, Any]] = {}
        self._serving: dict[str, _Serving] = {}
        self._lock = threading.RLock()

    def close(self) -> None:
        """End what serves."""
        for identity in [*self._serving]:
            self.remove_container(identity)

    # ------------------------------------------------------------------------------------------ images

    def add(self, identity: str, name: str) -> None:
        """Have an image that was built."""
        with self._lock:
            self._images[identity] = identity
            if name:
                self._images[name] = identity

    def inspect_image(self, name: str) -> dict[str, Any]:
        with self._lock:
            if name.startswith(f"{PLAYED}/"):
                self.add(_digest(name.encode()), name)
            if name not in self._images:
                raise ImageNotFound(f"No such image: {name}")
            identity = self._images[name]
            return {
                "Id": identity,
                "Os": "linux",
                "Architecture": "amd64",
                "Config": {"Cmd": ["python3", "app/serve.py"]},
                "RepoDigests": self._digests.get(identity, []),
            }

    def tag(self, image: str, repository: str, tag: str) -> bool:
        self.add(str(self.inspect_image(image)["Id"]), f"{repository}:{tag}")
        return True

    def push(self, repository: str, tag: str, **_options: object) -> Iterator[dict[str, Any]]:
        identity = str(self.inspect_image(f"{repository}:{tag}")["Id"])
        digest = _digest(b"manifest", identity.encode())
        with self._lock:
            self._images[f"{repository}@{digest}"] = identity
            self._digests.setdefault(identity, []).append(f"{repository}@{digest}")
        yield {"aux": {"Digest": digest}}

    def remove_image(self, name: str, **_options: object) -> None:
        with self._lock:
            self._images.pop(name, None)

    def import_image_from_data(self, data: bytes, repository: str, tag: str) -> None:
        self.add(_digest(data), f"{repository}:{tag}")

    # ------------------------------------------------------------------------------------------ volumes and networks

    def networks(self, names: Iterable[str]) -> list[dict[str, str]]:
        return [{"Name": name} for name in names]

    def create_volume(self, name: str, **_options: object) -> None:
        self._volumes[name] = b""

    def remove_volume(self, name: str, **_options: object) -> None:
        self._volumes.pop(name, None)

    # ------------------------------------------------------------------------------------------ containers

    def containers(self, **_options: object) -> list[dict[str, Any]]:
        return []

    def create_host_config(self, **fields: Any) -> dict[str, Any]:
        return fields

    def create_container(self, image: str, **fields: Any) -> dict[str, str]:
        self.inspect_image(image)
        identity = uuid.uuid4().hex * 2
        self._containers[identity] = fields
        return {"Id": identity}

    def put_archive(self, container: str, _path: str, data: Iterable[bytes]) -> bool:
        self._volumes[self._workspace(container)] = b"".join(data)
        return True

    def workspace(self, container: str) -> bytes:
        """What was put into the workspace, in a folder of that name."""
        written = io.BytesIO()
        with (
            tarfile.open(fileobj=io.BytesIO(self._volumes[self._workspace(container)])) as source,
            tarfile.open(fileobj=written, mode="w") as target,
        ):
            for member in source:
                content = source.extractfile(member) if member.isfile() else None
                member.name = f"workspace/{member.name}"
                target.addfile(member, content)
        return written.getvalue()

    def _workspace(self, container: str) -> str:
        binds = self._containers[container]["host_config"]["binds"]
        return str(next(name for name, where in binds.items() if where["bind"] == "/workspace"))

    def start(self, container: str) -> None:
        fields = self._containers[container]
        if "ports" in fields:  # the container of a job has ended at once, and well
            env = dict(text.partition("=")[::2] for text in fields["environment"])
            self._serving[container] = _Serving(env)

    def inspect_container(self, container: str) -> dict[str, Any]:
        if container not in self._containers:
            raise MissingError(f"No such container: {container}")
        here = self._serving.get(container)
        ports = self._containers[container].get("ports") or []
        published = [{"HostIp": "127.0.0.1", "HostPort": str(here.port)}] if here is not None else []
        return {
            "State": {"Running": here is not None, "ExitCode": 0},
            "NetworkSettings": {"Ports": {f"{port}/tcp": published for port in ports}},
        }

    def logs(self, _container: str, **_options: object) -> bytes:
        return b""

    def remove_container(self, container: str, **_options: object) -> None:
        self._containers.pop(container, None)
        here = self._serving.pop(container, None)
        if here is not None:
            here.close()


class PlayedDaemon:
    """Stands for `Daemon`: hanging up leaves the engine as it is."""

    name = "the container engine at tcp://played.invalid:1"
    address = _ADDRESS

    def __init__(self, api: PlayedApi) -> None:
        self.api = api

    def stream(self, path: str, _params: dict[str, str], timeout: float | None = None) -> Iterator[bytes]:
        """The workspace of a build: nothing else is read."""
        assert timeout is None
        yield self.api.workspace(path.split("/")[2])

    def close(self) -> None:
        """Hang up."""


def play(patch: pytest.MonkeyPatch) -> PlayedApi:
    """Have every deploy and every emulator of this process meet the played engine."""
    api = PlayedApi()

    def build(self: DockerfileBuild, _daemon: object, tag: str, _say: Callable[[str], object]) -> str:
        context = self._context
        files = sorted(file for file in context.rglob("*") if file.is_file())
        told = (part for file in files for part in (os.fsencode(file.relative_to(context)), file.read_bytes()))
        identity = _digest(*told)
        api.add(identity, tag)
        return identity

    def fine(context: DeployContext) -> StepResult:
        return StepResult(context, "played")

    patch.setattr(client, "connect", lambda *_arguments: PlayedDaemon(api))
    patch.setattr(DockerfileBuild, "build", build)
    patch.setattr(image_steps, "verify_image", fine)
    patch.setattr(service_steps, "start_image", fine)
    return api


def main() -> None:
    """The command, with the played engine: for a process of its own."""
    from buildguard.cli.main import main as command

    with suppress(SystemExit), pytest.MonkeyPatch.context() as patch:
        play(patch)
        command()
