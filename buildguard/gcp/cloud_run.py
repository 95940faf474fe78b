"""Cloud Run: a service, its revisions and its traffic. A thin edge over google-cloud-run.

Writes have no retry in Google's client: a change is sent with the etag of what was read, so that a lost answer or somebody
else's change is never written over. What counts afterwards is what the service observes (`traffic_statuses`, the
revision's conditions, its image by digest), never that a call returned.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from buildguard.errors import UnprovenError
from buildguard.gcp import auth
from buildguard.gcp.auth import translate_errors
from buildguard.gcp.revision_names import COMMIT, INSTEAD_OF, OWN_TAG, is_ours
from buildguard.gcp.service_containers import DEFAULT_PORT, ONLY_CONTAINER, AppContainer, Container, read_containers

_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_READY_WITHIN = 600.0
_WHOLE = 100
_AT_REST = 1.0  # by then a service that is not reconciling has seen what it was told


class ConflictError(UnprovenError):
    """Somebody else changed the service meanwhile."""


class NotReadyError(UnprovenError):
    """A revision that does not come up: `revision` is its name, the words are Cloud Run's."""

    def __init__(self, what: str, *, hint: str = "", revision: str = "") -> None:
        super().__init__(what, hint=hint)
        self.revision = revision


class TrafficShare(NamedTuple):
    """A share of a service's traffic: the revision (empty for the latest), how many percent, its tag and its address."""

    revision: str
    percent: int
    tag: str = ""
    url: str = ""


class ServiceState(NamedTuple):
    """A service as it is: `requested` is the traffic that was asked for, `observed` the one that it has.

    `containers` are those of its newest template, `app` finds the app's; `internal` is a service without public traffic,
    `unprobed` one whose revisions become ready without a startup probe (`health_check_disabled`).
    """

    name: str
    etag: str
    url: str
    ready: bool
    reconciling: bool
    message: str
    latest_ready: str
    latest_created: str
    requested: tuple[TrafficShare, ...]
    observed: tuple[TrafficShare, ...]
    containers: tuple[Container, ...]
    app: AppContainer = ONLY_CONTAINER
    internal: bool = False
    unprobed: bool = False

    @property
    def container(self) -> Container:
        """The app's container. Raises UnknownContainerError."""
        return self.containers[self.app.place_in(self.containers, self.name)] if self.containers else Container()

    @property
    def env(self) -> Mapping[str, str | None]:
        """The variables of the app's container. Raises UnknownContainerError."""
        return self.container.env

    @property
    def is_behind_proxy(self) -> bool:
        """Whether requests reach the app through another container."""
        return len(self.containers) > 1 and not self.container.port

    @property
    def port(self) -> int:
        """The port that the app listens on; 0 for unknown."""
        return self.container.own_port if self.is_behind_proxy else self.container.port or DEFAULT_PORT

    @property
    def only_revision(self) -> str:
        """The one revision that has all traffic; empty where several share it, or nobody can tell which."""
        serving = [share for share in self.observed if share.percent]
        if len(serving) != 1 or serving[0].percent != _WHOLE:
            return ""
        return serving[0].revision or self.latest_ready

    def before(self, revision: Revision) -> str:
        """Whom one of ours shares the traffic with, where that one had it alone before; else empty."""
        sharing = {share.revision for share in self.observed if share.percent}
        old = revision.annotations.get(INSTEAD_OF, "")
        ours = is_ours(revision.name, revision.annotations.get(COMMIT, ""))
        return old if ours and revision.name != old and sharing == {revision.name, old} else ""

    @property
    def describe_traffic(self) -> str:
        """Who has how much of the traffic, for people."""
        return ", ".join(f"{share.percent} % {share.revision or 'latest'}" for share in self.observed if share.percent)


