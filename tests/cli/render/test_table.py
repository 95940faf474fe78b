"""Tables and the report of a deploy on a narrow terminal: no word is broken, no line is wider."""

from __future__ import annotations

import click
import pytest

from buildguard.cli.render.deploy import HistoryView, as_text, history_text
from buildguard.cli.render.source_line import display_width
from buildguard.cli.render.table import table_lines
from buildguard.deploy.fleet_status import ServiceStatus, ServingProof
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.plan import DeployStep
from buildguard.deploy.run import DeployReport
from buildguard.project.attempts import DeployHistory
from buildguard.project.ledger import LedgerLine, StepVerdict
from tests.deploy.plans import prepared

_ROWS = [
    ("when", "service", "unused", "what"),
    ("2026-11-30", "漢字", "", "the revision did not become ready within the time that it has"),
    ("2026-12-01", "backend", "", ""),
]
_WORDS = (
    "the revision web-00002-abc did not become ready: its container exited with status 1 before it listened on a port"
)


def test_a_table_is_as_wide_as_its_cells() -> None:
    assert list(table_lines(_ROWS)) == [
        "when       service what",
        "2026-11-30 漢字    the revision did not become ready within the time that it has",
        "2026-12-01 backend",
    ]


def test_a_narrow_table_takes_several_lines() -> None:
    assert list(table_lines(_ROWS, 30)) == [
        "when       service",
        "  what",
        "2026-11-30 漢字",
        "  the revision did not become",
        "  ready within the time that",
        "  it has",
        "2026-12-01 backend",
    ]
    assert list(table_lines(_ROWS, 17))[:3] == ["when", "  service", "  what"]


@pytest.mark.parametrize("width", [40, 80, 100, 120])
def test_a_deploy_fits_its_terminal(width: int) -> None:
    at = "2026-11-30T18:55:15+00:00"
    line = LedgerLine(
        "a", 1, at, "backend", "c" * 40, "local", "revision", StepVerdict.FAILED, 1.0, {"words": _WORDS}, "acme"
    )
    status = ServiceStatus(
        "backend", "service", "backend", "acme", "europe-west1", "backend-00041-abc", "c" * 40, "CPython 3.11.9",
        ServingProof.PROVEN, "", at, "prove", "ok",
    )  # fmt: skip
    history = DeployHistory(((line,), (line,)), (None, 12), ("the ledger of the bucket was not read",))
    outcomes = (StepOutcome(DeployStep.REVISION, StepVerdict.FAILED, 12.0, _WORDS, {}),)

    shown = [
        history_text(HistoryView(history, services=(status, status)), width),
        as_text(DeployReport(prepared().plan, outcomes), width),
    ]

    for text, words in zip(shown, (f"{_WORDS.partition(' listened')[0]}…", _WORDS), strict=True):
        lines = click.unstyle(text).splitlines()
        assert max(map(display_width, lines)) <= width
        assert words in " ".join(" ".join(lines).split())
