"""A diagnosis as one self-contained page: no network, no script, light and dark, for a phone and for paper.

All content is foreign, source under check most of all: the template escapes everything, and what a reader could not see
(controls, changes of direction) is spelled out before it gets there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from buildguard import __version__
from buildguard.check.result import CheckReport, TargetRow
from buildguard.compare.chain import Chain
from buildguard.compare.difference import ChangeKind
from buildguard.diagnose.redact import redact
from buildguard.diagnose.run import DiagnosisReport, SourceExcerpt
from buildguard.diagnose.verdict import PROVEN, REFUTED, UNTESTED
from buildguard.diagnostic import Range, Severity, display_path, escape_text, shorten_digests
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import DeployHistory
from buildguard.project.ledger import StepVerdict

_TEMPLATE = Path(__file__).with_name("report.html")
_OF_SOURCES = ("BG1", "BG2")  # the codes that say something of a source
_MOST_FILES, _MOST_ATTEMPTS = 200, 30
_STEP, _WIDTH, _HEIGHT = 250, 190, 64  # of the drawing, in its own units


class StageBox(NamedTuple):
    """A stage in the drawing."""

    x: int
    name: str
    digest: str


class HopArrow(NamedTuple):
    """A hop in the drawing: where it begins and ends, its words, and how it is marked (same, changed, first or unseen)."""

    x1: int
    x2: int
    words: str
    mark: str


def page(examined: DiagnosisReport) -> str:
    """The whole page."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["plain"] = lambda text: escape_text(redact(str(text)))
    diagnosis = examined.diagnosis
    order = {PROVEN: 0, REFUTED: 2, UNTESTED: 1}
    hypotheses = sorted(
        diagnosis.hypotheses, key=lambda hypothesis: (hypothesis.id != diagnosis.cause, order[hypothesis.verdict])
    )
    return environment.from_string(_TEMPLATE.read_text("utf-8")).render(
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        cause=diagnosis.cause,
        mood={0: "good", 1: "bad"}.get(diagnosis.exit_code, "open"),
        sentence=diagnosis.sentence,
        places=[str(place) for place in diagnosis.place],
        subject=examined.subject,
        proven=[hypothesis for hypothesis in hypotheses if hypothesis.verdict == PROVEN],
        hypotheses=hypotheses,
        following=[str(place) for place in diagnosis.next],
        remedies=diagnosis.remedies,
        notes=diagnosis.notes,
        chains=[_drawing(chain) for chain in examined.chains],
        matrix=_matrix([examined.report, *examined.reports], examined.chains),
        excerpts=[_excerpt(excerpt) for excerpt in examined.lines],
        attempts=_attempts(examined.attempts),
    )


def _drawing(chain: Chain) -> dict[str, Any]:
    """The chain of custody: a box for each stage, an arrow for each hop, the first change marked."""
    boxes = [
        StageBox(
            number * _STEP + 5,
            _cut(shorten_digests(snapshot.stage)),
            snapshot.manifest.digest.removeprefix("sha256:")[:12],
        )
        for number, snapshot in enumerate(chain.snapshots)
    ]
    first = chain.first_changed
    arrows = []
    for number, hop in enumerate(chain.hops):
        if hop.identical:
            words, mark = "identical", "same"
        elif hop.findings:
            words, mark = f"{len(hop.findings)} differ", "first" if number == first else "changed"
        else:
            words, mark = "not seen whole" if hop.incomparable or hop.after.unproven else "as asked for", "unseen"
        arrows.append(HopArrow(boxes[number].x + _WIDTH, boxes[number + 1].x, words, mark))
    rows = [
        {
            "hop": f"{shorten_digests(hop.before.stage)} → {shorten_digests(hop.after.stage)}",
            "path": difference.path.decode("utf-8", "backslashreplace"),
            "change": difference.change,
            "cause": difference.cause,
            "evidence": shorten_digests(difference.evidence.partition("\n")[0]),
        }
        for hop in chain.hops
        for difference in hop.findings[:_MOST_FILES]
    ]
    return {
        "boxes": boxes,
        "stages": [
            {"name": shorten_digests(snapshot.stage), "digest": snapshot.manifest.digest}
            for snapshot in chain.snapshots
        ],
        "arrows": arrows,
        "rows": rows,
        "width": boxes[-1].x + _WIDTH + 5,
        "height": _HEIGHT,
        "box_width": _WIDTH,
    }


def _cut(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:12]}…{name[-13:]}"  # noqa: PLR2004  what a box holds


class MatrixCell(NamedTuple):
    """What one engine made of one file: `mark` is no (refused), yes (accepted), or quiet (nobody can say)."""

    mark: str
    words: str


class TargetColumn(NamedTuple):
    """One target as one engine judged it, and what it made of all the files together."""

    python: str
    who: str
    how: str
    sum: MatrixCell


