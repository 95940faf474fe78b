"""Cloud Storage by Google's own client, unmodified: against our emulator with its faults, and against another person's."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.gcp.emulator.faults import Faults
from buildguard.gcp.emulator.http import Handler, HttpServer
from buildguard.gcp.emulator.storage import StorageServer
from buildguard.gcp.storage import (
    ChangedError,
    ObjectHashes,
    ObjectUrl,
    StorageClient,
    StoredObject,
    default_bucket,
    hashes_of,
)
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
from buildguard.system import git as gits
from tests.conftest import ALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Project

_BUCKET = "acme_cloudbuild"
# each fault meets one way to send, and both ways meet a fault; the rest of the products in `./scripts/test all`
_WHOLE_DAMAGE = [("truncate-object", 9 << 20)] if ALL else []
_WHOLE_TROUBLE = [("http-429=2", 9 << 20), ("http-503=2", 1000)] if ALL else []
_SIZES = (0, 1, 1000, 300_000, 9 << 20)  # the last one is sent in pieces, and may be resumed


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., StorageServer]]:
    """Start an emulator with some faults, and point Google's client at it."""
    started: list[StorageServer] = []

    def start(*faults: str) -> StorageServer:
        made = StorageServer(Faults(faults))
        started.append(made)
        made.buckets.owners[_BUCKET] = "acme"
        monkeypatch.setenv(auth.STORAGE, made.address)
        return made

    yield start
    for one in started:
        one.close()


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """gcp-storage-emulator from the package index: written by others."""
    from gcp_storage_emulator.server import create_server

    made = create_server("127.0.0.1", 0, in_memory=True, default_bucket=_BUCKET)
    made.start()
    monkeypatch.setenv(auth.STORAGE, f"http://127.0.0.1:{made._api._httpd.server_port}")
    yield
    made.stop()


_open = contextlib.ExitStack()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """What a test opened is closed with it."""
    yield
    _open.close()


def _storage() -> StorageClient:
    return _open.enter_context(StorageClient())


def _file(folder: Path, size: int, seed: int = 1) -> Path:
    file = folder / f"{size}-{seed}.tgz"
    file.write_bytes(random.Random(seed).randbytes(size))
    return file


def _downloaded(storage: StorageClient, stored: Any) -> tuple[str, bytes]:
    out = io.BytesIO()
    return storage.download(stored, out), out.getvalue()


# ------------------------------------------------------------------------------------------ up and down


@pytest.mark.parametrize("size", _SIZES)
def test_what_was_sent_lies_there_and_comes_back(
    server: Callable[..., StorageServer], tmp_path: Path, size: int
) -> None:
    server()
    file = _file(tmp_path, size)
    seen: list[int] = []

    sent = _storage().upload(file, _BUCKET, "source/a b#é.tgz", seen.append)

    assert not sent.reused
    assert sent.uploaded.hashes == hashes_of(file)
    assert sent.uploaded.hashes.md5 == hashlib.md5(file.read_bytes()).hexdigest()
    assert max(seen) == size
    digest, data = _downloaded(_storage(), sent.uploaded)
    assert data == file.read_bytes()
    assert digest == hashlib.sha256(data).hexdigest()


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize("size", _SIZES[1:])
def test_the_same_with_an_emulator_of_others(tmp_path: Path, size: int) -> None:
    file = _file(tmp_path, size)

    sent = _storage().upload(file, _BUCKET, "source/a.tgz")

    assert sent.uploaded.hashes == hashes_of(file)
    assert _downloaded(_storage(), _storage().look(ObjectUrl(_BUCKET, "source/a.tgz", 0)))[1] == file.read_bytes()


def test_a_twin_is_reused_and_another_one_replaced(server: Callable[..., StorageServer], tmp_path: Path) -> None:
    server()
    first = _storage().upload(_file(tmp_path, 1000), _BUCKET, "a")

    twin = _storage().upload(_file(tmp_path, 1000), _BUCKET, "a")
    other = _storage().upload(_file(tmp_path, 1000, seed=2), _BUCKET, "a")

    assert twin == (first.uploaded, True, None)
    assert other.replaced == first.uploaded
    assert other.uploaded.generation > first.uploaded.generation
    # the one that was there can still be had by its generation
    assert _downloaded(_storage(), first.uploaded)[1] == _file(tmp_path, 1000).read_bytes()


