"""Files by targets: which Python rejects which file, as a table of a page."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from buildguard.check.result import CheckReport, TargetRow
from buildguard.compare.chain import Chain
from buildguard.compare.difference import ChangeKind
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Severity, display_path
from buildguard.project.proof_grade import ProofGrade

_OF_SOURCES = ("BG1", "BG2")  # the codes that say something of a source
_MOST_FILES = 200


class MatrixCell(NamedTuple):
    """What one engine made of one file: `mark` is no (refused), yes (accepted), or quiet (unknown)."""

    mark: str
    words: str


class TargetColumn(NamedTuple):
    """One target as one engine judged it, and what it made of all the files together."""

    python: str
    who: str
    how: str
    sum: MatrixCell


def matrix(reports: Sequence[CheckReport], chains: Sequence[Chain]) -> dict[str, Any]:
    """Which file each target's Python refuses, by engine: the repository's own, then that of each image."""
    lost = {
        display_path(row.path)
        for chain in chains
        for hop in chain.hops
        for row in hop.findings
        if row.change == ChangeKind.REMOVED
    }
    judged = [(report, row) for report in reports for row in report.targets]
    refused = [refused_files(report, row) for report, row in judged]
    rows = [
        (path, [_cell(path, report, row, cells, lost) for (report, row), cells in zip(judged, refused, strict=True)])
        for path in sorted({path for cells in refused for path in cells})
    ]
    columns = [
        TargetColumn(row.python, _who(row), f"{row.engine or 'none'}, {row.proof}", _sum(report, row, len(cells)))
        for (report, row), cells in zip(judged, refused, strict=True)
    ]
    return {"columns": columns, "rows": rows[:_MOST_FILES], "more": max(0, len(rows) - _MOST_FILES)}


def refused_files(report: CheckReport, row: TargetRow) -> dict[str, str]:
    """The files that a target refuses, each with the first reason."""
    reasons: dict[str, str] = {}
    for diagnostic in report.diagnostics:
        refuses = diagnostic.severity is Severity.ERROR and diagnostic.code.startswith(_OF_SOURCES)
        if refuses and diagnostic.path and row.python in (diagnostic.shared or (diagnostic.target or "",)):
            reasons.setdefault(diagnostic.path, f"✗ {diagnostic.code} in line {diagnostic.range.line or '?'}")
    return reasons


def failing_files(report: CheckReport, row: TargetRow) -> set[str]:
    """The files with an error of any kind on a target: one that compiles may still fail where it is imported."""
    return {
        diagnostic.path
        for diagnostic in report.diagnostics
        if diagnostic.path and diagnostic.severity is Severity.ERROR and row.python in diagnostic.shared
    }


def unproven_paths(report: CheckReport, row: TargetRow) -> set[str | None]:
    """What is unproven for a target; None stands for all of it."""
    return {item.path for item in report.unproven if item.target in {None, row.python}}


def _cell(
    path: str, report: CheckReport, row: TargetRow, refused: Mapping[str, str], lost: Collection[str]
) -> MatrixCell:
    """What a column says of a file that one of them refuses; a silence is no acceptance."""
    if path in refused:
        return MatrixCell("no", refused[path])
    if row.image_id and path in lost:
        return MatrixCell("quiet", "not there")
    unproven = unproven_paths(report, row)
    if row.proof == ProofGrade.NONE or unproven & {path, None}:
        return MatrixCell("quiet", "not judged")
    # a target that covers some of the files only may not cover this one, and a prediction is no acceptance
    is_accepted = row.files == report.files and row.proof != ProofGrade.PREDICTED
    return MatrixCell("yes", "✓ accepted") if is_accepted else MatrixCell("quiet", "not refused")


def _sum(report: CheckReport, row: TargetRow, refused: int) -> MatrixCell:
    unproven = unproven_paths(report, row)
    if row.proof == ProofGrade.NONE or None in unproven:
        return MatrixCell("quiet", "not judged")
    count = max(0, row.files - refused - len(unproven))
    if row.proof == ProofGrade.PREDICTED:
        return MatrixCell("quiet", f"{count} of {row.files} not refused")
    if refused:
        return MatrixCell("no", f"✗ {refused} of {row.files} refused, {count} accepted")
    words = f"✓ {count} of {row.files} accepted"
    return MatrixCell("quiet", f"{words}, {len(unproven)} not judged") if unproven else MatrixCell("yes", words)


def _who(row: TargetRow) -> str:
    """Whose Python it is: the interpreter's, with its image."""
    return f"{row.interpreter or 'no interpreter'}{f' in {row.image}' if row.image_id else ''}"
