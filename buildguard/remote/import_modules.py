"""Imports modules one by one, each in a child of its own, and prints a line of JSON for each: run by an image's own Python.

Called with one argument, JSON: `path` (folders in front of sys.path), `modules`, `seconds` for each. A line has the module, and of
a failure its `type`, `message`, `name` (of an ImportError) and `frames` (file and line, the innermost last).
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import time
import traceback

_LONGEST = 2_000  # characters of a message
_MOST_FRAMES = 60
_PIECE = 1 << 16


def describe(error: BaseException) -> dict[str, object]:
    """What an import raised, as a value of JSON."""
    frames = [[frame.filename, frame.lineno] for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append([error.filename, error.lineno])
    name = getattr(error, "name", None)
    return {
        "type": type(error).__name__,
        "message": str(error)[:_LONGEST],
        "name": name if isinstance(name, str) else None,
        "frames": frames[-_MOST_FRAMES:],
    }


def _import_in_child(module: str, out: int) -> None:
    """Import a module, and write what came of it; never returns."""
    result: dict[str, object] = {}
    try:
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        importlib.import_module(module)
    except BaseException as error:
        result = describe(error)
    os.write(out, json.dumps(result).encode("ascii")[:_PIECE])
    os._exit(0)


def run(module: str, seconds: float) -> dict[str, object]:
    """What came of importing a module in a child."""
    inside, out = os.pipe()
    child = os.fork()
    if not child:
        os.close(inside)
        _import_in_child(module, out)
    os.close(out)
    deadline, data = time.monotonic() + seconds, b""
    is_late = False
    while True:
        ready = select.select([inside], [], [], max(0.0, deadline - time.monotonic()))[0]
        piece = os.read(inside, _PIECE) if ready else b""
        is_late = not ready
        data += piece
        if not piece:
            break
    if is_late:
        os.kill(child, signal.SIGKILL)
    os.close(inside)
    status = os.waitpid(child, 0)[1]
    if is_late:
        return {"module": module, "type": "timeout", "message": "took longer than %d s" % seconds}
    if not data:
        return {"module": module, "type": "ended", "message": "ended with wait status %d" % status}
    result: dict[str, object] = json.loads(data)
    result["module"] = module
    return result


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    sys.path[:0] = request["path"]
    for name in request["modules"]:
        print(json.dumps(run(name, request["seconds"])), flush=True)
