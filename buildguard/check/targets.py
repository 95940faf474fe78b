"""Judging the sources of a job for each of its targets, by every engine that answers, side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from buildguard.check import diff_base
from buildguard.check.compile_files import Judge, digests_of
from buildguard.check.context import Job, cache_of, no_version, nothing, setting, share_of
from buildguard.check.filters import Ignore
from buildguard.check.merge import IGNORE, diagnostic_of
from buildguard.check.result import TargetRow
from buildguard.diagnostic import Diagnostic, Finding, Severity, Unproven, Unreadable, shown_path
from buildguard.engines import select as engines
from buildguard.engines.engine import PROOFS, Engine, Ready
from buildguard.project.request import may_pull
from buildguard.project.target import PythonVersion, Target
from buildguard.stages.stage import Entry
from buildguard.system import process, threads
from buildguard.system.cache import Cache

if TYPE_CHECKING:
    from buildguard.check.cloud import Brought, CloudRun
    from buildguard.compare.chain import Chain

_MUSL = (
    "{image} runs on musl, not glibc: wheels for manylinux do not install in it, and its threads have 128 KiB of stack,"
    " so deeply nested code that compiles here can still crash when a thread imports it"
)


_telling = threading.Lock()


class Watcher(Protocol):
    """Who hears of progress."""

    def update(self, done: int, total: int) -> None:
        """So many more verdicts of a total are there."""

    def tell(self, text: str) -> None:
        """What takes its time just now."""


class Share(NamedTuple):
    """A target, and the entries that it runs."""

    target: Target
    entries: Sequence[Entry]


class Verdict(NamedTuple):
    """What one engine says of one file: the finding that refuses it, or None where it accepts it."""

    ready: Ready
    refusal: Finding | None


class Seen:
    """What judging the targets brought; `gone` was listed and is deleted in the worktree: no build has it."""

    def __init__(self) -> None:
        self.rows: list[TargetRow] = []
        self.diagnostics: list[Diagnostic] = []
        self.unproven: list[Unproven] = []
        self.gone: set[bytes] = set()
        self.ignores: list[Ignore] = []
        self.notes: list[str] = []
        self.chain: Chain | None = None
        self.cached: set[bytes] = set()

    def note(self, findings: Iterable[Finding], path: str, python: str, engine: str) -> None:
        """Take the findings in one file for one target; comments that silence something lie among them."""
        for one in findings:
            if one.code == IGNORE:
                self.ignores.append(Ignore.of(path, one))
            else:
                self.diagnostics.append(diagnostic_of(one, path, python, engine))

    def bring(self, brought: Brought) -> None:
        """Take over what a round through Cloud Build brought beside its verdicts."""
        self.chain = brought.chain
        self.diagnostics += brought.diagnostics
        self.unproven += brought.unproven
        self.notes += brought.notes

    def add(self, other: Seen) -> None:
        """Take over what was seen for another target."""
        self.rows += other.rows
        self.diagnostics += other.diagnostics
        self.unproven += other.unproven
        self.gone |= other.gone
        self.ignores += other.ignores
        self.notes += other.notes
        self.cached |= other.cached


def judge_all(job: Job, watcher: Watcher) -> Seen:
    """Judge every source of a job for each target that runs it."""
    seen = Seen()
    if not job.chosen.sources:
        if not job.request.staged:
            seen.unproven.append(Unproven(None, None, nothing(job)))
        return seen
    shares = [Share(target, share_of(target, job)) for target in job.targets]
    uncovered = len(job.chosen.sources) - len({entry.path for share in shares for entry in share.entries})
    if uncovered and not job.request.service:
        seen.unproven.append(Unproven(None, None, f"{uncovered} files belong to no target"))
    if not any(share.entries for share in shares):
        # one service was asked for, and it runs none of these files (or no Python at all)
        reason = f"service '{job.request.service}' runs none of these files" if job.request.service else nothing(job)
        seen.unproven.append(Unproven(None, None, reason))
    _judge_shares(job, shares, watcher, seen)
    return seen


def _judge_shares(job: Job, shares: list[Share], watcher: Watcher, seen: Seen) -> None:
    """Let every target's engines judge, and take over what they bring."""
    total = sum(len(share.entries) for share in shares)
    # side by side each has a connection to the cache of its own
    alone = len(shares) == 1
    cloud = _cloud(job, shares, watcher)
    desks = [
        _Desk(job if alone else job._replace(cache=cache_of(job.request)), share, (watcher, total), cloud)
        for share in shares
    ]
    try:
        _work(job, desks)
    except KeyboardInterrupt:
        if cloud is not None:
            cloud.interrupted()
        raise
    finally:
        for desk in desks:
            desk.close()
            if not alone:
                desk.job.cache.close()
    for desk in desks:
        seen.add(desk.seen)
        seen.notes += [] if alone else desk.job.cache.notes
    if cloud is not None:
        seen.bring(cloud.brought())


