"""Whose a leftover is, and whether its owner still runs: alive, gone, or unknown from here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from buildguard.system import owner
from buildguard.system.owner import Life, Owner
from tests.conftest import missing
from tests.system.namespaces import in_pid_namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PRINT = "import sys; from buildguard.system import owner; print(owner.current(), flush=True); sys.stdin.read()"
_CHILD = [sys.executable, "-c", _PRINT]
_BOOT_UUID = "6F5A1C7E-0D3B-4E57-9A53-0C9C8D1B2A3F"


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Forget what was read of this machine, before and after."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    owner._home.cache_clear()
    owner._of.cache_clear()


def test_this_process_is_alive_and_its_token_can_be_read_back() -> None:
    token = str(owner.current())

    assert owner.parse(token) == owner.current()
    assert owner.life(token) is Life.ALIVE
    assert owner.current().pid == os.getpid()


@pytest.mark.interpreters
def test_a_process_is_alive_until_it_ends_and_a_zombie_has_ended() -> None:
    child = subprocess.Popen(_CHILD, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    token = child.stdout.readline().strip()
    assert owner.life(token) is Life.ALIVE

    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped: containers often have no init
    assert owner.life(token) is Life.GONE

    child.communicate()
    assert owner.life(token) is Life.GONE


def test_a_pid_that_is_used_again_is_another_owner() -> None:
    assert owner.current()._replace(started="1").life() is Life.GONE


@pytest.mark.parametrize(
    "token",
    [
        "",
        "laptop 4242 12345",  # as older versions had it
        "x-1-1",  # a home that could not be read
        "0123456789abcdefx4026531836-1-1",  # another boot
        "0123456789abcdefx4026531836-99999999999999999999-1",
        "0123456789abcdefx4026531836-1-1\n",
        "x4026531836-1-1",
        "../x-1-1",
    ],
)
def test_what_is_not_of_here_is_unknown(token: str) -> None:
    assert owner.life(token) is Life.UNKNOWN


def test_a_pid_larger_than_any_is_gone() -> None:
    assert owner.current()._replace(pid=9999999999).life() is Life.GONE


@pytest.mark.interpreters
def test_a_process_of_another_pid_namespace_is_unknown_in_both_directions() -> None:
    with in_pid_namespace(_PRINT) as held:
        theirs = owner.parse(held.line)
        assert theirs is not None
        assert theirs.life() is Life.UNKNOWN
        assert theirs.home.partition("x")[0] == owner.current().home.partition("x")[0]  # the same boot
    assert owner.life(held.line) is Life.UNKNOWN  # its end cannot be seen either
    asked = (
        "import sys; from buildguard.system import owner; print(owner.life(sys.argv[1]), flush=True); sys.stdin.read()"
    )
    with in_pid_namespace(asked, str(owner.current())) as held:
        assert held.line == "unknown"


@pytest.mark.interpreters
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_proc_of_another_namespace_is_not_believed() -> None:
    """`unshare --pid` alone: the pids are new, and /proc still shows the old ones."""
    argv = ["unshare", "--fork", "--pid", "--kill-child", *_CHILD]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        missing("the right to make a pid namespace", f"run the tests as root ({done.stderr.strip()})")

    assert done.stdout.startswith("x-1-")
    assert owner.life(done.stdout.strip()) is Life.UNKNOWN


def test_a_process_that_proc_hides_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """As /proc with hidepid hides the processes of other users."""
    monkeypatch.setattr(owner, "_started", lambda _pid: "")

    assert owner.current()._replace(pid=1).life() is Life.UNKNOWN


@pytest.mark.usefixtures("forgetful")
def test_macos_by_its_boot_and_by_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(owner, "_output", _macos("Ss   Sat Nov 28 16:01:02 2026"))
    mine = owner.current()

    assert mine == Owner("6f5a1c7e0d3b4e57x", os.getpid(), "satnov281601022026")
    assert owner.parse(str(mine)) == mine
    assert mine.life() is Life.ALIVE
    for printed, life in (
        ("S    Sat Nov 28 16:01:03 2026", Life.GONE),
        ("Z    Sat Nov 28 16:01:02 2026", Life.GONE),
        ("", Life.UNKNOWN),
    ):
        monkeypatch.setattr(owner, "_output", _macos(printed))
        assert mine.life() is life, printed


@pytest.mark.usefixtures("forgetful")
def test_a_machine_without_a_name_knows_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "_linux_home", lambda: ("", ""))

    assert owner.current().home == "x"
    assert owner.current().life() is Life.UNKNOWN


def _macos(printed: str) -> Callable[..., str]:
    return lambda program, *_arguments: _BOOT_UUID if program.endswith("sysctl") else printed
