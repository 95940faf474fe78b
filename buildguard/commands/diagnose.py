"""`buildguard diagnose`: a pasted log and this repository, to the cause. Nothing but them is read."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, NamedTuple

from buildguard import hypotheses, logs, troubles
from buildguard.catalogue import RULE_ERRORS
from buildguard.commands.check import judged
from buildguard.commands.job import Job, Request, prepare
from buildguard.commands.judging import judge_all
from buildguard.commands.reached import Asked, look
from buildguard.declared import gather, layout
from buildguard.diagnostic import Severity, Unproven, shown_path
from buildguard.errors import GuardError, UnprovenError, UsageError
from buildguard.ignore import docker, gcloud
from buildguard.incident import Evidence, Missing, Place, Placed, Refused
from buildguard.place import locate
from buildguard.result import Report
from buildguard.stages import Kind
from buildguard.target import NEWEST, PythonVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from buildguard.commands.attempts import Attempts
    from buildguard.commands.reached import Reached
    from buildguard.custody import Chain
    from buildguard.diagnostic import Diagnostic, Range
    from buildguard.hypotheses import Diagnosis
    from buildguard.ignore import Rule
    from buildguard.logs import Failure, Log

    _Drops = Callable[[str], Rule | None]

_ALARMING = re.compile(
    r"(?i)\b(?:error|fatal|critical|exception|traceback|failed|failure|denied|refused|killed|panic|abort(?:ed)?)\b"
)
_REFUSED = RULE_ERRORS | {"BG101", "BG103"}
_MISREAD = frozenset({"BG102", "BG106", "BG107"})
_FROZEN = "<"
_MOST_EXCERPTS, _AROUND, _WIDEST = 20, 2, 400
_ANY = "3.12"  # where nothing says which Python it is, none is asked


class _Silent:
    """A diagnosis takes its second without a bar."""

    def update(self, done: int, total: int) -> None:
        """Nobody is told."""

    def tell(self, text: str) -> None:
        """Nor of what takes its time."""


class _Declared(NamedTuple):
    """The Python that the repository declares, and who says so; empty where nothing does, and then why."""

    python: str
    found_in: str
    untold: str = ""


class Examined(NamedTuple):
    """A diagnosis with what it was made from: the sources as they were judged, the chains, and the lines that matter.

    `lines` are those of the repository's files around each finding: path, first line, texts; `attempts` are of the ledger,
    `reports` of the images that were looked at.
    """

    diagnosis: Diagnosis
    report: Report
    chains: tuple[Chain, ...]
    lines: tuple[Excerpt, ...]
    attempts: Attempts | None
    reports: tuple[Report, ...] = ()


class Excerpt(NamedTuple):
    """Some lines of a file around one that is refused; `first` is the number of the first of them, `line` of that one.

    `ranges` are what is refused in that file.
    """

    path: str
    first: int
    line: int
    texts: tuple[str, ...]
    ranges: tuple[Range, ...]


def diagnose(cwd: Path, log: bytes | None, asked: Asked = Asked()) -> Diagnosis:  # noqa: B008
    """The cause of what a log shows, or of what this repository alone lets expect where there is none.

    Raises UsageError where the configuration is wrong.
    """
    return examine(cwd, log, asked).diagnosis


def examine(cwd: Path, log: bytes | None, asked: Asked) -> Examined:
    """The same, with everything that a page shows."""
    attempts = _attempts(cwd)
    found = look(cwd, asked, _Silent(), attempts, has_log=log is not None)
    whole = log if log is not None else found.log or None
    read = logs.read(whole or b"")
    job, declared = _job(cwd, read)
    try:
        bench = _Bench(job, read, found, has_log=whole is not None)
        diagnosis = bench.diagnosis(declared)
        return Examined(
            diagnosis, bench.report, found.chains, tuple(bench.excerpts(diagnosis)), attempts, found.reports
        )
    finally:
        job.cache.close()


def _attempts(cwd: Path) -> Attempts | None:
    """What this machine's ledger says; nothing is asked elsewhere for it."""
    from buildguard.commands.attempts import local

    try:
        return local(cwd)
    except GuardError:
        return None


