"""One report in every format, as it is kept in golden/: read the diff after `python -m tests.cli.render.test_golden`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from buildguard import __version__
from buildguard.check.result import CheckReport
from buildguard.cli.render.formats import FORMATS, render
from buildguard.diagnostic import DisplayPath, Edit, Range, Severity, Unproven
from tests.cli.render.records import finding, report
from tests.cli.render.schemas import GITLAB, junit_problems, sarif_schema
from tests.conftest import schema

_GOLDEN = Path(__file__).with_name("golden")


def _report() -> CheckReport:
    edit = Edit(Range(3, 5, 3, 9), "'x'")
    return report(
        finding("app/a b.py", "BG201", edits=(edit,), message='reuses its quote: <"&\x1b'),
        finding("app/a b.py", "BG201", line=4, message='reuses its quote: <"&\x1b'),
        finding("app/b.py"),
        finding("app/b.py", "BG105", line=9, severity=Severity.WARNING, message="SyntaxWarning: invalid escape"),
        finding(None, "BG403", severity=Severity.WARNING, message="works here, breaks there"),
        unproven=(Unproven(DisplayPath("gone.py"), "3.11", "not readable"), Unproven(None, None, "no engine")),
        notes=("a note",),
    )


def _golden(form: str, text: str) -> str:
    text = text.replace(f'"{__version__}"', '"VERSION"')
    return re.sub(r"\b[0-9a-f]{32}\b", "TOKEN", text) if form == "github" else text


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_is_as_recorded(form: str) -> None:
    assert _golden(form, render(_report(), form)) == (_GOLDEN / f"check.{form}").read_text("utf-8")


def _sarif(text: str) -> None:
    log = json.loads(text)
    jsonschema.Draft7Validator(sarif_schema()).validate(log)
    (run,) = log["runs"]
    assert run["automationDetails"] == {"id": "buildguard/python-3.11/"}
    rules = run["tool"]["driver"]["rules"]
    assert all(rule["fullDescription"]["text"] and rule["help"]["markdown"] for rule in rules)
    assert "helpUri" not in rules[0]
    marks = [result["partialFingerprints"]["buildguard/v1"] for result in run["results"]]
    assert len(set(marks)) == len(marks) == 5


def _gitlab(text: str) -> None:
    issues = json.loads(text)
    jsonschema.Draft202012Validator(GITLAB).validate(issues)
    assert len({issue["fingerprint"] for issue in issues}) == len(issues) == 7
    project = next(issue for issue in issues if issue["check_name"] == "BG403")
    assert project["location"] == {"path": "Dockerfile", "lines": {"begin": 1}}


def _junit(text: str) -> None:
    root = ET.fromstring(text)
    assert junit_problems(text) == []
    cases = root.findall(".//testcase")
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == (str(len(cases)), "3", "2")
    assert len(root.findall(".//system-out")) == 2


def _github(text: str) -> None:
    lines = text.splitlines()
    stop = next(at for at, line in enumerate(lines) if line.startswith("::stop-commands::"))
    token = lines[stop].removeprefix("::stop-commands::")
    assert len(token) == 32
    assert lines[-1] == f"::{token}::"
    assert stop == 7


@pytest.mark.parametrize(
    ("form", "validate"),
    [
        ("json", lambda text: schema("check").validate(json.loads(text))),
        ("sarif", _sarif),
        ("gitlab", _gitlab),
        ("junit", _junit),
        ("github", _github),
    ],
)
def test_a_format_is_valid(form: str, validate: Callable[[str], None]) -> None:
    validate(render(_report(), form))


@pytest.mark.parametrize("strict", [False, True])
def test_junit_fails_exactly_where_the_exit_code_does(strict: bool) -> None:
    warning = finding("a.py", "BG105", severity=Severity.WARNING)
    for result in (report(strict=strict), report(warning, strict=strict), report(finding(), strict=strict)):
        root = ET.fromstring(render(result, "junit"))
        assert (root.get("failures") != "0") is (result.exit_code == 1)
        assert root.findall(".//testcase")


@pytest.mark.parametrize("form", ["json", "sarif", "junit", "github", "gitlab", "concise", "text"])
def test_every_format_names_why_strict_is_unproven(form: str) -> None:
    undecided = report(strict=True)._replace(startup_undecided=("Dockerfile:3: $START",))

    assert "start undecided: Dockerfile:3: $START" in render(undecided, form)


def test_the_structure_check_of_junit_notices() -> None:
    assert junit_problems("<testsuites><testsuite name='x'><testcase/></testsuite></testsuites>")
    assert junit_problems("<testsuites><testcase name='x' line='1'/></testsuites>")
    assert junit_problems("<testsuites tests='-1'/>")
    assert junit_problems("<testsuites tests='1'/>") == []


def test_the_token_is_never_the_same() -> None:
    first, second = (render(_report(), "github").splitlines()[-1] for _ in range(2))

    assert first != second


if __name__ == "__main__":
    for name in FORMATS:
        (_GOLDEN / f"check.{name}").write_text(_golden(name, render(_report(), name)), "utf-8")
