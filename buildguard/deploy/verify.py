"""The project's own verify commands, run against a revision."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

from buildguard.cycles import test_reports
from buildguard.cycles.case_ids import with_node_ids
from buildguard.cycles.test_results import CommandRun, VerifyResult, judge_verify
from buildguard.diagnostic import count
from buildguard.errors import TimedOutError
from buildguard.project.verify_config import KnownFailure, VerifyCommand
from buildguard.system import process, programs
from buildguard.system.temporary import folder

_VERIFY_WITHIN = 3600.0
_MOST_OUTPUT = 64 << 20  # bytes at the end of the output that are read
_OUTPUT = "output"
# in a file, and not in a pipe: a process that the command leaves behind keeps nothing open, and all of it survives a timeout
_SHELL = ("/bin/sh", "-c", 'exec >"$0" 2>&1; exec /bin/sh -c "$1"')


def run_verify(
    command: VerifyCommand, url: str, revision: str, cwd: Path, known: tuple[KnownFailure, ...] = ()
) -> VerifyResult:
    """Run a verify command against an address, and judge it by the tests that it ran, less the failures that are known."""
    addopts = os.environ.get("PYTEST_ADDOPTS", "")
    with folder() as results, folder() as printed:
        env = {
            **programs.users_environment(),
            "PYTHONUNBUFFERED": "1",  # or what a crashed Python printed is lost
            "BUILDGUARD_URL": url,
            "BUILDGUARD_REVISION": revision,
            "BUILDGUARD_JUNIT": str(results / test_reports.ANY),
            # pytest writes it unasked; an own --junitxml has the last word, and is read as well
            "PYTEST_ADDOPTS": f"--junitxml={shlex.quote(str(results / test_reports.PYTEST))} {addopts}".strip(),
        }
        file = printed / _OUTPUT
        with test_reports.Reports(results, f"{addopts} {command.run}", cwd) as reports:
            started = time.monotonic()
            status = _status([*_SHELL, str(file), command.run], cwd, env)
            seconds = round(time.monotonic() - started, 2)
            written = reports.written()
        output, cut = _tail(file)
    result = judge_verify(command, CommandRun(status, output, written, seconds, cut), known)
    return result._replace(cases=with_node_ids(result.cases, lambda path: (cwd / path).is_file()))


def _status(argv: list[str], cwd: Path, env: dict[str, str]) -> int | None:
    """How a command ended; None where it did not in time."""
    try:
        return process.run(argv, cwd=cwd, env=env, timeout=_VERIFY_WITHIN).status
    except TimedOutError:
        return None


def _tail(file: Path) -> tuple[bytes, bool]:
    """The end of what was printed, and whether something came before it."""
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - _MOST_OUTPUT, 0))
            return stream.read(), size > _MOST_OUTPUT
    except OSError:
        return b"", False


def describe(results: Sequence[VerifyResult]) -> str:
    """The results of commands that all succeeded, in words."""
    passed = sum(result.passed or 0 for result in results)
    quick = [result.command for result in results if result.suspicious]
    probes = sum(result.ran is None for result in results)
    words = [f"{count(passed, 'test')} passed"] * (probes < len(results))
    words += [f"{count(probes, 'probe')} succeeded"] * bool(probes)
    more = f" (suspicious: {', '.join(quick)} ended in no time)" if quick else ""
    return ", ".join(words) + more
