"""Lines that break: what lies between a run and the container engine, or the bucket, fails at a seeded place of the traffic.

A relay stands there. Once it only counts, so that a seed can choose one of the connections, a way, and a byte; then it
strikes there: the connection is reset, closed, held up, altered, or everything is gone, as when a daemon is killed. What
is compared with each run: nothing is called clean that was not seen whole, nothing is accused that is clean, what was sent
is there whole or is told, and nothing stays behind. `python -m tests.trust.lines 20` does twenty of each.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import socketserver
import struct
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from buildguard.docker import client, sandbox
from buildguard.errors import UnprovenError
from buildguard.gcp import auth
from buildguard.gcp.emulator.faults import Faults
from buildguard.gcp.emulator.storage import StorageServer
from buildguard.gcp.storage import StorageClient
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
from buildguard.system import git as gits
from buildguard.system import owner as owners
from tests import images
from tests.trust import killed
from tests.trust.killed import BAD, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUCKET = "acme_cloudbuild"
_CHUNK = 1 << 14
_HELD_UP = 1.0  # seconds


class Strike(NamedTuple):
    """What happens, in which connection (from 0), on the way up to the service or down, at which byte."""

    kind: str
    connection: int
    down: bool
    at: int


class Line:
    """A relay to an address (a host and port, or the path of a socket); `traffic` counts bytes up and down, by connection."""

    def __init__(self, there: tuple[str, int] | str, strike: Strike | None = None) -> None:
        self._there, self._strike = there, strike
        self.struck = False
        self.traffic: list[list[int]] = []
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        line = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                line._relay(self.request)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._sever(self._open)

    def _relay(self, here: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX if isinstance(self._there, str) else socket.AF_INET) as there:
            there.connect(self._there)
            with self._lock:
                number = len(self.traffic)
                self.traffic.append([0, 0])
                self._open += [here, there]
            back = threading.Thread(target=self._pump, args=(there, here, number, True), daemon=True)
            back.start()
            self._pump(here, there, number, False)
            back.join()

    def _pump(self, source: socket.socket, sink: socket.socket, number: int, down: bool) -> None:
        strike = self._strike
        if strike is not None and (strike.connection, strike.down) != (number, down):
            strike = None
        seen = self.traffic[number]
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                before, seen[down] = seen[down], seen[down] + len(data)
                if strike is not None and not self.struck and before <= strike.at < seen[down]:
                    at = strike.at - before
                    sink.sendall(data[:at])
                    data = self._strikes(strike.kind, data[at:], [source, sink])
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _strikes(self, kind: str, data: bytes, both: list[socket.socket]) -> bytes:
        self.struck = True
        if kind == "stall":
            time.sleep(_HELD_UP)
        elif kind == "flip":
            return bytes([data[0] ^ 0x08]) + data[1:]
        elif kind == "gone":
            self._server.socket.close()
            self._sever(self._open)
        elif kind == "reset":
            self._sever(both)
        else:
            for one in both:
                one.shutdown(socket.SHUT_RDWR)
        return data

    @staticmethod
    def _sever(several: list[socket.socket]) -> None:
        for one in several:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class Field:
    """A repository, its archive in a bucket, its image in the engine; and what a run says where no line breaks."""

    def __init__(self, folder: Path, engine: str) -> None:
        base = images.base("3.11")
        self.place = Place(folder, base)
        self.tag = images.derived(
            f"{images.REPOSITORY}/lines:{os.getpid()}",
            base,
            {f"app/{name}": content for name, content in self.place.files.items()},
            ["WORKDIR /app"],
        )
        self.archive = folder / "sent.tgz"
        repository = gits.repository_of(self.place.path)
        assert repository is not None
        pack(commit_of(repository, "HEAD"), self.archive)
        self.storage = StorageServer(Faults(()))
        self.storage.buckets.owners[_BUCKET] = "acme"
        host, _, port = self.storage.address.rpartition("/")[2].partition(":")
        self.there: dict[str, tuple[str, int] | str] = {
            "engine": engine.removeprefix("unix://"),
            "bucket": (host, int(port)),
        }
        self.url = self._sent("source/first.tgz", self.storage.address)
        self.commands: dict[str, tuple[str, ...]] = {
            "check": ("check", "--format", "json", "--engine", "container", "--no-cache"),
            "image": ("diff", "commit:HEAD", f"image:{self.tag}", "--format", "json"),
            "fetch": ("diff", "commit:HEAD", self.url, "--format", "json"),
        }
        self.traffic: dict[str, list[list[int]]] = {}
        self.truth: dict[str, Any] = {}
        for what in OPERATIONS:
            with self._line(what) as line:
                self.truth[what] = self._told(what, line, 0)
                self.traffic[what] = [[*counts] for counts in line.traffic]
        assert {one["path"] for one in self.truth["check"][1]["diagnostics"] if one["severity"] == "error"} == BAD
        assert self.truth["fetch"][0] == 0
        assert self.truth["image"][1]["hops"]

    def close(self) -> None:
        self.storage.close()
        images.api().remove_image(self.tag, force=True)

    def trial(self, kind: str, seed: int) -> str | None:
        """What was wrong under one strike; None where nothing was struck."""
        what, how = kind.split(" ")
        rng = random.Random(f"{kind} {seed}")
        traffic = self.traffic[what]
        weights = [max(up, down) ** 0.5 for up, down in traffic]  # a long one is chosen more often, but not always
        (connection,) = rng.choices(range(len(traffic)), weights)
        down = rng.random() < 0.6
        strike = Strike(how, connection, down, rng.randrange(max(1, traffic[connection][down])))
        with self._line(what, strike) as line:
            said = self._told(what, line, seed)
            if not line.struck:
                return None
        judged, left = self._judged(what, said), self._left(what)
        return judged or left

    @contextmanager
    def _line(self, what: str, strike: Strike | None = None) -> Iterator[Line]:
        line = Line(self.there["engine" if what in {"check", "image"} else "bucket"], strike)
        try:
            yield line
        finally:
            line.close()

    def _told(self, what: str, line: Line, seed: int) -> Any:
        """A run through a line: its status and answer; of an upload whether it says that it is there, and what does."""
        if what == "send":
            name = f"source/{seed}-{time.monotonic_ns()}.tgz"
            try:
                self._sent(name, f"http://{line.address}")
            except UnprovenError:
                return False, b""
            return True, self.storage.buckets.get(_BUCKET, name).data
        variable, scheme = ("DOCKER_HOST", "tcp") if what in {"check", "image"} else (auth.STORAGE, "http")
        self.place.env[variable] = f"{scheme}://{line.address}"
        status, out = self.place.run(self.commands[what])
        try:
            return status, json.loads(out)
        except ValueError:
            return status, None

    def _sent(self, name: str, address: str) -> str:
        before = os.environ.get(auth.STORAGE)
        os.environ[auth.STORAGE] = address
        try:
            with StorageClient() as storage:
                return storage.upload(self.archive, _BUCKET, name).uploaded.url
        finally:
            del os.environ[auth.STORAGE]
            if before is not None:
                os.environ[auth.STORAGE] = before

    def _judged(self, what: str, said: Any) -> str:
        """The first thing that is wrong about what a run says."""
        if what == "send":
            there, content = said
            return "it says sent, and something else is there" if there and content != self.archive.read_bytes() else ""
        status, report = said
        if status == 3:
            return _unproven(report)
        if status not in {0, 1} or report is None:
            return f"it ended with {status} and says {report}"
        true_status, truth = self.truth[what]
        if what == "check" and status == 1 and report["unproven"]:  # what the rules see needs no engine
            accused = {one["path"] for one in report["diagnostics"] if one["severity"] == "error"}
            return "" if accused <= BAD else f"accused are {sorted(accused - BAD)}"
        same = status == true_status and all(
            report.get(key) == truth.get(key) for key in ("diagnostics", "hops", "unproven", "first_changed_hop")
        )
        return "" if same else f"it ended with {status}, and says what is not so"

    def _left(self, what: str) -> str:
        if words := killed.still_running(self.place):
            return words
        if what in {"check", "image"}:
            with closing(client.connect()) as reached:
                sandbox.remove_orphans(reached)  # as the next run does
                ours = reached.api.containers(all=True, filters={"label": "buildguard.owner"})
            left = [
                one["Id"]
                for one in ours
                if (holder := owners.parse(one["Labels"]["buildguard.owner"])) and holder.pid in self.place.started
            ]
            if left:
                return f"containers are left: {left}"
        left = sorted(name for name in os.listdir(self.place.temporary) if "buildguard" in name)
        for name in left:  # once is enough to say it
            path = self.place.temporary / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return f"left in the folder for temporary files: {left}" if left else ""


def _unproven(report: Any) -> str:
    """What is wrong about a run that could not look at something: it says so, and calls nothing clean."""
    if report is None:
        return ""
    if any(hop["identical"] for hop in report.get("hops", [])):
        return "what was not seen is called identical"
    return "" if report["unproven"] else "nothing is said to be unproven"


OPERATIONS = ("check", "image", "fetch", "send")
KINDS = [
    *(f"{what} {how}" for what in ("check", "image") for how in ("reset", "close", "stall", "gone")),
    *(f"{what} {how}" for what in ("fetch", "send") for how in ("reset", "close", "stall", "flip")),
]


def main(times: int) -> int:
    """Each kind that often; 1 where anything was wrong."""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        field = Field(Path(folder), client.connect().address.url)
        for kind in KINDS:
            started = time.monotonic()
            said = [field.trial(kind, seed) for seed in range(times)]
            found = [words for words in said if words]
            wrong += len(found)
            happened = sum(words is not None for words in said)
            print(
                f"{kind:14} {happened} of {times} struck, {len(found)} wrong {found[:3]}, {time.monotonic() - started:.0f} s",
                flush=True,
            )
        field.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
