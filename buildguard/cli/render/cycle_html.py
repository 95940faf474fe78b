"""Cycles as a page: one report, or the whole story of a service with a plot of its pass rates."""

from __future__ import annotations

from collections.abc import Sequence

from buildguard.cli.render.cycle_view import CycleView
from buildguard.cli.render.html_page import render_page
from buildguard.cycles.gates import describe_rate
from buildguard.definitions import NamedTuple
from buildguard.diagnose.redact import redact
from buildguard.diagnostic import shorten_digests

_WIDTH, _HEIGHT, _MARGIN = 640, 120, 24


class PlotPoint(NamedTuple):
    """A cycle in the plot: where it is, and its words."""

    x: int
    y: int
    words: str


class RatePlot(NamedTuple):
    """Pass rates over the cycles, in the drawing's own units."""

    points: tuple[PlotPoint, ...]
    width: int = _WIDTH
    height: int = _HEIGHT

    @property
    def line(self) -> str:
        """The points as SVG has them."""
        return " ".join(f"{point.x},{point.y}" for point in self.points)


def plot(rates: Sequence[tuple[int, float | None]]) -> RatePlot:
    """A plot of the cycles that had tests."""
    known = [(number, rate) for number, rate in rates if rate is not None]
    step = (_WIDTH - 2 * _MARGIN) / max(1, len(known) - 1)
    return RatePlot(
        tuple(
            PlotPoint(
                round(_MARGIN + place * step),
                round(_MARGIN + (1 - rate) * (_HEIGHT - 2 * _MARGIN)),
                f"cycle {number}: {describe_rate(rate)}",
            )
            for place, (number, rate) in enumerate(known)
        )
    )


def page(views: Sequence[CycleView], title: str) -> str:
    """The page of some cycles, the newest first; `views` has the oldest first."""
    last = views[-1]
    values = {
        "title": title,
        "mood": last.mood,
        "sentence": shorten_digests(last.sentence),
        "views": list(reversed(views)),
        "plot": plot(last.rates),
        "several": len({view.cycle.service for view in views}) > 1,
        "short": shorten_digests,
        "percent": lambda rate: describe_rate(rate) if rate is not None else "",
    }
    return render_page("cycle.html", values, clean=redact)
