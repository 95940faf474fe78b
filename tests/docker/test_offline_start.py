"""An image that is started without a network: what it listens on, why it does not start, and that it reaches nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from buildguard.docker import client, images, offline_start
from buildguard.docker.offline_start import EntrypointError, OfflineContainer, OfflineResult, Probe
from buildguard.docker.serve import StartOptions
from buildguard.project.deploy_table import PLATFORM
from buildguard.remote import start_probe
from tests import images as built

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVE = """\
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer((sys.argv[1], int(sys.argv[2] if len(sys.argv) > 2 else os.environ["PORT"])), Handler).serve_forever()
"""
_REACH = """\
import socket
try:
    socket.create_connection(("192.0.2.1", 80), 2)
except OSError as error:
    raise SystemExit(f"reached nothing: {error.strerror}")
"""


@pytest.mark.parametrize(
    ("listeners", "reachable", "shown"),
    [
        ([("0.0.0.0", 8080)], True, "0.0.0.0:8080"),
        ([("::", 8080)], True, "[::]:8080"),
        ([("127.0.0.1", 8080)], False, "127.0.0.1:8080"),
        ([("::1", 8080)], False, "[::1]:8080"),
        ([("::ffff:127.0.0.1", 8080)], False, "[::ffff:127.0.0.1]:8080"),
        ([("0.0.0.0", 5000)], False, "0.0.0.0:5000"),
        ([], False, ""),
    ],
)
def test_who_can_be_reached(listeners: list[tuple[str, int]], *, reachable: bool, shown: str) -> None:
    probe = Probe(None, False, tuple(listeners), 0)

    assert (probe.reachable(8080), ", ".join(probe.shown)) == (reachable, shown)


@pytest.mark.parametrize(
    ("looks", "rests"),
    [
        ([(0.0, 10), (2.0, 10), (4.5, 12)], True),
        ([(0.0, 10), (2.0, 150), (4.5, 300)], False),  # still at work: a model that is being loaded
        ([(0.0, 10), (3.0, 10)], False),
    ],
)
def test_only_a_program_at_rest_has_started_elsewhere(looks: list[tuple[float, int]], *, rests: bool) -> None:
    rest = offline_start._IdleClock()

    seen = [rest.is_elsewhere(Probe(None, False, (("127.0.0.1", 8000),), ticks), 8080, now) for now, ticks in looks]

    assert seen[-1] is rests


def test_the_probe_names_listeners_and_asks_over_http() -> None:
    """In this process: a socket that listens is seen, and one that sends something else is no HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _peer = server.accept()
            with connection:
                connection.sendall(b"hello\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert ("127.0.0.1", port) in start_probe.listeners()
        assert start_probe.ask(port, "/") == (None, True)
        thread.join()
    assert start_probe.ask(port, "/") == (None, False)


@pytest.mark.interpreters
def test_the_probe_counts_what_other_processes_took() -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        taken = start_probe.ticks() / os.sysconf("SC_CLK_TCK")
        child.communicate(b"\n")

    assert taken >= 0.15


@pytest.mark.parametrize(
    "output", [b"", b"{}", b"[1]", b'{"status": 200, "responded": true, "listeners": [[1]], "ticks": 1}']
)
def test_output_that_is_no_probes(output: bytes) -> None:
    assert offline_start.read_probe(output) is None


# ------------------------------------------------------------------------------------------ in containers


@pytest.fixture
def started(engine: str, image: Callable[..., str]) -> Callable[..., OfflineResult]:
    """Start an image whose command is given; how it came up."""

    def start(command: list[str], *, files: dict[str, str] | None = None, limit: float = 60) -> OfflineResult:
        tag = image(
            built.base("3.11"), {"app/serve.py": _SERVE, "app/reach.py": _REACH, **(files or {})}, ["WORKDIR /app"]
        )
        with closing(client.connect()) as daemon:
            found = images.find(daemon, tag, PLATFORM, None)
            with OfflineContainer(daemon, found, StartOptions(command=command)) as container:
                result = container.wait("/", limit)
                return (
                    result._replace(ending=f"{result.ending} {container.log().decode()}".strip())
                    if result.ending
                    else result
                )

    return start


def test_a_server_responds(started: Callable[..., OfflineResult]) -> None:
    result = started(["python3", "serve.py", "0.0.0.0"])

    assert (result.started, result.status) == (True, 204)


def test_a_wrong_bind_is_named(started: Callable[..., OfflineResult]) -> None:
    result = started(["python3", "serve.py", "127.0.0.1", "8000"])

    assert (result.started, result.listens_on) == (False, ("127.0.0.1:8000",))
    assert result.seconds < 30, "not the whole minute"


def test_nothing_can_be_reached(started: Callable[..., OfflineResult]) -> None:
    result = started(["python3", "reach.py"])

    assert result.started is False
    assert "reached nothing: Network is unreachable" in result.ending


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("#!/bin/sh\r\nexec true\r\n", 0o755, r"/app/run.sh has Windows line endings \(CRLF\)"),
        ("#!/nowhere/sh\n", 0o755, "/app/run.sh needs /nowhere/sh, and the image has none"),
        ("#!/bin/sh\n", 0o644, "/app/run.sh is not executable"),
        (None, 0, "the image has no program '/app/run.sh'"),
    ],
)
def test_an_entrypoint_that_cannot_start_is_named(
    engine: str, image: Callable[..., str], text: str | None, mode: int, words: str
) -> None:
    files = {"app/run.sh": text} if text is not None else {"app/x": ""}
    tag = image(built.base("3.11"), files, ["WORKDIR /app", *([f"RUN chmod {mode:o} /app/run.sh"] if text else [])])
    with closing(client.connect()) as daemon:
        found = images.find(daemon, tag, PLATFORM, None)
        with (
            pytest.raises(EntrypointError, match=words),
            OfflineContainer(daemon, found, StartOptions(command=["/app/run.sh"])) as container,
        ):
            container.wait("/", 30)
