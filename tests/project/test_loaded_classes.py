"""What a server loads by name beside its application, as gunicorn 27 and uvicorn 0.54 do."""

from __future__ import annotations

import pytest

from buildguard.project.start_command import (
    CommandPlace,
    CommandText,
    StartCommand,
    StartContext,
    with_class,
    with_module,
)
from buildguard.project.start_parser import parse_start

_PLACE = CommandPlace("Dockerfile", 9)
_FILES = {"/srv/jobs/__init__.py": b"", "/srv/conf.py": b"", "/srv/web.py": b""}


@pytest.mark.parametrize(
    ("command", "config", "loaded"),
    [
        ("gunicorn -k jobs.work.Own web", "", ["jobs.work Own Dockerfile:9"]),
        ("gunicorn --logger-class conf.Log web", "", ["conf Log Dockerfile:9"]),
        ("gunicorn -k jobs.Own --logger-class=conf.Log web", "", ["jobs Own Dockerfile:9", "conf Log Dockerfile:9"]),
        ("gunicorn -c python:jobs.lost web", "", ["jobs.lost  Dockerfile:9"]),
        ("gunicorn -c python:installed.conf web", "", []),
        ("gunicorn -k gthread --logger-class other.Log web", "", []),
        ("gunicorn web", "\nworker_class = 'jobs.Own'\n", ["jobs Own /srv/gunicorn.conf.py:2"]),
        ("gunicorn web", "logger_class = 'conf.Log'\n", ["conf Log /srv/gunicorn.conf.py:1"]),
        ("gunicorn -k sync web", "worker_class = 'jobs.Own'\n", []),
        ("gunicorn web", "worker_class = 'jobs.Own'\nif x:\n    worker_class = 'sync'\n", []),
        ("gunicorn web", "worker_class = 'gevent'\n", []),
        ("uvicorn web:app --loop jobs.loops:make --http auto", "", ["jobs.loops make Dockerfile:9"]),
        ("uvicorn web:app --http jobs:Http --ws conf:Ws", "", ["jobs Http Dockerfile:9", "conf Ws Dockerfile:9"]),
        ("uvicorn web:app --loop uvloop --ws other:Ws", "", []),
    ],
)
def test_a_server_loads_classes_of_the_project_by_name(command: str, config: str, loaded: list[str]) -> None:
    files = {**_FILES, **({"/srv/gunicorn.conf.py": config.encode()} if config else {})}
    start = parse_start(CommandText(_PLACE, tuple(command.split())), StartContext("/srv", {}, files.get))

    rows = [f"{row.module} {row.attribute} {row.place.file}:{row.place.line}" for row in start.loads]
    assert rows == loaded
    assert {row.search_path for row in start.loads} <= {start.search_path}


def test_gunicorn_needs_the_file_of_its_log_configuration() -> None:
    words = ("gunicorn", "--log-config", "log.ini", "--log-config-json", "log.json", "web")

    # one of JSON is optional
    assert parse_start(CommandText(_PLACE, words), StartContext("/srv", {}, _FILES.get)).configs == ("/srv/log.ini",)


@pytest.mark.parametrize("name", ["Own", "jobs.", ".Own", "jobs.2", "other.Own", ""])
def test_other_names_load_nothing(name: str) -> None:
    start = StartCommand(_PLACE, server="gunicorn", search_path=("/srv",))

    assert with_class(start, name, _PLACE, StartContext("/srv", {}, _FILES.get)) == start
    assert with_module(start, "other", "", _PLACE, StartContext("/srv", {}, _FILES.get)) == start
