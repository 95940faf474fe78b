"""A deploy from its question to its report: what is told on the way, and what an end from outside leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.deploy import run
from buildguard.deploy.plan import CurrentService, DeployStep
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.runner import DeployRunner
from buildguard.errors import DeployInterruptedError, UsageError
from tests.deploy.conftest import Watcher
from tests.deploy.plans import prepared

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project


@pytest.fixture
def shop(repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch) -> Project:
    """A repository whose deploy is prepared, for a service that cannot be asked about."""
    from buildguard.system.git import repository_of

    project = repository({"a.py": "x = 1\n"})
    serving = CurrentService(known=False, unknown_reason="no credentials")
    found = repository_of(project.path)
    assert found is not None
    ready = prepared(project.path, serving=serving)._replace(repository=found)
    monkeypatch.setattr(run, "prepare_deploy", lambda *_arguments: ready)
    return project


def _end_by(monkeypatch: pytest.MonkeyPatch, error: BaseException, moving: int) -> None:
    def end(runner: DeployRunner) -> None:
        progress = runner.context._replace(revision="web-new").publish().progress
        progress.at, progress.moving = DeployStep.TRAFFIC, moving
        raise error

    monkeypatch.setattr(DeployRunner, "run", end)


@pytest.mark.parametrize(
    ("moving", "words"),
    [(0, "no traffic was moved"), (50, "web-new may have 50 % of the traffic of web by now")],
)
def test_sigterm_leaves_a_line_of_what_may_serve(
    shop: Project, monkeypatch: pytest.MonkeyPatch, moving: int, words: str
) -> None:
    """CI ends a job so: the status stays 128 + SIGTERM, and nothing is asked."""
    _end_by(monkeypatch, SystemExit(143), moving)
    watcher = Watcher()

    with pytest.raises(SystemExit) as ended:
        run.deploy(DeployRequest(cwd=shop.path), watcher, lambda _question: True)

    assert ended.value.code == 143
    assert words in watcher.told[-1]


def test_ctrl_c_is_an_error_with_what_may_serve(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _end_by(monkeypatch, KeyboardInterrupt(), 50)

    with pytest.raises(DeployInterruptedError, match="may have 50 % of the traffic") as ended:
        run.deploy(DeployRequest(cwd=shop.path), Watcher(), lambda _question: True)

    assert "buildguard rollback --service web" in ended.value.hint


def test_without_a_yes_nothing_is_done(shop: Project) -> None:
    with pytest.raises(UsageError, match="aborted: confirmation needed"):
        run.deploy(DeployRequest(cwd=shop.path), Watcher(), lambda _question: None)


def test_what_is_noted_is_told_at_once(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes a lock over sees its holder before anything happens, and not only in the end."""
    _end_by(monkeypatch, SystemExit(143), 0)
    watcher = Watcher()

    with pytest.raises(SystemExit):
        run.deploy(DeployRequest(cwd=shop.path), watcher, lambda _question: True)

    assert watcher.told[0] == "the lock and the ledger are this machine's alone: no credentials"