def _matrix(reports: Sequence[CheckReport], chains: Sequence[Chain]) -> dict[str, Any]:
    """Which file each target's Python refuses, by engine: the repository's own, then that of each image."""
    lost = {
        display_path(row.path)
        for chain in chains
        for hop in chain.hops
        for row in hop.findings
        if row.change == ChangeKind.REMOVED
    }
    judged = [(report, row) for report in reports for row in report.targets]
    refused = [_refused(report, row) for report, row in judged]
    rows = [
        (path, [_cell(path, report, row, cells, lost) for (report, row), cells in zip(judged, refused, strict=True)])
        for path in sorted({path for cells in refused for path in cells})
    ]
    columns = [
        TargetColumn(row.python, _who(row), f"{row.engine or 'none'}, {row.proof}", _sum(report, row, len(cells)))
        for (report, row), cells in zip(judged, refused, strict=True)
    ]
    return {"columns": columns, "rows": rows[:_MOST_FILES], "more": max(0, len(rows) - _MOST_FILES)}


def _refused(report: CheckReport, row: TargetRow) -> dict[str, str]:
    """The files that a target refuses, each with the first reason."""
    reasons: dict[str, str] = {}
    for diagnostic in report.diagnostics:
        refuses = diagnostic.severity is Severity.ERROR and diagnostic.code.startswith(_OF_SOURCES)
        if refuses and diagnostic.path and row.python in (diagnostic.shared or (diagnostic.target or "",)):
            reasons.setdefault(diagnostic.path, f"✗ {diagnostic.code} in line {diagnostic.range.line or '?'}")
    return reasons


def _unproven(report: CheckReport, row: TargetRow) -> set[str | None]:
    return {item.path for item in report.unproven if item.target in {None, row.python}}


def _cell(path: str, report: CheckReport, row: TargetRow, refused: dict[str, str], lost: set[str]) -> MatrixCell:
    """What a column says of a file that one of them refuses; a silence is no acceptance."""
    if path in refused:
        return MatrixCell("no", refused[path])
    if row.image_id and path in lost:
        return MatrixCell("quiet", "not there")
    unproven = _unproven(report, row)
    if row.proof == "none" or unproven & {path, None}:
        return MatrixCell("quiet", "not judged")
    # a target that covers some of the files only may not cover this one, and a prediction is no acceptance
    is_accepted = row.files == report.files and row.proof != "predicted"
    return MatrixCell("yes", "✓ accepted") if is_accepted else MatrixCell("quiet", "not refused")


def _sum(report: CheckReport, row: TargetRow, refused: int) -> MatrixCell:
    unproven = _unproven(report, row)
    if row.proof == "none" or None in unproven:
        return MatrixCell("quiet", "not judged")
    count = max(0, row.files - refused - len(unproven))
    if row.proof == "predicted":
        return MatrixCell("quiet", f"{count} of {row.files} not refused")
    if refused:
        return MatrixCell("no", f"✗ {refused} of {row.files} refused, {count} accepted")
    words = f"✓ {count} of {row.files} accepted"
    return MatrixCell("quiet", f"{words}, {len(unproven)} not judged") if unproven else MatrixCell("yes", words)


def _who(row: TargetRow) -> str:
    """Whose Python it is: the interpreter's, with the image that it lies in."""
    return f"{row.interpreter or 'nobody'}{f' in {row.image}' if row.image_id else ''}"


class PageLine(NamedTuple):
    """A line of source: its number, its text in pieces (each with whether it is refused), and whether it is the one."""

    number: int
    pieces: tuple[tuple[str, bool], ...]
    at: bool


def _excerpt(excerpt: SourceExcerpt) -> dict[str, Any]:
    lines = [
        PageLine(number, _pieces(number, text, excerpt.ranges), number == excerpt.line)
        for number, text in enumerate(excerpt.texts, excerpt.first)
    ]
    return {"path": excerpt.path, "line": excerpt.line, "lines": lines}


def _pieces(number: int, text: str, ranges: Sequence[Range]) -> tuple[tuple[str, bool], ...]:
    """A line, cut where a refused range begins or ends."""
    refused = [False] * len(text)
    for refusal in ranges:
        if refusal.line is None or not refusal.line <= number <= (refusal.end_line or refusal.line):
            continue
        start = (refusal.column or 1) - 1 if number == refusal.line else 0
        end = (
            refusal.end_column - 1
            if refusal.end_column is not None and number == (refusal.end_line or refusal.line)
            else len(text)
        )
        refused[start:end] = [True] * len(refused[start:end])
    return tuple(
        ("".join(char for char, _is in group), is_refused)
        for is_refused, group in groupby(zip(text, refused, strict=True), key=lambda pair: pair[1])
    )


def _attempts(history: DeployHistory | None) -> list[dict[str, str]]:
    return [] if history is None else list(_rows(history))


def _rows(history: DeployHistory) -> Iterator[dict[str, str]]:
    for run in history.runs[-_MOST_ATTEMPTS:]:
        reached = [line for line in run if line.verdict != StepVerdict.SKIPPED and line.step != ledgers.END] or list(
            run
        )
        last = reached[-1]
        yield {
            "at": last.at[:16].replace("T", " "),
            "commit": last.commit[:8],
            "builder": last.builder,
            "step": last.step,
            "verdict": "stopped" if ledgers.find_stopping_step(list(run)) else run[-1].verdict,
            "words": shorten_digests(str(last.evidence.get("words", ""))[:200]),
        }
