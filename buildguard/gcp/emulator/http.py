"""HTTP on a port of loopback, as the emulator's parts speak it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from buildguard.definitions import lazy_pattern

_PIECE = 1 << 20
_BAD_REQUEST = 400
_MOST_WORDS = 200
_LONGEST_LINE = 1 << 10
_DIGITS = lazy_pattern(r"[0-9]{1,18}")
_CHUNK_SIZE = lazy_pattern(rb"[0-9a-fA-F]{1,15}")
_NOT_IN_HEADERS = lazy_pattern(r"[^\t\x20-\x7e\xa0-\xff]")
_POLL = 0.05  # seconds between two looks at whether it was closed


class MalformedBodyError(Exception):
    """A body that is not as long as its headers announce."""


# What values of other types than expected, in a path, a header or a body, lead to.
_SENSELESS = (MalformedBodyError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class Handler(BaseHTTPRequestHandler):
    """Requests of one connection after another, in silence."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is two small writes

    def handle_one_request(self) -> None:
        """Answer one request; one that makes no sense gets status 400 and ends its connection, and no other."""
        self._has_answered = False
        try:
            super().handle_one_request()
        except _SENSELESS as error:
            self.close_connection = True
            if not self._has_answered:
                words = str(error).encode("ascii", "backslashreplace").decode("ascii")
                self.send_error(_BAD_REQUEST, explain=f"{type(error).__name__}: {words[:_MOST_WORDS]}")

    def send_response(self, code: int, message: str | None = None) -> None:
        """Begin an answer."""
        self._has_answered = True
        super().send_response(code, message)

    def send_header(self, keyword: str, value: str) -> None:
        """Add a header; what would be another header, or no text of HTTP, is left out of its value."""
        super().send_header(keyword, _NOT_IN_HEADERS.sub("", value))

    def pieces(self) -> Iterator[bytes]:
        """The body of a request, piece by piece, whichever way it is sent; nothing the second time.

        Raises MalformedBodyError where it ends too early: half of an object must not count as the object.
        """
        if getattr(self, "_read", None) is self.headers:
            return
        self._read = self.headers
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := self._chunk_size():
                yield from self._exactly(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        length = self.headers.get("Content-Length") or "0"
        if _DIGITS.fullmatch(length) is None:
            raise MalformedBodyError(f"Content-Length: {length}")
        yield from self._exactly(int(length))

    def _chunk_size(self) -> int:
        line = self.rfile.readline(_LONGEST_LINE).split(b";")[0].strip()
        if _CHUNK_SIZE.fullmatch(line) is None:
            raise MalformedBodyError("a chunk without a size")
        return int(line, 16)

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            piece = self.rfile.read(min(size, _PIECE))
            if not piece:
                raise MalformedBodyError(f"{size} bytes of the body are missing")
            size -= len(piece)
            yield piece

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class calls it so
        """Say nothing of each request."""


class _ThreadingServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with five, a client that sends files side by side is refused

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
