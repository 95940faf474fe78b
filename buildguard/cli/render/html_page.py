"""What every page shares: its style, the drawing of a chain of custody, and source lines with marks.

A page is one self-contained file: no network, no script, light and dark, for a phone and for paper. All content is
foreign, source under check most of all: the template escapes everything, and what a reader could not see (controls,
changes of direction) is spelled out before it gets there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from buildguard import __version__
from buildguard.compare.chain import Chain, Hop
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Range, escape_text, shorten_digests

_MOST_ROWS = 200
_STEP, _WIDTH, _HEIGHT = 300, 190, 64  # of the drawing, in its own units
_NAME = 26  # characters that fit into a box
MOODS: Mapping[int, str] = {0: "good", 1: "bad"}  # by exit code; anything else is open


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


class PageLine(NamedTuple):
    """A line of source: its number, its text in pieces (each with whether it is marked), and whether it is the one at fault."""

    number: int
    pieces: tuple[tuple[str, bool], ...]
    at: bool


class Drawing(NamedTuple):
    """Boxes with an arrow between each two neighbours, their size in the drawing's own units, and the whole names of the stages."""

    boxes: tuple[StageBox, ...]
    arrows: tuple[HopArrow, ...]
    names: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The width of the whole."""
        return self.boxes[-1].x + _WIDTH + 5


def render_page(template: str, values: Mapping[str, Any], *, clean: Callable[[str], str] = str) -> str:
    """A page from one of the templates beside this module; `clean` is applied to all foreign text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = lambda text: escape_text(clean(str(text)))
    environment.globals.update(box_width=_WIDTH, box_height=_HEIGHT)
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return environment.get_template(template).render(version=__version__, written=written, **values)


def draw(names: Sequence[tuple[str, str]], hops: Sequence[tuple[str, str]]) -> Drawing:
    """A drawing of stages (name and second line), and of the hops between them (words and mark)."""
    boxes = tuple(
        StageBox(number * _STEP + 5, _cut(shorten_digests(name)), _cut(line))
        for number, (name, line) in enumerate(names)
    )
    arrows = tuple(
        HopArrow(boxes[number].x + _WIDTH, boxes[number + 1].x, words, mark)
        for number, (words, mark) in enumerate(hops)
    )
    return Drawing(boxes, arrows, tuple(shorten_digests(name) for name, _line in names))


def draw_chain(chain: Chain) -> Drawing:
    """The chain of custody: a box for each stage, an arrow for each hop, the first change marked."""
    names = [(snapshot.stage, snapshot.manifest.digest.removeprefix("sha256:")[:12]) for snapshot in chain.snapshots]
    return draw(names, [_arrow(hop, first=number == chain.first_changed) for number, hop in enumerate(chain.hops)])


def _arrow(hop: Hop, *, first: bool) -> tuple[str, str]:
    if hop.identical:
        return "identical", "same"
    if hop.findings:
        return f"{len(hop.findings)} differ", "first" if first else "changed"
    return "not seen whole" if hop.incomparable or hop.after.unproven else "expected", "unseen"


def chain_rows(chain: Chain) -> list[dict[str, Any]]:
    """What differs and should not, hop by hop."""
    return [
        {
            "hop": f"{shorten_digests(hop.before.stage)} → {shorten_digests(hop.after.stage)}",
            "path": difference.path.decode("utf-8", "backslashreplace"),
            "change": difference.change,
            "cause": difference.cause,
            "evidence": shorten_digests(difference.evidence.partition("\n")[0]),
        }
        for hop in chain.hops
        for difference in hop.findings[:_MOST_ROWS]
    ]


def _cut(name: str) -> str:
    return name if len(name) <= _NAME else f"{name[: _NAME // 2 - 1]}…{name[-_NAME // 2 :]}"


def mark_ranges(number: int, text: str, ranges: Sequence[Range]) -> tuple[tuple[str, bool], ...]:
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
