"""`python -m bench`: speed and memory beside compileall and ruff; writes docs/benchmarks.md and bench/results."""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import peers
from bench.measure import Command, Timing, memory, ratio, side_by_side
from bench.plot import plot
from bench.trees import tree
from tests.project.ignore import test_gcloud

if TYPE_CHECKING:
    from bench.peers import Row

_HERE = Path(__file__).parent
_PROJECT = _HERE.parent
_BIN = Path(sys.executable).parent
_REFERENCE = _PROJECT / "tests" / "reference.py"
_FILES = 10_000
_SIZES = (1_000, 10_000, 50_000)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--files", type=int, default=_FILES)
    parser.add_argument("--rounds", type=int, default=3, help="of the slow ones; the fast ones run more often")
    options = parser.parse_args()
    folder = tree(options.files)
    with tempfile.TemporaryDirectory() as scratch:
        rows = [
            *_cold(folder, Path(scratch), options.rounds),
            *_rules(folder, options.rounds * 2),
            *_imports(folder, Path(scratch), options.rounds * 2),
            *_container(folder, options.rounds),
            *_warm(folder, Path(scratch), options.rounds * 2),
            *_start(Path(scratch), options.rounds * 5),
            *_first_day(Path(scratch), options.rounds),
            *_memory(folder),
            *_custody(folder, Path(scratch), options.rounds * 2),
            *_growth(Path(scratch), options.rounds),
            *peers.speed(tree(1_000), Path(scratch), options.rounds),
            *peers.correctness(Path(scratch)),
        ]
    _write(rows, options.files)


def _target() -> tuple[str, str]:
    """The version that is measured, and its interpreter: the one that runs this."""
    return f"3.{sys.version_info.minor}", getattr(sys, "_base_executable", sys.executable)


def _check(*args: str) -> list[str]:
    return [str(_BIN / "buildguard"), "check", "--target", _target()[0], *args]


def _cold(folder: Path, scratch: Path, rounds: int) -> list[Row]:
    _version, python = _target()
    cache = scratch / "cold"
    listing = scratch / "paths"
    listing.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in sorted(folder.rglob("*.py"))))
    copy = scratch / "tree"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".git"))
    no_bytecode = {"PYTHONDONTWRITEBYTECODE": ""}
    found = side_by_side(
        {
            "check": Command(
                _check(), folder, {"BUILDGUARD_CACHE_DIR": str(cache)}, lambda: shutil.rmtree(cache, ignore_errors=True)
            ),
            "compileall": Command(
                [python, "-m", "compileall", "-q", "-j2", "."], copy, no_bytecode, lambda: _remove_bytecode(copy)
            ),
            "loop": Command(["sh", "-c", f"exec '{python}' -I -S -B '{_REFERENCE}' < '{listing}'"], folder),
        },
        rounds,
    )
    cores = len(os.sched_getaffinity(0))
    return [
        ("cold: of `compileall -q -j2`", ratio(found["check"], found["compileall"]), "0.35"),
        (
            f"cold: of a bare compile loop over {cores} cores",
            ratio(found["check"], found["loop"], times=1 / cores),
            "1.3",
        ),
        *_seconds("cold", found),
    ]


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
            "with": Command(_check("--no-cache"), folder),
            "without": Command([sys.executable, "-c", _WITHOUT_RULES, *_check("--no-cache")[1:]], folder),
        },
        rounds,
    )
    return [("f-string rules: of the same run without them", ratio(found["with"], found["without"]), "1.10")]


# The same run without reading, asking or following imports.
_WITHOUT_IMPORTS = """
import sys
from buildguard.check import import_results
from buildguard.engines import worker
worker.ProbeLimits.__new__.__defaults__ = (2 << 30, 20, False)
import_results.judge_imports = lambda *_: import_results.TargetImports((), ())
from buildguard.cli.main import main
sys.argv[0] = "buildguard"
main()
"""


