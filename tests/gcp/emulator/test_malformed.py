"""Requests that make no sense, and uploads that are cut off: an answer each, nothing half stored, and no traceback."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from buildguard.gcp.emulator.faults import Faults
from buildguard.gcp.emulator.http import Handler, HttpServer
from buildguard.gcp.emulator.storage import StorageServer
from buildguard.gcp.emulator.uploads import UploadSession

if TYPE_CHECKING:
    from collections.abc import Iterator

_UPLOAD = "/upload/storage/v1/b/bucket/o"


def _ask(server: StorageServer | HttpServer, data: bytes) -> bytes:
    """What a server answers to some bytes, after which the client says no more."""
    with socket.create_connection(("127.0.0.1", urlsplit(server.address).port or 0), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def _request(method: str, path: str, body: bytes = b"", length: object = None, **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body) if length is None else length}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body


@pytest.fixture
def storage() -> Iterator[StorageServer]:
    server = StorageServer(Faults(()))
    server.buckets.create("bucket", "p")
    yield server
    server.close()


def _begin(storage: StorageServer, **metadata: object) -> str:
    """The path of a resumable upload."""
    body = json.dumps({"name": "o", **metadata}).encode()
    answer = _ask(storage, _request("POST", f"{_UPLOAD}?uploadType=resumable", body))
    location = next(line for line in answer.decode().split("\r\n") if line.startswith("Location: "))
    return _UPLOAD + "?" + urlsplit(location.removeprefix("Location: ")).query


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


_CHUNKED = f"POST {_UPLOAD}?uploadType=media&name=o HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
_SENSELESS = {
    "generation": _request("GET", "/storage/v1/b/bucket/o/x?generation=abc"),
    "precondition": _request("POST", f"{_UPLOAD}?uploadType=media&name=o&ifGenerationMatch=x", b"d"),
    "length": _request("POST", f"{_UPLOAD}?uploadType=media&name=o", b"d", "abc"),
    "negative length": _request("POST", f"{_UPLOAD}?uploadType=media&name=o", b"d", -5),
    "cut off": _request("POST", f"{_UPLOAD}?uploadType=media&name=o", b"half", 100),
    "chunk": _CHUNKED + b"zz\r\n",
    "negative chunk": _CHUNKED + b"-5\r\nabcde\r\n0\r\n\r\n",
    "cut chunk": _CHUNKED + b"5\r\nab",
    "missing chunk": _CHUNKED,
    "no parts": _request("POST", f"{_UPLOAD}?uploadType=multipart", b"x", Content_Type="a/b; boundary=xx"),
    "nesting": _request("POST", "/storage/v1/b", b"[" * 100_000),
    "surrogate": _request("POST", f"{_UPLOAD}?uploadType=resumable", b'{"name": "\\ud800"}'),
    "address": _request("GET", "http://[/x"),
}


@pytest.mark.parametrize("name", _SENSELESS)
def test_what_makes_no_sense_is_refused(storage: StorageServer, capfd: pytest.CaptureFixture[str], name: str) -> None:
    assert _status(_ask(storage, _SENSELESS[name])) == 400
    assert storage.buckets.names("bucket", "") == []
    assert capfd.readouterr().err == ""


def test_a_header_makes_no_other_header(storage: StorageServer) -> None:
    for kind in ("a/b\r\nX-Other: 1", "a/\u4f60", ["a"]):
        assert _status(_ask(storage, _request("PUT", _begin(storage, contentType=kind), b"x"))) == 200
        answer = _ask(storage, _request("GET", "/download/storage/v1/b/bucket/o/o?alt=media"))
        assert _status(answer) == 200
        assert b"\r\nX-Other" not in answer


def test_a_resumable_upload_that_is_cut_off_goes_on(storage: StorageServer) -> None:
    path = _begin(storage)
    assert _status(_ask(storage, _request("PUT", path, b"half", 100))) == 400  # without a range
    assert _status(_ask(storage, _request("PUT", path, b"0123", Content_Range="bytes 0-3/10"))) == 308
    for body, part in ((b"89", "8-9/10"), (b"", "*/10")):  # the first would leave a gap
        answer = _ask(storage, _request("PUT", path, body, Content_Range=f"bytes {part}"))
        assert (_status(answer), b"Range: bytes=0-3\r\n" in answer) == (308, True)
    assert _status(_ask(storage, _request("PUT", path, b"3456789x", Content_Range="bytes 3-9/10"))) == 400
    assert _status(_ask(storage, _request("PUT", path, b"3456789", Content_Range="bytes 3-9/10"))) == 200
    assert storage.buckets.get("bucket", "o").data == b"0123456789"


def test_a_client_that_asks_again_gets_the_same_object(storage: StorageServer) -> None:
    path = _begin(storage)
    first = _ask(storage, _request("PUT", path, b"01", Content_Range="bytes 0-1/2"))
    again = _ask(storage, _request("PUT", path, Content_Range="bytes */2"))

    generation = json.loads(first.partition(b"\r\n\r\n")[2])["generation"]
    assert json.loads(again.partition(b"\r\n\r\n")[2])["generation"] == generation
    assert len(storage.buckets.objects()[0][1]) == 1


@pytest.mark.parametrize(
    "content_range", ["bytes", "bytes 0-/2", "bytes 0-1/1", "bytes 1-0/5", f"bytes 0-1/{'9' * 5000}"]
)
def test_a_range_that_makes_no_sense(content_range: str) -> None:
    with pytest.raises(ValueError, match="Content-Range"):
        UploadSession("bucket", "o", {}, None).take(content_range, b"01")


def test_uploads_at_once_are_not_mixed(storage: StorageServer) -> None:
    def upload(number: int) -> None:
        path = _begin(storage, name=f"o{number}")
        for at in range(3):
            _ask(storage, _request("PUT", path, b"%03d" % number, Content_Range=f"bytes {3 * at}-{3 * at + 2}/9"))

    with ThreadPoolExecutor(16) as clients:
        list(clients.map(upload, range(60)))

    assert {(name, stored[-1].data) for (_bucket, name), stored in storage.buckets.objects()} == {
        (f"o{number}", b"%03d" % number * 3) for number in range(60)
    }


def test_an_answer_that_was_begun_gets_no_second_one() -> None:
    class Broken(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            raise LookupError("gone")

    server = HttpServer(Broken, "broken")
    try:
        answers = [_ask(server, _request("GET", "/")) for _ in range(2)]
    finally:
        server.close()

    assert [answer.count(b"HTTP/1.1") for answer in answers] == [1, 1]
    assert list(map(_status, answers)) == [200, 200]
