"""The boundary of the program: whatever is raised becomes one clear line and an exit status."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from buildguard import __version__
from buildguard.errors import BuildRunsError, GuardError, UnprovenError

_INTERRUPTED = 130
_BUG = 4
_ONLY_WHEN_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


def run_guarded(run: Callable[[], object]) -> int:
    """Run, and turn whatever is raised into one clear line and an exit status."""
    status = 0
    try:
        run()
        sys.stdout.flush()
    except SystemExit as done:
        status = _status_of_exit(done.code)
    except BuildRunsError as error:
        status = _handle_running_build(error)
    except GuardError as error:
        _print_error(error.what, error.hint)
        status = error.exit_code
    except KeyboardInterrupt:
        status = _interrupted()
    except ImportError as error:
        what = f"a part of the installation could not be loaded: {error}"
        _print_error(what, "if this happens again, reinstall buildguard-gcp")
        status = UnprovenError.exit_code
    except OSError as error:
        status = _handle_system_error(error)
    except Exception as error:  # noqa: BLE001  the one boundary: what comes here is a bug of ours
        ending = _status_of_click(error)
        status = _report_bug(error) if ending is None else ending
    return status


def _status_of_exit(code: object) -> int:
    """What Python makes of it: a text is printed, and is a failure."""
    if code is None or isinstance(code, int):
        return code or 0
    _print(str(code))
    return 1


def _status_of_click(error: Exception) -> int | None:
    """The status for what click raises to end a command; None for everything else. A hook never imports it."""
    if "click" not in sys.modules:
        return None
    import click

    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.Abort):
        return _interrupted()
    if isinstance(error, click.ClickException):
        with _even_if_unheard():
            error.show()
        return error.exit_code
    return None


def _interrupted() -> int:
    _print("interrupted")
    return _INTERRUPTED


def fill_streams() -> None:
    """Put something behind standard streams that are closed, or the next file that is opened would become one.

    What is written to a closed standard output is lost, and so is known to be: it is opened for reading alone.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR if name == "stderr" else os.O_RDONLY)  # the lowest number that is free
            setattr(sys, name, None)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115


def exit_on_sigterm(_signal: int, _frame: FrameType | None) -> None:
    """Exit with 128 + SIGTERM."""
    sys.exit(128 + signal.SIGTERM)


def _print_error(what: str, hint: str) -> None:
    from buildguard.diagnostic import escape_text

    _print(f"buildguard: {escape_text(what)}")
    if hint:
        _print(f"hint: {hint}")


def _print(line: str) -> None:
    import click  # it knows how to write to any terminal

    with _even_if_unheard():
        click.echo(line, err=True)


@contextmanager
def _even_if_unheard() -> Iterator[None]:
    """Write to stderr; where that fails, as on a full disk, the exit status alone has to do, and is not replaced by Python's own."""
    try:
        yield
    except OSError:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  so that the exit does not fail on it once more


def _handle_running_build(error: BuildRunsError) -> int:
    """Ask whether to end the build too; without a terminal it keeps running, and the hint ends it."""
    _print_error(error.what, error.hint)
    if sys.stdin.isatty() and sys.stderr.isatty():
        import click

        try:
            if click.confirm("end the build too?", default=False, err=True):
                error.cancel()
                click.echo("the build was ended", err=True)
        except GuardError as failed:
            _print_error(failed.what, failed.hint)
        except (KeyboardInterrupt, click.Abort):
            click.echo("left running", err=True)
    return error.exit_code


def _handle_system_error(error: OSError) -> int:
    """A file could not be read, or the result not delivered: neither is the same as a clean result."""
    try:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  so that the exit does not fail on it once more
        if not isinstance(error, BrokenPipeError):
            _print_error(describe_system_error(error), "")
    except OSError:
        pass
    return UnprovenError.exit_code


def describe_system_error(error: OSError) -> str:
    """What the system refused: a file by its name; without a name it is a standard stream, which we only write."""
    if error.filename is None:
        return f"the result could not be written: {error.strerror}"
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else error.filename
    if error.errno in _ONLY_WHEN_WRITING:
        return f"{name} could not be written: {error.strerror}"
    return f"{name} cannot be used: {error.strerror}"


def _report_bug(error: Exception) -> int:
    """One line for the person, and everything else in a file to paste."""
    import platform
    import tempfile
    import traceback

    text = f"buildguard {__version__}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv}\n"
    text += "".join(traceback.format_exception(error))
    hint = "please report it"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="buildguard-", suffix=".log", delete=False) as log:
            log.write(text)
        hint += f" with {log.name}"
    except OSError as full:
        hint += f"; its log could not be written: {full.strerror}"
    _print_error(f"a bug in buildguard: {type(error).__name__}: {error}", hint)
    return _BUG
