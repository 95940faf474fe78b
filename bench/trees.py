"""The trees that the benchmarks run on: installed from the package index, trimmed, and made a git repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Pinned, so that two machines measure the same files.
_PACKAGES = (
    "ansible-core==2.16.14",
    "boto3==1.35.0",
    "botocore==1.35.0",
    "django==5.0.9",
    "networkx==3.3",
    "nltk==3.9.1",
    "pandas==2.2.3",
    "plotly==5.24.1",
    "scipy==1.14.1",
    "sqlalchemy==2.0.36",
    "sympy==1.13.3",
    "twisted==24.7.0",
)
_FOLDER = Path(__file__).with_name("trees")


def tree(files: int) -> Path:
    """A repository of exactly that many Python files and nothing else, made when it is not there yet."""
    made = _FOLDER / str(files)
    if (made / ".git").is_dir():
        return made
    source = _installed()
    shutil.rmtree(made, ignore_errors=True)
    # every n-th file, so that each package is there with its share
    paths = sorted(path for path in source.rglob("*.py") if path.is_file())
    whole = min(files, len(paths))
    for at in range(files):
        # more than there are come again, each with other bytes than before
        again, path = at // whole, paths[at % whole * len(paths) // whole]
        copy = made / (f"again{again}" if again else "") / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes() + (b"\n# %d\n" % again if again else b""))
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "tree"]):
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
        subprocess.run(["git", *identity, *command], cwd=made, check=True)
    return made


def _installed() -> Path:
    folder = _FOLDER / "installed"
    if not folder.is_dir():
        scratch = folder.with_name(f"installing-{os.getpid()}")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
        subprocess.run([*command, "--target", scratch, *_PACKAGES], check=True)
        scratch.rename(folder)
    return folder
