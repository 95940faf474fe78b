"""How far buildguard is from what this machine cannot do faster: each row beside the bare work that its answer needs.

Reading and hashing every byte, compiling every source, importing click, reading git's objects: whoever answers the same question
has to do that much. The limit of a row is what buildguard may cost beside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Command, Timing, ratio, side_by_side
from bench.trees import tree

if TYPE_CHECKING:
    from bench.peers import Row

_BIN = Path(sys.executable).parent
_BUILDGUARD = str(_BIN / "buildguard")
_REFERENCE = Path(__file__).parents[1] / "tests" / "reference.py"
_IMPORT_CLICK = f"'{sys.executable}' -c 'import click'"
_HASH = "git ls-files -z | xargs -0 -P2 sha256sum"
_OBJECTS = "git ls-tree -r HEAD --format='%(objectname)' | git cat-file --batch | sha256sum"

# The same run without reading, asking or following imports.
_WITHOUT_IMPORTS = """
import sys
from buildguard.check import import_results
from buildguard.engines import worker
worker.ProbeLimits._field_defaults["reads_facts"] = False
import_results.judge_imports = lambda *_: import_results.TargetImports((), ())
from buildguard.cli.main import main
sys.argv[0] = "buildguard"
main()
"""


def target() -> tuple[str, str]:
    """The version that is measured, and its interpreter: the one that runs this."""
    return f"3.{sys.version_info.minor}", getattr(sys, "_base_executable", sys.executable)


def check(*args: str) -> list[str]:
    """The argv of a check for that version."""
    return [_BUILDGUARD, "check", "--target", target()[0], *args]


def seconds(name: str, timings: dict[str, Timing], *whose: str) -> list[Row]:
    """How long some commands of buildguard took on this machine; the ratio beside them gives the rest."""
    return [(f"{name}: seconds, {which}", timings[which].spread(), "") for which in whose]


def cold(folder: Path, scratch: Path, rounds: int) -> list[Row]:
    """Nothing cached: beside the target's own `compile()` over the same files, on every core."""
    _version, python = target()
    cache, copy = scratch / "cold", scratch / "tree"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(".git"))
    fresh = partial(Command, cwd=folder, env={"BUILDGUARD_CACHE_DIR": str(cache)}, before=lambda: _remove(cache))
    timings = side_by_side(
        {
            "check": fresh(check()),
            "check without imports": fresh([sys.executable, "-c", _WITHOUT_IMPORTS, *check()[1:]]),
            "compile loop": Command(["sh", "-c", compile_loop(folder, scratch)], folder),
            "compileall": Command(
                [python, "-m", "compileall", "-q", "-j2", "."],
                copy,
                {"PYTHONDONTWRITEBYTECODE": ""},
                lambda: _remove_bytecode(copy),
            ),
        },
        rounds,
    )
    beside = f"of a bare compile loop over {len(os.sched_getaffinity(0))} cores"
    return [
        (f"cold, syntax alone: {beside}", ratio(timings["check without imports"], timings["compile loop"]), "1.05"),
        (f"cold, with imports: {beside}", ratio(timings["check"], timings["compile loop"]), "1.25"),
        ("cold: of `compileall -q -j2`, which people run today", ratio(timings["check"], timings["compileall"]), ""),
        *seconds("cold", timings, "check", "check without imports"),
    ]


def compile_loop(folder: Path, scratch: Path) -> str:
    """A shell line: the target's own `compile()` over the files, each core its share."""
    _version, python = target()
    paths = sorted(folder.rglob("*.py"))
    cores = len(os.sched_getaffinity(0))
    words = []
    for core in range(cores):
        listing = scratch / f"paths{core}"
        listing.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in paths[core::cores]))
        words.append(f"'{python}' -I -S -B '{_REFERENCE}' < '{listing}' &")
    return " ".join([*words, "wait"])


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _remove_bytecode(folder: Path) -> None:
    for cache in list(folder.rglob("__pycache__")):
        shutil.rmtree(cache)


