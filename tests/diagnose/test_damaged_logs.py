"""A failing log that lost lines, was cut, mixed or reordered never gets a wrong cause: `unknown` at most."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.diagnose.labelled import HEALTHY, OWN_CASES, WRONG, answer, grade, make_repository, read_cases

pytestmark = pytest.mark.interpreters

_STRANGERS = (
    '10.0.0.7 - - [02/Oct/2026:09:14:07 +0000] "GET /healthz HTTP/1.1" 200 19',
    'INFO:     127.0.0.1:52114 - "GET / HTTP/1.1" 200 OK',
    '{"severity":"INFO","message":"tick"}',
    "loading settings for web",
)
_Lines = list[str]


def _drop(chance: random.Random, lines: _Lines) -> _Lines:
    return [line for line in lines if chance.random() > 0.15]


def _keep_end(chance: random.Random, lines: _Lines) -> _Lines:
    return lines[chance.randrange(len(lines)) :]


def _keep_beginning(chance: random.Random, lines: _Lines) -> _Lines:
    return lines[: chance.randrange(1, len(lines) + 1)]


def _swap(chance: random.Random, lines: _Lines) -> _Lines:
    for _ in range(max(1, len(lines) // 8)):
        at = chance.randrange(max(1, len(lines) - 1))
        lines[at : at + 2] = reversed(lines[at : at + 2])
    return lines


def _shuffle(chance: random.Random, lines: _Lines) -> _Lines:
    chance.shuffle(lines)
    return lines


def _interleave(chance: random.Random, lines: _Lines) -> _Lines:
    return [part for line in lines for part in ([line, chance.choice(_STRANGERS)] if chance.random() < 0.3 else [line])]


def _cut(chance: random.Random, lines: _Lines) -> _Lines:
    return [line[: chance.randrange(len(line) + 1)] if chance.random() < 0.15 else line for line in lines]


_DAMAGES: Mapping[str, Callable[[random.Random, _Lines], _Lines]] = {
    "dropped": _drop,
    "without its beginning": _keep_end,
    "without its end": _keep_beginning,
    "swapped": _swap,
    "shuffled": _shuffle,
    "interleaved": _interleave,
    "cut": _cut,
}


# What is left of these is the log of something else: a start before it failed, or a failure without the line that names it.
_LEFT = {
    ("gc-started-then-crash-loop", "without its end"): "healthy",
    ("gc-db-refused-server-8080", "without its end"): "healthy",
    ("gc-uvicorn-reload-import-fails-after-ok", "without its end"): "healthy",
    ("gc-private-index-401", "without its beginning"): "dependency-install",
    ("conf-int-311", "without its end"): "missing-variable",
    ("conf-int-311", "shuffled"): "missing-variable",
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # probes that a run leaves to its end
def test_a_damaged_log_has_no_wrong_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every hundred and twentieth of the own logs, each damage once with a seed of its own; every fourth with BUILDGUARD_ALL=1."""
    monkeypatch.setenv("BUILDGUARD_CACHE_DIR", str(tmp_path / "cache"))
    cases = [case for file in sorted(OWN_CASES.glob("*.jsonl")) for case in read_cases(file)]
    wrong = []
    for case in cases[:: 4 if os.environ.get("BUILDGUARD_ALL") else 120]:
        root = tmp_path / case.id
        make_repository(case, root)
        for name, damage in _DAMAGES.items():
            lines = damage(random.Random(f"{case.id} {name}"), case.log.split("\n"))
            diagnosis = answer(case._replace(log="\n".join(lines)), root)
            left = _LEFT.get((case.id, name))
            if diagnosis.cause != left if left else grade(case, diagnosis) in {WRONG, HEALTHY}:
                wrong.append(f"{case.id}, {name}: {diagnosis.cause}, not {case.expected}")

    assert not wrong
