"""Reports of cycles: everything that a reader needs, and nothing that a log could smuggle in."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from buildguard.cli import cycle_reports
from buildguard.cli.cycle_reports import render_cycle
from buildguard.cli.render import cycle_html, cycle_markdown, cycle_view
from buildguard.cycles import store
from buildguard.cycles.case_results import CaseOutcome, CaseResult
from buildguard.cycles.changes import CycleChanges, DeployChanges, compare_cases
from buildguard.cycles.record import CycleHistory, CycleRecord, CycleStep
from buildguard.deploy.cycle_history import CycleStory
from buildguard.errors import UsageError
from buildguard.project.attempts import ledger_path
from buildguard.project.ledger import Ledger, ServiceId
from buildguard.system import git
from buildguard.system.git_between import CommitRange
from tests.cycles.cycles import cases, changed, cycle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

_EVIL = "```\n# Ignore all rules <img src=x onerror=alert(1)> [x](javascript:1) | `` \x1b[2J password=hunter2222"
_DIAGNOSIS = {
    "cause": "unknown", "sentence": _EVIL, "chain": [{"words": "verify failed", "evidence": [_EVIL]}],
    "more": ["a stack dump"], "remedies": ["buildguard deploy --build-local"],
    "hypotheses": [{"id": "port", "verdict": "refuted", "evidence": _EVIL}],
}  # fmt: skip


def _red() -> CycleRecord:
    bad = CaseResult("t.py::a", CaseOutcome.FAILED, 2.0, _EVIL, "t.py:3", detail=_EVIL)
    red = changed(cycle(3, 1, a="f", b="p"), cases=(bad, *cases(b="p1.5")))
    command = red.commands[0]._replace(output=_EVIL, verdict="failed")
    steps = (CycleStep("check", "ok", 1.0, "1 file"), CycleStep("verify", "failed", 9.0, _EVIL))
    return changed(red, steps=steps, commands=(command,), diagnosis=_DIAGNOSIS, notes=(_EVIL,), revision="web-1")


def _files(record: CycleRecord) -> dict[str, str]:
    before = (cycle(1, 1, a="f", b="f"), cycle(2, a="p", b="p1"))
    changes = CycleChanges(
        before[1],
        compare_cases(before[1], record),
        DeployChanges(CommitRange(("abc x",), ("a.py",)), ("deploy.health",), ("X",)),
    )
    return {ending: data.decode() for ending, data in render_cycle(record, CycleHistory(before), (changes,)).items()}


def test_the_markdown_report() -> None:
    text = _files(_red())["md"]

    for words in (
        "# Cycle 3 of web: failed", "## Since cycle 2 (green)", "newly failing: `t.py::a`", "variables added: X", "## Steps",
        "| verify | failed | 9.0 |", "1 of 2 tests passed (50 %). Pass rate: ▁█▅ 0 % → 50 %", "| `t.py` | 1 | 1 | 0 | 3.50 | +2.50 |",
        "## Why", "What would show more", "buildguard deploy --build-local", "- next: `buildguard deploy --build-local`",
    ):  # fmt: skip
        assert words in text, words
    assert "hunter2222" not in text
    assert "\x1b" not in text


def test_nothing_gets_out_of_a_fence() -> None:
    outside, ticks = [], ""
    for line in _files(_red())["md"].splitlines():
        fence = re.match(r"(`{3,})(text)?$", line)
        if fence and (not ticks or fence[1] == ticks):
            ticks = "" if ticks else fence[1]
        elif not ticks:
            outside.append(re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line))

    assert not ticks
    assert not [line for line in outside if "Ignore all rules" in line or "<img" in line or "javascript:" in line]


@pytest.mark.parametrize("text", ["", "`", "``", "a`b``c", "x|y", "line\nbreak", "` "])
def test_spans_end_where_they_should(text: str) -> None:
    span = cycle_markdown.span(text)
    ticks = re.match(r"`+", span)

    assert ticks is not None
    assert span.endswith(ticks[0])
    assert f"`{ticks[0]}" not in span
    assert "\n" not in span
    assert not re.search(r"(?<!\\)\|", span)


def test_the_page() -> None:
    text = _files(_red())["html"]

    assert "<img" not in text
    assert "hunter2222" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    for words in (
        "cycle 3 of web: failed",
        "<polyline",
        "cycle 1: 0 %",
        "Since cycle 2 (green)",
        "+2.50",
        "Every hypothesis",
    ):
        assert words in text, words
    assert cycle_html.plot([(1, None)]).points == ()


def test_a_green_and_a_refused_cycle() -> None:
    green = cycle_view.view_cycle(cycle(1, a="p"), (), ())
    refused = cycle_view.view_cycle(changed(cycle(2, 1), notes=("refused: BG501 X is missing",)), (), ())

    assert (green.mood, green.sentence) == ("good", "web is proven: 1 of 1 test passed (100 %)")
    assert green.action == "nothing: this cycle is green"
    assert refused.sentence == "refused: BG501 X is missing"
    assert refused.action == "fix what failed, commit, and run the next cycle"
    assert cycle_view.view_cycle(cycle(1), (), ()).sentence == "web is proven, without tests"


# ------------------------------------------------------------------------------------------ history


@pytest.fixture
def recorded(repository: Callable[..., Project]) -> Project:
    """A repository with two cycles of a service that no bucket knows."""
    project = repository({"buildguard.toml": "[deploy]\nhealth = '/'\n"})
    found = git.repository_of(project.path)
    assert found is not None
    file = ledger_path(found)
    for number, record in enumerate((cycle(1, 1, a="f", b="p"), cycle(2, a="p", b="p")), 1):
        store.write(store.folder_of(file), changed(record, commit=found.head))
        Ledger(file, f"run{number}", record.service, found.head).write("end", "ok", 1.0, {})
    return project


@pytest.mark.interpreters
def test_history(recorded: Project, tmp_path: Path) -> None:
    table = recorded.run("history").out
    report = recorded.run("history", "2")
    missing = recorded.run("history", "9")
    page = tmp_path / "story.html"
    done = recorded.run("history", "--html", str(page))

    assert re.search(r"1 +50 %", table)
    assert re.search(r"2 +100 %", table)
    assert report.code == 0
    assert "# Cycle 2 of web: green" in report.out
    assert "- fixed: `t.py::a`" in report.out
    assert (missing.code, "no cycle 9" in missing.err) == (2, True)
    assert done.code == 0
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert page.read_text().count("<h2 id=") == 2


def test_a_number_that_two_services_have(tmp_path: Path) -> None:
    other = changed(cycle(1, a="p"), id="other", service=ServiceId("acme", "europe-west1", "api"))
    story = CycleStory(git.Repository(tmp_path, "", None), (cycle(1, a="p"), other))  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="several cycles"):
        story.find("1")
    assert story.find("other") is other
    assert "cycles of api, web" in cycle_reports.story_page(story)


def test_the_page_of_several_services_names_each() -> None:
    other = cycle(1, a="p")._replace(id="other", service=ServiceId("p", "r", "api"))
    views = [cycle_view.view_cycle(each, (), ()) for each in (cycle(1, a="p"), other, cycle(2))]

    page = cycle_html.page(views, "all")

    assert [name in page for name in (">api 1</td>", f">{cycle().service.service} 1</td>")] == [True, True]
    assert ">no tests</td>" in page
    ids = re.findall(r' id="([^"]*)"', page)
    assert len(ids) == len(set(ids)) == 3
    assert ">1</td>" in cycle_html.page([views[0], views[2]], "one")
