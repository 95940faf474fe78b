"""Random ignore files: what the real docker client sends of a folder is what the rules say."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from buildguard.errors import UnprovenError
from buildguard.project.ignore.docker import DockerIgnoreRules
from tests.compare.damage import write
from tests.conftest import ALL, missing
from tests.project.ignore.context_server import DockerContext, docker_context

pytestmark = pytest.mark.interpreters

_CASES = 5_000 if ALL else 150
_NAMES = ("a", "b", "ab", "a.py", "b.py", "ab.pyc", ".a", "A.py", "build", "é", "a b", "a+b", "a$", "(a)", "a^b", "a[b", "a-b", "x\\y", "a\nb",
          os.fsdecode(b"\xff"), "!a", "#a", "[a]", "a{1}", "\x07.py", "]", "-")  # fmt: skip
_PARTS = (*_NAMES, "*", "**", "**", "?", "*.py", "**.py", "**.pyc", "a*", "*b*", "a**", "**b", "***", "[ab]", "[^a]*", "[a-c].py", "[!a]", "\\a", "\\*", "\\[a]",
          "[*]", "[?]", "[a-]", "[-a]", "[]a]", "[--b]", "[b-a]", "[a-b-c]", "[\\]]", "[\\a]", "[^]a]", "[", "x\\", "a\\.py", "\\d", "\\q", "..", ".", "",
          "?*", "*?", "[[:alpha:]]", "[a", "a]", "{a,b}", "(a|b)", "a|b", "$", "^a", "+", "\\\\", "\\é", "[é-ü]", "\\x", "\\n")  # fmt: skip


def _pattern(dice: random.Random) -> str:
    text = "/".join(dice.choice(_PARTS) for _ in range(dice.choice((1, 1, 1, 2, 2, 3))))
    before = dice.choice(
        ("", "", "", "/", "!", "!", "! ", "!/", "./", " ", "# ", "!!", "//", "\t", "\xa0", "\x1f", "\ufeff")
    )
    return before + text + dice.choice(("", "", "", "/", "  ", "\r", "//", "\x0b", "\x1c"))


def _ignore_file(dice: random.Random) -> bytes:
    lines = [_pattern(dice) for _ in range(dice.choice((1, 1, 2, 2, 3, 4)))]
    if dice.random() < 0.3:
        lines.insert(0, dice.choice(("*", "**", "a", "*/*", "build")))
    text = "\n".join(lines) + dice.choice(("", "\n", "\n\n"))
    return (b"\xef\xbb\xbf" if dice.random() < 0.05 else b"") + os.fsencode(text)


def _files(dice: random.Random) -> dict[str, bytes]:
    """Some paths, none of which is the folder of another."""
    paths = {"/".join(dice.choice(_NAMES) for _ in range(dice.choice((1, 1, 2, 2, 3)))) for _ in range(25)}
    return {path: b"x" for path in paths if not any(other.startswith(f"{path}/") for other in paths)}


def _clients() -> Iterator[str]:
    for folder in os.environ["PATH"].split(os.pathsep):
        if found := shutil.which("docker", path=folder):
            yield found


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerContext]:
    """The first client with today's matcher: before 23, `**.py` was no ending."""
    place = tmp_path_factory.mktemp("d")
    write(place / "probe", {"a.py": b"", "Dockerfile": b"FROM scratch\n", ".dockerignore": b"**.py\n"})
    for client in _clients():
        with docker_context(client, place) as opened:
            if "a.py" not in (opened.sent(place / "probe") or {"a.py"}):
                yield opened
                return
    missing("a docker client of version 23 or newer", "install docker-ce-cli")


def ours(data: bytes, paths: dict[str, bytes]) -> set[str] | None:
    try:
        rules = DockerIgnoreRules(lambda name: data if name == ".dockerignore" else None, "", "Dockerfile")
    except UnprovenError:
        return None
    return {path for path in paths if rules.drops(path) is None}


@pytest.mark.interpreters
def test_random_ignore_files(context: DockerContext, tmp_path: Path) -> None:
    refused = kept = dropped = 0
    for seed in range(_CASES):
        dice = random.Random(seed)
        data, paths = _ignore_file(dice), _files(dice)
        folder = tmp_path / str(seed)
        write(folder, {**paths, "Dockerfile": b"FROM scratch\n", ".dockerignore": data})
        sent = context.sent(folder)
        shutil.rmtree(folder)

        answer = ours(data, paths)
        assert answer is None or sent is not None, (seed, data, "docker refuses it")
        if answer is None or sent is None:
            refused += 1
            continue
        assert answer == sent & set(paths), (seed, data)
        kept += len(answer)
        dropped += len(paths) - len(answer)

    assert min(kept, dropped, refused) > _CASES // 20
