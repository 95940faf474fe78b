"""The containers of a Cloud Run service, and which of them is the app's. Pure.

Their order says nothing: a sidecar may be listed first, and the container with a port may be a proxy in front of the app.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.project.cloudbuild.truncate import repository_of
from buildguard.project.image_reference import ImageDigest

DEFAULT_PORT = 8080
_SETTING = 'set container = "NAME" in [tool.buildguard.deploy]'


class UnknownContainerError(UnprovenError):
    """Which container of a service is the app's is unknown."""


class Container(NamedTuple):
    """A container of a service or of a revision.

    Variables from a secret have the value None. `port` is 0 unless it is the ingress container. `probe` is its startup
    probe, else its readiness probe (`probe_kind`): `HTTP /path` or `gRPC`, empty for a TCP probe or none; `probe_port` is
    the port of any startup probe, or 0.
    """

    name: str = ""
    image: str = ""
    env: Mapping[str, str | None] = {}
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    port: int = 0
    probe: str = ""
    probe_port: int = 0
    probe_kind: str = "startup"

    @property
    def digest(self) -> ImageDigest:
        """The digest of its image, empty for one that is named by a tag."""
        return ImageDigest(self.image.rpartition("@")[2] if "@sha256:" in self.image else "")

    @property
    def own_port(self) -> int:
        """The port that it listens on behind a proxy: its variable PORT, else its startup probe's; 0 for unknown."""
        value = self.env.get("PORT") or ""
        return int(value) if value.isdecimal() else self.probe_port


class AppContainer(NamedTuple):
    """How the app's container is found: by its name if one is configured, else by the repository of its image."""

    repository: str = ""
    name: str = ""

    def pick(self, containers: Sequence[Container], owner: str) -> Container:
        """The app's container, an empty one of none at all. Raises UnknownContainerError."""
        return containers[self.place_in(containers, owner)] if containers else Container()

    def place_in(self, containers: Sequence[Container], owner: str) -> int:
        """Its place among the containers of `owner`. Raises UnknownContainerError for no match, or several."""
        matches = self.matches(containers)
        if len(matches) == 1:
            return matches[0]
        listed = (
            ", ".join(f"{container.name or 'unnamed'} ({container.image})" for container in containers)
            or "no containers"
        )
        if self.name:
            what = f"{owner} has no container '{self.name}': {listed}"
        elif not self.repository:
            what = f"{owner} has {len(containers)} containers, and which one is the app's is unknown: {listed}"
        elif matches:
            what = f"{len(matches)} containers of {owner} run {self.repository}: {listed}"
        else:
            what = f"none of the {len(containers)} containers of {owner} runs {self.repository}: {listed}"
        raise UnknownContainerError(what, hint=_SETTING)

    def matches(self, containers: Sequence[Container]) -> list[int]:
        """The places of all that fit. The only container of a service fits, unless its name is another one."""
        if len(containers) == 1:
            return [0] if not self.name or containers[0].name in {"", self.name} else []
        if self.name:
            return [at for at, container in enumerate(containers) if container.name == self.name]
        return [at for at, container in enumerate(containers) if repository_of(container.image) == self.repository]


ONLY_CONTAINER = AppContainer()  # finds the app's container of a service with one container


def read_containers(messages: Sequence[Any]) -> tuple[Container, ...]:
    """Containers as they are in Google's messages."""
    return tuple(
        Container(
            name=message.name,
            image=message.image,
            env={var.name: None if var.value_source.secret_key_ref.secret else var.value for var in message.env},
            command=tuple(message.command),
            args=tuple(message.args),
            port=(message.ports[0].container_port or DEFAULT_PORT) if message.ports else 0,
            probe=_probe(message.startup_probe) or _probe(message.readiness_probe),
            probe_port=_probe_port(message.startup_probe),
            probe_kind="startup"
            if _probe(message.startup_probe) or not _probe(message.readiness_probe)
            else "readiness",
        )
        for message in messages
    )


def _probe(probe: Any) -> str:
    """A probe that asks the app; one of TCP shows only that something listens."""
    if "http_get" in probe:
        return f"HTTP {probe.http_get.path or '/'}"
    return "gRPC" if "grpc" in probe else ""


def _probe_port(probe: Any) -> int:
    return int(probe.http_get.port or probe.grpc.port or probe.tcp_socket.port)
