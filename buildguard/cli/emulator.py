"""`buildguard emulator`: Google's services on loopback for a command, or until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from buildguard.definitions import TYPE_CHECKING
from buildguard.errors import GuardError, UnprovenError, UsageError
from buildguard.gcp import auth
from buildguard.load import Project
from buildguard.system import process, programs

if TYPE_CHECKING:
    from buildguard.gcp.emulator.server import Emulator

_STALE = "stale-source"


@contextmanager
def start_emulator(cwd: Path, faults: Sequence[str], projects: Sequence[str] = ()) -> Iterator[Emulator]:
    """The emulator while it runs, with these projects and its own.

    Raises UsageError for a fault that there is not, UnprovenError without Google's libraries.
    """
    try:
        from buildguard.gcp.emulator.server import Emulator
        from buildguard.gcp.emulator.tampering import older_source
    except ImportError as error:
        raise UnprovenError("Google's client libraries are not installed", hint=auth.INSTALL) from error
    stale = older_source(cwd) if any(fault.partition("=")[0] == _STALE for fault in faults) else None
    emulator = Emulator(faults, stale=stale, projects=projects)
    try:
        yield emulator
    finally:
        emulator.close()


def _configured_projects(cwd: Path) -> list[str]:
    """The projects that the configuration of a folder names; none where it cannot be read: the command tells that."""
    try:
        config = Project.load(cwd).config
    except GuardError:
        return []
    named = [config.cloud.project, *(environment.project for environment in config.environments)]
    return [name for name in named if name]


def run(
    cwd: Path,
    faults: Sequence[str],
    command: Sequence[str],
    tell: Callable[[str], object],
    projects: Sequence[str] = (),
) -> int:
    """Run a command with the environment set, and return its status; without one tell the environment and wait for Ctrl-C."""
    with start_emulator(cwd, faults, [*projects, *_configured_projects(cwd)]) as emulator:
        if command:
            return _command(command, emulator)
        for name, value in emulator.environment.items():
            tell(f"export {name}={shlex.quote(value)}")
        done = threading.Event()
        signal.signal(signal.SIGTERM, lambda _signal, _frame: done.set())
        try:
            done.wait()
        except KeyboardInterrupt:
            pass
        return 0


def _command(command: Sequence[str], emulator: Emulator) -> int:
    program = command[0] if os.sep in command[0] else programs.which_for_user(command[0])
    if program is None:
        raise UsageError(f"there is no program '{command[0]}' on PATH")
    try:
        return process.run_attached([program, *command[1:]], {**programs.users_environment(), **emulator.environment})
    except OSError as error:
        raise UsageError(f"{command[0]}: {error.strerror}") from error
