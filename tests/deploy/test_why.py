"""A failed deploy explained: which log is read, and which source a path in the image is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest

from buildguard.cycles.expectations import CycleVerdict
from buildguard.cycles.record import CycleHistory
from buildguard.deploy import blocked, why
from buildguard.deploy.context import DeployContext
from buildguard.deploy.explanation import BlockedStack
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.plan import DeployStep
from buildguard.deploy.verify_step import VerifyReport
from buildguard.deploy.why import SourceLocator
from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.docker import client
from buildguard.errors import UnprovenError
from buildguard.project.ledger import Ledger, StepVerdict
from tests.cycles.cycles import cases
from tests.deploy.plans import StepByStep, prepared

_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("path", "root", "expected"),
    [
        ("/srv/app/agent.py", "/srv", "app/agent.py"),
        ("/app/agent.py", "", "app/agent.py"),
        ("/usr/src/app/agent.py", "", "app/agent.py"),
        ("/lib/python3.11/site-packages/app/agent.py", "", ""),
        ("/lib/python3.11/selectors.py", "", ""),
    ],
)
def test_sources_of_an_image(path: str, root: str, expected: str) -> None:
    assert SourceLocator({"app/agent.py": b"", "agent_of_others.py": b""}, root).locate(path) == expected


class _Logs:
    """Cloud Logging with one text, or none that can be read."""

    def __init__(self, text: bytes | None) -> None:
        self._text = text

    def __call__(self, _project: str) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def read_since(self, source: Any, start: datetime) -> bytes:
        """The text."""
        assert ("revision_name", "web-1") in source.labels
        assert start < _BEGAN
        if self._text is None:
            raise UnprovenError("no right to read it")
        return self._text


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeployContext:
    ready = prepared(tmp_path)
    tested = VerifyReport((), CycleVerdict((), (), (), cases(a="f", b="p")))
    monkeypatch.setattr(why, "diagnose", lambda *_a, **_k: Diagnosis("unknown", "", (), (), (), ()))
    monkeypatch.setattr(why, "_sources", lambda _prepared: {"app.py": b"print('start agent')\nwait()\n"})
    run = StepByStep(ready, Ledger(tmp_path / "ledger", "abc", ready.service_id, "c" * 40))
    return run.context._replace(revision="web-1", is_made=True, tested=tested)


def _outcome(step: DeployStep, **evidence: Any) -> StepOutcome:
    return StepOutcome(step, StepVerdict.FAILED, 1.0, "bad", evidence)


def test_the_log_of_the_revision_is_read(run: DeployContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "CloudLoggingClient", _Logs(b'start agent\n10.0.0.1 "GET /healthz HTTP/1.1" 200 -\n'))
    failed = run._replace(outcomes=(_outcome(DeployStep.VERIFY),))

    found = why.explain_end(failed, CycleHistory(), _BEGAN)

    assert found is not None
    assert [link.words for link in found.chain] == [
        "verify failed: bad",
        "1 test failed",
        "the log of web-1 has no error; its last event is from app.py, line 1",
        "the code that should follow it",
    ]


def test_a_log_that_cannot_be_read_is_named(run: DeployContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(why, "CloudLoggingClient", _Logs(None))
    failed = run._replace(outcomes=(_outcome(DeployStep.HEALTH),))

    found = why.explain_end(failed, CycleHistory(), _BEGAN)

    assert found is not None
    assert found.more == ("the log of web-1, which could not be read: no right to read it",)


def test_steps_before_the_revision_bring_their_own_log(run: DeployContext) -> None:
    findings = ["a.py:1: BG201 x", "b.py:2: BG201 y", "token=abcdef123456"]

    found = why.explain_failure(run, _outcome(DeployStep.CHECK, findings=findings), CycleHistory(), _BEGAN)

    assert found.chain[0].evidence[:2] == ("a.py:1: BG201 x", "b.py:2: BG201 y")
    assert "abcdef123456" not in str(found)
    assert why.explain_end(run, CycleHistory(), _BEGAN) is None


def test_without_an_engine_there_is_no_stack(run: DeployContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise UnprovenError("no engine")

    monkeypatch.setattr(client, "connect", refuse)

    assert blocked.BlockedWatch(run.prepared, str).look("image", None, ()) == BlockedStack(gap="no engine")
