"""An image at the container engine of a build: its files exported, or its program started and watched.

It runs in a step of Cloud Build, as root, with the standard library of Python 3.8 on. The engine is asked through the socket
that each step has. Results are written to the workspace, and their SHA-256 to `$BUILDER_OUTPUT/output`.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET = "/var/run/docker.sock"
RESULTS = "buildguard-image"  # the folder of the workspace
INSPECTED, FILES, START = "image.json", "files.tar.gz", "start.json"
_PAUSE = 0.3
_PATIENCE = 4.5  # seconds after a first response of 500 and above, in which it may become a useful one
_SERVER_ERROR = 500
_PIECE = 1 << 20
_HEAD = 8
_MOST_LOG = 200


class EngineConnection(http.client.HTTPConnection):
    """A connection to an engine's socket."""

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        try:
            self.sock.connect(SOCKET)
        except OSError:
            self.sock.close()
            raise


def ask(method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
    """What the engine responds; raises OSError for a refusal."""
    connection, response = _open(method, path, body)
    try:
        return response.read()
    finally:
        connection.close()


def _open(
    method: str, path: str, body: Mapping[str, Any] | None = None
) -> tuple[EngineConnection, http.client.HTTPResponse]:
    connection = EngineConnection("localhost")
    data = json.dumps(body).encode() if body is not None else None
    connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
    response = connection.getresponse()
    if response.status >= 400:
        text = response.read().decode("utf-8", "replace")
        connection.close()
        raise OSError(text.strip() or "status " + str(response.status))
    return connection, response


def create(image: str, host: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """A container of the image, not started."""
    response = json.loads(ask("POST", "/containers/create", {"Image": image, "HostConfig": dict(host), **options}))
    return str(response["Id"])


def remove(container: str) -> None:
    """Remove a container in any state."""
    try:
        ask("DELETE", "/containers/" + container + "?force=1&v=1")
    except OSError:
        pass


def export(task: Mapping[str, Any]) -> None:
    """The image's description and all its files. Nothing of it runs."""
    image = task["image"]
    with open(os.path.join(RESULTS, INSPECTED), "wb") as out:
        out.write(ask("GET", "/images/" + quote(image, safe="/:@") + "/json"))
    container = create(image, {"NetworkMode": "none"}, {"Entrypoint": ["/buildguard"], "Cmd": []})
    try:
        connection, response = _open("GET", "/containers/" + container + "/export")
        with gzip.open(os.path.join(RESULTS, FILES), "wb", compresslevel=1) as packed:
            for piece in iter(lambda: response.read(_PIECE), b""):
                packed.write(piece)
        connection.close()
    finally:
        remove(container)


def start(task: Mapping[str, Any]) -> None:
    """Start the image without a network, and write down what was seen of it until it has responded, has ended, or is late."""
    options = {"Env": task["env"]}
    options.update({"Entrypoint": task["command"]} if task["command"] else {})
    options.update({"Cmd": task["args"]} if task["args"] else {})
    container = create(task["image"], {"NetworkMode": "none"}, options)
    seen: dict[str, Any] = {"refused": "", "events": [], "log": "", "access": ""}
    try:
        try:
            ask("POST", "/containers/" + container + "/start")
        except OSError as error:
            seen["refused"] = str(error)
        else:
            _watch(container, task, seen["events"])
            if seen["events"][-1]["probe"]:
                seen["access"] = _execute(container, task["access"])
            log = "/containers/" + container + "/logs?stdout=1&stderr=1&tail=" + str(_MOST_LOG)
            seen["log"] = _demultiplexed(ask("GET", log)).decode("utf-8", "replace")
    finally:
        remove(container)
    with open(os.path.join(RESULTS, START), "w") as out:
        json.dump(seen, out)


def _watch(container: str, task: Mapping[str, Any], events: list[dict[str, Any]]) -> None:
    begun, responded = time.monotonic(), None
    while True:
        state = json.loads(ask("GET", "/containers/" + container + "/json"))["State"]
        event: dict[str, Any] = {"seconds": time.monotonic() - begun, "ending": _ending(state), "probe": ""}
        events.append(event)
        if event["ending"]:
            return
        event["probe"] = _execute(container, task["probe"])
        event["seconds"] = time.monotonic() - begun
        status = _status(event["probe"])
        if status is not None and responded is None:
            responded = event["seconds"]
        if responded is not None and (status or 0) >= _SERVER_ERROR and event["seconds"] - responded < _PATIENCE:
            status = None  # it may become a useful response
        if event["seconds"] > task["limit"] or status is not None:
            return
        time.sleep(_PAUSE)


def _ending(state: Mapping[str, Any]) -> str:
    if state.get("Running"):
        return ""
    if state.get("OOMKilled"):
        return "it was killed for want of memory"
    return "it ended with status " + str(state.get("ExitCode"))


def _execute(container: str, command: list[str]) -> str:
    """What a command prints beside the program; empty where it could not be run."""
    words = {"Cmd": command, "AttachStdout": True, "AttachStderr": False}
    try:
        identity = json.loads(ask("POST", "/containers/" + container + "/exec", words))["Id"]
        output = ask("POST", "/exec/" + identity + "/start", {"Detach": False, "Tty": False})
    except (OSError, http.client.HTTPException):
        return ""
    return _demultiplexed(output).decode("utf-8", "replace")


def _status(probe: str) -> int | None:
    """The status of the response that a probe got, 0 for another protocol than HTTP; None without a response."""
    try:
        seen = json.loads(probe)
        return int(seen["status"] or 0) if seen["responded"] else None
    except (ValueError, KeyError, TypeError):
        return None


def _demultiplexed(data: bytes) -> bytes:
    """The output of a container without the heads of its frames."""
    pieces, at = [], 0
    while at + _HEAD <= len(data):
        size = int.from_bytes(data[at + 4 : at + _HEAD], "big")
        pieces.append(data[at + _HEAD : at + _HEAD + size])
        at += _HEAD + size
    return b"".join(pieces)


TASKS = {"export": export, "start": start}


def drive(task: Mapping[str, Any]) -> int:
    """Do one task, and report the SHA-256 of each file that it wrote, or why it could not."""
    words = {}
    try:
        os.makedirs(RESULTS, exist_ok=True)
        TASKS[task["do"]](task)
        for name in sorted(os.listdir(RESULTS)):
            words[name] = _digest(os.path.join(RESULTS, name))
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        words = {"wrong": str(error)[:400] or type(error).__name__}
    with open(os.path.join(os.environ["BUILDER_OUTPUT"], "output"), "w") as output:
        json.dump(words, output)
    return 0


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(_PIECE), b""):
            digest.update(piece)
    return digest.hexdigest()
