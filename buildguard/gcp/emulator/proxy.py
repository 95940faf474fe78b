"""A loopback address whose requests go to a container: which one is picked for each request."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from contextlib import closing

from buildguard.gcp.emulator.http import Handler, HttpServer

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "content-length"}
_PATIENCE = 300  # seconds, as Cloud Run has it unless a service sets another timeout
_NOT_FOUND, _BAD_GATEWAY = 404, 502
# what Google's front end says in place of a service without public traffic
_NOT_PUBLIC = b"""<html><head><title>404 Page not found</title></head><body><h1>Error: Page not found</h1>
<h2>The requested URL was not found on this server.</h2></body></html>
"""


class Proxy:
    """One address; `pick` names the host and port that the next request goes to, empty for a service without public traffic."""

    def __init__(self, pick: Callable[[], str]) -> None:
        self.pick = pick
        proxy = self

        class BoundProxyHandler(_ProxyHandler):
            owner = proxy

        self._web = HttpServer(BoundProxyHandler, "traffic")

    @property
    def address(self) -> str:
        """Where it is reached."""
        return self._web.address

    def close(self) -> None:
        """Answer no more."""
        self._web.close()


class _ProxyHandler(Handler):
    owner: Proxy

    def _pass_on(self) -> None:
        body = b"".join(self.pieces())
        status, data, fields = self._answer(body)
        self.send_response(status)
        for name, value in fields:
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _answer(self, body: bytes) -> tuple[int, bytes, list[tuple[str, str]]]:
        """The container's answer, or that of Google's front end: its status, its body and its headers."""
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        try:
            address = self.owner.pick()
            if not address:
                return _NOT_FOUND, _NOT_PUBLIC, [("Content-Type", "text/html; charset=UTF-8")]
            with closing(http.client.HTTPConnection(address, timeout=_PATIENCE)) as connection:
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                response = answer.status, answer.read(), answer.getheaders()
        except (OSError, http.client.HTTPException, KeyError) as error:
            return _BAD_GATEWAY, str(error).encode(), []
        return response

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _pass_on  # noqa: N815
