"""Cloud Run's admin API (v2): services, their revisions and traffic, with revisions that really serve on this machine."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from google.api_core import exceptions as api
from google.cloud import run_v2

from buildguard.docker import client as daemons
from buildguard.docker import images
from buildguard.docker.client import Daemon
from buildguard.docker.serve import PORT, ServingContainer, StartOptions, find_listener
from buildguard.errors import UnprovenError
from buildguard.gcp.emulator.cloud_logging import CloudLoggingEmulator
from buildguard.gcp.emulator.cloud_run_template import start_order, wrong_containers, wrong_revision_name
from buildguard.gcp.emulator.faults import FaultName, Faults
from buildguard.gcp.emulator.proxy import Proxy

PLATFORM = "linux/amd64"
_STARTS_WITHIN = 60.0  # Cloud Run grants four minutes
_PAUSE = 0.1
_OK, _BAD = 200, 400  # the statuses with which an HTTP probe succeeds
_State = run_v2.Condition.State
_Allocation = run_v2.TrafficTargetAllocationType
_SHARES = random.Random()  # noqa: S311  traffic, and no secret; its own state, for threads use it
_NOT_PUBLIC = {
    run_v2.IngressTraffic.INGRESS_TRAFFIC_INTERNAL_ONLY,
    run_v2.IngressTraffic.INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER,
}
_NOT_READY = (
    "Revision '{}' is not ready and cannot serve traffic. The user-provided container failed to start and listen on the"
    " port defined provided by the PORT=8080 environment variable within the allocated timeout."
)


class EmulatedOperation:
    """A change on its way; `error` is a code and a message, `message` gives what is changed, where that is no service."""

    def __init__(self, name: str, service: str, message: Callable[[], Any] | None = None) -> None:
        self.name = name
        self.service = service
        self.message = message
        self.done = threading.Event()
        self.error: tuple[int, str] | None = None


class CloudRunEmulator:
    """Every service of every project and region."""

    def __init__(self, faults: Faults, logs: CloudLoggingEmulator, resolve: Callable[[str], str] = str) -> None:
        """`logs` gets the output of each container that does not come up; `resolve` gives the engine's name of an image."""
        self.resolve = resolve
        self._faults = faults
        self._logs = logs
        self._services: dict[str, run_v2.Service] = {}
        self._revisions: dict[str, run_v2.Revision] = {}
        self._instances: dict[str, tuple[ServingContainer, ...]] = {}  # the ingress container first
        self._proxies: dict[str, Proxy] = {}
        self._operations: dict[str, EmulatedOperation] = {}
        self._lock = threading.RLock()
        self._daemon: Daemon | None = None

    # -------------------------------------------------------------------------------------- the API

    def create(self, request: run_v2.CreateServiceRequest) -> EmulatedOperation:
        """Make a service; raises Google's own errors."""
        name = f"{request.parent}/services/{request.service_id}"
        with self._lock:
            if name in self._services:
                raise api.AlreadyExists(f"Resource '{request.service_id}' already exists.")
            service = run_v2.Service(request.service)
            service.name, service.uid, service.generation = name, str(uuid.uuid4()), 0
            service.create_time = datetime.now(UTC)
            return self._changed(service, None, validate_only=request.validate_only)

    def update(self, request: run_v2.UpdateServiceRequest) -> EmulatedOperation:
        """Change a service; an etag that is not the newest is refused."""
        with self._lock:
            name = request.service.name
            if name not in self._services:
                raise api.NotFound(f"Resource '{name}' was not found")
            current = self._services[name]
            if not request.validate_only and self._faults.takes(FaultName.ETAG_CONFLICT):
                current.generation += 1
                current.etag = new_etag()
                current.labels["changed-by"] = "another-writer"
            if request.service.etag and request.service.etag != current.etag:
                raise api.Aborted(f"Conflict for resource '{name}': version '{request.service.etag}' was specified")
            updated = run_v2.Service(current)
            changed = run_v2.Service(request.service)
            masked = set(request.update_mask.paths) or {"template", "traffic", "labels", "annotations", "ingress"}
            for field in masked:
                setattr(updated, field, getattr(changed, field))
            return self._changed(updated, current, validate_only=request.validate_only)

    def delete(self, request: run_v2.DeleteServiceRequest) -> EmulatedOperation:
        """Delete a service with its revisions, and end their containers."""
        with self._lock:
            self.get(request.name)
            del self._services[request.name]
            gone = [name for name in self._revisions if name.startswith(f"{request.name}/")]
            for name in gone:
                del self._revisions[name]
                _close(self._instances.pop(name, ()))
            operation = EmulatedOperation(
                f"{request.name.rpartition('/services/')[0]}/operations/{uuid.uuid4()}", request.name
            )
            operation.done.set()
            self._operations[operation.name] = operation
            return operation

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
                run_v2.Revision(revision)
                for name, revision in reversed(self._revisions.items())
                if name.startswith(f"{parent}/")
            ]

    def services(self, project: str, region: str) -> list[run_v2.Service]:
        """The services of a project, in one region or in all, by name."""
        with self._lock:
            return [
                run_v2.Service(each) for name, each in sorted(self._services.items()) if is_in(name, project, region)
            ]

    def every_revision(self, project: str, region: str) -> list[run_v2.Revision]:
        """The revisions of all services of a project, the newest first."""
        with self._lock:
            newest_first = reversed(self._revisions.items())
            return [run_v2.Revision(revision) for name, revision in newest_first if is_in(name, project, region)]

    def operation(self, name: str) -> EmulatedOperation:
        """A change on its way, or done."""
        if name not in self._operations:
            raise api.NotFound(name)
        return self._operations[name]

    def add_operation(self, operation: EmulatedOperation) -> None:
        """Have an operation found by its name."""
        self._operations[operation.name] = operation

    def close(self) -> None:
        """End every container and every address."""
        for operation in self._operations.values():
            operation.done.wait(_STARTS_WITHIN + 5)
        for proxy in self._proxies.values():
            proxy.close()
        for instance in self._instances.values():
            _close(instance)
        if self._daemon is not None:
            self._daemon.close()

    # -------------------------------------------------------------------------------------- a change

    def _changed(
        self, service: run_v2.Service, before: run_v2.Service | None, *, validate_only: bool
    ) -> EmulatedOperation:
        self._validate(service)
        operation = EmulatedOperation(
            f"{service.name.rpartition('/services/')[0]}/operations/{uuid.uuid4()}", service.name
        )
        self._operations[operation.name] = operation
        if validate_only:
            operation.done.set()
            return operation
        service.generation += 1
        service.etag, service.update_time = new_etag(), datetime.now(UTC)
        service.reconciling = True
        service.terminal_condition = run_v2.Condition(type_="Ready", state=_State.CONDITION_RECONCILING)
        if before is not None and self._faults.wants(FaultName.TRAFFIC_PINNED):
            service.traffic = _pin_traffic(before)
        if before is None or before.template != service.template:
            self._new_revision(service)
        self._services[service.name] = service
        threading.Thread(target=self._reconcile, args=(service.name, operation), daemon=True).start()
        return operation

    def _validate(self, service: run_v2.Service) -> None:
        """Raise Google's own errors for what Cloud Run refuses of a service."""
        wrong = (
            wrong_containers(service.template.containers)
            or self._wrong_traffic(service)
            or wrong_revision_name(service)
        )
        if wrong:
            raise api.InvalidArgument(wrong)
        revision = self._revisions.get(f"{service.name}/revisions/{service.template.revision}")
        if revision is not None and _images(revision.containers) != _images(service.template.containers):
            raise api.AlreadyExists(
                f"Revision named '{service.template.revision}' with different configuration exists."
            )

    def _wrong_traffic(self, service: run_v2.Service) -> str:
        """Why Cloud Run refuses the traffic of a service; empty where it does not."""
        if service.traffic and sum(target.percent for target in service.traffic) != 100:  # noqa: PLR2004  everything
            return "traffic: the percents must add up to 100"
        for target in service.traffic:
            is_named = target.type_ == _Allocation.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
            is_known = f"{service.name}/revisions/{target.revision}" in self._revisions
            if is_named and not is_known and target.revision != service.template.revision:
                return f"traffic: the revision {target.revision} does not exist"
        return ""

    def _new_revision(self, service: run_v2.Service) -> None:
        short = (
            service.template.revision
            or f"{service.name.rpartition('/')[2]}-{service.generation:05d}-{uuid.uuid4().hex[:3]}"
        )
        name = f"{service.name}/revisions/{short}"
        if name not in self._revisions:
            self._revisions[name] = run_v2.Revision(
                name=name,
                service=service.name.rpartition("/")[2],
                uid=str(uuid.uuid4()),
                create_time=datetime.now(UTC),
                generation=1,
                labels=dict(service.template.labels),
                annotations=dict(service.template.annotations),
                containers=list(service.template.containers),
                reconciling=True,
                log_uri=f"https://console.cloud.google.com/logs/viewer?revision={short}",
            )
        service.latest_created_revision = name

    def _reconcile(self, name: str, operation: EmulatedOperation) -> None:
        wanted = self.get(name)
        newest = wanted.latest_created_revision
        why = self._started(newest) if newest not in self._instances else ""
        with self._lock:
            service = self._services[name]
            revision = self._revisions[newest]
            revision.reconciling = False
            state = _State.CONDITION_FAILED if why else _State.CONDITION_SUCCEEDED
            ready = run_v2.Condition(type_="Ready", state=state, message=why)
            if why:
                ready.revision_reason = run_v2.Condition.RevisionReason.HEALTH_CHECK_CONTAINER_ERROR
            revision.conditions = [ready]
            service.reconciling = False
            service.observed_generation = service.generation
            service.terminal_condition = run_v2.Condition(type_="Ready", state=state, message=why)
            if why:
                service.terminal_condition.reason = run_v2.Condition.CommonReason.REVISION_FAILED
                operation.error = (9, why)
            else:
                service.latest_ready_revision = newest
                self._route(service)
        operation.done.set()

    def _route(self, service: run_v2.Service) -> None:
        """Observed traffic: what was asked for, `latest` being the newest ready revision; an address for each tag."""
        latest = service.latest_ready_revision.rpartition("/")[2]
        asked: Sequence[Any] = list(service.traffic) or [
            run_v2.TrafficTarget(type_=_Allocation.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST, percent=100)
        ]
        statuses = []
        weights: list[tuple[str, int]] = []
        for target in asked:
            short = target.revision or latest
            address = self._address(f"{service.name} {target.tag}", [(short, 100)], service.name) if target.tag else ""
            statuses.append(
                run_v2.TrafficTargetStatus(
                    type_=target.type_, revision=target.revision, percent=target.percent, tag=target.tag, uri=address
                )
            )
            weights.append((short, target.percent))
        service.traffic_statuses = statuses
        service.uri = self._address(service.name, [weight for weight in weights if weight[1]], service.name)

    def _address(self, key: str, weights: list[tuple[str, int]], service: str) -> str:
        def pick() -> str:
            if self._services[service].ingress in _NOT_PUBLIC:
                return ""
            names, percents = zip(*weights, strict=True)
            (short,) = _SHARES.choices(names, percents)
            return self._instances[f"{service}/revisions/{short}"][0].address

        if key in self._proxies:
            self._proxies[key].pick = pick
        else:
            self._proxies[key] = Proxy(pick)
        return self._proxies[key].address

    def _started(self, name: str) -> str:
        """Start the containers of a revision; why it cannot serve, empty where it does."""
        short = name.rpartition("/")[2]
        revision = self.revision(name)
        if self._faults.takes(FaultName.REVISION_NOT_READY):
            return _NOT_READY.format(short)
        running: list[ServingContainer] = []
        probed: list[tuple[run_v2.Container, ServingContainer]] = []
        try:
            for container in start_order(revision.containers):
                running.append(self._run(revision, container, running[0].id if running else ""))
                probed.append((container, running[-1]))
                _wait_for_dependency(probed[-1], revision.containers, running[0])
        except UnprovenError as error:
            self._write_output(revision, running)
            _close(running)
            return f"Revision '{short}' is not ready and cannot serve traffic. {error.what}"
        if not (
            running[0].wait("/", _STARTS_WITHIN).listens
            and all(_succeeds(each, running[0]) for each in probed)
            and not any(variable.ending() for variable in running)
        ):
            self._write_output(revision, running)
            _close(running)
            return _NOT_READY.format(short)
        self._instances[name] = tuple(running)
        for container in running:
            self._logs.follow("cloud_run_revision", _labels(revision), container.log)
        return ""

    def _write_output(self, revision: run_v2.Revision, containers: Sequence[ServingContainer]) -> None:
        labels = _labels(revision)
        for container in containers:
            self._logs.write("cloud_run_revision", labels, container.log().decode("utf-8", "replace"))
            if ending := container.ending():
                self._logs.write("cloud_run_revision", labels, ending, "WARNING")

    def _run(self, revision: run_v2.Revision, container: run_v2.Container, beside: str) -> ServingContainer:
        """Start one container; those `beside` the first one share its loopback addresses, and only the ingress gets PORT."""
        with self._lock:
            self._daemon = self._daemon or daemons.connect()
        image = images.find(self._daemon, self.resolve(container.image), PLATFORM, _ignore_output)
        env = {variable.name: variable.value for variable in container.env}
        short = revision.name.rpartition("/")[2]
        env |= {"K_SERVICE": revision.service, "K_REVISION": short, "K_CONFIGURATION": revision.service}
        start = StartOptions(
            env,
            tuple(container.command),
            tuple(container.args),
            port=_port(_ingress(revision.containers)),
            tell_port=container == _ingress(revision.containers),
            more_ports=tuple(_probe_port(other) for other in revision.containers if other.startup_probe),
            beside=beside,
        )
        return ServingContainer(self._daemon, image, start)