def _cloud(job: Job, shares: Sequence[Share], watcher: Watcher) -> CloudRun | None:
    """The one build for all targets, where the cloud engine may be asked at all."""
    if "cloud" not in (engines.parse(job.request.engine) or engines.order_of(job.config.engine)):
        return None
    from buildguard.check.cloud import CloudRun

    def tell(text: str) -> None:
        with _telling:
            watcher.tell(text)

    return CloudRun(job, shares, tell)


def _work(job: Job, desks: list[_Desk]) -> None:
    """Let every desk judge, as many at once as there are cores; the sources are hashed meanwhile, and once for all."""
    together = min(len(desks), max(2, process.cores()))
    for desk in desks[:together]:
        desk.begin()
    # with an empty cache the judge does all the reading itself
    read = [] if job.cache.is_empty() else job.chosen.sources
    digests = {entry.path: digest for entry, digest in zip(read, digests_of(job.place.stage, read), strict=True)}
    if len(desks) == 1:
        desks[0].judge(digests)
    else:
        threads.run([partial(desk.judge, digests) for desk in desks], together)


class _Desk:
    """One target at work: its engines, and what they bring."""

    def __init__(self, job: Job, share: Share, watched: tuple[Watcher, int], cloud: CloudRun | None) -> None:
        """`watched` is who hears of progress, and the number of verdicts that there will be of all desks."""
        self.seen = Seen()
        self.job = job
        self._share = share
        self._watcher, self._total = watched
        self._cloud = cloud
        self._asked: tuple[str, ...] = ()
        self._chooser: engines.Chooser | None = None

    def begin(self) -> None:
        """Let the engine that will be asked first get ready."""
        chooser = self._choosing()
        if chooser is not None:
            chooser.begin()

    def close(self) -> None:
        """End the engines, also while a thread is still busy with them."""
        if self._chooser is not None:
            with suppress(Exception):
                self._chooser.close()

    def judge(self, digests: Mapping[bytes, bytes]) -> None:
        """One target: its rows and diagnostics; what no engine could answer is unproven."""
        target = self._share.target
        chooser = self._choosing()
        if chooser is None:
            self._unproven(no_version(target))
            self._no_engine()
            return
        try:
            choice = chooser.choose()
            if target.version is None and choice.ready:
                target = target._replace(version=PythonVersion.parse(choice.ready[0][1].version))
            verdicts = [self._by_engine(target, digests, one) for one in choice.ready]
        finally:
            chooser.close()
        self.seen.diagnostics += _disagreements(verdicts, target)
        self.seen.notes += [ready.note for _engine, ready in choice.ready if ready.note]
        self.seen.notes += [_MUSL.format(image=one.image) for _engine, one in choice.ready if _is_on_musl(one)]
        if not choice.ready:
            self._no_engine()
        for reason in self._shortcomings(target, choice):
            self._unproven(reason)

    def _choosing(self) -> engines.Chooser | None:
        """Who may answer; None where nothing is known of the Python, and no image could tell."""
        if self._chooser is not None:
            return self._chooser
        job, target, request = self.job, self._share.target, self.job.request
        self._asked = ("container",) if request.image and request.engine == "auto" else engines.parse(request.engine)
        order = engines.order_of(job.config.engine)
        if request.image and not {"container", "cloud"} & {*(self._asked or order)}:
            self.seen.notes.append("--image is not used: no engine that was asked for looks into images")
        pulls = self._tell if may_pull(request) else None
        made = setting(job, target, request.jobs or process.cores(), pulls, self._cloud)
        if target.version is None:
            order = tuple(name for name in self._asked or order if name in {"container", "cloud"})
            if not made.image or not order:
                return None
        elif request.proof == "image":
            order = tuple(sorted(order, key=lambda name: name != "container"))
        self._chooser = engines.Chooser(self._asked, order, made)
        return self._chooser

    def _tell(self, text: str) -> None:
        with _telling:
            self._watcher.tell(text)

    def _progress(self, done: int) -> None:
        with _telling:
            self._watcher.update(done, self._total)

    def _unproven(self, reason: str) -> None:
        python = self._share.target.python if self._share.target.version is not None else None
        self.seen.unproven.append(Unproven(None, python, reason))

    def _shortcomings(self, target: Target, choice: engines.Choice) -> list[str]:
        """What keeps the verdicts from being the proof that was asked for."""
        proof = max((ready.proof for _engine, ready in choice.ready), key=PROOFS.index, default="none")
        if self._asked and choice.unavailable:
            return [one.words for one in choice.unavailable]
        if target.version is None:
            return [f"{no_version(target)}; {one.words}" for one in choice.unavailable]
        if not engines.enough(proof, self.job.request.proof):
            return [_too_little(proof, self.job.request.proof, choice, target)]
        return []

    def _by_engine(
        self, target: Target, digests: Mapping[bytes, bytes], answering: tuple[Engine, Ready]
    ) -> dict[bytes, Verdict]:
        """One engine's verdicts: reported, and returned for comparison."""
        job, (engine, ready) = self.job, answering
        entries = self._share.entries
        runs = PythonVersion.parse(ready.version) if ready.image else target.version
        assert runs is not None
        # a build has just been asked, and it is its own answers that count
        cache = Cache(None) if ready.engine == "cloud" else job.cache
        judge = Judge(job.place.stage, engine, ready, runs.minor, cache)
        judged = judge.run(entries, [digests.get(entry.path, b"") for entry in entries], self._progress)
        self.seen.gone.update(one.entry.path for one in judged if one.gone)
        judged = [one for one in judged if not one.gone]
        for one in [one for one in judged if one.findings or one.unproven]:
            path = shown_path(one.entry.path)
            self.seen.note(one.findings, path, target.python, ready.engine)
            if one.unproven:
                self.seen.unproven.append(Unproven(path, target.python, one.unproven))
        cached = {one.entry.path for one in judged if one.cached}
        self.seen.cached |= cached
        self.seen.rows.append(_row(target, ready, len(judged), len(cached)))
        if ready.image:
            self._judge_image(target, engine, ready)
        diff_base.remember(job, target, ready)
        return {one.entry.path: Verdict(ready, _refusal(one.findings)) for one in judged if not one.unproven}

    def _judge_image(self, target: Target, engine: Engine, ready: Ready) -> None:
        """Whether the image is what it is said to be, will be the same tomorrow, and runs what its sources say."""
        from buildguard.check import image_bytecode, image_promise
        from buildguard.docker.image_stage import InImage
        from buildguard.engines.container import ContainerEngine

        job, stage = self.job, self.job.place.stage
        if isinstance(stage, InImage) and isinstance(engine, ContainerEngine) and engine.known is not None:
            bytecode = image_bytecode.Bytecode(stage, engine, ready, engine.known.greeting, job.cache)
            found, unproven = image_bytecode.reported(bytecode.strays(), bytecode, target.python)
            self.seen.diagnostics += found
            self.seen.unproven += unproven
        self.seen.diagnostics += image_promise.broken(target, ready)
        declared = "" if job.request.image else ready.image
        if declared and declared == job.config.image:
            place = f"{job.config.file}:{job.config.image_line}"
            self.seen.diagnostics += image_promise.unpinned(target._replace(found_in=place), ready, declared)
        elif declared and declared == target.image:
            self.seen.diagnostics += image_promise.unpinned(target, ready, declared)

    def _no_engine(self) -> None:
        """What needs no engine is reported all the same: the text of every file."""
        target, gone = self._share.target, 0
        for entry, content in self.job.place.stage.contents(self._share.entries):
            path = shown_path(entry.path)
            if isinstance(content, Unreadable):
                if content.gone:
                    self.seen.gone.add(entry.path)
                    gone += 1
                else:
                    self.seen.unproven.append(Unproven(path, target.python, content.reason))
                continue
            self.seen.note(_without_engine(content, target), path, target.python, "rule")
        self.seen.rows.append(_row(target, None, len(self._share.entries) - gone, 0))


