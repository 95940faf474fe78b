"""`buildguard fix`: each f-string that the target refuses, rewritten, proven, and only then written."""

from __future__ import annotations

import difflib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from buildguard.check import verify_fix
from buildguard.check.context import Job, no_version, nothing_checked, prepare, setting, share_of
from buildguard.check.filters import apply_ignores
from buildguard.check.silent_watcher import SilentWatcher
from buildguard.check.targets import CheckState, TargetShare, judge_shares
from buildguard.check.write_back import link_again, other_names, replace
from buildguard.codes import RULE_ERRORS
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import Range, Severity, Unproven, UnreadableFile, display_path
from buildguard.engines import select as engines
from buildguard.engines.engine import ReadyEngine
from buildguard.errors import UnprovenError, UsageError
from buildguard.fstrings import rules
from buildguard.fstrings.planner_process import FixPlan, FixRequest, plan_fixes
from buildguard.fstrings.prefilter import may_be_refused
from buildguard.locate import WorkScope
from buildguard.project import source_text
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.request import CheckRequest
from buildguard.project.target import PythonVersion, Target
from buildguard.remote.source_encoding import coding_of
from buildguard.stages.filesystem import DiskStage, read_file
from buildguard.stages.stage import Entry
from buildguard.system import git, process


class UnfixedFString(NamedTuple):
    """An f-string that stays as it is, and why; `span` is None where it is the whole file."""

    span: Range | None
    reason: str


class FixedFile(NamedTuple):
    """One file with something to repair: its bytes before and after, what was repaired, what was not, and a note on its other names."""

    path: str
    before: bytes
    after: bytes
    fixed: tuple[Range, ...]
    unfixed: tuple[UnfixedFString, ...]
    proven: bool = True
    written: bool = False
    note: str = ""


class FixReport(NamedTuple):
    """The whole result; `proofs` says who compiled and who compared, `seconds` is wall time."""

    files: tuple[FixedFile, ...]
    unproven: tuple[Unproven, ...]
    notes: tuple[str, ...]
    proofs: tuple[str, ...]
    looked_at: int
    seconds: float

    @property
    def exit_code(self) -> int:
        """1 for anything that still has to be repaired, else 3 for anything unproven, else 0."""
        if any(file.unfixed or (file.fixed and file.proven and not file.written) for file in self.files):
            return 1
        return 3 if self.unproven else 0


class _FixCandidate(NamedTuple):
    """A source with refused f-strings, the targets that refuse them, and the repairs that were planned."""

    entry: Entry
    data: bytes
    text: str
    targets: tuple[Target, ...]
    minor: int
    only: tuple[Range, ...]
    operation: FixPlan = FixPlan()
    after: bytes = b""
    unfixed: tuple[UnfixedFString, ...] = ()
    proven: bool = True

    @property
    def fixed(self) -> tuple[Range, ...]:
        return tuple(repair.within for repair in self.operation.repairs if repair.edits) if self.after else ()

    def refused(self, reason: str) -> _FixCandidate:
        """The same, left as it is for one reason."""
        return self._replace(after=b"", unfixed=(*self.unfixed, UnfixedFString(None, reason)))


def fix(request: CheckRequest, place: WorkScope, *, write: bool) -> FixReport:
    """Repair the sources of a place for their targets; with `write`, on disk.

    Raises UsageError for a request that makes no sense, UnprovenError where nothing could be looked at at all.
    """
    started = time.monotonic()
    if not isinstance(place.stage, DiskStage):
        raise UsageError("fix works on files, not on a stage of git", hint="check it out, and fix it there")
    if request.staged and not place.paths:
        place = place._replace(paths=_staged_files(place))
        if not place.paths:
            return FixReport((), (), (), (), 0, 0.0)
    job = prepare(request, place)
    try:
        return _fix(job, started, write=write)
    finally:
        job.cache.close()


def _staged_files(place: WorkScope) -> tuple[bytes, ...]:
    """The paths of the working tree that are staged; raises UsageError outside of a repository."""
    if place.repository is None:
        raise git.missing_repository("--staged needs a git repository")
    return tuple(place.repository.staged_paths())


