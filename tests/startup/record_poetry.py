"""Asks real poetries what they install from locks by chance, and keeps the answers: tests/cases/poetry.jsonl.

`python -m tests.startup.record_poetry POETRY [POETRY…]`: each is the program of one version; an index of this machine serves the wheels.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.conftest import interpreter
from tests.startup.wheels import Release, random_releases, write_wheel

CASES = Path(__file__).parents[1] / "cases" / "poetry.jsonl"
_LOCKS = 7
_CHOICES = (
    *("", "--only main", "--without dev", "--with docs", "--all-extras --without dev", "-E fast --only main"),
    *("--only dev,docs", "--extras fast"),
)
_PROJECT = """[tool.poetry]
name = "svc"
version = "1"
description = ""
authors = []
package-mode = false
[tool.poetry.dependencies]
python = ">=3.9,<4"
{needs}
{fast} = {{ version = "*", optional = true }}
[tool.poetry.extras]
fast = ["{fast}"]
[tool.poetry.group.dev.dependencies]
{dev} = "*"
[tool.poetry.group.docs]
optional = true
[tool.poetry.group.docs.dependencies]
{docs} = "*"
[[tool.poetry.source]]
name = "local"
url = "{url}"
priority = "primary"
"""
_NEEDS = ('"*"', '{ version = "*", extras = ["x"] }', """{ version = "*", markers = "python_version < '3.12'" }""")


def project_by_chance(chance: Random, url: str) -> str:
    """A project that asks for five of ten distributions."""
    names = [f"p{letter}" for letter in chance.sample("abcdefghij", 5)]
    needs = "\n".join(f"{name} = {chance.choice(_NEEDS)}" for name in names[:2])
    return _PROJECT.format(needs=needs, fast=names[2], dev=names[3], docs=names[4], url=url)


def _index(folder: Path, releases: list[Release]) -> None:
    for release in releases:
        project = folder / release.name
        project.mkdir()
        digest = hashlib.sha256(write_wheel(project, release).read_bytes()).hexdigest()
        (project / "index.html").write_text(f'<a href="{release.file}#sha256={digest}">{release.file}</a>\n')


def _rows(poetry: str, folder: Path, chance: Random) -> Iterator[dict[str, object]]:
    """The answers about one lock."""
    served, root = folder / "index", folder / "svc"
    served.mkdir()
    root.mkdir()
    _index(served, random_releases(chance, pythons=False))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=os.fspath(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pyproject = project_by_chance(chance, f"http://127.0.0.1:{server.server_port}/")
    (root / "pyproject.toml").write_text(pyproject)
    if not _run(poetry, root, "lock").returncode:
        lock = (root / "poetry.lock").read_text()
        for choice in chance.sample(_CHOICES, 3):
            version = chance.choice(("3.11", "3.13"))
            _run(poetry, root, "env", "use", os.fspath(interpreter(version)))
            done = _run(poetry, root, "install", "--no-root", *choice.split())
            words = done.stdout + done.stderr
            assert not done.returncode or "Unable to find installation candidates" in words, words
            yield {
                "python": version,
                "command": f"poetry install --no-root {choice}".strip(),
                "fails": bool(done.returncode),
                "pyproject": pyproject,
                "lock": lock,
            }
    server.shutdown()


def _run(poetry: str, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    home = os.fspath(root.parent)
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "POETRY_CACHE_DIR": f"{home}/cache",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    return subprocess.run(
        [poetry, *words, "-n"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def main(poetries: list[str]) -> None:
    """Record the answers of each poetry."""
    with CASES.open("w") as out:
        for poetry in poetries:
            for number in range(_LOCKS):
                with tempfile.TemporaryDirectory() as folder:
                    for row in _rows(poetry, Path(folder), Random(f"{number}")):
                        out.write(json.dumps(row) + "\n")
                        out.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
