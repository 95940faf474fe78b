"""The architecture, kept by tests: who may import whom, and who may start a process."""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import REPOSITORY, untraced

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGE = REPOSITORY / "buildguard"
_SOURCES = sorted(_PACKAGE.rglob("*.py"))
# Each may import those before it and itself; what is not listed is a command or the ring around them.
_WORDS = ("errors", "diagnostic", "target", "catalogue")
_PURE = (
    "text",
    "findings",
    "health",
    "logs",
    "result",
    "filters",
    "merge",
    "tomlfile",
    "config",
    "causes",
    "custody",
    "difference",
    "manifest",
    "upload",
    "ignore/__init__",
    "ignore/docker",
    "ignore/gcloud",
    "declared/compose",
    "declared/contexts",
    "declared/images",
    "declared/dockerfile",
    "declared/layout",
    "declared/removal",
    "declared/pins",
    "declared/yamlfile",
    "cloud/plan",
    "deploy/fallback",
    "deploy/junit",
    "deploy/plan",
    "deploy/trial",
    "gcp/cut",
    "gcp/buildfile",
    "gcp/buildrules",
    "gcp/fields",
    "gcp/insert",
    "gcp/schema",
    "gcp/service_containers",
    "localbuild/plan",
    "localbuild/substitutions",
    "step/coding",
    "step/rows",
    "step/sources",
    "rules/fstrings",
    "rules/encode",
    "rules/ignores",
    "rules/legacy",
    "rules/literals",
    "rules/occurrences",
    "rules/plan",
    "rules/rewrite",
    "rules/screen",
    "rules/statements",
    "rules/structure",
    "rules/tokens",
)
_OUTER = (
    "process",
    "owner",
    "dialogue",
    "surgeon",
    "proof",
    "replace",
    "git",
    "stages",
    "snapshots",
    "archives/pack",
    "archives/source",
    "archives/write",
    "judge",
    "cache",
    "place",
    "interpreters",
    "engines",
    "commands",
    "report",
    "cli",
)


def _imports(file: Path) -> set[str]:
    """The modules of ours that a file imports at any depth, type checking aside."""
    found: set[str] = set()
    tree = ast.parse(file.read_text("utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in skipped and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import) and id(node) not in skipped:
            found |= {name.name for name in node.names}
    return found


def _named(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"buildguard.{name.replace('/', '.')}" for name in names)


@pytest.mark.parametrize("name", [*_WORDS, *_PURE])
def test_words_and_judges_touch_nothing(name: str) -> None:
    imports = _imports(_PACKAGE / f"{name}.py")

    assert not {one for one in imports if one.startswith(_named(_OUTER))} - {
        "buildguard.stages",
        "buildguard.stages.Entry",
    }
    assert not imports & {"subprocess", "socket", "os.system", "sqlite3", "tempfile"}


@pytest.mark.parametrize("file", _SOURCES, ids=lambda file: str(file.relative_to(_PACKAGE)))
def test_processes_start_in_one_module(file: Path) -> None:
    if file.name in {
        "process.py",
        "relay.py",
        "compiling.py",
        "driver.py",
    }:  # all but the first run elsewhere, and fork there
        return
    text = file.read_text("utf-8")

    assert "subprocess" not in _imports(file)
    assert "os.system" not in text
    assert "os.fork" not in text
    assert "shell=True" not in text
    assert "pickle" not in _imports(file)


@pytest.mark.parametrize("file", _SOURCES, ids=lambda file: str(file.relative_to(_PACKAGE)))
def test_commands_and_judges_print_nothing(file: Path) -> None:
    if file.name in {"boundary.py", "cli.py", "progress.py"}:
        return
    tree = ast.parse(file.read_text("utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}

    assert "print" not in called
    assert "click.echo" not in file.read_text("utf-8")


@pytest.mark.parametrize("file", _SOURCES, ids=lambda file: str(file.relative_to(_PACKAGE)))
def test_rooms_stay_small(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    longest = max(
        ((node.end_lineno or 0) - node.lineno for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)),
        default=0,
    )

    assert len(file.read_text("utf-8").splitlines()) <= 450
    assert longest <= 60


_HEAVY = ("docker", "libcst", "google", "findpython", "rich", "ruamel", "pathspec", "packaging", "asyncio", "tempfile")


def _loaded(*argv: str, cwd: Path) -> set[str]:
    code = (
        "import sys; from buildguard.cli import main; sys.argv = ['buildguard', *sys.argv[1:]]\n"
        "import atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\nmain()"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, *argv], cwd=cwd, capture_output=True, check=False)
    return {name.split(".")[0] for name in done.stderr.decode().split()}


@untraced
def test_a_hook_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.11\n")
    (tmp_path / "a.py").write_text("x = 1\n")

    for _ in range(2):
        loaded = _loaded("check", cwd=tmp_path)
        assert "sqlite3" in loaded
        assert not loaded & set(_HEAVY)
    assert not _loaded("--version", cwd=tmp_path) & {*_HEAVY, "sqlite3", "subprocess", "hashlib", "json"}


@untraced
def test_doctor_reports_the_cloud_without_loading_it(tmp_path: Path) -> None:
    loaded = _loaded("doctor", cwd=tmp_path)

    assert "buildguard" in loaded
    assert "google" not in loaded
