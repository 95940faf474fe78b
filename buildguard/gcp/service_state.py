"""A service of Cloud Run and its revisions, as records out of Google's messages. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.gcp.revision_names import COMMIT, INSTEAD_OF, is_ours
from buildguard.gcp.secret_manager import SecretRef
from buildguard.gcp.service_containers import DEFAULT_PORT, ONLY_CONTAINER, AppContainer, Container, read_containers

WHOLE = 100  # percent


class TrafficShare(NamedTuple):
    """A share of a service's traffic: the revision (empty for the latest), how many percent, its tag and its address."""

    revision: str
    percent: int
    tag: str = ""
    url: str = ""


class ServiceState(NamedTuple):
    """A service as it is: `requested` is the traffic that was asked for, `observed` the one that it has.

    `containers` are those of its newest template, `app` finds the app's; `internal` is a service without public traffic,
    `unprobed` one whose revisions become ready without a startup probe (`health_check_disabled`). `secrets` are what its
    newest template names, `account` is whom it runs as (empty for the default).
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
    secrets: tuple[SecretRef, ...] = ()
    account: str = ""

    @property
    def container(self) -> Container:
        """The app's container. Raises UnknownContainerError."""
        return self.app.pick(self.containers, self.name)

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
        """The one revision that has all traffic; empty where several share it, or it is unknown which."""
        serving = [share for share in self.observed if share.percent]
        if len(serving) != 1 or serving[0].percent != WHOLE:
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
        return self.app.pick(self.containers, self.name)

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


def read_service(types: Any, service: Any, app: AppContainer) -> ServiceState:
    """A service out of Google's message."""
    condition = service.terminal_condition
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
        requested=tuple(_share(types, target) for target in service.traffic),
        observed=tuple(_share(types, status)._replace(url=status.uri) for status in service.traffic_statuses),
        containers=read_containers(service.template.containers),
        app=app,
        internal=service.ingress not in {ingress.INGRESS_TRAFFIC_UNSPECIFIED, ingress.INGRESS_TRAFFIC_ALL},
        unprobed=service.template.health_check_disabled,
        secrets=tuple(read_secrets(service.template)),
        account=service.template.service_account,
    )


def read_secrets(template: Any) -> Iterator[SecretRef]:
    """The versions of secrets that the containers of a template get."""
    for container in template.containers:
        for variable in container.env:
            reference = variable.value_source.secret_key_ref
            if reference.secret:
                yield SecretRef(reference.secret, reference.version)
    for volume in template.volumes:
        secret = volume.secret.secret
        if secret and not volume.secret.items:
            yield SecretRef(secret, "latest")
        for item in volume.secret.items:
            yield SecretRef(secret, item.version)


def read_revision(types: Any, revision: Any, app: AppContainer) -> Revision:
    """A revision out of Google's message."""
    ready = next((condition for condition in revision.conditions if condition.type_ == "Ready"), None)
    state = types.Condition.State
    return Revision(
        name=revision.name.rpartition("/")[2],
        ready=ready is not None and ready.state == state.CONDITION_SUCCEEDED,
        failed=ready is not None and ready.state == state.CONDITION_FAILED,
        message=ready.message if ready is not None else "",
        containers=read_containers(revision.containers),
        annotations=dict(revision.annotations),
        log_url=revision.log_uri,
        app=app,
    )


def _share(types: Any, target: Any) -> TrafficShare:
    """A share; the latest revision stays without a name, also where Google's observation adds the one that it is now."""
    is_latest = target.type_ == types.TrafficTargetAllocationType.TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST
    return TrafficShare("" if is_latest else target.revision, target.percent, target.tag)
