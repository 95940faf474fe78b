"""What proves that a revision is healthy, and what does not."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from google.cloud import run_v2

from buildguard.cli.render.deploy import as_text
from buildguard.deploy import health
from buildguard.deploy.health import Proof, Response, judge
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.run import plan_deploy
from buildguard.gcp import identity_token
from buildguard.gcp.identity_token import IdentityToken
from tests.deploy.conftest import SERVER, deployed, verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from buildguard.deploy.plan import DeployPlan
    from buildguard.gcp.emulator.server import Emulator
    from tests.conftest import Project

_SERVICE = "projects/emulated/locations/europe-west1/services/web"
_PATH, _NONE = Proof("/healthz"), Proof()
_PROBED = Proof("", "HTTP /ready")
_INTERNAL, _INTERNAL_PATH = Proof(internal=True), Proof("/healthz", internal=True)


@pytest.mark.parametrize(
    ("status", "proof", "verdict"),
    [
        *[(status, proof, "ok") for status in (200, 204) for proof in (_PATH, _NONE, _PROBED, _INTERNAL)],
        *[(status, _PATH, "unproven") for status in (301, 302, 307, 401, 403)],
        *[(status, _PATH, "failed") for status in (400, 404, 405, 429, 500, 503, None)],
        *[(status, _NONE, "unproven") for status in (301, 400, 401, 403, 404, 405)],
        *[(status, _NONE, "failed") for status in (500, 502, None)],
        *[(status, _PROBED, "ok") for status in (302, 401, 403, 404, 405)],
        *[(status, _PROBED, "failed") for status in (500, 503, None)],
        *[(status, _INTERNAL, "unproven") for status in (401, 403, 404)],
        *[(status, _INTERNAL_PATH, "unproven") for status in (401, 403, 404)],
        (400, _INTERNAL_PATH, "failed"),
        (404, Proof("/healthz", "HTTP /healthz", internal=True), "ok"),
        (404, Proof("/healthz", "HTTP /", internal=True), "unproven"),
        (404, Proof("/healthz", "HTTP /healthz"), "failed"),
    ],
)
def test_the_verdict(status: int | None, proof: Proof, verdict: str) -> None:
    found, words, hint = judge("http://web", Response(status), proof)

    assert (found, bool(words), bool(hint)) == (verdict, True, verdict == "unproven")


def test_what_would_prove_it_is_named() -> None:
    assert 'health = "/healthz"' in judge("http://web", Response(404), _NONE)[2]
    assert "HTTP startup probe of /healthz" in judge("http://web", Response(404), _INTERNAL)[2]
    assert "rejected the identity token" in judge("http://web", Response(401, IdentityToken("minted")), _NONE)[1]
    unable = IdentityToken(problem="user credentials cannot mint one", hint="export …")
    assert judge("http://web", Response(401, unable), _NONE)[1:] == (
        "http://web requires authentication (401), and user credentials cannot mint one",
        "export …",
    )


@contextmanager
def _serving(answer: Callable[[http.server.BaseHTTPRequestHandler], int]) -> Iterator[str]:
    """A server whose requests are answered with what `answer` returns; a redirect leads to a page that is fine."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = answer(self)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", "/fine")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_redirect_is_not_followed() -> None:
    with _serving(lambda request: 200 if request.path == "/fine" else 302) as url:
        found = health.check(url, url, _PATH)

    assert (found.verdict, found.evidence["status"]) == ("unproven", 302)


def test_a_service_that_comes_up_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_PAUSE", 0.01)
    statuses = iter([503, 404, 200])

    with _serving(lambda _request: next(statuses)) as url:
        assert health.check(url, url, _PATH).verdict == "ok"


@pytest.mark.parametrize(("status", "verdict"), [(404, "failed"), (500, "failed")])
def test_it_is_not_waited_for_without_an_end(monkeypatch: pytest.MonkeyPatch, status: int, verdict: str) -> None:
    monkeypatch.setattr(health, "HEALTHY_WITHIN", 0.2)

    with _serving(lambda _request: status) as url:
        assert health.check(url, url, _PATH).verdict == verdict


