"""Modules that real servers loaded, or could not: what is reported of their imports before a build is what failed.

`python -m tests.startup.record_servers FOLDER` asks the servers again.
"""

from __future__ import annotations

import json
from typing import Any

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
_DOCKERFILE = f"""FROM python:3.11-slim
WORKDIR /srv
COPY . .
RUN pip install {" ".join(_PACKAGES)}
CMD {{}}
"""


def _reported(files: dict[str, str]) -> list[str]:
    """The errors that are reported of a start and of what it imports."""
    reports = check_startup(MemoryStage(files), None, Config()).diagnostics
    started = [
        item for item in reports if item.code != Code.BG705
    ]  # most of these servers listen on a loopback address
    entries = [Entry(RelativePath(name.encode()), EntryKind.FILE) for name in files]
    sources = ProjectSources(entries, lambda path: files[path].encode() if path in files else None)
    service = ImageService("root", "Dockerfile", "", ContextBasis(Certainty.DECLARED, "Dockerfile"))
    (program,) = read_programs(sources, [ImageRecipe(service, files["Dockerfile"].encode())], ())

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
    subject = ProgramSubject(program, context, ProjectTexts(read, lambda _path: False, facts, b""))
    imported = [finding for found in read_imports([subject], None).findings.values() for finding in found]
    rows = [(item.severity, item.message) for item in started] + [(item.severity, item.message) for item in imported]
    return [message for severity, message in rows if severity is Severity.ERROR]


@pytest.mark.parametrize("command", dict.fromkeys(row["command"] for row in _ROWS))
def test_a_server_loads_exactly_what_is_not_reported(command: str) -> None:
    wrong = []
    for row in _ROWS:
        if row["command"] == command:
            files = {**files_of(row["layout"], row["import"], command), "Dockerfile": _DOCKERFILE.format(command)}
            reported = _reported(files)
            if bool(reported) is row["loads"]:
                wrong.append((sorted(row["layout"]), row["import"], reported))
    assert wrong == []


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
        )
    }

    assert all({*answers} == {True, False} for answers in servers.values()), servers
    assert len(_ROWS) > 200
