"""The file and line behind a start that failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from buildguard.check.context import prepare
from buildguard.diagnose.known_messages import match_messages
from buildguard.diagnose.startup_places import StartMessages, startup_places
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

    shown = [place for message in startup_places(job, StartMessages(matches), ()) for place in message.places]

    assert [(place.path, place.line) for place in shown] == places
    assert list(startup_places(job, StartMessages(matches), {match.line for match in matches})) == []
    job.cache.close()


_OPENS = "from pathlib import Path\n\nsettings = Path(__file__).with_name('settings.json').read_text()\n"
_TRACEBACK = """Traceback (most recent call last):
  File "/srv/main.py", line 3, in <module>
    settings = Path(__file__).with_name('settings.json').read_text()
  File "/usr/local/lib/python3.11/pathlib.py", line 1058, in read_text
    with self.open(mode='r', encoding=encoding, errors=errors) as f:
FileNotFoundError: [Errno 2] No such file or directory: '/srv/{name}'
"""


@pytest.mark.parametrize(
    ("name", "cause", "place"),
    [("settings.json", "wrong-files-sent", "Dockerfile:3"), ("other.json", "application-error", "main.py:3")],
)
def test_a_file_that_no_copy_brings_is_the_place_of_the_exception(
    repository: Callable[..., Project], name: str, cause: str, place: str
) -> None:
    dockerfile = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY main.py .\nCMD python main.py\n"
    made = repository({"Dockerfile": dockerfile, "main.py": _OPENS, "settings.json": "{}", "other.txt": ""})
    made.write({"../start.log": _TRACEBACK.format(name=name)})

    answer = made.run("diagnose", "--log", "../start.log", "--format", "json").json

    assert answer["cause"] == cause
    assert [f"{row['path']}:{row['line']}" for row in answer["place"]] == [place]


def test_a_submodule_that_was_not_checked_out_is_the_place_of_the_import(repository: Callable[..., Project]) -> None:
    made = repository(
        {
            "Dockerfile": "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCMD python main.py\n",
            "main.py": "import shared.money\n",
            ".gitmodules": '[submodule "shared"]\n\tpath = shared\n\turl = ../shared\n',
        }
    )
    made.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},shared")
    made.git("commit", "-qm", "a submodule")
    (made.path / "shared").mkdir()
    log = 'Traceback (most recent call last):\n  File "/srv/main.py", line 1, in <module>\n    import shared.money\n'
    made.write({"../start.log": f"{log}ModuleNotFoundError: No module named 'shared'\n"})

    answer = made.run("diagnose", "--log", "../start.log", "--format", "json").json
    finding = next(row for row in made.check().json["diagnostics"] if row["code"] == "BG707")

    assert answer["cause"] == "wrong-files-sent"
    assert [(row["path"], row["line"]) for row in answer["place"]] == [(finding["path"], finding["line"])]
