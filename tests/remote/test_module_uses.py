"""What a module takes by a dot from its imports, as the compiled code of each Python shows it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from buildguard.engines.interpreter import local_probe
from buildguard.imports.records import NameUse, extract
from buildguard.remote.import_codes import STANDARD
from buildguard.remote.wire import read_list
from tests.conftest import SOME_VERSIONS, interpreter
from tests.remote.running import facts_request
from tests.wasm import ask_wasm

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
    command = list(local_probe(interpreter(version), 2 << 30))
    asked = facts_request() + b"0 %d 30\n%b" % (len(source), source)
    done = subprocess.run(command, input=asked, capture_output=True, check=True)
    first = read_list(done.stdout, 0)
    assert first is not None
    answer = read_list(done.stdout, first[1])
    assert answer is not None
    rows: list[Any] = json.loads(answer[0][11])["uses"]
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
    from buildguard.engines.verify_interpreter import facts_text

    program = f"""
import json
facts = {{}}
exec(compile({facts_text().decode()!r}, "<facts>", "exec"), facts)
answers = []
for text in json.loads(ASKED):
    code = compile(text, "<source>", "exec", 0, True)
    answers.append(facts["facts_here"](text.encode(), code).decode())
json.dumps(answers)
"""
    (answer,) = ask_wasm(version, program, [_SOURCE.decode()], tmp_path)

    rows = json.loads(answer)["uses"]
    assert rows[0] == _USES[0]
    assert rows[1] == ["models", 0, "app", "models", {"Base": 11}]  # an annotation is not evaluated
    assert rows[2:] == _USES[2:]
