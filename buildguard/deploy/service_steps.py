"""The steps of a deploy on its service: the start of the container, the revision, its health and its traffic."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from buildguard.deploy import canary, health, start, traffic, verify_step
from buildguard.deploy.context import DeployContext, Observation, StepResult
from buildguard.deploy.current_service import described_state
from buildguard.deploy.health import Proof
from buildguard.deploy.image_steps import find_engine
from buildguard.deploy.outcome import DeployStoppedError, StepSummary
from buildguard.deploy.plan import DeployStep, LatestTraffic, traffic_stages
from buildguard.deploy.traffic import OLD_TAG, NewTraffic
from buildguard.deploy.verify_step import VerifyTarget
from buildguard.errors import GuardError
from buildguard.gcp import revision_names
from buildguard.gcp.cloud_run import CloudRunClient, NewRevision, NotReadyError
from buildguard.gcp.connection import ConflictError
from buildguard.gcp.service_state import ServiceState, TrafficShare
from buildguard.project import ledger as ledgers
from buildguard.project.deploy_table import TrafficStage
from buildguard.project.ledger import RESTORE, LedgerLine, StepVerdict


def _connect(context: DeployContext) -> CloudRunClient:
    return CloudRunClient(context.prepared.project, context.prepared.region, context.prepared.app)


def start_image(context: DeployContext) -> StepResult:
    """Whether the container starts and responds, without a network and with stand-ins for the service's variables."""
    prepared, service = context.prepared, context.plan.wishes.service
    current = None
    if context.plan.serving.exists:
        with _connect(context) as run:
            current = run.get(service)
    elif prepared.service_form:
        current = described_state(service, prepared.service_form, prepared.app)
    here = start.start_here(context.image.reference, prepared.config.platform, context.services.watcher.tell)
    context, engine = find_engine(context)
    run_image = engine.cloud.start if engine.cloud is not None else here
    words, evidence = start.try_start(prepared, current, context.source, run_image)
    return StepResult(context, f"{words}{engine.note}", {**evidence, **context.settled_imports()})


# ------------------------------------------------------------------------------------------ the revision


def _named(context: DeployContext) -> DeployContext:
    """The context with the name of the new revision, which is made up once."""
    if context.revision:
        return context
    name = revision_names.name_of(context.plan.wishes.service, context.plan.source.commit)
    return context._replace(revision=name).publish()


def _candidate(context: DeployContext) -> NewRevision:
    prepared, serving = context.prepared, context.plan.serving
    notes = {
        revision_names.COMMIT: context.plan.source.commit,
        revision_names.ARCHIVE: prepared.archive_digest,
        revision_names.INSTEAD_OF: serving.rollback_to,
    }
    tag = context.tag if serving.exists else ""
    form = {} if serving.exists else prepared.service_form
    return NewRevision(context.revision, tag, _first_values(context), notes, context.etag, form)


def _first_values(context: DeployContext) -> dict[str, str]:
    """The variables of a service's first revision; every later one has those that the service has."""
    is_described = context.plan.serving.exists or context.prepared.service_form
    wanted = () if is_described else context.prepared.config.deploy.required_env
    return {name: os.environ[name] for name in wanted if name in os.environ}


def validate(context: DeployContext) -> StepResult:
    """Have Cloud Run say whether it would take the revision."""
    context = _named(context)
    with _connect(context) as run:
        run.validate(context.plan.wishes.service, context.image.reference, _candidate(context))
    return StepResult(context, f"{context.revision} would be taken", {"revision": context.revision})


def make_revision(context: DeployContext) -> StepResult:
    """Make the revision, without traffic, by the image's digest."""
    context = _named(context)
    service, exists = context.plan.wishes.service, context.plan.serving.exists
    context.services.ledger.write(DeployStep.REVISION, StepVerdict.BEGUN, 0.0, _latest_evidence(context))
    with _connect(context) as run:
        context = context._replace(is_made=True).publish()
        try:
            revision = run.candidate(service, context.image.reference, _candidate(context))
        except NotReadyError as error:
            raise DeployStoppedError(
                f"BG503 {error.what}", hint=error.hint, evidence={"revision": context.revision}
            ) from error
        current = run.settled(service)
    if revision.digest != context.image.digest:
        raise DeployStoppedError(f"{revision.name} runs {revision.image}, and not {context.image.reference}")
    # under any other address than its own another program would answer
    url = (_own_url(current, context.tag, revision.name) if exists else current.url) if current is not None else ""
    if not url:
        raise DeployStoppedError(
            f"{revision.name} has no address of its own: {service} did not give it the tag {context.tag}",
            hint="another tool pins its traffic: look who does",
            proven=False,
        )
    context = context._replace(etag=current.etag if current is not None else "", url=url)
    evidence = {"revision": revision.name, "url": url, "digest": revision.digest}
    return StepResult(context, f"{revision.name} is ready", evidence)