def warm(files: int, scratch: Path, rounds: int) -> list[Row]:
    """Everything cached: every byte is read and hashed all the same."""
    folder = tree(files)
    caches = {name: {"BUILDGUARD_CACHE_DIR": str(scratch / f"warm-{files}-{name}")} for name in ("with", "without")}
    commands = {
        "check": Command(check(), folder, caches["with"]),
        "check without imports": Command(
            [sys.executable, "-c", _WITHOUT_IMPORTS, *check()[1:]], folder, caches["without"]
        ),
        "hashing and `import click`": Command(["sh", "-c", f"{_HASH}; {_IMPORT_CLICK}"], folder),
    }
    side_by_side(commands, 1)
    timings = side_by_side(commands, rounds)
    bare = timings["hashing and `import click`"]
    beside = "of hashing the files and importing click"
    return [
        (f"warm, {files:,} files, syntax alone: {beside}", ratio(timings["check without imports"], bare), "1.15"),
        (f"warm, {files:,} files, with imports: {beside}", ratio(timings["check"], bare), "1.25"),
        *seconds(f"warm, {files:,} files", timings, "check", "check without imports"),
    ]


def hook(files: int, scratch: Path, rounds: int) -> list[Row]:
    """One staged source in a repository of so many files, as a commit hook checks it: beside starting Python."""
    folder = scratch / f"hook-{files}"
    _write_repository(folder, files)
    commands = {
        "check --staged": Command([_BUILDGUARD, "check", "--staged", "--proof", "predicted"], folder, _cache(scratch)),
        "`import click`": Command([sys.executable, "-c", "import click"], folder),
        "--version": Command([_BUILDGUARD, "--version"], folder),
    }
    side_by_side(commands, 1)

    def change() -> None:  # another content each time: the hook has not seen it
        with (folder / "staged.py").open("a", encoding="utf-8") as file:
            file.write("y = 1\n")
        subprocess.run(["git", "add", "staged.py"], cwd=folder, check=True)

    commands["check --staged"] = commands["check --staged"]._replace(before=change)
    timings = side_by_side(commands, rounds)
    bare = timings["`import click`"]
    rows = [(f"hook, repository of {files:,} files: of `import click`", ratio(timings["check --staged"], bare), "2.2")]
    if files == 1:
        rows.append(("`--version`: of `import click`", ratio(timings["--version"], bare), "2"))
    return [*rows, *seconds(f"hook, repository of {files:,} files", timings, "check --staged")]


def _cache(scratch: Path) -> dict[str, str]:
    return {"BUILDGUARD_CACHE_DIR": str(scratch / "hooks")}


def _write_repository(folder: Path, files: int) -> None:
    """A repository of so many committed sources and a Dockerfile, with one more source that is staged."""
    if files > 1:
        shutil.copytree(tree(files), folder, ignore=shutil.ignore_patterns(".git"))
    else:
        folder.mkdir()
        (folder / "a.py").write_text("x = 1\n", "utf-8")
    (folder / "Dockerfile").write_text(f"FROM python:{target()[0]}\n", "utf-8")
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "tree"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    (folder / "staged.py").write_text("import os\n", "utf-8")
    subprocess.run([*git, "add", "staged.py"], cwd=folder, check=True)


def diff(folder: Path, rounds: int) -> list[Row]:
    """The commit and the working tree: beside reading every object and hashing both sides."""
    timings = side_by_side(
        {
            "diff commit:HEAD dir:.": Command([_BUILDGUARD, "diff", "commit:HEAD", "dir:."], folder),
            "objects and hashing": Command(["sh", "-c", f"{_OBJECTS}; {_HASH}"], folder),
        },
        rounds,
    )
    what = "diff commit:HEAD dir:.: of reading git's objects and hashing both sides"
    return [(what, ratio(*timings.values()), "1.2"), *seconds("diff", timings, "diff commit:HEAD dir:.")]


def tiny_manifest(rounds: int) -> list[Row]:
    """Where files are so small that opening them is all the work."""
    folder = _tiny_tree()
    timings = side_by_side(
        {"manifest": Command([_BUILDGUARD, "manifest"], folder), "sha256sum": Command(["sh", "-c", _HASH], folder)},
        rounds,
    )
    return [
        (f"manifest, {_TINY:,} tiny files: of `sha256sum` over 2 cores", ratio(*timings.values()), "1.5"),
        *seconds("manifest, tiny files", timings, "manifest"),
    ]


_TINY = 100_000


def _tiny_tree() -> Path:
    """A repository of tiny files, a hundred in each folder; made when it is not there yet."""
    folder = tree(1_000).with_name("tiny")
    if (folder / ".git").is_dir():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    for number in range(_TINY // 100):
        (folder / f"d{number}").mkdir(parents=True)
        for file in range(100):
            (folder / f"d{number}" / f"f{file}.txt").write_text(f"{number} {file}\n", "utf-8")
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "tree"]):
        subprocess.run([*git, *command], cwd=folder, check=True)
    return folder
