"""`check` for people: everything, or on a terminal a line for each file first."""

from __future__ import annotations

import pytest

from buildguard.cli.render.check_text import render, severities, shown_path, summary
from buildguard.cli.render.layout import Detail, TextLayout
from buildguard.diagnostic import DisplayPath, Severity, Unproven
from buildguard.imports.records import UndecidedImport
from tests.cli.render.records import finding, report

_SCREEN = TextLayout(lines=24, width=80)


def test_a_large_file_does_not_hide_the_files_after_it() -> None:
    many = [finding("big.py", line=number) for number in range(1, 61)]
    lines = render(report(*many, finding("small.py", "BG102")), _SCREEN).splitlines()

    assert lines[:2] == ["big.py:1: 60 errors (BG101)", "small.py:3: 1 error (BG102)"]
    assert len(lines) <= 24
    assert any(line.endswith("more; --all shows them, --format concise in one line each") for line in lines)


def test_every_finding_is_counted_as_shown_or_as_more() -> None:
    text = render(report(*(finding(f"m{number:03}.py") for number in range(100))), _SCREEN)

    shown = text.count("BG101 error:")
    assert shown >= 1
    assert f"… and {100 - shown} more;" in text
    assert all(f"m{number:03}.py:3: 1 error" in text for number in range(100))


def test_a_report_that_fits_has_no_overview() -> None:
    assert render(report(finding()), _SCREEN) == render(report(finding()), TextLayout())


@pytest.mark.parametrize("lines", [1, 10, 24, 60])
def test_the_screen_is_kept_where_files_are_few(lines: int) -> None:
    text = render(report(*(finding("a.py", line=number) for number in range(1, 90))), TextLayout(lines=lines, width=80))

    assert len(text.splitlines()) <= max(lines, 12)
    assert "--all shows them" in text


def test_without_a_screen_nothing_is_left_out() -> None:
    unproven = tuple(Unproven(DisplayPath(f"u{number}.py"), None, "not readable") for number in range(50))
    notes = tuple(f"note {number}" for number in range(30))
    text = render(
        report(*(finding(line=number) for number in range(1, 51)), unproven=unproven, notes=notes), TextLayout()
    )

    assert (text.count("BG101 error"), text.count("unproven: "), text.count("note: ")) == (50, 50, 30)
    assert "--all" not in text


def test_paths_are_relative_to_the_folder_of_the_command() -> None:
    below = TextLayout(root="/work", folder="/work/app/x")
    result = report(finding("app/a.py"), unproven=(Unproven(DisplayPath("b.py"), None, "not readable"),))

    assert shown_path(below, "app/a.py") == "../a.py"
    assert shown_path(below, "app/x/c.py") == "c.py"
    assert shown_path(TextLayout(root="/work/a", folder="/work/b"), "c.py") == "../a/c.py"
    assert "\nunproven: ../../b.py: not readable\n" in render(result, below)


def test_quiet_keeps_findings_and_what_is_unproven() -> None:
    text = render(
        report(finding(), unproven=(Unproven(DisplayPath("b.py"), None, "not readable"),), notes=("a note",)),
        TextLayout(detail=Detail.QUIET),
    )

    assert "BG101 error" in text
    assert "unproven: b.py: not readable" in text
    assert not [word for word in ("note:", "Python 3.11 (Dockerfile", "in 9 files") if word in text]
    assert render(report(), TextLayout(detail=Detail.QUIET)) == ""


def test_verbose_repeats_hints_and_names_the_engine() -> None:
    both = report(finding(line=1), finding(line=2))

    assert render(both, TextLayout()).count("hint: fix the syntax") == 1
    verbose = render(both, TextLayout(detail=Detail.VERBOSE))
    assert verbose.count("hint: fix the syntax") == 2
    assert verbose.count("[interpreter]") == 2


def test_statistics_count_each_code() -> None:
    findings = (finding(line=1), finding(line=2), finding("b.py", "BG105", severity=Severity.WARNING))
    lines = render(
        report(*findings, unproven=(Unproven(None, None, "no engine"),)), TextLayout(statistics=True)
    ).splitlines()

    assert lines[0] == "     2  BG101 error: the target Python rejects the file"
    assert lines[1].startswith("     1  BG105 warning: ")
    assert "unproven: no engine" in lines
    assert lines[-1] == "2 errors, 1 warning, 1 unproven in 9 files, 0.2 s"


def test_what_is_left_out_is_folded_at_the_width_of_the_terminal() -> None:
    many = report(*(finding(f"{'long_' * 6}{number}.py", line=number) for number in range(1, 60)))
    text = render(many, TextLayout(lines=24, width=60))

    assert "\n… and 58 more; --all shows them, --format concise in one\n  line each\n" in text
    assert max(map(len, text.splitlines())) <= 60
    statistics = render(report(finding("a.py", "BG409")), TextLayout(lines=24, width=30, statistics=True))
    assert max(map(len, statistics.splitlines())) <= 30


def test_hints_are_folded_at_the_width_of_the_terminal() -> None:
    hinted = finding()._replace(hint="put the expression into a name before the f-string " * 3)
    lines = render(report(hinted), TextLayout(lines=24, width=40)).splitlines()

    assert max(len(line) for line in lines if line.startswith("      ")) <= 40


def test_the_summary_never_calls_something_unproven_clean() -> None:
    assert summary(report()) == "clean: 9 files compiled, 0.2 s"
    hidden = report()._replace(hidden=2)
    assert summary(hidden) == "nothing new: 9 files checked, 2 known findings not shown, 0.2 s"
    assert summary(report(unproven=(Unproven(None, None, "no engine"),))) == "1 unproven in 9 files, 0.2 s"
    assert severities([finding()]) == ["1 error"]


def test_what_is_undecided_about_the_start_is_shown_where_it_counts() -> None:
    undecided = report()._replace(startup_undecided=("Dockerfile:3: the program $START is unknown",))
    strict = undecided._replace(strict=True)
    line = "start undecided: Dockerfile:3: the program $START is unknown"

    assert undecided.exit_code == 0
    assert line not in render(undecided, TextLayout())
    assert line in render(undecided, TextLayout(detail=Detail.VERBOSE))
    assert strict.exit_code == 3
    assert f"unproven: {line}" in render(strict, TextLayout(detail=Detail.QUIET))
    assert render(strict, TextLayout()).splitlines()[-1].startswith("1 unproven in 9 files")
    assert render(strict, TextLayout(detail=Detail.VERBOSE)).count(line) == 1


def test_undecided_imports_are_for_those_who_ask() -> None:
    result = report()._replace(undecided_imports=(UndecidedImport("a.py", 3, "the name is computed"),))

    assert "import undecided: a.py:3: the name is computed" in render(result, TextLayout(detail=Detail.VERBOSE))
    assert "undecided" not in render(result, TextLayout())
