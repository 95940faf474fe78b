"""What `check` finds in the imports is evidence of why a container died while it was imported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from buildguard.codes import Code
from buildguard.diagnose.import_findings import import_findings
from buildguard.diagnose.incident import LocatedFailure, SourceLocation
from buildguard.diagnose.log_parser import read
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity
from tests.conftest import Project

_LOG = """Traceback (most recent call last):
  File "/srv/main.py", line 1, in <module>
    import app.db
  File "/srv/app/db.py", line {line}, in <module>
    {source}
{error}
"""


def _found(error: str, *findings: Diagnostic, line: int = 3, path: str = "app/db.py") -> list[tuple[object, ...]]:
    (failure,) = read(_LOG.format(line=line, source="x", error=error).encode()).failures
    located = LocatedFailure(failure, SourceLocation(path, line))
    return [
        (item.code, item.place.line, item.chain, item.lowest, item.highest)
        for item in import_findings([located], findings)
    ]


def _finding(code: str, message: str, line: int = 3, path: str = "app/db.py") -> Diagnostic:
    return Diagnostic(Code(code), Severity.ERROR, DisplayPath(path), Range(line, 1), message, "", "3.12")


_SELF = _finding("BG602", "cannot import name Self from typing on Python 3.10 (main.py → app.db → typing)")
_IMP = _finding("BG601", "Python 3.12 has no module imp: removed in 3.12")
_UNION = _finding("BG605", "int | None raises TypeError on Python 3.9 at import: it needs Python 3.10", line=4)


@pytest.mark.parametrize(
    ("error", "finding", "expected"),
    [
        (
            "ImportError: cannot import name 'Self' from 'typing' (/usr/lib/python3.10/typing.py)",
            _SELF,
            ("BG602", 3, ("main.py", "app.db", "typing"), "3.11", ""),
        ),
        ("ModuleNotFoundError: No module named 'imp'", _IMP, ("BG601", 3, (), "", "3.11")),
        (
            "TypeError: unsupported operand type(s) for |: 'type' and 'NoneType'",
            _UNION,
            ("BG605", 4, (), "3.10", ""),
        ),
        (
            "ModuleNotFoundError: No module named 'app.gone'",
            _finding("BG604", "no module named 'app.gone': the package 'app' has no such module"),
            ("BG604", 3, (), "", ""),
        ),
        (
            "AttributeError: module 'random' has no attribute 'choice'",
            _finding("BG604", "random.py shadows the standard library's 'random', and never binds 'choice'", line=1),
            ("BG604", 1, (), "", ""),
        ),
    ],
)
def test_the_finding_that_an_exception_is_about(error: str, finding: Diagnostic, expected: tuple[object, ...]) -> None:
    other = _finding("BG604", "no module named 'elsewhere'", line=3)

    assert _found(error, other, finding) == [expected]


@pytest.mark.parametrize(
    "error",
    [
        "ModuleNotFoundError: No module named 'impala'",
        "ImportError: cannot import name 'Never' from 'typing'",
        "TypeError: f() takes 1 positional argument",
        "AttributeError: 'NoneType' object has no attribute 'imp'",
        "KeyError: 'imp'",
    ],
)
def test_an_exception_about_something_else_has_no_finding(error: str) -> None:
    assert _found(error, _SELF, _IMP, _UNION) == []


def test_a_finding_in_another_file_is_no_evidence() -> None:
    assert _found("ModuleNotFoundError: No module named 'imp'", _IMP, path="app/other.py") == []


def test_the_answer_names_place_chain_and_lowest_version(repository: Callable[..., Project]) -> None:
    made = repository(
        {
            "Dockerfile": 'FROM python:3.10-slim\nWORKDIR /srv\nCOPY . .\nCMD ["python", "main.py"]\n',
            "main.py": "import app.db\n",
            "app/__init__.py": "",
            "app/db.py": "import os\n\nfrom typing import Self\n",
        }
    )
    error = "ImportError: cannot import name 'Self' from 'typing' (/usr/local/lib/python3.10/typing.py)"
    made.write({"../start.log": _LOG.format(line=3, source="from typing import Self", error=error)})

    answer = made.run("diagnose", "--log", "../start.log", "--format", "json").json
    text = made.run("diagnose", "--log", "../start.log").out

    (finding,) = answer["imports"]
    assert answer["cause"] == "target-older-than-code"
    assert (finding["code"], finding["path"], finding["line"], finding["lowest"]) == ("BG602", "app/db.py", 3, "3.11")
    assert finding["chain"] == ["main.py", "app.db", "typing"]
    assert "app/db.py, line 3: BG602 cannot import name Self from typing" in text
    assert "the lowest Python that has it is 3.11" in text
