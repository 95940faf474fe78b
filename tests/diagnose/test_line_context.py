"""What is known of a line beside its text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from buildguard.diagnose.line_context import LOW, WARNING, level_of, level_of_fields, origin_of
from buildguard.diagnose.log_parser import read


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("WARNING:  no cache", WARNING),
        ("WARNING:root:no cache", WARNING),
        ("[7] [WARNING] no cache", WARNING),
        ("- app.db - WARNING - no cache", WARNING),
        ("| WARNING  | app.db:f:1 - no cache", WARNING),
        ("WARNING/MainProcess] no cache", WARNING),
        ("[warning  ] no cache", WARNING),
        ("ts=1 level=warn msg=x", WARNING),
        ("W1130 14:10:01.123456 1 x.cc:1] no cache", WARNING),
        ("INFO:     started", LOW),
        ("I0000 00:00:01.123456 1 x.cc:1] forked", LOW),
        ("ERROR: boom", ""),
        ("Warning: boom", ""),
        ("INFORMATION", ""),
        ("no INFO was written", ""),
        ("Traceback (most recent call last):", ""),
    ],
)
def test_the_level_of_a_line(line: str, level: str) -> None:
    assert level_of(line) == level


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({"severity": "WARNING", "message": "x"}, WARNING),
        ({"levelname": "INFO", "message": "x"}, LOW),
        ({"level": 20}, LOW),
        ({"level": "warning", "severity": "ERROR"}, ""),
        ({"severity": "INFO", "textPayload": "x"}, ""),  # who collects a text gives it a level
        ({"severity": "NOTICE", "protoPayload": {}}, ""),
        ({"severity": "DEFAULT"}, ""),
        ({"level": ["info"]}, ""),
    ],
)
def test_the_level_of_an_entry(fields: dict[str, Any], level: str) -> None:
    assert level_of_fields(fields) == level


@pytest.mark.parametrize(
    ("fields", "origin"),
    [
        ({"resource": {"labels": {"revision_name": "web-1"}}}, "web-1"),
        ({"labels": {"run.googleapis.com/execution_name": "job-1"}, "resource": {"labels": {"job_name": "job"}}}, "job-1"),
        ({"resource": "web", "labels": ["x"]}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_who_wrote_an_entry(fields: dict[str, Any], origin: str) -> None:
    assert origin_of(fields) == origin


def test_each_line_of_a_log_has_a_context() -> None:
    entry = {"severity": "WARNING", "message": "one\ntwo", "resource": {"labels": {"revision_name": "web-1"}}}
    log = read(f'plain\n{json.dumps(entry)}\nStep #0 - "test": DONE\n'.encode())

    assert len(log.contexts) == len(log.lines)
    assert [tuple(context) for context in log.contexts[:4]] == [
        ("", "", False),
        (WARNING, "web-1", False),
        (WARNING, "web-1", False),
        ("", "", True),
    ]
