"""`python -m bench.imports`: what proving every import adds to the syntax check alone, on 10,000 files, cold and warm.

Runs with and without imports alternate. Wall time decides on a quiet machine, CPU time (user and system) on a busy one. Ends with
status 1 where the median of the wall or of the CPU ratios is above the limit in both.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.trees import tree

# The same run without reading, asking or following imports.
_WITHOUT = """
from buildguard.check import import_results
from buildguard.engines import worker
worker.ProbeLimits._field_defaults["reads_facts"] = False
import_results.judge_imports = lambda *_: import_results.TargetImports((), ())
"""
_MAIN = """
import sys
from buildguard.cli.main import main
sys.argv[0] = "buildguard"
main()
"""
LIMITS = {"cold": 1.25, "warm": 1.10}


class Cost(NamedTuple):
    """Seconds of one run: on the wall, and of all cores (user and system, children included)."""

    wall: float
    cpu: float


class Rounds(NamedTuple):
    """Runs with and without imports that alternated."""

    with_imports: list[Cost]
    without: list[Cost]

    def ratios(self, field: str) -> list[float]:
        """With imports of without, for each round; `field` is "wall" or "cpu"."""
        pairs = zip(self.with_imports, self.without, strict=True)
        return [getattr(one, field) / getattr(other, field) for one, other in pairs]

    def ratio(self, field: str) -> str:
        """The median, and the span over the rounds."""
        ratios = self.ratios(field)
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def measure(folder: Path, scratch: Path, rounds: int, temperature: str) -> Rounds:
    """Check a folder with and without imports in turn; "cold" with an empty cache each time, "warm" with a full one."""
    result = Rounds([], [])
    programs = ((_MAIN, result.with_imports), (_WITHOUT + _MAIN, result.without))
    for number in range(rounds + (temperature == "warm")):
        for program, costs in programs:
            cache = scratch / f"{temperature}-{len(program)}"
            if temperature == "cold":
                shutil.rmtree(cache, ignore_errors=True)
            cost = _run(program, folder, cache)
            if temperature == "cold" or number:  # the first one fills the cache
                costs.append(cost)
    return result


def _run(program: str, folder: Path, cache: Path) -> Cost:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    argv = [sys.executable, "-c", program, "check", "--target", f"3.{sys.version_info.minor}"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        argv,
        cwd=folder,
        env={**environment, "BUILDGUARD_CACHE_DIR": str(cache), "DOCKER_HOST": "unix:///nonexistent.sock"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m bench.imports", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=LIMITS, help="cold or warm alone")
    options = parser.parse_args()
    folder = tree(options.files)
    is_above = False
    with tempfile.TemporaryDirectory() as scratch:
        for temperature in [options.only] if options.only else LIMITS:
            result = measure(folder, Path(scratch), options.rounds, temperature)
            for field in Cost._fields:
                seconds = [[getattr(cost, field) for cost in costs] for costs in result]
                medians = ", ".join(f"{statistics.median(values):.2f} s" for values in seconds)
                print(
                    f"{temperature}, {field}: {result.ratio(field)} of the syntax check alone; with and without: {medians}"
                )
            is_above |= min(statistics.median(result.ratios(field)) for field in Cost._fields) > LIMITS[temperature]
    sys.exit(is_above)


if __name__ == "__main__":
    main()
