"""The steps of a deploy up to the image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from buildguard.check.image import check_image
from buildguard.check.result import CheckReport
from buildguard.check.run import check as check_sources
from buildguard.codes import Code
from buildguard.compare.diff import diff
from buildguard.compare.image_lookup import ImageLookup
from buildguard.deploy import build as deploy_build
from buildguard.deploy.build import BuiltImage
from buildguard.deploy.cloud_image import CloudImage, CloudRunner
from buildguard.deploy.context import DeployContext, ImageEngine, StepResult
from buildguard.deploy.outcome import DeployStoppedError, StepSummary
from buildguard.deploy.plan import Builder, DeployPlan, DeployStep
from buildguard.deploy.promotion import compare, confirm, read_container
from buildguard.diagnostic import Diagnostic, Severity, count, display_path
from buildguard.docker import client as daemons
from buildguard.docker.build_image import BuildFailedError
from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_build import BuildStatus
from buildguard.gcp.storage import StorageClient
from buildguard.imports.records import UndecidedImport
from buildguard.locate import locate
from buildguard.project import ledger as ledgers
from buildguard.project.cloudbuild.truncate import repository_of
from buildguard.project.ledger import LedgerLine, StepVerdict
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.request import CheckRequest

_MOST_FINDINGS = 50  # that the ledger names


def check(context: DeployContext) -> StepResult:
    """Every source of what is deployed, compiled."""
    prepared = context.prepared
    request = CheckRequest(cwd=prepared.repository.top, submitted_file=context.plan.building.file, only_built=True)
    place = locate(prepared.repository.top, () if context.plan.source.dirty else (context.source,))
    report = check_sources(request, place, context.services.watcher)
    _held(report, "buildguard check, and buildguard fix for f-strings")
    return StepResult(context, f"{count(report.files, 'file')} compiled", {"files": report.files})


def _left_out(context: DeployContext) -> set[str]:
    """What is not sent, and so in no later stage: by an ignore rule, or because git does not know it."""
    paths = {path for path, _rule in context.plan.packed.dropped}
    if context.plan.source.dirty:
        paths |= {display_path(path) for path in context.prepared.repository.untracked()}
    return paths


def archive(context: DeployContext) -> StepResult:
    """The archive against the commit: less what the ignore rules drop, nothing may differ."""
    prepared, packed = context.prepared, context.plan.packed
    comparison = diff(prepared.repository.top, [context.source, f"tar:{prepared.archive}"])
    wrong = deploy_build.find_unexplained(comparison.chain, _left_out(context))
    if wrong:
        raise DeployStoppedError(
            f"the archive is not what was committed: {display_path(wrong[0].path)} ({wrong[0].cause})"
        )
    if comparison.chain.unproven:
        raise DeployStoppedError(comparison.chain.unproven[0].reason, proven=False)
    digest = prepared.packed.written.digest
    evidence = {"digest": digest, "dropped": len(packed.dropped)}
    return StepResult(context, f"{count(packed.files, 'file')}, {digest[:12]}", evidence)


def upload(context: DeployContext) -> StepResult:
    """Put the archive into the bucket."""
    prepared = context.prepared
    cloud = prepared.config.cloud
    with StorageClient(prepared.project) as storage:
        bucket = storage.ensure(cloud.bucket, storage.project, cloud.region)
        sent = storage.upload(prepared.archive, bucket, f"source/{prepared.packed.written.file_digest}.tgz")
    words = f"{sent.uploaded.url}{' (there already)' if sent.reused else ''}"
    return StepResult(context._replace(stored=sent.uploaded), words, {"url": sent.uploaded.url})


def build_in_cloud(context: DeployContext) -> StepResult:
    """Build in Cloud Build; a build of an earlier run that is proven, or still runs, is used."""
    prepared, services = context.prepared, context.services
    assert context.stored is not None

    def note(build: BuildStatus | None) -> None:
        context.progress.run_build(build)
        if build is not None:
            services.watcher.tell(f"Cloud Build runs {build.id}: {build.log_url}")
            services.ledger.write(DeployStep.BUILD, StepVerdict.BEGUN, 0.0, {"build": build.id, "key": prepared.key})

    shared = services.shared.builds.get(prepared.key, "")
    resume = shared or _proven_build(context) or _unfinished_build(context)
    built = deploy_build.build_in_cloud(prepared, context.stored, services.watcher.tell, note, resume)
    build = str(built.evidence.get("build", ""))
    services.shared.builds[prepared.key] = build
    again = f" (build {resume} of an earlier run)" if resume and build == resume != shared else ""
    return StepResult(context._replace(built=built), f"{built.reference}{again}", built.evidence)


def build_here(context: DeployContext) -> StepResult:
    """Build on the local engine, from the archive; an image of an earlier run that is still there is used."""
    prepared = context.prepared
    line = _proven_line(context, Builder.LOCAL)
    if line is not None and deploy_build.has_local_image(str(line.evidence.get("id", "")), prepared):
        evidence = {key: value for key, value in line.evidence.items() if key != "words"}
        built = BuiltImage(evidence["id"], evidence["image"], None, evidence)
        return StepResult(context._replace(built=built), f"{built.name} (built by an earlier run)", evidence)
    try:
        built = deploy_build.build_locally(prepared, context.services.watcher.tell)
    except BuildFailedError as error:
        log = error.log.decode("utf-8", "replace")
        last = log.strip().splitlines()[-1:] or [""]
        raise DeployStoppedError(f"{error.what}: {last[0][:200]}", evidence={"log": log}) from error
    return StepResult(context._replace(built=built), f"{built.name} ({built.reference[:19]})", built.evidence)


def _proven_line(context: DeployContext, builder: Builder) -> LedgerLine | None:
    """The last line of an earlier run in which this very build succeeded, where that builder made it."""
    commit, key = context.plan.source.commit, context.prepared.key
    line = ledgers.find_proven(context.services.earlier, DeployStep.BUILD, commit, "key", key)
    return line if line is not None and line.builder == builder else None


def _proven_build(context: DeployContext) -> str:
    line = _proven_line(context, Builder.CLOUD)
    return str(line.evidence.get("build", "")) if line is not None else ""


def _unfinished_build(context: DeployContext) -> str:
    """A build that a run of ours started over this very archive, and never heard the end of."""
    for run in reversed(ledgers.group_runs(context.services.earlier)):
        begun = [
            line for line in run if line.step == DeployStep.BUILD and line.evidence.get("key") == context.prepared.key
        ]
        if begun and begun[-1].verdict == StepVerdict.BEGUN and begun[-1].evidence.get("build"):
            return str(begun[-1].evidence["build"])
    return ""


def promote(context: DeployContext) -> StepResult:
    """Take the image that another environment has proven and serves still; its variables have to be here too."""
    promotion = context.prepared.promotion
    assert promotion is not None
    confirmed = confirm(promotion.source, promotion.line)
    here = read_container(context.prepared.service_id, context.prepared.app)
    missing = compare(confirmed.container, here, frozenset(os.environ)).missing
    if missing:
        raise DeployStoppedError(f"BG501 required environment variables are missing: {', '.join(missing)}")
    evidence = {
        "image": confirmed.reference,
        "digest": confirmed.digest,
        "promoted_from": promotion.source.environment,
        "run": promotion.line.run,
        "revision": confirmed.revision,
    }
    built = BuiltImage(confirmed.reference, confirmed.reference, confirmed.digest, evidence)
    words = f"{confirmed.describe()}, and serves there as {confirmed.revision}"
    return StepResult(context._replace(built=built), words, evidence)


# ------------------------------------------------------------------------------------------ the image


def find_engine(context: DeployContext) -> tuple[DeployContext, ImageEngine]:
    """Where the image is read and started: where no container engine is here, Cloud Build looks at what was pushed."""
    if context.engine is not None:
        return context, context.engine
    engine = ImageEngine(None)
    try:
        daemons.connect().close()
    except UnprovenError as error:
        if context.image.digest is None:
            raise
        runner = CloudRunner(context.prepared, context.services.watcher.tell, context.progress.run_build)
        engine = ImageEngine(CloudImage(runner, context.image.reference))
        context = context.noted(f"{error.what}: verify-image and start run in Cloud Build")
    return context._replace(engine=engine).publish(), engine


def verify_image(context: DeployContext) -> StepResult:
    """The image's files against the commit's, and each compiled by the image's own Python."""
    context, engine = find_engine(context)
    prepared, left_out = context.prepared, _left_out(context)
    root = prepared.config.image_root
    reference = f"image:{context.image.reference}{f':{root}' if root else ''}"
    source = context.plan.source
    # of a working tree, what was packed: since then it may have been edited
    before = f"tar:{prepared.archive}" if source.dirty else context.source
    lookup = ImageLookup("" if source.dirty else source.commit, prepared.dockerfile, engine.cloud)
    chain = diff(prepared.repository.top, [before, reference], lookup=lookup).chain
    deploy_build.compare_image(chain, left_out)
    checked = check_image(_image_request(context, engine), reference, context.services.watcher, lookup)
    report = _without_unsent(checked, left_out)
    _held(report, f"buildguard check {reference}")
    words, evidence = deploy_build.image_summary(chain, report)
    for note in chain.snapshots[-1].notes[1:]:  # the first one says where the project is
        context = context.noted(note)
    left, imports = _leave_imports(context.plan, report.undecided_imports)
    executed = tuple(item for item in report.undecided_imports if item.is_executed)
    return StepResult(context._replace(open_imports=executed), f"{words}{left}{engine.note}", {**evidence, **imports})


