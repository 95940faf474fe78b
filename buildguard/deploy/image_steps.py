"""The steps of a deploy up to the image: each is written down before it begins and when it has its verdict."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

from buildguard.check.image import check_image
from buildguard.check.result import CheckReport
from buildguard.check.run import check
from buildguard.check.targets import Watcher
from buildguard.compare.diff import diff
from buildguard.compare.image_lookup import ImageLookup
from buildguard.deploy import build as deploy_build
from buildguard.deploy.build import BuiltImage
from buildguard.deploy.cloud_image import CloudImage, CloudRunner
from buildguard.deploy.outcome import DeployStoppedError, StepAction, StepOutcome, StepResult
from buildguard.deploy.plan import Builder, DeployPlan, DeployStep
from buildguard.deploy.prepare import PreparedDeploy
from buildguard.deploy.promotion import compare, confirm, read_container
from buildguard.deploy.shared_work import SharedWork
from buildguard.diagnostic import Diagnostic, count, display_path
from buildguard.docker import client as daemons
from buildguard.docker.build_image import BuildFailedError
from buildguard.errors import GuardError, UnprovenError
from buildguard.gcp import revision_names
from buildguard.gcp.cloud_build import BuildStatus
from buildguard.gcp.storage import StorageClient, StoredObject
from buildguard.imports.records import UndecidedImport
from buildguard.locate import locate
from buildguard.project import ledger as ledgers
from buildguard.project.cloudbuild.truncate import repository_of
from buildguard.project.ledger import Ledger, LedgerLine, StepVerdict
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.request import CheckRequest

_MOST_FINDINGS = 50  # that the ledger names


class ImageSteps:
    """The steps of one run up to the image, and what all its steps share."""

    def __init__(
        self,
        prepared: PreparedDeploy,
        ledger: Ledger,
        earlier: list[LedgerLine],
        watcher: Watcher,
        shared: SharedWork | None = None,
    ) -> None:
        """`shared` is what other deploys of the same commit have done already."""
        self.prepared = prepared
        self.plan = prepared.plan
        self.outcomes: list[StepOutcome] = []
        self.ledger = ledger
        self.running: BuildStatus | None = None
        self.at = ""  # the step that is under way
        self.moving = 0  # the percentage of the traffic that may be the new revision's by now
        self.stored: StoredObject | None = None
        self.built: BuiltImage | None = None
        self.revision = ""
        self.url = ""
        self.is_made = False  # whether the new revision may exist by now
        self.notes: list[str] = []
        self.open_imports: list[UndecidedImport] = []  # that only a start of the image settles
        self._etag = self.plan.serving.etag
        self._earlier = earlier
        self._watcher = watcher
        self._shared = shared or SharedWork()
        self._tag = revision_names.tag_of(self.plan.wishes.service, self.plan.source.commit)

    @property
    def watcher(self) -> Watcher:
        """Who is told what takes its time."""
        return self._watcher

    @property
    def image(self) -> BuiltImage:
        """The image that the steps before have made."""
        assert self.built is not None
        return self.built

    @property
    def actions(self) -> dict[DeployStep, StepAction]:
        """What each step of the plan does."""
        is_local = self.plan.wishes.builder is Builder.LOCAL
        return {
            DeployStep.CHECK: self.check,
            DeployStep.ARCHIVE: self.archive,
            DeployStep.PROMOTE: self.promote,
            DeployStep.UPLOAD: self.upload,
            DeployStep.BUILD: self.build_here if is_local else self.build_in_cloud,
            DeployStep.VERIFY_IMAGE: self.verify_image,
            DeployStep.PUSH: self.push,
        }

    def step(self, identity: DeployStep, act: StepAction) -> None:
        """Do one step: what it returns are words and evidence. Raises StoppedError where the deploy ends there."""
        self.at = identity
        self._watcher.tell(f"{identity}: {next((step.will for step in self.plan.steps if step.id == identity), '')}")
        self.ledger.write(identity, StepVerdict.BEGUN, 0.0, {})
        started = time.monotonic()
        try:
            words, evidence = self._do(identity, act)
        except GuardError as error:
            verdict = StepVerdict.FAILED if error.exit_code == 1 else StepVerdict.UNPROVEN
            evidence = getattr(error, "evidence", {})
            self._close(StepOutcome(identity, verdict, time.monotonic() - started, error.words, evidence))
            if isinstance(error, DeployStoppedError):
                raise
            proven = error.exit_code == 1
            raise DeployStoppedError(error.what, hint=error.hint, proven=proven, reason=error.reason) from error
        self._close(StepOutcome(identity, StepVerdict.OK, time.monotonic() - started, words, evidence))

    def _do(self, identity: DeployStep, act: StepAction) -> StepResult:
        """Do a step, or take what another deploy of the same commit did already."""
        key = self._shared_key(identity)
        if key is None:
            return act()

        def work() -> tuple[StepResult, StoredObject | None, BuiltImage | None]:
            return act(), self.stored, self.built

        # an upload that failed is tried again
        result, self.stored, self.built = self._shared.once(
            (identity, *key), work, keeps_failure=identity is not DeployStep.UPLOAD
        )
        return result

    def _shared_key(self, identity: DeployStep) -> tuple[str, ...] | None:
        """What a step's result depends on, where other deploys may have the same; None for a step of this one alone."""
        building = self.plan.building
        match identity:
            case DeployStep.CHECK:
                return (building.file,)
            case DeployStep.ARCHIVE | DeployStep.UPLOAD:
                return ()
            case DeployStep.BUILD | DeployStep.VERIFY_IMAGE | DeployStep.PUSH:
                return (self.plan.wishes.builder, self.prepared.key, building.image)
            case _:
                return None

    def skip(self, identity: DeployStep, why: str, evidence: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Record a step that is left out on purpose (with evidence), or not reached."""
        self._close(StepOutcome(identity, StepVerdict.SKIPPED, 0.0, why, evidence))

    def _close(self, outcome: StepOutcome) -> None:
        self.outcomes.append(outcome)
        evidence = {**outcome.evidence, "words": outcome.words}
        self.ledger.write(outcome.step, outcome.verdict, outcome.seconds, evidence)

    # -------------------------------------------------------------------------------------- before the image

    @property
    def _source(self) -> str:
        """What is deployed, as a stage: the commit, wherever HEAD is by now, or the working tree."""
        return "dir:." if self.plan.source.dirty else f"commit:{self.plan.source.commit}"

    def check(self) -> StepResult:
        """Every source of what is deployed, compiled."""
        request = CheckRequest(
            cwd=self.prepared.repository.top, submitted_file=self.plan.building.file, only_built=True
        )
        place = locate(self.prepared.repository.top, () if self.plan.source.dirty else (self._source,))
        report = check(request, place, self._watcher)
        _held(report, "buildguard check, and buildguard fix for f-strings")
        return f"{count(report.files, 'file')} compiled", {"files": report.files}

    @cached_property
    def _left_out(self) -> set[str]:
        """What is not sent, and so in no later stage: by an ignore rule, or because git does not know it."""
        paths = {path for path, _rule in self.plan.packed.dropped}
        if self.plan.source.dirty:
            paths |= {display_path(path) for path in self.prepared.repository.untracked()}
        return paths

    def archive(self) -> StepResult:
        """The archive against the commit: less what the ignore rules drop, nothing may differ."""
        comparison = diff(self.prepared.repository.top, [self._source, f"tar:{self.prepared.archive}"])
        wrong = deploy_build.find_unexplained(comparison.chain, self._left_out)
        if wrong:
            raise DeployStoppedError(
                f"the archive is not what was committed: {display_path(wrong[0].path)} ({wrong[0].cause})"
            )
        if comparison.chain.unproven:
            raise DeployStoppedError(comparison.chain.unproven[0].reason, proven=False)
        digest = self.prepared.packed.written.digest
        return f"{count(self.plan.packed.files, 'file')}, {digest[:12]}", {
            "digest": digest,
            "dropped": len(self.plan.packed.dropped),
        }

    def upload(self) -> StepResult:
        """Put the archive into the bucket."""
        written = self.prepared.packed.written
        with StorageClient(self.prepared.project) as storage:
            bucket = storage.ensure(
                self.prepared.config.cloud.bucket, storage.project, self.prepared.config.cloud.region
            )
            sent = storage.upload(self.prepared.archive, bucket, f"source/{written.file_digest}.tgz")
        self.stored = sent.uploaded
        return f"{sent.uploaded.url}{' (there already)' if sent.reused else ''}", {"url": sent.uploaded.url}

    def build_in_cloud(self) -> StepResult:
        """Build in Cloud Build; a build of an earlier run that is proven, or still runs, is used."""
        assert self.stored is not None
        shared = self._shared.builds.get(self.prepared.key, "")
        resume = shared or self._proven_build(Builder.CLOUD) or self._unfinished_build()
        self.built = deploy_build.build_in_cloud(self.prepared, self.stored, self._watcher.tell, self._runs, resume)
        build = str(self.image.evidence.get("build", ""))
        self._shared.builds[self.prepared.key] = build
        again = f" (build {resume} of an earlier run)" if resume and build == resume != shared else ""
        return f"{self.image.reference}{again}", self.image.evidence

    def build_here(self) -> StepResult:
        """Build on the local engine, from the archive; an image of an earlier run that is still there is used."""
        line = ledgers.find_proven(self._earlier, DeployStep.BUILD, self.plan.source.commit, "key", self.prepared.key)
        if (
            line is not None
            and line.builder == Builder.LOCAL
            and deploy_build.has_local_image(line.evidence.get("id", ""), self.prepared)
        ):
            evidence = {key: value for key, value in line.evidence.items() if key != "words"}
            self.built = deploy_build.BuiltImage(evidence["id"], evidence["image"], "", evidence)
            return f"{self.image.name} (built by an earlier run)", evidence
        try:
            self.built = deploy_build.build_locally(self.prepared, self._watcher.tell)
        except BuildFailedError as error:
            log = error.log.decode("utf-8", "replace")
            last = log.strip().splitlines()[-1:] or [""]
            raise DeployStoppedError(f"{error.what}: {last[0][:200]}", evidence={"log": log}) from error
        return f"{self.image.name} ({self.image.reference[:19]})", self.image.evidence

    def _runs(self, build: BuildStatus | None) -> None:
        self.running = build
        if build is not None:
            self._watcher.tell(f"Cloud Build runs {build.id}: {build.log_url}")
            self.ledger.write(DeployStep.BUILD, StepVerdict.BEGUN, 0.0, {"build": build.id, "key": self.prepared.key})

    def _proven_build(self, builder: str) -> str:
        line = ledgers.find_proven(self._earlier, DeployStep.BUILD, self.plan.source.commit, "key", self.prepared.key)
        return str(line.evidence.get("build", "")) if line is not None and line.builder == builder else ""

    def _unfinished_build(self) -> str:
        """A build that a run of ours started over this very archive, and never heard the end of."""
        for run in reversed(ledgers.group_runs(self._earlier)):
            begun = [
                line for line in run if line.step == DeployStep.BUILD and line.evidence.get("key") == self.prepared.key
            ]
            if begun and begun[-1].verdict == StepVerdict.BEGUN and begun[-1].evidence.get("build"):
                return str(begun[-1].evidence["build"])
        return ""

    # -------------------------------------------------------------------------------------- the image

    @cached_property
    def cloud_image(self) -> CloudImage | None:
        """The pushed image as Cloud Build sees it, where no container engine is here; None where one is."""
        try:
            daemons.connect().close()
        except UnprovenError as error:
            if not self.image.digest:
                raise
            self.notes.append(f"{error.what}: verify-image and start run in Cloud Build")
            return CloudImage(CloudRunner(self.prepared, self._watcher.tell, self._note_build), self.image.reference)
        return None

    def _note_build(self, build: BuildStatus | None) -> None:
        self.running = build

    @property
    def _in_cloud(self) -> str:
        return " (in Cloud Build)" if self.cloud_image is not None else ""

    def promote(self) -> StepResult:
        """Take the image that another environment has proven and serves still; its variables have to be here too."""
        promotion = self.prepared.promotion
        assert promotion is not None
        confirmed = confirm(promotion.source, promotion.line)
        here = read_container(self.prepared.service_id, self.prepared.app)
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
        self.built = BuiltImage(confirmed.reference, confirmed.reference, confirmed.digest, evidence)
        return f"{confirmed.describe()}, and serves there as {confirmed.revision}", evidence

    def verify_image(self) -> StepResult:
        """The image's files against the commit's, and each compiled by the image's own Python."""
        root = self.prepared.config.image_root
        reference = f"image:{self.image.reference}{f':{root}' if root else ''}"
        top = self.prepared.repository.top
        # of a working tree, what was packed: since then it may have been edited
        before = f"tar:{self.prepared.archive}" if self.plan.source.dirty else self._source
        lookup = ImageLookup(service=self.prepared.dockerfile, source=self.cloud_image)
        chain = diff(top, [before, reference], lookup=lookup).chain
        deploy_build.compare_image(chain, self._left_out)
        report = self._without_unsent(check_image(self._image_request(), reference, self._watcher, lookup))
        _held(report, f"buildguard check {reference}")
        words, evidence = deploy_build.image_summary(chain, report)
        left, imports = self._leave_imports(report.undecided_imports)
        return f"{words}{left}{self._in_cloud}", {**evidence, **imports}

    def _leave_imports(self, undecided: Sequence[UndecidedImport]) -> StepResult:
        """What reading the image cannot decide, left to the step that executes it; unproven where no step does."""
        self.open_imports = [item for item in undecided if item.is_executed]
        if not undecided:
            return "", {}
        settling = settling_step(self.plan)
        evidence: dict[str, Any] = {
            "imports": {
                "undecided": len(undecided),
                "executed": [_undecided(item) for item in self.open_imports[:_MOST_FINDINGS]],
                "left_to": settling,
            }
        }
        if not self.open_imports:
            return "", evidence
        if settling is None:
            more = f", and {len(self.open_imports) - 1} more" if len(self.open_imports) > 1 else ""
            raise DeployStoppedError(
                f"the start executes an import that reading the image cannot decide, and no step starts it: "
                f"{_undecided(self.open_imports[0])}{more}",
                hint="leave out --skip-start: the image that starts settles it",
                evidence=evidence,
                proven=False,
            )
        return f", {count(len(self.open_imports), 'import')} left to {settling}", evidence

    def settled_imports(self) -> dict[str, Any]:
        """What a start that came up settles: the imports that it executes."""
        return {"settled_imports": len(self.open_imports)} if self.open_imports else {}

    def _image_request(self) -> CheckRequest:
        """The check of the built image: by its own Python, on the engine here or in Cloud Build."""
        prepared = self.prepared
        return CheckRequest(
            cwd=prepared.repository.top,
            service=prepared.dockerfile,
            engine="cloud" if self.cloud_image is not None else "container",
            image=self.image.reference,
            proof=ProofGrade.IMAGE,
            project=prepared.project,
            region=prepared.build_region,
        )

    def _without_unsent(self, report: CheckReport) -> CheckReport:
        """A report without the files that were not sent, and without edits on this disk: the bytes are compared already."""
        kept = (
            item
            for item in report.diagnostics
            if item.code != "BG303" and (item.code != "BG301" or item.path not in self._left_out)
        )
        return report._replace(diagnostics=tuple(kept))

    def push(self) -> StepResult:
        """Push what was built here; without a service that can be asked, that would be for nothing."""
        if not self.plan.serving.known:
            raise DeployStoppedError(
                f"built and verified, and not pushed: {self.plan.serving.unknown_reason}",
                hint="then run the same command again: what is built and proven is used",
                proven=False,
            )
        digest = deploy_build.push_image(self.image.reference, self.image.name, self.prepared.config.platform)
        repository = repository_of(self.image.name)
        self.built = self.image._replace(reference=f"{repository}@{digest}", digest=digest)
        return self.image.reference, {"image": self.image.name, "digest": digest}


def settling_step(plan: DeployPlan) -> DeployStep | None:
    """The step of a plan that executes what the image's program imports: a start, or a job's execution; None without one."""
    steps = {step.id for step in plan.steps}
    if DeployStep.EXECUTE in steps:
        return DeployStep.EXECUTE
    return DeployStep.START if DeployStep.START in steps and not plan.wishes.skip_start else None


def _undecided(item: UndecidedImport) -> str:
    return f"{item.path}:{item.line}: {item.reason}"


def _finding(diagnostic: Diagnostic) -> str:
    place = f"{diagnostic.path}:{diagnostic.range.line}: " if diagnostic.path else ""
    return f"{place}{diagnostic.code} {diagnostic.message}"


def _held(report: CheckReport, hint: str) -> None:
    if report.exit_code == 0:
        return
    errors = [diagnostic for diagnostic in report.diagnostics if diagnostic.severity == "error"]
    if errors:
        first = errors[0]
        where = f"{first.path}:{first.range.line}: " if first.path else ""
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise DeployStoppedError(
            f"{where}{first.code} {first.message}{more}",
            hint=hint,
            evidence={"errors": len(errors), "findings": [_finding(error) for error in errors[:_MOST_FINDINGS]]},
        )
    reason = report.unproven[0].reason if report.unproven else "not proven"
    raise DeployStoppedError(reason, hint=hint, proven=False)
