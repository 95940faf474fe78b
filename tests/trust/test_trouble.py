"""The whole path under fire: killed, crowded, without room, without rights, at another time. No false pass, nothing left."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ALL, missing
from tests.trust import killed
from tests.trust.killed import BAD, COMMANDS, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = [
    pytest.mark.interpreters,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc, and mounts"),
]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_run_leaves_nothing_and_the_next_is_right(place: Place, command: str) -> None:
    assert [words for seed in range(4 if ALL else 2) if (words := killed.killed(place, command, seed)[0])] == []


def test_some_are_killed_in_the_middle_of_a_file(place: Place) -> None:
    """The injection happens: else the test above would say nothing."""
    assert any(killed.killed(place, "manifest", seed)[1] for seed in range(1, 41, 2))


@pytest.mark.parametrize("seed", range(3 if ALL else 1))
def test_runs_on_one_cache_half_of_them_killed(place: Place, seed: int) -> None:
    rng = random.Random(seed)
    children = [place.start(COMMANDS["check"]) for _ in range(8 if ALL else 4)]
    for child in children[::2]:
        time.sleep(rng.uniform(0, 0.3))
        child.kill()
    for number, child in enumerate(children):
        out, err = child.communicate(timeout=300)
        if number % 2 or child.returncode >= 0:
            assert _refused(out) == BAD, err
    status, out = place.run(COMMANDS["check"])

    assert (status, _refused(out)) == (1, BAD)
    assert json.loads(out)["targets"][0]["cached"] == json.loads(out)["targets"][0]["files"]
    assert killed.still_running(place) == ""


def test_repairs_at_once_lose_nothing(place: Place) -> None:
    children = [place.start(COMMANDS["fix"]) for _ in range(4 if ALL else 2)]
    for child in children:
        child.communicate(timeout=300)

    assert killed._half_written(place, "fix") == ""
    status, out = place.run(COMMANDS["check"])
    assert (status, _refused(out)) == (0, set())
    assert not [name for name in os.listdir(place.path / "app") if "buildguard-" in name]


@contextmanager
def _mounted(where: Path, *options: str) -> Iterator[None]:
    where.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", *options, where], capture_output=True, text=True, check=False)
    if done.returncode:
        missing("the right to mount", f"run it as root: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", where], check=True)


@pytest.mark.parametrize("full", ["cache", "tmp", "output"])
def test_a_full_disk_is_no_pass_and_no_half_written_file(place: Place, full: str) -> None:
    folder = {"cache": place.cache, "tmp": place.temporary, "output": place.path / "out"}[full]
    with _mounted(folder, "-t", "tmpfs", "-o", "size=16k", "tmpfs"):
        (folder / "filler").write_bytes(b"x" * 12288)
        os.chmod(folder, 0o700)
        status, out = place.run(COMMANDS["check"])
        written, _words = place.run(("manifest", "commit:HEAD", "--output", "out/made.json", "--format", "json"))
        there = sorted(os.listdir(folder))

        if full == "tmp":  # git reads through a folder of ours there
            assert (status, written) == (3, 3)
        else:
            assert (status, _refused(out)) == (1, BAD)
        if full == "output":
            assert written == 3
            assert there == ["filler"]


@pytest.mark.parametrize("fault", ["repository", "cache", "tmp"])
def test_a_read_only_folder_changes_no_verdict(place: Place, fault: str) -> None:
    folder = {"repository": place.path, "cache": place.cache, "tmp": place.temporary}[fault]
    folder.mkdir(exist_ok=True)
    with _mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        status, out = place.run(COMMANDS["check"])
        repaired, words = place.run(COMMANDS["fix"])

        assert (status, _refused(out)) == (1, BAD)
        if fault == "repository":
            assert repaired != 0
            assert b"could not be written" in words
            assert killed._half_written(place, "check") == ""


@pytest.mark.parametrize("when", [0, 4_102_444_800], ids=["1970", "2100"])
def test_another_time_changes_no_verdict(place: Place, when: int) -> None:
    """Files, cache and leftovers from the past and the future: contents are what counts."""
    place.run(COMMANDS["check"])
    name = next(iter(BAD))
    good = place.path / "app/m1.py"
    before = good.stat()
    good.write_text(killed._BROKEN.ljust(before.st_size, "\n"))
    os.utime(good, ns=(before.st_atime_ns, before.st_mtime_ns))
    (place.path / name).write_text("fine = 1\n")
    for file in (place.path / name, *place.cache.iterdir()):
        os.utime(file, (when, when))

    status, out = place.run(COMMANDS["check"])

    assert (status, _refused(out)) == (1, {"app/m1.py", *BAD} - {name})


def _refused(out: bytes) -> set[str]:
    return {one["path"] for one in json.loads(out)["diagnostics"] if one["severity"] == "error"}
