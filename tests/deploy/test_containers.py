"""Services with several containers: whichever is listed first, the app's gets the new image, and the others stay as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.cloud import run_v2

from buildguard.cli.render.deploy import as_json, as_text
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.run import plan_deploy
from buildguard.gcp.service_containers import AppContainer, Container, UnknownContainerError
from buildguard.project.cloudbuild.truncate import repository_of
from tests import images
from tests.conftest import ALL
from tests.deploy.conftest import deployed, verdicts
from tests.deploy.played import PLAYED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildguard.gcp.emulator.server import Emulator
    from tests.conftest import Project

_SERVICE = "projects/emulated/locations/europe-west1/services/web"
_COLLECTOR = "import time\nwhile True:\n    time.sleep(1)\n"
_PROXY = """\
import http.server, os, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with urllib.request.urlopen(f"http://127.0.0.1:8888{self.path}") as answer:
            data = answer.read()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"by proxy: " + data)
    def log_message(self, *args):
        pass
http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
_PORT = [run_v2.ContainerPort(container_port=8080)]


def _image(name: str, program: str) -> str:
    tag = f"{images.REPOSITORY}/beside-{name}:1"
    return images.kept(tag, images.base("3.11"), {"serve.py": program}, ['CMD ["python3", "/serve.py"]'])


def _beside(name: str, program: str) -> str:
    """The same for `site`."""
    return _image(name, program) if ALL else f"{PLAYED}/{name}:1"


def _service(emulator: Emulator) -> run_v2.Service:
    return emulator.runs.get(_SERVICE)


def _reshape(emulator: Emulator, containers: Sequence[run_v2.Container]) -> run_v2.Service:
    """A person gives the service these containers."""
    service = _service(emulator)
    service.template.revision, service.template.containers, service.traffic = "", list(containers), []
    emulator.runs.update(run_v2.UpdateServiceRequest(service=service)).done.wait(120)
    return _service(emulator)


def _app(emulator: Emulator, **fields: Any) -> run_v2.Container:
    """The app's container as the first deploy made it, with other fields."""
    made = run_v2.Container(_service(emulator).template.containers[-1])
    made.name = "app"
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _change(project: Project, files: dict[str, str] | None = None) -> None:
    project.write(files or {"app/other.py": "x = 2\n"})
    project.commit()


def _env(**values: str) -> list[run_v2.EnvVar]:
    return [run_v2.EnvVar(name=name, value=value) for name, value in values.items()]


def test_a_sidecar_that_is_listed_first_keeps_its_image(site: Project, google: Callable[..., Emulator]) -> None:
    emulator = google()
    first = deployed(site)
    collector = run_v2.Container(name="collector", image=_beside("collector", _COLLECTOR), env=_env(ONLY_HERE="1"))
    before = _reshape(emulator, [collector, _app(emulator, ports=_PORT, env=_env(WHO="me"))])
    assert before.terminal_condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED, before.terminal_condition
    _change(site)

    found = deployed(site)

    assert found.exit_code == 0, as_text(found)
    sidecar, app = _service(emulator).template.containers
    assert (sidecar.name, sidecar.image, app.name) == ("collector", collector.image, "app")
    assert app.image != before.template.containers[1].image
    assert repository_of(app.image) == repository_of(before.template.containers[1].image)
    assert [one.name for one in app.env] == ["WHO"]
    assert requests.get(found.url, timeout=60).text == found.revision != first.revision
    answer = json.loads(as_json(found))
    assert (answer["container"], answer["project"], answer["region"]) == ("app", "emulated", "europe-west1")


def test_a_proxy_in_front_of_the_app_stays_as_it_is(web: Project, google: Callable[..., Emulator]) -> None:
    """The container with a port is the proxy; the app listens where its own variable says."""
    emulator = google()
    deployed(web)
    proxy = run_v2.Container(name="proxy", image=_image("proxy", _PROXY), ports=_PORT)
    before = _reshape(emulator, [proxy, _app(emulator, ports=[], env=_env(PORT="8888"))])
    assert before.terminal_condition.state == run_v2.Condition.State.CONDITION_SUCCEEDED, before.terminal_condition
    _change(web)

    found = deployed(web)

    assert found.exit_code == 0, as_text(found)
    assert verdicts(found)["start"] == "ok"
    ingress, app = _service(emulator).template.containers
    assert ingress.image == proxy.image
    assert app.image != before.template.containers[1].image
    assert requests.get(found.url, timeout=60).text == f"by proxy: {found.revision}"


