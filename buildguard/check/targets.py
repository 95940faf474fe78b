"""Judging the sources of a job for each of its targets, by every engine that answers, side by side."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from buildguard.check import diff_base
from buildguard.check.compile_files import UNREAD, FileVerdict, Judge, SourceDigest, digests_of
from buildguard.check.context import Job, no_version, nothing_checked, setting, share_of
from buildguard.check.filters import IgnoreComment
from buildguard.check.merge import diagnostic_of
from buildguard.check.result import TargetRow
from buildguard.check.runner_groups import RunnerGroup, group_runners
from buildguard.codes import SourceMark
from buildguard.definitions import TYPE_CHECKING, NamedTuple, Protocol
from buildguard.diagnostic import Diagnostic, DisplayPath, Finding, Unproven, UnreadableFile, display_path
from buildguard.engines import select as engines
from buildguard.engines.engine import Engine, EngineName, ReadyEngine
from buildguard.errors import DamagedFileError, UnprovenError
from buildguard.imports.records import UndecidedImport
from buildguard.project import image_reference
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.request import may_pull
from buildguard.project.target import PythonVersion, Target
from buildguard.stages.stage import Entry
from buildguard.system import process, threads
from buildguard.system.cache import Cache

if TYPE_CHECKING:
    from buildguard.check.cloud import CloudCheck, CloudFindings
    from buildguard.check.disagreements import EngineVerdict
    from buildguard.compare.chain import Chain
    from buildguard.project.snippets.unchecked import UncheckedPython

_MUSL = (
    "{image} runs on musl, not glibc: wheels for manylinux do not install in it, and its threads have 128 KiB of stack,"
    " so deeply nested code that compiles here can still crash when a thread imports it"
)


_WITH_IMAGES = frozenset({EngineName.CONTAINER, EngineName.CLOUD})  # the engines that look into images
_output_lock = threading.Lock()


class Watcher(Protocol):
    """Who hears of progress."""

    def update(self, done: int, total: int) -> None:
        """So many more verdicts of a total are there."""

    def tell(self, text: str) -> None:
        """What takes its time just now."""


class TargetShare(NamedTuple):
    """A target, and the entries that it runs."""

    target: Target
    entries: Sequence[Entry]


class CheckState:
    """What judging the targets brought; `gone` was listed and is deleted in the worktree: no build has it."""

    def __init__(self) -> None:
        self.rows: list[TargetRow] = []
        self.diagnostics: list[Diagnostic] = []
        self.unproven: list[Unproven] = []
        self.deleted: set[bytes] = set()
        self.ignores: list[IgnoreComment] = []
        self.notes: list[str] = []
        self.chain: Chain | None = None
        self.undecided: list[UndecidedImport] = []
        self.cached: set[bytes] = set()
        self.executed: set[str] = set()
        self.startup_undecided: list[str] = []
        self.unchecked: list[UncheckedPython] = []
        self.snippets = 0

    def note(self, findings: Iterable[Finding], path: DisplayPath, python: str, engine: str) -> None:
        """Take the findings in one file for one target; comments that silence something lie among them."""
        for finding in findings:
            if finding.code is SourceMark.IGNORE:
                self.ignores.append(IgnoreComment.of(path, finding))
            else:
                self.diagnostics.append(diagnostic_of(finding, path, python, engine))

    def add_cloud_findings(self, brought: CloudFindings) -> None:
        """Take over what a round through Cloud Build brought beside its verdicts."""
        self.chain = brought.chain
        self.diagnostics += brought.diagnostics
        self.unproven += brought.unproven
        self.notes += brought.notes

    def add(self, other: CheckState) -> None:
        """Take over what was seen for another target."""
        self.rows += other.rows
        self.diagnostics += other.diagnostics
        self.unproven += other.unproven
        self.deleted |= other.deleted
        self.ignores += other.ignores
        self.notes += other.notes
        self.undecided += other.undecided
        self.cached |= other.cached
        self.executed |= other.executed


def judge_all(job: Job, watcher: Watcher) -> CheckState:
    """Judge every source of a job for each target that runs it."""
    seen = CheckState()
    if not job.chosen.sources:
        if not job.request.staged:
            seen.unproven.append(Unproven(None, None, nothing_checked(job)))
        return seen
    shares = [TargetShare(target, share_of(target, job)) for target in job.targets]
    uncovered = len(job.chosen.sources) - len({entry.path for share in shares for entry in share.entries})
    if uncovered and not (job.request.service or job.request.only_built):
        seen.unproven.append(Unproven(None, None, f"{uncovered} files belong to no target"))
    if not any(share.entries for share in shares):
        # one service was asked for, and it runs none of these files (or no Python at all)
        reason = (
            f"service '{job.request.service}' runs none of these files" if job.request.service else nothing_checked(job)
        )
        seen.unproven.append(Unproven(None, None, reason))
    judge_shares(job, shares, watcher, seen)
    return seen


def judge_shares(job: Job, shares: list[TargetShare], watcher: Watcher, seen: CheckState) -> None:
    """Let every target's engines judge, and take over what they bring."""
    total = sum(len(share.entries) for share in shares)
    cloud = _cloud_check(job, shares, watcher)
    runners = [TargetRunner(job, share, (watcher, total), cloud) for share in shares]
    groups = group_runners(job, runners)
    try:
        _run_targets(job, groups)
    except KeyboardInterrupt:
        if cloud is not None:
            cloud.interrupted()
        raise
    finally:
        for group in groups:
            group.close()
    for runner in runners:
        seen.add(runner.state)
    seen.notes += [note for group in groups if group.cache is not job.cache for note in group.cache.notes]
    if cloud is not None:
        seen.add_cloud_findings(cloud.cloud_findings())


