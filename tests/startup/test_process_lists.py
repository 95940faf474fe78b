"""Starts by honcho and supervisord: the list exists, and so does what it starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.startup.configurations import check_configs
from tests.startup.projects import report_of, rows_of

_BUILD = "RUN pip install -r requirements.txt supervisor==4.2.5\nCOPY . .\n"
_HEAD = f"FROM python:3.12-slim\nWORKDIR /srv\nCOPY requirements.txt .\n{_BUILD}"
_FILES = {"requirements.txt": "flask==3.0.3\ngunicorn==22.0.0\nhoncho==2.0.0\n", "main.py": "app = 1\n"}
_WEB = "[program:web]\ncommand=gunicorn -b :8080 {}:app\n"
_HONCHO = 'CMD ["honcho", "start"]\n'
_SUPERVISOR = 'CMD ["/usr/local/bin/supervisord", "-n", "-c", "s.conf"]\n'
_IN_ETC = 'CMD ["supervisord", "-c", "/etc/supervisord.conf"]\n'


@pytest.mark.parametrize(
    ("start", "files", "place"),
    [
        (_HONCHO, {}, ("Dockerfile", 6)),
        ('CMD ["honcho", "-f", "Other", "start"]\n', {"Procfile": "web: gunicorn main:app\n"}, ("Dockerfile", 6)),
        (_HONCHO, {"Procfile": "\nweb: gunicorn -b :$PORT mian:app\n"}, ("Procfile", 2)),
        (_HONCHO, {"Procfile": "web: gunicorn main:app\nworker: python work.py\n"}, ("Procfile", 2)),
        (_SUPERVISOR, {}, ("Dockerfile", 6)),
        (_SUPERVISOR, {"s.conf": _WEB.format("mian")}, ("s.conf", 2)),
        ("CMD exec supervisord -c s.conf\n", {"s.conf": _WEB.format("mian")}, ("s.conf", 2)),
        (_IN_ETC, {}, ("Dockerfile", 6)),
        (f"RUN apt-get install -y supervisor\n{_IN_ETC}", {}, ("Dockerfile", 7)),
        (f"COPY s.conf /etc/supervisord.conf\n{_IN_ETC}", {"s.conf": _WEB.format("mian")}, ("s.conf", 2)),
    ],
)
def test_a_list_or_a_program_of_it_that_is_missing(
    tmp_path: Path, start: str, files: dict[str, str], place: tuple[str, int]
) -> None:
    report = report_of(tmp_path, {**_FILES, **files, "Dockerfile": f"{_HEAD}{start}"})

    assert rows_of(report) == [("BG701", *place)]


@pytest.mark.parametrize(
    ("start", "files"),
    [
        (_HONCHO, {"Procfile": "web: gunicorn -b :$PORT main:app\n"}),
        ('CMD ["honcho", "start", "web"]\n', {"Procfile": "web: gunicorn main:app\nworker: python work.py\n"}),
        (_HONCHO, {"Procfile": "web: gunicorn mian:app\n", ".env": "PYTHONPATH=/lib\n"}),
        (_HONCHO, {"Procfile": "web: gunicorn $APP\n"}),
        (_SUPERVISOR, {"s.conf": _WEB.format("main")}),
        (_SUPERVISOR, {"s.conf": f"{_WEB.format('mian')}autostart=false\n"}),
        ('CMD ["supervisord", "-n"]\n', {}),
        (f"RUN echo_supervisord_conf > /etc/supervisord.conf\n{_IN_ETC}", {}),
        (f"RUN ./configure\n{_IN_ETC}", {"configure": "#!/bin/sh\n"}),
        ('CMD ["supervisord", "-c", "/etc/supervisor/supervisord.conf"]\n', {}),
    ],
)
def test_a_list_that_may_start(tmp_path: Path, start: str, files: dict[str, str]) -> None:
    report = report_of(tmp_path, {**_FILES, **files, "Dockerfile": f"{_HEAD}{start}"}, executable=("configure",))

    assert rows_of(report) == []
    assert report.undecided


def test_supervisor_of_alpine_has_its_own(tmp_path: Path) -> None:
    text = f"{_HEAD.replace('-slim', '-alpine')}RUN apk add supervisor\n{_IN_ETC}"
    report = report_of(tmp_path, {**_FILES, "Dockerfile": text})

    assert check_configs.__doc__
    assert rows_of(report) == []
    assert report.undecided
