"""A loop for people and for programs: a line for each cycle, the last one whole, and why it ended."""

from __future__ import annotations

import json
from typing import Any

import click

from buildguard.cli.render import deploys
from buildguard.cli.render.cycle import cycle_json, describe_tests
from buildguard.cli.render.cycle_view import describe_cycle
from buildguard.cli.render.source_line import fold_text
from buildguard.deploy.cycle import FinishedCycle
from buildguard.diagnostic import escape_text, shorten_digests
from buildguard.loop.run import LoopReport


def loop_text(report: LoopReport, width: int = 0) -> str:
    """The last deploy, each cycle in a line, and the end; folded at `width` columns, 0 folds nothing."""
    lines = [_line(finished) for finished in _finished(report)]
    colour = {0: "green", 1: "red"}.get(report.exit_code, "yellow")
    last = deploys.as_text(report.cycles[-1], width).rstrip("\n") if report.cycles else ""
    end = click.style(f"loop: {escape_text(report.reason)}", bold=True, fg=colour)
    return fold_text("\n".join(filter(None, [last, *lines, end])), width)


def _line(finished: FinishedCycle) -> str:
    cycle = finished.record
    tests = describe_tests(cycle)
    words = tests if cycle.is_green and tests else describe_cycle(cycle)
    name = f"cycle {cycle.number} of {escape_text(cycle.service.service)}, commit {cycle.commit[:8]}"
    more = f" ({tests})" if tests and not cycle.is_green else ""
    return f"{name}: {'green' if cycle.is_green else 'red'}: {escape_text(shorten_digests(words))[:200]}{more}"


def loop_json(report: LoopReport) -> str:
    """Schema 1 of `loop`."""
    cycles = [_cycle_answer(finished) for finished in _finished(report)]
    answer = {
        "schema": 1,
        "cycles": cycles,
        "reason": report.reason,
        "needs_person": report.person,
        "exit_code": report.exit_code,
    }
    return json.dumps(answer, indent=1) + "\n"


def _cycle_answer(finished: FinishedCycle) -> dict[str, Any]:
    cycle = finished.record
    return {
        "service": cycle.service.service,
        "commit": cycle.commit,
        "exit_code": cycle.exit_code,
        **(cycle_json(finished) or {}),
    }


def _finished(report: LoopReport) -> list[FinishedCycle]:
    return [each.finished for cycle in report.cycles for each in cycle.reports if each.finished is not None]
