"""`buildguard emulator`: a command with Google's services on loopback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from buildguard.cli.emulator import run, start_emulator
from buildguard.errors import UsageError


def test_the_environment_leads_to_loopback(tmp_path: Path) -> None:
    with start_emulator(tmp_path, ()) as emulator:
        environment = dict(emulator.environment)

    assert {"STORAGE_EMULATOR_HOST", "BUILDGUARD_CLOUDBUILD_ENDPOINT", "BUILDGUARD_RUN_ENDPOINT"} <= set(environment)
    assert all(
        "127.0.0.1" in value or "localhost" in value for name, value in environment.items() if "ENDPOINT" in name
    )


@pytest.mark.interpreters
def test_the_status_is_the_commands(tmp_path: Path) -> None:
    code = "import os, sys; sys.exit(7 if os.environ['BUILDGUARD_RUN_ENDPOINT'] else 1)"
    lines: list[str] = []

    assert run(tmp_path, (), (sys.executable, "-I", "-c", code), lines.append) == 7
    assert lines == []


@pytest.mark.interpreters
@pytest.mark.parametrize("command", ["no-such-program-here", "./no-such-file"])
def test_a_program_that_does_not_exist_is_named(tmp_path: Path, command: str) -> None:
    with pytest.raises(UsageError, match=command):
        run(tmp_path, (), (command,), print)


def test_an_unknown_fault_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such-fault"), start_emulator(tmp_path, ("no-such-fault",)):
        pass
