"""`check --rehearse`: what breaks when the base moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.check.rehearsal import rehearse
from buildguard.check.result import CheckReport, TargetRow
from buildguard.cli.render.rehearsal import matrix
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity, Unproven
from buildguard.errors import UsageError
from tests.conftest import Project

if TYPE_CHECKING:
    from collections.abc import Callable

_FILES = {
    "both.py": "x = 1\n",
    "newer.py": "import tomllib\n",
    "older.py": "import imp\n",
    "warns.py": "def f():\n    import imp\n",
}


def test_the_matrix_names_what_breaks_where(repository: Callable[..., Project]) -> None:
    project = repository(_FILES)

    result = project.run("check", "--target", "3.12", "--target", "3.10", "--rehearse")

    assert result.code == 1
    assert result.out.splitlines()[:4] == [
        "          3.10   3.12   works from",
        "newer.py  BG601  ok     3.12",
        "older.py  ok     BG601  3.10",
        "2 files without errors on any of them: from 3.10",
    ]


def test_programs_get_the_same(repository: Callable[..., Project]) -> None:
    project = repository(_FILES)

    answer = project.check("--target", "3.10", "--target", "3.12", "--rehearse").json

    assert answer["rehearsal"] == {
        "targets": ["3.10", "3.12"],
        "predicted": [],
        "files": [
            {"path": "newer.py", "codes": {"3.10": ["BG601"]}, "unproven": [], "lowest": "3.12"},
            {"path": "older.py", "codes": {"3.12": ["BG601"]}, "unproven": [], "lowest": "3.10"},
        ],
        "others": 2,
    }
    assert "rehearsal" not in project.check("--target", "3.10").json


def test_one_target_is_no_rehearsal(repository: Callable[..., Project]) -> None:
    result = repository(_FILES).run("check", "--target", "3.12", "--rehearse")

    assert result.code == 2
    assert "--target 3.13 --target 3.14 --rehearse" in result.err


def _row(python: str) -> TargetRow:
    return TargetRow(python, "--target", "interpreter", "compiled", f"CPython {python}.1", None, None, 3, 0)


def test_what_could_not_be_examined_is_no_version_that_works() -> None:
    report = CheckReport(
        ".",
        (_row("3.13"), _row("3.14")._replace(proof="predicted")),
        (Diagnostic(Code.BG101, Severity.ERROR, DisplayPath("a.py"), Range(1), "m", target="3.14"),),
        (Unproven(DisplayPath("a.py"), "3.13", "why"),),
        (),
        3,
        0.1,
    )

    rehearsal = rehearse(report)

    assert rehearsal.files[0].lowest is None
    assert matrix(rehearsal) == [
        "      3.13      3.14 (predicted)  works from",
        "a.py  unproven  BG101             none of them",
        "2 files without errors on any of them: from 3.13",
        "",
    ]
    assert matrix(rehearsal, 44) == [
        "a.py",
        "  3.13 unproven, 3.14 (predicted) BG101,",
        "  works from none of them",
        "2 files without errors on any of them:",
        "  from 3.13",
        "",
    ]
    assert matrix(rehearsal, 80) == matrix(rehearsal)
    with pytest.raises(UsageError):
        rehearse(report._replace(targets=report.targets[:1]))
