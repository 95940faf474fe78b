"""Asks the real libraries of settings about each case of `tests/cases/settings.jsonl`: does it start with these variables?

`python -m tests.startup.record_settings PYTHON` writes the answers again. PYTHON has pydantic-settings, python-decouple, environs,
django-environ, starlette and python-dotenv.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

CASES = Path(__file__).parents[1] / "cases" / "settings.jsonl"
# Starts each program of the standard input with each of its environments, in a child of its own; prints which fail.
_DRIVER = """
import contextlib, importlib, json, os, pathlib, runpy, sys, tempfile
for library in ("decouple", "environs", "environ", "starlette.config", "pydantic_settings", "dotenv", "pydantic.v1"):
    importlib.import_module(library)
base, answers = pathlib.Path(tempfile.mkdtemp()), []
for number, case in enumerate(json.load(sys.stdin)):
    root = base / str(number)
    for name, text in case["files"].items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    fails = []
    for variables in case["environments"]:
        child = os.fork()
        if not child:
            os.chdir(root)
            os.environ.clear()
            os.environ.update(variables)
            path = str(root / case["start"])
            sys.path.insert(0, os.path.dirname(path))
            sys.argv = [path]
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
            try:
                runpy.run_path(path, run_name="__main__")
            except BaseException:
                os._exit(1)
            os._exit(0)
        fails.append(os.waitpid(child, 0)[1] != 0)
    answers.append(fails)
json.dump(answers, sys.stdout)
"""


def _record(python: str) -> None:
    cases = [json.loads(line) for line in CASES.read_text().splitlines()]
    done = subprocess.run(
        [python, "-I", "-c", _DRIVER], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    rows = ({**case, "fails": fails} for case, fails in zip(cases, json.loads(done.stdout), strict=True))
    CASES.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


if __name__ == "__main__":
    _record(sys.argv[1])
