"""Installing a Python with uv, if the person running buildguard allowed it."""

from __future__ import annotations

import os
from pathlib import Path

from buildguard.errors import UnprovenError
from buildguard.system import process, programs, temporary

_PATIENCE = 900  # a slow line takes minutes for 30 MB
# Variables that make uv use another index, mirror, folder or environment than its defaults.
_SCRUBBED = ("UV_", "PYTHON", "VIRTUAL_ENV", "CONDA_")


def fetch_python(version: str, project: Path) -> Path:
    """Install CPython `version` ("3.11") and return its executable; raises UnprovenError.

    uv runs in an empty folder, without configuration files and without variables of its own, so that nothing in the
    project or its environment chooses what is downloaded, and from where.
    """
    uv = _find_uv(project)
    request = f"cpython@{version}"
    environment = _environment()
    with temporary.folder() as folder:
        installed = _run([uv, "--no-config", "python", "install", request], folder, environment)
        if installed.status:
            raise UnprovenError(f"uv could not install Python {version}: {installed.complaint()}")
        located = _run([uv, "--no-config", "python", "find", "--managed-python", request], folder, environment)
    path = Path(located.stdout.decode("utf-8", "surrogateescape").strip())
    if located.status or not path.is_absolute() or not path.is_file():
        raise UnprovenError(f"uv installed Python {version}, but did not return its path")
    return path


def _find_uv(project: Path) -> str:
    """The uv of the person; one of a version manager's shims only if there is no other."""
    found = sorted(programs.several("uv", project), key=lambda path: os.path.basename(os.path.dirname(path)) == "shims")
    if not found:
        raise UnprovenError("uv is not on PATH", hint="install uv: https://docs.astral.sh/uv/")
    return found[0]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SCRUBBED)}
    return kept | {"UV_PYTHON_INSTALL_BIN": "0"}  # no links in ~/.local/bin


def _run(argv: list[str], folder: Path, environment: dict[str, str]) -> process.ProcessResult:
    return process.run(argv, cwd=folder, env=environment, timeout=_PATIENCE)
