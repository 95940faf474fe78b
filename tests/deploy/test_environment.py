"""The variables that a deploy refuses without, before anything is built, and those that only deserve a note."""

from __future__ import annotations

from buildguard.deploy.environment import RequiredVariables
from buildguard.deploy.plan import CurrentService
from buildguard.gcp.service_containers import Container
from buildguard.project.config import Config
from buildguard.project.deploy_table import DeployTable
from tests.deploy.plans import prepared
from tests.project.memory import MemoryStage

_FILES = {
    "Dockerfile": "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCMD python main.py\n",
    "main.py": "import os\nA = os.environ['X'], os.environ['PORT'], os.environ['MAYBE']\n",
    "worker.py": "import os\nA = os.environ['WORK']\n",
}


def _required(**table: tuple[str, ...]) -> RequiredVariables:
    return RequiredVariables(MemoryStage(_FILES), Config(deploy=DeployTable(**table)), "web")  # type: ignore[arg-type]


def test_what_the_code_requires_counts_beside_what_is_declared() -> None:
    assert _required(required_env=("DECLARED",)).missing_from(["MAYBE"]) == ("DECLARED", "X (main.py:2)")
    assert _required(optional_env=("MAYBE",)).missing_from(["X"]) == ()
    assert _required().missing_from(["X", "MAYBE"]) == ()


def test_the_command_of_the_service_decides_what_starts() -> None:
    worker = Container(command=("python", "worker.py"))

    assert _required().missing_from([], worker) == ("WORK (worker.py:2)",)


def test_sources_that_cannot_be_read_require_nothing() -> None:
    unreadable = RequiredVariables(MemoryStage({**_FILES, "Dockerfile": None}), Config(), "web")

    assert unreadable.missing_from([]) == ()


def test_a_variable_that_would_be_lost_is_a_warning() -> None:
    serving = CurrentService(known=True, exists=True, rollback_to="web-1", lost=("OLD",))

    made = prepared(serving=serving).plan

    assert any("warning: web-1 has variables that the new revision loses: OLD" in note for note in made.notes)
    assert not any("OLD" in refusal for refusal in made.refusals)
