"""What a dry run sees that would stop the deploy on this machine, and the exit codes of deploys that were not begun."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from buildguard.cli.render.deploy import last_line
from buildguard.deploy.dry_run import PlanStop, ThisMachine
from buildguard.deploy.fleet import deploy_all
from buildguard.deploy.plan import Builder, CurrentService
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.run import DeployReport
from buildguard.errors import Reason
from tests.conftest import REPOSITORY, Project
from tests.deploy.conftest import Watcher
from tests.deploy.plans import prepared

_OFFLINE = CurrentService(known=False, unknown_reason="no credentials", unknown_because=Reason.NO_CREDENTIALS)
_DENIED = CurrentService(known=False, unknown_reason="denied", unknown_because=Reason.DENIED)


@pytest.fixture(autouse=True)
def _no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")


@pytest.mark.parametrize(
    ("serving", "fallback", "wishes", "steps"),
    [
        (CurrentService(known=True), "ask", {}, []),
        (_OFFLINE, "ask", {}, ["upload"]),
        (_OFFLINE, "auto", {}, ["build", "push"]),
        (_DENIED, "auto", {}, ["validate"]),
        (CurrentService(known=True), "ask", {"builder": Builder.LOCAL}, ["build"]),
        (_OFFLINE, "ask", {"builder": Builder.LOCAL}, ["build", "push"]),
    ],
)
def test_where_a_plan_would_stop_here(
    serving: CurrentService, fallback: str, wishes: dict[str, Any], steps: list[str]
) -> None:
    ready = prepared(serving=serving, **wishes)._replace(fallback=fallback)

    assert [stop.step for stop in ThisMachine().stops(ready)] == steps


def test_the_last_line_names_the_first_stop() -> None:
    report = DeployReport(prepared(serving=_OFFLINE).plan, None)
    stop = PlanStop(ThisMachine().stops(prepared(serving=_OFFLINE)._replace(fallback="ask"))[0].step, "no credentials")

    assert "nothing refuses this plan so far" in last_line(report)
    stopped = last_line(report._replace(stops=(stop,)))
    assert "on this machine it would stop at upload: no credentials; not checked yet: the code (step 1)" in stopped


def test_what_was_not_begun_ends_with_the_code_of_what_stopped_it(repository: Callable[..., Project]) -> None:
    project = repository({"x": ""})
    shutil.copytree(REPOSITORY / "examples/monorepo", project.path, dirs_exist_ok=True)
    project.commit()
    request = DeployRequest(cwd=project.path, all_services=True, build_local=True, project="p", region="r")

    report = deploy_all(request, Watcher(), lambda _question: True)

    assert [each.exit_code for each in report.reports] == [3, 3, 3]
    assert [each.blocked for each in report.reports] == [
        "",
        "not begun: migrate was not deployed",
        "not begun: api was not deployed",
    ]
    assert report.exit_code == 3
