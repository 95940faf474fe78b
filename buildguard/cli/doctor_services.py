"""The services of `buildguard doctor`: what this machine's ledger has proven of each; nothing is connected to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from buildguard import __version__
from buildguard.cli.render.fleet_status import as_rows, as_table
from buildguard.deploy.fleet_status import ServiceStatus, read_fleet
from buildguard.load import Project
from buildguard.project.attempts import ledger_path
from buildguard.project.config import Config
from buildguard.system.git import Repository


def services_json(cwd: Path) -> str:
    """The services as JSON, for dashboards."""
    project = Project.load(cwd)
    rows = as_rows(_services(project.repository, project.config))
    return json.dumps({"schema": 1, "buildguard": __version__, "services": rows}, indent=1) + "\n"


def service_lines(repository: Repository | None, config: Config) -> Iterator[str]:
    """A table for people, where several services are configured."""
    services = _services(repository, config)
    if len(services) > 1:
        yield ""
        yield "services, by the ledger of this machine (buildguard history asks Cloud Run):"
        rows = [service._replace(why="") for service in services]
        yield from (f"  {line}" for line in as_table(rows))


def _services(repository: Repository | None, config: Config) -> tuple[ServiceStatus, ...]:
    return read_fleet(config, ledger_path(repository), live=False) if repository is not None else ()