@pytest.mark.parametrize(
    ("fault", "size"), [("flip-byte", 1000), ("truncate-object", 1000), ("flip-byte", 9 << 20), *_WHOLE_DAMAGE]
)
def test_damage_on_the_way_is_never_a_success(
    server: Callable[..., StorageServer], tmp_path: Path, fault: str, size: int
) -> None:
    server(f"{fault}=1")
    file = _file(tmp_path, size)

    with pytest.raises(ChangedError) as raised:
        _storage().upload(file, _BUCKET, "a")

    assert raised.value.exit_code == 1
    assert raised.value.hint
    again = _storage().upload(file, _BUCKET, "a")  # the next try replaces what is there
    assert again.uploaded.hashes == hashes_of(file)


@pytest.mark.parametrize(("fault", "size"), [("http-429=2", 1000), ("http-503=2", 9 << 20), *_WHOLE_TROUBLE])
def test_passing_trouble_is_waited_out(
    server: Callable[..., StorageServer], tmp_path: Path, fault: str, size: int
) -> None:
    server(fault)
    file = _file(tmp_path, size)

    assert _storage().upload(file, _BUCKET, "a").uploaded.hashes == hashes_of(file)


def test_a_client_that_leaves_is_no_fault_of_the_emulator(
    server: Callable[..., StorageServer], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    made = server()
    _storage().upload(_file(tmp_path, 9 << 20), _BUCKET, "large.tgz")
    host, _, port = made.address.rpartition("/")[2].partition(":")
    threads = threading.active_count()
    with socket.create_connection((host, int(port))) as leaving:
        leaving.sendall(f"GET /storage/v1/b/{_BUCKET}/o/large.tgz?alt=media HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert leaving.recv(100).startswith(b"HTTP/1.1 200")
        leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until = time.monotonic() + 60
    while threading.active_count() > threads and time.monotonic() < until:
        time.sleep(0.01)

    assert threading.active_count() <= threads
    assert capfd.readouterr().err == ""
    assert made.buckets.get(_BUCKET, "large.tgz").data == (tmp_path / f"{9 << 20}-1.tgz").read_bytes()


def test_what_may_not_be_written_is_told_in_words(server: Callable[..., StorageServer], tmp_path: Path) -> None:
    server("bucket-403")

    with pytest.raises(UnprovenError, match=r"permission denied: the account does not have storage\.objects\.create"):
        _storage().upload(_file(tmp_path, 10), _BUCKET, "a")


def test_what_is_not_there(server: Callable[..., StorageServer], tmp_path: Path) -> None:
    server()

    with pytest.raises(UnprovenError, match="No such object"):
        _storage().look(ObjectUrl(_BUCKET, "nothing", 0))
    with pytest.raises(UnprovenError, match="bucket does not exist"):
        _storage().upload(_file(tmp_path, 10), "nowhere-at-all", "a")
    sent = _storage().upload(_file(tmp_path, 10), _BUCKET, "a")
    with pytest.raises(UnprovenError, match="No such object"):
        _storage().look(ObjectUrl(_BUCKET, "a", sent.uploaded.generation + 1))


class _LoginPage(Handler):
    """What a proxy answers in Google's place, with a status of 200."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        page = b"<html>Please log in</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    do_POST = do_PUT = do_GET  # noqa: N815


def test_an_answer_that_is_none_of_googles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = HttpServer(_LoginPage, "a login page")
    monkeypatch.setenv(auth.STORAGE, page.address)
    storage, stored = _storage(), StoredObject(_BUCKET, "a", 1, ObjectHashes(9, "", "00000000"))

    with pytest.raises(UnprovenError, match="the answer does not come from Google") as told:
        storage.look(ObjectUrl(_BUCKET, "a", 0))
    assert "proxy" in told.value.hint
    with pytest.raises(UnprovenError):
        storage.upload(_file(tmp_path, 10), _BUCKET, "a")
    with pytest.raises(UnprovenError):
        storage.download(stored, io.BytesIO())
    with pytest.raises(UnprovenError):
        storage.create(_BUCKET, "a", b"x")
    page.close()


@pytest.mark.parametrize(
    ("body", "reason"), [(b'{"name": "a', "parseError"), (b"[1]", "parseError"), (b'{"nbme": "a"}', "required")]
)
def test_a_request_that_was_damaged_is_answered(server: Callable[..., StorageServer], body: bytes, reason: str) -> None:
    url = f"{server().address}/upload/storage/v1/b/{_BUCKET}/o?uploadType=resumable"
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}))

    assert answer.value.code == 400
    assert json.loads(answer.value.read())["error"]["errors"][0]["reason"] == reason


def test_an_object_that_changes_while_it_is_fetched(server: Callable[..., StorageServer], tmp_path: Path) -> None:
    made = server()
    sent = _storage().upload(_file(tmp_path, 1000), _BUCKET, "a")
    key = (_BUCKET, "a")
    made.buckets._objects[key] = [one._replace(data=one.data[:-1] + b"?") for one in made.buckets._objects[key]]

    with pytest.raises(UnprovenError, match="cannot be read as it is stored: md5"):
        _downloaded(_storage(), sent.uploaded)


# ------------------------------------------------------------------------------------------ buckets


def test_cloud_builds_own_bucket_is_made_where_it_is_missing(server: Callable[..., StorageServer]) -> None:
    made = server()

    assert _storage().ensure("", "acme") == _BUCKET
    assert _storage().ensure("", "new-project") == "new-project_cloudbuild"
    assert made.buckets.owners["new-project_cloudbuild"] == "new-project"
    assert _storage().ensure(_BUCKET, "acme") == _BUCKET


def test_a_bucket_of_somebody_elses_is_refused(server: Callable[..., StorageServer]) -> None:
    made = server()
    made.buckets.owners["victim_cloudbuild"] = "attacker"

    with pytest.raises(UnprovenError, match="does not belong to the project victim"):
        _storage().ensure("", "victim")


def test_names_of_buckets_are_gclouds() -> None:
    assert default_bucket("example.com:api") == "example_com_api_cloudbuild"
    assert default_bucket("my-google-project") == "my-elgoog-project_cloudbuild"


# ------------------------------------------------------------------------------------------ as a stage


@pytest.fixture
def sent(
    server: Callable[..., StorageServer], repository: Callable[..., Project], tmp_path: Path
) -> tuple[Project, str]:
    """A repository and its commit's archive in the bucket."""
    made = server()
    project = repository({"Dockerfile": "FROM python:3.11\n", "app/a.py": "x = 1\n", "app/b.py": "y = 2\n"})
    project.env = {auth.STORAGE: made.address}
    repo = gits.repository_of(project.path)
    assert repo is not None
    archive = tmp_path / "sent.tgz"
    pack(commit_of(repo, "HEAD"), archive)
    stored = _storage().upload(archive, _BUCKET, "source/x.tgz").uploaded
    return project, stored.url


def test_the_hop_to_the_bucket_is_identical(sent: tuple[Project, str]) -> None:
    project, url = sent

    result = project.run("diff", "commit:HEAD", url, "--format", "json")

    assert result.code == 0, result.out + result.err
    assert [hop["identical"] for hop in result.json["hops"]] == [True]
    assert project.run("manifest", url).out == project.run("manifest", "commit:HEAD").out


def test_the_first_hop_that_changed_is_the_bucket(sent: tuple[Project, str], tmp_path: Path) -> None:
    project, _url = sent
    folder = tmp_path / "other"
    folder.mkdir()
    for name in ("Dockerfile", "README", "app"):
        subprocess.run(["cp", "-r", project.path / name, folder], check=True)
    (folder / "app/a.py").write_bytes(b"x = 1\r\n")
    archive = tmp_path / "other.tgz"
    subprocess.run(["tar", "-C", folder, "-czf", archive, "."], check=True)
    url = _storage().upload(archive, _BUCKET, "source/y.tgz").uploaded.url

    result = project.run("diff", "commit:HEAD", "dir:.", url.partition("#")[0], "--format", "json")

    assert result.code == 1
    assert result.json["first_changed_hop"] == 1
    (row,) = result.json["hops"][1]["differences"]
    assert (row["path"], row["cause"]) == ("app/a.py", "line-endings")
    text = project.run("diff", "commit:HEAD", url.partition("#")[0])
    assert f"is {url} at this time" in text.out + text.err


def test_check_reads_an_object(sent: tuple[Project, str], tmp_path: Path) -> None:
    project, url = sent
    scratch = tmp_path / "scratch"  # its own: that of this machine holds the objects of runs beside it
    scratch.mkdir()
    project.env["TMPDIR"] = str(scratch)

    report = project.check(url)

    assert report.code == 0, report.out + report.err
    assert report.json["summary"]["files"] == 2
    assert not [name for name in os.listdir(scratch) if name.startswith("buildguard-") and (scratch / name).is_dir()]


def test_an_object_that_is_not_there_is_unproven(sent: tuple[Project, str]) -> None:
    project, _url = sent

    result = project.run("diff", "commit:HEAD", f"gs://{_BUCKET}/nothing.tgz", "--format", "json")

    assert result.code == 3
    assert "No such object" in result.out + result.err


# ------------------------------------------------------------------------------------------ addresses and secrets


@pytest.mark.parametrize(
    "text", ["gs://", "gs://b", "gs://bucket/", "gs://bucket/a#", "gs://bucket/a#x", "gs://BUCKET/a", "gs://bucket/a b"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="names no object"):
        ObjectUrl.parse(text)


def test_addresses() -> None:
    assert ObjectUrl.parse("gs://bucket/a/b.tgz#12") == ("bucket", "a/b.tgz", 12)
    assert ObjectUrl.parse("gs://bucket/a/b.tgz") == ("bucket", "a/b.tgz", 0)


@pytest.mark.parametrize(
    "address",
    [
        "http://192.0.2.1:80",
        "http://example.com:80",
        "https://127.0.0.1:80",
        "http://127.0.0.1",
        "ftp://127.0.0.1:1",
        "http://[::2]:9",
    ],
)
def test_an_emulator_is_on_loopback_or_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv(auth.STORAGE, address)

    with pytest.raises(UsageError):
        StorageClient()


def test_a_service_account_is_impersonated_as_gcloud_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = tmp_path / "adc.json"
    key.write_text('{"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "acme")
    own, _project = auth.credentials()
    assert type(own).__name__ == "Credentials"
    monkeypatch.setenv("CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT", "deployer@acme.iam.gserviceaccount.com")

    found, project = auth.credentials()

    assert found.service_account_email == "deployer@acme.iam.gserviceaccount.com"
    assert project == "acme"


def test_without_credentials_the_next_step_is_told(project: Callable[..., Project]) -> None:
    made = project({"a.py": ""})
    made.env = {"GOOGLE_APPLICATION_CREDENTIALS": "", "NO_GCE_CHECK": "true", "CLOUDSDK_CONFIG": str(made.path)}
    made.git("init", "--quiet")

    result = made.run("diff", "dir:.", "gs://bucket/object")

    assert result.code == 3
    assert "no Google credentials found" in result.out + result.err
    assert "gcloud auth application-default login" in result.out + result.err


_PLANTED = [
    "ya29.a0AfH6SMBx-planted_secret-123",
    "Authorization: Bearer planted-secret-123",
    '{"access_token": "planted-secret-123"}',
    "https://storage.googleapis.com/x?X-Goog-Signature=planted-secret-123&y=1",
    "-----BEGIN PRIVATE KEY-----\nplanted-secret-123\n-----END PRIVATE KEY-----",
    "eyJhbGciOi.planted-secret-123.c2ln",
    "client_secret=planted-secret-123",
]


@pytest.mark.parametrize("text", _PLANTED)
def test_nothing_secret_is_said(text: str) -> None:
    found = auth.error_text(Exception(f"request failed: {text} (400)"))

    assert "planted" not in found
    assert found.startswith("request failed: ")


def test_hashes_name_what_differs() -> None:
    ours = ObjectHashes(3, "aa", "bb")

    assert ours.differs(ours) == ""
    assert ours.differs(ObjectHashes(3, "", "bb")) == ""  # a composed object has no md5
    assert "size 3 was sent, 4 is there" in ours.differs(ObjectHashes(4, "aa", "bb"))
    assert "md5" in ours.differs(ObjectHashes(3, "ab", "bb"))
    assert "crc32c" in ours.differs(ObjectHashes(3, "", "bc"))
