"""The last event of a log, and the code that should follow it."""

from __future__ import annotations

import pytest

from buildguard.diagnose.last_event import CodeLine, find_last_event

_SOURCE = b"""import logging
log = logging.getLogger(__name__)


def handle(name):
    log.info("start agent %s", name)
    agent = find(name)

    agent.run()
    log.info("agent finished")


def serve(port):
    print(f"listening on {port}")
"""
_SOURCES = {"app/agent.py": _SOURCE}


@pytest.mark.parametrize("line", ["start agent seven", "2026-01-01 INFO app.agent: start agent seven"])
def test_the_call_and_what_follows_it(line: str) -> None:
    event = find_last_event(["listening on 8080", line, ""], _SOURCES)

    assert event is not None
    assert (event.text, event.path, event.line) == (line, "app/agent.py", 6)
    assert event.following[:2] == (CodeLine(7, "    agent = find(name)"), CodeLine(9, "    agent.run()"))


def test_lines_of_others_come_before_it() -> None:
    event = find_last_event(["listening on 8080", "start agent x", "worker 7 is busy"], _SOURCES)

    assert event is not None
    assert event.line == 6
    assert find_last_event(["worker 7 is busy"], _SOURCES) is None


def test_two_places_that_write_it_are_none() -> None:
    assert find_last_event(["start agent x"], {"a.py": _SOURCE, "b.py": _SOURCE}) is None


def test_the_longest_message_fits_best() -> None:
    sources = {"a.py": b'log.info("agent")\nlog.info("start agent now")\n'}

    event = find_last_event(["start agent now"], sources)

    assert event is not None
    assert event.line == 2


@pytest.mark.parametrize("content", [b"def f(:\n", b"\0", b"(" * 5000, b"print('x')", b"", b"x = 1\n" * 300_000])
def test_hostile_sources(content: bytes) -> None:
    assert find_last_event(["start agent x"], {"a.py": content}) is None


def test_a_hostile_log_costs_its_length() -> None:
    pieces = b"log.info(f'" + b"".join(b"aaaaa{x}" for _ in range(30)) + b"')\n"

    assert find_last_event(["aaaaa" * 20_000 + "!"], {"a.py": b"log.info('never there')\n" + pieces}) is not None
