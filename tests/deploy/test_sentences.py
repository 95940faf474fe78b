"""Whatever a deploy says of the world was seen: each run is played on the second Cloud Run, and each sentence compared with it.

A claim is a form of words with what has to be true for it. A sentence that matches no observation fails the test, and so
does a new form of words that no one has listed here and that counts, or refers to traffic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from click import unstyle
from google.api_core import exceptions as api
from google.cloud import run_v2

from buildguard.cli.render.deploy import as_text
from buildguard.deploy import health, image_steps, service_steps
from buildguard.deploy.build import BuiltImage
from buildguard.deploy.context import DeployContext, StepResult
from buildguard.deploy.health import Result
from buildguard.deploy.outcome import DeployStoppedError
from buildguard.deploy.plan import DeployStep
from buildguard.deploy.run import DeployReport
from buildguard.diagnostic import Range
from buildguard.project.image_reference import ImageDigest
from buildguard.project.ledger import StepVerdict
from tests.cli.render.records import finding
from tests.deploy.plans import IMAGE, StepByStep
from tests.deploy.second_cloud_run import LATEST, SecondCloudRun
from tests.deploy.test_second_cloud_run import _DIGEST, _NEW, _WEB, _deploy, _serve, second

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["second"]  # the fixture
_Claim = Callable[["_Seen", re.Match[str]], bool]


class _Seen:
    """What was really there after a run."""

    def __init__(self, fake: SecondCloudRun, report: DeployReport) -> None:
        service = fake.services[_WEB]
        newest = service.latest_ready_revision.rpartition("/")[2]
        self.report = report
        self.shares = {
            (newest if status.type_ == LATEST else status.revision): status.percent
            for status in service.traffic_statuses
            if status.percent
        }
        self.template = service.template.containers[0].image
        self.follows = any(target.type_ == LATEST and target.percent for target in service.traffic)
        self.evidence = {outcome.step: outcome.evidence for outcome in report.outcomes or ()}

    def serves_alone(self, name: str) -> bool:
        return self.shares == {name: 100}


# Each form of words, and what has to be so for it.
_CLAIMS: Mapping[str, _Claim] = {
    r"(\S+) serves as before": lambda seen, match: seen.serves_alone(match[1]) and bool(seen.report.observed.traffic),
    r"(\S+) has all traffic(?: again)?": lambda seen, match: seen.serves_alone(match[1]),
    r"serves (\S+), all of it, by the digest that was built": lambda seen, match: (
        seen.serves_alone(match[1]) and seen.evidence[DeployStep.PROVE]["digest"] == _DIGEST
    ),
    r"deployed: \S+ serves ([^\s;]+)": lambda seen, match: seen.serves_alone(match[1]),
    r"the traffic follows the latest revision(?: again)?": lambda seen, _match: seen.follows,
    r"the traffic is pinned to (\S+)": lambda seen, match: not seen.follows and match[1] in seen.shares,
    r"the template of web is that of (\S+) again": lambda seen, _match: seen.template != _NEW,
    r"the traffic now: ([^;]+);": lambda seen, match: _same(match[1], seen.shares),
    r"Revision '(\S+)' is not ready and cannot serve traffic": lambda seen, match: match[1] not in seen.shares,
    r"(?:routing the traffic of web|the traffic could not be sent back to \S+): ": lambda seen, _match: bool(
        seen.report.observed.problem
    ),
    r"what serves now is unknown: .+": lambda seen, _match: bool(seen.report.observed.problem),
    r"the traffic was left as it is now": lambda seen, _match: bool(seen.shares),
    r"(\S+) is ready(?! at)": lambda seen, match: seen.evidence[DeployStep.REVISION]["revision"] == match[1],
    r"responds with (\d+)": lambda seen, match: any(
        str(evidence.get("status")) == match[1] for evidence in seen.evidence.values()
    ),
    r"(failed|unproven) at (\S+);": lambda seen, match: _ended(seen.report, match),
    r"web does not serve (\S+) alone: (.+)": lambda seen, match: _same(match[2], seen.shares),
}
# Words that nothing but a count or a look at the service can bring about.
_SPEAKS = re.compile(r"\btwice\b|\bagain\b|\bserves?\b|\btraffic\b|\b\d+ (?:seconds|times|tries)\b")


def _ended(report: DeployReport, match: re.Match[str]) -> bool:
    return report.last is not None and (report.last.verdict, report.last.step) == (match[1], match[2])


def _same(words: str, shares: dict[str, int]) -> bool:
    return {name: int(percent) for percent, name in re.findall(r"(\d+) % (\S+?)(?:,|$)", words)} == shares


def _play(
    fake: SecondCloudRun, folder: Path, monkeypatch: pytest.MonkeyPatch, **wishes: Any
) -> tuple[StepByStep, Callable[[], DeployReport]]:
    """A deploy over the fake whose image is built and proven; and what runs it to its end."""
    for name in ("check", "archive", "upload", "verify_image"):
        monkeypatch.setattr(image_steps, name, StepResult)

    def build(context: DeployContext) -> StepResult:
        return StepResult(context._replace(built=BuiltImage(_NEW, f"{IMAGE}:bg-1", ImageDigest(_DIGEST), {})), _NEW)

    def start(context: DeployContext) -> StepResult:
        return StepResult(context, "responds with 200 after 0.1 s", {"status": 200})

    monkeypatch.setattr(image_steps, "build_in_cloud", build)
    monkeypatch.setattr(service_steps, "start_image", start)
    monkeypatch.setattr(
        health, "check", lambda *_rest: Result(StepVerdict.OK, "https://tag responds with 200", "", {"status": 200})
    )
    run = _deploy(folder, **wishes)

    def end() -> DeployReport:
        run.runner.run()
        context = run.context
        return DeployReport(
            context.plan,
            context.outcomes,
            tuple(run.runner.decisions),
            context.notes,
            context.revision,
            context.url,
            run.runner.observed,
        )

    return run, end


def _said(report: DeployReport) -> list[str]:
    """The sentences of a report about what happened: outcomes, decisions, notes of the run and the last line."""
    lines = unstyle(as_text(report)).splitlines()
    return [
        *(one.words for one in report.outcomes or () if one.is_reached),
        *report.decisions,
        *report.notes,
        lines[-1],
    ]


def _unproven_sentences(report: DeployReport, fake: SecondCloudRun) -> list[str]:
    seen = _Seen(fake, report)
    wrong = []
    for sentence in _said(report):
        rest = sentence
        for form, is_so in _CLAIMS.items():
            for match in re.finditer(form, sentence):
                rest = rest.replace(match[0], "")
                if not is_so(seen, match):
                    wrong.append(f"not so: {match[0]!r} in {sentence!r}")
        if _SPEAKS.search(re.sub(r"buildguard rollback.*|gcloud .*|`[^`]*`|try again in some minutes", "", rest)):
            wrong.append(f"no observation listed for: {rest!r}")
    return wrong


def _fail_health(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """The health of the new revision fails after so many good answers."""
    answers = iter([True] * after)

    def check(*_arguments: object) -> Result:
        if next(answers, False):
            return Result(StepVerdict.OK, "https://tag responds with 200", "", {"status": 200})
        return Result(StepVerdict.FAILED, "https://tag does not answer well: 500", "", {"status": 500})

    monkeypatch.setattr(health, "check", check)


def _cut(fake: SecondCloudRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing comes back from Cloud Run."""

    def nothing(**_arguments: object) -> None:
        raise api.ServiceUnavailable("failed to connect to all addresses")

    for name in ("get_service", "get_revision", "update_service"):
        monkeypatch.setattr(fake, name, nothing)


