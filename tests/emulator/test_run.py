"""Cloud Run by Google's own client, unmodified, on the emulator: revisions really serve, and each fault is told."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import requests

from buildguard.errors import UnprovenError
from buildguard.gcp.marks import COMMIT, INSTEAD_OF, name_of, tag_of
from buildguard.gcp.run import Candidate, ConflictError, NotReadyError, Run, Share
from tests import images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from buildguard.emulator.serve import Emulator

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
    return images.derived(tag, images.base("3.11"), {"serve.py": program}, ['CMD ["python3", "/serve.py"]'])


@pytest.fixture(scope="session")
def server() -> str:
    """An image that answers with its revision's name."""
    return _image("server", _SERVER)


@pytest.fixture
def connect() -> Iterator[Callable[[], Run]]:
    with contextlib.ExitStack() as opened:
        yield lambda: opened.enter_context(Run())


def test_a_first_revision_serves(emulator: Callable[..., Emulator], connect: Callable[[], Run], server: str) -> None:
    emulator()
    run = connect()
    assert run.get("web") is None

    made = run.candidate("web", server, Candidate("web-1", "", {"WHO": "me"}))
    service = run.get("web")

    assert made.ready
    assert service is not None
    assert (service.sole, service.latest_ready, service.env) == ("web-1", "web-1", {"WHO": "me"})
    assert requests.get(service.url, timeout=30).text == "web-1 me"


def test_a_candidate_has_a_tag_and_no_traffic(
    emulator: Callable[..., Emulator], connect: Callable[[], Run], server: str
) -> None:
    emulator()
    run = connect()
    run.candidate("web", server, Candidate("web-1", ""))

    run.candidate("web", server, Candidate("web-2", "candidate", {"NEW": "1"}))

    service = run.get("web")
    assert service is not None
    assert service.sole == "web-1"
    assert requests.get(service.url, timeout=30).text.strip() == "web-1"
    tagged = next(one for one in service.observed if one.tag == "candidate")
    assert (tagged.revision, tagged.percent) == ("web-2", 0)
    assert requests.get(tagged.url, timeout=30).text.strip() == "web-2"

    moved = run.route("web", [Share("web-2", 100, "candidate")])

    assert moved.sole == "web-2"
    assert requests.get(moved.url, timeout=30).text.strip() == "web-2"
    half = run.route("web", [Share("web-1", 50), Share("web-2", 50)])
    assert half.sole == ""
    assert {requests.get(half.url, timeout=30).text.strip() for _ in range(40)} == {"web-1", "web-2"}
    assert [one.name for one in run.revisions("web")] == ["web-2", "web-1"]


def test_a_tag_that_moves_takes_no_traffic_with_it(
    emulator: Callable[..., Emulator], connect: Callable[[], Run], server: str
) -> None:
    """The same commit once more, while its first revision shares the traffic under the tag that both would have."""
    emulator()
    run = connect()
    run.candidate("web", server, Candidate("web-1", ""))
    run.candidate("web", server, Candidate("web-2", "candidate"))
    run.route("web", [Share("web-1", 60), Share("web-2", 40, "candidate")])

    run.validate("web", server, Candidate("web-3", "candidate"))
    run.candidate("web", server, Candidate("web-3", "candidate"))

    service = run.get("web")
    assert service is not None
    assert service.ways == "60 % web-1, 40 % web-2"
    assert [one.revision for one in service.observed if one.tag == "candidate"] == ["web-3"]


def test_who_had_all_traffic_before(emulator: Callable[..., Emulator], connect: Callable[[], Run], server: str) -> None:
    """Only one of ours can tell, and only of the one that it shares the traffic with."""
    emulator()
    run = connect()
    marks = {COMMIT: "c" * 40, INSTEAD_OF: "web-1"}
    run.candidate("web", server, Candidate("web-1", ""))
    ours = run.candidate("web", server, Candidate("web-bg-ccccccc-1234", "bg-ccccccc", {}, marks))
    copied = run.candidate("web", server, Candidate("web-00003-xyz", "theirs", {}, marks))
    another = run.candidate("web", server, Candidate("web-bg-ccccccc-5678", "x", {}, {**marks, INSTEAD_OF: ""}))

    def before(*shares: Share) -> list[str]:
        service = run.route("web", shares)
        return [service.before(one) for one in (ours, copied, another)]

    assert before(Share("web-1", 50), Share(ours.name, 50)) == ["web-1", "", ""]
    assert before(Share("web-1", 50), Share(copied.name, 50)) == ["", "", ""]
    assert before(Share("web-1", 50), Share(another.name, 50)) == ["", "", ""]
    assert before(Share("web-1", 40), Share(ours.name, 40), Share(another.name, 20)) == ["", "", ""]
    assert before(Share(ours.name, 100)) == ["", "", ""]


