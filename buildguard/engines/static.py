"""The static engine: ruff predicts what the target would reject, where nothing can ask the target itself.

Ruff is a very good first look and no proof: its answers are `predicted`. It reads copies in a folder of ours,
so that names, configuration and encodings cannot change what it looks at, and a file that is known to be
broken lies among them: an answer without it is no answer. One deep file can abort ruff with no result for
any file; then the batch is halved until the culprit stands alone.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from buildguard.definitions import lazy_pattern
from buildguard.diagnostic import Range
from buildguard.engines.engine import EngineName, Outcome, ReadyEngine, Rejection, Source, UnavailableEngine
from buildguard.engines.interpreter import local_probe
from buildguard.engines.pool import Pool
from buildguard.engines.verify_interpreter import digest_of_probe
from buildguard.engines.worker import ProbeLimits
from buildguard.errors import UnprovenError
from buildguard.project.codec_names import first_minor, local_name
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.source_text import decode_source
from buildguard.project.target import PEP_701, PythonVersion
from buildguard.remote.source_encoding import coding_of
from buildguard.system import process, temporary
from buildguard.system.channels import LocalSite

_BATCH = 2000
# Compile-time errors that ruff reports only where these codes are selected.
_SELECT = "E9,F404,F406,F407,F622,F701,F702,F704,F706,F707,PLE0115,PLE0117,PLE0118,PLE1142,PLE1700"
# What every CPython from 3.8 to 3.15 refuses behind its parser, in the words of the one that runs this: ruff lets some of it pass.
_IN_EVERY_VERSION = lazy_pattern(
    r"name '.*' is (?:parameter and|used prior to|assigned to before|nonlocal and) "
    r"|no binding for nonlocal '|nonlocal declaration not allowed|annotated name '.*' can't be (?:global|nonlocal)"
    r"|default 'except:' must be last|can't use starred expression here|cannot assign to __debug__"
    r"|multiple starred expressions in assignment|starred assignment target must be|duplicate argument '"
    r"|import \* only allowed at module level|'\w+' outside (?:function|loop)|'yield' inside"
)
_TOO_NESTED, _NESTS_MORE = "too many statically nested blocks", 13  # 3.13 takes a few more than the versions before it
_OF_THIS_PYTHON = lazy_pattern(
    r"(?i)encod|codec|decod|null byte|too many|too complex|overflow|exceeds|limit|nested|deep"
)
_STARRED_FIELD = "f-string: cannot use starred expression here"  # of the parser up to 3.11
_CANARY = "canary.py"
_OLDEST, _NEWEST = 7, 15


class StaticEngine:
    """Asks ruff; its proof is `predicted`."""

    name = EngineName.STATIC

    def __init__(self, version: PythonVersion) -> None:
        self._version = version
        self._ruff = ""

    def begin(self) -> None:
        """Ruff needs no warming up."""

    def prepare(self) -> ReadyEngine | UnavailableEngine:
        """Find ruff where this environment has it."""
        if not _OLDEST <= self._version.minor <= _NEWEST:
            return UnavailableEngine(self.name, f"ruff does not know Python {self._version.minor_text}")
        try:
            from ruff import find_ruff_bin

            self._ruff = find_ruff_bin()
            version = process.run([self._ruff, "--version"], timeout=30).stdout.decode("ascii", "replace").strip()
        except (ImportError, FileNotFoundError, UnprovenError):
            return UnavailableEngine(self.name, "ruff is not installed", "pip install ruff")
        return ReadyEngine(
            engine=self.name,
            proof=ProofGrade.PREDICTED,
            interpreter=version,
            version=self._version.minor_text,
            identity=f"{version} {_SELECT} {_IN_EVERY_VERSION.pattern} {self._version.minor_text} {sys.version} {digest_of_probe()}",
        )

    def compile(self, sources: Iterable[Source]) -> Iterator[Outcome]:
        """Predict for every source."""
        reader = _fact_reader(self._version)
        batch: list[Source] = []
        try:
            for source in sources:
                batch.append(source)
                if len(batch) == _BATCH:
                    yield from self._with_own_python(reader, batch)
                    batch = []
            yield from self._with_own_python(reader, batch)
        finally:
            reader.close()

    def close(self) -> None:
        """Nothing stays: each batch removes its folder."""

    def _predict(self, batch: list[Source]) -> list[Outcome]:
        if not batch:
            return []
        answer = self._ask(batch, self._version.minor)
        if answer is not None:
            return [Outcome(source.number, source.digest, self._rejection(source, answer)) for source in batch]
        if len(batch) == 1:
            return [Outcome(batch[0].number, batch[0].digest, unproven="ruff gave no answer for this file")]
        half = len(batch) // 2
        return self._predict(batch[:half]) + self._predict(batch[half:])

    def _with_own_python(self, reader: Pool, batch: list[Source]) -> list[Outcome]:
        """Predictions with the imports of what was accepted, and what the Python that runs this refuses as the target does."""
        outcomes = self._predict(batch)
        accepted = {outcome.number for outcome in outcomes if outcome.rejected is None and not outcome.unproven}
        passed = [source for source in batch if source.number in accepted]
        try:
            own = {outcome.number: outcome for outcome in reader.run(iter(passed))}
        except UnprovenError:
            return outcomes
        refused = {
            number: rejection for number, each in own.items() if (rejection := _refused_there(each, self._version))
        }
        refused |= self._misread(passed, own, refused)
        return [
            outcome._replace(facts=own[outcome.number].facts, rejected=refused.get(outcome.number))
            if outcome.number in own
            else outcome
            for outcome in outcomes
        ]

    def _misread(
        self, passed: Iterable[Source], own: Mapping[int, Outcome], refused: Container[int]
    ) -> dict[int, Rejection]:
        """What ruff takes for a program of this Python's version, too, whose parser refuses it: ruff is mistaken, not the version."""
        doubtful = [source for source in passed if source.number not in refused and _is_syntax(own.get(source.number))]
        minor = sys.version_info.minor
        if minor < PEP_701 <= self._version.minor:
            doubtful = [source for source in doubtful if not _has_newer_fstring(source.data, minor)]
        if not doubtful or not _OLDEST <= minor <= _NEWEST:
            return {}
        errors = self._ask(doubtful, minor)
        rejections = {
            source.number: own[source.number].rejected
            for source in doubtful
            if errors is not None and _name(source) not in errors
        }
        return {number: each._replace(kind="predicted") for number, each in rejections.items() if each is not None}

    def _rejection(self, source: Source, answer: dict[str, Rejection]) -> Rejection | None:
        """What ruff reports, else that the target has no codec of the name that a source declares."""
        rejection = answer.get(_name(source))
        coding = coding_of(source.data) if rejection is None else None
        if coding is not None and first_minor(coding.codec) > self._version.minor:
            return Rejection("predicted", f"unknown encoding: {coding.codec}", Range(coding.line, 1))
        return rejection

    def _ask(self, batch: list[Source], minor: int) -> dict[str, Rejection] | None:
        """The first error that ruff sees in each file for a version, None where its answer cannot be trusted."""
        try:
            with temporary.folder() as folder:
                for source in batch:
                    (folder / _name(source)).write_bytes(_as_utf8(source.data))
                (folder / _CANARY).write_bytes(b"f(\n")
                done = process.run([*self._argv(minor), str(folder)], cwd=folder, timeout=300)
            rows = json.loads(done.stdout) if done.status == 0 else None
            errors = _first_errors(rows) if rows is not None else {}
        except OSError as error:
            raise UnprovenError(f"sources could not be laid out for ruff: {error.strerror}") from error
        except (UnprovenError, ValueError, KeyError, TypeError):
            return None
        return errors if _CANARY in errors else None

    def _argv(self, minor: int) -> list[str]:
        return [
            self._ruff,
            "check",
            "--isolated",
            "--no-cache",
            "--exit-zero",
            "--ignore-noqa",
            "--no-respect-gitignore",
            "--output-format=json",
            f"--target-version=py3{minor}",
            f"--select={_SELECT}",
        ]


