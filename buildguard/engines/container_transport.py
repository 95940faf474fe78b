"""Probes in a container: one stream to the relay there, and a channel for each probe that it runs."""

from __future__ import annotations

import errno
import selectors
import ssl
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from buildguard.docker.client import translate_errors
from buildguard.docker.sandbox import Sandbox
from buildguard.errors import UnprovenError
from buildguard.remote import program
from buildguard.system.channels import MOST_WORDS
from buildguard.system.process import last_line

if TYPE_CHECKING:
    import socket


_RELAY = program("relay.py")
_SILENCE = 180  # seconds after which the relay takes us for gone, where the engine died under it
_OBEYS_WITHIN = 15.0
_READ = 1 << 20
_PARCEL = 1 << 18
_HEAD = 8  # the engine's own framing: stream, three zeros, size
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def relay_text() -> str:
    """The relay's source."""
    return _RELAY.read_text("utf-8")


def relay_arguments(probe: str) -> list[str]:
    """What follows the interpreter on the command line that runs the relay, isolated from its surroundings."""
    return ["-I", "-S", "-B", "-c", relay_text(), probe, str(_SILENCE)]


class RelayedSite:
    """A container whose first process is the relay."""

    def __init__(self, cell: Sandbox) -> None:
        """Attach to a container, then start it. Raises UnprovenError where it cannot be started."""
        self._cell = cell
        self._channels: dict[int, RelayedChannel] = {}
        self._doomed: dict[int, float] = {}
        self._count = 0
        self._outgoing: deque[bytes] = deque()
        self._parcel = memoryview(b"")
        self._raw = bytearray()
        self._frames = bytearray()
        self._words = bytearray()
        self._selector = selectors.DefaultSelector()
        api = cell.daemon.api
        with translate_errors("starting the container"):
            stream = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1, "detachKeys": ""}
            self._attached: Any = api.attach_socket(cell.id, params=stream)
            self._socket: socket.socket = getattr(self._attached, "_sock", self._attached)
            self._socket.setblocking(False)
            try:
                api.start(cell.id)
            except BaseException:
                self._hang_up()
                raise
        self._selector.register(self._socket, selectors.EVENT_READ)

    def start(self, memory: int) -> RelayedChannel:
        """Have the relay start a probe."""
        self._count += 1
        channel = self._channels[self._count] = RelayedChannel(self, self._count)
        self.send(b"S", self._count, b"%d" % memory)
        return channel

    def wait(self, timeout: float | None) -> None:
        """Move what the stream holds and takes; raises UnprovenError where the container is lost."""
        self._write()
        if self._doomed:
            timeout = min(_OBEYS_WITHIN, timeout if timeout is not None else _OBEYS_WITHIN)
        for _key, events in self._selector.select(timeout):
            if events & selectors.EVENT_WRITE:
                self._write()
            if events & selectors.EVENT_READ:
                self._read()
        if self._doomed and time.monotonic() - min(self._doomed.values()) > _OBEYS_WITHIN:
            raise UnprovenError("the container does not answer any more")

    def close(self) -> None:
        """Hang up; whoever made the container removes it."""
        self._hang_up()

    def send(self, kind: bytes, number: int, *chunks: bytes) -> None:
        """Send one frame to the relay, together with others the next time that we wait."""
        self._outgoing.append(b"%s %d %d\n" % (kind, number, sum(map(len, chunks))))
        self._outgoing.extend(chunks)

    def doom(self, number: int) -> None:
        """Have the relay kill a probe, and expect to hear of its end."""
        if self._channels.pop(number, None) is not None:
            self._doomed[number] = time.monotonic()
            self.send(b"K", number)

    def _hang_up(self) -> None:
        self._selector.close()
        # docker-py hands out the innermost part of a response; only the whole of it lets go of the connection
        getattr(self._attached, "_response", self._attached).close()

    def _write(self) -> None:
        try:
            while self._parcel or self._outgoing:
                self._parcel = self._parcel or memoryview(self._packed())
                self._parcel = self._parcel[self._socket.send(self._parcel) :]
        except _NOT_NOW:
            pass
        except OSError:
            self._parcel = memoryview(b"")
            self._outgoing.clear()  # it is gone: reading tells how
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._parcel else 0)
        if self._selector.get_key(self._socket).events != wanted:
            self._selector.modify(self._socket, wanted)

    def _packed(self) -> bytes:
        """Many small frames as one, a large one alone."""
        size, packed = 0, []
        while self._outgoing and size < _PARCEL:
            packed.append(self._outgoing.popleft())
            size += len(packed[-1])
        return b"".join(packed)

    def _read(self) -> None:
        try:
            while chunk := self._socket.recv(_READ):
                self._raw += chunk
                self._unpack()
        except _NOT_NOW:
            return
        except OSError as error:
            if error.errno not in {errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN}:
                raise UnprovenError(f"the container cannot be heard: {error.strerror}") from error
        self._unpack()
        raise UnprovenError(self._last_words())

    def _last_words(self) -> str:
        how = self._cell.ending() or "the container hung up"
        said = last_line(self._words)[:200]
        return f"{how}: {said}" if said else how

    def _unpack(self) -> None:
        """Take the engine's framing off, then the relay's."""
        at = 0
        while at + _HEAD <= len(self._raw):
            end = at + _HEAD + int.from_bytes(self._raw[at + 4 : at + _HEAD], "big")
            if end > len(self._raw):
                break
            content = self._raw[at + _HEAD : end]
            if self._raw[at] == 1:
                self._frames += content
            else:
                self._words = (self._words + content)[-MOST_WORDS:]
            at = end
        del self._raw[:at]
        at = 0
        while (line := self._frames.find(b"\n", at)) >= 0:
            try:
                kind, number, size = bytes(self._frames[at:line]).split()
                end = line + 1 + int(size)
            except ValueError as error:
                raise UnprovenError("what comes from the container is not the relay's") from error
            if end > len(self._frames):
                break
            self._deliver(kind, int(number), bytes(self._frames[line + 1 : end]))
            at = end
        del self._frames[:at]

    def _deliver(self, kind: bytes, number: int, content: bytes) -> None:
        if kind == b"X":
            self._doomed.pop(number, None)
        channel = self._channels.get(number)
        if channel is None:
            return
        if kind == b"O":
            channel.incoming += content
        elif kind == b"E":
            channel.errors = (channel.errors + content)[-MOST_WORDS:]
        else:
            status, memory = content.split()
            channel.ended = int(status), int(memory)
            channel.closed = True
            del self._channels[number]


class RelayedChannel:
    """A probe in the container."""

    windows = 4

    def __init__(self, site: RelayedSite, number: int) -> None:
        self.incoming = bytearray()
        self.errors = bytearray()
        self.closed = False
        self.ended = (0, 0)
        self._site = site
        self._number = number

    def send(self, *chunks: bytes) -> None:
        """Write to its standard input, by way of the relay."""
        if not self.closed:
            self._site.send(b"D", self._number, *chunks)

    def death(self) -> tuple[int, int]:
        """How it ended, as the relay told."""
        return self.ended

    def stop(self) -> None:
        """Have it killed."""
        self._site.doom(self._number)