def test_a_revision_that_does_not_come_up_changes_nothing(
    emulator: Callable[..., Emulator], connect: Callable[[], Run], server: str
) -> None:
    emulator()
    run = connect()
    run.candidate("web", server, Candidate("web-1", ""))
    broken = _image("broken", "x = f'{'a'}'\n")

    with pytest.raises(NotReadyError) as caught:
        run.candidate("web", broken, Candidate("web-2", "candidate"))

    assert "failed to start and listen on the port" in caught.value.what
    service = run.get("web")
    assert service is not None
    assert (service.latest_ready, service.latest_created, service.sole) == ("web-1", "web-2", "web-1")
    assert requests.get(service.url, timeout=30).text.strip() == "web-1"


@pytest.mark.parametrize("length", [1, 40, 46, 47, 48, 49])
def test_a_revisions_name_is_one_that_cloud_run_takes(
    emulator: Callable[..., Emulator], connect: Callable[[], Run], server: str, length: int
) -> None:
    emulator()
    run = connect()
    service = "s" * length

    names = {name_of(service, "0123456789abcdef") for _ in range(50)}

    assert len(names) > 10
    assert tag_of(service, "0123456789abcdef") in {f"bg-{'0123456'[:size]}" for size in (1, 3, 7)}
    assert len(tag_of(service, "0123456789abcdef")) + length <= max(46, length + 4)
    assert all(len(one) <= 63 and one.startswith(f"{service}-bg-0123456-") for one in names)
    run.validate(service, server, Candidate(names.pop(), ""))
    with pytest.raises(UnprovenError, match="must be prefixed"):
        run.validate(service, server, Candidate("x-1", ""))


def test_validation_changes_nothing(emulator: Callable[..., Emulator], connect: Callable[[], Run], server: str) -> None:
    emulator()
    run = connect()

    run.validate("web", server, Candidate("web-1", ""))
    assert run.get("web") is None
    with pytest.raises(UnprovenError, match="image"):
        run.validate("web", "", Candidate("web-1", ""))


def test_faults(emulator: Callable[..., Emulator], connect: Callable[[], Run], server: str) -> None:
    emulator("traffic-pinned", "etag-conflict=1")
    run = connect()
    run.candidate("web", server, Candidate("web-1", ""))

    with pytest.raises(ConflictError, match="somebody else changed the service"):
        run.candidate("web", server, Candidate("web-2", "candidate"))
    run.candidate("web", server, Candidate("web-2", "candidate"))
    with pytest.raises(UnprovenError, match="does not send its traffic where it was told to: 100 % web-1"):
        run.route("web", [Share("web-2", 100)])


def test_a_stale_etag_is_refused(emulator: Callable[..., Emulator], connect: Callable[[], Run], server: str) -> None:
    emulator()
    run = connect()
    run.candidate("web", server, Candidate("web-1", ""))
    before = run.get("web")
    assert before is not None
    run.route("web", [Share("web-1", 100)])

    with pytest.raises(ConflictError):
        run.candidate("web", server, Candidate("web-2", "candidate", etag=before.etag))
    with pytest.raises(ConflictError):
        run.route("web", [Share("web-1", 100)], before.etag)


def test_a_revision_that_is_never_ready(
    emulator: Callable[..., Emulator], connect: Callable[[], Run], server: str
) -> None:
    emulator("revision-not-ready")

    with pytest.raises(NotReadyError, match="not ready"):
        connect().candidate("web", server, Candidate("web-1", ""))
