"""Cloud Run by Google's own client, unmodified, on the emulator: revisions really serve, and each fault is told."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.api_core.exceptions import InvalidArgument
from google.cloud import run_v2

from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_run import CloudRunClient, NewRevision, NotReadyError
from buildguard.gcp.connection import ConflictError
from buildguard.gcp.emulator import cloud_run as runs
from buildguard.gcp.revision_names import COMMIT, INSTEAD_OF, name_of, tag_of
from buildguard.gcp.service_state import TrafficShare
from tests import images
from tests.conftest import ALL
from tests.deploy.played import PLAYED, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from buildguard.gcp.emulator.server import Emulator

pytestmark = pytest.mark.usefixtures("engine")
_SERVER = (
    "import http.server, os\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200); self.end_headers()\n"
    "        self.wfile.write((os.environ['K_REVISION'] + ' ' + os.environ.get('WHO', '')).encode())\n"
    "    def log_message(self, *a): pass\n"
    "http.server.HTTPServer(('', int(os.environ['PORT'])), H).serve_forever()\n"
)


def _image(name: str, program: str) -> str:
    tag = f"{images.REPOSITORY}/{name}:1"
    return images.kept(tag, images.base("3.11"), {"serve.py": program}, ['CMD ["python3", "/serve.py"]'])


@pytest.fixture(scope="session")
def server() -> str:
    """An image that answers with its revision's name."""
    return _image("server", _SERVER)


