"""The cycles of a repository's services, on this machine and in the bucket, and one of them by its number or run."""

from __future__ import annotations

from collections.abc import Sequence

from buildguard.cycles import record as records
from buildguard.cycles import store
from buildguard.cycles.changes import CycleChanges
from buildguard.cycles.record import CycleHistory, CycleRecord
from buildguard.definitions import NamedTuple
from buildguard.deploy.cycle import compare
from buildguard.deploy.history import locate_service
from buildguard.deploy.prepare import DeployRequest
from buildguard.errors import UnprovenError, UsageError
from buildguard.gcp.storage import StorageClient
from buildguard.project.attempts import ledger_path
from buildguard.system.git import Repository

_RECENT = 100  # cycles of a bucket


class CycleStory(NamedTuple):
    """Cycles, the oldest first, in their repository; notes on what could not be read."""

    repository: Repository
    cycles: tuple[CycleRecord, ...]
    notes: tuple[str, ...] = ()

    def find(self, name: str) -> CycleRecord:
        """The cycle with a number, or of a run. Raises UsageError where none fits, or several do."""
        fitting = [cycle for cycle in self.cycles if name in {str(cycle.number), cycle.id}]
        if len({cycle.service for cycle in fitting}) > 1:
            names = ", ".join(f"{cycle.id} ({cycle.service.service})" for cycle in fitting)
            raise UsageError(f"several cycles have the number {name}: {names}", hint="name the run, or pass --service")
        if not fitting:
            raise UsageError(f"no cycle {name} is recorded here", hint="buildguard history")
        return fitting[-1]

    def before(self, cycle: CycleRecord) -> CycleHistory:
        """The cycles of the same service that came before one."""
        same = [other for other in self.cycles if other.service == cycle.service]
        return CycleHistory(tuple(same[: same.index(cycle)]))

    def changes(self, cycle: CycleRecord) -> tuple[CycleChanges, ...]:
        """What changed since the cycles before one."""
        return compare(self.repository, cycle, self.before(cycle))


def read_story(request: DeployRequest) -> CycleStory:
    """The cycles of one service, or of all; those of the bucket where a service is named."""
    repository, config, service = locate_service(request, needed=False)
    here = store.read(store.folder_of(ledger_path(repository)))
    there: Sequence[CycleRecord] = ()
    notes = []
    if service:
        try:
            with StorageClient(request.project or config.cloud.project) as storage:
                if config.cloud.bucket or storage.project:
                    bucket = storage.ensure(config.cloud.bucket, storage.project)
                    there = _read_bucket(storage, bucket, service)
        except UnprovenError as error:
            notes.append(f"this machine's cycles alone: {error.what}")
    cycles = [cycle for cycle in records.merge(here, there).cycles if _is_wanted(cycle, request, service)]
    return CycleStory(repository, tuple(cycles), tuple(notes))


def _read_bucket(storage: StorageClient, bucket: str, service: str) -> list[CycleRecord]:
    names = sorted(
        name for name in storage.names(bucket, store.bucket_folder_of_name(service)) if name.endswith(".json")
    )
    parsed = [records.parse(storage.content(f"gs://{bucket}/{name}")) for name in names[-_RECENT:]]
    return [cycle for cycle in parsed if cycle is not None]


def _is_wanted(cycle: CycleRecord, request: DeployRequest, service: str) -> bool:
    name, project, region = cycle.service.service, cycle.service.project, cycle.service.region
    return (
        (not service or name == service)
        and (not request.project or project in {"", request.project})
        and (not request.region or region in {"", request.region})
    )