def _imports(folder: Path, scratch: Path, rounds: int) -> list[Row]:
    """What proving every import adds to the syntax check alone."""
    rows: list[Row] = []
    for name, limit in (("cold", "1.25"), ("warm", "1.10")):
        caches = [scratch / f"imports-{which}" for which in ("with", "without")]

        def empty(cache: Path, name: str = name) -> None:
            if name == "cold":
                shutil.rmtree(cache, ignore_errors=True)

        argvs = (_check(), [sys.executable, "-c", _WITHOUT_IMPORTS, *_check()[1:]])
        commands = {
            str(cache): Command(argv, folder, {"BUILDGUARD_CACHE_DIR": str(cache)}, partial(empty, cache))
            for argv, cache in zip(argvs, caches, strict=True)
        }
        timings = list(side_by_side(commands, rounds).values())
        rows.append((f"imports, {name}: of the syntax check alone", ratio(*timings), limit))
    return rows


def _container(folder: Path, rounds: int) -> list[Row]:
    """The same interpreter on this machine and in a container; a second is granted for starting one."""
    from tests import images

    version, _python = _target()
    image = images.assemble(f"{images.REPOSITORY}/bench:{version}", version)
    found = side_by_side(
        {
            "interpreter": Command(_check("--no-cache", "--engine", "interpreter"), folder),
            "container": Command(_check("--no-cache", "--engine", "container", "--image", image), folder),
        },
        rounds,
    )
    granted = Timing([max(0.0, seconds - 1) for seconds in found["container"].rounds])
    return [
        ("container, less a second: of the interpreter", ratio(granted, found["interpreter"]), "1.1"),
        *_seconds("container", found),
    ]


def _remove_bytecode(folder: Path) -> None:
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)


def _warm(folder: Path, scratch: Path, rounds: int) -> list[Row]:
    env = {"BUILDGUARD_CACHE_DIR": str(scratch / "warm"), "RUFF_CACHE_DIR": str(scratch / "ruff")}
    ruff = str(_BIN / "ruff")
    tag = f"py3{sys.version_info.minor}"
    commands = {
        "check": Command(_check(), folder, env),
        "ruff": Command([ruff, "check", "--quiet", "."], folder, env),
        "ruff, syntax only": Command(
            [ruff, "check", "--quiet", "--select=E9", f"--target-version={tag}", "."], folder, env
        ),
    }
    side_by_side(commands, 1)
    found = side_by_side(commands, rounds)
    return [
        ("warm: of `ruff check` warm", ratio(found["check"], found["ruff"]), "1.2"),
        ("warm: of `ruff check --select E9` warm", ratio(found["check"], found["ruff, syntax only"]), ""),
        *_seconds("warm", found),
    ]


def _start(scratch: Path, rounds: int) -> list[Row]:
    folder = scratch / "one"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM python:{_target()[0]}\n", "utf-8")
    (folder / "a.py").write_text("x = 1\n", "utf-8")
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    found = side_by_side(
        {
            "click": Command([sys.executable, "-c", "import click"], folder),
            "--version": Command([str(_BIN / "buildguard"), "--version"], folder),
            "staged": Command([str(_BIN / "buildguard"), "check", "--staged", "--no-cache"], folder),
        },
        rounds,
    )
    more = found["staged"].median - found["--version"].median
    return [
        ("`--version`: of `python -c 'import click'`", ratio(found["--version"], found["click"]), "2"),
        ("one staged file: seconds more than `--version`", f"{more:.2f}", "0.35"),
    ]


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
    own, child = memory(["check", "--target", _target()[0], "--no-cache"], folder)
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
        cold[files] = side_by_side({"": Command(_check("--no-cache"), folder)}, rounds)[""]
        command = {"": Command(_check(), folder, cache)}
        side_by_side(command, 1)
        warm[files] = side_by_side(command, rounds)[""]
        peaks[files], _child = memory(["check", "--target", _target()[0], "--no-cache"], folder)
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


_PACK = """
import sys
from pathlib import Path
from buildguard.system import git
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
pack(commit_of(git.repository_of(Path(".")), "HEAD"), Path(sys.argv[1]))
"""
_LARGE = 1 << 30


