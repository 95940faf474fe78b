"""A diagnosis as a page: the answer, its evidence, the chain of custody, source lines and every hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from buildguard.cli.render.diagnosis import remedies_title
from buildguard.cli.render.html_matrix import matrix
from buildguard.cli.render.html_page import MOODS, PageLine, chain_rows, draw_chain, mark_ranges, render_page
from buildguard.diagnose.redact import redact
from buildguard.diagnose.run import DiagnosisReport, SourceExcerpt
from buildguard.diagnose.verdict import PROVEN, REFUTED, UNTESTED
from buildguard.diagnostic import shorten_digests
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import DeployHistory
from buildguard.project.ledger import StepVerdict

_MOST_ATTEMPTS = 30


def page(examined: DiagnosisReport) -> str:
    """The whole page."""
    diagnosis = examined.diagnosis
    order = {PROVEN: 0, REFUTED: 2, UNTESTED: 1}
    hypotheses = sorted(
        diagnosis.hypotheses, key=lambda hypothesis: (hypothesis.id != diagnosis.cause, order[hypothesis.verdict])
    )
    values = {
        "title": diagnosis.cause,
        "mood": MOODS.get(diagnosis.exit_code, "open"),
        "sentence": diagnosis.sentence,
        "subject": examined.subject,
        "places": [str(place) for place in diagnosis.place],
        "proven": [hypothesis for hypothesis in hypotheses if hypothesis.verdict == PROVEN],
        "hypotheses": hypotheses,
        "following": [str(place) for place in diagnosis.next],
        "remedies_title": remedies_title(diagnosis).capitalize(),
        "remedies": diagnosis.remedies,
        "notes": diagnosis.notes,
        "chains": [(draw_chain(chain), chain_rows(chain)) for chain in examined.chains],
        "matrix": matrix([examined.report, *examined.reports], examined.chains),
        "excerpts": [_excerpt(excerpt) for excerpt in examined.lines],
        "attempts": _attempts(examined.attempts),
    }
    return render_page("report.html", values, clean=redact)


def _excerpt(excerpt: SourceExcerpt) -> dict[str, Any]:
    lines = [
        PageLine(number, mark_ranges(number, text, excerpt.ranges), number == excerpt.line)
        for number, text in enumerate(excerpt.texts, excerpt.first)
    ]
    return {"path": excerpt.path, "line": excerpt.line, "lines": lines}


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
