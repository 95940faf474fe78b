"""The stream to a relay: its frames in the engine's frames, cut anywhere, and how its end is reported."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from buildguard.engines import container_transport
from buildguard.engines.container_transport import RelayedSite, relay_arguments, relay_text
from buildguard.errors import UnprovenError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from buildguard.docker.sandbox import Sandbox

_STDOUT, _STDERR = 1, 2


class _Relay:
    """The far end: the container's side of the stream."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.started: list[str] = []
        self.ending = ""
        self.fails = False
        api = SimpleNamespace(attach_socket=lambda _identity, params: self.near, start=self._start)
        self.cell = cast(
            "Sandbox", SimpleNamespace(id="c1", daemon=SimpleNamespace(api=api), ending=lambda: self.ending)
        )

    def _start(self, identity: str) -> None:
        self.started.append(identity)
        if self.fails:
            raise OSError("no such device")

    def write(self, content: bytes, stream: int = _STDOUT) -> None:
        self.far.sendall(bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content)

    def frame(self, kind: bytes, number: int, content: bytes) -> None:
        self.write(b"%s %d %d\n" % (kind, number, len(content)) + content)

    def read(self) -> bytes:
        return self.far.recv(1 << 16)


@pytest.fixture
def relay() -> Iterator[_Relay]:
    """A relay that the test plays."""
    far_end = _Relay()
    yield far_end
    far_end.far.close()
    far_end.near.close()


@pytest.fixture
def site(relay: _Relay) -> Iterator[RelayedSite]:
    """Our end of it."""
    near_end = RelayedSite(relay.cell)
    yield near_end
    near_end.close()


def _wait_often(site: RelayedSite) -> None:
    for _ in range(100):
        site.wait(0.01)


def test_the_relay_runs_isolated_and_knows_its_probe() -> None:
    arguments = relay_arguments("the probe")

    assert arguments[:4] == ["-I", "-S", "-B", "-c"]
    assert arguments[4:6] == [relay_text(), "the probe"]
    assert int(arguments[6]) > 60


def test_frames_go_out_together_and_in_order(relay: _Relay, site: RelayedSite) -> None:
    first, second = site.start(1 << 30), site.start(2 << 30)
    first.send(b"1 2 3\n", b"x")
    second.send(b"")

    site.wait(0)

    assert relay.started == ["c1"]
    assert relay.read() == b"S 1 10\n1073741824S 2 10\n2147483648D 1 7\n1 2 3\nxD 2 0\n"


def test_what_probes_write_reaches_their_channels_however_it_is_cut(relay: _Relay, site: RelayedSite) -> None:
    first, second = site.start(1), site.start(1)
    for piece in (b"O 1 5\nhel", b"loE 2 4\noops", b"O 2 1\n", b"!X 1 4\n-9 7"):
        relay.write(piece)

    site.wait(120)

    assert (bytes(first.incoming), bytes(first.errors)) == (b"hello", b"")
    assert (bytes(second.incoming), bytes(second.errors)) == (b"!", b"oops")
    assert (first.closed, first.death()) == (True, (-9, 7))
    assert not second.closed


def test_a_probe_that_ended_is_sent_nothing(relay: _Relay, site: RelayedSite) -> None:
    channel = site.start(1)
    relay.frame(b"X", 1, b"0 0")
    site.wait(120)
    relay.read()

    channel.send(b"more")
    site.start(1)
    site.wait(0)

    assert relay.read() == b"S 2 1\n1"


def test_a_stopped_probe_is_killed_once_and_not_heard_any_more(relay: _Relay, site: RelayedSite) -> None:
    channel = site.start(1)
    channel.stop()
    channel.stop()
    site.wait(0)
    assert relay.read() == b"S 1 1\n1K 1 0\n"

    relay.frame(b"O", 1, b"late")
    relay.frame(b"X", 1, b"-9 0")
    site.wait(120)

    assert not channel.incoming


def test_a_relay_that_does_not_obey_is_lost(relay: _Relay, site: RelayedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    assert relay.started
    monkeypatch.setattr(container_transport, "_OBEYS_WITHIN", 0.01)
    site.start(1).stop()

    with pytest.raises(UnprovenError, match="does not answer"):
        _wait_often(site)


@pytest.mark.parametrize(
    ("ending", "words", "message"),
    [
        ("", b"", "the container hung up"),
        ("the container was killed by its memory limit", b"", "the container was killed by its memory limit"),
        ("the container ended with status 1", b"first\nno python3\n", "ended with status 1: no python3"),
    ],
)
def test_the_end_of_a_container_comes_with_its_last_words(
    relay: _Relay, site: RelayedSite, ending: str, words: bytes, message: str
) -> None:
    relay.ending = ending
    relay.write(words, _STDERR)
    relay.far.shutdown(socket.SHUT_RDWR)

    with pytest.raises(UnprovenError, match=message):
        _wait_often(site)


def test_what_is_no_frame_is_refused(relay: _Relay, site: RelayedSite) -> None:
    relay.write(b"Traceback (most recent call last):\n")

    with pytest.raises(UnprovenError, match="not the relay's"):
        site.wait(120)


def test_a_container_that_cannot_be_started_is_let_go(relay: _Relay) -> None:
    relay.fails = True

    with pytest.raises(UnprovenError, match="starting the container"):
        RelayedSite(relay.cell)

    assert relay.near.fileno() == -1