def _leave_imports(plan: DeployPlan, undecided: Sequence[UndecidedImport]) -> StepSummary:
    """What reading the image cannot decide, left to the step that executes it; unproven where no step does."""
    executed = [item for item in undecided if item.is_executed]
    if not undecided:
        return "", {}
    settling = settling_step(plan)
    evidence: dict[str, Any] = {
        "imports": {
            "undecided": len(undecided),
            "executed": [_undecided(item) for item in executed[:_MOST_FINDINGS]],
            "left_to": settling,
        }
    }
    if not executed:
        return "", evidence
    if settling is None:
        more = f", and {len(executed) - 1} more" if len(executed) > 1 else ""
        raise DeployStoppedError(
            f"the start executes an import that reading the image cannot decide, and no step starts it: "
            f"{_undecided(executed[0])}{more}",
            hint="leave out --skip-start: the image that starts settles it",
            evidence=evidence,
            proven=False,
        )
    return f", {count(len(executed), 'import')} left to {settling}", evidence


def _image_request(context: DeployContext, engine: ImageEngine) -> CheckRequest:
    """The check of the built image: by its own Python, on the engine here or in Cloud Build."""
    prepared = context.prepared
    return CheckRequest(
        cwd=prepared.repository.top,
        service=prepared.dockerfile,
        engine="cloud" if engine.cloud is not None else "container",
        image=context.image.reference,
        proof=ProofGrade.IMAGE,
        project=prepared.project,
        region=prepared.build_region,
    )


