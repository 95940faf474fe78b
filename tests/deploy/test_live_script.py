"""The steps of `scripts/live`, as a person with a project runs them: on the emulator here, to the end."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.gcp import auth
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.storage import StorageClient
from tests import images
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from buildguard.gcp.emulator.server import Emulator

_PROJECT, _REGION, _SERVICE = "emulated", "europe-west1", "bg-live-1"


@pytest.fixture
def script() -> Any:
    spec = importlib.util.spec_from_file_location("live", REPOSITORY / "scripts/live.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_step_ends_as_it_has_to(
    script: Any, engine: str, google: Callable[..., Emulator], registry: str, tmp_path: Path
) -> None:
    google()
    images.docker_builder()
    lines: list[str] = []
    base = images.base("3.11")
    live = script.Live(tmp_path, _PROJECT, _REGION, _SERVICE, f"{registry}/acme/web", base, lines.append)

    status = script.run(live)

    transcript = "\n".join(lines)
    assert status == 0, transcript
    assert [step.__name__ for step in script.STEPS] == [
        line.split()[1].rstrip(":") for line in lines if line.startswith("## ")
    ]
    assert "app/report.py" in transcript
    assert "rolled back: " in transcript
    with CloudRunClient(_PROJECT, _REGION) as run:
        assert run.get(_SERVICE) is None
    with StorageClient(_PROJECT) as storage:
        left = storage.names(storage.ensure("", _PROJECT), "buildguard/")
    assert not [name for name in left if _SERVICE in name]


def test_a_step_that_ends_otherwise_fails_the_run_and_is_cleaned_up(
    script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_live: object) -> None:
        """It fails."""
        raise script.LiveError("status 1, and not 0")

    cleaned: list[object] = []
    monkeypatch.setattr(script, "STEPS", (fail,))
    monkeypatch.setattr(script, "clean_up", cleaned.append)
    lines: list[str] = []

    assert script.run(script.Live(tmp_path, "p", "r", "s", "i", "b", lines.append)) == 1
    assert lines[-1] == "FAILED: status 1, and not 0"
    assert len(cleaned) == 1


def test_user_credentials_are_refused_before_anything_is_made(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(auth, "principal", lambda: "")

    assert script.main("p", "r") == 2
    assert auth.IMPERSONATE in capsys.readouterr().err
