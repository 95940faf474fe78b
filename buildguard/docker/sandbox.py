"""Cells: containers in which something of an image runs locked down, or whose files are read without running it."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.docker.client import Daemon, is_missing, is_refused, translate_errors
from buildguard.docker.images import Image
from buildguard.errors import UnprovenError
from buildguard.system import owner as owners
from buildguard.system import process
from buildguard.system.owner import Life

_LABEL = "buildguard.owner"
_FOREIGN_HOURS = 24  # what another machine or pid namespace left is not ours to judge before that
_LINK, _FOLDER = 1 << 27, 1 << 31  # Go's file mode bits, in which the API speaks
_MOST_LINKS = 40
_PAUSES = (0.1, 0.3, 1.0, 0.0)  # seconds, between tries to remove a container
_NOT_FOUND = 404
_KILLED = 137


class ImagePath(NamedTuple):
    """A path in an image: where it really lies, and whether it is a folder or may be executed."""

    path: str
    is_folder: bool
    is_executable: bool


class Sandbox:
    """A container that buildguard made; `close` removes it, and the next run removes what a killed one left."""

    def __init__(self, daemon: Daemon, identity: str) -> None:
        self.daemon = daemon
        self.id = identity

    def close(self) -> None:
        """Remove the container with its volumes, whatever state it is in."""
        remove(self.daemon, self.id)

    def ending(self) -> str:
        """How the container came to its end, in words; empty while it runs, or if it is unknown."""
        try:
            with translate_errors("looking at the container"):
                state: dict[str, Any] = self.daemon.api.inspect_container(self.id)["State"]
        except UnprovenError as error:
            gone = "the container was removed from outside"
            return gone if is_missing(error) else f"{self.daemon.name} was lost in the middle of the run"
        if state.get("Running"):
            return ""
        if state.get("OOMKilled"):
            return "the container was killed by its memory limit"
        if state.get("ExitCode") == _KILLED:
            return "the container was killed from outside"
        return f"the container ended with status {state.get('ExitCode')}"

    def stat(self, path: str) -> ImagePath | None:
        """What is at a path, links followed; None if nothing is."""
        for _ in range(_MOST_LINKS):
            with translate_errors(f"looking at {path} in the image"):
                answer = self.daemon.head(f"/containers/{self.id}/archive", {"path": path})
                if answer.status_code == _NOT_FOUND:
                    return None
                answer.raise_for_status()
                stat = json.loads(base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"]))
            mode = int(stat["mode"])
            if not mode & _LINK:
                return ImagePath(path, bool(mode & _FOLDER), bool(mode & 0o111))
            target = str(stat.get("linkTarget") or "")
            if not target:
                return None
            path = os.path.normpath(os.path.join(os.path.dirname(path), target))
        return None

    def tar(self, path: str) -> Generator[bytes]:
        """A path of the image as a tar, in pieces; of a folder what is in it. Nothing of the image runs.

        Whoever does not read it to its end closes it: until then the engine does not let go of the container.
        """
        with translate_errors(f"reading {path} in the image"):
            yield from self.daemon.stream(f"/containers/{self.id}/archive", {"path": path})

    def export(self) -> Generator[bytes]:
        """The whole filesystem as a tar, in pieces, to be closed like `tar`; what volumes hold is not in it."""
        with translate_errors("reading the files of the image"):
            yield from self.daemon.stream(f"/containers/{self.id}/export", {})


def remove(daemon: Daemon, identity: str, pauses: Sequence[float] = _PAUSES) -> None:
    """Remove a container with its volumes; an engine that refuses, since it is just ending, is asked again."""
    with process.block_signals():  # a Ctrl-C is what most often leads here
        for pause in pauses:
            try:
                with translate_errors("removing the container"):
                    daemon.api.remove_container(identity, v=True, force=True)
            except UnprovenError as error:
                if not is_refused(error):
                    return
                time.sleep(pause)
            else:
                return


@contextmanager
def open_image_files(daemon: Daemon, image: Image) -> Iterator[Sandbox]:
    """A container that is never started, for as long as its files are looked at."""
    cell = None
    try:
        with process.block_signals():
            cell = _create_container(daemon, image, entrypoint=["/buildguard"], host={"network_mode": "none"})
        yield cell
    finally:
        if cell is not None:
            cell.close()


class SandboxLimits(NamedTuple):
    """What everything in a container may take together: bytes of memory, and processes."""

    memory: int
    processes: int


def create_sandbox(daemon: Daemon, image: Image, argv: Sequence[str], user: str, limits: SandboxLimits) -> Sandbox:
    """A container that will run `argv` and nothing of the image's own: not started yet.

    It has no network, no capability, no way to gain one, and nowhere to write but a small tmpfs.
    """
    return _create_container(
        daemon,
        image,
        entrypoint=list(argv),
        user=user,
        host={
            "network_mode": "none",
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "read_only": True,
            "tmpfs": {"/tmp": "size=16m,noexec,nosuid,nodev"},  # noqa: S108  in the container
            "mem_limit": limits.memory,
            "memswap_limit": limits.memory,
            "pids_limit": limits.processes,
            "log_config": {"Type": "none"},
        },
    )


def _create_container(
    daemon: Daemon, image: Image, *, entrypoint: list[str], host: dict[str, Any], user: str | None = None
) -> Sandbox:
    api = daemon.api
    with translate_errors(f"making a container of {image.reference}"):
        response = api.create_container(
            image.id,
            command=[],
            entrypoint=entrypoint,
            user=user,
            stdin_open=True,  # and attached once: when we are gone its input ends, and the relay with that
            host_config=api.create_host_config(**host),
            working_dir="/",
            healthcheck={"test": ["NONE"]},  # the image's own would run something of it
            labels=owner_labels(),
        )
    return Sandbox(daemon, str(response["Id"]))


# ------------------------------------------------------------------------------------------ sweeping


def remove_orphans(daemon: Daemon) -> None:
    """Remove the containers of runs that were killed: ours by their process, those from elsewhere by their age."""
    with suppress(UnprovenError), translate_errors("sweeping"):
        for container in daemon.api.containers(all=True, filters={"label": _LABEL}):
            if _is_orphan(daemon, str(container["Labels"][_LABEL]), int(container["Created"])):
                # once: what an engine cannot get rid of would hold up every run
                remove(daemon, str(container["Id"]), pauses=[0.0])


def owner_labels() -> dict[str, str]:
    """The label by which the next run finds what a killed one left behind."""
    return {_LABEL: str(owners.current())}


def _is_orphan(daemon: Daemon, owner: str, created: int) -> bool:
    life = owners.life(owner)
    if life is Life.UNKNOWN:
        return _hours_since(daemon, created) > _FOREIGN_HOURS
    return life is Life.GONE


def _hours_since(daemon: Daemon, created: int) -> float:
    """By the engine's own clock, which may not be ours."""
    from datetime import datetime

    now = datetime.fromisoformat(str(daemon.api.info()["SystemTime"])).timestamp()
    return (now - created) / 3600
