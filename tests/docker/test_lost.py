"""What goes wrong around a container: each gives one plain line and exit 3, is never a pass, and leaves nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest

from buildguard.docker import client, sandbox
from buildguard.project.deploy_table import PLATFORM
from buildguard.system import owner as owners
from tests import images
from tests.conftest import missing
from tests.docker.conftest import leftovers, owner, pid_of
from tests.system.namespaces import in_pid_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Project, Result


class Engine:
    """A dockerd of the test's own, to be killed and starved."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.url = f"unix://{folder}/docker.sock"
        # in a network of its own: without a bridge it would take that of another engine away
        self._argv = ["unshare", "--net", "dockerd", "--bridge", "none", "--iptables=false", "--host", self.url]
        self._argv += ["--data-root", str(data), "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")]
        self._folder = folder
        self._log = folder / "log"
        self.start()

    def start(self) -> None:
        # where no one reaps zombies, a killed engine's containerd still seems to be there
        (self._folder / "exec/containerd/containerd.pid").unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._argv, stdout=log, stderr=log)
        for _ in range(600):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(10)
                try:
                    connection.connect(self.url.removeprefix("unix://"))
                    connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                    if b" 200 " in connection.recv(100):
                        return
                except OSError:
                    assert self.process.poll() is None, self._log.read_text()[-500:]
            time.sleep(0.25)
        pytest.fail(f"dockerd does not start: {self._log.read_text()[-500:]}")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is not None:
            self.start()  # so that it ends what a killed one left running
        self.process.terminate()
        self.process.wait(120)


def _possible() -> None:
    if os.geteuid() != 0 or shutil.which("dockerd") is None:
        missing("dockerd, as root", "apt-get install docker.io, and run the tests as root")


@pytest.fixture
def own_engine(engine: str) -> Iterator[Callable[..., Engine]]:
    """Start an engine that has the image of Python 3.11, and make it the one that is used."""
    _possible()
    folder = Path(tempfile.mkdtemp(prefix="buildguard-engine-"))  # not pytest's: what is mounted here would stay there
    saved = b"".join(images.api().get_image(images.base("3.11")))
    with pytest.MonkeyPatch.context() as patch:
        started: list[Engine] = []

        def start(data: Path | None = None) -> Engine:
            started.append(Engine(folder, data or folder / "data"))
            patch.setenv("DOCKER_HOST", started[0].url)
            for event in images.api().load_image(saved):
                assert "error" not in event, event
            return started[0]

        yield start
        for one in started:
            one.stop()
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    for mount in sorted((one for one in mounted if one.startswith(str(folder))), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False)
    shutil.rmtree(folder)


def _plain(result: Result, *words: str) -> None:
    """Exit 3, the words on one line, and no traceback."""
    assert result.code == 3, result.out + result.err
    for word in words:
        assert word in result.out + result.err
    assert "Traceback" not in result.out + result.err
    assert "clean" not in result.out


_BASE = f"{images.REPOSITORY}/python:3.11-slim"
_FILES = {"Dockerfile": f"FROM {_BASE}\n", "a.py": "x = 1\n"}


# ------------------------------------------------------------------------------------------ not to be reached