def _job(cwd: Path, log: Log) -> tuple[Job, _Declared]:
    """The repository, to be judged by the Python that ran: the one that the log's paths speak of, else the declared one."""
    where = locate(cwd, ())
    try:
        job = prepare(Request(cwd=cwd), where)
    except UsageError as error:
        if not log.pythons:
            return prepare(Request(cwd=cwd, targets=(_ANY,)), where), _Declared("", "", error.what)
        return prepare(Request(cwd=cwd, targets=(log.pythons[-1],)), where), _Declared(log.pythons[-1], "the log")
    versions = [target.version for target in job.targets if target.version is not None]
    found_in = ", ".join(dict.fromkeys(target.found_in for target in job.targets))
    declared = _Declared(", ".join(dict.fromkeys(map(str, versions))), found_in)
    ran = [one for one in log.pythons if PythonVersion.parse(one) is not None]
    if ran and versions and not {version.minor_text for version in versions} & set(ran):
        job.cache.close()
        job = prepare(Request(cwd=cwd, targets=(ran[-1],)), where)
    return job, declared


class _Bench:
    """What is at hand for one diagnosis: the repository, judged, and the log."""

    def __init__(self, job: Job, log: Log, reached: Reached, *, has_log: bool) -> None:
        self._job = job
        self._reached = reached
        self.report = Report(".", (), (), (), (), 0, 0.0)
        self._where = job.place
        self._log = log
        self._has_log = has_log
        self._entries = {shown_path(entry.path): entry for entry in job.place.stage.entries()}
        self._sources = {shown_path(entry.path) for entry in job.chosen.sources}
        self._contents: dict[str, list[str]] = {}

    def diagnosis(self, declared: _Declared) -> Diagnosis:
        """The whole of it."""
        report = self.report = self._report(declared)
        newer = _Newer(self._job)
        refused = self._refused(report, newer)
        met = tuple(troubles.met(self._log.lines))
        rows = [row for row in report.targets if row.proof != "none"]
        looked = (
            f"{report.files} sources, {_verb(rows[0].proof)} by {rows[0].interpreter}" if rows and report.files else ""
        )
        return hypotheses.diagnose(
            Evidence(
                failures=tuple(self._placed(one, refused, newer) for one in self._log.failures),
                met=met,
                pythons=tuple(self._log.pythons),
                has_log=self._has_log,
                alarming=any(_ALARMING.search(line) for line in self._log.lines),
                target=declared.python,
                found_in=declared.found_in,
                looked=looked,
                proof=max((row.proof for row in rows), default="none"),
                refused=tuple(refused),
                newer=tuple(
                    f"{one.path}:{one.range.line}: {one.message}" if one.path else one.message
                    for one in report.diagnostics
                    if one.code in {"BG401", "BG403"}
                ),
                misread=tuple(
                    _refusal(one, None)
                    for one in report.diagnostics
                    if one.code in _MISREAD and one.severity is Severity.ERROR
                ),
                missing=tuple(self._missing(met)),
                unproven=tuple(one.reason for one in report.unproven if one.path is None),
                shown=self._reached.shown,
                blind=self._reached.blind,
                compared=self._reached.compared,
                ran=self._reached.ran,
                ended=self._reached.ended,
            )
        )

    def excerpts(self, found: Diagnosis) -> Iterator[Excerpt]:
        """The lines around each place of a diagnosis."""
        for place in (*found.place, *found.next)[:_MOST_EXCERPTS]:
            if place.line is not None and place.path in self._entries:
                lines = self._lines(place.path)
                first = max(1, place.line - _AROUND)
                texts = tuple(text[:_WIDEST] for text in lines[first - 1 : place.line + _AROUND])
                refused = (one for one in self.report.diagnostics if one.path == place.path and one.code in _REFUSED)
                yield Excerpt(place.path, first, place.line, texts, tuple(one.range for one in refused))

    def _report(self, declared: _Declared) -> Report:
        if declared.untold:
            return Report(".", (), (), (Unproven(None, None, declared.untold),), (), 0, 0.0)
        return judged(self._job, judge_all(self._job, _Silent()), time.monotonic())

    # -------------------------------------------------------------------------------------- what is refused

    def _refused(self, report: Report, newer: _Newer) -> list[Refused]:
        found = [one for one in report.diagnostics if one.code in _REFUSED and one.path is not None]
        more = list(self._refused_elsewhere({one.path or "" for one in found}))
        sources = {row.python: row.found_in for row in report.targets}
        # where several are declared, each says for itself who declares it
        told_by = {id(one): sources.get(one.target or "", "") for one in found if len(sources) > 1}
        told_by |= {id(one): image for one, image in more}
        found += [one for one, _image in more]
        paths = {one.path for one in found if one.path is not None}
        minors = {one.target: PythonVersion.parse(one.target or "") for one in found}
        oldest = min((version.minor for version in minors.values() if version is not None), default=NEWEST)
        accepted = newer.accepts({path: self._bytes(path) for path in sorted(paths)}, oldest)
        return [_refusal(one, accepted.get(one.path or ""))._replace(told_by=told_by.get(id(one), "")) for one in found]

    def _refused_elsewhere(self, known: set[str]) -> Iterator[tuple[Diagnostic, str]]:
        """What the Python of an image refuses of the sources that are there as they are here, and whose image it is."""
        for report in self._reached.reports:
            inside = report.image
            assert inside is not None
            others = {*inside.changed, *inside.generated, *known}
            # the Python that ran there, which need not be the one that was promised
            ran = next((row.interpreter for row in report.targets if row.interpreter), "").rpartition(" ")[2]
            for one in report.diagnostics:
                if one.code in _REFUSED and one.path is not None and one.path not in others:
                    yield one._replace(target=ran or one.target), inside.reference

    def _bytes(self, path: str) -> bytes:
        entry = self._entries.get(path)
        for _entry, content in self._where.stage.contents([entry] if entry is not None else []):
            return content if isinstance(content, bytes) else b""
        return b""

    def _lines(self, path: str) -> list[str]:
        if path not in self._contents:
            self._contents[path] = self._bytes(path).decode("utf-8", "replace").splitlines()
        return self._contents[path]

    # -------------------------------------------------------------------------------------- where it was

    def _placed(self, failure: Failure, refused: Sequence[Refused], newer: _Newer) -> Placed:
        """A failure's place: the last of its frames that lies in this repository; a compiler's is the last of all."""
        frames = failure.frames[-1:] if failure.is_syntax else failure.frames[::-1]
        for frame in frames:
            path = self._path_of(frame)
            if path is None:
                continue
            place = Place(path, frame.line)
            if not frame.source:
                return Placed(failure, place)
            now = self._shows(self._lines(path), frame)
            if now or not failure.is_syntax:
                return Placed(failure, place, as_shown=now)
            older, then = self._then(path, frame, newer)
            if then is not None and any(one.place.path == path for one in refused):
                then = None
            return Placed(failure, place, as_shown=False, older=older, then=then)
        outside = failure.frames[-1].path if failure.frames else ""
        return Placed(failure, None, "" if outside.startswith(_FROZEN) else outside)

    @staticmethod
    def _shows(lines: Sequence[str], frame: logs.Frame) -> bool:
        """Whether a file has the line that a frame shows, where it says, or a log's cut beginning of it."""
        if not 0 < frame.line <= len(lines):
            return False
        here = lines[frame.line - 1].strip()
        return here == frame.source or (len(frame.source) > 10 and here.startswith(frame.source))  # noqa: PLR2004

    def _path_of(self, frame: logs.Frame) -> str | None:
        """The repository's path of a path in the image: by the Dockerfile, or by the longest tail that fits one file."""
        path = frame.path.replace("\\", "/")
        if path.startswith(_FROZEN) or layout.is_installed(path):
            return None
        planned = {twins[path] for twins in self._layouts() if path in twins}
        if len(planned) == 1:
            return planned.pop()
        parts = [part for part in path.split("/") if part not in {"", "."}]
        for at in range(len(parts)):
            tail = "/".join(parts[at:])
            fitting = [one for one in self._sources if one == tail or one.endswith(f"/{tail}")]
            exact = [one for one in fitting if one == tail]
            shown = [one for one in fitting if frame.source and self._shows(self._lines(one), frame)]
            for some in (exact, fitting, shown):
                if len(some) == 1 and (at or some is not fitting or fitting == some):
                    return some[0]
            if fitting:
                return None
        return None

    def _layouts(self) -> Iterator[dict[str, str]]:
        for recipe in self._recipes():
            service = recipe.service
            yield layout.of_dockerfile(
                recipe.dockerfile, dict(service.build_args), service.stage, service.context, self._entries.keys()
            ).twins

    def _recipes(self) -> list[gather.Recipe]:
        try:
            return gather.recipes(self._where.stage, self._job.config)
        except GuardError:
            return []

    def _then(self, path: str, frame: logs.Frame, newer: _Newer) -> tuple[str, Refused | None]:
        """The newest commit in which the file has the line that a log shows, and what the target made of that file."""
        repository = self._where.repository
        if repository is None or not repository.head:
            return "", None
        try:
            history = list(repository.history(repository.head, [os.fsencode(path)]))
            blobs = list(repository.blobs([blob for _commit, _path, blob in history]))
        except UnprovenError:
            return "", None
        for (commit, _path, _blob), content in zip(history, blobs, strict=True):
            if content is None or not self._shows(content.decode("utf-8", "replace").splitlines(), frame):
                continue
            return commit, newer.verdict(content, Place(path, frame.line), self._job)
        return "", None

    # -------------------------------------------------------------------------------------- what is missing

    def _missing(self, met: Iterable[troubles.Met]) -> Iterator[Missing]:
        """Modules and files that the log misses and the repository has, with the ignore rule that drops each."""
        rules = list(self._ignore_rules())
        for one in met:
            name = one.groups.get("name", "")
            if one.known.cause != "not-importable" or not name:
                continue
            tail = name.replace(".", "/")
            for path in sorted(self._entries):
                kind = self._entries[path].kind
                if kind is Kind.LINK or not (f"/{path}".endswith((f"/{tail}.py", f"/{tail}/__init__.py"))):
                    continue
                dropped = next((str(rule) for drops in rules if (rule := drops(path)) is not None), "")
                yield Missing(name, path, dropped)
                break

    def _ignore_rules(self) -> Iterator[_Drops]:
        def read(name: str) -> bytes | None:
            return self._bytes(name) if name in self._entries else None

        try:
            yield gcloud.Rules(read, has_git=self._where.repository is not None).drops
            for recipe in self._recipes():
                yield docker.Rules(read, recipe.service.context, recipe.service.dockerfile).drops
        except UnprovenError:
            return


