"""Exceptions that loggers write as fields."""

from __future__ import annotations

import json
from typing import Any

import pytest

from buildguard.diagnose.log_parser import read
from buildguard.diagnose.structured_exceptions import exception_texts

_FRAME = {"filename": "/srv/app/main.py", "lineno": 3, "name": "<module>"}
_TEXT = "Traceback (most recent call last):\n  File \"/srv/app/main.py\", line 3, in <module>\nKeyError: 'QUEUE'"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"exception": [{"exc_type": "KeyError", "exc_value": "'QUEUE'", "frames": [_FRAME]}]}, ["KeyError: 'QUEUE'"]),
        # structlog has the cause last, Python prints it first
        (
            {"exception": [{"exc_type": "RuntimeError", "exc_value": "no"}, {"exc_type": "db.OperationalError", "exc_value": "refused"}]},
            ["db.OperationalError: refused", "RuntimeError: no"],
        ),
        ({"error": {"type": "KeyError", "message": "no", "stack_trace": _TEXT}}, ["KeyError: 'QUEUE'"]),
        ({"record": {"exception": {"type": "ValueError", "value": "seven", "traceback": True}}}, ["ValueError: seven"]),
        ({"context": {"err": {"stack": _TEXT}}}, ["KeyError: 'QUEUE'"]),
        ({"text": f"boot\n{_TEXT}\n", "record": {"message": "boot"}}, ["KeyError: 'QUEUE'"]),
        ({"payload": {"type": "OrderCreated", "message": "stored"}}, []),
        ({"payload": {"type": "an Error", "message": "stored"}}, []),
    ],
)  # fmt: skip
def test_it_is_read_as_python_prints_it(fields: dict[str, Any], words: list[str]) -> None:
    log = read((json.dumps({"level": "error", **fields}) + "\n").encode())

    assert [failure.words for failure in log.failures] == words


def test_frames_have_places() -> None:
    (text,) = exception_texts(
        {"exception": [{"exc_type": "KeyError", "exc_value": "'QUEUE'", "frames": [_FRAME, {}, "x"]}]}
    )

    assert text == _TEXT


def test_hostile_nesting_ends() -> None:
    deep: Any = {"exc_type": "KeyError", "exc_value": "x"}
    for _ in range(500):
        deep = [deep]

    assert list(exception_texts({"exception": deep})) == []
    assert list(exception_texts({"resource": {"x": {"type": "KeyError", "message": "x"}}})) == []
