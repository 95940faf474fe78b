"""Stack dumps in a log: which thread did not move. And the program that writes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from buildguard.diagnose.stack_dump import StackFrame, find_blocked, read_dumps
from buildguard.remote import dump_stacks, program

_IDLE = 'Timeout (0:00:02)!\nThread 0x00007f01 (most recent call first):\n  File "/lib/selectors.py", line 416 in select\n  File "/app/serve.py", line 9 in <module>\n'
_BUSY = (
    "GET /\nTimeout (0:00:02)!\nThread 0x00007f02 [agent] (most recent call first):\n"
    '  File "/lib/threading.py", line 5 in wait\n  File "/app/agent.py", line 7 in find\nCurrent thread 0x00007f01 (most recent call first):\n'
    '  File "/lib/selectors.py", line 416 in select\n  File "/app/serve.py", line 9 in <module>\nother words\n'
)


def _ours(path: str) -> bool:
    return path.startswith("/app/")


def test_dumps() -> None:
    first, second = read_dumps((_IDLE + _BUSY).splitlines())

    idle = (StackFrame("/lib/selectors.py", 416, "select"), StackFrame("/app/serve.py", 9, "<module>"))
    assert first == {idle}
    assert second == {idle, (StackFrame("/lib/threading.py", 5, "wait"), StackFrame("/app/agent.py", 7, "find"))}
    assert read_dumps(['  File "/app/a.py", line 1 in f', "", "Traceback"]) == []


def test_what_stays_in_two_dumps_is_blocked() -> None:
    idle, busy = read_dumps((_IDLE + _BUSY).splitlines())

    assert find_blocked([busy, busy], idle, _ours)[1] == StackFrame("/app/agent.py", 7, "find")
    assert find_blocked([busy, idle, busy], idle, _ours) == ()
    assert find_blocked([idle, idle], idle, _ours) == ()
    assert find_blocked([busy, busy], idle, lambda _path: False) == ()


@pytest.mark.interpreters
def test_the_program_that_writes_them(tmp_path: Path) -> None:
    text = program("dump_stacks.py").read_text("utf-8").replace(f"EVERY = {dump_stacks.EVERY}", "EVERY = 0.2")
    (tmp_path / "sitecustomize.py").write_text(text)
    code = "import os, time\ndef wait(): time.sleep(1)\nif os.fork(): os.wait()\nelse: wait()\n"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    frames = {frame.function for dump in read_dumps(done.stderr.splitlines()) for stack in dump for frame in stack}
    assert done.returncode == 0
    assert {"wait", "<module>"} <= frames  # of the child of the fork, and of its parent
