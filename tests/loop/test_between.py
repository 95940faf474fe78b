"""Between two cycles: the command finds no cloud credentials, and its output is not ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.errors import UsageError
from buildguard.loop import between

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project


def test_credentials_stay_behind(tmp_path: Path) -> None:
    given = {
        "PATH": "/bin", "HOME": "/home/me", "ANTHROPIC_API_KEY": "k", "GITHUB_TOKEN": "t",
        "GOOGLE_APPLICATION_CREDENTIALS": "/key.json", "GOOGLE_OAUTH_ACCESS_TOKEN": "x", "CLOUDSDK_AUTH_ACCESS_TOKEN": "x",
        "CLOUDSDK_CORE_PROJECT": "p", "GCE_METADATA_HOST": "metadata", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x",
        "BUILDGUARD_RUN_ENDPOINT": "grpc://127.0.0.1:1", "STORAGE_EMULATOR_HOST": "x", "AWS_SECRET_ACCESS_KEY": "x",
    }  # fmt: skip

    env = between.environment_without_credentials(given, tmp_path)

    assert {name for name in given if env.get(name) == given[name]} == {
        "PATH",
        "HOME",
        "ANTHROPIC_API_KEY",
        "GITHUB_TOKEN",
    }
    assert env["CLOUDSDK_CONFIG"] == str(tmp_path)
    assert not Path(env["GOOGLE_APPLICATION_CREDENTIALS"]).exists()
    assert env["GCE_METADATA_HOST"] == "127.0.0.1:1"


@pytest.mark.interpreters
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/key.json")
    report = tmp_path / "a report.md"
    code = "import json, os; json.dump(dict(os.environ), open('env.json', 'w')); print('hello')"

    status = between.run_between(f'python3 -c "{code}"; exit 3', tmp_path, report)

    env = json.loads((tmp_path / "env.json").read_text())
    assert status == 3
    assert env["BUILDGUARD_REPORT"] == str(report)
    assert env["GOOGLE_APPLICATION_CREDENTIALS"] != "/key.json"
    assert capfd.readouterr() == ("", "hello\n")


@pytest.mark.interpreters
def test_waiting_for_a_commit(repository: Callable[..., Project]) -> None:
    project = repository({"a.py": ""})
    head = between.head_of(project.path)

    def commit(_seconds: float) -> None:
        project.write({"a.py": "x = 1\n"})
        project.commit()

    assert not between.wait_for_commit(project.path, head, 0, commit)
    assert between.wait_for_commit(project.path, head, 60, commit)
    assert between.head_of(project.path) != head


@pytest.mark.interpreters
def test_without_a_commit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        between.head_of(tmp_path)
