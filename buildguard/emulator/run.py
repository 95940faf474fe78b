"""Cloud Run's admin API (v2): services, their revisions and traffic, with revisions that really serve on this machine."""

from __future__ import annotations

import random
import threading
import uuid
from typing import TYPE_CHECKING, Any

from google.api_core import exceptions as api
from google.cloud import run_v2

from buildguard.containers import daemon as daemons
from buildguard.containers import image as images
from buildguard.containers.serving import PORT, Serving, Start
from buildguard.emulator.proxy import Proxy
from buildguard.errors import UnprovenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from buildguard.containers.daemon import Daemon
    from buildguard.emulator.faults import Faults

PLATFORM = "linux/amd64"
_STARTS_WITHIN = 15.0
_LONGEST_NAME = 63
_State = run_v2.Condition.State
_Allocation = run_v2.TrafficTargetAllocationType
_NOT_READY = (
    "Revision '{}' is not ready and cannot serve traffic. The user-provided container failed to start and listen on the"
    " port defined provided by the PORT=8080 environment variable within the allocated timeout."
)


class Operation:
    """A change on its way; `error` is a code and a message."""

    def __init__(self, name: str, service: str) -> None:
        self.name = name
        self.service = service
        self.done = threading.Event()
        self.error: tuple[int, str] | None = None


