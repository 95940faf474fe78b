"""Real newer Pythons in WebAssembly (the npm package pyodide): run by `./scripts/test all`, and where one is installed already."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from tests.conftest import ALL, REPOSITORY, missing

# The release of the npm package for each Python; its own version is what it reports.
RELEASES: Mapping[str, str] = MappingProxyType({"3.14": "314.0.7", "3.15": "315.0.0-alpha.2"})
_FOLDER = Path(os.environ.get("BUILDGUARD_WASM", REPOSITORY / ".wasm"))
_MAIN = """
import { readFileSync } from "node:fs";
const [program, asked, module] = process.argv.slice(2);
const { loadPyodide } = await import(module);
const python = await loadPyodide({ stdout: (line) => console.error(line), stderr: (line) => console.error(line) });
python.globals.set("ASKED", readFileSync(asked, "utf-8"));
process.stdout.write(python.runPython(readFileSync(program, "utf-8")));
"""


def ask_wasm(version: str, program: str, asked: Any, folder: Path) -> Any:
    """Run a program in a Python in WebAssembly; it finds the JSON in ASKED, and its last expression is JSON."""
    module = _module(version)
    files = {"main.mjs": _MAIN, "program.py": program, "asked.json": json.dumps(asked)}
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    argv = ["node", "--stack-size=4000", *(str(folder / name) for name in files), module.as_uri()]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


@functools.cache
def _module(version: str) -> Path:
    """The module of a Python, installed where all tests are asked for."""
    folder = _FOLDER / version
    module = folder / "node_modules/pyodide/pyodide.mjs"
    if not module.exists() and ALL and shutil.which("npm"):
        folder.mkdir(parents=True, exist_ok=True)
        package = f"pyodide@{RELEASES[version]}"
        argv = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), package]
        subprocess.run(argv, check=False, capture_output=True)
    if not module.exists() or shutil.which("node") is None:
        if ALL:
            missing(f"Python {version} in WebAssembly", f"npm install --prefix {folder} pyodide@{RELEASES[version]}")
        pytest.skip("./scripts/test all: Python in WebAssembly")
    return module
