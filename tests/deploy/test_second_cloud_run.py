"""Deploys on a second Cloud Run: the app's container, LATEST, tags, templates, unknown fields, etags and two projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.cloud import run_v2

from buildguard.deploy import canary, current_service, health, service_steps
from buildguard.deploy.build import BuiltImage
from buildguard.deploy.canary import CanaryResult, RequestCount
from buildguard.deploy.environment import RequiredVariables
from buildguard.deploy.health import Result
from buildguard.deploy.outcome import DeployStoppedError
from buildguard.deploy.traffic import NewTraffic
from buildguard.errors import GuardError
from buildguard.gcp import auth, cloud_run, connection
from buildguard.gcp.service_containers import AppContainer
from buildguard.gcp.service_state import ServiceState
from buildguard.project import ledger as ledgers
from buildguard.project.config import Config
from buildguard.project.deploy_table import TrafficStage
from buildguard.project.image_reference import ImageDigest
from buildguard.project.ledger import Ledger, ServiceId, StepVerdict
from tests.deploy.plans import COMMIT, IMAGE, StepByStep, prepared
from tests.deploy.second_cloud_run import BY_NAME, LATEST, SecondCloudRun, add_unknown, has_unknown
from tests.project.memory import MemoryStage

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = "sha256:" + "1" * 64
_NEW = f"{IMAGE}@{_DIGEST}"
_OLD = f"{IMAGE}@sha256:{'0' * 64}"
_COLLECTOR = "registry.invalid/otel/collector:1"
_NGINX = "registry.invalid/nginx:1"
_WEB = "projects/p/locations/r/services/web"


@pytest.fixture
def second(monkeypatch: pytest.MonkeyPatch) -> SecondCloudRun:
    fake = SecondCloudRun()
    monkeypatch.setenv(auth.RUN, "grpc://127.0.0.1:1")
    monkeypatch.setattr(connection, "_emulator_clients", lambda *_arguments: (fake, fake))
    monkeypatch.setattr(cloud_run, "_PAUSE", 0.01)
    monkeypatch.setattr(cloud_run, "_READY_WITHIN", 5.0)
    monkeypatch.setattr(cloud_run, "_SETTLED_WITHIN", 5.0)
    monkeypatch.setattr(health, "check", lambda *_arguments: Result(StepVerdict.OK, "responds with 200", "", {}))
    return fake


def _serve(
    second: SecondCloudRun, *containers: run_v2.Container, project: str = "p", traffic: Any = ()
) -> run_v2.Service:
    """A service that serves `web-old`."""
    containers = containers or (run_v2.Container(image=_OLD, ports=[run_v2.ContainerPort(container_port=8080)]),)
    template = run_v2.RevisionTemplate(revision="web-old", containers=list(containers), service_account="run@p")
    service = run_v2.Service(template=template, traffic=list(traffic))
    parent = f"projects/{project}/locations/r"
    second.create_service(request={"parent": parent, "service": service, "service_id": "web"}, timeout=1)
    for _ in range(3):
        second.get_service(name=f"{parent}/services/web")
    return second.services[f"{parent}/services/web"]


def _deploy(folder: Path, project: str = "p", **wishes: Any) -> StepByStep:
    """A deploy over the service as it is now, whose image is built."""
    identity = ServiceId(project, "r", "web")
    serving = current_service.read_current(
        identity, AppContainer(IMAGE, ""), RequiredVariables(MemoryStage({}), Config(), "web")
    )
    ready = prepared(folder, serving=serving, **wishes)._replace(project=project)
    ledger = Ledger(folder / "ledger.jsonl", "run", identity, COMMIT)
    earlier = [line for line in ledgers.read(folder / "ledger.jsonl")[0] if line.service_id == identity]
    return StepByStep(ready, ledger, earlier, BuiltImage(_NEW, f"{IMAGE}:bg-1", ImageDigest(_DIGEST), {}))


def _to_the_end(run: StepByStep) -> str:
    run.do(service_steps.validate)
    run.do(service_steps.make_revision)
    run.do(service_steps.check_health)
    run.do(service_steps.move_traffic)
    return run.do(service_steps.prove).words


def _images(service: run_v2.Service) -> list[str]:
    return [container.image for container in service.template.containers]


def _requested(service: run_v2.Service) -> list[tuple[str, int, str]]:
    return [("LATEST" if one.type_ == LATEST else one.revision, one.percent, one.tag) for one in service.traffic]


def _state(run: StepByStep) -> ServiceState:
    with service_steps._connect(run.context) as client:
        state = client.get("web")
    assert state is not None
    return state


# ------------------------------------------------------------------------------------------ containers


def test_a_collector_that_is_listed_first_keeps_its_image(second: SecondCloudRun, tmp_path: Path) -> None:
    app = run_v2.Container(name="app", image=_OLD, ports=[run_v2.ContainerPort(container_port=8080)])
    service = _serve(second, run_v2.Container(name="collector", image=_COLLECTOR), app)

    _to_the_end(_deploy(tmp_path))

    assert _images(second.services[service.name]) == [_COLLECTOR, _NEW]


def test_a_proxy_in_front_of_the_app_keeps_its_image(second: SecondCloudRun, tmp_path: Path) -> None:
    proxy = run_v2.Container(name="proxy", image=_NGINX, ports=[run_v2.ContainerPort(container_port=8080)])
    app = run_v2.Container(name="app", image=_OLD, env=[run_v2.EnvVar(name="PORT", value="8888")])
    service = _serve(second, proxy, app)

    _to_the_end(_deploy(tmp_path))

    assert _images(second.services[service.name]) == [_NGINX, _NEW]


def test_a_proof_is_of_the_apps_container(second: SecondCloudRun, tmp_path: Path) -> None:
    """Another container with the new digest proves nothing."""
    app = run_v2.Container(name="app", image=_OLD, ports=[run_v2.ContainerPort(container_port=8080)])
    _serve(second, run_v2.Container(name="collector", image=_COLLECTOR), app)
    run = _deploy(tmp_path)
    run.do(service_steps.make_revision)
    run.do(service_steps.move_traffic)
    revision = second.revisions[f"{_WEB}/revisions/{run.context.revision}"]
    revision.containers[1].image, revision.containers[0].image = _OLD, _NEW

    with pytest.raises(GuardError):
        run.do(service_steps.prove)


# ------------------------------------------------------------------------------------------ LATEST


def test_traffic_that_followed_latest_follows_it_again(second: SecondCloudRun, tmp_path: Path) -> None:
    tags = [
        run_v2.TrafficTarget(type_=LATEST, percent=100),
        run_v2.TrafficTarget(type_=LATEST, tag="preview"),
        run_v2.TrafficTarget(type_=BY_NAME, revision="web-old", tag="stable"),
    ]
    service = _serve(second, traffic=tags)
    run = _deploy(tmp_path)

    words = _to_the_end(run)

    assert words.endswith("; the traffic follows the latest revision again")
    assert sorted(_requested(second.services[service.name])) == sorted(
        [
            ("LATEST", 100, ""),
            (run.context.revision, 0, run.context.tag),
            ("LATEST", 0, "preview"),
            ("web-old", 0, "stable"),
        ]
    )
    assert _state(run).only_revision == run.context.revision


def test_meanwhile_latest_serves_what_it_served(second: SecondCloudRun, tmp_path: Path) -> None:
    service = _serve(second, traffic=[run_v2.TrafficTarget(type_=LATEST, percent=100)])
    run = _deploy(tmp_path)

    run.do(service_steps.make_revision)

    assert _state(run).only_revision == "web-old"
    assert ("web-old", 100, "") in _requested(second.services[service.name])


@pytest.mark.parametrize(
    ("wishes", "traffic", "says"),
    [
        ({"pin": True}, [], "; the traffic is pinned to "),
        ({}, [run_v2.TrafficTarget(type_=BY_NAME, revision="web-old", percent=100)], "; the traffic is pinned to "),
    ],
)
def test_pinned_traffic_stays_pinned(
    second: SecondCloudRun, tmp_path: Path, wishes: dict[str, Any], traffic: list[Any], says: str
) -> None:
    service = _serve(second)
    second.services[service.name].traffic = traffic
    run = _deploy(tmp_path, **wishes)

    words = _to_the_end(run)

    assert words.endswith(f"{says}{run.context.revision}")
    assert (run.context.revision, 100, run.context.tag) in _requested(second.services[service.name])


def test_tags_follow_latest_also_where_the_traffic_is_pinned(second: SecondCloudRun, tmp_path: Path) -> None:
    tags = [run_v2.TrafficTarget(type_=LATEST, percent=100), run_v2.TrafficTarget(type_=LATEST, tag="preview")]
    service = _serve(second, traffic=tags)
    run = _deploy(tmp_path, pin=True)

    words = _to_the_end(run)

    assert words.endswith(f"pinned to {run.context.revision}, and the tags preview follow the latest revision again")
    assert sorted(_requested(second.services[service.name])) == sorted(
        [(run.context.revision, 100, ""), (run.context.revision, 0, run.context.tag), ("LATEST", 0, "preview")]
    )


def test_a_newer_revision_of_somebody_elses_is_not_sent_the_traffic(second: SecondCloudRun, tmp_path: Path) -> None:
    service = _serve(second)
    run = _deploy(tmp_path)
    run.do(service_steps.make_revision)
    run.do(service_steps.move_traffic)
    theirs = second.get_service(name=service.name)
    theirs.template.revision = "web-theirs"
    theirs.template.containers[0].image = f"{IMAGE}:theirs"
    second.update_service(service=theirs, timeout=1)

    words = run.do(service_steps.prove).words

    assert words.endswith(f"; the traffic stays pinned to {run.context.revision}: the latest revision is web-theirs")
    assert _state(run).only_revision == run.context.revision


def test_a_killed_run_leaves_latest_to_the_next(second: SecondCloudRun, tmp_path: Path) -> None:
    service = _serve(second)
    _deploy(tmp_path).do(service_steps.make_revision)  # and there it is killed: the traffic is by name now

    words = _to_the_end(_deploy(tmp_path))

    assert words.endswith("; the traffic follows the latest revision again")
    assert ("LATEST", 100, "") in _requested(second.services[service.name])


@pytest.mark.parametrize(("revision", "follows"), [("web-old", True), ("web-older", False)])
def test_after_a_rollback_of_ours_latest_is_followed_again(
    second: SecondCloudRun, tmp_path: Path, revision: str, *, follows: bool
) -> None:
    """Unless the traffic was moved by hand since then."""
    service = _serve(second)
    second.services[service.name].traffic = [run_v2.TrafficTarget(type_=BY_NAME, revision="web-old", percent=100)]
    ledger = Ledger(tmp_path / "ledger.jsonl", "back", ServiceId("p", "r", "web"), COMMIT)
    ledger.write("rollback", StepVerdict.OK, 0.0, {"revision": revision, "latest": True, "latest_tags": []})

    _to_the_end(_deploy(tmp_path))

    assert (("LATEST", 100, "") in _requested(second.services[service.name])) is follows


# ------------------------------------------------------------------------------------------ templates


@pytest.mark.parametrize("refuses", [False, True])
def test_a_failed_deploy_restores_the_template(second: SecondCloudRun, tmp_path: Path, *, refuses: bool) -> None:
    service = _serve(second, traffic=[run_v2.TrafficTarget(type_=LATEST, percent=100)])
    second.broken.add(_NEW)
    second.refuses_reuse = refuses
    run = _deploy(tmp_path)
    with pytest.raises(DeployStoppedError, match="BG503"):
        run.do(service_steps.make_revision)

    service_steps.restore(run.context)

    now = second.services[service.name]
    assert _images(now) == [_OLD]
    assert now.template.service_account == "run@p"
    assert "buildguard.dev/commit" not in now.template.annotations
    assert _state(run).only_revision == "web-old"
    if not refuses:
        assert now.template.revision == "web-old"
        assert (run.context.revision, 0, run.context.tag) in _requested(now), "for whoever looks into it"
        assert ("LATEST", 100, "") in _requested(now)
    assert run.context.notes[0].startswith("the template of web is that of web-old again")


def test_the_template_of_somebody_elses_change_is_left_alone(second: SecondCloudRun, tmp_path: Path) -> None:
    service = _serve(second)
    run = _deploy(tmp_path)
    run.do(service_steps.make_revision)
    theirs = second.get_service(name=service.name)
    theirs.template.revision = "web-theirs"
    theirs.template.containers[0].image = f"{IMAGE}:theirs"
    second.update_service(service=theirs, timeout=1)

    service_steps.restore(run.context)

    assert _images(second.services[service.name]) == [f"{IMAGE}:theirs"]
    assert run.context.notes == ()


# ------------------------------------------------------------------------------------------ the wire


def test_fields_that_are_unknown_stay(second: SecondCloudRun, tmp_path: Path) -> None:
    service = _serve(second, traffic=[run_v2.TrafficTarget(type_=LATEST, percent=100)])
    stored = second.services[service.name]
    stored.template.containers[0].env = [run_v2.EnvVar(name="MODE", value="x")]
    stored.traffic = [*stored.traffic, run_v2.TrafficTarget(type_=BY_NAME, revision="web-old", tag="stable")]
    for message in (
        stored,
        stored.template,
        stored.template.containers[0],
        stored.template.containers[0].env[0],
        stored.traffic[1],
    ):
        add_unknown(message)
    run = _deploy(tmp_path)

    _to_the_end(run)

    now = second.services[service.name]
    container = now.template.containers[0]
    assert _images(now) == [_NEW]
    assert all(map(has_unknown, (now, now.template, container, container.env[0])))
    assert has_unknown(next(target for target in now.traffic if target.tag == "stable"))


def test_a_change_of_somebody_elses_is_a_conflict(second: SecondCloudRun, tmp_path: Path) -> None:
    service = _serve(second)
    run = _deploy(tmp_path)
    run.do(service_steps.make_revision)
    second.touch(service.name)

    with pytest.raises(DeployStoppedError, match="the traffic was left as it is") as raised:
        run.do(service_steps.move_traffic)

    assert raised.value.exit_code == 3
    assert _state(run).only_revision == "web-old"


def test_services_of_two_projects_are_two(second: SecondCloudRun, tmp_path: Path) -> None:
    staging, production = _serve(second, project="staging"), _serve(second, project="prod")

    _to_the_end(_deploy(tmp_path, "staging"))

    assert _images(second.services[staging.name]) == [_NEW]
    assert _images(second.services[production.name]) == [_OLD]


def test_a_private_service_is_asked_under_its_own_address(
    second: SecondCloudRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token's audience is the service's address, and what is asked is the tag's."""
    asked: list[tuple[str, str]] = []

    def check(url: str, audience: str, _proof: object) -> Result:
        asked.append((url, audience))
        return Result(StepVerdict.OK, "", "", {})

    monkeypatch.setattr(health, "check", check)
    _serve(second)
    run = _deploy(tmp_path)
    run.do(service_steps.make_revision)
    run.do(service_steps.check_health)

    assert asked == [(f"https://{run.context.tag}---web.example", "https://web.example")]


