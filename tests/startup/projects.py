"""Small projects for the tests of a start: written to a folder, and what is reported of them before a build."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from buildguard.project.config import CloudTable, Config
from buildguard.stages.filesystem import FolderStage
from buildguard.startup.findings import StartupReport
from buildguard.startup.run import check_startup

APP = "from flask import Flask\n\napp = Flask(__name__)\n"
Files = Mapping[str, str | bytes]


def report_of(root: Path, files: Files, *, executable: tuple[str, ...] = (), builds: str = "") -> StartupReport:
    """The report on a project with an application in main.py, which `files` may replace."""
    for name, content in {"main.py": APP, "requirements.txt": "flask\ngunicorn\nuvicorn\n", **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o755 if name in executable else 0o644)
    return check_startup(FolderStage(root), None, Config(cloud=CloudTable(builds=builds)))


def rows_of(report: StartupReport) -> list[tuple[str, str | None, int | None]]:
    """Code, path and line of each finding."""
    return [(item.code, item.path, item.range.line) for item in report.diagnostics]
