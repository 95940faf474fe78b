"""Carrying out a plan, one step at a time: each is written down before it begins and when it has its verdict."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

from buildguard.check.image import check_image
from buildguard.check.result import CheckReport
from buildguard.check.run import check
from buildguard.check.targets import Watcher
from buildguard.compare.diff import diff
from buildguard.deploy import build as deploy_build
from buildguard.deploy import health
from buildguard.deploy import plan as plans
from buildguard.deploy import verify as deploy_verify
from buildguard.deploy.build import BuiltImage
from buildguard.deploy.plan import Builder, DeployStep
from buildguard.deploy.prepare import PreparedDeploy
from buildguard.diagnostic import count, display_path
from buildguard.docker import client as daemons
from buildguard.docker import images
from buildguard.docker.serve import ServingContainer, StartOptions
from buildguard.errors import GuardError
from buildguard.gcp import revision_names
from buildguard.gcp.auth import redact
from buildguard.gcp.cloud_build import BuildStatus
from buildguard.gcp.cloud_run import CloudRunClient, ConflictError, NewRevision, NotReadyError, TrafficShare
from buildguard.gcp.storage import StorageClient, StoredObject
from buildguard.locate import locate
from buildguard.project import ledger as ledgers
from buildguard.project.cloudbuild.truncate import repository_of
from buildguard.project.ledger import Ledger, LedgerLine, StepVerdict
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.request import CheckRequest

# what a step returns: words for people, and evidence for the ledger
StepResult: TypeAlias = tuple[str, Mapping[str, Any]]
StepAction: TypeAlias = Callable[[], StepResult]
_STARTS_WITHIN = 60.0
_STANDS_IN = "buildguard-stands-in"  # for the value of a secret, which only Google knows


class StepOutcome(NamedTuple):
    """The result of one step of a deploy."""

    step: DeployStep
    verdict: StepVerdict
    seconds: float
    words: str
    evidence: Mapping[str, Any]


class DeployStoppedError(GuardError):
    """A step that ends the deploy; exit 1 for a failure, 3 for what could not be proven."""

    def __init__(
        self, what: str, *, hint: str = "", evidence: Mapping[str, Any] | None = None, proven: bool = True
    ) -> None:
        super().__init__(what, hint=hint)
        self.evidence = dict(evidence or {})
        self.exit_code = 1 if proven else 3


class DeployRun:
    """One run over a plan."""

    def __init__(self, prepared: PreparedDeploy, ledger: Ledger, earlier: list[LedgerLine], watcher: Watcher) -> None:
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
        self._etag = self.plan.serving.etag
        self._earlier = earlier
        self._watcher = watcher
        self._tag = revision_names.tag_of(self.plan.wishes.service, self.plan.source.commit)

    def step(self, identity: DeployStep, act: StepAction) -> None:
        """Do one step: what it returns are words and evidence. Raises StoppedError where the deploy ends there."""
        self.at = identity
        self._watcher.tell(f"{identity}: {next((step.will for step in self.plan.steps if step.id == identity), '')}")
        self.ledger.write(identity, StepVerdict.BEGUN, 0.0, {})
        started = time.monotonic()
        try:
            words, evidence = act()
        except GuardError as error:
            verdict = StepVerdict.FAILED if error.exit_code == 1 else StepVerdict.UNPROVEN
            evidence = getattr(error, "evidence", {})
            self._close(StepOutcome(identity, verdict, time.monotonic() - started, error.words, evidence))
            if isinstance(error, DeployStoppedError):
                raise
            raise DeployStoppedError(error.what, hint=error.hint, proven=error.exit_code == 1) from error
        self._close(StepOutcome(identity, StepVerdict.OK, time.monotonic() - started, words, evidence))

    def skip(self, identity: DeployStep, why: str) -> None:
        """Say of a step that it was not needed, or not reached."""
        self._close(StepOutcome(identity, StepVerdict.SKIPPED, 0.0, why, {}))

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
        request = CheckRequest(cwd=self.prepared.repository.top, submitted_file=self.plan.building.file)
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
            bucket = storage.ensure(self.prepared.config.cloud.bucket, storage.project)
            sent = storage.upload(self.prepared.archive, bucket, f"source/{written.file_digest}.tgz")
        self.stored = sent.uploaded
        return f"{sent.uploaded.url}{' (there already)' if sent.reused else ''}", {"url": sent.uploaded.url}

    def build_in_cloud(self) -> StepResult:
        """Build in Cloud Build; a build of an earlier run that is proven, or still runs, is used."""
        assert self.stored is not None
        resume = self._proven_build(Builder.CLOUD) or self._unfinished_build()
        self.built = deploy_build.build_in_cloud(self.prepared, self.stored, self._watcher.tell, self._runs, resume)
        again = f" (build {resume} of an earlier run)" if resume else ""
        return f"{self.built.reference}{again}", self.built.evidence

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
            return f"{self.built.name} (built by an earlier run)", evidence
        self.built = deploy_build.build_locally(self.prepared, self._watcher.tell)
        return f"{self.built.name} ({self.built.reference[:19]})", self.built.evidence

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

    def verify_image(self) -> StepResult:
        """The image's files against the commit's, and each compiled by the image's own Python."""
        assert self.built is not None
        root = self.prepared.config.image_root
        reference = f"image:{self.built.reference}{f':{root}' if root else ''}"
        top = self.prepared.repository.top
        # of a working tree, what was packed: since then somebody may have gone on editing
        before = f"tar:{self.prepared.archive}" if self.plan.source.dirty else self._source
        chain = diff(top, [before, reference]).chain
        deploy_build.compare_image(chain, self._left_out)
        request = CheckRequest(cwd=top, engine="container", image=self.built.reference, proof=ProofGrade.IMAGE)
        report = check_image(request, reference, self._watcher)
        _held(report, f"buildguard check {reference}")
        return deploy_build.image_summary(chain, report)

    def start(self) -> StepResult:
        """Whether the container starts and answers, with the variables that the service has."""
        assert self.built is not None
        start, stands_in = self._started_with()
        daemon = daemons.connect()
        try:
            image = images.find(daemon, self.built.reference, self.prepared.config.platform, self._watcher.tell)
            with ServingContainer(daemon, image, start) as serving:
                answered = serving.wait(self.plan.wishes.health or "/", _STARTS_WITHIN)
                if answered.listens:
                    how = f"answers {answered.status}" if answered.status else "listens"
                    return f"{how} after {answered.seconds:.1f} s", {"status": answered.status or 0}
                log = serving.log()
        finally:
            daemon.close()
        raise self._did_not_start(start.port, answered.ending, log, stands_in)

    def _started_with(self) -> tuple[StartOptions, list[str]]:
        """What a revision would start the app's container with; something stands in for variables that only Google knows."""
        env: dict[str, str] = {
            name: os.environ[name] for name in self.prepared.config.deploy.required_env if name in os.environ
        }
        stands_in: list[str] = []
        with ExitStack() as held:
            exists = self.plan.serving.exists
            current = held.enter_context(self._run()).get(self.plan.wishes.service) if exists else None
        if current is None:
            return StartOptions(env), stands_in
        for name, value in current.env.items():
            if value is None and name not in os.environ:
                stands_in.append(name)
            env[name] = value if value is not None else os.environ.get(name, _STANDS_IN)
        app = current.container
        return StartOptions(env, app.command, app.args, current.port, tell_port=not current.is_behind_proxy), stands_in

    def _did_not_start(self, port: int, ending: str, log: bytes, stands_in: list[str]) -> DeployStoppedError:
        """Why: by its log, and not by the port that nobody listened on."""
        from buildguard.diagnose.run import diagnose

        diagnosis = diagnose(self.prepared.repository.top, log, source=self._source)
        last = redact(log.strip().rpartition(b"\n")[2].decode("utf-8", "replace"))[:200]
        known = diagnosis.cause not in {"unknown", "healthy"}
        what = diagnosis.sentence if known else f"the container does not listen on port {port}"
        words = (
            f"BG502 it does not start: {what}"
            + (f" ({ending})" if ending else "")
            + (f"; it said last: {last}" if last else "")
        )
        hint = f"{', '.join(stands_in)}: only Google knows the value; export it here" if stands_in and not known else ""
        return DeployStoppedError(
            words, hint=hint, evidence={"cause": diagnosis.cause, "log": last}, proven=known or not stands_in
        )

    def push(self) -> StepResult:
        """Push what was built here; without a service that can be asked, that would be for nothing."""
        assert self.built is not None
        if not self.plan.serving.known:
            raise DeployStoppedError(
                f"built and verified, and not pushed: {self.plan.serving.unknown_reason}",
                hint="then run the same command again: what is built and proven is used",
                proven=False,
            )
        digest = deploy_build.push_image(self.built.reference, self.built.name, self.prepared.config.platform)
        repository = repository_of(self.built.name)
        self.built = self.built._replace(reference=f"{repository}@{digest}", digest=digest)
        return self.built.reference, {"image": self.built.name, "digest": digest}

    # -------------------------------------------------------------------------------------- the service

    def _candidate(self) -> NewRevision:
        commit = self.plan.source.commit
        self.revision = self.revision or revision_names.name_of(self.plan.wishes.service, commit)
        sent, old = self.prepared.packed.written.digest, self.plan.serving.rollback_to
        notes = {revision_names.COMMIT: commit, revision_names.ARCHIVE: sent, revision_names.INSTEAD_OF: old}
        tag = self._tag if self.plan.serving.exists else ""
        return NewRevision(self.revision, tag, self._first_values(), notes, self._etag)

    def _first_values(self) -> dict[str, str]:
        """The variables of a service's first revision; every later one has those that the service has."""
        wanted = () if self.plan.serving.exists else self.prepared.config.deploy.required_env
        return {name: os.environ[name] for name in wanted if name in os.environ}

    def validate(self) -> StepResult:
        """Have Cloud Run say whether it would take the revision."""
        assert self.built is not None
        with self._run() as run:
            run.validate(self.plan.wishes.service, self.built.reference, self._candidate())
        return f"{self.revision} would be taken", {"revision": self.revision}

    def make_revision(self) -> StepResult:
        """Make the revision, without traffic, by the image's digest."""
        assert self.built is not None
        service = self.plan.wishes.service
        with self._run() as run:
            try:
                revision = run.candidate(service, self.built.reference, self._candidate())
            except NotReadyError as error:
                raise DeployStoppedError(
                    f"BG503 {error.what}", hint=error.hint, evidence={"revision": self.revision}
                ) from error
            current = run.get(service)
            self._etag = current.etag if current is not None else ""
        if revision.digest != self.built.digest:
            raise DeployStoppedError(f"{revision.name} runs {revision.image}, and not {self.built.reference}")
        shares = current.observed if current is not None else ()
        if self.plan.serving.exists:
            # under any other address somebody else would answer
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
        """Whether the revision's own address answers, or Cloud Run's probe of it succeeded."""
        service, path = self.plan.wishes.service, self.plan.wishes.health
        with self._run() as run:
            current, revision = run.get(service), run.revision(service, self.revision)
        app = revision.container
        is_probed = revision.ready and current is not None and not current.unprobed
        internal = current is not None and current.internal
        proof = health.Proof(path, app.probe if is_probed else "", internal, app.probe_kind)
        result = health.check(self.url, current.url if current is not None else "", proof)
        if result.verdict is not StepVerdict.OK:
            proven = result.verdict is StepVerdict.FAILED
            raise DeployStoppedError(result.words, hint=result.hint, evidence=result.evidence, proven=proven)
        return result.words, result.evidence

    def verify(self, url: str = "") -> StepResult:
        """Run the verify commands against an address."""
        tried = [
            deploy_verify.run_verify(command, url or self.url, self.revision, self.prepared.repository.top)
            for command in self.plan.wishes.verify
        ]
        evidence = {"trials": [result.evidence for result in tried]}
        for result in tried:
            if result.verdict is not StepVerdict.OK:
                raise DeployStoppedError(
                    f"BG504 {result.command}: {result.why}",
                    evidence=evidence,
                    proven=result.verdict is StepVerdict.FAILED,
                )
        passed = sum(result.passed or 0 for result in tried)
        quick = [result.command for result in tried if result.suspicious]
        more = f" (suspicious: {', '.join(quick)} ended in no time)" if quick else ""
        return f"{count(passed, 'test')} passed{more}", evidence

    def traffic(self) -> StepResult:
        """Send it traffic in the configured steps, with its health after each; back to the old revision where that fails."""
        service, old = self.plan.wishes.service, self.plan.serving.rollback_to
        done = []
        with self._run() as run:
            for percent in plans.traffic_shares(self.plan.serving, self.plan.wishes):
                rest = [TrafficShare(old, 100 - percent)] if percent < 100 else []  # noqa: PLR2004
                self.moving = percent
                try:
                    self._etag = run.route(
                        service, [*rest, TrafficShare(self.revision, percent, self._tag)], self._etag
                    ).etag
                    self.health()
                    done.append(percent)
                except ConflictError as error:
                    why = f"at {percent} %: {error.what}; the traffic was left as it is now"
                    raise DeployStoppedError(why, hint=error.hint, proven=False) from error
                except GuardError as error:
                    self.roll_back(f"at {percent} %: {error.what}")
        return f"{', '.join(f'{step_percent} %' for step_percent in done)} on {self.revision}", {"percents": done}

    def roll_back(self, why: str) -> StepResult:
        """All traffic to the revision that had it before. Raises StoppedError in any case: the deploy has failed."""
        old = self.plan.serving.rollback_to
        if not old:
            raise DeployStoppedError(
                f"{why}; no revision had all the traffic before, so nothing was rolled back",
                hint=f"{self.plan.wishes.rollback} --revision NAME",
            )
        with self._run() as run:
            run.route(self.plan.wishes.service, [TrafficShare(old, 100)])
        raise DeployStoppedError(f"{why}; {old} has all traffic again", evidence={"rolled_back_to": old})

    def prove(self) -> StepResult:
        """What serves is what was built."""
        assert self.built is not None
        service = self.plan.wishes.service
        with self._run() as run:
            current = run.get(service)
            if current is None or current.only_revision != self.revision:
                ways = current.describe_traffic if current is not None else ""
                raise DeployStoppedError(f"{service} does not serve {self.revision} alone: {ways or 'nothing'}")
            serves = run.revision(service, self.revision)
        if serves.digest != self.built.digest:
            raise DeployStoppedError(f"{service} serves {serves.image}, and not {self.built.reference}")
        self.url = current.url
        evidence = {
            "revision": self.revision,
            "digest": serves.digest,
            "url": current.url,
            "instead_of": self.plan.serving.rollback_to,
        }
        return f"{current.url} serves {self.revision}, all of it, by the digest that was built", evidence

    def _run(self) -> CloudRunClient:
        return CloudRunClient(self.prepared.project, self.prepared.region, self.prepared.app)


def _held(report: CheckReport, hint: str) -> None:
    if report.exit_code == 0:
        return
    errors = [diagnostic for diagnostic in report.diagnostics if diagnostic.severity == "error"]
    if errors:
        first = errors[0]
        where = f"{first.path}:{first.range.line}: " if first.path else ""
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise DeployStoppedError(
            f"{where}{first.code} {first.message}{more}", hint=hint, evidence={"errors": len(errors)}
        )
    reason = report.unproven[0].reason if report.unproven else "not proven"
    raise DeployStoppedError(reason, hint=hint, proven=False)
