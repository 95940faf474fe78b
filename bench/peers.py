"""What other tools find of what a real target refuses, and how often they accuse a file that it accepts."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measure import Command, side_by_side
from buildguard.codes import RULE_ERRORS
from tests.conftest import CASES, interpreter
from tests.engines.test_cases import MEASURED

if TYPE_CHECKING:
    from collections.abc import Callable

Row = tuple[str, str, str]

_BIN = Path(sys.executable).parent
_TARGET = "3.11"
_LAPTOP = "3.12"  # where people run what does not ask the target


def _buildguard(folder: Path) -> set[str]:
    words = [str(_BIN / "buildguard"), "check", "--format", "json", "--no-cache", "--target", MEASURED[_TARGET]]
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
    refusals = {"BG101", "BG103", *RULE_ERRORS}
    return {one["path"] for one in json.loads(done.stdout)["diagnostics"] if one["code"] in refusals}


def _compileall(folder: Path) -> set[str]:
    words = [str(interpreter(_LAPTOP)), "-m", "compileall", "-q", "-f", "."]
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
    return set(re.findall(r"\*\*\* (?:Error compiling|Sorry).*?'\./(.*?)'", done.stdout.decode("utf-8", "replace")))


def _ruff(folder: Path) -> set[str]:
    """File by file: some of them end ruff itself, and that is no answer."""
    tag = f"--target-version=py{_TARGET.replace('.', '')}"
    options = ["--isolated", "--no-cache", "--select=E9", tag, "--quiet"]
    found = set()
    for file in sorted(folder.glob("*.py")):
        done = subprocess.run([str(_BIN / "ruff"), "check", *options, str(file)], capture_output=True, check=False)
        if done.returncode == 1:
            found.add(file.name)
    return found


def _vermin(folder: Path) -> set[str]:
    code = f"import sys; sys.path.append({sysconfig.get_path('purelib')!r}); import vermin; vermin.main()"
    options = ["--no-config-file", "--quiet", f"-t={_TARGET}-", "--violations"]
    found = set()
    for file in sorted(folder.glob("*.py")):
        words = [str(interpreter(_LAPTOP)), "-W", "ignore", "-c", code, *options, str(file)]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            found.add(file.name)
    return found


def _check_ast(folder: Path) -> set[str]:
    code = f"import sys; sys.path.append({sysconfig.get_path('purelib')!r}); from pre_commit_hooks.check_ast import main; main(sys.argv[1:])"
    names = sorted(one.name for one in folder.glob("*.py"))
    words = [str(interpreter(_LAPTOP)), "-W", "ignore", "-c", code, *names]
    done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
    return set(re.findall(r"^(\S+\.py): failed parsing", done.stdout.decode("utf-8", "replace"), re.MULTILINE))


PEERS: dict[str, Callable[[Path], set[str]]] = {
    "buildguard": _buildguard,
    f"compileall on {_LAPTOP}": _compileall,
    f"check-ast on {_LAPTOP}": _check_ast,
    "ruff, told the target": _ruff,
    f"vermin on {_LAPTOP}, told the target": _vermin,
}


def correctness(scratch: Path) -> list[Row]:
    """Each peer on the syntax cases, against the verdict of the real interpreter."""
    import shutil

    folder = scratch / "cases"
    shutil.copytree(CASES / "syntax", folder)
    with (CASES / "syntax.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    refused = {row["file"] for row in rows if row[_TARGET] != "ok"}
    found = []
    for name, accused_by in PEERS.items():
        accused = accused_by(folder) & {row["file"] for row in rows}
        words = f"{len(accused & refused)} of {len(refused)}, {len(accused - refused)} falsely of {len(rows) - len(refused)}"
        limit = f"{len(refused)} of {len(refused)}, 0 falsely" if name == "buildguard" else ""
        found.append((f"refused by {_TARGET} and found: {name}", words, limit))
    return found


def speed(folder: Path, scratch: Path, rounds: int) -> list[Row]:
    """The same peers' seconds on one tree, nothing cached."""
    names = scratch / "names"
    names.write_bytes(b"\0".join(str(one.relative_to(folder)).encode() for one in sorted(folder.rglob("*.py"))))
    version = f"3.{sys.version_info.minor}"
    found = side_by_side(
        {
            "buildguard": Command([str(_BIN / "buildguard"), "check", "--no-cache", "--target", version], folder),
            "check-ast": Command(["sh", "-c", f"xargs -0 '{_BIN}/check-ast' < '{names}'"], folder),
            "ruff": Command([str(_BIN / "ruff"), "check", "--isolated", "--no-cache", "--select=E9", "."], folder),
            "vermin": Command([str(_BIN / "vermin"), "--no-config-file", "--quiet", f"-t={version}-", "."], folder),
        },
        rounds,
    )
    return [(f"peers, cold, 1,000 files: seconds, {name}", f"{one.median:.2f}", "") for name, one in found.items()]
