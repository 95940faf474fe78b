"""Deploys of several services for people and for programs; one alone is shown as `render.deploy` shows it."""

from __future__ import annotations

import json
from typing import Any

import click

from buildguard.cli.render import deploy as single
from buildguard.cli.render.source_line import fold_text
from buildguard.deploy.fleet import FleetReport
from buildguard.deploy.run import DeployReport
from buildguard.diagnostic import count, escape_text

_COMMON = ("schema", "buildguard", "commit", "dirty", "pushed", "archive")


def as_json(report: FleetReport) -> str:
    """One deploy in the form of `deploy`; of several what they share, and `services` with the rest of each."""
    answers = [single.answer(each) for each in report.reports]
    if len(answers) == 1:
        return single.as_json(report.reports[0])
    whole: dict[str, Any] = {key: answers[0][key] for key in _COMMON}
    whole["services"] = [{key: value for key, value in each.items() if key not in _COMMON} for each in answers]
    whole["exit_code"] = report.exit_code
    return json.dumps(whole, indent=1) + "\n"


def as_text(report: FleetReport, width: int = 0) -> str:
    """Each deploy, and what became of all of them; folded at `width` columns, 0 folds nothing."""
    if len(report.reports) == 1:
        return single.as_text(report.reports[0], width)
    parts = [f"── {escape_text(_label(each))}\n{single.as_text(each, width)}" for each in report.reports]
    return "\n".join([*parts, fold_text(_summary(report), width)])


def _label(report: DeployReport) -> str:
    region = report.plan.serving.region
    name = report.plan.wishes.name or report.plan.wishes.service
    return f"{name} ({region})" if region else name


def _summary(report: FleetReport) -> str:
    """A line for each deploy that did not come to its end, and how many did."""
    failed = [each for each in report.reports if each.exit_code]
    lines = [f"{_label(each)}: {click.unstyle(single.last_line(each))}" for each in failed]
    several = count(len(report.reports), "deploy")
    if report.reports[0].outcomes is None:
        stopped = sum(bool(each.stops) for each in report.reports)
        stops = f", {stopped} would stop on this machine" if stopped else ""
        words = f"{several} planned, {len(failed)} would be refused" if failed else f"{several} planned{stops}"
    else:
        words = f"{len(report.reports) - len(failed)} of {several} succeeded"
    lines.append(click.style(words, bold=True, fg={0: "green", 1: "red"}.get(report.exit_code, "yellow")))
    return "\n".join(lines) + "\n"
