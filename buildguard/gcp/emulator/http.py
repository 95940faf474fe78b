"""HTTP on a port of loopback, as the emulator's parts speak it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_PIECE = 1 << 20
_POLL = 0.05  # seconds between two looks at whether it was closed


class Handler(BaseHTTPRequestHandler):
    """Requests of one connection after another, in silence."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two small writes

    def pieces(self) -> Iterator[bytes]:
        """The body of a request, piece by piece, whichever way it is sent; nothing the second time."""
        if getattr(self, "_read", None) is self.headers:
            return
        self._read = self.headers
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0 and (piece := self.rfile.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class calls it so
        """Say nothing of each request."""


class _ThreadingServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # a client that leaves in the middle is no fault of this side
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class HttpServer:
    """A server for requests of one kind, with a thread for each connection, from now until it is closed."""

    def __init__(self, handler: type[Handler], name: str) -> None:
        self._server = _ThreadingServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _POLL}, name=name, daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
