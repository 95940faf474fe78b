"""The lists of honcho and supervisord: which file they read, and what it starts."""

from __future__ import annotations

import pytest

from buildguard.project.process_lists import ListedProcess, process_list


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("honcho start", "Procfile"),
        ("honcho -f Procfile.prod start web", "Procfile.prod"),
        ("honcho --procfile=P -d app start", "app/P"),
        ("honcho check", None),
        ("honcho -e prod.env start", None),
        ("supervisord -n -c /etc/s.conf", "/etc/s.conf"),
        ("supervisord --configuration=s.conf", "s.conf"),
        ("supervisord -n", None),
        ("supervisord", None),
        ("gunicorn -c x.py", None),
    ],
)
def test_the_file_that_a_command_reads(command: str, path: str | None) -> None:
    name, *arguments = command.split()
    listed = process_list(name, arguments)

    assert (listed and listed.path) == path


def test_the_processes_of_a_procfile() -> None:
    text = "# all\nweb: gunicorn main:app\nworker-1:  celery -A main worker\nno process\n"
    whole, web = process_list("honcho", ["-d", "/srv", "start"]), process_list("honcho", ["start", "web"])
    assert whole is not None
    assert web is not None

    assert [*whole.read(text)] == [
        ListedProcess(("/bin/sh", "-c", "gunicorn main:app"), 2, "/srv"),
        ListedProcess(("/bin/sh", "-c", "celery -A main worker"), 3, "/srv"),
    ]
    assert [process.line for process in web.read(text)] == [2]


@pytest.mark.parametrize(
    ("settings", "processes"),
    [
        ("command=gunicorn main:app ; all of it\ndirectory = /srv", [(("gunicorn", "main:app"), 4, "/srv")]),
        ("command=gunicorn main:app\n  --chdir app", [(("gunicorn", "main:app", "--chdir", "app"), 4, "")]),
        ("command=sh -c 'exec python x.py'", [(("sh", "-c", "exec python x.py"), 4, "")]),
        ("command=python x.py\nautostart=False", []),
        ("command=%(ENV_PROGRAM)s x.py", []),
        ("command=python x.py\ndirectory=%(here)s", []),
        ('command=python x.py\nenvironment=A="b",PYTHONPATH="/lib"', []),
        ("command=sh -c 'exec", []),
        ("command=", []),
    ],
)
def test_the_programs_of_supervisord(settings: str, processes: list[tuple[tuple[str, ...], int, str]]) -> None:
    listed = process_list("supervisord", ["-c", "s.conf"])
    assert listed is not None

    text = f"[supervisord]\nnodaemon=true\n[program:web]\n{settings}\n[eventlistener:x]\ncommand=other\n"

    assert [*map(tuple, listed.read(text))] == processes