def _fix(job: Job, started: float, *, write: bool) -> FixReport:
    stage = job.place.stage
    assert isinstance(stage, DiskStage)
    unproven: list[Unproven] = []
    cases = [_plan_case(case) for case in _with_fix_plans(_cases(job, unproven))]
    proofs: list[str] = []
    cases = _compile_cases(job, cases, unproven, proofs)
    cases = _compare_meaning(job, cases, unproven, proofs)
    entries = stage.entries() if write and cases else []
    files = [_finish_case(stage, case, entries, write=write) for case in cases]
    return FixReport(
        tuple(file for file in files if file.fixed or file.unfixed),
        tuple(dict.fromkeys(unproven)),
        tuple(dict.fromkeys(job.notes)),
        tuple(dict.fromkeys(proofs)),
        len(job.chosen.sources),
        round(time.monotonic() - started, 3),
    )


# ------------------------------------------------------------------------------------------ finding


def _cases(job: Job, unproven: list[Unproven]) -> list[_FixCandidate]:
    """The sources in which some target rejects an f-string that no comment ignores."""
    if not job.chosen.sources:
        if not job.request.staged:
            unproven.append(Unproven(None, None, nothing_checked(job)))
        return []
    covering = _targets_by_source(job, unproven)
    entries = [entry for entry in job.chosen.sources if entry.path in covering and not _is_fixed_elsewhere(job, entry)]
    findings = _check_syntax(job, entries, covering)
    unproven += _unproven_of(job, entries, findings)
    errors = {diagnostic.path for diagnostic in findings.diagnostics if diagnostic.severity is Severity.ERROR}
    wanted = [entry for entry in entries if display_path(entry.path) in errors]
    refused = _refused_f_strings(job, findings)
    return [
        _case(read, covering[read.entry.path], refused[read.path])
        for read in _read(job, wanted, unproven)
        if read.path in refused
    ]


def _unproven_of(job: Job, entries: Sequence[Entry], findings: CheckState) -> Iterator[Unproven]:
    """Why f-strings in some sources are unknown: each file once, whichever target runs it."""
    yield from (item._replace(target=None) if item.path else item for item in findings.unproven)
    if entries and findings.deleted >= {entry.path for entry in entries}:
        yield Unproven(None, None, nothing_checked(job))


class _ReadSource(NamedTuple):
    """A source as it is stored, and decoded."""

    entry: Entry
    data: bytes
    text: str

    @property
    def path(self) -> str:
        return display_path(self.entry.path)


def _read(job: Job, entries: Sequence[Entry], unproven: list[Unproven]) -> Iterator[_ReadSource]:
    """Those of some sources that can be decoded; of the others, it is unproven what f-strings they hold."""
    for entry, content in job.place.stage.contents(entries):
        if isinstance(content, UnreadableFile):
            unproven.append(Unproven(display_path(entry.path), None, content.reason))
        elif (text := source_text.decode_source(content)) is not None:
            yield _ReadSource(entry, content, text)
        elif may_be_refused(content):
            reason = "its bytes cannot be decoded, so no f-string in it was looked at: `buildguard check` says more"
            unproven.append(Unproven(display_path(entry.path), None, reason))


def _refused_f_strings(job: Job, findings: CheckState) -> dict[str | None, set[Range]]:
    """By path the f-strings that a target refuses, less what comments and the configuration silence."""
    kept, _idle = apply_ignores(findings.diagnostics, findings.ignores)
    refused: dict[str | None, set[Range]] = {}
    for diagnostic in job.filters.keep(kept):
        if diagnostic.code in RULE_ERRORS and diagnostic.within is not None:
            refused.setdefault(diagnostic.path, set()).add(diagnostic.within)
    return refused


def _check_syntax(job: Job, entries: Sequence[Entry], covering: Mapping[bytes, Sequence[Target]]) -> CheckState:
    """What `check` finds in some sources for the declared Python of each target; nothing is pulled for it."""
    shares: dict[Target, list[Entry]] = {}
    for entry in entries:
        for target in covering[entry.path]:
            # whether the target runs the file, and in which image, is no matter of the repair
            shares.setdefault(target._replace(reach=None, image=None), []).append(entry)
    job = job._replace(
        request=job.request._replace(proof=ProofGrade.PREDICTED),
        config=job.config._replace(image=""),
        syntax_only=True,
    )
    state = CheckState()
    judge_shares(job, [TargetShare(*share) for share in shares.items()], SilentWatcher(), state)
    return state


