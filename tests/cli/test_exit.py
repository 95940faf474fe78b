"""Whatever a command raises ends as one line and an exit code."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from buildguard.cli.exit import exit_on_sigterm, fill_streams, run_guarded
from buildguard.errors import BuildRunsError, UnprovenError, UsageError
from tests.conftest import Project


def _raises(error: BaseException) -> Callable[[], object]:
    def run() -> object:
        raise error

    return run


class _Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


@contextmanager
def _stdout_restored() -> Iterator[None]:
    """A result that could not be written replaces stdout by the null device."""
    before = sys.stdout
    try:
        yield
    finally:
        if sys.stdout is not before:
            sys.stdout.close()
            sys.stdout = before


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("no such file", hint="pass a file"), 2, "buildguard: no such file\nhint: pass a file\n"),
        (UnprovenError("the engine is gone"), 3, "buildguard: the engine is gone\n"),
        (BuildRunsError("b1", "gcloud builds cancel b1", lambda: None), 130, "hint: to end it: gcloud builds cancel"),
        (click.UsageError("no such option"), 2, "no such option"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.Abort(), 130, "interrupted"),
        (ImportError("libcst"), 3, "could not be loaded: libcst"),
        (OSError(28, "No space left on device", "out.json"), 3, "out.json could not be written"),
        (OSError(5, "Input/output error"), 3, "buildguard: the result could not be written: Input/output error"),
        (PermissionError(13, "Permission denied", "a.py"), 3, "buildguard: a.py cannot be used: Permission denied"),
        (SystemExit(1), 1, ""),
        (SystemExit(None), 0, ""),
        (SystemExit("no verdict"), 1, "no verdict"),
        (click.exceptions.Exit(0), 0, ""),
    ],
)
def test_an_error_is_one_line_and_its_code(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with _stdout_restored():
        assert run_guarded(_raises(error)) == code
    assert line in capsys.readouterr().err


def test_a_run_without_an_error_is_zero() -> None:
    assert run_guarded(lambda: "result") == 0


def test_a_broken_pipe_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with _stdout_restored():
        assert run_guarded(_raises(BrokenPipeError())) == 3
    assert capsys.readouterr().err == ""


def test_control_characters_of_an_error_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    run_guarded(_raises(UsageError("\x1b[2J")))

    assert capsys.readouterr().err == "buildguard: \\x1b[2J\n"


@pytest.mark.interpreters  # the log names the platform, and on some systems a program is asked for it
def test_a_bug_leaves_a_log_to_paste(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert run_guarded(_raises(ZeroDivisionError("division by zero"))) == 4
    (log,) = tmp_path.iterdir()
    error = capsys.readouterr().err
    assert error.startswith("buildguard: a bug in buildguard: ZeroDivisionError: division by zero\n")
    assert str(log) in error
    assert "Traceback" in log.read_text("utf-8")
    assert len(error.splitlines()) == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("no such file", hint="pass a file"), 2),
        (click.UsageError("no such option"), 2),
        (UnprovenError("the engine is gone"), 3),
        (KeyboardInterrupt(), 130),
        (OSError(28, "No space left on device", "out.json"), 3),
    ],
)
def test_a_full_stderr_does_not_change_the_status(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", _Full())

    with _stdout_restored():
        assert run_guarded(_raises(error)) == code

    assert not isinstance(sys.stderr, _Full), "Python's end would fail on it once more"
    sys.stderr.close()


@pytest.mark.interpreters
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device is full here")
@pytest.mark.parametrize("argument", ["--target=3.20", "--no-such-option"])
def test_a_process_with_a_full_stderr_ends_as_any_other(project: Callable[..., Project], argument: str) -> None:
    made = project({"a.py": ""})
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "buildguard", "check", argument], cwd=made.path, stderr=full, check=False
        )

    assert done.returncode == 2


@pytest.mark.interpreters
def test_a_bug_without_room_for_its_log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")

    assert run_guarded(_raises(ZeroDivisionError("division by zero"))) == 4
    assert "its log could not be written: No such file" in capsys.readouterr().err


def test_sigterm_ends_with_143() -> None:
    with pytest.raises(SystemExit) as ended:
        exit_on_sigterm(signal.SIGTERM, None)

    assert ended.value.code == 143


def test_missing_streams_are_filled_and_present_ones_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    fill_streams()

    assert sys.stdout is not None
    os.fstat(sys.stdout.fileno())
