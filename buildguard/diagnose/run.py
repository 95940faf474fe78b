"""`buildguard diagnose`: from a log, and the commit that was deployed, to the cause.

What is judged is what was deployed: an image's files if one was examined, else the commit. Local edits are a note.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from buildguard.check.context import Job
from buildguard.check.result import CheckReport
from buildguard.check.run import build_report
from buildguard.check.silent_watcher import SilentWatcher
from buildguard.check.targets import judge_all
from buildguard.codes import Code
from buildguard.compare.chain import Chain
from buildguard.definitions import NamedTuple
from buildguard.diagnose import health, hypotheses, known_messages, log_parser
from buildguard.diagnose.collect import collect_evidence
from buildguard.diagnose.deployed import Declared, deployed, job_of
from buildguard.diagnose.deployed_files import DeployedFiles
from buildguard.diagnose.evidence import HEAD, DiagnoseOptions, Evidence
from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.diagnose.import_findings import every_finding, import_findings
from buildguard.diagnose.incident import ImportFinding, IncidentEvidence, MessagePlace, SourceLocation, TargetRefusal
from buildguard.diagnose.known_messages import KnownMessageMatch
from buildguard.diagnose.locate_failure import FailureLocator
from buildguard.diagnose.log_parser import Log
from buildguard.diagnose.message_places import message_places
from buildguard.diagnose.missing_programs import named, program_places
from buildguard.diagnose.newest_python import REFUSED, NewestPython
from buildguard.diagnose.redact import redact, redact_diagnosis
from buildguard.diagnose.startup_places import StartMessages, startup_places
from buildguard.diagnose.survived import survived_lines
from buildguard.diagnostic import Diagnostic, Range, Severity, Unproven, display_path, name_some
from buildguard.errors import GuardError, UnprovenError
from buildguard.project.attempts import DeployHistory
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.sources import decides_target
from buildguard.project.target import NEWEST, PythonVersion
from buildguard.stages.git_objects import GitStage
from buildguard.stages.reading_once import reading_once
from buildguard.stages.worktree_changes import edited_paths

_MISREAD = frozenset({"BG102", "BG106", "BG107"})
_REFUSALS = REFUSED | _MISREAD
_FROZEN = "<"
_PROOF = frozenset({"compiled", "image"})
_MOST_FAILURES = 300  # the last ones of a log lead
_BARE_LEVELS = frozenset({"", "ERROR", "FATAL", "FAILED", "CRITICAL"})  # what a tool prints before or after its report
_LONGEST_QUOTE, _NEIGHBOURS = 500, 2
_MOST_EXCERPTS, _AROUND, _WIDEST = 20, 2, 400
_NO_OPTIONS = DiagnoseOptions()


Subject = tuple[tuple[str, str], ...]  # a name ("service", "revision", "commit", …) and what it is


class DiagnosisReport(NamedTuple):
    """A diagnosis with what it was made from: the sources as they were judged, the chains, and the lines that matter.

    `lines` are those of the repository's files around each finding: path, first line, texts; `attempts` are of the ledger,
    `reports` of the images that were looked at; `subject` names what was diagnosed.
    """

    diagnosis: Diagnosis
    report: CheckReport
    chains: tuple[Chain, ...]
    lines: tuple[SourceExcerpt, ...]
    attempts: DeployHistory | None
    reports: tuple[CheckReport, ...] = ()
    subject: Subject = ()


class SourceExcerpt(NamedTuple):
    """Some lines of a file around one that is refused; `first` is the number of the first of them, `line` of that one.

    `ranges` are what is refused in that file.
    """

    path: str
    first: int
    line: int
    texts: tuple[str, ...]
    ranges: tuple[Range, ...]


def diagnose(
    cwd: Path,
    log: bytes | None,
    asked: DiagnoseOptions = _NO_OPTIONS,
    *,
    source: str = "",
) -> Diagnosis:
    """The cause of what a log shows, or of what the commit alone lets expect if there is no log.

    `source` is what was deployed, as a stage: a commit, or "dir:." for the files on disk. Without it, what is examined
    decides, and else HEAD. Raises UsageError where the configuration is wrong.
    """
    return examine(cwd, log, asked, source=source).diagnosis


def examine(cwd: Path, log: bytes | None, asked: DiagnoseOptions, *, source: str = "") -> DiagnosisReport:
    """The same, with everything that a page shows."""
    attempts = _attempts(cwd)
    evidence = collect_evidence(cwd, asked, SilentWatcher(), attempts, has_log=log is not None)
    whole = log if log is not None else evidence.log or None
    read = log_parser.read(whole or b"")
    base = deployed(cwd, source, evidence.commit)
    with reading_once(base.place.stage):
        job, declared = job_of(cwd, read, base)
        try:
            bench = _DiagnosisBuilder(job, read, evidence, log)
            diagnosis = bench.diagnosis(declared)
            return DiagnosisReport(
                diagnosis,
                bench.report,
                evidence.chains,
                tuple(bench.excerpts(diagnosis)),
                attempts,
                evidence.reports,
                tuple(_subject(job, asked, evidence)),
            )
        finally:
            job.cache.close()


def _subject(job: Job, asked: DiagnoseOptions, evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What was diagnosed; what is unknown is left out."""
    repository = job.place.repository
    commit = evidence.commit if evidence.commit not in {"", HEAD} else repository.head if repository is not None else ""
    named = (
        (
            "service",
            "" if asked.job else job.config.deploy.service or asked.revision.rpartition("-")[0].rpartition("-")[0],
        ),
        ("job", asked.job),
        ("revision", asked.revision),
        ("build", asked.build),
        ("image", asked.image or evidence.image),
        ("commit", commit),
        ("repository", str(job.place.root.name)),
    )
    yield from ((name, value) for name, value in named if value)


