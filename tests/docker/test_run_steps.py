"""Steps of a local build, on an engine in memory: what ends when, whatever comes at a bad moment."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.docker.run_steps import BuildEnvironment, BuildResult, BuildStepResult, LocalBuild
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.project.cloudbuild.steps import BuildStep, plan_build_steps
from tests.docker.fakes import daemon_of, tar_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from buildguard.docker.client import Daemon

_IMAGE = {"Id": "sha256:1", "Os": "linux", "Architecture": "amd64"}


class _Engine:
    """Every container runs until it is killed, or ends at once with a code."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        self.killed: set[str] = set()
        self.on_put: Callable[[], object] = lambda: None
        self.created = 0

    def create_container(self, _image: str, **_options: Any) -> dict[str, str]:
        self.created += 1
        return {"Id": f"c{self.created}"}

    def put_archive(self, _identity: str, _path: str, _data: object) -> None:
        self.on_put()

    def inspect_container(self, identity: str) -> dict[str, Any]:
        code = 137 if identity in self.killed else self.code
        return {"State": {"Running": code is None, "ExitCode": code}}

    def stream(self, path: str, _params: object, timeout: float | None = None) -> Iterator[bytes]:
        assert timeout is None
        yield tar_of({"output": b"written"}) if path.endswith("archive") else b"\1\0\0\0\0\0\0\3hi\n"

    def daemon(self) -> Daemon:
        daemon = daemon_of(
            inspect_image=lambda _reference: _IMAGE,
            create_host_config=lambda **options: options,
            create_container=self.create_container,
            put_archive=self.put_archive,
            start=lambda _identity: None,
            kill=self.killed.add,
            inspect_container=self.inspect_container,
            remove_container=lambda _identity, **_options: None,
        )
        daemon.stream = self.stream  # type: ignore[method-assign,assignment]
        return daemon


def _build(engine: _Engine, log: list[str], **build: Any) -> LocalBuild:
    fields = {"steps": [{"name": "app:1", "script": "true"}, {"name": "app:1", "script": "true"}], **build}
    return LocalBuild(engine.daemon(), plan_build_steps(fields, {}), BuildEnvironment(log.append))


def _states(result: BuildResult) -> list[BuildState]:
    return [result.steps[number].status for number in sorted(result.steps)]


def test_steps_run_one_after_another_and_their_output_is_kept() -> None:
    log: list[str] = []

    result = _build(_Engine(0), log).run()

    assert result.status is BuildState.SUCCESS
    assert _states(result) == [BuildState.SUCCESS, BuildState.SUCCESS]
    assert result.steps[0].output == b"written"
    assert any("hi" in line for line in log)


def test_after_a_failure_nothing_more_starts() -> None:
    result = _build(_Engine(3), []).run()

    assert result.status is BuildState.FAILURE
    assert _states(result) == [BuildState.FAILURE, BuildState.QUEUED]
    assert "non-zero status: 3" in result.detail


def test_a_step_that_fails_while_we_look_starts_nothing_in_that_look(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = _Engine(3)
    build = _build(engine, [])
    look, tried = build._failed, build._tried
    looked = threading.Event()
    steps: list[threading.Thread] = []

    def look_while_the_step_ends(ended: Mapping[int, BuildStepResult]) -> BuildStep | None:
        failed = look(ended)
        if steps:
            looked.set()
            steps[0].join(60)
        return failed

    def remember(step: BuildStep, ended: dict[int, BuildStepResult]) -> None:
        steps.append(threading.current_thread())
        tried(step, ended)

    engine.on_put = lambda: looked.wait(60)
    monkeypatch.setattr(build, "_failed", look_while_the_step_ends)
    monkeypatch.setattr(build, "_tried", remember)

    assert _states(build.run()) == [BuildState.FAILURE, BuildState.QUEUED]


@pytest.mark.parametrize("moment", ["before its container is known", "before it starts"])
def test_a_build_that_is_cancelled_ends_with_the_step_that_starts_just_then(moment: str) -> None:
    engine = _Engine(None)
    build = _build(engine, [])
    if moment == "before it starts":
        build.cancel()
    else:
        engine.on_put = build.cancel

    result = build.run()

    assert result.status is BuildState.CANCELLED
    assert set(_states(result)) == {BuildState.CANCELLED}
    assert bool(engine.killed) == (moment != "before it starts")


def test_a_step_has_its_own_limit() -> None:
    engine = _Engine(None)
    steps = [{"name": "app:1", "script": "true", "timeout": "1s"}]

    result = _build(engine, [], steps=steps).run()

    assert result.status is BuildState.TIMEOUT
    assert engine.killed
