"""The reports of cycles: rendered for a deploy as it ends, and again for `history`."""

from __future__ import annotations

from collections.abc import Mapping

from buildguard.cli.render import cycle_html, cycle_markdown
from buildguard.cli.render.cycle_view import CycleView, view_cycle
from buildguard.cycles.changes import CycleChanges
from buildguard.cycles.record import CycleHistory, CycleRecord
from buildguard.deploy.cycle_history import CycleStory

_MOST = 50  # cycles on one page


def render_cycle(cycle: CycleRecord, history: CycleHistory, changes: tuple[CycleChanges, ...]) -> Mapping[str, bytes]:
    """The report of a cycle, by the ending of its file."""
    view = view_cycle(cycle, _same(history.cycles, cycle), changes)
    texts = {"md": cycle_markdown.markdown(view), "html": cycle_html.page([view], view.title)}
    return {ending: text.encode("utf-8", "backslashreplace") for ending, text in texts.items()}


def cycle_text(story: CycleStory, name: str) -> str:
    """The report of one cycle as Markdown."""
    return cycle_markdown.markdown(_view(story, story.find(name)))


def story_page(story: CycleStory) -> str:
    """All cycles on one page."""
    views = [_view(story, cycle) for cycle in story.cycles[-_MOST:]]
    services = sorted({view.cycle.service.service for view in views})
    return cycle_html.page(views, f"cycles of {', '.join(services)}")


def _view(story: CycleStory, cycle: CycleRecord) -> CycleView:
    return view_cycle(cycle, story.before(cycle).cycles, story.changes(cycle))


def _same(cycles: tuple[CycleRecord, ...], cycle: CycleRecord) -> tuple[CycleRecord, ...]:
    return tuple(other for other in cycles if other.service == cycle.service)
