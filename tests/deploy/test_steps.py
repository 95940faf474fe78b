"""The steps of a deploy, one at a time: their verdicts, the ledger, and what Cloud Run has to answer."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import pytest

from buildguard.check.result import CheckReport
from buildguard.cli.render.deploy import as_json
from buildguard.compare.chain import Chain, Hop
from buildguard.deploy import health, image_steps, service_steps
from buildguard.deploy.build import BuiltImage
from buildguard.deploy.context import DeployContext, ImageEngine, StepResult
from buildguard.deploy.health import Result
from buildguard.deploy.outcome import DeployStoppedError
from buildguard.deploy.plan import CurrentService, DeployStep, Step
from buildguard.deploy.run import DeployReport
from buildguard.errors import GuardError, UnprovenError, UsageError
from buildguard.gcp.cloud_run import NotReadyError
from buildguard.gcp.connection import ConflictError
from buildguard.gcp.service_containers import AppContainer, Container
from buildguard.gcp.service_state import Revision, ServiceState, TrafficShare
from buildguard.project import ledger as ledgers
from buildguard.project.image_reference import ImageDigest
from buildguard.project.ledger import Ledger, LedgerLine, ServiceId, StepVerdict
from buildguard.stages.manifest import Manifest
from buildguard.stages.snapshot import Snapshot, StageKind
from tests.deploy.plans import COMMIT, IMAGE, StepByStep, prepared

if TYPE_CHECKING:
    from pathlib import Path

_DIGEST = "sha256:" + "1" * 64
_BUILT = BuiltImage(f"{IMAGE}@{_DIGEST}", f"{IMAGE}:bg-1", ImageDigest(_DIGEST), {})
_APP = AppContainer(IMAGE, "")


class _CloudRun:
    """A service in which everything succeeds, unless a test says otherwise."""

    def __init__(self) -> None:
        self.routed: list[list[tuple[str, int]]] = []
        self.image = f"{IMAGE}@{_DIGEST}"
        self.tag = ""
        self.revision_name = ""
        self.error: GuardError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to close."""

    def get(self, service: str) -> ServiceState:
        shares = (TrafficShare(self.revision_name, 100, self.tag, "https://tag.invalid"),)
        return ServiceState(service, "etag-2", "https://web.invalid", True, False, "", "", "", (), shares, ())

    def settled(self, service: str) -> ServiceState:
        return self.get(service)

    def revision(self, _service: str, name: str) -> Revision:
        return Revision(name, True, False, "", (Container("app", self.image),), {}, "", _APP)

    def candidate(self, service: str, _image: str, new: Any) -> Revision:
        if self.error is not None:
            raise self.error
        self.revision_name, self.tag = new.name, self.tag or new.tag
        return self.revision(service, new.name)

    def route(self, service: str, shares: list[TrafficShare], _etag: str = "") -> ServiceState:
        self.routed.append([(share.revision, share.percent) for share in shares])
        return self.get(service)


@pytest.fixture
def cloud_run(monkeypatch: pytest.MonkeyPatch) -> _CloudRun:
    service = _CloudRun()
    monkeypatch.setattr(service_steps, "CloudRunClient", lambda *_arguments: service)
    monkeypatch.setattr(health, "check", lambda *_arguments: Result(StepVerdict.OK, "answers 200", "", {}))
    return service


def _run(folder: Path, earlier: list[LedgerLine] | None = None, **changes: Any) -> StepByStep:
    ledger = Ledger(folder / "ledger.jsonl", "run", ServiceId("p", "r", "web"), COMMIT)
    return StepByStep(prepared(folder, **changes), ledger, earlier or [], _BUILT)


def _recorded(folder: Path) -> list[tuple[str, str]]:
    return [(line.step, line.verdict) for line in ledgers.read(folder / "ledger.jsonl")[0]]


def _raise(error: GuardError) -> Any:
    raise error