def _custody(folder: Path, scratch: Path, rounds: int) -> list[Row]:
    """Manifests and archives beside the tools that people would use, and a large archive."""
    ours, theirs, large = scratch / "ours.tgz", scratch / "theirs.tgz", scratch / "large.tgz"
    _large_archive(large)
    buildguard = str(_BIN / "buildguard")
    found = side_by_side(
        {
            "manifest": Command([buildguard, "manifest"], folder),
            "sha256sum": Command(["sh", "-c", "git ls-files -z | xargs -0 -P2 sha256sum"], folder),
            "archive": Command([sys.executable, "-c", _PACK, str(ours)], folder),
            "tar -cz": Command(["tar", "--exclude=./.git", "-czf", str(theirs), "."], folder),
            "1 GB archive": Command([buildguard, "manifest", f"tar:{large}"], folder),
            "gzip and sha256sum": Command(["sh", "-c", f"gzip -dc '{large}' | sha256sum"], folder),
            **_gcloud(folder, scratch / "gcloud.tgz"),
        },
        rounds,
    )
    own, _child = memory(["manifest", f"tar:{large}"], folder)
    size = ours.stat().st_size / theirs.stat().st_size
    return [
        (
            "manifest: of `git ls-files -z \\| xargs -0 -P2 sha256sum`",
            ratio(found["manifest"], found["sha256sum"]),
            "0.9",
        ),
        ("archive of a commit: of `tar -cz`", ratio(found["archive"], found["tar -cz"]), "0.35"),
        ("archive of a commit: size, of `tar -cz`", f"{size:.2f}", "1.15"),
        *(
            [("archive of a commit: of gcloud's own", ratio(found["archive"], found["gcloud"]), "")]
            if "gcloud" in found
            else []
        ),
        (
            "1 GB archive hashed: of `gzip -dc \\| sha256sum`",
            ratio(found["1 GB archive"], found["gzip and sha256sum"]),
            "1.3",
        ),
        ("1 GB archive hashed: peak memory, MB", f"{own:.0f}", "100"),
        *_seconds("custody", found),
    ]


def _gcloud(folder: Path, out: Path) -> dict[str, Command]:
    """What `gcloud builds submit` does before it uploads, where it is installed."""
    found = test_gcloud.sdk()
    if found is None:
        return {}
    root, python = found
    return {"gcloud": Command([str(python), str(test_gcloud.ASK), str(root), str(folder), str(out)], folder)}


def _large_archive(file: Path) -> None:
    """A gigabyte of text in some thousand files; the same each time."""
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz_=() \n", k=rng.randint(3, 12))) for _ in range(5000)]
    text = " ".join(rng.choices(words, k=1 << 17)).encode()
    with tarfile.open(file, "w:gz", compresslevel=1) as tar:
        written = number = 0
        while written < _LARGE:
            at = rng.randrange(len(text))
            content = (text[at:] + text)[: rng.randint(100_000, 1_000_000)]
            info = tarfile.TarInfo(f"d{number % 50}/f{number}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
            written, number = written + len(content), number + 1


def _seconds(name: str, found: dict[str, Timing]) -> list[Row]:
    return [(f"{name}: seconds, {which}", f"{timing.median:.2f}", "") for which, timing in found.items()]


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
        "# Benchmarks\n\n`python -m bench` makes the tree, measures, and writes this page. Ratios within one run: the median,"
        " and in brackets\nthe span over the rounds. Seconds are of the machine that ran it and mean little elsewhere.\n\n"
        f"Measured on: {found['machine']}.\n\n![Seconds by files, and what each tool finds](benchmarks.svg)\n\n"
        f"| what | measured | at most |\n|---|---|---|\n{table}\n\n"
        "Where a row is above its limit: a cold check can take no less than the target's own `compile()` over the cores (the row below it),\n"
        "and `compileall` beside it is as slow as the disk that takes its bytecode; a manifest starts Python, and coreutils are done in that time;\n"
        "an archive unpacks git's objects, hashes each file and then the whole, and unpacks again what it packed.\n\n"
        "What the peers are asked about are syntax cases that were collected because they are hard, each with the verdict of the real\n"
        'interpreter: no sample of what people write. What is "on 3.12" runs where the outage\'s team ran it.\n'
    )
    docs = _PROJECT / "docs"
    (docs / "benchmarks.md").write_text(text, "utf-8")
    plot([tuple(row) for row in found["rows"]], docs)
    print(text)


if __name__ == "__main__":
    main()