class Revision(NamedTuple):
    """A revision: whether it is ready, what Cloud Run says of it, its containers, annotations and log."""

    name: str
    ready: bool
    failed: bool
    message: str
    containers: tuple[Container, ...]
    annotations: Mapping[str, str]
    log_url: str
    app: AppContainer = ONLY_CONTAINER

    @property
    def container(self) -> Container:
        """The app's container. Raises UnknownContainerError."""
        return self.containers[self.app.place_in(self.containers, self.name)] if self.containers else Container()

    @property
    def env(self) -> Mapping[str, str | None]:
        """The variables of the app's container. Raises UnknownContainerError."""
        return self.container.env

    @property
    def image(self) -> str:
        """The image of the app's container. Raises UnknownContainerError."""
        return self.container.image

    @property
    def digest(self) -> str:
        """The digest of the app's image, empty for one that is named by a tag. Raises UnknownContainerError."""
        return self.container.digest


class CloudRunClient:
    """A connection to Cloud Run in one region, or to an emulator of it."""

    def __init__(self, project: str = "", region: str = "", app: AppContainer = ONLY_CONTAINER) -> None:
        """`app` finds the app's container of each service. Raises UnprovenError without credentials, project or region."""
        self._app = app
        local = auth.emulator(auth.RUN)
        with translate_errors("reaching Cloud Run"):
            from google.cloud import run_v2

            self._types: Any = run_v2
            if local is not None:
                self._services, self._revisions = _emulator_clients(run_v2, local)
                own = auth.project()
            else:
                credentials, own = auth.credentials()
                self._services = run_v2.ServicesClient(credentials=credentials)
                self._revisions = run_v2.RevisionsClient(credentials=credentials)
        self.project, self.region = project or own, region or auth.region()
        if not self.project or not self.region:
            what = "project" if not self.project else "region"
            raise UnprovenError(f"which {what} the service runs in cannot be told", hint=f"--{what}")

    def get(self, service: str) -> ServiceState | None:
        """A service as it is now; None where there is none."""
        from google.api_core.exceptions import NotFound

        with translate_errors(f"asking about the service {service}"):
            try:
                return self._service(self._services.get_service(name=self._name(service)))
            except NotFound:
                return None

    def revision(self, service: str, name: str) -> Revision:
        """A revision as it is now; raises UnprovenError where there is none."""
        with translate_errors(f"asking about the revision {name}"):
            return self._revision(self._revisions.get_revision(name=f"{self._name(service)}/revisions/{name}"))

    def revisions(self, service: str) -> list[Revision]:
        """The revisions of a service, the newest first."""
        with translate_errors(f"asking about the revisions of {service}"):
            listed = self._revisions.list_revisions(parent=self._name(service))
            return [self._revision(item) for item in listed]

    def validate(self, service: str, image: str, revision: NewRevision) -> None:
        """Have Cloud Run say whether it would take a revision; nothing is changed. Raises UnprovenError where not."""
        with _translate_conflicts(f"validating the revision {revision.name}"):
            self._put(service, image, revision, validate_only=True)

    def candidate(self, service: str, image: str, revision: NewRevision) -> Revision:
        """Make a revision that has no traffic and a tag of its own, and wait until it is ready.

        Raises NotReadyError where it does not come up, ConflictError where somebody changed the service meanwhile.
        """
        with _translate_conflicts(f"making the revision {revision.name}"):
            self._put(service, image, revision, validate_only=False)
        return self._ready(service, revision.name)

    def route(self, service: str, shares: Sequence[TrafficShare], etag: str = "") -> ServiceState:
        """Have traffic go that way, and wait until the service observes it.

        Raises ConflictError where somebody changed the service meanwhile, UnprovenError where it never observes it.
        """
        with _translate_conflicts(f"routing the traffic of {service}"):
            current = self._services.get_service(name=self._name(service))
            _raise_if_changed(service, etag, current)
            kept = _other_tags(current.traffic, {share.tag for share in shares})
            current.traffic = [self._target(share) for share in (*shares, *kept)]
            self._services.update_service(service=current, timeout=60)
        return self._wait_for_traffic(service, _routes((*shares, *kept)))

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
                    f"{service} does not send its traffic where it was told to: {state.describe_traffic}",
                    hint="another tool pins it: gcloud run services update-traffic --to-revisions, and look who does",
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
        new_service = types.Service(template=self._template(types.RevisionTemplate(), service, image, revision))
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
                state = self._revision(self._revisions.get_revision(name=f"{self._name(service)}/revisions/{name}"))
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
        containers = list(template.containers) or [types.Container(name=self._app.name)]
        app = containers[self._app.place_in(read_containers(containers), service)]
        app.image = image
        env = {variable.name: variable for variable in app.env}
        env |= {name: types.EnvVar(name=name, value=value) for name, value in revision.env.items()}
        app.env = list(env.values())
        template.containers = containers
        return template

    def _service(self, service: Any) -> ServiceState:
        types, condition = self._types, service.terminal_condition
        ingress = types.IngressTraffic
        return ServiceState(
            name=service.name.rpartition("/")[2],
            etag=service.etag,
            url=service.uri,
            ready=condition.state == types.Condition.State.CONDITION_SUCCEEDED,
            reconciling=service.reconciling,
            message=condition.message,
            latest_ready=service.latest_ready_revision.rpartition("/")[2],
            latest_created=service.latest_created_revision.rpartition("/")[2],
            requested=tuple(_share(target) for target in service.traffic),
            observed=tuple(_share(status)._replace(url=status.uri) for status in service.traffic_statuses),
            containers=read_containers(service.template.containers),
            app=self._app,
            internal=service.ingress not in {ingress.INGRESS_TRAFFIC_UNSPECIFIED, ingress.INGRESS_TRAFFIC_ALL},
            unprobed=service.template.health_check_disabled,
        )

    def _revision(self, revision: Any) -> Revision:
        ready = next((condition for condition in revision.conditions if condition.type_ == "Ready"), None)
        state = self._types.Condition.State
        return Revision(
            name=revision.name.rpartition("/")[2],
            ready=ready is not None and ready.state == state.CONDITION_SUCCEEDED,
            failed=ready is not None and ready.state == state.CONDITION_FAILED,
            message=ready.message if ready is not None else "",
            containers=read_containers(revision.containers),
            annotations=dict(revision.annotations),
            log_url=revision.log_uri,
            app=self._app,
        )

    def _name(self, service: str) -> str:
        return f"projects/{self.project}/locations/{self.region}/services/{service}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """End the connection."""
        for client in (self._services, self._revisions):
            with suppress(Exception):
                client.transport.close()


class NewRevision(NamedTuple):
    """A revision to make: its name, tag, variables that are set, annotations, and the etag of the service as it was read."""

    name: str
    tag: str
    env: Mapping[str, str] = MappingProxyType({})
    annotations: Mapping[str, str] = MappingProxyType({})
    etag: str = ""


def _raise_if_changed(service: str, etag: str, current: Any) -> None:
    """Raise ConflictError where a service is not the one any more that was read with that etag; empty for any."""
    if etag and current.etag != etag:
        raise ConflictError(f"somebody else changed {service} meanwhile", hint="look at it, and run this again")


def _other_tags(traffic: Sequence[Any], own: Collection[str]) -> list[TrafficShare]:
    """The addresses that stay without traffic: other people's, not those of earlier candidates of ours."""
    return [
        TrafficShare(target.revision, 0, target.tag)
        for target in traffic
        if target.tag not in {"", *own} and not target.tag.startswith(OWN_TAG)
    ]


def _share(target: Any) -> TrafficShare:
    return TrafficShare(target.revision, target.percent, target.tag)


def _routes(shares: Iterable[TrafficShare]) -> set[tuple[str, int, str]]:
    """Traffic without its addresses and without its order."""
    return {(share.revision, share.percent, share.tag) for share in shares}


@contextmanager
def _translate_conflicts(doing: str) -> Iterator[None]:
    from google.api_core.exceptions import Aborted

    with translate_errors(doing):
        try:
            yield
        except Aborted as error:
            what = f"{doing}: somebody else changed the service meanwhile"
            raise ConflictError(what, hint="look at it, and run this again") from error


def _emulator_clients(types: Any, local: auth.Endpoint) -> tuple[Any, Any]:
    """Clients that speak to an emulator: plaintext and anonymous."""
    import grpc
    from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
    from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport

    channel = grpc.insecure_channel(local.address)
    return (
        types.ServicesClient(transport=ServicesGrpcTransport(channel=channel)),
        types.RevisionsClient(transport=RevisionsGrpcTransport(channel=channel)),
    )
