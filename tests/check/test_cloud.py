"""The cloud engine's side of `check`, as far as it needs no cloud: what is refused, and what is added to a report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from buildguard.check.cloud import CloudCheck
from buildguard.check.context import prepare
from buildguard.check.targets import TargetShare
from buildguard.engines import cloud_round
from buildguard.engines.cloud_round import CloudResult
from buildguard.errors import GuardError, UnprovenError
from buildguard.gcp.cloud_build import BuildStatus
from buildguard.gcp.storage import ChangedError
from buildguard.locate import locate
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.project.request import CheckRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

_BUILD = BuildStatus(
    "id-1", "projects/p/locations/global/builds/id-1", BuildState.WORKING, "", "", "", "", None, (), (), (), ()
)
_FILES = {"Dockerfile": "FROM python:3.11\nCOPY . .\n", "a.py": "x = 1\n"}


def _check(project: Project) -> CloudCheck:
    job = prepare(CheckRequest(project.path, engine="cloud"), locate(project.path, ()))
    return CloudCheck(job, [TargetShare(target, job.chosen.sources) for target in job.targets], lambda _text: None)


def test_nothing_is_added_where_no_engine_asked(repository: Callable[..., Project]) -> None:
    assert _check(repository(_FILES)).cloud_findings() == (None, (), (), ())


def test_one_round_answers_for_all_and_its_failure_too(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[Any] = []

    def lost(*arguments: Any) -> CloudResult:
        rounds.append(arguments)
        raise UnprovenError("Cloud Build cannot be reached")

    monkeypatch.setattr(cloud_round, "run_round", lost)
    check = _check(repository(_FILES))

    for _ in range(2):
        with pytest.raises(UnprovenError, match="cannot be reached"):
            check.answer("python:3.11")
    assert len(rounds) == 1
    assert rounds[0][1] == ["python:3.11"]


def test_bytes_that_changed_on_the_way_are_a_finding_at_the_last_hop(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed(*_arguments: Any) -> CloudResult:
        raise ChangedError("its size is another one")

    monkeypatch.setattr(cloud_round, "run_round", changed)
    check = _check(repository(_FILES))
    with pytest.raises(UnprovenError, match="not what was sent"):
        check.answer("python:3.11")

    findings = check.cloud_findings()

    assert findings.chain is not None
    assert [hop.after.stage.partition(":")[0] for hop in findings.chain.hops] == ["dir", "tar"]
    (diagnostic,) = findings.diagnostics
    assert (diagnostic.code, diagnostic.engine) == ("BG303", "cloud")
    assert "truncated (its size is another one)" in diagnostic.message


def test_an_edited_working_tree_is_noted_and_sent_as_it_is(
    repository: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = {"python:3.11": UnprovenError("it was not pulled")}
    result = CloudResult(_BUILD, {}, results, "", ("one image was not pulled",), ())
    monkeypatch.setattr(cloud_round, "run_round", lambda *_arguments: result)
    project = repository(_FILES)
    project.write({"a.py": "x = 2\n"})
    check = _check(project)
    with pytest.raises(UnprovenError, match="not pulled"):
        check.answer("python:3.11")

    findings = check.cloud_findings()

    assert any("not as committed (a.py)" in note for note in findings.notes)
    assert "one image was not pulled" in [item.reason for item in findings.unproven]
    assert findings.diagnostics == ()


def test_an_interrupt_names_the_build_that_still_runs(repository: Callable[..., Project]) -> None:
    check = _check(repository(_FILES))
    check.interrupted()
    check.running = _BUILD

    with pytest.raises(GuardError, match="id-1"):
        check.interrupted()
