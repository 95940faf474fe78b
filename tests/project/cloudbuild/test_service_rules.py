"""The service's rules, which gcloud does not check: what it refuses is an error, and nothing else is."""

from __future__ import annotations

import json

import pytest

from buildguard.diagnostic import Severity
from buildguard.project.cloudbuild.durations import as_json_duration, parse_duration
from buildguard.project.cloudbuild.lint import problems
from buildguard.project.cloudbuild.step_rules import closest
from tests.project.cloudbuild.service_rules import CONTRARY, RULES, Rule


def _errors(rule: Rule) -> list[str]:
    found = problems(json.dumps(rule.build).encode(), "cloudbuild.json", {}, "submit")
    return [f"{finding.code} {finding.message}" for finding in found if finding.severity is Severity.ERROR]


@pytest.mark.parametrize("rule", RULES, ids=[rule.name for rule in RULES])
def test_what_the_service_refuses_is_an_error_and_nothing_else_is(rule: Rule) -> None:
    assert bool(_errors(rule)) == (rule.refused != (rule.name in CONTRARY)), _errors(rule)


def test_there_are_enough_rules_and_each_exception_is_one() -> None:
    names = [rule.name for rule in RULES]

    assert len(set(names)) == len(names) >= 158
    assert set(CONTRARY) <= set(names)
    assert len(names) - len(CONTRARY) >= 150
    assert len(CONTRARY) <= 12


@pytest.mark.parametrize(
    ("text", "seconds", "json_text"),
    [
        ("600s", 600, "600s"),
        ("1.5s", 1.5, "1.5s"),
        ("20m", 1200, "1200s"),
        ("1h30m10.5s", 5410.5, "5410.5s"),
        ("90000ms", 90, "90s"),
        ("-5m", -300, "-300s"),
        ("600", None, "600"),
        ("", None, ""),
        ("10 m", None, "10 m"),
        ("s", None, "s"),
    ],
)
def test_durations(text: str, seconds: float | None, json_text: str) -> None:
    assert parse_duration(text) == seconds
    assert as_json_duration(text) == json_text


def test_the_closest_name() -> None:
    assert closest("test", ["tests", "build"]) == "did you mean 'tests'?"
    assert not closest("zzz", ["tests"])
