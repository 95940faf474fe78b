"""The interpreter engine: a Python of the target's version on this machine compiles every source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from buildguard.engines.compiled_program import CompiledProgram
from buildguard.engines.engine import EngineName, Outcome, ReadyEngine, Source, UnavailableEngine
from buildguard.engines.pool import Pool
from buildguard.engines.verify_interpreter import (
    CPYTHON,
    full_name,
    identity_of,
    probe_text,
    verify_interpreter,
)
from buildguard.engines.worker import Greeting, ProbeLimits
from buildguard.errors import UnprovenError
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion
from buildguard.system.cache import Cache
from buildguard.system.channels import LocalSite
from buildguard.system.pythons import candidates

_PATIENCE = 10.0


def local_probe(executable: Path, memory: int, facts_for: str = "") -> list[str]:
    """The argv that runs the probe in an interpreter of this machine, isolated from its surroundings.

    `facts_for` is the version that imports are read for, where it is not the interpreter's own.
    """
    probe = [str(executable), "-I", "-S", "-B", "-c", probe_text(), str(memory)]
    return [*probe, facts_for] if facts_for else probe


class InterpreterEngine:
    """Asks an interpreter of this machine; its proof is `compiled`."""

    name = EngineName.INTERPRETER

    def __init__(
        self, version: PythonVersion, root: Path, jobs: int, *, patience: float = _PATIENCE, fetch: bool = False
    ) -> None:
        """With `fetch`, a missing interpreter is installed with uv."""
        self._fetch = fetch
        self._cache = Cache(None)
        self._programs: dict[Pool, CompiledProgram] = {}
        self._version = version
        self._root = root
        self._jobs = jobs
        self._patience = patience
        self._pool: Pool | None = None
        self._begun: tuple[Path, Pool] | None = None

    def keep_programs_in(self, cache: Cache) -> None:
        """Let what an interpreter compiled for itself be there for the next run."""
        self._cache = cache

    def begin(self) -> None:
        """Start the likeliest interpreter already: it gets ready while sources are read."""
        path = next((path for path, _where in candidates(self._version.minor_text, self._root)), None)
        if path is not None:
            pool = self._new_pool(path)
            try:
                pool.start()
            except UnprovenError:
                return  # `prepare` tries again, and tells
            self._begun = path, pool

    def prepare(self) -> ReadyEngine | UnavailableEngine:
        """Start the first interpreter that proves to be the target's version, its exact patch release if there."""
        refused: list[str] = []
        second: tuple[Pool, ReadyEngine] | None = None
        for path, _where in candidates(self._version.minor_text, self._root):
            try:
                pool, ready = self._try(path)
            except UnprovenError as error:
                refused.append(f"{path} {error.what}")
                continue
            if self._version.patch is None or ready.version == str(self._version):
                if second is not None:
                    second[0].close()
                self._pool = pool
                return ready
            if second is None:
                second = pool, ready
            else:
                pool.close()
        if second is not None:
            self._pool, ready = second
            return ready._replace(note=f"{self._version} is not on this machine: {ready.version} stands in for it")
        if self._fetch:
            from buildguard.system.fetch_python import fetch_python

            try:
                self._pool, ready = self._try(fetch_python(self._version.minor_text, self._root))
            except UnprovenError as error:
                refused.append(error.words)
            else:
                return ready
        return UnavailableEngine(self.name, self._why_missing(refused), hint=self._hint())

    def _why_missing(self, refused: list[str]) -> str:
        return "; ".join([f"no Python {self._version.minor_text} on this machine", *refused])

    def _hint(self) -> str:
        install = f"uv python install {self._version.minor_text}"
        return install if self._fetch else f"{install}, or buildguard check --fetch-python"

    def compile(self, sources: Iterable[Source]) -> Iterator[Outcome]:
        """Judge every source in the interpreter that `prepare` found."""
        assert self._pool is not None
        yield from self._pool.run(iter(sources))
        self._programs[self._pool].keep(self._pool)

    def close(self) -> None:
        """End the probes."""
        for pool in (self._pool, self._begun[1] if self._begun is not None else None):
            if pool is not None:
                pool.close()

    def _try(self, path: Path) -> tuple[Pool, ReadyEngine]:
        begun, self._begun = self._begun, None
        if begun is not None and begun[0] != path:
            begun[1].close()
            begun = None
        pool = self._new_pool(path) if begun is None else begun[1]
        try:
            greeting = pool.greet(self._patience)
            self._believe(pool, greeting)
        except BaseException:
            pool.close()
            raise
        ready = ReadyEngine(
            engine=self.name,
            proof=ProofGrade.COMPILED,
            interpreter=full_name(greeting),
            version=greeting.version,
            identity=_identity(path, greeting),
        )
        return self._with_program(pool, ready.identity), ready

    def _with_program(self, pool: Pool, identity: str) -> Pool:
        program = self._programs[pool] = CompiledProgram(self._cache, identity)
        pool.program = program.program
        return pool

    def _new_pool(self, path: Path) -> Pool:
        return Pool(LocalSite(partial(local_probe, path)), self._jobs, ProbeLimits())

    def _believe(self, pool: Pool, greeting: Greeting) -> None:
        """Refuse another implementation or version, and one that is not what it says."""
        if greeting.implementation != CPYTHON:
            raise UnprovenError(f"is {greeting.implementation}, not CPython")
        if not f"{greeting.version}.".startswith(f"{self._version.minor_text}."):
            raise UnprovenError(f"runs Python {greeting.version}")
        verify_interpreter(pool.run, greeting)


def greeting_of(path: Path) -> Greeting:
    """What an executable says it is; raises UnprovenError where it does not greet as a probe does."""
    pool = Pool(LocalSite(partial(local_probe, path)), 1, ProbeLimits())
    try:
        return pool.greet(_PATIENCE)
    finally:
        pool.close()


def find_accepted(path: Path, sources: Sequence[Source]) -> tuple[str, set[int]]:
    """The version of an interpreter, and the numbers of the sources that it accepts; raises UnprovenError."""
    pool = Pool(LocalSite(partial(local_probe, path)), 1, ProbeLimits())
    try:
        version = pool.greet(_PATIENCE).version
        accepted = {
            outcome.number for outcome in pool.run(iter(sources)) if outcome.rejected is None and not outcome.unproven
        }
    finally:
        pool.close()
    return version, accepted


def _identity(path: Path, greeting: Greeting) -> str:
    binary = os.stat(path)
    return "\n".join(
        (
            identity_of(greeting),
            str(path),
            f"{binary.st_dev} {binary.st_ino} {binary.st_size} {binary.st_mtime_ns} {binary.st_ctime_ns}",
        )
    )
