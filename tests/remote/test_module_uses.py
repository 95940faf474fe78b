"""What a module takes by a dot from its imports, as the compiled code of each Python shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from buildguard.imports.records import NameUse, extract
from buildguard.remote import import_codes
from buildguard.remote.import_codes import STANDARD
from buildguard.remote.module_code import UnclearImportError
from tests.conftest import SOME_VERSIONS
from tests.remote.running import facts_of, newer_facts_of

_SOURCE = b"""\
import config
import app.models as models
import app.db
from app import views as v, own
from . import near
from .pkg import thing as t
import flask
x = config.A.B
def f(u: models.User = v.x):
    return config.late
class K(models.Base, near.N):
    y = t.z
    def m(self):
        return config.inner
app.db.engine.connect()
a = flask.Flask(__name__)
config.A.B, x.y, own
"""
_USES = [
    ["config", 0, "config", "", {"A.B": 8}],
    ["models", 0, "app", "models", {"User": 9, "Base": 11}],
    ["app", 0, "app", "", {"db.engine.connect": 15}],
    ["v", 0, "app", "views", {"x": 9}],
    ["near", 1, "", "near", {"N": 11}],
    ["t", 1, "pkg", "thing", {"z": 12}],
    ["flask", 0, "flask", "", {"Flask": 16}],
]


def _uses(version: str, source: bytes) -> list[Any]:
    rows: list[Any] = json.loads(facts_of(version, source))["uses"]
    return rows


@pytest.mark.parametrize("version", SOME_VERSIONS)
def test_each_python_shows_the_same(version: str) -> None:
    assert _uses(version, _SOURCE) == _USES


@pytest.mark.parametrize("version", SOME_VERSIONS)
def test_names_whose_numbers_take_more_than_a_byte(version: str) -> None:
    many = b"".join(b"x%d = 1\n" % number for number in range(700))

    source = b"import config\n" + many + b"config.DEBUG\nconfig.run()\nconfig.A.B\n"

    assert _uses(version, source) == [["config", 0, "config", "", {"DEBUG": 702, "run": 703, "A.B": 704}]]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "import config\n",
        "x = 1\nx.y\n",
        "import config as c\ndef f():\n    return c.x\n",
        "import os, os.path as p\nos.environ.get('A')\np.join\n",  # of the standard library
        "from logging import handlers\nhandlers.QueueHandler\n",
        "config = object()\nconfig.x\n",
        "import a.b as c\nc = c()\nd = c\nd.x\n",
    ],
)
def test_what_is_no_use(source: str) -> None:
    facts = extract(source.encode(), (3, 11))

    assert facts is not None
    assert facts.uses == ()


def test_a_name_that_is_imported_more_than_once_is_the_first_import() -> None:
    facts = extract(b"import app.a\nimport app.b\napp.a.x\napp.b.y\n", (3, 11))

    assert facts is not None
    assert facts.uses == (NameUse("app", 0, "app", "", {"a.x": 3, "b.y": 4}),)
    assert {"os", "logging"} <= STANDARD


@pytest.mark.interpreters
@pytest.mark.parametrize("version", ["3.14"])
def test_a_newer_python_shows_the_same(version: str, tmp_path: Path) -> None:
    _version, [(verdict, answer)] = newer_facts_of(version, [_SOURCE.decode()], tmp_path)

    assert verdict == "read", answer
    rows = json.loads(answer)["uses"]
    assert rows[0] == _USES[0]
    assert rows[1] == ["models", 0, "app", "models", {"Base": 11}]  # an annotation is not evaluated
    assert rows[2:] == _USES[2:]


def test_an_import_that_code_does_not_show_costs_no_other_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_code: object, _offset: int) -> None:
        raise UnclearImportError

    source = b"import config\ndef f():\n    import other\nconfig.DEBUG\n"
    monkeypatch.setattr(import_codes, "constants_before", refuse)
    facts = extract(source, (3, 11))

    assert facts is not None
    assert [row.module for row in facts.imports] == ["config", "other"]
    assert facts.uses == ()
