"""What counts as serving, and how a container is started for it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.docker import serve
from buildguard.docker.serve import Listener, ServingContainer, StartOptions, StartResult, find_listener
from buildguard.errors import UnprovenError
from tests.docker.fakes import daemon_of, image_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from buildguard.docker.client import Daemon


@pytest.fixture
def listener() -> Iterator[Callable[[bytes | None], str]]:
    """A port that answers every connection with these bytes; with None it stays silent."""
    sockets: list[socket.socket] = []

    def listen(response: bytes | None) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        sockets.append(server)

        def answer() -> None:
            with suppress(OSError):  # whoever asked may be gone by now
                connection, _peer = server.accept()
                sockets.append(connection)
                connection.recv(1 << 16)
                if response is not None:
                    connection.sendall(response)
                    connection.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=answer, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield listen
    for item in sockets:
        item.close()


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Listener(200)),
        (b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n", Listener(503)),
        (b"SSH-2.0-OpenSSH\r\n", Listener(None)),
        (b"", None),  # the engine's proxy: it accepts, and closes
    ],
)
def test_only_an_answer_counts(
    listener: Callable[[bytes | None], str], response: bytes, expected: Listener | None
) -> None:
    assert find_listener(listener(response), "/") == expected


def test_a_silent_listener_listens(listener: Callable[[bytes | None], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "_LISTENS", 0.1)

    assert find_listener(listener(None), "/") == Listener(None)


def test_nothing_listens_without_an_address_or_a_port() -> None:
    with socket.socket() as bound:  # so that no other program listens there
        bound.bind(("127.0.0.1", 0))

        assert find_listener("", "/") is None
        assert find_listener(f"127.0.0.1:{bound.getsockname()[1]}", "/") is None


class _Engine:
    def __init__(self, ports: dict[str, Any], states: list[dict[str, Any]]) -> None:
        self.ports = ports
        self.states = states
        self.created: dict[str, Any] = {}
        self.removed: list[str] = []
        self.networks: list[str] = []
        self.fail_start = False

    def create_container(self, _image: str, **options: Any) -> dict[str, str]:
        self.created = options
        return {"Id": "c1"}

    def start(self, _identity: str) -> None:
        if self.fail_start:
            raise OSError("no such device")

    def inspect_container(self, _identity: str) -> dict[str, Any]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"NetworkSettings": {"Ports": self.ports}, "State": state}

    def daemon(self) -> Daemon:
        return daemon_of(
            networks=lambda names: names if self.networks else [],
            create_network=self.networks.append,
            create_container=self.create_container,
            create_host_config=lambda **options: options,
            start=self.start,
            inspect_container=self.inspect_container,
            remove_container=lambda identity, **_options: self.removed.append(identity),
        )


_RUNNING = {"Running": True}
_PORTS = {"8080/tcp": [{"HostPort": "4242"}]}


def test_an_ingress_container_gets_port_and_a_published_address() -> None:
    engine = _Engine(_PORTS, [_RUNNING])

    with ServingContainer(engine.daemon(), image_of(), StartOptions(env={"A": "1"}, more_ports=(9000,))) as serving:
        assert serving.address == "127.0.0.1:4242"
        assert serving.address_of(9000) == ""

    assert engine.created["environment"] == ["A=1", "PORT=8080"]
    assert engine.created["ports"] == [8080, 9000]
    assert engine.created["host_config"]["network_mode"] == "buildguard"
    assert engine.networks == ["buildguard"]
    assert engine.removed == ["c1"]


def test_a_container_beside_another_publishes_nothing() -> None:
    engine = _Engine({}, [_RUNNING])
    options = StartOptions(tell_port=False, beside="c0", command=("run",), args=("it",))

    ServingContainer(engine.daemon(), image_of(), options).close()

    assert engine.created["ports"] == []
    assert engine.created["host_config"]["network_mode"] == "container:c0"
    assert engine.created["environment"] == []
    assert (engine.created["entrypoint"], engine.created["command"]) == (["run"], ["it"])


def test_a_container_that_does_not_start_is_removed() -> None:
    engine = _Engine({}, [_RUNNING])
    engine.fail_start = True

    with pytest.raises(UnprovenError, match="starting app:1"):
        ServingContainer(engine.daemon(), image_of(), StartOptions())

    assert engine.removed == ["c1"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (_RUNNING, ""),
        ({"Running": False, "ExitCode": 3}, "status 3"),
        ({"Running": False, "OOMKilled": True}, "memory"),
    ],
)
def test_an_ending_has_its_cause(state: dict[str, Any], words: str) -> None:
    serving = ServingContainer(_Engine({}, [state]).daemon(), image_of(), StartOptions())

    assert words in serving.ending()
    assert bool(serving.ending()) == bool(words)


def test_waiting_ends_with_an_answer_the_end_or_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [None, Listener(204)]
    monkeypatch.setattr(serve, "find_listener", lambda _address, _path: answers.pop(0) if answers else None)
    monkeypatch.setattr(serve, "time", SimpleNamespace(monotonic=iter(range(1000)).__next__, sleep=lambda _: None))

    def wait(*states: dict[str, Any]) -> StartResult:
        # the first look is the one that starting it takes
        serving = ServingContainer(_Engine(_PORTS, [_RUNNING, *states]).daemon(), image_of(), StartOptions())
        return serving.wait("/", 5)

    assert wait(_RUNNING)[:2] == (True, 204)
    ended = wait(_RUNNING, {"Running": False, "ExitCode": 1})
    assert not ended.listens
    assert "status 1" in ended.ending
    late = wait(_RUNNING)
    assert (late.listens, late.ending) == (False, "")
    assert late.seconds > 5