def test_no_engine(project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> None:
    made = project(_FILES)

    _plain(
        made.run("check", "--engine", "container"),
        "/nowhere/docker.sock is not there (from DOCKER_HOST)",
        "install Docker",
    )
    _plain(made.run("check", "image:x"), "/nowhere/docker.sock is not there (from DOCKER_HOST)", "install Docker")


def test_a_stopped_engine(project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that no one listens on, as a stopped daemon leaves it."""
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "docker.sock"))
    left.close()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")

    _plain(project(_FILES).run("check", "--engine", "container"), "does not run: connection refused", "start it")


def test_a_socket_that_is_not_ours(engine: str, project: Callable[..., Project], tmp_path: Path) -> None:
    """As an unprivileged user, in front of the real socket."""
    _possible()
    made = project(_FILES)
    tmp_path.chmod(0o755)
    code = (
        "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sys.path.insert(0, os.environ['SOURCE']); from buildguard.docker import client as daemon\n"
        "from buildguard.errors import UnprovenError\n"
        "try: daemon.connect()\nexcept UnprovenError as error: print(error.words)"
    )
    # what is imported is imported before the privileges go: they may not reach the packages
    code = "import docker, buildguard.docker.client, encodings.idna\n" + code
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=made.path,
        env={**os.environ, "SOURCE": "/"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "refuses us: permission denied" in done.stdout, done.stderr
    assert "usermod -aG docker" in done.stdout


def test_a_context_that_is_not_there(project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONTEXT", "staging")

    _plain(
        project(_FILES).run("check", "--engine", "container"),
        "there is no Docker context 'staging'",
        "docker context ls",
    )


def test_certificates_that_are_not_there(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:2376")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))

    _plain(project(_FILES).run("check", "--engine", "container"), "DOCKER_CERT_PATH", "certificate")


def test_a_damaged_context(project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> None:
    from docker.context import ContextAPI

    monkeypatch.delenv("DOCKER_HOST")
    folder = Path(os.environ["HOME"], ".docker")
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    ContextAPI.create_context("mine", host="unix:///nowhere/other.sock")
    (meta,) = folder.rglob("meta.json")
    meta.write_text("{")
    monkeypatch.setenv("DOCKER_CONTEXT", "mine")

    _plain(project(_FILES).run("check", "--engine", "container"), "the Docker context cannot be read")


def test_the_active_context_is_honoured(
    engine: str, project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    from docker.context import ContextAPI

    images.base("3.11")
    monkeypatch.delenv("DOCKER_HOST")
    folder = os.path.join(os.environ["HOME"], ".docker")
    os.mkdir(folder)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        file.write("{}")
    ContextAPI.create_context("mine", host=engine)
    ContextAPI.create_context("other", host="unix:///nowhere/other.sock")
    made = project(_FILES)

    ContextAPI.set_current_context("other")
    _plain(made.run("check", "--engine", "container"), "/nowhere/other.sock", "(from the Docker context 'other')")
    ContextAPI.set_current_context("mine")
    assert made.run("check", "--engine", "container").code == 0
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    _plain(made.run("check", "--engine", "container"), "/nowhere/other.sock")


@contextmanager
def _relayed(
    engine: str, answer: Callable[[bytes], bytes | None] = lambda _request: None, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The engine behind a relay, which gives some requests an answer of its own; one that is no JSON ends the connection."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as there:
                there.connect(engine.removeprefix("unix://"))
                threading.Thread(target=self.up, args=(there,), daemon=True).start()
                _pass_on(there, self.request)

        def up(self, there: socket.socket) -> None:
            with suppress(OSError):
                while data := self.request.recv(65536):
                    ours = answer(data)
                    if ours is None:
                        there.sendall(data)
                        continue
                    self.request.sendall(ours)
                    if not ours.endswith((b"}", b"]")):
                        break
                there.shutdown(socket.SHUT_WR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _answered(status: int, found: object) -> bytes:
    body = json.dumps(found).encode()
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("tls", [False, True])
def test_an_engine_over_tcp(
    engine: str, project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, tls: bool
) -> None:
    """Through a forwarder on loopback, as a remote engine is reached; with certificates on both sides, and without."""
    images.base("3.11")
    context = None
    if tls:
        _certificates(tmp_path)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "ca.pem")
        context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
        # which knows nothing of ours
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    with _relayed(engine, tls=context) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        made = project({**_FILES, "bad.py": "f(\n", "big.py": "x = '" + "a" * 3_000_000 + "'\n", **_many(60)})

        result = made.check("--engine", "container")

    assert result.json["unproven"] == []
    assert result.codes()["bad.py"] == ["BG101"]
    assert result.json["summary"]["files"] == 63


def test_an_engine_that_refuses_to_remove(
    engine: str, spotless: None, project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As engines do of a container that is just ending: podman with its own words, Docker with a status of 409."""
    images.base("3.11")
    refusals = iter([(500, "container state improper"), (409, "removal is already in progress")])
    refused: list[int] = []

    def answer(request: bytes) -> bytes | None:
        if not request.startswith(b"DELETE ") or (refusal := next(refusals, None)) is None:
            return None
        refused.append(refusal[0])
        return _answered(refusal[0], {"message": refusal[1]})

    with _relayed(engine, answer) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        result = project({**_FILES, "bad.py": "f(\n"}).check("--engine", "container")

    assert result.codes()["bad.py"] == ["BG101"]
    assert refused == [500, 409]


@pytest.mark.parametrize("kept", [b"", b"X-Docker-Container-Path-Stat: eyJuYW1lIj"], ids=["none of it", "half"])
def test_an_answer_that_breaks_in_its_head(
    engine: str, spotless: None, project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, kept: bytes
) -> None:
    """Python's own client takes what there is of a head for all of it."""
    images.base("3.11")

    def answer(request: bytes) -> bytes | None:
        return b"HTTP/1.1 200 OK\r\n" + kept if request.startswith(b"HEAD ") and b"/archive" in request else None

    with _relayed(engine, answer) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        result = project({**_FILES, "bad.py": "f(\n"}).check("--engine", "container", "--no-cache")

    assert result.code == 3
    assert "the container engine's answer is cut" in json.dumps(result.json["unproven"]) + result.err


def _certificates(folder: Path) -> None:
    """One that stands for the authority, for the server and for the client."""
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    argv += [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(folder / "key.pem"),
        "-out",
        str(folder / "cert.pem"),
    ]
    subprocess.run(argv, capture_output=True, check=True)
    shutil.copy(folder / "cert.pem", folder / "ca.pem")


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    try:
        while data := here.recv(65536):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_an_engine_over_ssh(
    engine: str, project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An ssh that is one but for the network: it runs what it is told to, here, as `docker system dial-stdio` does."""
    images.base("3.11")
    ssh = tmp_path / "bin" / "ssh"
    ssh.parent.mkdir()
    path = engine.removeprefix("unix://")
    ssh.write_text(
        f"#!{sys.executable}\n"
        "import os, socket, sys, threading\n"
        "assert sys.argv[-5:] == ['--', 'me@far', 'docker', 'system', 'dial-stdio'], sys.argv\n"
        "assert sys.argv[sys.argv.index('-p') + 1] == '2222'\n"
        f"there = socket.socket(socket.AF_UNIX); there.connect({path!r})\n"
        "def up():\n"
        "    while data := os.read(0, 65536): there.sendall(data)\n"
        "    there.shutdown(socket.SHUT_WR)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := there.recv(65536): os.write(1, data)\n"
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", "ssh://me@far:2222")
    made = project({**_FILES, "bad.py": "f(\n", "big.py": "x = '" + "a" * 3_000_000 + "'\n"})

    assert made.check("--engine", "container").codes()["bad.py"] == ["BG101"]
    ssh.write_text("#!/bin/sh\necho 'me@far: Permission denied (publickey).' >&2\nexit 255\n")
    _plain(
        made.run("check", "--engine", "container"),
        "ssh://me@far:2222 cannot be reached: me@far: Permission denied (publickey).",
    )


def test_podman(engine: str, project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another implementation of the same protocol, with its own idea of attaching, of digests and of names."""
    _possible()
    if shutil.which("podman") is None:
        missing("podman", "apt-get install podman")
    # what a container may not raise here, and a manager of groups that needs no systemd
    config = tmp_path / "containers.conf"
    config.write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    saved = b"".join(images.api().get_image(images.base("3.11")))
    storage = Path(tempfile.mkdtemp(prefix="buildguard-podman-"))
    url = f"unix://{tmp_path}/podman.sock"
    program = [
        "podman",
        "--root",
        str(storage / "root"),
        "--runroot",
        str(storage / "run"),
        "system",
        "service",
        "--time=0",
        url,
    ]
    with subprocess.Popen(
        program, env={**os.environ, "CONTAINERS_CONF": str(config)}, stderr=subprocess.DEVNULL
    ) as service:
        for _ in range(1200):
            with socket.socket(socket.AF_UNIX) as connection:
                if connection.connect_ex(str(tmp_path / "podman.sock")) == 0:
                    break
            time.sleep(0.1)
        monkeypatch.setenv("DOCKER_HOST", url)
        try:
            for event in images.api().load_image(saved):
                assert "error" not in event, event
            made = project({"Dockerfile": f"FROM localhost/{_BASE}\n", "a.py": "x = 1\n", "bad.py": "f(\n"})
            result = made.check("--engine", "container")
            left = images.api().containers(all=True)
        finally:
            images.api().close()
            service.terminate()
            service.wait()
            for mount in ("overlay", "overlay-containers"):
                subprocess.run(["umount", "-l", storage / "root" / mount], stderr=subprocess.DEVNULL, check=False)
            shutil.rmtree(storage, ignore_errors=True)

    assert result.codes() == {"bad.py": ["BG101"], "Dockerfile": ["BG404"]}, result.err
    assert result.json["targets"][0]["image_id"].startswith("sha256:")
    assert result.json["targets"][0]["image_digest"] is None
    assert left == []


# ------------------------------------------------------------------------------------------ images


def test_an_image_that_is_nowhere(engine: str, project: Callable[..., Project]) -> None:
    made = project({"Dockerfile": "FROM localhost:1/python:3.11\n", "a.py": ""})

    result = made.run("check", "--engine", "container")

    _plain(result, "localhost:1/python:3.11 is not here and could not be pulled", "connection refused", "docker pull")
    assert "pulling localhost:1/python:3.11" in result.err


def test_a_hook_pulls_nothing(engine: str, repository: Callable[..., Project]) -> None:
    made = repository({"Dockerfile": "FROM localhost:1/python:3.11\n", "a.py": ""})

    result = made.run("check", "--engine", "container", "--proof", "predicted")

    _plain(result, "localhost:1/python:3.11 is not here; docker pull")
    assert "pulling" not in result.err


def test_an_image_is_pulled_and_its_digest_told(
    image: Callable[..., str], registry: str, project: Callable[..., Project]
) -> None:
    """By tag and by digest; BG404 names the digest that a pinned reference would have."""
    api = images.api()
    local = image(images.base("3.11"), {"only": "here"})
    reference = f"{registry}/team/python:3.11-slim"
    api.tag(local, *reference.rsplit(":", 1))
    pushed = list(api.push(f"{registry}/team/python", tag="3.11-slim", stream=True, decode=True))
    digest = next(event["aux"]["Digest"] for event in pushed if "aux" in event)
    made = project({"Dockerfile": f"FROM {reference}\n", "a.py": "x = 1\n"})

    for text, codes in ((reference, ["BG404"]), (f"{reference}@{digest}", [])):
        for name in (reference, f"{registry}/team/python@{digest}", local):
            try:
                api.remove_image(name, force=True)
            except docker.errors.ImageNotFound:
                pass
        made.write({"Dockerfile": f"FROM {text}\n"})
        result = made.check("--engine", "container")
        report = result.json

        assert result.code == 0, result.out
        assert f"pulling {text}" in result.err
        assert report["targets"][0]["image_digest"] == digest
        assert report["targets"][0]["proof"] == "image"
        assert [one["code"] for one in report["diagnostics"]] == codes
        if codes:
            (one,) = report["diagnostics"]
            assert (one["path"], one["line"], one["severity"]) == ("Dockerfile", 1, "warning")
            assert f"{reference}@{digest}" in one["hint"]
    images.derived(local, images.base("3.11"), {})  # for the fixture to remove


# ------------------------------------------------------------------------------------------ in the middle of it


def _many(count: int = 300) -> dict[str, str]:
    line = "value = [{}]\n".format(", ".join(f"'{number}'" for number in range(200)))
    return {f"m{number}.py": f"number = {number}\n{line * 60}" for number in range(count)}


@contextmanager
def _halted(made: Project, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A check that is compiling in a container, and stands still: it cannot end before something happened to it."""
    child = subprocess.Popen(
        [made.executable, "check", *arguments], cwd=made.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until = time.monotonic() + 120
    try:
        while not any(_cpu_seconds(identity) > _COMPILING for identity in _containers(child)):
            if time.monotonic() > until or child.poll() is not None:
                child.kill()
                pytest.fail(f"no container that compiles: {child.communicate()}")
            time.sleep(0.05)
        child.send_signal(signal.SIGSTOP)
        yield child
    finally:
        child.send_signal(signal.SIGCONT)


_COMPILING = (
    0.6  # seconds of CPU: four times what starting the Pythons takes, and a fraction of what `_many` files take
)


def _cpu_seconds(identity: str) -> float:
    """How long a container has been at work, which a slow machine does not change; 0 for one that is gone."""
    try:
        stats = images.api().stats(identity, stream=False, one_shot=True)
        return float(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
    except (docker.errors.APIError, LookupError):
        return 0.0


def _containers(child: subprocess.Popen[bytes]) -> list[str]:
    """What runs on the engine for a check."""
    running = images.api().containers(filters={"label": "buildguard.owner"})
    return [one["Id"] for one in running if pid_of(one["Labels"]) == child.pid]


def test_the_engine_is_killed(own_engine: Callable[..., Engine], project: Callable[..., Project]) -> None:
    """With a real SIGKILL: what was answered stands, the rest is unproven, and the next run removes the container."""
    mine = own_engine()
    made = project({**_FILES, **_many()})

    with _halted(made, "--engine", "container", "--no-cache") as child:
        mine.kill()
    out, err = child.communicate(timeout=300)

    assert child.returncode == 3
    assert b"was lost in the middle of the run" in out
    assert b"Traceback" not in out + err
    mine.start()
    assert made.run("check", "--engine", "container", "a.py").code == 0
    assert images.api().containers(all=True) == []


def test_the_container_is_removed_under_us(engine: str, spotless: None, project: Callable[..., Project]) -> None:
    images.base("3.11")
    made = project({**_FILES, **_many()})

    with _halted(made, "--engine", "container", "--no-cache") as child:
        (ours,) = _containers(child)
        images.api().remove_container(ours, force=True)
    out, _err = child.communicate(timeout=300)

    assert child.returncode == 3
    assert b"the container was removed from outside" in out or b"the container was killed" in out


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_no_container(
    engine: str, project: Callable[..., Project], number: int, status: int
) -> None:
    images.base("3.11")
    made = project({**_FILES, **_many()})

    with _halted(made, "--engine", "container", "--no-cache", "--target", "3.11", "--image", _BASE) as child:
        child.send_signal(number)
    child.communicate(timeout=300)

    assert child.returncode == status
    assert not [one for one in leftovers() if owner(one) == child.pid]


def test_an_interruption_of_several_targets(engine: str, project: Callable[..., Project]) -> None:
    """Ctrl-C while threads are at work in two containers."""
    images.base("3.11")
    images.base("3.12")
    made = project(
        {
            "a/Dockerfile": f"FROM {images.base('3.11')}\n",
            "b/Dockerfile": f"FROM {images.base('3.12')}\n",
            **{f"{folder}/{name}": text for name, text in _many().items() for folder in "ab"},
        }
    )

    with _halted(made, "--engine", "container", "--no-cache") as child:
        child.send_signal(signal.SIGINT)
    child.communicate(timeout=300)

    assert child.returncode == 130
    assert not [one for one in leftovers() if owner(one) == child.pid]


def test_a_killed_run_is_swept_by_the_next(engine: str, project: Callable[..., Project]) -> None:
    """Its container ends by itself, as its input ends; the next run removes it, and none of a living one."""
    images.base("3.11")
    made = project({**_FILES, **_many()})
    with _halted(made, "--engine", "container", "--no-cache") as child:
        left = _containers(child)
        child.kill()
    child.communicate()
    for _ in range(1200):
        if not any(_runs(one) for one in left):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the container runs on without us")
    with _halted(made, "--engine", "container", "--no-cache") as alive:
        theirs = _containers(alive)
        assert made.run("check", "--engine", "container", "a.py").code == 0
        assert [one for one in left if owner(one)] == []
        assert theirs
        assert all(_runs(one) for one in theirs)
        alive.send_signal(signal.SIGINT)
    alive.communicate()


def _runs(identity: str) -> bool:
    try:
        return bool(images.api().inspect_container(identity)["State"]["Running"])
    except docker.errors.NotFound:
        return False  # a test beside this one was the next run


def test_whose_container_it_is(engine: str) -> None:
    """By process and by its start: a number that was used again is no owner; what is from elsewhere waits for a day."""
    reached = client.connect()
    now = int(time.time())
    ours = owners.current()
    try:
        for label, created, orphan in (
            (str(ours), now, False),
            (str(ours._replace(started="12345")), now, True),
            (str(ours._replace(pid=999999999)), now, True),
            (str(ours._replace(home="0123456789abcdefx4026531836", pid=999999999)), now, False),
            (str(ours._replace(home="0123456789abcdefx4026531836", pid=999999999)), now - 90000, True),
            (f"{socket.gethostname()} 999999999 12345", now, False),  # as versions before this one wrote it
            (f"{socket.gethostname()} 999999999 12345", now - 90000, True),
        ):
            assert sandbox._is_orphan(reached, label, created) is orphan, label
    finally:
        reached.close()


_HOLDER = """
import sys
from buildguard.docker import client, images, sandbox
from buildguard.system import owner
from contextlib import closing
with closing(client.connect()) as reached:
    with sandbox.open_image_files(reached, images.find(reached, sys.argv[1], sys.argv[2], None)) as made:
        print(owner.current().pid, made.id, flush=True)
        sys.stdin.read()
"""


def test_a_live_container_of_another_pid_namespace_is_not_swept(engine: str) -> None:
    """Another CI job with the same engine and the same host name: its pid means nothing here."""
    tag = images.base("3.11")
    with in_pid_namespace(_HOLDER, tag, PLATFORM) as holder:
        pid, identity = holder.line.split()
        with closing(client.connect()) as reached:
            sandbox.remove_orphans(reached)
        assert owner(identity) == int(pid) != holder.child.pid
    assert owner(identity) == 0  # it went away by itself, when the holder ended


def test_what_cannot_be_removed_holds_up_no_run(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines keep containers that they cannot get rid of, listed for good: each run asks once."""
    label = str(owners.current()._replace(pid=999999999))
    asked: list[bytes] = []

    def answer(request: bytes) -> bytes | None:
        if request.startswith(b"DELETE "):
            asked.append(request)
            return _answered(500, {"message": "driver failed to remove root filesystem"})
        if request.startswith(b"GET ") and b"/containers/json" in request:
            return _answered(200, [{"Id": "stuck", "Created": 0, "Labels": {"buildguard.owner": label}}])
        return None

    with _relayed(engine, answer) as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        with closing(client.connect()) as reached:
            sandbox.remove_orphans(reached)

    assert len(asked) == 1
    assert b"/containers/stuck" in asked[0]


# ------------------------------------------------------------------------------------------ full disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A filesystem of so many megabytes."""
    _possible()
    mounted: list[Path] = []

    def mount(megabytes: int) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            missing("the right to mount", done.stderr)
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def test_the_engines_disk_is_full(
    own_engine: Callable[..., Engine], small_disk: Callable[[int], Path], project: Callable[..., Project]
) -> None:
    disk = small_disk(400)
    own_engine(disk / "data")
    made = project(_FILES)
    assert made.run("check", "--engine", "container").code == 0
    with (disk / "filler").open("wb") as filler:
        try:
            while True:
                filler.write(bytes(1 << 20))
                filler.flush()
        except OSError:
            pass

    _plain(made.run("check", "--engine", "container", "--no-cache"), "no space left on device", "docker system prune")


def test_our_disk_is_full(
    image: Callable[..., str],
    small_disk: Callable[[int], Path],
    project: Callable[..., Project],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tag = image(images.base("3.11"), {"app/a.py": "x = '" + "a" * 3_000_000 + "'\n"}, ["WORKDIR /app"])
    monkeypatch.setenv("TMPDIR", str(small_disk(1)))

    _plain(project().run("check", f"image:{tag}:/app"), "cannot be stored: No space left on device")
