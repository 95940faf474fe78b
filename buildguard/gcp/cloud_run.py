"""Cloud Run: a service, its revisions and its traffic. A thin edge over google-cloud-run.

Writes have no retry in Google's client: a change is sent with the etag of what was read, so that a lost answer or another
writer's change is never overwritten. What counts afterwards is what the service observes (`traffic_statuses`, the
revision's conditions, its image by digest), never that a call returned.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError
from buildguard.gcp.auth import translate_errors
from buildguard.gcp.connection import ConflictError, RunConnection, translate_conflicts
from buildguard.gcp.revision_names import OWN_TAG
from buildguard.gcp.service_containers import ONLY_CONTAINER, AppContainer, read_containers
from buildguard.gcp.service_state import Revision, ServiceState, TrafficShare, read_revision, read_service

_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_READY_WITHIN = 600.0
_WHOLE = 100
_SETTLED_WITHIN = 60.0
_AT_REST = 1.0  # by then a service that is not reconciling has seen what it was told


class NotReadyError(UnprovenError):
    """A revision that does not come up: `revision` is its name, the words are Cloud Run's."""

    def __init__(self, what: str, *, hint: str = "", revision: str = "") -> None:
        super().__init__(what, hint=hint)
        self.revision = revision


class CloudRunClient(RunConnection):
    """Services, their revisions and their traffic."""

    _kinds, _noun = ("Services", "Revisions"), "service"

    def __init__(self, project: str = "", region: str = "", app: AppContainer = ONLY_CONTAINER) -> None:
        """`app` finds the app's container. Raises UnprovenError without credentials, project or region."""
        super().__init__(project, region, app)
        self._services, self._revisions = self._clients

    def get(self, service: str) -> ServiceState | None:
        """A service as it is now; None if it does not exist."""
        from google.api_core.exceptions import NotFound

        with translate_errors(f"asking about the service {service}"):
            try:
                return read_service(self._types, self._services.get_service(name=self._name(service)), self._app)
            except NotFound:
                return None

    def revision(self, service: str, name: str) -> Revision:
        """A revision as it is now; raises UnprovenError if it does not exist."""
        with translate_errors(f"asking about the revision {name}"):
            return self._read_revision(service, name)

    def revisions(self, service: str) -> list[Revision]:
        """The revisions of a service, the newest first."""
        with translate_errors(f"asking about the revisions of {service}"):
            listed = self._revisions.list_revisions(parent=self._name(service))
            return [read_revision(self._types, item, self._app) for item in listed]

    def validate(self, service: str, image: str, revision: NewRevision) -> None:
        """Have Cloud Run say whether it would take a revision; nothing is changed. Raises UnprovenError where not."""
        with translate_conflicts(f"validating the revision {revision.name}", "the service"):
            self._put(service, image, revision, validate_only=True)

    def candidate(self, service: str, image: str, revision: NewRevision) -> Revision:
        """Make a revision that has no traffic and a tag of its own, and wait until it is ready.

        Raises NotReadyError where it does not come up, ConflictError if the service was changed meanwhile.
        """
        with translate_conflicts(f"making the revision {revision.name}", "the service"):
            self._put(service, image, revision, validate_only=False)
        return self._ready(service, revision.name)

    def route(self, service: str, shares: Sequence[TrafficShare], etag: str = "") -> ServiceState:
        """Have traffic go that way, and wait until the service observes it.

        Raises ConflictError if the service was changed meanwhile, UnprovenError where it never observes it.
        """
        with translate_conflicts(f"routing the traffic of {service}", "the service"):
            current = self._services.get_service(name=self._name(service))
            _raise_if_changed(service, etag, current)
            kept = _other_tags(current.traffic, {share.tag for share in shares})
            current.traffic = [*map(self._target, shares), *kept]
            wanted = _routes(read_service(self._types, current, self._app).requested)
            self._services.update_service(service=current, timeout=60)
        return self._wait_for_traffic(service, wanted)

    def delete(self, service: str) -> None:
        """Delete a service with all its revisions; one that does not exist is no trouble."""
        from google.api_core.exceptions import NotFound

        with translate_errors(f"deleting the service {service}"), suppress(NotFound):
            self._services.delete_service(name=self._name(service), timeout=60)

    def settled(self, service: str) -> ServiceState | None:
        """A service once nothing about it is on its way: only then its etag stays what it is."""
        until = time.monotonic() + _SETTLED_WITHIN
        pause = _PAUSE
        while True:
            state = self.get(service)
            if state is None or not state.reconciling or time.monotonic() > until:
                return state
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def restore_template(self, service: str, revision: str, etag: str) -> ServiceState | None:
        """Give the service the template of one of its revisions back, so that the next change by anybody starts from it.

        The template keeps the revision's own name; where Cloud Run refuses that, it creates an equal revision,
        which gets no traffic. Raises ConflictError where the service was changed meanwhile.
        """
        from google.api_core.exceptions import AlreadyExists, FailedPrecondition, InvalidArgument

        with translate_conflicts(f"restoring the template of {service}", "the service"):
            current = self._services.get_service(name=self._name(service))
            _raise_if_changed(service, etag, current)
            source = self._revisions.get_revision(name=f"{self._name(service)}/revisions/{revision}")
            current.template = _template_of(self._types, current.template, source, revision)
            current.traffic = self._kept_traffic(current, "")
            try:
                self._services.update_service(service=current, timeout=60)
            except (AlreadyExists, FailedPrecondition, InvalidArgument):
                current.template.revision = ""
                self._services.update_service(service=current, timeout=60)
        return self.settled(service)

    def _wait_for_traffic(self, service: str, wanted: set[tuple[str, int, str]]) -> ServiceState:
        """Wait until the service observes its traffic; raises UnprovenError where it never does."""
        until = time.monotonic() + _READY_WITHIN
        pause = _PAUSE
        while True:
            state = self.get(service)
            if state is None:
                raise UnprovenError(f"the service {service} is gone")
            if _routes(state.observed) == wanted and not state.reconciling:
                return state
            if (not state.reconciling and pause > _AT_REST) or time.monotonic() > until:
                raise UnprovenError(
                    f"{service} does not route its traffic as requested: {state.describe_traffic}",
                    hint="another tool may pin it: gcloud run services describe, and look for who changed it last",
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    # -------------------------------------------------------------------------------------- a change

    def _put(self, service: str, image: str, revision: NewRevision, *, validate_only: bool) -> None:
        """Send the service with a new template; its traffic stays what it is, and the revision gets the tag."""
        from google.api_core.exceptions import NotFound

        try:
            current = self._services.get_service(name=self._name(service))
        except NotFound:
            self._create(service, image, revision, validate_only=validate_only)
            return
        _raise_if_changed(service, revision.etag, current)
        current.template = self._template(current.template, service, image, revision)
        kept = self._kept_traffic(current, revision.tag)
        current.traffic = [*kept, self._target(TrafficShare(revision.name, 0, revision.tag))]
        self._services.update_service(request={"service": current, "validate_only": validate_only}, timeout=60)

    def _create(self, service: str, image: str, revision: NewRevision, *, validate_only: bool) -> None:
        types = self._types
        new_service = types.Service.from_json(json.dumps(revision.form)) if revision.form else types.Service()
        new_service.template = self._template(new_service.template, service, image, revision)
        self._services.create_service(
            request={
                "parent": self._name("").removesuffix("/services/"),
                "service": new_service,
                "service_id": service,
                "validate_only": validate_only,
            },
            timeout=60,
        )

    def _kept_traffic(self, current: Any, tag: str) -> list[Any]:
        """The traffic of a service as it stays under a new revision that takes over a tag."""
        for target in current.traffic:
            if target.tag == tag:  # an address that moves; what traffic goes there is not touched
                target.tag = ""
        kept = [target for target in current.traffic if target.percent or target.tag]
        if not kept:  # no traffic was ever asked for: the latest has it all
            kept = [self._target(TrafficShare("", _WHOLE))]
        kinds, serves = self._types.TrafficTargetAllocationType, current.latest_ready_revision.rpartition("/")[2]
        for target in kept:
            # the latest would become the new one; where no revision ever came up, that takes nothing from anybody
            if serves and target.type_ == kinds.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST:
                target.type_, target.revision = kinds.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION, serves
        return kept

    def _target(self, share: TrafficShare) -> Any:
        kinds = self._types.TrafficTargetAllocationType
        kind = (
            kinds.TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION
            if share.revision
            else kinds.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
        )
        return self._types.TrafficTarget(type_=kind, revision=share.revision, percent=share.percent, tag=share.tag)

    def _ready(self, service: str, name: str) -> Revision:
        from google.api_core.exceptions import NotFound

        until = time.monotonic() + _READY_WITHIN
        pause = _PAUSE
        while True:
            with translate_errors(f"asking about the revision {name}"), suppress(NotFound):
                state = self._read_revision(service, name)
                if state.ready:
                    return state
                if state.failed:
                    raise NotReadyError(state.message or f"{name} is not ready", hint=state.log_url, revision=name)
            if time.monotonic() > until:
                raise NotReadyError(f"{name} did not become ready within {_READY_WITHIN:.0f} seconds", revision=name)
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _template(self, before: Any, service: str, image: str, revision: NewRevision) -> Any:
        """The template of a new revision: that of the service, with this image and these variables for the app."""
        types = self._types
        template = types.RevisionTemplate(before)
        template.revision = revision.name
        template.annotations = {**template.annotations, **revision.annotations}
        if not template.containers:
            template.containers = [types.Container(name=self._app.name)]
        app = template.containers[self._app.place_in(read_containers(template.containers), service)]
        app.image = image
        if revision.env:
            env = {variable.name: variable for variable in app.env}
            env |= {name: types.EnvVar(name=name, value=value) for name, value in revision.env.items()}
            app.env = list(env.values())
        return template

    def _read_revision(self, service: str, name: str) -> Revision:
        message = self._revisions.get_revision(name=f"{self._name(service)}/revisions/{name}")
        return read_revision(self._types, message, self._app)

    def _name(self, service: str) -> str:
        return f"projects/{self.project}/locations/{self.region}/services/{service}"


class NewRevision(NamedTuple):
    """A revision to make: its name, tag, variables that are set, annotations, and the etag of the service as it was read.

    `form` is the service as the API's JSON has it, for one that does not exist yet; empty for the defaults.
    """

    name: str
    tag: str
    env: Mapping[str, str] = MappingProxyType({})
    annotations: Mapping[str, str] = MappingProxyType({})
    etag: str = ""
    form: Mapping[str, Any] = MappingProxyType({})


def _raise_if_changed(service: str, etag: str, current: Any) -> None:
    """Raise ConflictError where a service is not the one any more that was read with that etag; empty for any."""
    if etag and current.etag != etag:
        raise ConflictError(f"{service} was changed meanwhile by another writer")


def _other_tags(traffic: Sequence[Any], own: Collection[str]) -> list[Any]:
    """The addresses that stay without traffic: other people's, not those of earlier candidates of ours."""
    kept = [target for target in traffic if target.tag not in {"", *own} and not target.tag.startswith(OWN_TAG)]
    for target in kept:
        target.percent = 0
    return kept


# What a template and a revision have in common; what only a template has stays as it is.
_TEMPLATE_ONLY = frozenset({"revision"})


def _template_of(types: Any, before: Any, revision: Any, name: str) -> Any:
    """The template of a revision, with its name."""
    template = types.RevisionTemplate(before)
    shared = (set(types.RevisionTemplate.meta.fields) & set(types.Revision.meta.fields)) - _TEMPLATE_ONLY
    for field in shared:
        if field in revision:
            setattr(template, field, getattr(revision, field))
        else:
            delattr(template, field)
    template.revision = name
    return template


def _routes(shares: Iterable[TrafficShare]) -> set[tuple[str, int, str]]:
    """Traffic without its addresses and without its order."""
    return {(share.revision, share.percent, share.tag) for share in shares}
