"""Starts real servers on small projects: does what each loads import its neighbours? The answers are `tests/cases/servers.jsonl`.

`python -m tests.startup.record_servers FOLDER` writes them again. FOLDER is the `bin` of an environment with flask, fastapi,
fastapi-cli, functions-framework, gunicorn, uvicorn, hypercorn, daphne, waitress, streamlit, celery, django, granian, sanic
and litestar.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

CASES = Path(__file__).parents[1] / "cases" / "servers.jsonl"
_MAIN, _HELPER = "(main)", "x = 1\n"
_MARK = "loaded.txt"
_ASGI = ("uvicorn", "hypercorn", "daphne", "fastapi", "--interface asgi")
_SECONDS = 60.0
_STAYS = 3.0  # so long a server runs on after it has loaded the module: it found its application there
_SHOWN = 20.0  # streamlit runs on after a script that fails, and shows the failure
_PORT = 18999


_VARIABLES = {"STREAMLIT_SERVER_PORT": str(_PORT), "STREAMLIT_SERVER_HEADLESS": "true"}
_APPLICATIONS = {
    "celery": "from celery import Celery\napp = Celery('shop', broker='memory://')\n",
    "sanic": "from sanic import Sanic\napp = Sanic('shop')\n@app.get('/')\ndef index(request): pass\n",
    "litestar": "from litestar import Litestar\napp = Litestar()\n",
    "streamlit": "import streamlit\n",
}


class _Layout(NamedTuple):
    """Files, the imports that the main module begins with in turn, and the commands that start it."""

    files: Mapping[str, str]
    imports: tuple[str, ...]
    commands: tuple[str, ...]


_SETTINGS = """(main)
SECRET_KEY = "k"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
"""
_MANAGE = """import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
_WSGI = """(main)
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
application = get_wsgi_application()
"""
_PLAIN_SETTINGS, _URLS = _SETTINGS.removeprefix("(main)\n"), "urlpatterns = []\n"
_SITE = {"manage.py": _MANAGE, "shop/__init__.py": "", "shop/helper.py": _HELPER, "shop/urls.py": _URLS}
_LAYOUTS = (
    _Layout(
        {"main.py": _MAIN, "helper.py": _HELPER},
        ("import helper", "from .helper import x"),
        (
            "python main.py", "python -m main", "gunicorn main:app", "python -m gunicorn main:app", "uvicorn main:app",
            "python -m uvicorn main:app", "hypercorn main:app", "daphne main:app", "waitress-serve main:app",
            "flask --app main run", "flask --app main.py run", "fastapi run main.py", "fastapi run",
            "functions-framework --target handle", "functions-framework --source main.py --target handle",
            "gunicorn -k uvicorn.workers.UvicornWorker main:app",
        ),
    ),
    _Layout(
        {"app.py": _MAIN, "helper.py": _HELPER},
        ("import helper", "from .helper import x"),
        ("flask run", "python -m flask run", "fastapi run"),
    ),
    _Layout(
        {"app/__init__.py": "", "app/main.py": _MAIN, "app/helper.py": _HELPER},
        ("import helper", "from .helper import x", "from app.helper import x", "from app import helper"),
        (
            "python app/main.py", "python -m app.main", "gunicorn app.main:app", "gunicorn --chdir app main:app",
            "gunicorn --pythonpath app main:app", "uvicorn app.main:app", "uvicorn --app-dir app main:app",
            "hypercorn app.main:app", "hypercorn app/main:app", "daphne app.main:app", "waitress-serve app.main:app",
            "flask --app app.main run", "flask --app app/main.py run", "flask --app app/main run", "fastapi run",
            "fastapi run app/main.py", "functions-framework --source app/main.py --target handle",
        ),
    ),
    _Layout(
        {"app/main.py": _MAIN, "app/helper.py": _HELPER},
        ("import helper", "from .helper import x", "from app.helper import x"),
        (
            "python app/main.py", "python -m app.main", "gunicorn app.main:app", "uvicorn app.main:app",
            "hypercorn app.main:app", "hypercorn app/main:app", "waitress-serve app.main:app", "daphne app.main:app",
            "flask --app app.main run", "flask --app app/main.py run", "fastapi run app/main.py", "fastapi run",
            "functions-framework --source app/main.py --target handle",
        ),
    ),
    _Layout(
        {"src/shop/__init__.py": "", "src/shop/main.py": _MAIN, "src/shop/helper.py": _HELPER},
        ("import helper", "from .helper import x", "from shop.helper import x", "from src.shop.helper import x"),
        (
            "python src/shop/main.py", "gunicorn --chdir src shop.main:app", "gunicorn src.shop.main:app",
            "uvicorn --app-dir src shop.main:app", "uvicorn src.shop.main:app", "hypercorn src/shop/main:app",
            "flask --app src/shop/main.py run", "flask --app src.shop.main run", "fastapi run src/shop/main.py",
            "functions-framework --source src/shop/main.py --target handle",
        ),
    ),
    _Layout(
        {"app/__init__.py": "", "app/api/__init__.py": "", "app/api/main.py": _MAIN, "app/helper.py": _HELPER},
        ("from ..helper import x", "from app.helper import x", "import helper", "from . import helper"),
        (
            "python -m app.api.main", "python app/api/main.py", "gunicorn app.api.main:app", "uvicorn app.api.main:app",
            "hypercorn app.api.main:app", "flask --app app/api/main.py run", "fastapi run app/api/main.py",
            "functions-framework --source app/api/main.py --target handle",
        ),
    ),
    _Layout(
        {"app.py": _MAIN, "helper.py": _HELPER},
        ("import helper", "from .helper import x"),
        ("streamlit run app.py", "python -m streamlit run app.py", "streamlit run --server.headless true app.py"),
    ),
    _Layout(
        {"app/main.py": _MAIN, "app/helper.py": _HELPER},
        ("import helper", "from .helper import x", "from app.helper import x"),
        ("streamlit run app/main.py", "python -m streamlit run app/main.py"),
    ),
    _Layout(
        {"tasks.py": _MAIN, "helper.py": _HELPER},
        ("import helper", "from .helper import x"),
        (
            "celery -A tasks worker -P solo", "celery -A tasks.app worker -P solo", "celery --app=tasks:app worker -P solo",
            "python -m celery -A tasks worker -P solo", "celery -A tasks beat", "celery -A tasks.nothing worker -P solo",
            "celery -A tasks:nothing worker -P solo", "celery -A nothing worker -P solo", "celery --workdir . -A tasks worker -P solo",
        ),
    ),
    _Layout(
        {"shop/__init__.py": "", "shop/celery.py": _MAIN, "shop/helper.py": _HELPER},
        ("import helper", "from .helper import x", "from shop.helper import x"),
        (
            "celery -A shop worker -P solo", "celery -A shop.celery worker -P solo", "celery -A shop.celery.app worker -P solo",
            "celery -A shop.celery:app worker -P solo", "celery -A shop:app worker -P solo",
            "celery --workdir shop -A celery worker -P solo",
        ),
    ),
    _Layout(
        {"shop/__init__.py": "from .celery import app as celery_app", "shop/celery.py": _MAIN, "shop/helper.py": _HELPER},
        ("import helper", "from .helper import x"),
        ("celery -A shop worker -P solo", "celery -A shop.celery_app worker -P solo", "celery -A shop:celery_app worker -P solo"),
    ),
    _Layout(
        {"shop/__init__.py": "", "shop/tasks.py": _MAIN, "shop/helper.py": _HELPER},
        ("import helper", "from .helper import x"),
        ("celery -A shop worker -P solo", "celery -A shop.tasks worker -P solo", "celery -A shop.tasks.app worker -P solo"),
    ),
    _Layout(
        {"shop/__init__.py": "", "shop/__main__.py": _MAIN, "shop/helper.py": _HELPER},
        ("import helper", "from .helper import x", "from shop.helper import x", "from . import helper"),
        ("python -m shop", "python shop", "python -m shop.__main__", "python shop/__main__.py"),
    ),
    _Layout(
        {"shop/__init__.py": "", "shop/main.py": _MAIN, "shop/helper.py": _HELPER},
        ("from .helper import x",),
        ("python -m shop", "python shop", "python -m shop.main"),
    ),
    _Layout(
        {**_SITE, "shop/settings.py": _SETTINGS},
        ("import helper", "from .helper import x", "from shop.helper import x"),
        ("python manage.py runserver", "python manage.py runserver --noreload", "gunicorn shop.wsgi"),
    ),
    _Layout(
        {**_SITE, "shop/settings.py": _SETTINGS, "shop/wsgi.py": _WSGI.removeprefix("(main)\n")},
        ("import helper", "from .helper import x", "from shop.helper import x"),
        ("gunicorn shop.wsgi", "gunicorn shop.wsgi:application", "gunicorn shop.wsgi:app", "waitress-serve shop.wsgi:application"),
    ),
    _Layout(
        {**_SITE, "shop/settings.py": _PLAIN_SETTINGS, "shop/wsgi.py": _WSGI},
        ("import helper", "from .helper import x", "from shop.helper import x"),
        ("gunicorn shop.wsgi", "granian --interface wsgi shop.wsgi:application"),
    ),
    _Layout(
        {**_SITE, "shop/settings.py": _PLAIN_SETTINGS, "shop/urls.py": f"{_MAIN}\n{_URLS}"},
        ("import helper", "from .helper import x", "from shop.helper import x"),
        ("python manage.py runserver", "python manage.py runserver --noreload"),
    ),
    _Layout(
        {
            **{f"backend/{path}": text for path, text in _SITE.items()},
            "backend/shop/settings.py": _SETTINGS,
            "backend/shop/wsgi.py": _WSGI.removeprefix("(main)\n"),
        },
        ("import helper", "from .helper import x", "from shop.helper import x", "from backend.shop.helper import x"),
        (
            "python backend/manage.py runserver", "gunicorn --chdir backend shop.wsgi", "gunicorn --pythonpath backend shop.wsgi",
            "gunicorn backend.shop.wsgi",
        ),
    ),
    _Layout(
        {"main.py": _MAIN, "helper.py": _HELPER},
        ("import helper", "from .helper import x"),
        (
            "granian --interface wsgi main:app", "granian --interface asgi main:app", "granian --interface wsgi main:nothing",
            "python -m granian --interface wsgi main:app", "sanic main:app", "sanic main", "sanic main.app", "sanic main:nothing",
            "python -m sanic main:app", "litestar --app main:app run", "litestar run", "litestar --app main run",
            "python -m litestar --app main:app run", "sanic nothing:app", "granian --interface wsgi nothing:app",
        ),
    ),
    _Layout(
        {"app/main.py": _MAIN, "app/helper.py": _HELPER},
        ("import helper", "from .helper import x", "from app.helper import x"),
        (
            "granian --interface asgi app.main:app", "granian --interface wsgi --working-dir app main:app", "sanic app.main:app",
            "litestar --app app.main:app run", "litestar --app-dir app run", "litestar --app-dir app --app main:app run",
        ),
    ),
)  # fmt: skip