def _attempts(cwd: Path) -> DeployHistory | None:
    """What this machine's ledger says; nothing is asked elsewhere for it."""
    from buildguard.project.attempts import local_history

    try:
        return local_history(cwd)
    except GuardError:
        return None


class _DiagnosisBuilder:
    """What is at hand for one diagnosis: the repository, judged, and the log."""

    def __init__(self, job: Job, log: Log, reached: Evidence, given: bytes | None) -> None:
        """`given` is the log that a person gave, if any; `log` may be that of a build instead."""
        self._job = job
        self._reached = reached
        self.report = CheckReport(".", (), (), (), (), 0, 0.0)
        self._where = job.place
        self._log = log
        self._given = given
        # those that the Python of the image compiled: that is what was deployed
        self._images = [
            one
            for one in reached.reports
            if any(row.proof == ProofGrade.IMAGE and row.interpreter for row in one.targets)
        ]
        self._refused_in_image = {
            one.path for image in self._images for one in image.diagnostics if one.code in _REFUSALS
        }
        self._files = DeployedFiles(job)
        self._proofs = list(health.proofs_of(log.lines, log.contexts))
        self._proof = None if log.cut else health.last_proof(log.lines, self._proofs, log.contexts)

    def diagnosis(self, declared: Declared) -> Diagnosis:
        """The whole of it."""
        report = self.report = self._report(declared)
        newer = NewestPython(self._job)
        refused = self._refused(report, newer)
        locator = FailureLocator(self._job, self._files)
        met = tuple(named(known_messages.match_messages(self._log.lines, self._log.suspicious)))
        quote, neighbours = self._quote(met)
        survived = survived_lines(self._log, met, self._proofs)
        counted = tuple(match for match in met if match.line not in survived)
        exceptions = [one for one in self._log.failures if one.line not in survived][-_MOST_FAILURES:]
        places = self._places(counted, exceptions)
        looked, proof = _judged_by(self._images[-1] if self._images else report)
        failures = tuple(locator.locate(one, refused) for one in exceptions)
        found = hypotheses.diagnose(
            IncidentEvidence(
                failures=failures,
                known_messages=counted,
                pythons=tuple(self._log.pythons),
                has_log=self._given is not None or bool(self._log.lines and self._reached.log),
                quote=quote,
                neighbours=neighbours,
                message_places=places,
                is_python_2=self._log.is_python_2,
                service=self._job.config.deploy.service,
                target=declared.python,
                found_in=declared.found_in,
                examined=looked,
                proof=proof,
                refused=tuple(refused),
                newer=tuple(_contradictions(report)),
                misread=tuple(self._misread(report)),
                missing=tuple(self._files.missing_modules(counted)),
                unproven=tuple(self._unproven(report)),
                verdicts=self._reached.verdicts,
                unexamined=self._reached.unexamined,
                compared=self._reached.compared,
                interpreters=self._reached.interpreters,
                build_failure=self._reached.failure,
                unread=self._reached.unread,
                alive=self._alive(),
                calm=self._reached.healthy,
                accepted=self._accepted(report),
                compiler=", ".join(dict.fromkeys(row.interpreter for row in report.targets if row.interpreter)),
                import_findings=tuple(import_findings(failures, self._findings(report))),
                broken_imports=self._broken_imports(report),
                starts=self._starts(),
                recovered=self._proof is not None and self._proof.line > max(self._error_lines(met), default=0),
            )
        )
        return redact_diagnosis(
            found._replace(notes=tuple(note for note in self._notes(report) if note != found.sentence))
        )

    def _misread(self, report: CheckReport) -> Iterator[TargetRefusal]:
        """The deployed files that the target's Python does not read as they are meant."""
        for item in report.diagnostics:
            if item.code in _MISREAD and item.severity is Severity.ERROR and self._is_deployed(item):
                yield _refusal(item, None)

    def _quote(self, met: Sequence[KnownMessageMatch]) -> tuple[str, tuple[str, ...]]:
        """The last line that looks like an error, before those that only report that something failed; with neighbours."""
        lines = self._error_lines(met)
        last = max({*lines} - self._consequences(met, lines) or {*lines}, default=0)
        if not last:
            return "", ()
        around = self._log.lines[max(0, last - 1 - _NEIGHBOURS) : last + _NEIGHBOURS]
        return lines[last][:_LONGEST_QUOTE], tuple(line.strip()[:_LONGEST_QUOTE] for line in around if line.strip())

    def _error_lines(self, met: Sequence[KnownMessageMatch]) -> dict[int, str]:
        """The lines that look like an error, by number."""
        numbers = {*(one.line for one in self._log.failures), *(one.line for one in met)}
        return dict(self._log.errors) | {number: self._log.lines[number - 1].strip() for number in numbers if number}

    def _consequences(self, met: Sequence[KnownMessageMatch], lines: Mapping[int, str]) -> set[int]:
        """Those of some lines that only report that something failed."""
        numbers = {one.line for one in met if not one.message.cause}
        numbers |= {
            one.line for one in self._log.failures if one.type.rpartition(".")[2] in known_messages.CONSEQUENCES
        }
        return numbers | {number for number, line in lines.items() if line.strip(" :!-").upper() in _BARE_LEVELS}

    def _alive(self) -> str:
        """What proves that something runs or was built; of a log that a person gave, only a line of its own."""
        if self._proof is not None:
            return f"the log reports: {self._proof.text[:_LONGEST_QUOTE]}"
        return ", and ".join(self._reached.healthy) if self._given is None else ""

    def _starts(self) -> bool:
        """Whether that is more than a build: a green build is no evidence of a start."""
        if self._proof is not None:
            return self._proof.kind != health.BUILD
        return self._given is None and self._reached.starts

    def _accepted(self, report: CheckReport) -> frozenset[str]:
        """The sources that every target's Python compiled without an error, in this run; a prediction does not count."""
        judged = report.targets and all(row.proof in _PROOF and not row.cached for row in report.targets)
        if not judged or any(one.path is None for one in report.unproven):
            return frozenset()
        others = {one.path for one in report.unproven}
        others |= {one.path for one in report.diagnostics if one.code in _REFUSALS}
        return frozenset(self._files.sources - others)

    def _unproven(self, report: CheckReport) -> Iterator[str]:
        """Why not every source that was deployed is known to compile."""
        for one in (unproven for each in self._images or [report] for unproven in each.unproven):
            yield f"{one.path}: {one.reason}" if one.path else one.reason
        for image in self._images:
            assert image.image is not None
            others = {*image.image.changed, *image.image.generated}
            for path in image.rejected_files:
                if path in others:
                    yield f"{image.image.reference} refuses {path}, which is not as in the commit"

    def _findings(self, report: CheckReport) -> list[Diagnostic]:
        """What was found, each once: in the images that were looked at, else in the commit."""
        reports = [*self._images, report]
        found = {(one.path, one.range.line, one.code): one for each in reports[::-1] for one in each.diagnostics}
        return list(found.values())

    def _places(
        self, matches: Sequence[KnownMessageMatch], exceptions: Sequence[log_parser.Failure]
    ) -> tuple[MessagePlace, ...]:
        """Where known messages come from, by the first that explains each."""
        places = [*message_places(self._files, matches, self._log.lines)]
        places += startup_places(self._job, StartMessages(matches, exceptions), {place.line for place in places})
        places += program_places(self._files, matches, {place.line for place in places})
        return tuple(places)

    def _broken_imports(self, report: CheckReport) -> tuple[ImportFinding, ...]:
        """What was found in the imports of what was deployed."""
        reports = self._images or [report]
        return tuple(every_finding(one for each in reports for one in each.diagnostics))

    def _is_deployed(self, one: Diagnostic) -> bool:
        """Whether the Python of the image refuses that file as well, if it was asked."""
        return not self._images or one.path in self._refused_in_image

    def _notes(self, report: CheckReport) -> Iterator[str]:
        """What is no evidence and explains a difference: edits that were not deployed, files that an image does not have."""
        yield from dict.fromkeys(self._reached.unread)
        refused = [one for one in report.diagnostics if one.code in REFUSED and not self._is_deployed(one)]
        if refused:
            paths = sorted({one.path or "" for one in refused})
            yield f"refused in the commit, and missing from the image or compiled there: {name_some(paths)}"
        repository = self._where.repository
        if repository is None or not isinstance(self._where.stage, GitStage):
            return
        try:
            changed = sorted({*edited_paths(repository), *repository.untracked()})
            edited = [path for path in changed if path.endswith(b".py") or decides_target(path)]
        except UnprovenError:
            return
        if edited:
            yield f"not examined, because it was not deployed: uncommitted changes in {name_some(list(map(display_path, edited)))}"

    def excerpts(self, diagnosis: Diagnosis) -> Iterator[SourceExcerpt]:
        """The lines around each place of a diagnosis."""
        for place in (*diagnosis.place, *diagnosis.next)[:_MOST_EXCERPTS]:
            if place.line is not None and place.path in self._files.entries:
                lines = self._files.lines(place.path)
                first = max(1, place.line - _AROUND)
                texts = tuple(redact(text[:_WIDEST]) for text in lines[first - 1 : place.line + _AROUND])
                refused = (
                    diagnostic
                    for diagnostic in self.report.diagnostics
                    if diagnostic.path == place.path and diagnostic.code in REFUSED
                )
                yield SourceExcerpt(
                    place.path, first, place.line, texts, tuple(diagnostic.range for diagnostic in refused)
                )

    def _report(self, declared: Declared) -> CheckReport:
        if declared.why_unknown:
            return CheckReport(".", (), (), (Unproven(None, None, declared.why_unknown),), (), 0, 0.0)
        return build_report(self._job, judge_all(self._job, SilentWatcher()), time.monotonic())

    # -------------------------------------------------------------------------------------- what is refused

    def _refused(self, report: CheckReport, newer: NewestPython) -> list[TargetRefusal]:
        here = [
            diagnostic for diagnostic in report.diagnostics if _is_refusal(diagnostic) and self._is_deployed(diagnostic)
        ]
        sources = {row.python: row.found_in for row in report.targets}
        # where several are declared, each names the file that declares it
        declared = sources if len(sources) > 1 else {}
        refusals = [(diagnostic, declared.get(diagnostic.target or "", "")) for diagnostic in here]
        refusals += self._refused_elsewhere({diagnostic.path or "" for diagnostic in here})
        accepted = self._accepted_by_newer([diagnostic for diagnostic, _reported_by in refusals], newer)
        return [
            _refusal(diagnostic, accepted.get(diagnostic.path or ""))._replace(reported_by=reported_by)
            for diagnostic, reported_by in refusals
        ]

    def _accepted_by_newer(self, refusals: Sequence[Diagnostic], newer: NewestPython) -> Mapping[str, str]:
        """The Python that accepts each file which is refused, as far as one of this machine does."""
        paths = sorted({diagnostic.path or "" for diagnostic in refusals})
        return newer.accepts({path: self._files.content(path) for path in paths}, _oldest_minor(refusals))

    def _refused_elsewhere(self, known: set[str]) -> Iterator[tuple[Diagnostic, str]]:
        """What the Python of an image refuses of the sources that are there as they are here, and whose image it is."""
        for report in self._reached.reports:
            inside = report.image
            assert inside is not None
            others = {*inside.changed, *inside.generated, *known}
            # the Python that ran there, which need not be the one that was promised
            ran = next((row.interpreter for row in report.targets if row.interpreter), "").rpartition(" ")[2]
            for diagnostic in report.diagnostics:
                if _is_refusal(diagnostic) and diagnostic.path not in others:
                    yield diagnostic._replace(target=ran or diagnostic.target), inside.reference


