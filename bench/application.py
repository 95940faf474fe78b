"""`python -m bench.application`: check and fix a large application that requires 3.12 or newer, for Python 3.11.

Takes it from the package index into a folder that is thrown away. Whatever `fix` claims must compile on 3.11, and
nothing outside of the lines that it names may change.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from tests.conftest import interpreter
from tests.oracle import refusals

_BUILDGUARD = str(Path(sys.executable).with_name("buildguard"))


def main() -> None:
    """Download, check, fix, compare, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.application", description=__doc__)
    parser.add_argument("--package", default="homeassistant")
    options = parser.parse_args()
    interpreter("3.11")
    with tempfile.TemporaryDirectory() as scratch:
        root = _unpacked(options.package, Path(scratch))
        before = {file: file.read_bytes() for file in root.rglob("*.py")}
        started = time.perf_counter()
        report = _check(root)
        checked = time.perf_counter() - started
        fixed = subprocess.run(
            [_BUILDGUARD, "fix", "--target", "3.11"], cwd=root, capture_output=True, text=True, check=False
        )
        changed = {file: data for file, data in before.items() if file.read_bytes() != data}
        texts = [file.read_text("utf-8") for file in changed]
        broken = [answer for answer in refusals("3.11", texts) if answer]
        codes = sorted({one["code"] for one in report["diagnostics"]})
    print(f"{options.package}: {len(before):,} files, checked in {checked:.1f} s")
    for code in codes:
        print(f"  {code}: {sum(one['code'] == code for one in report['diagnostics']):,}")
    print(fixed.stdout, end="")
    print(f"changed: {len(changed)} files; refused by 3.11 afterwards: {len(broken)}")
    sys.exit(bool(broken))


def _unpacked(package: str, scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    subprocess.run([*command, "--python-version", "3.13", "--dest", str(scratch), package], check=True)
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(scratch / "root")
    return scratch / "root"


def _check(root: Path) -> dict[str, Any]:
    command = [_BUILDGUARD, "check", "--target", "3.11", "--no-cache", "--format", "json"]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


if __name__ == "__main__":
    main()
