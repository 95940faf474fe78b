"""`buildguard env`: the contract with the environment in its three formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from buildguard.cli.env import env
from buildguard.cli.render.env import as_dotenv, as_json, as_text
from buildguard.errors import UnprovenError
from buildguard.startup.variables.survey import ContractVariable, ImageContract, Need
from tests.conftest import schema

_CONTRACT = ImageContract(
    "web",
    (
        ContractVariable(("DATABASE_URL", "DB"), Need.START, "", ("os.environ",), ("main.py:2",), ""),
        ContractVariable(("PORT",), Need.START, "", ("os.environ",), ("main.py:3",), "the platform"),
        ContractVariable(("MODE",), Need.OPTIONAL, "'dev'", ("os.getenv",), ("main.py:4", "b.py:1"), ""),
    ),
    is_known=True,
    undecided=("main.py:9 loads variables of a file whose name is computed",),
)


def test_the_table_shows_what_sets_each_variable() -> None:
    text = as_text([_CONTRACT])

    assert "DATABASE_URL or DB  required at start  not set here         main.py:2" in text
    assert "PORT                required at start  set by the platform" in text
    assert "default 'dev'" in text
    assert "not set: DATABASE_URL or DB (BG706)" in text
    assert "undecided: main.py:9" in text
    assert "set these where the service is deployed" in as_text([_CONTRACT._replace(is_known=False)])


def test_json_keeps_to_its_schema() -> None:
    answer = json.loads(as_json([_CONTRACT]))

    schema("env").validate(answer)
    assert answer["images"][0]["variables"][0]["aliases"] == ["DB"]


def test_dotenv_leaves_out_what_the_platform_sets() -> None:
    assert as_dotenv([_CONTRACT]) == (
        "# web\n# required at start: main.py:2, also DB\nDATABASE_URL=\n# optional: main.py:4\n# MODE=dev\n"
    )


def test_dotenv_blanks_nothing_that_is_set() -> None:
    log = ContractVariable(("LOG",), Need.START, "", ("os.environ",), ("main.py:3",), "Dockerfile:4")
    web = ImageContract("web", (log,), is_known=True)
    worker = ImageContract("worker", (log._replace(set_by="", places=("work.py:1",)),), is_known=True)
    comment, line = (
        "# required at start, set by Dockerfile:4: main.py:3\n# LOG=\n",
        "# required at start: work.py:1\nLOG=\n",
    )

    assert as_dotenv([web, web]) == f"# web\n{comment}# web\n"
    assert as_dotenv([web, worker]) == f"# web\n{comment}# worker\n{line}"
    assert as_dotenv([worker, web]) == f"# worker\n{line}# web\n"


def test_the_command_reads_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("buildguard.system.git.repository_of", lambda _folder: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text("FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCMD python main.py\n")
    (tmp_path / "main.py").write_text("import os\nA = os.environ['X']\n")

    shown = CliRunner().invoke(env, [], catch_exceptions=False)
    written = CliRunner().invoke(env, ["--format", "dotenv", "--output", "example"], catch_exceptions=False)

    assert (shown.exit_code, written.exit_code) == (0, 0)
    assert "X  required at start  not set here  main.py:2" in shown.output
    assert (tmp_path / "example").read_text().endswith("X=\n")
    (tmp_path / "Dockerfile").write_text("FROM python:3.11-slim\n")
    with pytest.raises(UnprovenError, match="no start command is known"):
        CliRunner().invoke(env, [], catch_exceptions=False)
