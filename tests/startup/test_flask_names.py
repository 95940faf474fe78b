"""The application that flask takes from a module: which it finds and which not, as `find_best_app` of Flask 3.0.3 answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.project.start_command import CommandPlace, StartCommand
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.flask_names import check_names, check_options
from tests.startup.projects import report_of, rows_of

_IMPORT = "from flask import Flask, current_app\n"
_FOUND = [
    "app = Flask('x')\n",
    "application = Flask('x')\n",
    "shop = Flask('x')\n",
    "def create_app():\n    return Flask('x')\n",
    "def make_app(a=1, *, b=2):\n    return Flask('x')\n",
    "class C:\n    pass\ndef build():\n    return Flask('x')\napp = build()\n",
    "if True:\n    shop = Flask('x')\n",
]
_MISSING = [
    "def build_app():\n    return Flask('x')\n",
    "class Shop:\n    app = Flask('x')\n",
    "import os\nNAME = 'app'\n\ndef main():\n    app = Flask('x')\n",
    "def create_app(settings):\n    return Flask('x')\n",
    "def create_app(*, settings):\n    return Flask('x')\n",
    "def make_app(a, b=1):\n    return Flask('x')\n",
    "",
]
_OPEN = [
    "from shop import site\n",
    "from core import APP\n",
    "from .core import Shop\n",
    "from shop import *\n",
    "SETTINGS = read()\n",
    "(shop := Flask('x'))\n",
    "def init():\n    global shop\n    shop = Flask('x')\n\ninit()\n",
]
_HEAD = "FROM python:3.12-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install -r requirements.txt\n"


def _rows(tmp_path: Path, source: str, words: str = "--app main run") -> tuple[list[str], tuple[str, ...]]:
    docker = f"{_HEAD}CMD flask {words} --host 0.0.0.0 --port 8080\n"
    report = report_of(tmp_path, {"Dockerfile": docker, "main.py": f"{_IMPORT}{source}"})
    return [row[0] for row in rows_of(report)], tuple(report.undecided)


@pytest.mark.parametrize("source", _FOUND)
def test_an_application_that_flask_finds(tmp_path: Path, source: str) -> None:
    assert _rows(tmp_path, source)[0] == []


@pytest.mark.parametrize("source", _MISSING)
def test_an_application_that_flask_does_not_find(tmp_path: Path, source: str) -> None:
    assert _rows(tmp_path, source)[0] == ["BG701"]


@pytest.mark.parametrize("source", _OPEN)
def test_what_may_be_an_application(tmp_path: Path, source: str) -> None:
    codes, undecided = _rows(tmp_path, f"{source}def build():\n    return 1\n")

    assert codes == []
    assert undecided


@pytest.mark.parametrize("words", ["run --app main", "run -A main", "run --app=main"])
def test_an_option_of_flask_behind_its_command(tmp_path: Path, words: str) -> None:
    assert _rows(tmp_path, "app = Flask('x')\n", words)[0] == ["BG701"]


def test_options_of_run_are_not_those_of_flask() -> None:
    place, findings = FindingPlace("Dockerfile", 3), StartupFindings()

    def check(*words: str) -> bool:
        return check_options(StartCommand(CommandPlace("Dockerfile", 3), arguments=words), place, findings)

    assert check("--app", "main", "run", "--port", "8080")
    assert not findings.report().diagnostics
    assert not check("run", "-A", "main")
    assert [row.range.line for row in findings.report().diagnostics] == [3]


def test_a_module_that_was_not_read_is_undecided() -> None:
    findings = StartupFindings()
    check_names(None, "main.py", FindingPlace("Dockerfile", 3), findings)

    assert not findings.report().diagnostics
    assert findings.report().undecided == ("Dockerfile:3: main.py may bind its application in ways that are not read",)