def _own_url(state: ServiceState, tag: str, revision: str) -> str:
    """The address that a tag gives a revision; empty where another revision has the tag."""
    return next((share.url for share in state.observed if share.tag == tag and share.revision == revision), "")


# ------------------------------------------------------------------------------------------ health and tests


def check_health(context: DeployContext) -> StepResult:
    """Whether the revision's own address responds, or Cloud Run's probe of it succeeded."""
    audience, proof = _health_proof(context)
    result = health.check(context.url, audience, proof)
    if result.verdict is not StepVerdict.OK:
        proven = result.verdict is StepVerdict.FAILED
        raise DeployStoppedError(result.words, hint=result.hint, evidence=result.evidence, proven=proven)
    return StepResult(context, result.words, result.evidence)


def _health_proof(context: DeployContext) -> tuple[str, Proof]:
    """The address of the service, and what may prove the health of its new revision."""
    service, path = context.plan.wishes.service, context.plan.wishes.health
    with _connect(context) as run:
        current, revision = run.get(service), run.revision(service, context.revision)
    app = revision.container
    is_probed = revision.ready and current is not None and not current.unprobed
    internal = current is not None and current.internal
    proof = Proof(path, app.probe if is_probed else "", internal, app.probe_kind)
    return current.url if current is not None else "", proof


def verify(context: DeployContext) -> StepResult:
    """Run the verify commands against the address of the revision, and compare their tests with the cycles before."""
    target = VerifyTarget(context.url, context.revision, context.prepared.repository.top)
    tested = verify_step.verify(context.plan.wishes.verify, target, context.services.expected)
    context = context._replace(tested=tested).publish()  # a failure has tests too
    return StepResult(context, *verify_step.conclude(tested))


# ------------------------------------------------------------------------------------------ traffic


def _new_traffic(context: DeployContext) -> NewTraffic:
    return NewTraffic(context.plan.wishes.service, context.plan.serving.rollback_to, context.revision, context.tag)


def move_traffic(context: DeployContext) -> StepResult:
    """Send it traffic in the configured stages, with its health after each; back to the old revision where that fails."""
    stages = traffic_stages(context.plan.serving, context.plan.wishes)
    words, canaries = [], []
    with _connect(context) as run:
        for stage in stages:
            context.progress.moving = stage.percent
            try:
                shares = _new_traffic(context).shares(stage.percent, is_canary=stage.seconds > 0)
                state = run.route(context.plan.wishes.service, shares, context.etag)
                context = context._replace(etag=state.etag)
                check_health(context)
                counted, requests = _watch(context, state, stage) if stage.seconds else ("", {})
            except ConflictError as error:
                why = f"at {stage.percent} %: {error.what}; the traffic was left as it is now"
                raise DeployStoppedError(why, hint=error.hint, proven=False) from error
            except GuardError as error:
                roll_back(context, f"at {stage.percent} %: {error.what}", proven=error.exit_code == 1)
            words.append(f"{stage.percent} %{counted}")
            canaries += [requests] if requests else []
    evidence = {"percents": [stage.percent for stage in stages], **({"canaries": canaries} if canaries else {})}
    return StepResult(context, f"{', '.join(words)} on {context.revision}", evidence)


def _watch(context: DeployContext, state: ServiceState, stage: TrafficStage) -> StepSummary:
    """Send requests of our own to both revisions, and count which succeed. Raises DeployStoppedError for a worse new one."""
    old = context.plan.serving.rollback_to
    old_url = next((share.url for share in state.observed if share.tag == OLD_TAG), "")
    audience, proof = _health_proof(context)
    if not old_url:
        raise DeployStoppedError(f"{old} has no address to compare with", proven=False)
    result = canary.watch((context.url, old_url), audience, proof, stage.seconds)
    words = result.describe(context.revision, old)
    if result.is_worse:
        raise DeployStoppedError(f"{context.revision} did worse: {words}", evidence=result._asdict())
    return f" ({words})", {"percent": stage.percent, **result._asdict()}