@pytest.mark.parametrize("follows", [True, False])
def test_a_green_run(second: SecondCloudRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, follows: bool) -> None:
    _serve(second)
    run, end = _play(second, tmp_path, monkeypatch, pin=not follows)

    report = end()

    assert report.exit_code == 0
    assert _unproven_sentences(report, second) == []
    way = "the traffic follows the latest revision" if follows else f"the traffic is pinned to {run.context.revision}"
    assert _said(report)[-1] == f"deployed: https://web.example serves {run.context.revision}; {way}"


@pytest.mark.parametrize("after", [0, 1, 2])
def test_health_that_fails(second: SecondCloudRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Before any traffic, at 50 %, and at 100 %."""
    _serve(second)
    _run, end = _play(second, tmp_path, monkeypatch, traffic=(0, 50, 100))
    _fail_health(monkeypatch, after)

    report = end()

    assert report.exit_code == 1
    assert _unproven_sentences(report, second) == []
    assert _said(report)[-1].endswith("; web-old serves as before")
    assert report.notes == (
        "the template of web is that of web-old again; the traffic follows the latest revision again",
    )


def test_a_revision_that_does_not_come_up(
    second: SecondCloudRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(second)
    second.broken.add(_NEW)
    _run, end = _play(second, tmp_path, monkeypatch)

    report = end()

    assert report.last is not None
    assert report.last.step == "revision"
    assert _unproven_sentences(report, second) == []
    assert _said(report)[-1].endswith("; web-old serves as before")


@pytest.mark.parametrize("step", [DeployStep.HEALTH, DeployStep.TRAFFIC, DeployStep.PROVE])
def test_a_network_that_is_cut(
    second: SecondCloudRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: DeployStep
) -> None:
    """Cloud Run could not be asked who serves, so nothing is said of it."""
    _serve(second)
    run, end = _play(second, tmp_path, monkeypatch)
    tell = run.watcher.tell
    monkeypatch.setattr(
        run.watcher, "tell", lambda text: _cut(second, monkeypatch) if text.startswith(f"{step}:") else tell(text)
    )

    report = end()

    assert report.exit_code == 3
    assert _unproven_sentences(report, second) == []
    assert "; what serves now is unknown: " in _said(report)[-1]
    assert not any("as before" in sentence for sentence in _said(report))


def test_traffic_that_another_tool_moved(
    second: SecondCloudRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(second)
    run, end = _play(second, tmp_path, monkeypatch)

    def move(text: str) -> None:
        if text.startswith("prove:"):
            service = second.get_service(name=_WEB)
            by_name = run_v2.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
            service.traffic = [
                run_v2.TrafficTarget(type_=by_name, revision=name, percent=50)
                for name in ("web-old", run.context.revision)
            ]
            second.update_service(service=service, timeout=1)

    monkeypatch.setattr(run.watcher, "tell", move)

    report = end()

    assert report.exit_code == 1
    assert _unproven_sentences(report, second) == []
    assert f"; the traffic now: 50 % web-old, 50 % {run.context.revision}; to go back: " in _said(report)[-1]


@pytest.mark.parametrize(
    "sentence",
    [
        "web-old serves as before",
        "the build ended by Cloud Build's own trouble, twice",
        "no answer for 120 seconds",
        "web-new has all traffic again",
        "all users are served by the new one, traffic is fine",
    ],
)
def test_a_sentence_without_an_observation_is_noticed(
    second: SecondCloudRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: str
) -> None:
    """The test itself: each of these was once printed, and not so."""
    _serve(second)
    _run, end = _play(second, tmp_path, monkeypatch)
    report = end()

    assert _unproven_sentences(report._replace(notes=(sentence,)), second)


def test_a_skipped_start_is_in_the_report_with_its_reason(
    second: SecondCloudRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(second)
    run, end = _play(second, tmp_path, monkeypatch, skip_start="no engine in this CI")

    report = end()

    assert report.exit_code == 0
    assert "  skipped  start           0.0 s  no engine in this CI" in unstyle(as_text(report)).splitlines()
    assert "not reached" not in as_text(report)
    assert (tmp_path / "ledger.jsonl").read_text().count("no engine in this CI") == 2
    assert run.context.outcomes[-1].verdict is StepVerdict.OK


def test_a_rollback_that_does_not_get_through_is_no_rollback(
    second: SecondCloudRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _serve(second)
    run, _end = _play(second, tmp_path, monkeypatch)
    run.do(service_steps.make_revision)
    _cut(second, monkeypatch)

    with pytest.raises(DeployStoppedError, match=r"at 50 %: no; the traffic could not be sent back to web-old"):
        service_steps.roll_back(run.context, "at 50 %: no")


def test_a_finding_about_a_whole_file_has_no_line() -> None:
    whole = finding("a.py", "BG301", message="is missing")._replace(range=Range())

    assert image_steps._finding(whole) == "a.py: BG301 is missing"
    assert image_steps._finding(whole._replace(range=Range(3))) == "a.py:3: BG301 is missing"
