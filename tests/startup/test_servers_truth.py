"""Modules that real servers loaded, or could not: what is reported of their imports before a build is what failed.

`python -m tests.startup.record_servers FOLDER` asks the servers again.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from buildguard.codes import Code
from buildguard.diagnostic import RelativePath, Severity
from buildguard.imports.distributions import ModuleIndex
from buildguard.imports.doubts import ProjectTexts
from buildguard.imports.faults import ImportContext
from buildguard.imports.image_program import ProjectSources, read_programs
from buildguard.imports.project_imports import ProgramSubject, read_imports
from buildguard.imports.records import ModuleFacts, extract
from buildguard.imports.requirements import Requirements
from buildguard.imports.standard import LibraryModules
from buildguard.project.config import Config
from buildguard.project.discovery import ImageRecipe
from buildguard.project.target import Certainty, ContextBasis, ImageService
from buildguard.stages.stage import Entry, EntryKind
from buildguard.startup.run import check_startup
from tests.conftest import ALL
from tests.project.memory import MemoryStage
from tests.startup.record_servers import CASES, files_of

_ROWS: list[dict[str, Any]] = [json.loads(line) for line in CASES.read_text().splitlines()]
_PACKAGES = (
    "flask",
    "fastapi",
    "fastapi-cli",
    "functions-framework",
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "waitress",
    "streamlit",
    "celery",
    "django",
    "granian",
    "sanic",
    "litestar",
)
# What fails for a reason that is not followed: that a start fails there is undecided.
_HELPER = "x = 1\n"
_OPEN = frozenset(
    {
        "celery --workdir shop -A celery worker -P solo",
        "litestar run",
        "litestar --app main run",
        "litestar --app-dir app run",
    }
)
_DOCKERFILE = f"""FROM python:3.11-slim
WORKDIR /srv
COPY . .
RUN pip install {" ".join(_PACKAGES)}
CMD {{}}
"""


class _Report(NamedTuple):
    """The errors that are reported of a start and of what it imports, and what is undecided of the start."""

    errors: list[str]
    undecided: tuple[str, ...]


def _report_of(files: dict[str, str]) -> _Report:
    startup = check_startup(MemoryStage(files), None, Config())
    # most of these servers listen on a loopback address
    started = [item for item in startup.diagnostics if item.code != Code.BG705]
    entries = [Entry(RelativePath(name.encode()), EntryKind.FILE) for name in files]
    sources = ProjectSources(entries, lambda path: files[path].encode() if path in files else None)
    service = ImageService("root", "Dockerfile", "", ContextBasis(Certainty.DECLARED, "Dockerfile"))
    recipes = [ImageRecipe(service, files["Dockerfile"].encode())] if "Dockerfile" in files else []
    (program,) = read_programs(sources, recipes, ())

    def read(path: str) -> bytes | None:
        text = files.get(program.tree.origins.get(path, ""))
        return None if text is None else text.encode()

    def facts(path: str) -> ModuleFacts | None:
        data = read(path)
        return None if data is None else extract(data, (3, 11))

    requirements = Requirements(frozenset(_PACKAGES))
    context = ImportContext(
        facts, read, LibraryModules(11), lambda name: requirements.may_bring(name.partition(".")[0], ModuleIndex({}))
    )
    subject = ProgramSubject(program, context, ProjectTexts(read, lambda _path: False, facts))
    imported = [finding for found in read_imports([subject]).findings.values() for finding in found]
    rows = [(item.severity, item.message) for item in started] + [(item.severity, item.message) for item in imported]
    errors = [message for severity, message in rows if severity is Severity.ERROR]
    return _Report(errors, startup.undecided)


_COMMANDS = tuple(dict.fromkeys(row["command"] for row in _ROWS))
_DECLARATIONS = ("Dockerfile", "Procfile", "app.yaml")


def _declared(how: str, command: str) -> dict[str, str]:
    """The files that declare a start command: those of an image, or of a folder that a buildpack builds."""
    if how == "Dockerfile":
        return {how: _DOCKERFILE.format(command)}
    key = {"Procfile": "web", "app.yaml": "runtime: python311\nentrypoint"}[how]
    return {how: f"{key}: {command}\n", "requirements.txt": "\n".join(_PACKAGES)}


@pytest.mark.parametrize("command", _COMMANDS)
def test_a_server_loads_exactly_what_is_not_reported(command: str) -> None:
    wrong = []
    for number, row in enumerate(row for row in _ROWS if row["command"] == command):
        # each start once, and each declaration in turn
        for how in _DECLARATIONS if ALL else (_DECLARATIONS[number % 3],):
            report = _report_of({**files_of(row["layout"], row["import"], command), **_declared(how, command)})
            is_open = not report.errors and command in _OPEN and not row["loads"]
            assert not is_open or report.undecided
            if bool(report.errors) is row["loads"] and not is_open:
                wrong.append((how, sorted(row["layout"]), row["import"], report.errors))
    assert wrong == []


@pytest.mark.parametrize("runtime", ["python311", "'python313'"])
@pytest.mark.parametrize("main", ["main.py", "app.py"])
def test_the_default_of_app_engine_is_followed(runtime: str, main: str) -> None:
    files = {"app.yaml": f"runtime: {runtime}\n", "helper.py": _HELPER, "requirements.txt": "flask\n"}
    application = "from flask import Flask\napp = Flask(__name__)\n"
    unused = {**files, main: application, "tools.py": "from helper import nope\n"}

    assert _report_of(unused).errors == []
    assert _report_of({**files, main: f"from helper import nope\n{application}"}).errors == [
        "cannot import name 'nope': helper.py never binds it"
    ]
    assert len(_report_of({**unused, "app.yaml": "runtime: nodejs20\n"}).errors) == 1  # no start is known


def test_the_cases_are_of_every_server() -> None:
    servers = {
        server: [row["loads"] for row in _ROWS if server in row["command"]]
        for server in (
            "python",
            "gunicorn",
            "uvicorn",
            "hypercorn",
            "daphne",
            "waitress-serve",
            "flask",
            "fastapi",
            "functions-framework",
            "streamlit",
            "celery",
            "granian",
            "sanic",
            "litestar",
            "manage.py",
        )
    }

    assert all({*answers} == {True, False} for answers in servers.values()), servers
    assert len(_ROWS) > 380
