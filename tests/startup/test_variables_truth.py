"""Generated programs, run with each of their variables removed in turn: they fail exactly for those that are reported.

`python -m tests.startup.test_variables_truth PYTHON` runs the programs of the libraries too, with a Python that has them.
"""

from __future__ import annotations

import ast
import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from buildguard.project.config import Config
from buildguard.startup.variables import settings, templates, wrappers
from buildguard.startup.variables.block_reader import BlockReader
from buildguard.startup.variables.check import describe_names
from buildguard.startup.variables.lookup import Definition, ModuleLookup
from buildguard.startup.variables.module_reader import read_module
from buildguard.startup.variables.records import CodeBlock
from buildguard.startup.variables.survey import unset_variables
from buildguard.startup.walk import StartWalk
from tests.conftest import interpreter
from tests.project.memory import MemoryStage

_DOCKERFILE = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCMD python main.py\n"
# `{}` is a variable's name, `§` a number that makes names of the program unique.
_IDIOMS = (
    "A§ = os.environ['{}']",
    "A§ = os.environ.get('{}')",
    "A§ = os.environ.get('{}', 'x')",
    "A§ = os.getenv('{}').strip()",
    "A§ = 'p' + os.getenv('{}')",
    "A§ = f\"{{os.getenv('{}')}}\"",
    "A§ = os.getenv('{}')\nif not A§:\n    raise RuntimeError('gone')",
    "A§ = os.getenv('{}')\nif A§ is None:\n    sys.exit(3)",
    "A§ = os.getenv('{}', '')\nif not A§:\n    raise RuntimeError('gone')",
    "A§ = os.getenv('{}')\nif not A§:\n    A§ = 'fallback'",
    "try:\n    A§ = os.environ['{}']\nexcept KeyError:\n    A§ = 1",
    "try:\n    A§ = os.environ['{}']\nexcept KeyError as error:\n    raise ValueError('gone') from error",
    "try:\n    A§ = os.environ['{}']\nfinally:\n    pass",
    "def f§():\n    return os.environ['{}']\nA§ = f§()",
    "def f§():\n    return os.environ['{}']",
    "def f§(x=None):\n    if x is None:\n        return 1\n    return os.environ['{}']\nf§()",
    "class C§:\n    a = os.environ['{}']",
    "class C§:\n    def __init__(self):\n        self.a = os.environ['{}']\nA§ = C§()",
    "class C§:\n    def __init__(self):\n        self.a = os.environ['{}']",
    "class C§:\n    @staticmethod\n    def load():\n        return os.environ['{}']\nA§ = C§.load()",
    "A§ = lambda: os.environ['{}']",
    "A§ = [os.environ[n] for n in ('{}',)]",
    "A§ = (os.environ[n] for n in ('{}',))",
    "for n§ in ('{}',):\n    os.environ[n§]",
    "for n§ in ():\n    os.environ['{}']",
    "A§ = [n for n in ('{}',) if n not in os.environ]\nif A§:\n    raise RuntimeError(A§)",
    "assert '{}' in os.environ",
    "assert os.getenv('{}') is not None",
    "if '{}' not in os.environ:\n    raise SystemExit(2)",
    "if '{}' in os.environ:\n    A§ = os.environ['{}']",
    "A§ = os.environ['{}'] if sys.version_info >= (3, 8) else None",
    "A§ = os.environ['{}'] if sys.version_info < (3, 8) else None",
    "A§ = os.environ.get('NEVER_SET', os.environ['{}'])",
    "A§ = True or os.environ['{}']",
    "with suppress(KeyError):\n    A§ = os.environ['{}']",
    "with open(os.devnull) as d§:\n    A§ = os.environ['{}']",
    "if __name__ == '__main__':\n    A§ = os.environ['{}']",
    "def main§():\n    os.environ['{}']\nif __name__ == '__main__':\n    main§()",
    "async def main§():\n    os.environ['{}']\nasyncio.run(main§())",
    "async def main§():\n    os.environ['{}']\nmain§().close()",
    "os.environ.setdefault('{}', 'x')\nA§ = os.environ['{}']",
    "os.environ['{}'] = 'x'\nA§ = os.environ['{}']",
    "A§ = int(os.getenv('{}') or 1)",
    "A§ = int(os.getenv('{}'))",
    "A§ = Path(os.getenv('{}'))",
    "e§ = os.environ\nA§ = e§['{}']",
    "e§ = os.environ.copy()\nA§ = e§['{}']",
    "from helper§ import value",
    "A§ = os.environ.get('{}') or sys.exit(3)",
    "A§ = os.getenv('{}', '') or os.getenv('{}') or sys.exit('gone')",
    "A§ = os.getenv('{}', 'x') or sys.exit('gone')",
    "A§ = os.getenv('{}') or 'fallback'",
    "A§ = os.getenv('{}')\nif A§ in (None, ''):\n    raise ValueError",
    "A§ = os.getenv('{}')\nif A§:\n    pass\nelse:\n    raise RuntimeError",
    "if not os.environ.get('{}', '').strip():\n    raise RuntimeError",
    "for part§ in os.getenv('{}'):\n    pass",
    "A§ = os.path.join('a', os.getenv('{}'))",
    "A§ = os.path.join('a', os.getenv('{}', ''))",
    "A§ = 'x' in os.getenv('{}')",
    "A§ = os.getenv('{}') in ('x', 'y')",
    "A§ = os.environ['{}'] if '{}' in os.environ else 'd'",
    "A§ = '{}' in os.environ and os.environ['{}']",
    "try:\n    A§ = os.environ['{}']\nexcept (KeyError, ValueError):\n    A§ = ''",
    "def need§(name):\n    value = os.getenv(name)\n    if not value:\n        raise RuntimeError(name)\n    return value\nA§ = need§('{}')",
    "def need§(name, default=None):\n    value = os.getenv(name, default)\n    if value is None:\n        raise RuntimeError(name)\nneed§('{}')",
    "def need§(name, default=None):\n    value = os.getenv(name, default)\n    if value is None:\n        raise RuntimeError(name)\nneed§('{}', 'x')",
    "def need§(name):\n    try:\n        return os.environ[name]\n    except KeyError:\n        raise RuntimeError(name) from None\nA§ = need§(name='{}')",
    "def need§(name):\n    try:\n        return os.environ[name]\n    except KeyError:\n        return None\nA§ = need§('{}')",
    "def need§(name):\n    return os.environ[name]\ndef f§():\n    return need§('{}')",
    "name§ = '{}'\ndef need§(name§):\n    return os.environ[name§]\nA§ = need§('PATH')",
    "def need§(name):\n    name = 'PATH'\n    return os.environ[name]\nA§ = need§('{}')",
)
_HELPER = "import os\nvalue = os.environ['{}']\ndef unused():\n    return os.environ['UNUSED']\n"
_LIBRARIES = (
    "class S§(BaseSettings):\n    {l}: str\nS§()",
    "class S§(BaseSettings):\n    {l}: str = 'x'\nS§()",
    "class S§(BaseSettings):\n    {l}: str | None\nS§()",
    "class S§(BaseSettings):\n    {l}: str | None = None\nS§()",
    "class S§(BaseSettings):\n    {l}: str",
    "class S§(BaseSettings):\n    a: str = Field(validation_alias='{}')\nS§()",
    "class S§(BaseSettings):\n    a: str = Field(alias='{}')\nS§()",
    "class S§(BaseSettings):\n    a: Annotated[str, Field(alias='{}')]\nS§()",
    "class S§(BaseSettings):\n    a: str = Field(default='x', alias='{}')\nS§()",
    "class S§(BaseSettings):\n    a: str = Field(default_factory=str, alias='{}')\nS§()",
    "class S§(BaseSettings):\n    a: str = Field(validation_alias=AliasChoices('NEVER', '{}'))\nS§()",
    "class S§(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='V')\n    {t}: str\nS§()",
    "class B§(BaseSettings):\n    {l}: str\nclass S§(B§):\n    {l}: str = 'x'\nS§()",
    "class B§(BaseSettings):\n    {l}: str\nclass S§(B§):\n    other: int = 1\nS§()",
    "class S§(BaseSettings):\n    {l}: str\nS§({l}='given')",
    "A§ = decouple.config('{}')",
    "A§ = decouple.config('{}', default=1)",
    "A§ = decouple.config('{}', cast=str)",
    "e§ = environs.Env()\nA§ = e§('{}')",
    "e§ = environs.Env()\nA§ = e§.str('{}', 'x')",
    "e§ = environs.Env()\nA§ = e§.str('{}')",
    "e§ = environs.Env()\nwith e§.prefixed('V'):\n    A§ = e§('{t}')",
    "e§ = environ.Env()\nA§ = e§('{}')",
    "e§ = environ.Env({}=(str, 'x'))\nA§ = e§('{}')",
    "e§ = environ.Env({}=str)\nA§ = e§('{}')",
    "e§ = environ.Env()\nA§ = e§('{}', str)",
    "e§ = environ.Env()\nA§ = e§.str('{}', default='x')",
    "c§ = starlette.config.Config()\nA§ = c§('{}')",
    "c§ = starlette.config.Config()\nA§ = c§('{}', cast=str)",
    "c§ = starlette.config.Config()\nA§ = c§('{}', default='x')",
)
_HEAD = "import asyncio, os, sys\nfrom contextlib import suppress\nfrom pathlib import Path\n"
_LIBRARY_HEAD = (
    "import decouple, environs, environ, starlette.config\nfrom typing import Annotated\n"
    "from pydantic import AliasChoices, Field\nfrom pydantic_settings import BaseSettings, SettingsConfigDict\n"
)
# Runs each program with each of its variables removed, in a child of its own; prints the exit statuses.
_DRIVER = """
import asyncio, contextlib, importlib, json, os, pathlib, sys, tempfile
for library in ("decouple", "environs", "environ", "starlette.config", "pydantic_settings"):
    with contextlib.suppress(ImportError):
        importlib.import_module(library)  # once, before the forks
os.chdir(tempfile.mkdtemp())
statuses = []
for number, (files, variables) in enumerate(json.load(sys.stdin)):
    os.mkdir(str(number))
    for name, text in files.items():
        open(os.path.join(str(number), name), "w").write(text)
    row = {}
    for gone in ["", *variables]:
        child = os.fork()
        if not child:
            os.chdir(str(number))
            os.environ.update({name: "7" for name in variables if name != gone})
            sys.path.insert(0, os.getcwd())
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            try:
                exec(compile(files["main.py"], "main.py", "exec"), {"__name__": "__main__"})
            except BaseException:
                os._exit(1)
            os._exit(0)
        row[gone] = os.waitpid(child, 0)[1] != 0
    statuses.append(row)
json.dump(statuses, sys.stdout)
"""
_Program = tuple[dict[str, str], list[str]]


