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
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from buildguard.diagnostic import Range
from buildguard.engines.engine import EngineName, Outcome, ReadyEngine, Rejection, Source, UnavailableEngine
from buildguard.engines.interpreter import local_probe
from buildguard.engines.pool import Pool
from buildguard.engines.transport import LocalSite
from buildguard.engines.verify_interpreter import digest_of_probe
from buildguard.engines.worker import ProbeLimits
from buildguard.errors import UnprovenError
from buildguard.project.codec_names import first_minor, local_name
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion
from buildguard.remote.source_encoding import coding_of
from buildguard.system import process, temporary

_BATCH = 2000
# Compile-time errors that ruff reports only where these codes are selected.
_SELECT = "E9,F404,F406,F407,F622,F701,F702,F704,F706,PLE1142,PLE0118"
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
            identity=f"{version} {_SELECT} {self._version.minor_text} {sys.version} {digest_of_probe()}",
        )

    def compile(self, sources: Iterable[Source]) -> Iterator[Outcome]:
        """Predict for every source."""
        reader = _fact_reader(self._version)
        batch: list[Source] = []
        try:
            for source in sources:
                batch.append(source)
                if len(batch) == _BATCH:
                    yield from _with_facts(reader, batch, self._predict(batch))
                    batch = []
            yield from _with_facts(reader, batch, self._predict(batch))
        finally:
            reader.close()

    def close(self) -> None:
        """Nothing stays: each batch removes its folder."""

    def _predict(self, batch: list[Source]) -> list[Outcome]:
        if not batch:
            return []
        answer = self._ask(batch)
        if answer is not None:
            return [Outcome(source.number, source.digest, self._rejection(source, answer)) for source in batch]
        if len(batch) == 1:
            return [Outcome(batch[0].number, batch[0].digest, unproven="ruff gave no answer for this file")]
        half = len(batch) // 2
        return self._predict(batch[:half]) + self._predict(batch[half:])

    def _rejection(self, source: Source, answer: dict[str, Rejection]) -> Rejection | None:
        """What ruff reports, else that the target has no codec of the name that a source declares."""
        rejection = answer.get(_name(source))
        coding = coding_of(source.data) if rejection is None else None
        if coding is not None and first_minor(coding.codec) > self._version.minor:
            return Rejection("predicted", f"unknown encoding: {coding.codec}", Range(coding.line, 1))
        return rejection

    def _ask(self, batch: list[Source]) -> dict[str, Rejection] | None:
        """The first error that ruff sees in each file, None where its answer cannot be trusted."""
        try:
            with temporary.folder() as folder:
                for source in batch:
                    (folder / _name(source)).write_bytes(_as_utf8(source.data))
                (folder / _CANARY).write_bytes(b"f(\n")
                done = process.run([*self._argv(), str(folder)], cwd=folder, timeout=300)
            rows = json.loads(done.stdout) if done.status == 0 else None
            errors = _first_errors(rows) if rows is not None else {}
        except OSError as error:
            raise UnprovenError(f"sources could not be laid out for ruff: {error.strerror}") from error
        except (UnprovenError, ValueError, KeyError, TypeError):
            return None
        return errors if _CANARY in errors else None

    def _argv(self) -> list[str]:
        return [
            self._ruff,
            "check",
            "--isolated",
            "--no-cache",
            "--exit-zero",
            "--ignore-noqa",
            "--no-respect-gitignore",
            "--output-format=json",
            f"--target-version=py3{self._version.minor}",
            f"--select={_SELECT}",
        ]


def _fact_reader(version: PythonVersion) -> Pool:
    """Probes in the Python that runs this, which read imports for the target's version."""
    site = LocalSite(lambda memory: local_probe(Path(sys.executable), memory, version.minor_text))
    return Pool(site, process.cores(), ProbeLimits())


def _with_facts(reader: Pool, batch: list[Source], outcomes: list[Outcome]) -> list[Outcome]:
    """Outcomes with the imports of what was accepted; without them where they cannot be read."""
    accepted = {outcome.number for outcome in outcomes if outcome.rejected is None and not outcome.unproven}
    try:
        read = reader.run(source for source in batch if source.number in accepted)
        facts = {outcome.number: outcome.facts for outcome in read}
    except UnprovenError:
        return outcomes
    return [outcome._replace(facts=facts.get(outcome.number, b"")) for outcome in outcomes]


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