@pytest.fixture
def standing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same where it only has to stand there: its containers are played, but for `./scripts/test all`."""
    if ALL:
        yield request.getfixturevalue("server")
        return
    played = play(monkeypatch)
    yield f"{PLAYED}/server:1"
    played.close()


@pytest.fixture
def connect() -> Iterator[Callable[[], CloudRunClient]]:
    with contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(CloudRunClient())


def test_a_first_revision_serves(
    emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], server: str
) -> None:
    emulator()
    run = connect()
    assert run.get("web") is None

    made = run.candidate("web", server, NewRevision("web-1", "", {"WHO": "me"}))
    service = run.get("web")

    assert made.ready
    assert service is not None
    assert (service.only_revision, service.latest_ready, service.env) == ("web-1", "web-1", {"WHO": "me"})
    assert requests.get(service.url, timeout=60).text == "web-1 me"


def test_a_candidate_has_a_tag_and_no_traffic(
    emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], server: str
) -> None:
    emulator()
    run = connect()
    run.candidate("web", server, NewRevision("web-1", ""))

    run.candidate("web", server, NewRevision("web-2", "candidate", {"NEW": "1"}))

    service = run.get("web")
    assert service is not None
    assert service.only_revision == "web-1"
    assert requests.get(service.url, timeout=60).text.strip() == "web-1"
    tagged = next(one for one in service.observed if one.tag == "candidate")
    assert (tagged.revision, tagged.percent) == ("web-2", 0)
    assert requests.get(tagged.url, timeout=60).text.strip() == "web-2"

    moved = run.route("web", [TrafficShare("web-2", 100, "candidate")])

    assert moved.only_revision == "web-2"
    assert requests.get(moved.url, timeout=60).text.strip() == "web-2"
    half = run.route("web", [TrafficShare("web-1", 50), TrafficShare("web-2", 50)])
    assert half.only_revision == ""
    assert {requests.get(half.url, timeout=60).text.strip() for _ in range(40)} == {"web-1", "web-2"}
    assert [one.name for one in run.revisions("web")] == ["web-2", "web-1"]


def test_a_tag_that_moves_takes_no_traffic_with_it(
    emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], standing: str
) -> None:
    """The same commit once more, while its first revision shares the traffic under the tag that both would have."""
    emulator()
    run = connect()
    run.candidate("web", standing, NewRevision("web-1", ""))
    run.candidate("web", standing, NewRevision("web-2", "candidate"))
    run.route("web", [TrafficShare("web-1", 60), TrafficShare("web-2", 40, "candidate")])

    run.validate("web", standing, NewRevision("web-3", "candidate"))
    run.candidate("web", standing, NewRevision("web-3", "candidate"))

    service = run.get("web")
    assert service is not None
    assert service.describe_traffic == "60 % web-1, 40 % web-2"
    assert [one.revision for one in service.observed if one.tag == "candidate"] == ["web-3"]


def test_who_had_all_traffic_before(
    emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], standing: str
) -> None:
    """Only one of ours can tell, and only of the one that it shares the traffic with."""
    emulator()
    run = connect()
    marks = {COMMIT: "c" * 40, INSTEAD_OF: "web-1"}
    run.candidate("web", standing, NewRevision("web-1", ""))
    ours = run.candidate("web", standing, NewRevision("web-bg-ccccccc-1234", "bg-ccccccc", {}, marks))
    copied = run.candidate("web", standing, NewRevision("web-00003-xyz", "theirs", {}, marks))
    another = run.candidate("web", standing, NewRevision("web-bg-ccccccc-5678", "x", {}, {**marks, INSTEAD_OF: ""}))

    def before(*shares: TrafficShare) -> list[str]:
        service = run.route("web", shares)
        return [service.before(one) for one in (ours, copied, another)]

    assert before(TrafficShare("web-1", 50), TrafficShare(ours.name, 50)) == ["web-1", "", ""]
    assert before(TrafficShare("web-1", 50), TrafficShare(copied.name, 50)) == ["", "", ""]
    assert before(TrafficShare("web-1", 50), TrafficShare(another.name, 50)) == ["", "", ""]
    assert before(TrafficShare("web-1", 40), TrafficShare(ours.name, 40), TrafficShare(another.name, 20)) == [
        "",
        "",
        "",
    ]
    assert before(TrafficShare(ours.name, 100)) == ["", "", ""]


def test_a_revision_that_does_not_come_up_changes_nothing(
    emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], server: str
) -> None:
    emulator()
    run = connect()
    run.candidate("web", server, NewRevision("web-1", ""))
    broken = _image("broken", "x = f'{'a'}'\n")

    with pytest.raises(NotReadyError) as caught:
        run.candidate("web", broken, NewRevision("web-2", "candidate"))

    assert "failed to start and listen on the port" in caught.value.what
    service = run.get("web")
    assert service is not None
    assert (service.latest_ready, service.latest_created, service.only_revision) == ("web-1", "web-2", "web-1")
    assert requests.get(service.url, timeout=60).text.strip() == "web-1"


@pytest.mark.parametrize("length", [1, 40, 46, 47, 48, 49])
def test_a_revisions_name_is_one_that_cloud_run_takes(
    emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], standing: str, length: int
) -> None:
    emulator()
    run = connect()
    service = "s" * length

    names = {name_of(service, "0123456789abcdef") for _ in range(50)}

    assert len(names) > 10
    assert tag_of(service, "0123456789abcdef") in {f"bg-{'0123456'[:size]}" for size in (1, 3, 7)}
    assert len(tag_of(service, "0123456789abcdef")) + length <= max(46, length + 4)
    assert all(len(one) <= 63 and one.startswith(f"{service}-bg-0123456-") for one in names)
    run.validate(service, standing, NewRevision(names.pop(), ""))
    with pytest.raises(UnprovenError, match="must be prefixed"):
        run.validate(service, standing, NewRevision("x-1", ""))


def test_validation_changes_nothing(
    emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], standing: str
) -> None:
    emulator()
    run = connect()

    run.validate("web", standing, NewRevision("web-1", ""))
    assert run.get("web") is None
    with pytest.raises(UnprovenError, match="image"):
        run.validate("web", "", NewRevision("web-1", ""))


def test_faults(emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], standing: str) -> None:
    emulator("traffic-pinned", "etag-conflict=1")
    run = connect()
    run.candidate("web", standing, NewRevision("web-1", ""))

    with pytest.raises(ConflictError, match="the service was changed meanwhile"):
        run.candidate("web", standing, NewRevision("web-2", "candidate"))
    run.candidate("web", standing, NewRevision("web-2", "candidate"))
    with pytest.raises(UnprovenError, match="does not route its traffic as requested: 100 % web-1"):
        run.route("web", [TrafficShare("web-2", 100)])


def test_a_stale_etag_is_refused(
    emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], standing: str
) -> None:
    emulator()
    run = connect()
    run.candidate("web", standing, NewRevision("web-1", ""))
    before = run.get("web")
    assert before is not None
    run.route("web", [TrafficShare("web-1", 100)])

    with pytest.raises(ConflictError):
        run.candidate("web", standing, NewRevision("web-2", "candidate", etag=before.etag))
    with pytest.raises(ConflictError):
        run.route("web", [TrafficShare("web-1", 100)], before.etag)


def test_a_revision_that_is_never_ready(
    emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], standing: str
) -> None:
    emulator("revision-not-ready")

    with pytest.raises(NotReadyError, match="not ready"):
        connect().candidate("web", standing, NewRevision("web-1", ""))


_COLLECTOR = (
    "import http.server\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        self.send_response(200); self.end_headers(); self.wfile.write(b'collected')\n"
    "    def log_message(self, *a): pass\n"
    "http.server.HTTPServer(('127.0.0.1', 4318), H).serve_forever()\n"
)
_REPORTS = (
    "import http.server, os, urllib.request\n"
    "class H(http.server.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        told = urllib.request.urlopen('http://127.0.0.1:4318').read()\n"
    "        self.send_response(200); self.end_headers(); self.wfile.write(told)\n"
    "    def log_message(self, *a): pass\n"
    "http.server.HTTPServer(('', int(os.environ['PORT'])), H).serve_forever()\n"
)


def _create(emulator: Emulator, containers: list[run_v2.Container], **fields: Any) -> run_v2.Service:
    parent = "projects/emulated/locations/europe-west1"
    made = run_v2.Service(template=run_v2.RevisionTemplate(containers=containers), **fields)
    emulator.runs.create(run_v2.CreateServiceRequest(parent=parent, service_id="web", service=made)).done.wait(120)
    return emulator.runs.get(f"{parent}/services/web")


def _port(number: int) -> list[run_v2.ContainerPort]:
    return [run_v2.ContainerPort(container_port=number)]


def test_containers_of_a_service_share_their_loopback(emulator: Callable[..., Emulator]) -> None:
    """Traffic and PORT go to the one with a port, wherever it is listed."""
    collector = run_v2.Container(name="collector", image=_image("collector", _COLLECTOR))
    app = run_v2.Container(name="app", image=_image("reports", _REPORTS), ports=_port(9000))

    made = _create(emulator(), [collector, app])

    assert made.terminal_condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED, made.terminal_condition
    assert requests.get(made.uri, timeout=60).text == "collected"


_DEPENDS = """\
import http.server, os, urllib.request
first = urllib.request.urlopen("http://127.0.0.1:8888/").read()  # refused where the other one does not serve yet
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(first)
http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
_SLOW = """\
import http.server, os, time
assert "PORT" not in os.environ
time.sleep(1)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ready")
http.server.HTTPServer(("", 8888), Handler).serve_forever()
"""


