"""Generated images, each with one fault or none: what is predicted before the build against a container that starts, or does not.

Twenty by default; all of them with BUILDGUARD_ALL=1.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import docker
import pytest

from buildguard.diagnostic import Severity
from buildguard.project.config import Config
from buildguard.stages.filesystem import FolderStage
from buildguard.startup.run import check_startup
from tests import images

_LISTENING = " 0A "  # the state of a listening socket in /proc/net/tcp
_REACHED = "00000000:1F90"  # 0.0.0.0:8080
_DEADLINE = 240.0
_PROXY_FREE = "steps:\n- name: gcr.io/cloud-builders/gcloud\n  args: [run, deploy, svc, --image, img]\n"
# What the two servers do with a command line, as far as these images use it; no index is reached from a test.
_SERVER = """#!/usr/local/bin/python3
import importlib, os, socket, sys
name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
host, port = ("0.0.0.0", os.environ["PORT"]) if name == "gunicorn" else ("127.0.0.1", "8000")
application = ""
while words:
    word = words.pop(0)
    if word in ("-b", "--bind"):
        host, _, port = words.pop(0).rpartition(":")
    elif word == "--host":
        host = words.pop(0)
    elif word == "--port":
        port = words.pop(0)
    elif word == "--chdir":
        os.chdir(words.pop(0))
    else:
        application = word
sys.path.insert(0, os.getcwd())
module, _, attribute = application.partition(":")
target = getattr(importlib.import_module(module), attribute.partition("(")[0])
target = target() if attribute.endswith("()") else target
listener = socket.create_server((host or "0.0.0.0", int(port)))
while True:
    listener.accept()
"""
_INSTALL = "RUN pip install gunicorn uvicorn\n"  # the image that is built has them already
_APP = """import os
import socket

import {helpers}

app = object()


def create_app():
    return app


if __name__ == "__main__":
    listener = socket.create_server(("0.0.0.0", int(os.environ["PORT"])))
    while True:
        listener.accept()
