"""Files that a guessed build context may hold: clean where the target accepts them, unproven where it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from buildguard.check import guessed_context
from buildguard.codes import Code
from buildguard.diagnostic import DisplayPath, Finding, Range, Severity
from buildguard.project.target import Certainty, ContextBasis, PythonVersion, Target
from tests.conftest import BROKEN_BEFORE_312, Project

_GUESS = {
    "docker/Dockerfile": "FROM python:3.11-slim\nCOPY . /opt/app\n",
    "docker/util.py": "print(1)\n",
    "pyproject.toml": '[project]\nname = "b"\nversion = "1"\nrequires-python = ">=3.11"\n',
}


@pytest.mark.parametrize(
    ("source", "code", "reasons"), [("x = 1\n", 0, 0), (BROKEN_BEFORE_312, 3, 1), ("x = (\n", 3, 1)]
)
def test_a_guess_that_nothing_refutes(repository: Callable[..., Project], source: str, code: int, reasons: int) -> None:
    made = repository({**_GUESS, "app/main.py": source})

    report = made.check("--engine", "interpreter").json

    assert report["exit_code"] == code
    assert [row["context"]["known"] for row in report["targets"]] == ["guessed"]
    assert [row["proof"] for row in report["targets"]] == ["compiled"]
    assert any("docker/Dockerfile" in note and "build context" in note for note in report["notes"])
    assert len([item for item in report["unproven"] if item["path"] == "app/main.py"]) == reasons


def test_a_service_of_its_own_is_no_part_of_a_wider_guess(repository: Callable[..., Project]) -> None:
    made = repository(
        {
            **_GUESS,
            "web/Dockerfile": "FROM python:3.12-slim\nCOPY main.py /\n",
            "web/main.py": BROKEN_BEFORE_312,
        }
    )

    assert made.check("--engine", "interpreter").code == 0


def test_what_is_wrong_for_every_python_stays_a_finding() -> None:
    target = Target(PythonVersion(11), "docker/Dockerfile:1", context="docker", reach="")
    target = target._replace(basis=ContextBasis(Certainty.GUESSED, "docker/Dockerfile"))
    findings = [
        Finding(Code.BG101, Range(3), "invalid syntax"),
        Finding(Code.BG106, Range(1), "merge markers"),
        Finding(Code.BG105, Range(1), "invalid escape", severity=Severity.WARNING),
    ]

    standing, unproven = guessed_context.split_by_context(findings, b"app/main.py", DisplayPath("app/main.py"), target)
    inside, none = guessed_context.split_by_context(findings, b"docker/x.py", DisplayPath("docker/x.py"), target)

    assert [finding.code for finding in standing] == ["BG106"]
    assert "docker or the root" in unproven[0].reason
    assert "line 3: invalid syntax" in unproven[0].reason
    assert (inside, none) == (findings, [])
