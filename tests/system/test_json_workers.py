"""Children that answer lines: what a child does not answer is lost, and never an answer."""

from __future__ import annotations

import sys

import pytest

from buildguard.system import json_workers
from buildguard.system.json_workers import JsonWorkers, LostAnswer

pytestmark = pytest.mark.interpreters

_CHILD = """
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    if asked == "die":
        os._exit(7)
    if asked == "cut":
        sys.stdout.write("[1, ")
        sys.stdout.flush()
        os._exit(0)
    if asked == "hang":
        time.sleep(600)
    if asked == "complain":
        sys.stderr.write("x" * (1 << 20))
    print(json.dumps(asked), flush=True)
"""


def test_a_child_that_complains_at_length_answers_still() -> None:
    """Its stderr is read: a full pipe would hold it up for ever."""
    one = JsonWorkers([sys.executable, "-c", _CHILD], 1)

    try:
        assert list(one.ask(["complain", "a"])) == ["complain", "a"]
    finally:
        one.close()


def test_a_death_a_cut_answer_and_silence_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_workers, "_PATIENCE", 2)
    one = JsonWorkers([sys.executable, "-c", _CHILD], 2)

    try:
        answers = list(one.ask(["a", "die", "b", "cut", "hang", "c", "d"]))
    finally:
        one.close()

    assert [None if isinstance(answer, LostAnswer) else answer for answer in answers] == [
        "a",
        None,
        "b",
        None,
        None,
        "c",
        "d",
    ]
    reasons = [answer.reason for answer in answers if isinstance(answer, LostAnswer)]
    assert "status 7" in reasons[0]
    assert reasons[2] == "it took more than 2 seconds"