"""


class Layout(NamedTuple):
    """Where the sources are: the files, the COPY lines, and how the main module is called."""

    name: str
    files: Mapping[str, str]
    head: str
    module: str
    script: str
    helper: str


class Recipe(NamedTuple):
    """A generated project: its name, its files, the executable ones, and whether a fault was put into it."""

    name: str
    files: Mapping[str, str]
    executable: frozenset[str]
    has_fault: bool


_LAYOUTS = (
    Layout(
        "flat",
        {"main.py": _APP.format(helpers="helpers"), "helpers.py": ""},
        "WORKDIR /srv\nCOPY . .\n",
        "main",
        "main.py",
        "helpers.py",
    ),
    Layout(
        "package",
        {"app/__init__.py": "", "app/main.py": _APP.format(helpers="app.helpers"), "app/helpers.py": ""},
        "WORKDIR /code\nCOPY start.sh ./\nCOPY app ./app\n",
        "app.main",
        "-m app.main",
        "app/helpers.py",
    ),
    Layout(
        "src",
        {"src/main.py": _APP.format(helpers="helpers"), "src/helpers.py": ""},
        "WORKDIR /opt/app\nCOPY src/ start.sh /opt/app/\n",
        "main",
        "main.py",
        "src/helpers.py",
    ),
    Layout(
        "stages",
        {"main.py": _APP.format(helpers="helpers"), "helpers.py": ""},
        "WORKDIR /build\nCOPY . .\nFROM python:3.11-slim\nWORKDIR /srv\nCOPY --from=0 /build /srv\n",
        "main",
        "main.py",
        "helpers.py",
    ),
    Layout(
        "folder",
        {"main.py": _APP.format(helpers="lib.helpers"), "lib/helpers.py": ""},
        "WORKDIR /app\nCOPY main.py start.sh ./\nCOPY lib/ lib/\n",
        "main",
        "main.py",
        "lib/helpers.py",
    ),
)
_COMMANDS = {
    "script": 'CMD ["python3", {script}]',
    "exec": 'CMD ["gunicorn", "{module}:{attribute}"]',
    "shell": "CMD exec gunicorn --bind :$PORT {module}:{attribute}",
    "factory": "CMD gunicorn --bind 0.0.0.0:${{PORT:-80}} '{module}:create_app()'",
    "uvicorn": 'CMD ["uvicorn", "{module}:{attribute}", "--host", "0.0.0.0", "--port", "8080"]',
    "env": 'CMD ["env", "STAGE=test", "gunicorn", "{module}:{attribute}"]',
    "entrypoint": 'ENTRYPOINT ["./start.sh"]\nCMD ["gunicorn", "{module}:{attribute}"]',
}
_SCRIPT = '#!/bin/sh\nset -e\nexport STARTED=1\nexec "$@"\n'


def recipes() -> Iterator[Recipe]:
    """Every combination that makes sense, in an order that mixes layouts, commands and faults."""
    faults = ("none", *_FAULTS)
    for shift in range(len(faults)):
        for number, layout in enumerate(_LAYOUTS):
            for at, command in enumerate(_COMMANDS):
                recipe = _recipe(layout, command, faults[(shift + at + 2 * number) % len(faults)])
                if recipe is not None:
                    yield recipe


def _recipe(layout: Layout, command: str, fault: str) -> Recipe | None:
    text = _COMMANDS[command].format(
        module=layout.module,
        attribute="app",
        script=", ".join(f'"{word}"' for word in layout.script.split()),
    )
    files = {
        "Dockerfile": f"FROM python:3.11-slim\n{layout.head}{_INSTALL}{text}\n",
        "start.sh": _SCRIPT,
        "cloudbuild.yaml": _PROXY_FREE,
        "main_test.py": "",
        **layout.files,
    }
    name = f"{layout.name}-{command}-{fault}"
    executable = frozenset({"start.sh"}) if fault != "mode" else frozenset()
    if fault == "none":
        return Recipe(name, files, executable, has_fault=False)
    changed = _FAULTS[fault](files, layout)
    if changed == files and not (fault == "mode" and command == "entrypoint"):
        return None
    if fault in {"crlf", "shebang", "mode"} and command != "entrypoint":
        return None
    return Recipe(name, changed, executable, has_fault=fault != "variable-set")


def _in_command(files: Mapping[str, str], old: str, new: str) -> dict[str, str]:
    """Another command: the text after the last FROM's instructions that copy."""
    head, mark, tail = files["Dockerfile"].rpartition("CMD")
    return {**files, "Dockerfile": head + mark + tail.replace(old, new, 1)}


def _drop(files: Mapping[str, str], layout: Layout) -> dict[str, str]:
    return {**files, ".dockerignore": f"*_test.py\n{layout.helper}\n"}


def _require(files: Mapping[str, str], *, is_set: bool) -> dict[str, str]:
    """A variable that the main module requires, beside a template that is known; set in the Dockerfile, or nowhere."""
    main = next(name for name in files if name.endswith("main.py"))
    code = files[main].replace("app = object()", "DATABASE = os.environ['DATABASE_URL']\n\napp = object()")
    known = _PROXY_FREE.replace("--image, img", "--image, img, --set-env-vars, LEVEL=info")
    made = {**files, main: code, "cloudbuild.yaml": known}
    if is_set:
        made["Dockerfile"] = files["Dockerfile"].replace(_INSTALL, f"{_INSTALL}ENV DATABASE_URL=x\n")
    return made


