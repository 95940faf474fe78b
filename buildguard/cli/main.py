"""Where the program starts: the frequent forms of `check` go straight to it, everything else through click."""

from __future__ import annotations

import gc
import os
import signal
import sys

from buildguard.cli.check_arguments import parse_check
from buildguard.cli.exit import exit_on_sigterm, fill_streams, run_guarded
from buildguard.errors import UnprovenError
from buildguard.system import programs


def main() -> None:
    """Run the command line and exit with the status that the contract gives."""
    fill_streams()
    if os.name == "nt":
        sys.stderr.write("buildguard: Windows has no limits on child processes, so nothing could be proven; use WSL\n")
        sys.exit(UnprovenError.exit_code)
    programs.leave_project_out_of_path()
    gc.disable()  # short-lived, and what it makes in numbers holds no cycles
    signal.signal(signal.SIGTERM, exit_on_sigterm)
    status = run_guarded(_run)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the answer is given, and a late Ctrl-C would replace its status
    gc.freeze()  # or the end of Python looks once more through all that was imported
    sys.exit(status)


def _run() -> None:
    """Run the command that the arguments name; a hook's start is half click's import, so it does without."""
    arguments = parse_check(sys.argv[1:], os.environ)
    if arguments is not None:
        from buildguard.cli.check_command import run_check

        run_check(**arguments)
    else:
        from buildguard.cli.commands import cli

        cli.main(standalone_mode=False)
