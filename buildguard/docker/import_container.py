"""Modules of an image, imported one by one in a container: no network, nothing to write to, no variables but the image's own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.docker.client import Daemon, translate_errors
from buildguard.docker.images import Image
from buildguard.docker.sandbox import owner_labels
from buildguard.docker.serve import StartedContainer
from buildguard.errors import UnprovenError
from buildguard.remote import program
from buildguard.system import process

_PROGRAM = program("import_modules.py")
_MEMORY = 4 << 30
_PROCESSES = 512
_EACH = 30.0  # seconds
_PAUSE = 0.3


class ImportOutcome(NamedTuple):
    """What came of importing a module: `kind` is the exception's type (empty where it succeeded), `frames` its files and lines."""

    module: str
    kind: str = ""
    message: str = ""
    name: str = ""
    frames: tuple[tuple[str, int], ...] = ()


def import_in_container(
    daemon: Daemon, image: Image, python: str, request: Mapping[str, Sequence[str]], env: Mapping[str, str]
) -> list[ImportOutcome]:
    """Import modules (`modules`, with `path` in front of sys.path). Raises UnprovenError where the container cannot be run."""
    argument = json.dumps({**request, "seconds": _EACH})
    host = daemon.api.create_host_config(
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        read_only=True,
        tmpfs={"/tmp": "size=64m,nosuid,nodev"},  # noqa: S108  in the container
        mem_limit=_MEMORY,
        pids_limit=_PROCESSES,
    )
    with process.block_signals(), translate_errors(f"importing the modules of {image.reference}"):
        response = daemon.api.create_container(
            image.id,
            command=[],
            entrypoint=[python, "-B", "-c", _PROGRAM.read_text("utf-8"), argument],
            environment=[f"{name}={value}" for name, value in env.items()],
            working_dir=image.folder or "/",
            healthcheck={"test": ["NONE"]},
            labels=owner_labels(),
            host_config=host,
        )
        container = StartedContainer(daemon, str(response["Id"]))
    with container:
        with translate_errors(f"importing the modules of {image.reference}"):
            daemon.api.start(container.id)
        _wait(container, _EACH * (len(request["modules"]) + 1))
        with translate_errors("reading what the imports gave"):
            output: bytes = daemon.api.logs(container.id, stdout=True, stderr=False)
    return [outcome for line in output.splitlines() for outcome in _read(line)]


def _wait(container: StartedContainer, limit: float) -> None:
    deadline = time.monotonic() + limit
    while not container.ending():
        if time.monotonic() > deadline:
            raise UnprovenError(f"the imports were not done after {limit:.0f} s")
        time.sleep(_PAUSE)


def _read(line: bytes) -> list[ImportOutcome]:
    try:
        row: dict[str, Any] = json.loads(line)
        frames = tuple((str(file), int(number or 0)) for file, number in row.get("frames", ()))
        kind, message = str(row.get("type", "")), str(row.get("message", ""))
        return [ImportOutcome(str(row["module"]), kind, message, str(row.get("name") or ""), frames)]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []
