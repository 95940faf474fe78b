"""A Python program in a pid namespace of its own, with the same host name: as a CI job in another container."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tests.conftest import missing

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNSHARE = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]


class NamespacedProgram(NamedTuple):
    """A program that has printed its first line and now waits for the end of its input."""

    child: subprocess.Popen[str]
    line: str


@contextmanager
def in_pid_namespace(code: str, *arguments: str) -> Iterator[NamespacedProgram]:
    """Run a program there until the block ends; it prints a line when it is ready."""
    try:
        allowed = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        missing("unshare", "install util-linux")
    if allowed.returncode:
        missing("the right to make a pid namespace", f"run the tests as root ({allowed.stderr.strip()})")
    argv = [*_UNSHARE, sys.executable, "-P", "-c", code, *arguments]
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        line = child.stdout.readline().strip()
        assert line, child.communicate()[1]
        yield NamespacedProgram(child, line)
    finally:
        try:
            child.communicate(timeout=300)  # its input ends
        finally:
            child.kill()