def _programs(number: int, idioms: tuple[str, ...], head: str = _HEAD) -> Iterator[_Program]:
    """Programs of some idioms each, every idiom alone first."""
    chance = random.Random(706)
    alone = ((idiom,) for idiom in idioms)
    mixed = (tuple(chance.sample(idioms, 4)) for _ in itertools.count())
    for parts in itertools.islice(itertools.chain(alone, mixed), number):
        files = {"Dockerfile": _DOCKERFILE, "main.py": head}
        variables = []
        for at, idiom in enumerate(parts):
            name = f"VN{chance.randrange(10**6)}X{at}"
            variables.append(name)
            names = {"l": name.lower(), "t": name[1:].lower() if "BaseSettings" in idiom else name[1:]}
            filled = idiom.replace("{}", name).replace("{{", "{").replace("}}", "}")
            for key, value in names.items():
                filled = filled.replace(f"{{{key}}}", value)
            files["main.py"] += filled.replace("§", str(at)) + "\n"
            if "helper§" in idiom:
                files[f"helper{at}.py"] = _HELPER.replace("{}", name)
        yield files, variables


def _contradictions(programs: list[_Program], python: str) -> list[str]:
    """The programs that fail without a variable that is not reported, or start without one that is."""
    done = subprocess.run(
        [python, "-I", "-c", _DRIVER], input=json.dumps(programs), capture_output=True, text=True, check=True
    )
    wrong = []
    for (files, variables), failures in zip(programs, json.loads(done.stdout), strict=True):
        assert not failures[""], files["main.py"]
        provided: Mapping[str, object] = {}
        reported = {describe_names(need) for need in unset_variables(MemoryStage(files), Config(), "", provided)}
        reported = {part for text in reported for part in text.split(" or ")} & {*variables}
        failing = {name for name in variables if failures[name]}
        if reported != failing:
            wrong.append(f"reported {sorted(reported)}, fails without {sorted(failing)}:\n{files['main.py']}")
    return wrong


@pytest.mark.interpreters
@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_a_start_fails_exactly_for_what_is_reported(version: str) -> None:
    number = 2_000 if os.environ.get("BUILDGUARD_ALL") else 60
    programs = list(_programs(number, _IDIOMS))

    assert _contradictions(programs, os.fspath(interpreter(version))) == []


def test_the_parts_are_what_they_are_called() -> None:
    assert (CodeBlock().reads, ModuleLookup({}, str).modules) == ((), {})
    assert BlockReader.__doc__
    assert issubclass(StartWalk, object)
    assert "PORT" in templates.PLATFORM_VARIABLES
    assert wrappers.wrapper_of("decouple.config") is not None
    assert not settings.is_settings(
        ModuleLookup({"/a.py": read_module(ast.parse(""), 11)}, str), Definition("/a.py", "A")
    )


if __name__ == "__main__":
    every = list(_programs(200, _IDIOMS + _LIBRARIES, _HEAD + _LIBRARY_HEAD))
    contradictions = _contradictions(every, sys.argv[1])
    print(*contradictions[:10], f"{len(contradictions)} of {len(every)} programs contradict", sep="\n")
