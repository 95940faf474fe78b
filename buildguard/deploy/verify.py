"""The project's own verify commands, run against a revision."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path

from buildguard.deploy import test_reports, test_results
from buildguard.system import process, programs
from buildguard.system.temporary import folder

_VERIFY_WITHIN = 3600.0


def run_verify(command: str, url: str, revision: str, cwd: Path) -> test_results.VerifyResult:
    """Run a verify command against an address, and judge it by the tests that it ran."""
    addopts = os.environ.get("PYTEST_ADDOPTS", "")
    with folder() as results:
        env = {
            **programs.users_environment(),
            "BUILDGUARD_URL": url,
            "BUILDGUARD_REVISION": revision,
            "BUILDGUARD_JUNIT": str(results / test_reports.ANY),
            # pytest writes it unasked; an own --junitxml has the last word, and is read as well
            "PYTEST_ADDOPTS": f"--junitxml={shlex.quote(str(results / test_reports.PYTEST))} {addopts}".strip(),
        }
        with test_reports.Reports(results, f"{addopts} {command}", cwd) as reports:
            started = time.monotonic()
            done = process.run(["/bin/sh", "-c", command], cwd=cwd, env=env, timeout=_VERIFY_WITHIN)
            seconds = round(time.monotonic() - started, 2)
            written = reports.written()
    return test_results.judge_verify(command, done.status, done.stdout + b"\n" + done.stderr, written, seconds)
