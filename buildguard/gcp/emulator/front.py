"""The proxy that gcloud is given: gcloud puts a region before the host of Cloud Run, and no name server knows such a host.

It leads to the emulator's own addresses alone. What gcloud asks of any other host is refused.
"""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from contextlib import closing
from urllib.parse import urlsplit

from buildguard.gcp.emulator.cloud_run_rest import HOST
from buildguard.gcp.emulator.http import Handler, HttpServer
from buildguard.gcp.emulator.proxy import HOP_BY_HOP

_PATIENCE = 300
_FORBIDDEN, _BAD_GATEWAY = 403, 502
_ELSEWHERE = b"while the emulator runs, gcloud reaches Cloud Build, Cloud Storage, Cloud Run and Secret Manager of the emulator only\n"


class FrontProxy:
    """A proxy on loopback, from now until it is closed."""

    def __init__(self, rest: str, storage: str) -> None:
        """`rest` and `storage` are the addresses of the emulator's APIs."""
        known = {address.partition("//")[2]: address.partition("//")[2] for address in (rest, storage)}

        class BoundFrontHandler(_FrontHandler):
            addresses = known
            run = rest.partition("//")[2]

        self._web = HttpServer(BoundFrontHandler, "proxy for gcloud")

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return self._web.address

    def close(self) -> None:
        """Answer no more."""
        self._web.close()


class _FrontHandler(Handler):
    addresses: Mapping[str, str]
    run: str

    def _forward(self) -> None:
        body = b"".join(self.pieces())
        split = urlsplit(self.path)
        is_run = split.netloc == HOST or split.netloc.endswith(f"-{HOST}")
        address = self.run if is_run else self.addresses.get(split.netloc, "")
        if split.scheme != "http" or not address:
            self._answer(_FORBIDDEN, _ELSEWHERE, [])
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        target = f"{split.path}?{split.query}" if split.query else split.path
        try:
            with closing(http.client.HTTPConnection(address, timeout=_PATIENCE)) as connection:
                connection.request(self.command, target, body, {**headers, "Host": split.netloc})
                answer = connection.getresponse()
                self._answer(answer.status, answer.read(), answer.getheaders())
        except (OSError, http.client.HTTPException) as error:
            self._answer(_BAD_GATEWAY, str(error).encode(), [])

    def _answer(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self._answer(_FORBIDDEN, _ELSEWHERE, [])

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _forward  # noqa: N815
