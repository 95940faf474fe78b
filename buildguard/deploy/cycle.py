"""The cycle that a deploy is: the cycles before it, its record at the end, and where both are kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from buildguard.cycles import facts as cycle_facts
from buildguard.cycles import record as records
from buildguard.cycles import store
from buildguard.cycles.changes import CycleChanges, compare_cases, compare_deploys
from buildguard.cycles.expectations import Expectations
from buildguard.cycles.record import CycleFacts, CycleHistory, CycleRecord, CycleStep
from buildguard.definitions import NamedTuple
from buildguard.deploy.context import DeployContext
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.deploy.promotion import read_container
from buildguard.errors import GuardError, UnprovenError
from buildguard.gcp.storage import StorageClient
from buildguard.project.ledger import ServiceId
from buildguard.stages.git_objects import commit_of
from buildguard.system.git import Repository
from buildguard.system.git_between import commits_between

_RECENT = 30  # cycles of a bucket that are read
_AT_ONCE = 8
_MOST_RECORD = 16 << 20


class CycleKeeper:
    """The cycles of a service: on this machine, and in the bucket where `share` was called."""

    def __init__(self, ledger: Path, service: ServiceId) -> None:
        self.folder = store.folder_of(ledger)
        self._service = service
        self._elsewhere: Callable[[str, bytes], object] | None = None
        self.history = records.merge(store.read(self.folder, service))
        self.notes: list[str] = []

    def share(self, storage: StorageClient, bucket: str, create: Callable[[str, bytes], object]) -> None:
        """Read what the bucket has of other machines, and write there too."""
        self._elsewhere = create
        try:
            self.history = records.merge(self.history.cycles, self._read_bucket(storage, bucket))
        except UnprovenError as error:
            self.notes.append(f"cycles of this machine alone: {error.what}")

    def _read_bucket(self, storage: StorageClient, bucket: str) -> list[CycleRecord]:
        known = {cycle.id for cycle in self.history.cycles}
        names = sorted(storage.names(bucket, store.bucket_folder_of(self._service)))
        records_only = [name for name in names if name.endswith(".json")]
        wanted = [name for name in records_only[-_RECENT:] if _identity_of(name) not in known]
        with ThreadPoolExecutor(_AT_ONCE) as helpers:
            contents = helpers.map(lambda name: storage.content(f"gs://{bucket}/{name}"), wanted)
            parsed = [records.parse(data) for data in contents if len(data) <= _MOST_RECORD]
        return [cycle for cycle in parsed if cycle is not None and cycle.service == self._service]

    def keep(self, cycle: CycleRecord) -> None:
        """Write a record; where that fails, a note is left: the deploy is over."""
        try:
            store.write(self.folder, cycle)
        except UnprovenError as error:
            self.notes.append(error.what)
        self.publish(cycle, "json", records.write(cycle))

    def keep_reports(self, cycle: CycleRecord, contents: Mapping[str, bytes]) -> Iterator[Path]:
        """Write the files of a report, by their endings; the paths of those that could be written."""
        for ending, data in contents.items():
            file = store.file_of(self.folder, cycle, ending)
            try:
                store.write_private(file, data)
            except UnprovenError as error:
                self.notes.append(error.what)
            else:
                yield file
            self.publish(cycle, ending, data)

    def publish(self, cycle: CycleRecord, ending: str, data: bytes) -> None:
        """Copy a file of a cycle into the bucket, if there is one."""
        if self._elsewhere is None:
            return
        try:
            self._elsewhere(f"{store.bucket_folder_of(self._service)}{cycle.at}-{cycle.id}.{ending}", data)
        except UnprovenError as error:
            self.notes.append(f"the cycle in the bucket is not complete: {error.what}")


def _identity_of(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".json").rpartition("-")[2]


def expectations_of(prepared: PreparedDeploy, history: CycleHistory) -> Expectations:
    """What is expected of the tests of a deploy."""
    table = prepared.config.deploy
    frozen = prepared.frozen_tests.get(prepared.service_id.path)
    return Expectations(history, table.no_regressions, table.known_failures, prepared.accept_vanished, frozen)


class CycleEnd(NamedTuple):
    """How a deploy ended, for its record: the exit code, what is worth knowing, and why it failed."""

    exit_code: int
    notes: tuple[str, ...] = ()
    diagnosis: Mapping[str, Any] = MappingProxyType({})


def make_record(context: DeployContext, history: CycleHistory, end: CycleEnd) -> CycleRecord:
    """The record of a deploy that came to an end."""
    tested = context.tested
    steps = tuple(
        CycleStep(outcome.step, outcome.verdict, round(outcome.seconds, 2), outcome.words)
        for outcome in context.outcomes
    )
    image = context.built.reference if context.built is not None else ""
    return CycleRecord(
        context.services.ledger.run,
        history.next_number,
        _now(),
        context.prepared.service_id,
        context.plan.source.commit,
        end.exit_code,
        steps,
        records.commands_of(tested.results) if tested is not None else (),
        tested.verdict.cases if tested is not None else (),
        tested.verdict.missing if tested is not None else (),
        (*end.notes, *(tested.verdict.notes if tested is not None else ())),
        _facts(context.prepared)._replace(image=image, variables=_variables(context.prepared)),
        end.diagnosis,
        context.revision,
    )


# The report of a cycle by the ending of its file, from the record, the cycles before it, and what changed since.
CycleRenderer = Callable[[CycleRecord, CycleHistory, tuple[CycleChanges, ...]], Mapping[str, bytes]]


class FinishedCycle(NamedTuple):
    """A cycle that is recorded: what changed since earlier ones, and the files of its report on this machine."""

    record: CycleRecord
    history: CycleHistory
    changes: tuple[CycleChanges, ...]
    reports: tuple[Path, ...] = ()


def finish(
    cycle: CycleRecord, keeper: CycleKeeper, repository: Repository, render: CycleRenderer | None
) -> FinishedCycle:
    """Keep the record of a cycle, and its report where it can be rendered."""
    keeper.keep(cycle)
    changes = compare(repository, cycle, keeper.history)
    contents = render(cycle, keeper.history, changes) if render is not None else {}
    return FinishedCycle(cycle, keeper.history, changes, tuple(keeper.keep_reports(cycle, contents)))


def compare(repository: Repository, now: CycleRecord, history: CycleHistory) -> tuple[CycleChanges, ...]:
    """What changed since the last cycle, and since the last green one where that is another."""
    since = {cycle.id: cycle for cycle in (history.last, history.last_green) if cycle is not None}
    return tuple(_compare(repository, now, cycle, history) for cycle in since.values())


def _compare(repository: Repository, now: CycleRecord, before: CycleRecord, history: CycleHistory) -> CycleChanges:
    tested = before if before.has_tests else history.last_tested  # a cycle that ended earlier shows nothing of tests
    tests = compare_cases(tested, now) if tested is not None and now.has_tests else None
    commits = commits_between(repository, before.commit, now.commit)
    return CycleChanges(before, tests, compare_deploys(before, now, commits))


def make_refused_record(prepared: PreparedDeploy, run: str, history: CycleHistory) -> CycleRecord:
    """The record of a deploy whose plan was refused."""
    plan = prepared.plan
    return CycleRecord(
        run,
        history.next_number,
        _now(),
        prepared.service_id,
        plan.source.commit,
        1,
        notes=tuple(f"refused: {refusal}" for refusal in plan.refusals),
        facts=_facts(prepared)._replace(variables=_variables(prepared)),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _facts(prepared: PreparedDeploy) -> CycleFacts:
    """What is known of a deploy before it begins."""
    return CycleFacts(bases=_bases(prepared), settings=cycle_facts.settings_of(prepared.config))


def _bases(prepared: PreparedDeploy) -> tuple[str, ...]:
    path = os.fsencode(prepared.dockerfile)
    if not path:
        return ()
    try:
        stage = commit_of(prepared.repository, prepared.plan.source.commit)
        with stage.keeping_readers():
            entries = [entry for entry in stage.entries() if entry.path == path]
            content = next((content for _entry, content in stage.contents(entries)), b"")
    except GuardError:
        return ()
    return cycle_facts.bases_of(content) if isinstance(content, bytes) else ()


def _variables(prepared: PreparedDeploy) -> tuple[str, ...]:
    """The names of the variables that the service or the job has; none where it cannot be asked."""
    try:
        container = read_container(prepared.service_id, prepared.app)
    except GuardError:
        return ()
    return tuple(sorted(container.env)) if container is not None else ()
