"""Runs of CI services: for a branch of the repository, for a fork's pull request, and for one that is unknown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from buildguard.errors import UsageError
from buildguard.system.fork_event import describe_fork_event, refuse_fork_event
from tests.conftest import Project

_OURS = {"id": 1, "full_name": "acme/shop"}
_FORK = {"id": 2, "full_name": "mallory/shop"}


def _pull_request(source: dict[str, Any] | None) -> dict[str, Any]:
    return {"pull_request": {"head": {"repo": source}, "base": {"repo": _OURS}}, "repository": _OURS}


def _github(folder: Path, name: str, event: object) -> dict[str, str]:
    file = folder / "event.json"
    file.write_text(event if isinstance(event, str) else json.dumps(event), "utf-8")
    return {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": name, "GITHUB_EVENT_PATH": str(file)}


@pytest.mark.parametrize(
    ("name", "event", "words"),
    [
        ("push", {"repository": _OURS}, ""),
        ("workflow_dispatch", {}, ""),
        ("schedule", "no JSON", ""),
        ("pull_request", _pull_request(_OURS), ""),
        ("pull_request", _pull_request(_FORK), "from the fork mallory/shop"),
        ("pull_request_target", _pull_request(_FORK), "from the fork mallory/shop"),
        ("pull_request_review", _pull_request(_FORK), "from the fork mallory/shop"),
        ("pull_request", _pull_request(None), "a fork that was deleted"),
        ("pull_request", {}, "cannot be read from the event pull_request"),
        ("pull_request_target", "no JSON", "cannot be read from the event pull_request_target"),
        ("pull_request", "[]", "cannot be read"),
        ("workflow_run", {"workflow_run": {"head_repository": _FORK}, "repository": _OURS}, "from the fork mallory"),
        ("workflow_run", {"workflow_run": {"head_repository": _OURS}, "repository": _OURS}, ""),
        ("workflow_run", {"repository": _OURS}, "cannot be read"),
        ("issue_comment", {"issue": {"number": 3, "pull_request": {}}}, "does not show whose change it is"),
        ("issue_comment", {"issue": {"number": 3}}, ""),
    ],
)
def test_github_events(name: str, event: object, words: str, tmp_path: Path) -> None:
    reason = describe_fork_event(_github(tmp_path, name, event))

    assert bool(reason) == bool(words)
    assert words in reason


def test_a_pull_request_whose_event_file_is_gone_is_refused(tmp_path: Path) -> None:
    environ = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(tmp_path / "gone.json")}

    with pytest.raises(UsageError, match="deploy is refused: whose change this run is for cannot be read"):
        refuse_fork_event("deploy", environ)


@pytest.mark.parametrize(
    ("environ", "is_fork"),
    [
        ({}, False),
        ({"CI": "true"}, False),
        ({"SYSTEM_PULLREQUEST_ISFORK": "True"}, True),
        ({"SYSTEM_PULLREQUEST_ISFORK": "False"}, False),
        ({"CIRCLE_PR_REPONAME": "shop"}, True),
        ({"CHANGE_FORK": "mallory"}, True),
        ({"CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "mallory/shop", "CI_MERGE_REQUEST_PROJECT_PATH": "acme/shop"}, True),
        ({"CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "acme/shop", "CI_MERGE_REQUEST_PROJECT_PATH": "acme/shop"}, False),
        ({"TRAVIS_PULL_REQUEST_SLUG": "mallory/shop", "TRAVIS_REPO_SLUG": "acme/shop"}, True),
        ({"TRAVIS_PULL_REQUEST_SLUG": "", "TRAVIS_REPO_SLUG": "acme/shop"}, False),
        ({"BUILDKITE_PULL_REQUEST_REPO": "git://h/mallory/shop.git", "BUILDKITE_REPO": "git://h/acme/shop.git"}, True),
        ({"BUILDKITE_PULL_REQUEST_REPO": "git://h/acme/shop.git", "BUILDKITE_REPO": "git@h:acme/shop.git"}, False),
    ],
)
def test_other_services(environ: dict[str, str], is_fork: bool) -> None:
    assert bool(describe_fork_event(environ)) == is_fork


def test_a_run_on_a_laptop_is_let_through() -> None:
    refuse_fork_event("deploy", {"HOME": "/home/dev"})


@pytest.mark.parametrize("command", ["deploy", "deploy --dry-run", "rollback"])
def test_nothing_is_deployed_or_rolled_back_for_a_fork(
    command: str, project: Callable[..., Project], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in _github(tmp_path, "pull_request_target", _pull_request(_FORK)).items():
        monkeypatch.setenv(name, value)

    result = project({"a.py": "x = 1\n"}).run(*command.split(), "--service", "web", "--project", "acme")

    assert result.code == 2
    assert (
        f"{command.split(maxsplit=1)[0]} is refused: this run is for a pull request from the fork mallory/shop"
        in result.err
    )
