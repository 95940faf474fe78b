"""The steps of a deploy on its service: the start of the container, the revision, its health and its traffic."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

from buildguard.cycles.expectations import Expectations
from buildguard.definitions import NamedTuple
from buildguard.deploy import canary, health, start, traffic, verify_step
from buildguard.deploy import plan as plans
from buildguard.deploy.current_service import described_state
from buildguard.deploy.health import Proof
from buildguard.deploy.image_steps import ImageSteps
from buildguard.deploy.outcome import DeployStoppedError, StepAction, StepResult
from buildguard.deploy.plan import DeployStep, LatestTraffic
from buildguard.deploy.traffic import OLD_TAG, NewTraffic
from buildguard.deploy.verify_step import VerifyReport, VerifyTarget
from buildguard.errors import GuardError
from buildguard.gcp import revision_names
from buildguard.gcp.cloud_run import CloudRunClient, NewRevision, NotReadyError
from buildguard.gcp.connection import ConflictError
from buildguard.gcp.service_state import ServiceState, TrafficShare
from buildguard.project import ledger as ledgers
from buildguard.project.deploy_table import TrafficStage
from buildguard.project.ledger import RESTORE, LedgerLine, StepVerdict


class Observation(NamedTuple):
    """Who serves after a failed deploy: in words, the one revision that does, or why Cloud Run did not respond."""

    traffic: str = ""
    only_revision: str = ""
    problem: str = ""


class DeployRun(ImageSteps):
    """One run over a plan: its steps on the image, and those on the service."""

    expected = Expectations()  # what the cycles before let expect of the tests
    tested: VerifyReport | None = None

    @property
    def actions(self) -> dict[DeployStep, StepAction]:
        """What each step of the plan does."""
        return super().actions | {
            DeployStep.START: self.start,
            DeployStep.VALIDATE: self.validate,
            DeployStep.REVISION: self.make_revision,
            DeployStep.HEALTH: self.health,
            DeployStep.VERIFY: self.verify,
            DeployStep.TRAFFIC: self.traffic,
            DeployStep.PROVE: self.prove,
        }

    def start(self) -> StepResult:
        """Whether the container starts and responds, without a network and with stand-ins for the service's variables."""
        current = None
        if self.plan.serving.exists:
            with self._run() as run:
                current = run.get(self.plan.wishes.service)
        elif self.prepared.service_form:
            current = described_state(self.plan.wishes.service, self.prepared.service_form, self.prepared.app)
        here = start.start_here(self.image.reference, self.prepared.config.platform, self._watcher.tell)
        run_image = self.cloud_image.start if self.cloud_image is not None else here
        words, evidence = start.try_start(self.prepared, current, self._source, run_image)
        return f"{words}{self._in_cloud}", {**evidence, **self.settled_imports()}

    # -------------------------------------------------------------------------------------- the service

    def _candidate(self) -> NewRevision:
        commit = self.plan.source.commit
        self.revision = self.revision or revision_names.name_of(self.plan.wishes.service, commit)
        sent, old = self.prepared.archive_digest, self.plan.serving.rollback_to
        notes = {revision_names.COMMIT: commit, revision_names.ARCHIVE: sent, revision_names.INSTEAD_OF: old}
        tag = self._tag if self.plan.serving.exists else ""
        form = {} if self.plan.serving.exists else self.prepared.service_form
        return NewRevision(self.revision, tag, self._first_values(), notes, self._etag, form)

    def _first_values(self) -> dict[str, str]:
        """The variables of a service's first revision; every later one has those that the service has."""
        is_described = self.plan.serving.exists or self.prepared.service_form
        wanted = () if is_described else self.prepared.config.deploy.required_env
        return {name: os.environ[name] for name in wanted if name in os.environ}

    def validate(self) -> StepResult:
        """Have Cloud Run say whether it would take the revision."""
        with self._run() as run:
            run.validate(self.plan.wishes.service, self.image.reference, self._candidate())
        return f"{self.revision} would be taken", {"revision": self.revision}

    def make_revision(self) -> StepResult:
        """Make the revision, without traffic, by the image's digest."""
        service = self.plan.wishes.service
        self.ledger.write(DeployStep.REVISION, StepVerdict.BEGUN, 0.0, self._latest_evidence())
        with self._run() as run:
            try:
                self.is_made = True
                revision = run.candidate(service, self.image.reference, self._candidate())
            except NotReadyError as error:
                raise DeployStoppedError(
                    f"BG503 {error.what}", hint=error.hint, evidence={"revision": self.revision}
                ) from error
            current = run.settled(service)
            self._etag = current.etag if current is not None else ""
        if revision.digest != self.image.digest:
            raise DeployStoppedError(f"{revision.name} runs {revision.image}, and not {self.image.reference}")
        shares = current.observed if current is not None else ()
        if self.plan.serving.exists:
            # under any other address another program would answer
            self.url = next(
                (share.url for share in shares if share.tag == self._tag and share.revision == revision.name), ""
            )
        else:
            self.url = current.url if current is not None else ""
        if not self.url:
            raise DeployStoppedError(
                f"{revision.name} has no address of its own: {service} did not give it the tag {self._tag}",
                hint="another tool pins its traffic: look who does",
                proven=False,
            )
        return f"{revision.name} is ready", {"revision": revision.name, "url": self.url, "digest": revision.digest}

    def health(self) -> StepResult:
        """Whether the revision's own address responds, or Cloud Run's probe of it succeeded."""
        audience, proof = self._health_proof()
        result = health.check(self.url, audience, proof)
        if result.verdict is not StepVerdict.OK:
            proven = result.verdict is StepVerdict.FAILED
            raise DeployStoppedError(result.words, hint=result.hint, evidence=result.evidence, proven=proven)
        return result.words, result.evidence

    def _health_proof(self) -> tuple[str, Proof]:
        """The address of the service, and what may prove the health of its new revision."""
        service, path = self.plan.wishes.service, self.plan.wishes.health
        with self._run() as run:
            current, revision = run.get(service), run.revision(service, self.revision)
        app = revision.container
        is_probed = revision.ready and current is not None and not current.unprobed
        internal = current is not None and current.internal
        proof = Proof(path, app.probe if is_probed else "", internal, app.probe_kind)
        return current.url if current is not None else "", proof

    def verify(self, url: str = "") -> StepResult:
        """Run the verify commands against an address, and compare their tests with the cycles before."""
        target = VerifyTarget(url or self.url, self.revision, self.prepared.repository.top)
        self.tested = verify_step.verify(self.plan.wishes.verify, target, self.expected)
        return verify_step.conclude(self.tested)

    @property
    def _traffic(self) -> NewTraffic:
        return NewTraffic(self.plan.wishes.service, self.plan.serving.rollback_to, self.revision, self._tag)

    def traffic(self) -> StepResult:
        """Send it traffic in the configured stages, with its health after each; back to the old revision where that fails."""
        words, evidence = [], []
        with self._run() as run:
            for stage in plans.traffic_stages(self.plan.serving, self.plan.wishes):
                self.moving = stage.percent
                try:
                    shares = self._traffic.shares(stage.percent, is_canary=stage.seconds > 0)
                    state = run.route(self.plan.wishes.service, shares, self._etag)
                    self._etag = state.etag
                    self.health()
                    counted, requests = self._watch(state, stage) if stage.seconds else ("", {})
                    words.append(f"{stage.percent} %{counted}")
                    evidence.append(requests)
                except ConflictError as error:
                    why = f"at {stage.percent} %: {error.what}; the traffic was left as it is now"
                    raise DeployStoppedError(why, hint=error.hint, proven=False) from error
                except GuardError as error:
                    self.roll_back(f"at {stage.percent} %: {error.what}", proven=error.exit_code == 1)
        percents = [stage.percent for stage in plans.traffic_stages(self.plan.serving, self.plan.wishes)]
        canaries = [requests for requests in evidence if requests]
        return f"{', '.join(words)} on {self.revision}", {
            "percents": percents,
            **({"canaries": canaries} if canaries else {}),
        }

    def _watch(self, state: ServiceState, stage: TrafficStage) -> StepResult:
        """Send requests of our own to both revisions, and count which succeed. Raises DeployStoppedError for a worse new one."""
        old_url = next((share.url for share in state.observed if share.tag == OLD_TAG), "")
        audience, proof = self._health_proof()
        if not old_url:
            raise DeployStoppedError(f"{self.plan.serving.rollback_to} has no address to compare with", proven=False)
        result = canary.watch((self.url, old_url), audience, proof, stage.seconds)
        words = result.describe(self.revision, self.plan.serving.rollback_to)
        if result.is_worse:
            raise DeployStoppedError(f"{self.revision} did worse: {words}", evidence=result._asdict())
        return f" ({words})", {"percent": stage.percent, **result._asdict()}

    def roll_back(self, why: str, *, proven: bool = True) -> StepResult:
        """All traffic to the revision that had it before. Raises DeployStoppedError in any case.

        `proven` is False where the new revision may be fine, and only could not be looked at.
        """
        old = self.plan.serving.rollback_to
        if not old:
            raise DeployStoppedError(
                f"{why}; no revision had all the traffic before, so nothing was rolled back",
                hint=f"{self.plan.wishes.rollback} --revision NAME",
                proven=proven,
            )
        try:
            with self._run() as run:
                self._etag = run.route(self.plan.wishes.service, [TrafficShare(old, 100)]).etag
        except GuardError as error:
            what = f"{why}; the traffic could not be sent back to {old}: {error.what}"
            raise DeployStoppedError(what, hint=self.plan.wishes.rollback, proven=proven) from error
        words = f"{why}; {old} has all traffic again"
        raise DeployStoppedError(words, evidence={"rolled_back_to": old}, proven=proven)

    # -------------------------------------------------------------------------------------- the end

    @cached_property
    def latest(self) -> LatestTraffic:
        """What followed the latest revision before this deploy, or before the run of ours that pinned the traffic.

        That is a deploy that was stopped on its way, or a rollback whose revision serves still.
        """
        known = self.plan.serving.latest
        runs = ledgers.group_runs(self._earlier)
        if known.whole or known.tags or not runs:
            return known
        noted = [line for line in runs[-1] if "latest" in line.evidence and self._pinned_by(line, runs[-1])]
        evidence = noted[-1].evidence if noted else {}
        return LatestTraffic(bool(evidence.get("latest")), tuple(evidence.get("latest_tags", ())))

    def _pinned_by(self, line: LedgerLine, run: list[LedgerLine]) -> bool:
        """Whether the traffic is pinned since that line of the last run, as far as can be seen."""
        if line.step == DeployStep.REVISION:
            return bool(ledgers.find_stopping_step(run))
        return line.step == "rollback" and line.evidence.get("revision") == self.plan.serving.rollback_to

    def _latest_evidence(self) -> dict[str, Any]:
        return {"latest": self.latest.whole, "latest_tags": list(self.latest.tags)}

    def restore(self) -> None:
        """After a failure: the template of the revision that serves, so that the next change by anybody starts from it."""
        if not self.is_made or not self.plan.serving.rollback_to:
            return
        verdict = StepVerdict.OK
        try:
            with self._run() as run:
                words, evidence = traffic.restore(run, self._traffic, self.latest)
        except GuardError as error:
            verdict, evidence = StepVerdict.UNPROVEN, {}
            words = f"the template of {self.plan.wishes.service} was not restored to that of the old revision: {error.words}"
        if words:
            self.notes.append(words)
            self.ledger.write(RESTORE, verdict, 0.0, {**evidence, "words": words})

    def observe(self) -> Observation:
        """Who serves now, asked after a failure."""
        if not self.plan.serving.known:
            return Observation()
        try:
            with self._run() as run:
                state = run.get(self.plan.wishes.service)
        except GuardError as error:
            return Observation(problem=error.what)
        if state is None:
            return Observation("the service does not exist")
        return Observation(state.describe_traffic or "no revision has any", state.only_revision)

    def prove(self) -> StepResult:
        """What serves is what was built; then the traffic follows the latest revision again, if it did before."""
        service = self.plan.wishes.service
        with self._run() as run:
            current = run.settled(service)
            if current is None or current.only_revision != self.revision:
                ways = current.describe_traffic if current is not None else ""
                raise DeployStoppedError(f"{service} does not serve {self.revision} alone: {ways or 'nothing'}")
            serves = run.revision(service, self.revision)
            if serves.digest != self.image.digest:
                raise DeployStoppedError(f"{service} serves {serves.image}, and not {self.image.reference}")
            self.url = current.url
            ending, follows = self._end_traffic(run, current)
        evidence = {
            "revision": self.revision,
            "digest": serves.digest,
            "url": current.url,
            "instead_of": self.plan.serving.rollback_to,
            "follows_latest": follows,
        }
        return f"{current.url} serves {self.revision}, all of it, by the digest that was built{ending}", evidence

    def _end_traffic(self, run: CloudRunClient, current: ServiceState) -> tuple[str, bool]:
        """How the traffic is left, in words, and whether it follows the latest revision."""
        if not self.plan.serving.exists:
            return "", not current.requested or not current.requested[0].revision
        wanted = self.latest._replace(whole=self.latest.whole and not self.plan.wishes.pin)
        if not (wanted.whole or wanted.tags):
            return f"; the traffic is pinned to {self.revision}", False
        result = traffic.follow_latest(run, current, self.revision, wanted, self._traffic.tagged)
        return f"; {result.words}", result.follows and wanted.whole

    def _run(self) -> CloudRunClient:
        return CloudRunClient(self.prepared.project, self.prepared.region, self.prepared.app)
