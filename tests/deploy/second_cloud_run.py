"""A second Cloud Run, written from Google's documentation and not from the emulator: for what one fake alone would hide.

It keeps messages as they come, with fields that this version of Google's library does not know. Its etag changes with every
change, also when the service has only settled. It needs several looks to settle, and its observed traffic names the
revision behind LATEST.
"""

from __future__ import annotations

from typing import Any

from google.api_core import exceptions as api
from google.cloud import run_v2

_Allocation = run_v2.TrafficTargetAllocationType
LATEST = _Allocation.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
BY_NAME = _Allocation.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
_UNKNOWN = b"\xf8\xe1\x09\x01"  # field 20,000 + 31, a varint
_OUTPUT = ("uid", "generation", "create_time", "latest_ready_revision", "latest_created_revision", "uri")
_LOOKS = 2  # at a service before it has settled


def add_unknown(message: Any) -> None:
    """Add a field that no library of today knows."""
    type(message).pb(message).MergeFromString(_UNKNOWN)


def has_unknown(message: Any) -> bool:
    """Whether the field is still there."""
    return _UNKNOWN in type(message).pb(message).SerializeToString()


class SecondCloudRun:
    """The services of any number of projects, as the two clients of Google's library reach them."""

    def __init__(self) -> None:
        self.services: dict[str, run_v2.Service] = {}
        self.revisions: dict[str, run_v2.Revision] = {}
        self.broken: set[str] = set()  # images that do not come up
        self.refuses_reuse = False  # whether a revision's name may be sent again with what it is
        self.log: list[str] = []
        self._moving: dict[str, int] = {}
        self._version = 0

    @property
    def transport(self) -> SecondCloudRun:
        """Closed with the client."""
        return self

    def close(self) -> None:
        """Nothing to close."""

    # -------------------------------------------------------------------------------------- reading

    def get_service(self, *, name: str) -> run_v2.Service:
        """A service as it is now."""
        service = self.services.get(name)
        if service is None:
            raise api.NotFound(f"Resource '{name}' of kind 'SERVICE' in region was not found")
        self._look_at(name)
        return _copy(service)

    def _look_at(self, name: str) -> None:
        """Each look brings a change nearer to its end."""
        if self._moving.get(name):
            self._moving[name] -= 1
            if not self._moving[name]:
                self._settle(self.services[name])

    def get_revision(self, *, name: str) -> run_v2.Revision:
        """A revision as it is now."""
        if name not in self.revisions:
            raise api.NotFound(f"Resource '{name}' of kind 'REVISION' was not found")
        self._look_at(name.partition("/revisions/")[0])
        return _copy(self.revisions[name])

    def list_revisions(self, *, parent: str) -> list[run_v2.Revision]:
        """The newest first."""
        return [_copy(found) for name, found in reversed(self.revisions.items()) if name.startswith(f"{parent}/")]

    # -------------------------------------------------------------------------------------- changing

    def create_service(self, *, request: dict[str, Any], timeout: float) -> None:
        """Make a service."""
        assert timeout
        service = _copy(request["service"])
        service.name = f"{request['parent']}/services/{request['service_id']}"
        if service.name in self.services:
            raise api.AlreadyExists(service.name)
        if not request.get("validate_only"):
            self._accept(service)

    def update_service(self, *, service: Any = None, request: dict[str, Any] | None = None, timeout: float = 0) -> None:
        """Change a service."""
        assert timeout
        asked = _copy(service if service is not None else request and request["service"])
        current = self.services[asked.name]
        if asked.etag and asked.etag != current.etag:
            raise api.Aborted(f"Conflict for resource '{asked.name}': version '{asked.etag}' was specified")
        if sum(target.percent for target in asked.traffic) not in {0, 100}:
            raise api.InvalidArgument("traffic percents must add up to 100")
        self._raise_for_name(asked, current)
        for field in _OUTPUT:
            setattr(asked, field, getattr(current, field))
        if not (request or {}).get("validate_only"):
            self._accept(asked)

    def touch(self, name: str) -> None:
        """Another tool changes a label."""
        self.services[name].labels["changed-by"] = "another-tool"
        self._new_etag(self.services[name])

    def _raise_for_name(self, asked: Any, current: Any) -> None:
        known = self.revisions.get(f"{asked.name}/revisions/{asked.template.revision}")
        if known is None or asked.template == current.template:
            return
        same = [one.image for one in known.containers] == [one.image for one in asked.template.containers]
        if self.refuses_reuse or not same:
            raise api.AlreadyExists(f"Revision named '{asked.template.revision}' with different configuration exists.")

    def _accept(self, service: Any) -> None:
        before = self.services.get(service.name)
        service.generation += 1
        self.services[service.name] = service
        if before is None or before.template != service.template:
            self._new_revision(service)
        self.log.append(f"{service.name.rpartition('/')[2]} {service.generation}")
        self._moving[service.name] = _LOOKS
        service.reconciling = True
        self._new_etag(service)

    def _new_revision(self, service: Any) -> None:
        short = service.template.revision or f"{service.name.rpartition('/')[2]}-{service.generation:05d}-xyz"
        name = f"{service.name}/revisions/{short}"
        service.latest_created_revision = name
        if name in self.revisions:
            return
        template = service.template
        self.revisions[name] = run_v2.Revision(
            name=name,
            labels=template.labels,
            annotations=template.annotations,
            service_account=template.service_account,
        )
        self.revisions[name].containers = template.containers

    def _settle(self, service: Any) -> None:
        revision = self.revisions[service.latest_created_revision]
        states = run_v2.Condition.State
        is_ready = not {one.image for one in revision.containers} & self.broken
        state = states.CONDITION_SUCCEEDED if is_ready else states.CONDITION_FAILED
        message = (
            "" if is_ready else f"Revision '{revision.name.rpartition('/')[2]}' is not ready and cannot serve traffic."
        )
        revision.conditions = [run_v2.Condition(type_="Ready", state=state, message=message)]
        service.terminal_condition = run_v2.Condition(type_="Ready", state=state, message=message)
        service.reconciling = False
        if is_ready:
            service.latest_ready_revision = service.latest_created_revision
            service.traffic_statuses = [self._status(service, target) for target in _requested(service)]
        service.uri = service.uri or f"https://{service.name.rpartition('/')[2]}.example"
        self._new_etag(service)

    def _status(self, service: Any, target: Any) -> run_v2.TrafficTargetStatus:
        newest = service.latest_ready_revision.rpartition("/")[2]
        host = service.name.rpartition("/")[2]
        return run_v2.TrafficTargetStatus(
            type_=target.type_,
            revision=newest if target.type_ == LATEST else target.revision,
            percent=target.percent,
            tag=target.tag,
            uri=f"https://{target.tag}---{host}.example" if target.tag else "",
        )

    def _new_etag(self, service: Any) -> None:
        self._version += 1
        service.etag = f'"{self._version}"'


def _requested(service: Any) -> list[Any]:
    return list(service.traffic) or [run_v2.TrafficTarget(type_=LATEST, percent=100)]


def _copy(message: Any) -> Any:
    """A copy as it goes over the wire, with what is unknown."""
    return type(message).deserialize(type(message).serialize(message))
