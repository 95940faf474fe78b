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
from buildguard.check.result import Report, TargetRow
from buildguard.compare.chain import Chain
from buildguard.compare.difference import REMOVED
from buildguard.diagnose.hypotheses import PROVEN, REFUTED, UNTESTED
from buildguard.diagnose.run import Examined, Excerpt
from buildguard.diagnostic import Range, Severity, brief, shown, shown_path
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import Attempts

_TEMPLATE = Path(__file__).with_name("report.html")
_OF_SOURCES = ("BG1", "BG2")  # the codes that say something of a source
_MOST_FILES, _MOST_ATTEMPTS = 200, 30
_STEP, _WIDTH, _HEIGHT = 250, 190, 64  # of the drawing, in its own units


class Box(NamedTuple):
    """A stage in the drawing."""

    x: int
    name: str
    digest: str


class Arrow(NamedTuple):
    """A hop in the drawing: where it begins and ends, its words, and how it is marked (same, changed, first or unseen)."""

    x1: int
    x2: int
    words: str
    mark: str


def page(found: Examined) -> str:
    """The whole page."""
    import jinja2

    made = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["plain"] = shown
    diagnosis = found.diagnosis
    order = {PROVEN: 0, REFUTED: 2, UNTESTED: 1}
    hypotheses = sorted(diagnosis.hypotheses, key=lambda one: (one.id != diagnosis.cause, order[one.verdict]))
    return made.from_string(_TEMPLATE.read_text("utf-8")).render(
        version=__version__,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        cause=diagnosis.cause,
        mood={0: "good", 1: "bad"}.get(diagnosis.exit_code, "open"),
        sentence=diagnosis.sentence,
        places=[str(place) for place in diagnosis.place],
        proven=[one for one in hypotheses if one.verdict == PROVEN],
        hypotheses=hypotheses,
        following=[str(place) for place in diagnosis.next],
        remedies=diagnosis.remedies,
        notes=diagnosis.notes,
        chains=[_drawing(chain) for chain in found.chains],
        matrix=_matrix([found.report, *found.reports], found.chains),
        excerpts=[_excerpt(one) for one in found.lines],
        attempts=_attempts(found.attempts),
    )


def _drawing(chain: Chain) -> dict[str, Any]:
    """The chain of custody: a box for each stage, an arrow for each hop, the first change marked."""
    boxes = [
        Box(number * _STEP + 5, _cut(brief(one.stage)), one.manifest.digest.removeprefix("sha256:")[:12])
        for number, one in enumerate(chain.snapshots)
    ]
    first = chain.first_changed
    arrows = []
    for number, hop in enumerate(chain.hops):
        if hop.identical:
            words, mark = "identical", "same"
        elif hop.findings:
            words, mark = f"{len(hop.findings)} differ", "first" if number == first else "changed"
        else:
            words, mark = "not seen whole" if hop.untold or hop.after.unproven else "as asked for", "unseen"
        arrows.append(Arrow(boxes[number].x + _WIDTH, boxes[number + 1].x, words, mark))
    rows = [
        {
            "hop": f"{brief(hop.before.stage)} → {brief(hop.after.stage)}",
            "path": one.path.decode("utf-8", "backslashreplace"),
            "change": one.change,
            "cause": one.cause,
            "evidence": brief(one.evidence.partition("\n")[0]),
        }
        for hop in chain.hops
        for one in hop.findings[:_MOST_FILES]
    ]
    return {
        "boxes": boxes,
        "arrows": arrows,
        "rows": rows,
        "width": boxes[-1].x + _WIDTH + 5,
        "height": _HEIGHT,
        "box_width": _WIDTH,
    }


def _cut(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:12]}…{name[-13:]}"  # noqa: PLR2004  what a box holds


class Cell(NamedTuple):
    """What one engine made of one file: `mark` is no (refused), yes (accepted), or quiet (nobody can say)."""

    mark: str
    words: str


class Column(NamedTuple):
    """One target as one engine judged it, and what it made of all the files together."""

    python: str
    who: str
    how: str
    sum: Cell