class _Newer:
    """The newest Python at hand: it tells what is refused for its age only."""

    def __init__(self, job: Job) -> None:
        self._root = job.place.root

    def accepts(self, files: dict[str, bytes], minor: int) -> dict[str, str]:
        """By path, the Python newer than `minor` that accepts a file; empty where the newest refuses it; less, unasked."""
        found: dict[str, str] = {}
        for ask in (self._compiled, self._predicted):
            names = [name for name in files if not found.get(name)]
            asked = ask([files[name] for name in names], minor) if names else None
            if asked is not None:
                version, accepted = asked
                found |= {name: version if at in accepted else "" for at, name in enumerate(names)}
        return found

    def _compiled(self, sources: Sequence[bytes], minor: int) -> tuple[str, set[int]] | None:
        """By the newest Python of this machine: its version, and the numbers of the sources that it accepts."""
        from buildguard.engines.interpreter import second_opinion
        from buildguard.engines.pool import source_of
        from buildguard.interpreters import candidates

        numbered = [source_of(at, data) for at, data in enumerate(sources)]
        for newest in range(NEWEST, minor, -1):
            for path, _where in candidates(f"3.{newest}", self._root):
                try:
                    return second_opinion(path, numbered)
                except UnprovenError:
                    continue
        return None

    @staticmethod
    def _predicted(sources: Sequence[bytes], minor: int) -> tuple[str, set[int]] | None:
        """By ruff, for what no Python here is new enough for."""
        from buildguard.engines import Unavailable
        from buildguard.engines.pool import source_of
        from buildguard.engines.static import StaticEngine

        for newest in range(NEWEST, minor, -1):
            engine = StaticEngine(PythonVersion(newest))
            if isinstance(engine.prepare(), Unavailable):
                continue
            try:
                outcomes = list(engine.compile(iter([source_of(at, data) for at, data in enumerate(sources)])))
            except UnprovenError:
                return None
            finally:
                engine.close()
            return f"3.{newest} (predicted)", {
                one.number for one in outcomes if one.rejected is None and not one.unproven
            }
        return None

    def verdict(self, content: bytes, place: Place, job: Job) -> Refused | None:
        """What the target makes of a file as it was once: by its own f-string rules, or by its interpreter."""
        from buildguard.rules import fstrings

        version = next((target.version for target in job.targets if target.version is not None), None)
        if version is None:
            return None
        found = [one for one in fstrings.findings(content, version.minor) if one.code in _REFUSED]
        accepted = self.accepts({place.path: content}, version.minor)
        if not found:
            return None
        first = next((one for one in found if one.range.line == place.line), found[0])
        return Refused(place, first.code, first.message, str(version), accepted.get(place.path))


def _refusal(one: Diagnostic, accepted_by: str | None) -> Refused:
    return Refused(Place(one.path or "", one.range.line), one.code, one.message, one.target or "", accepted_by)


def _verb(proof: str) -> str:
    return "predicted" if proof == "predicted" else "compiled"
