"""Docker's ignore rules, compared with the real docker: what a build context holds after its client left things out."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from buildguard.errors import UnprovenError
from buildguard.project.ignore import docker
from buildguard.project.ignore.rules import IgnoreRule
from tests.compare.damage import write
from tests.conftest import missing

if TYPE_CHECKING:
    from pathlib import Path

_PATHS = (
    "a.py", "b.txt", ".hidden", "app/main.py", "app/b.txt", "app/build/lib/x.py", "build/x.py", "build/lib/y.py",
    "docs/a.md", "docs/deep/b.md", "x.log", "app/x.log", "a b", "a[b", "node_modules/m/i.js", "tests/t.py",
)  # fmt: skip
_FILES = [
    b"*.log\n",
    b"**/*.log\n",
    b"build\n",
    b"/build/\n",
    b"app/build/lib\n*/b.txt\n",
    b"*\n!app\n!a.py\n",
    b"**\n!app/**/*.py\n",
    b"docs/**\n!docs/deep\n",
    b"# comment\n\n  *.txt  \n #x\n",
    b"a?b\n[ab].py\n",
    b"[^a].py\n*/*/*.md\n",
    b"a\\[b\n.hidden\n",
    b"./tests/../tests\n! b.txt\n",
    b"\xef\xbb\xbfdocs\r\nbuild\r\n",
    b"!x.log\n*.log\n",
    b"node_modules/*\n!node_modules/m\nnode_modules/m/*.js\n",
    b"**/build/**\n",
    b"app/*\n!app/build\n",
    b".\n",
    b"a*\n!a.py\nab",
    b"build\n!build/lib\nbuild\n",
]


def _sent(folder: Path, name: str, *options: str) -> set[str]:
    """What `COPY . /` of a real build puts into an image.

    Without a cache: the engine gives up where an image that it looks at for that is removed by a test beside this one.
    """
    tag = f"buildguard-test/ignore:{name}"
    _docker("build", "--no-cache", "--quiet", "--tag", tag, *options, str(folder))
    made = _docker("create", tag, "x").decode().strip()
    try:
        exported = _docker("export", made)
    finally:
        _docker("rm", "--force", made)
        _docker("rmi", "--force", tag)
    with tarfile.open(fileobj=io.BytesIO(exported)) as tar:
        return {one.name for one in tar if one.isfile()}


def _docker(*words: str) -> bytes:
    env = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(["docker", *words], capture_output=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", range(len(_FILES)))
def test_what_is_dropped_is_what_docker_drops(tmp_path: Path, engine: str, number: int) -> None:
    if shutil.which("docker") is None:
        missing("the docker command", "apt-get install docker.io")
    context = tmp_path / "context"
    write(context, {path: path.encode() for path in _PATHS})
    write(context, {".dockerignore": _FILES[number], "Dockerfile": b"FROM scratch\nCOPY . /\n"})

    sent = _sent(context, str(number)) & set(_PATHS)

    rules = docker.DockerIgnoreRules(lambda name: _FILES[number] if name == ".dockerignore" else None, "", "Dockerfile")
    assert {path for path in _PATHS if rules.drops(path) is None} == sent


def test_the_file_of_one_dockerfile_goes_first() -> None:
    files = {"backend/Dockerfile.dockerignore": b"*.md\n", "backend/.dockerignore": b"*.py\n", ".dockerignore": b"*\n"}

    rules = docker.DockerIgnoreRules(files.get, "backend", "backend/Dockerfile")
    general = docker.DockerIgnoreRules(files.get, "backend", "Other")

    assert rules.drops("backend/a.md") == IgnoreRule("backend/Dockerfile.dockerignore", 1, "*.md")
    assert str(rules.drops("backend/a.md")) == "backend/Dockerfile.dockerignore:1: *.md"
    assert rules.drops("backend/a.py") is None
    assert general.drops("backend/a.py") is not None
    assert general.drops("a.py") is None


@pytest.mark.parametrize(
    "pattern",
    [
        b"!\n",
        b"! /\n",
        b"a[\n",
        b"[--b]\n",
        b"[]a]\n",
        b"[^]a]\n",
        b"x\\\n",
        b"[a-]\n",
        b"[b-a]\n",
        b"\\q\n",
        b"a" * (1 << 16),
        b"[\xff]\n",
    ],
)
def test_what_docker_refuses_is_unproven(pattern: bytes) -> None:
    with pytest.raises(UnprovenError, match="docker refuses"):
        docker.DockerIgnoreRules(lambda _name: pattern, "", "Dockerfile")


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (b"**.py\n", {"lib/x.txt", "app/c.pyc"}),
        (b"**.pyc\n", {"a.py", "app/b.py", "lib/x.txt"}),
        (b"*\n!**.py\n", {"a.py"}),
        (b"*\n!app\n", {"app/b.py", "app/c.pyc"}),
        (b"\\a.py\n", {"a.py", "app/b.py", "app/c.pyc", "lib/x.txt"}),
        (b"li**\n", {"a.py", "app/b.py", "app/c.pyc"}),
        (b"app\n!app/b.py\napp\n", {"a.py", "lib/x.txt", "app/b.py"}),
        (b"[[]\n", {"a.py", "app/b.py", "app/c.pyc", "lib/x.txt"}),
    ],
)
def test_patterns_with_a_meaning_of_their_own(text: bytes, sent: set[str]) -> None:
    """As the client of Docker 28 was seen to answer; the random test asks whichever is installed."""
    rules = docker.DockerIgnoreRules(lambda name: text if name == ".dockerignore" else None, "", "Dockerfile")

    assert {path for path in ("a.py", "app/b.py", "app/c.pyc", "lib/x.txt") if rules.drops(path) is None} == sent


def test_a_pattern_that_could_take_forever_is_quick() -> None:
    text = b"*a*a*a*a*a*a*a*a*a*a*a*a*b\n**/a/**/a/**/a/**/a/**/b*c\n"
    rules = docker.DockerIgnoreRules(lambda _name: text, "", "Dockerfile")

    assert rules.drops("a" * 400) is None
    assert rules.drops("a/" * 200 + "c") is None
    assert rules.drops("xa" * 13 + "b") is not None