def _is_on_musl(ready: Ready) -> bool:
    from buildguard.project import image_reference

    return ready.libc == "musl" or "alpine" in image_reference.parse(ready.image).tag


def _row(target: Target, ready: Ready | None, files: int, cached: int) -> TargetRow:
    return TargetRow(
        python=target.python,
        found_in=target.found_in,
        engine=ready.engine if ready is not None else None,
        proof=ready.proof if ready is not None else "none",
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


def _too_little(proof: str, wanted: str, choice: engines.Choice, target: Target) -> str:
    """What is missing from a proof, and the line that would make it one."""
    have = "no engine answered" if proof == "none" else f"{proof} only, and --proof {wanted} is what counts"
    if choice.unavailable:
        reasons = ", and ".join(one.reason for one in choice.unavailable)
        hints = ", or ".join(one.hint for one in choice.unavailable if one.hint)
        return f"{have}: {reasons}{f'; to prove it: {hints}' if hints else ''}"
    if proof == "predicted":
        minor = target.version.minor_text if target.version is not None else "3"
        return f"{have}; to prove it: --engine interpreter, after `uv python install {minor}` where there is none"
    if target.doubt:
        return f"{have}: {target.doubt}; to prove it: build the image, and name it with --image"
    return f"{have}; to prove it: --image with the image that will run"


def _without_engine(content: bytes, target: Target) -> list[Finding]:
    """What can be said of a source that nothing compiles."""
    from buildguard.check import text_rules
    from buildguard.check.suppressions import ignores
    from buildguard.fstrings import rules
    from buildguard.fstrings.prefilter import may_be_refused

    found = [*text_rules.findings(content), *ignores(content)]
    if target.version is not None and may_be_refused(content):
        found += rules.findings(content, target.version.minor)
    return found


# ------------------------------------------------------------------------------------------ disagreement


def _refusal(findings: Iterable[Finding]) -> Finding | None:
    return next((one for one in findings if one.code in {"BG101", "BG103"}), None)


def _disagreements(by_engine: Sequence[Mapping[bytes, Verdict]], target: Target) -> list[Diagnostic]:
    """BG104: files that one engine accepts and another refuses."""
    found = []
    for path in sorted({path for verdicts in by_engine for path in verdicts}):
        verdicts = [one[path] for one in by_engine if path in one]
        refusing = [one for one in verdicts if one.refusal is not None]
        accepting = [one for one in verdicts if one.refusal is None]
        if refusing and accepting:
            found.append(_disagreement(shown_path(path), target.python, refusing[0], accepting[0]))
    return found


def _disagreement(path: str, python: str, refusing: Verdict, accepting: Verdict) -> Diagnostic:
    refusal = refusing.refusal
    assert refusal is not None
    both = (refusing.ready, accepting.ready)
    message = (
        f"engines disagree on the same bytes: {_who(accepting.ready)} accepts this file,"
        f" {_who(refusing.ready)} refuses it: {refusal.message}"
    )
    if "predicted" in {one.proof for one in both}:
        hint = "a prediction is no proof: the one that compiled is right"
    elif refusing.ready.version != accepting.ready.version:
        hint = f"{both[0].version} and {both[1].version} are not the same Python: what the image runs is what counts"
    else:
        hint = "one of them is not built as its version says: what the image runs is what counts"
    return Diagnostic(
        "BG104",
        Severity.ERROR,
        path,
        refusal.range,
        message,
        hint,
        python,
        ",".join(sorted(one.engine for one in both)),
        refusal.excerpt,
    )


def _who(ready: Ready) -> str:
    return f"{ready.interpreter}{f' in {ready.image}' if ready.image else ''} ({ready.engine})"
