"""Between two cycles: a command that a person named on the command line, or a wait for a new commit.

The command gets no cloud credentials: neither variables that hold or name them, nor the files and servers that clients look for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from buildguard.definitions import lazy_pattern
from buildguard.system import process, programs
from buildguard.system.git import repository_of, require_commit
from buildguard.system.temporary import folder

_CREDENTIALS = lazy_pattern(
    r"GOOGLE_.*|CLOUDSDK_.*|GCLOUD_.*|GCP_.*|GCE_METADATA_.*|FIREBASE_.*|STORAGE_EMULATOR_HOST|BUILDGUARD_.*"
    r"|ACTIONS_ID_TOKEN_.*|AWS_.*|AZURE_.*|ARM_.*|KUBECONFIG|DOCKER_CONFIG|DOCKER_AUTH_CONFIG",
    re.IGNORECASE,
)
_NOWHERE = "127.0.0.1:1"  # in place of the metadata server
# its output is no result of ours: stdout has that alone
_SHELL = ("/bin/sh", "-c", 'cd "$1" && exec 1>&2 && exec /bin/sh -c "$0"')
_PAUSE = 2.0


def environment_without_credentials(environ: Mapping[str, str], empty: Path) -> dict[str, str]:
    """An environment in which Google's clients and gcloud find no credentials; `empty` is a folder for their configuration."""
    kept = {name: value for name, value in environ.items() if not _CREDENTIALS.fullmatch(name)}
    return {
        **kept,
        "CLOUDSDK_CONFIG": str(empty),
        "GOOGLE_APPLICATION_CREDENTIALS": str(empty / "none.json"),
        "GCE_METADATA_HOST": _NOWHERE,
        "GCE_METADATA_IP": _NOWHERE,
        "NO_GCE_CHECK": "true",
    }


def run_between(command: str, cwd: Path, report: Path | None) -> int:
    """Run the command with the report of the last cycle, and return its exit status."""
    with folder() as empty:
        env = environment_without_credentials(programs.users_environment(), empty)
        if report is not None:
            env["BUILDGUARD_REPORT"] = str(report)
        return process.run_attached([*_SHELL, command, str(cwd)], env)


def head_of(cwd: Path) -> str:
    """The commit that is checked out now."""
    return require_commit(repository_of(cwd)).head


def wait_for_commit(cwd: Path, before: str, seconds: float, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Wait until another commit is checked out, for so many seconds at the most; whether one is."""
    deadline = time.monotonic() + seconds
    while head_of(cwd) == before:
        if time.monotonic() >= deadline:
            return False
        sleep(_PAUSE)
    return True