class CloudRun:
    """Every service of every project and region."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._services: dict[str, run_v2.Service] = {}
        self._revisions: dict[str, run_v2.Revision] = {}
        self._containers: dict[str, Serving] = {}
        self._proxies: dict[str, Proxy] = {}
        self._operations: dict[str, Operation] = {}
        self._lock = threading.RLock()
        self._daemon: Daemon | None = None

    # -------------------------------------------------------------------------------------- the API

    def create(self, request: run_v2.CreateServiceRequest) -> Operation:
        """Make a service; raises Google's own errors."""
        name = f"{request.parent}/services/{request.service_id}"
        with self._lock:
            if name in self._services:
                raise api.AlreadyExists(f"Resource '{request.service_id}' already exists.")
            made = run_v2.Service(request.service)
            made.name, made.uid, made.generation = name, str(uuid.uuid4()), 0
            return self._changed(made, None, validate_only=request.validate_only)

    def update(self, request: run_v2.UpdateServiceRequest) -> Operation:
        """Change a service; an etag that is not the newest is refused."""
        with self._lock:
            name = request.service.name
            if name not in self._services:
                raise api.NotFound(f"Resource '{name}' was not found")
            there = self._services[name]
            if not request.validate_only and self._faults.takes("etag-conflict"):
                there.generation += 1
                there.etag = _etag()
                there.labels["changed-by"] = "somebody-else"
            if request.service.etag and request.service.etag != there.etag:
                raise api.Aborted(f"Conflict for resource '{name}': version '{request.service.etag}' was specified")
            made = run_v2.Service(there)
            changed = run_v2.Service(request.service)
            masked = set(request.update_mask.paths) or {"template", "traffic", "labels", "annotations"}
            for field in masked:
                setattr(made, field, getattr(changed, field))
            return self._changed(made, there, validate_only=request.validate_only)

    def get(self, name: str) -> run_v2.Service:
        """A service as it is now."""
        with self._lock:
            if name not in self._services:
                raise api.NotFound(f"Resource '{name.rpartition('/')[2]}' of kind 'SERVICE' was not found")
            return run_v2.Service(self._services[name])

    def revision(self, name: str) -> run_v2.Revision:
        """A revision as it is now."""
        with self._lock:
            if name not in self._revisions:
                raise api.NotFound(f"Resource '{name.rpartition('/')[2]}' of kind 'REVISION' was not found")
            return run_v2.Revision(self._revisions[name])

    def revisions(self, parent: str) -> list[run_v2.Revision]:
        """The revisions of a service, the newest first."""
        with self._lock:
            return [
                run_v2.Revision(one) for name, one in reversed(self._revisions.items()) if name.startswith(f"{parent}/")
            ]

    def operation(self, name: str) -> Operation:
        """A change on its way, or done."""
        if name not in self._operations:
            raise api.NotFound(name)
        return self._operations[name]

    def close(self) -> None:
        """End every container and every address."""
        for operation in self._operations.values():
            operation.done.wait(_STARTS_WITHIN + 5)
        for proxy in self._proxies.values():
            proxy.close()
        for container in self._containers.values():
            container.close()
        if self._daemon is not None:
            self._daemon.close()

    # -------------------------------------------------------------------------------------- a change

    def _changed(self, made: run_v2.Service, before: run_v2.Service | None, *, validate_only: bool) -> Operation:
        self._validated(made)
        operation = Operation(f"{made.name.rpartition('/services/')[0]}/operations/{uuid.uuid4()}", made.name)
        self._operations[operation.name] = operation
        if validate_only:
            operation.done.set()
            return operation
        made.generation += 1
        made.etag = _etag()
        made.reconciling = True
        made.terminal_condition = run_v2.Condition(type_="Ready", state=_State.CONDITION_RECONCILING)
        if before is not None and self._faults.wants("traffic-pinned"):
            made.traffic = _pinned(before)
        if before is None or before.template != made.template:
            self._new_revision(made)
        self._services[made.name] = made
        threading.Thread(target=self._reconcile, args=(made.name, operation), daemon=True).start()
        return operation

    def _validated(self, made: run_v2.Service) -> None:
        if len(made.template.containers) != 1 or not made.template.containers[0].image:
            raise api.InvalidArgument("template.containers[0].image: should be specified")
        percents = [one.percent for one in made.traffic]
        if percents and sum(percents) != 100:  # noqa: PLR2004  everything
            raise api.InvalidArgument("traffic: the percents must add up to 100")
        for one in made.traffic:
            named = f"{made.name}/revisions/{one.revision}"
            if one.type_ == _Allocation.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION and (
                named not in self._revisions and one.revision != made.template.revision
            ):
                raise api.InvalidArgument(f"traffic: the revision {one.revision} does not exist")
        own = made.template.revision
        if own and (not own.startswith(f"{made.name.rpartition('/')[2]}-") or len(own) > _LONGEST_NAME):
            raise api.InvalidArgument(
                f"template.revision: {own} must be prefixed by the service's name, 63 characters at most"
            )
        wanted = f"{made.name}/revisions/{made.template.revision}"
        if made.template.revision and wanted in self._revisions:
            there = self._revisions[wanted]
            if there.containers[0].image != made.template.containers[0].image:
                raise api.AlreadyExists(
                    f"Revision named '{made.template.revision}' with different configuration exists."
                )

    def _new_revision(self, made: run_v2.Service) -> None:
        short = made.template.revision or f"{made.name.rpartition('/')[2]}-{made.generation:05d}-{uuid.uuid4().hex[:3]}"
        name = f"{made.name}/revisions/{short}"
        if name not in self._revisions:
            self._revisions[name] = run_v2.Revision(
                name=name,
                service=made.name.rpartition("/")[2],
                generation=1,
                labels=dict(made.template.labels),
                annotations=dict(made.template.annotations),
                containers=list(made.template.containers),
                reconciling=True,
                log_uri=f"https://console.cloud.google.com/logs/viewer?revision={short}",
            )
        made.latest_created_revision = name

    def _reconcile(self, name: str, operation: Operation) -> None:
        wanted = self.get(name)
        newest = wanted.latest_created_revision
        why = self._started(newest) if newest not in self._containers else ""
        with self._lock:
            made = self._services[name]
            revision = self._revisions[newest]
            revision.reconciling = False
            state = _State.CONDITION_FAILED if why else _State.CONDITION_SUCCEEDED
            ready = run_v2.Condition(type_="Ready", state=state, message=why)
            if why:
                ready.revision_reason = run_v2.Condition.RevisionReason.HEALTH_CHECK_CONTAINER_ERROR
            revision.conditions = [ready]
            made.reconciling = False
            made.observed_generation = made.generation
            made.terminal_condition = run_v2.Condition(type_="Ready", state=state, message=why)
            if why:
                made.terminal_condition.reason = run_v2.Condition.CommonReason.REVISION_FAILED
                operation.error = (9, why)
            else:
                made.latest_ready_revision = newest
                self._route(made)
        operation.done.set()

    def _route(self, made: run_v2.Service) -> None:
        """Observed traffic: what was asked for, `latest` being the newest ready revision; an address for each tag."""
        latest = made.latest_ready_revision.rpartition("/")[2]
        asked: Sequence[Any] = list(made.traffic) or [
            run_v2.TrafficTarget(type_=_Allocation.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST, percent=100)
        ]
        statuses = []
        weights: list[tuple[str, int]] = []
        for one in asked:
            short = one.revision or latest
            address = self._address(f"{made.name} {one.tag}", [(short, 100)], made.name) if one.tag else ""
            statuses.append(
                run_v2.TrafficTargetStatus(
                    type_=one.type_, revision=one.revision, percent=one.percent, tag=one.tag, uri=address
                )
            )
            weights.append((short, one.percent))
        made.traffic_statuses = statuses
        made.uri = self._address(made.name, [one for one in weights if one[1]], made.name)

    def _address(self, key: str, weights: list[tuple[str, int]], service: str) -> str:
        def pick() -> str:
            names, percents = zip(*weights, strict=True)
            (short,) = random.choices(names, percents)  # noqa: S311  traffic, and no secret
            return self._containers[f"{service}/revisions/{short}"].address

        if key in self._proxies:
            self._proxies[key].pick = pick
        else:
            self._proxies[key] = Proxy(pick)
        return self._proxies[key].address

    def _started(self, name: str) -> str:
        """Start the container of a revision; why it cannot serve, empty where it does."""
        short = name.rpartition("/")[2]
        revision = self.revision(name)
        container = revision.containers[0]
        if self._faults.takes("revision-not-ready"):
            return _NOT_READY.format(short)
        try:
            if self._daemon is None:
                self._daemon = daemons.connect()
            image = images.find(self._daemon, container.image, PLATFORM, _silently)
            port = container.ports[0].container_port if container.ports else PORT
            env = {one.name: one.value for one in container.env}
            env |= {"K_SERVICE": revision.service, "K_REVISION": short, "K_CONFIGURATION": revision.service}
            serving = Serving(self._daemon, image, Start(env, tuple(container.command), tuple(container.args), port))
        except UnprovenError as error:
            return f"Revision '{short}' is not ready and cannot serve traffic. {error.what}"
        answered = serving.wait("/", _STARTS_WITHIN)
        if not answered.listens:
            serving.close()
            return _NOT_READY.format(short)
        self._containers[name] = serving
        return ""


def _pinned(before: run_v2.Service) -> list[run_v2.TrafficTarget]:
    """The traffic of a service as it is, by the names of its revisions: what a rollback or --no-traffic leaves behind."""
    latest = before.latest_ready_revision.rpartition("/")[2]
    kind = _Allocation.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
    asked = list(before.traffic) or [run_v2.TrafficTarget(percent=100)]
    return [
        run_v2.TrafficTarget(type_=kind, revision=one.revision or latest, percent=one.percent, tag=one.tag)
        for one in asked
    ]


def _silently(_text: str) -> None:
    """Nobody hears of a pull."""


def _etag() -> str:
    return f'"{uuid.uuid4().hex}"'
