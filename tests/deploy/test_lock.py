"""The lock of a deploy: one holder at a time, also where two containers share a host name; a killed one gives way."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from buildguard.deploy import lock
from buildguard.errors import UnprovenError
from buildguard.system import owner
from tests.system.namespaces import in_pid_namespace

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path


def _hold(
    place: lock.LockStore, run: str, unlock: str = "", tell: Callable[[str], object] = print
) -> AbstractContextManager[None]:
    return lock.hold_lock(place, lock.LockRequest("web", run, unlock), tell)


def test_a_file_keeps_deploys_of_one_machine_apart(tmp_path: Path) -> None:
    place = lock.FileLock(tmp_path / "lock")

    with (
        _hold(place, "a"),
        pytest.raises(
            lock.LockHeldError, match=rf"is being deployed by .* \(run a, process {os.getpid()}\) for 0 minutes"
        ),
        _hold(place, "b"),
    ):
        pass
    with _hold(place, "c"):
        pass
    assert not (tmp_path / "lock").exists()


def test_a_lock_is_no_link_and_no_fifo(tmp_path: Path) -> None:
    other, place = tmp_path / "profile", lock.FileLock(tmp_path / "lock")
    for file in (tmp_path / "lock", tmp_path / "lock.guard"):
        file.unlink(missing_ok=True)
        file.symlink_to(other)
        with pytest.raises(UnprovenError, match=f"{file} cannot be used: it is a symbolic link"), _hold(place, "a"):
            pass
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(UnprovenError, match=f"{file} cannot be used: it is no regular file") as refusal:
            place.read()
        assert refusal.value.hint == f"rm {file}"
        file.unlink()
    assert not os.path.lexists(other)


def test_a_full_disk_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = lock.FileLock(tmp_path / "lock")

    def write(_handle: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "write", write)
        with pytest.raises(UnprovenError, match="No space left on device"), _hold(place, "a"):
            pass

    with _hold(place, "b"):
        pass


_HOLDER = """
import sys
from pathlib import Path
from buildguard.deploy import lock
with lock.hold_lock(lock.FileLock(Path(sys.argv[1])), lock.LockRequest("web", "theirs"), print):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.interpreters
def test_the_lock_of_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    place = lock.FileLock(tmp_path / "lock")
    argv = [sys.executable, "-P", "-c", _HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(lock.LockHeldError, match=f"run theirs, process {holder.pid}"),
            _hold(place, "ours"),
        ):
            pass
        holder.kill()

    with _hold(place, "ours"):
        there = place.read()
        assert there is not None
        assert json.loads(there[0])["run"] == "ours"
    assert not (tmp_path / "lock").exists()


@pytest.mark.interpreters
def test_the_lock_of_another_pid_namespace_is_refused_alive_and_dead(tmp_path: Path) -> None:
    """Two containers with one host name and one folder: each has a process 1, and neither sees that of the other."""
    place = lock.FileLock(tmp_path / "lock")
    with in_pid_namespace(_HOLDER, str(tmp_path / "lock")) as holder:
        assert holder.line == "held"
        with (
            pytest.raises(lock.LockHeldError, match=r"run theirs, process 1\)") as caught,
            _hold(place, "ours"),
        ):
            pass
        assert "cannot be seen from this machine or container" in caught.value.hint
        assert caught.value.hint.endswith("If it has ended: buildguard deploy --unlock theirs")
        holder.child.kill()
        holder.child.wait()

    with pytest.raises(lock.LockHeldError, match=r"run theirs, process 1\)"), _hold(place, "ours"):
        pass
    with pytest.raises(lock.LockHeldError) as other, _hold(place, "ours", "another"):
        pass
    assert other.value.hint == "the lock is of the run theirs, and not of another"
    said: list[str] = []
    with _hold(place, "ours", "theirs", said.append):
        assert json.loads((tmp_path / "lock").read_text())["run"] == "ours"
    assert len(said) == 1
    assert re.fullmatch(r"the lock of web was taken over from .* \(run theirs, process 1\) for 0 minutes", said[0])


def test_the_lock_of_a_run_that_is_alive_here_is_never_taken_over(tmp_path: Path) -> None:
    place = lock.FileLock(tmp_path / "lock")

    with _hold(place, "theirs"), pytest.raises(lock.LockHeldError) as raised, _hold(place, "ours", "theirs"):
        pass

    assert raised.value.hint == "wait for it, or end its process"


@pytest.mark.parametrize(
    "note",
    [
        json.dumps({"run": "d", "host": os.uname().nodename, "pid": 999999999, "started": "1", "user": "", "at": 0}),
        "",
        "[1]",
        '{"owner": 1, "at": Infinity}',
        "[" * 100000,
    ],
)
def test_a_lock_in_another_format_is_refused(tmp_path: Path, note: str) -> None:
    """As versions before this one wrote it: by host name and pid, which two containers share."""
    (tmp_path / "lock").write_text(note)

    with (
        pytest.raises(lock.LockHeldError, match="is being deployed by an unknown"),
        _hold(lock.FileLock(tmp_path / "lock"), "ours"),
    ):
        pass
    assert (tmp_path / "lock").read_text() == note


def test_one_of_many_takes_a_lock_over(tmp_path: Path) -> None:
    """A run that has seen a dead holder's lock must not remove that of the run which was faster."""
    place = lock.FileLock(tmp_path / "lock")
    dead = {"run": "d", "owner": str(owner.current()._replace(started="1")), "host": "", "pid": 1, "user": "", "at": 0}
    version = place.create(json.dumps(dead).encode(), 0)
    assert version is not None

    with ThreadPoolExecutor(8) as helpers:
        taken = list(helpers.map(lambda number: place.create(b"%d" % number, version), range(8)))

    (winner,) = (number for number, new in enumerate(taken) if new is not None)
    assert place.read() == (b"%d" % winner, taken[winner])
    place.remove(version)  # too late
    assert place.read() == (b"%d" % winner, taken[winner])