def test_a_step_is_written_down_before_it_begins_and_when_it_ended(tmp_path: Path) -> None:
    run = _run(tmp_path)

    run.step(DeployStep.CHECK, lambda context: StepResult(context, "2 files compiled", {"files": 2}))
    run.runner._skip(Step(DeployStep.UPLOAD, "", StepResult), "not needed")

    assert _recorded(tmp_path) == [("check", "begun"), ("check", "ok"), ("upload", "skipped")]
    assert [(outcome.verdict, outcome.words) for outcome in run.context.outcomes] == [
        ("ok", "2 files compiled"),
        ("skipped", "not needed"),
    ]


@pytest.mark.parametrize(
    ("error", "verdict", "exit_code"),
    [
        (DeployStoppedError("no", evidence={"a": 1}), "failed", 1),
        (DeployStoppedError("no", proven=False), "unproven", 3),
        (UnprovenError("no"), "unproven", 3),
        (UsageError("no"), "unproven", 3),
    ],
)
def test_an_error_ends_the_deploy_with_its_verdict(
    tmp_path: Path, error: GuardError, verdict: str, exit_code: int
) -> None:
    run = _run(tmp_path)

    with pytest.raises(DeployStoppedError) as raised:
        run.step(DeployStep.CHECK, lambda _context: _raise(error))

    assert raised.value.exit_code == exit_code
    assert _recorded(tmp_path)[-1] == ("check", verdict)
    assert run.context.outcomes[-1].evidence == getattr(error, "evidence", {})


def test_the_tuple_of_steps_is_what_is_shown_and_what_runs(tmp_path: Path) -> None:
    """Plan, run, ledger and JSON have no list of steps of their own."""
    ran: list[tuple[str, int]] = []

    def step(identity: DeployStep) -> Step:
        def run(context: DeployContext) -> StepResult:
            ran.append((identity, len(context.outcomes)))
            return StepResult(context._replace(url=f"{context.url}/{identity}"), f"did {identity}")

        return Step(identity, f"will {identity}", run)

    planned = (step(DeployStep.PROVE), step(DeployStep.CHECK)._replace(skipped="no need"), step(DeployStep.HEALTH))
    ready = prepared(tmp_path)
    run = StepByStep(
        ready._replace(plan=ready.plan._replace(steps=planned)),
        Ledger(tmp_path / "ledger.jsonl", "run", ServiceId("p", "r", "web"), COMMIT),
    )
    before = run.context

    run.runner.run()

    assert ran == [("prove", 0), ("health", 2)]
    assert (before.outcomes, before.url, run.context.url) == ((), "", "/prove/health")
    assert [(outcome.step, outcome.words) for outcome in run.context.outcomes] == [
        ("prove", "did prove"),
        ("check", "no need"),
        ("health", "did health"),
    ]
    assert [step for step, verdict in _recorded(tmp_path) if verdict != "begun"] == ["prove", "check", "health", "end"]
    shown = json.loads(as_json(DeployReport(run.context.plan, None)))["steps"]
    assert shown == [{"id": step.id, "will": step.will} for step in planned]


def test_a_revision_runs_the_digest_that_was_built(tmp_path: Path, cloud_run: _CloudRun) -> None:
    run = _run(tmp_path)
    _context, words, evidence = run.do(service_steps.make_revision)

    assert words == f"{run.context.revision} is ready"
    assert evidence == {"revision": run.context.revision, "url": "https://tag.invalid", "digest": _DIGEST}

    cloud_run.image = f"{IMAGE}@sha256:{'2' * 64}"
    with pytest.raises(DeployStoppedError, match="and not"):
        _run(tmp_path).do(service_steps.make_revision)


def test_a_revision_without_an_address_of_its_own_is_unproven(tmp_path: Path, cloud_run: _CloudRun) -> None:
    cloud_run.tag = "another"

    with pytest.raises(DeployStoppedError, match="no address of its own") as raised:
        _run(tmp_path).do(service_steps.make_revision)
    assert raised.value.exit_code == 3


def test_the_first_revision_has_the_address_of_the_service(tmp_path: Path, cloud_run: _CloudRun) -> None:
    run = _run(tmp_path, serving=CurrentService(known=True))
    run.do(service_steps.make_revision)

    assert run.context.url == "https://web.invalid"