def _cloud_check(job: Job, shares: Sequence[TargetShare], watcher: Watcher) -> CloudCheck | None:
    """The one build for all targets, where the cloud engine may be asked at all."""
    if EngineName.CLOUD not in (engines.parse(job.request.engine) or engines.order_of(job.config)):
        return None
    from buildguard.check.cloud import CloudCheck

    def tell(text: str) -> None:
        with _output_lock:
            watcher.tell(text)

    return CloudCheck(job, shares, tell)


def _run_targets(job: Job, groups: Sequence[RunnerGroup]) -> None:
    """Let every runner judge, as many groups at once as there are cores; the sources are hashed meanwhile, and once for all."""
    together = min(len(groups), max(2, process.cores()))
    for group in groups[:together]:
        group.begin()
    several = sum(len(group.runners) for group in groups) > 1
    # with an empty cache the judge of an only target does all the reading itself
    read = [] if job.cache.is_empty() and not several else job.chosen.sources
    hashed = digests_of(job.place.stage, read, once=several)
    digests: dict[bytes, SourceDigest] = {entry.path: digest for entry, digest in zip(read, hashed, strict=True)}
    if len(groups) == 1:
        groups[0].judge(digests)
    else:
        threads.run_tasks([partial(group.judge, digests) for group in groups], together)


