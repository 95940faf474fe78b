"""`buildguard emulator`: Google's services on loopback for a command, or until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp.emulator.server import Emulator
from buildguard.system import process, programs

_STALE = "stale-source"


@contextmanager
def emulated(cwd: Path, faults: Sequence[str]) -> Iterator[Emulator]:
    """The emulator while it runs. Raises UsageError for a fault that there is not, UnprovenError without Google's libraries."""
    try:
        from buildguard.gcp.emulator.server import Emulator
        from buildguard.gcp.emulator.tampering import older_source
    except ImportError as error:
        raise UnprovenError(
            "Google's client libraries are not installed", hint='pip install "buildguard-gcp[cloud]"'
        ) from error
    stale = older_source(cwd) if any(one.partition("=")[0] == _STALE for one in faults) else None
    made = Emulator(faults, stale=stale)
    try:
        yield made
    finally:
        made.close()


def run(cwd: Path, faults: Sequence[str], command: Sequence[str], tell: Callable[[str], object]) -> int:
    """Run a command with the environment set, and return its status; without one tell the environment and wait for Ctrl-C."""
    with emulated(cwd, faults) as made:
        if command:
            return _command(command, made)
        for name, value in made.environment.items():
            tell(f"export {name}={shlex.quote(value)}")
        done = threading.Event()
        signal.signal(signal.SIGTERM, lambda _signal, _frame: done.set())
        try:
            done.wait()
        except KeyboardInterrupt:
            pass
        return 0


def _command(command: Sequence[str], made: Emulator) -> int:
    program = command[0] if os.sep in command[0] else programs.which_for_user(command[0])
    if program is None:
        raise UsageError(f"there is no program '{command[0]}' on PATH")
    try:
        return process.attached([program, *command[1:]], {**programs.users_environment(), **made.environment})
    except OSError as error:
        raise UsageError(f"{command[0]}: {error.strerror}") from error
