"""`diff` as a page: the verdict, the chain of custody drawn, every difference hop by hop, and what an upload would do."""

from __future__ import annotations

from collections.abc import Iterator

from buildguard.cli.render.diff import verdict
from buildguard.cli.render.html_page import MOODS, draw_chain, render_page
from buildguard.compare.chain import Chain, Hop
from buildguard.compare.diff import DiffResult
from buildguard.compare.difference import CODES, Difference
from buildguard.compare.upload_risks import UploadPlan
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import count, display_path, shorten_digests, unproven_line


class PageDifference(NamedTuple):
    """One path of a hop; `kind` is bad for a finding, quiet for what a setting explains, open for what is undecided."""

    path: str
    change: str
    cause: str
    evidence: str
    details: str
    kind: str


class PageHop(NamedTuple):
    """A hop on the page, with everything that differs."""

    name: str
    counts: str
    differences: tuple[PageDifference, ...]
    notes: tuple[str, ...]


def page(result: DiffResult) -> str:
    """The whole page."""
    chain = result.chain
    return render_page(
        "diff.html",
        {
            "title": verdict(chain),
            "mood": MOODS.get(chain.exit_code, "open"),
            "lead": f"{count(len(chain.snapshots), 'stage')}, {count(len(chain.hops), 'hop')}",
            "drawing": draw_chain(chain),
            "stages": chain.snapshots,
            "hops": list(map(_hop, chain.hops)),
            "unproven": [unproven_line(item) for item in chain.unproven],
            "upload": list(_upload(result.plan)) if result.plan is not None else [],
            "notes": list(_notes(chain)),
        },
    )


def _hop(hop: Hop) -> PageHop:
    findings, number = len(hop.findings), len(hop.differences)
    counts = "identical" if hop.identical else f"{count(number, 'difference')}, {count(findings, 'finding')}"
    name = f"{shorten_digests(hop.before.stage)} → {shorten_digests(hop.after.stage)}"
    ordered = sorted(hop.differences, key=lambda difference: not difference.finding)
    return PageHop(name, counts, tuple(map(_difference, ordered)), hop.notes)


def _difference(difference: Difference) -> PageDifference:
    first, _, details = difference.evidence.partition("\n")
    code = CODES[difference.change]
    if difference.finding:
        change, kind = f"{code} {difference.change}", "bad-word"
    elif difference.undecided:
        change, kind = f"{difference.change}, undecided", "open-word"
    else:
        change, kind = f"{difference.change}, expected", "quiet"
    return PageDifference(display_path(difference.path), change, difference.cause, first, details, kind)


def _notes(chain: Chain) -> Iterator[str]:
    for snapshot in chain.snapshots:
        yield from (f"{shorten_digests(snapshot.stage)}: {note}" for note in snapshot.notes)
    yield from chain.notes


def _upload(plan: UploadPlan) -> Iterator[str]:
    yield plan.words
    for risk in plan.risks:
        yield f"{f'{display_path(risk.path)}: ' if risk.path else ''}{risk.message}"