def _is_fixed_elsewhere(job: Job, entry: Entry) -> bool:
    """Whether an entry is a link to another of the sources, or lies behind one: that one is fixed."""
    stage = job.place.stage
    assert isinstance(stage, DiskStage)
    if stage.reachable(entry):
        return False
    base = os.fsencode(stage.root) + b"/"
    real = os.path.realpath(base + entry.path)
    return real.startswith(base) and any(source.path == real[len(base) :] for source in job.chosen.sources)


def _targets_by_source(job: Job, unproven: list[Unproven]) -> dict[bytes, list[Target]]:
    """For each source the targets that run it, as far as their version is known."""
    covering: dict[bytes, list[Target]] = {}
    for target in job.targets:
        if target.version is None:
            unproven.append(Unproven(None, None, no_version(target, job.config)))
            continue
        for entry in share_of(target, job):
            covering.setdefault(entry.path, []).append(target)
    left_out = len(job.chosen.sources) - len(covering)
    if left_out and not job.request.service and not unproven:
        unproven.append(Unproven(None, None, f"{left_out} files belong to no target"))
    return covering


def _case(source: _ReadSource, targets: Sequence[Target], only: Iterable[Range]) -> _FixCandidate:
    """One source with the f-strings to repair, for the oldest target that runs it."""
    minor = min(target.version.minor for target in targets if target.version is not None)
    return _FixCandidate(*source, tuple(targets), minor, tuple(sorted(only)))


def _with_fix_plans(cases: list[_FixCandidate]) -> Iterable[_FixCandidate]:
    patients = [FixRequest(case.text, case.minor, case.only) for case in cases]
    for case, operation in zip(cases, plan_fixes(patients) if cases else (), strict=True):
        yield case._replace(operation=operation)


def _plan_case(case: _FixCandidate) -> _FixCandidate:
    """Turn the planned text into bytes; what cannot be repaired is left, with its reason."""
    operation = case.operation
    if operation.lost:
        return case.refused(operation.lost)
    if {repair.within for repair in operation.repairs} != set(case.only):
        return case.refused("the plan is not about the f-strings that were found: please report it")
    left = tuple(UnfixedFString(repair.within, repair.reason) for repair in operation.repairs if not repair.edits)
    case = case._replace(unfixed=left)
    if operation.after == case.text:
        return case
    after = source_text.encode_source(operation.after, case.data)
    if after is None or coding_of(after) != coding_of(case.data):
        return case.refused("the result cannot be written in the encoding of the file")
    return case._replace(after=after)


# ------------------------------------------------------------------------------------------ proving


def _compile_cases(
    job: Job, cases: list[_FixCandidate], unproven: list[Unproven], proofs: list[str]
) -> list[_FixCandidate]:
    """Each target compiles the repaired files; the f-strings that are left are taken out for that."""
    for target in job.targets:
        numbers = [at for at, case in enumerate(cases) if case.after and target in case.targets]
        if not numbers or target.version is None:
            continue
        try:
            compiled = _compile_for(job, target, [cases[at] for at in numbers], proofs)
        except UnprovenError as error:
            unproven.append(Unproven(None, target.python, error.words))
            cases = _mark_unproven(cases, numbers)
        else:
            for at, case in zip(numbers, compiled, strict=True):
                cases[at] = case
    return cases


def _compile_for(job: Job, target: Target, cases: list[_FixCandidate], proofs: list[str]) -> list[_FixCandidate]:
    """The same cases, those refused that a target rejects; raises UnprovenError where nothing compiles for it."""
    assert target.version is not None
    engine_setting = setting(job, target, process.cores(), None)
    chooser = engines.EngineChooser((), engines.order_of(job.config), engine_setting)
    try:
        choice = chooser.choose()
        pair = next(((engine, ready) for engine, ready in choice.ready if _compiles(ready, target.version)), None)
        if pair is None:
            reason = "; ".join(unavailable.words for unavailable in choice.unavailable[:1])
            raise UnprovenError(f"nothing here compiles for the target: {reason}")
        engine, ready = pair
        proofs.append(f"compiled by {ready.interpreter}")
        masked = [_without_what_is_left(case, target.version.minor) for case in cases]
        rejections = list(verify_fix.list_rejections(engine, masked))
    finally:
        chooser.close()
    prefix = f"Python {target.python} rejects what else is in the file"
    return [
        case.refused(f"{prefix}: {_in_lines_before(rejection, case)}") if rejection else case
        for case, rejection in zip(cases, rejections, strict=True)
    ]


