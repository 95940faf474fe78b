"""Carrying out a plan, one step at a time: each is written down before it begins and when it has its verdict."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from buildguard.check.image import check_image
from buildguard.check.result import Report
from buildguard.check.run import check
from buildguard.check.targets import Watcher
from buildguard.compare.diff import diff
from buildguard.deploy import build as deploy_build
from buildguard.deploy import health, test_results
from buildguard.deploy import plan as plans
from buildguard.deploy import verify as deploy_verify
from buildguard.deploy.build import Built
from buildguard.deploy.prepare import Prepared
from buildguard.diagnostic import count, shown_path
from buildguard.docker import client as daemons
from buildguard.docker import images
from buildguard.docker.serve import Serving, Start
from buildguard.errors import GuardError
from buildguard.gcp import revision_names
from buildguard.gcp.auth import hidden
from buildguard.gcp.cloud_build import Seen
from buildguard.gcp.cloud_run import Candidate, ConflictError, NotReadyError, Run, Share
from buildguard.gcp.storage import Storage, Stored
from buildguard.locate import locate
from buildguard.project import ledger as ledgers
from buildguard.project.cloudbuild.truncate import repository_of
from buildguard.project.ledger import BEGUN, FAILED, OK, SKIPPED, UNPROVEN, Ledger, Line
from buildguard.project.request import Request as CheckRequest

if TYPE_CHECKING:
    # what a step returns: words for people, and evidence for the ledger
    Did: TypeAlias = tuple[str, Mapping[str, Any]]
    Act: TypeAlias = Callable[[], Did]

_STARTS_WITHIN = 60.0
_STANDS_IN = "buildguard-stands-in"  # for the value of a secret, which only Google knows


class Outcome(NamedTuple):
    """What a step came to."""

    step: str
    verdict: str
    seconds: float
    words: str
    evidence: Mapping[str, Any]


class StoppedError(GuardError):
    """A step that ends the deploy; exit 1 for a failure, 3 for what could not be proven."""

    def __init__(
        self, what: str, *, hint: str = "", evidence: Mapping[str, Any] | None = None, proven: bool = True
    ) -> None:
        super().__init__(what, hint=hint)
        self.evidence = dict(evidence or {})
        self.exit_code = 1 if proven else 3


class Deploy:
    """One run over a plan."""

    def __init__(self, prepared: Prepared, ledger: Ledger, earlier: list[Line], watcher: Watcher) -> None:
        self.prepared = prepared
        self.plan = prepared.plan
        self.outcomes: list[Outcome] = []
        self.ledger = ledger
        self.running: Seen | None = None
        self.at = ""  # the step that is under way
        self.moving = 0  # the percentage of the traffic that may be the new revision's by now
        self.stored: Stored | None = None
        self.built: Built | None = None
        self.revision = ""
        self.url = ""
        self._etag = self.plan.serving.etag
        self._earlier = earlier
        self._watcher = watcher
        self._tag = revision_names.tag_of(self.plan.wishes.service, self.plan.source.commit)

    def step(self, identity: str, act: Act) -> None:
        """Do one step: what it returns are words and evidence. Raises StoppedError where the deploy ends there."""
        self.at = identity
        self._watcher.tell(f"{identity}: {next((one.will for one in self.plan.steps if one.id == identity), '')}")
        self.ledger.write(identity, BEGUN, 0.0, {})
        started = time.monotonic()
        try:
            words, evidence = act()
        except GuardError as error:
            verdict = FAILED if error.exit_code == 1 else UNPROVEN
            evidence = getattr(error, "evidence", {})
            self._close(Outcome(identity, verdict, time.monotonic() - started, error.words, evidence))
            if isinstance(error, StoppedError):
                raise
            raise StoppedError(error.what, hint=error.hint, proven=error.exit_code == 1) from error
        self._close(Outcome(identity, OK, time.monotonic() - started, words, evidence))

    def skip(self, identity: str, why: str) -> None:
        """Say of a step that it was not needed, or not reached."""
        self._close(Outcome(identity, SKIPPED, 0.0, why, {}))

    def _close(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        evidence = {**outcome.evidence, "words": outcome.words}
        self.ledger.write(outcome.step, outcome.verdict, outcome.seconds, evidence)

    # -------------------------------------------------------------------------------------- before the image

    @property
    def _source(self) -> str:
        """What is deployed, as a stage: the commit, wherever HEAD is by now, or the working tree."""
        return "dir:." if self.plan.source.dirty else f"commit:{self.plan.source.commit}"

    def check(self) -> Did:
        """Every source of what is deployed, compiled."""
        request = CheckRequest(cwd=self.prepared.repository.top)
        place = locate(self.prepared.repository.top, () if self.plan.source.dirty else (self._source,))
        report = check(request, place, self._watcher)
        _held(report, "buildguard check, and buildguard fix for f-strings")
        return f"{count(report.files, 'file')} compiled", {"files": report.files}

    @cached_property
    def _left_out(self) -> set[str]:
        """What is not sent, and so in no later stage: by an ignore rule, or because git does not know it."""
        found = {path for path, _rule in self.plan.packed.dropped}
        if self.plan.source.dirty:
            found |= {shown_path(path) for path in self.prepared.repository.untracked()}
        return found

    def archive(self) -> Did:
        """The archive against the commit: less what the ignore rules drop, nothing may differ."""
        found = diff(self.prepared.repository.top, [self._source, f"tar:{self.prepared.archive}"])
        wrong = deploy_build.unexplained(found.chain, self._left_out)
        if wrong:
            raise StoppedError(f"the archive is not what was committed: {shown_path(wrong[0].path)} ({wrong[0].cause})")
        if found.chain.unproven:
            raise StoppedError(found.chain.unproven[0].reason, proven=False)
        digest = self.prepared.packed.written.digest
        return f"{count(self.plan.packed.files, 'file')}, {digest[:12]}", {
            "digest": digest,
            "dropped": len(self.plan.packed.dropped),
        }

    def upload(self) -> Did:
        """Put the archive into the bucket."""
        written = self.prepared.packed.written
        with Storage(self.prepared.project) as storage:
            bucket = storage.ensure(self.prepared.config.cloud.bucket, storage.project)
            sent = storage.upload(self.prepared.archive, bucket, f"source/{written.file_digest}.tgz")
        self.stored = sent.stored
        return f"{sent.stored.url}{' (there already)' if sent.reused else ''}", {"url": sent.stored.url}

    def build_in_cloud(self) -> Did:
        """Build in Cloud Build; a build of an earlier run that is proven, or still runs, is used."""
        assert self.stored is not None
        resume = self._proven_build(plans.CLOUD) or self._unfinished_build()
        self.built = deploy_build.in_cloud(self.prepared, self.stored, self._watcher.tell, self._runs, resume)
        again = f" (build {resume} of an earlier run)" if resume else ""
        return f"{self.built.reference}{again}", self.built.evidence

    def build_here(self) -> Did:
        """Build on the local engine, from the archive; an image of an earlier run that is still there is used."""
        line = ledgers.proven(self._earlier, plans.BUILD, self.plan.source.commit, "key", self.prepared.key)
        if (
            line is not None
            and line.builder == plans.LOCAL
            and deploy_build.is_here(line.evidence.get("id", ""), self.prepared)
        ):
            evidence = {key: value for key, value in line.evidence.items() if key != "words"}
            self.built = deploy_build.Built(evidence["id"], evidence["image"], "", evidence)
            return f"{self.built.name} (built by an earlier run)", evidence
        self.built = deploy_build.here(self.prepared, self._watcher.tell)
        return f"{self.built.name} ({self.built.reference[:19]})", self.built.evidence

    def _runs(self, build: Seen | None) -> None:
        self.running = build
        if build is not None:
            self._watcher.tell(f"Cloud Build runs {build.id}: {build.log_url}")
            self.ledger.write(plans.BUILD, BEGUN, 0.0, {"build": build.id, "key": self.prepared.key})

    def _proven_build(self, builder: str) -> str:
        line = ledgers.proven(self._earlier, plans.BUILD, self.plan.source.commit, "key", self.prepared.key)
        return str(line.evidence.get("build", "")) if line is not None and line.builder == builder else ""

    def _unfinished_build(self) -> str:
        """A build that a run of ours started over this very archive, and never heard the end of."""
        for run in reversed(ledgers.runs(self._earlier)):
            begun = [line for line in run if line.step == plans.BUILD and line.evidence.get("key") == self.prepared.key]
            if begun and begun[-1].verdict == BEGUN and begun[-1].evidence.get("build"):
                return str(begun[-1].evidence["build"])
        return ""

    # -------------------------------------------------------------------------------------- the image

    def verify_image(self) -> Did:
        """The image's files against the commit's, and each compiled by the image's own Python."""
        assert self.built is not None
        root = self.prepared.config.image_root
        reference = f"image:{self.built.reference}{f':{root}' if root else ''}"
        top = self.prepared.repository.top
        # of a working tree, what was packed: since then somebody may have gone on editing
        before = f"tar:{self.prepared.archive}" if self.plan.source.dirty else self._source
        chain = diff(top, [before, reference]).chain
        deploy_build.compare_image(chain, self._left_out)
        request = CheckRequest(cwd=top, engine="container", image=self.built.reference, proof="image")
        report = check_image(request, reference, self._watcher)
        _held(report, f"buildguard check {reference}")
        return deploy_build.image_summary(chain, report)

    def start(self) -> Did:
        """Whether the container starts and answers, with the variables that the service has."""
        assert self.built is not None
        start, stands_in = self._started_with()
        daemon = daemons.connect()
        try:
            image = images.find(daemon, self.built.reference, self.prepared.config.platform, self._watcher.tell)
            with Serving(daemon, image, start) as serving:
                answered = serving.wait(self.plan.wishes.health or "/", _STARTS_WITHIN)
                if answered.listens:
                    how = f"answers {answered.status}" if answered.status else "listens"
                    return f"{how} after {answered.seconds:.1f} s", {"status": answered.status}
                log = serving.log()
        finally:
            daemon.close()
        raise self._did_not_start(start.port, answered.ending, log, stands_in)

    def _started_with(self) -> tuple[Start, list[str]]:
        """What a revision would start the app's container with; something stands in for variables that only Google knows."""
        env: dict[str, str] = {
            name: os.environ[name] for name in self.prepared.config.deploy.required_env if name in os.environ
        }
        stands_in: list[str] = []
        with ExitStack() as held:
            exists = self.plan.serving.exists
            current = held.enter_context(self._run()).get(self.plan.wishes.service) if exists else None
        if current is None:
            return Start(env), stands_in
        for name, value in current.env.items():
            if value is None and name not in os.environ:
                stands_in.append(name)
            env[name] = value if value is not None else os.environ.get(name, _STANDS_IN)
        app = current.container
        return Start(env, app.command, app.args, current.port, tell_port=not current.is_behind_proxy), stands_in

    def _did_not_start(self, port: int, ending: str, log: bytes, stands_in: list[str]) -> StoppedError:
        """Why: by its log, and not by the port that nobody listened on."""
        from buildguard.diagnose.run import diagnose

        found = diagnose(self.prepared.repository.top, log, source=self._source)
        last = hidden(log.strip().rpartition(b"\n")[2].decode("utf-8", "replace"))[:200]
        known = found.cause not in {"unknown", "healthy"}
        what = found.sentence if known else f"the container does not listen on port {port}"
        words = (
            f"BG502 it does not start: {what}"
            + (f" ({ending})" if ending else "")
            + (f"; it said last: {last}" if last else "")
        )
        hint = f"{', '.join(stands_in)}: only Google knows the value; export it here" if stands_in and not known else ""
        return StoppedError(
            words, hint=hint, evidence={"cause": found.cause, "log": last}, proven=known or not stands_in
        )

    def push(self) -> Did:
        """Push what was built here; without a service that can be asked, that would be for nothing."""
        assert self.built is not None
        if not self.plan.serving.known:
            raise StoppedError(
                f"built and verified, and not pushed: {self.plan.serving.why}",
                hint="then run the same command again: what is built and proven is used",
                proven=False,
            )
        digest = deploy_build.push(self.built.reference, self.built.name, self.prepared.config.platform)
        repository = repository_of(self.built.name)
        self.built = self.built._replace(reference=f"{repository}@{digest}", digest=digest)
        return self.built.reference, {"image": self.built.name, "digest": digest}

    # -------------------------------------------------------------------------------------- the service

    def _candidate(self) -> Candidate:
        commit = self.plan.source.commit
        self.revision = self.revision or revision_names.name_of(self.plan.wishes.service, commit)
        sent, old = self.prepared.packed.written.digest, self.plan.serving.rollback_to
        notes = {revision_names.COMMIT: commit, revision_names.ARCHIVE: sent, revision_names.INSTEAD_OF: old}
        tag = self._tag if self.plan.serving.exists else ""
        return Candidate(self.revision, tag, self._first_values(), notes, self._etag)

    def _first_values(self) -> dict[str, str]:
        """The variables of a service's first revision; every later one has those that the service has."""
        wanted = () if self.plan.serving.exists else self.prepared.config.deploy.required_env
        return {name: os.environ[name] for name in wanted if name in os.environ}

    def validate(self) -> Did:
        """Have Cloud Run say whether it would take the revision."""
        assert self.built is not None
        with self._run() as run:
            run.validate(self.plan.wishes.service, self.built.reference, self._candidate())
        return f"{self.revision} would be taken", {"revision": self.revision}

    def make_revision(self) -> Did:
        """Make the revision, without traffic, by the image's digest."""
        assert self.built is not None
        service = self.plan.wishes.service
        with self._run() as run:
            try:
                made = run.candidate(service, self.built.reference, self._candidate())
            except NotReadyError as error:
                raise StoppedError(
                    f"BG503 {error.what}", hint=error.hint, evidence={"revision": self.revision}
                ) from error
            there = run.get(service)
            self._etag = there.etag if there is not None else ""
        if made.digest != self.built.digest:
            raise StoppedError(f"{made.name} runs {made.image}, and not {self.built.reference}")
        shares = there.observed if there is not None else ()
        if self.plan.serving.exists:
            # under any other address somebody else would answer
            self.url = next((one.url for one in shares if one.tag == self._tag and one.revision == made.name), "")
        else:
            self.url = there.url if there is not None else ""
        if not self.url:
            raise StoppedError(
                f"{made.name} has no address of its own: {service} did not give it the tag {self._tag}",
                hint="another tool pins its traffic: look who does",
                proven=False,
            )
        return f"{made.name} is ready", {"revision": made.name, "url": self.url, "digest": made.digest}

    def health(self) -> Did:
        """Whether the revision's own address answers, or Cloud Run's probe of it succeeded."""
        service, path = self.plan.wishes.service, self.plan.wishes.health
        with self._run() as run:
            current, revision = run.get(service), run.revision(service, self.revision)
        audience, internal = (current.url, current.internal) if current is not None else ("", False)
        proof = health.Proof(path, revision.container.probe if revision.ready else "", internal)
        result = health.check(self.url, audience, proof)
        if result.verdict != OK:
            proven = result.verdict == FAILED
            raise StoppedError(result.words, hint=result.hint, evidence=result.evidence, proven=proven)
        return result.words, result.evidence

    def verify(self, url: str = "") -> Did:
        """Run the verify commands against an address."""
        tried = [
            deploy_verify.tried(command, url or self.url, self.revision, self.prepared.repository.top)
            for command in self.plan.wishes.verify
        ]
        evidence = {"trials": [one._asdict() for one in tried]}
        for one in tried:
            if one.verdict != test_results.OK:
                raise StoppedError(
                    f"BG504 {one.command}: {one.why}", evidence=evidence, proven=one.verdict == test_results.FAILED
                )
        passed = sum(one.passed for one in tried)
        quick = [one.command for one in tried if one.suspicious]
        more = f" (suspicious: {', '.join(quick)} ended in no time)" if quick else ""
        return f"{count(passed, 'test')} passed{more}", evidence

    def traffic(self) -> Did:
        """Send it traffic in the configured steps, with its health after each; back to the old revision where that fails."""
        service, old = self.plan.wishes.service, self.plan.serving.rollback_to
        done = []
        with self._run() as run:
            for percent in plans.shares(self.plan.serving, self.plan.wishes):
                rest = [Share(old, 100 - percent)] if percent < 100 else []  # noqa: PLR2004
                self.moving = percent
                try:
                    self._etag = run.route(service, [*rest, Share(self.revision, percent, self._tag)], self._etag).etag
                    self.health()
                    done.append(percent)
                except ConflictError as error:
                    why = f"at {percent} %: {error.what}; the traffic was left as it is now"
                    raise StoppedError(why, hint=error.hint, proven=False) from error
                except GuardError as error:
                    self.roll_back(f"at {percent} %: {error.what}")
        return f"{', '.join(f'{one} %' for one in done)} on {self.revision}", {"percents": done}

    def roll_back(self, why: str) -> Did:
        """All traffic to the revision that had it before. Raises StoppedError in any case: the deploy has failed."""
        old = self.plan.serving.rollback_to
        if not old:
            raise StoppedError(
                f"{why}; no revision had all the traffic before, so nothing was rolled back",
                hint=f"{self.plan.wishes.rollback} --revision NAME",
            )
        with self._run() as run:
            run.route(self.plan.wishes.service, [Share(old, 100)])
        raise StoppedError(f"{why}; {old} has all traffic again", evidence={"rolled_back_to": old})

    def prove(self) -> Did:
        """What serves is what was built."""
        assert self.built is not None
        service = self.plan.wishes.service
        with self._run() as run:
            there = run.get(service)
            if there is None or there.sole != self.revision:
                ways = there.ways if there is not None else ""
                raise StoppedError(f"{service} does not serve {self.revision} alone: {ways or 'nothing'}")
            serves = run.revision(service, self.revision)
        if serves.digest != self.built.digest:
            raise StoppedError(f"{service} serves {serves.image}, and not {self.built.reference}")
        self.url = there.url
        evidence = {
            "revision": self.revision,
            "digest": serves.digest,
            "url": there.url,
            "instead_of": self.plan.serving.rollback_to,
        }
        return f"{there.url} serves {self.revision}, all of it, by the digest that was built", evidence

    def _run(self) -> Run:
        return Run(self.prepared.project, self.prepared.region, self.prepared.app)


def _held(report: Report, hint: str) -> None:
    if report.exit_code == 0:
        return
    errors = [one for one in report.diagnostics if one.severity == "error"]
    if errors:
        first = errors[0]
        where = f"{first.path}:{first.range.line}: " if first.path else ""
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        raise StoppedError(f"{where}{first.code} {first.message}{more}", hint=hint, evidence={"errors": len(errors)})
    reason = report.unproven[0].reason if report.unproven else "not proven"
    raise StoppedError(reason, hint=hint, proven=False)
