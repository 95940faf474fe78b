"""The variables that a start requires: what is reported, and what must not be, in small projects."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import pytest

from buildguard.project.config import Config
from buildguard.project.deploy_table import DeployTable
from buildguard.startup.run import check_startup
from buildguard.startup.variables.bound_calls import bind
from buildguard.startup.variables.env_files import names_in
from buildguard.startup.variables.guards import gotten
from buildguard.startup.variables.module_reader import read_module
from buildguard.startup.variables.names import ModuleNames
from buildguard.startup.variables.survey import ContractVariable, Need, read_contracts, unset_variables
from tests.project.memory import MemoryStage

_DOCKERFILE = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install -r requirements.txt\nCMD python main.py\n"
_DEPLOY = (
    "steps:\n- name: gcr.io/google.com/cloudsdktool/cloud-sdk\n  entrypoint: gcloud\n  args: [run, deploy, svc, {}]\n"
)
_KNOWN = _DEPLOY.format("--set-env-vars, KNOWN=1")
_SETTINGS = "from pydantic import Field\nfrom pydantic_settings import BaseSettings, SettingsConfigDict\n"


def _files(main: str, more: Mapping[str, str] = {}) -> dict[str, str]:
    return {"Dockerfile": _DOCKERFILE, "requirements.txt": "", "cloudbuild.yaml": _KNOWN, "main.py": main, **more}


def _reported(files: Mapping[str, str], optional: tuple[str, ...] = ()) -> list[tuple[str, int]]:
    report = check_startup(MemoryStage(files), None, Config(deploy=DeployTable(optional_env=optional)))
    rows = [
        (each.message.split("requires ")[1].split(",")[0], each.range.line)
        for each in report.diagnostics
        if each.code == "BG706"
    ]
    return [(name, line) for name, line in rows if line is not None]


def _names(main: str, more: Mapping[str, str] = {}) -> list[str]:
    return [name for name, _line in _reported(_files(main, more))]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import os\nA = os.environ['X']\n", ["X"]),
        ("import os as system\nA = system.environ['X']\n", ["X"]),
        ("from os import environ\nA = environ['X']\n", ["X"]),
        ("from os import environ as e, getenv as g\nA = int(g('X'))\nB = e['Y']\n", ["X", "Y"]),
        ("import os\nNAME = 'X'\nA = os.environ[NAME]\n", ["X"]),
        ("import os\nP = 'APP_'\nA = os.environ[P + 'X'], os.environ[f'{P}Y']\n", ["APP_X", "APP_Y"]),
        ("import os\nfor name in ('X', 'Y'):\n    os.environ[name]\n", ["X", "Y"]),
        ("import os\nA = {n: os.environ[n] for n in ['X', 'KNOWN']}\n", ["X"]),
        ("import os\nA = os.getenv('X').split(',')\n", ["X"]),
        ("import os\nA = 'https://' + os.getenv('X')\n", ["X"]),
        ("import os\nA = os.environ.get('A', os.environ['X'])\n", ["X"]),
        ("import os\nA = os.environ.get('X')\nif not A:\n    raise RuntimeError('X')\n", ["X"]),
        ("import os\nA = os.environ.get('X')\nif A is None:\n    raise SystemExit(1)\n", ["X"]),
        ("import os, sys\nA, B = 1, os.getenv('Y')\nA = os.getenv('X')\nif not A:\n    sys.exit('X')\n", ["X"]),
        ("import os\nif not (a := os.getenv('X')):\n    raise ValueError\n", ["X"]),
        ("import os\nassert os.getenv('X'), 'X is missing'\n", ["X"]),
        ("import os\nif 'X' not in os.environ:\n    raise KeyError\n", ["X"]),
        ("import os\nA = [n for n in ('X', 'Y') if n not in os.environ]\nif A:\n    raise KeyError(A)\n", ["X", "Y"]),
        ("import os\nif not all(os.getenv(n) for n in ('X', 'Y')):\n    raise KeyError\n", ["X", "Y"]),
        ("import os\nif any(n not in os.environ for n in ['X']):\n    raise KeyError\n", ["X"]),
        (
            "import os\nA, B = 1, 2\nX = os.getenv('X')\nY = os.getenv('Y')\nif not X and not Y:\n    raise KeyError\n",
            ["X or Y"],
        ),
        ("import os\ntry:\n    A = os.environ['X']\nexcept KeyError as e:\n    raise RuntimeError from e\n", ["X"]),
        ("import os\ntry:\n    A = os.environ['X']\nfinally:\n    pass\n", ["X"]),
        ("import os\ndef load():\n    return os.environ['X']\nA = load()\n", ["X"]),
        ("import os\ndef main():\n    os.environ['X']\nif __name__ == '__main__':\n    main()\n", ["X"]),
        ("import asyncio, os\nasync def main():\n    os.environ['X']\nasyncio.run(main())\n", ["X"]),
        ("import functools, os\n@functools.lru_cache\ndef load():\n    return os.environ['X']\nA = load()\n", ["X"]),
        ("import os\nclass Config:\n    A = os.environ['X']\n", ["X"]),
        ("import os\nclass Config:\n    def __init__(self):\n        self.a = os.environ['X']\nA = Config()\n", ["X"]),
        (
            "import os\nclass C:\n    @classmethod\n    def load(cls):\n        return os.environ['X']\nA = C.load()\n",
            ["X"],
        ),
        ("import os\nwith open('/dev/null') as file:\n    A = os.environ['X']\n", ["X"]),
        (
            "import sys, os\nif sys.version_info >= (3, 8):\n    A = os.environ['X']\nelse:\n    A = os.environ['Y']\n",
            ["X"],
        ),
        ("import os\nA = os.environ.pop('X')\n", ["X"]),
        ("import os\nwhile True:\n    os.environ['X']\n", ["X"]),
        ("import os\nA = os.getenv('X')\nA.upper()\n", ["X"]),
        ("import os\nA = os.getenv('X')\nwith open('y') as A:\n    A.read()\n", []),
        ("import os\nA = os.getenv('X')\nif A is not None:\n    A.upper()\n", []),
        ("import os\nA = int(os.environ.get('X', None))\n", ["X"]),
        ("import os\ntry:\n    A = int(os.environ['X'])\nexcept ValueError:\n    A = 1\n", ["X"]),
        ("import os\ntry:\n    f()\n    A = int(os.environ['X'])\nexcept ValueError:\n    A = 1\n", []),
        ("import os\ntry:\n    A = int(os.environ['X'])\nexcept (ValueError, LookupError):\n    A = 1\n", []),
        ("import os\nR = ['X', 'KNOWN']\nM = set(R) - set(os.environ)\nif M:\n    raise KeyError(M)\n", ["X"]),
        (
            "import os\ndef need(n):\n    if n in os.environ:\n        return os.environ[n]\n    raise KeyError\nneed('X')\n",
            ["X"],
        ),
        (
            "import os\ndef need(n):\n    v = os.getenv(n)\n    if v:\n        return v\n    raise KeyError\nneed('X')\n",
            ["X"],
        ),
        (
            "import os\ndef need(n, strict=True):\n    v = os.getenv(n)\n    if strict and not v:\n        raise KeyError\nneed('X')\nneed('Y', strict=False)\n",
            ["X"],
        ),
        ("import os\nclass B:\n    def __init__(self):\n        os.environ['X']\nclass C(B):\n    pass\nC()\n", ["X"]),
        ("import os\nos.environ |= {'X': '1'}\nA = os.environ['X']\n", []),
        ("import os\nA = os.environ['KNOWN'], os.environ['PORT'], os.environ['K_SERVICE'], os.environ['HOME']\n", []),
        ("import os\nA = os.environ.get('X'), os.getenv('Y', '1')\n", []),
        ("import os\ntry:\n    A = os.environ['X']\nexcept KeyError:\n    A = None\n", []),
        ("import os\nif os.getenv('Y'):\n    A = os.environ['X']\n", []),
        ("import os\nA = os.environ['X'] if 'X' in os.environ else None\n", []),
        ("import os\nA = os.environ.get('Y') or os.environ['X']\n", []),
        ("import os\nA = lambda: os.environ['X']\n", []),
        ("import os\ndef later():\n    return os.environ['X']\n", []),
        ("import os\nasync def main():\n    os.environ['X']\nA = main()\n", []),
        ("import os\ndef steps():\n    yield os.environ['X']\nA = steps()\n", []),
        ("import os\ndef f(x):\n    if x:\n        return 1\n    return os.environ['X']\nA = f(1)\n", []),
        ("import os\nos.environ['X'] = '1'\nA = os.environ['X']\n", []),
        ("import os\nos.environ.setdefault('X', '1')\nA = os.environ['X']\n", []),
        ("import os\nos.environ.update({'X': '1'}, Y='2')\nA = os.environ['X'], os.environ['Y']\n", []),
        ("import os, json\nos.environ.update(json.load(open('x')))\nA = os.environ['X']\n", []),
        ("from contextlib import suppress\nimport os\nwith suppress(KeyError):\n    A = os.environ['X']\n", []),
        ("def app(environ, start):\n    return environ['X']\napp({'X': 1}, 2)\n", []),
        ("import os\nif False:\n    A = os.environ['X']\n", []),
        ("import os\nname = input()\nA = os.environ[name]\n", []),
        ("import os\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    A = os.environ['X']\n", []),
        ("import os\nA = os.getenv('X')\nif not A:\n    print('X is missing')\n", []),
        ("import os\n@wrap\ndef load():\n    return os.environ['X']\nA = load()\n", []),
        ("import os\nfor x in names():\n    os.environ['X']\n", []),
    ],
)
def test_what_a_module_requires(code: str, names: list[str]) -> None:
    assert _names(code) == names


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (f"{_SETTINGS}class S(BaseSettings):\n    host: str\n    port: int = 1\nS()\n", ["HOST"]),
        (f"{_SETTINGS}class S(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='app_')\n    host: str\nS()\n", ["APP_HOST"]),
        (f"{_SETTINGS}class S(BaseSettings, env_prefix='APP_'):\n    host: str | None\nS()\n", ["APP_HOST"]),
        (f"{_SETTINGS}class S(BaseSettings):\n    model_config = {{'env_prefix': 'APP_'}}\n    host: str = Field(...)\nS()\n", ["APP_HOST"]),
        (f"{_SETTINGS}class S(BaseSettings):\n    host: str = Field(validation_alias='HOSTED', min_length=1)\nS()\n", ["HOSTED"]),
        (f"{_SETTINGS}from pydantic import AliasChoices\nclass S(BaseSettings):\n    a: str = Field(validation_alias=AliasChoices('P', 'Q'))\nS()\n", ["P or Q"]),
        (f"{_SETTINGS}class B(BaseSettings):\n    host: str\n    user: str\nclass S(B):\n    user: str = 'me'\nS()\n", ["HOST"]),
        (f"{_SETTINGS}class S(BaseSettings):\n    host: str\ndef get():\n    return S()\nA = get()\n", ["HOST"]),
        ("from pydantic import BaseSettings\nclass S(BaseSettings):\n    a: str\n    b: 'Optional[str]'\n    class Config:\n        env_prefix = 'V1_'\nS()\n", ["V1_A"]),
        ("from pydantic import BaseSettings, Field\nclass S(BaseSettings):\n    a: str = Field(..., env='OTHER')\nS()\n", ["OTHER"]),
        (f"{_SETTINGS}class S(BaseSettings):\n    host: str\n", []),
        (f"{_SETTINGS}class S(BaseSettings):\n    host: str\ndef get():\n    return S()\n", []),
        (f"{_SETTINGS}class S(BaseSettings):\n    known: str\nS()\n", []),
        (f"{_SETTINGS}class S(BaseSettings):\n    host: str\nS(host='x')\n", []),
        (f"{_SETTINGS}class S(BaseSettings):\n    host: str\nS(**values)\n", []),
        (f"{_SETTINGS}class S(BaseSettings):\n    host: str = Field(default='x')\n    user: str = Field(default_factory=str)\nS()\n", []),
        (f"{_SETTINGS}class S(BaseSettings):\n    host: str\n    @classmethod\n    def settings_customise_sources(cls, *a):\n        return ()\nS()\n", []),
        (f"{_SETTINGS}class S(BaseSettings):\n    model_config = SettingsConfigDict(secrets_dir='/run/secrets')\n    host: str\nS()\n", []),
        (f"{_SETTINGS}class S(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix=make())\n    host: str\nS()\n", []),
        (f"{_SETTINGS}from other import Base\nclass S(Base, BaseSettings):\n    host: str\nS()\n", []),
        (f"{_SETTINGS}from pydantic import model_validator\nclass S(BaseSettings):\n    host: str\n    @model_validator(mode='before')\n    def fill(cls, values):\n        return {{'host': 1}}\nS()\n", []),
        (f"{_SETTINGS}from typing import ClassVar\nclass S(BaseSettings):\n    x: ClassVar[str]\n    _y: str\nS()\n", []),
        ("from pydantic import BaseModel\nclass S(BaseModel):\n    host: str\n", []),
    ],
)  # fmt: skip
def test_what_settings_of_pydantic_require(code: str, names: list[str]) -> None:
    assert _names(code) == names


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from decouple import config\nA = config('X')\nB = config('Y', default='1')\nC = config('Z', cast=int)\n", ["X", "Z"]),
        ("from environs import Env\nenv = Env()\nenv.read_env()\nA = env('X')\nB = env.int('Y', 5)\nC = env.bool('Z')\n", ["X", "Z"]),
        ("from environs import Env\nenv = Env()\nwith env.prefixed('APP_'):\n    A = env('X')\n", ["APP_X"]),
        ("import environ\nenv = environ.Env(DEBUG=(bool, False), X=int)\nA = env('X')\nB = env('DEBUG')\nC = env.db()\n", ["X", "DATABASE_URL"]),
        ("import environ\nenv = environ.Env()\nA = env('X', bool)\nB = env.str('Y', default='')\nC = env.cache_url()\n", ["X", "CACHE_URL"]),
        ("from starlette.config import Config\nconfig = Config('.env')\nA = config('X')\nB = config('Y', cast=int, default=1)\n", ["X"]),
        ("from environs import Env\nenv = Env(eager=False)\nA = env('X')\n", []),
        ("from decouple import Config, RepositoryEnv\nconfig = Config(RepositoryEnv('/x/.env'))\nA = config('X')\n", []),
        ("try:\n    from decouple import config\n    A = config('X')\nexcept Exception:\n    A = 1\n", []),
        ("from config import config\nA = config('X')\n", []),
    ],
)  # fmt: skip
def test_what_other_readers_require(code: str, names: list[str]) -> None:
    assert _names(code) == names


def test_reads_are_followed_through_modules() -> None:
    names = _names(
        "from app.factory import make\nfrom app import settings\napp = make()\n",
        {
            "app/__init__.py": "from .config import settings\n",
            "app/factory.py": "import os\nfrom app.env import *\ndef make():\n    env('FROM_STAR')\n    return os.environ['IN_FACTORY']\n",
            "app/env.py": "from environs import Env\nenv = Env()\n",
            "app/config.py": f"{_SETTINGS}from .base import Base\nclass S(Base):\n    host: str\nsettings = S()\n",
            "app/base.py": f"{_SETTINGS}class Base(BaseSettings):\n    model_config = SettingsConfigDict(env_prefix='B_')\n    user: str\n",
            "unused.py": "import os\nos.environ['UNUSED']\n",
        },
    )

    assert sorted(names) == ["B_HOST", "B_USER", "FROM_STAR", "IN_FACTORY"]


def test_django_settings_are_those_that_the_environment_names() -> None:
    files = _files(
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site.dev')\nfrom django.core.wsgi import get_wsgi_application\n",
        {
            "site/__init__.py": "",
            "site/dev.py": "import os\nos.environ['IN_DEV']\n",
            "site/prod.py": "import os\nos.environ['IN_PROD']\n",
        },
    )
    named = {**files, "Dockerfile": files["Dockerfile"].replace("CMD", "ENV DJANGO_SETTINGS_MODULE=site.prod\nCMD")}

    assert [name for name, _line in _reported(files)] == ["IN_DEV"]
    assert [name for name, _line in _reported(named)] == ["IN_PROD"]


def test_a_factory_of_the_start_command_is_followed() -> None:
    files = _files("import os\ndef create():\n    return os.environ['X']\n")
    files["requirements.txt"] = "gunicorn\n"
    files["Dockerfile"] = files["Dockerfile"].replace("python main.py", "gunicorn 'main:create()'")

    assert _reported(files) == [("X", 3)]


def test_a_file_of_variables_counts_where_the_image_has_it() -> None:
    code = "import os\nfrom dotenv import load_dotenv\nload_dotenv()\nA = os.environ['X'], os.environ['Y']\n"
    files = _files(code)
    held = {**files, ".env": "# Z=1\nexport X=1\n"}
    dropped = {**held, ".dockerignore": ".env\n"}

    assert [name for name, _line in _reported(files)] == ["X", "Y"]
    assert [name for name, _line in _reported(held)] == ["Y"]
    assert [name for name, _line in _reported(dropped)] == ["X", "Y"]
    assert _names(code.replace("load_dotenv()", "load_dotenv('/secrets/.env')")) == []
    assert _names(code.replace("load_dotenv()", "load_dotenv(find())")) == []
    assert list(names_in("A=1\n#B=2\nexport C = 3\nD\n")) == ["A", "C"]


_REQUIRES = "import os\nA = os.environ['X']\n"
_SERVICE = "apiVersion: serving.knative.dev/v1\nkind: Service\nspec:\n  template:\n    spec:\n      containers:\n      - image: i\n        env:\n        - name: {}\n          value: v\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cloudbuild.yaml": _DEPLOY.format("--set-env-vars=A=1")}, True),
        ({"cloudbuild.yaml": _DEPLOY.format('--set-env-vars, "A=1,X=${_X}"')}, False),
        ({"cloudbuild.yaml": _DEPLOY.format('--set-env-vars, "^@^A=1,2@X=3"')}, False),
        ({"cloudbuild.yaml": _DEPLOY.format("--set-env-vars, A=1, --set-secrets, X=secret:latest")}, False),
        ({"cloudbuild.yaml": _DEPLOY.format("--clear-env-vars")}, True),
        ({"cloudbuild.yaml": _DEPLOY.format("--set-env-vars, '${_ALL}'")}, False),
        ({"cloudbuild.yaml": _DEPLOY.format("--update-env-vars, A=1")}, False),
        ({"cloudbuild.yaml": _DEPLOY.format("--image, i")}, False),
        ({"cloudbuild.yaml": _DEPLOY.format("--env-vars-file, env.yaml"), "env.yaml": "A: '1'\n"}, True),
        ({"cloudbuild.yaml": _DEPLOY.format("--env-vars-file, env.yaml"), "env.yaml": "X: '1'\n"}, False),
        ({"cloudbuild.yaml": _DEPLOY.format("--env-vars-file, prod.env"), "prod.env": "X=1\n"}, False),
        ({"cloudbuild.yaml": _DEPLOY.format("--env-vars-file, lost.yaml")}, False),
        ({"cloudbuild.yaml": 'steps:\n- name: gcr.io/cloud-builders/gcloud\n  script: |\n    gcloud run deploy svc --set-env-vars="A=1" \\\n      --image i\n'}, True),
        ({"service.yaml": _SERVICE.format("A")}, True),
        ({"service.yaml": _SERVICE.format("X")}, False),
        ({"service.yaml": _SERVICE.format("${NAME}")}, False),
        ({"service.yaml": _SERVICE.format("A"), "main.tf": 'name = "X"\n'}, False),
        ({"service.yaml": _SERVICE.format("A"), ".env.example": "X=\n"}, True),
        ({"service.yaml": _SERVICE.format("A"), "deploy.sh": "gcloud run services update svc --update-env-vars X=1\n"}, False),
        ({"service.yaml": _SERVICE.format("A"), "cloudbuild.yaml": _DEPLOY.format("--image, i")}, False),
        ({"main.tf": "resource {}\n"}, False),
        ({}, False),
        ({"Dockerfile": _DOCKERFILE.replace("CMD", "ENV X=1\nCMD"), "service.yaml": _SERVICE.format("A")}, False),
        ({"Dockerfile": _DOCKERFILE.replace("python:3.11-slim", "acme/base:1"), "service.yaml": _SERVICE.format("A")}, False),
        ({"Dockerfile": _DOCKERFILE.replace("CMD", "CMD X=1"), "service.yaml": _SERVICE.format("A")}, False),
        # the Dockerfile alone: where it sets what the start requires, and nothing else names the variable
        ({"Dockerfile": _DOCKERFILE.replace("CMD", "ENV A=1\nCMD")}, False),
        ({"Dockerfile": _DOCKERFILE.replace("CMD", "ENV A=1\nCMD"), "main.py": f"{_REQUIRES}os.environ['A']\n"}, True),
        ({"Dockerfile": _DOCKERFILE.replace("CMD", "ENV A=1\nCMD"), "main.py": f"{_REQUIRES}os.environ['A']\n", "README.md": "set X\n"}, False),
    ],
)  # fmt: skip
def test_what_sets_variables(files: dict[str, str], expected: bool) -> None:
    project = {"Dockerfile": _DOCKERFILE, "requirements.txt": "", "main.py": _REQUIRES, **files}

    assert _reported(project) == ([("X", 2)] if expected else [])


def test_names_that_are_optional_are_left_out() -> None:
    assert _reported(_files(_REQUIRES), optional=("X",)) == []


def test_the_contract_names_every_variable() -> None:
    code = "import os\nA = os.environ['X']\nB = os.getenv('Y', 'no')\nC = os.environ['KNOWN']\nD = lambda: os.environ['Z']\nos.environ['W'] = '1'\nE = os.environ['W']\n"

    (contract,) = read_contracts(MemoryStage(_files(code)), None, Config())

    def row(variable: ContractVariable) -> tuple[str, Need, str, str]:
        return variable.names[0], variable.need, variable.default, variable.set_by

    assert [row(variable) for variable in contract.variables] == [
        ("KNOWN", Need.START, "", "cloudbuild.yaml:4"),
        ("W", Need.START, "", "the code"),
        ("X", Need.START, "", ""),
        ("Z", Need.LATER, "", ""),
        ("Y", Need.OPTIONAL, "'no'", ""),
    ]
    assert [variable.names for variable in contract.missing] == [("X",)]
    assert contract.is_known


def test_what_a_deploy_asks_for() -> None:
    stage = MemoryStage(_files("import os\nA = os.environ['X'], os.environ['KNOWN'], os.environ['PORT']\n"))

    assert [needed.read.names for needed in unset_variables(stage, Config(), "svc", {"X": None})] == [("KNOWN",)]
    assert list(unset_variables(stage, Config(), "svc", {"X": None, "KNOWN": "1"})) == []


def test_a_source_that_nests_too_deeply_requires_nothing() -> None:
    tree = ast.parse("import os\nA = os.environ['X']\n")
    node: ast.expr = ast.Name("x", ast.Load())
    for _ in range(5000):
        node = ast.Attribute(node, "y", ast.Load())
    tree.body.append(ast.Expr(node))

    assert read_module(tree, 11).block.reads == ()
    assert gotten(ModuleNames(ast.parse("")), ast.Constant(1)) is None


def test_what_a_call_passes_is_filled_in() -> None:
    tree = ast.parse("def need(name, kind=None):\n    return os.environ[name]\nneed('URL')\nneed(*words)\nneed(1)\n")
    function, *calls = tree.body
    assert isinstance(function, ast.FunctionDef)
    bodies = [
        bind(function, node.value) for node in calls if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]

    assert [body and ast.unparse(body[0]) for body in bodies] == ["return os.environ['URL']", None, None]


def test_dynaconf_is_undecided() -> None:
    source = "from dynaconf import Dynaconf\nimport os\nsettings = Dynaconf()\nos.environ['URL']\n"
    template = "spec: {template: {spec: {containers: [{image: img, env: []}]}}}\n# run.googleapis.com\n"
    dockerfile = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nENV A=b\nCMD python main.py\n"

    report = check_startup(
        MemoryStage({"Dockerfile": dockerfile, "main.py": source, "service.yaml": template}), None, Config()
    )

    assert [item.code for item in report.diagnostics] == []
    assert any("dynaconf reads variables and files by rules of its own" in reason for reason in report.undecided)


def test_handlers_of_a_framework_belong_to_the_contract() -> None:
    code = "import os\napp = make()\n@app.get('/')\ndef root():\n    return os.environ['REGION']\n@app.task\ndef steps():\n    yield os.environ['STEP']\n"

    (contract,) = read_contracts(MemoryStage(_files(code)), None, Config())

    assert [(each.names, each.need) for each in contract.variables] == [
        (("REGION",), Need.LATER),
        (("STEP",), Need.LATER),
    ]


def test_the_parts_of_a_nested_model_come_first() -> None:
    code = f"{_SETTINGS}from pydantic import BaseModel\nclass N(BaseModel):\n    host: str\n    port: int = 1\nclass S(BaseSettings):\n    model_config = SettingsConfigDict(env_nested_delimiter='__')\n    db: N\n    level: str = 'info'\nS()\n"

    (contract,) = read_contracts(MemoryStage(_files(code)), None, Config())

    assert [(each.names, each.default) for each in contract.variables] == [
        (("DB__HOST", "DB"), ""),
        (("LEVEL",), "'info'"),
    ]


@pytest.mark.parametrize(
    ("flag", "names"),
    [
        ("--set-secrets, /secrets/x=key:1", ["X"]),  # a file, and no variable
        ("--set-secrets, X=key:1", []),
        ("--set-secrets, '/secrets/.env=key:1,X=other:2'", []),
    ],
)
def test_a_secret_that_is_mounted_sets_no_variable(flag: str, names: list[str]) -> None:
    deploy = _DEPLOY.format(f"--set-env-vars, A=1, {flag}")

    assert _names("import os\nA = os.environ['X']\n", {"cloudbuild.yaml": deploy}) == names
    mounted = "import os\nfrom dotenv import load_dotenv\nload_dotenv('/secrets/.env')\nA = os.environ['X']\n"
    assert _names(mounted, {"cloudbuild.yaml": deploy}) == []  # undecided: the file may have it


@pytest.mark.parametrize(
    ("command", "more", "names"),
    [
        ("gunicorn main:app", {}, ["X"]),
        ("gunicorn -e X=1 main:app", {}, []),
        ("gunicorn --env=Y=1 main:app", {}, ["X"]),
        ("gunicorn main:app", {"gunicorn.conf.py": "raw_env = ['X=1', 'Y=2']\n"}, []),
        ("gunicorn main:app", {"gunicorn.conf.py": "raw_env = ['Y=2']\n"}, ["X"]),
        ("gunicorn main:app", {"gunicorn.conf.py": "raw_env = read()\n"}, []),  # undecided
        ("flask --app main run", {".flaskenv": "X=1\n"}, []),
        ("flask --app main run", {"notes.txt": "X=1\n"}, ["X"]),
    ],
)
def test_what_a_server_sets_counts(command: str, more: Mapping[str, str], names: list[str]) -> None:
    files = {**_files("import os\nA = os.environ['X']\n", more), "requirements.txt": "gunicorn\nflask\n"}

    assert [
        name for name, _line in _reported({**files, "Dockerfile": _DOCKERFILE.replace("python main.py", command)})
    ] == names
