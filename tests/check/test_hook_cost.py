"""What a hook costs, counted: the modules that it loads, the files that it opens and the processes that it starts.

Counted and not timed, so that a change shows here however busy the machine is. Whoever raises a number measures first:
`python -m bench --only hook`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from buildguard.check import build_files
from buildguard.engines.interpreter import local_probe
from buildguard.remote.manifest_rows import LONGEST_NAME, VERIFIER
from buildguard.system import git_paths
from tests.conftest import Project, untraced
from tests.remote.running import facts_request

pytestmark = pytest.mark.interpreters

_COUNTED = """
import os, sys
words, opened, loaded = [], [], []
def note(event, values):
    if event == "subprocess.Popen":
        words.append(values[1])
        loaded.append(sorted(sys.modules))
    elif event == "open" and isinstance(values[0], (str, bytes)):
        opened.append(os.fsdecode(values[0]))
sys.addaudithook(note)
calls = 0
def count(frame, event, value):
    global calls
    calls += event == "call"
from buildguard.cli.main import main
sys.argv = ["buildguard", *sys.argv[1:]]
status = None
sys.setprofile(count)
try:
    main()
except SystemExit as ended:
    status = ended.code
sys.setprofile(None)
import json
print(json.dumps([status, words, opened, sorted(sys.modules), calls, loaded]), file=sys.stderr)
"""
_DOCKERFILE = f'FROM python:3.{sys.version_info.minor}-slim\\nWORKDIR /srv\\nCOPY . .\\nCMD ["python", "main.py"]\\n'
_FILES = {"Dockerfile": _DOCKERFILE.replace("\\n", "\n"), "main.py": "import helpers\n", "helpers.py": "x = 1\n"}
_COPIES_NOTHING = f"FROM python:3.{sys.version_info.minor}-slim\n"
_MODULES = 153  # of ours
_OPENED = 37  # beside bytecode
_LIBRARY = 124  # of Python, those of its start among them
_CALLS_FOR_A_PATH = 1.5  # of functions of Python, and steps of generators
_BEFORE_THE_INTERPRETER = 100  # modules of ours that are loaded when it starts
_PYPROJECT = f'[tool.buildguard]\ntarget = "3.{sys.version_info.minor}"\n'
_NEEDLESS = (
    "click",
    "typing",
    "datetime",
    "sqlite3",
    "tomllib",
    "argparse",
    "tempfile",
    "logging",
    "importlib.metadata",
    "symtable",
    "buildguard.cli.commands",
    "buildguard.project.buildpacks",
    "buildguard.project.cloudbuild.reader",
    "buildguard.check.snippets",
    "buildguard.check.startup",
    "buildguard.docker.client",
    "buildguard.stages.manifest",
    "buildguard.fstrings.rules",
)


class HookCost(NamedTuple):
    """What one hook did: the words of each process, the files that it opened beside modules, the modules, and calls of functions.

    `loaded` are the modules that were there when each process was started.
    """

    status: int
    processes: list[list[str]]
    files: list[str]
    modules: list[str]
    calls: int
    loaded: list[list[str]]


def _cost(project: Project, *words: str) -> HookCost:
    done = subprocess.run(
        [sys.executable, "-P", "-c", _COUNTED, "check", *(words or ("--staged", "--proof", "predicted"))],
        cwd=project.path,
        # what other runs left in /tmp is looked at, too
        env={**os.environ, **project.env, "TMPDIR": str(project.path.parent), "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    status, processes, opened, modules, calls, loaded = json.loads(done.stderr.splitlines()[-1])
    files = [file for file in opened if not file.endswith(".pyc") and not file.startswith("/proc/")]
    return HookCost(status, processes, files, modules, calls, loaded)


def _staged(project: Project, files: Mapping[str, str]) -> HookCost:
    project.write(files)
    project.git("add", "--all")
    return _cost(project)


def _git_commands(cost: HookCost) -> list[str]:
    names = {"rev-parse", "ls-files", "diff-index", "cat-file"}
    asked = [words for words in cost.processes if Path(words[0]).name == "git"]
    return [next(word for word in words if word in names) for words in asked]


def test_what_a_hook_looks_for_first_agrees_with_the_rule() -> None:
    """Each spares a hook a module, and must let everything through that the module's own constant is about."""
    assert VERIFIER.startswith(build_files._OURS)
    assert git_paths._SURELY_SHORT <= LONGEST_NAME