def test_a_proxy_starts_after_the_app_that_it_depends_on(emulator: Callable[..., Emulator]) -> None:
    proxy = run_v2.Container(name="proxy", image=_image("depends", _DEPENDS), ports=_port(8080), depends_on=["app"])
    probe = run_v2.Probe(http_get=run_v2.HTTPGetAction(path="/", port=8888))
    app = run_v2.Container(name="app", image=_image("slow", _SLOW), startup_probe=probe)

    made = _create(emulator(), [proxy, app])

    assert made.terminal_condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED, made.terminal_condition
    assert requests.get(made.uri, timeout=60).text == "ready"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"depends_on": ["nowhere"]}, "depends_on names no other container"),
        ({"depends_on": ["other"]}, "or a circle of them"),
        ({"ports": _port(1)}, "exactly one container must have a port"),
        ({"name": "app"}, "a name of its own"),
        ({"image": ""}, "image: should be specified"),
    ],
)
def test_containers_that_cloud_run_refuses(
    emulator: Callable[..., Emulator], changes: dict[str, Any], words: str
) -> None:
    other = run_v2.Container(**{"name": "other", "image": "x", **changes})

    with pytest.raises(InvalidArgument, match=words):
        _create(emulator(), [other, run_v2.Container(name="app", image="y", ports=_port(8080))])


def test_a_sidecar_that_ends_ends_the_revision(emulator: Callable[..., Emulator], server: str) -> None:
    ended = run_v2.Container(name="other", image=_image("ends", "raise SystemExit(1)\n"))
    probed = run_v2.Probe(tcp_socket=run_v2.TCPSocketAction(port=9000), timeout_seconds=1)
    ended.startup_probe = probed

    made = _create(emulator(), [run_v2.Container(name="app", image=server, ports=_port(8080)), ended])

    assert made.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED


@pytest.mark.parametrize(("path", "ready"), [("/", True), ("/nothing", False)])
def test_a_startup_probe_decides(
    emulator: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch, path: str, *, ready: bool
) -> None:
    if not ready:
        monkeypatch.setattr(runs, "_STARTS_WITHIN", 3.0)
    program = _SERVER.replace("self.send_response(200)", "self.send_response(200 if self.path == '/' else 404)")
    probe = run_v2.Probe(http_get=run_v2.HTTPGetAction(path=path))

    made = _create(emulator(), [run_v2.Container(image=_image("picky", program), startup_probe=probe)])

    state = run_v2.Condition.State.CONDITION_SUCCEEDED if ready else run_v2.Condition.State.CONDITION_FAILED
    assert made.terminal_condition.state == state


def test_a_service_without_public_traffic_answers_by_googles_front_end(
    emulator: Callable[..., Emulator], connect: Callable[[], CloudRunClient], standing: str
) -> None:
    internal = run_v2.IngressTraffic.INGRESS_TRAFFIC_INTERNAL_ONLY
    made = _create(emulator(), [run_v2.Container(image=standing)], ingress=internal)

    answer = requests.get(made.uri, timeout=60)
    service = connect().get("web")

    assert (answer.status_code, "not found on this server" in answer.text) == (404, True)
    assert service is not None
    assert service.internal
