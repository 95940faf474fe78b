"""Who owns a temporary folder, a container or a lock, so that a later run can remove what a killed run left.

An owner is a process: the boot and pid namespace in which its pid counts, the pid, and its start time, which differs
from that of any later process with the same pid. Sources: proc(5), pid_namespaces(7); on macOS sysctl(3) and ps(1).
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from functools import cache

from buildguard.definitions import NamedTuple, StrEnum
from buildguard.errors import UnprovenError
from buildguard.system import process

PATTERN = r"[0-9a-f]*x[0-9]*-[0-9]{1,10}-[0-9a-z]*"  # of a token, without groups
_UNKNOWN_HOME = "x"  # its pids cannot be compared with anything, not even with those of another unknown home
_BOOT_LENGTH = 16  # hexadecimal digits
_ENDED = "ended"  # in place of a start time: a zombie has a pid, and does nothing any more
_STAT_STATE, _STAT_START = 0, 19  # fields of /proc/PID/stat behind the program's name


class Life(StrEnum):
    """Whether an owner still runs; `UNKNOWN` if it belongs to another machine, boot or pid namespace."""

    ALIVE = "alive"
    GONE = "gone"
    UNKNOWN = "unknown"


class Owner(NamedTuple):
    """A process: `home` is its boot and pid namespace."""

    home: str
    pid: int
    started: str

    def __str__(self) -> str:
        """The token, safe in a file name and in a container label."""
        return f"{self.home}-{self.pid}-{self.started}"

    def life(self) -> Life:
        """Whether this process still runs, as far as that can be seen from here."""
        if self.home == _UNKNOWN_HOME or self.home != _home():
            return Life.UNKNOWN
        if not _exists(self.pid):
            return Life.GONE
        started = _started(self.pid)
        if not started:
            return Life.UNKNOWN
        return Life.ALIVE if started == self.started else Life.GONE


def current() -> Owner:
    """This process."""
    return _of(os.getpid())


def parse(token: str) -> Owner | None:
    """The owner that a token names; None for another format, such as that of an older version."""
    if re.fullmatch(PATTERN, token) is None:
        return None
    home, pid, started = token.split("-")
    return Owner(home, int(pid), started)


def life(token: str) -> Life:
    """Whether the owner that a token names still runs; unknown for a token in another format."""
    owner = parse(token)
    return owner.life() if owner is not None else Life.UNKNOWN


@cache
def _of(pid: int) -> Owner:
    return Owner(_home(), pid, _started(pid))


@cache
def _home() -> str:
    """The boot and pid namespace in which our pids count; `_UNKNOWN_HOME` if either cannot be read."""
    if sys.platform == "darwin":
        boot, namespace = _output("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"), ""
    else:
        boot, namespace = _linux_home()
    boot = boot.replace("-", "").lower()[:_BOOT_LENGTH]
    return f"{boot}x{namespace}" if re.fullmatch(r"[0-9a-f]+", boot) else _UNKNOWN_HOME


def _linux_home() -> tuple[str, str]:
    """The boot id and the pid namespace; both are empty if /proc is missing or shows another namespace."""
    with suppress(OSError):
        with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as file:
            boot = file.read()
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
        if os.readlink("/proc/self") == str(os.getpid()):
            return boot.strip(), namespace
    return "", ""


def _exists(pid: int) -> bool:
    """Whether a process or zombie has this pid; asked of the kernel, as /proc may hide those of other users."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _started(pid: int) -> str:
    """When a process was started, as a word; `_ENDED` for a zombie, empty if that cannot be read."""
    if sys.platform == "darwin":
        state, _, started = _output("/bin/ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)).partition(" ")
        word = "".join(char for char in started.lower() if char.isalnum())
    else:
        state, word = _linux_state(pid)
    return _ENDED if state.startswith(("Z", "X")) else word


def _linux_state(pid: int) -> tuple[str, str]:
    with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as stat:
        fields = stat.read().rpartition(b")")[2].decode("ascii").split()
        return fields[_STAT_STATE], fields[_STAT_START]
    return "", ""


def _output(*argv: str) -> str:
    """What a program of the system prints, in one language and time zone; empty if it fails."""
    try:
        done = process.run(argv, env={"LC_ALL": "C", "TZ": "UTC"}, timeout=10)
    except UnprovenError:
        return ""
    return done.stdout.decode("ascii", "replace").strip()