def files_of(layout: Mapping[str, str], statement: str, command: str) -> dict[str, str]:
    """The files of a case, with the main module that begins with the statement."""
    main = f"{statement}\n{_application(command)}open({_MARK!r}, 'w').close()\n"
    return {path: text.replace(_MAIN, main) for path, text in layout.items()}


def _application(command: str) -> str:
    """The application that the server of a command is given."""
    if "manage.py" in command or "shop.wsgi" in command:
        return ""
    known = next((text for name, text in _APPLICATIONS.items() if name in command), "")
    if known:
        return known
    application = (
        "from fastapi import FastAPI\napp = FastAPI()\n"
        if any(name in command for name in _ASGI)
        else "from flask import Flask\napp = Flask(__name__)\n"
    )
    return f"{application}def handle(request):\n    return ''\n"


def _cases() -> Iterator[tuple[Mapping[str, str], str, str]]:
    for layout in _LAYOUTS:
        for command in layout.commands:
            for statement in layout.imports:
                yield layout.files, statement, command


def _loads(root: Path, command: str, folder: str) -> bool:
    """Whether a server comes to the end of the module, which leaves a mark in the folder where it runs then, and runs on."""
    variables = {"PATH": f"{folder}:{os.environ['PATH']}", "PORT": str(_PORT), "HOME": str(root), **_VARIABLES}
    with subprocess.Popen(
        command.split(),
        cwd=root,
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        until = time.monotonic() + (_SHOWN if "streamlit" in command else _SECONDS)
        while not any(root.rglob(_MARK)) and server.poll() is None and time.monotonic() < until:
            if "streamlit" in command:
                _visit()
            time.sleep(0.05)
        stays = time.monotonic() + _STAYS
        while server.poll() is None and time.monotonic() < stays:
            time.sleep(0.05)
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            return any(root.rglob(_MARK))
    return any(root.rglob(_MARK)) and server.returncode == 0 and "sanic" not in command  # that one ends with 0 anyway


def _visit() -> None:
    """A visit to a page of streamlit: it runs the script when a browser asks for it."""
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: localhost:{_PORT}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    rerun = b"\x82\x82\0\0\0\0\x5a\0"  # a frame with the message "rerun_script", masked with zeros
    try:
        with socket.create_connection(("127.0.0.1", _PORT), timeout=5) as line:
            line.sendall(request.encode())
            line.recv(4096)
            line.sendall(rerun)
            time.sleep(2)
    except OSError:
        return


def _record(folder: str) -> None:
    rows = []
    for layout, statement, command in _cases():
        with tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch)
            for path, text in files_of(layout, statement, command).items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).write_text(text)
            loads = _loads(root, command, folder)
        rows.append({"layout": layout, "import": statement, "command": command, "loads": loads})
        print(json.dumps(rows[-1]), flush=True)
    CASES.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


if __name__ == "__main__":
    _record(sys.argv[1])
