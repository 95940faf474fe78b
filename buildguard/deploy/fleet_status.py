"""Every service of the configuration at a glance: what serves, of which commit and Python, whether that is proven, and the last cycle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from buildguard.definitions import NamedTuple, StrEnum
from buildguard.deploy import bucket_store as buckets
from buildguard.deploy.plan import DeployStep
from buildguard.errors import GuardError
from buildguard.gcp import auth
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.cloud_run_jobs import CloudRunJobsClient
from buildguard.gcp.service_containers import AppContainer
from buildguard.gcp.storage import StorageClient
from buildguard.project import ledger as ledgers
from buildguard.project.config import Config
from buildguard.project.deploy_table import DeployKind, DeployTable
from buildguard.project.ledger import LedgerLine, ServiceId, StepVerdict

_AT_ONCE = 8
_RECENT = 120  # lines of a bucket that are read for each service
_PROVING = frozenset({DeployStep.PROVE, ledgers.ROLLBACK})


class ServingProof(StrEnum):
    """Whether what serves is what a ledger has proven; unknown where Cloud Run was not asked or did not answer."""

    PROVEN = "proven"
    UNPROVEN = "unproven"
    UNKNOWN = "unknown"


class ServiceStatus(NamedTuple):
    """One service or job in one region.

    `revision` serves now (for a job: the digest that it has), or is the one that was proven last where that is unknown. `commit`
    and `python` are those of the proof. `why` is what is not certain; `last_at`, `last_step` and `last_verdict` are of the newest run.
    """

    name: str
    kind: str
    service: str
    project: str
    region: str
    revision: str = ""
    commit: str = ""
    python: str = ""
    proof: ServingProof = ServingProof.UNKNOWN
    why: str = ""
    last_at: str = ""
    last_step: str = ""
    last_verdict: str = ""


class _ServingAnswer(NamedTuple):
    """What Cloud Run says of a service: the revision or digest that serves, or why that is unknown."""

    serving: str = ""
    problem: str = ""


def read_fleet(config: Config, ledger: Path, *, live: bool) -> tuple[ServiceStatus, ...]:
    """The status of each deploy of the configuration; with `live` Cloud Run and the bucket are asked, else this machine's ledger alone."""
    local, _broken = ledgers.read(ledger)
    identities = [
        (table, identity) for table in config.deploys if table.service for identity in _identities(config, table)
    ]
    look = partial(_look, config, local, live=live)
    if not live:
        return tuple(look(*pair) for pair in identities)
    with ThreadPoolExecutor(_AT_ONCE) as helpers:
        return tuple(helpers.map(lambda pair: look(*pair), identities))


def _identities(config: Config, table: DeployTable) -> list[ServiceId]:
    project = config.cloud.project or auth.project()
    regions = table.regions or (config.cloud.region or auth.region(),)
    return [ServiceId(project, region, table.service, table.kind) for region in regions]


def _look(
    config: Config, local: Sequence[LedgerLine], table: DeployTable, identity: ServiceId, *, live: bool
) -> ServiceStatus:
    lines = [line for line in local if _is_of(line, identity)]
    asked = _ServingAnswer(problem="Cloud Run was not asked")
    if live:
        asked = _ask(table, identity)
        if not asked.problem:
            lines = ledgers.merge_lines(lines, _stored_lines(config, identity, lines))
    return judge(table.name, identity, lines, asked.serving, asked.problem)


def _is_of(line: LedgerLine, identity: ServiceId) -> bool:
    """Whether a line is of a service, as far as its project and region are known here."""
    mine = line.service_id
    return (mine.service, mine.kind) == (identity.service, identity.kind) and all(
        not known or known == own for known, own in ((identity.project, mine.project), (identity.region, mine.region))
    )


def _ask(table: DeployTable, identity: ServiceId) -> _ServingAnswer:
    try:
        if identity.kind == DeployKind.JOB:
            with CloudRunJobsClient(identity.project, identity.region, AppContainer(name=table.container)) as jobs:
                job = jobs.get(identity.service)
                return _ServingAnswer(job.container.digest if job is not None else "")
        with CloudRunClient(identity.project, identity.region) as run:
            state = run.get(identity.service)
            return _ServingAnswer((state.only_revision or state.describe_traffic) if state is not None else "")
    except GuardError as error:
        return _ServingAnswer(problem=error.what)


def _stored_lines(config: Config, identity: ServiceId, known: Sequence[LedgerLine]) -> list[LedgerLine]:
    try:
        with StorageClient(identity.project) as storage:
            bucket = storage.ensure(config.cloud.bucket, storage.project)
            return buckets.read_lines(storage, bucket, ledgers.folder_of(identity), known, _RECENT)
    except GuardError:
        return []


def judge(name: str, identity: ServiceId, lines: Sequence[LedgerLine], serving: str, problem: str) -> ServiceStatus:
    """What the lines of a ledger prove of what serves; `problem` is why that is unknown. Pure."""
    status = ServiceStatus(name, identity.kind, identity.service, identity.project, identity.region)
    status = _with_last_run(status, ledgers.group_runs(lines))
    proven = [line for line in lines if line.step in _PROVING and line.verdict == StepVerdict.OK]
    key: Callable[[LedgerLine], str] = _digest_of if identity.kind == DeployKind.JOB else _revision_of
    if problem:
        newest = proven[-1] if proven else None
        known = _of_line(status, newest, key, lines) if newest is not None else status
        return known._replace(proof=ServingProof.UNKNOWN, why=problem)
    if not serving:
        return status._replace(proof=ServingProof.UNPROVEN, why="it does not exist, or serves nothing")
    match = next((line for line in reversed(proven) if key(line) == serving), None)
    if match is None:
        return status._replace(revision=serving, proof=ServingProof.UNPROVEN, why="no line of the ledger proves it")
    return _of_line(status, match, key, lines)._replace(proof=ServingProof.PROVEN)


def _with_last_run(status: ServiceStatus, runs: Sequence[Sequence[LedgerLine]]) -> ServiceStatus:
    """The same status, with the last step that the last run reached."""
    if not runs:
        return status
    last = runs[-1][-1]
    reached = [line for line in runs[-1] if line.step != ledgers.END and line.verdict != StepVerdict.SKIPPED]
    step = reached[-1].step if reached else last.step
    return status._replace(last_at=last.at, last_step=step, last_verdict=str(last.verdict))


def _of_line(
    status: ServiceStatus, line: LedgerLine, key: Callable[[LedgerLine], str], lines: Sequence[LedgerLine]
) -> ServiceStatus:
    return status._replace(revision=key(line), commit=line.commit, python=_python(line, lines))


def _python(line: LedgerLine, lines: Sequence[LedgerLine]) -> str:
    """The interpreter that compiled the image which a line proves: by that run, or by the run that built the same digest."""
    same = {
        other.run
        for other in lines
        if other.run == line.run or (_digest_of(line) and _digest_of(other) == _digest_of(line))
    }
    verified = [other for other in lines if other.run in same and other.step == DeployStep.VERIFY_IMAGE]
    return next((text for other in reversed(verified) if (text := str(other.evidence.get("interpreter", "")))), "")


def _revision_of(line: LedgerLine) -> str:
    return str(line.evidence.get("revision", ""))


def _digest_of(line: LedgerLine) -> str:
    return str(line.evidence.get("digest", ""))
