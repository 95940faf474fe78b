"""Programs that fail without a variable by uncommon means: each is run, and a variable that is not reported is left open."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from buildguard.project.config import Config
from buildguard.startup.run import check_startup
from buildguard.startup.variables.names import ModuleNames
from buildguard.startup.variables.survey import read_contracts
from buildguard.startup.variables.unread_uses import UnreadFinder
from tests.project.memory import MemoryStage

_KNOWN = "steps:\n- name: gcr.io/cloud-builders/gcloud\n  args: [run, deploy, svc, --set-env-vars, KNOWN=1]\n"
_DOCKERFILE = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCMD python main.py\n"
_OS = "import os\n"
# Each program, and whether the variable is reported by its name; the others are undecided.
_PROGRAMS = [
    ("NEEDED = {'X', 'KNOWN'}\nassert NEEDED <= os.environ.keys()\n", True),
    ("if not {'X'} <= set(os.environ):\n    raise SystemExit('X')\n", True),
    ("if not os.environ.keys() >= {'X'}:\n    raise SystemExit('X')\n", True),
    ("if not {'X'}.issubset(os.environ):\n    raise SystemExit('X')\n", True),
    ("if {'X', 'KNOWN'} - os.environ.keys():\n    raise SystemExit('X')\n", True),
    ("A = os.environ.__getitem__('X')\n", True),
    ("ok = {'X'} <= os.environ.keys()\nif not ok:\n    raise SystemExit('X')\n", False),
    ("import json\nNAMES = json.loads('[\"X\"]')\nassert set(NAMES) <= os.environ.keys()\n", False),
    ("A = list(map(os.environ.__getitem__, ['X']))\n", False),
    ("import json\nA = {name: os.environ[name] for name in json.loads('[\"X\"]')}\n", False),
    ("import json\nfor name in json.loads('[\"X\"]'):\n    os.environ[name]\n", False),
    ("def check(env):\n    env['X']\ncheck(os.environ)\n", False),
    ("class A:\n    def __init__(self, env):\n        self.x = env['X']\nA(os.environ)\n", False),
    ("class A:\n    @property\n    def x(self):\n        return os.environ['X']\nB = A().x\n", False),
    ("import functools\nclass A:\n    @functools.cached_property\n    def x(self):\n        return os.environ['X']\na = A()\nif a.x:\n    pass\n", False),
    ("def main():\n    names = 'X Y'.split()[:1]\n    return [os.environ[name] for name in names]\nmain()\n", False),
]  # fmt: skip
_HARMLESS = [
    "import subprocess\nA = dict(os.environ)\nB = os.environ.copy()\n",
    "for name, value in os.environ.items():\n    pass\n",
    "def get(name):\n    return os.environ[name]\nget('KNOWN')\n",
    "for name in ('KNOWN',):\n    os.environ[name]\n",
    "A = [os.environ[name] for name in ['KNOWN']]\n",
    "def later(names):\n    return [os.environ[n] for n in names]\n",
    "try:\n    A = os.environ['X' + str(1)]\nexcept KeyError:\n    A = ''\n",
    "if {'KNOWN'} <= os.environ.keys():\n    pass\n",
    "class A:\n    @property\n    def x(self):\n        return os.environ['X']\na = A()\n",
    "A = {**os.environ}\nos.environ['Y' + 'Z'] = '1'\n",
    "print(os.environ)\n",
]


def _fails(program: str, folder: Path, **variables: str) -> bool:
    """Whether a program ends with an error."""
    (folder / "main.py").write_text(program)
    command = [sys.executable, "-I", "main.py"]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=False).returncode != 0


def _report(files: Mapping[str, str]) -> tuple[list[str], list[str]]:
    whole = {"Dockerfile": _DOCKERFILE, "cloudbuild.yaml": _KNOWN, "requirements.txt": "", **files}
    report = check_startup(MemoryStage(whole), None, Config())
    names = [each.message.split("requires ")[1].split(",")[0] for each in report.diagnostics if each.code == "BG706"]
    return names, [each for each in report.undecided if "main.py" in each]


@pytest.mark.interpreters
@pytest.mark.parametrize(("program", "is_reported"), _PROGRAMS)
def test_a_program_that_fails_is_reported_or_left_open(tmp_path: Path, program: str, *, is_reported: bool) -> None:
    assert _fails(_OS + program, tmp_path, KNOWN="1")
    assert not _fails(_OS + program, tmp_path, KNOWN="1", X="1")

    names, undecided = _report({"main.py": _OS + program})

    assert names == (["X"] if is_reported else [])
    assert bool(undecided) is not is_reported


@pytest.mark.interpreters
@pytest.mark.parametrize("program", _HARMLESS)
def test_what_requires_nothing_is_not_left_open(tmp_path: Path, program: str) -> None:
    assert not _fails(_OS + program, tmp_path, KNOWN="1")

    assert _report({"main.py": _OS + program}) == ([], [])


_SETTINGS = "from pydantic_settings import BaseSettings\nfrom pydantic import field_validator, model_validator\n"
_VALIDATOR = "    @field_validator('x')\n    def check(cls, v):\n        if not v:\n            raise ValueError\n        return v\n"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (f"{_SETTINGS}class S(BaseSettings):\n    x: str = ''\n{_VALIDATOR}S()\n", "check may refuse a default"),
        (f"{_SETTINGS}class B(BaseSettings):\n    x: str = ''\n{_VALIDATOR}class S(B):\n    y: int = 1\nS()\n", "check may"),
        (f"{_SETTINGS}class S(BaseSettings):\n    def __init__(self): ...\nS()\n", "it has __init__"),
        ("from dotenv import dotenv_values\nA = dotenv_values()['X']\n", "dotenv_values takes values of a file"),
        ("from dynaconf import Dynaconf\nA = Dynaconf()\n", "dynaconf reads variables"),
    ],
)  # fmt: skip
def test_settings_that_may_require_more_are_left_open(program: str, words: str) -> None:
    names, undecided = _report({"main.py": program})

    assert names == []
    assert any(words in each for each in undecided)


def test_settings_that_nothing_makes_are_not_left_open() -> None:
    program = f"{_SETTINGS}class S(BaseSettings):\n    x: str = ''\n{_VALIDATOR}"

    assert _report({"main.py": program}) == ([], [])


def test_a_reader_that_a_function_makes() -> None:
    program = (
        "import environs\nclass Config:\n    @classmethod\n    def load(cls):\n        env = environs.Env()\n"
        "        env.read_env()\n        return env('X'), env.int('KNOWN'), env.str('Y', 'z')\nC = Config.load()\n"
    )

    assert _report({"main.py": program}) == (["X"], [])


def test_the_contract_shows_what_is_left_open() -> None:
    files = {"Dockerfile": _DOCKERFILE, "main.py": "import os, json\nA = os.environ[json.loads('1')]\n"}

    (contract,) = read_contracts(MemoryStage(files), None, Config())

    assert contract.undecided == ("main.py:2: os.environ is asked for a computed name",)


def test_what_a_parameter_fills_in_is_not_left_open() -> None:
    tree = ast.parse("import os\nos.environ[name]\nos.environ[other.field]\n")
    finder = UnreadFinder(ModuleNames(tree), {"name"}, is_main=False)

    finder.read(tree.body)

    assert [use.line for use in finder.uses] == [3]
    assert finder.attributes == {"environ", "field"}


def test_a_path_with_a_colon_is_told_as_it_is() -> None:
    dockerfile = _DOCKERFILE.replace("main.py", "a:9:main.py")

    _names, undecided = _report(
        {"Dockerfile": dockerfile, "a:9:main.py": "import os, json\nA = os.environ[json.loads('1')]\n"}
    )

    assert undecided == ["a:9:main.py:2: os.environ is asked for a computed name"]