def test_a_canary_gives_the_old_revision_an_address_for_a_while(second: SecondCloudRun, tmp_path: Path) -> None:
    shares = NewTraffic("web", "web-old", "web-new", "bg-1").shares(10, is_canary=True)

    assert [(share.revision, share.percent, share.tag) for share in shares] == [
        ("web-old", 90, "bg-old"),
        ("web-new", 10, "bg-1"),
    ]


@pytest.mark.parametrize(("fails", "serves"), [(False, "the new one"), (True, "web-old")])
def test_a_canary_decides_who_serves(
    second: SecondCloudRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool, serves: str
) -> None:
    asked: list[str] = []

    def watch(addresses: tuple[str, str], audience: str, _proof: object, limit: float) -> CanaryResult:
        asked.extend((*addresses, audience, str(limit)))
        return CanaryResult(RequestCount(3 if fails else 30, 30), RequestCount(30, 30), limit)

    monkeypatch.setattr(canary, "watch", watch)
    service = _serve(second)
    run = _deploy(tmp_path)
    stages = (TrafficStage(10, 300), TrafficStage(100))
    plan = run.context.plan
    plan = plan._replace(wishes=plan.wishes._replace(traffic=stages))
    run.context._replace(prepared=run.context.prepared._replace(plan=plan)).publish()
    run.do(service_steps.make_revision)

    if fails:
        with pytest.raises(
            DeployStoppedError, match=r"did worse: in 300 s 3 of 30 requests .* web-old has all traffic"
        ):
            run.do(service_steps.move_traffic)
    else:
        _context, words, evidence = run.do(service_steps.move_traffic)
        assert words.startswith(f"10 % (in 300 s 30 of 30 requests to {run.context.revision}")
        assert evidence["canaries"][0]["percent"] == 10

    assert asked == [
        f"https://{run.context.tag}---web.example",
        "https://bg-old---web.example",
        "https://web.example",
        "300",
    ]
    assert _state(run).only_revision == (run.context.revision if serves == "the new one" else serves)
    assert not [tag for _revision, _percent, tag in _requested(second.services[service.name]) if tag == "bg-old"]