class TargetRunner:
    """One target at work: its engines, and what they bring."""

    def __init__(self, job: Job, share: TargetShare, watched: tuple[Watcher, int], cloud: CloudCheck | None) -> None:
        """`watched` is who hears of progress, and the number of verdicts that there will be of all runners."""
        self.state = CheckState()
        self.job = job
        self.shared_cache = job.cache
        self._share = share
        self._watcher, self._total = watched
        self._cloud = cloud
        self._requested: tuple[str, ...] = ()
        self._chooser: engines.EngineChooser | None = None

    def begin(self) -> None:
        """Let the engine that will be asked first get ready."""
        chooser = self._choosing()
        if chooser is not None:
            chooser.begin()

    def engine_key(self) -> Hashable:
        """What the engines of this target depend on; of its own where one build judges all targets."""
        if self._cloud is not None:
            return id(self)
        request = self.job.request
        wanted = setting(self.job, self._share.target, request.jobs or process.cores(), None)
        return wanted._replace(cache=self.shared_cache)

    def take_engines(self, other: TargetRunner) -> None:
        """Go on with the engines of a target that has the same."""
        self._requested, self._chooser = other._requested, other._chooser

    def close(self) -> None:
        """End the engines, also while a thread is still busy with them."""
        if self._chooser is not None:
            with suppress(Exception):
                self._chooser.close()

    def judge(self, digests: Mapping[bytes, SourceDigest]) -> None:
        """One target: its rows and diagnostics; what no engine could answer is unproven."""
        target = self._share.target
        chooser = self._choosing()
        if chooser is None:
            self._unproven(no_version(target, self.job.config))
            self._no_engine()
            return
        choice = chooser.choose()
        if target.version is None and choice.ready:
            target = target._replace(version=PythonVersion.parse(choice.ready[0][1].version))
        verdicts = [(ready[1], self._by_engine(target, digests, ready)) for ready in choice.ready]
        if len(verdicts) > 1:
            from buildguard.check.disagreements import find_disagreements

            self.state.diagnostics += find_disagreements([_refusals(*answers) for answers in verdicts], target)
        self.state.notes += [ready.note for _engine, ready in choice.ready if ready.note]
        on_musl = (ready.image for _engine, ready in choice.ready if _is_on_musl(ready))
        self.state.notes += [_MUSL.format(image=image) for image in on_musl]
        if not choice.ready:
            self._no_engine()
        for reason in self._shortcomings(target, choice):
            self._unproven(reason)

    def _choosing(self) -> engines.EngineChooser | None:
        """The engines that may answer; None where the Python is unknown, and no image can show it."""
        if self._chooser is None:
            self._chooser = self._new_chooser()
        return self._chooser

    def _new_chooser(self) -> engines.EngineChooser | None:
        job, target, request = self.job, self._share.target, self.job.request
        self._requested = self._requested_engines()
        order = engines.order_of(job.config)
        if request.image and not _WITH_IMAGES & {*(self._requested or order)}:
            self.state.notes.append("--image is not used: no engine that was asked for looks into images")
        pulls = self._tell if may_pull(request) else None
        engine_setting = setting(job, target, request.jobs or process.cores(), pulls, self._cloud)
        if target.version is None:
            order = tuple(name for name in self._requested or order if name in _WITH_IMAGES)
            if not engine_setting.image or not order or image_reference.implementation(engine_setting.image):
                return None
        elif request.proof is ProofGrade.IMAGE:
            order = tuple(sorted(order, key=lambda name: name is not EngineName.CONTAINER))
        return engines.EngineChooser(self._requested, order, engine_setting)

    def _requested_engines(self) -> tuple[EngineName, ...]:
        request = self.job.request
        return (EngineName.CONTAINER,) if request.image and request.engine == "auto" else engines.parse(request.engine)

    def _tell(self, text: str) -> None:
        with _output_lock:
            self._watcher.tell(text)

    def _progress(self, done: int) -> None:
        with _output_lock:
            self._watcher.update(done, self._total)

    def _unproven(self, reason: str) -> None:
        python = self._share.target.python if self._share.target.version is not None else None
        self.state.unproven.append(Unproven(None, python, reason))

    def _shortcomings(self, target: Target, choice: engines.EngineChoice) -> list[str]:
        """What keeps the verdicts from being the proof that was asked for."""
        grades = (ready.proof for _engine, ready in choice.ready)
        proof = max(grades, key=lambda grade: grade.rank, default=ProofGrade.NONE)
        if self._requested and choice.unavailable:
            return [unavailable.words for unavailable in choice.unavailable]
        if target.version is None:
            return [f"{no_version(target, self.job.config)}; {unavailable.words}" for unavailable in choice.unavailable]
        if not proof.is_enough(self.job.request.proof):
            return [_describe_weak_proof(proof, self.job.request.proof, choice, target)]
        return []

    def _by_engine(
        self, target: Target, digests: Mapping[bytes, SourceDigest], answering: tuple[Engine, ReadyEngine]
    ) -> list[FileVerdict]:
        """One engine's verdicts: reported, and returned for comparison."""
        engine, ready = answering
        judge = self._judge_with(target, engine, ready)
        entries = self._share.entries
        verdicts = judge.run(entries, [digests.get(entry.path, UNREAD) for entry in entries], self._progress)
        self.state.deleted.update(verdict.entry.path for verdict in verdicts if verdict.is_deleted)
        if self.state.deleted:
            verdicts = [verdict for verdict in verdicts if not verdict.is_deleted]
        self._report_verdicts(verdicts, target, ready)
        if not self.job.syntax_only:
            self._judge_imports(target, engine, ready, judge, verdicts)
        if ready.image and not self.job.syntax_only:
            self._judge_image(target, engine, ready)
        diff_base.remember_interpreter(self.job, target, ready)
        return verdicts

    def _judge_with(self, target: Target, engine: Engine, ready: ReadyEngine) -> Judge:
        version = PythonVersion.parse(ready.version) if ready.image else target.version
        assert version is not None
        # a build has just been asked, and its own answers are what counts
        cache = Cache(None) if ready.engine is EngineName.CLOUD else self.job.cache
        return Judge(self.job.place.stage, engine, ready, version.minor, cache)

    def _judge_imports(
        self, target: Target, engine: Engine, ready: ReadyEngine, judge: Judge, verdicts: Sequence[FileVerdict]
    ) -> None:
        """Whether the target satisfies what the sources import."""
        from buildguard.check.import_results import judge_imports

        try:
            results = judge_imports(self.job, target, (engine, ready), judge, verdicts)
        except DamagedFileError:
            return  # BG306 names the file
        except UnprovenError as error:
            self._unproven(error.words)
            return
        if self.state.diagnostics:
            from buildguard.check.template_files import soften_templates

            self.state.diagnostics = [*soften_templates(self.state.diagnostics, results.reached)]
        self.state.diagnostics += results.diagnostics
        self.state.undecided += results.undecided
        self.state.executed.update(results.executed)

    def _report_verdicts(self, verdicts: Sequence[FileVerdict], target: Target, ready: ReadyEngine) -> None:
        for verdict in verdicts:
            if not verdict.findings and not verdict.unproven:
                continue
            from buildguard.check.guessed_context import split_by_context

            path = display_path(verdict.entry.path)
            findings, doubts = split_by_context(verdict.findings, verdict.entry.path, path, target)
            self.state.note(findings, path, target.python, ready.engine)
            self.state.unproven += doubts
            if verdict.unproven:
                self.state.unproven.append(Unproven(path, target.python, verdict.unproven))
        cached = {verdict.entry.path for verdict in verdicts if verdict.cached}
        self.state.cached |= cached
        self.state.rows.append(_row(target, ready, len(verdicts), len(cached)))

    def _judge_image(self, target: Target, engine: Engine, ready: ReadyEngine) -> None:
        """Whether the image is what it is said to be, will be the same tomorrow, and runs what its sources say."""
        from buildguard.check import image_bytecode, image_promise
        from buildguard.docker.image_stage import ImageStage
        from buildguard.engines.container import ContainerEngine

        job, stage = self.job, self.job.place.stage
        if isinstance(stage, ImageStage) and isinstance(engine, ContainerEngine) and engine.known is not None:
            bytecode = image_bytecode.BytecodeCheck(stage, engine, ready, engine.known.greeting, job.cache)
            diagnostics, unproven = image_bytecode.report_bytecode(bytecode.strays(), bytecode, target.python)
            self.state.diagnostics += diagnostics
            self.state.unproven += unproven
        self.state.diagnostics += image_promise.find_broken_promises(target, ready)
        declared = "" if job.request.image else ready.image
        if declared and declared == job.config.image:
            place = f"{job.config.file}:{job.config.image_line}"
            self.state.diagnostics += image_promise.find_unpinned(target._replace(found_in=place), ready, declared)
        elif declared and declared == target.image:
            self.state.diagnostics += image_promise.find_unpinned(target, ready, declared)

    def _no_engine(self) -> None:
        """What needs no engine is reported all the same: the text of every file."""
        from buildguard.check.findings import without_engine
        from buildguard.check.guessed_context import split_by_context

        target, gone = self._share.target, 0
        for entry, content in self.job.place.stage.contents(self._share.entries):
            path = display_path(entry.path)
            if isinstance(content, UnreadableFile):
                if content.is_missing:
                    self.state.deleted.add(entry.path)
                    gone += 1
                else:
                    self.state.unproven.append(Unproven(path, target.python, content.reason))
                continue
            findings, doubts = split_by_context(without_engine(content, target.version), entry.path, path, target)
            self.state.note(findings, path, target.python, "rule")
            self.state.unproven += doubts
        self.state.rows.append(_row(target, None, len(self._share.entries) - gone, 0))


