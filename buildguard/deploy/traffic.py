"""The traffic of a service under a deploy: in stages to the new revision, back where that fails, and to LATEST in the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.deploy.plan import LatestTraffic
from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.connection import ConflictError
from buildguard.gcp.revision_names import OWN_TAG
from buildguard.gcp.service_state import WHOLE, ServiceState, TrafficShare

OLD_TAG = f"{OWN_TAG}old"  # under which the old revision is requested during a canary


class NewTraffic(NamedTuple):
    """Whose traffic moves: the service, its old revision (empty: none that had it all), the new one and its tag."""

    service: str
    old: str
    revision: str
    tag: str

    @property
    def tagged(self) -> TrafficShare:
        """The new revision's own address, without traffic."""
        return TrafficShare(self.revision, 0, self.tag)

    def shares(self, percent: int, *, is_canary: bool = False) -> list[TrafficShare]:
        """The shares at a stage; the old revision gets an address of its own for a canary."""
        new = TrafficShare(self.revision, percent, self.tag)
        if percent == WHOLE:
            return [new]
        return [TrafficShare(self.old, WHOLE - percent, OLD_TAG if is_canary else ""), new]


class LatestResult(NamedTuple):
    """Whether the traffic follows the latest revision in the end: words for people, and the service as it is then."""

    follows: bool
    words: str
    state: ServiceState


def follow_latest(
    run: CloudRunClient, state: ServiceState, revision: str, latest: LatestTraffic, tagged: TrafficShare
) -> LatestResult:
    """Have what followed the latest revision before the deploy follow it again, if that is `revision`; `tagged` stays too.

    Raises UnprovenError with the command that does it, where the service was changed meanwhile.
    """
    newest = state.latest_created
    if state.latest_ready != revision or newest != revision:
        words = f"the traffic stays pinned to {revision}: the latest revision is {newest}"
        return LatestResult(follows=False, words=words, state=state)
    shares = [TrafficShare("", WHOLE) if latest.whole else TrafficShare(revision, WHOLE), tagged]
    shares += [TrafficShare("", 0, name) for name in latest.tags]
    command = f"gcloud run services update-traffic {state.name} --to-latest"
    try:
        routed = run.route(state.name, shares, state.etag)
    except ConflictError as error:
        raise UnprovenError(f"{error.what}; the traffic stays pinned to {revision}", hint=command) from error
    if routed.only_revision != revision:
        raise UnprovenError(f"{state.name} serves {routed.describe_traffic}, and not {revision} alone", hint=command)
    words = "the traffic follows the latest revision again"
    if not latest.whole:
        words = f"the traffic is pinned to {revision}, and the tags {', '.join(latest.tags)} follow the latest revision again"
    return LatestResult(follows=True, words=words, state=routed)


def restore(run: CloudRunClient, traffic: NewTraffic, latest: LatestTraffic) -> tuple[str, Mapping[str, Any]]:
    """After a failed deploy: the old revision's template, and LATEST where that is the old revision again; in words.

    Both words and evidence are empty where there is nothing to give back: the newest revision is not this deploy's, or the
    old one does not have all traffic. Raises UnprovenError where Cloud Run does not do it.
    """
    before = run.settled(traffic.service)
    if before is None or before.latest_created != traffic.revision or before.only_revision != traffic.old:
        return "", {}
    state = run.restore_template(traffic.service, traffic.old, before.etag)
    if state is None:
        raise UnprovenError(f"the service {traffic.service} is gone")
    words = f"the template of {traffic.service} is that of {traffic.old} again"
    evidence: dict[str, Any] = {"template": traffic.old}
    if latest.whole or latest.tags:
        result = follow_latest(run, state, traffic.old, latest, traffic.tagged)
        words, evidence = f"{words}; {result.words}", {**evidence, "follows_latest": result.follows}
    return words, evidence
