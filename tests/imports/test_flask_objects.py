"""The objects that Flask's configuration loads by name, as Flask 3.1 does: a missing one stops the start."""

from __future__ import annotations

import pytest

from buildguard.imports.flask_objects import flask_objects
from tests.imports.projects import TextProject, findings, lines_of

_MADE = "from flask import Flask\napp = Flask(__name__)\n"
_FILES = {"config.py": "class Prod: pass\n", "pkg/__init__.py": "", "pkg/conf.py": "class Prod: pass\n"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (_MADE + "app.config.from_object('config.Lost')\n", ["error main.py:3 cannot import name 'Lost'"]),
        (_MADE + "app.config.from_object('pkg.conf:Lost')\n", ["error main.py:3 cannot import name 'Lost'"]),
        (_MADE + "app.config.from_object('pkg.lost')\n", ["error main.py:3 cannot import name 'lost'"]),
        (_MADE + "app.config.from_object('pkg.lost.Prod')\n", ["error main.py:3 no module named 'pkg.lost'"]),
        (_MADE + "app.config.from_object('Config')\n", ["error main.py:3 no module named 'Config': it is spelled 'config'"]),
        (_MADE + "if app:\n    app.config.from_object('config.Lost')\n", ["warning main.py:4 cannot import name 'Lost'"]),
        ("import flask\ndef make():\n    app = flask.Flask('x')\n    app.config.from_object('config.Lost')\n    return app\n", ["warning main.py:4 cannot import name 'Lost'"]),
        ("from quart import Quart\nq: Quart = Quart('x')\nq.config.from_object('config.Lost')\n", ["error main.py:3 cannot import name 'Lost'"]),
        (_MADE + "app.config.from_object('config')\napp.config.from_object('config.Prod')\napp.config.from_object('pkg.conf')\n", []),
        (_MADE + "try:\n    app.config.from_object('config.Lost')\nexcept ImportError:\n    pass\n", []),
        (_MADE + "app = other()\napp.config.from_object('config.Lost')\n", []),
        (_MADE + "app.config.from_object(config)\napp.config.from_object(f'config.{NAME}')\n", []),
        (_MADE + "app.config.from_object('not a name')\n", []),
        ("from flask import x\ndef f(app):\n    app.config.from_object('config.Lost')\n", []),
        ("from other import Flask\napp = Flask()\napp.config.from_object('config.Lost')\n", []),
    ],
)  # fmt: skip
def test_an_object_that_the_configuration_names(source: str, expected: list[str]) -> None:
    rows = findings({**_FILES, "main.py": source}, "main.py", ("flask", "quart", "other"))

    assert len(rows) == len(expected)
    assert all(row.startswith(start) for row, start in zip(rows, expected, strict=True))


@pytest.mark.parametrize(
    ("call", "severity"),
    [
        ("app.config.from_object('config.Prod')\n", "error"),
        ("if app:\n    app.config.from_object('config.Prod')\n", "warning"),
    ],
)
def test_what_the_configuration_imports_is_executed(call: str, severity: str) -> None:
    files = {**_FILES, "config.py": "from pkg import lost\nclass Prod: pass\n", "main.py": _MADE + call}

    assert findings(files, "main.py", ("flask",)) == [
        f"{severity} config.py:1 cannot import name 'lost': pkg/__init__.py never binds it"
    ]


def test_only_modules_that_import_flask_are_read() -> None:
    project = TextProject({"main.py": "import app\nx.config.from_object('config.Lost')\n", "app.py": _MADE}, "main.py")
    module = TextProject(project.files, "app").program.starts[0]

    assert lines_of(project.judge()) == []
    assert [*flask_objects([module], {"/srv/app.py": b"app.config.from_object(b\n"}.get)] == []
