"""Is this run for a change from a fork? Whoever wrote that change may not push here, so nothing of it may be deployed.

The CI service sets these variables, not the repository. What they mean is in the services' own documentation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from buildguard.errors import UsageError

_MOST_EVENT = 64 << 20  # GitHub's largest event is 25 MB
# a variable that is set, to this value where one is given, for a change from a fork
_FLAGS = (
    ("SYSTEM_PULLREQUEST_ISFORK", "true", "Azure Pipelines"),
    ("CIRCLE_PR_REPONAME", "", "CircleCI"),
    ("CHANGE_FORK", "", "Jenkins"),
)
# where the change comes from, and where it goes to: the same in a run for a branch of the repository itself
_PAIRS = (
    ("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", "CI_MERGE_REQUEST_PROJECT_PATH", "GitLab"),
    ("TRAVIS_PULL_REQUEST_SLUG", "TRAVIS_REPO_SLUG", "Travis"),
    ("BUILDKITE_PULL_REQUEST_REPO", "BUILDKITE_REPO", "Buildkite"),
)


def refuse_fork_event(action: str, environ: Mapping[str, str]) -> None:
    """Raise UsageError where this run is for a change from a fork, or for a pull request whose origin cannot be read."""
    reason = describe_fork_event(environ)
    if reason:
        raise UsageError(
            f"{action} is refused: {reason}",
            hint="run it on a push to a branch of this repository, after the change was reviewed and merged",
        )


def describe_fork_event(environ: Mapping[str, str]) -> str:
    """Whose change from a fork this run is for, in words; empty for any other run."""
    for name, value, service in _FLAGS:
        if environ.get(name) and environ[name].lower() == (value or environ[name].lower()):
            return f"this {service} run is for a pull request from a fork ({name})"
    for source, target, service in _PAIRS:
        if environ.get(source) and _repository_of(environ[source]) != _repository_of(environ.get(target, "")):
            return f"this {service} run is for a change from {environ[source]}"
    return _describe_github_event(environ)


def _repository_of(address: str) -> str:
    """`owner/name`: the two addresses of one repository may have different forms (https, ssh, git)."""
    path = address.rstrip("/").removesuffix(".git").replace(":", "/")
    return "/".join(path.split("/")[-2:]).lower()


def _describe_github_event(environ: Mapping[str, str]) -> str:
    if "GITHUB_EVENT_NAME" not in environ:
        return ""
    event = environ["GITHUB_EVENT_NAME"]
    try:
        return _fork_of(event, _event_of(environ.get("GITHUB_EVENT_PATH", "")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        if not event.startswith("pull_request") and event != "workflow_run":
            return ""
        return f"whose change this run is for cannot be read from the event {event} ({type(error).__name__})"


def _event_of(path: str) -> dict[str, Any]:
    with Path(path).open("rb") as file:
        event = json.loads(file.read(_MOST_EVENT))
    if not isinstance(event, dict):
        raise TypeError(path)
    return event


def _fork_of(name: str, event: Mapping[str, Any]) -> str:
    if pull_request := event.get("pull_request"):
        source, target = pull_request["head"]["repo"], pull_request["base"]["repo"]
    elif name == "workflow_run":
        source, target = event["workflow_run"]["head_repository"], event["repository"]
    elif "pull_request" in event.get("issue", {}):
        return f"the event {name} of a pull request does not show whose change it is"
    elif name.startswith("pull_request"):
        raise KeyError(name)
    else:
        return ""
    if source is None:
        return "this run is for a pull request from a fork that was deleted"
    return "" if source["id"] == target["id"] else f"this run is for a pull request from the fork {source['full_name']}"