def roll_back(context: DeployContext, why: str, *, proven: bool = True) -> NoReturn:
    """All traffic to the revision that had it before. Raises DeployStoppedError in any case.

    `proven` is False where the new revision may be fine, and only could not be looked at.
    """
    old, wishes = context.plan.serving.rollback_to, context.plan.wishes
    if not old:
        raise DeployStoppedError(
            f"{why}; no revision had all the traffic before, so nothing was rolled back",
            hint=f"{wishes.rollback} --revision NAME",
            proven=proven,
        )
    try:
        with _connect(context) as run:
            run.route(wishes.service, [TrafficShare(old, 100)])
    except GuardError as error:
        what = f"{why}; the traffic could not be sent back to {old}: {error.what}"
        raise DeployStoppedError(what, hint=wishes.rollback, proven=proven) from error
    words = f"{why}; {old} has all traffic again"
    raise DeployStoppedError(words, evidence={"rolled_back_to": old}, proven=proven)


# ------------------------------------------------------------------------------------------ the end


def find_latest(context: DeployContext) -> LatestTraffic:
    """What followed the latest revision before this deploy, or before the run of ours that pinned the traffic.

    That is a deploy that was stopped on its way, or a rollback whose revision serves still.
    """
    known, runs = context.plan.serving.latest, ledgers.group_runs(context.services.earlier)
    if known.whole or known.tags or not runs:
        return known
    serves = context.plan.serving.rollback_to
    noted = [line for line in runs[-1] if "latest" in line.evidence and _is_pinned_by(line, runs[-1], serves)]
    evidence = noted[-1].evidence if noted else {}
    return LatestTraffic(bool(evidence.get("latest")), tuple(evidence.get("latest_tags", ())))


def _is_pinned_by(line: LedgerLine, run: list[LedgerLine], serves: str) -> bool:
    """Whether the traffic is pinned since that line of the last run, as far as can be seen."""
    if line.step == DeployStep.REVISION:
        return bool(ledgers.find_stopping_step(run))
    return line.step == ledgers.ROLLBACK and line.evidence.get("revision") == serves


def _latest_evidence(context: DeployContext) -> dict[str, Any]:
    latest = find_latest(context)
    return {"latest": latest.whole, "latest_tags": list(latest.tags)}


def restore(context: DeployContext) -> DeployContext:
    """After a failure: the template of the revision that serves, so that the next change by anybody starts from it."""
    if not context.is_made or not context.plan.serving.rollback_to:
        return context
    verdict = StepVerdict.OK
    try:
        with _connect(context) as run:
            words, evidence = traffic.restore(run, _new_traffic(context), find_latest(context))
    except GuardError as error:
        verdict, evidence = StepVerdict.UNPROVEN, {}
        words = (
            f"the template of {context.plan.wishes.service} was not restored to that of the old revision: {error.words}"
        )
    if not words:
        return context
    context = context.noted(words)
    context.services.ledger.write(RESTORE, verdict, 0.0, {**evidence, "words": words})
    return context


def observe(context: DeployContext) -> Observation:
    """Who serves now, asked after a failure."""
    if not context.plan.serving.known:
        return Observation()
    try:
        with _connect(context) as run:
            state = run.get(context.plan.wishes.service)
    except GuardError as error:
        return Observation(problem=error.what)
    if state is None:
        return Observation("the service does not exist")
    return Observation(state.describe_traffic or "no revision has any", state.only_revision)


def prove(context: DeployContext) -> StepResult:
    """What serves is what was built; then the traffic follows the latest revision again, if it did before."""
    service, revision = context.plan.wishes.service, context.revision
    with _connect(context) as run:
        current = run.settled(service)
        if current is None or current.only_revision != revision:
            ways = current.describe_traffic if current is not None else ""
            raise DeployStoppedError(f"{service} does not serve {revision} alone: {ways or 'nothing'}")
        serves = run.revision(service, revision)
        if serves.digest != context.image.digest:
            raise DeployStoppedError(f"{service} serves {serves.image}, and not {context.image.reference}")
        context = context._replace(url=current.url).publish()
        ending, follows = _end_traffic(context, run, current)
    evidence = {
        "revision": revision,
        "digest": serves.digest,
        "url": current.url,
        "instead_of": context.plan.serving.rollback_to,
        "follows_latest": follows,
    }
    words = f"{current.url} serves {revision}, all of it, by the digest that was built{ending}"
    return StepResult(context, words, evidence)


def _end_traffic(context: DeployContext, run: CloudRunClient, current: ServiceState) -> tuple[str, bool]:
    """How the traffic is left, in words, and whether it follows the latest revision."""
    if not context.plan.serving.exists:
        return "", not current.requested or not current.requested[0].revision
    latest = find_latest(context)
    wanted = latest._replace(whole=latest.whole and not context.plan.wishes.pin)
    if not (wanted.whole or wanted.tags):
        return f"; the traffic is pinned to {context.revision}", False
    result = traffic.follow_latest(run, current, context.revision, wanted, _new_traffic(context).tagged)
    return f"; {result.words}", result.follows and wanted.whole
