"""An image that serves: its container started as Cloud Run does, with PORT set, and asked over a loopback port.

An open port proves nothing here: the engine's own proxy accepts every connection, and closes it where no process listens
behind. So what counts is an answer, or a connection that stays open.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

from buildguard.definitions import NamedTuple
from buildguard.docker.client import Daemon, ensure_network, translate_errors
from buildguard.docker.images import Image
from buildguard.docker.sandbox import owner_labels, remove
from buildguard.stages.archives.writer import pack_files
from buildguard.system import process

PORT = 8080
_NETWORK = "buildguard"
_LISTENS = 1.0  # seconds that an open connection may be silent and still belong to a server
_PAUSE = 0.1
_MOST_LOG = 200  # lines
_MEANINGS = {
    0: "a service has to keep running",
    126: "a program is not executable",
    127: "a program was not found",
    132: "an instruction that this processor does not have",
    134: "it aborted itself",
    137: "it was killed, often for want of memory",
    139: "a segmentation fault, often in a compiled module",
    143: "it was asked to end",
}


class StartOptions(NamedTuple):
    """What a container is started with: the environment, a command in place of the image's, and the port that it serves.

    `tell_port` sets PORT, as for an ingress container; `more_ports` are published too, for containers `beside` it, which
    share its network (the id of the container that they join) and publish nothing themselves. `files` are put into it, by their
    path from the root.
    """

    env: Mapping[str, str] = MappingProxyType({})
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    port: int = PORT
    tell_port: bool = True
    more_ports: Sequence[int] = ()
    beside: str = ""
    files: Mapping[str, bytes] = MappingProxyType({})

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment, with PORT where it is set."""
        return {**self.env, **({"PORT": str(self.port)} if self.tell_port else {})}


class StartResult(NamedTuple):
    """How a container came up: whether it listens, the HTTP status of its response (None without one), and after how long.

    `ending` is how it ended, empty where it runs.
    """

    listens: bool
    status: int | None
    seconds: float
    ending: str = ""


class Listener(NamedTuple):
    """Who listens at an address: the HTTP status of its response, None for one that sends none."""

    status: int | None


class StartedContainer:
    """A container that was created and is removed on exit."""

    def __init__(self, daemon: Daemon, identity: str) -> None:
        self._daemon = daemon
        self.id = identity

    def log(self) -> bytes:
        """The last lines that it printed, out and err in their order."""
        return self.last_lines(_MOST_LOG)

    def last_lines(self, most: int) -> bytes:
        """The same, as many lines as are asked for."""
        with translate_errors("reading its log"):
            output: bytes = self._daemon.api.logs(self.id, stdout=True, stderr=True, tail=most)
        return output

    def ending(self) -> str:
        """How it ended; empty while it runs."""
        with translate_errors("looking at the container"):
            state: dict[str, Any] = self._daemon.api.inspect_container(self.id)["State"]
        if state.get("Running"):
            return ""
        if state.get("OOMKilled"):
            return "it was killed for want of memory"
        status = state.get("ExitCode")
        meaning = _MEANINGS.get(status) if isinstance(status, int) else None
        return f"it ended with status {status}" + (f": {meaning}" if meaning else "")

    def close(self) -> None:
        """Remove the container."""
        remove(self._daemon, self.id)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


class JobContainer(StartedContainer):
    """A container that runs to its end, removed on exit."""

    def __init__(
        self, daemon: Daemon, image: Image, env: Mapping[str, str], command: Sequence[str], args: Sequence[str]
    ) -> None:
        """Start it; raises UnprovenError where the engine cannot."""
        with process.block_signals(), translate_errors(f"starting {image.reference}"):
            response = daemon.api.create_container(
                image.id,
                command=list(args) or None,
                entrypoint=list(command) or None,
                environment=[f"{name}={value}" for name, value in env.items()],
                labels=owner_labels(),
            )
            super().__init__(daemon, str(response["Id"]))
        try:
            with translate_errors(f"starting {image.reference}"):
                daemon.api.start(self.id)
        except BaseException:
            self.close()
            raise

    def exit_code(self) -> int | None:
        """The status that it ended with; None while it runs."""
        with translate_errors("looking at the container"):
            state: dict[str, Any] = self._daemon.api.inspect_container(self.id)["State"]
        return None if state.get("Running") else int(state.get("ExitCode") or 0)


class ServingContainer(StartedContainer):
    """A container that serves on a loopback port of this machine, removed on exit."""

    def __init__(self, daemon: Daemon, image: Image, start: StartOptions) -> None:
        """Start it; raises UnprovenError where the engine cannot."""
        api = daemon.api
        ports = () if start.beside else tuple(dict.fromkeys((start.port, *start.more_ports)))
        network = f"container:{start.beside}" if start.beside else _NETWORK
        with process.block_signals(), translate_errors(f"starting {image.reference}"):
            ensure_network(daemon, _NETWORK)
            response = api.create_container(
                image.id,
                command=list(start.args) or None,
                entrypoint=list(start.command) or None,
                environment=[f"{name}={value}" for name, value in start.variables.items()],
                ports=list(ports),
                labels=owner_labels(),
                host_config=api.create_host_config(
                    port_bindings=dict.fromkeys(ports, ("127.0.0.1", None)), network_mode=network
                ),
            )
            super().__init__(daemon, str(response["Id"]))
        try:
            with translate_errors(f"starting {image.reference}"):
                if start.files:
                    # readable for every user of the image
                    files = [(path.lstrip("/"), 0o644, content) for path, content in start.files.items()]
                    api.put_archive(self.id, "/", pack_files(files))
                api.start(self.id)
                self._published: Mapping[str, Any] = api.inspect_container(self.id)["NetworkSettings"]["Ports"] or {}
        except BaseException:
            self.close()
            raise
        self.address = self.address_of(start.port)

    def address_of(self, port: int) -> str:
        """Where a port is published; empty where it is not, as for a container that has ended already."""
        published = self._published.get(f"{port}/tcp") or []
        return f"127.0.0.1:{published[0]['HostPort']}" if published else ""

    def wait(self, path: str, limit: float) -> StartResult:
        """Wait until it answers at a path, or listens at least, for so many seconds at the most."""
        started = time.monotonic()
        while True:
            ending = self.ending()
            if ending:
                return StartResult(listens=False, status=None, seconds=time.monotonic() - started, ending=ending)
            listener = find_listener(self.address, path)
            seconds = time.monotonic() - started
            if listener is not None:
                return StartResult(listens=True, status=listener.status, seconds=seconds)
            if seconds > limit:
                return StartResult(listens=False, status=None, seconds=seconds)
            time.sleep(_PAUSE)


def find_listener(address: str, path: str) -> Listener | None:
    """Who answers a GET, or at least keeps the connection open; None where nothing listens."""
    if not address:
        return None
    host, _, port = address.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=_LISTENS)
    try:
        connection.request("GET", path)
        return Listener(connection.getresponse().status)
    except http.client.RemoteDisconnected:
        return None  # the engine's proxy, with nothing behind it
    except (TimeoutError, http.client.BadStatusLine):
        return Listener(None)  # silent, or another protocol than HTTP
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
