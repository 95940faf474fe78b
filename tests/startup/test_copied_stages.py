"""The stages that COPY names: what BuildKit and the builder before it do with each row."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.startup.copied_stages import _REFERENCE
from tests.startup.projects import report_of

_ERROR, _OPEN, _FINE = "error", "undecided", "fine"
_LAST = "FROM python:3.12-slim\nCOPY --from=one /y /y\n"


def _report(tmp_path: Path, text: str) -> tuple[str, list[str]]:
    start = 'WORKDIR /srv\nCOPY main.py .\nCMD ["python", "main.py"]\n'
    report = report_of(tmp_path, {"Dockerfile": f"{text}{start}", "main.py": "app = 1\n"})
    lines = [f"{item.code} {item.range.line}: {item.message}" for item in report.diagnostics]
    reasons = [reason for reason in report.undecided if "--from" in reason]
    return (_ERROR if lines else _OPEN if reasons else _FINE), [*lines, *reasons]


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("FROM scratch AS one\nFROM python:3.12-slim\nCOPY --from=one /x /x\n", _FINE),
        ("FROM scratch AS one\nFROM python:3.12-slim\nCOPY --from=ONE /x /x\n", _FINE),
        ("FROM scratch\nFROM python:3.12-slim\nCOPY --from=0 /x /x\n", _FINE),
        ("FROM python:3.12-slim\nCOPY --from= main.py /x\n", _FINE),
        ("FROM python:3.12-slim\nCOPY --from=ghcr.io/astral-sh/uv:0.4.9 /uv /bin/\n", _FINE),
        ("FROM python:3.12-slim\nCOPY --from=localhost:5000/Team/uv /uv /bin/\n", _ERROR),
        ("FROM python:3.12-slim\nCOPY --from=localhost:5000/team/uv /uv /bin/\n", _FINE),
        (f"FROM python:3.12-slim\nCOPY --from=busybox@sha256:{'0' * 64} /bin/sh /bin/\n", _FINE),
        ("FROM python:3.12-slim\nCOPY --from=busybox /bin/busybox /bin/\n", _FINE),
        # a number that no stage has fails in every builder, whether or not the stage is needed
        ("FROM python:3.12-slim\nCOPY --from=1 /x /x\n", _ERROR),
        ("FROM python:3.12-slim\nCOPY --from=-1 /x /x\n", _ERROR),
        ("FROM scratch AS unused\nCOPY --from=9 /x /x\nFROM python:3.12-slim\n", _ERROR),
        # a stage that copies from itself
        ("FROM python:3.12-slim\nCOPY --from=0 /x /x\n", _ERROR),
        ("FROM python:3.12-slim AS me\nCOPY --from=me /x /x\n", _ERROR),
        ("FROM python:3.12-slim AS python\nCOPY --from=python /x /x\n", _OPEN),
        ("FROM scratch AS unused\nCOPY --from=unused /x /x\nFROM python:3.12-slim\n", _FINE),
        # a later stage: BuildKit has no more of it than its base image by then, and the older builder pulls an image
        (f"FROM scratch AS one\nCOPY --from=late /app/x /y\nFROM python:3.12 AS late\nRUN touch /app/x\n{_LAST}", _ERROR),
        (f"FROM scratch AS one\nCOPY --from=1 /x /y\nFROM python:3.12 AS late\nRUN touch /x\n{_LAST}", _ERROR),
        (f"FROM scratch AS one\nCOPY --from=late /etc/passwd /y\nFROM python:3.12 AS late\nRUN true\n{_LAST}", _OPEN),
        (f"FROM scratch AS one\nCOPY --from=late / /y\nFROM python:3.12 AS late\nRUN true\n{_LAST}", _OPEN),
        (f"FROM scratch AS one\nCOPY --from=late /x /y\nFROM acme/base AS late\nRUN true\n{_LAST}", _OPEN),
        (f"FROM scratch AS one\nCOPY --from=late /x /y\nFROM acme/base AS late\nCOPY --from=one /a /b\n{_LAST}", _ERROR),
        ("FROM scratch AS unused\nCOPY --from=late /x /y\nFROM python:3.12-slim AS late\n", _FINE),
        # the library of a Python that the stage does not have
        ("FROM python:3.12 AS one\nFROM python:3.12-slim\nCOPY --from=one /usr/local/lib/python3.11/site-packages /p\n", _ERROR),
        ("FROM python:3.12 AS a\nFROM a AS one\nFROM python:3.12-slim\nCOPY --from=one /usr/local/lib/python3.11 /p\n", _ERROR),
        ("FROM python:3.12 AS one\nFROM python:3.12-slim\nCOPY --from=one /usr/local/lib/python3.12/site-packages /p\n", _FINE),
        ("FROM acme/x:py3.12 AS one\nFROM python:3.12-slim\nCOPY --from=one /usr/local/lib/python3.11/a /p\n", _FINE),
        ("FROM python:3 AS one\nFROM python:3.12-slim\nCOPY --from=one /usr/local/lib/python3.11/site-packages /p\n", _FINE),
        ("FROM python:3.12 AS one\nRUN uv python install 3.11\nFROM python:3.12-slim\nCOPY --from=one /usr/local/lib/python3.11/a /p\n", _FINE),
        (
            ("FROM python:3.12 AS one\nRUN pip install -t /usr/local/lib/python3.11/a x\nFROM python:3.12-slim\n"
            "COPY --from=one /usr/local/lib/python3.11/a /p\n"),
            _FINE,
        ),
        # no stage at all
        ("FROM scratch AS one\nFROM python:3.12-slim\nCOPY --from=Nowhere /x /x\n", _ERROR),
        ("FROM scratch AS builder\nFROM python:3.12-slim\nCOPY --from=build /x /x\n", _OPEN),
        ("FROM scratch AS builder\nFROM python:3.12-slim\nCOPY --from=node /x /x\n", _FINE),
        ("FROM scratch AS one\nFROM python:3.12-slim\nARG S=one\nCOPY --from=$S /x /x\n", _OPEN),
        # the name of a later stage in FROM means an image
        (f"FROM late AS one\nCOPY --from=late /etc/x /y\nFROM python:3.12 AS late\n{_LAST}", _OPEN),
    ],
)  # fmt: skip
def test_where_a_copy_takes_from(tmp_path: Path, text: str, outcome: str) -> None:
    found, lines = _report(tmp_path, text)

    assert found == outcome, lines
    assert all(line.startswith("BG703") for line in lines if outcome == _ERROR)


def test_what_is_said_of_it(tmp_path: Path) -> None:
    _outcome, lines = _report(tmp_path, "FROM scratch\nFROM python:3.12-slim\nCOPY --from=2 /x /x\n")

    assert lines == ["BG703 3: COPY --from=2 names no stage: there are 2, 0 to 1"]


@pytest.mark.parametrize(
    ("name", "is_valid"),
    [
        ("python", True),
        ("a__b/c-d.e:1.0-x", True),
        ("Registry.example:5000/a/b", True),
        ("gcr.io/a/b@sha256:" + "0" * 64, True),
        ("Builder", False),
        ("team/App", False),
        ("stage_", False),
        ("a:", False),
        ("a b", False),
    ],
)
def test_names_that_an_image_can_have(name: str, *, is_valid: bool) -> None:
    assert bool(_REFERENCE.fullmatch(name)) is is_valid
