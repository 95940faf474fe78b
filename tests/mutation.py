"""A plugin for mutation testing (`-p tests.mutation`): the program runs in a fork of the test's own process, for there its mutant is.

What a test runs in a process of its own would import the package again, and without the mutant.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import tempfile
import warnings
from typing import TYPE_CHECKING

from buildguard.check import fix
from buildguard.fstrings import planner_process
from tests import conftest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


def _run(self: conftest.Project, *args: str, cwd: Path | None = None, timeout: float = 300) -> conftest.Result:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as hits:
        child = os.fork()
        if child == 0:
            status = 70
            try:
                status = _in_child(args, {**self.env}, str(cwd or self.path), out.fileno(), err.fileno())
                hits.write(pickle.dumps(_hits()))
                hits.flush()
            finally:
                os._exit(status)
        signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
        signal.alarm(int(timeout))
        _pid, status = os.waitpid(child, 0)
        signal.alarm(0)
        for file in (out, err, hits):
            file.seek(0)
        seen = hits.read()
        if seen:
            _hits().update(pickle.loads(seen))
        return conftest.Result(
            os.waitstatus_to_exitcode(status), out.read().decode("utf-8", "surrogateescape"), err.read().decode()
        )


def _in_child(args: tuple[str, ...], env: dict[str, str], cwd: str, out: int, err: int) -> int:
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (err, 2)):
        os.dup2(source, target)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w", encoding="utf-8"), open(2, "w", encoding="utf-8")  # noqa: SIM115  they last as long as the process
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = ["buildguard", *args]
    warnings.simplefilter("ignore")
    from buildguard.cli.main import main

    try:
        main()
    except SystemExit as done:
        sys.stdout.flush()
        sys.stderr.flush()
        return done.code if isinstance(done.code, int) else 1
    return 0


def pytest_sessionstart() -> None:
    """Interpreters that the tests keep at hand answer to one process, and each mutant is one."""
    _forget("tests.")


def pytest_runtest_setup() -> None:
    """What was kept of a function's results is from before its mutant, and hides which tests come to it."""
    _forget("buildguard.")


def _forget(where: str) -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(where):
            for one in vars(module).values():
                if hasattr(one, "cache_clear"):
                    one.cache_clear()


def _hits() -> set[str]:
    from mutmut.state import state

    stats: set[str] = state()._stats
    return stats


def _operations(patients: Sequence[planner_process.FixRequest]) -> Iterator[planner_process.FixPlan]:
    """Plans of repair without a child for each."""
    for patient in patients:
        yield planner_process._parse_plan(json.loads(json.dumps(planner_process._plan_one(patient))))


planner_process.plan_fixes = _operations
setattr(fix, "plan_fixes", _operations)  # noqa: B010  it took the name, which it does not give on
sys.setrecursionlimit(10_000)  # each call of what is mutated goes through four of mutmut
conftest.Project.run = _run  # type: ignore[method-assign]