def test_a_revision_that_does_not_become_ready_is_bg503(tmp_path: Path, cloud_run: _CloudRun) -> None:
    cloud_run.error = NotReadyError("it did not start", revision="web-1")

    with pytest.raises(DeployStoppedError, match="BG503 it did not start") as raised:
        _run(tmp_path).do(service_steps.make_revision)
    assert raised.value.exit_code == 1


def test_traffic_moves_in_steps(tmp_path: Path, cloud_run: _CloudRun) -> None:
    run = _run(tmp_path, traffic=(0, 50, 100))
    run.do(service_steps.make_revision)

    assert run.do(service_steps.move_traffic).evidence == {"percents": [50, 100]}
    assert cloud_run.routed == [[("web-old", 50), (run.context.revision, 50)], [(run.context.revision, 100)]]


def test_failing_health_sends_the_traffic_back(
    tmp_path: Path, cloud_run: _CloudRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(tmp_path, traffic=(50, 100))
    run.do(service_steps.make_revision)
    monkeypatch.setattr(health, "check", lambda *_arguments: Result(StepVerdict.FAILED, "answers 500", "", {}))

    with pytest.raises(DeployStoppedError, match="at 50 %: answers 500; web-old has all traffic again"):
        run.do(service_steps.move_traffic)
    assert cloud_run.routed[-1] == [("web-old", 100)]


def test_a_conflict_leaves_the_traffic_alone(
    tmp_path: Path, cloud_run: _CloudRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run(tmp_path, traffic=(50, 100))
    run.do(service_steps.make_revision)
    monkeypatch.setattr(cloud_run, "route", lambda *_arguments: _raise(ConflictError("changed meanwhile")))

    with pytest.raises(DeployStoppedError, match="left as it is") as raised:
        run.do(service_steps.move_traffic)
    assert raised.value.exit_code == 3


def test_without_an_old_revision_nothing_is_rolled_back(tmp_path: Path, cloud_run: _CloudRun) -> None:
    run = _run(tmp_path, serving=CurrentService(known=True, exists=True, divided="50 % a, 50 % b"))

    with pytest.raises(DeployStoppedError, match="nothing was rolled back"):
        service_steps.roll_back(run.context, "at 50 %: no")
    assert cloud_run.routed == []


def test_the_last_step_proves_what_serves(tmp_path: Path, cloud_run: _CloudRun) -> None:
    run = _run(tmp_path)
    run.do(service_steps.make_revision)
    _context, words, evidence = run.do(service_steps.prove)
    assert words.startswith("https://web.invalid serves")
    assert (evidence["digest"], evidence["instead_of"]) == (_DIGEST, "web-old")

    cloud_run.revision_name = "another"
    with pytest.raises(DeployStoppedError, match="does not serve"):
        run.do(service_steps.prove)


def test_nothing_is_pushed_for_a_service_that_cannot_be_asked(tmp_path: Path) -> None:
    run = _run(tmp_path, serving=CurrentService(known=False, unknown_reason="no credentials"))

    with pytest.raises(DeployStoppedError, match="not pushed: no credentials") as raised:
        run.do(image_steps.push)
    assert raised.value.exit_code == 3


def test_an_image_that_starts_otherwise_than_declared_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = "web starts in /other, and Dockerfile says /srv"
    snapshots = (
        Snapshot("commit:x", StageKind.COMMIT, Manifest([])),
        Snapshot("image:web", StageKind.IMAGE, Manifest([]), ("the project is in /srv, by Dockerfile", starts)),
    )
    chain = Chain((Hop(*snapshots, ()),))
    report = CheckReport(".", (), (), (), (), 1, 0.1)
    monkeypatch.setattr(image_steps, "diff", lambda *_words, **_options: SimpleNamespace(chain=chain))
    monkeypatch.setattr(image_steps, "check_image", lambda *_words: report)
    run = _run(tmp_path)

    result = run.do(lambda context: image_steps.verify_image(context._replace(engine=ImageEngine(None))))

    assert result.context.notes == (starts,)
