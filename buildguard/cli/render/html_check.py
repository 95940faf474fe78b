"""`check` as a page: the summary, what is unproven, the way of the bytes, the files, and every finding with its line."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from buildguard.check.result import CheckReport, TargetRow
from buildguard.cli.render.check_text import (
    evidence,
    image_lines,
    moving_target,
    pythons,
    severities,
    summary,
    target_line,
)
from buildguard.cli.render.html_matrix import failing_files, matrix, refused_files, unproven_paths
from buildguard.cli.render.html_page import MOODS, Drawing, PageLine, chain_rows, draw, draw_chain, render_page
from buildguard.cli.render.rehearsal import table as rehearsal_table
from buildguard.cli.render.source_line import window
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Diagnostic, count, unproven_line
from buildguard.project.proof_grade import ProofGrade


class PageFinding(NamedTuple):
    """A finding on the page; `lines` is its source line, if it is known."""

    place: str
    code: str
    severity: str
    message: str
    hint: str
    evidence: str
    lines: tuple[PageLine, ...]


class PageFile(NamedTuple):
    """A file with findings; `path` is "the project" for those of no file."""

    path: str
    counts: str
    codes: str
    findings: tuple[PageFinding, ...]


def page(report: CheckReport, stage: str) -> str:
    """The whole page; `stage` is what was checked, as on the command line."""
    several = len(report.targets) > 1
    return render_page(
        "check.html",
        {
            "title": summary(report),
            "mood": MOODS.get(report.exit_code, "open"),
            "lead": [*map(target_line, report.targets), *moving_target(report)],
            "unproven": [unproven_line(item) for item in report.reported_unproven],
            "chain": draw_chain(report.chain) if report.chain is not None else None,
            "rows": chain_rows(report.chain) if report.chain is not None else [],
            "rehearsal": rehearsal_table(report.rehearsal) if report.rehearsal is not None else None,
            "compilers": [_draw_compiler(report, row, stage) for row in report.targets],
            "files": list(_files(report)),
            "matrix": matrix([report], [report.chain] if report.chain is not None else []) if several else None,
            "image": image_lines(report.image, None) if report.image is not None else [],
            "notes": report.notes,
        },
    )


def _draw_compiler(report: CheckReport, row: TargetRow, stage: str) -> Drawing:
    """The last hop: from the stage that was read to the interpreter that compiled its bytes."""
    names = [
        (stage, count(row.files, "file")),
        (f"Python {row.python}", row.interpreter or "not compiled"),
    ]
    return draw(names, [_compiler_arrow(report, row)])


def _compiler_arrow(report: CheckReport, row: TargetRow) -> tuple[str, str]:
    refused, unproven = refused_files(report, row), len(unproven_paths(report, row))
    failing = len(failing_files(report, row) - refused.keys())
    if rejected := len(refused):
        return f"{rejected} rejected", "first"
    if failing:
        return f"{failing} with errors", "first"
    if row.proof in {ProofGrade.NONE, ProofGrade.PREDICTED}:
        return {"none": "not seen", "predicted": "predicted"}[row.proof], "unseen"
    return (f"{unproven} unproven", "unseen") if unproven else ("all compile", "same")


def _files(report: CheckReport) -> Iterator[PageFile]:
    for path, group in groupby(report.diagnostics, key=lambda diagnostic: diagnostic.path):
        findings = list(group)
        codes = ", ".join(dict.fromkeys(diagnostic.code for diagnostic in findings))
        counts = ", ".join(severities(findings))
        yield PageFile(path or "the project", counts, codes, tuple(map(_finding, findings)))


def _finding(diagnostic: Diagnostic) -> PageFinding:
    place = ":".join(str(number) for number in diagnostic.range[:2] if number is not None)
    message = f"{diagnostic.message}{pythons(diagnostic)}"
    lines = tuple(_line(diagnostic))
    return PageFinding(
        place, diagnostic.code, diagnostic.severity, message, diagnostic.hint, evidence(diagnostic), lines
    )


def _line(diagnostic: Diagnostic) -> Iterator[PageLine]:
    if diagnostic.range.line is None or not diagnostic.excerpt.strip():
        return
    shown = window(diagnostic)
    is_marked = diagnostic.range.column is not None
    pieces = (
        ("…" * shown.cut_before + shown.before, False),
        (shown.marked, is_marked),
        (shown.after + "…" * shown.cut_after, False),
    )
    yield PageLine(diagnostic.range.line, pieces, at=False)
