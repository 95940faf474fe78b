"""The address of a service: each request goes to what is picked for it, headers between two machines apart."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from buildguard.gcp.emulator.http import Handler, HttpServer
from buildguard.gcp.emulator.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_INSTANCES: dict[str, str] = {}


class _Echo(Handler):
    """Answers with what it received, and headers of its own."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = f"{self.command} {self.path} {self.headers.get('X-Asks')} {self.headers.get('Upgrade')} ".encode() + body
        self.send_response(201)
        self.send_header("X-Answers", "yes")
        self.send_header("Keep-Alive", "timeout=5")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def container() -> Iterator[str]:
    """The address of a container that echoes."""
    server = HttpServer(_Echo, "container")
    yield server.address.removeprefix("http://")
    server.close()


@pytest.fixture
def proxy() -> Iterator[Callable[[Callable[[], str]], Proxy]]:
    """Proxies that are closed again."""
    started: list[Proxy] = []

    def start(pick: Callable[[], str]) -> Proxy:
        started.append(Proxy(pick))
        return started[-1]

    yield start
    for item in started:
        item.close()


def test_a_request_and_its_answer_pass_without_what_is_between_two_machines(
    proxy: Callable[[Callable[[], str]], Proxy], container: str
) -> None:
    request = urllib.request.Request(
        f"{proxy(lambda: container).address}/a?b=c", b"body", {"X-Asks": "me", "Upgrade": "h2c"}, method="POST"
    )

    with urllib.request.urlopen(request) as response:
        assert response.status == 201
        assert response.headers["X-Answers"] == "yes"
        assert response.headers["Keep-Alive"] is None
        assert response.read() == b"POST /a?b=c me None body"


def test_the_next_request_goes_to_what_is_picked_then(
    proxy: Callable[[Callable[[], str]], Proxy], container: str
) -> None:
    front = proxy(lambda: "")
    front.pick = lambda: container

    with urllib.request.urlopen(urllib.request.Request(front.address, method="HEAD")) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("pick", "status", "text"),
    [
        (lambda: "", 404, b"Error: Page not found"),
        (lambda: "127.0.0.1:1", 502, b"refused"),
        (lambda: _INSTANCES["gone"], 502, b"gone"),
    ],
)
def test_no_container_is_told_from_no_public_traffic(
    proxy: Callable[[Callable[[], str]], Proxy], pick: Callable[[], str], status: int, text: bytes
) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(proxy(pick).address)

    assert caught.value.code == status
    assert text in caught.value.read()
