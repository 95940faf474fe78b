"""What a killed run left goes with the next one, and nothing else does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from buildguard.system import temporary as system_temporary

if TYPE_CHECKING:
    from pathlib import Path

_DYING = "import os\nfrom buildguard.system import temporary as scratch\nwith scratch.folder() as made:\n    (made / 'x').write_text('x')\n    print(made, flush=True)\n    os._exit(9)\n"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "tmp"
    made.mkdir()
    monkeypatch.setenv("TMPDIR", str(made))
    monkeypatch.setattr("tempfile.tempdir", None)
    system_temporary._sweep_once.cache_clear()
    return made


def _of_the_dead() -> str:
    return subprocess.run([sys.executable, "-c", _DYING], capture_output=True, text=True, check=False).stdout.strip()


@pytest.mark.interpreters
def test_what_a_dead_run_left_is_removed() -> None:
    dead = _of_the_dead()
    assert os.path.exists(f"{dead}/x")

    with system_temporary.folder() as ours:
        assert not os.path.exists(dead)
        assert ours.is_dir()
    assert not ours.exists()


def test_what_lives_is_left_alone(temporary: Path) -> None:
    others = temporary / "buildguard-report.log"
    others.write_text("a person's")
    with system_temporary.folder() as first:
        system_temporary._sweep_once.cache_clear()
        with system_temporary.folder():
            assert first.exists()
    assert others.exists()


def test_what_is_of_another_machine_waits_for_a_day(temporary: Path) -> None:
    fresh, stale = (temporary / f"buildguard-0123abcdx99-{pid}-77-abcdefgh" for pid in (1, 2))
    for one in (fresh, stale):
        one.mkdir()
    old = time.time() - 2 * 24 * 3600
    os.utime(stale, (old, old))

    with system_temporary.folder():
        assert fresh.exists()
        assert not stale.exists()


@pytest.mark.interpreters
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_what_is_somebody_elses_stays(temporary: Path) -> None:
    dead = _of_the_dead()
    os.chown(dead, 12345, 12345)

    with system_temporary.folder():
        assert os.path.exists(dead)
    assert temporary.exists()


@pytest.mark.interpreters
def test_a_link_in_the_place_of_a_folder_is_not_followed(temporary: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    dead = _of_the_dead()
    name = os.path.basename(dead)
    os.rename(dead, tmp_path / "away")
    (temporary / name).symlink_to(precious)

    with system_temporary.folder():
        assert not os.path.lexists(temporary / name)
    assert (precious / "file").exists()


def test_a_name_beside_a_file_is_new_each_time_and_old_ones_go(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path / ("n" * 250))
    first = system_temporary.temporary_sibling(file)
    with open(first, "x"):
        pass
    dead = first.replace(b"-%d-" % os.getpid(), b"-4194305-")
    with open(dead, "x"):
        pass

    system_temporary._sweep_once.cache_clear()  # once for each folder is enough for one run
    second = system_temporary.temporary_sibling(file)

    assert second != first
    assert os.path.exists(first)
    assert not os.path.exists(dead)