def _without_unsent(report: CheckReport, left_out: set[str]) -> CheckReport:
    """A report without the files that were not sent, and without edits on this disk: the bytes are compared already."""
    kept = (
        item
        for item in report.diagnostics
        if item.code != Code.BG303 and (item.code != Code.BG301 or item.path not in left_out)
    )
    return report._replace(diagnostics=tuple(kept))


def push(context: DeployContext) -> StepResult:
    """Push what was built here; without a service that can be asked, that would be for nothing."""
    serving, image = context.plan.serving, context.image
    if not serving.known:
        raise DeployStoppedError(
            f"built and verified, and not pushed: {serving.unknown_reason}",
            hint="then run the same command again: what is built and proven is used",
            proven=False,
        )
    digest = deploy_build.push_image(image.reference, image.name, context.prepared.config.platform)
    pushed = image._replace(reference=f"{repository_of(image.name)}@{digest}", digest=digest)
    evidence = {"image": image.name, "digest": digest}
    return StepResult(context._replace(built=pushed), pushed.reference, evidence)


def settling_step(plan: DeployPlan) -> DeployStep | None:
    """The step of a plan that executes what the image's program imports: a start, or a job's execution; None without one."""
    steps = {step.id for step in plan.steps if not step.skipped}
    return next((step for step in (DeployStep.EXECUTE, DeployStep.START) if step in steps), None)


def _undecided(item: UndecidedImport) -> str:
    return f"{item.path}:{item.line}: {item.reason}"


def _finding(diagnostic: Diagnostic) -> str:
    line = f":{diagnostic.range.line}" if diagnostic.range.line is not None else ""
    place = f"{diagnostic.path}{line}: " if diagnostic.path else ""
    return f"{place}{diagnostic.code} {diagnostic.message}"


def _held(report: CheckReport, hint: str) -> None:
    if report.exit_code == 0:
        return
    errors = [diagnostic for diagnostic in report.diagnostics if diagnostic.severity == Severity.ERROR]
    if errors:
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise DeployStoppedError(
            f"{_finding(errors[0])}{more}",
            hint=hint,
            evidence={"errors": len(errors), "findings": [_finding(error) for error in errors[:_MOST_FINDINGS]]},
        )
    reason = report.unproven[0].reason if report.unproven else "not proven"
    raise DeployStoppedError(reason, hint=hint, proven=False)