def _in_lines_before(message: str, case: _FixCandidate) -> str:
    """A message on a repaired text with the line numbers of the user's file."""
    before, after = case.text.split("\n"), case.operation.after.split("\n")
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes() if before != after else []

    def line_before(match: re.Match[str]) -> str:
        line = int(match[2]) - 1
        for _kind, start, end, new_start, new_end in blocks:
            if new_start <= line < new_end:
                line = min(start + line - new_start, max(start, end - 1))
                break
        return f"{match[1]}{line + 1}"

    return re.sub(r"\b(line )(\d+)", line_before, message)


def _compiles(ready: ReadyEngine, version: PythonVersion) -> bool:
    """Whether an engine compiles, and as the target does: an image may run another Python than it is said to."""
    runs = PythonVersion.parse(ready.version)
    return ready.proof.is_enough(ProofGrade.COMPILED) and runs is not None and runs.minor == version.minor


def _mark_unproven(cases: list[_FixCandidate], numbers: list[int]) -> list[_FixCandidate]:
    """Some of the cases lack a proof: they are shown, and not written."""
    return [case._replace(proven=False) if at in numbers else case for at, case in enumerate(cases)]


def _without_what_is_left(case: _FixCandidate, minor: int) -> bytes:
    after = source_text.decode_source(case.after) or ""
    return source_text.encode_source(rules.mask_fstrings(after, minor), case.after) or case.after


def _compare_meaning(
    job: Job, cases: list[_FixCandidate], unproven: list[Unproven], proofs: list[str]
) -> list[_FixCandidate]:
    """What came out means what went in."""
    numbers = [at for at, case in enumerate(cases) if case.after]
    if not numbers:
        return cases
    questions = [
        verify_fix.SourcePair(cases[at].text, cases[at].operation.after, cases[at].operation.names) for at in numbers
    ]
    try:
        answer = verify_fix.compare_meaning(questions, job.place.root)
    except UnprovenError as error:
        unproven.append(Unproven(None, None, error.words))
        return _mark_unproven(cases, numbers)
    proofs.append(f"meaning compared by {answer.interpreter}")
    for at, doubt in zip(numbers, answer.doubts, strict=True):
        if doubt:
            reason = _in_lines_before(doubt, cases[at]) if "after the fix" in doubt else doubt
            cases[at] = cases[at].refused(f"not proven to mean the same: {reason}")
    return cases


# ------------------------------------------------------------------------------------------ writing


def _finish_case(stage: DiskStage, case: _FixCandidate, entries: Sequence[Entry], *, write: bool) -> FixedFile:
    mended = FixedFile(display_path(case.entry.path), case.data, case.after, case.fixed, case.unfixed, case.proven)
    if not case.after or not case.proven or not write:
        return mended
    refused, note = _write(stage, case, entries)
    if refused:
        return mended._replace(after=b"", fixed=(), unfixed=(*case.unfixed, UnfixedFString(None, refused)))
    return mended._replace(written=True, note=note)


def _write(stage: DiskStage, case: _FixCandidate, entries: Sequence[Entry]) -> tuple[str, str]:
    """Write a repaired file under all its names: why not, and a note on names that keep the old content."""
    twins, elsewhere = other_names(stage, case.entry, entries)
    if twins and _is_written(stage, case):
        return "", ""  # by another name of the same file
    refused = replace(stage, case.entry, case.data, case.after)
    if refused:
        return refused, ""
    note = link_again(stage, case.entry, twins)
    if elsewhere and not note:
        names = "1 hard link" if elsewhere == 1 else f"{elsewhere} hard links"
        note = f"{names} outside of the project still {'has' if elsewhere == 1 else 'have'} its old content"
    return "", note


def _is_written(stage: DiskStage, case: _FixCandidate) -> bool:
    return read_file(os.fsencode(stage.root) + b"/" + case.entry.path) == case.after