@untraced
def test_a_hook_starts_four_of_git_and_one_interpreter(repository: Callable[..., Project]) -> None:
    project = repository(_FILES)

    cost = _staged(project, {"helpers.py": "import os\nx = os.sep\n"})

    assert cost.status == 0
    assert sorted(_git_commands(cost)) == ["cat-file", "diff-index", "ls-files", "rev-parse"]
    assert len(cost.processes) == 5


@untraced
def test_a_hook_loads_no_module_that_one_file_does_not_need(repository: Callable[..., Project]) -> None:
    project = repository(_FILES)
    _staged(project, {"helpers.py": "x = 2\n"})

    cost = _staged(project, {"helpers.py": "import os\nx = os.sep\n"})

    ours = [name for name in cost.modules if name.split(".")[0] == "buildguard"]
    assert cost.status == 0
    assert [name for name in _NEEDLESS if name in cost.modules] == []
    assert len(ours) <= _MODULES
    assert len(cost.modules) - len(ours) <= _LIBRARY


@untraced
def test_a_hook_opens_as_many_files_whatever_the_size_of_the_repository(repository: Callable[..., Project]) -> None:
    small = repository(_FILES)
    few = _staged(small, {"helpers.py": "x = 2\n"})
    small.commit({f"other/m{number}.py": f"x = {number}\n" for number in range(400)})

    many = _staged(small, {"helpers.py": "x = 3\n"})

    assert len(many.files) <= len(few.files) <= _OPENED
    assert len(many.processes) == len(few.processes)
    assert {*many.modules} <= {*few.modules}


@untraced
def test_a_hook_loads_what_judges_while_its_interpreter_is_busy(repository: Callable[..., Project]) -> None:
    project = repository(_FILES)
    _staged(project, {"helpers.py": "x = 2\n"})

    cost = _staged(project, {"helpers.py": "import os\nx = os.sep\n"})

    started = next(number for number, words in enumerate(cost.processes) if Path(words[0]).name != "git")
    before = [name for name in cost.loaded[started] if name.split(".")[0] == "buildguard"]
    assert [
        name for name in before if name.startswith(("buildguard.imports.image_program", "buildguard.fstrings"))
    ] == []
    assert "_sqlite3" not in cost.loaded[started]
    assert len(before) <= _BEFORE_THE_INTERPRETER


@untraced
@pytest.mark.parametrize(("dockerfile", "most"), [(_FILES["Dockerfile"], _CALLS_FOR_A_PATH), (_COPIES_NOTHING, 0.5)])
def test_a_hook_makes_hardly_a_call_for_a_path_of_the_repository(
    repository: Callable[..., Project], dockerfile: str, most: float
) -> None:
    project = repository({**_FILES, "Dockerfile": dockerfile})
    project.commit({f"other/m{number}.py": f"x = {number}\n" for number in range(200)})
    _staged(project, {"helpers.py": "x = 2\n"})
    few = _staged(project, {"helpers.py": "x = 3\n"})
    project.commit({f"other/n{number}.py": f"x = {number}\n" for number in range(400)})

    many = _staged(project, {"helpers.py": "x = 4\n"})

    assert many.calls - few.calls <= 400 * most


@untraced
def test_a_project_without_an_image_loads_nothing_about_starts(repository: Callable[..., Project]) -> None:
    project = repository({"pyproject.toml": _PYPROJECT, "main.py": "x = 1\n"})

    cost = _cost(project, "--proof", "predicted")

    assert cost.status == 0
    assert [name for name in cost.modules if name.startswith("buildguard.startup.variables")] == []
    assert "email.parser" not in cost.modules
    assert "buildguard.project.snippets.snippet" not in cost.modules


def test_the_target_parses_nothing_twice_for_a_plain_import() -> None:
    """What reads imports in the target's interpreter is half the cost of that process: the import of `ast` is half of that."""
    probe = local_probe(Path(getattr(sys, "_base_executable", sys.executable)), 1 << 31)
    source = b"import os\nx = os.sep\n"
    probe[1:1] = ["-X", "importtime"]

    asked = facts_request() + b"2 %d 20\n" % len(source) + source
    done = subprocess.run(probe, input=asked, capture_output=True, check=True)

    assert b'"os"' in done.stdout
    loaded = {line.rpartition(b"|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {b"ast", b"re", b"json"}