@pytest.mark.parametrize(("accepted", "verdict"), [(True, "ok"), (False, "unproven")])
def test_a_token_is_for_the_service_and_proves_nothing_by_itself(
    monkeypatch: pytest.MonkeyPatch, *, accepted: bool, verdict: str
) -> None:
    """Under a tag's address too, the audience is the service's own address."""
    audiences: list[str] = []

    def mint(audience: str) -> IdentityToken:
        audiences.append(audience)
        return IdentityToken("minted")

    def answer(request: http.server.BaseHTTPRequestHandler) -> int:
        return 200 if accepted and request.headers["Authorization"] == "Bearer minted" else 401

    monkeypatch.setattr(identity_token, "mint", mint)
    with _serving(answer) as url:
        found = health.check(url, "https://web.example", _NONE)

    assert (found.verdict, audiences) == (verdict, ["https://web.example"])
    assert ("rejected the identity token" in found.words) is not accepted


# ------------------------------------------------------------------------------------------ in a deploy


def _without_health(project: Project, server: str = SERVER) -> None:
    toml = (project.path / "buildguard.toml").read_text().replace('health = "/healthz"\n', "")
    project.write({"buildguard.toml": toml, "app/serve.py": server})
    project.commit()


def _health(found: DeployPlan) -> str:
    return next(one.will for one in found.steps if one.id == "health")


def test_without_a_health_path_a_404_is_unproven(
    web: Project, google: Callable[..., Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dry run says what would prove it; nothing else has changed where `/` answers with success."""
    google()
    monkeypatch.setattr(health, "HEALTHY_WITHIN", 0.5)
    _without_health(web)
    assert deployed(web, build_local=True).exit_code == 0
    _without_health(web, SERVER.replace("200 if fine else 500", "404"))

    dry, found = plan_deploy(DeployRequest(cwd=web.path)), deployed(web, build_local=True)

    note = "no health path is configured: / must answer with 2xx"
    assert any(note in one and 'health = "/healthz"' in one for one in dry.plan.notes)
    assert _health(dry.plan) == "request / at the revision's own address, which has to respond with a status of 2xx"
    assert (found.exit_code, verdicts(found)["health"], verdicts(found)["prove"]) == (3, "unproven", "skipped")
    assert found.last is not None
    assert 'health = "/healthz"' in found.last.words


def _change_service(emulator: Emulator, change: Callable[[run_v2.Service], object]) -> None:
    service = emulator.runs.get(_SERVICE)
    service.template.revision = ""
    change(service)
    emulator.runs.update(run_v2.UpdateServiceRequest(service=service)).done.wait(120)


def test_an_internal_service_is_proven_by_its_startup_probe_alone(
    site: Project, google: Callable[..., Emulator]
) -> None:
    emulator = google()
    _without_health(site)
    deployed(site, build_local=True)

    def close(service: run_v2.Service) -> None:
        service.ingress = run_v2.IngressTraffic.INGRESS_TRAFFIC_INTERNAL_ONLY

    def probe(service: run_v2.Service) -> None:
        http_get = run_v2.HTTPGetAction(path="/healthz")
        service.template.containers[0].startup_probe = run_v2.Probe(http_get=http_get)

    _change_service(emulator, close)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "HEALTHY_WITHIN", 0.5)
        closed = deployed(site, build_local=True)
    _change_service(emulator, probe)
    dry, probed = plan_deploy(DeployRequest(cwd=site.path)), deployed(site, build_local=True)

    assert closed.exit_code == 3
    assert closed.last is not None
    assert "no public traffic" in closed.last.words
    assert _health(dry.plan).endswith("or take its own probe (HTTP /healthz)")
    assert not any("no health path" in one for one in dry.plan.notes)
    assert probed.exit_code == 0, as_text(probed)
    assert any("startup probe (HTTP /healthz) succeeded" in one.words for one in probed.outcomes or ())