def _fact_reader(version: PythonVersion) -> Pool:
    """Probes in the Python that runs this, which read imports for the target's version."""
    site = LocalSite(lambda memory: local_probe(Path(sys.executable), memory, version.minor_text))
    return Pool(site, process.cores(), ProbeLimits())


def _is_syntax(own: Outcome | None) -> bool:
    """Whether a parser refuses what a source says, and not how it is encoded or how large it is."""
    rejected = own.rejected if own is not None else None
    if rejected is None or not rejected.in_parser or rejected.crashed:
        return False
    return _OF_THIS_PYTHON.search(rejected.message) is None


def _has_newer_fstring(data: bytes, minor: int) -> bool:
    """Whether an f-string may be why an older Python refuses a source."""
    from buildguard.fstrings import rules

    text = decode_source(data)
    return text is None or rules.refuses(data, minor)


def _refused_there(own: Outcome, version: PythonVersion) -> Rejection | None:
    """What this Python refuses behind its parser, where the target is known to agree."""
    rejected = own.rejected
    if rejected is None or (rejected.in_parser and rejected.message != _STARRED_FIELD):
        return None
    agrees = rejected.in_parser or _IN_EVERY_VERSION.match(rejected.message) is not None
    if rejected.message == _TOO_NESTED:
        agrees = version.minor < _NESTS_MORE or sys.version_info >= (3, _NESTS_MORE)
    return rejected._replace(kind="predicted") if agrees else None


def _name(source: Source) -> str:
    return f"s{source.number}.py"


def _as_utf8(data: bytes) -> bytes:
    """Ruff reads UTF-8 only; a source with another, valid cookie is legal Python."""
    coding = coding_of(data)
    if coding.is_utf8:
        return data
    try:
        return data.decode(local_name(coding.codec)).encode("utf-8")
    except (LookupError, ValueError):
        return data


def _first_errors(rows: list[dict[str, Any]]) -> dict[str, Rejection]:
    errors: dict[str, Rejection] = {}
    for row in sorted(rows, key=lambda candidate: (candidate["location"]["row"], candidate["location"]["column"])):
        name = os.path.basename(row["filename"])
        start, end = row["location"], row["end_location"]
        where = Range(start["row"], start["column"], end["row"], end["column"])
        errors.setdefault(name, Rejection("predicted", row["message"], where))
    return errors
