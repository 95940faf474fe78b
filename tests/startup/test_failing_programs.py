"""Programs without which a start goes on: what is missing for them is a warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.diagnostic import Severity
from tests.startup.projects import report_of


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("python -m app.gone && exec python main.py", Severity.ERROR),
        ("set -e; python -m app.gone; exec python main.py", Severity.ERROR),
        ("python -m app.gone || exit 1; exec python main.py", Severity.ERROR),
        ("python -m app.gone; exec python main.py", Severity.WARNING),
        ("set -e; python -m app.gone || true; exec python main.py", Severity.WARNING),
        ("set -e; python -m app.gone & exec python main.py", Severity.WARNING),
        ("python -m app.gone; exec python -m app.gone", Severity.ERROR),
    ],
)
def test_a_program_that_may_fail_gives_warnings(tmp_path: Path, text: str, severity: Severity) -> None:
    docker = f"FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install flask\nCMD {text}\n"
    (finding,) = report_of(tmp_path, {"Dockerfile": docker, "app/__init__.py": ""}).diagnostics

    assert (finding.code, finding.severity) == ("BG701", severity)