def is_in(name: str, project: str, region: str) -> bool:
    """Whether a resource is of a project, and in a region (empty: wherever)."""
    _projects, owner, _locations, location, *_rest = name.split("/")
    return owner == project and region in {"", location}


def _labels(revision: run_v2.Revision) -> dict[str, str]:
    """The labels of a revision in Cloud Logging."""
    _projects, _project, _locations, location, *_names = revision.name.split("/")
    return {"service_name": revision.service, "revision_name": revision.name.rpartition("/")[2], "location": location}


def _ingress(containers: Sequence[run_v2.Container]) -> run_v2.Container:
    """The container that gets the requests: the only one, or the one with a port."""
    return next((container for container in containers if container.ports), containers[0])


def _wait_for_dependency(
    probed: tuple[run_v2.Container, ServingContainer],
    containers: Sequence[run_v2.Container],
    first: ServingContainer,
) -> None:
    """Wait for the startup probe of a container on which another one depends; raises UnprovenError where it fails."""
    container = probed[0]
    is_needed = any(container.name in other.depends_on for other in containers)
    if is_needed and not _succeeds(probed, first):
        raise UnprovenError(f"The startup probe of the container {container.name} failed.")


def _close(instance: Sequence[ServingContainer]) -> None:
    """End the containers of an instance, the owner of their network last."""
    for container in reversed(instance):
        container.close()