@pytest.mark.parametrize(("twin", "words"), [(True, "2 containers of web run "), (False, "none of the 2 containers")])
def test_an_app_that_is_not_certain_is_refused_in_the_plan(
    site: Project, google: Callable[..., Emulator], *, twin: bool, words: str
) -> None:
    emulator = google()
    deployed(site)
    app = _app(emulator, ports=_PORT)
    collector = _beside("collector", _COLLECTOR)
    other = run_v2.Container(name="other", image=app.image if twin else collector, args=["-c", _COLLECTOR])
    if twin:
        other.command, app.command = ["python3"], []
    else:
        other.args, app.image = [], _beside("proxy", _PROXY)
    _reshape(emulator, [other, app])
    _change(site)
    builds = len(emulator.builds.find("emulated", ""))

    dry, found = plan_deploy(DeployRequest(cwd=site.path)), deployed(site)

    assert dry.exit_code == found.exit_code == 1
    (refusal,) = found.plan.refusals
    assert words in refusal
    assert f"other ({other.image}), app (" in refusal
    assert 'set container = "NAME" in [tool.buildguard.deploy]' in refusal
    assert len(emulator.builds.find("emulated", "")) == builds
    if twin:
        toml = (site.path / "buildguard.toml").read_text()
        _change(site, {"buildguard.toml": f'{toml}container = "app"\n'})
        named = deployed(site)
        assert named.exit_code == 0, as_text(named)
        beside, app_now = _service(emulator).template.containers
        assert (beside.image, app_now.image == app.image) == (other.image, False)


def test_variables_and_command_are_those_of_the_apps_container(web: Project, google: Callable[..., Emulator]) -> None:
    emulator = google()
    deployed(web)
    collector = run_v2.Container(name="collector", image=_image("collector", _COLLECTOR), env=_env(DATABASE_URL="x"))
    _reshape(emulator, [collector, _app(emulator, ports=_PORT, command=["python3", "-c", "raise SystemExit(7)"])])
    toml = (web.path / "buildguard.toml").read_text()
    _change(web, {"buildguard.toml": f'{toml}required-env = ["DATABASE_URL"]\n'})

    refused = deployed(web)

    assert any("BG501" in one and "DATABASE_URL" in one and "--container app" in one for one in refused.plan.refusals)
    _change(web, {"buildguard.toml": toml, "app/other.py": "x = 3\n"})
    started = deployed(web, build_local=True)
    assert started.last is not None
    assert (started.last.step, "status 7" in started.last.words) == ("start", True)


def test_an_app_behind_a_proxy_needs_a_port_that_is_known(site: Project, google: Callable[..., Emulator]) -> None:
    emulator = google()
    deployed(site)
    proxy = run_v2.Container(name="proxy", image=_beside("proxy", _PROXY), ports=_PORT)
    _reshape(emulator, [proxy, _app(emulator, ports=[])])

    refused = plan_deploy(DeployRequest(cwd=site.path)).plan.refusals

    assert [one.partition(":")[0] for one in refused] == [
        "the container app of web has no port, and so the port that the app listens on is unknown"
    ]
    probe = run_v2.Probe(tcp_socket=run_v2.TCPSocketAction(port=8888))
    _reshape(emulator, [proxy, _app(emulator, ports=[], startup_probe=probe)])
    assert not plan_deploy(DeployRequest(cwd=site.path)).plan.refusals


_ONE, _TWO = Container("one", "host/acme/one:1"), Container("two", f"host/acme/two@sha256:{'0' * 64}")


@pytest.mark.parametrize(
    ("app", "containers", "place"),
    [
        (AppContainer("host/acme/two"), [_ONE, _TWO], 1),
        (AppContainer("host/acme/one"), [_ONE, _TWO], 0),
        (AppContainer("host/acme/one", "two"), [_ONE, _TWO], 1),
        (AppContainer("host/another"), [_ONE], 0),  # a service begins with an image that is another's
        (AppContainer(), [_ONE], 0),
        (AppContainer("", "named"), [Container("", "x")], 0),
        (AppContainer("host/acme/one", "three"), [_ONE], None),
        (AppContainer("host/acme/one", "three"), [_ONE, _TWO], None),
        (AppContainer("host/acme/three"), [_ONE, _TWO], None),
        (AppContainer("host/acme/one"), [_ONE, _ONE], None),
        (AppContainer(), [_ONE, _TWO], None),
    ],
)
def test_the_apps_container(app: AppContainer, containers: list[Container], place: int | None) -> None:
    if place is not None:
        assert app.place_in(containers, "web") == place
        return
    with pytest.raises(UnknownContainerError, match=containers[0].name):
        app.place_in(containers, "web")