def _refusals(ready: ReadyEngine, verdicts: Iterable[FileVerdict]) -> dict[bytes, EngineVerdict]:
    from buildguard.check.disagreements import EngineVerdict

    return {
        verdict.entry.path: EngineVerdict.of(ready, verdict.findings) for verdict in verdicts if not verdict.unproven
    }


def _is_on_musl(ready: ReadyEngine) -> bool:
    return ready.libc == "musl" or "alpine" in image_reference.parse(ready.image).tag


def _row(target: Target, ready: ReadyEngine | None, files: int, cached: int) -> TargetRow:
    return TargetRow(
        python=target.python,
        found_in=target.found_in,
        engine=ready.engine if ready is not None else None,
        proof=ready.proof if ready is not None else ProofGrade.NONE,
        interpreter=ready.interpreter if ready is not None else None,
        image=(ready.image if ready is not None else "") or target.image,
        image_id=(ready.image_id if ready is not None else "") or None,
        files=files,
        cached=cached,
        service=target.service,
        image_digest=(ready.image_digest if ready is not None else "") or None,
        context=target.context,
        basis=target.basis,
    )


def _describe_weak_proof(proof: ProofGrade, wanted: ProofGrade, choice: engines.EngineChoice, target: Target) -> str:
    """What is missing from a proof, and the line that would make it one."""
    have = "no engine answered" if proof is ProofGrade.NONE else f"{proof} only, and --proof {wanted} is required"
    if choice.unavailable:
        reasons = ", and ".join(unavailable.reason for unavailable in choice.unavailable)
        hints = ", or ".join(unavailable.hint for unavailable in choice.unavailable if unavailable.hint)
        return f"{have}: {reasons}{f'; to prove it: {hints}' if hints else ''}"
    if proof is ProofGrade.PREDICTED:
        minor = target.version.minor_text if target.version is not None else "3"
        return f"{have}; to prove it: --engine interpreter, with --fetch-python if Python {minor} is missing"
    if target.doubt:
        return f"{have}: {target.doubt}; to prove it: build the image, and name it with --image"
    return f"{have}; to prove it: --image with the image that will run"
