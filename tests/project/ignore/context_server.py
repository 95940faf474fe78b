"""What the real docker client sends with a build: a socket takes its context, and nothing is built."""

from __future__ import annotations

import io
import os
import socketserver
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    sent: bytes | None = None


class _Handler(BaseHTTPRequestHandler):
    """As much of Docker's API as `docker build` asks for."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def address_string(self) -> str:
        return "client"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: tests print no requests."""

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"{}" if "_ping" not in self.path else b"OK")

    def do_POST(self) -> None:
        body = b"".join(self._chunks())
        if "/build" in self.path:
            self.server.sent = body
        self._answer(b'{"stream":"done\\n"}\r\n')

    def _chunks(self) -> Iterator[bytes]:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        for name, value in (("Api-Version", "1.41"), ("Ostype", "linux"), ("Content-Type", "application/json")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class DockerContext:
    """The docker client, and where its builds go."""

    def __init__(self, server: _Server, socket: Path, client: str) -> None:
        self._server = server
        self._env = {**os.environ, "DOCKER_HOST": f"unix://{socket}", "DOCKER_BUILDKIT": "0"}
        self._client = client

    def sent(self, folder: Path) -> set[str] | None:
        """The files of a folder that the client sends; None where it refuses the ignore file."""
        self._server.sent = None
        done = subprocess.run(
            [self._client, "build", str(folder)], env=self._env, capture_output=True, check=False, timeout=120
        )
        if self._server.sent is None:
            assert b"pattern" in done.stderr, done.stderr
            return None
        with tarfile.open(fileobj=io.BytesIO(self._server.sent), errors="surrogateescape") as tar:
            return {member.name for member in tar if not member.isdir()}


@contextmanager
def docker_context(client: str, place: Path) -> Iterator[DockerContext]:
    """A client whose builds end here; `place` is a folder with a short name."""
    socket = place / "s"
    with _Server(str(socket), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield DockerContext(server, socket, client)
        finally:
            server.shutdown()
            thread.join()
