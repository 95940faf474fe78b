"""The image that runs buildguard as a step of Cloud Build, built on a base of this machine and run on a project."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import images
from tests.conftest import REPOSITORY, interpreter, missing

_TAG = f"{images.REPOSITORY}/builder:latest"
_MOST = 140 << 20  # bytes beyond the base
_SCRIPT = REPOSITORY / "scripts/builder-image"


def _base() -> str:
    """The id of an image with Python 3.11 and git."""
    git = shutil.which("git")
    if git is None or shutil.which("docker") is None:
        missing("git or the docker CLI", "apt-get install git docker.io")
    with images.Rootfs() as rootfs:
        rootfs.python(interpreter("3.11"), "usr/local")
        rootfs.busybox()
        rootfs.copy(Path(str(git)), "usr/bin/git")
        rootfs.libraries(Path(str(git)))
        tag = rootfs.become(f"{images.REPOSITORY}/builder-base:latest", ["ENV PATH=/usr/local/bin:/usr/bin:/bin"])
    return str(images.api().inspect_image(tag)["Id"])


def test_it_checks_a_workspace_as_an_ordinary_user(engine: Any, tmp_path: Path) -> None:
    base = _base()
    built = subprocess.run([_SCRIPT, base, _TAG], env=os.environ, capture_output=True, text=True, check=False)
    if "fetching the wheels" in built.stderr and "failed after" in built.stderr and "adding" not in built.stderr:
        missing("the package index", built.stderr)
    assert built.returncode == 0, built.stdout + built.stderr
    workspace = tmp_path / "workspace"
    workspace.mkdir(mode=0o755)
    (workspace / "Dockerfile").write_text("FROM python:3.11-slim\nCOPY . .\n")
    (workspace / "a.py").write_text("def f[T](row: T) -> T:\n    return row\n")
    tmp_path.chmod(0o755)

    words = ["docker", "run", "--rm", "--network=none", "-v", f"{workspace}:/workspace", _TAG, "check", "."]
    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "BG101" in done.stdout
    image = images.api().inspect_image(_TAG)
    assert image["Config"]["User"] == "65534:65534"
    assert image["Size"] - images.api().inspect_image(base)["Size"] < _MOST


@pytest.mark.interpreters
@pytest.mark.parametrize("base", ["", "python:3.12-slim", "python:3.12-slim@sha256:12"])
def test_a_base_without_its_digest_is_refused(base: str) -> None:
    done = subprocess.run([_SCRIPT, base, _TAG], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert "by its digest" in done.stderr


def test_the_base_has_no_default() -> None:
    lines = (REPOSITORY / "Dockerfile").read_text("utf-8").splitlines()

    assert [line for line in lines if line.startswith(("ARG", "FROM"))] == ["ARG BASE", "FROM ${BASE}"]
