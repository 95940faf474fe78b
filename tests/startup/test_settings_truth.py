"""Programs that real libraries of settings were asked about: they start exactly where nothing that they require is reported missing.

`python -m tests.startup.record_settings PYTHON` asks the libraries again.
"""

from __future__ import annotations

import ast
import json
from types import MappingProxyType
from typing import Any

import pytest

from buildguard.project.config import Config
from buildguard.startup.variables.check import describe_names, provided_by
from buildguard.startup.variables.contract import missing
from buildguard.startup.variables.env_files import EnvFile, beside, names_in
from buildguard.startup.variables.names import ModuleNames
from buildguard.startup.variables.settings_fields import fields_of
from buildguard.startup.variables.survey import started_images
from buildguard.startup.variables.templates import TemplateVariables
from tests.conftest import sample
from tests.project.memory import MemoryStage
from tests.startup.record_settings import CASES

_DOCKERFILE = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCMD python {}\n"
_ROWS: list[dict[str, Any]] = [json.loads(line) for line in CASES.read_text().splitlines()]
_GROUPS = 40


@pytest.mark.parametrize("group", sample(range(_GROUPS), 4))
def test_a_start_fails_exactly_where_a_variable_is_missing(group: int) -> None:
    wrong = []
    for row in _ROWS[group::_GROUPS]:
        stage = MemoryStage({**row["files"], "Dockerfile": _DOCKERFILE.format(row["start"])})
        (started,) = started_images(stage, None, Config())
        assert bool(started.variables.unknown) is row["undecided"], (row["files"], started.variables.unknown)
        for variables, fails in zip(row["environments"], row["fails"], strict=True):
            template = TemplateVariables(MappingProxyType(dict.fromkeys(variables, "")), is_known=True)
            provided = provided_by(started.image, started.start, template)
            names = [describe_names(needed) for needed in missing(started.variables, provided)]
            if bool(names) is not fails and not row["undecided"]:
                wrong.append((row["files"], variables, names, fails))
    assert wrong == []


def test_the_cases_are_of_every_library() -> None:
    texts = [" ".join(row["files"].values()) for row in _ROWS]

    for library in ("pydantic_settings", "pydantic.v1", "decouple", "environs", "environ.Env", "starlette", "dotenv"):
        assert sum(library in text for text in texts) > 3, library
    for word in ("env_nested_delimiter", "env_file", "secrets_dir", "env_prefix", "AliasChoices", "validation_alias"):
        assert sum(word in text for text in texts) > 5, word
    assert sum(row["undecided"] for row in _ROWS) < len(_ROWS) / 5
    assert len(_ROWS) > 500


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("A=1\n#B=2\nexport C = 3\nD\n", ["A", "C"]),
        ("A='1\nB=2'\nC=3\n", ["A", "C"]),
        ("'A'=1\nB=\n", ["A", "B"]),
        ('A="x # y"\n  B=2 # C=3\n', ["A", "B"]),
    ],
)
def test_the_names_of_a_file_of_variables(text: str, names: list[str]) -> None:
    assert list(names_in(text)) == names


def test_where_a_file_of_variables_is_looked_for() -> None:
    assert EnvFile((".env",), "").places("/srv") == ["/srv/.env"]
    assert beside("", "/srv/app/main.py").places("/") == ["/srv/app/.env", "/srv/.env", "/.env"]
    assert beside("decouple", "/srv/main.py", "settings.ini", ".env", climbs=False).places("/") == [
        "/srv/settings.ini",
        "/srv/.env",
    ]


def test_the_folders_of_other_readers_do_not_count() -> None:
    settings = "from pydantic_settings import BaseSettings, SettingsConfigDict\nclass S(BaseSettings):\n    model_config = SettingsConfigDict(env_file={})\n    x: str\nS()\n"
    beside_it = 'Path(__file__).parent / ".env"'

    def lost(file: str) -> list[str]:
        files = {"Dockerfile": _DOCKERFILE.format("app/main.py"), "app/.env": "X=1\n"}
        files["app/main.py"] = "from pathlib import Path\n" + settings.format(file)
        (started,) = started_images(MemoryStage(files), None, Config())
        assert not started.variables.unknown
        return [describe_names(needed) for needed in missing(started.variables, {})]

    assert lost("'.env'") == ["X"]
    assert lost(beside_it) == []


def test_a_settings_class_that_makes_itself_ends() -> None:
    code = "from pydantic import Field\nfrom pydantic_settings import BaseSettings\nclass A(BaseSettings):\n    x: str\n    b: B = Field(default_factory=lambda: B())\nclass B(BaseSettings):\n    a: A = Field(default_factory=A)\nA()\n"
    files = {"Dockerfile": _DOCKERFILE.format("main.py"), "main.py": code}

    (started,) = started_images(MemoryStage(files), None, Config())

    assert "X" in {name for needed in missing(started.variables, {}) for name in needed.read.names}


def test_a_field_keeps_its_default_for_people() -> None:
    tree = ast.parse(
        "class S:\n    a: int = 1\n    b: str = Field('x', alias='B')\n    c: str = Field(default=None)\n    d: str\n"
    )
    (node,) = tree.body
    assert isinstance(node, ast.ClassDef)

    fields = {each.name: each.field for each in fields_of(ModuleNames(tree), "/a.py", node, 2)}

    assert {name: field.default for name, field in fields.items()} == {"a": "1", "b": "'x'", "c": "None", "d": ""}
    assert [name for name, field in fields.items() if field.is_none] == ["c"]