def _forget(files: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """A COPY of single files that forgets one."""
    if layout.name != "folder":
        return dict(files)
    return {**files, "Dockerfile": files["Dockerfile"].replace("COPY lib/ lib/\n", "")}


_FAULTS: Mapping[str, Callable[[dict[str, str], Layout], dict[str, str]]] = {
    "attribute": lambda files, _layout: _in_command(files, ":app", ":application"),
    "function": lambda files, _layout: _in_command(files, "create_app()", "make_app()"),
    "module": lambda files, layout: _in_command(files, f"{layout.module}:", "server.web:"),
    "script": lambda files, _layout: _in_command(files, 'main.py"', 'run.py"'),
    "main": lambda files, _layout: _in_command(files, '"app.main"', '"app.missing"'),
    "loopback": lambda files, _layout: _in_command(files, '"0.0.0.0"', '"127.0.0.1"'),
    "bind": lambda files, _layout: _in_command(files, "--bind :$PORT", "--bind 127.0.0.1:$PORT"),
    "port": lambda files, _layout: _in_command(files, '"8080"', '"5000"'),
    "raw": lambda files, _layout: _in_command(files, '"8080"', '"$PORT"'),
    "default": lambda files, _layout: _in_command(files, ', "--host", "0.0.0.0", "--port", "8080"', ""),
    "crlf": lambda files, _layout: {**files, "start.sh": _SCRIPT.replace("\n", "\r\n")},
    "shebang": lambda files, _layout: {**files, "start.sh": _SCRIPT.replace("#!/bin/sh\n", "")},
    "mode": lambda files, _layout: dict(files),
    "entrypoint": lambda files, _layout: {
        **files,
        "Dockerfile": files["Dockerfile"].replace('"./start.sh"', '"./run.sh"'),
    },
    "ignored": _drop,
    "variable": lambda files, _layout: _require(files, is_set=False),
    "variable-set": lambda files, _layout: _require(files, is_set=True),
    "forgotten": _forget,
    "source": lambda files, _layout: {
        **files,
        "Dockerfile": files["Dockerfile"].replace("COPY ", "COPY missing.txt /etc/\nCOPY ", 1),
    },
}


@pytest.fixture(scope="module")
def servers(engine_address: str) -> str:
    """An image with Python and the two servers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine_address)
        programs = {f"usr/local/bin/{name}": _SERVER for name in ("gunicorn", "uvicorn")}
        return images.derived(f"{images.REPOSITORY}/startup-servers:3.11", images.base("3.11"), programs)


def _write(root: Path, recipe: Recipe) -> None:
    for name, content in recipe.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
        path.chmod(0o755 if name in recipe.executable else 0o644)


def _starts(root: Path, recipe: Recipe, base: str) -> bool:
    """Whether a container of the image listens where Cloud Run would reach it; decided by what it does, never by waiting."""
    text = recipe.files["Dockerfile"].replace("python:3.11-slim", base).replace(_INSTALL, "")
    (root / "Dockerfile").write_text(text)
    tag = f"{images.REPOSITORY}/startup:{recipe.name}"
    engine = images.api()
    events = list(engine.build(path=os.fspath(root), tag=tag, rm=True, forcerm=True, decode=True))
    if any("error" in event for event in events):
        return False
    container = engine.create_container(tag, environment={"PORT": "8080"})["Id"]
    try:
        engine.start(container)
        return _listens(container)
    except docker.errors.APIError:
        return False  # the engine cannot execute its command
    finally:
        engine.remove_container(container, force=True)
        engine.remove_image(tag, force=True)


def _listens(container: str) -> bool:
    engine, deadline = images.api(), time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        if not engine.inspect_container(container)["State"]["Running"]:
            return False
        try:
            run = engine.exec_create(container, ["cat", "/proc/net/tcp"])
            table = engine.exec_start(run["Id"]).decode()
        except docker.errors.APIError:
            continue  # it ended meanwhile
        listening = [line for line in table.splitlines() if _LISTENING in line]
        if listening:
            return any(_REACHED in line for line in listening)
        time.sleep(0.2)
    raise AssertionError(f"container {container} neither listens nor ends")


def _chosen() -> list[Recipe]:
    every = list(recipes())
    return every if os.environ.get("BUILDGUARD_ALL") else every[:: len(every) // 12]


@pytest.mark.parametrize("recipe", _chosen(), ids=lambda recipe: recipe.name)
def test_a_prediction_is_what_the_container_does(recipe: Recipe, servers: str, tmp_path: Path, engine: str) -> None:
    assert engine
    _write(tmp_path, recipe)
    report = check_startup(FolderStage(tmp_path), None, Config())
    errors = [item.message for item in report.diagnostics if item.severity is Severity.ERROR or item.code == "BG706"]

    starts = _starts(tmp_path, recipe, servers)

    assert starts is not recipe.has_fault  # the generator puts faults in that are faults
    assert bool(errors) is recipe.has_fault, (errors, report.undecided)


def test_there_are_enough_of_each() -> None:
    every = list(recipes())

    assert len(every) >= 200
    assert len({recipe.name for recipe in every}) == len(every)
    assert sum(not recipe.has_fault for recipe in every) >= 25
