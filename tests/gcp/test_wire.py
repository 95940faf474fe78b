"""A storage server that answers late, wrong, partly or never: an answer is right, or it is an error with a next step."""

from __future__ import annotations

import contextlib
import io
import random
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from buildguard.errors import GuardError
from buildguard.gcp import auth, storage
from buildguard.gcp.emulator.faults import Faults
from buildguard.gcp.emulator.storage import StorageServer
from buildguard.gcp.storage import ObjectUrl, StorageClient, hashes_of
from tests.gcp.emulator.conftest import BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SIZE = 300_000


class Relay:
    """Passes bytes on between Google's client and the server, and does to some answers what its fault says."""

    def __init__(self, port: int, fault: Callable[[bytes, random.Random], bytes | None], seed: int) -> None:
        self._port = port
        self._fault = fault
        self._rng = random.Random(seed)
        self.struck = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in (*self._open, self._listener):
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _peer = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                self._open += [client, server]
                strikes = self._rng.random() < 0.5
                for words in ((client, server, False), (server, client, strikes)):
                    self._threads.append(threading.Thread(target=self._pump, args=words))
                    self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, strikes: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if strikes and self._rng.random() < 0.5:
                    self.struck += 1
                    changed = self._fault(data, self._rng)
                    if changed is None:
                        break
                    data = changed
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # whoever waits on it wakes; what was under way is lost


def _late(data: bytes, rng: random.Random) -> bytes:
    time.sleep(rng.uniform(0, 0.4))
    return data


def _wrong(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _partly(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def _more(data: bytes, rng: random.Random) -> bytes:
    return data + rng.randbytes(50)


def _never(_data: bytes, _rng: random.Random) -> bytes:
    time.sleep(1.5)
    return b""


def _cut_off(_data: bytes, _rng: random.Random) -> None:
    return None


_FAULTS = {"late": _late, "wrong": _wrong, "partly": _partly, "more": _more, "never": _never, "cut off": _cut_off}


@pytest.fixture
def server() -> Iterator[StorageServer]:
    made = StorageServer(Faults())
    made.buckets.owners[BUCKET] = "emulated"
    yield made
    made.close()


def _up_and_down(server: StorageServer, file: Path) -> GuardError | None:
    """Upload, look, download: every answer that is no error is right."""
    try:
        with StorageClient() as client:
            sent = client.upload(file, BUCKET, file.name)
            assert sent.uploaded.hashes == hashes_of(file)
            assert server.buckets.get(BUCKET, file.name).data == file.read_bytes()
            out = io.BytesIO()
            client.download(client.look(ObjectUrl(BUCKET, file.name, 0)), out)
            assert out.getvalue() == file.read_bytes()
    except GuardError as error:
        return error
    return None


@pytest.mark.parametrize("name", _FAULTS)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_answer_is_right_or_an_error(
    server: StorageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # what is late comes, however busy the machine is
    monkeypatch.setattr(storage, "_TIMEOUT", (60, 60) if name == "late" else (1, 1))
    monkeypatch.setattr(storage, "PATIENCE", 60 if name == "late" else 2)
    port = int(server.address.rpartition(":")[2])
    struck, errors = 0, []
    for seed in range(20):
        if struck and seed >= (3 if name == "never" else 8):
            break  # how many connections there are, of which a seed strikes one, is a matter of time
        file = tmp_path / f"{name}-{seed}.tgz"
        file.write_bytes(random.Random(seed).randbytes(_SIZE))
        relay = Relay(port, _FAULTS[name], seed)
        monkeypatch.setenv(auth.STORAGE, relay.address)
        started = time.monotonic()
        error = _up_and_down(server, file)
        relay.close()
        struck += relay.struck
        errors += [error] if error is not None else []
        assert time.monotonic() - started < 60
    assert struck > 0
    assert all(one.exit_code in {1, 3} and one.hint for one in errors)
    assert not errors or name != "late"
