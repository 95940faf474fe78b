"""`buildguard history`: what deploys did, from the ledger of this machine and, where it can be asked, of the bucket."""

from __future__ import annotations

from pathlib import Path

from buildguard.deploy import bucket_store as buckets
from buildguard.deploy.fleet_status import ServiceStatus, read_fleet
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.selection import select_deploy
from buildguard.diagnostic import count
from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp.storage import StorageClient
from buildguard.load import Project
from buildguard.project import ledger as ledgers
from buildguard.project.attempts import DeployHistory, attempts_of, ledger_path
from buildguard.project.config import Config
from buildguard.project.deploy_table import DeployKind
from buildguard.project.ledger import LedgerLine
from buildguard.system import git


def history(request: DeployRequest) -> DeployHistory:
    """The runs of the ledger, of one service where one is named."""
    repository, config, service = locate_service(request, needed=False)
    file = ledger_path(repository)
    lines, broken = ledgers.read(file)
    notes = [f"{count(broken, 'line')} of the ledger cannot be read"] if broken else []
    if service:
        try:
            with StorageClient(request.project or config.cloud.project) as storage:
                bucket = config.cloud.bucket
                if bucket or storage.project:
                    stored = storage.ensure(bucket, storage.project)
                    lines = read_all_lines(file, storage, stored, service, config.deploy.kind)
        except UnprovenError as error:
            notes.append(f"this machine's runs alone: {error.what}")
    if request.env:
        request = request._replace(project=request.project or config.cloud.project)
    lines = [line for line in lines if _is_wanted(line, request, service)]
    return attempts_of(repository, lines, notes)


def fleet_of(request: DeployRequest) -> tuple[ServiceStatus, ...]:
    """The status of all services, where the configuration has several and none is named."""
    repository, config, service = locate_service(request, needed=False)
    if service or len(config.deploys) < 2:  # noqa: PLR2004
        return ()
    config = config._replace(cloud=config.cloud._replace(project=request.project or config.cloud.project))
    return read_fleet(config, ledger_path(repository), live=True)


def _is_wanted(line: LedgerLine, request: DeployRequest, service: str) -> bool:
    """Whether a line is of the service, the project and the region that were asked for, as far as it names them."""
    return (
        (not service or line.service == service)
        and (not request.project or line.project in {"", request.project})
        and (not request.region or line.region in {"", request.region})
    )


def read_all_lines(
    file: Path, storage: StorageClient, bucket: str, service: str, kind: str = DeployKind.SERVICE
) -> list[LedgerLine]:
    """The ledger of this machine and that of the bucket for the services (or jobs) of a name, as one."""
    known = ledgers.read(file)[0]
    folder = ledgers.folder_of_name(service, kind)
    return ledgers.merge_lines(known, buckets.read_lines(storage, bucket, folder, known))


def locate_service(request: DeployRequest, *, needed: bool = True) -> tuple[git.Repository, Config, str]:
    """The repository, its configuration, and the service; raises UsageError if it is unknown."""
    project = Project.load(request.cwd)
    if project.repository is None:
        raise UsageError(
            "no git repository here, so no ledger of deploys", hint="run it inside the repository that you deployed"
        )
    config = project.root_config.of_environment(request.env)
    if not needed and len(config.deploys) > 1 and not request.service:
        return project.repository, config, ""
    table = select_deploy(config, request.service)
    if needed and not table.service:
        raise UsageError(
            "no Cloud Run service configured", hint="pass --service NAME, or set service in [tool.buildguard.deploy]"
        )
    return project.repository, config.of_deploy(table), table.service
