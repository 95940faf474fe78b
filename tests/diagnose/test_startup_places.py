"""The file and line behind a start that failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from buildguard.check.context import prepare
from buildguard.diagnose.known_messages import match_messages
from buildguard.diagnose.startup_places import startup_places
from buildguard.locate import locate
from buildguard.project.request import CheckRequest
from tests.conftest import Project

_HEAD = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install gunicorn\n"
_MAIN = "app = object()\n"


@pytest.mark.parametrize(
    ("files", "log", "places"),
    [
        (
            {"Dockerfile": f'{_HEAD}CMD ["gunicorn", "main:server"]\n'},
            "Failed to find attribute 'server' in 'main'.",
            [("Dockerfile", 5)],
        ),
        (
            {"Dockerfile": f'{_HEAD}CMD ["gunicorn", "main:app"]\n'},
            "Failed to find attribute 'server' in 'main'.",
            [],
        ),
        (
            {"Dockerfile": f'{_HEAD}CMD ["gunicorn", "main:server"]\n'},
            "Failed to find attribute 'other' in 'elsewhere'.",
            [],
        ),
    ],
)
def test_the_place_of_a_start_that_failed(
    project: Callable[..., Project], files: Mapping[str, str], log: str, places: list[tuple[str, int]]
) -> None:
    folder = project({"main.py": _MAIN, **files}).path
    job = prepare(CheckRequest(folder), locate(folder, ()))
    matches = list(match_messages([log]))
    assert matches

    shown = [place for message in startup_places(job, matches, ()) for place in message.places]

    assert [(place.path, place.line) for place in shown] == places
    assert list(startup_places(job, matches, {match.line for match in matches})) == []
    job.cache.close()
