"""`--format concise`: a line for each finding."""

from __future__ import annotations

from buildguard.cli.render.concise import render
from buildguard.cli.render.layout import Detail, TextLayout
from buildguard.diagnostic import DisplayPath, Severity, Unproven
from tests.cli.render.records import finding, report


def test_a_finding_is_path_line_column_code_and_message() -> None:
    lines = render(
        report(
            finding(message="two\nlines"),
            finding("b.py", "BG105", severity=Severity.WARNING),
            finding(None, "BG403", severity=Severity.WARNING, message="works here, breaks there"),
            unproven=(Unproven(DisplayPath("c.py"), "3.11", "not readable"), Unproven(None, None, "no engine")),
        ),
        TextLayout(root="/work", folder="/work/app"),
    ).splitlines()

    assert lines == [
        "../a.py:3:5: BG101 two\\nlines (Python 3.11)",
        "../b.py:3:5: BG105 invalid syntax (Python 3.11) [warning]",
        "BG403 works here, breaks there [warning]",
        "../c.py: unproven: not readable (Python 3.11)",
        "unproven: no engine",
        "1 error, 2 warnings, 2 unproven in 9 files, 0.2 s",
    ]


def test_two_hundred_findings_are_two_hundred_lines() -> None:
    many = report(*(finding(line=number) for number in range(1, 201)))

    assert len(render(many, TextLayout(lines=24, detail=Detail.QUIET)).splitlines()) == 200


def test_quiet_and_clean_is_empty() -> None:
    assert render(report(), TextLayout(detail=Detail.QUIET)) == ""
    assert render(report(), TextLayout(statistics=True)).splitlines() == ["clean: 9 files compiled, 0.2 s"]