def _matrix(reports: Sequence[Report], chains: Sequence[Chain]) -> dict[str, Any]:
    """Which file each target's Python refuses, by engine: the repository's own, then that of each image."""
    lost = {
        shown_path(row.path) for chain in chains for hop in chain.hops for row in hop.findings if row.change == REMOVED
    }
    judged = [(report, row) for report in reports for row in report.targets]
    refused = [_refused(report, row) for report, row in judged]
    rows = [
        (path, [_cell(path, report, row, cells, lost) for (report, row), cells in zip(judged, refused, strict=True)])
        for path in sorted({path for cells in refused for path in cells})
    ]
    columns = [
        Column(row.python, _who(row), f"{row.engine or 'none'}, {row.proof}", _sum(report, row, len(cells)))
        for (report, row), cells in zip(judged, refused, strict=True)
    ]
    return {"columns": columns, "rows": rows[:_MOST_FILES], "more": max(0, len(rows) - _MOST_FILES)}


def _refused(report: Report, row: TargetRow) -> dict[str, str]:
    """The files that a target refuses, each with the first reason."""
    found: dict[str, str] = {}
    for one in report.diagnostics:
        refuses = one.severity is Severity.ERROR and one.code.startswith(_OF_SOURCES)
        if refuses and one.path and row.python in (one.shared or (one.target or "",)):
            found.setdefault(one.path, f"✗ {one.code} in line {one.range.line or '?'}")
    return found


def _unproven(report: Report, row: TargetRow) -> set[str | None]:
    return {one.path for one in report.unproven if one.target in {None, row.python}}


def _cell(path: str, report: Report, row: TargetRow, refused: dict[str, str], lost: set[str]) -> Cell:
    """What a column says of a file that one of them refuses; a silence is no acceptance."""
    if path in refused:
        return Cell("no", refused[path])
    if row.image_id and path in lost:
        return Cell("quiet", "not there")
    unproven = _unproven(report, row)
    if row.proof == "none" or unproven & {path, None}:
        return Cell("quiet", "not judged")
    # a target that covers some of the files only may not cover this one, and a prediction is no acceptance
    is_accepted = row.files == report.files and row.proof != "predicted"
    return Cell("yes", "✓ accepted") if is_accepted else Cell("quiet", "not refused")


def _sum(report: Report, row: TargetRow, refused: int) -> Cell:
    unproven = _unproven(report, row)
    if row.proof == "none" or None in unproven:
        return Cell("quiet", "not judged")
    count = max(0, row.files - refused - len(unproven))
    if row.proof == "predicted":
        return Cell("quiet", f"{count} of {row.files} not refused")
    words = f"✓ {count} of {row.files} accepted"
    return Cell("quiet", f"{words}, {len(unproven)} not judged") if unproven else Cell("yes", words)


def _who(row: TargetRow) -> str:
    """Whose Python it is: the interpreter's, with the image that it lies in."""
    return f"{row.interpreter or 'nobody'}{f' in {row.image}' if row.image_id else ''}"


class Line(NamedTuple):
    """A line of source: its number, its text in pieces (each with whether it is refused), and whether it is the one."""

    number: int
    pieces: tuple[tuple[str, bool], ...]
    at: bool


def _excerpt(one: Excerpt) -> dict[str, Any]:
    lines = [
        Line(number, _pieces(number, text, one.ranges), number == one.line)
        for number, text in enumerate(one.texts, one.first)
    ]
    return {"path": one.path, "line": one.line, "lines": lines}


def _pieces(number: int, text: str, ranges: Sequence[Range]) -> tuple[tuple[str, bool], ...]:
    """A line, cut where a refused range begins or ends."""
    refused = [False] * len(text)
    for one in ranges:
        if one.line is None or not one.line <= number <= (one.end_line or one.line):
            continue
        start = (one.column or 1) - 1 if number == one.line else 0
        end = one.end_column - 1 if one.end_column is not None and number == (one.end_line or one.line) else len(text)
        refused[start:end] = [True] * len(refused[start:end])
    return tuple(
        ("".join(char for char, _is in group), is_refused)
        for is_refused, group in groupby(zip(text, refused, strict=True), key=lambda pair: pair[1])
    )


def _attempts(found: Attempts | None) -> list[dict[str, str]]:
    return [] if found is None else list(_rows(found))


def _rows(found: Attempts) -> Iterator[dict[str, str]]:
    for run in found.runs[-_MOST_ATTEMPTS:]:
        reached = [line for line in run if line.verdict != ledgers.SKIPPED and line.step != ledgers.END] or list(run)
        last = reached[-1]
        yield {
            "at": last.at[:16].replace("T", " "),
            "commit": last.commit[:8],
            "builder": last.builder,
            "step": last.step,
            "verdict": "stopped" if ledgers.stopped_at(list(run)) else run[-1].verdict,
            "words": brief(str(last.evidence.get("words", ""))[:200]),
        }