def _images(containers: Sequence[run_v2.Container]) -> list[str]:
    return [container.image for container in containers]


def _port(container: run_v2.Container) -> int:
    return int((container.ports[0].container_port if container.ports else 0) or PORT)


def _probe_port(container: run_v2.Container) -> int:
    probe = container.startup_probe
    return int(probe.http_get.port or probe.tcp_socket.port or probe.grpc.port or _port(container))


def _succeeds(probed: tuple[run_v2.Container, ServingContainer], ingress: ServingContainer) -> bool:
    """Whether a container's startup probe succeeds in time, and before it ends; without one there is nothing to wait for."""
    container, running = probed
    probe = container.startup_probe
    if not probe:
        return True
    path = probe.http_get.path or "/"
    until = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < until and not running.ending():
        listener = find_listener(ingress.address_of(_probe_port(container)), path)
        if listener is not None and ("http_get" not in probe or _OK <= (listener.status or 0) < _BAD):
            return True
        time.sleep(_PAUSE)
    return False


def _pin_traffic(before: run_v2.Service) -> list[run_v2.TrafficTarget]:
    """The traffic of a service as it is, by the names of its revisions: what a rollback or --no-traffic leaves behind."""
    latest = before.latest_ready_revision.rpartition("/")[2]
    kind = _Allocation.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
    asked = list(before.traffic) or [run_v2.TrafficTarget(percent=100)]
    return [
        run_v2.TrafficTarget(type_=kind, revision=target.revision or latest, percent=target.percent, tag=target.tag)
        for target in asked
    ]


def _ignore_output(_text: str) -> None:
    """A pull is not reported."""


def new_etag() -> str:
    """An etag that no other version has."""
    return f'"{uuid.uuid4().hex}"'