def _is_refusal(diagnostic: Diagnostic) -> bool:
    return diagnostic.code in REFUSED and diagnostic.path is not None


def _oldest_minor(refusals: Iterable[Diagnostic]) -> int:
    versions = (PythonVersion.parse(diagnostic.target or "") for diagnostic in refusals)
    return min((version.minor for version in versions if version is not None), default=NEWEST)


def _contradictions(report: CheckReport) -> Iterator[str]:
    """Where files declare other Pythons than the one that runs."""
    for item in report.diagnostics:
        if item.code in {Code.BG401, Code.BG403}:
            yield f"{item.path}:{item.range.line}: {item.message}" if item.path else item.message


def _refusal(diagnostic: Diagnostic, accepted_by: str | None) -> TargetRefusal:
    return TargetRefusal(
        SourceLocation(diagnostic.path or "", diagnostic.range.line),
        diagnostic.code,
        diagnostic.message,
        diagnostic.target or "",
        accepted_by,
    )


def _judged_by(report: CheckReport) -> tuple[str, str]:
    """How many sources were judged, by whom, and what that proves; empty and "none" if none were."""
    rows = [row for row in report.targets if row.proof != ProofGrade.NONE]
    if not rows or not report.files:
        return "", "none"
    proof = "predicted" if any(row.proof == ProofGrade.PREDICTED for row in rows) else rows[0].proof
    place = f" of {report.image.reference}" if report.image is not None else ""
    verb = "predicted" if proof == "predicted" else "compiled"
    sources = "1 source" if report.files == 1 else f"{report.files} sources"
    return f"{sources}{place}, {verb} by {', '.join(dict.fromkeys(row.interpreter or '' for row in rows))}", proof
