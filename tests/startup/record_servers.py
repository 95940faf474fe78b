"""Starts real servers on small projects: does what each loads import its neighbours? The answers are `tests/cases/servers.jsonl`.

`python -m tests.startup.record_servers FOLDER` writes them again. FOLDER is the `bin` of an environment with flask, fastapi,
fastapi-cli, functions-framework, gunicorn, uvicorn, hypercorn, daphne and waitress.
"""

from __future__ import annotations

import json
import os
import signal
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
_ASGI = ("uvicorn", "hypercorn", "daphne", "fastapi")
_SECONDS = 60.0


class _Layout(NamedTuple):
    """Files, the imports that the main module begins with in turn, and the commands that start it."""

    files: Mapping[str, str]
    imports: tuple[str, ...]
    commands: tuple[str, ...]


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
)  # fmt: skip


def files_of(layout: Mapping[str, str], statement: str, command: str) -> dict[str, str]:
    """The files of a case, with the main module that begins with the statement."""
    is_asgi = any(name in command for name in _ASGI)
    application = (
        "from fastapi import FastAPI\napp = FastAPI()\n"
        if is_asgi
        else "from flask import Flask\napp = Flask(__name__)\n"
    )
    main = f"{statement}\n{application}def handle(request):\n    return ''\nopen({_MARK!r}, 'w').close()\n"
    return {path: main if text == _MAIN else text for path, text in layout.items()}


def _cases() -> Iterator[tuple[Mapping[str, str], str, str]]:
    for layout in _LAYOUTS:
        for command in layout.commands:
            for statement in layout.imports:
                yield layout.files, statement, command


def _loads(root: Path, command: str, folder: str) -> bool:
    """Whether a server comes to the end of the module: it leaves a mark in the folder where it runs then."""
    variables = {"PATH": f"{folder}:{os.environ['PATH']}", "PORT": "18999", "HOME": str(root)}
    with subprocess.Popen(
        command.split(),
        cwd=root,
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        until = time.monotonic() + _SECONDS
        while not any(root.rglob(_MARK)) and server.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
    return any(root.rglob(_MARK))


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
