"""`python -m bench`: speed and memory beside their limits on this machine; writes docs/benchmarks.md and bench/results."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from bench import custody, engines, limits, peers
from bench.limits import check, target
from bench.measure import Command, memory, ratio, side_by_side
from bench.plot import plot
from bench.trees import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.peers import Row

    Section = Callable[[Path, Path, int], list[Row]]

_HERE = Path(__file__).parent
_PROJECT = _HERE.parent
_BIN = Path(sys.executable).parent
_FILES = 10_000
_SIZES = (1_000, 10_000, 50_000)
_WARM = (6_000, 16_000)
_REPOSITORIES = (1, 6_000, 16_000)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--files", type=int, default=_FILES)
    parser.add_argument("--rounds", type=int, default=3, help="of the slow ones; the fast ones run more often")
    parser.add_argument("--only", metavar="NAME[,NAME…]", default="", help=f"print these alone: {', '.join(_SECTIONS)}")
    options = parser.parse_args()
    names = [name for name in options.only.split(",") if name] or [*_SECTIONS]
    if unknown := {*names} - _SECTIONS.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    rows, failed = run_sections({name: _SECTIONS[name] for name in names}, lambda: tree(options.files), options.rounds)
    if not options.only:
        _write(rows, options.files)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def run_sections(
    sections: Mapping[str, Section], make_tree: Callable[[], Path], rounds: int
) -> tuple[list[Row], list[str]]:
    """The rows of all sections, printed as they come, and the names of those that failed: a row says why, and the rest runs."""
    rows: list[Row] = []
    failed: list[str] = []
    for name, measure in sections.items():
        try:
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
                measured = measure(make_tree(), Path(scratch), rounds)
        except Exception as error:  # noqa: BLE001  one section must not cost an hour of the others
            traceback.print_exc()
            measured = [(f"{name}: not measured", " ".join(f"{type(error).__name__}: {error}".split()), "")]
            failed.append(name)
        rows += measured
        for what, value, limit in measured:
            print(f"{what}: {value}" + (f", at most {limit}" if limit else ""), flush=True)
    return rows, failed


# Each is given the tree, a folder that is thrown away, and how often the slow commands run.
_SECTIONS: dict[str, Section] = {
    "cold": limits.cold,
    "warm": lambda _tree, scratch, rounds: [row for files in _WARM for row in limits.warm(files, scratch, rounds * 2)],
    "hook": lambda _tree, scratch, rounds: [
        row for files in _REPOSITORIES for row in limits.hook(files, scratch, rounds * 5)
    ],
    "diff": lambda folder, _scratch, rounds: limits.diff(folder, rounds * 2),
    "custody": lambda folder, scratch, rounds: custody.custody(folder, scratch, rounds * 2),
    "tiny": lambda _tree, _scratch, rounds: limits.tiny_manifest(rounds * 2),
    "container": lambda folder, _scratch, rounds: engines.container(folder, rounds),
    "cloud": lambda folder, _scratch, rounds: engines.cloud(folder, rounds),
    "image": lambda _tree, scratch, rounds: engines.image(scratch, rounds),
    "rules": lambda folder, _scratch, rounds: _rules(folder, rounds * 2),
    "first-day": lambda _tree, scratch, rounds: _first_day(scratch, rounds),
    "memory": lambda folder, _scratch, _rounds: _memory(folder),
    "growth": lambda _tree, scratch, rounds: _growth(scratch, rounds),
    "peers": lambda _tree, scratch, rounds: [
        *peers.speed(tree(1_000), scratch, rounds),
        *peers.correctness(scratch),
    ],
}


# The same run without the f-string rules, to see what they cost.
_WITHOUT_RULES = """
import sys
from buildguard.check import findings, suppressions
findings.of_rules = lambda *_, **__: ()
suppressions.find_ignores = lambda _: ()
from buildguard.cli.main import main
sys.argv[0] = "buildguard"
main()
"""


def _rules(folder: Path, rounds: int) -> list[Row]:
    found = side_by_side(
        {
            "with": Command(check("--no-cache"), folder),
            "without": Command([sys.executable, "-c", _WITHOUT_RULES, *check("--no-cache")[1:]], folder),
        },
        rounds,
    )
    return [("f-string rules: of the same run without them", ratio(found["with"], found["without"]), "1.10")]


def _first_day(scratch: Path, rounds: int) -> list[Row]:
    """What a team tries first: their log, and a build file with a mistake in it; with nothing cached."""
    folder = scratch / "outage"
    shutil.copytree(_PROJECT / "examples" / "outage", folder)
    wrong = scratch / "wrong"
    shutil.copytree(folder, wrong)
    (wrong / "cloudbuild.yaml").write_text("steps:\n- nmae: x\n", "utf-8")
    nothing = {"DOCKER_HOST": "unix:///nowhere", "BUILDGUARD_CACHE_DIR": str(scratch / "none")}
    found = side_by_side(
        {
            "log": Command([str(_BIN / "buildguard"), "diagnose", "--log", "three-deploys.log"], folder, nothing),
            "build file": Command([str(_BIN / "buildguard"), "check", "--no-cache"], wrong, nothing),
        },
        rounds,
    )
    return [
        ("the outage's log to its cause: seconds", f"{found['log'].median:.2f}", "2"),
        ("a mistake in cloudbuild.yaml found: seconds", f"{found['build file'].median:.2f}", "1"),
    ]


def _memory(folder: Path) -> list[Row]:
    own, child = memory(["check", "--target", target()[0], "--no-cache"], folder)
    return [
        ("peak memory of buildguard's own process, MB", f"{own:.0f}", "150"),
        ("peak memory of its largest child, MB", f"{child:.0f}", "150"),
    ]


def _growth(scratch: Path, rounds: int) -> list[Row]:
    """How time and memory grow with the tree."""
    cold, warm, peaks = {}, {}, {}
    for files in _SIZES:
        folder = tree(files)
        cache = {"BUILDGUARD_CACHE_DIR": str(scratch / f"growth-{files}")}
        cold[files] = side_by_side({"": Command(check("--no-cache"), folder)}, rounds)[""]
        command = {"": Command(check(), folder, cache)}
        side_by_side(command, 1)
        warm[files] = side_by_side(command, rounds)[""]
        peaks[files], _child = memory(["check", "--target", target()[0], "--no-cache"], folder)
    small, large = _SIZES[-2:]
    return [
        (f"growth: cold, {large:,} files of {small:,}", ratio(cold[large], cold[small]), "5.5"),
        (f"growth: warm, {large:,} files of {small:,}", ratio(warm[large], warm[small]), "5.5"),
        (
            f"growth: peak memory, {large:,} files of {small:,}",
            f"{peaks[large] / peaks[small]:.2f}",
            f"{large / small:.0f}",
        ),
        *((f"growth: seconds, cold, {files:,} files", f"{one.median:.2f}", "") for files, one in cold.items()),
        *((f"growth: seconds, warm, {files:,} files", f"{one.median:.2f}", "") for files, one in warm.items()),
        *((f"growth: peak memory, MB, {files:,} files", f"{peak:.0f}", "") for files, peak in peaks.items()),
    ]


def _write(rows: list[Row], files: int) -> None:
    version = subprocess.run([_BIN / "ruff", "--version"], capture_output=True, check=True).stdout.decode().strip()
    machine = f"{files} files, CPython {platform.python_version()}, {version}, {len(os.sched_getaffinity(0))} cores"
    results = _HERE / "results"
    results.mkdir(exist_ok=True)
    (results / "latest.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n", "utf-8")
    page(results / "latest.json")


def page(results: Path) -> None:
    """Rewrite docs/benchmarks.md and its picture from the JSON of a run."""
    found = json.loads(results.read_text("utf-8"))
    table = "\n".join(f"| {what} | {value} | {limit} |" for what, value, limit in found["rows"])
    text = (
        "# Benchmarks\n\n`python -m bench` makes the trees, measures, and writes this page. A ratio is of whole processes that ran in"
        " turn: the median,\nand in brackets the span over the rounds. Seconds are of the machine that ran it and mean little"
        f" elsewhere.\n\nMeasured on: {found['machine']}.\n\n![Seconds by files, and what each tool finds](benchmarks.svg)\n\n"
        f"| what | measured | at most |\n|---|---|---|\n{table}\n\n"
        "What a limit stands for, and where the time goes in a row above it, is on [the page about speed](speed.md).\n\n"
        "What the peers are asked about are syntax cases that were collected because they are hard, each with the verdict of the real\n"
        'interpreter: no sample of what people write. What is "on 3.12" runs where the outage\'s team ran it.\n'
    )
    docs = _PROJECT / "docs"
    (docs / "benchmarks.md").write_text(text, "utf-8")
    print(text)
    try:
        plot([tuple(row) for row in found["rows"]], docs)
    except ImportError as error:
        print(f"the picture is the one of an earlier run: {error}; pip install --group bench", file=sys.stderr)


if __name__ == "__main__":
    main()
