"""The project's own verify commands, run against a revision."""

from __future__ import annotations

import os
import shlex
import time
from typing import TYPE_CHECKING

from buildguard.commands import testresults
from buildguard.deploy import trial
from buildguard.system import process, programs
from buildguard.system.temporary import folder

if TYPE_CHECKING:
    from pathlib import Path

_VERIFY_WITHIN = 3600.0


def tried(command: str, url: str, revision: str, cwd: Path) -> trial.Trial:
    """Run a verify command against an address, and judge it by the tests that it ran."""
    addopts = os.environ.get("PYTEST_ADDOPTS", "")
    with folder() as results:
        env = {
            **programs.users_environment(),
            "BUILDGUARD_URL": url,
            "BUILDGUARD_REVISION": revision,
            "BUILDGUARD_JUNIT": str(results / testresults.ANY),
            # pytest writes it unasked; an own --junitxml has the last word, and is read as well
            "PYTEST_ADDOPTS": f"--junitxml={shlex.quote(str(results / testresults.PYTEST))} {addopts}".strip(),
        }
        with testresults.Reports(results, f"{addopts} {command}", cwd) as reports:
            started = time.monotonic()
            done = process.run(["/bin/sh", "-c", command], cwd=cwd, env=env, timeout=_VERIFY_WITHIN)
            seconds = round(time.monotonic() - started, 2)
            written = reports.written()
    return trial.judged(command, done.status, done.stdout + b"\n" + done.stderr, written, seconds)
